#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl issue again: what is due and what is not, by the CA's advice or without
it. Cases go on with the certificate of the one before them."""

import sys

from issue_lab import NAME, ZONE, IssueCases, payload, refusing, run
from lab import CLIENT_UID, expect


class Cases(IssueCases):
    def __init__(self, lab):
        super().__init__(lab)
        self.w.persist(f"w.{ZONE}", "policy=wildcard")
        self.w.issue("one", domains=[NAME])

    def test_twice_with_if_due(self):
        w = self.w
        said = w.issue("due", "--if-due", domains=[NAME])
        expect(said["changed"], f"{said}")
        before, orders = self.files("due"), w.relay.tried()
        said = [w.issue("due", "--if-due", domains=[NAME]) for _ in range(2)]
        expect(said[0] == said[1] and not said[0]["changed"] and
               said[0]["dueBy"] == "ari", f"{said}")
        expect(self.files("due") == before, "files as they were")
        expect(w.relay.tried() == orders, "no order")

    def short_serial(self, stem):
        """Pebble does not find what has a leading zero octet in its DER."""
        w = self.w
        while int(w.serial(stem)[:2], 16) >= 0x80:
            w.issue(stem, domains=[NAME])

    def test_due_by_the_ca_s_window(self):
        w = self.w
        self.short_serial("due")
        serial, key = w.serial("due"), w.key_of_file("due")
        w.window("due", 3600, 7200)
        expect(not w.issue("due", "--if-due", domains=[NAME])["changed"],
               "the window is to come")
        w.window("due", -7200, -3600)
        said = w.issue("due", "--if-due", domains=[NAME])
        expect(said["changed"] and said.get("replaces"), f"{said}")
        w.relay.change = lambda request, answer: (
            answer.__class__.problem(404, "malformed", "no such certificate")
            if request.path.startswith("/draft-ietf-acme-ari") or
            "/renewal-info/" in request.path.lower() else None)
        w.issue("due", "--if-due", domains=[NAME],
                says="does not know the certificate in place")
        w.relay.change = None
        sent = [payload(r) for r in w.relay.requests
                if r.path == "/order-plz"][-1]
        expect(sent["replaces"] == said["replaces"], f"{sent}")
        expect(w.serial("due") != serial, "another certificate")
        expect(w.key_of_file("due") == key, "the same key")
        expect(w.pair_fits("due") == (True, True), "a pair")

    def test_replaced_already(self):
        w = self.w
        self.short_serial("due")
        old = (w.out / "due.pem").read_bytes()
        w.window("due", -7200, -3600)
        expect(w.issue("due", "--if-due", domains=[NAME])["replaces"],
               "the first time")
        (w.out / "due.pem").write_bytes(old)
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="does not take the order as a replacement")
        expect(said["changed"] and "replaces" not in said, f"{said}")

    def test_replace_not_allowed(self):
        w = self.w
        w.policy("lab", "lab", "Operations=order finalize challenge fetch")
        w.ctl("reload")
        w.window("due", -7200, -3600)
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="does not allow the order as a replacement")
        expect(said["changed"] and "replaces" not in said, f"{said}")
        w.policy("lab", "lab")
        w.ctl("reload")

    def test_two_thirds_without_advice(self):
        w = self.w
        w.relay.change = lambda request, answer: (
            answer.__class__.problem(500, "serverInternal", "not today")
            if "renewalInfo" in request.path else None)
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="two thirds of the lifetime")
        expect(said["dueBy"] == "lifetime" and not said["changed"], f"{said}")
        # A CA that cannot be reached matters only when it is needed.
        w.relay.change = lambda request, answer: answer.__class__.problem(
            503, "serverInternal", "not today")
        said = w.issue("due", "--if-due", domains=[NAME],
                       says="without the CA's advice")
        expect(not said["changed"], f"{said}")
        w.issue("due", "--if-due", domains=[NAME, f"w.{ZONE}"], code=75,
                says="not today")

    def test_other_names_or_another_key_are_due(self):
        w = self.w
        both = [NAME, f"w.{ZONE}"]
        key = w.key_of_file("due")
        expect(w.issue("due", "--if-due", domains=both)["changed"], "names")
        expect(w.names("due") == sorted(both), f"{w.names('due')}")
        expect(w.key_of_file("due") == key, "the same key")
        expect(not w.issue("due", "--if-due", domains=both[::-1])["changed"],
               "in another order it is the same set")
        (w.out / "due.key").unlink()
        expect(w.issue("due", "--if-due", domains=both)["changed"], "no key")
        expect(w.key_of_file("due") != key, "a new key")
        w.lab.run(["install", "-o", str(CLIENT_UID), "-m", "600",
                   w.out / "one.key", w.out / "due.key"])
        expect(w.issue("due", "--if-due", domains=both)["changed"],
               "another key")
        expect(w.key_of_file("due") == w.key_of_file("one"), "it is used")
        expect(w.pair_fits("due") == (True, True), "a pair")
        w.issue("due", "--key-type", "rsa-2048", domains=both, code=78,
                says="is ec-p256, not rsa-2048")

    def systemctl(self, text):
        """The command line under a systemctl of the test's own."""
        fake = self.lab.file(f"systemctl-{len(text)}", f"#!/bin/sh\n{text}\n", mode=0o755)
        return ["unshare", "--mount", "sh", "-c", "mount --make-rprivate / && "
                "mount --bind \"$1\" /usr/bin/systemctl && shift && "
                "exec \"$@\"", "sh", fake, *self.lab.as_user(CLIENT_UID)]

    def test_reload_after_a_change_only(self):
        w = self.w
        log = w.lab.file("reloads", "", CLIENT_UID)
        good = self.systemctl(f'echo "$@" >> {log}')
        bad = self.systemctl("echo no such unit >&2; exit 5")
        argv = w.argv("reload", "--if-due", "--reload", "web.service",
                      "--reload", "mail@1.service", domains=[NAME])
        r = w.lab.run([*bad, *argv], ok=(1,))
        expect("certificate is in place" in r.stderr and
               w.pair_fits("reload") == (True, True), r.stderr)
        # Nothing is due, but what failed is still to be done.
        w.lab.run([*good, *argv])
        both = ("reload-or-restart -- web.service\n"
                "reload-or-restart -- mail@1.service\n")
        expect(log.read_text() == both, f"{log.read_text()}")
        w.lab.run([*good, *argv])
        expect(log.read_text() == both, f"{log.read_text()}")
        w.issue("reload", "--reload", "--now", domains=[NAME], code=64,
                says="the name of a unit")

    def test_limits_of_the_ca(self):
        w = self.w
        w.relay.change = refusing("/order-plz", 429, "rateLimited",
                                  "too many certificates",
                                  ("Retry-After", "7200"))
        w.issue("no", domains=[NAME], code=75,
                says=["rateLimited: too many certificates", "7200 s"])
        # Nor is it asked again when the order said what it replaces.
        w.window("due", -7200, -3600)
        before = w.relay.tried()
        w.issue("due", "--if-due", domains=[NAME], code=75,
                says="rateLimited")
        expect(w.relay.tried() == before + 1, "once")


if __name__ == "__main__":
    sys.exit(run(Cases))
