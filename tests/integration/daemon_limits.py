#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user may ask for at most, and what everybody is stopped by."""

import json
import sys

from daemon_lab import (ACCOUNT_URL, CLIENT, ENDPOINTS, MONITOR, OPS, OTHER,
                        Lacme, expect_error, jws, run, with_guardian)
import lab as L


@with_guardian()
def test_orders_per_day_hold_across_a_restart(g):
    def order(spaces):
        return jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "n",
                    "url": ENDPOINTS["newOrder"]},
                   '{"identifiers":' + " " * spaces +
                   '[{"value":"other.example.com","type":"dns"}]}')
    # The same payload again within a minute is one order.
    for spaces in (0, 0, 1):
        error, answer = g.sign_input(OTHER, order(spaces))
        L.expect(not error, f"{error} {answer}")
    third = order(2)
    for _ in range(2):
        got = g.sign_input(OTHER, third)
        expect_error(got, "RateLimited")
        L.expect(86000000 < got[1]["retryAfterMs"] <= 86401000, str(got))
        g.restart()


@with_guardian()
def test_requests_per_minute_are_limited_for_a_user(g):
    g.configure(g.conf.replace("Minute=10000000", "Minute=2"))
    g.restart()
    for _ in range(2):
        error, answer = g.sign_input(CLIENT, g.order("example.com"))
        L.expect(not error, f"{error} {answer}")
    got = g.sign_input(CLIENT, g.order("example.com"))
    expect_error(got, "RateLimited")
    L.expect(0 < got[1]["retryAfterMs"] <= 30001, str(got))
    error, answer = g.sign_input(OTHER, g.order("other.example.com"))
    L.expect(not error, f"another user: {error} {answer}")
    lines = [x for x in g.audit_lines() if x.get("operation") == "order"]
    L.expect([x["verdict"] for x in lines] ==
             ["allowed", "allowed", "refused", "allowed"], str(lines))
    L.expect(lines[2]["reason"] == "requests-per-minute", str(lines[2]))
    size = len(json.dumps(lines[0], separators=(",", ":")))
    L.expect(400 < size < 1000, f"a line has {size} bytes")


@with_guardian()
def test_calls_of_operators_cannot_call_the_log_away(g):
    g.configure(g.conf.replace("Minute=10000000", "Minute=2"))
    g.restart()
    for method, uid in (("Status", MONITOR), ("Reload", OPS)):
        for _ in range(2):
            g.must(method, uid=uid)
        before = len(g.audit_lines())
        got = g.ask_admin(method, uid=uid)
        expect_error(got, "Busy")
        L.expect(0 < got[1]["retryAfterMs"] <= 30001, str(got))
        L.expect(len(g.audit_lines()) == before, "no line")
    for _ in range(4):
        g.must("Status")


@with_guardian()
def test_suspend_stops_signing_at_once_and_across_restarts(g):
    order = g.order("example.com")
    for scope, name in (("all", None), ("account", "test"),
                        ("client", str(CLIENT))):
        g.must("Suspend", {"scope": scope, "name": name})
        expect_error(g.sign_input(CLIENT, order), "PolicyDenied",
                     reason="suspended")
        expect_error(g.ask(CLIENT, "KeyAuthorization", {"token": "abc"}),
                     "PolicyDenied", reason="suspended")
        g.restart()
        expect_error(g.sign_input(CLIENT, order), "PolicyDenied",
                     reason="suspended")
        status = g.must("Status")
        L.expect([s["scope"] for s in status["suspensions"]] == [scope],
                 str(status))
        if scope == "client":
            error, answer = g.sign_input(0, order)
            L.expect(not error, f"others go on: {error} {answer}")
        g.must("Resume", {"scope": scope, "name": name})
        error, answer = g.sign_input(CLIENT, order)
        L.expect(not error, f"resumed: {error} {answer}")
    expect_error(g.ask_admin("Resume", {"scope": "all"}), "WrongState")
    expect_error(g.ask_admin("Suspend", {"scope": "account", "name": "no"}),
                 "NoSuchAccount")
    expect_error(g.ask_admin("Suspend", {"scope": "client", "name": "caddy"}),
                 "InvalidValue")


@with_guardian()
def test_too_many_connections_of_one_user(g):
    open_ones = []
    g.configure(g.conf.replace("[Roles]", "ConnectionsPerUser=3\n[Roles]"))
    g.restart()
    for i in range(3):
        c = Lacme(g.lacme)
        L.expect(c.greeting()[0], f"connection {i}")
        open_ones.append(c)
    L.expect(Lacme(g.lacme).greeting() == ("", ""), "the fourth is closed")
    open_ones.pop().socket.close()


@with_guardian()
def test_users_together_cannot_use_up_the_descriptors(g):
    limits = g.lab.run(["prlimit", f"--pid={g.process.pid}", "--nofile",
                        "--noheadings", "--output=SOFT,HARD"]).stdout.split()
    L.expect(limits[0] == limits[1], f"soft limit as the hard one: {limits}")


if __name__ == "__main__":
    sys.exit(run(globals()))
