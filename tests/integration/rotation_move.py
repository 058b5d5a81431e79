#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotations that are not the planned kind: to another token, type or account,
from and to a key outside, and with a thief about; against a real Pebble."""

import concurrent.futures
import itertools
import json
import os
import stat
import sys
import time

from acme_client import Client, Key, Problem, http_request, openssl
from https_peer import Answer
from lab import (DAEMON_UID, SOFTHSM, TOKEN_HELPER, Varlink, b64url, expect,
                 thumbprint, wait_for)
from token_lab import FAULTY
from token_wire import Helper, own
from pebble_lab import ISSUER, Pebble
from rotation_lab import (KEY_CHANGE, NAME, QUICK, Cut, KeyChangeRelay,
                          RotationCases, Signing, alone, run)

ADMIN = "org.acmeguardian.Admin."


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


class Cases(RotationCases):
    def __init__(self, lab):
        super().__init__(lab, *self.hsm(lab), *self.full(lab), *self.soft(lab))
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
                 f"Directory={lab.dir}/hsm-state")
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
                f"Directory={lab.dir}/full-state")

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

    # Adoption: the old key is outside.

    def test_an_account_of_another_client_is_adopted(self):
        w, client = self.w, self.client()
        old = client.key
        name = self.adopt(client)
        a = w.account(name)
        expect(a["status"] == "adopting" and a["url"] == client.url and
               a["thumbprint"] == old.thumbprint, str(a))
        row = self.until(name, "switching")
        expect(row["kind"] == "adopt" and row["oldToken"] is None and
               row["ask"] == "key-change", str(row))
        row, _ = self.ask(name, "key-change", client, key=old)
        expect(row["state"] == "switched" and row["ask"] == "confirm-new-key",
               str(row))
        w.resume(name, says="done")
        a, on_token = self.works(name)
        expect(a["url"] == client.url and a["generation"] == 1 and
               on_token == {f"{name}:1": a["thumbprint"]}, f"{a} {on_token}")
        try:
            client.account()
            raise AssertionError("the old key opens it still")
        except Problem:
            pass

    def test_nothing_is_signed_before_it_is_ours(self):
        w, client = self.w, self.client()
        name = self.adopt(client)
        self.until(name, "switching")
        nonce = "abc"
        for method, more in (
                ("AccountSignProof", {}), ("AccountSignDeactivation", {}),
                ("AccountSignFetch", {"url": client.url}),
                ("AccountSignUpdate", {"termsOfServiceAgreed": True}),
                ("AccountSignRegistration", {"contacts": [],
                                             "termsOfServiceAgreed": True}),
                ("AccountSignOrder", {"domain": "a.example",
                                      "wildcard": False})):
            error, answer = w.admin_call(method, name=name, nonce=nonce, **more)
            expect(error == ADMIN + "WrongState", f"{method}: {error} {answer}")
        for method, more in (
                ("AccountRegistered", {"url": client.url, "status": "valid"}),
                ("AccountUpdated", {"status": "valid"}),
                ("AccountDeactivated", {})):
            error, answer = w.admin_call(method, name=name, **more)
            expect(error == ADMIN + "WrongState", f"{method}: {error} {answer}")
        expect(w.account(name)["status"] == "adopting", "still")
        w.keys_on_token()
        w.ctl("rotate", "abort", name, *w.ca, code=1,
              says="signed by a key outside")
        row, _ = self.ask(name, "try-old-key", client, key=client.key)
        self.until(name, "aborted")
        expect(client.account()["status"] == "valid", "the old key goes on")
        expect(not [k for k in w.keys_on_token() if k.startswith(f"{name}:")],
               "its key is destroyed")

    @alone
    def test_an_adoption_begins_again_where_it_ended(self):
        w, client = self.w, self.client()
        name = self.adopt(client)
        self.until(name, "switching")
        self.adopt(client, name)
        expect(w.state(name) == "switching", "it goes on")
        w.restart_daemon()
        expect(w.account(name)["status"] == "adopting", "remembered")
        error, _ = w.admin_call(
            "AccountAdopt", name=name, token="lab", alg="ES256",
            directory=self.ca.directory_url, url=client.url + "0",
            oldKey=client.key.jwk)
        expect(error == ADMIN + "AccountExists", str(error))
        error, answer = w.admin_call(
            "AccountAdopt", name="another", token="lab", alg="ES256",
            directory=self.ca.directory_url, url=client.url,
            oldKey=client.key.jwk)
        expect(error == ADMIN + "InvalidValue" and name in answer["text"],
               f"{error} {answer}")
        key = w.account("main")["jwk"]
        for method, parameter, more in (
                ("AccountAdopt", "oldKey", {
                    "name": "another", "token": "lab", "alg": "ES256",
                    "directory": self.ca.directory_url,
                    "url": client.url + "0", "oldKey": key}),
                ("RotationStart", "toKey", {
                    "account": self.account()[0], "kind": "release",
                    "toKey": key})):
            error, answer = w.admin_call(method, **more)
            expect(error == ADMIN + "InvalidValue" and
                   answer["parameter"] == parameter, f"{error} {answer}")
        w.must("RotationAbort", account=name)
        self.ask(name, "try-old-key", client, key=client.key)
        self.until(name, "aborted")
        self.adopt(client, name)
        self.until(name, "switching")
        self.ask(name, "key-change", client, key=client.key)
        w.resume(name, says="done")
        self.works(name)

    def test_an_adoption_whose_answer_is_lost(self):
        """The spending of the nonce is the old key's, too."""
        w, client = self.w, self.client()
        name = self.adopt(client)
        self.until(name, "switching")
        client.get(client.directory["newNonce"], "HEAD")
        w.must("RotationSign", account=name, ask="key-change",
               nonce=client.nonce)
        row = w.must("RotationAnswer", account=name, ask="key-change",
                     nonce=client.nonce, answer={"httpStatus": 0})["rotation"]
        client.nonce = None
        expect(row["state"] == "unresolved" and row["ask"] == "spend-nonce",
               str(row))
        row, _ = self.ask(name, "spend-nonce", client, key=client.key)
        expect(row["ask"] == "find-new-key", str(row))
        row, _ = self.ask(name, "find-new-key", client)
        row, _ = self.ask(name, "try-new-key", client)
        expect(row["ask"] == "try-old-key", str(row))
        row, _ = self.ask(name, "try-old-key", client, key=client.key)
        expect(row["state"] == "unresolved", str(row))

    # Release: the new key is outside.

    def pem_client(self, path, url):
        """Whoever has the key file."""
        c = Client(url.rpartition("/my-account/")[0] + "/dir", self.ca_file)
        c.key = c.key.__class__.__new__(c.key.__class__)
        c.key.pem = path.read_bytes()
        point = openssl("pkey", "-pubout", "-outform", "DER",
                        stdin=c.key.pem)[-64:]
        c.key.jwk = {"kty": "EC", "crv": "P-256", "x": b64url(point[:32]),
                     "y": b64url(point[32:])}
        c.key.thumbprint, c.url = thumbprint(c.key.jwk), url
        return c

    def left(self, name, before, path):
        w = self.w
        a = w.account(name)
        c = self.pem_client(path, before["url"])
        expect(c.account()["status"] == "valid", "its key opens it")
        expect(a["status"] == "released" and a["url"] == before["url"] and
               a["thumbprint"] == c.key.thumbprint, str(a))
        expect(not [k for k in w.keys_on_token() if k.startswith(f"{name}:")],
               "the old key is destroyed")
        error, _ = w.admin_call("AccountSignProof", name=name, nonce="abc")
        expect(error == ADMIN + "WrongState", str(error))
        w.ctl("rotate", "start", name, *w.ca, code=1, says="released")
        w.keys_on_token()

    def test_an_account_leaves_with_a_key_file(self):
        w = self.w
        name, before = self.account()
        path = self.lab.dir / "leave.pem"
        self.rotate(name, "--to-key-file", path, says=["switched", "done"])
        st = path.stat()
        expect(stat.S_IMODE(st.st_mode) == 0o600 and st.st_uid == 0, str(st))
        self.left(name, before, path)
        out = w.ctl("rotate", "status", name, says=["nothing is signed",
                                                    "release"])
        expect("PRIVATE" not in out, out)
        for line in w.audit():
            expect("PRIVATE" not in json.dumps(line), str(line))

    def test_a_key_file_of_others_is_not_taken(self):
        name, before = self.account()
        path = self.lab.file("open.pem", Key().pem.decode(), mode=0o644)
        self.rotate(name, "--to-key-file", path, code=78, says="owner's alone")
        self.rotate(name, "--to-key-file", self.lab.dir, code=78)
        path = self.lab.file("no.pem", "nothing\n", mode=0o600)
        self.rotate(name, "--to-key-file", path, code=78,
                    says="no private key")
        self.rotate(name, "--to-key-file", path, "--token", "lab", code=64)
        expect(self.w.rotation(name) is None, "nothing was begun")

    def test_a_release_is_gone_on_with_by_its_own_key(self):
        w = self.w
        name, before = self.account()
        key, other = Key(), Key()
        path = self.lab.file("own.pem", key.pem.decode(), mode=0o600)
        wrong = self.lab.file("wrong.pem", other.pem.decode(), mode=0o600)
        w.must("RotationStart", account=name, kind="release", toKey=key.jwk,
               settle=0, cacheTime=0, orderDrain=0, grace=0)
        self.until(name, "draining")
        w.resume(name, code=64, says="--to-key-file")
        expect(w.state(name) == "draining", "nothing is held for that")
        w.ctl("rotate", "resume", name, "--to-key-file", wrong, *w.ca, code=1,
              says="not the key of this rotation")
        expect(w.state(name) == "draining", "nothing is held for that")
        w.ctl("rotate", "resume", name, "--to-key-file", path, *w.ca,
              says="done")
        self.left(name, before, path)

    def test_the_inner_jws_is_the_one_that_it_should_be(self):
        """An administrator has nothing else signed by the account's key."""
        w = self.w
        name, before = self.account()
        key, other = Key(), Key()
        w.must("RotationStart", account=name, kind="release", toKey=key.jwk,
               settle=0, cacheTime=0, orderDrain=0, grace=0)
        self.until(name, "switching")
        url = self.ca.url(KEY_CHANGE)
        head = {"url": url, "jwk": key.jwk}
        good = {"account": before["url"], "oldKey": before["jwk"]}

        def inner(signer, protected, payload):
            text = [b64url(json.dumps(x, separators=(",", ":")).encode())
                    for x in (protected, payload)]
            return {"protected": text[0], "payload": text[1], "signature":
                    b64url(signer.sign(".".join(text).encode()))}

        head = {"alg": "ES256", "jwk": {k: key.jwk[k] for k in (
            "crv", "kty", "x", "y")}, "url": url}
        good["oldKey"] = {k: before["jwk"][k] for k in ("crv", "kty", "x", "y")}
        for wrong in (None, inner(other, head, good),
                      inner(key, head, {**good, "account": before["url"] + "1"}),
                      inner(key, {**head, "url": url + "1"}, good),
                      inner(key, head, {"status": "deactivated"}),
                      {**inner(key, head, good), "signature": "AAAA"},
                      {**inner(key, head, good), "more": "x"}):
            error, answer = w.admin_call(
                "RotationSign", account=name, ask="key-change", nonce="abc",
                **({"inner": wrong} if wrong else {}))
            expect(error == ADMIN + "InvalidValue" and
                   answer["parameter"] == "inner", f"{wrong}: {error} {answer}")
        client = Signing(w, self.ca.directory_url)
        row, _ = self.ask(name, "key-change", client,
                          inner=inner(key, head, good))
        expect(row["state"] == "switched", str(row))
        self.ask(name, "confirm-new-key", client, key=key)

    def test_a_release_whose_answer_is_lost(self):
        ca = self.relay()
        name, before = self.account(ca)
        path = self.lab.dir / "lost.pem"

        def lost(forward):
            expect(forward().status == 200, "Pebble switched")
            return Cut()

        ca.on_key_change = lost
        self.rotate(name, "--to-key-file", path,
                    says=["unresolved", "switched", "done"])
        self.left(name, before, path)

    def test_a_release_that_is_refused_leaves_all_as_it_was(self):
        ca = self.relay()
        name, before = self.account(ca)
        path = self.lab.dir / "refused.pem"
        ca.on_key_change = lambda forward: Answer(409, b"", [
            ("Location", "https://ca.localhost/x")])
        self.rotate(name, "--to-key-file", path, code=1,
                    says=["aborted", "key-in-use"])
        a, _ = self.works(name)
        expect(a["thumbprint"] == before["thumbprint"], "the old key goes on")

    # Somebody else may have the key.

    @alone
    def test_a_compromised_key_goes_at_once(self):
        """An open order of a client does not keep it."""
        w = self.w
        before = w.account("main")
        Signing(w, self.ca.directory_url).order(NAME)
        w.ctl("rotate", "start", "main", "--compromised", "--cache-time", "1",
              *w.ca, says=["switched", "done"])
        row = w.rotation("main")
        expect(row["kind"] == "compromised" and row["grace"] == 0, str(row))
        a, on_token = self.works("main")
        expect(a["thumbprint"] != before["thumbprint"] and
               list(on_token.values()) == [a["thumbprint"]], str(on_token))

    def refuses(self, path):
        """The CA does not know our key at this URL any more."""
        def answer(request):
            if request.path != path:
                return None
            return Answer.problem(400, "malformed", "JWS verification error",
                                  [self.ca.fresh_nonce()])
        return answer

    @alone
    def test_a_thief_who_rotated_first(self):
        w = self.w
        name, before = self.account()
        self.ca.on_any = self.refuses(before["url"][len(self.ca.origin):])
        try:
            w.ctl("rotate", "start", name, "--compromised", *w.ca, code=1,
                  says=["account-lost", "Remove its records", "account move"])
            row = w.rotation(name)
            expect(row["lost"] and row["newThumbprint"] is None and
                   row["reason"] == "old-key-refused", str(row))
            w.ctl("status", code=1, says=f"account {name} signs nothing")
            error, _ = w.admin_call("AccountSignProof", name=name, nonce="abc")
            expect(error == ADMIN + "WrongState", str(error))
            w.ctl("rotate", "start", name, *w.ca, code=1, says="account-lost")
            w.restart_daemon()
            expect(w.rotation(name)["lost"], "remembered")
            w.resume(name, code=1, says="account-lost")
        finally:
            self.ca.on_any = None
        # The CA was wrong, or the operator: asked again, it goes on.
        w.resume(name, says=["switched", "done"])
        a, _ = self.works(name)
        expect(a["thumbprint"] != before["thumbprint"], "rotated")

    def test_a_thief_with_the_key_itself(self):
        """Pebble has the thief's key now; what is ours is another account."""
        w, name = self.w, "robbed"
        w.ctl("account", "create", name, "--token", "hsm", "--existing-key",
              "pkcs11:token=hsm;object=stolen", "--directory",
              self.ca.directory_url)
        w.ctl("account", "register", name, "--agree-terms", *w.ca)
        before = w.account(name)
        thief = Client(self.ca.directory_url, self.ca_file, key=STOLEN)
        thief.url = before["url"]
        thief.change_key(Key())
        w.ctl("rotate", "start", name, "--compromised", *w.ca, code=1,
              says="account-lost")
        self.move(name, "--token", "lab", says="done")
        after = w.account(name)
        w.ctl("account", "prove", name, *w.ca)
        expect(after["url"] != before["url"] and after["token"] == "lab",
               str(after))
        expect(thief.account()["status"] == "valid", "that is the CA's to end")

    @alone
    def test_what_a_key_has_signed(self):
        """Each signature that left has its line, whoever asked for it."""
        w = self.w
        before = w.account("main")
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        time.sleep(2)
        client = Signing(w, self.ca.directory_url)
        client.issue(NAME)
        w.rotate("main")
        w.ctl("account", "prove", "main", *w.ca)
        after = w.account("main")["thumbprint"]

        def signed(key, *more):
            out = w.ctl("--json", "audit", "signatures", "--key", key, *more)
            lines = [json.loads(l) for l in out.splitlines()]
            expect(all(l["thumbprint"] == key for l in lines), out)
            return [l["operation"] for l in lines]

        old, new = signed(before["thumbprint"], "--since", since), signed(after)
        expect({"order", "challenge", "fetch", "finalize"} <= set(old) and
               old[-1] == "RotationSign" and len(old) >= 5, str(old))
        expect(len(client.waits) == len([o for o in old if o in (
            "order", "challenge", "fetch", "finalize")]), f"all of them: {old}")
        expect(new.count("RotationSign") == 1 + 3 and
               "AccountSignProof" in new and "order" not in new, str(new))
        every = signed(before["thumbprint"])
        expect(len(every) > len(old), f"{len(every)}")
        w.ctl("audit", "signatures", "--account", "main", says="order")
        w.ctl("audit", "signatures", "--key", after, "--since", "2999-01-01",
              says="0 signatures")
        w.ctl("audit", "signatures", code=64, says="--account")
        w.ctl("audit", "signatures", "--key", after, "--since", "yesterday",
              code=64, says="2026-11-27")

    # To another account at the CA.

    def move(self, name, *more, agree=True, **how):
        return self.w.ctl("account", "move", name, *QUICK, *self.w.ca,
                          *(["--agree-terms"] if agree else []), *more, **how)

    def deactivated(self, url, ca=None):
        """Did the CA answer so at that account's URL?"""
        ca = ca or self.ca
        path = url[len(ca.origin):]
        return any(r.path == path and b'"deactivated"' in a.body
                   for r, a in ca.answers)

    def moved(self, name, before, ca=None):
        a, on_token = self.works(name)
        expect(a["url"] != before["url"] and a["status"] == "valid" and
               a["thumbprint"] != before["thumbprint"] and
               list(on_token.values()) == [a["thumbprint"]],
               f"{a} {on_token}")
        return a

    @alone
    def test_a_new_account_takes_its_place(self):
        """Its clients and their rules stay."""
        w = self.w
        before = w.account("main")
        old = Signing(w, self.ca.directory_url)
        old.issue(NAME)
        self.move("main", agree=False, code=1, says="--agree-terms")
        expect(w.state("main") in (None, "done"), "nothing was begun")
        self.move("main", says=["switched", "cleaned", "done"])
        a = self.moved("main", before)
        row = w.rotation("main")
        expect(row["kind"] == "move" and row["newUrl"] == a["url"], str(row))
        expect(self.deactivated(before["url"]), "the old one is deactivated")
        self.url = a["url"]
        self.dns.persist(NAME, f"{ISSUER}; accounturi={self.url}")
        self.issues()
        # A client that did not look again is told.
        error, answer = old.sign(old.directory["newOrder"], "abc", json.dumps(
            {"identifiers": [{"type": "dns", "value": NAME}]}))
        expect(error.endswith("KeyChanged") and
               answer["thumbprint"] == a["thumbprint"], f"{error} {answer}")
        self.is_late(before, a)

    def sign_input(self, a, thumbprint=None):
        """A fetch, as a client composes it that knows the account as @a."""
        head = {"alg": a["alg"], "kid": a["url"], "nonce": "abc",
                "url": self.ca.url("/my-order/1")}
        v = Varlink(self.w.client, timeout=90)
        return v.call("org.acmeguardian.Signer.SignInput", {
            "account": "main", "payload": "",
            "protected": b64url(json.dumps(head).encode()),
            **({"thumbprint": thumbprint} if thumbprint else {})})

    def is_late(self, before, after):
        """Who composed it with what was right before is told of the new key;
        who does not say so is wrong."""
        error, answer = self.sign_input(before, before["thumbprint"])
        expect(error and error.endswith("KeyChanged") and
               answer == {"thumbprint": after["thumbprint"]},
               f"{error} {answer}")
        error, answer = self.sign_input(before)
        expect(error and error.endswith("MalformedRequest"),
               f"{error} {answer}")
        error, answer = self.sign_input(after, before["thumbprint"])
        expect(error is None, f"{error} {answer}")

    @alone
    def test_what_waits_for_another_type_is_late(self):
        w = self.w
        before = w.account("main")
        w.must("RotationStart", account="main", alg="ES384", settle=0,
               cacheTime=0, orderDrain=0, grace=0)
        self.until("main", "switching")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(self.sign_input, before)
            wait_for("it to wait",
                     lambda: w.rotation("main")["waiting"] == 1)
            w.resume("main", says="done")
            error, answer = held.result(90)
        a = w.account("main")
        expect(error and error.endswith("KeyChanged") and
               answer == {"thumbprint": a["thumbprint"]}, f"{error} {answer}")
        self.is_late(before, a)
        self.rotate("main", "--key-type", "ec-p256", says="done")

    def test_a_ca_without_key_change(self):
        w, ca = self.w, self.relay()

        def without(request):
            if request.path != "/dir":
                return None
            answer = ca.forward(request)
            value = answer.json()
            del value["keyChange"]
            answer.body = json.dumps(value).encode()
            return answer

        ca.on_any = without
        name, before = self.account(ca)
        self.rotate(name, code=1, says=["key-change-unsupported",
                                        "account move"])
        self.move(name, says="done")
        self.moved(name, before)
        expect(self.deactivated(before["url"], ca), "the old one")

    def test_a_registration_that_is_refused_or_lost(self):
        w, ca = self.w, self.relay()
        name, before = self.account(ca)
        answers = [Answer.problem(403, "userActionRequired", "read it",
                                  [ca.fresh_nonce()]), Cut()]

        def on_any(request):
            if request.path != "/sign-me-up" or not answers:
                return None
            ca.forward(request)
            return answers.pop(0)

        ca.on_any = on_any
        self.move(name, code=1, says="read it")
        row = w.rotation(name)
        expect(row["state"] == "key-generated" and
               row["reason"] == "registration-refused", str(row))
        a, _ = self.works(name)
        expect(a["url"] == before["url"], "the old one goes on")
        w.resume(name, code=1, says="account move")
        self.move(name, says="done")
        expect(not answers, "and one was lost")
        self.moved(name, before)

    def test_an_account_of_somebody_else_is_not_moved_to(self):
        """A CA that says another's URL when it registers."""
        w, ca = self.w, self.relay()
        name, before = self.account(ca)
        victim = self.client(ca)

        def on_any(request):
            if request.path != "/sign-me-up":
                return None
            answer = ca.forward(request)
            answer.headers = [(k, v) for k, v in answer.headers
                              if k.lower() != "location"] + [
                                  ("Location", victim.url)]
            return answer

        ca.on_any = on_any
        self.move(name, code=1, says="malformed")
        row = w.rotation(name)
        expect(row["state"] == "key-generated" and
               row["reason"] == "account-not-ours", str(row))
        ca.on_any = None
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        a, _ = self.works(name)
        expect(a["url"] == before["url"], "the old one goes on")

    def test_a_move_that_is_aborted_leaves_all_as_it_was(self):
        """And, where it was registered, the new account's key."""
        w = self.w
        name, before = self.account()
        w.must("RotationStart", account=name, kind="move")
        w.must("RotationStep", account=name)
        client = Client(self.ca.directory_url, self.ca_file)
        row, _ = self.ask(name, "register", client, termsOfServiceAgreed=True,
                          contacts=[])
        expect(row["newUrl"] and row["newUrl"] != before["url"] and
               row["ask"] == "try-new-key", str(row))
        w.ctl("rotate", "abort", name, *w.ca,
              says=["aborted", "stays valid at the CA"])
        a, on_token = self.works(name)
        expect(a["url"] == before["url"] and
               on_token == {f"{name}:1": before["thumbprint"],
                            f"{name}:2": row["newThumbprint"]},
               f"{a} {on_token}")
        expect(w.account(name)["status"] == "valid", "and no surprise")
        self.rotate(name, says="done")
        a, on_token = self.works(name)
        expect(f"{name}:2" in on_token and a["generation"] == 3, f"{on_token}")

    def test_an_external_account_is_bound_to_the_new_key(self):
        w = self.w
        mac = b64url(bytes(range(32)))
        bound = KeyChangeRelay(self.lab, Pebble(
            self.lab, self.dns.address, "pebble-eab", eab={"kid-1": mac}))
        eab = ("--eab-kid", "kid-1", "--eab-key",
               f"file:{self.lab.file('eab.key', mac, mode=0o600)}")
        name = "bound"
        w.create(name, bound.directory_url)
        w.ctl("account", "register", name, "--agree-terms", *eab, *w.ca)
        before = w.account(name)
        self.move(name, code=1, says="external account binding")
        self.move(name, *eab, says="done")
        self.moved(name, before)

    @alone
    def test_what_was_lost_gets_a_new_account(self):
        """The way on after a thief; its old key and account are not ours."""
        w, ca = self.w, self.relay()
        name, before = self.account(ca)
        path = before["url"][len(ca.origin):]
        ca.on_any = lambda request: Answer.problem(
            400, "malformed", "JWS verification error",
            [ca.fresh_nonce()]) if request.path == path else None
        w.ctl("rotate", "start", name, "--compromised", *w.ca, code=1,
              says="account-lost")
        w.must("RotationStart", account=name, kind="move")
        row = w.rotation(name)
        expect(row["state"] == "planned" and row["lost"], str(row))
        error, _ = w.admin_call("AccountSignProof", name=name, nonce="abc")
        expect(error == ADMIN + "WrongState", "still")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        expect(w.rotation(name)["lost"], "it stays lost")
        w.ctl("status", code=1, says=f"account {name} signs nothing")
        w.ctl("rotate", "start", name, *w.ca, code=1)
        w.restart_daemon()
        self.move(name, says=["switched", "done"])
        self.moved(name, before, ca)
        expect(not self.deactivated(before["url"], ca), "not by us")
        w.ctl("rotate", "start", name, *QUICK, *w.ca, says="done")

    def test_another_clients_account_is_left_for_a_new_one(self):
        """Adoption where the CA changes no keys."""
        w, client = self.w, self.client()
        name = self.adopt(client, newAccount=True)
        row = self.until(name, "key-generated")
        expect(row["kind"] == "move" and row["ask"] == "register", str(row))
        expect(w.account(name)["status"] == "adopting", "not yet")
        helper = Client(self.ca.directory_url, self.ca_file)
        self.ask(name, "register", helper, termsOfServiceAgreed=True,
                 contacts=[])
        self.ask(name, "try-new-key", helper)
        row = self.until(name, "switched")
        while row["ask"] == "confirm-new-key":
            row, _ = self.ask(name, "confirm-new-key", helper)
            time.sleep(row["waitMs"] / 1000)
        w.ctl("account", "prove", name, *w.ca)
        row = self.until(name, "cleaned")
        expect(row["ask"] == "deactivate-old", str(row))
        row, _ = self.ask(name, "deactivate-old", client, key=client.key)
        self.until(name, "done")
        a, _ = self.works(name)
        expect(a["url"] != client.url, str(a))
        try:
            client.account()
            raise AssertionError("the old account is open")
        except Problem as e:
            expect(e.kind == "unauthorized", str(e))

    # Where the new key lives, and what it is.

    @alone
    def test_another_token_and_back(self):
        w = self.w
        name, before = self.account()
        self.rotate(name, "--token", "hsm", says="done")
        a = w.account(name)
        w.ctl("account", "prove", name, *w.ca)
        w.ctl("rotate", "status", name, says="to token")
        expect(a["token"] == "hsm" and a["generation"] == 2 and
               a["url"] == before["url"], str(a))
        expect(w.keys_on_token("hsm").get(f"{name}:2") == a["thumbprint"],
               "on the other token")
        expect(not [k for k in w.keys_on_token() if k.startswith(f"{name}:")],
               "and not on the first any more")
        w.restart_daemon()
        w.ctl("account", "prove", name, *w.ca)
        self.rotate(name, "--token", "lab", "--key-type", "ec-p384",
                    says="done")
        a, on_token = self.works(name)
        expect(on_token == {f"{name}:3": a["thumbprint"]} and
               a["alg"] == "ES384", f"{a} {on_token}")
        w.ctl("rotate", "start", name, "--token", "none", *w.ca, code=1,
              says="none")

    @alone
    def test_from_software_to_a_token_and_not_back_by_accident(self):
        w = self.w
        name = "softly"
        w.ctl("account", "create", name, "--token", "soft", "--directory",
              self.ca.directory_url)
        w.ctl("account", "register", name, "--agree-terms", *w.ca)
        expect(w.account(name)["software"], "sealed")
        self.rotate(name, "--token", "lab", says="done")
        a, _ = self.works(name)
        expect(not a["software"], str(a))
        self.rotate(name, "--token", "soft", code=69,
                    says="encrypted software")
        expect(w.state(name) == "planned", "nothing has happened")
        self.works(name)
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        expect(not w.keys_on_token("soft"), "no key is left")
        self.rotate(name, "--token", "soft", "--accept-weaker-key", says="done")
        expect(w.account(name)["software"], "as was asked")

    @alone
    def test_a_key_that_an_hsm_team_made(self):
        w = self.w
        name, before = self.account()
        uri = "pkcs11:token=hsm;object="
        team = [uri + own(f"team-{i}").replace(":", "%3A") for i in (1, 2)]
        self.rotate(name, "--token", "hsm", "--new-key", team[0],
                    says="done")
        a = w.account(name)
        w.ctl("account", "prove", name, *w.ca)
        expect(a["keyLabel"] == own("team-1") and a["token"] == "hsm" and
               a["unproven"] == [], str(a))
        self.rotate(name, "--new-key", team[0], code=2,
                    says="the key that it has")
        self.rotate(name, "--new-key", uri + "nothing", code=69)
        # Neither type nor attributes are a surprise.
        self.rotate(name, "--new-key", uri + "team-rsa", code=69,
                    says="another kind")
        w.ctl("rotate", "abort", name, *w.ca,
              says=["aborted", "not named by us"])
        self.rotate(name, "--new-key", uri + "brought", code=69,
                    says="proves less")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        self.rotate(name, "--new-key", team[1],
                    says=["not named by us", "done"])
        w.ctl("account", "prove", name, *w.ca)
        self.rotate(name, says="done")
        expect(w.account(name)["keyLabel"].endswith(f":{name}:4"), "ours")
        w.ctl("account", "prove", name, *w.ca)

    @alone
    def test_a_token_that_is_full_leaves_the_old_key(self):
        w = self.w
        name, before = self.account()
        self.rotate(name, "--token", "full", code=69, says="full")
        expect(w.state(name) == "planned", w.state(name))
        self.works(name)
        w.resume(name, code=69, says="full")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        a, _ = self.works(name)
        expect(a["thumbprint"] == before["thumbprint"], "the old key goes on")
        self.rotate(name, "--token", "full", code=69)
        self.lab.file("full.rules", "\n")  # somebody made room
        w.resume(name, says="done")
        expect(w.account(name)["token"] == "full", "and then it goes on")
        w.ctl("account", "prove", name, *w.ca)

    def test_another_key_type(self):
        w = self.w
        name, before = self.account()
        for kind, alg in (("ec-p384", "ES384"), ("rsa-2048", "RS256"),
                          ("ec-p256", "ES256")):
            self.rotate(name, "--key-type", kind, says="done")
            a, on_token = self.works(name)
            expect(a["alg"] == alg and len(on_token) == 1, str(a))
        expect(a["generation"] == 4 and a["url"] == before["url"], str(a))
        w.ctl("rotate", "start", name, "--key-type", "dsa", *w.ca, code=64,
              says="ec-p256")


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-move", side_by_side=True))
