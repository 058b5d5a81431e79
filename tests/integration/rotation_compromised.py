#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Somebody else may have the key, or has it; against a real Pebble."""

import json
import sys
import time

from acme_client import Client, Key
from https_peer import Answer
from lab import expect
from rotation_kinds_lab import STOLEN, KindCases
from rotation_lab import ADMIN, NAME, Signing, alone, run


class Cases(KindCases):
    def __init__(self, lab):
        super().__init__(lab, *self.hsm(lab))

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


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-compromised", side_by_side=True))
