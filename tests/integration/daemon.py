#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon over its sockets, with a SoftHSM2 token behind it."""

import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import lab as L  # noqa: E402

SIGNER = "org.acmeguardian.Signer."
ADMIN = "org.acmeguardian.Admin."
VECTORS = json.loads((L.ROOT / "tests/vectors/requests.json").read_text())
# All but one: the key of csr-account-key is the vectors' account's, not ours;
# policy-check and the unit tests have that case.
CSR_CASES = [c for c in json.loads((L.ROOT / "tests/vectors/csr.json")
                                   .read_text())["cases"]
             if c["id"] != "csr-account-key"]
CA = "https://ca.example"
DIRECTORY = CA + "/directory"
ENDPOINTS = VECTORS["context"]["account"]["directory"]
ACCOUNT_URL = VECTORS["context"]["account"]["account_url"]
CLIENT, OTHER, OPS, MONITOR, NOBODY = 1000, 61201, 61202, 61203, 61204
POLICY = f"""[Client]
User={CLIENT}
[Allow]
Account=test
Domain=example.com www.example.com
Subdomains=apps.example.com
Wildcard=apps.example.com
Profiles=tlsserver

[Client]
User={OTHER}
[Allow]
Account=test
Domain=other.example.com
OrdersPerDay=2

[Client]
User={OTHER}
[Allow]
Account=second
Domain=other.example.com

[Client]
User=0
[Allow]
Account=test
Domain=example.com
"""


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jws(header, payload):
    def text(x):
        return x if isinstance(x, str) else json.dumps(x)
    return {"protected": L.b64url(text(header).encode()),
            "payload": L.b64url(text(payload).encode())}


class AsUser:
    """A Varlink connection of another uid: made by a child, handed over."""

    def __init__(self, uid, path):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                s = socket.socket(socket.AF_UNIX)
                s.connect(str(path))
                socket.send_fds(theirs, [b"x"], [s.fileno()])
                # The peer is who connected: it must be alive for its unit.
                theirs.recv(1)
            finally:
                os._exit(0)
        theirs.close()
        self.pid, self.control = pid, ours
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        L.expect(fds, f"uid {uid} can connect to {path}")
        self.varlink = L.Varlink.__new__(L.Varlink)
        self.varlink.socket = socket.socket(fileno=fds[0])
        self.varlink.socket.settimeout(30)
        self.varlink.buffer = b""

    def __enter__(self):
        return self.varlink

    def __exit__(self, *_):
        self.varlink.close()
        self.control.close()
        os.waitpid(self.pid, 0)


class Guardian:
    """A daemon with a configuration of its own in a Lab."""

    def __init__(self, lab, token=""):
        self.lab = lab
        self.env = lab.softhsm(0)
        self.run_dir = lab.folder("run")
        self.client = self.run_dir / "client.sock"
        self.admin = self.run_dir / "admin.sock"
        self.lacme = self.run_dir / "lacme.sock"
        self.etc = lab.folder("etc")
        lab.folder("etc/policy.d")
        self.policy(POLICY)
        self.conf = f"""[Guardian]
StateDirectory={lab.dir}/state
LogDirectory={lab.dir}/log
ClientSocket={self.client}
AdminSocket={self.admin}
AllowSwappableSecrets=yes
AuditReserve=64K
RequestsPerMinute=10000000
[Roles]
OpsUser={OPS}
MonitorUser={MONITOR}
[Deny]
Domain=no.internal.apps.example.com
[Lacme test]
Socket={self.lacme}
[Token hsm]
Module={L.SOFTHSM}
Token=pkcs11:token=lab
Pin=file:{lab.dir}/softhsm/pin
Timeout=5
Environment=SOFTHSM2_CONF={lab.dir}/softhsm/softhsm2.conf
{token}"""
        self.configure(self.conf)
        self.process = None

    def configure(self, text):
        self.lab.file("etc/guardian.conf", text)

    def policy(self, text):
        self.lab.file("etc/policy.d/test.policy", text)

    def argv(self):
        return [L.GUARDIAND, "--config", self.etc, "--token-helper",
                L.TOKEN_HELPER]

    def start(self, pass_fds=(), **env):
        self.process = self.lab.start("guardiand", self.argv(), env={
            **{k: v for k, v in os.environ.items()
               if k.startswith(("ACME_GUARDIAN_TEST", "ASAN", "UBSAN", "MUTATE"))},
            **env}, pass_fds=pass_fds)
        L.wait_for("the client socket", lambda: self.process.poll() is not None
                   or L.unix_open(self.admin))
        L.expect(self.process.poll() is None, "the daemon runs")

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
        status = self.process.returncode
        self.lab.processes.remove(self.process)
        return status

    def restart(self):
        L.expect(self.stop() == 0, "a clean stop")
        self.start()

    def ask_admin(self, method, parameters=None, uid=0):
        with AsUser(uid, self.admin) as v:
            return v.call(ADMIN + method, parameters)

    def must(self, method, parameters=None, uid=0):
        error, answer = self.ask_admin(method, parameters, uid)
        L.expect(not error, f"{method}: {error} {answer}")
        return answer

    def ask(self, uid, method, parameters=None):
        with AsUser(uid, self.client) as v:
            return v.call(SIGNER + method, parameters)

    def sign_input(self, uid, request, account="test", **more):
        return self.ask(uid, "SignInput", {"account": account, **request,
                                           **more})

    def create(self, parameters):
        """As an operator does it: again, when SoftHSM2 makes no key for once.

        A C_GenerateKeyPair that failed is never repeated by itself.
        """
        for _ in range(2):
            error, answer = self.ask_admin("AccountCreate", parameters)
            if error != ADMIN + "TokenFailed" or "CKR_GENERAL" not in str(answer):
                L.expect(not error, f"AccountCreate: {error} {answer}")
                return answer
            time.sleep(1)
        return self.must("AccountCreate", parameters)

    def make_account(self, name="test", register=True, **more):
        a = self.create({"name": name, "token": "hsm", "alg": "ES256",
                         "directory": DIRECTORY, **more})["account"]
        if register:
            self.must("AccountSetDirectory",
                      {"name": name, "endpoints": ENDPOINTS})
            url = ACCOUNT_URL if name == "test" else f"{CA}/acct/{name}"
            a = self.must("AccountRegistered", {
                "name": name, "url": url, "status": "valid"})["account"]
        return a

    def order(self, *names, **more):
        return jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "nonce_-1",
                    "url": ENDPOINTS["newOrder"]},
                   {"identifiers": [{"type": "dns", "value": n}
                                    for n in names], **more})

    def audit_lines(self):
        lines = (self.lab.dir / "log/audit.jsonl").read_bytes()
        return [json.loads(x) for x in lines.split(b"\n") if x]


