#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts at a real Pebble: bindings, updates, directories, what is shown."""

import base64
import os
import stat
import sys

from accounts_lab import World
from broken_ca import FAULTS, BrokenCa
from connect_proxy import ConnectProxy
from fake_acme import ENDPOINTS
from lab import Lab, expect, run_cases
from pebble_lab import ISSUER, Pebble, TxtServer

KID, MAC = "kid-1", base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip(
    "=")


class Cases:
    def __init__(self, lab):
        self.lab, self.w = lab, World(lab)
        self.ca = ("--ca-file", lab.tls() / "ca.pem")
        self.dns = TxtServer(lab)
        self.pebble = Pebble(lab, self.dns.address, nonce_reject=10,
                             profiles={"classic": 90 * 86400,
                                       "short": 6 * 86400})
        self.bound = Pebble(lab, self.dns.address, "pebble-eab",
                            eab={KID: MAC})
        self.key = lab.file("eab.key", MAC + "\n", mode=0o600)
        self.broken = BrokenCa(lab)

    def test_the_known_cas_are_listed_and_staging_is_seen(self):
        out = self.w.ctl("ca", "list", says=[
            "letsencrypt ", "letsencrypt-staging", "STAGING", "gts ",
            "zerossl", "sectigo.com"])
        line = next(l for l in out.splitlines() if l.startswith(
            "letsencrypt-staging"))
        expect("STAGING" in line, line)
        cas = {c["name"]: c for c in self.w.json("ca", "list")["cas"]}
        expect(cas["zerossl"]["externalAccount"] and
               not cas["zerossl"]["staging"], str(cas["zerossl"]))

    def test_a_ca_is_named_or_its_url_is_given(self):
        w = self.w
        for args, says in [
                ((), "needs --ca NAME, or --directory URL"),
                (("--ca", "gts", "--directory", "https://a.example/"),
                 "needs --ca NAME, or --directory URL"),
                (("--ca", "letsencript"), "no CA of that name")]:
            w.ctl("account", "create", "x", "--token", "lab", *args, code=64,
                  says=says)
        w.ctl("account", "create", "le", "--token", "lab", "--ca",
              "letsencrypt-staging", says=["STAGING ", "Let's Encrypt",
                                           "acme-staging-v02"])
        w.ctl("account", "create", "url", "--token", "lab", "--ca",
              "https://ca.example/dir", says="https://ca.example/dir",
              never="STAGING")
        out = w.ctl("account", "list")
        lines = {l.split()[0]: l for l in out.splitlines()}
        expect("STAGING created" in lines["le"], out)
        expect("STAGING" not in lines["url"], out)
        w.ctl("account", "show", "le", says="nobody trusts")

    def test_an_account_is_registered_shown_and_updated(self):
        w = self.w
        w.create("main", self.pebble.directory_url)
        w.ctl("account", "register", "main", *self.ca, code=1,
              says=["terms of service: data:", "--agree-terms"])
        w.ctl("account", "register", "main", "--agree-terms", "--contact",
              "mailto:a@lab.example", *self.ca, says="registered")
        w.ctl("account", "show", "main", says=[
            "profiles", "classic", "short", "CAA identities", ISSUER,
            "records ", "by account URL", "terms of service"])
        w.ctl("account", "update", "main", *self.ca, code=64,
              says="needs --contact")
        w.ctl("account", "update", "main", "--contact",
              "mailto:b@lab.example", "--no-contacts", *self.ca, code=64)
        w.ctl("account", "update", "main", "--contact",
              "mailto:b@lab.example", "--agree-terms", *self.ca,
              says=["updated", "mailto:b@lab.example"])
        expect(w.account("main")["contacts"] == ["mailto:b@lab.example"],
               "the new contact alone")
        w.ctl("account", "update", "main", "--contact", "tel:1", *self.ca,
              code=1, says="HTTP status 400")
        w.ctl("account", "update", "main", "--no-contacts", *self.ca)
        expect(w.account("main")["contacts"] == [], "none")

    def test_a_binding_is_made_where_the_ca_wants_one(self):
        w = self.w
        w.create("eab", self.bound.directory_url)
        eab = ("account", "register", "eab", "--agree-terms", *self.ca)
        w.ctl(*eab, code=1, says=["wants an external account binding",
                                  "--eab-kid"])
        w.ctl("account", "show", "eab", says="an external account binding")
        w.ctl(*eab, "--eab-kid", KID, code=64, says="need each other")
        w.ctl(*eab, "--eab-kid", KID, "--eab-key", MAC, code=64,
              says="never the key itself", never=MAC)
        wrong = self.lab.file("wrong.key", MAC[::-1], mode=0o600)
        short = self.lab.file("short.key", "AAAA", mode=0o600)
        odd = self.lab.file("odd.key", "not base64url!", mode=0o600)
        theirs = self.lab.file("open.key", MAC, mode=0o644)
        for kid, path, code, says in [
                (KID, wrong, 1, "HTTP status 403"),
                ("kid-2", self.key, 1, "HTTP status 403"),
                (KID, short, 78, "at least 16 octets"),
                (KID, odd, 78, "no base64url"),
                (KID, theirs, 78, "mode 0600"),
                (KID, self.lab.dir / "none", 78, "cannot be read")]:
            w.ctl(*eab, "--eab-kid", kid, "--eab-key", f"file:{path}",
                  code=code, says=says, never=MAC)
            expect(w.account("eab")["status"] == "created", "not registered")
        w.ctl(*eab, "--eab-kid", KID, "--eab-key", f"file:{self.key}",
              says=["registered", "external account"])
        expect(w.account("eab")["externalAccount"] == KID, "kept")

    def test_a_binding_is_made_once(self):
        # The key is not even looked for.
        self.w.ctl("account", "register", "eab", "--agree-terms", *self.ca,
                   "--eab-kid", "kid-3", "--eab-key", "file:/nowhere",
                   says="was registered before")
        expect(self.w.account("eab")["externalAccount"] == KID, "as it was")

    def test_a_credential_has_the_key(self):
        w = self.w
        creds = self.lab.folder("creds")
        self.lab.file("creds/eab", MAC, mode=0o400)
        w.create("cred", self.bound.directory_url)
        w.ctl("account", "register", "cred", "--agree-terms", *self.ca,
              "--eab-kid", KID, "--eab-key", "credential:eab",
              env={"CREDENTIALS_DIRECTORY": str(creds)})
        w.ctl("account", "register", "cred", "--agree-terms", *self.ca,
              "--eab-kid", KID, "--eab-key", "credential:../eab", code=64)

    def test_nothing_keeps_the_key(self):
        for path in self.lab.dir.rglob("*"):
            if (path.suffix == ".key" or path.parent.name == "creds" or
                    path.name.startswith("pebble") or
                    not stat.S_ISREG(os.lstat(path).st_mode)):
                continue
            expect(MAC.encode() not in path.read_bytes(), f"{path} has it")

    def test_a_directory_is_read_again_and_changes_are_told(self):
        w, ca = self.w, self.broken
        w.registered("dir", ca)
        args = ("account", "directory", "dir", *self.ca)
        w.ctl(*args, says="as it was")
        ca.meta = {**ca.meta, "termsOfService": "https://ca.example/tos",
                   "accountHashPrefix": "https://ca.example/h/",
                   "issuerDomainNames": [ISSUER]}
        out = w.ctl(*args, says=["https://ca.example/tos",
                                 "https://ca.example/h/"])
        expect("as it was" not in out, out)
        expect(w.json(*args) == {"account": "dir", "changes": []}, "once")
        w.ctl("account", "show", "dir", says=[
            "records ", "bound to the key, by https://ca.example/h/",
            "CA's issuer names"])
        for fault, says in [("endpoint-relative", "newOrder"),
                            ("prefix-semicolon", "accountHashPrefix"),
                            ("prefix-space", "accountHashPrefix"),
                            ("lacks-newOrder", "newOrder"),
                            ("repeats-newOrder", "newOrder"),
                            ("html", "not a directory"),
                            ("issuer-not-in-caa", "other.example")]:
            ca.fault = fault
            w.ctl(*args, code=2, says=says)
        ca.fault = None
        # Another origin is never followed.
        ca.directory = lambda: {
            **BrokenCa.directory(ca),
            "newOrder": "https://elsewhere.example/newOrder"}
        w.ctl(*args, code=2, says="elsewhere.example")
        del ca.directory
        w.ctl(*args, says="as it was")

    def test_each_fault_of_a_directory_is_refused(self):
        """And nothing of it is kept. What is not its CA's own fault is its
        network's: then it is worth another try."""
        w, ca = self.w, self.broken
        args = ("account", "directory", "dir", *self.ca)
        before = w.json("account", "show", "dir")
        codes = {"404": 1, "500": 75, "503-retry": 75, "short-body": 75}
        # What need not be there, and what only takes its time.
        good = {f"lacks-{e}" for e in ENDPOINTS if e not in (
            "newNonce", "newAccount", "newOrder")} | {"slow", "no-date"}
        ca.requests.clear()
        for fault in FAULTS:
            if fault in good or fault.startswith("date-"):
                continue
            ca.fault = fault
            w.ctl(*args, code=codes.get(fault, 2), says="guardianctl: ")
        ca.fault = "slow"
        w.ctl(*args, "--timeout", "1", code=75, says="timed out")
        ca.fault = None
        expect(w.json("account", "show", "dir") == before, "as it was")
        expect(set(ca.paths()) == {"/directory"}, f"{ca.paths()}")

    def test_issuers_are_typed_and_never_another_cas(self):
        w = self.w
        w.ctl("account", "issuers", "dir", code=64, says="or --none")
        w.ctl("account", "issuers", "dir", ISSUER, "other.example",
              says=["issuer names", ISSUER])
        w.ctl("account", "issuers", "dir", "letsencrypt.org", code=1,
              says="issuer-origin-mismatch")
        expect(w.account("dir")["issuers"] == [ISSUER, "other.example"],
               "as before")
        w.ctl("account", "issuers", "dir", "--none")
        expect(w.account("dir")["issuers"] == [], "none")

    def test_a_clock_that_differs_is_warned_of(self):
        args = ("account", "directory", "dir", *self.ca)
        for fault, says in [("date-late", "behind that of the CA"),
                            ("date-early", "ahead of that of the CA")]:
            self.broken.fault = fault
            self.w.ctl(*args, says=["warning: this host's clock is", says])
        for fault in ("date-near", "no-date", None):
            self.broken.fault = fault
            self.w.ctl(*args, never="clock")

    def test_how_long_to_wait_is_shown(self):
        w, ca = self.w, self.broken
        w.create("limit", ca.directory_url)
        ca.limits["/newAccount"] = [1, "120"]
        args = ("account", "register", "limit", *self.ca)
        ca.meta.pop("termsOfService", None)
        w.ctl(*args, code=75, says=["HTTP status 429: rateLimited",
                                    "asks to wait 120 s"])
        ca.limits["/newAccount"] = [1, "120"]
        e = w.json(*args, code=75)
        expect(e["retryAfter"] == 120 and e["httpStatus"] == 429, str(e))
        w.ctl(*args)

    def test_a_proxy_of_the_environment_is_used(self):
        with ConnectProxy() as proxy:
            for name in ("HTTPS_PROXY", "https_proxy"):
                proxy.seen.clear()
                self.w.ctl("account", "directory", "main", *self.ca,
                           env={name: proxy.url})
                expect(proxy.seen == [("localhost", self.pebble.port, 200)],
                       f"{name}: {proxy.seen}")
            self.w.ctl("account", "directory", "main", *self.ca,
                       env={"https_proxy": proxy.url,
                            "NO_PROXY": "localhost"})
            expect(len(proxy.seen) == 1, f"NO_PROXY: {proxy.seen}")
            proxy.refuse = lambda host, port: True
            self.w.ctl("account", "directory", "main", *self.ca, code=75,
                       env={"https_proxy": proxy.url}, says="403")
            # Pebble's own certificate is checked through it, too.
            proxy.refuse = lambda host, port: False
            self.w.ctl("account", "directory", "main", code=69,
                       env={"https_proxy": proxy.url}, says="certificate")

    def test_a_host_that_has_ipv6_alone(self):
        six = Pebble(self.lab, self.dns.address, "pebble-six",
                     host="[::1]", address="::1")
        a = self.w.registered("six", six)
        expect(a["url"].startswith(f"https://[::1]:{six.port}/"), a["url"])
        self.w.ctl("account", "prove", "six", *self.ca)
        with ConnectProxy("::1") as proxy:
            self.w.ctl("account", "directory", "six", *self.ca,
                       env={"https_proxy": proxy.url})
            expect(proxy.seen == [("::1", six.port, 200)], str(proxy.seen))


def main():
    with Lab("acme-guardian-accounts") as lab:
        made = Cases(lab)
        return run_cases([getattr(made, n) for n in Cases.__dict__
                          if n.startswith("test_")])


if __name__ == "__main__":
    sys.exit(main())
