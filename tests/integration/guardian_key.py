# SPDX-License-Identifier: LGPL-2.1-or-later
"""acme_client's Client, with a key that the daemon has: what it sends is signed
through SignInput, so policy is asked as for any client."""

import json

from acme_client import Client, unb64
from lab import Varlink, b64url


class Denied(Exception):
    """The daemon's refusal."""


class GuardianKey:
    def __init__(self, socket, account):
        self.socket, self.account = socket, account
        a = self.ask("GetAccount")["account"]
        self.jwk, self.thumbprint = a["jwk"], a["thumbprint"]

    def ask(self, method, **parameters):
        c = Varlink(self.socket)
        error, answer = c.call(f"org.acmeguardian.Signer.{method}",
                               {"account": self.account, **parameters})
        c.close()
        if error:
            raise Denied(f"{error.rpartition('.')[2]}: {answer}")
        return answer

    def jws(self, protected, payload):
        head = b64url(json.dumps({"alg": "ES256", **protected}).encode())
        body = "" if payload is None else b64url(json.dumps(payload).encode())
        answer = self.ask("SignInput", protected=head, payload=body)
        unb64(answer["signature"])
        return {"protected": head, "payload": body,
                "signature": answer["signature"]}


def guardian_client(world, account, ca):
    """An account of the daemon's, used by an ordinary client."""
    c = Client(ca.directory_url, ca.ca_file, GuardianKey(world.client, account))
    c.url = world.account(account)["url"]
    return c
