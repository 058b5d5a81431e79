# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ACME client of the tests' own, to try their CAs with.

It shares nothing with what is tested: keys and signatures are the openssl
command's, P-256 only. Names below .localhost are loopback, as for curl.
"""

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from dataclasses import dataclass

from lab import b64url, thumbprint


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *map(str, args)], input=stdin,
                          capture_output=True, check=True).stdout


class Key:
    """A P-256 key, private in one PEM text."""

    def __init__(self):
        self.pem = openssl("ecparam", "-name", "prime256v1", "-genkey",
                           "-noout")
        point = openssl("ec", "-pubout", "-outform", "DER",
                        stdin=self.pem)[-64:]
        self.jwk = {"kty": "EC", "crv": "P-256", "x": b64url(point[:32]),
                    "y": b64url(point[32:])}
        self.thumbprint = thumbprint(self.jwk)

    def sign(self, data):
        with tempfile.NamedTemporaryFile(suffix=".pem") as f:
            f.write(self.pem)
            f.flush()
            der = openssl("dgst", "-sha256", "-sign", f.name, stdin=data)
        length = der[3]
        r, s = der[4:4 + length], der[4 + length + 2:]
        return b"".join(n.lstrip(b"\0").rjust(32, b"\0") for n in (r, s))

    def jws(self, protected, payload):
        head = b64url(json.dumps({"alg": "ES256", **protected}).encode())
        body = "" if payload is None else b64url(json.dumps(payload).encode())
        return {"protected": head, "payload": body, "signature":
                b64url(self.sign(f"{head}.{body}".encode()))}


def csr(*names):
    """A request for @names under a new key, in DER."""
    text = ("[req]\ndistinguished_name=dn\n[dn]\n[ext]\nsubjectAltName=" +
            ",".join(f"DNS:{n}" for n in names) + "\n")
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as f:
        f.write(text)
        f.flush()
        return openssl("req", "-new", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                       "/dev/null", "-subj", "/", "-config", f.name,
                       "-reqexts", "ext", "-outform", "DER")


class Problem(Exception):
    """An error that the CA answered with."""

    def __init__(self, answer):
        try:
            value = json.loads(answer.body)
        except ValueError:
            value = {}
        self.status, self.headers = answer.status, answer.headers
        self.kind = str(value.get("type", "")).rpartition(":")[2]
        self.detail = value.get("detail", "")
        super().__init__(f"{answer.status} {self.kind}: {self.detail}")


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)


def http_request(method, url, body=None, headers=(), ca_file=None, proxy=None):
    """One request on a connection of its own; (host, port) for @proxy."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context(cafile=ca_file)
    first = proxy or (parts.hostname, parts.port or 443)
    c = http.client.HTTPSConnection(*first, context=context, timeout=30)
    if proxy:
        c.set_tunnel(parts.hostname, parts.port or 443)

    def connect(address, *args):
        host = "127.0.0.1" if address[0].endswith("localhost") else address[0]
        return socket.create_connection((host, address[1]), *args)

    c._create_connection = connect  # pylint: disable=protected-access
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        c.request(method, path or "/", body,
                  {"User-Agent": "acme-guardian-tests", **dict(headers)})
        r = c.getresponse()
        return Reply(r.status, r.headers, r.read())
    finally:
        c.close()