def verify(lab, jwk, request, signature):
    """The signature over exactly these octets, checked by OpenSSL."""
    raw = unb64(signature)
    L.expect(len(raw) == 64, "r||s of ES256")
    der = b"".join(_der_int(raw[i:i + 32]) for i in (0, 32))
    lab.file("sig.der", b"\x30" + bytes([len(der)]) + der)
    lab.file("key.pem", _pem(jwk))
    lab.file("input", f"{request['protected']}.{request['payload']}")
    lab.run(["openssl", "dgst", "-sha256", "-verify", lab.dir / "key.pem",
             "-signature", lab.dir / "sig.der", lab.dir / "input"])


def _der_int(raw):
    raw = raw.lstrip(b"\0")
    if not raw or raw[0] & 0x80:
        raw = b"\0" + raw
    return b"\x02" + bytes([len(raw)]) + raw


def _pem(jwk):
    point = b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"])
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                         ) + point
    return ("-----BEGIN PUBLIC KEY-----\n"
            + base64.encodebytes(spki).decode() +
            "-----END PUBLIC KEY-----\n")


def expect_error(got, error, **members):
    name, parameters = got
    L.expect(name == SIGNER + error or name == ADMIN + error,
             f"{error}, not {name} {parameters}")
    for k, v in members.items():
        L.expect(parameters.get(k) == v, f"{k}={v}, not {parameters}")


def with_guardian(token=""):
    """A case gets a running daemon with the account "test"."""
    def decorate(fn):
        def case():
            with L.Lab("daemon") as lab:
                g = Guardian(lab, token)
                g.start()
                g.account = g.make_account()
                fn(g)
                status = g.stop()
                L.expect(status == 0, f"a clean stop, not {status}")
        case.__name__ = fn.__name__
        return case
    return decorate


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
def test_orders_per_day_hold_across_a_restart(g):
    def order(spaces):
        return jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "n",
                    "url": ENDPOINTS["newOrder"]},
                   '{"identifiers":' + " " * spaces +
                   '[{"value":"other.example.com","type":"dns"}]}')
    # The same payload again within a minute is one order.
    for spaces in (0, 0, 1):
        error, answer = g.sign_input(OTHER, order(spaces))
        L.expect(not error, f"{error} {answer}")
    third = order(2)
    for _ in range(2):
        got = g.sign_input(OTHER, third)
        expect_error(got, "RateLimited")
        L.expect(86000000 < got[1]["retryAfterMs"] <= 86401000, str(got))
        g.restart()


@with_guardian()
def test_requests_per_minute_are_limited_for_a_user(g):
    g.configure(g.conf.replace("Minute=10000000", "Minute=2"))
    g.restart()
    for _ in range(2):
        error, answer = g.sign_input(CLIENT, g.order("example.com"))
        L.expect(not error, f"{error} {answer}")
    got = g.sign_input(CLIENT, g.order("example.com"))
    expect_error(got, "RateLimited")
    L.expect(0 < got[1]["retryAfterMs"] <= 30001, str(got))
    error, answer = g.sign_input(OTHER, g.order("other.example.com"))
    L.expect(not error, f"another user: {error} {answer}")
    lines = [x for x in g.audit_lines() if x.get("operation") == "order"]
    L.expect([x["verdict"] for x in lines] ==
             ["allowed", "allowed", "refused", "allowed"], str(lines))
    L.expect(lines[2]["reason"] == "requests-per-minute", str(lines[2]))
    size = len(json.dumps(lines[0], separators=(",", ":")))
    L.expect(400 < size < 1000, f"a line has {size} bytes")


