#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records, proofs, directories and denied names over the admin socket."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import lab as L  # noqa: E402

DAY = 24 * 3600
ISSUER = "ca.example"
LE = "https://acme-v02.api.letsencrypt.org"
STAGING = "https://acme-staging-v02.api.letsencrypt.org"
META = {"externalAccountRequired": False, "issuerDomainNames": [],
        "caaIdentities": [], "profiles": []}
PREFIX = "https://ca.example/h/"


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def endpoints(origin):
    return {n: f"{origin}/{n}" for n in ("newNonce", "newAccount", "newOrder",
                                         "revokeCert", "keyChange")}


def set_meta(g, name="test", ends=None, **meta):
    return g.must("AccountSetDirectory", {
        "name": name, "endpoints": ends or D.ENDPOINTS,
        "meta": {**META, **meta}})["changes"]


def prove(g, name="test", uid=0):
    a = g.must("AccountShow", {"name": name})["account"]
    return g.must("AccountProven", {
        "name": name, "url": a["url"], "thumbprint": a["thumbprint"]},
        uid)["account"]


def typed(g, name="test", issuers=(ISSUER,)):
    return g.must("AccountSetIssuers", {"name": name,
                                        "issuers": list(issuers)})["account"]


def record(domain, account="test", issuer=ISSUER, **more):
    return {"account": account, "domain": domain, "issuer": issuer, **more}


def add(g, *records):
    return g.must("RecordAdd", {"records": list(records)})


def pages(ask, method, member, parameters=None):
    items, n, after = [], 0, {}
    while True:
        answer = ask(method, {**(parameters or {}), **after})
        items += answer[member]
        n += 1
        if not answer.get("next"):
            return items, n
        after = {"after": answer["next"]}


def values(g, **parameters):
    return pages(g.must, "RecordValues", "values", parameters)[0]


def ready(g):
    typed(g)
    prove(g)


def admin_lines(g, operation):
    return [x for x in g.audit_lines() if x["type"] == "admin"
            and x["operation"] == operation]


def in_registry(g, *statements):
    with contextlib.closing(sqlite3.connect(g.lab.dir /
                                            "state/registry.db")) as db:
        for s in statements:
            db.execute(*s)
        db.commit()


def registry(g):
    with contextlib.closing(sqlite3.connect(g.lab.dir /
                                            "state/registry.db")) as db:
        return list(db.iterdump())


# Directory, issuers, proof.

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


# The guardian's own requests.

def own(g, method, payload, where, uid=0, by_jwk=False, **more):
    answer = g.must(method, {"name": "test", "nonce": "abc", **more}, uid)
    D.verify(g.lab, g.account["jwk"], answer, answer["signature"])
    head = json.loads(unb64(answer["protected"]))
    L.expect(head["url"] == where == answer["url"] and head["nonce"] == "abc",
             str(head))
    L.expect((head.get("jwk") == g.account["jwk"]) if by_jwk else
             (head.get("kid") == D.ACCOUNT_URL and "jwk" not in head), str(head))
    text = unb64(answer["payload"]).decode()
    L.expect(text == "" if payload is None else json.loads(text) == payload,
             text)
    line = admin_lines(g, method)[-1]
    L.expect(line["detail"] == where and line["account"] == "test" and
             line["input_sha256"] == hashlib.sha256(
                 f"{answer['protected']}.{answer['payload']}".encode())
             .hexdigest(), str(line))
    return line


