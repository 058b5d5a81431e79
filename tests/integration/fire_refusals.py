#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Refusals by the million: what they leave on the disk and in the journal, and
that each of them is counted."""

import collections
import json
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import fire_lab as F  # noqa: E402
import lab as L  # noqa: E402

MILLION = 1000000
AT_MOST_S = 110  # then it is less than a million, and said so
MAX_SIZE, KEEP, RESERVE = 4096, 30, 65536
LINE_MAX = 2048  # a line is written whole: a file may be longer by one
VERIFY_EVERY = 10
JOURNAL_LINES = 102  # in ten seconds, of refusals: log-limit.h
DENIED, MALFORMED, LACME = 61220, 61221, 0

POLICY = "".join(f"""[Client]
User={uid}
[Allow]
Account=test
Domain=example.com

""" for uid in (DENIED, MALFORMED, D.CLIENT, LACME))


class Watch(threading.Thread):
    """Every line of the audit log as it is written: also those that are gone
    when it has been rotated away."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.holder = D.AsUser(0, g.admin)
        self.varlink = self.holder.__enter__()
        self.varlink.socket.settimeout(None)
        self.varlink.send(D.ADMIN + "Watch", {}, more=True)
        self.lines = {}  # by number
        self.start()

    def run(self):
        try:
            while True:
                error, answer = self.varlink.receive()
                if error:
                    return
                self.add(answer["line"])
        except OSError:
            pass  # the daemon has ended; who misses lines sees it below

    def add(self, text):
        line = json.loads(text)
        self.lines[line["n"]] = line

    def add_files(self, folder):
        """What was written after the end of the stream is still there."""
        for path in folder.glob("audit.jsonl*"):
            for text in path.read_bytes().rstrip(b"\0").splitlines():
                self.add(text)

    def refused(self):
        """How many the log tells of, by uid: written, and counted only."""
        written, counted = collections.Counter(), collections.Counter()
        for line in self.lines.values():
            if line["type"] == "suppressed":
                counted[line.get("uid")] += line["count"]
            elif line["type"] == "decision" and line["verdict"] != "allowed":
                written[line["uid"]] += 1
        return written, counted


def log_octets(g):
    """Of the audit directory: what it says, and what it takes on the disk."""
    files = [p.stat() for p in (g.lab.dir / "log").iterdir()]
    return (sum(s.st_size for s in files),
            sum(512 * s.st_blocks for s in files))


class Verifier:
    """An operator who looks more often than files are deleted: each time with
    the key that the time before gave."""

    def __init__(self, g):
        self.g, self.n, self.said = g, 0, ""
        self.key = g.lab.file("key.0", g.must("AuditTakeFirstKey")["key"] +
                              "\n", mode=0o600)

    def verify(self):
        self.n += 1
        new = self.g.lab.dir / f"key.{self.n}"
        r = self.g.lab.run([L.GUARDIANCTL, "--config", self.g.etc, "audit",
                            "verify", "--key-file", self.key, "--save-key",
                            new], ok=None)
        self.said = "; ".join((r.stdout + r.stderr).splitlines()[:2])
        L.expect(r.returncode == 0, f"the log verifies: {self.said}")
        self.key = new


def start(lab):
    g = D.Guardian(lab)
    g.configure(g.conf.replace("AuditReserve=64K", f"""AuditReserve={RESERVE}
AuditMaxSize={MAX_SIZE}
AuditKeep={KEEP}"""))
    g.policy(POLICY)
    g.start()
    g.account = g.make_account()
    return g


def lacme_garbage(actor, path):
    """Lines that are no request: each ends its connection."""
    actor.ready.set()
    while actor.wait_for_turn():
        s = F.connect_as(0, path)
        s.settimeout(F.PATIENCE_S)
        f = s.makefile("rb")
        if f.readline() and f.readline():
            s.sendall(b"abc\r\n")
            L.expect(f.readline() == b"", "closed")
            actor.counter.value += 1
        s.close()


def refusers(g):
    malformed = F.sign_message({"protected": "e30", "payload": "!"})
    denied = F.sign_message(g.order("evil.example"))
    return {
        DENIED: F.Actor(F.flooder, DENIED, g.client, denied, 20, 20),
        MALFORMED: F.Actor(F.flooder, MALFORMED, g.client, malformed, 20, 20),
        D.NOBODY: F.Actor(F.flooder, D.NOBODY, g.client, F.message(F.LIST), 20,
                          20),
        LACME: F.Actor(lacme_garbage, g.lacme),
    }


