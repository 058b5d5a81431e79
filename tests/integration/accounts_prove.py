#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose an account is: account prove, a real Pebble, and three CAs gone bad."""

import copy
import sys

from accounts_lab import World
from fake_acme import FakeAcme
from https_peer import Answer
from lab import Lab, Varlink, expect, run_cases
from malicious_ca import ForeignAccount, Pretender, RelayedForeign
from acme_relay import Relay
from pebble_lab import ISSUER, Pebble, TxtServer
from private_host import with_system_roots


class Odd(FakeAcme):
    """Answers at the account URL as @odd says."""
    odd = None

    def _on_account(self, header, payload, number):
        if self.odd is not None:
            return copy.deepcopy(self.odd)
        return super()._on_account(header, payload, number)


class Cases:
    def __init__(self, lab):
        self.lab, self.w = lab, World(lab)
        self.ca = ("--ca-file", lab.tls() / "ca.pem")
        self.dns = TxtServer(lab)
        self.real = Pebble(lab, self.dns.address, nonce_reject=10)
        self.odd = Odd(lab, "ca.localhost")

    def admin(self, method, **parameters):
        return Varlink(self.w.admin).call(f"org.acmeguardian.Admin.{method}",
                                          parameters)

    def record(self, account, issuer=ISSUER):
        """Add a record, then its values: (the error's name or None, answer)."""
        added = self.admin("RecordAdd", records=[
            {"account": account, "domain": f"{account}.example",
             "issuer": issuer}])
        shown = self.admin("RecordValues", account=account)
        for error, answer in (added, shown):
            if error:
                return error.rpartition(".")[2], answer
        return None, shown[1]["values"]

    def prove(self, name, **more):
        return self.w.ctl("account", "prove", name, *self.ca, **more)

    def test_an_account_of_ours_is_proven_and_then_shown(self):
        w = self.w
        w.create("new", self.real.directory_url)
        self.prove("new", code=1, says="not registered")
        a = w.registered("main", self.real)
        w.ctl("account", "issuers", "main", ISSUER)
        error, p = self.record("main")
        expect(error == "RecordsWithheld", f"{error} {p}")
        self.prove("main", says=["the account is ours", "proven ours"])
        proof = w.account("main")["proof"]
        expect(proof["url"] == a["url"] and proof["current"], str(proof))
        error, values = self.record("main")
        expect(error is None and a["url"] in values[0]["value"], str(values))

    def test_without_its_roots_nothing_is_said_of_it(self):
        self.w.ctl("account", "prove", "main", code=69, says="certificate")
        expect(self.w.account("main")["proof"]["current"], "still")

    def test_a_ca_that_is_away_leaves_the_proof(self):
        self.real.stop()
        self.prove("main", code=75)
        expect(self.w.account("main")["proof"]["current"], "still")

    def test_a_ca_that_has_forgotten_us_ends_it(self):
        self.real.start()
        self.prove("main", code=1, says=["account-not-ours",
                                         "has no such account",
                                         "accountDoesNotExist"])
        a = self.w.account("main")
        expect(a["proof"] is None and
               a["notProven"]["reason"] == "account-not-ours", str(a))
        expect(self.record("main")[0] == "RecordsWithheld", "and is shown")
        self.w.ctl("account", "show", "main", says="no: account-not-ours")

    def test_a_foreign_account_is_not_ours(self):
        """The CA hands out its own account at the real CA, whose origin the
        operator was talked into allowing."""
        evil = ForeignAccount(self.lab, self.real)
        self.w.create("strict", evil.directory_url)
        self.w.ctl("account", "register", "strict", *self.ca, code=2,
                   says="foreign-origin")
        a = self.w.registered("foreign", evil, "--origin", self.real.origin)
        expect(a["url"] == evil.attacker.url, a["url"])
        self.w.ctl("account", "issuers", "foreign", ISSUER)
        # Elsewhere than at the directory's origin our --ca-file does not count.
        self.prove("foreign", code=1, says="account-host-untrusted")
        self.prove("foreign", code=1, says=[
            "account-not-ours", "does not take our key"],
            wrap=lambda argv: with_system_roots(self.lab, argv))
        error, p = self.record("foreign")
        expect(error == "RecordsWithheld" and
               p["reason"] == "account-not-ours", f"{error} {p}")
        evil.close()

    def test_a_foreign_account_under_the_same_origin_is_not_ours(self):
        evil = RelayedForeign(self.lab, self.real)
        self.w.registered("relayed", evil)
        self.w.ctl("account", "issuers", "relayed", ISSUER)
        self.prove("relayed", code=1, says=["account-not-ours",
                                            "does not take our key"])
        expect(self.record("relayed")[0] == "RecordsWithheld", "not shown")
        evil.close()

    def test_a_pretender_cannot_name_another_cas_issuer(self):
        evil = Pretender(self.lab)
        self.w.registered("pretend", evil)
        self.prove("pretend")   # it says whatever we like to hear
        error, p = self.record("pretend", "letsencrypt.org")
        expect(error == "IssuerMismatch" and
               "issuer-origin-mismatch" in p["text"], f"{error} {p}")
        self.w.ctl("account", "issuers", "pretend", "letsencrypt.org", code=1,
                   says="issuer-origin-mismatch")
        evil.close()

    def test_a_relay_is_allowed_once_its_issuer_is_typed(self):
        relay = Relay(self.lab, self.real)
        a = self.w.registered("relay", relay)
        self.prove("relay")
        error, p = self.record("relay")
        expect(error is not None, f"nobody has typed {ISSUER}: {p}")
        self.w.ctl("account", "issuers", "relay", ISSUER)
        error, values = self.record("relay")
        expect(error is None and a["url"] in values[0]["value"], str(values))
        relay.close()

    def test_a_deactivated_account_is_nobodys(self):
        self.w.registered("gone", self.real)
        self.prove("gone")
        self.w.ctl("account", "deactivate", "gone", "--yes", *self.ca)
        self.prove("gone", code=1)

    def test_odd_answers_prove_nothing(self):
        w = self.w
        w.registered("odd", self.odd)
        key = w.account("main")["jwk"]
        for answer, says in [
                ({"status": "valid", "key": key}, "another key"),
                ({"status": "valid", "key": {"kty": "odd"}}, "another key"),
                ({"status": "deactivated"}, "account-not-valid"),
                ({"status": "Valid"}, "account-not-valid"),
                ({}, "no status"), ([], "not a JSON object"),
                (Answer(body=b"<html>"), "not a JSON object"),
                (Answer.of({"status": "valid"}, 201), "does not answer as"),
                (Answer(302, b"", [("Location", "/account/0")]), "redirect"),
                (Answer.problem(403, "unauthorized", "no"), "403"),
                (Answer.problem(400, "accountDoesNotExist", "\x1b[2J"),
                 "no such account")]:
            self.odd.odd = None
            self.prove("odd")
            self.odd.odd = answer
            self.prove("odd", code=1, says=says)
            expect(w.account("odd")["proof"] is None, says)
        for answer in (Answer.problem(503, "serverInternal", "later"),
                       Answer.problem(429, "rateLimited", "later",
                                      [("Retry-After", "7")]),
                       Answer.problem(400, "badNonce", "another")):
            self.odd.odd = None
            self.prove("odd")
            self.odd.odd = answer
            self.prove("odd", code=75)
            expect(w.account("odd")["proof"]["current"], "still")
        self.odd.odd = None

    def test_the_request_is_one_of_nothing_to_the_url_itself(self):
        self.prove("odd")
        header, payload = self.odd.signed[-1]
        url = self.w.account("odd")["url"]
        expect(header["kid"] == header["url"] == url and payload is None,
               f"{header} {payload}")

    def test_what_is_proven_is_asked_again_when_it_is_due(self):
        due = ("account", "prove", "odd", "--if-due", *self.ca)
        self.odd.requests.clear()
        self.w.ctl(*due, says="proven to be ours")
        expect(self.odd.requests == [], "proven today")
        self.odd.odd = {"status": "deactivated"}
        self.prove("odd", code=1)
        self.odd.odd = None
        self.odd.meta = {**self.odd.meta, "termsOfService":
                         "https://ca.example/new"}
        self.w.ctl(*due, says=["directory has changed", "/new"])
        expect(self.w.account("odd")["proof"]["current"], "proven again")

    def test_what_came_of_it_is_in_the_audit_log(self):
        seen = {l["operation"] for l in self.w.audit() if l["type"] == "admin"}
        expect({"AccountSignProof", "AccountProven",
                "AccountNotProven"} <= seen, str(seen))


def main():
    with Lab("acme-guardian-prove") as lab:
        made = Cases(lab)
        return run_cases([getattr(made, n) for n in Cases.__dict__
                          if n.startswith("test_")])


if __name__ == "__main__":
    sys.exit(main())
