#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that earlier versions left (tests/upgrade) under today's programs:
they open, sign, go on with what was under way, rotate, and their log verifies.

The copy is a copy, and today's programs notice: where the version noted the
place of its registry, nothing is signed before the CA was asked. That CA is a
fake (kept_ca.py), on the port of a Pebble that is gone; so all of this is in a
network of its own, where nobody else has that port. A real Pebble is beside it,
for an account that begins in the old store.
"""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sqlite3
import struct
import sys

from kept_ca import KeptCa
from lab import (GUARDIANCTL, GUARDIAND, TOKEN_HELPER, Lab, ROOT, expect,
                 run_cases, thumbprint, wait_for)
from pebble_lab import Pebble, TxtServer

SCHEMA = 4      # today's
SUSPENDED = "rsa"
AT_ONCE = ("--grace", "0", "--settle", "0", "--cache-time", "0",
           "--order-drain", "1")


def query(db, sql):
    with contextlib.closing(sqlite3.connect(f"file:{db}?immutable=1",
                                            uri=True)) as c:
        return c.execute(sql).fetchall()


class Upgraded:
    """A copy of what one version left, with the modes that git does not keep."""

    def __init__(self, lab, left):
        self.lab, self.left = lab, left
        for name in ("state", "log", "token"):
            shutil.copytree(left / name, lab.folder(name, mode=0o700),
                            dirs_exist_ok=True)
            os.chmod(lab.dir / name, 0o700)
            for path in (lab.dir / name).iterdir():
                os.chmod(path, 0o600)
        for name in ("credential", "first-key"):
            lab.file(name, (left / name).read_bytes(), mode=0o600)
        config = (left / "guardian.conf").read_text(encoding="ascii")
        lab.file("etc/guardian.conf", config.replace("@DIR@", str(lab.dir)))
        lab.file("etc/policy.d/lab.policy",
                 (left / "lab.policy").read_text(encoding="ascii"))
        self.accounts = json.loads((left / "accounts.json").read_text())
        self.shown = json.loads((left / "shown.json").read_text())
        registry = left / "state/registry.db"
        self.schema = query(registry, "pragma user_version")[0][0]
        # Whose place in the file system was noted is known to be a copy.
        self.asks = query(registry, "select 1 from meta where name = 'place'")
        self.ca_file = ("--ca-file", lab.tls() / "ca.pem")
        self.daemon = self.ca = None

    def ctl(self, *args, ok=(0,), stdin=None):
        return self.lab.run([GUARDIANCTL, "--config", self.lab.dir / "etc",
                             *args], ok=ok, stdin=stdin)

    def json(self, *args, ok=(0,)):
        return json.loads(self.ctl("--json", *args, ok=ok).stdout)

    def account(self, name):
        return self.json("account", "show", name)["account"]

    def rotation(self, name):
        return next((r for r in self.json("rotate", "status", ok=(0, 1))
                     ["rotations"] if r["account"] == name), None)

    def start(self):
        self.daemon = self.lab.start(
            "guardiand", [GUARDIAND, "--config", self.lab.dir / "etc",
                          "--token-helper", TOKEN_HELPER])
        wait_for("the token", lambda: '"ok"' in self.ctl(
            "--json", "token", "list", ok=None).stdout)

    def stop(self):
        expect(self.lab.stop(self.daemon) == 0, "ended as asked")

    def sign(self, account, ok=(0,)):
        return self.ctl("sign", "--account", account["name"], "--url",
                        account["url"], "--nonce", "bm9uY2U", ok=ok)

    def verify_log(self):
        return self.ctl("audit", "verify", "--key-file",
                        self.lab.dir / "first-key").stdout

    def keys_of(self, name):
        return [p.name for p in (self.lab.dir / "token").glob(f"*:{name}:*")]


def test_the_log_verifies_before_anything_runs(u):
    u.verify_log()


def test_the_registry_opens(u):
    u.start()
    for old in u.accounts:
        new = u.account(old["name"])
        expect(new["status"] == ("needs-resolve" if u.asks else "valid"),
               f"{old['name']}: {new['status']}")
        for member, value in old.items():
            expect(new[member] == value, f"{member}: {value} -> {new[member]}")
        expect(thumbprint(new["jwk"]) == old["thumbprint"], str(new["jwk"]))
    names = sorted(a["name"] for a in u.json("account", "list")["accounts"])
    expect(names == sorted(a["name"] for a in u.accounts), str(names))


def test_the_old_registry_is_kept(u):
    """Whoever goes back finds what that version left, as it left it."""
    state = u.lab.dir / "state"
    kept = {p.name for p in state.glob("registry.db.schema-*")}
    older = u.schema < SCHEMA
    expect(kept == ({f"registry.db.schema-{u.schema}"} if older else set()),
           str(kept))
    for db, version in [("registry.db", SCHEMA), *((n, u.schema) for n in kept)]:
        with contextlib.closing(sqlite3.connect(state / db)) as c:
            expect(c.execute("pragma user_version").fetchall() == [(version,)],
                   f"{db} has schema {version}")
            names = [n for n, in c.execute("select name from account")]
            expect(sorted(names) == sorted(a["name"] for a in u.accounts),
                   f"{db}: {names}")


def test_what_it_listed_is_listed(u):
    for command, lists in u.shown.items():
        for rows, old in lists.items():
            new = u.json(*command.split(), ok=(0, 1))[rows]
            expect(len(new) == len(old), f"{command}: {old} -> {new}")
            for was, now in zip(old, new):
                # The end of a grace is the daemon's own business.
                if was.get("state") == "cleaned" and now["state"] == "done":
                    now["state"] = "cleaned"
                for member, value in was.items():
                    expect(now[member] == value,
                           f"{command}: {member}: {value} -> {now[member]}")


def test_what_is_new_is_not_there_yet(u):
    if u.schema != 1:
        return
    expect(u.json("records", "list")["records"] == [] and
           u.json("rotate", "status")["rotations"] == [], "nothing of that")
    for old in u.accounts:
        new = u.account(old["name"])
        expect(new["meta"] is None and new["proof"] is None and
               new["issuers"] == [] and new["externalAccount"] is None,
               str(new))


def test_a_copy_signs_nothing_before_the_ca_was_asked(u):
    """And what was under way is carried to its end, with the same two keys."""
    under_way = {a["name"]: u.rotation(a["name"]) for a in u.accounts}
    if u.asks:
        for account in u.accounts:
            u.sign(account, ok=(1,) if account["name"] == SUSPENDED else (75,))
    u.ca = KeptCa(u.lab, {a["url"]: u.account(a["name"])["jwk"]
                          for a in u.accounts})
    for name, was in under_way.items():
        if u.asks or (was and not was["over"]):
            u.ctl("rotate", "resume", name, *u.ca_file)
        expect(u.account(name)["status"] == "valid", str(u.account(name)))
        if was:
            wait_for("its end", lambda n=name: u.rotation(n)["over"])
            now = u.rotation(name)
            expect(now["state"] == "done" and
                   now["newThumbprint"] == was["newThumbprint"], str(now))
            expect(u.account(name)["thumbprint"] == was["newThumbprint"],
                   "the new key is the account's")
    expect([c[0] for c in u.ca.changes] == [
        a["url"] for a in u.accounts if under_way[a["name"]] and
        under_way[a["name"]]["state"] == "draining"], str(u.ca.changes))


def test_every_key_signs(u):
    u.ctl("token", "check", "lab")
    for account in u.accounts:
        if account["name"] != SUSPENDED:
            u.sign(account)
            u.ctl("account", "prove", account["name"], *u.ca_file)


def test_a_suspension_holds(u):
    rsa = next(a for a in u.accounts if a["name"] == SUSPENDED)
    refused = u.sign(rsa, ok=(1,))
    expect("suspended" in refused.stderr, refused.stderr)
    u.ctl("resume", "account", SUSPENDED)
    u.sign(rsa)


def test_every_account_rotates_to_a_new_key(u):
    for account in u.accounts:
        name = account["name"]
        before, u.ca.changes = u.account(name), []
        u.ctl("rotate", "start", name, *AT_ONCE, *u.ca_file)
        after = u.account(name)
        expect(after["thumbprint"] != before["thumbprint"] and
               after["generation"] == before["generation"] + 1 and
               after["url"] == account["url"], str(after))
        expect(u.ca.changes == [(account["url"], before["thumbprint"],
                                 after["thumbprint"])], str(u.ca.changes))
        u.ctl("account", "prove", name, *u.ca_file)
        wait_for("the old key to be gone", lambda n=name, a=after: u.keys_of(n)
                 == [f"{a['keyLabel']}.key"])


def test_an_account_begins_in_the_old_store(u):
    """At a real Pebble, which has the last word on a rotation's bytes."""
    pebble = Pebble(u.lab, TxtServer(u.lab).address)
    u.ctl("account", "create", "new", "--token", "lab", "--directory",
          pebble.directory_url)
    u.ctl("account", "register", "new", "--agree-terms", *u.ca_file)
    before = u.account("new")
    u.ctl("rotate", "start", "new", *AT_ONCE, *u.ca_file)
    u.ctl("account", "prove", "new", *u.ca_file)
    after = u.account("new")
    expect(after["thumbprint"] != before["thumbprint"] and
           after["url"] == before["url"], str(after))


