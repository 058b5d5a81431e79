#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""backup and restore: while the daemon works, without anything that opens a key,
never over what is there; and an account that was rotated since gets the CA's
key."""

import base64
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
import tarfile
import threading

from lab import DAEMON_UID, expect
from rotation_kinds_lab import KindCases
from rotation_lab import RotationCases, run
from rotation_lost import runbook

PASSPHRASE = "correct horse battery"


class Cases(RotationCases):
    def __init__(self, lab):
        token = KindCases.soft(lab)
        self.key_file, self.store = lab.dir / "soft.key", lab.dir / "soft"
        super().__init__(lab, *token)
        self.state_dir = lab.dir / "state"
        self.w.ctl("account", "create", "soft", "--token", "soft",
                   "--directory", self.ca.directory_url)
        self.w.ctl("account", "register", "soft", "--agree-terms", *self.w.ca)
        self.w.must("AccountSetSchedule", name="main", settle=0, cacheTime=0,
                    orderDrain=0, grace=0)
        self.n = 0

    def file(self):
        self.n += 1
        return self.lab.dir / f"{self.n}.backup"

    def backup(self, *more, **how):
        path = self.file()
        self.w.ctl("backup", path, *more, **how)
        return path

    def restore(self, path, *more, **how):
        return self.w.ctl("restore", path, *more, **how)

    # ---- backup ----

    def test_it_has_the_registry_and_wrapped_keys_and_nothing_else(self):
        path = self.backup(says="2 files of sealed tokens")
        expect(path.stat().st_mode & 0o7777 == 0o600, oct(path.stat().st_mode))
        with tarfile.open(path) as tar:
            names = tar.getnames()
            data = {n: tar.extractfile(n).read() for n in names}
        keys = [n for n in names if n.endswith(":soft:1.key")]
        expect(len(keys) == 1 and sorted(names) == sorted(
            ["acme-guardian-backup", "registry.db", "SHA256SUMS",
             "sealed/soft/store.header", keys[0]]), str(names))
        for name in names[:-1]:
            expect(f"{hashlib.sha256(data[name]).hexdigest()}  {name}\n" in
                   data["SHA256SUMS"].decode(), name)
        about = json.loads(data["acme-guardian-backup"])
        expect(about["schema"] == 4 and about["instance"], str(about))
        whole = path.read_bytes()
        for secret in (self.key_file.read_bytes(), PASSPHRASE.encode(),
                       (self.state_dir / "audit.chain").read_bytes(), b"1234"
                       b"\n"):
            expect(secret and secret not in whole, f"a secret: {secret!r}")
        expect(data[keys[0]] == next(self.store.glob("*.key")).read_bytes(),
               "as it lies there")

    def test_the_registry_is_whole_while_others_write(self):
        stop = threading.Event()

        def write():
            n = 0
            while not stop.is_set():
                n += 1
                self.w.must("NameDeny", domain=f"n{n}.example.net")

        t = threading.Thread(target=write, daemon=True)
        t.start()
        try:
            path = self.backup()
        finally:
            stop.set()
            t.join(60)
        with tarfile.open(path) as tar:
            image = self.lab.dir / "image.db"
            image.write_bytes(tar.extractfile("registry.db").read())
        db = sqlite3.connect(image)
        expect(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)],
               "whole")
        expect(db.execute("SELECT count(*) FROM account").fetchone() == (2,),
               "accounts")
        db.close()

    def test_a_file_that_is_there_stays(self):
        path = self.file()
        path.write_text("mine")
        self.w.ctl("backup", path, code=1, says="is left as it is")
        expect(path.read_text() == "mine", "kept")

    def test_without_sealed_keys(self):
        with tarfile.open(self.backup("--registry-only")) as tar:
            expect(not [n for n in tar.getnames() if "sealed" in n], "keys")

    def test_one_at_a_time(self):
        first = self.w.must("BackupBegin")
        error, _ = self.w.admin_call("BackupBegin")
        expect(error and error.endswith(".Busy"), str(error))
        error, _ = self.w.admin_call("BackupRead", id="0" * 32, offset=0)
        expect(error and error.endswith(".WrongState"), str(error))
        error, _ = self.w.admin_call("BackupRead", id=first["id"],
                                     offset=first["size"])
        expect(error and error.endswith(".InvalidValue"), str(error))
        got = b""
        while len(got) < first["size"]:
            piece = self.w.must("BackupRead", id=first["id"], offset=len(got))
            got += base64url(piece["data"])
        self.backup()

    # ---- restore ----

    def test_a_running_daemon_is_left_alone(self):
        path = self.backup()
        self.restore(path, "--replace", code=1, says="acme-guardiand works")

    def test_what_is_there_is_put_aside_only_when_told(self):
        path = self.backup()
        self.w.kill_daemon()
        before = (self.state_dir / "registry.db").read_bytes()
        self.restore(path, code=1, says="--replace puts it aside")
        expect((self.state_dir / "registry.db").read_bytes() == before, "kept")
        self.restore(path, "--replace", says="restored")
        aside = list(self.state_dir.glob("registry.db.before-*"))
        expect(before in [p.read_bytes() for p in aside], str(aside))
        st = (self.state_dir / "registry.db").stat()
        expect(st.st_uid == DAEMON_UID and st.st_mode & 0o7777 == 0o600,
               str(st))
        self.w.start_daemon()
        self.resolve()

    def resolve(self):
        for name in ("main", "soft"):
            expect(self.w.account(name)["status"] == "needs-resolve", name)
            self.w.resume(name)
            self.w.ctl("account", "prove", name, *self.w.ca)

    def test_a_registry_is_put_aside_with_what_it_needs(self):
        """SQLite finds by the name what was not yet written to the file."""
        path = self.backup()
        for p in self.state_dir.glob("registry.db.before-*"):
            p.unlink()
        self.w.must("NameDeny", domain="late.example.net")
        self.w.kill_daemon()
        self.restore(path, "--replace")
        aside = sorted(self.state_dir.glob("registry.db.before-*"))
        wal = [p for p in aside if p.name.endswith("Z-wal")]
        expect(len(wal) == 1 and aside[0].name + "-wal" == wal[0].name,
               str(aside))
        db = sqlite3.connect(aside[0])
        expect(("late.example.net",) in db.execute(
            "SELECT name FROM denied").fetchall(), "the last commit")
        db.close()
        self.w.start_daemon()
        self.resolve()

    def test_a_restore_that_cannot_write_takes_nothing_away(self):
        path = self.backup()
        self.w.kill_daemon()
        before = (self.state_dir / "registry.db").read_bytes()
        (self.state_dir / ".restore").mkdir()
        self.restore(path, "--replace", code=78)
        expect((self.state_dir / "registry.db").read_bytes() == before, "kept")
        (self.state_dir / ".restore").rmdir()
        self.w.start_daemon()

    def refused(self, name, data, uid=DAEMON_UID):
        path = self.store / name
        old = path.read_bytes() if path.exists() else None
        path.write_bytes(data)
        os.chown(path, uid, uid)
        self.w.ctl("backup", self.file(), code=1,
                   says=[name, "no wrapped key"])
        if old is None:
            path.unlink()
        else:
            path.write_bytes(old)

    def test_only_what_is_wrapped_is_in_a_backup(self):
        key = next(self.store.glob("*.key")).read_bytes()
        self.refused("mine.key", b"-----BEGIN PRIVATE KEY-----\n")
        self.refused("store.header", b"x" * 200)
        self.refused("another.key", key, uid=0)
        aside = self.store.with_name("aside")
        self.store.rename(aside)
        self.store.symlink_to(aside)
        try:
            r = self.w.run("backup", self.file())
            expect(r.returncode and str(self.store) in r.stderr, str(r))
        finally:
            self.store.unlink()
            aside.rename(self.store)
        self.backup()

    def test_keys_that_only_the_present_header_opens(self):
        path = self.backup()
        self.w.kill_daemon()
        header = self.store / "store.header"
        good = header.read_bytes()
        header.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        newer = self.store / "newer.key"
        newer.write_bytes(next(self.store.glob("*.key")).read_bytes())
        before = sorted(p.name for p in self.store.iterdir())
        self.restore(path, "--replace", code=1,
                     says=["newer.key", "would not open it"])
        expect(sorted(p.name for p in self.store.iterdir()) == before,
               "nothing yet")
        newer.unlink()
        self.restore(path, "--replace")
        expect(header.read_bytes() == good, "restored")
        self.w.start_daemon()
        self.resolve()

    def test_on_a_new_host(self):
        """Nothing but the backup, the configuration and the tokens."""
        w = self.w
        path = self.backup()
        new = self.w.account("main")["thumbprint"]
        w.kill_daemon()
        for p in self.state_dir.iterdir():
            p.unlink()
        shutil.rmtree(self.lab.dir / "log")
        self.lab.folder("log", DAEMON_UID, 0o750)
        for p in self.store.iterdir():
            p.unlink()
        self.restore(path)
        w.start_daemon()
        self.resolve()
        expect(w.account("main")["thumbprint"] == new, "the same")
        self.issues()

    def test_an_account_that_was_rotated_since_gets_the_cas_key(self):
        w = self.w
        path = self.backup()
        w.ctl("rotate", "start", "main", *w.ca, says="done")
        new = w.account("main")["thumbprint"]
        w.kill_daemon()
        self.restore(path, "--replace")
        w.start_daemon()
        self.resolve()
        expect(w.account("main")["thumbprint"] == new, "the CA's")
        self.works()

    def test_what_is_no_whole_backup_changes_nothing(self):
        good = self.backup().read_bytes()
        self.w.kill_daemon()
        before = {p.name: p.read_bytes() for p in self.state_dir.iterdir()}
        path = self.file()
        for bad, says in (
                (b"", "end is missing"),
                (good[:-1024], "end is missing"),
                (good[:5000], "end is missing"),
                (good[:-1] + b"x", "end is not one"),
                (good[:3000] + bytes([good[3000] ^ 1]) + good[3001:],
                 "not as it was written"),
                (b"x" + good[1:], "header is damaged"),
                (added(good, "../etc/passwd", b"x"), "no backup has"),
                (added(good, "sealed/soft/../x.key", b"x"), "no backup has"),
                (added(good, "registry.db", b"x"), "twice"),
                (only(good, "SHA256SUMS"), "a file is missing"),
                (replaced(good, "registry.db", b"x" * 200), "is no registry"),
                (later(good), "later version")):
            path.write_bytes(bad)
            r = self.w.run("restore", path, "--replace")
            expect(r.returncode in (2, 78) and says in r.stderr,
                   f"{says}: {r}")
        after = {p.name: p.read_bytes() for p in self.state_dir.iterdir()}
        expect(before == after, "unchanged")
        self.w.start_daemon()

    def test_another_key_of_that_name_is_not_lost(self):
        path = self.backup()
        key = next(self.store.glob("*.key"))
        old = key.read_bytes()
        self.w.kill_daemon()
        key.write_bytes(b"another")
        self.restore(path, "--registry-only", "--replace")
        expect(key.read_bytes() == b"another", "not asked for")
        (self.state_dir / "registry.db").unlink()
        self.restore(path, code=1, says="is another one")
        expect(not (self.state_dir / "registry.db").exists(), "nothing yet")
        self.restore(path, "--replace")
        aside = [p for p in self.store.iterdir() if ".before-" in p.name]
        expect(key.read_bytes() == old and b"another" in
               [p.read_bytes() for p in aside], str(aside))
        self.w.start_daemon()
        self.resolve()

    def test_runbook(self):
        w = self.w
        path = self.file()
        stop = w.kill_daemon
        for line in runbook("Backups"):
            command = line.replace("FILE", str(path)).replace(
                "NAME", "main").split()[1:]
            if command[0] == "restore":
                stop()
            w.ctl(*command)
            if command[0] == "restore":
                w.start_daemon()
        self.resolve()


# ---- archives ----

def base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def entries(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar.getmembers()]


def pack(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w",
                      format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def summed(files):
    sums = "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n"
                   for n, d in files)
    return pack([*files, ("SHA256SUMS", sums.encode())])


def added(archive, name, data):
    return summed([*entries(archive)[:-1], (name, data)])


def only(archive, name):
    return pack([(n, d) for n, d in entries(archive) if n == name])


def replaced(archive, name, data):
    return summed([(n, data if n == name else d)
                   for n, d in entries(archive)[:-1]])


def later(archive):
    db = dict(entries(archive))["registry.db"]
    return replaced(archive, "registry.db",
                    db[:60] + (9).to_bytes(4, "big") + db[64:])


if __name__ == "__main__":
    sys.exit(run(Cases, "backup"))