@with_guardian()
def test_calls_of_operators_cannot_call_the_log_away(g):
    g.configure(g.conf.replace("Minute=10000000", "Minute=2"))
    g.restart()
    for method, uid in (("Status", MONITOR), ("Reload", OPS)):
        for _ in range(2):
            g.must(method, uid=uid)
        before = len(g.audit_lines())
        got = g.ask_admin(method, uid=uid)
        expect_error(got, "Busy")
        L.expect(0 < got[1]["retryAfterMs"] <= 30001, str(got))
        L.expect(len(g.audit_lines()) == before, "no line")
    for _ in range(4):
        g.must("Status")


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
def test_suspend_stops_signing_at_once_and_across_restarts(g):
    order = g.order("example.com")
    for scope, name in (("all", None), ("account", "test"),
                        ("client", str(CLIENT))):
        g.must("Suspend", {"scope": scope, "name": name})
        expect_error(g.sign_input(CLIENT, order), "PolicyDenied",
                     reason="suspended")
        expect_error(g.ask(CLIENT, "KeyAuthorization", {"token": "abc"}),
                     "PolicyDenied", reason="suspended")
        g.restart()
        expect_error(g.sign_input(CLIENT, order), "PolicyDenied",
                     reason="suspended")
        status = g.must("Status")
        L.expect([s["scope"] for s in status["suspensions"]] == [scope],
                 str(status))
        if scope == "client":
            error, answer = g.sign_input(0, order)
            L.expect(not error, f"others go on: {error} {answer}")
        g.must("Resume", {"scope": scope, "name": name})
        error, answer = g.sign_input(CLIENT, order)
        L.expect(not error, f"resumed: {error} {answer}")
    expect_error(g.ask_admin("Resume", {"scope": "all"}), "WrongState")
    expect_error(g.ask_admin("Suspend", {"scope": "account", "name": "no"}),
                 "NoSuchAccount")
    expect_error(g.ask_admin("Suspend", {"scope": "client", "name": "caddy"}),
                 "InvalidValue")


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
def test_reload_is_all_or_nothing(g):
    order = g.order("new.example.com")
    expect_error(g.sign_input(CLIENT, order), "PolicyDenied")
    old = g.must("Status")["policyHash"]
    g.policy(POLICY.replace("www.example.com", "new.example.com"))
    answer = g.must("Reload")
    L.expect(answer["policyHash"] != old and "nonce" in answer["note"],
             str(answer))
    error, _ = g.sign_input(CLIENT, order)
    L.expect(not error, "the new policy is in force")

    g.policy(POLICY.replace("Profiles=", "Profile="))
    expect_error(g.ask_admin("Reload"), "ConfigurationInvalid", line=8,
                 file=f"{g.etc}/policy.d/test.policy")
    error, _ = g.sign_input(CLIENT, order)
    L.expect(not error, "the one before stays in force")
    status = g.must("Status")
    L.expect(not status["ready"] and
             any("test.policy:8" in w for w in status["warnings"]),
             str(status))
    # SIGHUP is the same, and [Deny] and [Roles] come along.
    g.policy(POLICY)
    g.configure(g.conf.replace("Domain=no.", "Domain=www.example.com "
                               "no.").replace(f"OpsUser={OPS}",
                                                   f"OpsUser={OTHER}"))
    g.process.send_signal(signal.SIGHUP)
    L.wait_for("the reload", lambda: g.must("Status")["policyHash"] == old)
    expect_error(g.sign_input(CLIENT, g.order("www.example.com")),
                 "PolicyDenied", reason="identifier-denied")
    g.must("Reload", uid=OTHER)


@with_guardian()
def test_roles(g):
    g.must("Status", uid=MONITOR)
    g.must("Status", uid=OPS)
    g.must("Reload", uid=OPS)
    expect_error(g.ask_admin("Reload", uid=MONITOR), "NotPermitted",
                 role="ops")
    expect_error(g.ask_admin("Suspend", {"scope": "all"}, uid=OPS),
                 "NotPermitted", role="admin")
    try:
        error, answer = g.ask_admin("Status", uid=CLIENT)
        L.expect(False, f"closed before a byte is read: {error} {answer}")
    except (ConnectionError, BrokenPipeError):
        pass
    # The signer is not on the admin socket, nor the other way round.
    with AsUser(0, g.admin) as v:
        error, _ = v.call(SIGNER + "ListAccounts")
        L.expect(error and error.startswith("org.varlink.service."), error)
    with AsUser(0, g.client) as v:
        error, _ = v.call(ADMIN + "Status")
        L.expect(error and error.startswith("org.varlink.service."), error)
    denied = [x for x in g.audit_lines() if x.get("verdict") == "denied"]
    L.expect({x["uid"] for x in denied} == {MONITOR, OPS}, str(denied))


