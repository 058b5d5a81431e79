#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 at random, of the daemon, of its token helper, and of the processes
that each of them has, under the load of several clients and an operator; and
then whether anything is missing that somebody was told is done.

fault_kill.py [SECONDS [SEED]]
"""

import collections
import contextlib
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import fault_lab as F  # noqa: E402
import lab as L  # noqa: E402

N_CLIENTS = 8
GAP_S = (0.05, 1.2)


class Operator(threading.Thread):
    """Changes what the registry has, and remembers what it was told is done."""

    def __init__(self, g):
        super().__init__(daemon=True)
        self.g, self.varlink, self.stopping = g, None, False
        self.denied, self.accounts, self.suspended = set(), {}, {}
        self.lines = []  # of what was acknowledged: (operation, detail)
        self.unanswered = self.refused = 0
        self.failed = None

    def call(self, method, **parameters):
        """The answer; None: refused, or nobody knows."""
        try:
            if not self.varlink:
                self.varlink = L.Varlink(self.g.admin, timeout=60)
            error, answer = self.varlink.call(D.ADMIN + method, parameters)
        except (OSError, ValueError):
            if self.varlink:
                self.varlink.close()
            self.varlink = None
            self.unanswered += 1
            time.sleep(0.02)
            return None
        if error:
            self.refused += 1
            time.sleep(0.02)
            return None
        return answer

    def deny(self, n):
        name = f"n{n}.denied.example"
        if self.call("NameDeny", domain=name) is not None:
            self.denied.add(name)
            self.lines.append(("NameDeny", name))

    def suspend(self, n):
        """None: nobody knows which of the two it is."""
        uid = str(70000 + n % 40)
        method = "Resume" if self.suspended.get(uid) else "Suspend"
        self.suspended[uid] = None
        if self.call(method, scope="client", name=uid) is not None:
            self.suspended[uid] = method == "Suspend"
            self.lines.append((method, f"client {uid}"))

    def account(self, n):
        """Made, given its endpoints, registered: one step at a time."""
        name = F.MORE_ACCOUNTS[n % len(F.MORE_ACCOUNTS)]
        have = self.accounts.get(name)
        if not have:
            a = self.call("AccountCreate", name=name, token="hsm",
                          alg="ES256", directory=D.DIRECTORY)
            if not a:  # it may be there all the same
                a = self.call("AccountShow", name=name)
            if a:
                self.accounts[name] = (a["account"], "created")
            return
        account, state = have
        if state == "created" and self.call(
                "AccountSetDirectory", name=name, endpoints=D.ENDPOINTS):
            self.accounts[name] = (account, "directory")
        if state == "directory" and self.call(
                "AccountRegistered", name=name, url=f"{D.CA}/acct/{name}",
                status="valid"):
            self.accounts[name] = (account, "valid")

    def end(self):
        self.stopping = True
        self.join(120)
        L.expect(not self.is_alive() and not self.failed,
                 f"the operator: {self.failed}")

    def run(self):
        n = 0
        try:
            while not self.stopping:
                self.deny(n)
                self.suspend(n)
                if n % 5 == 0:
                    self.account(n // 5)
                n += 1
                time.sleep(0.02)
        except Exception as e:  # pylint: disable=broad-except
            self.failed = f"{type(e).__name__}: {e}"


def name_of(pid):
    """"acme-guardiand", "audit-sync", "acme-guardian-token", ..."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return None


def pick(top, rng):
    """The daemon, the helper, or any process that one of them has."""
    below = L.descendants(top)
    helpers = [p for p in below
               if (name_of(p) or "").startswith("acme-guardian-t")]
    kind = rng.choice(("daemon", "helper", "any"))
    if kind == "helper" and helpers:
        return rng.choice(helpers)
    if kind == "any" and below:
        return rng.choice(below)
    return top