def test_the_chain_goes_on(u):
    u.stop()
    u.verify_log()
    old = [json.loads(line)["n"] for path in (u.left / "log").glob("audit*")
           for line in path.read_text().split("\n") if line.strip("\0")]
    new = [json.loads(line)["n"] for path in (u.lab.dir / "log").glob("audit*")
           for line in path.read_text().split("\n") if line.strip("\0")]
    expect(sorted(new) == list(range(min(old), max(new) + 1)) and
           max(new) > max(old), "numbers go on, too")
    print(f"# {u.left.name}: {len(old)} lines of its log verify, and "
          f"{len(new) - len(old)} of today's behind them")


def test_a_changed_old_line_is_found(u):
    """The old key still proves the old lines: what passed above can fail."""
    oldest = sorted((u.lab.dir / "log").glob("audit.jsonl.*"))[0]
    text = oldest.read_text(encoding="utf-8")
    oldest.write_text(text.replace("www.lab.example", "www.lab.exampla", 1),
                      encoding="utf-8")
    expect(text != oldest.read_text(encoding="utf-8"), "something was changed")
    found = u.ctl("audit", "verify", "--key-file", u.lab.dir / "first-key",
                  ok=(1,))
    expect(oldest.name in found.stdout + found.stderr, "the file is named")


def in_own_network():
    """This program again, with a loopback that is nobody else's."""
    if "--inside" not in sys.argv:
        os.execvp("unshare", ["unshare", "--net", "--", sys.executable,
                              os.path.abspath(sys.argv[0]), "--inside", *sys.argv[1:]])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        up = 0x1    # IFF_UP
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", up))


def main():
    in_own_network()
    failed, versions = 0, sorted((ROOT / "tests/upgrade").glob("*.*.*/"))
    expect(versions, "files of an earlier version")
    for left in versions:
        print(f"from {left.name}")
        with Lab("upgraded") as lab:
            failed |= run_cases([
                test_the_log_verifies_before_anything_runs,
                test_the_registry_opens,
                test_the_old_registry_is_kept,
                test_what_it_listed_is_listed,
                test_what_is_new_is_not_there_yet,
                test_a_copy_signs_nothing_before_the_ca_was_asked,
                test_every_key_signs,
                test_a_suspension_holds,
                test_every_account_rotates_to_a_new_key,
                test_an_account_begins_in_the_old_store,
                test_the_chain_goes_on,
                test_a_changed_old_line_is_found,
            ], Upgraded(lab, left))
    return failed


if __name__ == "__main__":
    sys.exit(main())
