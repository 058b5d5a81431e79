# SPDX-License-Identifier: LGPL-2.1-or-later
"""The clients themselves: what docs/clients.md says about each, done.

prepare() is what an administrator sets up once, refresh() what happens after a
rotation, issue(*names) how the client is run; its output is returned.
"""

import os
import pathlib

from clients_lab import RealClient


class Lacme(RealClient):
    """It asks for signatures over a socket of its own, without any file."""
    name = "lacme"
    # Its protocol has no word for a refusal: the connection closes.
    tells = ("lost connection with lacme-accountd",)

    def who(self):
        return "Socket=lacme"

    def prepare(self):
        lab = self.lab
        # With the units, lacme's socket is its user's from the start.
        os.chown(self.world.lacme, self.uid, self.uid)
        users = pathlib.Path("/etc/passwd").read_text(encoding="utf-8")
        self.passwd = lab.file(
            "passwd", f"{users}lab-lacme:x:{self.uid}:{self.uid}::/:/bin/sh\n")
        self.must(["openssl", "ecparam", "-name", "prime256v1", "-genkey",
                   "-noout", "-out", self.home / "www.key"])
        self.file("lacme.conf", "\n".join([
            "[client]", f"socket = {self.world.lacme}", "user =", "group =",
            f"server = {self.world.directory_url}", "[webserver]",
            "listen =", f"challenge-directory = {self.challenges}",
            "user =", "group ="]) + "\n")

    def refresh(self):
        """Nothing: the socket tells the key that is the account's."""

    def issue(self, *names):
        san = ",".join(f"DNS:{n}" for n in names)
        self.file("certs.conf", "\n".join([
            "[www]", f"certificate-key = {self.home}/www.key",
            f"certificate = {self.home}/cert.pem",
            f"certificate-chain = {self.home}/chain.pem",
            f"subject = /CN={names[0]}", f"subjectAltName = {san}",
            "CAfile ="]) + "\n")
        # lacme reads the system's roots and nothing else, and wants its user
        # to have a name: in a mount namespace of its own, both are the lab's.
        own = ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" '
               '/etc/ssl/certs && mount --bind "$2" /etc/passwd && shift 2 && '
               'exec "$@"', "sh", self.world.trust, self.passwd]
        return self.run(["lacme", "--config", self.home / "lacme.conf",
                         "--config-certs", self.home / "certs.conf", "--force",
                         "newOrder"], within=own)

    def chain(self):
        return self.home / "chain.pem"


KINDS = (Lacme,)
