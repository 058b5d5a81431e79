# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pebble 2.10, which knows dns-persist-01, and the name server beside it.

scripts/install-pebble puts it where this looks. Lab.pebble() is Debian 12's
own, older one. What 2.10 does and does not:
  - the challenge lists its issuers as "issuer-domain-names", the configured
    names; only 2.10.1 adds "accounturi". No draft-02 metadata at all.
  - it asks for the identifier's own owner alone, over TCP, for no parent's.
  - accounts live in memory; a Pebble started again knows nobody.
  - authz_reuse=0 still reuses a valid authorization once in a hundred orders.
"""

import http.client
import json
import os
import pathlib
import socket

from acme_client import http_request
from lab import CA_UID, expect, free_port, port_open, wait_for

PEBBLE_DIR = pathlib.Path(os.environ.get(
    "PEBBLE_DIR", "/var/cache/acme-guardian-tests/pebble"))
ISSUER = "ca.lab.example"


def program(name):
    expect((PEBBLE_DIR / name).exists(),
           f"{PEBBLE_DIR}/{name} is missing: run scripts/install-pebble")
    return PEBBLE_DIR / name


def pebble_version():
    return (PEBBLE_DIR / "VERSION").read_text().strip()


class TxtServer:
    """Pebble's own name server: any name is 127.0.0.1, TXT as set."""

    def __init__(self, lab, name="challtestsrv-2"):
        self.port, self.management = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = lab.start(name, [
            program("pebble-challtestsrv"), "-dnsserver", self.address,
            "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
            "-management", f"127.0.0.1:{self.management}", "-defaultIPv6",
            ""], CA_UID)
        wait_for("the TXT server", lambda: port_open(self.port) and
                 port_open(self.management))

    def _post(self, path, **values):
        c = http.client.HTTPConnection("127.0.0.1", self.management)
        c.request("POST", f"/{path}", json.dumps(values))
        expect(c.getresponse().status == 200, f"the TXT server: {path}")
        c.close()

    def set(self, owner, *values):
        self.clear(owner)
        for value in values:
            self._post("set-txt", host=f"{owner}.", value=value)

    def persist(self, domain, *values):
        self.set(f"_validation-persist.{domain}", *values)

    def clear(self, owner):
        self._post("clear-txt", host=f"{owner}.")

    def cname(self, owner, target):
        self._post("set-cname", host=f"{owner}.", target=f"{target}.")

    def servfail(self, owner):
        self._post("set-servfail", host=f"{owner}.")


class Pebble:
    def __init__(self, lab, dns, name="pebble-2", host="localhost",
                 address="127.0.0.1", issuers=(ISSUER,), eab=None,
                 eab_required=None, profiles=None, authz_reuse=0,
                 alternate_roots=0, retry_after=(0, 0), nonce_reject=0,
                 blocked=(), http_port=0):
        """
        @dns:         "ADDRESS:PORT" that all lookups go to, over TCP
        @host:        the name in URLs; @address "::1" for IPv6 alone
        @eab:         {kid: MAC key, base64url without padding}; required then
                      unless @eab_required says otherwise
        @profiles:    {name: seconds of validity}; one of 90 days else. An order
                      without a profile gets any of them.
        @authz_reuse: per cent
        @retry_after: seconds for (authorizations, orders), 0 for none
        """
        self.lab, self.dns, self.name = lab, dns, name
        self.port, self.management = free_port(), free_port()
        around = f"[{address}]" if ":" in address else address
        self.address, self.issuers = address, list(issuers)
        self.origin = f"https://{host}:{self.port}"
        self.directory_url = f"{self.origin}/dir"
        tls = lab.tls()
        self.ca_file = tls / "ca.pem"
        profiles = profiles or {"default": 90 * 86400}
        self.config = lab.file(f"{name}.json", json.dumps({"pebble": {
            "listenAddress": f"{around}:{self.port}",
            "managementListenAddress": f"{around}:{self.management}",
            "certificate": str(tls / "server.pem"),
            "privateKey": str(tls / "server.key"),
            "httpPort": http_port or free_port(), "tlsPort": free_port(),
            "ocspResponderURL": "", "keyAlgorithm": "ecdsa",
            "caaIdentities": self.issuers, "domainBlocklist": list(blocked),
            "externalAccountBindingRequired":
                bool(eab) if eab_required is None else eab_required,
            "externalAccountMACKeys": eab or {},
            "retryAfter": dict(zip(("authz", "order"), retry_after)),
            "profiles": {n: {"description": n, "validityPeriod": s}
                         for n, s in profiles.items()}}}))
        self.env = {"PEBBLE_VA_NOSLEEP": "1",
                    "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
                    "PEBBLE_AUTHZREUSE": str(authz_reuse),
                    "PEBBLE_ALTERNATE_ROOTS": str(alternate_roots)}
        self.start()

    def start(self):
        """Also after stop(): then with other roots and without accounts."""
        self.process = self.lab.start(
            self.name, [program("pebble"), "-config", self.config,
                        "-dnsserver", self.dns], CA_UID, self.env)
        wait_for("Pebble", lambda: self._listens(self.port) and
                 self._listens(self.management))
        self.root = self.lab.file(f"{self.name}-root.pem",
                                  self.manage("/roots/0"))

    def stop(self):
        self.lab.stop(self.process)

    def _listens(self, port):
        try:
            expect(self.process.poll() is None,
                   f"Pebble ended:\n{self.lab.log(self.name)}")
            with socket.create_connection((self.address, port)):
                return True
        except OSError:
            return False

    def manage(self, path, data=None):
        """Its management port: roots, certificate states, ARI."""
        around = f"[{self.address}]" if ":" in self.address else self.address
        r = http_request("POST" if data else "GET",
                         f"https://{around}:{self.management}{path}",
                         data and json.dumps(data), ca_file=self.ca_file)
        expect(r.status == 200, f"Pebble's {path}: {r.status} {r.body}")
        return r.body.decode()

    def set_renewal_info(self, pem, text):
        """What renewalInfo says of a certificate from now on: any text."""
        self.manage("/set-renewal-info/",
                    {"Certificate": pem, "ARIResponse": text})

    def certificate_state(self, serial_hex):
        return json.loads(self.manage(f"/cert-status-by-serial/{serial_hex}"))
