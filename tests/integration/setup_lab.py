# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host of its own for guardianctl setup, without systemd: /etc, /var/lib,
/var/log and /run are the test's, in a mount and process namespace that ends with
it. Nothing in the programs knows of it."""

import atexit
import contextlib
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from lab import (DAEMON_UID, GUARDIANCTL, GUARDIAND, TOKEN_HELPER, TOKEN_UID,
                 Lab, expect, unix_open, wait_for)

ETC = pathlib.Path("/etc/acme-guardian")
CREDSTORE = pathlib.Path("/etc/credstore.encrypted")
TOKENS = pathlib.Path("/var/lib/acme-guardian-token")
RUN = pathlib.Path("/run/acme-guardian")
INSIDE = "ACME_GUARDIAN_SETUP_LAB"
PASSPHRASE = "correct horse battery"


def enter():
    """This program once more, in namespaces of its own; then its host."""
    if INSIDE not in os.environ:
        with tempfile.TemporaryDirectory(prefix="setup-etc-") as place:
            done = subprocess.run(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child",
                 "--mount-proc", sys.executable, *sys.argv],
                env={**os.environ, INSIDE: place}, check=False)
        sys.exit(done.returncode)
    make_host(pathlib.Path(os.environ[INSIDE]))


def mount(*args):
    subprocess.run(["mount", *map(str, args)], check=True)


def make_host(place):
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", place)
    shutil.copytree("/etc", place / "etc", symlinks=True)
    for name in ("passwd", "group"):
        lines = [l for l in (place / "etc" / name).read_text().splitlines()
                 if not l.startswith("acme-guardian")]
        for user, uid in (("acme-guardian", DAEMON_UID),
                          ("acme-guardian-token", TOKEN_UID)):
            lines.append(f"{user}:x:{uid}:{uid}::/:/usr/sbin/nologin"
                         if name == "passwd" else f"{user}:x:{uid}:")
        (place / "etc" / name).write_text("\n".join(lines) + "\n")
    mount("--bind", place / "etc", "/etc")
    for path in ("/var/lib", "/var/log", "/run"):
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    # Where the credentials' key is: the host's own is not the test's, and
    # systemd-creds wants a disk for it.
    secret = pathlib.Path(tempfile.mkdtemp(prefix="setup-", dir="/var/tmp"))
    atexit.register(shutil.rmtree, secret, ignore_errors=True)
    os.environ["SYSTEMD_CREDENTIAL_SECRET"] = str(secret / "key")
    # A host that is not booted by systemd: what runs the test may be.
    os.environ.pop("NOTIFY_SOCKET", None)


def traced():
    """The environment for strace: beside it the leak checker cannot work."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {"ASAN_OPTIONS": f"{options}:detect_leaks=0".lstrip(":")}


class SocketUnit:
    """acme-guardian-token@NAME.socket and .service: who connects starts it."""

    def __init__(self, name):
        self.name, self.wanted, self.process = name, True, None
        self.path = RUN / f"token/{name}.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.path.unlink(missing_ok=True)
        self.listener.bind(str(self.path))
        os.chown(self.path, DAEMON_UID, DAEMON_UID)
        os.chmod(self.path, 0o600)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def credentials(self):
        """What systemd would decrypt for the unit, anew at each start."""
        folder = pathlib.Path("/run/credentials") / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        credential = f"acme-guardian-{self.name}"
        if (CREDSTORE / credential).exists():
            (folder / credential).write_bytes(decrypt(self.name))
            os.chown(folder / credential, TOKEN_UID, TOKEN_UID)
            os.chmod(folder / credential, 0o400)
        return folder

    def _serve(self):
        while self.wanted:
            if not select.select([self.listener], [], [], 0.1)[0]:
                continue
            folder = self.credentials()
            fd = self.listener.fileno()

            def child():
                os.dup2(fd, 3)
                os.setgroups([])
                os.setresgid(TOKEN_UID, TOKEN_UID, TOKEN_UID)
                os.setresuid(TOKEN_UID, TOKEN_UID, TOKEN_UID)

            # sh sets LISTEN_PID, which it keeps when it becomes the helper.
            self.process = subprocess.Popen(
                ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", TOKEN_HELPER,
                 self.name], pass_fds=[3, fd], preexec_fn=child,
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "LISTEN_FDS": "1",
                     "CREDENTIALS_DIRECTORY": str(folder)})
            self.process.wait()

    def stop(self):
        self.wanted = False
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        self.thread.join()
        self.listener.close()


