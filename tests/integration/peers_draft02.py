#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""That the draft-02 adapter accepts right hashes and refuses wrong ones."""

import json
import pathlib
import sys
import time

from acme_client import Client, Key, key_bound
from draft02_adapter import Draft02Adapter
from lab import ROOT, expect, wait_for
from pebble_lab import ISSUER, TxtServer
from peer_cases import refused, run_peer

DOMAIN = "www.lab.example"
VECTORS = pathlib.Path(ROOT / "tests/vectors/dns-persist-accounturi.json")


class Draft02Cases:
    def __init__(self, lab):
        self.dns = TxtServer(lab)
        self.ca = Draft02Adapter(lab, self.dns.address)
        self.client = Client(self.ca.directory_url, self.ca.ca_file)
        self.client.register()

    def uri(self, domain=DOMAIN, key=None, url=None):
        prefix = self.client.directory["meta"]["accountHashPrefix"]
        return key_bound(prefix, domain, (key or self.client.key).thumbprint,
                         url or self.client.url)

    def publish(self, uri, more="", domain=DOMAIN):
        self.dns.persist(domain, f"{ISSUER}; accounturi={uri}{more}")

    def test_the_formula_is_the_draft_s(self):
        for v in json.loads(VECTORS.read_text()):
            domain = "*" if v.get("reusable") else v.get("normalized",
                                                         v["domain"])
            made = key_bound(v["prefix"], domain, v["thumbprint"],
                             v["account_url"])
            expect(made == v["accounturi"], f"{v['source']}: {made}")

    def test_it_speaks_under_its_own_origin(self):
        expect(self.client.url.startswith(self.ca.origin + "/"),
               self.client.url)
        meta = self.client.directory["meta"]
        expect(meta["issuerDomainNames"] == [ISSUER] == meta["caaIdentities"],
               f"{meta}")
        order = self.client.order("asks.lab.example")
        challenge = self.client.challenge(self.client.authorizations(order)[0])
        expect(challenge["issuerDomainNames"] == [ISSUER] and
               "issuer-domain-names" not in challenge, f"{challenge}")

    def test_a_right_hash_is_accepted(self):
        self.publish(self.uri())
        self.client.issue(DOMAIN)
        self.publish(self.uri("*"))
        self.client.issue(DOMAIN)
        self.publish(self.uri(), "; policy=wildcard")
        self.client.issue(f"*.{DOMAIN}", DOMAIN)

    def test_a_wrong_hash_is_refused(self):
        stranger = Client(self.ca.directory_url, self.ca.ca_file)
        stranger.register()
        self.client.forget()
        right = self.uri()
        for wrong in (self.uri("lab.example"), self.uri(key=Key()),
                      self.uri(url=stranger.url), right[:-1], right + "A",
                      right.replace("sha-256", "sha-512"), self.client.url,
                      self.uri(key=stranger.key, url=stranger.url)):
            self.publish(wrong)
            refused("unauthorized", self.client.issue, DOMAIN)
        self.publish(right)
        refused("unauthorized", stranger.issue, DOMAIN)
        refused("unauthorized", self.client.issue, f"*.{DOMAIN}")
        self.publish(right, "; persistUntil=1")
        refused("unauthorized", self.client.issue, DOMAIN)
        self.publish(right, ";")
        refused("malformed", self.client.issue, DOMAIN)

    def test_parents_with_policy_wildcard(self):
        below = f"a.b.{DOMAIN}"
        self.publish(self.uri(), "; policy=wildcard")
        self.client.issue(below, f"*.{below}")
        self.publish(self.uri(below), "; policy=wildcard")
        refused("unauthorized", self.client.issue, f"c.{below}")
        self.publish(self.uri())
        refused("unauthorized", self.client.issue, f"d.{below}")
        self.publish(self.uri(), "; policy=wildcard")
        self.ca.parents = False
        refused("unauthorized", self.client.issue, f"e.{below}")
        self.ca.parents = True

    def test_earlier_keys_are_retained(self):
        client = Client(self.ca.directory_url, self.ca.ca_file)
        client.register()
        old = client.key
        client.change_key(Key())
        self.publish(self.uri("k.example.org", old, client.url),
                     domain="k.example.org")
        client.issue("k.example.org")
        client.forget()
        self.ca.retain = False
        refused("unauthorized", client.issue, "k.example.org")
        self.publish(self.uri("k.example.org", client.key, client.url),
                     domain="k.example.org")
        client.issue("k.example.org")
        self.ca.retain = True
        client.deactivate()
        refused("unauthorized", client.order, "k.example.org")

    def test_the_old_key_alone_for_a_while(self):
        client, new = Client(self.ca.directory_url, self.ca.ca_file), Key()
        client.register()
        old, self.ca.key_change_s = client.key, 1
        start = time.monotonic()
        client.change_key(new)
        client.post(client.url, key=old)
        refused("malformed", client.post, client.url, key=new)
        wait_for("the new key", lambda: self.taken(client, new), 5)
        expect(time.monotonic() - start >= 1, "not before its time")
        refused("malformed", client.post, client.url, key=old)
        expect(not self.ca.errors, f"{self.ca.errors}")
        self.ca.key_change_s = 0

    @staticmethod
    def taken(client, key):
        try:
            return client.post(client.url, key=key)
        except Exception:  # pylint: disable=broad-except
            return None

    def test_new_records_after_a_while(self):
        client = Client(self.ca.directory_url, self.ca.ca_file)
        client.register()
        client.change_key(Key())
        self.publish(self.uri("n.example.org", client.key, client.url),
                     domain="n.example.org")
        self.ca.new_records_s = 3600
        refused("unauthorized", client.issue, "n.example.org")
        self.ca.new_records_s = 0
        client.issue("n.example.org")


if __name__ == "__main__":
    sys.exit(run_peer(Draft02Cases))
