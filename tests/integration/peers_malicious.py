#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""That the malicious CAs would have their way with a client that asks nothing,
and that a proof of the account at its own URL tells them apart.
"""

import sys

from acme_client import Client, Key
from lab import CLIENT_UID, Failed, expect
from malicious_ca import ForeignAccount, Pretender, Relay, RelayedForeign
from pebble_lab import ISSUER, Pebble, TxtServer
from peer_cases import refused, run_peer
from private_host import with_system_roots

DOMAIN = "www.lab.example"


class MaliciousCases:
    def __init__(self, lab):
        self.lab, self.dns = lab, TxtServer(lab)
        self.real = Pebble(lab, self.dns.address)
        self.ca_file = self.real.ca_file

    def trusting(self, ca):
        """What a client of before would publish, told by @ca."""
        client = Client(ca.directory_url, self.ca_file)
        client.register()
        order = client.order(DOMAIN)
        challenge = client.challenge(client.authorizations(order)[0])
        return client, (f"{challenge['issuer-domain-names'][0]}; accounturi=" +
                        challenge.get("accounturi", client.url))

    def test_a_foreign_account_gets_the_attacker_certificates(self):
        evil = ForeignAccount(self.lab, self.real)
        client, record = self.trusting(evil)
        self.dns.persist(DOMAIN, record)
        evil.attacker.issue(DOMAIN)
        self.dns.persist(DOMAIN)
        expect(client.url == evil.attacker.url and
               client.url.startswith(self.real.origin), client.url)
        e = refused("malformed", Client.post, self.asks_itself(client),
                    client.url)
        expect("verification" in e.detail, e.detail)
        evil.close()

    def asks_itself(self, client):
        """The same key and account, asking the real CA itself."""
        proof = Client(self.real.directory_url, self.ca_file, client.key)
        proof.url = client.url
        return proof

    def test_the_same_under_one_origin(self):
        evil = RelayedForeign(self.lab, self.real)
        client = Client(evil.directory_url, self.ca_file)
        client.register()
        expect(client.url.startswith(evil.origin) and
               client.url.rpartition("/")[2] ==
               evil.attacker.url.rpartition("/")[2], client.url)
        e = refused("malformed", client.account)
        expect("verification" in e.detail, e.detail)
        evil.close()

    def test_a_pretender_answers_as_if_the_account_were_there(self):
        evil = Pretender(self.lab, account="https://ca.example/acct/123",
                         key_bound="https://ca.example/account-hash/")
        client, record = self.trusting(evil)
        expect(record == "letsencrypt.org; accounturi="
               "https://ca.example/acct/123", record)
        seen = client.account()
        expect(seen == {"status": "valid", "key": client.key.jwk}, f"{seen}")
        expect(client.url.startswith(evil.origin), client.url)
        expect(client.directory["meta"]["issuerDomainNames"] ==
               ["letsencrypt.org"], f"{client.directory}")
        evil.close()

    def test_a_pretender_keeps_to_the_protocol(self):
        evil = Pretender(self.lab)
        client, _ = self.trusting(evil)
        refused("accountDoesNotExist", Client(
            evil.directory_url, self.ca_file).register, existing=True)
        expect(client.register(existing=True) == client.url, "found again")
        client.nonce = "c3BlbnQ"
        client.post(client.url)
        order = client.order(DOMAIN, f"*.{DOMAIN}")
        for authz in client.authorizations(order):
            expect(client.validate(authz)["status"] == "valid", f"{authz}")
        order = client.wait(order["url"], "ready")
        refused("serverInternal", client.post, order["finalize"], {})
        evil.close()

    def test_a_relay_s_account_is_really_ours(self):
        relay = Relay(self.lab, self.real)
        client, record = self.trusting(relay)
        expect(client.url.startswith(relay.origin), client.url)
        expect(record == f"{ISSUER}; accounturi={client.url}", record)
        expect(client.account()["key"] == client.key.jwk, "our key")
        direct = Client(self.real.directory_url, self.ca_file, client.key)
        direct.register(existing=True)
        expect(direct.url.rpartition("/")[2] == client.url.rpartition("/")[2],
               f"the same account at the real CA: {direct.url}")
        refused("malformed", client.post, client.url, key=Key())
        self.dns.persist(DOMAIN, record)
        client.issue(DOMAIN)
        relay.close()

    def test_the_lab_s_root_as_a_system_root(self):
        def curl(*wrapped):
            return self.lab.run([*wrapped, "curl", "-sS", "-o", "/dev/null",
                                 self.real.directory_url], ok=None)

        expect(curl().returncode == 60, "not trusted by this host")
        r = self.lab.run(with_system_roots(
            self.lab, ["curl", "-sS", self.real.directory_url], CLIENT_UID),
            ok=None)
        if r.returncode:
            raise Failed(f"trusted there: {r.stdout}{r.stderr}")
        expect("newAccount" in r.stdout, r.stdout)
        seen = self.lab.run(with_system_roots(
            self.lab, ["getent", "hosts", "ca.lab.example"],
            hosts={"ca.lab.example": "127.0.0.9"})).stdout
        expect(seen.split()[0] == "127.0.0.9", seen)
        expect(curl().returncode == 60, "this host is as it was")


if __name__ == "__main__":
    sys.exit(run_peer(MaliciousCases))
