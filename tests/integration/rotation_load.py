#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ten rotations while eight clients issue without pause, and nothing fails: half
of them of an account whose records name its URL, half of one whose records name
its key; once more at CAs that take only the old key for five seconds after the
switch, as Let's Encrypt's front ends do.

Failures are counted at the daemon, at the clients and at the CA. Signing is held
for Settle and CacheTime; how long the held waited is printed, and may be two
seconds more.
"""

import shutil
import sys
import threading

from bind_lab import Bind
from draft02_adapter import Draft02Adapter
from https_peer import Answer
from lab import Lab, expect, run_cases, wait_for
from load_lab import (ByGuardianctl, ByLacme, ByLibrary, ChallengeWeb,
                      LibraryClient)
from pebble_lab import ISSUER, Pebble
from rotation_lab import KeyChangeRelay, RotationWorld

SETTLE_S, CACHE_S, LATE_S = 1, 7, 5
ROTATIONS = 5  # of each account
ZONE = "apps.example.com"
TIMES = ("--settle", str(SETTLE_S), "--cache-time", str(CACHE_S),
         "--order-drain", "120", "--grace", "0")


class CountingAdapter(Draft02Adapter):
    def __init__(self, *args, **more):
        self.bad = []
        super().__init__(*args, **more)

    def answer(self, request):
        answer = super().answer(request)
        if answer.status >= 400:
            self.bad.append((request.path, answer.status,
                             b"badNonce" in answer.body, answer.body))
        return answer


class Cases:
    def __init__(self, lab):
        self.lab, self.web = lab, ChallengeWeb()
        self.bind = Bind(lab)
        self.key = self.bind.key("persist")
        self.bind.zone(ZONE, ["* A 127.0.0.1"], minimum=1,
                       policy=["grant persist zonesub TXT;"])
        self.bind.start()
        lab.file("etc/policy.d/bound.policy", "[Client]\nUser=0\n[Allow]\n"
                 f"Account=bound\nSubdomains={ZONE}\nOrdersPerDay=100000\n")
        self.w = RotationWorld(lab, "[Lacme bound]",
                               f"Socket={lab.dir}/run/lacme-bound.sock")
        self.trust = self.roots()
        self.url_ca = KeyChangeRelay(lab, Pebble(
            lab, self.bind.address, http_port=self.web.port), "localhost")
        self.url_ca.ca_file = lab.tls() / "ca.pem"
        self.key_ca = CountingAdapter(lab, self.bind.address, "localhost",
                                      http_port=self.web.port)
        self.key_ca.translator.loopback = True
        self.accounts()

    def roots(self):
        trust = self.lab.folder("trust")
        for name in ("lab.pem", "ca-certificates.crt"):
            shutil.copy(self.lab.tls() / "ca.pem", trust / name)
        self.lab.run(["openssl", "rehash", trust])
        return trust

    def accounts(self):
        w = self.w
        url = w.registered("main", self.url_ca)["url"]
        self.bind.add("persist", ZONE, f"add _validation-persist.u.{ZONE}. 1 "
                      f'TXT "{ISSUER}; accounturi={url}"')
        w.registered("bound", self.key_ca)
        for name in ("main", "bound"):
            w.ctl("account", "directory", name, *w.ca)
            w.ctl("account", "issuers", name, ISSUER)
        file = self.lab.file("tsig", self.key + "\n", 0, 0o600)
        self.lab.file(f"etc/zones.d/{ZONE}.zone", "\n".join([
            "[Zone]", f"Name={ZONE}", f"Servers={self.bind.address}", "TTL=1",
            "Publisher=rfc2136", f"Server={self.bind.address}",
            "TsigName=persist", f"TsigKey=file:{file}"]) + "\n")
        w.ctl("records", "add", "bound", f"b.{ZONE}")
        w.ctl("records", "publish", "--account", "bound", *w.ca)

    def clients(self):
        """Four of each account."""
        w, dns, found = self.w, self.bind.address, []
        self.libraries = []
        for n, (account, ca, domain, socket) in enumerate((
                ("main", self.url_ca, "u", "lacme"),
                ("bound", self.key_ca, "b", "lacme-bound"))):
            for i in range(2):
                c = LibraryClient(w, ca, account, self.web)
                self.libraries.append(c)
                found.append(ByLibrary(2 * n + i, c))
            found.append(ByGuardianctl(n, w, account, f"{domain}.{ZONE}", dns))
            found.append(ByLacme(n, w, ca, self.lab.dir / f"run/{socket}.sock",
                                 self.web, self.trust))
        return found

    def rotate(self, account, failed):
        try:
            for _ in range(ROTATIONS):
                self.w.ctl("rotate", "start", account, *TIMES, *self.w.ca,
                           says="done")
        except Exception as e:  # pylint: disable=broad-except
            failed.append(f"{account}: {type(e).__name__}: {e}")

    def under_load(self):
        """Both accounts at once; what came of it."""
        self.url_ca.bad.clear()
        self.key_ca.bad.clear()
        lines, failed = len(self.w.audit()), []
        clients = self.clients()
        for c in clients:
            c.start()
        wait_for("a certificate for each", lambda: all(
            c.issued or c.failed for c in clients), 180)
        operators = [threading.Thread(target=self.rotate, args=(a, failed))
                     for a in ("main", "bound")]
        for t in operators:
            t.start()
        for t in operators:
            t.join()
        before = [c.issued for c in clients]
        wait_for("another one for each", lambda: all(
            c.issued > n or c.failed for c, n in zip(clients, before)), 180)
        for c in clients:
            c.stopping = True
        for c in clients:
            c.join(180)
        failed += [f for c in clients for f in c.failed]
        expect(not failed, f"{failed}")
        # Who believes in the old key is told of the new one, and goes on.
        refused = [l for l in self.w.audit()[lines:]
                   if l["type"] == "decision" and
                   l.get("reason") not in (None, "key-changed")]
        expect(not refused, f"the daemon refused: {refused[:3]}")
        self.say(clients)

    def say(self, clients):
        by_kind = {}
        for c in clients:
            by_kind[c.kind] = by_kind.get(c.kind, 0) + c.issued
        self.longest = max(x for c in self.libraries for x in c.waits)
        orders = max(x for c in self.libraries for x in c.order_waits)
        print(f"        {2 * ROTATIONS} rotations, certificates {by_kind}; "
              f"held for at most {self.longest:.1f} s, new orders for "
              f"{orders:.1f} s", flush=True)

    def test_nothing_fails_under_load(self):
        self.under_load()
        for ca in (self.url_ca, self.key_ca):
            bad = [b for b in ca.bad if not b[2]]
            expect(not bad, f"the CA refused: {bad[:3]}")
        limit = SETTLE_S + CACHE_S + 2
        expect(self.longest <= limit, f"held for {self.longest:.1f} s, not "
               f"{limit}")

    def test_nor_where_the_old_key_is_good_for_a_while(self):
        def later(forward):
            timer = threading.Timer(LATE_S, forward)
            timer.daemon = True
            timer.start()
            return Answer(headers=[self.url_ca.fresh_nonce()])

        self.url_ca.on_key_change = later
        self.key_ca.key_change_s = LATE_S
        self.under_load()
        expect(not self.key_ca.errors, f"{self.key_ca.errors}")
        # Whether the new key is known there is asked at the account itself.
        for ca in (self.url_ca, self.key_ca):
            bad = [b for b in ca.bad if not b[2] and "/my-account/" not in b[0]]
            expect(not bad, f"the CA refused: {bad[:3]}")
        limit = SETTLE_S + CACHE_S + 2
        expect(self.longest <= limit, f"held for {self.longest:.1f} s, not "
               f"{limit}")


def main():
    with Lab("acme-guardian-load") as lab:
        made = Cases(lab)
        return run_cases([getattr(made, n) for n in Cases.__dict__
                          if n.startswith("test_") and
                          all(a in n for a in sys.argv[1:])])


if __name__ == "__main__":
    sys.exit(main())
