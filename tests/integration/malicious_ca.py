# SPDX-License-Identifier: LGPL-2.1-or-later
"""The three CAs that want somebody's records for an account not theirs.

A dns-persist-01 record names an issuer and an account. Whoever talks an
operator into publishing one for an account of his own, at a CA that others
trust, gets certificates for the operator's domains from then on.

  ForeignAccount   registers an account of its own at a real CA and gives its
                   URL to whoever registers with it: account-not-ours, or
                   foreign-origin where the account lists no such origin
  RelayedForeign   the same, but under its own origin, behind which the real CA
                   answers all else: account-not-ours
  Pretender        answers under its own origin as if the account were there,
                   and names a trusted CA's issuer: issuer-origin-mismatch
  Relay            only relays: the account really is the victim's, at the real
                   CA; allowed once the operator has typed the issuer
"""

from acme_client import Client
from acme_relay import Relay
from fake_acme import FakeAcme
from https_peer import Answer


class ForeignAccount(FakeAcme):
    """@real is a Pebble, or whatever has directory_url, ca_file, issuers."""

    def __init__(self, lab, real, host="evil.localhost", **more):
        super().__init__(lab, host, issuers=real.issuers, **more)
        self.attacker = Client(real.directory_url, real.ca_file)
        self.attacker.register()
        self.meta = {"caaIdentities": list(real.issuers)}
        self.challenge_accounturi = self.attacker.url

    def account_url(self, number):
        return self.attacker.url


class RelayedForeign(Relay):
    def __init__(self, lab, real, host="evil.localhost", **more):
        super().__init__(lab, real, host, **more)
        self.attacker = Client(real.directory_url, real.ca_file)
        self.attacker.register()

    def answer(self, request):
        if request.path != "/sign-me-up":
            return self.forward(request)
        url = self.attacker.url.replace(self.pebble.origin, self.origin)
        return Answer.of({"status": "valid"}, 201,
                         [("Location", url), self.fresh_nonce()])


class Pretender(FakeAcme):
    """@account: in challenges, the attacker's account at the trusted CA.
    @key_bound: the metadata of draft 02, with the trusted CA's prefix."""

    def __init__(self, lab, issuer="letsencrypt.org", account=None,
                 key_bound=None, host="evil.localhost", **more):
        super().__init__(lab, host, issuers=[issuer], **more)
        self.challenge_accounturi = account
        if key_bound:
            self.meta |= {"accountHashPrefix": key_bound,
                          "issuerDomainNames": [issuer]}
