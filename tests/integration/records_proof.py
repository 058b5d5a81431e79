#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the CA says, whose account it is, and what goes by that: directories, issuers
and proofs over the admin socket."""

import sys
import time

import daemon_lab as D
import lab as L
from records_lab import (DAY, ISSUER, META, PREFIX, add, admin_lines,
                         in_registry, prove, ready, record, set_meta, typed,
                         values)

LE = "https://acme-v02.api.letsencrypt.org"
STAGING = "https://acme-staging-v02.api.letsencrypt.org"


def endpoints(origin):
    return {n: f"{origin}/{n}" for n in ("newNonce", "newAccount", "newOrder",
                                         "revokeCert", "keyChange")}


@D.with_guardian()
def test_what_the_directory_says_is_kept_and_changes_are_told(g):
    a = g.account
    L.expect(a["meta"] is None and a["issuers"] == [] and a["proof"] is None
             and a["notProven"] is None and a["externalAccount"] is None
             and not a["staging"], str(a))
    L.expect([x["detail"] for x in admin_lines(g, "AccountSetDirectory")] ==
             [f"{n}: {u}" for n, u in D.ENDPOINTS.items()],
             "what is known for the first time is logged")
    L.expect(set_meta(g) == [], "known for the first time is no change")
    L.expect(admin_lines(g, "AccountSetDirectory")[-1]["detail"] ==
             "externalAccountRequired: false", "but logged")
    terms = D.CA + "/terms/2"
    changes = set_meta(g, termsOfService=terms, accountHashPrefix=PREFIX,
                       issuerDomainNames=[ISSUER],
                       caaIdentities=[ISSUER, "b.example"],
                       profiles=["classic", "short"],
                       externalAccountRequired=True)
    L.expect(changes == [
        f"termsOfService: none -> {terms}",
        "externalAccountRequired: false -> true",
        f"accountHashPrefix: none -> {PREFIX}",
        f"issuerDomainNames: none -> {ISSUER}",
        f"caaIdentities: none -> {ISSUER} b.example",
        "profiles: none -> classic short"], str(changes))
    L.expect([x.get("detail") for x in
              admin_lines(g, "AccountSetDirectory")[-6:]] == changes,
             "a line of the audit log each")
    moved = {**D.ENDPOINTS, "newOrder": D.CA + "/other-order"}
    changes = g.must("AccountSetDirectory", {"name": "test",
                                             "endpoints": moved}, D.OPS)
    L.expect(changes["changes"] == [
        f"newOrder: {D.ENDPOINTS['newOrder']} -> {D.CA}/other-order"],
        str(changes))
    g.restart()
    meta = g.must("AccountShow", {"name": "test"})["account"]["meta"]
    L.expect(meta == {"termsOfService": terms, "externalAccountRequired": True,
                      "accountHashPrefix": PREFIX,
                      "issuerDomainNames": [ISSUER],
                      "caaIdentities": [ISSUER, "b.example"],
                      "profiles": ["classic", "short"]}, str(meta))


@D.with_guardian()
def test_a_directory_that_does_not_do_is_refused(g):
    foreign = {**D.ENDPOINTS, "newOrder": "https://evil.example/order"}
    got = g.ask_admin("AccountSetDirectory", {"name": "test",
                                              "endpoints": foreign}, D.OPS)
    D.expect_error(got, "InvalidValue", parameter="endpoints")
    L.expect("foreign-origin" in got[1]["text"], str(got))
    for bad in ({"accountHashPrefix": "https://ca.example/h;x"},
                {"accountHashPrefix": "https://ca.example/h h"},
                {"accountHashPrefix": "http://ca.example/h/"},
                {"issuerDomainNames": ["CA.example"]},
                {"issuerDomainNames": [ISSUER, ISSUER]},
                {"issuerDomainNames": [ISSUER], "caaIdentities": ["b.example"]}):
        got = g.ask_admin("AccountSetDirectory", {
            "name": "test", "endpoints": D.ENDPOINTS, "meta": {**META, **bad}})
        D.expect_error(got, "InvalidValue", parameter="meta")
    error, answer = g.ask_admin("AccountSetDirectory", {
        "name": "test", "endpoints": D.ENDPOINTS, "meta": {**META, "x": 1}})
    L.expect(error == "org.varlink.service.InvalidParameter", str(answer))
    a = g.must("AccountShow", {"name": "test"})
    L.expect(a["account"]["meta"] is None and a["endpoints"]["newOrder"] ==
             D.ENDPOINTS["newOrder"], "nothing changed")


@D.with_guardian()
def test_issuers_are_typed_and_never_another_cas(g):
    L.expect(typed(g, issuers=(ISSUER, "b.example"))["issuers"] ==
             [ISSUER, "b.example"], "kept")
    got = g.ask_admin("AccountSetIssuers", {
        "name": "test", "issuers": [ISSUER, "letsencrypt.org"]})
    D.expect_error(got, "IssuerMismatch", issuer="letsencrypt.org")
    for bad in (["CA.example"], ["a b"], [ISSUER, ISSUER], [""],
                [f"i{i}.example" for i in range(17)]):
        D.expect_error(g.ask_admin("AccountSetIssuers", {
            "name": "test", "issuers": bad}), "InvalidValue",
            parameter="issuers")
    a = g.must("AccountShow", {"name": "test"})["account"]
    L.expect(a["issuers"] == [ISSUER, "b.example"], "as they were")
    L.expect(admin_lines(g, "AccountSetIssuers")[-1]["detail"] ==
             f"{ISSUER} b.example", "audited")


@D.with_guardian()
def test_a_proof_is_of_this_account_and_lasts_a_day(g):
    typed(g)
    add(g, record("www.example.com"))
    D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                   account="test", reason="not-proven")
    for wrong in ({"url": g.account["url"] + "0"}, {"thumbprint": "A" * 43}):
        got = g.ask_admin("AccountProven", {
            "name": "test", "url": g.account["url"],
            "thumbprint": g.account["thumbprint"], **wrong}, D.OPS)
        D.expect_error(got, "InvalidValue", parameter=list(wrong)[0])
    a = prove(g, uid=D.OPS)
    L.expect(a["proof"]["current"] and a["proof"]["url"] == a["url"] and
             a["proof"]["thumbprint"] == a["thumbprint"], str(a))
    L.expect(len(values(g)) == 1, "shown now")
    L.expect(len(g.must("RecordValues", uid=D.MONITOR)["values"]) == 1,
             "to who may look")
    now = int(time.time())
    for column, value, reason in (
            ("proof_s", now - DAY - 5, "proof-expired"),
            ("proof_s", now + 100, "proof-expired"),
            ("proof_thumbprint", "B" * 43, "proof-of-other-key"),
            ("proof_url", D.CA + "/acct/9", "proof-of-other-key")):
        g.stop()
        in_registry(g, (f"update account set {column} = ?", (value,)))
        g.start()
        D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                       account="test", reason=reason)
        L.expect(not g.must("AccountShow", {"name": "test"})["account"]
                 ["proof"]["current"], "not current")
        prove(g)
        L.expect(len(values(g)) == 1, "proven again")
    a = g.must("AccountNotProven", {
        "name": "test", "reason": "account-not-ours",
        "text": "the CA gave us somebody else's URL"}, D.OPS)["account"]
    L.expect(a["proof"] is None and a["notProven"]["reason"] ==
             "account-not-ours", str(a))
    g.restart()
    got = g.ask_admin("RecordValues")
    D.expect_error(got, "RecordsWithheld", reason="account-not-ours",
                   text="the CA gave us somebody else's URL")
    L.expect(prove(g)["notProven"] is None, "the next proof is what counts")
    g.must("AccountDeactivated", {"name": "test"})
    D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                   reason="account-not-valid")
    D.expect_error(g.ask_admin("AccountProven", {
        "name": "test", "url": a["url"], "thumbprint": a["thumbprint"]}),
        "WrongState", state="deactivated")


@D.with_guardian()
def test_the_gate_looks_at_the_issuer_each_time(g):
    ready(g)
    add(g, record("www.example.com"))
    typed(g, issuers=())
    D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                   account="test", reason="issuer-not-typed")
    typed(g)
    set_meta(g, issuerDomainNames=["c.example"])
    D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                   account="test", reason="issuer-not-offered")
    set_meta(g)
    in_registry(g, ("update record set issuer = 'letsencrypt.org'",))
    D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                   account="test", reason="issuer-origin-mismatch")


@D.with_guardian()
def test_known_cas_need_no_typing_and_staging_is_seen(g):
    for name, origin, staging in (("le", LE, False), ("stg", STAGING, True)):
        g.create({"name": name, "token": "hsm", "alg": "ES256",
                  "directory": origin + "/directory"})
        g.must("AccountSetDirectory", {"name": name, "endpoints":
                                       endpoints(origin)})
        g.must("AccountRegistered", {"name": name, "status": "valid",
                                     "url": f"{origin}/acme/acct/1"})
        L.expect(prove(g, name)["staging"] == staging, name)
        add(g, record("www.example.com", name, "letsencrypt.org"))
        v = values(g, account=name)
        L.expect(len(v) == 1 and v[0]["staging"] == staging and
                 v[0]["account"] == name, str(v))
        D.expect_error(g.ask_admin("RecordAdd", {"records": [
            record("www.example.com", name, "ca.example")]}),
            "IssuerMismatch", issuer="ca.example")
        D.expect_error(g.ask_admin("AccountSetIssuers", {
            "name": name, "issuers": ["ca.example"]}), "IssuerMismatch")
    L.expect([v["account"] for v in values(g)] == ["le", "stg"], "all accounts")
    notes = [n for n in g.must("Status")["notes"] if "staging" in n]
    L.expect(len(notes) == 1 and "account stg" in notes[0], str(notes))
    g.must("AccountNotProven", {"name": "stg", "reason": "account-not-ours",
                                "text": "x"})
    D.expect_error(g.ask_admin("RecordValues"), "RecordsWithheld",
                   account="stg")


if __name__ == "__main__":
    sys.exit(D.run(globals()))
