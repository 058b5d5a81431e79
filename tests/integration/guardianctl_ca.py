#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl at CAs gone bad."""

import http.server
import json
import sys
import threading
import time

from guardianctl_lab import World, run, unb64
from lab import expect, free_port


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


class BadWorld(World):
    """And such a CA beside it."""

    def __init__(self, lab):
        super().__init__(lab)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BadCA)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()
        self.bad_url = "http://127.0.0.1:%d" % self.server.server_port


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


if __name__ == "__main__":
    sys.exit(run(globals(), BadWorld))
