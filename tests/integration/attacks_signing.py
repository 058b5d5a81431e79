#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a caller would try to have signed."""

import base64
import hashlib
import json
import re
import sys

from attacks_lab import PIN, SIGN, request
import daemon_lab as D
import lab as L


@D.with_guardian()
def test_nothing_is_signed_that_two_readers_read_differently(g):
    order = {"identifiers": [{"type": "dns", "value": "example.com"}]}
    text = json.dumps(order)
    evil = '{"type":"dns","value":"evil.example"}'
    url = {"url": D.CA + "/authz/1"}
    payloads = [
        text + "\0", "\ufeff" + text, text + text, text + "//", text[:-1],
        text.replace("{", "{/**/", 1), text.replace('"', "'"),
        text[:-1] + ',"Identifiers":[' + evil + "]}",
        text[:-1] + ',"\\u0069dentifiers":[' + evil + "]}",
        text[:-1] + ',"identifier\u017f":[' + evil + "]}",
        text.replace('"value"', '"Value":"x","value"'),
        text.replace("example.com", "example.com\\u0000.evil.example"),
        text.replace("example.com", "example.com\\n"),
        text.replace("example.com", "\\ud800"),
        text.replace("example.com", "EXAMPLE.com"),
        text.replace("example.com", "example\\u3002com"),
        text.replace("example.com", "192.0.2.1"),
        text.replace('"dns"', '"ip"'), text.replace('"dns"', '"DNS"'),
        text.replace('"dns"', '"dns\\u0000"'),
        text[:-1] + ',"notAfter":1e400}', text[:-1] + ',"x":-0}',
        text[:-1] + ',"status":"deactivated"}',
        text[:-1] + ',"csr":""}', text[:-1] + ',"identifiers":[]}',
        "[" + text + "]", '"' + "x" * 40 + '"', "null", "{}", "[]", "0",
    ]
    cases = [request(g, {}, p) for p in payloads]
    # The right thing in the wrong place, and the wrong thing anywhere.
    for payload in ('{"status":"deactivated"}', '{"status":"valid"}',
                    '{"Status":"deactivated"}', '{"\\u0073tatus":"deactivated"}',
                    '{"contact":[]}', '{"termsOfServiceAgreed":true}',
                    '{"onlyReturnExisting":true,"status":"deactivated"}',
                    '{"identifier":' + evil + '}', text,
                    '{"certificate":""}', '{"resource":"authz"}',
                    '{"csr":"","status":"deactivated"}', '{"":""}'):
        for where in (D.CA + "/authz/1", D.ACCOUNT_URL, D.ACCOUNT_URL + "/",
                      D.ENDPOINTS["keyChange"], D.ENDPOINTS["newNonce"]):
            cases.append(request(g, {"url": where}, payload))
    # Other spellings of an endpoint.
    for where in ("/", "//", "?", "#", "/.", "/..", "%2f", ";a=b", ":443"):
        cases.append(request(g, {"url": D.ENDPOINTS["newOrder"] + where},
                             text))
    order_path = D.ENDPOINTS["newOrder"][len(D.CA):]
    for origin in ("https://CA.example", "https://ca.example:443",
                   "https://ca.example.", "https://user@ca.example",
                   "http://ca.example", "https://ca.example@evil.example",
                   "https://evil.example", "HTTPS://ca.example",
                   "https://ca.example\\", "https://[::1]", "//ca.example",
                   "https://ca.example:0443", "https://ca.example/"):
        cases.append(request(g, {"url": origin + order_path}, text))
    for header in ({"kid": D.ACCOUNT_URL + "/"}, {"alg": "none"},
                   {"alg": "es256"}, {"crit": []}, {"b64": False},
                   {"jwk": g.account["jwk"]}, {"nonce": ""},
                   {"nonce": "n\n"}, {"Url": D.CA + "/x"}):
        cases.append(request(g, header, text))
    for jwk in ({**g.account["jwk"], "kid": "1"},
                {**g.account["jwk"], "X": g.account["jwk"]["x"]},
                {**g.account["jwk"], "x": g.account["jwk"]["x"] + "="}):
        cases.append(D.jws({"alg": "ES256", "nonce": "n", "jwk": jwk,
                            "url": D.ENDPOINTS["newAccount"]}, "{}"))
    good = request(g, {}, text)
    for spoil in (lambda x: x + "=", lambda x: x + "\n", lambda x: x + ".",
                  lambda x: "." + x, lambda x: x[:-1] + "+",
                  lambda x: x + "A"):
        cases.append({**good, "payload": spoil(good["payload"])})
        cases.append({**good, "protected": spoil(good["protected"])})
    with D.AsUser(D.CLIENT, g.client) as v:
        for c in cases:
            error, answer = v.call(SIGN, {"account": "test", **c})
            shown = [base64.urlsafe_b64decode(c[k] + "===")
                     for k in ("protected", "payload")]
            L.expect(error and "signature" not in answer, f"refused: {shown}")
        error, answer = v.call(SIGN, {"account": "test", **good})
        L.expect(not error, f"and the good one signed: {error} {answer}")


