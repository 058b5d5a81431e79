#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotations that are not the planned kind: to another token, type or account,
from and to a key outside, and with a thief about; against a real Pebble."""

import json
import os
import stat
import sys
import threading
import time

from acme_client import Client, Key, Problem, http_request, openssl, unb64
from daemon import verify
from https_peer import Answer
from lab import b64url, expect, thumbprint, wait_for
from rotation_lab import (KEY_CHANGE, NAME, QUICK, Cut, RotationCases, Signing,
                          inner_of, run)

ADMIN = "org.acmeguardian.Admin."


def sign_with(key, jws):
    """What the daemon composed, signed by a key outside."""
    text = f"{jws['protected']}.{jws['payload']}".encode()
    return {**jws, "signature": b64url(key.sign(text))}


def answer_of(reply):
    """As guardianctl relays it."""
    answer = {"httpStatus": reply.status}
    try:
        body = json.loads(reply.body or b"{}")
    except ValueError:
        body = {}
    if reply.status >= 400:
        answer.update(problem=body.get("type"), detail=body.get("detail"))
    else:
        answer.update(accountStatus=body.get("status"))
        if "key" in body:
            answer.update(thumbprint=thumbprint(body["key"]))
    if reply.headers.get("Location"):
        answer["location"] = reply.headers["Location"]
    return {k: v for k, v in answer.items() if v is not None}


class Cases(RotationCases):
    def __init__(self, lab):
        super().__init__(lab)
        self.ca_file = lab.tls() / "ca.pem"
        self.n = 0

    def account(self, ca=None, *more):
        """Another one, for one test alone."""
        self.n += 1
        name = f"a{self.n}"
        return name, self.w.registered(name, ca or self.ca, *more)

    def client(self, ca=None):
        """Another client, with a key and an account of its own."""
        c = Client((ca or self.ca).directory_url, self.ca_file)
        c.register("mailto:a@example.org")
        return c

    def rotate(self, name, *more, **how):
        return self.w.ctl("rotate", "start", name, *QUICK, *self.w.ca, *more,
                          **how)

    # By hand: what guardianctl does, question by question.

    def ask(self, name, ask, client, key=None, inner=None, **more):
        if not client.nonce:
            client.get(client.directory["newNonce"], "HEAD")
        nonce, client.nonce = client.nonce, None
        jws = self.w.must("RotationSign", account=name, ask=ask, nonce=nonce,
                          **({"inner": inner} if inner else {}), **more)
        expect(("signature" in jws) != (key is not None),
               f"{ask}: who signs it: {jws}")
        url = jws.pop("url")
        if key:
            jws = sign_with(key, jws)
        reply = http_request("POST", url, json.dumps(jws),
                             {"Content-Type": "application/jose+json"},
                             self.ca_file)
        client.nonce = reply.headers.get("Replay-Nonce")
        row = self.w.must("RotationAnswer", account=name, ask=ask, nonce=nonce,
                          answer=answer_of(reply))["rotation"]
        return row, reply

    def until(self, name, state):
        for _ in range(8):
            row = self.w.must("RotationStep", account=name)["rotation"]
            if row["state"] == state or row["ask"]:
                break
        expect(row["state"] == state, f"{row['state']}, not {state}: {row}")
        return row

    def adopt(self, client, name=None, ca=None, **more):
        self.n += 0 if name else 1
        name = name or f"b{self.n}"
        ca = ca or self.ca
        self.w.must("AccountAdopt", name=name, token="lab", **{
            "alg": "ES256", "directory": ca.directory_url, "url": client.url,
            "oldKey": client.key.jwk, "cacheTime": 0, **more})
        self.w.ctl("account", "directory", name, *self.w.ca)
        return name

    # Adoption: the old key is outside.

    def test_an_account_of_another_client_is_adopted(self):
        w, client = self.w, self.client()
        old = client.key
        name = self.adopt(client)
        a = w.account(name)
        expect(a["status"] == "adopting" and a["url"] == client.url and
               a["thumbprint"] == old.thumbprint, str(a))
        row = self.until(name, "switching")
        expect(row["kind"] == "adopt" and row["oldToken"] is None and
               row["ask"] == "key-change", str(row))
        row, _ = self.ask(name, "key-change", client, key=old)
        expect(row["state"] == "switched" and row["ask"] == "confirm-new-key",
               str(row))
        w.resume(name, says="done")
        a, on_token = self.works(name)
        expect(a["url"] == client.url and a["generation"] == 1 and
               on_token == {f"{name}:1": a["thumbprint"]}, f"{a} {on_token}")
        try:
            client.account()
            raise AssertionError("the old key opens it still")
        except Problem:
            pass

    def test_nothing_is_signed_before_it_is_ours(self):
        w, client = self.w, self.client()
        name = self.adopt(client)
        self.until(name, "switching")
        nonce = "abc"
        for method, more in (
                ("AccountSignProof", {}), ("AccountSignDeactivation", {}),
                ("AccountSignFetch", {"url": client.url}),
                ("AccountSignUpdate", {"termsOfServiceAgreed": True}),
                ("AccountSignRegistration", {"contacts": [],
                                             "termsOfServiceAgreed": True}),
                ("AccountSignOrder", {"domain": "a.example",
                                      "wildcard": False})):
            error, answer = w.admin_call(method, name=name, nonce=nonce, **more)
            expect(error == ADMIN + "WrongState", f"{method}: {error} {answer}")
        for method, more in (
                ("AccountRegistered", {"url": client.url, "status": "valid"}),
                ("AccountUpdated", {"status": "valid"}),
                ("AccountDeactivated", {})):
            error, answer = w.admin_call(method, name=name, **more)
            expect(error == ADMIN + "WrongState", f"{method}: {error} {answer}")
        expect(w.account(name)["status"] == "adopting", "still")
        w.ctl("token", "check", "lab")
        w.ctl("rotate", "abort", name, *w.ca, code=1,
              says="signed by a key outside")
        row, _ = self.ask(name, "try-old-key", client, key=client.key)
        self.until(name, "aborted")
        expect(client.account()["status"] == "valid", "the old key goes on")
        expect(not [k for k in w.keys_on_token() if k.startswith(f"{name}:")],
               "its key is destroyed")

    def test_an_adoption_begins_again_where_it_ended(self):
        w, client = self.w, self.client()
        name = self.adopt(client)
        self.until(name, "switching")
        self.adopt(client, name)
        expect(w.state(name) == "switching", "it goes on")
        w.restart_daemon()
        expect(w.account(name)["status"] == "adopting", "remembered")
        error, _ = w.admin_call(
            "AccountAdopt", name=name, token="lab", alg="ES256",
            directory=self.ca.directory_url, url=client.url + "0",
            oldKey=client.key.jwk)
        expect(error == ADMIN + "AccountExists", str(error))
        error, answer = w.admin_call(
            "AccountAdopt", name="another", token="lab", alg="ES256",
            directory=self.ca.directory_url, url=client.url,
            oldKey=client.key.jwk)
        expect(error == ADMIN + "InvalidValue" and name in answer["text"],
               f"{error} {answer}")
        w.must("RotationAbort", account=name)
        self.ask(name, "try-old-key", client, key=client.key)
        self.until(name, "aborted")
        self.adopt(client, name)
        self.until(name, "switching")
        self.ask(name, "key-change", client, key=client.key)
        w.resume(name, says="done")
        self.works(name)

    def test_an_adoption_whose_answer_is_lost(self):
        """The spending of the nonce is the old key's, too."""
        w, client = self.w, self.client()
        name = self.adopt(client)
        self.until(name, "switching")
        client.get(client.directory["newNonce"], "HEAD")
        w.must("RotationSign", account=name, ask="key-change",
               nonce=client.nonce)
        row = w.must("RotationAnswer", account=name, ask="key-change",
                     nonce=client.nonce, answer={"httpStatus": 0})["rotation"]
        client.nonce = None
        expect(row["state"] == "unresolved" and row["ask"] == "spend-nonce",
               str(row))
        row, _ = self.ask(name, "spend-nonce", client, key=client.key)
        expect(row["ask"] == "find-new-key", str(row))
        row, _ = self.ask(name, "find-new-key", client)
        row, _ = self.ask(name, "try-new-key", client)
        expect(row["ask"] == "try-old-key", str(row))
        row, _ = self.ask(name, "try-old-key", client, key=client.key)
        expect(row["state"] == "unresolved", str(row))


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-move"))
