#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that signs without pause while things end under it, and prints each
signature that it gets. Needs nothing but Python: it runs as any user.

fault_client.py SOCKET NAME REQUESTS: a template for each account, in a file.
At the end it says what else it was told, to stderr.
"""

import base64
import collections
import itertools
import json
import signal
import socket
import sys
import time

PAUSE_S = 0.005


def b64url(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


class Client:
    def __init__(self, path, name, templates):
        self.path, self.name, self.templates = path, name, templates
        self.socket, self.counts = None, collections.Counter()
        self.stopping = False

    def stop(self, *_):
        self.stopping = True

    def exchange(self, message):
        if not self.socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            self.socket.connect(self.path)
        self.socket.sendall(json.dumps(message).encode() + b"\0")
        answer = b""
        while not answer.endswith(b"\0"):
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed")
            answer += data
        return json.loads(answer[:-1])

    def close(self):
        self.socket.close()
        self.socket = None

    def once(self, number):
        t = self.templates[number % len(self.templates)]
        head = b64url(json.dumps({**t["protected"],
                                  "nonce": f"{self.name}_{number}"}))
        payload = b64url(t["payload"])
        began = time.monotonic()
        try:
            answer = self.exchange({
                "method": "org.acmeguardian.Signer.SignInput",
                "parameters": {"account": t["account"], "protected": head,
                               "payload": payload}})
        except TimeoutError:
            self.counts["hung"] += 1
            self.close()
            return
        except OSError:
            self.counts["connection lost"] += 1
            self.close()
            time.sleep(0.02)
            return
        if "error" in answer:
            self.counts[answer["error"].rpartition(".")[2]] += 1
            time.sleep(0.02)
            return
        took = time.monotonic() - began
        print(json.dumps({"account": t["account"], "took": round(took, 3),
                          "input": f"{head}.{payload}",
                          "signature": answer["parameters"]["signature"]}))

    def run(self):
        signal.signal(signal.SIGTERM, self.stop)
        for number in itertools.count():
            if self.stopping:
                break
            self.once(number)
            time.sleep(PAUSE_S)
        sys.stdout.flush()
        json.dump(self.counts, sys.stderr)


if __name__ == "__main__":
    with open(sys.argv[3], encoding="utf-8") as f:
        Client(sys.argv[1], sys.argv[2], json.load(f)).run()
