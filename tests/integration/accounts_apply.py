#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl apply: files of accounts.d against real CAs, hundreds at once."""

import base64
import functools
import sys
import time

from accounts_lab import World
from broken_ca import BrokenCa
from lab import DAEMON_UID, SOFTHSM, Lab, expect, run_cases
from pebble_lab import ISSUER, Pebble, TxtServer
from token_lab import FAULTY

KID, MAC = "kid-1", base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip(
    "=")
MANY = 120


class Cases:
    def __init__(self, lab):
        rules = lab.file("faulty.rules", "C_GenerateKeyPair rv=0x31 after=1\n"
                         "C_GetTokenInfo limit=200\n")
        lab.folder("small-state", DAEMON_UID, 0o700)
        small = lab.softhsm(DAEMON_UID, "small", folder="softhsm-small")
        # A SoftHSM2 token, through a module that finds it full.
        self.lab, self.w = lab, World(lab, [
            "[Token small]", f"Module={FAULTY}", "Token=pkcs11:token=small",
            f"Pin=file:{lab.dir}/softhsm-small/pin",
            f"Environment=FAULTY_MODULE={SOFTHSM}",
            f"Environment=FAULTY_RULES={rules}",
            f"Environment=SOFTHSM2_CONF={small['SOFTHSM2_CONF']}",
            f"Directory={lab.dir}/small-state"])
        self.tls = lab.tls() / "ca.pem"
        dns = TxtServer(lab)
        self.pebble = Pebble(lab, dns.address, nonce_reject=10)
        self.bound = Pebble(lab, dns.address, "pebble-eab", eab={KID: MAC})
        self.broken = BrokenCa(lab)
        self.key = lab.file("eab.key", MAC, mode=0o600)

    def alone(self, case):
        """With no files that one before has left, however that ended."""
        @functools.wraps(case)
        def run():
            self.w.unwish()
            self.broken.limits.clear()
            case()
        return run

    def wish(self, name, *more, ca=None, token="lab"):
        return self.w.wish(name, f"Directory={(ca or self.pebble).directory_url}",
                           f"Token={token}", f"CaFile={self.tls}", *more)

    def test_without_files_there_is_nothing_to_do(self):
        self.w.ctl("apply", says="0 accounts in files")
        self.w.ctl("apply", "--dry-run")

    def test_a_file_is_made_true_and_the_second_time_nothing(self):
        w = self.w
        self.wish("main", "AgreeTerms=yes", "Contact=mailto:a@lab.example",
                  f"Issuer={ISSUER}", "KeyType=ec-p384")
        self.wish("eab", "AgreeTerms=yes", f"EabKid={KID}",
                  f"EabKey=file:{self.key}", ca=self.bound)
        out = w.ctl("apply", "--dry-run", code=1, says=[
            "token lab: room for 2 more keys is needed",
            "main: would make an ES384 key on the token lab",
            f"main: would register at {self.pebble.directory_url}",
            "main: would set its issuer names"])
        expect("done" not in out, out)
        expect(w.json("account", "list")["accounts"] == [], "nothing made")
        w.ctl("apply", says=["main: done: register at", "eab: done: register",
                             "2 changed"])
        a = w.account("main")
        expect(a["status"] == "valid" and a["alg"] == "ES384" and
               a["issuers"] == [ISSUER] and
               a["contacts"] == ["mailto:a@lab.example"], str(a))
        expect(w.account("eab")["externalAccount"] == KID, "bound")
        before = len(w.audit())
        w.ctl("apply", says=["0 changed, 0 that differ"])
        w.ctl("apply", "--dry-run", says="0 would be changed")
        calls = [l["operation"] for l in w.audit()[before:]
                 if l["type"] == "admin"]
        expect(set(calls) <= {"AccountList"}, f"only a look: {calls}")
        expect(w.json("apply") == {"accounts": [
            {"account": n, "done": [], "notDone": [], "code": 0}
            for n in ("eab", "main")], "withoutFile": 0, "code": 0}, "json")

    def test_what_can_be_changed_is_and_the_rest_is_said(self):
        w = self.w
        self.wish("main", "AgreeTerms=yes", "Contact=mailto:b@lab.example",
                  "Issuer=other.example", "KeyType=rsa-2048",
                  "Origins=https://b.example")
        w.ctl("apply", code=1, says=[
            "main: done: change its contacts",
            "main: done: set its issuer names",
            "main: NOT DONE: KeyType=", "needs a rotation",
            "main: NOT DONE: Origins=", "1 that differ and stay so"])
        a = w.account("main")
        expect(a["contacts"] == ["mailto:b@lab.example"] and
               a["issuers"] == ["other.example"] and a["alg"] == "ES384",
               str(a))
        self.wish("main", "KeyType=ec-p384", ca=self.bound, token="other")
        w.ctl("apply", code=1, says=["NOT DONE: Directory=", "NOT DONE: Token="])
        # Contacts are left alone where the file does not speak of them.
        self.wish("main", "KeyType=ec-p384", "Issuer=other.example")
        w.ctl("apply", says="0 changed")
        self.wish("main", "KeyType=ec-p384", "Issuer=other.example", "Contact=")
        w.ctl("apply", says="change its contacts")
        expect(w.account("main")["contacts"] == [], "none any more")

    def test_nothing_is_ever_deleted(self):
        w = self.w
        w.unwish()
        w.ctl("apply", says=["2 accounts have no file and are left alone"])
        expect(len(w.json("account", "list")["accounts"]) == 2, "both")

    def test_bad_files_change_nothing_and_say_where(self):
        w = self.w
        w.unwish()
        for lines, says in [
                (["Token=lab"], "Ca= or Directory= says which CA"),
                (["Ca=gts", "Directory=https://a.example/", "Token=lab"],
                 "bad.account:2: Ca= and Directory= exclude"),
                (["Ca=letsencript", "Token=lab"], "is no CA that"),
                (["Ca=gts"], "Token= says"),
                (["Ca=gts", "Token=lab", "KeyType=dsa"], "bad.account:4: "),
                (["Ca=gts", "Token=lab", "EabKid=x"], "need each other"),
                (["Ca=gts", "Token=lab", "EabKid=x", "EabKey=" + MAC],
                 "EabKey= is credential:NAME"),
                (["Ca=gts", "Token=lab", "AgreeTerms=perhaps"],
                 "bad.account:4: "),
                (["Ca=gts", "Token=lab", "Colour=red"], "bad.account:4: ")]:
            w.wish("bad", *lines)
            self.wish("good", "AgreeTerms=yes")
            w.ctl("apply", code=78, says=["bad.account", says])
        w.unwish()
        self.lab.file("etc/accounts.d/Bad Name.account", "[Account]\n")
        w.ctl("apply", code=78, says="an account's name")
        w.unwish()
        path = self.wish("good")
        path.chmod(0o666)
        w.ctl("apply", code=78, says="writable by its owner alone")
        w.unwish()
        expect(len(w.json("account", "list")["accounts"]) == 2, "as before")

    def test_one_that_fails_does_not_keep_others(self):
        w = self.w
        self.wish("a-terms")
        self.wish("b-token", "AgreeTerms=yes", token="none")
        self.wish("c-eab", "AgreeTerms=yes", ca=self.bound)
        self.wish("d-good", "AgreeTerms=yes")
        w.ctl("apply", code=1, says=[
            "a-terms: not registered: read the CA's terms of service",
            "no such token", "c-eab: this CA wants an external account",
            "d-good: done: register", "3 failed"])
        expect(w.account("d-good")["status"] == "valid", "d-good")
        expect(w.account("a-terms")["status"] == "created", "a-terms")
        # What was begun is gone on with.
        self.wish("a-terms", "AgreeTerms=yes")
        w.ctl("apply", code=1, says="a-terms: done: register")
        w.unwish()

    def test_a_full_token_is_tried_once(self):
        w = self.w
        for i in range(4):
            self.wish(f"full-{i}", "AgreeTerms=yes", token="small")
        self.wish("full-z", "AgreeTerms=yes")
        out = w.ctl("apply", code=69, says=[
            "warning: the token small will be full: it has 200 octets free, and "
            "4 more keys take 256 at the least", "token-full",
            "full-2: not made: the token small has no room",
            "full-3: not made:", "full-0: done: register",
            "full-z: done: register", "3 failed"])
        expect("full-1: done" not in out, out)
        names = {a["name"] for a in w.json("account", "list")["accounts"]}
        expect({"full-0", "full-z"} <= names and
               not {"full-1", "full-2", "full-3"} & names, str(names))
        w.unwish()

    def test_many_at_once_over_few_connections(self):
        w = self.w
        for i in range(MANY):
            self.wish(f"many-{i:03}", "AgreeTerms=yes")
        start = time.monotonic()
        w.ctl("apply", says=[f"token lab: room for {MANY} more keys",
                             f"{MANY} changed", "0 failed"])
        seconds = time.monotonic() - start
        print(f"        {MANY} accounts in {seconds:.1f} s", flush=True)
        w.ctl("apply", says="0 changed, 0 that differ")
        w.unwish()

    def test_a_ca_that_asks_to_wait_is_waited_for(self):
        w, ca = self.w, self.broken
        for i in range(3):
            self.wish(f"wait-{i}", ca=ca)
        ca.limits["/newAccount"] = [1, "2"]
        start = time.monotonic()
        w.ctl("apply", says=["asks to wait 2 s (HTTP status 429)",
                             "3 changed"])
        expect(time.monotonic() - start >= 2, "it waited")
        w.unwish()

    def test_longer_than_allowed_is_not_waited_and_nobody_else_asks(self):
        w, ca = self.w, self.broken
        for i in range(3):
            self.wish(f"later-{i}", ca=ca)
        self.wish("later-z", "AgreeTerms=yes")
        ca.limits["/newAccount"] = [100, "3600"]
        ca.requests.clear()
        w.ctl("apply", "--max-wait", "10", code=75, says=[
            "asks to wait 3600 s", "later-1: not now:", "later-2: not now:",
            "later-z: done: register"])
        expect(ca.paths("POST") == ["/newAccount"], str(ca.paths()))
        expect(len([p for p in ca.paths() if p == "/directory"]) == 1,
               "one look at the directory")
        ca.limits.clear()
        w.ctl("apply", says="0 failed")
        w.unwish()


def main():
    with Lab("acme-guardian-apply") as lab:
        made = Cases(lab)
        return run_cases([made.alone(getattr(made, n)) for n in Cases.__dict__
                          if n.startswith("test_")])


if __name__ == "__main__":
    sys.exit(main())
