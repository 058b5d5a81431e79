#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl against a real daemon, SoftHSM2, Pebble, and CAs gone bad."""

import base64
import http.server
import json
import os
import re
import shutil
import socket
import stat
import sys
import threading
import time

from lab import (CLIENT_UID, DAEMON_UID, GUARDIANCTL, GUARDIAND, Lab,
                 OTHER_UID, ROOT, SOFTHSM, expect, free_port, run_cases, thumbprint,
                 unix_open, wait_for)

STRANGER_UID, OPERATOR_UID = 65533, 61110


class BadCA(http.server.BaseHTTPRequestHandler):
    """A CA whose first path segment says what is wrong with it."""

    protocol_version = "HTTP/1.1"
    posts = {}

    def log_message(self, *args):
        pass

    def base(self):
        host, port = self.server.server_address[:2]
        return f"http://{host}:{port}/{self.mode()}"

    def mode(self):
        return self.path.split("/")[1]

    def answer(self, code, body=b"", headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def directory(self):
        b = self.base()
        return {"newNonce": f"{b}/nonce", "newAccount": f"{b}/account",
                "newOrder": f"{b}/order", "revokeCert": f"{b}/revoke",
                "keyChange": f"{b}/key", "k3yR4nd0m": "https://odd.example/",
                "meta": {}}

    def do_GET(self):
        mode, d = self.mode(), self.directory()
        text = None
        if mode == "html":
            text = "<html>moved to a new place</html>"
        elif mode == "missing":
            del d["newOrder"]
        elif mode == "duplicate":
            text = json.dumps(d)[:-1] + ',"newOrder":"https://evil.example/o"}'
        elif mode == "foreign":
            d["newAccount"] = "https://evil.example/account"
        elif mode == "same":
            d["newOrder"] = d["newAccount"]
        elif mode == "type":
            d["keyChange"] = 7
        elif mode == "control":
            d["keyChange"] += "\x1b[2J"
        elif mode == "terms":
            d["meta"]["termsOfService"] = "https://ca.example/t\x1b[2Jos"
        elif mode == "binding":
            d["meta"]["externalAccountRequired"] = True
        elif mode == "redirect":
            return self.answer(302, b"", [("Location", f"{self.base()}/x")])
        elif mode == "status":
            return self.answer(
                503, b'{"type":"urn:ietf:params:acme:error:serverInternal",'
                b'"detail":"down\\nfor \\u001b[31mnow"}')
        elif mode == "large":
            text = json.dumps(d) + " " * (256 * 1024)
        elif mode == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b" " * 65536)
            except OSError:
                pass
            self.close_connection = True
            return None
        elif mode == "slow":
            time.sleep(5)
        elif mode == "dribble":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(100):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass
            self.close_connection = True
            return None
        return self.answer(200, (text or json.dumps(d)).encode())

    def do_HEAD(self):
        headers = [("Replay-Nonce", "bm9uY2U")]
        if self.mode() == "nononce":
            headers = []
        elif self.mode() == "badnonce":
            headers = [("Replay-Nonce", 'a"b')]
        elif self.mode() == "twononces":
            headers.append(("Replay-Nonce", "b3RoZXI"))
        self.answer(200, b"", headers)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        posts = self.posts.setdefault(self.mode(), [])
        posts.append((self.headers["Content-Type"], json.loads(body)))
        mode = self.mode()
        nonce = ("Replay-Nonce", f"bmV4dA-{len(posts)}")
        location = ("Location", f"{self.base()}/account/1")
        if mode == "retry" and len(posts) <= 3 or mode == "noend":
            return self.answer(
                400, b'{"type":"urn:ietf:params:acme:error:badNonce"}',
                [nonce])
        if mode == "refused":
            return self.answer(
                403, b'{"type":"urn:ietf:params:acme:error:unauthorized",'
                b'"detail":"you \\u0007 may not"}', [nonce])
        if mode == "limited":
            return self.answer(
                429, b'{"type":"urn:ietf:params:acme:error:rateLimited"}',
                [nonce])
        if mode == "nolocation":
            return self.answer(201, b'{"status":"valid"}', [nonce])
        if mode == "elsewhere":
            return self.answer(
                201, b'{"status":"valid"}',
                [nonce, ("Location", "https://evil.example/account/1")])
        if mode == "accounthtml":
            return self.answer(201, b"<html>", [nonce, location])
        if mode == "nostatus":
            return self.answer(201, b"{}", [nonce, location])
        return self.answer(201, b'{"status":"valid"}', [nonce, location])


