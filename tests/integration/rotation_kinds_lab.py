# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of rotations share that are not of the planned kind: tokens beside
"lab", other clients, and what guardianctl does, question by question."""

import itertools
import json
import os

from acme_client import Client, Key, http_request, openssl
from lab import DAEMON_UID, SOFTHSM, TOKEN_HELPER, b64url, expect, thumbprint
from rotation_lab import QUICK, RotationCases
from token_lab import FAULTY
from token_wire import Helper


def sign_with(key, jws):
    """What the daemon composed, signed by a key outside."""
    text = f"{jws['protected']}.{jws['payload']}".encode()
    return {**jws, "signature": b64url(key.sign(text))}


def answer_of(reply):
    """As guardianctl relays it."""
    answer = {"httpStatus": reply.status}
    try:
        body = json.loads(reply.body or b"{}")
    except ValueError:
        body = {}
    if reply.status >= 400:
        answer.update(problem=body.get("type"), detail=body.get("detail"))
    else:
        answer.update(accountStatus=body.get("status"))
        if "key" in body:
            answer.update(thumbprint=thumbprint(body["key"]))
    if reply.headers.get("Location"):
        answer["location"] = reply.headers["Location"]
    return {k: v for k, v in answer.items() if v is not None}


STOLEN = Key()  # also on a token, which it was brought to


class KindCases(RotationCases):
    def __init__(self, lab, *more):
        super().__init__(lab, *more)
        self.ca_file = lab.tls() / "ca.pem"
        self.numbers = itertools.count(1)

    # Tokens beside "lab".

    @staticmethod
    def hsm(lab):
        """With keys that an HSM team made, and one that it brought along."""
        env = lab.softhsm(DAEMON_UID, "hsm", folder="softhsm-hsm")
        tool = ["pkcs11-tool", "--module", SOFTHSM, "--token-label", "hsm",
                "--login", "--pin", "1234"]
        lab.run([*tool, "--keypairgen", "--key-type", "rsa:2048", "--label",
                 "team-rsa", "--id", "01", "--usage-sign", "--sensitive"],
                DAEMON_UID, env)
        for number, (label, key) in enumerate((("brought", Key()),
                                               ("stolen", STOLEN))):
            der = lab.file(f"{label}.der", openssl(
                "pkcs8", "-topk8", "-nocrypt", "-outform", "DER",
                stdin=key.pem))
            public = lab.file(f"{label}.pub", openssl(
                "pkey", "-inform", "DER", "-in", der, "-pubout", "-outform",
                "DER"))
            for kind, path, more in (
                    ("privkey", der, ["--usage-sign", "--sensitive"]),
                    ("pubkey", public, [])):
                lab.run([*tool, "--write-object", path, "--type", kind,
                         "--label", label, "--id", f"7{number}", *more],
                        DAEMON_UID, env)
        lab.folder("hsm-state", DAEMON_UID, 0o700)
        lines = ("[Token hsm]", f"Module={SOFTHSM}", "Token=pkcs11:token=hsm",
                 f"Pin=file:{lab.dir}/softhsm-hsm/pin",
                 f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
                 f"Directory={lab.dir}/hsm-state", "Timeout=60s")
        lab.file("etc-hsm/guardian.conf", "\n".join(
            ["[Guardian]", "AllowSwappableSecrets=yes", *lines]).replace(
                "softhsm-hsm/pin", "hsm.pin") + "\n")
        lab.file("hsm.pin", "1234\n", mode=0o600)
        # pkcs11-tool cannot say that a key is for signatures alone.
        with Helper(TOKEN_HELPER, lab.dir / "etc-hsm", "hsm") as helper:
            for n in range(1, 7):
                reply = helper.generate(f"team-{n}", "ES256")
                expect(reply.result == "OK", reply.text)
        for path in (lab.dir / "softhsm-hsm").rglob("*"):
            os.chown(path, DAEMON_UID, DAEMON_UID)
        for path in (lab.dir / "hsm-state").rglob("*"):
            os.chown(path, DAEMON_UID, DAEMON_UID)
        return lines

    @staticmethod
    def full(lab):
        env = lab.softhsm(DAEMON_UID, "full", folder="softhsm-full")
        rules = lab.file("full.rules", "C_GenerateKeyPair rv=0x31\n")
        lab.folder("full-state", DAEMON_UID, 0o700)
        return ("[Token full]", f"Module={FAULTY}", "Token=pkcs11:token=full",
                f"Pin=file:{lab.dir}/softhsm-full/pin",
                f"Environment=FAULTY_MODULE={SOFTHSM}",
                f"Environment=FAULTY_RULES={rules}",
                f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
                f"Directory={lab.dir}/full-state", "Timeout=60s")

    @staticmethod
    def soft(lab):
        lab.folder("soft", DAEMON_UID, 0o700)
        lab.file("soft.key", os.urandom(31) + b"x", DAEMON_UID, 0o600)
        lines = ("[Token soft]", "Backend=sealed",
                 f"Pin=file:{lab.dir}/soft.key", f"Directory={lab.dir}/soft")
        lab.file("etc-soft/guardian.conf", "\n".join(lines) + "\n")
        lab.run([TOKEN_HELPER, "init-sealed", "--config", lab.dir / "etc-soft",
                 "soft"], DAEMON_UID, stdin="correct horse battery\n")
        return lines

    def account(self, ca=None, *more):
        """Another one, for one test alone."""
        name = f"a{next(self.numbers)}"
        return name, self.w.registered(name, ca or self.ca, *more)

    def client(self, ca=None):
        """Another client, with a key and an account of its own."""
        c = Client((ca or self.ca).directory_url, self.ca_file)
        c.register("mailto:a@example.org")
        return c

    def rotate(self, name, *more, **how):
        return self.w.ctl("rotate", "start", name, *QUICK, *self.w.ca, *more,
                          **how)

    # By hand: what guardianctl does, question by question.

    def ask(self, name, ask, client, key=None, inner=None, **more):
        if not client.nonce:
            client.get(client.directory["newNonce"], "HEAD")
        nonce, client.nonce = client.nonce, None
        jws = self.w.must("RotationSign", account=name, ask=ask, nonce=nonce,
                          **({"inner": inner} if inner else {}), **more)
        expect(("signature" in jws) != (key is not None),
               f"{ask}: who signs it: {jws}")
        url = jws.pop("url")
        if key:
            jws = sign_with(key, jws)
        reply = http_request("POST", url, json.dumps(jws),
                             {"Content-Type": "application/jose+json"},
                             self.ca_file)
        client.nonce = reply.headers.get("Replay-Nonce")
        row = self.w.must("RotationAnswer", account=name, ask=ask, nonce=nonce,
                          answer=answer_of(reply))["rotation"]
        return row, reply

    def until(self, name, state):
        for _ in range(8):
            row = self.w.must("RotationStep", account=name)["rotation"]
            if row["state"] == state or row["ask"]:
                break
        expect(row["state"] == state, f"{row['state']}, not {state}: {row}")
        return row

    def adopt(self, client, name=None, ca=None, **more):
        name = name or f"b{next(self.numbers)}"
        ca = ca or self.ca
        self.w.must("AccountAdopt", name=name, token="lab", **{
            "alg": "ES256", "directory": ca.directory_url, "url": client.url,
            "oldKey": client.key.jwk, "cacheTime": 0, **more})
        self.w.ctl("account", "directory", name, *self.w.ca)
        return name

    # To another account at the CA.

    def move(self, name, *more, agree=True, **how):
        return self.w.ctl("account", "move", name, *QUICK, *self.w.ca,
                          *(["--agree-terms"] if agree else []), *more, **how)

    def moved(self, name, before, ca=None):
        a, on_token = self.works(name)
        expect(a["url"] != before["url"] and a["status"] == "valid" and
               a["thumbprint"] != before["thumbprint"] and
               list(on_token.values()) == [a["thumbprint"]],
               f"{a} {on_token}")
        return a
