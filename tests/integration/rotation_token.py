#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rotations to another token, to a key of another type, and to one that others made;
against a real Pebble."""

import sys

from lab import expect
from rotation_kinds_lab import KindCases
from rotation_lab import alone, run
from token_wire import own


class Cases(KindCases):
    def __init__(self, lab):
        super().__init__(lab, *self.hsm(lab), *self.full(lab), *self.soft(lab))

    @alone
    def test_another_token_and_back(self):
        w = self.w
        name, before = self.account()
        self.rotate(name, "--token", "hsm", says="done")
        a = w.account(name)
        w.ctl("account", "prove", name, *w.ca)
        w.ctl("rotate", "status", name, says="to token")
        expect(a["token"] == "hsm" and a["generation"] == 2 and
               a["url"] == before["url"], str(a))
        expect(w.keys_on_token("hsm").get(f"{name}:2") == a["thumbprint"],
               "on the other token")
        expect(not [k for k in w.keys_on_token() if k.startswith(f"{name}:")],
               "and not on the first any more")
        w.restart_daemon()
        w.ctl("account", "prove", name, *w.ca)
        self.rotate(name, "--token", "lab", "--key-type", "ec-p384",
                    says="done")
        a, on_token = self.works(name)
        expect(on_token == {f"{name}:3": a["thumbprint"]} and
               a["alg"] == "ES384", f"{a} {on_token}")
        w.ctl("rotate", "start", name, "--token", "none", *w.ca, code=1,
              says="none")

    @alone
    def test_from_software_to_a_token_and_not_back_by_accident(self):
        w = self.w
        name = "softly"
        w.ctl("account", "create", name, "--token", "soft", "--directory",
              self.ca.directory_url)
        w.ctl("account", "register", name, "--agree-terms", *w.ca)
        expect(w.account(name)["software"], "sealed")
        self.rotate(name, "--token", "lab", says="done")
        a, _ = self.works(name)
        expect(not a["software"], str(a))
        self.rotate(name, "--token", "soft", code=69,
                    says="encrypted software")
        expect(w.state(name) == "planned", "nothing has happened")
        self.works(name)
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        expect(not w.keys_on_token("soft"), "no key is left")
        self.rotate(name, "--token", "soft", "--accept-weaker-key", says="done")
        expect(w.account(name)["software"], "as was asked")

    @alone
    def test_a_key_that_an_hsm_team_made(self):
        w = self.w
        name, before = self.account()
        uri = "pkcs11:token=hsm;object="
        team = [uri + own(f"team-{i}").replace(":", "%3A") for i in (1, 2)]
        self.rotate(name, "--token", "hsm", "--new-key", team[0],
                    says="done")
        a = w.account(name)
        w.ctl("account", "prove", name, *w.ca)
        expect(a["keyLabel"] == own("team-1") and a["token"] == "hsm" and
               a["unproven"] == [], str(a))
        self.rotate(name, "--new-key", team[0], code=2,
                    says="the key that it has")
        self.rotate(name, "--new-key", uri + "nothing", code=69)
        # Neither type nor attributes are a surprise.
        self.rotate(name, "--new-key", uri + "team-rsa", code=69,
                    says="another kind")
        w.ctl("rotate", "abort", name, *w.ca,
              says=["aborted", "not named by us"])
        self.rotate(name, "--new-key", uri + "brought", code=69,
                    says="proves less")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        self.rotate(name, "--new-key", team[1],
                    says=["not named by us", "done"])
        w.ctl("account", "prove", name, *w.ca)
        self.rotate(name, says="done")
        expect(w.account(name)["keyLabel"].endswith(f":{name}:4"), "ours")
        w.ctl("account", "prove", name, *w.ca)

    @alone
    def test_a_token_that_is_full_leaves_the_old_key(self):
        w = self.w
        name, before = self.account()
        self.rotate(name, "--token", "full", code=69, says="full")
        expect(w.state(name) == "planned", w.state(name))
        self.works(name)
        w.resume(name, code=69, says="full")
        w.ctl("rotate", "abort", name, *w.ca, says="aborted")
        a, _ = self.works(name)
        expect(a["thumbprint"] == before["thumbprint"], "the old key goes on")
        self.rotate(name, "--token", "full", code=69)
        self.lab.file("full.rules", "\n")  # somebody made room
        w.resume(name, says="done")
        expect(w.account(name)["token"] == "full", "and then it goes on")
        w.ctl("account", "prove", name, *w.ca)

    def test_another_key_type(self):
        w = self.w
        name, before = self.account()
        for kind, alg in (("ec-p384", "ES384"), ("rsa-2048", "RS256"),
                          ("ec-p256", "ES256")):
            self.rotate(name, "--key-type", kind, says="done")
            a, on_token = self.works(name)
            expect(a["alg"] == alg and len(on_token) == 1, str(a))
        expect(a["generation"] == 4 and a["url"] == before["url"], str(a))
        w.ctl("rotate", "start", name, "--key-type", "dsa", *w.ca, code=64,
              says="ec-p256")


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-token", side_by_side=True))
