#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Another account at the CA takes the place of one that there was; against a real
Pebble."""

import concurrent.futures
import json
import sys

from acme_client import Client
from https_peer import Answer
from lab import Varlink, b64url, expect, thumbprint, wait_for
from pebble_lab import ISSUER, Pebble
from rotation_kinds_lab import KindCases
from rotation_lab import (ADMIN, NAME, QUICK, Cut, KeyChangeRelay, Signing,
                          alone, run)


class Cases(KindCases):
    def deactivated(self, url, ca=None):
        """Did the CA answer so at that account's URL?"""
        ca = ca or self.ca
        path = url[len(ca.origin):]
        return any(r.path == path and b'"deactivated"' in a.body
                   for r, a in ca.answers)

    @alone
    def test_a_new_account_takes_its_place(self):
        """Its clients and their rules stay."""
        w = self.w
        before = w.account("main")
        old = Signing(w, self.ca.directory_url)
        old.issue(NAME)
        self.move("main", agree=False, code=1, says="--agree-terms")
        expect(w.state("main") in (None, "done"), "nothing was begun")
        self.move("main", says=["switched", "cleaned", "done"])
        a = self.moved("main", before)
        row = w.rotation("main")
        expect(row["kind"] == "move" and row["newUrl"] == a["url"], str(row))
        expect(self.deactivated(before["url"]), "the old one is deactivated")
        self.url = a["url"]
        self.dns.persist(NAME, f"{ISSUER}; accounturi={self.url}")
        self.issues()
        # A client that did not look again is told.
        error, answer = old.sign(old.directory["newOrder"], "abc", json.dumps(
            {"identifiers": [{"type": "dns", "value": NAME}]}))
        expect(error.endswith("KeyChanged") and
               answer["thumbprint"] == a["thumbprint"], f"{error} {answer}")
        self.is_late(before, a)

    def sign_input(self, a, thumbprint=None):
        """A fetch, as a client composes it that knows the account as @a."""
        head = {"alg": a["alg"], "kid": a["url"], "nonce": "abc",
                "url": self.ca.url("/my-order/1")}
        v = Varlink(self.w.client, timeout=90)
        return v.call("org.acmeguardian.Signer.SignInput", {
            "account": "main", "payload": "",
            "protected": b64url(json.dumps(head).encode()),
            **({"thumbprint": thumbprint} if thumbprint else {})})

    def is_late(self, before, after):
        """Who composed it with what was right before is told of the new key;
        who does not say so is wrong."""
        error, answer = self.sign_input(before, before["thumbprint"])
        expect(error and error.endswith("KeyChanged") and
               answer == {"thumbprint": after["thumbprint"]},
               f"{error} {answer}")
        error, answer = self.sign_input(before)
        expect(error and error.endswith("MalformedRequest"),
               f"{error} {answer}")
        error, answer = self.sign_input(after, before["thumbprint"])
        expect(error is None, f"{error} {answer}")

    @alone
    def test_what_waits_for_another_type_is_late(self):
        w = self.w
        before = w.account("main")
        w.must("RotationStart", account="main", alg="ES384", settle=0,
               cacheTime=0, orderDrain=0, grace=0)
        self.until("main", "switching")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(self.sign_input, before)
            wait_for("it to wait",
                     lambda: w.rotation("main")["waiting"] == 1)
            w.resume("main", says="done")
            error, answer = held.result(90)
        a = w.account("main")
        expect(error and error.endswith("KeyChanged") and
               answer == {"thumbprint": a["thumbprint"]}, f"{error} {answer}")
        self.is_late(before, a)
        self.rotate("main", "--key-type", "ec-p256", says="done")

    def test_a_ca_without_key_change(self):
        w, ca = self.w, self.relay()

        def without(request):
            if request.path != "/dir":
                return None
            answer = ca.forward(request)
            value = answer.json()
            del value["keyChange"]
            answer.body = json.dumps(value).encode()
            return answer

        ca.on_any = without
        name, before = self.account(ca)
        self.rotate(name, code=1, says=["key-change-unsupported",
                                        "account move"])
        self.move(name, says="done")
        self.moved(name, before)
        expect(self.deactivated(before["url"], ca), "the old one")

    def test_a_registration_that_is_refused_or_lost(self):
        w, ca = self.w, self.relay()
        name, before = self.account(ca)
        answers = [Answer.problem(403, "userActionRequired", "read it",
                                  [ca.fresh_nonce()]), Cut()]

        def on_any(request):
            if request.path != "/sign-me-up" or not answers:
                return None
            ca.forward(request)
            return answers.pop(0)

        ca.on_any = on_any
        self.move(name, code=1, says="read it")
        row = w.rotation(name)
        expect(row["state"] == "key-generated" and
               row["reason"] == "registration-refused", str(row))
        a, _ = self.works(name)
        expect(a["url"] == before["url"], "the old one goes on")
        w.resume(name, code=1, says="account move")
        self.move(name, says="done")
        expect(not answers, "and one was lost")
        self.moved(name, before)

    def test_an_account_of_somebody_else_is_not_moved_to(self):
        """A CA that says another's URL when it registers."""
        w, ca = self.w, self.relay()
        name, before = self.account(ca)
        victim = self.client(ca)

        def on_any(request):
            if request.path != "/sign-me-up":
                return None
            answer = ca.forward(request)
            answer.headers = [(k, v) for k, v in answer.headers
                              if k.lower() != "location"] + [
                                  ("Location", victim.url)]
            return answer

        ca.on_any = on_any
        self.move(name, code=1, says="malformed")
        row = w.rotation(name)
        expect(row["state"] == "key-generated" and
               row["reason"] == "account-not-ours", str(row))
        ca.on_any = None
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        a, _ = self.works(name)
        expect(a["url"] == before["url"], "the old one goes on")

    def test_a_move_that_is_aborted_leaves_all_as_it_was(self):
        """And, where it was registered, the new account's key."""
        w = self.w
        name, before = self.account()
        w.must("RotationStart", account=name, kind="move")
        w.must("RotationStep", account=name)
        client = Client(self.ca.directory_url, self.ca_file)
        row, _ = self.ask(name, "register", client, termsOfServiceAgreed=True,
                          contacts=[])
        expect(row["newUrl"] and row["newUrl"] != before["url"] and
               row["ask"] == "try-new-key", str(row))
        w.ctl("rotate", "abort", name, *w.ca,
              says=["aborted", "stays valid at the CA"])
        a, on_token = self.works(name)
        expect(a["url"] == before["url"] and
               on_token == {f"{name}:1": before["thumbprint"],
                            f"{name}:2": row["newThumbprint"]},
               f"{a} {on_token}")
        expect(w.account(name)["status"] == "valid", "and no surprise")
        self.rotate(name, says="done")
        a, on_token = self.works(name)
        expect(f"{name}:2" in on_token and a["generation"] == 3, f"{on_token}")

    def test_an_external_account_is_bound_to_the_new_key(self):
        w = self.w
        mac = b64url(bytes(range(32)))
        bound = KeyChangeRelay(self.lab, Pebble(
            self.lab, self.dns.address, "pebble-eab", eab={"kid-1": mac}))
        eab = ("--eab-kid", "kid-1", "--eab-key",
               f"file:{self.lab.file('eab.key', mac, mode=0o600)}")
        name = "bound"
        w.create(name, bound.directory_url)
        w.ctl("account", "register", name, "--agree-terms", *eab, *w.ca)
        before = w.account(name)
        self.move(name, code=1, says="external account binding")
        self.move(name, *eab, says="done")
        self.moved(name, before)

    @alone
    def test_what_was_lost_gets_a_new_account(self):
        """The way on after a thief; its old key and account are not ours."""
        w, ca = self.w, self.relay()
        name, before = self.account(ca)
        path = before["url"][len(ca.origin):]
        ca.on_any = lambda request: Answer.problem(
            400, "malformed", "JWS verification error",
            [ca.fresh_nonce()]) if request.path == path else None
        w.ctl("rotate", "start", name, "--compromised", *w.ca, code=1,
              says="account-lost")
        w.must("RotationStart", account=name, kind="move")
        row = w.rotation(name)
        expect(row["state"] == "planned" and row["lost"], str(row))
        error, _ = w.admin_call("AccountSignProof", name=name, nonce="abc")
        expect(error == ADMIN + "WrongState", "still")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        expect(w.rotation(name)["lost"], "it stays lost")
        w.ctl("status", code=1, says=f"account {name} signs nothing")
        w.ctl("rotate", "start", name, *w.ca, code=1)
        w.restart_daemon()
        self.move(name, says=["switched", "done"])
        self.moved(name, before, ca)
        expect(not self.deactivated(before["url"], ca), "not by us")
        w.ctl("rotate", "start", name, *QUICK, *w.ca, says="done")


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-move", side_by_side=True))
