#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon signs and what it refuses, asked through its client socket and
the one of lacme."""

import json
import sys

from daemon_lab import (ACCOUNT_URL, CA, CLIENT, CSR_CASES, ENDPOINTS, NOBODY,
                        OTHER, POLICY, SIGNER, VECTORS, AsUser, Lacme,
                        expect_error, jws, run, unb64, verify, with_guardian)
import lab as L


@with_guardian()
def test_an_order_is_signed_and_the_signature_fits(g):
    request = g.order("example.com", "www.example.com")
    error, answer = g.sign_input(CLIENT, request)
    L.expect(not error, f"signed, not {error} {answer}")
    verify(g.lab, g.account["jwk"], request, answer["signature"])
    line = [x for x in g.audit_lines() if x.get("operation") == "order"][-1]
    L.expect(line["verdict"] == "allowed" and line["uid"] == CLIENT and
             line["rule"].endswith("test.policy:1"), f"audited: {line}")


@with_guardian()
def test_sign_composes_what_it_signs(g):
    payload = json.dumps({"identifiers": [
        {"type": "dns", "value": "example.com"}]})
    error, answer = g.ask(CLIENT, "Sign", {
        "url": ENDPOINTS["newOrder"], "nonce": "abc", "payload": payload})
    L.expect(not error, f"signed, not {error} {answer}")
    verify(g.lab, g.account["jwk"], answer, answer["signature"])
    L.expect(json.loads(unb64(answer["protected"])) == {
        "alg": "ES256", "kid": ACCOUNT_URL, "nonce": "abc",
        "url": ENDPOINTS["newOrder"]}, "the header")
    L.expect(unb64(answer["payload"]).decode() == payload, "exact payload")
    error, answer = g.ask(CLIENT, "Sign", {
        "url": ENDPOINTS["newAccount"], "nonce": "abc",
        "payload": '{"onlyReturnExisting":true}'})
    L.expect(not error, f"a lookup is signed, not {error} {answer}")
    header = json.loads(unb64(answer["protected"]))
    L.expect(header["jwk"] == g.account["jwk"] and "kid" not in header,
             "a lookup names the key")
    error, answer = g.ask(CLIENT, "Sign", {
        "url": CA + "/order/1", "nonce": "abc", "payload": ""})
    L.expect(not error and answer["payload"] == "", "POST-as-GET")
    expect_error(g.ask(CLIENT, "Sign", {
        "url": CA + "/order/1", "nonce": "a b", "payload": ""}),
        "MalformedRequest", reason="bad-nonce")
    expect_error(g.ask(CLIENT, "Sign", {
        "url": CA + "/order/1", "nonce": "x" * 300, "payload": ""}),
        "MalformedRequest", reason="bad-nonce")
    expect_error(g.ask(CLIENT, "Sign", {
        "url": ENDPOINTS["newOrder"], "nonce": "abc",
        "payload": " " * 50000 + "{}"}), "MalformedRequest",
        reason="too-large")
    expect_error(g.ask(CLIENT, "Sign", {
        "url": CA + "/" + "x" * 2000, "nonce": "abc", "payload": ""}),
        "MalformedRequest", reason="bad-url")


@with_guardian()
def test_every_vector_gets_its_verdict_through_the_socket(g):
    ours = json.dumps(g.account["jwk"], separators=(",", ":"))
    theirs = VECTORS["context"]["account"]["jwk"]
    for case in VECTORS["cases"] + CSR_CASES:
        request = {"protected": case["protected"], "payload": case["payload"]}
        # The vectors' account key is not ours: a header with that key is made
        # one with ours.
        try:
            header = json.loads(unb64(case["protected"]))
        except ValueError:
            header = {}
        if isinstance(header, dict) and header.get("jwk") == theirs:
            header["jwk"] = json.loads(ours)
            request["protected"] = L.b64url(json.dumps(header).encode())
        error, answer = g.sign_input(CLIENT, request)
        if case["verdict"] == "allowed":
            L.expect(not error, f"{case['id']}: {error} {answer}")
            continue
        # "guardian-only" is told as a denial of a request that was read.
        want = ("MalformedRequest" if case["verdict"] == "malformed"
                else "PolicyDenied")
        L.expect(error == SIGNER + want and
                 answer["reason"],
                 f"{case['id']}: {case['verdict']} {case.get('reason')}, not "
                 f"{error} {answer}")


@with_guardian()
def test_refusals_say_why(g):
    expect_error(g.sign_input(CLIENT, g.order("example.com", "evil.example")),
                 "PolicyDenied", operation="order", identifier="evil.example",
                 reason="identifier-not-allowed",
                 rule=f"{g.etc}/policy.d/test.policy:1")
    expect_error(g.sign_input(CLIENT,
                              g.order("x.no.internal.apps.example.com")),
                 "PolicyDenied", reason="identifier-denied")
    expect_error(g.sign_input(CLIENT, {"protected": "e30", "payload": "!"}),
                 "MalformedRequest")
    expect_error(g.sign_input(CLIENT, g.order("example.com"), "nosuch"),
                 "UnknownAccount")
    with AsUser(NOBODY, g.client) as v:
        expect_error(v.call(SIGNER + "SignInput",
                            {"account": "test", **g.order("example.com")}),
                     "PolicyDenied", reason="no-rule")
        expect_error(v.call(SIGNER + "ListAccounts"), "PolicyDenied",
                     reason="no-rule")
        error, answer = v.call("org.varlink.service.GetInfo")
        L.expect(not error and answer["product"] == "acme-guardiand",
                 f"who asks gets the service's name: {error} {answer}")
    L.expect(not [x for x in g.audit_lines() if x.get("uid") == NOBODY],
             "callers without a rule are counted, not logged")
    for wrong, name in (({"account": "test"}, "protected"),
                        ({**g.order("example.com"), "more": 1}, "more"),
                        ({**g.order("example.com"), "account": 5}, "account")):
        error, answer = g.ask(CLIENT, "SignInput", wrong)
        L.expect(error == "org.varlink.service.InvalidParameter" and
                 answer == {"parameter": name}, f"{name}: {error} {answer}")


@with_guardian()
def test_an_account_that_is_not_ones_own_does_not_exist(g):
    g.make_account("second")
    error, answer = g.ask(CLIENT, "ListAccounts")
    L.expect([a["name"] for a in answer["accounts"]] == ["test"], str(answer))
    error, answer = g.ask(OTHER, "ListAccounts")
    L.expect([a["name"] for a in answer["accounts"]] == ["second", "test"],
             str(answer))
    expect_error(g.sign_input(CLIENT, g.order("example.com"), "second"),
                 "UnknownAccount")
    expect_error(g.ask(CLIENT, "GetAccount", {"account": "second"}),
                 "UnknownAccount")
    # Left out: whoever has exactly one means that.
    error, answer = g.ask(CLIENT, "GetAccount")
    L.expect(not error and answer["account"]["name"] == "test" and
             answer["account"]["thumbprint"] == L.thumbprint(
                 answer["account"]["jwk"]), f"{error} {answer}")
    error, answer = g.ask(OTHER, "GetAccount")
    L.expect(error == "org.varlink.service.InvalidParameter", str(error))


@with_guardian()
def test_a_stale_thumbprint_is_told_where_it_matters(g):
    stale = "x" * 43
    now = g.account["thumbprint"]
    expect_error(g.sign_input(CLIENT, g.order("example.com"),
                              thumbprint=stale), "KeyChanged", thumbprint=now)
    challenge = jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "a",
                     "url": CA + "/chall/1"}, {})
    expect_error(g.sign_input(CLIENT, challenge, thumbprint=stale),
                 "KeyChanged", thumbprint=now)
    expect_error(g.ask(CLIENT, "Sign", {
        "url": ENDPOINTS["newAccount"], "nonce": "abc", "thumbprint": stale,
        "payload": '{"onlyReturnExisting":true}'}), "KeyChanged",
        thumbprint=now)
    fetch = jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "a",
                 "url": CA + "/order/1"}, "")
    error, answer = g.sign_input(CLIENT, fetch, thumbprint=stale)
    L.expect(not error, f"fetch goes on: {error} {answer}")
    error, answer = g.sign_input(CLIENT, g.order("example.com"),
                                 thumbprint=now)
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_key_authorization_and_check(g):
    error, answer = g.ask(CLIENT, "KeyAuthorization", {"token": "abc"})
    L.expect(not error and answer["keyAuthorization"] ==
             "abc." + g.account["thumbprint"], f"{error} {answer}")
    L.expect(answer["dnsAccount01Label"].startswith("_"), str(answer))
    expect_error(g.ask(CLIENT, "KeyAuthorization", {"token": "a b"}),
                 "MalformedRequest", reason="bad-token")
    error, answer = g.ask(CLIENT, "Check", {
        "operation": "order", "identifiers": ["example.com"]})
    L.expect(not error and answer["allowed"], f"{error} {answer}")
    error, answer = g.ask(CLIENT, "Check", {
        "operation": "order", "identifiers": ["example.com", "no.example"]})
    L.expect(not error and not answer["allowed"] and
             answer["reason"] == "identifier-not-allowed" and
             answer["identifier"] == "no.example", f"{error} {answer}")
    expect_error(g.ask(CLIENT, "Check", {
        "operation": "order", "identifiers": ["example.com"] * 101}),
        "MalformedRequest", reason="too-many-identifiers")
    error, answer = g.ask(CLIENT, "Check", {
        "operation": "revoke", "identifiers": ["example.com"]})
    L.expect(not error and answer["reason"] == "operation-not-allowed",
             f"{error} {answer}")


@with_guardian()
def test_the_lacme_socket_speaks_its_protocol(g):
    L.expect(g.lacme.stat().st_mode & 0o777 == 0o600, "mode 0600")
    c = Lacme(g.lacme)
    first, key = c.greeting()
    L.expect(first == '1 OK {"alg":"ES256","jwk-thumbprint":"%s","kid":"%s"}'
             '\r\n' % (g.account["thumbprint"], ACCOUNT_URL), first)
    L.expect(json.loads(key) == g.account["jwk"] and key.endswith("\r\n"), key)
    fetch = jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "a",
                 "url": CA + "/order/1"}, "")
    order = g.order("example.com")
    got = c.ask(order, fetch)
    for request, line in zip((order, fetch), got):
        L.expect(line.endswith("\r\n"), f"a line, not {line!r}")
        verify(g.lab, g.account["jwk"], request, line.strip())
    L.expect(c.ask(g.order("evil.example")) == [""], "refused: closed")
    line = [x for x in g.audit_lines() if x.get("verdict") == "denied"][-1]
    L.expect(line["reason"] == "identifier-not-allowed" and
             line["socket"] == "test", str(line))
    for wrong in (b"abc\r\n", b"a.b\n", b"x" * 70000):
        c = Lacme(g.lacme)
        c.greeting()
        try:
            c.socket.sendall(wrong)
            rest = c.file.readline()
        except (BrokenPipeError, ConnectionResetError):
            rest = b""
        L.expect(rest == b"", f"{wrong[:10]}: closed")
    g.policy(POLICY[:POLICY.rindex("[Client]")])
    g.must("Reload")
    L.expect(Lacme(g.lacme).greeting() == ("", ""), "no rule, no greeting")


@with_guardian()
def test_other_key_types(g):
    for alg, size in (("ES384", 96), ("RS256", 256)):
        name = alg.lower()
        a = g.make_account(name, alg=alg)
        g.policy(f"[Client]\nUser={CLIENT}\n[Allow]\nAccount={name}\n"
                 "Domain=example.com\n")
        g.must("Reload")
        error, answer = g.ask(CLIENT, "Sign", {
            "url": CA + "/order/1", "nonce": "abc", "payload": ""})
        L.expect(not error and len(unb64(answer["signature"])) == size,
                 f"{alg}: {error} {answer}")
        L.expect(json.loads(unb64(answer["protected"]))["alg"] == alg, alg)
        L.expect(a["alg"] == alg, str(a))
    L.expect(len(g.must("TokenCheck", {"name": "hsm"})["keys"]) == 3, "keys")


if __name__ == "__main__":
    sys.exit(run(globals()))
