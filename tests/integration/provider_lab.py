# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon with an account for each kind of key, and programs that have its
OpenSSL provider."""

import os

import lab as L
import stub_file
from daemon import CA, CLIENT, ENDPOINTS, Guardian, jws

PROVIDER = L.BUILD / "client-shim/acme-guardian.so"
DRIVE = L.BUILD / "tests/tools/provider-drive"
ALGS = {"p256": "ES256", "p384": "ES384", "rsa": "RS256"}
# What the sanitizers' run needs in programs that were built without them.
SANITIZERS = [x for x in os.environ.get("PROVIDER_PRELOAD", "").split(":") if x]
POLICY = "".join(f"""[Client]
User={CLIENT}
[Allow]
Account={name}
Domain=example.com
Subdomains=apps.example.com
OrdersPerDay=1000000

[Client]
User=0
[Allow]
Account={name}
Domain=example.com
OrdersPerDay=1000000

""" for name in ALGS)
CONFIG = """openssl_conf = openssl_init

[openssl_init]
providers = provider_sect

[provider_sect]
{order}

[default_sect]
activate = 1

[acme_guardian_sect]
module = {module}
activate = 1
{more}
[req]
distinguished_name = dn

[dn]
"""
ORDER = "default = default_sect\nacme-guardian = acme_guardian_sect"


class Provider:
    """The lab, its daemon, its accounts' stubs and an openssl.cnf."""

    def __init__(self, lab, accounts=tuple(ALGS)):
        self.lab = lab
        self.guardian = g = Guardian(lab)
        g.policy(POLICY)
        g.start()
        self.accounts = {}
        self.stubs = {}
        for name in accounts:
            # As make_account(), with this account's algorithm.
            more = {"rsaBits": 2048} if name == "rsa" else {}
            a = g.make_account(name, alg=ALGS[name], **more)
            self.accounts[name] = a
            self.stubs[name] = self.stub(name + ".pem", a["jwk"], name)
        self.conf = self.config("openssl.cnf")

    def stub(self, file, jwk, account, socket=None):
        return self.lab.file(file, stub_file.stub(
            jwk, socket or self.guardian.client, account))

    def config(self, file, more="", order=ORDER):
        return self.lab.file(file, CONFIG.format(
            module=PROVIDER, more=more, order=order))

    def env(self, conf=None):
        env = {"OPENSSL_CONF": str(conf or self.conf)}
        if SANITIZERS:
            # openssl(1) has leaks of its own.
            env.update(LD_PRELOAD=":".join(SANITIZERS), ASAN_OPTIONS=(
                os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"))
        return env

    def openssl(self, *argv, uid=CLIENT, ok=(0,), stdin=None, conf=None):
        return self.lab.run(["openssl", *argv], uid, self.env(conf), ok, stdin)

    def order(self, account, *names):
        """The signing input of an order, as a client makes it."""
        request = jws({"alg": ALGS[account], "kid": f"{CA}/acct/{account}",
                       "nonce": "nonce_-1", "url": ENDPOINTS["newOrder"]},
                      {"identifiers": [{"type": "dns", "value": n}
                                       for n in names]})
        return f"{request['protected']}.{request['payload']}"

    def digest(self, account):
        return "-sha384" if account == "p384" else "-sha256"

    def public(self, account):
        """The account's public key, by a reader that is not ours."""
        return self.lab.file(account + ".pub", stub_file.pem(
            stub_file.spki(self.accounts[account]["jwk"]), "PUBLIC KEY"))

    def audit(self, **members):
        return [x for x in self.guardian.audit_lines()
                if all(x.get(k) == v for k, v in members.items())]


def with_provider(accounts=tuple(ALGS)):
    def decorate(fn):
        def case():
            with L.Lab("provider") as lab:
                p = Provider(lab, accounts)
                fn(p)
                L.expect(p.guardian.stop() == 0, "a clean stop")
        case.__name__ = fn.__name__
        return case
    return decorate

