#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates by guardianctl issue, of every form that one can ask for, from a real
Pebble 2.10."""

import json
import os
import stat
import sys

from acme_client import key_bound
from draft02_adapter import Draft02Adapter
from issue_lab import NAME, ZONE, IssueCases, run
from lab import CLIENT_UID, expect
from pebble_lab import ISSUER


class Cases(IssueCases):
    def test_a_name(self):
        w = self.w
        said = w.issue("one", domains=["WWW.Lab.example."])
        expect(said["changed"] and said["domains"] == [NAME], f"{said}")
        expect(w.names("one") == [NAME], f"{w.names('one')}")
        expect(w.pair_fits("one") == (True, True), "key and chain are there")
        w.verified("one")
        modes = [stat.S_IMODE((w.out / f"one.{x}").stat().st_mode)
                 for x in ("key", "pem")]
        expect(modes == [0o600, 0o644], f"0600 and 0644: {modes}")
        expect(sorted(f.name for f in w.out.iterdir()) ==
               ["one.key", "one.pem"], "nothing else was left")

    def test_a_wildcard(self):
        w = self.w
        w.persist(f"w.{ZONE}")
        before = w.relay.tried()
        said = w.issue("wild", domains=[f"*.w.{ZONE}", f"w.{ZONE}"], code=1,
                       says=["no-wildcard-policy", "policy=wildcard"])
        expect(said["error"] == "records-missing", f"{said}")
        expect(w.relay.tried() == before, "no order at the CA")
        w.persist(f"w.{ZONE}", "policy=wildcard")
        w.issue("wild", domains=[f"*.w.{ZONE}", f"w.{ZONE}"])
        expect(w.names("wild") == [f"*.w.{ZONE}", f"w.{ZONE}"],
               f"{w.names('wild')}")
        w.verified("wild")

    def test_a_set_of_ten(self):
        w = self.w
        names = [f"n{i}.{ZONE}" for i in range(10)]
        for n in names:
            w.persist(n)
        before = w.relay.made
        w.issue("ten", domains=names, *["--key-type", "rsa-2048"])
        expect(w.names("ten") == names, f"{w.names('ten')}")
        expect(w.relay.made == before + 1, "one order for all")
        expect("2048 bit" in w.openssl("pkey", "-in", w.out / "ten.key",
                                       "-text", "-noout"), "an RSA key")

    def test_a_hundred(self):
        w = self.w
        names = [f"*.{ZONE}"] + [f"h{i}.{'x' * 60}.{ZONE}" for i in range(99)]
        w.dns.add("hand", ZONE, *[
            f"add _validation-persist.{n.removeprefix('*.')}. 1 TXT \"{ISSUER};"
            f" accounturi={w.url}; policy=wildcard\"" for n in names])
        w.issue("hundred", domains=names)
        expect(w.names("hundred") == sorted(names), f"{w.names('hundred')}")
        w.issue("hundred", domains=[*names, NAME], code=2,
                says="too-many-identifiers")

    def test_a_request_of_one_s_own(self):
        w = self.w
        w.persist(f"own.{ZONE}")
        for form in ("PEM", "DER"):
            w.openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-384", "-nodes", "-keyout",
                      w.lab.dir / "own.key", "-subj", f"/CN=own.{ZONE}",
                      "-addext", f"subjectAltName=DNS:own.{ZONE}", "-outform",
                      form, "-out", w.lab.dir / "own.csr")
            os.chmod(w.lab.dir / "own.csr", 0o644)
            w.issue("own", "--csr", w.lab.dir / "own.csr", own_key=False)
            expect(w.key_of_certificate("own") == w.openssl(
                "pkey", "-in", w.lab.dir / "own.key", "-pubout"),
                "the request's own key")
        expect(not (w.out / "own.key").exists(), "no key is made")

    def test_profiles(self):
        w = self.w
        w.issue("short", "--profile", "short", domains=[NAME])
        w.openssl("x509", "-in", w.out / "short.pem", "-noout", "-checkend",
                  str(5 * 86400))
        r = w.lab.run(["openssl", "x509", "-in", w.out / "short.pem",
                       "-noout", "-checkend", str(7 * 86400)], ok=None)
        expect(r.returncode == 1, "six days")
        before = w.relay.tried()
        w.issue("short", "--profile", "long", domains=[NAME], code=1,
                says="does not offer the profile long")
        w.issue("short", "--profile", "default", domains=[NAME], code=1,
                says="profile-not-allowed")
        expect(w.relay.tried() == before, "no order at the CA")

    def test_an_alternate_chain(self):
        w = self.w
        top = w.openssl("x509", "-noout", "-subject", "-nameopt",
                        "multiline", stdin=w.pebble.manage("/roots/1"))
        top = top.split("commonName")[1].split("= ")[1].strip()
        said = w.issue("alt", "--preferred-chain", top, domains=[NAME])
        expect(said["chain"] == top, f"{top}: {said}")
        w.verified("alt", root=1)
        said = w.issue("alt", "--preferred-chain", "Nobody's root",
                       domains=[NAME], says="no chain up to \"Nobody's root\"")
        expect(said["chain"] != top, f"{said}")
        w.verified("alt")
        # One that cannot be had is passed over, and is no answer of its own.
        w.relay.change = lambda request, answer: (
            answer.__class__.problem(500, "serverInternal", "not now", [
                ("Replay-Nonce", answer.header("Replay-Nonce"))])
            if "/alternate/" in request.path else None)
        r = w.lab.run(w.argv("alt", "--preferred-chain", top, domains=[NAME]),
                      CLIENT_UID)
        expect("not now" in r.stderr and json.loads(r.stdout)["changed"],
               f"one answer: {r.stdout}")

    def test_the_account_s_file_has_the_roots(self):
        """As for every other command; but clients need not be able to read it."""
        w = self.w
        argv = [a for a in w.argv("roots", domains=[NAME])
                if a not in ("--ca-file", w.pebble.ca_file)]
        file = w.lab.file("etc/accounts.d/lab.account", "\n".join([
            "[Account]", f"Directory={w.relay.directory_url}", "Token=lab",
            f"CaFile={w.pebble.ca_file}"]) + "\n")
        w.lab.run(argv, CLIENT_UID)
        w.verified("roots")
        # Which account it is, the daemon says where there is only one.
        alone = [a for a in argv if a not in ("--account", "lab")]
        w.lab.run(alone, CLIENT_UID)
        os.chmod(file, 0o600)
        r = w.lab.run(argv, CLIENT_UID, ok=(69,))
        expect("certificate" in r.stderr, r.stderr)
        file.unlink()

    def test_key_bound_records(self):
        w = self.w
        ca = Draft02Adapter(w.lab, w.dns.address)
        w.policy("bound", "bound")
        w.ctl("reload")
        url, key = w.account("bound", ca.directory_url)

        def publish(domain, at, *more):
            w.persist(domain, *more, uri=key_bound(ca.prefix, at, key, url))

        def issue(*names, **more):
            return w.issue("bound", domains=names, account="bound", **more)

        below = f"below.{ZONE}"
        w.persist(below, uri=url)
        issue(below, code=1, says=["other-account", ca.prefix])
        publish(below, below)
        issue(below)
        publish(below, "*")
        issue(below)
        issue(f"*.{below}", code=1, says="no-wildcard-policy")
        # A record of the parent is enough, if it has policy=wildcard.
        issue(f"a.b.{below}", code=1, says="no-record")
        publish(below, below, "policy=wildcard")
        issue(f"a.b.{below}", f"*.{below}")
        expect(w.names("bound") == [f"*.{below}", f"a.b.{below}"],
               f"{w.names('bound')}")
        ca.close()


if __name__ == "__main__":
    sys.exit(run(Cases))
