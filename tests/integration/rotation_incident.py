#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotations when something is wrong: an emergency, a CA that says what it has not
done, an account that is ended meanwhile, and a timer's user who lies; against a
real Pebble."""

import json
import shutil
import sys
import time

from acme_client import Client, Key
from https_peer import Answer
from lab import b64url, expect, wait_for
from rotation_kinds_lab import KindCases
from rotation_lab import (ADMIN, KEY_CHANGE, NAME, OPS_UID, Signing, alone,
                          run)

AT_ONCE = {"settle": 0, "cacheTime": 0, "orderDrain": 0, "grace": 0}


class Cases(KindCases):
    def __init__(self, lab):
        super().__init__(lab, f"[Roles]\nOpsUser={OPS_UID}", *self.hsm(lab))

    # What a timer may not say.

    def test_ops_does_not_name_the_new_account(self):
        w = self.w
        name, before = self.account()
        thief = self.client()
        w.must("RotationStart", account=name, kind="move", **AT_ONCE)
        w.must("RotationStep", account=name)
        register = {"account": name, "ask": "register", "nonce": "abc"}
        answer = {"httpStatus": 201, "accountStatus": "valid",
                  "location": thief.url}
        expect(self.as_ops("RotationAnswer", **register, answer=answer) ==
               "NotPermitted", "an account of his own")
        expect(self.as_ops("RotationSign", **register, contacts=[],
                           termsOfServiceAgreed=True) == "NotPermitted",
               "nor is one registered")
        client = Client(self.ca.directory_url, self.ca_file)
        row, _ = self.ask(name, "register", client, termsOfServiceAgreed=True,
                          contacts=[])
        prove = {"account": name, "ask": "try-new-key", "nonce": "abc"}
        answer = {"httpStatus": 200, "accountStatus": "valid"}
        expect(self.as_ops("RotationAnswer", **prove, answer=answer) ==
               "NotPermitted", "that it is ours")
        expect(self.as_ops("RotationSign", **prove) == "NotPermitted", "nor so")
        row = w.rotation(name)
        expect(row["ask"] == "try-new-key" and row["newUrl"] != thief.url,
               str(row))
        self.move(name, says="done")
        self.moved(name, before)

    # A CA that says yes and means no.

    def test_a_200_that_was_a_lie(self):
        ca = self.relay()
        name, before = self.account(ca)
        ca.on_key_change = lambda forward: Answer.of(
            {}, headers=[ca.fresh_nonce()])
        self.rotate(name, code=1, says=["switched", "unresolved",
                                        "new-key-refused"])
        ca.on_key_change = None
        expect(self.w.state(name) == "aborted", self.w.state(name))
        a, on_token = self.works(name)
        expect(a["thumbprint"] == before["thumbprint"] and
               a["url"] == before["url"] and a["token"] == before["token"] and
               on_token == {f"{name}:1": a["thumbprint"]}, f"{a} {on_token}")
        self.rotate(name, says="done")
        self.works(name)

    def test_a_lie_that_nobody_stayed_for(self):
        """Held for a minute, and asked again by whoever resumes it."""
        w = self.w
        name, before = self.account()
        w.must("RotationStart", account=name, **AT_ONCE)
        self.until(name, "switching")
        w.must("RotationSign", account=name, ask="key-change", nonce="abc")
        row = w.must("RotationAnswer", account=name, ask="key-change",
                     nonce="abc", answer={"httpStatus": 200})["rotation"]
        expect(row["held"], str(row))
        wait_for("the end of the hold",
                 lambda: not w.rotation(name)["held"], 120)
        row = w.rotation(name)
        expect(row["ask"] == "confirm-new-key" and
               "within 60 s" in row["text"], str(row))
        w.resume(name, code=1, says=["unresolved", "new-key-refused"])
        expect(w.state(name) == "aborted", w.state(name))
        a, _ = self.works(name)
        expect(a["thumbprint"] == before["thumbprint"], str(a))

    def inner(self, before, key):
        """What guardianctl signs with the key outside."""
        def of(jwk):
            return {k: jwk[k] for k in ("crv", "kty", "x", "y")}

        url = self.ca.url(KEY_CHANGE)
        text = [b64url(json.dumps(x, separators=(",", ":")).encode()) for x in (
            {"alg": "ES256", "jwk": of(key.jwk), "url": url},
            {"account": before["url"], "oldKey": of(before["jwk"])})]
        return {"protected": text[0], "payload": text[1], "signature":
                b64url(key.sign(".".join(text).encode()))}

    def test_what_leaves_is_not_given_up_for_its_new_key(self):
        """Nobody waits for a signature, so nobody has to give up before the key
        in the file was seen to work."""
        w, key = self.w, Key()
        name, before = self.account()
        w.must("RotationStart", account=name, kind="release", toKey=key.jwk,
               **AT_ONCE)
        self.until(name, "switching")
        client = Client(self.ca.directory_url, self.ca_file)
        row, _ = self.ask(name, "key-change", client,
                          inner=self.inner(before, key))
        expect(row["state"] == "switched" and not row["held"] and
               row["ask"] == "confirm-new-key", str(row))
        time.sleep(62)  # the longest hold
        row = w.must("RotationStep", account=name)["rotation"]
        expect(row["state"] == "switched" and row["ask"] == "confirm-new-key"
               and f"{name}:1" in w.keys_on_token(), str(row))
        while row["ask"] == "confirm-new-key":
            row, _ = self.ask(name, "confirm-new-key", client, key=key)
            time.sleep(row["waitMs"] / 1000)
        self.until(name, "done")

    # An emergency while another rotation is under way.

    @alone
    def test_an_emergency_overtakes(self):
        """The open order is not waited for, nor is the grace."""
        w = self.w
        before = w.account("main")
        Signing(w, self.ca.directory_url).order(NAME)
        w.must("RotationStart", account="main", orderDrain=120, grace=86400,
               settle=5, cacheTime=1, keepOldKey=True)
        self.until("main", "key-generated")
        new = w.rotation("main")["newThumbprint"]
        for more in (("--token", "hsm"), ("--key-type", "ec-p384")):
            w.ctl("rotate", "start", "main", "--compromised", *more, *w.ca,
                  code=1, says="under way")
        w.ctl("rotate", "start", "main", *w.ca, code=1, says="under way")
        self.until("main", "draining")
        w.ctl("rotate", "start", "main", "--compromised", "--cache-time", "1",
              *w.ca, says=["switched", "done"])
        row = w.rotation("main")
        expect(row["kind"] == "compromised" and row["grace"] == 0 and
               not row["keepOldKey"], str(row))
        a, on_token = self.works("main")
        expect(a["thumbprint"] == new != before["thumbprint"] and
               list(on_token.values()) == [new], f"{a} {on_token}")

    # An account that is ended.

    def ended(self, name):
        self.w.ctl("account", "deactivate", name, "--yes", *self.w.ca)

    @alone
    def test_a_deactivated_account_does_not_go_on_rotating(self):
        w = self.w
        name, before = self.account()
        w.must("RotationStart", account=name, **AT_ONCE)
        self.until(name, "draining")
        self.ended(name)
        w.resume(name, code=1, says=["deactivated", "rotate abort"])
        error, answer = w.admin_call("RotationStep", account=name)
        expect(error == ADMIN + "WrongState" and
               answer["state"] == "deactivated", f"{error} {answer}")
        w.ctl("rotate", "start", "--due", *w.ca, says="nothing is due")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        on_token = w.keys_on_token()
        expect(f"{name}:2" not in on_token and
               w.account(name)["status"] == "deactivated", str(on_token))

    def test_a_switch_does_not_bring_it_back(self):
        w = self.w
        name, before = self.account()
        w.must("RotationStart", account=name, **AT_ONCE)
        self.until(name, "switching")
        w.must("RotationSign", account=name, ask="key-change", nonce="abc")
        w.must("AccountDeactivated", name=name)
        row = w.must("RotationAnswer", account=name, ask="key-change",
                     nonce="abc", answer={"httpStatus": 200})["rotation"]
        expect(row["state"] == "switched" and row["ask"] is None, str(row))
        a = w.account(name)
        expect(a["status"] == "deactivated" and
               a["thumbprint"] == row["newThumbprint"], str(a))

    # The evidence.

    @alone
    def test_a_gap_in_the_log_is_said(self):
        w = self.w
        there = self.lab.dir / "gap"
        w.must("AuditRotate")
        w.ctl("account", "prove", "main", *w.ca)
        args = ("audit", "signatures", "--account", "main", "--dir", there)
        log = next(iter(self.lab.dir.rglob("audit.jsonl"))).parent
        shutil.copytree(log, there)
        w.ctl(*args, says="signatures")
        closed = sorted(there.glob("audit.jsonl.*"))[-1]
        whole = closed.read_bytes()
        lines = whole.splitlines(keepends=True)
        number = len(lines) // 2
        for wrong in (lines[:number] + lines[number + 1:],
                      lines[:number] + [b"no line\n"] + lines[number + 1:],
                      lines[:number] + [lines[number][:-5] + b"\n"] +
                      lines[number + 1:]):
            closed.write_bytes(b"".join(wrong))
            w.ctl(*args, code=3, says=f"line {number + 1} is missing")
        closed.write_bytes(whole)
        # Closed while it was being read: there twice, and counted once.
        said = w.ctl(*args)
        shutil.copy(closed, there / "audit.jsonl")
        twice = w.ctl(*args)
        expect(len(twice.splitlines()) < len(said.splitlines()), twice)


if __name__ == "__main__":
    sys.exit(run(Cases, "rotation-incident", side_by_side=True))
