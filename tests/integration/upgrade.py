#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that earlier versions left (tests/upgrade) under today's programs."""

import contextlib
import json
import os
import shutil
import sqlite3
import sys

from lab import (GUARDIANCTL, GUARDIAND, TOKEN_HELPER, Lab, ROOT, expect,
                 run_cases, wait_for)


class Upgraded:
    """A copy of what one version left, with the modes that git does not keep."""

    def __init__(self, lab, left):
        self.lab = lab
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
        self.daemon = None

    def ctl(self, *args, ok=(0,), stdin=None):
        return self.lab.run([GUARDIANCTL, "--config", self.lab.dir / "etc",
                             *args], ok=ok, stdin=stdin)

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


def test_the_log_verifies_before_anything_runs(u):
    u.verify_log()


def test_the_registry_opens(u):
    u.start()
    for old in u.accounts:
        new = json.loads(u.ctl("--json", "account", "show",
                               old["name"]).stdout)["account"]
        expect(new["status"] == "valid", f"{old['name']}: {new['status']}")
        for member, value in old.items():
            expect(new[member] == value, f"{member}: {value} -> {new[member]}")


def test_the_old_registry_is_kept(u):
    """Whoever goes back finds what that version left, as it left it."""
    for db, version in (("registry.db.schema-1", 1), ("registry.db", 3)):
        with contextlib.closing(sqlite3.connect(u.lab.dir / "state" / db)) as c:
            expect(c.execute("pragma user_version").fetchall() == [(version,)],
                   f"{db} has schema {version}")
            names = [n for n, in c.execute("select name from account")]
            expect(sorted(names) == sorted(a["name"] for a in u.accounts),
                   f"{db}: {names}")


def test_what_is_new_is_not_there_yet(u):
    for old in u.accounts:
        new = json.loads(u.ctl("--json", "account", "show",
                               old["name"]).stdout)["account"]
        expect(new["meta"] is None and new["proof"] is None and
               new["issuers"] == [] and new["externalAccount"] is None,
               str(new))


def test_every_key_signs(u):
    u.ctl("token", "check", "lab")
    u.sign(u.accounts[0])


def test_a_suspension_holds(u):
    refused = u.sign(u.accounts[1], ok=(1,))
    expect("suspended" in refused.stderr, refused.stderr)
    u.ctl("resume", "account", u.accounts[1]["name"])
    u.sign(u.accounts[1])


def test_the_chain_goes_on(u):
    before = u.ctl("--json", "status", ok=(0, 1)).stdout
    expect(json.loads(before)["auditLine"] > 22, "numbers go on, too")
    u.stop()
    u.verify_log()


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


def main():
    failed, versions = 0, sorted((ROOT / "tests/upgrade").glob("*.*.*/"))
    expect(versions, "files of an earlier version")
    for left in versions:
        print(f"from {left.name}")
        with Lab("upgraded") as lab:
            failed |= run_cases([
                test_the_log_verifies_before_anything_runs,
                test_the_registry_opens,
                test_the_old_registry_is_kept,
                test_what_is_new_is_not_there_yet,
                test_every_key_signs,
                test_a_suspension_holds,
                test_the_chain_goes_on,
                test_a_changed_old_line_is_found,
            ], Upgraded(lab, left))
    return failed


if __name__ == "__main__":
    sys.exit(main())