class Client:
    def __init__(self, directory_url, ca_file, key=None, proxy=None):
        self.directory_url, self.ca_file = directory_url, ca_file
        self.proxy, self.key = proxy, key or Key()
        self.url, self.nonce, self.validated = None, None, []
        self.directory = self.get(directory_url).json()

    # Requests.

    def get(self, url, method="GET"):
        r = http_request(method, url, ca_file=self.ca_file, proxy=self.proxy)
        self.nonce = r.headers.get("Replay-Nonce") or self.nonce
        if r.status >= 400:
            raise Problem(r)
        return r

    def post(self, url, payload=None, key=None, kid=None, jwk=False):
        """A signed request; @payload None is a POST-as-GET. badNonce: again."""
        for left in range(11, -1, -1):
            r = self._post_once(url, payload, key or self.key, kid, jwk)
            if r.status < 400:
                return r
            problem = Problem(r)
            if problem.kind != "badNonce" or not left:
                raise problem
        raise AssertionError("not reached")

    def _post_once(self, url, payload, key, kid, jwk):
        if not self.nonce:
            self.get(self.directory["newNonce"], "HEAD")
        who = {"jwk": key.jwk} if jwk else {"kid": kid or self.url}
        nonce, self.nonce = self.nonce, None
        jws = key.jws({"nonce": nonce, "url": url, **who}, payload)
        r = http_request("POST", url, json.dumps(jws),
                         {"Content-Type": "application/jose+json"},
                         self.ca_file, self.proxy)
        self.nonce = r.headers.get("Replay-Nonce")
        return r

    # Accounts.

    def register(self, *contacts, eab=None, existing=False, terms=True):
        """@eab is (kid, MAC key in base64url). Keeps and returns the URL."""
        url = self.directory["newAccount"]
        payload = {"termsOfServiceAgreed": terms}
        if contacts:
            payload["contact"] = list(contacts)
        if existing:
            payload = {"onlyReturnExisting": True}
        if eab:
            payload["externalAccountBinding"] = self.binding(*eab)
        r = self.post(url, payload, jwk=True)
        self.url = r.headers["Location"]
        return self.url

    def binding(self, kid, mac_key, url=None):
        head = b64url(json.dumps({"alg": "HS256", "kid": kid, "url": url or
                                  self.directory["newAccount"]}).encode())
        body = b64url(json.dumps(self.key.jwk).encode())
        mac = hmac.digest(unb64(mac_key), f"{head}.{body}".encode(), "sha256")
        return {"protected": head, "payload": body, "signature": b64url(mac)}

    def account(self):
        """What the account URL itself says to a request of this key."""
        return self.post(self.url).json()

    def change_key(self, new):
        url = self.directory["keyChange"]
        inner = new.jws({"url": url, "jwk": new.jwk},
                        {"account": self.url, "oldKey": self.key.jwk})
        r = self.post(url, inner)
        self.key = new
        return r

    def deactivate(self):
        return self.post(self.url, {"status": "deactivated"}).json()

    # Orders.

    def order(self, *names, **more):
        """An order as the CA has it, with its URL."""
        r = self.post(self.directory["newOrder"], {"identifiers": [
            {"type": "dns", "value": n} for n in names], **more})
        return {"url": r.headers["Location"], **r.json()}

    def authorizations(self, order):
        return [{"url": url, **self.post(url).json()}
                for url in order["authorizations"]]

    @staticmethod
    def challenge(authz, kind="dns-persist-01"):
        return next(c for c in authz["challenges"] if c["type"] == kind)

    def wait(self, url, *states, seconds=15):
        end = time.monotonic() + seconds
        while True:
            value = self.post(url).json()
            if value["status"] in states or time.monotonic() > end:
                return {"url": url, **value}
            time.sleep(0.02)

    def validate(self, authz, kind="dns-persist-01"):
        """Has an authorization judged; returns it, valid or invalid."""
        if authz["status"] == "pending":
            self.post(self.challenge(authz, kind)["url"], {})
        return self.wait(authz["url"], "valid", "invalid")

    def deactivate_authorization(self, url):
        return self.post(url, {"status": "deactivated"}).json()

    def forget(self):
        """Deactivates what issue() got validated: Pebble 2.10 uses a valid
        authorization again in one order of a hundred when told never to."""
        while self.validated:
            self.deactivate_authorization(self.validated.pop())

    def issue(self, *names, **more):
        """The whole way; the chain in PEM, or NotValid with the reason."""
        order = self.order(*names, **more)
        for authz in self.authorizations(order):
            done = self.validate(authz)
            if done["status"] != "valid":
                raise NotValid(done)
            self.validated.append(authz["url"])
        self.post(order["finalize"], {"csr": b64url(csr(*names))})
        order = self.wait(order["url"], "valid", "invalid")
        return self.post(order["certificate"]).body.decode()

    def certificate_id(self, pem):
        """RFC 9773 section 4.1"""
        der = openssl("x509", "-outform", "DER", stdin=pem.encode())
        at = der.index(bytes.fromhex("0603551d23")) + 5
        aki = der[der.index(b"\x80", at):]
        serial = der[der.index(b"\xa0\x03\x02\x01\x02\x02") + 6:]
        return (b64url(aki[2:2 + aki[1]]) + "." +
                b64url(serial[:serial[0] + 1][1:]))

    def renewal_info(self, pem):
        return self.get(f"{self.directory['renewalInfo']}/"
                        f"{self.certificate_id(pem)}").json()


class NotValid(Exception):
    """An authorization that the CA found invalid."""

    def __init__(self, authz):
        error = next((c["error"] for c in authz["challenges"]
                      if c.get("error")), {})
        self.kind = str(error.get("type", "")).rpartition(":")[2]
        self.detail = error.get("detail", "")
        super().__init__(f"{authz['identifier']['value']}: {self.kind}: "
                         f"{self.detail}")


def key_bound(prefix, domain, print43, account_url):
    """The accounturi of draft 02, from its formula."""
    octets = (bytes([len(domain)]) + domain.encode() + print43.encode() +
              account_url.encode())
    return f"{prefix}sha-256/{b64url(hashlib.sha256(octets).digest())}"
