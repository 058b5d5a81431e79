# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an administrator sets up on a machine, in the documented way.

    place = Place(m)
    place.token("hsm")       # SoftHSM2, its PIN an encrypted credential
    place.account("lab")     # registered at a Pebble in the machine
    place.policy("web", "[Client]\\nUser=web\\n[Allow]\\n...")
"""

import json
import pathlib
import shutil

from machine import ROOT, expect

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
INSIDE = "/usr/local/lib/acme-guardian-tests"
SERVICE = "acme-guardian.service"
PIN = "1234"


class Place:
    def __init__(self, m):
        self.m = m
        self.ca = None
        self._endpoints = None
        target = m.path(INSIDE)
        target.mkdir(parents=True, exist_ok=True)
        for folder in ("tests/integration", "tests/system/inside"):
            for file in (ROOT / folder).glob("*.py"):
                shutil.copy(file, target)

    def ctl(self, *args, user=None, check=True, input=None, timeout=60):
        return self.m.run(["guardianctl", *args], user=user, check=check,
                          input=input, timeout=timeout)

    def ctl_json(self, *args, user=None):
        return json.loads(self.ctl("--json", *args, user=user).stdout)

    def status(self):
        """What guardianctl status says, whatever it thinks of it."""
        return json.loads(self.ctl("--json", "status", check=False).stdout or
                          "{}")

    def config(self, name, text):
        self.m.write(f"/etc/acme-guardian/guardian.conf.d/{name}.conf", text)

    def policy(self, name, text):
        """The file NAME.policy; in force with the next start or reload."""
        self.m.write(f"/etc/acme-guardian/policy.d/{name}.policy", text)

    def reload(self):
        return self.m.systemctl("reload", SERVICE)

    # Tokens.

    def token(self, name="hsm", pin=PIN, credential=PIN):
        """A SoftHSM2 token with a helper unit of its own.

        The token is initialised with @pin; @credential is what the helper is
        given, None for no credential at all.
        """
        softhsm = f"/var/lib/acme-guardian-token/{name}/softhsm"
        conf = f"/etc/acme-guardian/softhsm-{name}.conf"
        self.m.run(["install", "-d", "-m", "0700", "-o", "acme-guardian-token",
                    "-g", "acme-guardian-token", pathlib.Path(softhsm).parent,
                    softhsm])
        self.m.write(conf, f"directories.tokendir = {softhsm}\n"
                     "objectstore.backend = file\nlog.level = ERROR\n")
        self.m.run(["env", f"SOFTHSM2_CONF={conf}", "softhsm2-util",
                    "--init-token", "--free", "--label", name, "--so-pin",
                    "87654321", "--pin", pin], user="acme-guardian-token")
        self.config(f"token-{name}",
                    f"[Token {name}]\nModule={SOFTHSM}\n"
                    f"Token=pkcs11:token={name}\n"
                    f"Pin=credential:acme-guardian-{name}\n"
                    f"Environment=SOFTHSM2_CONF={conf}\nProcesses=2\n"
                    f"HelperSocket=/run/acme-guardian/token/{name}.sock\n")
        if credential is not None:
            self.credential(name, credential)
        self.m.systemctl("enable", "--now", f"acme-guardian-token@{name}.socket")
        # Tokens are read when the daemon starts.
        self.m.systemctl("try-restart", SERVICE)

    def credential(self, name, pin):
        """The PIN of the token @name as guardian.conf(5) says to give it."""
        self.m.run(["systemd-creds", "encrypt", f"--name=acme-guardian-{name}",
                    "-", f"/etc/credstore.encrypted/acme-guardian-{name}"],
                   input=pin)

    def wait_token(self, name="hsm", state="ok", seconds=60):
        def is_so():
            return state in [t["state"]
                             for t in self.status().get("tokens", [])
                             if t["name"] == name]
        self.m.wait_for(f"token {name} {state}", is_so, seconds)

    # The CA and accounts.

    def start_ca(self):
        """Pebble on loopback; what it says of itself is in place.ca."""
        where = "/run/pebble.json"
        self.m.run(["systemd-run", "--quiet", "--unit=pebble",
                    "-p", "Type=notify", "-p", "TimeoutStartSec=120", "--",
                    "env", f"PYTHONPATH={INSIDE}", "PYTHONDONTWRITEBYTECODE=1",
                    "python3", f"{INSIDE}/pebble.py", where], timeout=180)
        self.ca = json.loads(self.m.read(where))

    def account(self, name="lab", token="hsm"):
        if not self.ca:
            self.start_ca()
        self.ctl("account", "create", name, "--token", token, "--directory",
                 self.ca["directory"])
        self.ctl("account", "register", name, "--contact",
                 "mailto:pki@lab.example", "--agree-terms", "--ca-file",
                 self.ca["ca_file"])
        shown = self.ctl_json("account", "show", name)["account"]
        expect(shown["status"] == "valid", f"account {name} is valid: {shown}")
        return shown

    def endpoints(self):
        """The URLs of the CA's directory."""
        if not self._endpoints:
            self._endpoints = json.loads(self.m.run(
                ["curl", "-sS", "--cacert", self.ca["ca_file"],
                 self.ca["directory"]]).stdout)
        return self._endpoints


def order(*names):
    """The payload of newOrder."""
    return json.dumps({"identifiers": [{"type": "dns", "value": n}
                                       for n in names]})
