# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many callers at once: crowds of connections of other uids, clients that are
counted, and a flooder, each in a process of its own."""

import json
import multiprocessing
import os
import pathlib
import re
import resource
import select
import signal
import socket
import time

import daemon_lab as D
import lab as L

SIGN = D.SIGNER + "SignInput"
LIST = D.SIGNER + "ListAccounts"
PATIENCE_S = 120


def message(method, parameters=None, **more):
    return json.dumps({"method": method, "parameters": parameters or {},
                       **more}).encode() + b"\0"


def sign_message(request, account="test"):
    return message(SIGN, {"account": account, **request})


def told(text):
    """What a test tried and what came of it; scripts/test shows it."""
    print(f"# {text}", flush=True)


def memory_kib(pid):
    """(resident, the most it ever was)"""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"{name}:\s+(\d+)", text)[1])
                 for name in ("VmRSS", "VmHWM"))


def is_sanitized(pid):
    return "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def allow_many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connect_as(uid, path):
    """A connection of that uid; only in a process that has nothing else to
    do, since for a moment all of it is that uid."""
    s = socket.socket(socket.AF_UNIX)
    os.setegid(uid)
    os.seteuid(uid)
    try:
        s.connect(str(path))
    finally:
        os.seteuid(0)
        os.setegid(0)
    return s


class Actor:
    """A process that does @work(actor, ...). It begins and ends its turns when
    it is told to; count is what it has achieved so far."""

    def __init__(self, work, *args):
        context = multiprocessing.get_context("fork")
        self.counter = context.Value("Q", 0, lock=False)
        self.owed = context.Value("q", 0, lock=False)
        self.on = context.Event()
        self.ready = context.Event()
        self.over = context.Event()
        self.process = context.Process(target=self._run, args=(work, args),
                                       daemon=True)
        self.process.start()
        L.expect(self.ready.wait(PATIENCE_S), f"{work.__name__} is ready")

    def _run(self, work, args):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.setgroups([])
        allow_many_descriptors()
        work(self, *args)

    def wait_for_turn(self):
        """Its loops call this: True as long as there is something to do."""
        while not self.on.is_set() and not self.over.is_set():
            self.on.wait(0.05)
        return not self.over.is_set()

    @property
    def count(self):
        return self.counter.value

    def end(self):
        self.over.set()
        self.on.set()
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        return self.process.exitcode


def ask(s, request, wanted):
    s.sendall(request)
    answer = b""
    while not answer.endswith(b"\0"):
        data = s.recv(65536)
        if not data:
            raise ConnectionResetError("closed")
        answer += data
    if wanted not in answer:
        raise L.Failed(f"{wanted} in {answer}")


def client(actor, uid, path, request, wanted):
    """One connection, one request after the other: what a client does that has
    much to do. An answer without @wanted ends it."""
    s = connect_as(uid, path)
    s.settimeout(PATIENCE_S)
    actor.ready.set()
    while actor.wait_for_turn():
        for _ in range(10):
            ask(s, request, wanted)
            actor.counter.value += 1
    s.close()


def flooder(actor, uid, path, request, connections, ahead):
    """As many requests as it can over so many connections, @ahead of each at
    once, in big writes."""
    os.nice(15)  # who waits comes first: not how the kernel shares is measured
    peers = [connect_as(uid, path) for _ in range(connections)]
    poll = select.epoll()
    for i, s in enumerate(peers):
        s.setblocking(False)
        poll.register(s, select.EPOLLIN)
    by_fd = {s.fileno(): s for s in peers}
    owed = {s.fileno(): b"" for s in peers}
    out = {fd: 0 for fd in owed}
    actor.ready.set()  # owed.value: requests that are not answered yet

    def push(fd):
        """Fill up; what does not fit is sent later."""
        if actor.on.is_set() and out[fd] <= ahead // 2:
            owed[fd] += request * (ahead - out[fd])
            actor.owed.value += ahead - out[fd]
            out[fd] = ahead
        if owed[fd]:
            try:
                owed[fd] = owed[fd][by_fd[fd].send(owed[fd]):]
            except BlockingIOError:
                pass

    running = False
    while not actor.over.is_set():
        if actor.on.is_set() and not running:
            for fd in by_fd:
                push(fd)
        running = actor.on.is_set()
        for fd, _ in poll.poll(0.02, 256):
            data = by_fd[fd].recv(1 << 18)
            if not data:
                raise ConnectionResetError("closed")
            n = data.count(b"\0")
            actor.counter.value += n
            actor.owed.value -= n
            out[fd] -= n
            push(fd)
    for s in peers:
        s.close()


class Fairness:
    """Clients measured in turn alone and beside a flooder, in one run. What
    they keep is the median of the rounds' ratios."""

    def __init__(self, clients, flood, seconds=0.8, rounds=3):
        self.clients, self.flood = clients, flood
        self.seconds, self.rounds = seconds, rounds

    def _during(self, beside):
        """Rates a second: each client's, and the flooder's."""
        actors = self.clients + [self.flood]
        if beside:
            self.flood.on.set()
        time.sleep(0.2)
        before = [a.count for a in actors]
        begin = time.monotonic()
        time.sleep(self.seconds)
        took = time.monotonic() - begin
        after = [a.count for a in actors]
        self.flood.on.clear()
        L.wait_for("an answer to all of the flood",
                   lambda: self.flood.owed.value == 0, PATIENCE_S)
        for a in actors:
            L.expect(a.process.is_alive(), "nobody's connection has ended")
        return [(y - x) / took for x, y in zip(before, after)]

    def run(self):
        for c in self.clients:
            c.on.set()
        time.sleep(0.5)
        found = []
        for _ in range(self.rounds):
            *alone, _ = self._during(False)
            *beside, flood = self._during(True)
            found.append((sum(beside) / max(sum(alone), 1e-9),
                          min(b / max(a, 1e-9)
                              for a, b in zip(alone, beside)),
                          sum(alone), sum(beside), flood))
        found.sort()
        return found[len(found) // 2]
