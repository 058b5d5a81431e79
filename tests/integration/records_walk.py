#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/records.md, block by block: at a CA that wants an External Account Binding,
once with records that name the account's URL and once with key-bound ones.

What the page cannot have is put in its place: addresses, keys, folders, and a CA
that runs here.
"""

import base64
import os
import re
import secrets
import shlex
import sys

from acme_client import NotValid
from accounts_lab import World
from bind_lab import Bind
from draft02_adapter import Draft02Adapter
from guardian_key import guardian_client
from lab import Lab, ROOT, expect, run_cases
from pebble_lab import ISSUER, Pebble

PAGE = ROOT / "docs/records.md"
ZONE = "example.com"
LABEL = "_validation-persist"
# Commands of the page that do not exit with 0.
CODES = {"apply --dry-run": 1, "records handover": 1}


def blocks():
    """(kind, text) of each block that is configuration or commands."""
    return re.findall(r"^```(ini|sh)\n(.*?)^```$", PAGE.read_text("utf-8"),
                      re.M | re.S)


def commands(text):
    """Lines as words, continued ones joined, comments away."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        expect(words[0] == "guardianctl", f"a command of ours: {line}")
        yield words[1:]


class Walk:
    def __init__(self, lab, make_ca):
        self.lab = lab
        self.dns = Bind(lab, "ns1")
        self.tsig = lab.file("tsig", self.dns.key("acme-guardian") + "\n", 0,
                             0o600)
        names = [f"{x}{ZONE}" for x in ("", "www.", "apps.", *(
            f"n{i}." for i in range(10)))]
        self.dns.zone(ZONE, policy=[
            f"grant acme-guardian name {LABEL}.{n}. TXT;" for n in names])
        self.dns.start()
        self.kid, self.mac = "kid-1", base64.urlsafe_b64encode(
            secrets.token_bytes(32)).decode().rstrip("=")
        self.eab = lab.file("eab", self.mac + "\n", 0, 0o600)
        self.ca = make_ca(lab, self.dns.address, eab={self.kid: self.mac},
                          authz_reuse=100)
        self.w = World(lab)
        self.ssl = lab.folder("ssl")

    # The page's words, in this lab.

    def here(self, text):
        text = re.sub(r"^Ca=.*$", "\n".join([
            f"Directory={self.ca.directory_url}", f"CaFile={self.ca.ca_file}",
            f"Issuer={ISSUER}", f"EabKid={self.kid}",
            f"EabKey=file:{self.eab}"]), text, flags=re.M)
        text = re.sub(r"^Token=.*$", "Token=lab", text, flags=re.M)
        text = re.sub(r"^Server=.*$", f"Server={self.dns.address}\n"
                      f"Servers={self.dns.address}", text, flags=re.M)
        return re.sub(r"^TsigKey=.*$", f"TsigKey=file:{self.tsig}", text,
                      flags=re.M)

    def configure(self, text):
        first, _, rest = text.partition("\n")
        name = first.removeprefix("# /etc/acme-guardian/")
        expect(name != first, f"a file's name: {first}")
        self.lab.file(f"etc/{name}", self.here(rest))

    def place(self, word):
        return str(self.ssl / os.path.basename(word)) if word.startswith(
            "/etc/ssl/") else word

    def do(self, words):
        args = [self.place(w) for w in words]
        line = " ".join(args)
        code = next((c for s, c in CODES.items() if line.startswith(s)), 0)
        if args[0] == "issue":
            args += ["--ca-file", self.ca.ca_file]
        return self.w.ctl(*args, code=code)

    def test_the_page(self):
        said = {}
        for kind, text in blocks():
            if kind == "ini":
                self.configure(text)
                continue
            for words in commands(text):
                said[" ".join(words[:2])] = self.do(words)
        expect("accounturi=" in said["records render"] or
               "grant" in said["records render"], "records were shown")
        expect("denied" not in said["records check"], said["records check"])

    def test_what_the_walk_left(self):
        for stem, names in (("example.com", [ZONE, f"www.{ZONE}"]),
                            ("apps", [f"*.apps.{ZONE}", f"apps.{ZONE}"])):
            expect(self.names(stem) == names, f"{stem}: {self.names(stem)}")
        expect(self.dns.dig(f"{LABEL}.www.{ZONE}") == [], "www is gone")
        shown = "".join(self.dns.dig(f"{LABEL}.apps.{ZONE}"))
        expect("policy=wildcard" in shown and "persistUntil=" in shown and
               ISSUER in shown, shown)
        secret = self.mac.encode()
        for path in self.lab.dir.rglob("*"):
            if path.is_file() and path != self.eab and not path.name.startswith(
                    "pebble"):
                expect(secret not in path.read_bytes(), f"EAB key in {path}")

    def test_again_there_is_nothing_to_do(self):
        before = self.files()
        self.w.ctl("apply")
        self.w.ctl("apply", "--dry-run")
        self.w.ctl("records", "publish", says="nothing to do")
        for _ in range(2):
            self.w.ctl("issue", "--if-due", "--account", "web", "--domain",
                       f"apps.{ZONE}", "--domain", f"*.apps.{ZONE}",
                       "--key-out", self.ssl / "apps.key", "--out",
                       self.ssl / "apps.pem", "--ca-file", self.ca.ca_file)
        expect(self.files() == before, "no file changed")

    def test_a_set_of_ten(self):
        names = [f"n{i}.{ZONE}" for i in range(10)]
        self.w.ctl("records", "add", "web", *names)
        self.w.ctl("records", "publish", says="10 done")
        self.w.ctl("records", "check", says="0 found, 0 unknown")
        self.issue("ten", names)
        expect(self.names("ten") == names, f"{self.names('ten')}")

    def test_the_way_back_ends_at_the_ca(self):
        """Check, issue and the CA itself refuse."""
        name = f"n1.{ZONE}"
        self.w.ctl("records", "revoke", name, "--yes")
        self.w.ctl("records", "check", "--domain", name, code=1)
        self.issue("back", [name], code=1, says="denied")
        # Were the daemon asked to sign for it again, the CA has no record left.
        denied = self.w.json("names", "list")["names"]
        expect(name in [n["domain"] for n in denied], f"{denied}")
        self.w.ctl("names", "list", says=[name, "uid 0"])
        self.w.ctl("names", "allow", name.upper())
        self.w.ctl("names", "allow", name, code=1, says=name)
        self.w.ctl("names", "deny", "no_host.example", code=2,
                   says="no_host.example")
        self.issue("back", [name], code=1, says="no-record")
        client = guardian_client(self.w, "web", self.ca)
        try:
            client.issue(name)
            expect(False, "the CA refuses")
        except NotValid as e:
            expect(e.kind == "unauthorized", str(e))

    # What came out.

    def issue(self, stem, names, **more):
        self.w.ctl("issue", "--account", "web", *[
            x for n in names for x in ("--domain", n)], "--key-out",
            self.ssl / f"{stem}.key", "--out", self.ssl / f"{stem}.pem",
            "--ca-file", self.ca.ca_file, **more)

    def names(self, stem):
        text = self.lab.run(["openssl", "x509", "-in", self.ssl / f"{stem}.pem",
                             "-noout", "-ext", "subjectAltName"]).stdout
        return sorted(re.findall(r"DNS:([^,\s]+)", text))

    def files(self):
        return {p.name: (p.stat().st_mtime_ns, p.read_bytes())
                for p in self.ssl.iterdir()}


def main():
    if os.geteuid() != 0:
        sys.exit("records_walk.py: needs root, to become several users")
    failed = 0
    for form, make in (("url", Pebble), ("key-bound", Draft02Adapter)):
        print(f"# records that are {form}", flush=True)
        with Lab("acme-guardian-walk") as lab:
            walk = Walk(lab, make)
            failed |= run_cases([
                walk.test_the_page, walk.test_what_the_walk_left,
                walk.test_again_there_is_nothing_to_do, walk.test_a_set_of_ten,
                walk.test_the_way_back_ends_at_the_ca])
    sys.exit(failed)


if __name__ == "__main__":
    main()