@with_guardian()
def test_accounts_have_their_states(g):
    a = g.make_account("fresh", register=False)
    L.expect(a["status"] == "created" and a["url"] is None and
             "sensitive" in a["attributes"] and not a["software"], str(a))
    expect_error(g.ask_admin("AccountCreate", {
        "name": "fresh", "token": "hsm", "alg": "ES256",
        "directory": DIRECTORY}), "AccountExists")
    for name, value, error in (("name", "No", "InvalidValue"),
                               ("alg", "HS256", "InvalidValue"),
                               ("token", "no", "NoSuchToken"),
                               ("directory", "http://ca.example/d",
                                "InvalidValue"),
                               ("rsaBits", 2048, "InvalidValue"),
                               ("origins", ["https://x/y"], "InvalidValue"),
                               ("challengeMembers", ["csr"],
                                "InvalidValue")):
        expect_error(g.ask_admin("AccountCreate", {
            "name": "other", "token": "hsm", "alg": "ES256",
            "directory": DIRECTORY, name: value}), error)
    expect_error(g.ask_admin("AccountSignRegistration", {
        "name": "fresh", "nonce": "abc", "contacts": [],
        "termsOfServiceAgreed": True}), "WrongState")
    g.policy(f"[Client]\nUser={CLIENT}\n[Allow]\nAccount=test fresh\n"
             "Domain=example.com\n")
    g.must("Reload")
    for method, request in (("SignInput", g.order("example.com")),
                            ("Sign", {"url": CA + "/order/1", "nonce": "abc",
                                      "payload": ""})):
        expect_error(g.ask(CLIENT, method, {"account": "fresh", **request}),
                     "AccountNotReady", state="created")
    expect_error(g.ask_admin("AccountSetDirectory", {
        "name": "fresh", "endpoints": {
            **ENDPOINTS, "newOrder": "https://evil.example/o"}}),
        "InvalidValue", parameter="endpoints")
    g.must("AccountSetDirectory", {"name": "fresh", "endpoints": ENDPOINTS})
    r = g.must("AccountSignRegistration", {
        "name": "fresh", "nonce": "abc",
        "contacts": ["mailto:a@example.com"], "termsOfServiceAgreed": True})
    L.expect(r["url"] == ENDPOINTS["newAccount"], str(r))
    L.expect(json.loads(unb64(r["payload"])) == {
        "termsOfServiceAgreed": True, "contact": ["mailto:a@example.com"]},
        str(r))
    L.expect(json.loads(unb64(r["protected"]))["jwk"] == a["jwk"], str(r))
    verify(g.lab, a["jwk"], r, r["signature"])
    expect_error(g.ask_admin("AccountSignDeactivation",
                             {"name": "fresh", "nonce": "abc"}), "WrongState")
    expect_error(g.ask_admin("AccountRegistered", {
        "name": "fresh", "url": "https://evil.example/1",
        "status": "valid"}), "InvalidValue")
    g.must("AccountRegistered", {"name": "fresh", "url": CA + "/acct/9",
                                 "status": "valid"})
    expect_error(g.ask_admin("AccountRegistered", {
        "name": "fresh", "url": CA + "/acct/10", "status": "valid"}),
        "InvalidValue")
    r = g.must("AccountSignDeactivation", {"name": "fresh", "nonce": "abc"})
    L.expect(json.loads(unb64(r["payload"])) == {"status": "deactivated"},
             str(r))
    verify(g.lab, a["jwk"], r, r["signature"])
    a = g.must("AccountDeactivated", {"name": "test"})["account"]
    L.expect(a["status"] == "deactivated", str(a))
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AccountNotReady", state="deactivated")
    shown = g.must("AccountShow", {"name": "fresh"})
    L.expect(shown["endpoints"]["newOrder"] == ENDPOINTS["newOrder"] and
             shown["account"]["contacts"] == ["mailto:a@example.com"],
             str(shown))


@with_guardian()
def test_restart_keeps_everything(g):
    before = g.must("AccountList")
    head = g.must("AuditHead")
    g.restart()
    L.expect(g.must("AccountList") == before, "the accounts")
    L.expect(g.must("AuditHead")["line"] > head["line"], "the chain goes on")
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_token_check_signs_and_lists(g):
    answer = g.must("TokenCheck", {"name": "hsm"})
    L.expect(answer["token"]["state"] == "ok" and
             [k["account"] for k in answer["keys"]] == ["test"] and
             answer["keys"][0]["generation"] == 1 and
             answer["keys"][0]["thumbprint"] == g.account["thumbprint"],
             str(answer))
    expect_error(g.ask_admin("TokenCheck", {"name": "no"}), "NoSuchToken")
    tokens = g.must("TokenList")["tokens"]
    L.expect([(t["name"], t["state"], t["unseparated"]) for t in tokens] ==
             [("hsm", "ok", True)], str(tokens))
    status = g.must("Status")
    L.expect(status["separation"] == "unseparated" and status["ready"],
             str(status))


class Lacme:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def greeting(self):
        return self.file.readline().decode(), self.file.readline().decode()

    def ask(self, *requests):
        self.socket.sendall("".join(
            f"{r['protected']}.{r['payload']}\r\n" for r in requests).encode())
        return [self.file.readline().decode() for _ in requests]


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


