#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotation of an account's key against a real Pebble: no order fails, and every
answer of a CA leads to the state that it should."""

import contextlib
import json
import socket
import sys
import threading
import time

from acme_client import csr, unb64
from daemon_lab import verify
from https_peer import Answer
from lab import Varlink, b64url, expect, thumbprint, wait_for
from rotation_lab import (KEY_CHANGE, NAME, QUICK, SIGNER, Cut, Issuing,
                          RotationCases, Signing, inner_of, run)


class Cases(RotationCases):
    # The plain case.

    def test_a_rotation_from_start_to_end(self):
        w = self.w
        before = w.account("main")
        out = w.rotate(says=["skipped: records-published, records-verified",
                             "done"])
        order = [out.index(s) for s in ("key-generated:", "draining:",
                                        "switching:", "switched:", "cleaned:",
                                        "done:")]
        expect(order == sorted(order), out)
        a, on_token = self.works()
        expect(a["thumbprint"] != before["thumbprint"] and
               a["generation"] == 2 and a["url"] == before["url"], str(a))
        expect(on_token == {"main:2": a["thumbprint"]}, f"{on_token}")
        expect(f"from a fixed thumbprint have {before['thumbprint']} and "
               f"will need {a['thumbprint']}" in out, out)
        self.issues()
        lines = [l for l in w.audit() if l["type"] == "key"]
        told = [l["detail"] for l in lines if l["operation"] == "rotation"]
        expect([t.split(":")[0] for t in told] == [
            "planned", "key-generated", "draining", "switching", "switching",
            "switched", "switched", "cleaned", "done"], str(told))
        for operation, generation in (("generate", 2), ("destroy", 1)):
            expect(any(l["operation"] == operation and
                       l["detail"].endswith(f":main:{generation}")
                       for l in lines), f"{operation}: {lines}")

    def test_the_key_change_is_as_rfc_8555_says(self):
        w = self.w
        before = w.account("main")
        w.rotate()
        after = w.account("main")
        request = next(r for _, r in reversed(self.ca.seen)
                       if r.path == KEY_CHANGE)
        outer = request.json()
        head = json.loads(unb64(outer["protected"]))
        header, payload, inner = inner_of(request)
        where = self.ca.url(KEY_CHANGE)
        expect(head == {"alg": "ES256", "kid": self.url, "url": where,
                        "nonce": head["nonce"]}, str(head))
        expect(header == {"alg": "ES256", "jwk": after["jwk"], "url": where},
               str(header))
        expect(payload == {"account": self.url, "oldKey": before["jwk"]},
               str(payload))
        verify(self.lab, before["jwk"], outer, outer["signature"])
        verify(self.lab, after["jwk"], inner, inner["signature"])
        expect(thumbprint(after["jwk"]) == after["thumbprint"], str(after))

    def test_a_second_one_is_refused_with_the_first_ones_state(self):
        self.place("draining")
        self.w.ctl("rotate", "start", "main", *self.w.ca, code=1,
                   says=["under way", "draining since"])
        self.w.ctl("rotate", "status", "main", says=["draining", "ops"])
        self.w.ctl("rotate", "status", says=["main", "draining"])
        self.w.resume()

    # Clients meanwhile.

    def test_no_order_fails_while_keys_change(self):
        w = self.w
        self.ca.bad.clear()
        clients = [Issuing(w, self.ca.directory_url, self.dns, i)
                   for i in range(4)]
        wait_for("orders", lambda: all(c.issued for c in clients))
        for _ in range(2):
            w.rotate()
        more = [c.issued + 2 for c in clients]
        wait_for("orders after it", lambda: all(
            c.issued >= n or c.failed for c, n in zip(clients, more)))
        for c in clients:
            c.stop()
        expect(not any(c.failed for c in clients),
               str([c.failed for c in clients]))
        longest = max(x for c in clients for x in c.client.waits)
        # Settle and CacheTime are a second each; beyond a minute nobody waits.
        expect(1 < longest < 60, f"held for {longest} s")
        expect(all(nonce for _, _, nonce, _ in self.ca.bad), str(self.ca.bad))

    def test_an_open_order_is_waited_for(self):
        w = self.w
        c = Signing(w, self.ca.directory_url)
        order = c.order(NAME)
        ctl = w.start_ctl("rotate", "start", "main", "--settle", "0",
                          "--cache-time", "0", "--order-drain", "60",
                          "--grace", "0", *w.ca)
        wait_for("draining", lambda: w.state() == "draining")
        time.sleep(1)
        row = w.rotation()
        expect(row["state"] == "draining" and row["openOrders"] == 1 and
               not row["held"], str(row))
        for authz in c.authorizations(order):
            c.validate(authz)
        c.post(order["finalize"], {"csr": b64url(csr(NAME))})
        expect(ctl.wait(30) == 0, ctl.stdout.read())

    def test_an_order_that_is_left_open_is_not_waited_for_for_ever(self):
        w = self.w
        Signing(w, self.ca.directory_url).order(NAME)
        begin = time.monotonic()
        w.ctl("rotate", "start", "main", "--settle", "0", "--cache-time", "0",
              "--order-drain", "3", "--grace", "0", *w.ca)
        took = time.monotonic() - begin
        expect(2 < took < 60, f"{took} s")

    def test_what_was_signed_has_time_to_arrive(self):
        w = self.w
        self.place("draining", settle=3)
        c = Signing(w, self.ca.directory_url)
        c.get(c.directory["newNonce"], "HEAD")
        c.sign(self.url, c.nonce, "")
        signed = time.monotonic()
        w.resume()
        settled = self.ca.times(KEY_CHANGE)[-1] - signed
        expect(2.9 < settled, f"{settled} s after the last signature")

    def test_the_held_are_judged_again(self):
        """Who believes in the old key is told; who does not ask is served."""
        w = self.w
        self.place("switching", settle=0)
        c = Signing(w, self.ca.directory_url)
        old = c.facts["thumbprint"]
        results = {}

        def ask(name, url, payload, believed):
            v = Varlink(w.client, timeout=90)
            results[name] = v.call("org.acmeguardian.Signer.Sign", {
                "account": "main", "url": url, "nonce": "abc",
                "payload": payload, **({"thumbprint": believed} if believed
                                       else {})})

        order = json.dumps({"identifiers": [{"type": "dns", "value": NAME}]})
        lookup = '{"onlyReturnExisting":true}'
        asks = [("order", c.directory["newOrder"], order, old),
                ("fetch", self.url, "", old),
                ("other", c.directory["newOrder"], order, None),
                ("lookup", c.directory["newAccount"], lookup, None)]
        threads = [threading.Thread(target=ask, args=a) for a in asks]
        for t in threads:
            t.start()
        wait_for("them to wait", lambda: w.rotation()["waiting"] == 4)
        # What is refused anyway is not held for that.
        error, _ = c.varlink.call("org.acmeguardian.Signer.Sign", {
            "account": "main", "url": c.directory["newOrder"], "nonce": "abc",
            "payload": order.replace("www.apps", "evil")})
        expect(error.endswith("PolicyDenied"), str(error))
        w.resume()
        for t in threads:
            t.join()
        new = w.account("main")
        for name in ("order", "lookup"):
            error, answer = results[name]
            expect(error and error.endswith("KeyChanged") and
                   answer == {"thumbprint": new["thumbprint"]},
                   f"{name}: {results[name]}")
        for name in ("fetch", "other"):
            expect(results[name][0] is None, f"{name}: {results[name]}")
            jws = results[name][1]
            verify(self.lab, new["jwk"], jws, jws["signature"])

    def test_nobody_is_held_for_ever(self):
        """guardianctl is gone, and nothing was given out: it goes on as it
        was."""
        w = self.w
        self.place("switching")
        c = Signing(w, self.ca.directory_url)
        c.get(c.directory["newNonce"], "HEAD")
        begin = time.monotonic()
        error, answer = c.sign(self.url, c.nonce, "")
        expect(error is None and time.monotonic() - begin < 90,
               f"{error} {answer}")
        expect(w.state() == "draining", w.state())
        w.resume(says="done")

    def lacme(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(40)
        s.connect(str(self.lab.dir / "run/lacme.sock"))
        return s

    def test_a_lacme_is_waited_for_and_a_new_one_greeted_later(self):
        w = self.w
        first = self.lacme()
        old = w.account("main")["thumbprint"]
        expect(old.encode() in first.recv(4096), "greeted")
        ctl = w.start_ctl("rotate", "start", "main", "--settle", "8",
                          "--cache-time", "2", "--order-drain", "0",
                          "--grace", "0", *w.ca)
        wait_for("draining", lambda: w.state() == "draining")
        time.sleep(1)
        row = w.rotation()
        expect(row["state"] == "draining" and row["openConnections"] == 1,
               str(row))
        self.issues()  # so that there is something to settle
        first.close()
        wait_for("switching", lambda: w.state() == "switching")
        second = self.lacme()
        greeting = second.recv(4096)
        expect(old.encode() not in greeting, str(greeting))
        expect(ctl.wait(30) == 0, ctl.stdout.read())
        expect(w.account("main")["thumbprint"].encode() in greeting,
               str(greeting))
        second.close()

    def test_the_old_key_can_be_kept_and_never_signs_again(self):
        w = self.w
        before = w.account("main")
        w.rotate("main", "--keep-old-key", says="stays on the token")
        a, on_token = self.works()
        expect(before["thumbprint"] in on_token.values(), str(on_token))
        w.restart_daemon()
        a, on_token = self.works()
        expect(len(on_token) == 2, str(on_token))
        expect(self.issues().facts["thumbprint"] == a["thumbprint"], "new")

    def test_the_grace_is_waited_for_by_the_daemon(self):
        w = self.w
        w.ctl("rotate", "start", "main", "--settle", "0", "--cache-time", "0",
              "--order-drain", "0", "--grace", "90000", *w.ca,
              says=["cleaned", "after the grace"])
        row = w.rotation()
        expect(row["actor"] == "guardian" and row["due"] and
               row["waitMs"] > 80000000, str(row))
        _, on_token = self.works()
        n = len(on_token)
        w.resume(says="cleaned")
        expect(len(self.works()[1]) == n, "still there")
        w.kill_daemon()
        self.in_registry("update rotation set grace_s = 1")
        w.start_daemon()
        w.resume(says="done")
        expect(len(self.works()[1]) == n - 1, "destroyed")

    # What a CA says.

    def refuse(self, answer, reason):
        w, before = self.w, self.w.account("main")
        self.ca.on_key_change = lambda forward: answer
        w.rotate(code=1, says=["aborted", reason])
        self.ca.on_key_change = None
        told = [l["detail"].split(":")[0] for l in w.audit()
                if l["type"] == "key" and l["operation"] == "rotation"]
        expect(told[-4:] == ["switching", "switch-refused", "aborting",
                             "aborted"], str(told))
        a, on_token = self.works()
        expect(a["thumbprint"] == before["thumbprint"], "the old key goes on")
        expect(f"main:{a['generation'] + 1}" not in on_token, str(on_token))
        row = w.rotation()
        expect(row["reason"] == reason and row["over"], str(row))
        self.issues()

    def test_a_ca_that_refuses_leaves_the_old_key(self):
        for answer, reason in (
                (Answer(409, b"", [("Location", "https://ca.localhost/x")]),
                 "key-in-use"),
                (Answer.problem(400, "malformed", "no"), "refused"),
                (Answer.problem(403, "unauthorized", "no"), "refused"),
                (Answer.problem(429, "rateLimited", "later"), "rate-limited"),
                (Answer(404, b"not found"), "key-change-unsupported"),
                (Answer(501, b""), "key-change-unsupported"),
                (Answer.problem(500, "serverInternal", "Not implemented"),
                 "key-change-unsupported")):
            self.refuse(answer, reason)

    def test_a_ca_without_key_change_is_told_at_once(self):
        def without(request):
            if request.path != "/dir":
                return None
            answer = self.ca.forward(request)
            value = answer.json()
            del value["keyChange"]
            answer.body = json.dumps(value).encode()
            return answer

        self.ca.on_any = without
        self.w.rotate(code=1, says="key-change-unsupported")
        self.ca.on_any = None
        self.w.ctl("account", "directory", "main", *self.w.ca)

    def test_another_nonce_is_another_request(self):
        tries = []

        def twice(forward):
            tries.append(1)
            if len(tries) < 3:
                return Answer.problem(400, "badNonce", "another", [
                    self.ca.fresh_nonce()])
            return forward()

        self.ca.on_key_change = twice
        self.w.rotate(says="done")
        self.ca.on_key_change = None
        expect(len(tries) == 3, str(tries))
        self.works()

    def test_a_nonce_that_is_never_good_ends_it(self):
        self.refuse(Answer.problem(400, "badNonce", "another"), "bad-nonce")

    def test_a_second_driver_waits_for_the_first(self):
        w = self.w
        begun, go_on = threading.Event(), threading.Event()

        def slowly(forward):
            begun.set()
            go_on.wait(30)
            return forward()

        self.ca.on_key_change = slowly
        first = w.start_ctl("rotate", "start", "main", *QUICK, *w.ca)
        expect(begun.wait(30), "keyChange")
        second = w.start_ctl("rotate", "resume", "main", *w.ca)
        row = w.rotation()
        expect(row["state"] == "switching" and "waited for" in row["next"],
               str(row))
        go_on.set()
        for driver in first, second:
            out = driver.communicate(timeout=60)[0]
            expect(driver.returncode == 0 and "unresolved" not in out, out)
        self.ca.on_key_change = None
        self.works()

    def test_many_drivers_end_one_rotation(self):
        """Whatever one of them asks may be no question any more."""
        w = self.w
        w.must("RotationStart", account="main", settle=1, cacheTime=1,
               orderDrain=0, grace=0)
        drivers = [w.start_ctl("rotate", "resume", "main", *w.ca)
                   for _ in range(6)]
        for driver in drivers:
            out = driver.communicate(timeout=120)[0]
            expect(driver.returncode == 0 and "done:" in out, out)
        self.works()

    @contextlib.contextmanager
    def while_switching(self):
        """The CA's answer to keyChange comes when this is over; then whoever
        rotates is waited for."""
        w = self.w
        begun, go_on = threading.Event(), threading.Event()

        def slowly(forward):
            begun.set()
            go_on.wait(50)
            return forward()

        self.ca.on_key_change = slowly
        driver = w.start_ctl("rotate", "start", "main", *QUICK, *w.ca)
        try:
            expect(begun.wait(60), "keyChange")
            yield
        finally:
            go_on.set()
            out = driver.communicate(timeout=60)[0]
            self.ca.on_key_change = None
        expect(driver.returncode == 0, out)

    def ask_key_authorization(self):
        v = Varlink(self.w.client, timeout=90)
        with contextlib.suppress(OSError):
            v.send(SIGNER + "KeyAuthorization",
                   {"account": "main", "token": "A" * 43})
        return v

    def test_what_clients_hold_does_not_keep_operators_out(self):
        w = self.w
        with self.while_switching():
            # Some that other tests left open count, too.
            held = [self.ask_key_authorization() for _ in range(64)]
            wait_for("many to be held", lambda: w.rotation()["waiting"] > 30)
            wait_for("no client to be served", lambda: not self.is_served())
            w.ctl("token", "list")
        new = w.account("main")["thumbprint"]
        served = 0
        for v in held:
            with contextlib.suppress(ConnectionResetError):
                error, answer = v.receive()
                expect(not error and answer["keyAuthorization"].endswith(new),
                       f"{error} {answer}")
                served += 1
            v.close()
        expect(served > 30, str(served))

    def is_served(self):
        v = Varlink(self.w.client)
        try:
            v.call("org.varlink.service.GetInfo")
            return True
        except OSError:
            return False
        finally:
            v.close()

    def test_a_held_key_authorization_is_judged_again(self):
        """The rules were reloaded while it was held."""
        w = self.w
        policy = self.lab.dir / "etc/policy.d/test.policy"
        before = policy.read_text()
        try:
            with self.while_switching():
                v = self.ask_key_authorization()
                wait_for("it is held", lambda: w.rotation()["waiting"] == 1)
                policy.write_text(before.replace("Account=main",
                                                 "Account=other"))
                w.ctl("reload")
            error, answer = v.receive()
            v.close()
        finally:
            policy.write_text(before)
            w.ctl("reload")
        expect(error == SIGNER + "UnknownAccount", f"{error} {answer}")

    def test_an_answer_that_is_lost_after_the_switch(self):
        for answer in (Cut(), Answer(502, b"<html>"),
                       Answer.problem(500, "serverInternal", "?"),
                       Answer(302, b"", [("Location", "/")])):
            before = self.w.account("main")

            def lost(forward, answer=answer):
                expect(forward().status == 200, "Pebble switched")
                return answer

            self.ca.on_key_change = lost
            self.w.rotate(says=["unresolved", "switched", "done"])
            self.ca.on_key_change = None
            a, _ = self.works()
            expect(a["thumbprint"] != before["thumbprint"], "switched")
        self.issues()

    def test_front_ends_that_know_the_old_key_for_a_while(self):
        """Answered at once, done three seconds later, as caches do."""
        w = self.w
        timers = []

        def later(forward):
            timers.append(threading.Timer(3, forward))
            timers[0].start()
            return Answer(headers=[self.ca.fresh_nonce()])

        self.ca.on_key_change = later
        self.ca.bad.clear()
        clients = [Issuing(w, self.ca.directory_url, self.dns, f"l{i}")
                   for i in range(2)]
        wait_for("orders", lambda: all(c.issued for c in clients))
        w.rotate()
        self.ca.on_key_change = None
        more = [c.issued + 2 for c in clients]
        wait_for("orders after it", lambda: all(
            c.issued >= n or c.failed for c, n in zip(clients, more)))
        for c in clients:
            c.stop()
        expect(not any(c.failed for c in clients),
               str([c.failed for c in clients]))
        self.works()

    def test_what_only_time_can_tell(self):
        """Four accounts at once, since each takes a minute."""
        w = self.w
        late, foreign, thief = self.relay(), self.relay(), self.relay()
        cas = {"late": late, "foreign": foreign, "thief": thief}
        old = {n: w.registered(n, ca)["thumbprint"] for n, ca in cas.items()}
        after = []

        def apply_late(forward):
            threading.Timer(5, lambda: after.append(forward())).start()
            return Cut()

        def another(request):
            if request.path == "/sign-me-up":
                return Answer.of({"status": "valid"}, headers=[
                    ("Location", foreign.url("/my-account/1")),
                    foreign.fresh_nonce()])
            return None

        def neither(request):
            if request.path in ("/dir", "/nonce-plz", KEY_CHANGE):
                return None
            return Answer.problem(400, "malformed", "JWS verification error",
                                  [thief.fresh_nonce()])

        late.on_key_change = apply_late
        foreign.on_key_change = thief.on_key_change = lambda forward: Cut()
        foreign.on_any, thief.on_any = another, neither
        runs = {n: w.start_ctl("rotate", "start", n, "--settle", "0",
                               "--cache-time", "0", "--order-drain", "0",
                               "--grace", "0", *w.ca) for n in cas}
        self.under_way(runs, "unresolved")
        w.ctl("status", code=1, says=["account late signs nothing",
                                      "unresolved"])
        w.ctl("account", "prove", "late", *w.ca, code=1, says="unresolved")
        begin = time.monotonic()
        out = {}
        for name, ctl in runs.items():
            out[name] = ctl.communicate(timeout=120)[0]
            expect(ctl.returncode == 1, out[name])
        expect(time.monotonic() - begin > 50, "not before a minute")
        # Its nonce was spent before: the late one came to nothing.
        expect(after and after[0].status == 400 and
               b"badNonce" in after[0].body, str(after))
        for name, reason in (("late", "answer-lost"),
                             ("foreign", "foreign-location")):
            row = w.rotation(name)
            expect(row["state"] == "aborted" and row["reason"] == reason,
                   str(row))
        expect(w.state("thief") == "account-lost", out["thief"])
        expect("Remove its records" in out["thief"], out["thief"])
        w.ctl("status", code=1, says="account thief signs nothing")
        w.ctl("rotate", "start", "thief", *w.ca, code=1, says="account-lost")
        w.ctl("rotate", "abort", "thief", code=1, says="account-lost")
        foreign.on_any = thief.on_any = None
        for name in ("late", "foreign"):
            a, on_token = self.works(name)
            expect(a["thumbprint"] == old[name] and len(on_token) == 1,
                   f"{name}: {on_token}")
        # The CA was wrong: asked again, it says so.
        ctl = w.start_ctl("rotate", "resume", "thief", *w.ca)
        text = ctl.communicate(timeout=120)[0]
        expect(ctl.returncode == 1 and w.state("thief") == "aborted", text)
        expect(self.works("thief")[0]["thumbprint"] == old["thief"], "old")


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation"))