class World:
    """One daemon with one token for all cases."""

    def __init__(self, lab):
        self.lab = lab
        run = lab.folder("run", DAEMON_UID, 0o755)
        self.admin, self.client = run / "admin.sock", run / "client.sock"
        lab.folder("state", DAEMON_UID, 0o700)
        lab.folder("log", DAEMON_UID, 0o750)
        lab.folder("token-state", DAEMON_UID, 0o700)
        self.etc = lab.folder("etc")
        env = lab.softhsm(DAEMON_UID)
        lab.file("etc/guardian.conf", "\n".join([
            "[Guardian]", f"StateDirectory={lab.dir}/state",
            f"LogDirectory={lab.dir}/log", f"ClientSocket={self.client}",
            f"AdminSocket={self.admin}", "AllowSwappableSecrets=yes",
            "[Roles]", f"MonitorUser={OTHER_UID}",
            f"AdminUser={OPERATOR_UID}",
            "[Token lab]", f"Module={SOFTHSM}", "Token=pkcs11:token=lab",
            f"Pin=file:{lab.dir}/softhsm/pin",
            f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
            f"Directory={lab.dir}/token-state"]) + "\n")
        self.policy("[Client]\nUser=%d\n[Allow]\nAccount=main\n"
                    "Domain=www.lab.example\n" % CLIENT_UID)
        self.start()
        self.token_ready()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BadCA)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.bad_url = "http://127.0.0.1:%d" % self.server.server_port

    def policy(self, text):
        self.lab.file("etc/policy.d/lab.policy", text)

    def start(self):
        self.daemon = self.lab.start(
            "guardiand", [GUARDIAND, "--config", self.etc], DAEMON_UID)
        wait_for("the daemon", lambda: unix_open(self.admin))

    def token_ready(self):
        wait_for("the token", lambda: '"state":"ok"' in self.lab.run(
            [GUARDIANCTL, "--config", self.etc, "--json", "token", "list"],
            ok=None).stdout)

    def ctl(self, *args, uid=0, code=0, says=None, stdin=None, config=True,
            env=None):
        """Runs guardianctl and expects its exit code and words."""
        argv = [GUARDIANCTL, *(["--config", self.etc] if config else []),
                *args]
        r = self.lab.run(argv, uid, env, ok=None, stdin=stdin)
        words = " ".join(map(str, args))
        expect(r.returncode == code,
               f"{words}: exit {code}, not {r.returncode}: "
               f"{r.stdout}{r.stderr}")
        if code and code != 1:
            expect(re.match("guardianctl: |acme-guardian-token: ", r.stderr),
                   f"{words}: {r.stderr}")
        if says:
            expect(says in r.stderr, f"{words}: '{says}' in: {r.stderr}")
        expect(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", r.stdout + r.stderr),
               f"{words}: control characters: {r.stdout!r} {r.stderr!r}")
        return r.stdout

    def json(self, *args, **more):
        text = self.ctl("--json", *args, **more)
        expect(text.count("\n") == 1, f"one line: {text}")
        return json.loads(text)


