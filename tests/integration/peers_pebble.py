#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""That Pebble 2.10 does what the tests that use it build on."""

import datetime
import json
import sys

from acme_client import Client, Key, csr, unb64
from lab import b64url, expect
from pebble_lab import ISSUER, Pebble, TxtServer, pebble_version
from peer_cases import refused, run_peer

DOMAIN = "www.lab.example"
MAC_KEY = b64url(b"a MAC key of the lab, 32 octets.")


class PebbleCases:
    def __init__(self, lab):
        self.lab, self.dns = lab, TxtServer(lab)
        self.ca = Pebble(lab, self.dns.address, alternate_roots=1,
                         authz_reuse=100)
        self.client = Client(self.ca.directory_url, self.ca.ca_file)
        self.client.register("mailto:pki@lab.example")

    def record(self, more="", issuer=ISSUER):
        return f"{issuer}; accounturi={self.client.url}{more}"

    def test_the_account_is_its_key_s(self):
        seen = self.client.account()
        expect(seen["status"] == "valid" and seen["key"] == self.client.key.jwk,
               f"our account: {seen}")
        e = refused("malformed", self.client.post, self.client.url, key=Key())
        expect("verification" in e.detail, e.detail)

    def test_another_account_s_url_answers_with_our_own(self):
        other = Client(self.ca.directory_url, self.ca.ca_file)
        other.register()
        seen = self.client.post(other.url).json()
        expect(seen["key"] == self.client.key.jwk, f"Pebble's quirk: {seen}")

    def test_a_record_authorizes_and_nothing_else_does(self):
        refused("unauthorized", self.client.issue, DOMAIN)
        for wrong in (self.record(issuer="other.example"), self.record("9"),
                      self.record("; persistUntil=1")):
            self.dns.persist(DOMAIN, wrong)
            refused("unauthorized", self.client.issue, DOMAIN)
        self.dns.persist(DOMAIN, self.record("; persistUntil=tomorrow"))
        refused("malformed", self.client.issue, DOMAIN)
        self.dns.persist(DOMAIN, self.record())
        refused("unauthorized", self.client.issue, f"*.{DOMAIN}")
        refused("unauthorized", self.client.issue, f"below.{DOMAIN}")
        self.pem = self.client.issue(DOMAIN)
        self.dns.persist(DOMAIN, self.record("; policy=wildcard"))
        self.client.issue(f"*.{DOMAIN}")

    def test_the_challenge_says_what_it_asks_for(self):
        order = self.client.order("asks.lab.example")
        challenge = self.client.challenge(self.client.authorizations(order)[0])
        expect(challenge["issuer-domain-names"] == [ISSUER], f"{challenge}")
        named = challenge.get("accounturi")
        expect(named == (self.client.url if pebble_version() == "v2.10.1"
                         else None), f"accounturi: {challenge}")

    def test_authorizations_are_used_again_until_deactivated(self):
        order = self.client.order(DOMAIN)
        expect(order["status"] == "ready", f"used again: {order}")
        for url in order["authorizations"]:
            done = self.client.deactivate_authorization(url)
            expect(done["status"] == "deactivated", f"{done}")
        expect(self.client.order(DOMAIN)["status"] == "pending",
               "not used any more")

    def test_renewal_info_and_replaces(self):
        client, now = self.client, datetime.datetime.now(datetime.UTC)
        self.dns.persist(DOMAIN, self.record())
        pem = client.issue(DOMAIN)
        while unb64(client.certificate_id(pem).partition(".")[2])[0] == 0:
            pem = client.issue(DOMAIN)
        window = client.renewal_info(pem)["suggestedWindow"]
        expect(window["start"] > now.isoformat(), f"later: {window}")
        said = {"suggestedWindow": {"start": "2020-01-01T00:00:00Z",
                                    "end": "2020-01-02T00:00:00Z"}}
        self.ca.set_renewal_info(pem, json.dumps(said))
        expect(client.renewal_info(pem) == said, "as set")
        old = client.certificate_id(pem)
        client.issue(DOMAIN, replaces=old)
        refused("alreadyReplaced", client.order, DOMAIN, replaces=old)

    def test_alternate_chains(self):
        client = self.client
        order = client.order(DOMAIN)
        if order["status"] == "pending":
            client.validate(client.authorizations(order)[0])
        client.post(order["finalize"], {"csr": b64url(csr(DOMAIN))})
        order = client.wait(order["url"], "valid")
        links = client.post(order["certificate"]).headers.get_all("Link")
        expect(any("alternate" in l for l in links), f"{links}")

    def test_a_changed_key(self):
        old = self.client.key
        self.client.change_key(Key())
        expect(self.client.account()["key"] == self.client.key.jwk, "new key")
        refused("malformed", self.client.post, self.client.url, key=old)

    def test_external_accounts(self):
        ca = Pebble(self.lab, self.dns.address, "pebble-eab",
                    eab={"kid-1": MAC_KEY})
        client = Client(ca.directory_url, ca.ca_file)
        expect(client.directory["meta"]["externalAccountRequired"] is True,
               "the directory says so")
        refused("externalAccountRequired", client.register)
        refused("unauthorized", client.register, eab=("kid-2", MAC_KEY))
        refused("unauthorized", client.register, eab=("kid-1", b64url(b"x")))
        client.register(eab=("kid-1", MAC_KEY))

    def test_on_ipv6_alone(self):
        ca = Pebble(self.lab, self.dns.address, "pebble-v6", "[::1]", "::1")
        client = Client(ca.directory_url, ca.ca_file)
        expect(client.register().startswith(f"https://[::1]:{ca.port}/"),
               client.url)


if __name__ == "__main__":
    sys.exit(run_peer(PebbleCases))
