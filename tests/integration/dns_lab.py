# SPDX-License-Identifier: LGPL-2.1-or-later
"""dns-drive (tests/tools/dns-drive) with zone files, in a network of its own."""

import json
import os
import sys

from bind_lab import own_network
from lab import BUILD, Lab, expect, run_cases

DRIVE = BUILD / "tests/tools/dns-drive"
LABEL = "_validation-persist"
OURS = "ca.test; accounturi=https://ca.test/ours/1"
OLD = "ca.test; accounturi=https://ca.test/ours/0"
FOREIGN = "ca.test; accounturi=https://ca.test/theirs/1"
OWN = "/ours/"
# Silence is told soon.
QUICK = {"DNS_TRY_MS": "150", "DNS_TRIES": "2", "DNS_TCP_MS": "1500"}


class Place:
    """A directory of zone files, and dns-drive with it."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.dir = lab.folder(f"zones-{name}")

    def zone(self, name, **keys):
        text = "[Zone]\n" + "".join(f"{k}={v}\n" for k, v in keys.items())
        self.lab.file(f"zones-{self.name}/{name}.zone", text)

    def rfc2136(self, name, bind, key, secret=None, **keys):
        algorithm, own = bind.keys.get(key, ("hmac-sha256", None))
        file = self.lab.file(f"key-{self.name}-{name}", (secret or own) + "\n",
                             0, 0o600)
        self.zone(name, **{
            "Publisher": "rfc2136", "Server": bind.address, "TsigName": key,
            "TsigAlgorithm": algorithm, "TsigKey": f"file:{file}",
            "Servers": bind.address, **keys})

    def drive(self, *args, stdin=None, env=None, ok=(0,)):
        return self.lab.run([DRIVE, self.dir, *args], stdin=stdin, ok=ok,
                            env={**QUICK, **(env or {})})

    def lookup(self, *names, kind="TXT"):
        r = self.drive("lookup", kind, *names)
        return [json.loads(line) for line in r.stdout.splitlines()]

    def view(self, name, kind="TXT"):
        """Of a lookup with one view, that one."""
        views = self.lookup(name, kind=kind)[0]["views"]
        expect(len(views) == 1, f"one view: {views}")
        return views[0]

    def publish(self, wants, verb="publish", env=None):
        wants = [{"domain": d, "values": v} for d, v in wants.items()]
        r = self.drive(verb, OWN, stdin=json.dumps(wants), env=env)
        return json.loads(r.stdout)


def owner(domain):
    return f"{LABEL}.{domain}"


def states(plan):
    return [(c["domain"], c["remove"], c["state"]) for c in plan["changes"]]


def quoted(*values):
    return sorted(f'"{v}"' for v in values)


def grant(key, domain):
    return f"grant {key} name {owner(domain)}. TXT;"


def run(members):
    """The cases of a file, or those that its command line names."""
    if os.geteuid() != 0:
        sys.exit(f"{sys.argv[0]}: needs root, for users and a network")
    own_network()
    cases = [v for k, v in members.items() if k.startswith("test_")]
    if len(sys.argv) > 1:
        cases = [c for c in cases if any(a in c.__name__ for a in sys.argv[1:])]
    with Lab("dns") as lab:
        return run_cases(cases, lab)
