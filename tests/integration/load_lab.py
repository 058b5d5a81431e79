# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that issue without pause while keys change, each in its own way, and
what of it is counted."""

import ctypes
import http.server
import itertools
import json
import os
import subprocess
import threading
import time

from acme_client import Client, csr, http_request
from lab import BUILD, GUARDIANCTL, Failed, b64url

KEY_CHANGED = 5


class ChallengeWeb:
    """What port 80 is for the CA: files of http-01, from a folder each, and
    answers that are only remembered."""

    def __init__(self):
        self.answers, self.folders = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                body = outer.find(self.path.rpartition("/")[2])
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def find(self, token):
        if token in self.answers:
            return self.answers[token].encode()
        for folder in self.folders:
            if (folder / token).is_file():
                return (folder / token).read_bytes()
        return None


class Library:
    """libacme-guardian, from C."""

    class Request(ctypes.Structure):
        _fields_ = [(n, ctypes.c_char_p) for n in
                    ("account", "url", "nonce", "payload", "thumbprint")] + [
                        ("reserved", ctypes.c_void_p * 4)]

    class Jws(ctypes.Structure):
        _fields_ = [(n, ctypes.c_char_p) for n in
                    ("protected", "payload", "signature", "json")]

    class Account(ctypes.Structure):
        _fields_ = [(n, ctypes.c_char_p) for n in
                    ("name", "directory", "url", "alg", "jwk", "thumbprint",
                     "status")]

    class KeyAuthorization(ctypes.Structure):
        _fields_ = [("http", ctypes.c_char_p)]

    def __init__(self, socket, account):
        self.lib = ctypes.CDLL(str(BUILD / "client-shim/libacme-guardian.so"))
        self.lib.guardian_strerror.restype = ctypes.c_char_p
        self.handle, self.account = ctypes.c_void_p(), account.encode()
        r = self.lib.guardian_new(str(socket).encode(),
                                  ctypes.byref(self.handle))
        self.good(r, "guardian_new")

    def good(self, code, what):
        if code:
            raise Failed(f"{what}: {self.lib.guardian_strerror(code).decode()}")

    def facts(self):
        """(URL, thumbprint)"""
        a = ctypes.POINTER(self.Account)()
        self.good(self.lib.guardian_get_account(
            self.handle, self.account, ctypes.byref(a), None), "GetAccount")
        found = a.contents.url.decode(), a.contents.thumbprint.decode()
        self.lib.guardian_account_free(a)
        return found

    def sign(self, url, nonce, payload, thumbprint):
        """The body of a request, or None: the key has changed."""
        q = self.Request(self.account, url.encode(), nonce.encode(),
                         payload.encode(), thumbprint.encode())
        jws = ctypes.POINTER(self.Jws)()
        code = self.lib.guardian_sign(self.handle, ctypes.byref(q),
                                      ctypes.byref(jws), None)
        if code == KEY_CHANGED:
            return None
        self.good(code, f"Sign {url}")
        body = jws.contents.json
        self.lib.guardian_jws_free(jws)
        return body

    def key_authorization(self, token):
        ka = ctypes.POINTER(self.KeyAuthorization)()
        self.good(self.lib.guardian_key_authorization(
            self.handle, self.account, token.encode(), ctypes.byref(ka),
            None), "KeyAuthorization")
        text = ka.contents.http.decode()
        self.lib.guardian_key_authorization_free(ka)
        return text


class LibraryClient(Client):
    """An ACME client of http-01 whose key is behind libacme-guardian."""

    def __init__(self, world, ca, account, web):
        self.library, self.web = Library(world.client, account), web
        self.waits, self.order_waits = [], []
        super().__init__(ca.directory_url, ca.ca_file, key=self)
        self.url, self.thumbprint = self.library.facts()

    def _post_once(self, url, payload, key, kid, jwk):
        if not self.nonce:
            self.get(self.directory["newNonce"], "HEAD")
        text = "" if payload is None else json.dumps(payload)
        is_order = url == self.directory["newOrder"]
        body = None
        while body is None:
            begin = time.monotonic()
            body = self.library.sign(url, self.nonce, text, self.thumbprint)
            (self.order_waits if is_order else self.waits).append(
                time.monotonic() - begin)
            if body is None:
                _, self.thumbprint = self.library.facts()
        self.nonce = None
        r = http_request("POST", url, body.decode(),
                         {"Content-Type": "application/jose+json"},
                         self.ca_file)
        self.nonce = r.headers.get("Replay-Nonce")
        return r

    def issue(self, *names, **more):
        order = self.order(*names, **more)
        for authz in self.authorizations(order):
            token = self.challenge(authz, "http-01")["token"]
            self.web.answers[token] = self.library.key_authorization(token)
            done = self.validate(authz, "http-01")
            if done["status"] != "valid":
                raise Failed(f"{names}: {done}")
        self.post(order["finalize"], {"csr": b64url(csr(*names))})
        order = self.wait(order["url"], "valid", "invalid", seconds=120)
        return self.post(order["certificate"]).body.decode()


class Issuing(threading.Thread):
    """Issues for name after name until it is stopped."""

    def __init__(self, kind, number):
        super().__init__(daemon=True)
        self.kind, self.number = kind, number
        self.issued, self.failed, self.stopping = 0, [], False

    def run(self):
        for n in itertools.count():
            if self.stopping or self.failed:
                return
            try:
                self.issue(n)
                self.issued += 1
            except Exception as e:  # pylint: disable=broad-except
                self.failed.append(f"{self.kind}: {type(e).__name__}: {e}")

    def issue(self, n):
        raise NotImplementedError

    def name(self, n):
        return f"n{n}.{self.kind}{self.number}.apps.example.com"


class ByLibrary(Issuing):
    def __init__(self, number, client):
        super().__init__("library", number)
        self.client = client

    def issue(self, n):
        self.client.issue(self.name(n))


class ByProgram(Issuing):
    """A program for each certificate; under a load of tests it is the one to
    wait."""

    def call(self, argv, **more):
        r = subprocess.run(
            ["nice", *map(str, argv)], capture_output=True, text=True,
            timeout=300, stdin=subprocess.DEVNULL, check=False,
            env={"PATH": os.environ["PATH"]}, **more)
        if r.returncode:
            raise Failed(f"exit {r.returncode}: {r.stdout}{r.stderr}")


class ByGuardianctl(ByProgram):
    """dns-persist-01: @domain has a record."""

    def __init__(self, number, world, account, domain, resolver):
        super().__init__("issue", number)
        out = world.lab.folder("out")
        self.argv = [GUARDIANCTL, "--config", world.etc, "issue", "--account",
                     account, "--domain", domain, "--key-out",
                     out / f"{domain}.key", "--out", out / f"{domain}.pem",
                     "--resolver", resolver, *world.ca]

    def issue(self, n):
        self.call(self.argv)


class ByLacme(ByProgram):
    """Debian's, with its own http-01 through @web."""

    def __init__(self, number, world, ca, socket, web, trust):
        super().__init__("lacme", number)
        self.lab, self.trust = world.lab, trust
        self.dir = self.lab.folder(f"lacme-{number}")
        # What talks to the CA has a user without rights.
        folder = self.lab.folder(f"lacme-{number}/challenges", mode=0o777)
        web.folders.append(folder)
        os.chmod(socket, 0o600)
        self.conf = self.lab.file(
            f"lacme-{number}/lacme.conf", f"[client]\nsocket = {socket}\n"
            f"server = {ca.directory_url}\n[webserver]\nlisten =\n"
            f"challenge-directory = {folder}\n", mode=0o600)
        self.lab.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey",
                      "-noout", "-out", self.dir / "www.key"])

    def issue(self, n):
        name = self.name(n)
        certs = self.lab.file(
            f"lacme-{self.number}/certs.conf", "[www]\n"
            f"certificate-key = {self.dir}/www.key\n"
            f"certificate = {self.dir}/www.pem\n"
            f"certificate-chain = {self.dir}/chain.pem\n"
            f"subject = /CN={name}\nsubjectAltName = DNS:{name}\nCAfile =\n")
        # lacme reads the system's roots and nothing else: in a mount
        # namespace of its own, these are the lab's.
        self.call(["unshare", "--mount", "sh", "-c",
                   'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"',
                   "sh", self.trust, "lacme", "--config", self.conf,
                   "--config-certs", certs, "--force", "newOrder"],
                  cwd=self.dir)