def der(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    length = (bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256
              else bytes([0x82, n >> 8, n & 255]))
    return bytes([tag]) + length + content


def csr_by_token(g, jwk, label):
    """A CSR for the key of an account, signed by that key in the token."""
    point = b"\4" + D.unb64(jwk["x"]) + D.unb64(jwk["y"])
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                         ) + point
    name = der(0x30, bytes.fromhex("0603550403"), der(12, b"example.com"))
    tbs = der(0x30, b"\2\1\0", der(0x30, der(0x31, name)), spki, b"\xa0\0")
    g.lab.file("tbs", hashlib.sha256(tbs).digest())
    tool = ["pkcs11-tool", "--module", L.SOFTHSM, "--login", "--pin", PIN,
            "--token-label", "lab"]
    shown = g.lab.run([*tool, "-O", "--type", "privkey"], env=g.env).stdout
    number = re.search(rf"label: +{label}\n +ID: +(\w+)", shown)[1]
    g.lab.run([*tool, "--sign", "--mechanism", "ECDSA", "--signature-format",
               "openssl", "--id", number, "--input-file", g.lab.dir / "tbs", "--output-file",
               g.lab.dir / "tbs.sig"], env=g.env)
    signature = (g.lab.dir / "tbs.sig").read_bytes()
    return der(0x30, tbs, bytes.fromhex("300a06082a8648ce3d040302"),
               der(3, b"\0" + signature))


@D.with_guardian()
def test_no_account_key_gets_a_certificate(g):
    second = g.make_account("second")
    for a in (g.account, second):
        csr = csr_by_token(g, a["jwk"], a["keyLabel"])
        finalize = request(g, {"url": D.CA + "/order/1/finalize"},
                           {"csr": L.b64url(csr)})
        D.expect_error(g.sign_input(D.CLIENT, finalize), "MalformedRequest",
                       reason="account-key")


@D.with_guardian()
def test_orders_per_day_cannot_be_stretched(g):
    g.make_account("second")
    g.policy("[Client]\nUser=1000\n[Allow]\nAccount=test\n"
             "Domain=example.com\nOrdersPerDay=2\n")
    g.must("Reload")
    spellings = [json.dumps({"identifiers": [
        {"type": "dns", "value": "example.com"}]}, indent=i)
        for i in range(3)]
    with D.AsUser(D.CLIENT, g.client) as v:
        got = [v.call(SIGN, {"account": "test", **request(g, {}, s)})[0]
               for s in spellings]
        L.expect(got[:2] == [None, None] and got[2], f"two, not {got}")
        again = v.call(SIGN, {"account": "test",
                              **request(g, {"nonce": "m"}, spellings[0])})
        L.expect(not again[0], "the same payload within a minute is a retry")
    g.must("Reload")
    D.expect_error(g.sign_input(D.CLIENT, request(g, {}, spellings[2])),
                   "RateLimited")
    g.process.kill()
    g.process.wait()
    g.lab.processes.remove(g.process)
    g.start()
    D.expect_error(g.sign_input(D.CLIENT, request(g, {}, spellings[2])),
                   "RateLimited")


if __name__ == "__main__":
    sys.exit(D.run(globals()))