def kill_for(seconds, supervised, rng, half_way):
    killed = collections.Counter()
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        time.sleep(rng.uniform(*GAP_S))
        if half_way and time.monotonic() - begin > seconds / 2:
            half_way()
            half_way = None
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = pick(supervised.process.pid, rng)
            name = name_of(pid)
            os.kill(pid, signal.SIGKILL)
            killed[name] += 1
    return killed


def everything_answered_is_there(g, operator):
    listed, after = set(), ""
    while True:
        page = g.must("NameDenied", {"after": after})
        listed |= {x["domain"] for x in page["names"]}
        after = page.get("next")
        if not after:
            break
    L.expect(operator.denied <= listed,
             f"denied, and not there: {operator.denied - listed}")
    there = {s["name"] for s in g.must("Status")["suspensions"]}
    for uid, wanted in operator.suspended.items():
        L.expect(wanted is None or wanted == (uid in there),
                 f"uid {uid} suspended: told {wanted}, {uid in there}")
    logged = {(x.get("operation"), x.get("detail"))
              for x in F.audit_lines(g.lab.dir / "log")}
    missing = [x for x in operator.lines if x not in logged]
    L.expect(not missing, f"done, and not in the audit log: {missing[:5]}")


def every_key_signs(g, operator):
    """Those of the accounts that were made meanwhile, too."""
    jwks = {"test": g.account["jwk"]}
    for name, (account, state) in operator.accounts.items():
        shown = g.must("AccountShow", {"name": name})
        a = shown["account"]
        L.expect(a["jwk"] == account["jwk"], f"{name} has its key: {a}")
        L.expect(state == "created" or shown["endpoints"]["newOrder"],
                 f"{name} has its endpoints: {shown}")
        L.expect(state != "valid" or a["status"] == "valid", f"{name}: {a}")
        if a["status"] != "valid":
            g.must("AccountSetDirectory",
                   {"name": name, "endpoints": D.ENDPOINTS})
            g.must("AccountRegistered", {
                "name": name, "url": f"{D.CA}/acct/{name}", "status": "valid"})
        jwks[name] = a["jwk"]
    for name in jwks:
        error, answer = g.ask(D.CLIENT, "Sign", {
            "account": name, "url": D.CA + "/order/1", "nonce": "last",
            "payload": ""})
        L.expect(not error, f"{name} signs: {error} {answer}")
        g.keep.keep(answer, answer["signature"], name)
    keys = g.must("TokenCheck", {"name": "hsm"})["keys"]
    found = {k["account"] for k in keys}
    L.expect(set(jwks) <= found, f"on the token: {keys}")
    return jwks


def run(seconds, seed):
    rng = random.Random(seed)
    print(f"seed {seed}", flush=True)
    with F.guardian(F.Guardian.use_sealed, AuditMaxSize="256K",
                    AuditKeep="100000") as g:
        with F.supervised(g) as supervised:
            operator, clients = Operator(g), F.Clients(g, N_CLIENTS)
            operator.start()
            killed = kill_for(seconds, supervised, rng,
                              lambda: g.set(AuditSync="group"))
            operator.end()
            told = clients.end()
            g.wait_until_ready()
            everything_answered_is_there(g, operator)
            jwks = every_key_signs(g, operator)
        files = len(list((g.lab.dir / "log").glob("audit.jsonl*")))
        said = g.nothing_is_lost(jwks)
        F.tried(
            f"kill -9 at random for {seconds} s under {N_CLIENTS} clients and "
            f"an operator: {sum(killed.values())} kills ({dict(killed)}), "
            f"clients were told {dict(told)} and asked again; "
            f"{len(operator.lines)} changes and {len(operator.accounts)} new "
            f"accounts acknowledged, all there and in the log of {files} "
            f"files, every key signs", said)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)

    def test_kill_9_at_random_loses_nothing():
        run(seconds, seed)
    return L.run_cases([test_kill_9_at_random_loses_nothing])


if __name__ == "__main__":
    sys.exit(main())
