#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""sign.py URL NONCE [ACCOUNT] < PAYLOAD: the body of an ACME request on stdout.

    apt install python3-varlink        (Debian 13 and later)
    pip install varlink

PAYLOAD is exact JSON text, or empty for a POST-as-GET. ACME_GUARDIAN_SOCKET is
the daemon's socket where that is not the usual one.
"""

import json
import os
import sys

import varlink

SIGNER = "org.acmeguardian.Signer"
SOCKET = "/run/acme-guardian/client.sock"


def sign(url, nonce, payload, account=None):
    """The flattened JWS; varlink.VarlinkError says why there is none."""
    address = "unix:" + os.environ.get("ACME_GUARDIAN_SOCKET", SOCKET)
    with varlink.Client(address) as client, client.open(SIGNER) as signer:
        return signer.Sign(account=account, url=url, nonce=nonce,
                           payload=payload, thumbprint=None)


def complain(error):
    name = error.error().rpartition(".")[2]
    facts = error.parameters()
    told = [str(facts[k]) for k in ("reason", "identifier", "detail", "state")
            if facts.get(k) is not None]
    print(f"sign.py: {': '.join([name, *told])}", file=sys.stderr)
    # Whether it may be tried again, and when, is told, too.
    if "retryAfterMs" in facts:
        return 75
    return 1 if name == "PolicyDenied" else 2


def main():
    if len(sys.argv) not in (3, 4):
        print("usage: sign.py URL NONCE [ACCOUNT] < PAYLOAD", file=sys.stderr)
        return 64
    try:
        jws = sign(*sys.argv[1:3], sys.stdin.read(), *sys.argv[3:])
    except varlink.VarlinkError as e:
        return complain(e)
    except OSError as e:
        print(f"sign.py: the daemon cannot be reached: {e}", file=sys.stderr)
        return 69
    print(json.dumps(jws))
    return 0


if __name__ == "__main__":
    sys.exit(main())
