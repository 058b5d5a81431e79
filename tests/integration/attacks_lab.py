# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody would try against the running daemon, and looks at what held.

Nothing in the attacks is gentle: broken messages, floods, callers that are not
who they seem, full disks, kill -9. The cases print what held.
"""

import json
import time

import daemon_lab as D
import lab as L

PIN = "1234"
SIGN = D.SIGNER + "SignInput"
LIST = D.SIGNER + "ListAccounts"


def message(method, parameters=None, **more):
    return json.dumps({"method": method, "parameters": parameters or {},
                       **more}).encode() + b"\0"


class Raw:
    """A connection of another uid, octet by octet; end many in reverse."""

    def __init__(self, uid, path):
        self.holder = D.AsUser(uid, path)
        self.varlink = self.holder.__enter__()
        self.socket = self.varlink.socket

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.holder.__exit__()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def answer(self):
        """The next answer, or None when it was closed."""
        try:
            return self.varlink.receive()
        except ConnectionResetError:
            return None


def still_serves(g, uid=D.CLIENT, seconds=20.0):
    began = time.monotonic()
    error, answer = g.sign_input(uid, g.order("example.com"))
    L.expect(not error, f"others are served: {error} {answer}")
    took = time.monotonic() - began
    L.expect(took < seconds, f"others are served at once, not in {took:.1f} s")


def audit_key(g):
    return g.must("AuditTakeFirstKey")["key"]


def audit_verifies(g, key):
    g.lab.file("first.key", key + "\n", mode=0o600)
    r = g.lab.run([L.GUARDIANCTL, "--config", g.etc, "audit", "verify",
                   "--key-file", g.lab.dir / "first.key"], ok=None)
    L.expect(r.returncode == 0, f"the log verifies: {r.stdout}{r.stderr}")


def request(g, header, payload):
    return D.jws({"alg": "ES256", "kid": D.ACCOUNT_URL, "nonce": "n",
                  "url": D.ENDPOINTS["newOrder"], **header}, payload)
