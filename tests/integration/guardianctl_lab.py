# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon with one token, and guardianctl for it."""

import base64
import json
import re

from lab import (CLIENT_UID, DAEMON_UID, GUARDIANCTL, GUARDIAND, OTHER_UID,
                 SOFTHSM, Lab, expect, free_port, run_cases, unix_open,
                 wait_for)

STRANGER_UID, OPERATOR_UID = 65533, 61110


class World:
    """One daemon with one token for all cases."""

    def __init__(self, lab):
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
            "[Roles]", f"MonitorUser={OTHER_UID}",
            f"AdminUser={OPERATOR_UID}",
            "[Token lab]", f"Module={SOFTHSM}", "Token=pkcs11:token=lab",
            f"Pin=file:{lab.dir}/softhsm/pin",
            f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
            f"Directory={lab.dir}/token-state"]) + "\n")
        self.policy("[Client]\nUser=%d\n[Allow]\nAccount=main\n"
                    "Domain=www.lab.example\n" % CLIENT_UID)
        self.start()
        self.token_ready()

    def policy(self, text):
        self.lab.file("etc/policy.d/lab.policy", text)

    def start(self):
        self.daemon = self.lab.start(
            "guardiand", [GUARDIAND, "--config", self.etc], DAEMON_UID)
        wait_for("the daemon", lambda: unix_open(self.admin))

    def token_ready(self):
        wait_for("the token", lambda: '"state":"ok"' in self.lab.run(
            [GUARDIANCTL, "--config", self.etc, "--json", "token", "list"],
            ok=None).stdout)

    def ctl(self, *args, uid=0, code=0, says=None, stdin=None, config=True,
            env=None):
        """Runs guardianctl and expects its exit code and words."""
        argv = [GUARDIANCTL, *(["--config", self.etc] if config else []),
                *args]
        r = self.lab.run(argv, uid, env, ok=None, stdin=stdin)
        words = " ".join(map(str, args))
        expect(r.returncode == code,
               f"{words}: exit {code}, not {r.returncode}: "
               f"{r.stdout}{r.stderr}")
        if code and code != 1:
            expect(re.match("guardianctl: |acme-guardian-token: ", r.stderr),
                   f"{words}: {r.stderr}")
        if says:
            expect(says in r.stderr, f"{words}: '{says}' in: {r.stderr}")
        expect(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", r.stdout + r.stderr),
               f"{words}: control characters: {r.stdout!r} {r.stderr!r}")
        return r.stdout

    def json(self, *args, **more):
        text = self.ctl("--json", *args, **more)
        expect(text.count("\n") == 1, f"one line: {text}")
        return json.loads(text)

    def json_code(self, *args):
        return self.lab.run([GUARDIANCTL, "--config", self.etc, *args],
                            ok=None).returncode


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class RegisteredWorld(World):
    """With the account that its clients use."""

    def __init__(self, lab):
        super().__init__(lab)
        self.ctl("account", "create", "main", "--token", "lab", "--directory",
                 lab.directory_url)
        self.account = self.json(
            "account", "register", "main", "--agree-terms", "--ca-file",
            lab.dir / "tls/ca.pem")["account"]


def run(members, world_class=World):
    """The cases of a file, in its order, at one daemon and one Pebble."""
    with Lab("guardianctl") as lab:
        lab.pebble(free_port())
        world = world_class(lab)
        cases = [v for k, v in members.items() if k.startswith("test_")]
        return run_cases(cases, world)