def test_usage_is_64_and_says_what(w):
    for args, says in [
            ((), "which command?"),
            (("acount", "list"), "unknown command: acount"),
            (("account", "frobnicate"), "unknown command: account frobnicate"),
            (("account",), "account needs another word"),
            (("account", "create"), "account create needs NAME"),
            (("account", "create", "x", "--token", "lab"),
             "account create needs --ca NAME, or --directory URL"),
            (("account", "create", "x", "--token", "lab", "--directory",
              "https://ca.example/", "--rsa-bits", "2048"),
             "--rsa-bits goes with --alg RS256"),
            (("account", "deactivate", "x"), "account deactivate needs --yes"),
            (("account", "register", "x", "--timeout", "0"),
             "--timeout takes a number from 1 to 600, not 0"),
            (("suspend", "some"), "suspend takes all, account NAME"),
            (("suspend", "account"), "suspend account needs a NAME"),
            (("suspend", "all", "x"), "suspend all takes no name"),
            (("suspend", "client", "root"), "a client is a numeric uid"),
            (("sign", "--nonce", "x"), "sign needs --url URL"),
            (("sign", "--url", "https://ca.example/"),
             "sign needs --nonce NONCE"),
            (("key-authorization", "t", "--for", "dns-02"), "--for takes"),
            (("audit", "verify"), "audit verify needs --key-file FILE"),
            (("audit", "tail", "--lines", "x"), "--lines takes a number"),
            (("status", "--jason"), "unknown option --jason"),
            (("status", "now"), "one argument too many: now")]:
        w.ctl(*args, code=64, says=says)


def test_completion_comes_from_the_same_table(w):
    script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_guardianctl; echo "${COMPREPLY[*]}"')
    for line, want in [
            (("to",), "token"),
            (("account", ""), "adopt create deactivate directory issuers list "
             "move prove register show update"),
            (("--json", "audit", "v"), "verify"),
            (("account", "create", "x", "--al"),
             "--alg --allow-query --allow-http-loopback"),
            (("status", "--ver"), "--version"), (("bogus", ""), "")]:
        r = w.lab.run(["bash", "-c", script, "bash",
                       ROOT / "client-shim/guardianctl.bash", GUARDIANCTL,
                       *line])
        expect(r.stdout.strip() == want, f"{line}: {want}: {r.stdout}")


def test_zsh_completes_from_it_too(w):
    if not shutil.which("zsh"):
        return
    # zsh's own two functions only tell what they were given.
    script = ('_describe() { print -rl -- ${(P)4} }; _files() { print files }; '
              'file=$1; shift; words=("$@"); CURRENT=$#; source $file')
    for line, want in [
            (("",), ["reload:read the policy again, all or nothing",
                     "account:...", "metrics:figures for Prometheus"]),
            (("account", ""), ["show:everything about an account"]),
            (("--json", "audit", "v"),
             ["take-key:the first key, given out once\\: keep it elsewhere"]),
            (("account", "create", "x", "--al"),
             ["--allow-query:the CA's URLs may have a query",
              "--help:show this and exit"]),
            (("account", "create", "x", "--alg", ""), ["files"]),
            (("bogus", ""), [])]:
        r = w.lab.run(["zsh", "-fc", script, "zsh",
                       ROOT / "client-shim/guardianctl.zsh", GUARDIANCTL,
                       *line], ok=(0, 1))
        said = r.stdout.splitlines()
        expect(all(x in said for x in want) and bool(said) == bool(want) and
               not r.stderr, f"{line}: {want}: {r.stdout}{r.stderr}")


