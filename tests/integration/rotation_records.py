#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotation of an account whose records name its key (draft 02), in zones with a
publisher: published beside the old ones before the switch, seen on every server,
removed after it."""

import os
import pty
import subprocess
import sys
import time

from acme_client import csr
from lab import GUARDIANCTL, b64url, expect, wait_for
from pebble_lab import ISSUER
from rotation_lab import Signing, run
from rotation_records_lab import QUICK, RecordCases

MANY = 300


class Cases(RecordCases):
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


if __name__ == "__main__":
    sys.exit(run(Cases, "rotation-records"))