@D.with_guardian()
def test_own_requests_are_composed_here(g):
    url = D.ACCOUNT_URL
    own(g, "AccountSignProof", None, url, uid=D.OPS)
    own(g, "AccountSignFetch", None, D.CA + "/authz/1", uid=D.OPS,
        url=D.CA + "/authz/1")
    own(g, "AccountSignUpdate", {"contact": ["mailto:b@example.org"]}, url,
        contacts=["mailto:b@example.org"])
    own(g, "AccountSignUpdate", {"contact": []}, url, contacts=[])
    own(g, "AccountSignUpdate", {"termsOfServiceAgreed": True}, url,
        termsOfServiceAgreed=True)
    D.expect_error(g.ask_admin("AccountSignUpdate", {
        "name": "test", "nonce": "abc"}), "InvalidValue",
        parameter="contacts")
    D.expect_error(g.ask_admin("AccountSignUpdate", {
        "name": "test", "nonce": "abc", "contacts": ["no url"]}),
        "InvalidValue", parameter="contacts")
    a = g.must("AccountUpdated", {"name": "test", "status": "valid",
                                  "contacts": ["mailto:b@example.org"]})
    L.expect(a["account"]["contacts"] == ["mailto:b@example.org"], str(a))
    a = g.must("AccountUpdated", {"name": "test", "status": "valid"})
    L.expect(a["account"]["contacts"] == ["mailto:b@example.org"], "as before")
    D.expect_error(g.ask_admin("AccountUpdated", {
        "name": "test", "status": "fine"}), "InvalidValue", parameter="status")
    for url, reason in (
            (D.ENDPOINTS["newOrder"], "url-payload-mismatch"),
            (D.ENDPOINTS["newAccount"], "wrong-kid"),
            ("https://evil.example/authz/1", "foreign-origin"),
            (D.CA + "/authz/1?x", "url-query"), (D.CA + "/a/../b", "bad-url")):
        got = g.ask_admin("AccountSignFetch", {"name": "test", "nonce": "abc",
                                               "url": url})
        D.expect_error(got, "InvalidValue", parameter="url")
        L.expect(got[1]["text"].startswith(reason), str(got))


@D.with_guardian()
def test_an_order_is_only_for_names_that_have_a_record(g):
    typed(g)
    new_order = D.ENDPOINTS["newOrder"]
    ask = {"name": "test", "nonce": "abc", "wildcard": False}
    D.expect_error(g.ask_admin("AccountSignOrder", {
        **ask, "domain": "www.example.com"}), "InvalidValue",
        parameter="domain")
    add(g, record("www.example.com"))
    for domain in ("example.com", "a.www.example.com", "*.www.example.com",
                   "WWW.example.com", 'www.example.com"'):
        D.expect_error(g.ask_admin("AccountSignOrder", {
            **ask, "domain": domain}), "InvalidValue", parameter="domain")
    line = own(g, "AccountSignOrder", {"identifiers": [
        {"type": "dns", "value": "www.example.com"}]}, new_order,
        domain="www.example.com", wildcard=False)
    L.expect(line["identifiers"] == ["www.example.com"], str(line))
    star = {"identifiers": [{"type": "dns", "value": "*.www.example.com"}]}
    asked = {"domain": "www.example.com", "wildcard": True}
    D.expect_error(g.ask_admin("AccountSignOrder", {**ask, **asked}),
                   "InvalidValue", parameter="wildcard")
    g.must("NameDeny", {"domain": "www.example.com"})
    own(g, "AccountSignOrder", star, new_order, **asked)
    g.must("NameAllow", {"domain": "www.example.com"})
    D.expect_error(g.ask_admin("AccountSignOrder", {**ask, **asked}),
                   "InvalidValue", parameter="wildcard")
    add(g, record("www.example.com", wildcard=True))
    own(g, "AccountSignOrder", star, new_order, **asked)
    g.make_account("second")
    D.expect_error(g.ask_admin("AccountSignOrder", {
        **ask, "name": "second", "domain": "www.example.com"}),
        "InvalidValue", parameter="domain")


@D.with_guardian()
def test_own_requests_go_on_while_all_is_suspended(g):
    typed(g)
    add(g, record("www.example.com"))
    g.must("Suspend", {"scope": "all"})
    g.must("Suspend", {"scope": "account", "name": "test"})
    g.must("NameDeny", {"domain": "www.example.com"})
    D.expect_error(g.sign_input(D.CLIENT, g.order("www.example.com")),
                   "PolicyDenied", reason="suspended")
    url = D.CA + "/acme/authz/1"
    own(g, "AccountSignProof", None, D.ACCOUNT_URL)
    own(g, "AccountSignFetch", None, url, url=url)
    own(g, "AccountSignOrder", {"identifiers": [
        {"type": "dns", "value": "www.example.com"}]}, D.ENDPOINTS["newOrder"],
        domain="www.example.com", wildcard=False)
    own(g, "AccountSignAuthorizationDeactivation", {"status": "deactivated"},
        url, url=url)
    own(g, "AccountSignDeactivation", {"status": "deactivated"}, D.ACCOUNT_URL)