def test_no_daemon_is_69(w):
    there = ["--admin-socket", w.lab.dir / "none", "--socket",
             w.lab.dir / "none"]
    for args in [("status",), ("reload",), ("suspend", "all"),
                 ("resume", "all"), ("token", "list"),
                 ("token", "check", "lab"), ("token", "unlock", "lab"),
                 ("token", "self-test", "lab"),
                 ("account", "list"), ("account", "list", "--mine"),
                 ("account", "show", "main"),
                 ("account", "create", "x", "--token", "lab", "--directory",
                  "https://ca.example/dir"),
                 ("account", "register", "x", "--agree-terms"),
                 ("account", "deactivate", "x", "--yes"),
                 ("account", "update", "x", "--no-contacts"),
                 ("account", "prove", "x"), ("account", "directory", "x"),
                 ("account", "issuers", "x", "ca.example"),
                 ("apply",), ("apply", "--dry-run"),
                 ("sign", "--url", "https://ca.example/", "--nonce", "x"),
                 ("jwk",), ("key-authorization", "t"),
                 ("audit", "rotate"), ("audit", "take-key"),
                 ("audit", "tail", "-f")]:
        w.ctl(*args, *there, code=69, says="nobody listens there")
    w.ctl("status", "--admin-socket", w.lab.file("plain", "") / "none",
          code=69, says="Not a directory")
    out = w.lab.dir / "not-made"
    w.ctl("audit", "take-key", "--out", out, *there, code=69)
    expect(not out.exists(), "no file is left where no key came")


def test_a_socket_that_hangs_up_or_talks_nonsense_is_69(w):
    for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n\0"):
        path = w.lab.dir / "odd.sock"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
            s.listen(1)

            def serve(listener=s, data=answer):
                c, _ = listener.accept()
                with c:
                    c.recv(100)
                    c.sendall(data)

            t = threading.Thread(target=serve, daemon=True)
            t.start()
            w.ctl("status", "--admin-socket", path, code=69)
            t.join()


def test_broken_settings_are_78_with_file_and_line(w):
    w.lab.file("bad/guardian.conf", "[Guardian]\nStateDirectry=/x\n")
    w.ctl("--config", w.lab.dir / "bad", "status", config=False, code=78,
          says="bad/guardian.conf:2: ")
    w.ctl("--config", w.lab.dir / "nowhere", "status", config=False, code=78,
          says="nowhere: ")
    # Who names the socket needs no settings.
    w.ctl("--config", w.lab.dir / "nowhere", "--admin-socket", w.admin,
          "account", "list", config=False)


def test_without_a_role_everything_of_the_admin_is_77(w):
    for args in [("status",), ("reload",), ("suspend", "all"),
                 ("token", "list"), ("account", "list"),
                 ("account", "register", "x", "--agree-terms"),
                 ("audit", "rotate"), ("audit", "take-key")]:
        w.ctl(*args, uid=STRANGER_UID, code=77, says="not permitted")
    w.ctl("account", "list", uid=OTHER_UID)
    w.ctl("reload", uid=OTHER_UID, code=77, says="needs the role: ops")
    w.ctl("audit", "tail", uid=STRANGER_UID, code=77)


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


BAD_DIRECTORIES = [
    ("html", 2, "not a directory object: bad-json"),
    ("missing", 2, "has no newOrder"),
    ("duplicate", 2, "duplicate-member"),
    ("foreign", 2, "evil.example"),
    ("same", 2, "two endpoints"),
    ("type", 2, "keyChange"),
    ("control", 2, "not printable"),
    ("redirect", 2, "a redirect (302), which is not followed"),
    ("large", 2, "above 262144 octets"),
    ("endless", 2, "above 262144 octets"),
    ("slow", 75, "timed out"),
    ("dribble", 75, "timed out"),
    ("status", 75, "HTTP status 503: serverInternal: down?for ?[31mnow"),
    ("binding", 1, "external account binding"),
    ("terms", 2, "termsOfService has characters that no URL has"),
]


def bad_account(w, mode):
    w.ctl("account", "create", f"bad-{mode}", "--token", "lab", "--directory",
          f"{w.bad_url}/{mode}/dir", "--allow-http-loopback")
    return ("account", "register", f"bad-{mode}", "--timeout", "2")


def test_a_directory_that_is_none_changes_nothing(w):
    for mode, code, says in BAD_DIRECTORIES:
        w.ctl(*bad_account(w, mode), code=code, says=says)
        shown = w.json("account", "show", f"bad-{mode}")["account"]
        expect(shown["status"] == "created" and not shown.get("url"), shown)
        expect(mode not in BadCA.posts, f"{mode}: nothing was sent")


