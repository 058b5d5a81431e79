#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real clients get and renew certificates under a policy, with their account's
key in a token and a rotation in between; a name that policy refuses is told in
their own output. What is alike for all is done by all side by side."""

import concurrent.futures
import sys
import time

from clients_kinds import KINDS
from clients_lab import EVIL, KEY_TYPES, ClientsWorld
from lab import Lab, expect

QUICK_TO_TELL = ("acme-tiny", "haproxy")


def gets_a_certificate(client):
    r = client.issue(*client.names)
    expect(r.returncode == 0, f"exit {r.returncode}: {r.stdout}{r.stderr}")
    client.first = client.issued()


def is_told_what_policy_refuses(client):
    client.refused(client.tells, client.names[0], EVIL)
    lines = client.signed(reason="identifier-not-allowed")
    expect(lines and EVIL in lines[-1]["identifiers"], f"audited: {lines}")


def with_its_old_stub_is_told_what_to_do(client):
    client.refused(("key changed", "guardianctl stub refresh"), *client.names)


def renews_after_the_rotation(client):
    r = client.issue(*client.names)
    expect(r.returncode == 0, f"exit {r.returncode}: {r.stdout}{r.stderr}")
    expect(client.issued() != client.first, "another certificate")
    key = client.world.account(client.account)["thumbprint"]
    lines = client.signed(operation="finalize")
    expect(lines and lines[-1]["thumbprint"] == key, f"{key}: {lines[-1:]}")


class Run:
    def __init__(self):
        self.passed = self.failed = 0

    def case(self, name, function, *args):
        start = time.monotonic()
        try:
            function(*args)
            self.passed += 1
            print(f"ok      {name} ({time.monotonic() - start:.1f} s)",
                  flush=True)
            return True
        except Exception as e:  # pylint: disable=broad-except
            self.failed += 1
            print(f"FAILED  {name}: {type(e).__name__}: {e}", flush=True)
            return False

    def by_all(self, function, clients):
        """Side by side; those for whom it held."""
        if not clients:
            return []
        what = function.__name__.replace("_", " ")
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            held = pool.map(lambda c: self.case(f"{c.name} {what}", function, c),
                            clients)
            return [c for c, ok in zip(clients, held) if ok]


def main():
    wanted = [k for k in KINDS if not sys.argv[1:] or
              k.__name__ in sys.argv[1:]]
    run = Run()
    with Lab("acme-guardian-clients") as lab:
        world = ClientsWorld(lab)
        clients = [k(world, i) for i, k in enumerate(wanted)]
        clients = run.by_all(gets_a_certificate, clients)
        run.by_all(is_told_what_policy_refuses, clients)
        for account in KEY_TYPES:
            run.case(f"account {account} rotates", world.rotate, account)
        run.by_all(with_its_old_stub_is_told_what_to_do,
                   [c for c in clients if c.name in QUICK_TO_TELL])
        run.case("stubs are refreshed", world.refresh)
        run.by_all(renews_after_the_rotation, clients)
    print(f"{run.passed} passed, {run.failed} failed", flush=True)
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
