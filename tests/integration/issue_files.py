#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of guardianctl issue: never a key beside another key's certificate,
whenever it ends and whoever has them."""

import os
import random
import signal
import stat
import subprocess
import sys
import time

from issue_lab import NAME, ZONE, IssueCases, run
from lab import CLIENT_UID, OTHER_UID, expect


class Cases(IssueCases):
    def __init__(self, lab):
        super().__init__(lab)
        self.w.persist(f"w.{ZONE}", "policy=wildcard")
        self.w.issue("one", domains=[NAME])
        self.w.issue("wild", domains=[f"*.w.{ZONE}", f"w.{ZONE}"])

    def test_a_certificate_of_another_key(self):
        """A CA that mixes up its orders does not mix up our files."""
        w = self.w
        w.issue("mixed", domains=[NAME])
        before = self.files("mixed")
        other = (w.out / "wild.pem").read_bytes()
        w.relay.change = lambda request, answer: (
            answer.__class__(200, other, answer.headers)
            if request.path.startswith("/certZ/") else None)
        w.issue("mixed", domains=[NAME], code=2,
                says="not for the key of the request")
        expect(self.files("mixed") == before, "files as they were")

    def test_files_that_are_not_ours(self):
        w = self.w
        w.lab.file("out/passwd.pem", "root:x:0:0\n", CLIENT_UID)
        w.issue("passwd", domains=[NAME], code=78,
                says="holds no certificate, so it is not replaced")
        # One file of both, as some servers want it: the only copy of a key.
        w.issue("both", domains=[NAME])
        both = (w.out / "both.key").read_text() + (
            w.out / "both.pem").read_text()
        (w.out / "both.pem").write_text(both)
        before = w.relay.tried()
        w.issue("both", domains=[NAME], code=78,
                says="holds a private key, which would be lost")
        expect((w.out / "both.pem").read_text() == both, "as it was")
        w.lab.folder("out/closed", 0)
        w.issue("closed/x", domains=[NAME], code=77,
                says="Permission denied")
        w.issue("one", "--key-out", w.out / "one.pem", domains=[NAME],
                own_key=False, code=64, says="the same file")
        expect(w.relay.tried() == before, "no order at the CA")

    def test_a_key_that_others_have(self):
        w = self.w
        key = w.out / "shared.key"
        w.issue("shared", domains=[NAME])
        before = w.relay.tried()
        for mode, says in ((0o660, "writable by its owner alone"),
                           (0o644, "every user can read this key")):
            os.chmod(key, mode)
            w.issue("shared", domains=[NAME], code=78, says=says)
        os.chmod(key, 0o640)
        os.chown(key, OTHER_UID, CLIENT_UID)
        w.issue("shared", domains=[NAME], code=78,
                says="must be owned by root or you")
        expect(w.relay.tried() == before, "no order at the CA")
        os.chown(key, CLIENT_UID, CLIENT_UID)
        w.issue("shared", domains=[NAME])

    def test_the_owner_s_mode_is_kept(self):
        w = self.w
        os.chmod(w.out / "one.pem", 0o640)
        w.issue("one", domains=[NAME])
        expect(stat.S_IMODE((w.out / "one.pem").stat().st_mode) == 0o640,
               "0640 as before")

    # Ended at any instant.

    def killed_at(self, stem, call):
        """SIGKILL at the entry of a system call. Without flags, renameat2() is
        another one, renameat."""
        argv = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                "-e", f"inject={call}:signal=SIGKILL:when=1",
                *self.w.argv(stem, domains=[NAME])]
        # LeakSanitizer cannot work beside strace.
        return self.lab.run(argv, CLIENT_UID, ok=None, env={
            "ASAN_OPTIONS": "detect_leaks=0"}).returncode

    def test_killed_between_its_files(self):
        w = self.w
        for step, call, there in ((1, "renameat", (False, False)),
                                  (2, "renameat2", (True, False))):
            stem = f"step{step}"
            expect(self.killed_at(stem, call) == -signal.SIGKILL,
                   f"killed at {call}")
            expect(w.pair_fits(stem) == there, f"{step}: {there}")
            orders = w.relay.made
            said = w.issue(stem, "--if-due", domains=[NAME])
            expect(w.pair_fits(stem) == (True, True), "a pair")
            # Whose chain had come so far needs no other certificate.
            expect(said["changed"] == (step == 1) and
                   w.relay.made == orders + (step == 1), f"{step}: {said}")
            expect(not list(w.out.glob(f".{stem}*")), "nothing is left")

    def test_killed_in_a_renewal(self):
        w = self.w
        w.issue("again", domains=[NAME])
        before = self.files("again")
        for call in ("renameat", "fchmod", "pwrite64"):
            expect(self.killed_at("again", call) == -signal.SIGKILL,
                   f"killed at {call}")
            expect(self.files("again") == before, f"{call}: the old pair")
        w.issue("again", domains=[NAME])
        expect(w.pair_fits("again") == (True, True), "the new pair")
        expect(self.files("again")[1] != before[1], "another chain")

    def test_killed_whenever(self):
        w = self.w
        for i in range(10):
            stem = f"any{i % 2}"
            p = subprocess.Popen(
                [*self.lab.as_user(CLIENT_UID),
                 *map(str, w.argv(stem, domains=[NAME]))],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0.01, 0.6))
            p.send_signal(signal.SIGKILL if i % 3 else signal.SIGTERM)
            p.wait()
            w.pair_fits(stem)
        for stem in ("any0", "any1"):
            w.issue(stem, domains=[NAME])
            expect(w.pair_fits(stem) == (True, True), "a pair")

    def test_two_at_once(self):
        w = self.w
        argv = [*self.lab.as_user(CLIENT_UID),
                *map(str, w.argv("twice", domains=[NAME]))]
        runs = [subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE) for _ in range(3)]
        codes = sorted(p.wait() for p in runs)
        words = b"".join(p.stderr.read() for p in runs)
        expect(codes[0] == 0 and set(codes) <= {0, 75}, f"{codes} {words}")
        expect(w.pair_fits("twice") == (True, True), "a pair")


if __name__ == "__main__":
    sys.exit(run(Cases))
