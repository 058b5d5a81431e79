#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts that leave: their new key is outside; against a real Pebble."""

import json
import stat
import sys

from acme_client import Client, Key, openssl
from https_peer import Answer
from lab import b64url, expect, thumbprint
from rotation_kinds_lab import KindCases
from rotation_lab import ADMIN, KEY_CHANGE, Cut, Signing, run


class Cases(KindCases):
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


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-release", side_by_side=True))
