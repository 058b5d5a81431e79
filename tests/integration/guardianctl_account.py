#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl with an account from its first day to its last, against a real daemon
and Pebble. Each case goes on where the one before it ended."""

import json
import os
import re
import sys

from guardianctl_lab import OPERATOR_UID, STRANGER_UID, run, unb64
from lab import CLIENT_UID, DAEMON_UID, OTHER_UID, SOFTHSM, expect, thumbprint


def test_create_shows_the_key(w):
    a = w.json("account", "create", "main", "--token", "lab", "--directory",
               w.lab.directory_url)["account"]
    expect(a["status"] == "created" and a["alg"] == "ES256", a)
    expect(a["thumbprint"] == thumbprint(a["jwk"]), a)
    w.ctl("account", "create", "main", "--token", "lab", "--directory",
          w.lab.directory_url, code=1, says="main")
    w.ctl("account", "create", "BAD/", "--token", "lab", "--directory",
          w.lab.directory_url, code=2)
    w.ctl("account", "create", "x", "--token", "none", "--directory",
          w.lab.directory_url, code=1, says="no such token: none")
    w.ctl("account", "create", "x", "--token", "lab", "--directory",
          "http://ca.example/dir", code=2)
    w.ctl("account", "create", "x", "--token", "lab", "--alg", "HS256",
          "--directory", w.lab.directory_url, code=2)
    w.ctl("account", "show", "nobody", code=1, says="nobody")
    shown = w.ctl("account", "show", "main")
    expect(a["thumbprint"] in shown and "created" in shown, shown)


def test_register_wants_the_terms_agreed_and_the_root_trusted(w):
    ca = w.lab.dir / "tls/ca.pem"
    out = w.ctl("account", "register", "main", "--ca-file", ca, code=1,
                says="--agree-terms")
    expect("terms of service: " in out, out)
    w.ctl("account", "register", "main", "--agree-terms", code=69)
    w.ctl("account", "register", "main", "--agree-terms", "--ca-file",
          w.lab.dir / "none", code=78, says="none: ")
    w.ctl("account", "register", "main", "--agree-terms", "--ca-file",
          w.lab.file("empty.pem", "no certificate"), code=78,
          says="no PEM certificate")
    w.ctl("account", "register", "nobody", "--agree-terms", code=1,
          says="nobody")
    expect(w.json("account", "show", "main")["account"]["status"] == "created",
           "still not registered")


def test_register_and_register_again(w):
    args = ("account", "register", "main", "--agree-terms", "--contact",
            "mailto:pki@lab.example", "--ca-file", w.lab.dir / "tls/ca.pem")
    first = w.json(*args)
    expect(first["new"] and first["account"]["status"] == "valid", first)
    expect(first["account"]["contacts"] == ["mailto:pki@lab.example"], first)
    again = w.json(*args, uid=OPERATOR_UID)
    expect(not again["new"] and
           again["account"]["url"] == first["account"]["url"], again)
    expect("was registered before" in w.ctl(*args), "says so")
    listed = w.ctl("account", "list")
    expect("main" in listed and "valid" in listed, listed)
    w.account = first["account"]


def test_clients_see_and_use_their_account(w):
    url = w.json("account", "show", "main")["endpoints"]["newOrder"]
    mine = w.json("account", "list", "--mine", uid=CLIENT_UID)["accounts"]
    expect([a["name"] for a in mine] == ["main"], mine)
    jwk = json.loads(w.ctl("jwk", uid=CLIENT_UID))
    expect(jwk == w.account["jwk"], jwk)
    expect(w.ctl("jwk", "--thumbprint", uid=CLIENT_UID).strip() ==
           w.account["thumbprint"], "thumbprint")
    order = '{"identifiers": [{"type":"dns","value":"www.lab.example"}]}\n'
    jws = json.loads(w.ctl("sign", "--url", url, "--nonce", "-abc",
                           "--payload-file", "-", uid=CLIENT_UID, stdin=order))
    expect(set(jws) == {"protected", "payload", "signature"}, jws)
    expect(unb64(jws["payload"]).decode() == order, "the payload as it was")
    header = json.loads(unb64(jws["protected"]))
    expect(header == {"alg": "ES256", "kid": w.account["url"], "nonce": "-abc",
                      "url": url}, header)
    w.lab.file("order.json", order)
    w.ctl("sign", "--url", url, "--nonce", "x", "--payload-file",
          w.lab.dir / "order.json", "--thumbprint", w.account["thumbprint"],
          uid=CLIENT_UID, env={"ACME_GUARDIAN_SOCKET": str(w.client)},
          config=False)
    parts = w.ctl("key-authorization", "--", "-tok", uid=CLIENT_UID)
    one = w.ctl("key-authorization", "--for", "http-01", "--", "-tok",
                uid=CLIENT_UID).strip()
    expect(one == f"-tok.{w.account['thumbprint']}" and one in parts, parts)
    expect(w.json("key-authorization", "--", "-tok", uid=CLIENT_UID)
           ["keyAuthorization"] == one, one)


def test_refusals_have_their_codes(w):
    url = w.json("account", "show", "main")["endpoints"]["newOrder"]
    evil = '{"identifiers":[{"type":"dns","value":"evil.example"}]}'
    sign = ("sign", "--url", url, "--nonce", "x", "--payload-file", "-")
    w.ctl(*sign, uid=CLIENT_UID, stdin=evil, code=1,
          says="denied: identifier-not-allowed: evil.example")
    e = w.json(*sign, uid=CLIENT_UID, stdin=evil, code=1)
    expect(e["error"] == "org.acmeguardian.Signer.PolicyDenied" and
           e["parameters"]["reason"] == "identifier-not-allowed", e)
    expect(re.search(r"lab\.policy:\d+$", e["parameters"]["rule"]), e)
    w.ctl(*sign, uid=CLIENT_UID, stdin="{", code=2,
          says="malformed request: bad-json")
    w.ctl(*sign, uid=CLIENT_UID, stdin="{}" + " " * 50000, code=2,
          says="above")
    w.ctl("sign", "--url", url, "--nonce", "x", "--payload-file",
          w.lab.file("zero", b'{"a":"\0"}'), uid=CLIENT_UID, code=2,
          says="is not JSON text")
    w.ctl("sign", "--url", url, "--nonce", "x", "--payload-file",
          w.lab.dir / "none", uid=CLIENT_UID, code=78, says="none: ")
    w.ctl("sign", "--url", "https://evil.example/x", "--nonce", "x",
          uid=CLIENT_UID, code=2, says="foreign-origin")
    w.ctl("sign", "--url", url, "--nonce", "=", uid=CLIENT_UID, code=2,
          says="bad-nonce")
    w.ctl("jwk", "--account", "other", uid=CLIENT_UID, code=1,
          says="no such account")
    w.ctl("jwk", uid=STRANGER_UID, code=1)
    w.ctl("key-authorization", "a.b", uid=CLIENT_UID, code=2,
          says="bad-token")
    w.ctl(*sign, "--thumbprint", "A" * 43, uid=CLIENT_UID, code=75,
          stdin='{"identifiers":[{"type":"dns","value":"www.lab.example"}]}',
          says=w.account["thumbprint"])


def test_suspend_and_resume(w):
    args = ("sign", "--url", w.account["url"], "--nonce", "x")
    for scope in (("all",), ("account", "main"), ("client", str(CLIENT_UID))):
        w.ctl("suspend", *scope)
        w.ctl(*args, uid=CLIENT_UID, code=1, says="suspended")
        s = w.json("status", code=1) if w.json_code("status") else None
        expect(s is None or s["suspensions"], "status shows it")
        w.ctl("resume", *scope)
        w.ctl(*args, uid=CLIENT_UID)
        w.ctl("resume", *scope, code=1, says="not suspended")
    w.ctl("suspend", "account", "nobody", code=1, says="nobody")


def test_reload_is_all_or_nothing(w):
    out = w.ctl("reload")
    expect("1 rule sets, 1 names" in out, out)
    good = (w.etc / "policy.d/lab.policy").read_text()
    w.policy(good + "Domian=x.example\n")
    w.ctl("reload", code=78, says="lab.policy:6: ")
    w.ctl("sign", "--url", w.account["url"], "--nonce", "x", uid=CLIENT_UID)
    w.policy(good)
    expect(w.json("reload")["ruleSets"] == 1, "loaded")


def test_reload_names_what_needs_a_restart(w):
    expect(w.json("reload")["restartNeeded"] == [], "nothing changed")
    conf = w.etc / "guardian.conf"
    text = conf.read_text()
    conf.write_text(text.replace("[Roles]", "AuditKeep=7\n[Roles]") +
                    "Timeout=3s\n[Deny]\nDomain=deny.example\n[Lacme x]\n")
    out = w.ctl("reload")
    for what in ("[Guardian] AuditKeep=", "[Token lab] Timeout=", "[Lacme x]"):
        expect(f"in force only after a restart: {what}\n" in out, out)
    expect("Deny" not in out, out)
    expect(len(w.json("reload")["restartNeeded"]) == 3, "again")
    said = w.lab.log("guardiand")
    expect("In force only after a restart: [Guardian] AuditKeep=, "
           "[Token lab] Timeout=, [Lacme x]" in said, said)
    conf.write_text(text)
    expect(w.json("reload")["restartNeeded"] == [], "as it was")


def test_tokens(w):
    tokens = w.json("token", "list")["tokens"]
    expect([t["name"] for t in tokens] == ["lab"], tokens)
    check = w.json("token", "check", "lab")
    expect([k["account"] for k in check["keys"]].count("main") == 1, check)
    expect("main" in w.ctl("token", "check", "lab"), "for people")
    w.ctl("token", "unlock", "lab")
    for command in ("check", "unlock", "self-test"):
        w.ctl("token", command, "none", code=1, says="none")
    for command in ("init-sealed", "reseal", "init-token", "reset-pin"):
        w.ctl("token", command, "none", code=78, stdin="x\n",
              says="has no [Token none]")
    for command in ("init-sealed", "reseal"):
        w.ctl("token", command, "lab", code=78, stdin="x\n",
              says="is not Backend=sealed")


def pkcs11_tool(w, *args):
    return w.lab.run(["pkcs11-tool", "--module", SOFTHSM, "--token-label",
                      "lab", "--login", "--pin", "1234", *args], DAEMON_UID,
                     {"SOFTHSM2_CONF": f"{w.lab.dir}/softhsm/softhsm2.conf"}
                     ).stdout


def test_the_self_test_leaves_no_key(w):
    key = w.json("token", "self-test", "lab")["key"]
    expect(key["unproven"] == [] and key["alg"] == "ES256", key)
    for alg in ("ES384", "RS256", "EdDSA"):
        key = w.json("token", "self-test", "lab", "--alg", alg)["key"]
        expect(key["alg"] == alg, key)
    expect("was destroyed" in w.ctl("token", "self-test", "lab"), "for people")
    expect("_self-test" not in pkcs11_tool(w, "-O"), "no key is left")
    # What a crash left behind is cleared away.
    instance = w.json("status", code=1)["instance"]
    label = f"acme-guardian:{instance}:_self-test:1"
    pkcs11_tool(w, "--keypairgen", "--key-type", "EC:prime256v1", "--label",
                label, "--id", "77", "--usage-sign", "--sensitive")
    w.ctl("token", "self-test", "lab")
    expect("_self-test" not in pkcs11_tool(w, "-O"), "nor that of a crash")
    w.ctl("token", "self-test", "lab", "--alg", "ES512", code=2, says="alg")
    w.ctl("token", "self-test", "lab", uid=OTHER_UID, code=77,
          says="needs the role: admin")
    lines = w.ctl("audit", "tail", "--json", "-n", "60")
    for operation in ("generate", "destroy"):
        expect(re.search(f'"operation":"{operation}"[^\n]*_self-test', lines),
               f"{operation} is in the log: {lines}")


def test_a_sealed_store_is_made_and_resealed(w):
    credential = w.lab.file("credential", os.urandom(32), mode=0o600)
    etc = w.lab.folder("sealed-etc")
    w.lab.file("sealed-etc/guardian.conf", "[Guardian]\n"
               f"StateDirectory={w.lab.dir}/sealed-state\n"
               "AllowSwappableSecrets=yes\n[Token soft]\nBackend=sealed\n"
               f"Pin=file:{credential}\nDirectory={w.lab.dir}/soft\n")
    w.lab.folder("soft", mode=0o700)
    at = ("--config", etc, "token")
    w.ctl(*at, "init-sealed", "soft", config=False, stdin="a passphrase\n")
    w.ctl(*at, "init-sealed", "soft", "--no-recovery", config=False, code=1,
          stdin="", says="never overwritten")
    w.lab.file("credential", os.urandom(32), mode=0o600)
    w.ctl(*at, "reseal", "soft", config=False, stdin="a passphrase\n")


def test_deactivate(w):
    args = ("account", "deactivate", "main", "--yes", "--ca-file",
            w.lab.dir / "tls/ca.pem")
    w.ctl("account", "deactivate", "main", "--yes", code=69)
    out = w.ctl(*args)
    expect(out.startswith("deactivated\n"), out)
    a = w.json("account", "show", "main")["account"]
    expect(a["status"] == "deactivated", a)
    w.ctl("sign", "--url", w.account["url"], "--nonce", "x", uid=CLIENT_UID,
          code=1, says="deactivated")
    w.ctl(*args, code=1)


if __name__ == "__main__":
    sys.exit(run(globals()))
