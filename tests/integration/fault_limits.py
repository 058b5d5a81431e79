#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Too few descriptors and too little memory: what is refused, that no answer is
a wrong one, and that it comes back."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import fault_lab as F  # noqa: E402
import lab as L  # noqa: E402

SLACK = 12  # descriptors beyond those that it has
SPARE = 8   # SPARE_FDS of ipc/varlink-server.c


def set_limit(g, pid, what, value):
    g.lab.run(["prlimit", f"--pid={pid}", f"--{what}={value}:"])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_s(pid):
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_of(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", text)[1])


def helper_of(g):
    for pid in L.descendants(g.process.pid):
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if words[0] == b"acme-guardian-token":
            return pid
    raise L.Failed("no helper")


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(str(path))
    return s


def asks(s):
    s.sendall(json.dumps({"method": D.SIGNER + "GetAccount",
                          "parameters": {"account": "test"}}).encode() + b"\0")


def is_answered(s):
    answer = b""
    while not answer.endswith(b"\0"):
        data = s.recv(65536)
        if not data:
            return False
        answer += data
    return b"error" not in answer


def test_more_connections_than_descriptors():
    """Those who are in are served; others wait, and are when there is room."""
    with F.guardian(ConnectionsPerUser=10000, AuditMaxSize="16K") as g:
        pid = g.process.pid
        # A user whose name must be looked up, which needs a descriptor.
        g.policy("[Client]\nUser=daemon\n[Allow]\nAccount=test\n"
                 "Domain=example.com\n\n" + F.POLICY)
        g.must("Reload")
        with D.AsUser(D.CLIENT, g.client) as early, \
                D.AsUser(1, g.client) as named:
            # Nobody has asked so far: who "daemon" is will be looked up.
            set_limit(g, pid, "nofile", descriptors(pid) + SLACK)
            waiting = [connect(path) for _ in range(3 * SLACK)
                       for path in (g.client, g.admin)]
            L.wait_for("all but its own", lambda: descriptors(pid) >=
                       limit_of(pid) - SPARE)
            error = g.try_sign(named)
            L.expect(not error, f"who is known by name is served: {error}")
            for _ in range(100):  # and files of the log end meanwhile
                error = g.try_sign(early)
                L.expect(not error, f"who is connected is served: {error}")
            helper = helper_of(g)
            os.kill(helper, signal.SIGKILL)
            L.wait_for("another helper, or that there is none", lambda:
                       g.try_sign(early) in (None, D.SIGNER +
                                             "TokenUnavailable"))
            used = cpu_s(pid)
            time.sleep(3)
            used = cpu_s(pid) - used
            L.expect(used < 1, f"it waits, and used {used} s of 3 s")
            clients = waiting[::2]
            for s in clients:
                asks(s)
            for s in waiting[1::2]:
                s.close()
            served = serve_in_turn(clients)
            set_limit(g, pid, "nofile", 20000)
            L.wait_for("a signature", lambda: not g.try_sign(early))
        g.signs_again("with descriptors")
        g.wait_until_ready()
        L.expect(g.process.poll() is None, "one process")
        g.end()
        F.tried(f"{len(waiting)} connections where {SLACK} descriptors were "
                f"left, and the helper killed: who was connected was served "
                f"100 times of 100, {served} of {len(clients)} who waited "
                f"were when there was room, {used:.2f} s of processor in 3 s",
                g.nothing_is_lost())


def limit_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            return int(line.split()[3])
    raise L.Failed("no limit")


def serve_in_turn(clients):
    """Each is answered once, and makes room for others."""
    served = 0
    for s in clients:
        L.expect(is_answered(s), "who waited is served")
        s.close()
        served += 1
    return served


def rest_of_memory(pid, kib):
    return 1024 * (status_of(pid, "VmSize") + kib)


def press(g, seconds):
    """Many, and large: what needs memory. None of it is signed."""
    end = time.monotonic() + seconds
    held = []
    large = json.dumps({"method": D.SIGNER + "SignInput", "parameters": {
        "account": "test", "protected": "e" * 30000,
        "payload": "e" * 30000}}).encode()
    while time.monotonic() < end and len(held) < 1500:
        with contextlib.suppress(OSError):
            s = connect(g.client)
            s.settimeout(0.2)
            # It never ends. Small ones take what no large one fits into.
            s.sendall(large[:(len(large), 4000, 500)[len(held) % 3]])
            held.append(s)
    return held


def big_policy():
    return F.POLICY + "".join(
        f"[Client]\nUser={80000 + n}\n[Allow]\nAccount=test\nDomain=" +
        " ".join(f"w{i}.n{n}.example.com" for i in range(1000)) + "\n"
        for n in range(60))


def test_memory_runs_out():
    """An address space that is used up: what is refused is refused, what is
    answered is right, and when it ends it is started again."""
    with F.guardian(ConnectionsPerUser=2000) as g:
        with F.supervised(g) as s:
            clients = F.Clients(g, 4)
            pids, refused = {s.process.pid}, 0
            for kib in (4096, 1024, 256, 64, 0):
                g.wait_until_ready()
                pid = s.process.pid
                pids.add(pid)
                with contextlib.suppress(L.Failed, OSError, TypeError):
                    set_limit(g, pid, "as", rest_of_memory(pid, kib))
                g.policy(big_policy())
                held = press(g, 2)
                for method in ("Reload", "Status", "AccountList", "Metrics"):
                    with contextlib.suppress(OSError, L.Failed):
                        refused += g.ask_admin(method)[0] is not None
                for h in held:
                    h.close()
                g.policy(F.POLICY)
                with contextlib.suppress(L.Failed):
                    set_limit(g, s.process.pid, "as", "unlimited")
            g.wait_until_ready()
            pids.add(s.process.pid)
            told = clients.end()
            L.expect(refused > 0 or len(pids) > 1, "the limits were reached")
            g.must("Reload")
            g.signs_again("with memory")
        F.tried(f"address space that ended at 4096 to 0 KiB more than was "
                f"used, with up to 1,500 unfinished requests, 60,000 names to "
                f"load and 4 clients: {refused} admin calls refused, "
                f"{len(pids) - 1} times started again, clients were told {dict(told)}",
                g.nothing_is_lost())


def main():
    return F.run_alone([test_more_connections_than_descriptors,
                         test_memory_runs_out])


if __name__ == "__main__":
    sys.exit(main())
