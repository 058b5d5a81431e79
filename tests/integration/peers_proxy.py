#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""That the CONNECT proxy connects, refuses and writes down; also over IPv6."""

import sys

from acme_client import Client
from connect_proxy import ConnectProxy
from https_peer import Answer, HttpsPeer
from lab import expect, free_port
from pebble_lab import Pebble, TxtServer
from peer_cases import run_peer


class Hello(HttpsPeer):
    def answer(self, request):
        return Answer.of({"hello": request.path})


class ProxyCases:
    def __init__(self, lab):
        self.lab = lab

    def curl(self, url, proxy):
        return self.lab.run(
            ["curl", "-sS", "--cacert", self.lab.tls() / "ca.pem", url],
            env={"HTTPS_PROXY": proxy.url}, ok=None)

    def test_a_ca_through_the_proxy(self):
        ca = Pebble(self.lab, TxtServer(self.lab).address)
        with ConnectProxy() as proxy:
            client = Client(ca.directory_url, ca.ca_file,
                            proxy=(proxy.address, proxy.port))
            client.register()
            expect(client.account()["status"] == "valid", "an account")
            expect(set(proxy.seen) == {("localhost", ca.port, 200)},
                   f"{proxy.seen}")

    def test_curl_finds_it_by_the_environment(self):
        with ConnectProxy() as proxy, Hello(self.lab) as peer:
            r = self.curl(peer.url("/x"), proxy)
            expect(r.stdout == '{"hello": "/x"}', f"{r}")
            expect(proxy.seen == [("localhost", peer.port, 200)],
                   f"{proxy.seen}")

    def test_it_refuses(self):
        with ConnectProxy() as proxy, Hello(self.lab) as peer:
            proxy.refuse = lambda host, port: host == "localhost"
            r = self.curl(peer.url("/"), proxy)
            expect(r.returncode and "403" in r.stderr, f"{r}")
            expect(not peer.requests, "nothing came through")
            proxy.refuse = lambda host, port: False
            proxy.credentials = "user:password"
            r = self.curl(peer.url("/"), proxy)
            expect(r.returncode and "407" in r.stderr, f"{r}")
            proxy.url = proxy.url.replace("//", "//user:password@")
            expect(self.curl(peer.url("/"), proxy).returncode == 0, "let in")
            proxy.credentials = None
            r = self.curl(f"https://localhost:{free_port()}/", proxy)
            expect(r.returncode and "502" in r.stderr, f"{r}")
            expect([s for *_, s in proxy.seen] == [403, 407, 200, 502],
                   f"{proxy.seen}")

    def test_ipv6_alone(self):
        with ConnectProxy("::1") as proxy, \
                Hello(self.lab, "[::1]", "::1") as peer:
            r = self.curl(peer.url("/six"), proxy)
            expect(r.stdout == '{"hello": "/six"}', f"{r}")
            expect(proxy.seen == [("::1", peer.port, 200)], f"{proxy.seen}")


if __name__ == "__main__":
    sys.exit(run_peer(ProxyCases))
