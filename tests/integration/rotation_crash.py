#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotations that are cut off: whatever ends at whatever moment leaves an account
that works, and a retired key never signs."""

import shutil
import sys
import time

from https_peer import Answer
from lab import expect, wait_for
from rotation_lab import NAME, RotationCases, Signing, run


class Cases(RotationCases):
    # Whatever ends.

    def test_every_state_survives_the_daemon(self):
        w = self.w
        for state, how in (("planned", {}), ("key-generated", {}),
                           ("draining", {}), ("switching", {}),
                           ("switching", {"told": "lost"}),
                           ("switched", {"told": True})):
            before = w.account("main")["thumbprint"]
            self.place("switching" if state == "switched" else state, **how)
            expect(w.state() == state, f"{w.state()}, not {state}")
            w.restart_daemon()
            if how.get("told") == "lost":
                expect(w.state() == "unresolved", w.state())
            elif state == "switching":
                expect(w.state() == "draining", w.state())
            else:
                expect(w.state() == state, w.state())
            w.resume(says="done")
            a, on_token = self.works()
            expect(a["thumbprint"] != before and
                   on_token == {f"main:{a['generation']}": a["thumbprint"]},
                   f"{state} {how}: {on_token}")
        self.issues()

    def test_aborting_survives_the_daemon(self):
        w = self.w
        before = w.account("main")["thumbprint"]
        self.place("key-generated")
        w.must("RotationAbort", account="main")
        w.restart_daemon()
        expect(w.state() == "aborting", w.state())
        w.resume(code=1, says="aborted")
        a, on_token = self.works()
        expect(a["thumbprint"] == before and len(on_token) == 1, str(on_token))

    def test_a_key_that_is_not_named_by_us_any_more_stays(self):
        """KeyPrefix= was changed while the rotation was under way."""
        w = self.w
        conf = w.etc / "guardian.conf"
        before = conf.read_text()
        old = w.account("main")["thumbprint"]
        self.place("key-generated")
        w.must("RotationAbort", account="main")
        w.kill_daemon()
        conf.write_text(before.replace("[Token lab]",
                                       "[Token lab]\nKeyPrefix=other"))
        w.start_daemon()
        w.resume(code=1, says=["aborted", "not named by us"])
        expect(w.account("main")["thumbprint"] == old, "the old key goes on")
        w.kill_daemon()
        self.in_registry("update rotation set state = 'aborting'")
        conf.write_text(before)
        w.start_daemon()
        w.resume(code=1, says="aborted")
        self.works()

    def test_a_key_that_nobody_heard_of_is_taken_up(self):
        """The token made it; the daemon ended before the registry knew."""
        w = self.w
        self.place("key-generated")
        made = w.rotation()["newThumbprint"]
        w.kill_daemon()
        self.in_registry("update rotation set state = 'planned', "
                         "new_jwk = null, new_thumbprint = null")
        w.start_daemon()
        expect(w.account("main")["status"] == "valid", "known to be ours")
        w.resume(says="done")
        expect(self.works()[0]["thumbprint"] == made, "no second key")

    def test_every_state_survives_the_helper(self):
        w = self.w
        for state, how in (("planned", {}), ("draining", {}),
                           ("switching", {}), ("switching", {"told": "lost"}),
                           ("switching", {"told": True})):
            self.place(state, **how)
            w.kill_helper()
            wait_for("the token again", lambda: self.w.run(
                "token", "list").returncode == 0)
            w.resume(says="done")
            self.works()

    def test_every_moment_survives_guardianctl(self):
        w = self.w
        slow = ("--settle", "2", "--cache-time", "3", "--grace", "0")
        killed = []

        def kill_before(forward):
            killed[0].kill()
            return forward()

        def kill_after(forward):
            answer = forward()
            killed[0].kill()
            return answer

        for moment in ("draining", "switching", kill_before, kill_after,
                       "switched"):
            c = self.issues()
            if moment == "draining":
                c.order(NAME)
            if callable(moment):
                self.ca.on_key_change = moment
            killed[:] = [w.start_ctl("rotate", "start", "main", *slow,
                                     "--order-drain", "30" if moment ==
                                     "draining" else "0", *w.ca)]
            if not callable(moment):
                wait_for(moment, lambda m=moment: w.state() == m)
                time.sleep(0.3)
                killed[0].kill()
            killed[0].wait(30)
            self.ca.on_key_change = None
            if moment == "draining":
                expect(w.state() == "draining", w.state())
                w.must("RotationAbort", account="main")
                w.resume(code=1, says="aborted")
            else:
                w.resume(says="done")
            self.works()
        self.issues()

    def test_an_unfinished_confirmation_does_not_hold_for_ever(self):
        w = self.w
        self.place("switching", told=True, cacheTime=20)
        c = Signing(w, self.ca.directory_url)
        c.get(c.directory["newNonce"], "HEAD")
        begin = time.monotonic()
        error, answer = c.sign(self.url, c.nonce, "")
        took = time.monotonic() - begin
        expect(error is None and 50 < took < 90, f"{error} {answer} {took} s")
        w.resume(says="done")

    # What must not be.

    def test_it_can_be_aborted_until_the_ca_is_asked(self):
        w = self.w
        for state in ("planned", "key-generated", "draining", "switching"):
            before = w.account("main")["thumbprint"]
            self.place(state)
            w.ctl("rotate", "abort", "main", *w.ca, says="aborted")
            a, on_token = self.works()
            expect(a["thumbprint"] == before and len(on_token) == 1,
                   f"{state}: {on_token}")
        self.place("switching", told="lost")
        w.ctl("rotate", "abort", "main", *w.ca, code=1,
              says="may have the new key")
        w.resume(says="done")
        w.ctl("rotate", "abort", "main", *w.ca, code=1,
              says="over")

    def test_a_registry_from_before_signs_nothing(self):
        """A raw old copy: the retired key is still on the token."""
        w = self.w
        w.kill_daemon()
        state = self.lab.dir / "state"
        copy = self.lab.dir / "state-before"
        shutil.copytree(state, copy)
        w.start_daemon()
        w.rotate("main", "--keep-old-key")
        w.kill_daemon()
        shutil.move(state, self.lab.dir / "state-after")
        shutil.copytree(copy, state)
        w.lab.run(["chown", "-R", "--reference", self.lab.dir / "state-after",
                   state])
        shutil.copy2(self.lab.dir / "state-after/audit.chain",
                     state / "audit.chain")
        w.start_daemon()
        wait_for("the keys to be compared", lambda: w.account("main")
                 ["status"] == "needs-resolve")
        w.ctl("rotate", "start", "main", *w.ca, code=1, says="needs-resolve")
        w.kill_daemon()
        shutil.rmtree(state)
        shutil.move(self.lab.dir / "state-after", state)
        w.start_daemon()
        self.works()

    def test_a_copy_from_before_the_switch_is_not_aborted(self):
        """The CA has the new key: whatever the registry says, it stays."""
        w = self.w
        registry = self.lab.dir / "state/registry.db"
        for state in ("planned", "key-generated", "draining"):
            self.place(state, keepOldKey=True)
            w.kill_daemon()
            before = {f: f.read_bytes() for f in
                      registry.parent.glob("registry.db*")}
            w.start_daemon()
            w.resume(says="done")
            new = w.account("main")["thumbprint"]
            w.kill_daemon()
            for f in registry.parent.glob("registry.db*"):
                f.write_bytes(before.get(f, b""))
            w.start_daemon()
            a = w.account("main")
            expect(a["status"] == "needs-resolve" and a["thumbprint"] !=
                   new, str(a))
            w.ctl("rotate", "abort", "main", *w.ca, code=1,
                  says=["unresolved", "switched", "done"])
            expect(self.works()[0]["thumbprint"] == new, state)
        self.issues()

    def test_an_abort_waits_for_the_ca(self):
        w = self.w
        self.place("draining")
        _, on_token = self.works()
        self.ca.on_any = lambda request: Answer(503, b"")
        ctl = w.start_ctl("rotate", "abort", "main", *w.ca)
        wait_for("aborting", lambda: w.state() == "aborting")
        time.sleep(2)
        expect(w.state() == "aborting" and w.keys_on_token().items() >=
               on_token.items(), f"{w.rotation()} {on_token}")
        self.ca.on_any = None
        expect(ctl.wait(60) == 0, ctl.stdout.read())
        expect(len(self.works()[1]) == len(on_token) - 1, "destroyed")

    def test_what_was_not_asked_is_not_heard(self):
        w = self.w
        self.place("draining")
        for ask in ("key-change", "confirm-new-key", "try-old-key", "nonsense"):
            error, answer = w.admin_call("RotationAnswer", account="main",
                                         ask=ask, nonce="abc",
                                         answer={"httpStatus": 200})
            expect(error and error.rpartition(".")[2] in (
                "WrongState", "InvalidValue"), f"{ask}: {error} {answer}")
            error, answer = w.admin_call("RotationSign", account="main",
                                         ask=ask, nonce="abc")
            expect(error and error.endswith("WrongState"), f"{error} {answer}")
        expect(w.state() == "draining", w.state())
        w.ctl("rotate", "abort", "main", *w.ca)


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-crash"))