def test_a_wrong_pin_is_told_and_cured():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        lab.file("softhsm/pin", "9999\n", 0, 0o600)
        g.start()
        error, answer = g.ask_admin("AccountCreate", {
            "name": "test", "token": "hsm", "alg": "ES256",
            "directory": DIRECTORY})
        L.expect(error == ADMIN + "TokenFailed" and
                 answer["result"] == "pin-wrong", f"{error} {answer}")
        status = g.must("Status")
        L.expect(any("pin-wrong" in w for w in status["warnings"]) and
                 not status["ready"], str(status))
        lab.file("softhsm/pin", "1234\n", 0, 0o600)
        L.wait_for("the token", lambda: g.must("TokenUnlock", {
            "name": "hsm"})["token"]["state"] == "ok")
        g.make_account()
        error, answer = g.sign_input(CLIENT, g.order("example.com"))
        L.expect(not error, f"{error} {answer}")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian()
def test_a_missing_token_is_told_and_noticed_when_it_is_back(g):
    g.stop()
    tokens = g.lab.dir / "softhsm/tokens"
    away = g.lab.dir / "softhsm/away"
    tokens.rename(away)
    tokens.mkdir()
    g.start()
    L.wait_for("the state", lambda: g.must("Status")["tokens"][0]["state"]
               == "no-token")
    got = g.sign_input(CLIENT, g.order("example.com"))
    expect_error(got, "TokenUnavailable")
    L.expect(got[1]["retryAfterMs"] > 0, str(got))
    tokens.rmdir()
    away.rename(tokens)
    L.wait_for("the token", lambda: g.must("Status")["ready"])
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_a_key_that_is_gone_needs_to_be_resolved(g):
    g.must("TokenCheck", {"name": "hsm"})
    label = g.account["keyLabel"]
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--delete-object", "--type",
               "privkey", "--label", label], env=g.env)
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--delete-object", "--type",
               "pubkey", "--label", label], env=g.env, ok=None)
    g.restart()
    L.wait_for("the check", lambda: g.must("AccountShow", {"name": "test"})
               ["account"]["status"] == "needs-resolve")
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AccountNotReady", state="needs-resolve")
    expect_error(g.ask_admin("TokenCheck", {"name": "hsm"}), "TokenFailed",
                 result="no-key")


@with_guardian()
def test_a_higher_generation_needs_to_be_resolved(g):
    prefix = g.account["keyLabel"].rsplit(":", 1)[0]
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--keypairgen", "--key-type",
               "EC:prime256v1", "--label", prefix + ":2", "--id", "77"],
              env=g.env)
    g.restart()
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AccountNotReady", state="needs-resolve")
    text = g.must("AccountShow", {"name": "test"})["account"]["statusText"]
    L.expect("generation 2" in text, text)
    for method, more in (("AccountSignDeactivation", {}),
                         ("AccountSignRegistration", {
                             "contacts": [], "termsOfServiceAgreed": True})):
        expect_error(g.ask_admin(method, {"name": "test", "nonce": "n",
                                          **more}),
                     "WrongState", state="needs-resolve")


def test_a_second_daemon_on_the_same_state_is_told():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.start()
        lab.folder("etc2")
        lab.file("etc2/guardian.conf",
                 g.conf.replace("/run/", "/run/second-"))
        r = lab.run([L.GUARDIAND, "--config", lab.dir / "etc2"], ok=(75,))
        L.expect("another acme-guardiand" in r.stderr, r.stderr)
        g.must("Status")
        L.expect(g.stop() == 0, "a clean stop")


def test_configuration_that_cannot_be_read_ends_it():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.configure(g.conf + "Nonsense=1\n")
        r = lab.run(g.argv(), ok=(78,))
        L.expect("guardian.conf:" in r.stderr and "Nonsense" in r.stderr,
                 r.stderr)
        r = lab.run([L.GUARDIAND, "--config", lab.dir / "nowhere"], ok=(78,))
        L.expect("nowhere" in r.stderr, r.stderr)
        r = lab.run([L.GUARDIAND, "--nonsense"], ok=(64,))
        r = lab.run([L.GUARDIAND, "--version"])
        L.expect(r.stdout.startswith("acme-guardiand "), r.stdout)
        r = lab.run([L.GUARDIAND, "--help"])


def test_it_confines_itself():
    """Without a unit: what it was left with, and what it may do."""
    with L.Lab("daemon") as lab:
        left_open = lab.file("left-open", "")
        fd = os.open(left_open, os.O_RDONLY)
        g = Guardian(lab)
        g.start(pass_fds=(fd,))
        os.close(fd)
        proc = pathlib.Path(f"/proc/{g.process.pid}")
        # The filter is loaded after the sockets were made, before they are read.
        L.wait_for("the filter", lambda: "Seccomp:\t2" in
                   (proc / "status").read_text())
        status = (proc / "status").read_text()
        L.expect("NoNewPrivs:\t1" in status, f"no_new_privs: {status}")
        L.expect(os.stat(proc / "mem").st_uid == 0, "not dumpable")
        fds = [os.readlink(p) for p in (proc / "fd").iterdir()]
        L.expect(str(left_open) not in fds, f"no descriptor of others: {fds}")
        for line in (proc / "maps").read_text().splitlines():
            mode = line.split()[1]
            L.expect(not ("w" in mode and "x" in mode), line)
        L.expect(g.stop() == 0, "a clean stop")


