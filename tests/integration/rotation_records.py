#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotation of an account whose records name its key (draft 02): published
beside the old ones before the switch, seen on every server, removed after it.
Two real BINDs, Pebble behind the adapter, zones with a publisher and without."""

import contextlib
import json
import os
import pty
import sqlite3
import subprocess
import sys
import time

from acme_client import csr, key_bound
from bind_lab import Bind
from draft02_adapter import Draft02Adapter
from https_peer import Answer
from lab import GUARDIANCTL, Lab, b64url, expect, run_cases, wait_for
from pebble_lab import ISSUER
from rotation_lab import KEY_CHANGE, RotationWorld, Signing

LABEL = "_validation-persist."
TTL = 1
QUICK = ("--settle", "0", "--cache-time", "0", "--order-drain", "600",
         "--grace", "0")
MANY = 300


class Adapter(Draft02Adapter):
    """Looks at DNS when the key changes; may answer keyChange itself."""
    on_key_change = None
    look = None
    seen = None

    def answer(self, request):
        if request.path == KEY_CHANGE:
            self.seen = self.look() if self.look else None
            if self.on_key_change:
                return self.on_key_change(lambda: super(
                    Adapter, self).answer(request))
        return super().answer(request)


class Cases:
    def __init__(self, lab):
        self.lab = lab
        self.ns1, self.ns2 = Bind(lab, "ns1"), Bind(lab, "ns2")
        self.key = self.ns1.key("persist")
        self.ns2.key("persist", secret=self.key)
        grant = ["grant persist zonesub TXT;"]
        for zone in ("auto.test", "hand.test", "split.test", "many.test",
                     "gone.test"):
            self.ns1.zone(zone, policy=grant, minimum=TTL,
                          also_notify=[self.ns2])
        # ns2 is told of one zone at once, and never of the other.
        self.ns2.secondary("auto.test", self.ns1)
        self.ns2.zone("split.test", policy=grant, minimum=TTL)
        self.ns1.start()
        self.ns2.start()
        self.w = RotationWorld(lab)
        self.ca = Adapter(lab, self.ns1.address, authz_reuse=0)
        for zone, more in (
                ("auto.test", self.updates()), ("many.test", self.updates()),
                ("split.test", self.updates()), ("hand.test", "")):
            servers = self.ns1.address
            if zone in ("auto.test", "split.test"):
                servers += f" {self.ns2.address}"
            self.zone_file(zone, servers, more)
        self.policy("one")
        self.n_accounts = 0

    def updates(self, server=None):
        file = self.lab.file("tsig", self.key + "\n", 0, 0o600)
        return (f"Publisher=rfc2136\nServer={server or self.ns1.address}\n"
                f"TsigName=persist\nTsigKey=file:{file}\n")

    def zone_file(self, zone, servers, more):
        self.lab.file(f"etc/zones.d/{zone}.zone",
                      f"[Zone]\nName={zone}\nServers={servers}\nTTL={TTL}\n"
                      + more)

    def policy(self, account):
        self.lab.file("etc/policy.d/test.policy",
                      f"[Client]\nUser=0\n[Allow]\nAccount={account}\n"
                      "AllowSuffix=test\nDomain=auto.test\n"
                      "Subdomains=auto.test hand.test\n")
        self.w.ctl("reload")

    def account(self, *domains, publish=True):
        """A new one, with records that are in DNS."""
        self.n_accounts += 1
        self.ca.look = self.ca.on_key_change = None
        self.name = f"a{self.n_accounts}"
        w = self.w
        w.registered(self.name, self.ca)
        w.ctl("account", "directory", self.name, *w.ca)
        w.ctl("account", "issuers", self.name, ISSUER)
        self.add(*domains)
        if publish:
            w.run("records", "publish", "--account", self.name, *w.ca)
            for d in domains:
                if d.endswith("hand.test"):
                    self.by_hand(d, self.thumbprint())
                if d.endswith("split.test"):
                    self.by_hand(d, self.thumbprint(), self.ns2)
        self.policy(self.name)
        return self.name

    def add(self, *domains, **how):
        if domains:
            self.w.ctl("records", "add", self.name, *domains, **how)

    # What is in DNS.

    def thumbprint(self):
        return self.w.account(self.name)["thumbprint"]

    def keys(self):
        r = self.w.rotation(self.name)
        return r["oldThumbprint"], r["newThumbprint"]

    def value(self, domain, thumbprint, more=""):
        url = self.w.account(self.name)["url"]
        return (f"{ISSUER}; accounturi="
                f"{key_bound(self.ca.prefix, domain, thumbprint, url)}{more}")

    def by_hand(self, domain, thumbprint, server=None, change="add"):
        zone = ".".join(domain.split(".")[-2:])
        ttl = f" {TTL}" if change == "add" else ""
        (server or self.ns1).add(
            "persist", zone, f'{change} {LABEL}{domain}.{ttl} TXT '
            f'"{self.value(domain, thumbprint)}"')

    def there(self, domain, server=None):
        return [t.replace('" "', "").strip('"')
                for t in (server or self.ns1).dig(LABEL + domain)]

    def expect_there(self, domain, *thumbprints, server=None):
        want = sorted(self.value(domain, t) for t in thumbprints)
        found = self.there(domain, server)
        expect(sorted(found) == want, f"{domain}: {found}, not {want}")

    # Commands.

    def rotate(self, *more, **how):
        quick = [x for pair in zip(QUICK[::2], QUICK[1::2])
                 if pair[0] not in more for x in pair]
        return self.w.ctl("rotate", "start", self.name, *quick, *self.w.ca,
                          *more, **how)

    def resume(self, *more, **how):
        return self.w.ctl("rotate", "resume", self.name, *self.w.ca,
                          *more, **how)

    def changes(self, *more, code=1):
        return self.w.ctl("rotate", "changes", self.name, *self.w.ca, *more,
                          code=code)

    def nsupdate(self, text):
        self.lab.run(["nsupdate", "-y", f"hmac-sha256:persist:{self.key}"],
                     stdin=f"server {self.ns1.host} {self.ns1.port}\n{text}")

    def states(self):
        """That the rotation has gone through, each once."""
        found = [e["detail"].split(":")[0] for e in self.w.audit()
                 if e.get("operation") == "rotation" and
                 e.get("account") == self.name]
        return [s for i, s in enumerate(found) if s not in found[:i]]

    def state(self):
        return self.w.state(self.name)

    def on_token(self):
        return [k for k in self.w.keys_on_token()
                if k.startswith(f"{self.name}:")]

    def only_new(self, *domains):
        old, new = self.keys()
        expect(self.state() == "done", self.state())
        expect(self.thumbprint() == new != old, "the account has the new key")
        expect(len(self.on_token()) == 1, f"{self.on_token()}")
        for d in domains:
            self.expect_there(d, new)

    def only_old(self, *domains):
        old, new = self.keys()
        expect(self.state() == "aborted", self.state())
        expect(self.thumbprint() == old != new, "the account has its old key")
        expect(len(self.on_token()) == 1, f"{self.on_token()}")
        for d in domains:
            self.expect_there(d, old)

    # ---- a zone with a publisher ----

    def test_the_whole_way(self):
        names = ["auto.test", "www.auto.test"]
        self.account(*names)
        before = self.thumbprint()
        self.ca.look = lambda: {
            (d, s.name): self.there(d, s) for d in names
            for s in (self.ns1, self.ns2)}
        out = self.rotate()
        expect(self.states() == [
            "planned", "key-generated", "records-published",
            "records-verified", "draining", "switching", "switched", "cleaned",
            "done"], f"{self.states()}")
        expect("skipped" not in out and "records-published: " in out, out)
        old, new = self.keys()
        expect(old == before, "the old key was the one before")
        for (domain, server), found in self.ca.seen.items():
            expect(set(found) == {self.value(domain, t) for t in (old, new)},
                   f"at the switch {server} had for {domain}: {found}")
        self.only_new(*names)
        for d in names:
            self.expect_there(d, new, server=self.ns2)
        self.ca.retain = False
        try:
            Signing(self.w, self.ca.directory_url, self.name).issue("auto.test")
        finally:
            self.ca.retain = True

    def test_what_is_published_meanwhile_is_no_finding(self):
        """Neither audit nor --remove-old nor publish takes the new key's
        records for an earlier one's; revoke takes them all."""
        self.account("audit.auto.test", "revoke.auto.test")
        end = self.draining("audit.auto.test")
        w = self.w
        w.ctl("records", "audit", "--domain", "audit.auto.test")
        w.ctl("records", "publish", "--account", self.name, "--remove-old",
              *w.ca)
        w.ctl("records", "publish", "--account", self.name, *w.ca)
        self.expect_there("audit.auto.test", *self.keys())
        w.ctl("records", "revoke", "revoke.auto.test", "--yes", *w.ca)
        expect(self.there("revoke.auto.test") == [], "both are gone")
        end()
        self.only_new("audit.auto.test")
        expect(self.there("revoke.auto.test") == [], "and stay so")
        w.ctl("names", "allow", "revoke.auto.test")

    def test_a_server_of_two_lacks_it(self):
        d = "x.split.test"
        self.account(d)
        out = self.rotate("--wait", "1", code=75,
                          says=[d, self.ns2.address, "does not have"])
        expect("cleaned" not in out, out)
        r = self.w.rotation(self.name)
        expect(r["state"] == "records-published" and
               r["reason"] == "records-not-everywhere" and
               self.ns2.address in r["text"] and r["actor"] == "ops", f"{r}")
        self.w.ctl("rotate", "status", self.name, says=self.ns2.address)
        self.resume("--wait", "0", code=75, says=self.ns2.address)
        self.by_hand(d, self.keys()[1], self.ns2)
        # Gone from ns1 alone, the old one is not gone.
        self.resume("--wait", "1", code=75, says=[self.ns2.address, "still has"])
        expect(self.state() == "switched", self.state())
        expect(self.w.rotation(self.name)["reason"] == "records-not-gone",
               "and says so")
        self.expect_there(d, self.keys()[1])
        self.by_hand(d, self.keys()[0], self.ns2, "delete")
        self.resume()
        self.only_new(d)

    def test_a_person_answers_for_a_zone(self):
        d = "y.split.test"
        self.account(d)
        self.rotate("--wait", "0", code=75)
        self.resume("--wait", "0", "--accept-unverified", "auto.test", code=75,
                    says=self.ns2.address)
        # The old record is gone from one server only, for which he answers too.
        self.resume("--wait", "0", "--accept-unverified", "SPLIT.test.")
        self.only_new(d)
        lines = [l for l in self.w.audit()
                 if l.get("operation") == "RotationAccept"]
        expect([l["detail"] for l in lines] == ["auto.test", "split.test"],
               f"{lines}")
        self.by_hand(d, self.keys()[0], self.ns2, "delete")
        # It was for that rotation alone.
        self.rotate("--wait", "0", code=75, says=self.ns2.address)
        self.abort()

    def abort(self, *more, **how):
        return self.w.ctl("rotate", "abort", self.name, *self.w.ca,
                          *more, **how)

    def test_start_may_accept(self):
        d = "z.split.test"
        self.account(d)
        self.rotate("--wait", "0", "--accept-unverified", "split.test")
        self.only_new(d)

    def test_a_server_that_is_silent_is_not_taken_for_good(self):
        d = "silent.auto.test"
        self.account(d)
        self.ns2.stop()
        try:
            self.rotate("--wait", "0", code=75,
                        says=[self.ns2.address, "does not tell"])
        finally:
            self.ns2.start()
        self.resume()
        self.only_new(d)

    def test_a_publisher_that_fails(self):
        d = "fails.auto.test"
        self.account(d)
        good = (self.lab.dir / "etc/zones.d/auto.test.zone").read_text()
        self.zone_file("auto.test", self.ns1.address,
                       self.updates().replace("persist\n", "nobody\n"))
        try:
            self.rotate(code=75, says=d)
        finally:
            self.lab.file("etc/zones.d/auto.test.zone", good)
        r = self.w.rotation(self.name)
        expect(r["state"] == "key-generated" and
               r["reason"] == "records-not-published" and d in r["text"],
               f"{r}")
        self.expect_there(d, self.keys()[0])
        self.resume()
        self.only_new(d)

    # ---- zones without one ----

    def test_by_hand(self):
        a, b = "a.hand.test", "b.auto.test"
        self.account(a, b)
        out = self.rotate(code=1, says="rotate resume")
        old, new = self.keys()
        expect(f"by hand    add {LABEL}{a}. " in out and b not in
               "".join(l for l in out.splitlines() if "by hand" in l), out)
        r = self.w.rotation(self.name)
        expect((r["state"], r["actor"]) == ("records-published", "operator"),
               f"{r}")
        self.expect_there(b, old, new)
        expect(self.changes() ==
               f'add {LABEL}{a}. {TTL} IN TXT "{self.value(a, new)}"\n',
               "the list, exactly")
        listed = json.loads(self.changes("--format", "json"))["changes"]
        expect([(c["action"], c["domain"], c["value"]) for c in listed] ==
               [("add", a, self.value(a, new))], f"{listed}")
        self.changes("--format", "zone", code=64)
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.changes(code=0)
        self.resume(code=1, says=f"remove {LABEL}{a}.")
        expect(self.state() == "switched", self.state())
        self.expect_there(a, old, new)
        self.expect_there(b, new)
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.expect_there(a, new)
        self.resume()
        self.only_new(a, b)
        self.changes(code=0)

    def is_due(self):
        self.w.must("AccountSetSchedule", name=self.name, rotate=3600,
                    settle=0, cacheTime=0, orderDrain=0, grace=0)
        self.w.kill_daemon()
        with contextlib.closing(sqlite3.connect(
                self.lab.dir / "state/registry.db")) as db:
            db.execute("UPDATE account SET key_since_s = 1 WHERE name = ?",
                       [self.name])
            db.commit()
        self.w.start_daemon()

    def due(self, **how):
        return self.w.ctl("rotate", "start", "--due", *self.w.ca, **how)

    def test_a_timer_rotates_what_has_publishers(self):
        self.account("t1.auto.test")
        self.is_due()
        self.due(says="done")
        self.only_new("t1.auto.test")

    def test_a_timer_asks_where_a_person_publishes(self):
        """It prepares the list, and fails until the records are there."""
        self.account("t2.auto.test", "t2.hand.test")
        self.is_due()
        out = self.due(code=1)
        old, new = self.keys()
        expect(self.value("t2.hand.test", new) in out.replace('" "', ""), out)
        expect(self.state() == "records-published" and
               self.thumbprint() == old, self.state())
        self.due(code=1)
        expect(self.thumbprint() == old, "nobody has published them")
        self.by_hand("t2.hand.test", new)
        self.due(code=1)  # the old ones are to be removed, again by hand
        expect(self.thumbprint() == new, self.state())
        self.by_hand("t2.hand.test", old, change="delete")
        self.due()
        self.only_new("t2.auto.test", "t2.hand.test")

    def test_by_hand_but_not_seen(self):
        d = "c.hand.test"
        self.account(d)
        self.rotate(code=1)
        self.resume("--accept-unverified", "hand.test")
        self.only_new()
        self.expect_there(d, self.keys()[0])
        self.by_hand(d, self.keys()[0], change="delete")

    # ---- the way back ----

    def test_abort_removes_the_new_ones(self):
        a, b = "d.hand.test", "d.auto.test"
        self.account(a, b)
        self.rotate(code=1)
        self.by_hand(a, self.keys()[1])
        self.abort(code=1, says=f"remove {LABEL}{a}.")
        r = self.w.rotation(self.name)
        expect((r["state"], r["actor"]) == ("aborting", "operator"), f"{r}")
        expect(len(self.on_token()) == 2, "the key is there as long as they")
        self.expect_there(b, self.keys()[0])
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.resume(code=1)  # which is what an abort ends with
        self.only_old(a, b)

    def test_a_refusal_removes_the_new_ones(self):
        d = "refused.auto.test"
        self.account(d)
        self.ca.on_key_change = lambda _: Answer(
            403, json.dumps({"type": "urn:ietf:params:acme:error:unauthorized",
                             "detail": "no"}).encode(),
            [("Content-Type", "application/problem+json"),
             self.ca.fresh_nonce()])
        self.rotate(code=1)
        self.only_old(d)
        expect(self.w.rotation(self.name)["reason"] == "refused", "and why")
        self.ca.on_key_change = None
        self.rotate()
        self.only_new(d)

    # ---- records that change meanwhile ----

    def draining(self, domain):
        """A rotation that drains for as long as end() was not called."""
        client = Signing(self.w, self.ca.directory_url, self.name)
        order = client.order(domain)
        p = self.w.start_ctl("rotate", "start", self.name, *QUICK, *self.w.ca)
        wait_for("draining", lambda: self.state() == "draining")

        def end():
            for authz in client.authorizations(order):
                done = client.validate(authz)
                expect(done["status"] == "valid", f"{done}")
            client.post(order["finalize"], {"csr": b64url(csr(domain))})
            out, _ = p.communicate(timeout=300)
            expect(p.returncode == 0, out)

        return end

    def test_a_record_that_is_added_meanwhile(self):
        a, b = "e.auto.test", "f.auto.test"
        self.account(a)
        end = self.draining(a)
        self.add(b)
        wait_for("draining again", lambda: self.state() == "draining" and
                 self.value(b, self.keys()[1]) in self.there(b))
        # What changes nothing changes nothing.
        since = self.w.rotation(self.name)["since"]
        self.add(b)
        expect(self.w.rotation(self.name)["since"] == since, "as it was")
        self.w.ctl("records", "add", self.name, a, "--persist-until", "2099-01-01")
        wait_for("draining again", lambda: self.state() == "draining" and len(
            [v for v in self.there(a) if "persistUntil" in v]) == 1)
        end()
        _, new = self.keys()
        self.expect_there(b, new)
        until = self.there(a)
        expect(len(until) == 1 and until[0].startswith(self.value(a, new)) and
               "persistUntil" in until[0], f"{until}")

    def test_the_first_record_meanwhile(self):
        """Nothing was to be published, and now there is something."""
        d = "first.auto.test"
        self.account()
        w, name = self.w, self.name
        w.must("RotationStart", account=name, settle=0, cacheTime=0,
               orderDrain=0, grace=0)
        for want in ("key-generated", "draining"):
            w.must("RotationStep", account=name)
            expect(self.state() == want, self.state())
        expect(w.rotation(name)["records"] is None, "none so far")
        self.add(d)
        expect(self.state() == "records-published", self.state())
        self.resume()
        self.only_new(d)

    # ---- other kinds ----

    def test_a_compromised_key_is_not_waited_for(self):
        d = "thief.auto.test"
        self.account(d)
        self.ca.look = lambda: self.there(d)
        old = self.thumbprint()
        out = self.rotate("--compromised")
        expect("records-published" not in out, out)
        expect(self.ca.seen == [self.value(d, old)], f"{self.ca.seen}")
        self.only_new(d)

    def test_an_emergency_does_not_wait_for_a_person(self):
        """Its records come after the switch, by hand as before."""
        d = "thief.hand.test"
        self.account(d)
        self.rotate(code=1)
        expect(self.state() == "records-published", self.state())
        old, new = self.keys()
        self.rotate("--compromised", code=1, says=["switched", "rotate resume"])
        r = self.w.rotation(self.name)
        expect(r["kind"] == "compromised" and self.thumbprint() == new != old,
               f"{r}")
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.resume(code=1, says=f"remove {LABEL}{d}.")
        self.nsupdate(self.changes("--format", "nsupdate"))
        self.resume()
        self.only_new(d)

    def test_a_new_account_has_its_records_first(self):
        d = "moves.auto.test"
        self.account(d)
        w = self.w
        before = w.account(self.name)
        w.ctl("account", "move", self.name, "--agree-terms", *QUICK, *w.ca)
        after = w.account(self.name)
        expect(after["url"] != before["url"], "another account")
        self.only_new(d)
        states = self.states()
        expect(states.index("records-verified") < states.index("switched"),
               f"{states}")

    def test_what_leaves_leaves_its_records(self):
        d = "leaves.auto.test"
        self.account(d)
        w, key = self.w, self.lab.dir / "leaves.pem"
        self.rotate("--to-key-file", key)
        old, new = self.keys()
        expect(self.state() == "done" and
               w.account(self.name)["status"] == "released", "it left")
        found = self.there(d)
        expect(len(found) == 1 and old != new, f"{found}")
        url = w.rotation(self.name)["records"]["newUrl"] or \
            w.account(self.name)["url"]
        expect(key_bound(self.ca.prefix, d, new, url) in found[0], f"{found}")

    def test_what_the_daemon_believes(self):
        d = "g.auto.test"
        self.account(d)
        w, name = self.w, self.name
        w.must("RotationStart", account=name, settle=0, cacheTime=0,
               orderDrain=0, grace=0)

        def claim(error, claim, revision=None, **more):
            got, answer = w.admin_call(
                "RotationRecords", account=name, claim=claim,
                revision=self.revision() if revision is None else revision,
                **more)
            expect(got == (error and
                           f"org.acmeguardian.Admin.{error}"),
                   f"{claim}: {got} {answer}")

        claim("WrongState", "publishing")  # there is no key yet
        w.must("RotationStep", account=name)
        expect(self.state() == "key-generated", self.state())
        old = self.revision()
        self.add("h.auto.test")
        claim("RecordsChanged", "published", old)
        claim("WrongState", "verified")
        claim("InvalidValue", "lacking")
        claim("InvalidValue", "lacking", reason="records-else", text="x")
        claim("InvalidValue", "published", reason="records-by-hand", text="x")
        claim("InvalidValue", "verified", ttl=604801)
        claim("InvalidValue", "nothing")
        claim(None, "publishing", ttl=3)
        claim(None, "published")
        expect(self.state() == "records-published", self.state())
        old = self.revision()
        w.ctl("records", "remove", name, "h.auto.test")
        claim("RecordsChanged", "verified", old)
        claim("InvalidValue", "verified", unverified=["auto.test"])
        claim(None, "lacking", reason="records-not-everywhere", text="ns2")
        expect(w.rotation(name)["text"] == "ns2", "what it was told")
        claim(None, "verified", ttl=0)
        expect(self.state() == "records-verified", self.state())
        claim("WrongState", "verified")
        wait_for("caches", lambda: w.must(
            "RotationStep", account=name)["rotation"]["state"] == "draining")
        wait_for("a quiet moment", lambda: w.must(
            "RotationStep", account=name)["rotation"]["state"] == "switching")
        # Not now: it would be missed.
        error, answer = w.admin_call("RecordAdd", records=[
            {"account": name, "domain": "h.auto.test", "issuer": ISSUER}])
        expect(error == "org.acmeguardian.Admin.WrongState" and
               answer["state"] == "switching", f"{error} {answer}")
        self.add(d)  # which is there
        claim("WrongState", "old-removed")
        self.abort()
        self.only_old(d)
        # What was read in an earlier run of the daemon is not what is here.
        self.rotate("--grace", "600")
        expect(self.state() == "switched", self.state())
        old = self.revision()
        w.restart_daemon()
        claim("RecordsChanged", "old-removed", old)
        claim("WrongState", "old-removed")  # not before the grace

    def revision(self):
        return self.w.rotation(self.name)["records"]["revision"]

    # ---- values of which key ----

    def test_values_of_each_key(self):
        d = "i.auto.test"
        self.account(d)
        w = self.w

        def values(error=None, **more):
            got, answer = w.admin_call("RecordValues", account=self.name,
                                       **more)
            expect(got == (error and f"org.acmeguardian.Admin.{error}"),
                   f"{more}: {got} {answer}")
            return None if error else [v["value"] for v in answer["values"]]

        w.ctl("account", "prove", self.name, *w.ca)
        values("NoRotation", key="new")
        values("InvalidValue", key="next")
        w.must("RotationStart", account=self.name)
        values("WrongState", key="new")
        w.must("RotationStep", account=self.name)
        old, new = self.keys()
        expect(values() == values(key="old") == values(key="current") ==
               [self.value(d, old)], "the old one's")
        expect(values(key="new") == [self.value(d, new)], "the new one's")
        self.abort()

    # ---- who has no publisher and no terminal ----

    def test_many_with_a_bar(self):
        names = [f"n{i}.many.test" for i in range(MANY)]
        self.account(*names)
        begin = time.monotonic()
        r = self.on_terminal("rotate", "start", self.name, *QUICK,
                             *self.w.ca)
        print(f"{MANY} records rotated in {time.monotonic() - begin:.1f} s")
        expect("publishing [" in r and f"of {MANY}" in r and
               "looking [" in r, "a bar on a terminal")
        self.only_new(names[0], names[-1])
        expect(f"published: {MANY} of {MANY} records" in r, "what was done")

    def on_terminal(self, *args):
        ours, theirs = pty.openpty()
        p = subprocess.Popen([*map(str, [GUARDIANCTL, "--config", self.w.etc,
                                         *args])],
                             stdout=theirs, stderr=theirs,
                             stdin=subprocess.DEVNULL, cwd=self.lab.dir,
                             env={"PATH": os.environ["PATH"]})
        os.close(theirs)
        out = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:
                break
            if not more:
                break
            out += more
        os.close(ours)
        expect(p.wait() == 0, out.decode())
        return out.decode()

    def test_no_record_at_all(self):
        self.account()
        self.rotate()
        self.only_new()


def main():
    with Lab("rotation-records") as lab:
        made = Cases(lab)
        names = [n for n in Cases.__dict__ if n.startswith("test_") and
                 (len(sys.argv) < 2 or any(a in n for a in sys.argv[1:]))]
        expect(names, "no such test")
        return run_cases([getattr(made, n) for n in names])


if __name__ == "__main__":
    sys.exit(main())