def test_http_needs_the_accounts_leave(w):
    w.ctl("account", "create", "plain", "--token", "lab", "--directory",
          f"{w.bad_url}/good/dir", code=2, says="url-scheme")


BAD_ANSWERS = [
    ("nononce", 2, "without a nonce"),
    ("badnonce", 2, "not base64url"),
    ("twononces", 2, "Replay-Nonce"),
    ("refused", 1, "HTTP status 403: unauthorized: you ? may not"),
    ("limited", 75, "HTTP status 429: rateLimited"),
    ("noend", 75, "badNonce"),
    ("nolocation", 2, "no account URL"),
    ("elsewhere", 2, ""),
    ("accounthtml", 2, "not a JSON object"),
    ("nostatus", 2, "no status"),
]


def test_an_answer_that_is_none_registers_nothing(w):
    for mode, code, says in BAD_ANSWERS:
        w.ctl(*bad_account(w, mode), "--agree-terms", code=code, says=says)
        shown = w.json("account", "show", f"bad-{mode}")["account"]
        expect(shown["status"] == "created", shown)
    expect(len(BadCA.posts["noend"]) == 6, "five retries and no more")
    e = w.json("account", "register", "bad-refused", code=1)
    expect(e["error"] == "ca" and e["httpStatus"] == 403, e)


def test_bad_nonce_is_signed_again_with_the_new_one(w):
    w.ctl(*bad_account(w, "retry"))
    nonces = []
    for kind, jws in BadCA.posts["retry"]:
        expect(kind == "application/jose+json", kind)
        nonces.append(json.loads(unb64(jws["protected"]))["nonce"])
    expect(nonces == ["bm9uY2U", "bmV4dA-1", "bmV4dA-2", "bmV4dA-3"], nonces)


def test_a_ca_that_is_not_there_is_75(w):
    w.ctl("account", "create", "gone", "--token", "lab", "--directory",
          f"https://127.0.0.1:{free_port()}/dir")
    w.ctl("account", "register", "gone", "--agree-terms", code=75)
    w.ctl("account", "deactivate", "gone", "--yes", code=1,
          says="never registered")


def test_audit_log(w):
    key = w.lab.dir / "audit.key"
    w.ctl("audit", "take-key", "--out", key)
    expect(stat.S_IMODE(key.stat().st_mode) == 0o600, "mode 0600")
    expect(re.fullmatch(r"[0-9a-f]{64}\n", key.read_text()), "the key alone")
    w.ctl("audit", "take-key", code=1, says="taken before")
    w.ctl("audit", "take-key", "--out", key, code=78, says="audit.key: ")
    out = w.ctl("audit", "verify", "--key-file", key)
    expect(re.search(r"lines 1 to \d+ fit", out) and
           "the daemon names" in out, out)
    closed = w.json("audit", "rotate")["file"]
    expect(closed.startswith("audit.jsonl.") or "/audit.jsonl." in closed,
           closed)
    later = w.lab.dir / "later.key"
    out = w.ctl("audit", "verify", "--key-file", key, "--save-key", later)
    expect("lines 1 to" in out and f"written: {later}, the key of line" in out,
           out)
    line = int(later.read_text().split(":")[0])
    w.ctl("audit", "verify", "--key-file", key, "--save-key", later, code=78,
          says="later.key: ")
    result = w.json("audit", "verify", "--key-file", key)
    expect(result["ok"] and result["tailChecked"], result)
    away = w.lab.dir / "away"
    file = w.lab.dir / "log" / os.path.basename(closed)
    file.rename(away)
    w.ctl("audit", "verify", "--key-file", key, code=1, says="--save-key")
    result = w.json("audit", "verify", "--key-file", later)
    expect(result["ok"] and result["tailChecked"] and
           result["firstLine"] == line > 1, result)
    away.rename(file)
    w.ctl("audit", "verify", "--key-file", key, "--head", f"1:{'0' * 64}",
          code=1)
    w.ctl("audit", "verify", "--key-file", key, "--head", "1", code=64)
    w.ctl("audit", "verify", "--key-file", w.lab.file("short", "ab\n"),
          code=2, says="short:1: ")
    w.ctl("audit", "verify", "--key-file", w.lab.file("other", "0" * 64),
          code=1, says="audit.jsonl")
    w.ctl("audit", "verify", "--key-file", w.lab.dir / "none", code=78)


