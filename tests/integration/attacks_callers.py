#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a caller would try against the daemon: by its messages and connections, and by
who he says that he is."""

import pathlib
import re
import socket
import sys
import time

from admin_roles import NEEDED
from attacks_lab import LIST, SIGN, Raw, message, still_serves
import daemon_lab as D
import lab as L

MESSAGE_MAX = 64 * 1024


def rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


# Messages.

@D.with_guardian()
def test_broken_messages_cost_their_own_connection_only(g):
    good = message(LIST)
    deep = b'{"method":"x","parameters":' + b'{"a":' * 5000
    cases = {
        "a NUL alone": b"\0",
        "many NULs": b"\0" * 1000,
        "no JSON": b"GET / HTTP/1.1\r\n\r\n\0",
        "an array": b"[]\0",
        "no method": b"{}\0",
        "a method that is a number": b'{"method":1}\0',
        "parameters that are an array": b'{"method":"x","parameters":[]}\0',
        "unknown member": b'{"method":"x","extra":1}\0',
        "a member twice": b'{"method":"x","method":"' + LIST.encode()
                          + b'"}\0',
        "NUL in a string": b'{"method":"a\\u0000b"}\0',
        "no UTF-8": b'{"method":"\xff\xfe"}\0',
        "half a surrogate": b'{"method":"\\ud800"}\0',
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "5000 deep": deep + b"1" + b"}" * 5001 + b"\0",
        "5000 open brackets": b"[" * 5000 + b"\0",
        "two values": b"{}{}\0",
        "one and more": message(LIST, oneway=True, more=True),
        "64 KiB without an end": b" " * MESSAGE_MAX,
        "a megabyte without an end": b"x" * (1 << 20),
    }
    for name, data in cases.items():
        with Raw(D.CLIENT, g.client) as c:
            c.send(data)
            L.expect(c.answer() is None, f"{name}: closed without an answer")
    still_serves(g)


@D.with_guardian()
def test_messages_come_as_they_please(g):
    good = message(LIST)
    with Raw(D.CLIENT, g.client) as c:
        for i in range(len(good)):
            c.send(good[i:i + 1])
        L.expect(c.answer()[0] is None, "octet by octet")
    for size, served in ((MESSAGE_MAX, True), (MESSAGE_MAX + 1, False)):
        with Raw(D.CLIENT, g.client) as c:
            pad = b" " * (size - len(good))
            c.send(pad + good)
            got = c.answer()
            L.expect((got is not None) == served, f"{size} octets: {got}")
    with Raw(D.CLIENT, g.client) as c:
        c.send(good * 3 + good[:10])
        c.socket.shutdown(socket.SHUT_WR)
        for _ in range(3):
            L.expect(c.answer()[0] is None, "answered after a half close")
        L.expect(c.answer() is None, "then closed")
    with Raw(D.CLIENT, g.client) as c:
        c.send(message(LIST, oneway=True) + good)
        L.expect(c.answer()[1]["accounts"], "one way: no answer, then one")


@D.with_guardian()
def test_floods_hurt_their_sender(g):
    pid = g.process.pid
    still_serves(g)
    before = rss_kib(pid)
    sign = message(SIGN, {"account": "test",
                          **g.order("other.example.com", "evil.example")})
    crowd = [Raw(D.OTHER, g.client) for _ in range(20)]
    for c in crowd:
        c.socket.setblocking(False)
    sent = 0
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for c in crowd:
            try:
                sent += c.socket.send(sign * 20)
            except BlockingIOError:
                pass
            except OSError:
                pass
    L.expect(sent > 1 << 20, f"a flood of {sent} octets")
    still_serves(g)
    grown = rss_kib(pid) - before
    # A sanitizer keeps freed memory back, for a while.
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    allowed = 300000 if "libasan" in maps else 12000
    L.expect(grown < allowed, f"who reads no answers costs {grown} KiB")
    for c in reversed(crowd):
        c.__exit__()
    still_serves(g)


@D.with_guardian()
def test_a_user_has_64_connections(g):
    crowd = [Raw(D.OTHER, g.client) for _ in range(64)]
    for c in crowd:
        c.send(message(LIST))
        L.expect(c.answer()[0] is None, "64 are served")
    with Raw(D.OTHER, g.client) as c:
        c.send(message(LIST))
        L.expect(c.answer() is None, "the 65th is not")
    still_serves(g)
    crowd.pop().__exit__()

    def served():
        with Raw(D.OTHER, g.client) as c:
            c.send(message(LIST))
            return c.answer() is not None

    L.wait_for("a free place", served)
    for c in reversed(crowd):
        c.__exit__()


@D.with_guardian()
def test_who_goes_away_while_signed_for_breaks_nothing(g):
    for i in range(60):
        with Raw(D.CLIENT, g.client) as c:
            c.send(message(SIGN, {"account": "test",
                                  **g.order("example.com")}) * (1 + i % 3))
    for _ in range(20):
        c = D.Lacme(g.lacme)
        c.greeting()
        r = g.order("example.com")
        c.socket.sendall(f"{r['protected']}.{r['payload']}\r\n".encode() * 2)
        c.socket.close()
    still_serves(g)


# Who is asking.

@D.with_guardian()
def test_a_connection_is_its_makers(g):
    """Handing a descriptor on hands on what its maker may, nothing else."""
    with D.AsUser(D.OTHER, g.client) as v:
        # This process is root, whom the policy grants example.com.
        D.expect_error(v.call(SIGN, {"account": "test",
                                     **g.order("example.com")}),
                       "PolicyDenied", reason="identifier-not-allowed")
    with D.AsUser(D.NOBODY, g.client) as v:
        D.expect_error(v.call(LIST), "PolicyDenied", reason="no-rule")


@D.with_guardian()
def test_nobody_matches_no_rule(g):
    for user in ("065534", "65534", "4294967295", "4294967296",
                 "99999999999999999999"):
        g.policy(f"[Client]\nUser={user}\n[Allow]\nAccount=test\n"
                 "Domain=example.com\n")
        D.expect_error(g.ask_admin("Reload"), "ConfigurationInvalid", line=2)
    group = "[Client]\nGroup=0 61299\n[Allow]\nAccount=test\n" \
            "Domain=example.com\n"
    for user in ("+1000", "01000x", "0x3e8", "1000.0", "-1"):
        g.policy(f"[Client]\nUser={user}\n[Allow]\nAccount=test\n"
                 f"Domain=example.com\n{group}")
        g.ask_admin("Reload")
        D.expect_error(g.sign_input(D.CLIENT, g.order("example.com")),
                       "PolicyDenied", reason="no-rule")
    g.policy(f"[Client]\nUser={D.CLIENT}\nGroup=61299\n[Allow]\nAccount=test\n"
             "Domain=example.com\n" + group)
    g.must("Reload")
    D.expect_error(g.sign_input(D.CLIENT, g.order("example.com")),
                   "PolicyDenied", reason="no-rule")
    D.expect_error(g.sign_input(65534, g.order("example.com")),
                   "PolicyDenied", reason="no-rule")


ROLES = {D.NOBODY: 0, D.MONITOR: 1, D.OPS: 2, 0: 3}


@D.with_guardian()
def test_every_admin_method_asks_for_its_role(g):
    with D.AsUser(0, g.admin) as v:
        text = v.call("org.varlink.service.GetInterfaceDescription", {
            "interface": D.ADMIN.rstrip(".")})[1]["description"]
    methods = set(re.findall(r"^method (\w+)", text, re.M))
    L.expect(methods == set(NEEDED),
             f"each method is in the table: {methods ^ set(NEEDED)}")
    for uid, role in ROLES.items():
        for method, needed in NEEDED.items():
            with Raw(uid, g.admin) as c:
                # What no method takes: who may call gets no further than that.
                c.send(message(D.ADMIN + method, {"never": 1}))
                got = c.answer()
            if role == 0:
                L.expect(got is None, f"{method} without a role: {got}")
                continue
            want = (D.ADMIN + "NotPermitted" if role < needed
                    else "org.varlink.service.InvalidParameter")
            L.expect(got[0] == want, f"{method} as {uid}: {got}")
    with Raw(D.CLIENT, g.client) as c:
        c.send(message(D.ADMIN + "Status"))
        L.expect(c.answer()[0] == "org.varlink.service.InterfaceNotFound",
                 "no admin on the client socket")
    with Raw(0, g.admin) as c:
        c.send(message(LIST))
        L.expect(c.answer()[0] == "org.varlink.service.InterfaceNotFound",
                 "no signer on the admin socket")


@D.with_guardian()
def test_a_lost_role_ends_the_stream(g):
    with D.AsUser(D.MONITOR, g.admin) as m, D.AsUser(D.OPS, g.admin) as o:
        for v in (m, o):
            v.send(D.ADMIN + "Watch", more=True)
        still_serves(g)
        g.configure(g.conf.replace(f"MonitorUser={D.MONITOR}\n", ""))
        g.must("Reload")
        got = None
        while not got:
            got, _ = m.receive()
        L.expect(got == D.ADMIN + "Busy", f"the monitor's ends: {got}")
        still_serves(g)
        m.send(D.ADMIN + "Status")
        L.expect(m.receive()[0] == D.ADMIN + "NotPermitted", "nor anything")
        L.expect(o.receive()[0] is None, "the other's goes on")


if __name__ == "__main__":
    sys.exit(D.run(globals()))
