#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An account that somebody else has: its records leave DNS, and a new account
takes its place; at a real BIND and a real Pebble."""

import contextlib
import itertools
import pathlib
import re
import sqlite3
import sys

from bind_lab import Bind
from https_peer import Answer
from lab import DAEMON_UID, SOFTHSM, expect, free_port
from pebble_lab import ISSUER, Pebble
from rotation_lab import KeyChangeRelay, QUICK, RotationWorld, alone, run

LABEL = "_validation-persist"
RUNBOOK = pathlib.Path(__file__).parents[2] / "docs/operations.md"


def runbook(section):
    """The commands of a section, in its order."""
    text = RUNBOOK.read_text(encoding="utf-8")
    parts = re.split(r"^## (.*)\n", text, flags=re.M)
    found = dict(zip(parts[1::2], parts[2::2]))
    lines = re.findall(r"^ {7}(guardianctl .*)$", found[section], flags=re.M)
    expect(lines, f"commands in '{section}'")
    return lines


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
        env = lab.softhsm(DAEMON_UID, "other", folder="softhsm-other")
        lab.folder("other-state", DAEMON_UID, 0o700)
        self.w = RotationWorld(
            lab, "[Token other]", f"Module={SOFTHSM}",
            "Token=pkcs11:token=other",
            f"Pin=file:{lab.dir}/softhsm-other/pin",
            f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
            f"Directory={lab.dir}/other-state")
        self.pebble = Pebble(lab, self.bind.address)
        self.lab.file("tsig", self.key + "\n", 0, 0o600)
        self.zone_file("one.test", "Publisher=rfc2136\n"
                       f"Server={self.bind.address}\nTsigName=persist\n"
                       f"TsigKey=file:{self.lab.dir}/tsig\n")
        self.zone_file("hand.test", "Publisher=manual\n")
        self.numbers = itertools.count(1)

    def zone_file(self, zone, more, servers=None):
        self.lab.file(f"etc/zones.d/{zone}.zone",
                      f"[Zone]\nName={zone}\n"
                      f"Servers={servers or self.bind.address}\n{more}")

    def account(self, *domains):
        """With published records, at a CA of its own origin."""
        name, ca = f"l{next(self.numbers)}", KeyChangeRelay(self.lab, self.pebble)
        a = self.w.registered(name, ca)
        self.w.ctl("account", "directory", name, *self.w.ca)
        self.w.ctl("account", "issuers", name, ISSUER)
        self.w.ctl("account", "prove", name, *self.w.ca)
        self.w.ctl("records", "add", name, *domains)
        for d in domains:
            self.bind.add("persist", d.split(".", d.count(".") - 1)[-1],
                          f"add {LABEL}.{d}. 1 TXT \"{ISSUER}; accounturi="
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

    @alone
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

    # docs/operations.md: each command, as it stands there.

    def follow(self, section, codes=None, says=None, before=None, **values):
        """@codes, @says, @before: by the beginning of a command."""
        last = {}

        def of(table, line, otherwise):
            return next((v for k, v in (table or {}).items()
                         if line.startswith(k)), otherwise)

        for line in runbook(section):
            made = of(before, line, None)
            if made:
                made()
            for name, value in values.items():
                line = line.replace(name, str(value))
            last[line] = self.w.ctl(
                *line.split()[1:], code=of(codes, line[len("guardianctl "):],
                                           0),
                says=of(says, line[len("guardianctl "):], None))
        return last

    def described(self, name, ca):
        """CaFile= is in the account's file: no command needs --ca-file."""
        self.w.wish(name, f"Directory={ca.directory_url}", "Token=lab",
                    f"CaFile={self.lab.tls()}/ca.pem")

    def test_runbook_emergency(self):
        name, ca, _ = self.account("e.one.test")
        self.described(name, ca)
        key = self.w.account(name)["thumbprint"]
        self.follow("Emergency: somebody may have the key", NAME=name,
                    THUMBPRINT=key, TIME="2026-01-01T00:00:00Z",
                    says={"rotate start": "done", "audit": "signatures"})
        expect(self.w.account(name)["thumbprint"] != key, "rotated")

    def test_runbook_the_account_is_lost(self):
        name, ca, url = self.account("f.one.test")
        self.described(name, ca)
        self.lose(name, ca, url)
        self.follow("The account is lost", NAME=name,
                    codes={"rotate resume": 1},
                    says={"rotate resume": "account-lost",
                          "account move": "switched:"})
        a = self.w.account(name)
        expect(a["url"] != url and self.there("f.one.test") == [
            f'"{ISSUER}; accounturi={a["url"]}"'], str(a))

    def test_runbook_moving_to_another_token(self):
        name, ca, _ = self.account("g.one.test")
        self.described(name, ca)
        self.follow("Moving to another token", NAME=name, TOKEN="other",
                    says={"rotate start": "cleaned"})
        a = self.w.account(name)
        expect(a["token"] == "other", str(a))

    @alone
    def test_runbook_a_ca_without_key_change(self):
        name, ca, url = self.account("h.one.test")
        self.described(name, ca)

        def in_a_day():
            self.w.kill_daemon()
            with contextlib.closing(sqlite3.connect(
                    self.lab.dir / "state/registry.db")) as db:
                db.execute("update rotation set grace_s = 0 where account = ?",
                           (name,))
                db.commit()
            self.w.start_daemon()

        self.follow("A CA that changes no keys", NAME=name,
                    before={"guardianctl rotate resume": in_a_day},
                    says={"account move": "switched:", "rotate resume": "done"})
        expect(self.w.account(name)["url"] != url, "another")

    def test_runbook_leaving(self):
        name, ca, url = self.account("i.one.test")
        self.described(name, ca)
        out = self.follow("Leaving", NAME=name, FILE=self.lab.dir / "left.pem",
                          says={"rotate start": "cleaned",
                                "account show": ["released", url]})
        expect(len(out) == 3 and (self.lab.dir / "left.pem").exists(), str(out))


if __name__ == "__main__":
    sys.exit(run(Cases, "acme-guardian-rotation-lost", side_by_side=True))
