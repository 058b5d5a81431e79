#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts of other clients that are adopted: their old key is outside; against a real
Pebble."""

import sys
import time

from acme_client import Client, Problem
from lab import expect
from rotation_kinds_lab import KindCases
from rotation_lab import ADMIN, alone, run


class Cases(KindCases):
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
        w.keys_on_token()
        w.ctl("rotate", "abort", name, *w.ca, code=1,
              says="signed by a key outside")
        row, _ = self.ask(name, "try-old-key", client, key=client.key)
        self.until(name, "aborted")
        expect(client.account()["status"] == "valid", "the old key goes on")
        expect(not [k for k in w.keys_on_token() if k.startswith(f"{name}:")],
               "its key is destroyed")

    @alone
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
        key = w.account("main")["jwk"]
        for method, parameter, more in (
                ("AccountAdopt", "oldKey", {
                    "name": "another", "token": "lab", "alg": "ES256",
                    "directory": self.ca.directory_url,
                    "url": client.url + "0", "oldKey": key}),
                ("RotationStart", "toKey", {
                    "account": self.account()[0], "kind": "release",
                    "toKey": key})):
            error, answer = w.admin_call(method, **more)
            expect(error == ADMIN + "InvalidValue" and
                   answer["parameter"] == parameter, f"{error} {answer}")
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

    def test_another_clients_account_is_left_for_a_new_one(self):
        """Adoption where the CA changes no keys."""
        w, client = self.w, self.client()
        name = self.adopt(client, newAccount=True)
        row = self.until(name, "key-generated")
        expect(row["kind"] == "move" and row["ask"] == "register", str(row))
        expect(w.account(name)["status"] == "adopting", "not yet")
        helper = Client(self.ca.directory_url, self.ca_file)
        self.ask(name, "register", helper, termsOfServiceAgreed=True,
                 contacts=[])
        self.ask(name, "try-new-key", helper)
        row = self.until(name, "switched")
        while row["ask"] == "confirm-new-key":
            row, _ = self.ask(name, "confirm-new-key", helper)
            time.sleep(row["waitMs"] / 1000)
        w.ctl("account", "prove", name, *w.ca)
        row = self.until(name, "cleaned")
        expect(row["ask"] == "deactivate-old", str(row))
        row, _ = self.ask(name, "deactivate-old", client, key=client.key)
        self.until(name, "done")
        a, _ = self.works(name)
        expect(a["url"] != client.url, str(a))
        try:
            client.account()
            raise AssertionError("the old account is open")
        except Problem as e:
            expect(e.kind == "unauthorized", str(e))


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-adopt", side_by_side=True))
