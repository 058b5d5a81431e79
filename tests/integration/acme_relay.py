# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reverse proxy in front of Pebble, under an origin of its own.

Pebble builds all its URLs from the Host header and expects that host in the
JWS "url" and "kid". So a proxy that keeps Host needs no other trick: client and
Pebble agree on the proxy's origin. A CA that knows its own name would not.
"""

import http.client
import ssl

from https_peer import Answer, HttpsPeer, Request

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date",
              "content-length", "proxy-connection"}


class Relay(HttpsPeer):
    def __init__(self, lab, pebble, host="relay.localhost",
                 address="127.0.0.1"):
        self.pebble = pebble
        self.context = ssl.create_default_context(cafile=lab.tls() / "ca.pem")
        super().__init__(lab, host, address)
        self.directory_url = self.url("/dir")

    def answer(self, request):
        return self.forward(request)

    def forward(self, request):
        c = http.client.HTTPSConnection(self.pebble.address, self.pebble.port,
                                        context=self.context, timeout=30)
        headers = {k: v for k, v in request.headers.items()
                   if k.lower() not in HOP_BY_HOP}
        headers["Host"] = f"{self.host}:{self.port}"
        try:
            c.request(request.method, request.path, request.body or None,
                      headers)
            r = c.getresponse()
            kept = [(k, v) for k, v in r.getheaders()
                    if k.lower() not in HOP_BY_HOP]
            return Answer(r.status, r.read(), kept)
        finally:
            c.close()

    def fresh_nonce(self):
        """A Replay-Nonce header of Pebble's, for an answer of our own."""
        answer = self.forward(Request("HEAD", "/nonce-plz",
                                      {"User-Agent": "relay"}, b""))
        return "Replay-Nonce", answer.header("Replay-Nonce")
