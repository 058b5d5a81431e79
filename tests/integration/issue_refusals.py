#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where guardianctl issue stops: it never orders without a record, nor answers a
challenge for another account."""

import json
import os
import sys
import time

from issue_lab import NAME, ZONE, IssueCases, in_challenges, run
from lab import CLIENT_UID, expect
from pebble_lab import ISSUER


class Cases(IssueCases):
    def test_a_name_that_the_policy_does_not_have(self):
        w = self.w
        before = len(w.relay.requests)
        w.issue("no", domains=[NAME, "evil.example"], code=1,
                says=["denied: identifier-not-allowed", "evil.example"])
        expect("/order-plz" not in w.relay.paths()[before:], "no order")

    def test_a_record_that_is_missing(self):
        w = self.w
        before = w.relay.tried()
        said = w.issue("no", domains=[NAME, f"missing.{ZONE}"], code=1, says=[
            f"missing.{ZONE}: no record authorizes the account: no-record",
            f"publish there: _validation-persist.missing.{ZONE}. TXT "
            f"\"{ISSUER}; accounturi={w.url}\"",
            "nothing was asked of the CA"])
        expect([n["domain"] for n in said["names"]] == [f"missing.{ZONE}"],
               f"{said}")
        for wrong, reason in (
                ((), "other-account"),
                (("persistUntil=1",), "expired"),
                (("",), "empty-parameter")):
            w.persist(f"missing.{ZONE}", *wrong,
                      uri=None if wrong else f"{w.url}0")
            w.issue("no", domains=[f"missing.{ZONE}"], code=1, says=reason)
        w.remove(f"missing.{ZONE}")
        expect(w.relay.tried() == before, "no order at the CA")
        expect(w.pair_fits("no") == (False, False), "and no files")
        expect(not list(w.out.glob(".no.*")), "nor beginnings of them")

    def test_dns_that_does_not_answer(self):
        w = self.w
        before = w.relay.tried()
        said = w.issue("no", domains=[NAME], resolver="127.0.0.1:9", code=75,
                       says="cannot be looked up")
        expect(said["error"] == "records-unknown", f"{said}")
        expect(w.relay.tried() == before, "no order at the CA")

    def test_servers_that_disagree(self):
        """As the zone's file says, where it can be read."""
        w = self.w
        from bind_lab import Bind  # pylint: disable=import-outside-toplevel
        other = Bind(w.lab, "ns2")
        other.zone(ZONE)
        other.start()
        w.lab.file(f"etc/zones.d/{ZONE}.zone", "[Zone]\nVerify=authoritative\n"
                   f"Servers={w.dns.address} {other.address}\n")
        argv = w.argv("zone", domains=[NAME], resolver=None)
        before = w.relay.tried()
        r = w.lab.run(argv, CLIENT_UID, ok=(1,))
        expect("not every server has a record" in r.stderr and
               other.address in r.stderr, r.stderr)
        expect(w.relay.tried() == before, "no order at the CA")
        other.stop()
        w.lab.run(argv, CLIENT_UID)
        w.verified("zone")
        # For who may not read it, it is the system's resolver, which knows
        # nothing of this zone.
        os.chmod(w.etc / "zones.d", 0o700)
        r = w.lab.run(argv, CLIENT_UID, ok=(1, 75))
        expect(json.loads(r.stdout)["names"][0]["server"] == "resolver",
               r.stdout)
        os.chmod(w.etc / "zones.d", 0o755)
        (w.etc / f"zones.d/{ZONE}.zone").unlink()

    def test_a_challenge_for_another_account(self):
        w = self.w
        w.relay.change = in_challenges(accounturi=f"{w.url}0")
        w.persist(f"other.{ZONE}")
        before = len(w.relay.requests)
        said = w.issue("no", domains=[f"other.{ZONE}"], code=1,
                       says=["accounturi-differs", f"{w.url}0"])
        expect(said["error"] == "accounturi-differs", f"{said}")
        expect(not any(p.startswith("/chalZ/")
                       for p in w.relay.paths()[before:]),
               "the challenge was not answered")
        w.relay.change = in_challenges(accounturi=w.url)
        w.issue("no", domains=[f"other.{ZONE}"])

    def test_issuer_names_that_do_not_fit(self):
        w = self.w
        w.persist(f"names.{ZONE}")
        for names, word in ((["other.example"], "issuers-inconsistent"),
                            (["letsencrypt.org"], "issuers-inconsistent")):
            w.relay.change = in_challenges(issuer_domain_names=names)
            w.issue("no", domains=[f"names.{ZONE}"], code=1, says=word)

        def no_identities(request, answer):
            """Then the challenge alone says which names there are."""
            if request.path == "/dir":
                value = answer.json()
                del value["meta"]["caaIdentities"]
                return answer.__class__.of(value)
            return in_challenges(issuer_domain_names=offered)(request, answer)

        w.relay.change = no_identities
        offered = ["letsencrypt.org"]
        w.issue("no", domains=[f"names.{ZONE}"], code=1,
                says="issuer-origin-mismatch")
        offered = ["other.example"]
        w.issue("no", domains=[f"names.{ZONE}"], code=1, says=[
            "the challenge was not answered", "other-issuer"])
        offered = [ISSUER]
        w.issue("no", domains=[f"names.{ZONE}"])

    def test_endpoints_at_another_origin(self):
        w = self.w

        def change(request, answer):
            if request.path != "/dir":
                return None
            value = answer.json()
            value["newNonce"] = "https://evil.localhost/nonce"
            return answer.__class__.of(value)

        w.relay.change = change
        w.issue("no", domains=[NAME], code=2,
                says="newNonce: foreign-origin: https://evil.localhost")

    def in_authorizations(self, change):
        """The relay changes their objects."""
        def relay(request, answer):
            if not request.path.startswith("/authZ/") or answer.status != 200:
                return None
            value = answer.json()
            change(value)
            answer.body = json.dumps(value).encode()
            return answer
        self.w.relay.change = relay

    def test_an_authorization_for_another_name(self):
        w = self.w
        w.persist(f"swap.{ZONE}")
        for value in ({"value": f"w.{ZONE}", "type": "dns"},
                      {"value": f"swap.{ZONE}", "type": "other"}):
            self.in_authorizations(lambda z, v=value: z.update(identifier=v))
            w.issue("no", domains=[f"swap.{ZONE}"], code=2,
                    says="which was not ordered")
        self.in_authorizations(lambda z: z.update(wildcard=True))
        w.issue("no", domains=[f"swap.{ZONE}"], code=2,
                says=f"dns *.swap.{ZONE}, which was not ordered")

    def test_a_ca_without_dns_persist_01(self):
        w = self.w
        w.persist(f"without.{ZONE}")
        self.in_authorizations(lambda z: z.update(challenges=[
            c for c in z["challenges"] if c["type"] != "dns-persist-01"]))
        w.issue("no", domains=[f"without.{ZONE}"], code=1,
                says=["the CA offers no dns-persist-01 (", "dns-01"])

    def test_a_validation_that_fails(self):
        """The record goes between our look and the CA's."""
        w = self.w
        w.persist(f"gone.{ZONE}")

        def change(request, answer):
            if request.path == "/order-plz":
                w.remove(f"gone.{ZONE}")

        w.relay.change = change
        said = w.issue("gone", domains=[f"gone.{ZONE}"], code=1, says=[
            f"gone.{ZONE}: the authorization is invalid: unauthorized: "])
        expect(said["error"] == "authorization-failed" and
               said["domain"] == f"gone.{ZONE}", f"{said}")
        expect(w.pair_fits("gone") == (False, False), "no files")

    def test_a_slow_ca(self):
        """Validation that takes longer than one is ready to wait."""
        w = self.w
        w.persist(f"slow.{ZONE}")

        def pending(request, answer):
            if not request.path.startswith("/authZ/") or answer.status != 200:
                return None
            value = answer.json()
            value["status"] = "pending"
            return answer.__class__.of(value, 200, [
                ("Replay-Nonce", answer.header("Replay-Nonce")),
                ("Retry-After", "1")])

        def busy(request, answer):
            if not request.path.startswith("/authZ/"):
                return None
            return answer.__class__.problem(503, "serverInternal", "later", [
                ("Replay-Nonce", answer.header("Replay-Nonce")),
                ("Retry-After", "7200")])

        w.relay.change = busy
        w.issue("slow", "--wait", "3", domains=[f"slow.{ZONE}"], code=75,
                says=["the CA asks to wait 7200 s", "--wait allows (3 s in all)",
                      "with a longer --wait"])
        w.relay.change = pending
        start = time.monotonic()
        w.issue("slow", "--wait", "3", domains=[f"slow.{ZONE}"], code=75,
                says="within 3 s")
        expect(1.5 < time.monotonic() - start < 120, "after its time")
        w.relay.change = None
        w.issue("slow", domains=[f"slow.{ZONE}"])


if __name__ == "__main__":
    sys.exit(run(Cases))
