#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account that somebody else has: its records leave DNS, and a new account
takes its place; at a real BIND and a real Pebble."""

import sys

from bind_lab import Bind
from https_peer import Answer
from lab import expect, free_port
from pebble_lab import ISSUER, Pebble
from rotation_lab import KeyChangeRelay, QUICK, RotationWorld, run

LABEL = "_validation-persist"


class Cases:
    def __init__(self, lab):
        self.lab = lab
        self.bind = Bind(lab, "ns1")
        self.key = self.bind.key("persist")
        self.bind.zone("one.test", [
            '@ CAA 0 issue "ca.lab.example"', '@ CAA 0 issue "other.example"',
            'www CAA 0 issue "ca.lab.example"'],
            policy=["grant persist zonesub TXT;"])
        self.bind.zone("hand.test", policy=["grant persist zonesub TXT;"])
        self.bind.start()
        self.w = RotationWorld(lab)
        self.pebble = Pebble(lab, self.bind.address)
        self.lab.file("tsig", self.key + "\n", 0, 0o600)
        self.zone_file("one.test", "Publisher=rfc2136\n"
                       f"Server={self.bind.address}\nTsigName=persist\n"
                       f"TsigKey=file:{self.lab.dir}/tsig\n")
        self.zone_file("hand.test", "Publisher=manual\n")
        self.n = 0

    def zone_file(self, zone, more, servers=None):
        self.lab.file(f"etc/zones.d/{zone}.zone",
                      f"[Zone]\nName={zone}\n"
                      f"Servers={servers or self.bind.address}\n{more}")

    def account(self, *domains):
        """With published records, at a CA of its own origin."""
        self.n += 1
        name, ca = f"l{self.n}", KeyChangeRelay(self.lab, self.pebble)
        a = self.w.registered(name, ca)
        self.w.ctl("account", "directory", name, *self.w.ca)
        self.w.ctl("account", "issuers", name, ISSUER)
        self.w.ctl("account", "prove", name, *self.w.ca)
        self.w.ctl("records", "add", name, *domains)
        for d in domains:
            self.bind.add("persist", d.split(".", d.count(".") - 1)[-1],
                          f"add {LABEL}.{d}. 60 TXT \"{ISSUER}; accounturi="
                          f"{a['url']}\"")
        return name, ca, a["url"]

    def there(self, domain):
        return self.bind.dig(f"{LABEL}.{domain}")

    def lose(self, name, ca, url):
        path = url[len(ca.origin):]
        ca.on_any = lambda request: Answer.problem(
            400, "malformed", "JWS verification error",
            [ca.fresh_nonce()]) if request.path == path else None
        self.w.ctl("rotate", "start", name, "--compromised", *self.w.ca, code=1,
                   says=["account-lost", "records withdraw"])

    def withdraw(self, name, *more, **how):
        return self.w.ctl("records", "withdraw", name, "--yes", *more, **how)

    def test_its_records_leave_dns_and_nobody_elses(self):
        name, ca, url = self.account("one.test", "www.one.test", "a.one.test")
        foreign = f'{ISSUER}; accounturi=https://ca.example/acct/foreign'
        self.bind.add("persist", "one.test",
                      f'add {LABEL}.one.test. 60 TXT "{foreign}"')
        self.lose(name, ca, url)
        self.w.ctl("records", "withdraw", name, code=64, says="--yes")
        out = self.withdraw(name, says=[
            "no server has a record", 'remove one.test. 3600 IN CAA 0 issue '
            '"ca.lab.example"', 'add www.one.test. 3600 IN CAA 0 issue ";"',
            'add a.one.test. 3600 IN CAA 0 issue ";"'])
        expect("add one.test." not in out, f"another CA goes on there: {out}")
        expect(self.there("one.test") == [f'"{foreign}"'] and
               not self.there("www.one.test") and not self.there("a.one.test"),
               str(self.there("one.test")))
        # Nothing is forgotten: the next account has the same.
        rows = self.w.json("records", "list", "--account", name)["records"]
        expect(len(rows) == 3, str(rows))
        again = self.w.json("records", "withdraw", name, "--yes")
        expect(again["left"] == 0 and again["unpublish"]["changes"] == [],
               str(again))
        self.bind.add("persist", "one.test",
                      f"delete {LABEL}.one.test. TXT")

    def test_a_zone_by_hand_is_listed(self):
        name, ca, url = self.account("hand.test", "b.one.test")
        self.lose(name, ca, url)
        self.withdraw(name, code=1, says=[
            f"remove {LABEL}.hand.test. 3600 IN TXT", "by hand",
            "1 are still there"])
        expect(not self.there("b.one.test") and self.there("hand.test"),
               "by its publisher, and not")
        self.bind.add("persist", "hand.test",
                      f"delete {LABEL}.hand.test. TXT")
        self.withdraw(name, says="no server has a record")

    def test_a_server_that_is_silent_is_not_taken_for_a_no(self):
        name, ca, url = self.account("c.one.test")
        self.lose(name, ca, url)
        self.zone_file("one.test", "Publisher=rfc2136\n"
                       f"Server={self.bind.address}\nTsigName=persist\n"
                       f"TsigKey=file:{self.lab.dir}/tsig\n",
                       servers=f"{self.bind.address} 127.0.0.1:{free_port()}")
        try:
            self.withdraw(name, "--wait", "1", code=75,
                          says="of 1 nobody tells")
        finally:
            self.zone_file("one.test", "Publisher=rfc2136\n"
                           f"Server={self.bind.address}\nTsigName=persist\n"
                           f"TsigKey=file:{self.lab.dir}/tsig\n")
        self.withdraw(name)

    def test_a_new_account_is_named_when_there_is_one(self):
        name, ca, url = self.account("d.one.test")
        self.lose(name, ca, url)
        self.withdraw(name)
        self.w.must("RotationStart", account=name, kind="move")
        self.w.ctl("rotate", "abort", name, *self.w.ca, says="aborted")
        self.w.ctl("account", "move", name, "--agree-terms", *QUICK, *self.w.ca)
        new = self.w.account(name)["url"]
        expect(new != url, new)
        self.withdraw(name, code=1, says="has taken its place")


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-lost"))
