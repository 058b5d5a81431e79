# SPDX-License-Identifier: LGPL-2.1-or-later
"""An ACME server that takes everybody's word: what CAs gone bad are built of.

It checks nonces, URLs and who signs (by thumbprint, not the signature), and
finds every challenge valid. It issues nothing: finalize is answered with an
error. What it says of itself is in plain members that a test may change.
"""

import json
import secrets
import threading

from acme_client import unb64
from https_peer import Answer, HttpsPeer
from lab import thumbprint

ENDPOINTS = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")


class FakeAcme(HttpsPeer):
    DIRECTORY = "/directory"
    PATHS = {e: f"/{e}" for e in ENDPOINTS}

    def __init__(self, lab, host="evil.localhost", address="127.0.0.1",
                 issuers=("ca.lab.example",), port=0):
        self.meta = {"caaIdentities": list(issuers)}
        self.challenge_issuers = list(issuers)
        self.challenge_accounturi = None   # None: the account's own URL
        self.lock = threading.Lock()
        self.nonces, self.accounts, self.orders = set(), {}, []
        self.signed = []                   # (protected header, payload) of each
        self.kinds = {path[1:]: e for e, path in self.PATHS.items()}
        super().__init__(lab, host, address, port)
        self.directory_url = self.url(self.DIRECTORY)

    # What may be overridden: each is a JSON value or an Answer.

    def directory(self):
        return {**{e: self.url(path) for e, path in self.PATHS.items()},
                "meta": self.meta}

    def account_url(self, number):
        return self.url(f"/account/{number}")

    def account(self, jwk):
        return {"status": "valid", "key": jwk}

    def distrusts(self, _jws, _header):
        """An error, or None: everybody's word."""

    # Requests.

    def answer(self, request):
        path = request.path.split("?")[0]
        if request.method == "POST":
            return self.with_nonce(self._post(path, request))
        if path == self.DIRECTORY:
            return _answer(self.directory())
        if path == self.PATHS["newNonce"]:
            return self.with_nonce(Answer(
                200 if request.method == "HEAD" else 204))
        return Answer.problem(404, "malformed", "no such resource")

    def with_nonce(self, answer):
        nonce = secrets.token_urlsafe(16)
        with self.lock:
            self.nonces.add(nonce)
        answer.headers.append(("Replay-Nonce", nonce))
        return answer

    def _post(self, path, request):
        try:
            jws = request.json()
            header = json.loads(unb64(jws["protected"]))
            payload = (json.loads(unb64(jws["payload"])) if jws["payload"]
                       else None)
        except (ValueError, KeyError) as e:
            return Answer.problem(400, "malformed", f"no JWS: {e}")
        with self.lock:
            known = header.get("nonce") in self.nonces
            self.nonces.discard(header.get("nonce"))
            self.signed.append((header, payload))
        if not known:
            return Answer.problem(400, "badNonce", "an unknown nonce")
        if header.get("url") != self.url(path):
            return Answer.problem(400, "malformed", "url is another")
        wrong = self.distrusts(jws, header)
        if wrong:
            return wrong
        kind, _, number = path[1:].partition("/")
        handler = getattr(self, f"_on_{self.kinds.get(kind, kind)}", None)
        if not handler:
            return Answer.problem(404, "malformed", "no such resource")
        return _answer(handler(header, payload, number))

    def _on_newAccount(self, header, payload, _):
        jwk = header["jwk"]
        known = thumbprint(jwk) in self.accounts
        if not known and (payload or {}).get("onlyReturnExisting"):
            return Answer.problem(400, "accountDoesNotExist", "nobody's key")
        url = self.accounts.setdefault(
            thumbprint(jwk), (self.account_url(len(self.accounts)), jwk))[0]
        answer = _answer(self.account(jwk), 200 if known else 201)
        answer.headers.append(("Location", url))
        return answer

    def _on_account(self, header, _payload, _number):
        for url, jwk in self.accounts.values():
            if url == header.get("kid"):
                return self.account(jwk)
        return Answer.problem(400, "accountDoesNotExist", "nobody")

    def _on_newOrder(self, header, payload, _):
        number = len(self.orders)
        self.orders.append({
            "names": payload["identifiers"], "kid": header["kid"],
            "valid": [False] * len(payload["identifiers"])})
        answer = _answer(self._on_order(header, None, number), 201)
        answer.headers.append(("Location", self.url(f"/order/{number}")))
        return answer

    def _on_order(self, _header, _payload, number):
        order = self.orders[int(number)]
        return {"status": "ready" if all(order["valid"]) else "pending",
                "identifiers": order["names"],
                "finalize": self.url(f"/finalize/{number}"),
                "authorizations": [self.url(f"/authz/{number}.{i}")
                                   for i in range(len(order["names"]))]}

    def _on_authz(self, _header, payload, number):
        order, i = (int(x) for x in number.split("."))
        value = self.orders[order]["names"][i]["value"]
        status = "valid" if self.orders[order]["valid"][i] else "pending"
        if payload:
            status = payload["status"]
        return {"status": status, "wildcard": value.startswith("*."),
                "identifier": {"type": "dns",
                               "value": value.removeprefix("*.")},
                "challenges": [self.challenge(number, status)]}

    def challenge(self, number, status):
        order = self.orders[int(number.split(".")[0])]
        return {"type": "dns-persist-01", "status": status,
                "url": self.url(f"/challenge/{number}"),
                "accounturi": self.challenge_accounturi or order["kid"],
                "issuer-domain-names": self.challenge_issuers}

    def _on_challenge(self, _header, payload, number):
        order, i = (int(x) for x in number.split("."))
        if payload is not None:
            self.orders[order]["valid"][i] = True
        return self.challenge(number, "valid")

    def _on_finalize(self, _header, _payload, _number):
        return Answer.problem(500, "serverInternal", "this CA issues nothing")


def _answer(value, status=200):
    return value if isinstance(value, Answer) else Answer.of(value, status)