def test_a_newer_registry_is_not_touched():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.start()
        g.stop()
        lab.run(["python3", "-c", "import sqlite3,sys;"
                 "d=sqlite3.connect(sys.argv[1]);"
                 "d.execute('pragma user_version=99');d.commit()",
                 lab.dir / "state/registry.db"])
        r = lab.run(g.argv(), ok=(78,))
        L.expect("registry.db" in r.stderr, r.stderr)


def test_a_bad_policy_or_no_token_does_not_keep_it_from_starting():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.policy("[Client]\nUser=1\n")
        g.conf = g.conf.replace(L.SOFTHSM, "/nonexistent/module.so")
        g.configure(g.conf)
        g.start()
        L.wait_for("the token's state", lambda: g.must("Status")["tokens"][0]
                   ["state"] not in ("starting", "ok"))
        status = g.must("Status")
        L.expect(any("test.policy:" in w for w in status["warnings"]),
                 str(status))
        L.expect(any("module.so" in w for w in status["warnings"]),
                 str(status))
        expect_error(g.ask(CLIENT, "ListAccounts"), "PolicyDenied",
                     reason="no-rule")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian()
def test_without_an_audit_log_nothing_is_signed(g):
    g.stop()
    log = g.lab.dir / "log"
    log.rename(g.lab.dir / "log-away")
    log.write_text("a file where the folder should be")
    g.start()
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AuditUnavailable")
    status = g.must("Status")
    L.expect(not status["ready"] and status["auditState"] != "ok" and
             any("nothing is signed" in w for w in status["warnings"]),
             str(status))
    expect_error(g.ask_admin("AuditRotate"), "AuditUnavailable")
    g.must("Suspend", {"scope": "all"})  # only takes away: always works
    expect_error(g.ask_admin("Resume", {"scope": "all"}), "AuditUnavailable")
    log.unlink()
    (g.lab.dir / "log-away").rename(log)
    L.wait_for("the audit log", lambda: g.ask_admin(
        "Resume", {"scope": "all"})[0] is None)
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_watch_streams_decisions(g):
    with AsUser(MONITOR, g.admin) as v:
        v.send(ADMIN + "Watch", more=True)
        time.sleep(0.2)
        g.sign_input(CLIENT, g.order("example.com"))
        error, answer = v.receive()
        line = json.loads(answer["line"])
        L.expect(not error and line["operation"] == "order", str(answer))
        g.process.terminate()  # a stream does not hold up a stop
        g.process.wait(5)
    g.lab.processes.remove(g.process)
    g.start()


@with_guardian()
def test_the_first_key_is_given_once(g):
    L.expect(any("take-key" in w for w in g.must("Status")["warnings"]),
             "a warning before")
    with AsUser(0, g.admin) as v:  # to nobody
        v.send(ADMIN + "AuditTakeFirstKey", oneway=True)
        L.expect(not v.call(ADMIN + "AuditHead")[0], "answered after it")
    key = g.must("AuditTakeFirstKey")["key"]
    L.expect(len(bytes.fromhex(key)) == 32, "32 octets")
    expect_error(g.ask_admin("AuditTakeFirstKey"), "AlreadyTaken")
    L.expect(not any("take-key" in w for w in g.must("Status")["warnings"]),
             "no warning after")


def helper_of(g):
    for pid in L.descendants(g.process.pid):
        name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        if name == b"acme-guardian-token":
            return pid
    return None


@with_guardian()
def test_killing_the_helper_under_load_loses_no_request(g):
    code = ("import sys,json,socket,time\n"
            "s=socket.socket(socket.AF_UNIX);s.settimeout(30)\n"
            "s.connect(sys.argv[1]);m=sys.argv[2].encode()+b'\\0'\n"
            "end=time.monotonic()+3\n"
            "while time.monotonic()<end:\n"
            "  s.sendall(m);b=b''\n"
            "  while not b.endswith(b'\\0'): b+=s.recv(65536)\n"
            "  if 'error' in json.loads(b[:-1]): print(b)\n"
            "print('done')\n")
    message = json.dumps({"method": SIGNER + "SignInput", "parameters": {
        "account": "test", **jws({"alg": "ES256", "kid": ACCOUNT_URL,
                                  "nonce": "a", "url": CA + "/order/1"}, "")}})
    procs = [subprocess.Popen(
        [*g.lab.as_user(CLIENT), sys.executable, "-c", code, str(g.client),
         message], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    # A request is repeated once: the next helper gets the time to answer.
    for _ in range(2):
        time.sleep(1)
        pid = helper_of(g)
        L.expect(pid, "a helper runs")
        os.kill(pid, signal.SIGKILL)
    for p in procs:
        out = p.communicate(timeout=60)[0]
        L.expect(out.strip() == "done", f"no errors, not {out}")


def has_files(pid):
    """It has not ended, and may still answer."""
    try:
        return bool(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False


@with_guardian()
def test_a_helper_that_is_back_signs_only_after_a_look_at_its_keys(g):
    prefix = g.account["keyLabel"].rsplit(":", 1)[0]
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--keypairgen", "--key-type",
               "EC:prime256v1", "--label", prefix + ":2", "--id", "77"],
              env=g.env)
    error, _ = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, "nobody has looked at it so far")
    helper = helper_of(g)
    ended = [helper, *L.descendants(helper)]
    os.kill(helper, signal.SIGKILL)
    # Its workers answer until they have noticed.
    L.wait_for("their end", lambda: not any(has_files(p) for p in ended))
    expect_error(g.sign_input(CLIENT, g.order("www.example.com")),
                 "AccountNotReady", state="needs-resolve")


