#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The wall clock jumps while the daemon runs: what goes by it follows, what
must not go by it does not, and nothing is forgotten.

The clock is a fake one (tests/tools/fake-clock.c), of the daemon and its
children alone: machines share theirs.
"""

import datetime
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import fault_lab as F  # noqa: E402
import lab as L  # noqa: E402

FAKE_CLOCK = L.BUILD / "tests/tools/fake-clock.so"
DAY = 24 * 3600
JUMPS = (3600, -3600, 400 * DAY, -400 * DAY, 25 * 365 * DAY, -10000 * DAY)
POLICY = f"""[Client]
User={D.CLIENT}
[Allow]
Account=test
Domain=example.com
OrdersPerDay=3
MaxValidity=10d
[Client]
User={D.OTHER}
[Allow]
Account=test
Domain=example.com
"""


class Clocked:
    """A daemon whose clock can be set."""

    def __init__(self, lab, **settings):
        self.g = F.Guardian(lab, **settings)
        self.g.policy(POLICY)
        self.set(0)
        start = self.g.start
        self.g.start = lambda: start(
            LD_PRELOAD=str(FAKE_CLOCK), FAKE_CLOCK=str(lab.dir / "clock"))
        self.g.begin()

    def set(self, ahead):
        """Whole at each moment: it is read for each question."""
        self.ahead = ahead
        new = self.g.lab.file("clock.new", f"{ahead} 1\n")
        new.rename(self.g.lab.dir / "clock")

    def now(self):
        return time.time() + self.ahead


def clocked(**settings):
    def decorate(fn):
        def case():
            with L.Lab("fault") as lab:
                c = Clocked(lab, **settings)
                what = fn(c, c.g)
                c.g.end()
                F.tried(what, c.g.nothing_is_lost())
        case.__name__ = fn.__name__
        return case
    return decorate


def text_of(seconds):
    t = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text):
    return datetime.datetime.fromisoformat(
        text.replace("Z", "+00:00")).timestamp()


def as_other(g):
    request = g.request()
    error, answer = g.sign_input(D.OTHER, request)
    if not error:
        g.keep.keep(request, answer["signature"])
    return error


@clocked()
def test_signing_goes_on_and_the_log_says_what_the_clock_said(c, g):
    before = g.must("AuditHead")["line"]
    for jump in JUMPS:
        c.set(jump)
        L.expect(not as_other(g), f"{jump}: signed")
        line = max(F.audit_lines(g.lab.dir / "log"), key=lambda x: x["n"])
        L.expect(abs(seconds_of(line["time"]) - c.now()) < 600,
                 f"{jump}: {line['time']} at {text_of(c.now())}")
        L.expect(line["n"] > before, "the number is what orders them")
        before = line["n"]
        if jump in JUMPS[2:]:
            g.restart()
            L.expect(not as_other(g), f"{jump}: after a start, too")
        g.must("AuditRotate")
    c.set(0)
    return f"the clock set {len(JUMPS)} times, by -27 to +25 years, with " \
        "starts and new log files between"


@clocked(RequestsPerMinute="5")
def test_requests_per_minute_do_not_go_by_it(c, g):
    def until_limited():
        n = 0
        while not (error := as_other(g)):
            n += 1
            L.expect(n < 1000, "limited")
        L.expect(error == D.SIGNER + "RateLimited", str(error))
        return n
    L.expect(until_limited() >= 5, "the burst")
    for jump in JUMPS:
        began = time.monotonic()
        c.set(jump)
        n = until_limited()
        # What the time that really went by gives: one each 12 s.
        most = (time.monotonic() - began) / 12 + 1
        L.expect(n <= most, f"{jump}: {n} requests won by a jump")
    # And it ends, whatever the clock says.
    L.wait_for("the next one", lambda: not as_other(g))
    return "RequestsPerMinute= under the same jumps: none won, none lost"


@clocked()
def test_orders_per_day_are_not_forgotten(c, g):
    limited = D.SIGNER + "RateLimited"
    for _ in range(3):
        g.signs("within the day's")
    for jump in (-3600, -30 * DAY, -4000 * DAY, 3600 - int(time.time()), 0,
                 DAY + 120, 400 * DAY, 0):
        c.set(jump)
        L.expect(g.try_sign() == limited, f"not by a jump of {jump} s")
    for back in (-3600, -4000 * DAY, 3600 - int(time.time()), 0):
        c.set(back)  # to 1970, where a host without a clock begins
        g.restart()
        L.expect(g.try_sign() == limited, f"nor by a start {back} s off")
    c.set(DAY + 120)
    g.restart()
    for _ in range(3):
        g.signs("what the log has is a day old")
    L.expect(g.try_sign() == limited, "three of them")
    c.set(0)
    L.expect(g.try_sign() == limited, "set right")
    g.restart()
    L.expect(g.try_sign() == limited, "and those of the future count")
    return "OrdersPerDay= under jumps and starts from 1970 to 400 days " \
        "ahead: no order was forgotten"


@clocked()
def test_dates_of_an_order_are_judged_by_it(c, g):
    def ask(not_after):
        request = g.order("example.com", notAfter=text_of(not_after))
        error, answer = g.sign_input(D.CLIENT, request)
        if not error:
            g.keep.keep(request, answer["signature"])
            return None
        return answer.get("reason", error)
    end = c.now() + 5 * DAY
    L.expect(ask(end) is None, "within MaxValidity=")
    c.set(-30 * DAY)
    reason = ask(end)
    L.expect(reason == "validity-not-allowed", f"35 days away: {reason}")
    c.set(0)
    L.expect(ask(end) is None, "and again")
    return "MaxValidity= 30 days back: refused, and allowed when it was right"


@clocked()
def test_suspended_and_denied_stay_so(c, g):
    g.must("Suspend", {"scope": "client", "name": str(D.OTHER)})
    g.must("NameDeny", {"domain": "bad.example.com"})
    for jump in JUMPS:
        c.set(jump)
        error, answer = g.sign_input(D.OTHER, g.request())
        L.expect(error == D.SIGNER + "PolicyDenied" and
                 answer["reason"] == "suspended", f"{jump}: {error} {answer}")
        g.restart()
        error, _ = g.sign_input(D.OTHER, g.request())
        L.expect(error == D.SIGNER + "PolicyDenied", f"{jump}: after a start")
        names = g.must("NameDenied")["names"]
        L.expect([n["domain"] for n in names] == ["bad.example.com"],
                 str(names))
    c.set(0)
    g.must("Resume", {"scope": "client", "name": str(D.OTHER)})
    L.expect(not as_other(g), "resumed")
    return "a suspended client and a denied name under the same jumps: " \
        "neither was let in"


@clocked()
def test_the_proof_of_an_account_and_persist_until(c, g):
    issuer, until = "ca.example", int(c.now()) + 30 * DAY
    g.must("AccountSetIssuers", {"name": "test", "issuers": [issuer]})

    def prove():
        g.must("AccountProven", {"name": "test", "url": D.ACCOUNT_URL,
                                 "thumbprint": g.account["thumbprint"]})

    def reason():
        error, answer = g.ask_admin("RecordValues", {"account": "test"})
        return answer["reason"] if error else None

    def expired():
        a = g.must("MetricsAccounts")["accounts"][0]
        return a["records"], a["recordsExpired"], a["nextExpiry"]
    prove()
    g.must("RecordAdd", {"records": [
        {"account": "test", "domain": "example.com", "issuer": issuer,
         "persistUntil": until}]})
    L.expect(reason() is None, f"proven: {reason()}")
    L.expect(expired() == (1, 0, until), f"{expired()}")
    c.set(2 * DAY)
    L.expect(reason() == "proof-expired", f"after a day: {reason()}")
    c.set(-3600)
    L.expect(reason() == "proof-expired", f"of tomorrow: {reason()}")
    c.set(31 * DAY)
    L.expect(expired() == (1, 1, None), f"{expired()}")
    g.restart()
    c.set(0)
    L.expect(expired() == (1, 0, until), f"as it was: {expired()}")
    L.expect(reason() is None, f"as it was: {reason()}")
    return "a proof and a record with persistUntil under jumps of an hour to " \
        "31 days: judged by the clock, and unchanged when it was right"


@clocked()
def test_the_heartbeat_does_not_wait_for_it(c, g):
    def beats():
        return sum(x["type"] == "heartbeat"
                   for x in F.audit_lines(g.lab.dir / "log"))
    c.set(-400 * DAY)
    L.wait_for("a heartbeat", beats, 300)
    L.expect(not as_other(g), "signed")
    return "a year back: the heartbeat came all the same"


def main():
    cases = [f for n, f in globals().items() if n.startswith("test_")]
    if len(sys.argv) > 1:
        return F.run(cases)
    # What mostly waits has a process of its own: this one forks.
    waits = test_the_heartbeat_does_not_wait_for_it
    with subprocess.Popen([sys.executable, __file__, waits.__name__]) as p:
        result = F.run([c for c in cases if c != waits])
    return result or p.returncode


if __name__ == "__main__":
    sys.exit(main())
