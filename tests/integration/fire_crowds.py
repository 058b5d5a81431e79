#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Crowds: 1,000 connections that send an octet a second, storms of connections,
broken messages and descriptors; what of it others notice, and what is left."""

import array
import contextlib
import os
import random
import select
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import fire_lab as F  # noqa: E402
import lab as L  # noqa: E402

CROWD_UIDS = range(61230, 61246)
PER_UID = 64  # ConnectionsPerUser='s default
STORM = 61250
SERVED = 61251
SLOW_S = 12
STORM_S = 6

POLICY = f"""[Client]
User={SERVED}
[Allow]
Account=test
Domain=example.com
OrdersPerDay=1000000

[Client]
User={STORM}
[Allow]
Account=test
Domain=storm.example.com
"""


class Served:
    """A client that asks all the time, and how long it waited at most."""

    def __init__(self, g):
        request = F.sign_message(g.order("example.com"))
        self.actor = F.Actor(timed_client, SERVED, g.client, request)
        self.actor.on.set()

    def end(self):
        self.actor.over.set()
        L.expect(self.actor.end() == 0, "who was served was served to the end")
        return self.actor.count, self.actor.owed.value


def timed_client(actor, uid, path, request):
    s = F.connect_as(uid, path)
    s.settimeout(F.PATIENCE_S)
    actor.ready.set()
    while actor.wait_for_turn():
        began = time.monotonic()
        F.ask(s, request, b'"signature"')
        actor.counter.value += 1
        waited = int(1000 * (time.monotonic() - began))
        actor.owed.value = max(actor.owed.value, waited)
        time.sleep(0.002)
    s.close()


class Leaks:
    """Descriptors and memory, before and after."""

    def __init__(self, g):
        self.pid = g.process.pid
        self.fds = F.descriptors(self.pid)
        self.resident, self.most = F.memory_kib(self.pid)

    def check(self, what, allowed_kib):
        L.wait_for("as few descriptors as before",
                   lambda: F.descriptors(self.pid) <= self.fds)
        resident, most = F.memory_kib(self.pid)
        F.told(f"{what}: descriptors {self.fds} before, "
               f"{F.descriptors(self.pid)} after; VmRSS {self.resident} KiB "
               f"before, {resident} after; VmHWM {self.most} before, {most} "
               f"after")
        # A sanitizer keeps freed memory back, for a while.
        if F.is_sanitized(self.pid):
            return
        L.expect(most - self.most <= allowed_kib,
                 f"{most - self.most} KiB at most {allowed_kib}")


def slow_crowd(actor, path, request):
    """An octet a second on each; a quarter sends nothing at all."""
    peers = [F.connect_as(uid, path) for uid in CROWD_UIDS
             for _ in range(PER_UID)]
    extra = [F.connect_as(uid, path) for uid in CROWD_UIDS]
    for s in extra:
        s.settimeout(F.PATIENCE_S)
        L.expect(s.recv(1) == b"", "above the limit: closed at once")
        s.close()
    actor.counter.value = len(peers)
    actor.ready.set()
    at = 0
    while actor.wait_for_turn():
        begin = time.monotonic()
        for i, s in enumerate(peers):
            if i % 4:
                s.send(request[at:at + 1])
        at += 1
        actor.owed.value = at * (len(peers) - len(peers[::4]))
        time.sleep(max(0, 1 - (time.monotonic() - begin)))
    # They are served like anybody, once they have asked.
    for i, s in enumerate(peers):
        s.settimeout(F.PATIENCE_S)
        s.sendall(request[at if i % 4 else 0:])
    for s in peers:
        L.expect(b"no-rule" in s.recv(65536), "an answer in the end")
        s.close()


@D.with_guardian(before=lambda g: g.policy(POLICY))
def test_a_thousand_connections_that_send_an_octet_a_second(g):
    leaks = Leaks(g)
    served = Served(g)
    time.sleep(SLOW_S / 2)
    alone = served.actor.count / (SLOW_S / 2)
    crowd = F.Actor(slow_crowd, g.client, F.message(F.LIST))
    L.expect(crowd.count == len(CROWD_UIDS) * PER_UID, "1,024 are connected")
    crowd.on.set()
    before = served.actor.count
    connections = g.must("Status")["connections"]
    time.sleep(SLOW_S)
    beside = (served.actor.count - before) / SLOW_S
    octets = crowd.owed.value
    L.expect(crowd.end() == 0, "the crowd had its answers in the end")
    n, worst = served.end()
    F.told(f"{connections} connections of {len(CROWD_UIDS)} uids, {octets:,} "
           f"octets, one a second on three of four; each uid's {PER_UID + 1}th "
           f"is closed at once")
    F.told(f"another client, at its own pace: {alone:.0f} answers a second "
           f"before and {beside:.0f} beside them, {n} in all, none lost, the "
           f"slowest in {worst} ms")
    leaks.check("the crowd", 16 * 1024)


def storm_of_connections(actor, path):
    """Connect and go; some say something first."""
    said = [b"", b"{", F.message(F.LIST), F.message(F.LIST) * 3,
            F.message(F.LIST, oneway=True), b"x" * 5000]
    actor.ready.set()
    i = 0
    while actor.wait_for_turn():
        for _ in range(20):
            s = F.connect_as(STORM, path)
            s.setblocking(False)
            with contextlib.suppress(OSError):
                s.send(said[i % len(said)])
            s.close()
            i += 1
        actor.counter.value = i


def frames(actor, path):
    """Halves, giants, garbage; and what one connection cannot hold."""
    chance = random.Random(7)
    huge = b'{"method":"' + b"x" * 70000
    whole = F.message(F.LIST)
    actor.ready.set()
    i = 0
    while actor.wait_for_turn():
        peers = [F.connect_as(STORM, path) for _ in range(30)]
        for s in peers:
            s.setblocking(False)
            i += 1
            data = chance.choice([whole[:chance.randrange(len(whole))],
                                  huge, huge * 20, b"\0" * 300, b"[" * 60000,
                                  os.urandom(2000), whole * 300 + whole[:5]])
            with contextlib.suppress(OSError):
                s.send(data)
        for s in peers:
            with contextlib.suppress(OSError):
                if chance.random() < 0.5:
                    s.recv(1000)
            s.close()
        actor.counter.value = i


def send_descriptors(s, data, fds):
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                        array.array("i", fds))])


def descriptors_in(actor, path):
    """Pipes, up to what one message can carry, with requests and without; when
    the daemon keeps none, the other end of each is told so."""
    whole = F.message(F.LIST)
    actor.ready.set()
    n = 0
    while actor.wait_for_turn():
        s = F.connect_as(STORM, path)
        s.settimeout(F.PATIENCE_S)
        ours, theirs = os.pipe()
        try:
            send_descriptors(s, whole[:9], [theirs] * 253)
            send_descriptors(s, whole[9:], [theirs] * 253)
            send_descriptors(s, whole, [theirs])
            os.close(theirs)
            theirs = -1
            got = b""
            while got.count(b"\0") < 2:
                data = s.recv(65536)
                L.expect(data, "who sends descriptors is answered")
                got += data
            # Still connected: nobody but the daemon could hold an end.
            ready, _, _ = select.select([ours], [], [], F.PATIENCE_S)
            L.expect(ready and os.read(ours, 1) == b"",
                     "descriptors that came in are closed")
            n += 507
            actor.counter.value = n
        finally:
            if theirs >= 0:
                os.close(theirs)
            os.close(ours)
            s.close()


def storm(g, what, work, unit, allowed_kib=16 * 1024):
    leaks = Leaks(g)
    served = Served(g)
    actor = F.Actor(work, g.client)
    actor.on.set()
    L.wait_for(f"a {what}", lambda: actor.count > 0 or
               not actor.process.is_alive(), F.PATIENCE_S)
    time.sleep(STORM_S)
    count = actor.count
    L.expect(actor.end() == 0, f"{what}: to the end")
    n, worst = served.end()
    L.expect(n > 0 and count > 0, f"{n} answers beside {count}")
    F.told(f"{what}: {count:,} {unit} in {STORM_S} s; beside them {n} answers, "
           f"none lost, the slowest in {worst} ms")
    leaks.check(what, allowed_kib)


@D.with_guardian(before=lambda g: g.policy(POLICY))
def test_storms_leave_nothing_behind(g):
    storm(g, "a storm of connections", storm_of_connections, "connections")
    storm(g, "broken frames", frames, "connections")
    storm(g, "descriptors", descriptors_in, "descriptors passed in")


if __name__ == "__main__":
    sys.exit(D.run(globals()))