def test_audit_tail(w):
    for _ in range(3):
        w.ctl("sign", "--url", w.account["url"], "--nonce", "x",
              uid=CLIENT_UID)
    lines = w.ctl("audit", "tail", "-n", "2").splitlines()
    expect(len(lines) == 2 and "operation=fetch" in lines[-1], lines)
    raw = [json.loads(l)
           for l in w.ctl("--json", "audit", "tail", "-n", "2").splitlines()]
    expect(raw[1]["n"] == raw[0]["n"] + 1, raw)
    p = w.lab.start("tail", [GUARDIANCTL, "--config", w.etc, "audit", "tail",
                             "--follow", "--lines", "1", "--json"])
    wait_for("the last line", lambda: w.lab.log("tail").count("\n") >= 1)
    time.sleep(0.3)
    for _ in range(3):
        w.ctl("sign", "--url", w.account["url"], "--nonce", "x",
              uid=CLIENT_UID)
    wait_for("three more", lambda: sum(
        '"operation":"fetch"' in l
        for l in w.lab.log("tail").splitlines()[1:]) >= 3)
    numbers = [json.loads(l)["n"] for l in w.lab.log("tail").splitlines()]
    expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))),
           f"no line twice, none missing: {numbers}")
    w.lab.stop(p)


def test_who_may_not_read_the_log_can_follow_it(w):
    w.ctl("audit", "tail", uid=OTHER_UID, code=77, says="audit.jsonl")
    p = w.lab.start("follow", [GUARDIANCTL, "--config", w.etc, "audit",
                               "tail", "-f"], OTHER_UID)
    wait_for("its call in the log", lambda: "Watch" in w.ctl("audit", "tail"))
    w.ctl("sign", "--url", w.account["url"], "--nonce", "x", uid=CLIENT_UID)
    wait_for("the line", lambda: "operation=fetch" in w.lab.log("follow"))
    w.lab.stop(w.daemon)
    expect(p.wait(10) == 75, "the end of the daemon is told as such")
    w.start()
    w.token_ready()


def test_status(w):
    status = w.json("status", code=w.json_code("status"))
    expect(status["ready"] and status["policyRuleSets"] == 1, status)
    expect(w.json_code("status") == (1 if status["warnings"] else 0), status)
    out = w.ctl("status", code=w.json_code("status"))
    expect(re.search(r"^ready +yes$", out, re.M), out)


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


def test_a_stopped_daemon_leaves_a_log_that_verifies(w):
    expect(w.lab.stop(w.daemon) == 0, "a clean stop")
    out = w.ctl("audit", "verify", "--key-file", w.lab.dir / "audit.key")
    expect("audit.chain names" in out, out)
    out = w.ctl("audit", "verify", "--key-file", w.lab.dir / "audit.key",
                "--dir", w.lab.dir / "log", config=False)
    expect("could not be checked" in out, out)


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main():
    with Lab("guardianctl") as lab:
        lab.pebble(free_port())
        world = World(lab)
        world.json_code = lambda *args: lab.run(
            [GUARDIANCTL, "--config", world.etc, *args], ok=None).returncode
        cases = [v for k, v in globals().items() if k.startswith("test_")]
        status = run_cases(cases, world)
        if status:
            raise SystemExit(status)
    return 0


if __name__ == "__main__":
    sys.exit(main())
