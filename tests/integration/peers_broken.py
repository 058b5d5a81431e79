#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""That each fault of the broken CA is there, and that there is no other."""

import email.utils
import http.client
import json
import sys
import time

from acme_client import Client, Key, Problem, http_request
from broken_ca import ELSEWHERE, FAULTS, BrokenCa
from fake_acme import ENDPOINTS
from lab import expect
from peer_cases import refused, run_peer


class BrokenCases:
    def __init__(self, lab):
        self.ca = BrokenCa(lab)
        self.sound = self.fetch(None)

    def fetch(self, fault):
        self.ca.fault = fault
        try:
            return http_request("GET", self.ca.directory_url,
                                ca_file=self.ca.ca_file)
        finally:
            self.ca.fault = None

    def test_without_a_fault_it_is_sound(self):
        d = self.sound.json()
        expect(len({d[e] for e in ENDPOINTS}) == len(ENDPOINTS) and
               all(d[e].startswith(self.ca.origin + "/") for e in ENDPOINTS),
               f"{d}")
        expect(self.off(self.sound) < 5, "the right Date")
        client = Client(self.ca.directory_url, self.ca.ca_file)
        client.register()
        expect(client.account()["status"] == "valid", "an account")

    @staticmethod
    def off(reply):
        date = email.utils.parsedate_to_datetime(reply.headers["Date"])
        return abs(date.timestamp() - time.time())

    def test_each_fault_of_the_text_is_that_fault(self):
        named = [f for f in FAULTS if not f.startswith("date-") and f not in
                 ("short-body", "slow", "no-date")]
        for fault in named:
            r = self.fetch(fault)
            expect((r.status, r.body) != (self.sound.status, self.sound.body),
                   f"{fault}: as if nothing were wrong")
            if r.status == 200:
                self.one_fault(fault, r)

    def one_fault(self, fault, reply):
        """At most one member differs from the sound directory."""
        try:
            d = json.loads(reply.body)
        except (ValueError, RecursionError):
            expect(fault in ("html", "empty", "cut", "trailing", "latin-1",
                             "deep"), f"{fault}: no JSON")
            return
        sound = self.sound.json()
        if fault == "array":
            expect(d == [sound], f"{d}")
            return
        differ = {k for k in {*d, *sound} if d.get(k) != sound.get(k)}
        expect(len(differ) == 1, f"{fault}: {differ}")

    def test_lacking_repeated_and_elsewhere(self):
        for e in ENDPOINTS:
            expect(e not in self.fetch(f"lacks-{e}").json(), f"lacks {e}")
            expect(self.fetch(f"repeats-{e}").body.count(
                f'"{e}":'.encode()) == 2, f"repeats {e}")
            d = self.fetch(f"other-origin-{e}").json()
            expect(d[e].startswith(ELSEWHERE), f"elsewhere: {d}")

    def test_dates_and_slowness(self):
        for fault, low, high in (("date-late", 3590, 3610),
                                 ("date-early", 3590, 3610),
                                 ("date-near", 45, 55)):
            off = self.off(self.fetch(fault))
            expect(low < off < high, f"{fault}: {off}")
        expect(self.fetch("no-date").headers["Date"] is None, "no Date")
        start = time.monotonic()
        expect(self.fetch("slow").body == self.sound.body and
               time.monotonic() - start >= 3, "slow, and then sound")
        try:
            self.fetch("short-body")
            expect(False, "a short body was whole")
        except http.client.IncompleteRead:
            pass

    def test_too_many_requests(self):
        client = Client(self.ca.directory_url, self.ca.ca_file, Key())
        when = email.utils.formatdate(time.time() + 90, usegmt=True)
        for retry in ("120", when):
            self.ca.limits["/newAccount"] = [1, retry]
            e = refused("rateLimited", client.register)
            expect(e.status == 429 and e.headers["Retry-After"] == retry,
                   f"{e.headers}")
        expect(client.register(), "and then it is let in")
        self.ca.limits["/directory"] = [1, "5"]
        refused("rateLimited", Client, self.ca.directory_url,
                self.ca.ca_file)

    def test_statuses(self):
        for fault, status in (("404", 404), ("500", 500), ("503-retry", 503)):
            try:
                Client(self.fetch_url(fault), self.ca.ca_file)
                expect(False, f"{fault} passed")
            except Problem as e:
                expect(e.status == status, f"{fault}: {e}")
            finally:
                self.ca.fault = None
        r = self.fetch("redirect")
        expect(r.status == 302 and r.headers["Location"].startswith(ELSEWHERE),
               f"{r}")

    def fetch_url(self, fault):
        self.ca.fault = fault
        return self.ca.directory_url


if __name__ == "__main__":
    sys.exit(run_peer(BrokenCases))
