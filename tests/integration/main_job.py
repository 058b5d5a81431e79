#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job on real parts: a key in a token, a policy, lacme, Pebble.

    main_job.py softhsm|sealed [--show]

Debian's unmodified lacme gets a certificate from Pebble with an account key
that it never held. Each step checks what it says; --show is for people.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import sys
import time

from lab import (BUILD, CLIENT_UID, DAEMON_UID, GUARDIANCTL, GUARDIAND, Failed,
                 Lab, OTHER_UID, Restarting, SOFTHSM, TOKEN_HELPER, TOKEN_UID,
                 expect, free_port, thumbprint, wait_for)

NAME, ALSO, FOREIGN = "www.lab.example", "api.lab.example", "evil.example"
CANARY = "canary-passphrase-of-the-lab"


class MainJob:
    def __init__(self, lab, backend, show):
        self.lab, self.backend, self.show = lab, backend, show
        self.run_dir = lab.folder("run", DAEMON_UID, 0o755)
        self.admin = self.run_dir / "admin.sock"
        self.client = self.run_dir / "client.sock"
        self.lacme_socket = self.run_dir / "lacme.sock"
        self.etc = lab.folder("etc")

    def say(self, text):
        if self.show:
            print(f"      {text}", flush=True)

    def ctl(self, *args, uid=0, ok=(0,), stdin=None):
        return self.lab.run([GUARDIANCTL, "--config", self.etc, *args], uid,
                            ok=ok, stdin=stdin)

    def ctl_json(self, *args, uid=0, ok=(0,)):
        return json.loads(self.ctl("--json", *args, uid=uid, ok=ok).stdout)

    # The steps, in order.

    def a_token(self):
        """A token for the account key"""
        lab = self.lab
        lines = [f"[Guardian]\nStateDirectory={lab.dir}/state",
                 f"LogDirectory={lab.dir}/log",
                 f"ClientSocket={self.client}\nAdminSocket={self.admin}",
                 "[Token lab]\nProcesses=2",
                 f"HelperSocket={lab.dir}/token/lab.sock"]
        if self.backend == "softhsm":
            env = lab.softhsm(TOKEN_UID)
            lines += [f"Module={SOFTHSM}\nToken=pkcs11:token=lab",
                      f"Pin=file:{lab.dir}/softhsm/pin",
                      f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
                      f"Directory={lab.dir}/token-state"]
        else:
            lab.file("credential", os.urandom(32), TOKEN_UID, 0o600)
            lines += ["Backend=sealed", f"Pin=file:{lab.dir}/credential",
                      f"Directory={lab.dir}/token-state"]
        lab.folder("state", DAEMON_UID, 0o700)
        lab.folder("log", DAEMON_UID, 0o750)
        lab.folder("token-state", TOKEN_UID, 0o700)
        lab.folder("token", TOKEN_UID, 0o711)
        lab.file("etc/guardian.conf", "\n".join(lines) + "\n")
        lab.file("etc/policy.d/lab.policy",
                 "# lacme's socket may order two names, and nothing else.\n"
                 "[Client]\nSocket=web\n[Allow]\nAccount=lab\n"
                 f"Domain={NAME} {ALSO}\n\n"
                 f"[Client]\nUser={CLIENT_UID}\n[Allow]\nAccount=lab\n"
                 f"Domain={NAME}\n")
        with open(self.etc / "guardian.conf", "a", encoding="ascii") as f:
            f.write("[Lacme web]\nAccount=lab\n")
        if self.backend == "sealed":
            self.ctl("token", "init-sealed", "lab", uid=TOKEN_UID,
                     stdin=f"{CANARY}\n")
            self.say("the embedded store: keys as encrypted files, opened by "
                     f"user {TOKEN_UID} alone")
        else:
            self.say(f"SoftHSM2, its files and PIN readable by user {TOKEN_UID} "
                     "alone")

    def services(self):
        """Daemon and token helper behind activated sockets"""
        lab = self.lab
        token_socket = lab.dir / "token/lab.sock"
        self.helper = Restarting(
            lab, "token", ["systemd-socket-activate", "--seqpacket", "-l",
                           token_socket, TOKEN_HELPER, "--config", self.etc,
                           "lab"], TOKEN_UID)
        wait_for("the token socket", token_socket.exists)
        os.chown(token_socket, DAEMON_UID, DAEMON_UID)
        os.chmod(token_socket, 0o600)
        self.daemon = lab.start(
            "guardiand", ["systemd-socket-activate", "-l", self.client, "-l",
                          self.admin, "-l", self.lacme_socket,
                          "--fdname=client:admin:lacme@web", GUARDIAND,
                          "--config", self.etc], DAEMON_UID)
        wait_for("the sockets", self.lacme_socket.exists)
        os.chmod(self.client, 0o666)
        os.chmod(self.admin, 0o666)
        os.chmod(self.lacme_socket, 0o600)
        wait_for("the token", lambda: self.ctl_json("status", ok=(0, 1))
                 ["tokens"][0]["state"] == "ok")
        status = self.ctl_json("status", ok=(0, 1))
        expect(status["separation"] == "separated",
               f"separated: {status['separation']}")
        key = self.ctl("audit", "take-key").stdout
        self.first_key = re.search(r"[0-9a-f]{64}", key).group()
        self.lab.file("first-key", self.first_key + "\n", mode=0o600)
        self.say(f"daemon is user {DAEMON_UID}, token helper is user "
                 f"{TOKEN_UID}; the first connection started both")

    def account(self):
        """An account whose key is born in the token"""
        lab = self.lab
        self.ctl("account", "create", "lab", "--token", "lab", "--directory",
                 lab.directory_url)
        self.ctl("account", "register", "lab", "--contact",
                 "mailto:pki@lab.example", "--agree-terms", "--ca-file",
                 lab.dir / "tls/ca.pem")
        shown = self.ctl_json("account", "show", "lab")["account"]
        expect(shown["status"] == "valid", f"status valid: {shown}")
        self.url, self.jwk = shown["url"], shown["jwk"]
        self.thumbprint = shown["thumbprint"]
        expect(thumbprint(self.jwk) == self.thumbprint, "thumbprint of the JWK")
        if self.backend == "softhsm":
            for proof in ("sensitive", "never-extractable", "local"):
                expect(proof in shown["attributes"],
                       f"{proof} among {shown['attributes']}")
            self.compare_with_token()
        self.say(f"registered as {self.url}")
        self.say(f"key {self.thumbprint} ({', '.join(shown['attributes'])})")

    def compare_with_token(self):
        """What another program reads from the token is the account's key."""
        def tool(*args):
            return self.lab.run(
                ["pkcs11-tool", "--module", SOFTHSM, "--token-label", "lab",
                 "--login", "--pin", "1234", *args], TOKEN_UID,
                {"SOFTHSM2_CONF": f"{self.lab.dir}/softhsm/softhsm2.conf"})

        private = tool("--list-objects", "--type", "privkey").stdout
        expect(private.count("Private Key Object") == 1, private)
        expect("never extractable" in private, private)
        public = tool("--list-objects", "--type", "pubkey").stdout
        point = re.search(r"EC_POINT: +(\S+)", public).group(1)
        expect(bytes.fromhex(point)[-64:] ==
               _unb64(self.jwk["x"]) + _unb64(self.jwk["y"]),
               f"the token's public key is the account's: {point}")

    def certificate(self):
        """Debian's lacme gets a certificate through http-01"""
        lab = self.lab
        trust = lab.folder("trust")
        shutil.copy(lab.dir / "tls/ca.pem", trust / "lab.pem")
        shutil.copy(lab.dir / "tls/ca.pem", trust / "ca-certificates.crt")
        lab.run(["openssl", "rehash", trust])
        lab.file("lacme.conf", f"[client]\nsocket = {self.lacme_socket}\n"
                 f"server = {lab.directory_url}\n[webserver]\n"
                 f"listen = 127.0.0.1:{self.http_port}\n", mode=0o600)
        lab.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-out", lab.dir / "www.key"])
        self.lacme_order(NAME, ALSO)
        r = lab.run(["openssl", "x509", "-in", lab.dir / "www.pem", "-noout",
                     "-ext", "subjectAltName"])
        expect(f"DNS:{NAME}" in r.stdout and f"DNS:{ALSO}" in r.stdout,
               r.stdout)
        self.say(f"issued for {NAME} and {ALSO}")

    def lacme_order(self, *names, ok=(0,)):
        san = ",".join(f"DNS:{n}" for n in names)
        self.lab.file("certs.conf", "[www]\n"
                      f"certificate-key = {self.lab.dir}/www.key\n"
                      f"certificate = {self.lab.dir}/www.pem\n"
                      f"certificate-chain = {self.lab.dir}/chain.pem\n"
                      f"subject = /CN={names[0]}\nsubjectAltName = {san}\n"
                      "CAfile =\n")
        # lacme reads the system's roots and nothing else: in a mount
        # namespace of its own, these are the lab's.
        return self.lab.run(
            ["unshare", "--mount", "sh", "-c",
             'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"', "sh",
             self.lab.dir / "trust", "lacme", "--config",
             self.lab.dir / "lacme.conf", "--config-certs",
             self.lab.dir / "certs.conf", "--force", "newOrder"], ok=ok)

    def chain(self):
        """The chain leads to Pebble's root"""
        r = self.lab.run(["openssl", "verify", "-CAfile", self.lab.ca_root,
                          "-untrusted", self.lab.dir / "chain.pem",
                          self.lab.dir / "www.pem"])
        self.say(r.stdout.strip().replace(f"{self.lab.dir}/", ""))

    def key_at_the_ca(self):
        """The key that Pebble has for the account is the token's"""
        nonce = self.lab.run(
            ["curl", "-sS", "--cacert", self.lab.dir / "tls/ca.pem", "-D", "-",
             "-o", "/dev/null", self.endpoints()["newNonce"]]).stdout
        nonce = re.search(r"(?im)^replay-nonce: (\S+)", nonce).group(1)
        jws = self.lab.run(
            [GUARDIANCTL, "--config", self.etc, "sign", "--account", "lab",
             "--url", self.endpoints()["newAccount"], "--nonce", nonce,
             "--payload-file", "-"], CLIENT_UID,
            stdin='{"onlyReturnExisting":true}').stdout
        header = json.loads(_unb64(json.loads(jws)["protected"]))
        expect(header["jwk"] == self.jwk, "the lookup is signed by the key")
        self.lab.file("lookup.json", jws)
        answer = self.lab.run(
            ["curl", "-sS", "--cacert", self.lab.dir / "tls/ca.pem", "-D", "-",
             "-H", "Content-Type: application/jose+json", "--data-binary",
             f"@{self.lab.dir}/lookup.json",
             self.endpoints()["newAccount"]]).stdout
        location = re.search(r"(?im)^location: (\S+)", answer)
        expect(location and location.group(1) == self.url,
               f"Pebble finds {self.url} by the token's key:\n{answer}")
        self.say(f"asked by key alone, Pebble answers {self.url}")

    def endpoints(self):
        if not hasattr(self, "_endpoints"):
            r = self.lab.run(["curl", "-sS", "--cacert",
                              self.lab.dir / "tls/ca.pem",
                              self.lab.directory_url])
            self._endpoints = json.loads(r.stdout)
        return self._endpoints

    def refused(self):
        """A name outside the policy is refused before the CA sees it"""
        r = self.lacme_order(NAME, FOREIGN, ok=None)
        expect(r.returncode != 0, "lacme fails")
        lines = [json.loads(l) for l in self.audit_lines()]
        denied = [l for l in lines if l.get("reason")]
        expect(denied and denied[-1]["reason"] == "identifier-not-allowed" and
               FOREIGN in denied[-1]["identifiers"],
               f"identifier-not-allowed {FOREIGN}: {denied[-1:]}")
        expect(FOREIGN not in self.lab.log("pebble"),
               "Pebble never saw the name")
        r = self.ctl("sign", "--account", "lab", "--url",
                     self.endpoints()["newOrder"], "--nonce", "bm9uY2U",
                     "--payload-file", "-", uid=CLIENT_UID, ok=(1,),
                     stdin=json.dumps({"identifiers": [
                         {"type": "dns", "value": FOREIGN}]}))
        expect("identifier-not-allowed" in r.stderr and FOREIGN in r.stderr,
               r.stderr)
        r = self.ctl("jwk", "--account", "lab", uid=OTHER_UID, ok=None)
        expect(r.returncode == 1, f"a stranger gets nothing: {r}")
        self.say(f"{FOREIGN}: {denied[-1]['reason']}, rule {denied[-1]['rule']}"
                 .replace(f"{self.lab.dir}/", ""))

    def audit_lines(self):
        return (self.lab.dir / "log/audit.jsonl").read_text().splitlines()

    def no_key_anywhere(self):
        """The private key is in no file of this run"""
        lab = self.lab
        pem = lab.file("account.pub", _spki_pem(self.jwk))
        tool = BUILD / "tests/tools/find-scalar"
        control = lab.folder("control")
        lab.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey",
                 "-noout", "-out", control / "known.pem"])
        lab.run(["openssl", "ec", "-in", control / "known.pem", "-pubout",
                 "-out", lab.dir / "known.pub"])
        lab.run([tool, lab.dir / "known.pub", control], ok=(1,))
        paths = [lab.dir, "/run/lacme-www.socket"]
        r = lab.run([tool, pem, *[p for p in paths if os.path.exists(p)]])
        for path in lab.dir.rglob("*"):
            expect(not path.is_file() or
                   CANARY.encode() not in path.read_bytes(),
                   f"no recovery passphrase in {path}")
        self.say(r.stdout.strip() + ": not there (a planted key is found)")

    def audit(self):
        """The audit log verifies, and no changed copy does"""
        lab = self.lab
        self.ctl("audit", "rotate")
        self.ctl("jwk", "--account", "lab", uid=CLIENT_UID)
        head = self.ctl_json("audit", "verify", "--key-file",
                             lab.dir / "first-key")
        log = lab.dir / "log"
        files = sorted(log.glob("audit.jsonl.*")) + [log / "audit.jsonl"]
        expect(len(files) >= 2, f"a rotated set: {files}")
        state = json.loads(self.ctl("--json", "audit", "verify", "--key-file",
                                    lab.dir / "first-key").stdout)
        expect(state["ok"] and head["ok"], f"verifies: {state}")
        tail = (files[-1].read_text().splitlines() or [""])[-1]
        tail = json.loads(tail)
        self.head = f"{tail['n']}:{tail['mac']}"
        texts = {f.name: f.read_text().splitlines(keepends=True)
                 for f in files}
        first = files[0].name
        for name, damage in (
                ("a changed byte", lambda t: _change(t[first])),
                ("a deleted middle line", lambda t: t[first].pop(3)),
                ("two lines swapped", lambda t: _swap(t[first])),
                ("a cut tail", lambda t: t["audit.jsonl"].pop()),
                ("a missing rotated file", lambda t: t.pop(first))):
            copy = {k: list(v) for k, v in texts.items()}
            damage(copy)
            self.verify_copy(copy, 1, name)
        self.rechain(texts, first)
        self.verify_copy(texts, 0, "an exact copy")
        self.say(f"{tail['n']} lines in {len(files)} files; 6 kinds of changed "
                 "copies do not verify")

    def verify_copy(self, texts, want, name):
        d = self.lab.folder("copy")
        for f in d.iterdir():
            f.unlink()
        for file, lines in texts.items():
            self.lab.file(f"copy/{file}", "".join(lines), mode=0o640)
        r = self.ctl("audit", "verify", "--dir", d, "--key-file",
                     self.lab.dir / "first-key", "--head", self.head, ok=None)
        expect(r.returncode == want,
               f"{name}: exit {r.returncode}, wanted {want}: "
               f"{r.stdout}{r.stderr}")

    def rechain(self, texts, first):
        """Whoever holds the whole state now cannot write another past."""
        held = (self.lab.dir / "state/audit.chain").read_bytes()
        keys = {held[i:i + 32] for i in range(len(held) - 31)}
        for key in keys:
            copy = {k: list(v) for k, v in texts.items()}
            head = _rechain(copy, first, 2, key)
            self.head, real = head, self.head
            try:
                if not self.quick_verify(copy):
                    continue
                raise Failed("re-chained with the state as it is now")
            finally:
                self.head = real
        copy = {k: list(v) for k, v in texts.items()}
        head = _rechain(copy, first, 0, bytes.fromhex(self.first_key))
        self.head, real = head, self.head
        self.verify_copy(copy, 0, "re-chained with the first key, the control")
        self.head = real
        copy = {k: list(v) for k, v in texts.items()}
        head = _rechain(copy, first, 2, held[:32])
        self.head = head
        self.verify_copy(copy, 1, "re-chained with the state as it is now")
        self.head = real

    def quick_verify(self, texts):
        key = bytes.fromhex(self.first_key)
        for name in sorted(texts, key=lambda n: (n == "audit.jsonl", n)):
            for line in texts[name]:
                body, mac = _split(line)
                good = hashlib.blake2b(body, key=key, digest_size=32)
                if good.hexdigest() != mac:
                    return False
                key = hashlib.blake2b(key + bytes.fromhex(mac),
                                      digest_size=32).digest()
        return True

    def stop(self):
        """A clean stop"""
        expect(self.lab.stop(self.daemon) == 0, "the daemon exits with 0")
        self.helper.stop()

    def steps(self):
        self.http_port = free_port()
        return [self.a_token, self.services,
                lambda: self.lab.pebble(self.http_port), self.account,
                self.certificate, self.chain, self.key_at_the_ca,
                self.refused, self.no_key_anywhere, self.audit, self.stop]


