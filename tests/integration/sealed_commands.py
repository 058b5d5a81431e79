#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""init-sealed and reseal as an operator meets them, and the helper on what
they made: exit codes, words, and that nothing secret is shown or kept."""

import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from token_wire import ALGS, Helper, Key, verifies  # noqa: E402

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
PASSPHRASE = "correct horse battery"


class Place:
    """A configuration with one sealed token, and its key file."""

    def __init__(self, pin=None, backend="sealed"):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sealed-"))
        self.config = self.dir / "etc"
        self.store = self.dir / "state/token/soft"
        self.key_file = self.dir / "key file"
        self.config.mkdir()
        (self.dir / "state").mkdir(mode=0o755)
        self.config_file(pin or f"file:{self.key_file}", backend)

    def config_file(self, pin, backend="sealed"):
        (self.config / "guardian.conf").write_text(
            f"[Guardian]\nStateDirectory={self.dir}/state\n"
            f"[Token soft]\nBackend={backend}\nPin={pin}\n"
            + ("" if backend == "sealed" else
               "Module=/nowhere.so\nToken=pkcs11:token=x\n"))

    def make_key(self, octets=32):
        self.key_file.unlink(missing_ok=True)
        fd = os.open(self.key_file, os.O_CREAT | os.O_WRONLY | os.O_EXCL,
                     0o600)
        os.write(fd, os.urandom(octets - 1) + b"x")
        os.close(fd)

    def run(self, *args, stdin=PASSPHRASE + "\n", env=None):
        p = subprocess.run(
            [PROGRAM, args[0], "--config", self.config, *args[1:]],
            input=stdin, capture_output=True, text=True, check=False,
            env={**os.environ, **(env or {})})
        for text in (p.stdout, p.stderr):
            assert PASSPHRASE not in text, text
        return p

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)


def expect(p, code, *words):
    text = p.stdout + p.stderr
    assert p.returncode == code, f"exit {p.returncode}, not {code}: {text}"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


def helper(place):
    return Helper(PROGRAM, place.config, "soft", stderr=subprocess.DEVNULL)


def key_of(reply):
    assert reply.result == "OK", f"{reply.result}: {reply.text}"
    return Key(reply.data)


def check_signature(place, h, key, alg):
    reply = h.sign(key.label, alg, b"header.payload")
    assert reply.result == "OK", f"{reply.result}: {reply.text}"
    assert verifies(key.spki, alg, b"header.payload", reply.data, place.dir)


def status(place, want, *words):
    """Start the helper; what does it say of its token?"""
    with helper(place) as h:
        s = h.status()
        assert s.result == want, f"{s.result}: {s.text}"
        for word in words:
            assert word in s.text, f"{word!r} is not in: {s.text}"


def test_without_key_file_it_says_how_to_make_one():
    with Place() as p:
        expect(p.run("init-sealed", "soft"), 78, str(p.key_file), "umask 077",
               "head -c 32 /dev/urandom")
        assert not p.store.exists()
        status(p, "NO_TOKEN", "init-sealed soft")
        # The line it printed works, though the name has a space in it.
        line = [l for l in p.run("init-sealed", "soft").stderr.splitlines()
                if "urandom" in l][0]
        subprocess.run(["sh", "-c", line], check=True)
        expect(p.run("init-sealed", "soft"), 0, "encrypted software")


def test_without_credential_it_names_systemd_creds():
    with Place(pin="credential:soft-key") as p:
        expect(p.run("init-sealed", "soft"), 78, "systemd-creds encrypt",
               "--name=soft-key")
        p.make_key()
        (p.dir / "creds").mkdir()
        shutil.copy(p.key_file, p.dir / "creds/soft-key")
        expect(p.run("init-sealed", "soft",
                     env={"CREDENTIALS_DIRECTORY": str(p.dir / "creds")}), 0)


def test_a_store_is_never_overwritten():
    with Place() as p:
        p.make_key()
        expect(p.run("init-sealed", "soft"), 0, "the recovery passphrase")
        before = (p.store / "store.header").read_bytes()
        expect(p.run("init-sealed", "soft"), 1, "never overwritten")
        expect(p.run("init-sealed", "--no-recovery", "soft"), 1)
        # Not even one that cannot be read.
        (p.store / "store.header").write_bytes(b"x" + before[1:])
        expect(p.run("init-sealed", "soft"), 1, "never overwritten")
        assert (p.store / "store.header").read_bytes() == b"x" + before[1:]


def test_weak_and_missing_secrets_are_refused():
    with Place() as p:
        p.make_key()
        for text in ("", "\n", "elevenchars\n"):
            expect(p.run("init-sealed", "soft", stdin=text), 2)
        p.make_key(octets=15)
        expect(p.run("init-sealed", "soft"), 2, "a key, not a PIN")
        p.make_key()
        os.chmod(p.key_file, 0o644)
        expect(p.run("init-sealed", "soft"), 78, "0600")
        assert not (p.store / "store.header").exists()


def test_no_recovery_is_said_explicitly():
    with Place() as p:
        p.make_key()
        expect(p.run("init-sealed", "--no-recovery", "soft", stdin=""), 0)
        expect(p.run("reseal", "soft"), 1, "without a recovery passphrase")
    with Place(pin="ask") as p:
        expect(p.run("init-sealed", "--no-recovery", "soft"), 78,
               "leave nothing")
        expect(p.run("init-sealed", "soft"), 0, "the recovery passphrase")
        expect(p.run("reseal", "soft"), 78, "Pin=ask")


def test_what_is_no_sealed_token_is_refused():
    with Place() as p:
        expect(p.run("init-sealed", "other"), 78, "[Token other]")
        expect(p.run("init-sealed"), 64, "usage")
        expect(p.run("init-sealed", "--bad", "soft"), 64)
        expect(p.run("reseal", "--no-recovery", "soft"), 64)
        expect(p.run("reseal", "soft", "soft"), 64)
        p.config_file("none")
        expect(p.run("init-sealed", "soft"), 78, "needs Pin=")
    with Place(backend="cryptoki") as p:
        expect(p.run("init-sealed", "soft"), 78, "not Backend=sealed")


def test_a_terminal_is_asked_twice():
    with Place() as p:
        p.make_key()
        pid, master = pty.fork()
        if pid == 0:
            os.execv(PROGRAM, [str(PROGRAM), "init-sealed", "--config",
                               str(p.config), "soft"])
        seen = b""
        for question in (b"characters or more): ", b"again: "):
            while question not in seen:
                seen += os.read(master, 1024)
            os.write(master, PASSPHRASE.encode() + b"\n")
        try:
            while chunk := os.read(master, 1024):
                seen += chunk
        except OSError:
            pass
        assert os.waitpid(pid, 0)[1] == 0, seen
        assert PASSPHRASE.encode() not in seen, seen
        os.close(master)
        status(p, "OK")


def test_the_helper_serves_what_was_made():
    with Place() as p:
        p.make_key()
        expect(p.run("init-sealed", "soft"), 0)
        with helper(p) as h:
            for alg in ALGS:
                key = key_of(h.generate(f"acme-guardian:i:{alg}:1", alg,
                                        2048 if alg == "RS256" else 0))
                assert key.has("SOFTWARE") and key.attrs == 64, key.attrs
                check_signature(p, h, key, alg)
        # Another process finds and uses them.
        with helper(p) as h:
            for alg in ALGS:
                key = key_of(h.find(f"acme-guardian:i:{alg}:1"))
                check_signature(p, h, key, alg)
        for f in p.store.iterdir():
            if f.suffix == ".key":
                assert f.stat().st_mode & 0o777 == 0o600


def test_a_changed_credential_is_cured_by_reseal():
    with Place() as p:
        p.make_key()
        expect(p.run("init-sealed", "soft"), 0)
        with helper(p) as h:
            spki = key_of(h.generate("k", "ES256")).spki
        old = p.key_file.read_bytes()
        p.make_key()
        status(p, "PIN_WRONG", "reseal soft")
        status(p, "PIN_WRONG", "not sent again")
        expect(p.run("reseal", "soft", stdin="wrong horse battery\n"), 1,
               "no slot")
        status(p, "PIN_WRONG")
        expect(p.run("reseal", "soft"), 0, "token unlock soft")
        with helper(p) as h:
            assert key_of(h.find("k")).spki == spki
        p.key_file.write_bytes(old)
        status(p, "PIN_WRONG")


def main():
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        start = time.monotonic()
        try:
            test()
            result = "ok"
        except AssertionError as e:
            result = f"FAILED: {e}"
            failed += 1
        print(f"{name[5:].replace('_', ' ')}: {result} "
              f"({time.monotonic() - start:.2f} s)", flush=True)
    sys.exit(1 if failed else 0)


main()
