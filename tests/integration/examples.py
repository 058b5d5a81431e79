#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs under examples/: what they print is what Pebble takes, and a
refusal is told with its reason."""

import json
import os
import pathlib
import shutil
import sys

from acme_client import http_request
from clients_lab import EVIL, ClientsWorld, later_debian
from lab import CLIENT_UID, ROOT, Lab, expect, run_cases

NAME = "www.examples.apps.example.com"


class Cases:
    def __init__(self, lab):
        self.lab, self.w = lab, ClientsWorld(lab)
        lab.file("etc/policy.d/examples.policy", f"[Client]\nUser={CLIENT_UID}\n"
                 "[Allow]\nAccount=web\nSubdomains=apps.example.com\n")
        self.w.ctl("reload")
        self.directory = http_request("GET", self.w.directory_url,
                                      ca_file=self.w.ca_file).json()
        self.python = lab.dir / "sign.py"
        shutil.copy(ROOT / "examples/sign.py", self.python)
        self.c = lab.folder("c") / "sign"
        # As it was built, not where all users may run programs.
        build = pathlib.Path(os.environ["BUILD"])
        shutil.copy(build / "examples/sign", self.c)
        library = next(p for p in (build / "client-shim").glob(
            "libacme-guardian.so.*") if p.is_file())
        shutil.copy(library, lab.dir / "c/libacme-guardian.so.0")

    def sign(self, which, url, nonce, payload, socket=None, ok=(0,)):
        env = {"ACME_GUARDIAN_SOCKET": str(socket or self.w.client)}
        if which == "c":
            env["LD_LIBRARY_PATH"] = str(self.lab.dir / "c")
            argv = [self.c, url, nonce]
            return self.lab.run(argv, CLIENT_UID, env, ok, payload)
        argv = later_debian.inside(self.lab.dir, CLIENT_UID, [
            "python3", self.python, url, nonce])
        return self.lab.run(argv, 0, env, ok, payload)

    def nonce(self):
        return http_request("HEAD", self.directory["newNonce"],
                            ca_file=self.w.ca_file).headers["Replay-Nonce"]

    def orders(self, which):
        """An order, and the account by POST-as-GET."""
        ids = {"identifiers": [{"type": "dns", "value": NAME}]}
        for url, payload, status in (
                (self.directory["newOrder"], json.dumps(ids), 201),
                (self.w.account("web")["url"], "", 200)):
            out = self.sign(which, url, self.nonce(), payload).stdout
            r = http_request("POST", url, out, {
                "Content-Type": "application/jose+json"}, self.w.ca_file)
            expect(r.status == status, f"{url}: {r.status} {r.body}")

    def refused(self, which):
        payload = json.dumps({"identifiers": [{"type": "dns", "value": EVIL}]})
        r = self.sign(which, self.directory["newOrder"], self.nonce(), payload,
                      ok=(1,))
        expect("identifier-not-allowed" in r.stderr and EVIL in r.stderr and
               not r.stdout, f"{r.stdout}{r.stderr}")

    def unreachable(self, which, code):
        r = self.sign(which, self.directory["newOrder"], "abc", "",
                      self.lab.dir / "nothing.sock", ok=(code,))
        expect(r.stderr.startswith("sign") and not r.stdout, r.stderr)

    def test_c_signs(self):
        self.orders("c")

    def test_c_tells_why_not(self):
        self.refused("c")
        self.unreachable("c", 2)

    def test_python_signs(self):
        self.orders("python")

    def test_python_tells_why_not(self):
        self.refused("python")
        self.unreachable("python", 69)


def main():
    with Lab("acme-guardian-examples") as lab:
        made = Cases(lab)
        return run_cases([getattr(made, n) for n in Cases.__dict__
                          if n.startswith("test_")])


if __name__ == "__main__":
    sys.exit(main())
