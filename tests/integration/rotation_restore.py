#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry that is older than the token and the CA: whoever put it back, and
from whatever moment it is, nothing is signed with a retired key, and rotate
resume ends with the key that the CA has."""

import contextlib
import os
import shutil
import signal
import sqlite3
import sys

from lab import DAEMON_UID, Varlink, descendants, expect, wait_for
from rotation_kinds_lab import KindCases
from rotation_lab import ADMIN, SIGNER, RotationCases, run
from rotation_lost import runbook
from token_wire import own

AT_ONCE = {"settle": 0, "cacheTime": 0, "orderDrain": 0, "grace": 0}


class Cases(RotationCases):
    def __init__(self, lab):
        super().__init__(lab, *KindCases.hsm(lab))
        self.state_dir = lab.dir / "state"
        self.db = self.state_dir / "registry.db"
        self.w.must("AccountSetSchedule", name="main", **AT_ONCE)

    # ---- copies ----

    def copy(self):
        """Of the directory, as it lies there; the daemon is started again."""
        w = self.w
        w.kill_daemon()
        to = self.lab.dir / "copy"
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.state_dir, to)
        w.start_daemon()

    def put_back(self):
        """As cp(1) does: the audit log's head stays, or nothing would start."""
        self.w.kill_daemon()
        for path in self.state_dir.glob("registry.db*"):
            path.unlink()
        for path in (self.lab.dir / "copy").glob("registry.db*"):
            shutil.copy(path, self.state_dir)
            os.chown(self.state_dir / path.name, DAEMON_UID, DAEMON_UID)
        self.w.start_daemon()

    def roll_back(self):
        """As a file system does that goes back to a snapshot: the same file."""
        self.w.kill_daemon()
        for path in self.state_dir.glob("registry.db-*"):
            path.unlink()
        wal = self.lab.dir / "copy/registry.db-wal"
        if wal.exists():
            shutil.copy(wal, self.state_dir)
            os.chown(self.state_dir / wal.name, DAEMON_UID, DAEMON_UID)
        with open(self.db, "r+b") as f:
            f.write((self.lab.dir / "copy/registry.db").read_bytes())
            f.truncate()
        self.w.start_daemon()

    # ---- what is expected ----

    def rotate_meanwhile(self, *more):
        """What the copy does not know of. The CA's key."""
        self.w.ctl("rotate", "start", "main", *self.w.ca, *more, says="done")
        return self.w.account("main")["thumbprint"]

    def finish_meanwhile(self):
        self.w.resume(says="done")
        return self.w.account("main")["thumbprint"]

    def is_closed(self, retired):
        """Nobody gets a signature, and none is made."""
        before = len(self.w.audit())
        v = Varlink(self.w.client, timeout=90)
        for method, parameters in (
                ("KeyAuthorization", {"token": "A" * 43}),
                ("Sign", {"url": self.url, "nonce": "A" * 20, "payload": ""})):
            error, answer = v.call(SIGNER + method,
                                   {"account": "main", **parameters})
            expect(error == SIGNER + "AccountNotReady" and
                   answer["state"] in ("needs-resolve", "unresolved"),
                   f"{method}: {error} {answer}")
        v.close()
        self.signs_nothing(before, retired)

    def signs_nothing(self, since, retired):
        for line in self.w.audit()[since:]:
            expect(not (line.get("verdict") == "allowed" and
                        line.get("type") == "decision" and
                        line.get("thumbprint") == retired),
                   f"signed with a retired key: {line}")

    def ends_with(self, thumbprint, **how):
        self.w.resume(**how)
        a, keys = self.works()
        expect(a["thumbprint"] == thumbprint, f"{a['thumbprint']}, not the "
               f"CA's {thumbprint}; {keys}")
        self.issues()

    # ---- the cases ----

    def test_a_copy_that_is_not_old_asks_and_goes_on(self):
        before = self.w.account("main")
        self.copy()
        self.put_back()
        a = self.w.account("main")
        expect(a["status"] == "needs-resolve" and "restored or copied" in
               a["statusText"], str(a))
        self.is_closed("")
        self.w.ctl("rotate", "start", "main", *self.w.ca, code=1,
                   says="restored or copied")
        self.ends_with(before["thumbprint"],
                       says="its key is still the account's")

    def test_the_timer_resolves_it_too(self):
        self.copy()
        self.put_back()
        self.w.ctl("rotate", "start", "--due", *self.w.ca,
                   says="its key is still the account's")
        self.works()
        self.w.ctl("rotate", "start", "--due", *self.w.ca,
                   says="nothing is due")

    def test_a_copy_from_before_a_rotation(self):
        for put_back in (self.put_back, self.roll_back):
            for more in ((), ("--keep-old-key",)):
                old = self.w.account("main")["thumbprint"]
                self.copy()
                new = self.rotate_meanwhile(*more)
                put_back()
                expect(self.w.account("main")["thumbprint"] == old, "a copy")
                wait_for("it to need it", lambda: self.w.account("main")
                         ["status"] == "needs-resolve")
                self.is_closed(old)
                self.ends_with(new, says=["unresolved", "switched"])

    def test_a_copy_from_the_middle_of_a_rotation(self):
        for put_back in (self.put_back, self.roll_back):
            for state in ("planned", "key-generated", "draining"):
                for keep in (False, True):
                    old = self.w.account("main")["thumbprint"]
                    self.place(state, keepOldKey=keep)
                    self.copy()
                    new = self.finish_meanwhile()
                    put_back()
                    expect(self.w.state() == state, self.w.state())
                    self.is_closed_soon(old, keep)
                    self.ends_with(new)

    def is_closed_soon(self, old, keep):
        """A request may be held for a minute: somebody is about to resume."""
        if not keep:
            # Found out when the token's keys have been looked at.
            wait_for("it to need it", lambda: self.w.account("main")["status"]
                     == "needs-resolve")
        if self.w.account("main")["status"] == "needs-resolve":
            self.is_closed(old)
            return
        before = len(self.w.audit())
        v = Varlink(self.w.client, timeout=5)
        v.send(SIGNER + "Sign", {"account": "main", "url": self.url,
                                 "nonce": "A" * 20, "payload": ""})
        try:
            expect(False, f"not held: {v.receive()}")
        except TimeoutError:
            pass
        v.close()
        self.signs_nothing(before, old)

    def test_a_copy_from_when_the_answer_was_awaited(self):
        for told in ("lost", True):
            old = self.w.account("main")["thumbprint"]
            self.place("switching")
            self.place_on(told)
            self.copy()
            new = self.finish_meanwhile()
            self.put_back()
            if told == "lost":
                self.is_closed(old)
            self.ends_with(new)

    def place_on(self, told):
        """The CA has switched; the daemon was told or not."""
        self.w.must("RotationAbort", account="main")
        self.w.resume(code=1)
        self.place("switching", told=told)

    def test_a_copy_from_a_grace_that_is_over(self):
        """The old key is destroyed by nobody before the CA was asked."""
        for resume in (("resume", "main"), ("start", "--due")):
            self.w.ctl("rotate", "start", "main", "--grace", "3600",
                       *self.w.ca)
            new = self.w.account("main")["thumbprint"]
            self.copy()
            with contextlib.closing(sqlite3.connect(
                    self.lab.dir / "copy/registry.db")) as db:
                db.execute("update rotation set grace_s = 0")
                db.commit()
            self.put_back()
            expect(self.w.state() == "cleaned", self.w.state())
            self.is_closed("")
            self.w.ctl("rotate", *resume, *self.w.ca,
                       says=["its key is still the account's", "done"])
            self.ends_with(new)

    def test_a_copy_that_is_two_rotations_old(self):
        for state in (None, "key-generated"):
            old = self.w.account("main")["thumbprint"]
            if state:
                self.place(state)
            self.copy()
            if state:
                self.finish_meanwhile()
            self.rotate_meanwhile()
            new = self.rotate_meanwhile("--keep-old-key")
            self.put_back()
            self.is_closed(old)
            self.ends_with(new)

    def test_a_rotation_that_was_given_up_since(self):
        old = self.w.account("main")["thumbprint"]
        self.place("key-generated")
        self.copy()
        self.w.ctl("rotate", "abort", "main", *self.w.ca, says="aborted")
        self.put_back()
        self.w.resume(code=1, says=["does not have the new key", "aborted"])
        a, _ = self.works()
        self.issues()
        expect(a["thumbprint"] == old, str(a))

    def test_a_daemon_that_only_was_started_again(self):
        """Nothing was sent, and the registry is no copy: nothing waits."""
        self.place("draining")
        self.w.restart_daemon()
        wait_for("the token", lambda: self.w.must("Status")["ready"])
        v = Varlink(self.w.client, timeout=90)
        error, answer = v.call(SIGNER + "KeyAuthorization",
                               {"account": "main", "token": "A" * 43})
        v.close()
        expect(not error, f"{error} {answer}")
        self.w.resume(says="done")
        self.works()

    def mv_back(self):
        """What restore --replace put aside: the file that it always was."""
        self.w.kill_daemon()
        for path in self.state_dir.glob("registry.db*"):
            if ".before-" not in path.name:
                path.unlink()
        for path in self.state_dir.glob("registry.db.before-*"):
            path.rename(path.with_name("registry.db" + path.name[
                len("registry.db.before-20260101T000000Z"):]))
        self.w.start_daemon()

    def restore_it(self):
        self.w.ctl("backup", self.lab.dir / "file")
        self.w.kill_daemon()
        self.w.ctl("restore", self.lab.dir / "file", "--replace")
        self.w.start_daemon()
        for name in ("main", self.foreign):
            self.w.resume(name)

    def key_lines(self, name):
        return [line["operation"] for line in self.w.audit() if
                line.get("account") == name and
                line.get("operation") in ("needs-resolve", "resolved")]

    def test_what_no_token_can_tell(self):
        """Keys named by others, so the helper lists none that is newer, and the
        registry's file is the one that it was."""
        w = self.w
        uri = "pkcs11:token=hsm;object="
        team = [uri + own(f"team-{i + 1}").replace(":", "%3A")
                for i in range(6)]
        for n, (begin, put_back) in enumerate((
                (self.restore_it, self.mv_back),
                (self.copy, self.roll_back), (self.copy, self.put_back))):
            self.foreign = f"foreign{n}"
            w.registered(self.foreign, self.ca)
            w.must("AccountSetSchedule", name=self.foreign, **AT_ONCE)
            w.ctl("rotate", "start", self.foreign, "--token", "hsm",
                  "--new-key", team[2 * n], *w.ca, says="done")
            begin()
            w.ctl("rotate", "start", self.foreign, "--new-key",
                  team[2 * n + 1], *w.ca, says="done")
            expect(w.account(self.foreign)["status"] == "valid", "as it is")
            put_back()
            a = w.account(self.foreign)
            expect(a["status"] == "needs-resolve" and "restored or copied" in
                   a["statusText"], f"{put_back}: {a}")
            expect(self.key_lines(self.foreign)[-1] == "needs-resolve",
                   str(self.key_lines(self.foreign)))
            w.resume("main")
            expect(self.key_lines("main")[-2:] == ["needs-resolve", "resolved"],
                   str(self.key_lines("main")))

    def second_resolve(self):
        """What a second one is told while the first waits for its token."""
        helpers = [pid for pid in descendants(self.w.daemon.pid)
                   if b"acme-guardian-token" in
                   open(f"/proc/{pid}/cmdline", "rb").read()]
        expect(helpers, "token helpers")
        for pid in helpers:
            os.kill(pid, signal.SIGSTOP)
        first = Varlink(self.w.admin, timeout=90)
        first.send(ADMIN + "RotationResolve", {"account": "main"})
        try:
            error, _ = self.w.admin_call("RotationResolve", account="main")
        finally:
            for pid in helpers:
                os.kill(pid, signal.SIGCONT)
        first.receive()
        first.close()
        wait_for("the token", lambda: not self.w.admin_call(
            "RotationResolve", account="main")[0])
        return error or ""

    def test_two_that_resolve_at_once(self):
        # A token that is just being logged in to makes both of them fail.
        wait_for("the second to be refused",
                 lambda: self.second_resolve().endswith(".Busy"))
        self.works()

    def test_a_token_without_any_key_of_it(self):
        """A lost HSM with a new one in its place. Then the old one is found."""
        w = self.w
        old = w.account("main")["thumbprint"]
        tokens = self.lab.dir / "softhsm/tokens"
        w.kill_daemon()
        kept = {p: p.read_bytes() for p in tokens.glob("*/*.object")
                if p.name != "token.object"}
        for path in kept:
            path.unlink()
        w.start_daemon()
        wait_for("it to need it", lambda: w.account("main")["status"] ==
                 "needs-resolve")
        self.is_closed(old)
        w.resume(code=1, says=["account-lost", "no-key", "is not on token"])
        expect(w.state() == "account-lost", w.state())
        w.kill_daemon()
        for path, data in kept.items():
            path.write_bytes(data)
            os.chown(path, DAEMON_UID, DAEMON_UID)
        w.start_daemon()
        w.resume(code=1, says="aborted")
        a, _ = self.works()
        expect(a["thumbprint"] == old, str(a))

    def test_a_key_that_the_ca_never_heard_of_stays_unused(self):
        """Another daemon's, perhaps: it is not destroyed, nor used again."""
        old = self.w.account("main")
        self.copy()
        self.place("key-generated")
        other = self.w.rotation()["newThumbprint"]
        self.put_back()
        self.is_closed("")
        self.w.resume(code=1, says=["the other key stays", "aborted"])
        a, keys = self.works()
        expect(a["thumbprint"] == old["thumbprint"] and
               keys[f"main:{old['generation'] + 1}"] == other, f"{a} {keys}")
        self.w.restart_daemon()
        expect(self.w.account("main")["status"] == "valid", "it is known now")
        self.rotate_meanwhile()
        expect(self.w.account("main")["generation"] ==
               old["generation"] + 2, "a label is used once")

    # docs/operations.md: each command, as it stands there.

    def follow(self, section, codes):
        """@codes: by the beginning of a command; what it printed."""
        self.w.wish("main", f"Directory={self.ca.directory_url}", "Token=lab",
                    f"CaFile={self.w.ca[1]}")
        said = {}
        for line in runbook(section):
            command = line.replace("NAME", "main").split()[1:]
            code = next((v for k, v in codes.items()
                         if " ".join(command).startswith(k)), 0)
            said[" ".join(command)] = self.w.ctl(*command, code=code)
        self.w.unwish()
        return said

    def test_runbook_a_restored_backup(self):
        old = self.w.account("main")["thumbprint"]
        self.copy()
        new = self.rotate_meanwhile()
        self.put_back()
        said = self.follow("A restored backup, or an old copy", {
            "status": 1})
        expect("switched" in said["rotate resume main"], str(said))
        expect(self.w.account("main")["thumbprint"] == new != old, "the CA's")

    def test_runbook_a_lost_hsm(self):
        w = self.w
        url = w.account("main")["url"]
        w.kill_daemon()
        for path in (self.lab.dir / "softhsm/tokens").glob("*/*.object"):
            if path.name != "token.object":
                path.unlink()
        w.start_daemon()
        wait_for("it to need it", lambda: w.account("main")["status"] ==
                 "needs-resolve")
        said = self.follow("A lost HSM", {"rotate resume": 1})
        expect("account-lost" in said["rotate resume main"] and
               "needs-resolve" in said["account list"], str(said))
        a, _ = self.works()
        expect(a["url"] != url, "a new account")

    def test_it_can_be_ended_without_being_asked(self):
        self.w.registered("ended", self.ca)
        self.copy()
        self.put_back()
        expect(self.w.account("ended")["status"] == "needs-resolve", "a copy")
        self.w.ctl("account", "deactivate", "ended", "--yes", *self.w.ca)
        expect(self.w.account("ended")["status"] == "deactivated", "ended")
        self.w.resume()


if __name__ == "__main__":
    sys.exit(run(Cases, "rotation-restore"))
