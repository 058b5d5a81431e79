#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody would try against the running daemon.

Nothing here is gentle: broken messages, floods, callers that are not who they
seem, full disks, kill -9. The cases print what held.
"""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
from admin_roles import NEEDED  # noqa: E402
import lab as L  # noqa: E402

PIN = "1234"
SIGN = D.SIGNER + "SignInput"
LIST = D.SIGNER + "ListAccounts"
MESSAGE_MAX = 64 * 1024


def message(method, parameters=None, **more):
    return json.dumps({"method": method, "parameters": parameters or {},
                       **more}).encode() + b"\0"


class Raw:
    """A connection of another uid, octet by octet; end many in reverse."""

    def __init__(self, uid, path):
        self.holder = D.AsUser(uid, path)
        self.varlink = self.holder.__enter__()
        self.socket = self.varlink.socket

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.holder.__exit__()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def answer(self):
        """The next answer, or None when it was closed."""
        try:
            return self.varlink.receive()
        except ConnectionResetError:
            return None


def rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])


def still_serves(g, uid=D.CLIENT, seconds=3.0):
    began = time.monotonic()
    error, answer = g.sign_input(uid, g.order("example.com"))
    L.expect(not error, f"others are served: {error} {answer}")
    took = time.monotonic() - began
    L.expect(took < seconds, f"others are served at once, not in {took:.1f} s")


def pids_below(pid):
    found = [pid]
    for p in found:
        kids = pathlib.Path(f"/proc/{p}/task/{p}/children").read_text()
        found += [int(k) for k in kids.split()]
    return found


def audit_key(g):
    return g.must("AuditTakeFirstKey")["key"]


def audit_verifies(g, key):
    g.lab.file("first.key", key + "\n", mode=0o600)
    r = g.lab.run([L.GUARDIANCTL, "--config", g.etc, "audit", "verify",
                   "--key-file", g.lab.dir / "first.key"], ok=None)
    L.expect(r.returncode == 0, f"the log verifies: {r.stdout}{r.stderr}")


# Messages.

@D.with_guardian()
def test_broken_messages_cost_their_own_connection_only(g):
    good = message(LIST)
    deep = b'{"method":"x","parameters":' + b'{"a":' * 5000
    cases = {
        "a NUL alone": b"\0",
        "many NULs": b"\0" * 1000,
        "no JSON": b"GET / HTTP/1.1\r\n\r\n\0",
        "an array": b"[]\0",
        "no method": b"{}\0",
        "a method that is a number": b'{"method":1}\0',
        "parameters that are an array": b'{"method":"x","parameters":[]}\0',
        "unknown member": b'{"method":"x","extra":1}\0',
        "a member twice": b'{"method":"x","method":"' + LIST.encode()
                          + b'"}\0',
        "NUL in a string": b'{"method":"a\\u0000b"}\0',
        "no UTF-8": b'{"method":"\xff\xfe"}\0',
        "half a surrogate": b'{"method":"\\ud800"}\0',
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "5000 deep": deep + b"1" + b"}" * 5001 + b"\0",
        "5000 open brackets": b"[" * 5000 + b"\0",
        "two values": b"{}{}\0",
        "one and more": message(LIST, oneway=True, more=True),
        "64 KiB without an end": b" " * MESSAGE_MAX,
        "a megabyte without an end": b"x" * (1 << 20),
    }
    for name, data in cases.items():
        with Raw(D.CLIENT, g.client) as c:
            c.send(data)
            L.expect(c.answer() is None, f"{name}: closed without an answer")
    still_serves(g)


@D.with_guardian()
def test_messages_come_as_they_please(g):
    good = message(LIST)
    with Raw(D.CLIENT, g.client) as c:
        for i in range(len(good)):
            c.send(good[i:i + 1])
        L.expect(c.answer()[0] is None, "octet by octet")
    for size, served in ((MESSAGE_MAX, True), (MESSAGE_MAX + 1, False)):
        with Raw(D.CLIENT, g.client) as c:
            pad = b" " * (size - len(good))
            c.send(pad + good)
            got = c.answer()
            L.expect((got is not None) == served, f"{size} octets: {got}")
    with Raw(D.CLIENT, g.client) as c:
        c.send(good * 3 + good[:10])
        c.socket.shutdown(socket.SHUT_WR)
        for _ in range(3):
            L.expect(c.answer()[0] is None, "answered after a half close")
        L.expect(c.answer() is None, "then closed")
    with Raw(D.CLIENT, g.client) as c:
        c.send(message(LIST, oneway=True) + good)
        L.expect(c.answer()[1]["accounts"], "one way: no answer, then one")


@D.with_guardian()
def test_floods_hurt_their_sender(g):
    pid = g.process.pid
    still_serves(g)
    before = rss_kib(pid)
    sign = message(SIGN, {"account": "test",
                          **g.order("other.example.com", "evil.example")})
    crowd = [Raw(D.OTHER, g.client) for _ in range(20)]
    for c in crowd:
        c.socket.setblocking(False)
    sent = 0
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for c in crowd:
            try:
                sent += c.socket.send(sign * 20)
            except BlockingIOError:
                pass
            except OSError:
                pass
    L.expect(sent > 1 << 20, f"a flood of {sent} octets")
    still_serves(g)
    grown = rss_kib(pid) - before
    # A sanitizer keeps freed memory back, for a while.
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    allowed = 300000 if "libasan" in maps else 12000
    L.expect(grown < allowed, f"who reads no answers costs {grown} KiB")
    for c in reversed(crowd):
        c.__exit__()
    still_serves(g)


@D.with_guardian()
def test_a_user_has_64_connections(g):
    crowd = [Raw(D.OTHER, g.client) for _ in range(64)]
    for c in crowd:
        c.send(message(LIST))
        L.expect(c.answer()[0] is None, "64 are served")
    with Raw(D.OTHER, g.client) as c:
        c.send(message(LIST))
        L.expect(c.answer() is None, "the 65th is not")
    still_serves(g)
    crowd.pop().__exit__()

    def served():
        with Raw(D.OTHER, g.client) as c:
            c.send(message(LIST))
            return c.answer() is not None

    L.wait_for("a free place", served)
    for c in reversed(crowd):
        c.__exit__()


@D.with_guardian()
def test_who_goes_away_while_signed_for_breaks_nothing(g):
    for i in range(60):
        with Raw(D.CLIENT, g.client) as c:
            c.send(message(SIGN, {"account": "test",
                                  **g.order("example.com")}) * (1 + i % 3))
    for _ in range(20):
        c = D.Lacme(g.lacme)
        c.greeting()
        r = g.order("example.com")
        c.socket.sendall(f"{r['protected']}.{r['payload']}\r\n".encode() * 2)
        c.socket.close()
    still_serves(g)


# Who is asking.

@D.with_guardian()
def test_a_connection_is_its_makers(g):
    """Handing a descriptor on hands on what its maker may, nothing else."""
    with D.AsUser(D.OTHER, g.client) as v:
        # This process is root, whom the policy grants example.com.
        D.expect_error(v.call(SIGN, {"account": "test",
                                     **g.order("example.com")}),
                       "PolicyDenied", reason="identifier-not-allowed")
    with D.AsUser(D.NOBODY, g.client) as v:
        D.expect_error(v.call(LIST), "PolicyDenied", reason="no-rule")


@D.with_guardian()
def test_nobody_matches_no_rule(g):
    for user in ("065534", "65534", "4294967295", "4294967296",
                 "99999999999999999999"):
        g.policy(f"[Client]\nUser={user}\n[Allow]\nAccount=test\n"
                 "Domain=example.com\n")
        D.expect_error(g.ask_admin("Reload"), "ConfigurationInvalid", line=2)
    group = "[Client]\nGroup=0 61299\n[Allow]\nAccount=test\n" \
            "Domain=example.com\n"
    for user in ("+1000", "01000x", "0x3e8", "1000.0", "-1"):
        g.policy(f"[Client]\nUser={user}\n[Allow]\nAccount=test\n"
                 f"Domain=example.com\n{group}")
        g.ask_admin("Reload")
        D.expect_error(g.sign_input(D.CLIENT, g.order("example.com")),
                       "PolicyDenied", reason="no-rule")
    g.policy(f"[Client]\nUser={D.CLIENT}\nGroup=61299\n[Allow]\nAccount=test\n"
             "Domain=example.com\n" + group)
    g.must("Reload")
    D.expect_error(g.sign_input(D.CLIENT, g.order("example.com")),
                   "PolicyDenied", reason="no-rule")
    D.expect_error(g.sign_input(65534, g.order("example.com")),
                   "PolicyDenied", reason="no-rule")


ROLES = {D.NOBODY: 0, D.MONITOR: 1, D.OPS: 2, 0: 3}


@D.with_guardian()
def test_every_admin_method_asks_for_its_role(g):
    with D.AsUser(0, g.admin) as v:
        text = v.call("org.varlink.service.GetInterfaceDescription", {
            "interface": D.ADMIN.rstrip(".")})[1]["description"]
    methods = set(re.findall(r"^method (\w+)", text, re.M))
    L.expect(methods == set(NEEDED),
             f"each method is in the table: {methods ^ set(NEEDED)}")
    for uid, role in ROLES.items():
        for method, needed in NEEDED.items():
            with Raw(uid, g.admin) as c:
                # What no method takes: who may call gets no further than that.
                c.send(message(D.ADMIN + method, {"never": 1}))
                got = c.answer()
            if role == 0:
                L.expect(got is None, f"{method} without a role: {got}")
                continue
            want = (D.ADMIN + "NotPermitted" if role < needed
                    else "org.varlink.service.InvalidParameter")
            L.expect(got[0] == want, f"{method} as {uid}: {got}")
    with Raw(D.CLIENT, g.client) as c:
        c.send(message(D.ADMIN + "Status"))
        L.expect(c.answer()[0] == "org.varlink.service.InterfaceNotFound",
                 "no admin on the client socket")
    with Raw(0, g.admin) as c:
        c.send(message(LIST))
        L.expect(c.answer()[0] == "org.varlink.service.InterfaceNotFound",
                 "no signer on the admin socket")


@D.with_guardian()
def test_a_lost_role_ends_the_stream(g):
    with D.AsUser(D.MONITOR, g.admin) as m, D.AsUser(D.OPS, g.admin) as o:
        for v in (m, o):
            v.send(D.ADMIN + "Watch", more=True)
        still_serves(g)
        g.configure(g.conf.replace(f"MonitorUser={D.MONITOR}\n", ""))
        g.must("Reload")
        got = None
        while not got:
            got, _ = m.receive()
        L.expect(got == D.ADMIN + "Busy", f"the monitor's ends: {got}")
        still_serves(g)
        m.send(D.ADMIN + "Status")
        L.expect(m.receive()[0] == D.ADMIN + "NotPermitted", "nor anything")
        L.expect(o.receive()[0] is None, "the other's goes on")


# What is signed.

def request(g, header, payload):
    return D.jws({"alg": "ES256", "kid": D.ACCOUNT_URL, "nonce": "n",
                  "url": D.ENDPOINTS["newOrder"], **header}, payload)


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


# The audit log.

@D.with_guardian()
def test_no_text_of_a_caller_makes_a_line_of_the_log(g):
    key = audit_key(g)
    nasty = ['a\n{"n":1,"verdict":"allowed"}', 'a","verdict":"allowed',
             "\u2028\u2029\u0085", "\x7f\x1b[2J", "\\", '"', "%s%n%d",
             "a\r\nb", "\U0001f600" * 200, "x" * 9000]
    for n in nasty:
        g.sign_input(D.CLIENT, request(g, {}, {"identifiers": [
            {"type": "dns", "value": n}]}))
        g.sign_input(D.CLIENT, request(g, {"url": D.CA + "/" + n}, "{}"))
        g.sign_input(D.CLIENT, request(g, {"kid": n, "nonce": n}, "{}"))
        g.sign_input(D.CLIENT, request(g, {}, {n: n}))
        g.ask_admin("AccountShow", {"name": n})
        g.ask_admin("TokenCheck", {"name": n})
        g.ask_admin("Suspend", {"scope": "client", "name": n})
    g.ask(D.CLIENT, "SignInput", {"protected": "\xff", "payload": "\xff"})
    lines = g.audit_lines()
    L.expect([x["n"] for x in lines] == list(range(1, len(lines) + 1)),
             "the lines count on")
    L.expect(not any(x.get("type") == "decision" and
                     x["verdict"] == "allowed" for x in lines),
             "nothing was allowed")
    L.expect(len([x for x in lines if x.get("reason")]) > 5, "and refused")
    audit_verifies(g, key)


def test_a_full_disk_signs_nothing_and_loses_nothing():
    with L.Lab("attacks") as lab:
        g = D.Guardian(lab)
        log = lab.folder("log")
        lab.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=755", "lab",
                 log])
        try:
            g.start()
            g.make_account()
            key = audit_key(g)
            still_serves(g)
            filler = os.open(log / "filler", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while True:
                    os.write(filler, b"x" * 4096)
            os.close(filler)
            signed, error = 0, None
            with D.AsUser(D.CLIENT, g.client) as v:
                fetch = request(g, {"url": D.CA + "/order/1"}, "")
                while signed < 3000 and not error:
                    error, _ = v.call(SIGN, {"account": "test", **fetch})
                    signed += not error
            L.expect(error == D.SIGNER + "AuditUnavailable",
                     f"nothing is signed: {error} after {signed}")
            lines = g.audit_lines()
            allowed = [x for x in lines if x.get("operation") == "fetch"]
            L.expect(len(allowed) == signed,
                     f"{len(allowed)} lines for {signed} signatures")
            os.unlink(log / "filler")
            L.wait_for("signing again", lambda: not g.sign_input(
                D.CLIENT, g.order("example.com"))[0])
            L.expect(g.stop() == 0, "a clean stop")
            audit_verifies(g, key)
        finally:
            if g.process and g.process.poll() is None:
                g.process.kill()
                g.process.wait()
            lab.run(["umount", "-l", log])


@D.with_guardian()
def test_kill_9_leaves_a_line_for_each_signature(g):
    key = audit_key(g)
    conf = g.conf.replace("[Guardian]", "[Guardian]\nAuditMaxSize=64K\n"
                          "AuditKeep=100")
    g.configure(conf)
    g.restart()
    hashes = []
    for _ in range(5):
        stop = threading.Event()

        def work():
            try:
                with D.AsUser(D.CLIENT, g.client) as v:
                    i = 0
                    while not stop.is_set():
                        r = request(g, {"url": D.CA + "/order/1",
                                        "nonce": f"n{i}"}, "")
                        i += 1
                        if not v.call(SIGN, {"account": "test", **r})[0]:
                            hashes.append(hashlib.sha256(
                                f"{r['protected']}.{r['payload']}".encode()
                            ).hexdigest())
            except OSError:
                pass

        before = len(hashes)
        t = threading.Thread(target=work)
        t.start()
        L.wait_for("signatures", lambda: len(hashes) > before + 200)
        g.process.kill()
        g.process.wait()
        g.lab.processes.remove(g.process)
        stop.set()
        t.join()
        g.start()
    L.expect(g.must("Status")["auditState"] == "ok", "the log goes on")
    L.expect(g.stop() == 0, "a clean stop")
    files = list((g.lab.dir / "log").glob("audit.jsonl*"))
    L.expect(len(files) > 2, f"rotated: {len(files)}")
    seen = set()
    for f in files:
        for line in f.read_bytes().split(b"\n"):
            if line:
                seen.add(json.loads(line).get("input_sha256"))
    missing = [h for h in hashes if h not in seen]
    L.expect(not missing, f"{len(missing)} of {len(hashes)} without a line")
    audit_verifies(g, key)
    # What is not the log's does not matter; what is missing does.
    (g.lab.dir / "log/audit.jsonl.zzz").write_text("")
    audit_verifies(g, key)
    g.start()


# Secrets.

@D.with_guardian()
def test_secrets_stay_where_they_belong(g):
    key = audit_key(g)
    still_serves(g)
    secret = b"1234\n"
    for pid in pids_below(g.process.pid):
        for name in ("environ", "cmdline"):
            text = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            L.expect(PIN.encode() not in text.split(b"\0"),
                     f"/proc/{pid}/{name}")
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        L.expect("NoNewPrivs:\t1" in status, f"{pid}: no new privileges")
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        L.expect(re.search(r"core file size\s+0\s+0", limits), f"{pid}: core")
        owner = os.stat(f"/proc/{pid}/mem").st_uid
        L.expect(owner == 0, f"/proc/{pid}/mem is root's: not dumpable")
    mapped = pathlib.Path(f"/proc/{g.process.pid}/maps").read_text()
    L.expect("softhsm" not in mapped and "p11-kit" not in mapped,
             "the daemon has no module")
    fds = [os.readlink(p) for p in
           pathlib.Path(f"/proc/{g.process.pid}/fd").iterdir()]
    L.expect(not any("softhsm" in x for x in fds), f"nor the token: {fds}")
    for root, dirs, files in os.walk(g.lab.dir / "state"):
        for n in dirs + files:
            mode = os.stat(os.path.join(root, n)).st_mode & 0o077
            L.expect(mode == 0, f"{root}/{n} is private, not {mode:o}")
    L.expect(not (g.lab.dir / "state/audit.first").exists(), "key taken")
    for root, _, files in os.walk(g.lab.dir):
        for n in files:
            path = pathlib.Path(root, n)
            if not path.is_file():
                continue
            data = path.read_bytes()
            L.expect(key.encode() not in data and
                     bytes.fromhex(key) not in data, f"{path}: the first key")
            if "softhsm" not in root:
                L.expect(secret not in data, f"{path}: the PIN")


# Starting.

def ends(g, status, *texts, argv=None, env=None, prefix=()):
    r = g.lab.run([*prefix, *(argv or g.argv())], ok=None, env=env)
    said = r.stdout + r.stderr
    L.expect(r.returncode == status, f"exit {status}, not {r.returncode}: "
             f"{said}")
    for t in texts:
        L.expect(str(t) in said, f"says {t}: {said}")


def test_starting_badly_says_what_is_wrong():
    with L.Lab("attacks") as lab:
        g = D.Guardian(lab)
        conf = lab.dir / "etc/guardian.conf"
        ends(g, 64, "Usage", argv=[*g.argv(), "extra"])
        for text, line in (("[Guardian]\nNonsense=1\n", 2),
                           ("[Guardian]\n\nStateDirectory\n", 3),
                           ("x\n", 1), ("[Nope]\n", 1),
                           ("[Guardian]\nConnectionsPerUser=99999999999\n",
                            2)):
            g.configure(text)
            ends(g, 78, f"{conf}:{line}")
        g.configure(g.conf)
        for mode in (0o666, 0o664):
            os.chmod(conf, mode)
            ends(g, 78, conf)
        os.chmod(conf, 0o644)
        os.chown(conf, L.CLIENT_UID, 0)
        ends(g, 78, conf)
        os.unlink(conf)
        os.mkfifo(conf, 0o644)
        ends(g, 78, conf, prefix=["timeout", "10"])
        os.unlink(conf)
        g.configure(g.conf)
        state = lab.folder("state", mode=0o777)
        ends(g, 78, state)
        os.chmod(state, 0o700)
        (state / "registry.db").write_bytes(b"x" * 8192)
        ends(g, 78, "registry.db")
        (state / "registry.db").write_bytes(b"SQLite format 3\0" + b"\xff" *
                                            4080)
        ends(g, 78, "registry.db")
        os.unlink(state / "registry.db")
        os.symlink("/etc/passwd", state / "registry.db")
        ends(g, 1, "registry.db")
        L.expect(pathlib.Path("/etc/passwd").read_bytes()[:5] == b"root:",
                 "a link is not followed")
        os.unlink(state / "registry.db")
        junk = ["systemd-socket-activate", "-l", lab.dir / "run/x.sock",
                "--fdname=nonsense"]
        p = lab.start("junk", [*junk, *g.argv()])
        L.wait_for("the socket", (lab.dir / "run/x.sock").exists)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(lab.dir / "run/x.sock"))
            p.wait(15)
        L.expect(p.returncode == 1 and "nonsense" in lab.log("junk"),
                 f"an unknown socket: {p.returncode} {lab.log('junk')}")
        g.start()
        L.expect(g.stop() == 0, "and it starts after all that")


def test_without_locked_memory_it_does_not_start():
    with L.Lab("attacks") as lab:
        g = D.Guardian(lab)
        for d in ("state", "log", "run"):
            lab.folder(d, L.DAEMON_UID, 0o755)
        g.configure(g.conf.replace("AllowSwappableSecrets=yes\n", ""))
        limit = ["prlimit", "--memlock=0:0", "--"]
        ends(g, 78, "AllowSwappableSecrets",
             prefix=[*limit, *L.Lab.as_user(L.DAEMON_UID)])


def main():
    names = sys.argv[1:]
    cases = [f for n, f in globals().items() if n.startswith("test_")
             and (not names or any(x in n for x in names))]
    return L.run_cases(cases)


if __name__ == "__main__":
    sys.exit(main())
