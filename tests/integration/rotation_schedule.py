#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotations by the clock: how an account's key is rotated stands in its file, a
timer starts what is due in its window, and an order is waited for."""

import sys
import time

from https_peer import Answer
from lab import expect
from rotation_lab import ADMIN, OPS_UID, RotationCases, run

SETTLED = ("Settle=0", "CacheTime=0", "OrderDrain=0", "Grace=0")
DAY = 86400
CLOSED, OPEN = "closed", "open"


def window(state):
    """One that is closed, or open, for hours to come."""
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    today = time.gmtime().tm_wday
    if state == OPEN:
        return "00:00-24:00"
    return f"{days[(today + 3) % 7]} 02:00-04:00 UTC"


class Cases(RotationCases):
    def __init__(self, lab):
        super().__init__(lab, f"[Roles]\nOpsUser={OPS_UID}")

    def schedule(self, *lines):
        self.w.wish("main", f"Directory={self.ca.directory_url}", "Token=lab",
                    f"CaFile={self.w.ca[1]}", *lines)
        self.w.ctl("apply")
        self.w.unwish()

    def is_old(self, days=100):
        """The key, as far as the registry knows."""
        self.w.kill_daemon()
        self.in_registry(
            f"UPDATE account SET key_since_s = key_since_s - {days * DAY}")
        self.w.start_daemon()

    def due(self, **more):
        return self.w.ctl("rotate", "start", "--due", *self.w.ca, **more)

    # ---- the cases ----

    def test_the_file_says_how(self):
        self.schedule("Rotate=90d", "RotateWindow=Sat,Sun 02:00-04:00 local",
                      *SETTLED, "KeepOldKey=yes")
        a = self.w.account("main")["schedule"]
        expect(a["rotate"] == 90 * DAY and a["settle"] == 0 and
               a["window"] == "Sat,Sun 02:00-04:00 local" and
               a["keepOldKey"] and not a["now"] and a["due"], str(a))
        self.w.ctl("account", "show", "main", says=[
            "rotated every", "90d", "Sat,Sun 02:00-04:00 local",
            "stay on the token"])

    def test_the_second_time_changes_nothing(self):
        self.w.wish("main", f"Directory={self.ca.directory_url}", "Token=lab",
                    f"CaFile={self.w.ca[1]}", "Rotate=90d")
        self.w.ctl("apply", says="set how its key is rotated")
        self.w.ctl("apply", never="set how", says="0 changed")
        self.w.unwish()

    def test_a_rotation_is_as_the_file_says(self):
        self.schedule(*SETTLED, "KeepOldKey=yes")
        self.w.ctl("rotate", "start", "main", *self.w.ca, says="done")
        row = self.w.rotation()
        expect(row["keepOldKey"] and row["settle"] == row["cacheTime"] ==
               row["orderDrain"] == row["grace"] == 0, str(row))
        self.schedule(*SETTLED)
        self.w.ctl("rotate", "start", "main", *self.w.ca, "--settle", "1",
                   says="done")
        row = self.w.rotation()
        expect(not row["keepOldKey"] and row["settle"] == 1, str(row))

    def test_only_what_is_due_is_rotated(self):
        before = self.w.account("main")["thumbprint"]
        self.schedule(*SETTLED)
        self.due(says="nothing is due")
        self.schedule(*SETTLED, "Rotate=90d")
        self.due(says="nothing is due")
        self.is_old()
        expect(self.w.account("main")["schedule"]["now"], "it is due")
        self.due(says=["main:", "done"])
        a, _ = self.works()
        expect(a["thumbprint"] != before and not a["schedule"]["now"], str(a))
        self.due(says="nothing is due")

    def test_only_in_its_window(self):
        before = self.w.account("main")["thumbprint"]
        self.schedule(*SETTLED, "Rotate=90d", f"RotateWindow={window(CLOSED)}")
        self.is_old()
        self.due(says="nothing is due")
        error, answer = self.w.admin_call("RotationStart", account="main",
                                          scheduled=True)
        expect(error == ADMIN + "WrongState" and answer["state"] == "not-now",
               f"{error} {answer}")
        self.schedule(*SETTLED, "Rotate=90d", f"RotateWindow={window(OPEN)}")
        self.due(says="done")
        expect(self.w.account("main")["thumbprint"] != before, "rotated")

    def test_ops_starts_what_is_due_and_nothing_else(self):
        self.schedule(*SETTLED, "Rotate=90d")
        start = "RotationStart"
        expect(self.as_ops(start, account="main") == "NotPermitted", "a plain")
        expect(self.as_ops(start, account="main", scheduled=True) ==
               "WrongState", "not due")
        self.is_old()
        for more in ({"kind": "compromised"}, {"settle": 0}, {"grace": 0},
                     {"cacheTime": 0}, {"orderDrain": 0}, {"token": "lab"},
                     {"keepOldKey": True}, {"alg": "RS256"}, {"rsaBits": 2048},
                     {"newKey": "pkcs11:object=x"}, {"acceptWeaker": True},
                     {"toKey": {}}):
            said = self.as_ops(start, account="main", scheduled=True, **more)
            expect(said in ("InvalidValue", "NotPermitted"), f"{more}: {said}")
        expect(self.as_ops("AccountSetSchedule", name="main") ==
               "NotPermitted", "a schedule")
        expect(self.as_ops(start, account="main", scheduled=True) == "done",
               "due")
        self.due(says="done")

    def test_what_is_under_way_goes_on(self):
        self.schedule(*SETTLED)
        for state in ("planned", "key-generated", "draining"):
            self.place(state)
            self.due(says=["main:", "done"])
            self.works()

    def test_an_order_is_not_broken_but_the_rotation_postponed(self):
        w = self.w
        before = w.account("main")["thumbprint"]
        self.schedule("Settle=0", "CacheTime=0", "Grace=0", "OrderDrain=600",
                      "Rotate=90d", f"RotateWindow={window(OPEN)}")
        self.is_old()
        w.must("RotationStart", account="main", scheduled=True)
        w.must("RotationStep", account="main")
        w.must("RotationStep", account="main")
        expect(w.state() == "draining", w.state())
        # Meanwhile the window ends, and another is far away.
        self.schedule("Settle=0", "CacheTime=0", "Grace=0", "OrderDrain=600",
                      "Rotate=90d", f"RotateWindow={window(CLOSED)}")
        w.kill_daemon()
        self.in_registry("UPDATE rotation SET window_end_s = 1")
        w.start_daemon()
        self.due(never="switching")
        row = w.rotation()
        expect(row["state"] == "draining" and "postponed" in row["next"] and
               row["waitMs"] > DAY * 1000 and not row["held"], str(row))
        expect(w.account("main")["thumbprint"] == before, "not switched")
        self.issues()
        expect(self.as_ops("RotationStep", account="main", now=True) ==
               "NotPermitted", "an operator decides that")
        w.kill_daemon()
        self.in_registry("UPDATE rotation SET order_drain_s = 0")
        w.start_daemon()
        w.ctl("rotate", "resume", "main", "--now", *w.ca, says="done")
        self.works()

    def test_it_goes_on_in_the_next_window(self):
        w = self.w
        self.schedule(*SETTLED, "Rotate=90d", f"RotateWindow={window(OPEN)}")
        self.is_old()
        w.must("RotationStart", account="main", scheduled=True)
        w.must("RotationStep", account="main")
        w.must("RotationStep", account="main")
        w.kill_daemon()
        self.in_registry("UPDATE rotation SET window_end_s = 1")
        w.start_daemon()
        self.due(says="done")
        self.works()

    def test_what_needs_a_person_makes_it_fail(self):
        w = self.w
        self.schedule(*SETTLED, "Rotate=90d")
        self.is_old()
        self.ca.on_key_change = lambda forward: Answer.problem(
            403, "unauthorized", "no")
        self.due(code=1, says="its rotation is aborted")
        self.ca.on_key_change = None
        # And it is not tried again on the same day.
        self.due(says="nothing is due")
        expect(w.account("main")["schedule"]["due"], "another day")
        w.ctl("rotate", "start", "main", *w.ca, says="done")


if __name__ == "__main__":
    sys.exit(run(Cases, "rotation-schedule"))
