#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The records of a rotation that goes back, is an emergency, or ends with another
account."""

import json
import sys

from acme_client import key_bound
from https_peer import Answer
from lab import expect
from rotation_lab import run
from rotation_records_lab import LABEL, QUICK, RecordCases


class Cases(RecordCases):
    # ---- the way back ----

    def test_abort_removes_the_new_ones(self):
        a, b = "d.hand.test", "d.auto.test"
        self.account(a, b)
        self.rotate(code=1)
        self.by_hand(a, self.keys()[1])
        self.abort(code=1, says=f"remove {LABEL}{a}.")
        r = self.w.rotation(self.name)
        expect((r["state"], r["actor"]) == ("aborting", "operator"), f"{r}")
        expect(len(self.on_token()) == 2, "the key is there as long as they")
        self.expect_there(b, self.keys()[0])
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.resume(code=1)  # which is what an abort ends with
        self.only_old(a, b)

    def test_a_refusal_removes_the_new_ones(self):
        d = "refused.auto.test"
        self.account(d)
        self.ca.on_key_change = lambda _: Answer(
            403, json.dumps({"type": "urn:ietf:params:acme:error:unauthorized",
                             "detail": "no"}).encode(),
            [("Content-Type", "application/problem+json"),
             self.ca.fresh_nonce()])
        self.rotate(code=1)
        self.only_old(d)
        expect(self.w.rotation(self.name)["reason"] == "refused", "and why")
        self.ca.on_key_change = None
        self.rotate()
        self.only_new(d)

    # ---- other kinds ----

    def test_a_compromised_key_is_not_waited_for(self):
        d = "thief.auto.test"
        self.account(d)
        self.ca.look = lambda: self.there(d)
        old = self.thumbprint()
        out = self.rotate("--compromised")
        expect("records-published" not in out, out)
        expect(self.ca.seen == [self.value(d, old)], f"{self.ca.seen}")
        self.only_new(d)

    def test_an_emergency_does_not_wait_for_a_person(self):
        """Its records come after the switch, by hand as before."""
        d = "thief.hand.test"
        self.account(d)
        self.rotate(code=1)
        expect(self.state() == "records-published", self.state())
        old, new = self.keys()
        self.rotate("--compromised", code=1, says=["switched", "rotate resume"])
        r = self.w.rotation(self.name)
        expect(r["kind"] == "compromised" and self.thumbprint() == new != old,
               f"{r}")
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.resume(code=1, says=f"remove {LABEL}{d}.")
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.resume()
        self.only_new(d)

    def test_a_new_account_has_its_records_first(self):
        d = "moves.auto.test"
        self.account(d)
        w = self.w
        before = w.account(self.name)
        w.ctl("account", "move", self.name, "--agree-terms", *QUICK, *w.ca)
        after = w.account(self.name)
        expect(after["url"] != before["url"], "another account")
        self.only_new(d)
        states = self.states()
        expect(states.index("records-verified") < states.index("switched"),
               f"{states}")

    def test_what_leaves_leaves_its_records(self):
        d = "leaves.auto.test"
        self.account(d)
        w, key = self.w, self.lab.dir / "leaves.pem"
        self.rotate("--to-key-file", key)
        old, new = self.keys()
        expect(self.state() == "done" and
               w.account(self.name)["status"] == "released", "it left")
        found = self.there(d)
        expect(len(found) == 1 and old != new, f"{found}")
        url = w.rotation(self.name)["records"]["newUrl"] or \
            w.account(self.name)["url"]
        expect(key_bound(self.ca.prefix, d, new, url) in found[0], f"{found}")


if __name__ == "__main__":
    sys.exit(run(Cases, "rotation-records-kinds"))
