#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The records of a rotation where somebody has to do something: zones without a
publisher, and servers that lack a record or say nothing."""

import contextlib
import json
import sqlite3
import sys

from lab import expect
from rotation_lab import run
from rotation_records_lab import LABEL, TTL, RecordCases


class Cases(RecordCases):
    def test_a_server_of_two_lacks_it(self):
        d = "x.split.test"
        self.account(d)
        out = self.rotate("--wait", "1", code=75,
                          says=[d, self.ns2.address, "does not have"])
        expect("cleaned" not in out, out)
        r = self.w.rotation(self.name)
        expect(r["state"] == "records-published" and
               r["reason"] == "records-not-everywhere" and
               self.ns2.address in r["text"] and r["actor"] == "ops", f"{r}")
        self.w.ctl("rotate", "status", self.name, says=self.ns2.address)
        self.resume("--wait", "0", code=75, says=self.ns2.address)
        self.by_hand(d, self.keys()[1], self.ns2)
        # Gone from ns1 alone, the old one is not gone.
        self.resume("--wait", "1", code=75, says=[self.ns2.address, "still has"])
        expect(self.state() == "switched", self.state())
        expect(self.w.rotation(self.name)["reason"] == "records-not-gone",
               "and says so")
        self.expect_there(d, self.keys()[1])
        self.by_hand(d, self.keys()[0], self.ns2, "delete")
        self.resume()
        self.only_new(d)

    def test_a_person_answers_for_a_zone(self):
        d = "y.split.test"
        self.account(d)
        self.rotate("--wait", "0", code=75)
        self.resume("--wait", "0", "--accept-unverified", "auto.test", code=75,
                    says=self.ns2.address)
        # The old record is gone from one server only, for which he answers too.
        self.resume("--wait", "0", "--accept-unverified", "SPLIT.test.")
        self.only_new(d)
        lines = [l for l in self.w.audit()
                 if l.get("operation") == "RotationAccept"]
        expect([l["detail"] for l in lines] == ["auto.test", "split.test"],
               f"{lines}")
        self.by_hand(d, self.keys()[0], self.ns2, "delete")
        # It was for that rotation alone.
        self.rotate("--wait", "0", code=75, says=self.ns2.address)
        self.abort()

    def test_start_may_accept(self):
        d = "z.split.test"
        self.account(d)
        self.rotate("--wait", "0", "--accept-unverified", "split.test")
        self.only_new(d)

    def test_a_server_that_is_silent_is_not_taken_for_good(self):
        d = "silent.auto.test"
        self.account(d)
        self.ns2.stop()
        try:
            self.rotate("--wait", "0", code=75,
                        says=[self.ns2.address, "does not tell"])
        finally:
            self.ns2.start()
        self.resume()
        self.only_new(d)

    # ---- zones without one ----

    def test_by_hand(self):
        a, b = "a.hand.test", "b.auto.test"
        self.account(a, b)
        out = self.rotate(code=1, says="rotate resume")
        old, new = self.keys()
        expect(f"by hand    add {LABEL}{a}. " in out and b not in
               "".join(l for l in out.splitlines() if "by hand" in l), out)
        r = self.w.rotation(self.name)
        expect((r["state"], r["actor"]) == ("records-published", "operator"),
               f"{r}")
        self.expect_there(b, old, new)
        expect(self.changes() ==
               f'add {LABEL}{a}. {TTL} IN TXT "{self.value(a, new)}"\n',
               "the list, exactly")
        listed = json.loads(self.changes("--format", "json"))["changes"]
        expect([(c["action"], c["domain"], c["value"]) for c in listed] ==
               [("add", a, self.value(a, new))], f"{listed}")
        self.changes("--format", "zone", code=64)
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.changes(code=0)
        self.resume(code=1, says=f"remove {LABEL}{a}.")
        expect(self.state() == "switched", self.state())
        self.expect_there(a, old, new)
        self.expect_there(b, new)
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.expect_there(a, new)
        self.resume()
        self.only_new(a, b)
        self.changes(code=0)

    def is_due(self):
        self.w.must("AccountSetSchedule", name=self.name, rotate=3600,
                    settle=0, cacheTime=0, orderDrain=0, grace=0)
        self.w.kill_daemon()
        with contextlib.closing(sqlite3.connect(
                self.lab.dir / "state/registry.db")) as db:
            db.execute("UPDATE account SET key_since_s = 1 WHERE name = ?",
                       [self.name])
            db.commit()
        self.w.start_daemon()

    def due(self, **how):
        return self.w.ctl("rotate", "start", "--due", *self.w.ca, **how)

    def test_a_timer_rotates_what_has_publishers(self):
        self.account("t1.auto.test")
        self.is_due()
        self.due(says="done")
        self.only_new("t1.auto.test")

    def test_a_timer_asks_where_a_person_publishes(self):
        """It prepares the list, and fails until the records are there."""
        self.account("t2.auto.test", "t2.hand.test")
        self.is_due()
        out = self.due(code=1)
        old, new = self.keys()
        expect(self.value("t2.hand.test", new) in out.replace('" "', ""), out)
        expect(self.state() == "records-published" and
               self.thumbprint() == old, self.state())
        self.due(code=1)
        expect(self.thumbprint() == old, "nobody has published them")
        self.by_hand("t2.hand.test", new)
        self.due(code=1)  # the old ones are to be removed, again by hand
        expect(self.thumbprint() == new, self.state())
        self.by_hand("t2.hand.test", old, change="delete")
        self.due()
        self.only_new("t2.auto.test", "t2.hand.test")

    def test_by_hand_but_not_seen(self):
        d = "c.hand.test"
        self.account(d)
        self.rotate(code=1)
        self.resume("--accept-unverified", "hand.test")
        self.only_new()
        self.expect_there(d, self.keys()[0])
        self.by_hand(d, self.keys()[0], change="delete")


if __name__ == "__main__":
    sys.exit(run(Cases, "rotation-records-hand"))
