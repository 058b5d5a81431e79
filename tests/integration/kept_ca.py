# SPDX-License-Identifier: LGPL-2.1-or-later
"""The CA of kept accounts: a fake, in the place of a Pebble that is no more.

A Pebble's accounts end with it, and no other gives one the same URL. This one
has the origin and the endpoints of that Pebble and knows its accounts by URL and
public key. It issues nothing; but it takes nobody's word: each signature is
checked, and of a keyChange both, with all that RFC 8555 section 7.3.5 says of it.
"""

import json
import pathlib
import subprocess
import tempfile
import urllib.parse

from acme_client import unb64
from fake_acme import FakeAcme
from https_peer import Answer
from lab import thumbprint
from stub_file import integer, pem, spki, tlv


def is_signed(jws, jwk):
    """By the key @jwk, says the openssl command."""
    signature = unb64(jws["signature"])
    if jwk["kty"] == "EC":
        if len(signature) != 64:
            return False
        signature = tlv(0x30, b"".join(
            integer(int.from_bytes(n, "big"))
            for n in (signature[:32], signature[32:])))
    with tempfile.TemporaryDirectory() as folder:
        key, file = (pathlib.Path(folder) / n for n in ("key", "signature"))
        key.write_text(pem(spki(jwk), "PUBLIC KEY"), encoding="ascii")
        file.write_bytes(signature)
        return subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", key, "-signature", file],
            input=f"{jws['protected']}.{jws['payload']}".encode(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            check=False).returncode == 0


def malformed(detail):
    return Answer.problem(400, "malformed", detail)


class KeptCa(FakeAcme):
    DIRECTORY = "/dir"
    PATHS = {"newNonce": "/nonce-plz", "newAccount": "/sign-me-up",
             "newOrder": "/order-plz", "revokeCert": "/revoke-cert",
             "keyChange": "/rollover-account-key"}

    def __init__(self, lab, accounts):
        """@accounts: {URL: JWK}, all of one Pebble"""
        self.changes = []   # (URL, old and new thumbprint)
        where = urllib.parse.urlsplit(next(iter(accounts)))
        super().__init__(lab, where.hostname, port=where.port)
        self.accounts = {thumbprint(jwk): (url, jwk)
                         for url, jwk in accounts.items()}
        self.kinds["my-account"] = "account"

    def key_of(self, url):
        return next((jwk for u, jwk in self.accounts.values() if u == url),
                    None)

    def distrusts(self, jws, header):
        jwk = header.get("jwk") or self.key_of(header.get("kid"))
        if not jwk:
            return Answer.problem(400, "accountDoesNotExist", "nobody")
        return None if is_signed(jws, jwk) else malformed("JWS verification")

    def _on_keyChange(self, header, inner, _):
        head, body = (json.loads(unb64(inner[m]))
                      for m in ("protected", "payload"))
        new, url = head["jwk"], header.get("kid")
        old = self.key_of(url)
        if not old or set(head) != {"alg", "jwk", "url"}:
            return malformed("not what a keyChange is")
        if head["url"] != header["url"] or body != {"account": url,
                                                    "oldKey": old}:
            return malformed("inner and outer JWS say different things")
        if not is_signed(inner, new):
            return malformed("the new key did not sign")
        if thumbprint(new) in self.accounts:
            return Answer(409, b"", [("Location",
                                      self.accounts[thumbprint(new)][0])])
        del self.accounts[thumbprint(old)]
        self.accounts[thumbprint(new)] = (url, new)
        self.changes.append((url, thumbprint(old), thumbprint(new)))
        return Answer()