@with_guardian()
def test_requests_in_flight_are_answered_before_it_stops(g):
    helper = helper_of(g)
    os.kill(helper, signal.SIGSTOP)
    for pid in L.descendants(helper):
        os.kill(pid, signal.SIGSTOP)
    with AsUser(CLIENT, g.client) as v:
        v.send(SIGNER + "SignInput", {"account": "test",
                                      **g.order("example.com")})
        time.sleep(0.2)
        g.process.terminate()
        time.sleep(0.2)
        L.expect(g.process.poll() is None, "it waits for the answer")
        for pid in [helper, *L.descendants(helper)]:
            os.kill(pid, signal.SIGCONT)
        error, answer = v.receive()
        L.expect(not error and answer["signature"], f"{error} {answer}")
    g.process.wait(5)
    g.lab.processes.remove(g.process)
    g.start()


def test_activated_sockets_by_name():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        tenant = lab.dir / "run/tenant.sock"
        g.policy(POLICY + "\n[Client]\nSocket=tenant\n[Allow]\nAccount=test\n"
                 "Domain=tenant.example.com\n")
        sockets = [g.client, g.admin, g.lacme, tenant]
        env = {k: v for k, v in os.environ.items()
               if k.startswith(("ACME_GUARDIAN_TEST", "ASAN", "UBSAN", "MUTATE"))}
        activate = ["systemd-socket-activate"]
        for s in sockets:
            activate += ["-l", s]
        activate += [f"--setenv={k}={v}" for k, v in env.items()]
        g.process = lab.start("guardiand", [
            *activate, "--fdname=client:admin:lacme@test:client@tenant",
            *g.argv()], env=env)
        for s in sockets:
            L.wait_for(str(s), s.exists)
            os.chmod(s, 0o666)
        g.make_account()
        order = g.order("tenant.example.com")
        expect_error(g.sign_input(CLIENT, order), "PolicyDenied")
        with AsUser(NOBODY, tenant) as v:
            error, answer = v.call(SIGNER + "SignInput", order)
            L.expect(not error, f"by its socket: {error} {answer}")
        L.expect(Lacme(g.lacme).greeting()[0].startswith("1 OK"), "lacme")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian("Timeout=500ms\n")
def test_a_token_that_hangs_costs_its_timeout_and_no_more(g):
    helper = helper_of(g)
    stopped = [helper, *L.descendants(helper)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    got = g.sign_input(CLIENT, g.order("example.com"))
    took = time.monotonic() - begin
    expect_error(got, "TokenUnavailable")
    L.expect(1.4 < took < 2.5, f"Timeout= and a second, not {took:.1f} s")
    # It was closed, and when it does not go it is killed.
    L.wait_for("a new helper", lambda: g.sign_input(
        CLIENT, g.order("example.com"))[0] is None)
    L.expect(helper_of(g) != helper, "another process")
    for pid in stopped[1:]:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def test_a_helper_behind_its_own_socket():
    with L.Lab("daemon") as lab:
        g = Guardian(lab, f"HelperSocket={lab.dir}/run/token.sock\n"
                          f"Directory={lab.dir}/helper\n")
        g.start()
        got = g.ask_admin("AccountCreate", {
            "name": "test", "token": "hsm", "alg": "ES256",
            "directory": DIRECTORY})
        expect_error(got, "TokenFailed", result="unreachable")
        helper = L.Restarting(lab, "helper", [
            "systemd-socket-activate", "--seqpacket", "-l",
            lab.dir / "run/token.sock", L.TOKEN_HELPER, "--config", g.etc,
            "hsm"], 0, g.env)
        try:
            L.wait_for("the token", lambda: g.must("Status")["ready"], 20)
            g.make_account()
            for _ in range(2):
                error, answer = g.sign_input(CLIENT, g.order("example.com"))
                L.expect(not error, f"{error} {answer}")
                helper.process.kill()  # as if it had crashed
            L.expect(helper_of(g) is None, "none of its own")
            L.expect(g.stop() == 0, "a clean stop")
        finally:
            helper.stop()


def test_an_account_whose_token_section_is_gone():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.start()
        g.make_account()
        g.configure(g.conf[:g.conf.index("[Token")])
        g.restart()
        expect_error(g.sign_input(CLIENT, g.order("example.com")),
                     "TokenUnavailable")
        status = g.must("Status")
        L.expect(any("[Token hsm]" in w for w in status["warnings"]),
                 str(status))
        expect_error(g.ask_admin("AccountSignRegistration", {
            "name": "test", "nonce": "abc", "contacts": [],
            "termsOfServiceAgreed": False}), "NoSuchToken")
        L.expect(g.stop() == 0, "a clean stop")


def test_answers_wait_for_the_disk_with_group_sync():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.conf = g.conf.replace("AuditReserve", "AuditSync=group\nAuditReserve")
        g.configure(g.conf)
        g.start()
        g.make_account()
        for _ in range(3):
            error, answer = g.sign_input(CLIENT, g.order("example.com"))
            L.expect(not error, f"{error} {answer}")
        c = Lacme(g.lacme)
        c.greeting()
        L.expect(c.ask(g.order("example.com"))[0].endswith("\r\n"), "lacme")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian()
def test_a_full_disk_under_the_audit_log(g):
    # A file that may not grow is what a full disk looks like.
    size = (g.lab.dir / "log/audit.jsonl").stat().st_size
    g.lab.run(["prlimit", f"--pid={g.process.pid}", f"--fsize={size}:"])
    for _ in range(2):
        expect_error(g.sign_input(CLIENT, g.order("example.com")),
                     "AuditUnavailable")
    status = g.must("Status")
    L.expect(not status["ready"] and
             any("nothing is signed" in w for w in status["warnings"]),
             str(status))
    g.lab.run(["prlimit", f"--pid={g.process.pid}", "--fsize=unlimited"])
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"there is room again: {error} {answer}")


