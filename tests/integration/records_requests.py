#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guardian's own requests, composed over the admin socket."""

import hashlib
import json
import sys

import daemon_lab as D
from daemon_lab import unb64
import lab as L
from records_lab import add, admin_lines, binding, record, typed


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


if __name__ == "__main__":
    sys.exit(D.run(globals()))
