#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl issue against a real daemon, BIND and Pebble 2.10.

What it must never do, too: order without a record, answer a challenge for
another account, leave a key beside another key's certificate.
"""

import functools
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time

from acme_client import key_bound
from draft02_adapter import Draft02Adapter
from issue_lab import IssueLab, ZONE, in_challenges, payload, refusing
from lab import CLIENT_UID, OTHER_UID, Lab, expect, run_cases
from pebble_lab import ISSUER

NAME = f"www.{ZONE}"


class Cases:
    def __init__(self, lab):
        self.lab = lab
        self.w = IssueLab(lab)
        self.w.persist(NAME)

    def fresh(self, name):
        """One case, with a relay that changes nothing yet."""
        @functools.wraps(getattr(self, name))
        def case():
            self.w.relay.change = None
            getattr(self, name)()
        return case

    # What it is for.

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

    # Renewal.

    def files(self, stem):
        return [((self.w.out / f"{stem}.{x}").stat().st_ino,
                 (self.w.out / f"{stem}.{x}").read_bytes())
                for x in ("key", "pem")]

    def test_twice_with_if_due(self):
        w = self.w
        said = w.issue("due", "--if-due", domains=[NAME])
        expect(said["changed"], f"{said}")
        before, orders = self.files("due"), w.relay.tried()
        said = [w.issue("due", "--if-due", domains=[NAME]) for _ in range(2)]
        expect(said[0] == said[1] and not said[0]["changed"] and
               said[0]["dueBy"] == "ari", f"{said}")
        expect(self.files("due") == before, "files as they were")
        expect(w.relay.tried() == orders, "no order")

    def short_serial(self, stem):
        """Pebble does not find what has a leading zero octet in its DER."""
        w = self.w
        while int(w.serial(stem)[:2], 16) >= 0x80:
            w.issue(stem, domains=[NAME])

    def test_due_by_the_ca_s_window(self):
        w = self.w
        self.short_serial("due")
        serial, key = w.serial("due"), w.key_of_file("due")
        w.window("due", 3600, 7200)
        expect(not w.issue("due", "--if-due", domains=[NAME])["changed"],
               "the window is to come")
        w.window("due", -7200, -3600)
        said = w.issue("due", "--if-due", domains=[NAME])
        expect(said["changed"] and said.get("replaces"), f"{said}")
        w.relay.change = lambda request, answer: (
            answer.__class__.problem(404, "malformed", "no such certificate")
            if request.path.startswith("/draft-ietf-acme-ari") or
            "/renewal-info/" in request.path.lower() else None)
        w.issue("due", "--if-due", domains=[NAME],
                says="does not know the certificate in place")
        w.relay.change = None
        sent = [payload(r) for r in w.relay.requests
                if r.path == "/order-plz"][-1]
        expect(sent["replaces"] == said["replaces"], f"{sent}")
        expect(w.serial("due") != serial, "another certificate")
        expect(w.key_of_file("due") == key, "the same key")
        expect(w.pair_fits("due") == (True, True), "a pair")

    def test_replaced_already(self):
        w = self.w
        self.short_serial("due")
        old = (w.out / "due.pem").read_bytes()
        w.window("due", -7200, -3600)
        expect(w.issue("due", "--if-due", domains=[NAME])["replaces"],
               "the first time")
        (w.out / "due.pem").write_bytes(old)
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="does not take the order as a replacement")
        expect(said["changed"] and "replaces" not in said, f"{said}")

    def test_replace_not_allowed(self):
        w = self.w
        w.policy("lab", "lab", "Operations=order finalize challenge fetch")
        w.ctl("reload")
        w.window("due", -7200, -3600)
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="does not allow the order as a replacement")
        expect(said["changed"] and "replaces" not in said, f"{said}")
        w.policy("lab", "lab")
        w.ctl("reload")

    def test_two_thirds_without_advice(self):
        w = self.w
        w.relay.change = lambda request, answer: (
            answer.__class__.problem(500, "serverInternal", "not today")
            if "renewalInfo" in request.path else None)
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="two thirds of the lifetime")
        expect(said["dueBy"] == "lifetime" and not said["changed"], f"{said}")
        # A CA that cannot be reached matters only when it is needed.
        w.relay.change = lambda request, answer: answer.__class__.problem(
            503, "serverInternal", "not today")
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="without the CA's advice")
        expect(not said["changed"], f"{said}")
        w.issue("due", "--if-due", domains=[NAME, f"w.{ZONE}"], code=75,
                says="not today")

    def test_other_names_or_another_key_are_due(self):
        w = self.w
        both = [NAME, f"w.{ZONE}"]
        key = w.key_of_file("due")
        expect(w.issue("due", "--if-due", domains=both)["changed"], "names")
        expect(w.names("due") == sorted(both), f"{w.names('due')}")
        expect(w.key_of_file("due") == key, "the same key")
        expect(not w.issue("due", "--if-due", domains=both[::-1])["changed"],
               "in another order it is the same set")
        (w.out / "due.key").unlink()
        expect(w.issue("due", "--if-due", domains=both)["changed"], "no key")
        expect(w.key_of_file("due") != key, "a new key")
        w.lab.run(["install", "-o", str(CLIENT_UID), "-m", "600",
                   w.out / "one.key", w.out / "due.key"])
        expect(w.issue("due", "--if-due", domains=both)["changed"],
               "another key")
        expect(w.key_of_file("due") == w.key_of_file("one"), "it is used")
        expect(w.pair_fits("due") == (True, True), "a pair")
        w.issue("due", "--key-type", "rsa-2048", domains=both, code=78,
                says="is ec-p256, not rsa-2048")

    def systemctl(self, text):
        """The command line under a systemctl of the test's own."""
        fake = self.lab.file(f"systemctl-{len(text)}", f"#!/bin/sh\n{text}\n", mode=0o755)
        return ["unshare", "--mount", "sh", "-c", "mount --make-rprivate / && "
                "mount --bind \"$1\" /usr/bin/systemctl && shift && "
                "exec \"$@\"", "sh", fake, *self.lab.as_user(CLIENT_UID)]

    def test_reload_after_a_change_only(self):
        w = self.w
        log = w.lab.file("reloads", "", CLIENT_UID)
        good = self.systemctl(f'echo "$@" >> {log}')
        bad = self.systemctl("echo no such unit >&2; exit 5")
        argv = w.argv("reload", "--if-due", "--reload", "web.service",
                      "--reload", "mail@1.service", domains=[NAME])
        r = w.lab.run([*bad, *argv], ok=(1,))
        expect("certificate is in place" in r.stderr and
               w.pair_fits("reload") == (True, True), r.stderr)
        # Nothing is due, but what failed is still to be done.
        w.lab.run([*good, *argv])
        both = ("reload-or-restart -- web.service\n"
                "reload-or-restart -- mail@1.service\n")
        expect(log.read_text() == both, f"{log.read_text()}")
        w.lab.run([*good, *argv])
        expect(log.read_text() == both, f"{log.read_text()}")
        w.issue("reload", "--reload", "--now", domains=[NAME], code=64,
                says="the name of a unit")

    # What it refuses.

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

    def test_limits_of_the_ca(self):
        w = self.w
        w.relay.change = refusing("/order-plz", 429, "rateLimited",
                                  "too many certificates",
                                  ("Retry-After", "7200"))
        w.issue("no", domains=[NAME], code=75,
                says=["rateLimited: too many certificates", "7200 s"])
        # Nor is it asked again when the order said what it replaces.
        w.window("due", -7200, -3600)
        before = w.relay.tried()
        w.issue("due", "--if-due", domains=[NAME], code=75,
                says="rateLimited")
        expect(w.relay.tried() == before + 1, "once")

    def test_a_certificate_of_another_key(self):
        """A CA that mixes up its orders does not mix up our files."""
        w = self.w
        w.issue("mixed", domains=[NAME])
        before = self.files("mixed")
        other = (w.out / "wild.pem").read_bytes()
        w.relay.change = lambda request, answer: (
            answer.__class__(200, other, answer.headers)
            if request.path.startswith("/certZ/") else None)
        w.issue("mixed", domains=[NAME], code=2,
                says="not for the key of the request")
        expect(self.files("mixed") == before, "files as they were")

    def test_files_that_are_not_ours(self):
        w = self.w
        w.lab.file("out/passwd.pem", "root:x:0:0\n", CLIENT_UID)
        w.issue("passwd", domains=[NAME], code=78,
                says="holds no certificate, so it is not replaced")
        # One file of both, as some servers want it: the only copy of a key.
        w.issue("both", domains=[NAME])
        both = (w.out / "both.key").read_text() + (
            w.out / "both.pem").read_text()
        (w.out / "both.pem").write_text(both)
        before = w.relay.tried()
        w.issue("both", domains=[NAME], code=78,
                says="holds a private key, which would be lost")
        expect((w.out / "both.pem").read_text() == both, "as it was")
        w.lab.folder("out/closed", 0)
        w.issue("closed/x", domains=[NAME], code=77,
                says="Permission denied")
        w.issue("one", "--key-out", w.out / "one.pem", domains=[NAME],
                own_key=False, code=64, says="the same file")
        expect(w.relay.tried() == before, "no order at the CA")

    def test_a_key_that_others_have(self):
        w = self.w
        key = w.out / "shared.key"
        w.issue("shared", domains=[NAME])
        before = w.relay.tried()
        for mode, says in ((0o660, "writable by its owner alone"),
                           (0o644, "every user can read this key")):
            os.chmod(key, mode)
            w.issue("shared", domains=[NAME], code=78, says=says)
        os.chmod(key, 0o640)
        os.chown(key, OTHER_UID, CLIENT_UID)
        w.issue("shared", domains=[NAME], code=78,
                says="must be owned by root or you")
        expect(w.relay.tried() == before, "no order at the CA")
        os.chown(key, CLIENT_UID, CLIENT_UID)
        w.issue("shared", domains=[NAME])

    def test_the_owner_s_mode_is_kept(self):
        w = self.w
        os.chmod(w.out / "one.pem", 0o640)
        w.issue("one", domains=[NAME])
        expect(stat.S_IMODE((w.out / "one.pem").stat().st_mode) == 0o640,
               "0640 as before")

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
        expect(1.5 < time.monotonic() - start < 15, "after its time")
        w.relay.change = None
        w.issue("slow", domains=[f"slow.{ZONE}"])

    # Ended at any instant.

    def killed_at(self, stem, call):
        """SIGKILL at the entry of a system call. Without flags, renameat2() is
        another one, renameat."""
        argv = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                "-e", f"inject={call}:signal=SIGKILL:when=1",
                *self.w.argv(stem, domains=[NAME])]
        # LeakSanitizer cannot work beside strace.
        return self.lab.run(argv, CLIENT_UID, ok=None, env={
            "ASAN_OPTIONS": "detect_leaks=0"}).returncode

    def test_killed_between_its_files(self):
        w = self.w
        for step, call, there in ((1, "renameat", (False, False)),
                                  (2, "renameat2", (True, False))):
            stem = f"step{step}"
            expect(self.killed_at(stem, call) == -signal.SIGKILL,
                   f"killed at {call}")
            expect(w.pair_fits(stem) == there, f"{step}: {there}")
            orders = w.relay.made
            said = w.issue(stem, "--if-due", domains=[NAME])
            expect(w.pair_fits(stem) == (True, True), "a pair")
            # Whose chain had come so far needs no other certificate.
            expect(said["changed"] == (step == 1) and
                   w.relay.made == orders + (step == 1), f"{step}: {said}")
            expect(not list(w.out.glob(f".{stem}*")), "nothing is left")

    def test_killed_in_a_renewal(self):
        w = self.w
        w.issue("again", domains=[NAME])
        before = self.files("again")
        for call in ("renameat", "fchmod", "pwrite64"):
            expect(self.killed_at("again", call) == -signal.SIGKILL,
                   f"killed at {call}")
            expect(self.files("again") == before, f"{call}: the old pair")
        w.issue("again", domains=[NAME])
        expect(w.pair_fits("again") == (True, True), "the new pair")
        expect(self.files("again")[1] != before[1], "another chain")

    def test_killed_whenever(self):
        w = self.w
        for i in range(10):
            stem = f"any{i % 2}"
            p = subprocess.Popen(
                [*self.lab.as_user(CLIENT_UID),
                 *map(str, w.argv(stem, domains=[NAME]))],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0.01, 0.6))
            p.send_signal(signal.SIGKILL if i % 3 else signal.SIGTERM)
            p.wait()
            w.pair_fits(stem)
        for stem in ("any0", "any1"):
            w.issue(stem, domains=[NAME])
            expect(w.pair_fits(stem) == (True, True), "a pair")

    def test_two_at_once(self):
        w = self.w
        argv = [*self.lab.as_user(CLIENT_UID),
                *map(str, w.argv("twice", domains=[NAME]))]
        runs = [subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE) for _ in range(3)]
        codes = sorted(p.wait() for p in runs)
        words = b"".join(p.stderr.read() for p in runs)
        expect(codes[0] == 0 and set(codes) <= {0, 75}, f"{codes} {words}")
        expect(w.pair_fits("twice") == (True, True), "a pair")

    # Key-bound records.

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


def main():
    with Lab("acme-guardian-issue") as lab:
        cases = Cases(lab)
        only = sys.argv[1:]
        return run_cases([cases.fresh(n) for n in Cases.__dict__
                          if n.startswith("test_") and
                          (not only or any(o in n for o in only))])


if __name__ == "__main__":
    sys.exit(main())