def _unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _spki_pem(jwk):
    der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                        "04") + _unb64(jwk["x"]) + _unb64(jwk["y"])
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


def _change(lines):
    lines[2] = lines[2].replace('"time":"2', '"time":"3', 1)


def _swap(lines):
    lines[2], lines[3] = lines[3], lines[2]


def _split(line):
    body, _, mac = line.rstrip("\n").rpartition(',"mac":"')
    return body.encode(), mac.rstrip('"}')


def _rechain(texts, first, at, key):
    """Changes line @at of the first file and seals all after it anew."""
    mac, n = "", 0
    for name in sorted(texts, key=lambda n: (n == "audit.jsonl", n)):
        for i, line in enumerate(texts[name]):
            n += 1
            if name == first and i < at:
                continue
            body, _ = _split(line)
            if name == first and i == at:
                body = body.replace(b'"time":"2', b'"time":"3', 1)
            mac = hashlib.blake2b(body, key=key, digest_size=32).hexdigest()
            texts[name][i] = f'{body.decode()},"mac":"{mac}"}}\n'
            key = hashlib.blake2b(key + bytes.fromhex(mac),
                                  digest_size=32).digest()
    return f"{n}:{mac}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=("softhsm", "sealed"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("main_job.py: needs root, to become several users")
    with Lab("acme-guardian-lab") as lab:
        job = MainJob(lab, args.backend, args.show)
        steps = job.steps()
        for i, step in enumerate(steps, 1):
            title = step.__doc__ or "A CA: Pebble"
            start = time.monotonic()
            print(f"[{i:2}/{len(steps)}] {title}", flush=True)
            try:
                step()
            except Failed as e:
                print(f"FAILED: {e}", flush=True)
                raise SystemExit(1) from e
            if args.show:
                time.sleep(max(0, 0.1 - (time.monotonic() - start)))
    print("the main job is done", flush=True)


if __name__ == "__main__":
    main()