def refuse(g, actors, verifier, at_most_s):
    """Until there were enough. Somebody is granted something all the while."""
    begin = time.monotonic()
    most, granted, took = (0, 0), 0, 0.0
    for a in actors.values():
        a.on.set()
    while took < at_most_s and sum(a.count for a in actors.values()) < MILLION:
        error, answer = g.sign_input(D.CLIENT, g.order("example.com"))
        L.expect(not error, f"others are served: {error} {answer}")
        granted += 1
        most = tuple(map(max, zip(most, log_octets(g))))
        if granted % VERIFY_EVERY == 0:
            verifier.verify()
        time.sleep(0.2)
        took = time.monotonic() - begin
    for a in actors.values():
        a.on.clear()
    for uid, a in actors.items():
        if uid != LACME:
            L.wait_for("the last answers", lambda a=a: a.owed.value == 0,
                       F.PATIENCE_S)
    return took, granted, most


def journal_lines(g):
    return len(re.findall(r"acme-guardiand: (?:denied|malformed|refused|lacme|"
                          r"Admin socket|\d+ journal lines)",
                          g.lab.log("guardiand")))


def test_refusals_by_the_million_are_counted_and_fill_nothing():
    with L.Lab("fire") as lab:
        g = start(lab)
        verifier = Verifier(g)
        watch = Watch(g)
        sanitized = F.is_sanitized(g.process.pid)
        before = F.memory_kib(g.process.pid)[0]
        actors = refusers(g)
        took, granted, most = refuse(g, actors, verifier,
                                     15 if sanitized else AT_MOST_S)
        ends = {uid: a.end() for uid, a in actors.items()}
        L.expect(set(ends.values()) == {0}, f"the refused ended well: {ends}")
        sent = {uid: a.count for uid, a in actors.items()}
        resident = F.memory_kib(g.process.pid)[0]

        # A clean stop writes what was counted since the last minute.
        L.expect(g.stop() == 0, "a clean stop")
        watch.join(F.PATIENCE_S)
        watch.add_files(lab.dir / "log")
        L.expect(sorted(watch.lines)[-1] - sorted(watch.lines)[0] + 1 ==
                 len(watch.lines), "the test has seen every line")
        written, counted = watch.refused()
        files = sum(x["type"] == "rotate" for x in watch.lines.values())
        n = sum(sent.values())
        F.told(f"{n:,} refusals in {took:.0f} s, {n / took:,.0f} a second"
               + ("" if n >= MILLION else "; a million would take longer than "
                  f"the {took:.0f} s of this test"))
        told = sum(written.values()), sum(counted.values())
        F.told(f"lines of them {told[0]}, counted {told[1]:,}, lost "
               f"{n - sum(told)}; "
               f"others granted {granted}, {files} times a new file")
        for uid, want in sent.items():
            L.expect(written[uid] + counted[uid] == want,
                     f"uid {uid}: {want} refused, {written[uid]} lines and "
                     f"{counted[uid]} counted: none lost")
        L.expect(n >= 10000, f"a flood: {sent}")
        file_max = -(-(MAX_SIZE + LINE_MAX) // 4096) * 4096  # in blocks
        bound = (KEEP + 2) * file_max + RESERVE
        F.told(f"the audit directory: at most {most[0]:,} octets in files, "
               f"{most[1]:,} on the disk, of {bound:,}")
        L.expect(max(most) <= bound, f"{most} of {bound}")
        L.expect(files >= 10, "the file was rotated")
        found, limit = journal_lines(g), (took // 10 + 6) * JOURNAL_LINES
        F.told(f"journal lines: {found}, of at most {limit:.0f}")
        L.expect(found <= limit, "the journal is limited")
        F.told(f"resident: {before} KiB before, {resident} KiB after")
        L.expect(sanitized or resident < before + 8192, "no memory is kept")

        verifier.verify()
        F.told(f"audit verify, {verifier.n} times, at last: {verifier.said}")


if __name__ == "__main__":
    sys.exit(D.run(globals()))