@with_guardian()
def test_a_key_that_an_hsm_team_made(g):
    tool = ["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
            "--login", "--pin", "1234"]
    g.lab.run([*tool, "--keypairgen", "--key-type", "EC:prime256v1", "--label",
               "from-the-team", "--id", "4711", "--sensitive",
               "--usage-sign"], env=g.env)
    uri = "pkcs11:object=from-the-team"
    account = {"name": "second", "token": "hsm", "alg": "ES256",
               "directory": DIRECTORY, "existingKey": uri}
    expect_error(g.ask_admin("AccountCreate", {**account, "alg": "RS256"}),
                 "InvalidValue", parameter="existingKey")
    expect_error(g.ask_admin("AccountCreate", {
        **account, "existingKey": "pkcs11:object=nosuch"}), "TokenFailed",
        result="no-key")
    a = g.must("AccountCreate", account)["account"]
    L.expect(a["keyLabel"] == "from-the-team", str(a))
    expect_error(g.ask_admin("AccountCreate", {**account, "name": "third"}),
                 "InvalidValue", parameter="existingKey")
    keys = g.must("TokenCheck", {"name": "hsm"})["keys"]
    L.expect({(k["label"], k["account"]) for k in keys} == {
        (g.account["keyLabel"], "test"), ("from-the-team", "second")},
        str(keys))
    events = [x["operation"] for x in g.audit_lines() if x["type"] == "key"]
    L.expect(events == ["generate", "take"], str(events))
    g.restart()
    L.expect(g.must("AccountShow", {"name": "second"})["account"]["status"] ==
             "created", "found again")


@with_guardian()
def test_a_key_left_behind_by_a_crash_is_taken_up(g):
    g.make_account("second", register=False)
    before = g.must("AccountShow", {"name": "second"})["account"]
    g.stop()
    g.lab.run(["python3", "-c", "import sqlite3,sys;"
               "d=sqlite3.connect(sys.argv[1]);"
               "d.execute('delete from account where name=\"second\"');"
               "d.commit()", g.lab.dir / "state/registry.db"])
    g.start()
    expect_error(g.ask_admin("AccountCreate", {
        "name": "second", "token": "hsm", "alg": "RS256",
        "directory": DIRECTORY}), "InvalidValue", parameter="alg")
    after = g.make_account("second", register=False)
    L.expect(after["thumbprint"] == before["thumbprint"], "the same key")


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


@with_guardian()
def test_too_many_connections_of_one_user(g):
    open_ones = []
    g.configure(g.conf.replace("[Roles]", "ConnectionsPerUser=3\n[Roles]"))
    g.restart()
    for i in range(3):
        c = Lacme(g.lacme)
        L.expect(c.greeting()[0], f"connection {i}")
        open_ones.append(c)
    L.expect(Lacme(g.lacme).greeting() == ("", ""), "the fourth is closed")
    open_ones.pop().socket.close()


@with_guardian()
def test_users_together_cannot_use_up_the_descriptors(g):
    limits = g.lab.run(["prlimit", f"--pid={g.process.pid}", "--nofile",
                        "--noheadings", "--output=SOFT,HARD"]).stdout.split()
    L.expect(limits[0] == limits[1], f"soft limit as the hard one: {limits}")


@with_guardian()
def test_start_and_stop_are_in_the_audit_log(g):
    g.restart()
    lines = [x["operation"] for x in g.audit_lines() if x["type"] == "process"
             and "operation" in x]
    L.expect(lines == ["start", "stop", "start"], str(lines))


def main():
    names = sys.argv[1:]
    cases = [f for n, f in globals().items() if n.startswith("test_")
             and (not names or any(x in n for x in names))]
    return L.run_cases(cases)


if __name__ == "__main__":
    sys.exit(main())
