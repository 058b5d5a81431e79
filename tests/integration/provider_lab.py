# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon with an account for each kind of key, and programs that have its
OpenSSL provider."""

import os
import re
import shutil
import subprocess
import sys

import lab as L
import stub_file
from daemon_lab import CA, CLIENT, ENDPOINTS, Guardian, jws

sys.path.insert(0, str(L.ROOT / "tests/system"))
import later_debian  # noqa: E402 pylint: disable=C0413

PROVIDER = L.BUILD / "client-shim/acme-guardian.so"
DRIVE = L.BUILD / "tests/tools/provider-drive"
ALGS = {"p256": "ES256", "p384": "ES384", "rsa": "RS256"}
# "tree": with the OpenSSL of a later Debian instead of the host's.
IN_TREE = sys.argv[1:] == ["tree"]
# What programs need that were built without sanitizers, when we have them.
SANITIZERS = re.findall(r"\[(lib(?:asan|ubsan)\.so\.\d+)\]", subprocess.run(
    ["readelf", "-d", PROVIDER], capture_output=True, text=True,
    check=True).stdout)
# What OpenSSL says of an operation that a provider does not have.
NO_DIGESTS = ("provider signature not supported" if IN_TREE else
              "operation not supported")
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
        # Where both sides of a change of root see them.
        self.programs = lab.folder("programs")
        self.module = self.programs / PROVIDER.name
        for file in (PROVIDER, DRIVE):
            shutil.copy(file, self.programs)
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
            module=self.module, more=more, order=order))

    def env(self, conf=None, leaks=False):
        """@leaks: whether it is said what was never freed; openssl(1) has
        leaks of its own."""
        env = {"OPENSSL_CONF": str(conf or self.conf)}
        if SANITIZERS:
            env.update(LD_PRELOAD=":".join(SANITIZERS), ASAN_OPTIONS=":".join(
                [os.environ.get("ASAN_OPTIONS", ""),
                 f"detect_leaks={int(leaks)}"]))
        return env

    def argv(self, uid, argv):
        if IN_TREE:
            return later_debian.inside(self.lab.dir, uid, argv)
        return [*self.lab.as_user(uid), *map(str, argv)]

    def run(self, *argv, uid=CLIENT, ok=(0,), stdin=None, env=None):
        return self.lab.run(self.argv(uid, argv), 0, env or self.env(), ok,
                            stdin)

    def start(self, name, *argv):
        return self.lab.start(name, self.argv(CLIENT, argv), env=self.env())

    def openssl(self, *argv, conf=None, **more):
        return self.run("openssl", *argv, env=self.env(conf), **more)

    def drive(self, *argv, conf=None, leaks=True, **more):
        return self.run(self.programs / "provider-drive", *argv,
                        env=self.env(conf, leaks), **more)

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