def decrypt(name):
    return subprocess.run(
        ["systemd-creds", "decrypt", f"--name=acme-guardian-{name}",
         CREDSTORE / f"acme-guardian-{name}", "-"], check=True,
        capture_output=True).stdout


def there(top):
    """All that lies below, but for a module's locks: those come and go as long
    as a helper runs."""
    return [p for p in sorted(top.rglob("*")) if p.suffix != ".lock"]


def tree():
    """Everything that setup could touch, with content and times; of what
    modules keep for themselves, that it is there."""
    seen = {}
    for top in (ETC, CREDSTORE, TOKENS, pathlib.Path("/etc/systemd/system")):
        for path in [top, *there(top)] if top.exists() else []:
            st = path.lstat()
            inner = TOKENS in path.parents and path.parent.parent != TOKENS
            seen[str(path)] = (st.st_mode, st.st_uid) if inner else (
                st.st_mode, st.st_uid, st.st_mtime_ns,
                               path.read_bytes() if path.is_file() and
                               not path.is_symlink() else None)
    return seen


class Host:
    """A host as the package leaves it, and what runs there."""

    def __init__(self, lab):
        self.lab = lab
        self.units, self.daemon = {}, None
        self.clean()
        self.passphrase = lab.file("passphrase", PASSPHRASE + "\n", mode=0o600)

    def clean(self):
        self.stop()
        for path in (ETC, CREDSTORE, TOKENS, RUN,
                     pathlib.Path("/var/lib/acme-guardian"),
                     pathlib.Path("/var/log/acme-guardian")):
            shutil.rmtree(path, ignore_errors=True)
        for dropin in pathlib.Path("/etc/systemd/system").glob("acme-guard*"):
            shutil.rmtree(dropin)
        (ETC / "policy.d").mkdir(parents=True)
        (RUN / "token").mkdir(parents=True)
        # What tmpfiles.d and the units' directories would be.
        for path, mode in (("/var/lib/acme-guardian", 0o700),
                           ("/var/log/acme-guardian", 0o750)):
            os.mkdir(path, mode)
            os.chown(path, DAEMON_UID, DAEMON_UID)
        os.chown(RUN, DAEMON_UID, DAEMON_UID)

    def run(self, *args, code=0, says=(), stdin=None, before=(), uid=0,
            env=None):
        done = subprocess.run(
            [*before, *Lab.as_user(uid), GUARDIANCTL, *map(str, args)],
            input=stdin, text=True, capture_output=True, check=False,
            env={**os.environ, **(env or {})}, timeout=300,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {}))
        text = done.stdout + done.stderr
        what = " ".join(map(str, args))
        if code is not None:
            expect(done.returncode == code,
                   f"{what}: exit {code}, not {done.returncode}:\n{text}")
        for words in [says] if isinstance(says, str) else says:
            expect(words in text, f"{what}: {words!r} is not in:\n{text}")
        expect(PASSPHRASE not in text, f"{what}: the passphrase is shown")
        return done

    def setup(self, *args, **more):
        return self.run("setup", *args, **more)

    def start(self, *names):
        """What systemctl would start."""
        for name in names:
            self.units[name] = SocketUnit(name)
        self.daemon = self.lab.start("guardiand", [GUARDIAND], DAEMON_UID)
        wait_for("the daemon", lambda: unix_open(RUN / "admin.sock"))

    def stop(self):
        for unit in self.units.values():
            unit.stop()
        if self.daemon:
            self.lab.stop(self.daemon)
        self.units, self.daemon = {}, None


class Terminal:
    """guardianctl on a terminal, and a person at it."""

    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(GUARDIANCTL, [str(GUARDIANCTL), *map(str, args)])
        self.seen = ""
        self.at = 0

    def read(self):
        try:
            more = os.read(self.fd, 4096).decode(errors="replace")
        except OSError:
            more = ""
        self.seen += more
        return bool(more)

    def expect(self, words):
        end = time.monotonic() + 120
        while words not in self.seen[self.at:]:
            expect(time.monotonic() < end and self.read(),
                   f"{words!r} does not come:\n{self.seen}")
        self.at = self.seen.index(words, self.at) + len(words)

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def answer(self, question, *answers):
        """Each answer is followed by the question again, but the last one."""
        for answer in answers:
            self.expect(question)
            self.type(answer)

    def end(self, code=0):
        while self.read():
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        expect(status == code, f"exit {code}, not {status}:\n{self.seen}")
        return self.seen

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