@D.with_guardian()
def test_an_authorizations_end_never_reaches_the_account(g):
    method = "AccountSignAuthorizationDeactivation"
    url = D.CA + "/acme/authz/1"
    own(g, method, {"status": "deactivated"}, url, url=url)
    account = D.ACCOUNT_URL
    beside = account.rsplit("/", 1)[0]
    bad = [account, account + "/", account + "/orders", beside + "/0123",
           beside + "/+123", beside.upper().replace("HTTPS://CA.EXAMPLE",
                                                    D.CA) + "/123",
           *D.ENDPOINTS.values(), D.ENDPOINTS["newOrder"] + "/",
           account + "?x=1", account + "%2f", "https://evil.example/authz/1"]
    for url in bad:
        D.expect_error(g.ask_admin(method, {
            "name": "test", "nonce": "abc", "url": url}), "InvalidValue",
            parameter="url")


def binding(g, kid="kid-1", url=None, jwk=None, alg="HS256"):
    def enc(x):
        return L.b64url(json.dumps(x).encode())
    return {"protected": enc({"alg": alg, "kid": kid, "url":
                              url or D.ENDPOINTS["newAccount"]}),
            "payload": enc(jwk or g.account["jwk"]),
            "signature": L.b64url(b"x" * 32)}


@D.with_guardian()
def test_an_external_account_is_bound_once_checked(g):
    ask = {"contacts": [], "termsOfServiceAgreed": True}
    eab = binding(g)
    own(g, "AccountSignRegistration", {
        "termsOfServiceAgreed": True, "externalAccountBinding": eab},
        D.ENDPOINTS["newAccount"], by_jwk=True, externalAccountBinding=eab,
        **ask)
    show = {"name": "test"}
    L.expect(g.must("AccountShow", show)["account"]["externalAccount"] is None,
             "the CA has not taken it yet")
    g.restart()
    a = g.must("AccountRegistered", {**show, "url": D.ACCOUNT_URL,
                                     "status": "valid"})["account"]
    L.expect(a["externalAccount"] == "kid-1", str(a))
    own(g, "AccountSignRegistration", {"termsOfServiceAgreed": True},
        D.ENDPOINTS["newAccount"], by_jwk=True, **ask)
    a = g.must("AccountRegistered", {**show, "url": D.ACCOUNT_URL,
                                     "status": "valid"})["account"]
    L.expect(a["externalAccount"] == "kid-1", "one without changes nothing")
    other = D.VECTORS["context"]["account"]["jwk"]
    for bad in (binding(g, jwk=other), binding(g, alg="none"),
                binding(g, url=D.CA + "/elsewhere"), {},
                {**eab, "more": 1}, {**eab, "signature": ""}):
        D.expect_error(g.ask_admin("AccountSignRegistration", {
            **show, "nonce": "abc", **ask, "externalAccountBinding": bad}),
            "InvalidValue", parameter="externalAccountBinding")


# Records.

