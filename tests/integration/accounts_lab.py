# SPDX-License-Identifier: LGPL-2.1-or-later
"""One daemon with one SoftHSM2 token, and guardianctl as its operator."""

import json
import os
import re
import subprocess

from lab import (DAEMON_UID, GUARDIANCTL, GUARDIAND, SOFTHSM, Failed, expect,
                 unix_open, wait_for)


class World:
    module, environment = SOFTHSM, {}  # of the token; of the daemon

    def __init__(self, lab, more=()):
        """@more: lines of guardian.conf"""
        self.lab = lab
        run = lab.folder("run", DAEMON_UID, 0o755)
        self.admin, self.client = run / "admin.sock", run / "client.sock"
        lab.folder("state", DAEMON_UID, 0o700)
        lab.folder("log", DAEMON_UID, 0o750)
        lab.folder("token-state", DAEMON_UID, 0o700)
        self.etc = lab.folder("etc")
        env = lab.softhsm(DAEMON_UID)
        lab.file("etc/guardian.conf", "\n".join([
            "[Guardian]", f"StateDirectory={lab.dir}/state",
            f"LogDirectory={lab.dir}/log", f"ClientSocket={self.client}",
            f"AdminSocket={self.admin}", "AllowSwappableSecrets=yes",
            "RequestsPerMinute=1000000",
            "[Token lab]", f"Module={self.module}", "Token=pkcs11:token=lab",
            f"Pin=file:{lab.dir}/softhsm/pin",
            f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
            # A busy machine makes a hundred keys at once.
            f"Directory={lab.dir}/token-state", "Timeout=60s",
            *self.token_lines(),
            *more]) + "\n")
        self.start_daemon()

    def token_lines(self):
        """More of the token's section."""
        return []

    def spawn_daemon(self):
        self.daemon = self.lab.start(
            "guardiand", [GUARDIAND, "--config", self.etc], DAEMON_UID,
            self.environment)

    def start_daemon(self):
        self.spawn_daemon()
        wait_for("the daemon", lambda: unix_open(self.admin))
        wait_for("the tokens", lambda: self.run("token", "list").returncode == 0)

    def run(self, *args, env=None, wrap=None):
        argv = [*map(str, [GUARDIANCTL, "--config", self.etc, *args])]
        return subprocess.run(
            wrap(argv) if wrap else argv, capture_output=True, text=True,
            cwd=self.lab.dir, timeout=300, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], **(env or {})}, check=False)

    def ctl(self, *args, code=0, says=None, never=None, **more):
        """What it printed; @says is in it, or on stderr."""
        r = self.run(*args, **more)
        words = " ".join(map(str, args))
        both = r.stdout + r.stderr
        expect(r.returncode == code, f"{words}: exit {r.returncode}, "
               f"not {code}: {both}")
        for s in [says] if isinstance(says, str) else says or ():
            expect(s in both, f"{words}: '{s}' in: {both}")
        expect(never is None or never not in both,
               f"{words}: '{never}' not in: {both}")
        expect(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", both),
               f"{words}: control characters: {both!r}")
        return r.stdout

    def json(self, *args, **more):
        text = self.ctl("--json", *args, **more)
        if text.count("\n") != 1:
            raise Failed(f"one line: {text}")
        return json.loads(text)

    def account(self, name):
        return self.json("account", "show", name)["account"]

    def create(self, name, directory, *more):
        self.ctl("account", "create", name, "--token", "lab", "--directory",
                 directory, *more)
        return name

    def registered(self, name, ca, *more):
        """An account at @ca, which has directory_url and ca_file."""
        self.create(name, ca.directory_url, *more)
        self.ctl("account", "register", name, "--agree-terms", "--ca-file",
                 self.lab.tls() / "ca.pem")
        return self.account(name)

    def wish(self, name, *lines):
        return self.lab.file(f"etc/accounts.d/{name}.account", "\n".join(
            ["[Account]", *lines]) + "\n")

    def unwish(self):
        for path in (self.etc / "accounts.d").glob("*.account"):
            path.unlink()

    def audit(self):
        lines = (self.lab.dir / "log/audit.jsonl").read_text().splitlines()
        return [json.loads(l) for l in lines if l.strip("\0")]