@D.with_guardian()
def test_records_are_added_changed_listed_and_removed(g):
    typed(g, issuers=(ISSUER, "b.example"))
    until = int(time.time()) + DAY
    first = record("www.example.com", persistUntil=until)
    got = add(g, first, record("example.com", wildcard=True),
              record("www.example.com", issuer="b.example"))
    L.expect(got == {"added": 3, "changed": 0, "unchanged": 0}, str(got))
    lines = admin_lines(g, "RecordAdd")
    L.expect([(x["account"], x["identifiers"], x["detail"]) for x in lines] == [
        ("test", ["www.example.com"], f"{ISSUER}, persistUntil={until}"),
        ("test", ["example.com"], f"{ISSUER}, policy=wildcard"),
        ("test", ["www.example.com"], "b.example")], str(lines))
    got = add(g, first, record("example.com"))
    L.expect(got == {"added": 0, "changed": 1, "unchanged": 1}, str(got))
    g.restart()
    listed = g.must("RecordList", uid=D.MONITOR)
    L.expect(listed.get("next") is None, "all on one page")
    added = listed["records"][0].pop("added")
    L.expect(abs(time.time() - time.mktime(time.strptime(
        added + "UTC", "%Y-%m-%dT%H:%M:%SZ%Z")) + time.timezone) < 60, added)
    L.expect(listed["records"][0] == {
        **record("example.com"), "wildcard": False, "reusable": False,
        "persistUntil": None}, str(listed))
    L.expect(listed["records"][2]["persistUntil"] == until, str(listed))

    def names(**q):
        return [(r["domain"], r["issuer"]) for r in
                g.must("RecordList", q)["records"]]
    both = [("www.example.com", "b.example"), ("www.example.com", ISSUER)]
    L.expect(names(domain="www.example.com") == both, "by domain")
    L.expect(names(account="test", domain="www.example.com") == both, "by both")
    L.expect(names(domain="nosuch.example") == [], "none")
    D.expect_error(g.ask_admin("RecordList", {"account": "nosuch"}),
                   "NoSuchAccount")
    for limit in (1, 2, 3, 4):
        records, n = pages(g.must, "RecordList", "records", {"limit": limit})
        L.expect(len(records) == 3 and n == -(-3 // limit), f"limit {limit}")
    for after in ("x", "a/b", "a/b/c/d"):
        D.expect_error(g.ask_admin("RecordList", {"after": after}),
                       "InvalidValue", parameter="after")
    remove = {"account": "test", "domain": "www.example.com"}
    L.expect(g.must("RecordRemove", {**remove, "issuer": ISSUER})["removed"]
             == 1, "one")
    L.expect(g.must("RecordRemove", {**remove, "issuer": ISSUER})["removed"]
             == 0, "gone")
    L.expect(g.must("RecordRemove", remove)["removed"] == 1, "the other")
    L.expect(names() == [("example.com", ISSUER)], "the rest stays")
    L.expect(admin_lines(g, "RecordRemove")[0]["identifiers"] ==
             ["www.example.com"], "audited")


@D.with_guardian()
def test_a_record_that_would_not_do_is_refused_by_name(g):
    now = int(time.time())
    good = record("www.example.com")
    D.expect_error(g.ask_admin("RecordAdd", {"records": [good]}),
                   "InvalidValue", parameter="records[0].issuer")
    typed(g)
    long = ".".join(["a" * 60] * 3 + ["b" * 51])
    cases = [
        ({"domain": "WWW.example.com"}, "domain", "www.example.com"),
        ({"domain": "www.example.com."}, "domain", "in normal form"),
        ({"domain": "*.example.com"}, "domain", ""),
        ({"domain": "b\u00fccher.example"}, "domain", "xn--bcher-kva.example"),
        ({"domain": "a b.example"}, "domain", "bad-dns-name"),
        ({"domain": "xn--a.example"}, "domain", "bad-dns-name"),
        ({"domain": "192.0.2.1"}, "domain", ""),
        ({"domain": long}, "domain", "too long"),
        ({"issuer": "b.example"}, "issuer", "issuer-not-typed"),
        ({"issuer": "CA.example"}, "issuer", "no-issuer-name"),
        ({"persistUntil": now - 1}, "persistUntil", "past"),
        ({"persistUntil": 0}, "persistUntil", "past"),
        ({"persistUntil": 253402300800}, "persistUntil", "9999"),
        ({"reusable": True}, "reusable", "accountHashPrefix"),
    ]
    for wrong, member, words in cases:
        got = g.ask_admin("RecordAdd", {"records": [good, {**good, **wrong}]})
        D.expect_error(got, "InvalidValue", parameter=f"records[1].{member}")
        L.expect(words in got[1]["text"], str(got))
    got = g.ask_admin("RecordAdd", {"records": [
        good, {**good, "issuer": "letsencrypt.org"}]})
    D.expect_error(got, "IssuerMismatch", issuer="letsencrypt.org")
    L.expect("records[1]" in got[1]["text"], str(got))
    D.expect_error(g.ask_admin("RecordAdd", {"records": [
        good, {**good, "account": "nosuch"}]}), "NoSuchAccount")
    for bad, name in (({**good, "x": 1}, "records[0].x"),
                      ({"account": "test"}, "records[0].domain"),
                      ({**good, "wildcard": 1}, "records[0].wildcard")):
        error, answer = g.ask_admin("RecordAdd", {"records": [bad]})
        L.expect(error == "org.varlink.service.InvalidParameter" and
                 answer == {"parameter": name}, f"{error} {answer}")
    for n in (0, 201):
        D.expect_error(g.ask_admin("RecordAdd", {"records": [
            record(f"n{i}.example.com") for i in range(n)]}), "InvalidValue",
            parameter="records")
    L.expect(g.must("RecordList")["records"] == [], "none of them was added")
    set_meta(g, issuerDomainNames=["c.example"])
    got = g.ask_admin("RecordAdd", {"records": [good]})
    D.expect_error(got, "InvalidValue", parameter="records[0].issuer")
    L.expect("issuer-not-offered" in got[1]["text"], str(got))
    set_meta(g, issuerDomainNames=[ISSUER])
    add(g, good)
    g.must("AccountDeactivated", {"name": "test"})
    D.expect_error(g.ask_admin("RecordAdd", {"records": [good]}),
                   "InvalidValue", parameter="records[0].account")


def key_bound(g, domain):
    text = (bytes([len(domain)]) + domain.encode() +
            g.account["thumbprint"].encode() + D.ACCOUNT_URL.encode())
    return f"{PREFIX}sha-256/{L.b64url(hashlib.sha256(text).digest())}"


@D.with_guardian()
def test_values_are_what_stands_in_dns(g):
    ready(g)
    until = int(time.time()) + DAY
    add(g, record("example.com", wildcard=True, persistUntil=until),
        record("www.example.com"))
    got = values(g)
    L.expect(got == [{
        "account": "test", "domain": "example.com",
        "owner": "_validation-persist.example.com", "issuer": ISSUER,
        "wildcard": True, "reusable": False, "persistUntil": until,
        "expired": False, "denied": False, "accounturi": D.ACCOUNT_URL,
        "value": f"{ISSUER}; accounturi={D.ACCOUNT_URL}; policy=wildcard; "
                 f"persistUntil={until}", "form": "url", "staging": False,
    }, {
        "account": "test", "domain": "www.example.com",
        "owner": "_validation-persist.www.example.com", "issuer": ISSUER,
        "wildcard": False, "reusable": False, "persistUntil": None,
        "expired": False, "denied": False, "accounturi": D.ACCOUNT_URL,
        "value": f"{ISSUER}; accounturi={D.ACCOUNT_URL}", "form": "url",
        "staging": False}], str(got))
    D.expect_error(g.ask_admin("RecordValues", {"form": "key-bound"}),
                   "InvalidValue", parameter="form")
    D.expect_error(g.ask_admin("RecordValues", {"form": "both"}),
                   "InvalidValue", parameter="form")
    set_meta(g, accountHashPrefix=PREFIX)
    add(g, record("any.example.com", reusable=True))
    got = values(g)
    L.expect([(v["form"], v["accounturi"]) for v in got] == [
        ("key-bound", key_bound(g, d)) for d in
        ("*", "example.com", "www.example.com")], str(got))
    L.expect(got[2]["value"] == f"{ISSUER}; accounturi="
             f"{key_bound(g, 'www.example.com')}", str(got))
    L.expect([v["accounturi"] for v in values(g, form="url")] ==
             [D.ACCOUNT_URL] * 3, "forced")
    L.expect([v["domain"] for v in values(g, domain="example.com")] ==
             ["example.com"], "one domain")
    in_registry(g, ("update record set until_s = 5 where domain = ?",
                    ("example.com",)))
    L.expect([v["expired"] for v in values(g)] == [False, True, False],
             "no CA takes it any more")


@D.with_guardian()
def test_a_denied_name_gets_no_record_and_no_value(g):
    ready(g)
    names = ["a.www.example.com", "example.com", "www.example.com",
             "wwww.example.com"]
    add(g, *map(record, names))

    def denied():
        return [v["domain"] for v in values(g) if v["denied"]]

    def refused(domain, *words):
        got = g.ask_admin("RecordAdd", {"records": [
            record("new.example.net"), record(domain)]})
        D.expect_error(got, "InvalidValue", parameter="records[1].domain")
        L.expect(all(w in got[1]["text"] for w in words), str(got))

    L.expect(denied() == [], "none yet")
    g.must("NameDeny", {"domain": "www.example.com"})
    L.expect(denied() == ["a.www.example.com", "www.example.com"], "with below")
    since = g.must("NameDenied")["names"][0]["since"]
    for domain in ("www.example.com", "b.www.example.com"):
        refused(domain, "www.example.com is denied since " + since, "uid 0",
                "guardianctl names allow www.example.com")
    add(g, record("example.com", wildcard=True), record("xwww.example.com"))
    g.must("RecordRemove", {"account": "test", "domain": "www.example.com"})
    g.must("NameAllow", {"domain": "www.example.com"})
    L.expect(denied() == [], "undone")
    add(g, record("www.example.com"))
    g.configure(g.conf.replace("[Deny]\nDomain=",
                               "[Deny]\nDomain=example.com "))
    g.must("Reload")
    L.expect(denied() == sorted(names + ["xwww.example.com"]),
             "by the configuration, too")
    refused("www.example.com", "example.com is denied by [Deny]",
            "guardian.conf")


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


# Many.

def cpu_of(g):
    """Seconds of processor time that the daemon has used."""
    fields = pathlib.Path(f"/proc/{g.process.pid}/stat").read_text().split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


N = 100000


@D.with_guardian()
def test_a_hundred_thousand_records(g):
    ready(g)
    begin = time.monotonic()
    for i in range(0, 2000, 200):
        add(g, *(record(f"n{j:06}.example.com") for j in range(i, i + 200)))
    print(f"        2000 added: {time.monotonic() - begin:.2f} s")
    with contextlib.closing(sqlite3.connect(
            g.lab.dir / "state/registry.db")) as db:
        db.executemany("insert into record values ('test', ?, ?, 0, 0, 0, 1)",
                       ((f"n{j:06}.example.com", ISSUER)
                        for j in range(2000, N)))
        db.commit()
    with D.AsUser(0, g.admin) as v:
        def ask(method, parameters):
            v.send(D.ADMIN + method, parameters)
            while b"\0" not in v.buffer:
                v.buffer += v.socket.recv(1 << 20)
            text, _, v.buffer = v.buffer.partition(b"\0")
            L.expect(len(text) < 65536, f"a message of {len(text)} octets")
            return text

        def all_pages(method, member, **more):
            begin, after, texts, slowest = time.monotonic(), {}, [], 0
            cpu = cpu_of(g)
            while True:
                sent = time.monotonic()
                text = ask(method, {**more, **after})
                slowest = max(slowest, time.monotonic() - sent)
                texts.append(text)
                tail = text.rpartition(b'"next":"')[2]
                if tail == text:
                    break
                after = {"after": tail.partition(b'"')[0].decode()}
            cpu = cpu_of(g) - cpu
            print(f"        {method} {more}: {time.monotonic() - begin:.2f} s in "
                  f"{len(texts)} pages, the slowest {slowest * 1000:.1f} ms; "
                  f"{cpu:.2f} s of the daemon's")
            # Sanitizers take several times as long.
            L.expect(cpu < 1 or "ASAN_OPTIONS" in os.environ,
                     f"{method}: {cpu:.2f} s of the daemon's processor time")
            L.expect(slowest < 1, "no page holds up the daemon")
            return [x for t in texts
                    for x in json.loads(t)["parameters"][member]]

        listed = all_pages("RecordList", "records", account="test")
        L.expect(len(listed) == N, f"all of them, not {len(listed)}")
        plain = all_pages("RecordValues", "values", account="test")
        L.expect([x["domain"] for x in plain] ==
                 [f"n{j:06}.example.com" for j in range(N)], "each once")
        set_meta(g, accountHashPrefix=PREFIX)
        bound = all_pages("RecordValues", "values", form="key-bound")
        L.expect(len({x["value"] for x in bound}) == N, "each its own")
        L.expect(bound[77]["accounturi"] == key_bound(g, "n000077.example.com"),
                 str(bound[77]))


@D.with_guardian()
def test_many_accounts_come_in_pages(g):
    n = 300
    with contextlib.closing(sqlite3.connect(g.lab.dir /
                                            "state/registry.db")) as db:
        columns = [c[1] for c in db.execute("pragma table_info(account)")]
    other = {"name": "?", "key_label": "?", "account_url": "NULL",
             "status": "'created'"}
    in_registry(g, *((
        f"insert into account ({', '.join(columns)})"
        f" select {', '.join(other.get(c, c) for c in columns)}"
        " from account where name = 'test'",
        [f"many{i:03}" if c == "name" else f"label{i}"
         for c in columns if c in ("name", "key_label")]) for i in range(n)))
    g.restart()
    accounts, pages_read = pages(g.must, "AccountList", "accounts")
    names = [a["name"] for a in accounts]
    L.expect(names == sorted(set(names)) and len(names) == n + 1 and
             pages_read > 3, f"{len(names)} in {pages_read}")
    accounts, pages_read = pages(g.must, "AccountList", "accounts",
                                 {"limit": 100})
    L.expect(len(accounts) == n + 1 and pages_read >= 4, str(pages_read))


# Denied names.

def allowed(g, *names):
    error, answer = g.sign_input(D.CLIENT, g.order(*names))
    if error:
        D.expect_error((error, answer), "PolicyDenied",
                       reason="identifier-denied")
    return not error


@D.with_guardian()
def test_a_denied_name_is_refused_from_now_on(g):
    L.expect(allowed(g, "www.example.com") and allowed(g, "a.apps.example.com")
             and allowed(g, "*.apps.example.com"), "before")
    g.must("NameDeny", {"domain": "www.example.com"})
    g.must("NameDeny", {"domain": "b.apps.example.com"})
    g.must("NameDeny", {"domain": "b.apps.example.com"})

    def check(when):
        L.expect(not allowed(g, "www.example.com"), f"{when}: the name")
        L.expect(not allowed(g, "b.apps.example.com"), f"{when}: another")
        L.expect(not allowed(g, "x.b.apps.example.com"), f"{when}: below it")
        L.expect(not allowed(g, "*.apps.example.com"),
                 f"{when}: the wildcard that covers it")
        L.expect(not allowed(g, "no.internal.apps.example.com"),
                 f"{when}: [Deny] itself")
        L.expect(allowed(g, "example.com", "a.apps.example.com"),
                 f"{when}: the rest")
    check("at once")
    g.restart()
    check("after a restart")
    g.must("Reload")
    check("after a reload")
    g.policy("[Client]\nUser=1\n")
    D.expect_error(g.ask_admin("Reload"), "ConfigurationInvalid")
    check("after a reload that failed")
    status = g.must("Status")
    L.expect(status["deniedNames"] == 2 and
             any("2 names are denied" in n for n in status["notes"]),
             str(status))
    names = g.must("NameDenied", uid=D.MONITOR)["names"]
    L.expect([(n["domain"], n["by"]) for n in names] == [
        ("b.apps.example.com", "uid 0"), ("www.example.com", "uid 0")] and
        all(n["since"].endswith("Z") for n in names), str(names))
    L.expect(pages(g.must, "NameDenied", "names", {"limit": 1})[0] == names,
             "in pages")
    g.must("NameAllow", {"domain": "www.example.com"})
    L.expect(allowed(g, "www.example.com") and
             not allowed(g, "b.apps.example.com"), "that one only")
    D.expect_error(g.ask_admin("NameAllow", {"domain": "www.example.com"}),
                   "NoSuchName", name="www.example.com")
    for bad in ("*.example.com", "WWW.example.com", "", "a b"):
        D.expect_error(g.ask_admin("NameDeny", {"domain": bad}),
                       "InvalidValue", parameter="domain")
    L.expect([x["detail"] for x in admin_lines(g, "NameDeny")][:2] ==
             ["www.example.com", "b.apps.example.com"], "audited")
    g.policy(D.POLICY)
    g.must("Reload")
    L.expect(not allowed(g, "b.apps.example.com") and
             allowed(g, "www.example.com"), "in a policy that reads again")


@D.with_guardian()
def test_what_is_not_in_force_is_not_called_denied(g):
    g.must("NameDeny", {"domain": "a.apps.example.com"})
    in_registry(g, ("insert into denied values ('no domain', 1, 'test')",))
    D.expect_error(g.ask_admin("NameDeny", {"domain": "www.example.com"}),
                   "Busy")
    log = g.lab.log("guardiand")
    L.expect("Denied by uid 0: www.example.com" not in log and
             "Denied by uid 0, but not in force yet: www.example.com" in log,
             log)
    L.expect(allowed(g, "www.example.com") and
             not allowed(g, "a.apps.example.com"), "as it was before")
    L.expect(len(g.must("NameDenied")["names"]) == 1, "and so it is listed")
    in_registry(g, ("delete from denied where name = 'no domain'",))
    g.must("NameDeny", {"domain": "www.example.com"})
    L.expect(not allowed(g, "www.example.com"), "asked for again")
    L.expect("Denied by uid 0: www.example.com" in g.lab.log("guardiand"),
             "and said")


@D.with_guardian()
def test_a_full_audit_log_keeps_nobody_from_denying(g):
    ready(g)
    size = (g.lab.dir / "log/audit.jsonl").stat().st_size
    g.lab.run(["prlimit", f"--pid={g.process.pid}", f"--fsize={size}:"])
    # What only takes away is done; all else is not.
    for method, parameters in (
            ("AccountSignProof", {"name": "test", "nonce": "n"}),
            ("NameAllow", {"domain": "www.example.com"}),
            ("RecordAdd", {"records": [record("www.example.com")]}),
            ("AccountSetIssuers", {"name": "test", "issuers": []})):
        D.expect_error(g.ask_admin(method, parameters), "AuditUnavailable")
    g.lab.run(["prlimit", f"--pid={g.process.pid}", "--fsize=unlimited"])
    g.stop()
    log = g.lab.dir / "log"
    log.rename(g.lab.dir / "log-away")
    log.write_text("a file where the folder should be")
    g.start()
    g.must("NameDeny", {"domain": "www.example.com"})
    g.must("AccountNotProven", {"name": "test", "reason": "account-not-ours",
                                "text": "x"})
    D.expect_error(g.ask_admin("NameAllow", {"domain": "www.example.com"}),
                   "AuditUnavailable")
    before = registry(g)
    D.expect_error(g.ask_admin("AccountSignRegistration", {
        "name": "test", "nonce": "n", "contacts": ["mailto:x@y.example"],
        "termsOfServiceAgreed": True, "externalAccountBinding": binding(g)}),
        "AuditUnavailable")
    L.expect(registry(g) == before, "not even what the CA would be told")
    log.unlink()
    (g.lab.dir / "log-away").rename(log)
    g.restart()
    L.expect(not allowed(g, "www.example.com"), "denied")


def main():
    names = sys.argv[1:]
    cases = [f for n, f in globals().items() if n.startswith("test_")
             and (not names or any(x in n for x in names))]
    return L.run_cases(cases)


if __name__ == "__main__":
    sys.exit(main())
