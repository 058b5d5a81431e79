# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real ACME clients: a daemon whose policy they live under, Pebble 2.10, and one
web server that answers challenges for all of them.

Each client is a user of its own with a folder of its own and names of its own.
"""

import http.client
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import threading

from accounts_lab import World
from acme_client import unb64
from clients_page import Replacements, sections, shared
from lab import BUILD, GUARDIANCTL, ROOT, expect
from pebble_lab import Pebble, TxtServer

sys.path.insert(0, str(ROOT / "tests/system"))
import later_debian  # noqa: E402 pylint: disable=C0413

APEX = "apps.example.com"
EVIL = "www.evil.net"
MODULE = BUILD / "client-shim/acme-guardian.so"
QUICK = ("--settle", "1", "--cache-time", "1", "--order-drain", "60",
         "--grace", "0")
KEY_TYPES = {"web": "", "web-rsa": "--alg RS256"}
LETSENCRYPT = "acme-v02.api.letsencrypt.org/directory"


class ChallengeWeb:
    """What port 80 is for the CA: names below a client's domain are answered
    from that client's folder, or by that client's own server."""

    def __init__(self):
        self.folders, self.ports = {}, {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def answer(self, request):
        host = request.headers["Host"].partition(":")[0]
        domain = host.partition(".")[2]
        if domain in self.ports:
            body = self.forward(self.ports[domain], host, request.path)
        else:
            body = self.read(self.folders[domain], request.path)
        request.send_response(404 if body is None else 200)
        request.send_header("Content-Length", str(len(body or b"")))
        request.end_headers()
        request.wfile.write(body or b"")

    @staticmethod
    def read(folder, path):
        """Some clients put the file into the folder, some below its path."""
        for name in (path.lstrip("/"), pathlib.Path(path).name):
            if (folder / name).is_file():
                return (folder / name).read_bytes()
        return None

    @staticmethod
    def forward(port, host, path):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            c.request("GET", path, headers={"Host": host})
            r = c.getresponse()
            body = r.read()
            return body if r.status == 200 else None
        except OSError:
            return None
        finally:
            c.close()


class ClientsWorld(World):
    """Accounts web (P-256) and web-rsa, and lacme's socket for the first one."""

    def __init__(self, lab, *more):
        self.lacme = lab.dir / "run/lacme.sock"
        super().__init__(lab, ["[Lacme web]", f"Socket={self.lacme}", *more])
        self.web = ChallengeWeb()
        self.dns = TxtServer(lab)
        self.pebble = Pebble(lab, self.dns.address, http_port=self.web.port)
        self.directory_url = self.pebble.directory_url
        self.ca_file = self.pebble.ca_file
        self.trust = self.roots()
        self.modules = self.provider()
        for name, more in KEY_TYPES.items():
            self.make_account(name, more)
        self.full_coordinates()

    def roots(self):
        """What programs that know the system's roots alone may be given."""
        lab = self.lab
        trust = lab.folder("trust")
        for name in ("lab.pem", "ca-certificates.crt"):
            shutil.copy(self.ca_file, trust / name)
        lab.run(["openssl", "rehash", trust])
        return trust

    def provider(self):
        """Its file, where everybody may read it; what names it is the
        configuration file that is installed."""
        modules = self.lab.folder("modules")
        shutil.copy(MODULE, modules)
        self.openssl_conf = self.lab.dir / "openssl.cnf"
        shutil.copy(ROOT / "client-shim/openssl.cnf", self.openssl_conf)
        text = (ROOT / "client-shim/openssl-stderr.cnf.in").read_text("utf-8")
        self.openssl_stderr_conf = self.lab.file(
            "openssl-stderr.cnf", text.replace("@dir@", str(self.lab.dir)))
        return {"OPENSSL_MODULES": str(modules)}

    def as_root(self, commands):
        """guardianctl is in root's path, and knows where this lab's settings
        are."""
        path = self.lab.dir / "bin"
        if not path.exists():
            self.lab.folder("bin")
            self.lab.file("bin/guardianctl", "#!/bin/sh\nexec "
                          f'{GUARDIANCTL} --config {self.etc} "$@"\n',
                          mode=0o755)
        return self.lab.run(["sh", "-eu", "-c", commands], 0,
                            {"PATH": f"{path}:{os.environ['PATH']}"})

    def make_account(self, name, more):
        here = Replacements({
            "create web": f"create {name} {more}", "--token hsm": "--token lab",
            "--ca letsencrypt": f"--directory {self.directory_url}",
            "register web": f"register {name} --ca-file {self.ca_file}"})
        commands = shared("The account, the policy, the stub")
        here.all_used(commands)
        self.as_root(here(commands))

    def refresh(self):
        self.as_root(shared("After a rotation"))

    def full_coordinates(self):
        """HAProxy leaves out an octet 0 that a coordinate begins with."""
        jwk = self.account("web")["jwk"]
        expect(all(unb64(jwk[c])[0] for c in "xy"), str(jwk))

    def rotate(self, account):
        before = self.account(account)
        self.ctl("rotate", "start", account, *QUICK, "--ca-file",
                 self.ca_file, says="done")
        after = self.account(account)
        expect(after["thumbprint"] != before["thumbprint"] and
               after["url"] == before["url"], f"{before} {after}")
        if account == "web":
            self.full_coordinates()


class RealClient:
    """One client with its user, home and names, set up as docs/clients.md says;
    clients_kinds.py has them."""

    name = None
    section = None  # of the page
    person = None   # the user there
    account = "web"
    in_tree = False  # of the later Debian
    tells = ("policy denied", "identifier-not-allowed", EVIL)
    setup = None  # what client-setup calls it
    besides = {}  # what this lab needs beside the page

    def __init__(self, world, number):
        self.world, self.lab = world, world.lab
        self.uid = 61120 + number
        self.domain = f"{self.name}.{APEX}"
        self.names = [f"www.{self.domain}", f"mail.{self.domain}"]
        self.home = self.lab.folder(f"home-{self.name}", self.uid, 0o700)
        self.challenges = self.lab.folder(f"www-{self.name}", self.uid)
        world.web.folders[self.domain] = self.challenges
        self.certificate = self.home / "cert.pem"
        self.blocks = sections()[self.section]
        self.prepare()

    # The page.

    def places(self):
        """{a path of the page: what it is here}"""
        raise NotImplementedError

    def replacements(self, *names):
        person, w = self.person, self.world
        other = {} if self.account == "web" else {
            "Account=web": f"Account={self.account}",
            "stub write web": f"stub write {self.account}",
            "--account web": f"--account {self.account}"}
        return Replacements({
            f"/etc/acme-guardian/policy.d/{person}.policy":
                w.etc / f"policy.d/{self.name}.policy",
            f"https://{LETSENCRYPT}": w.directory_url,
            f"client-setup {self.setup}": f"client-setup {self.setup} "
                f"{self.setup_options()}",
            "www.example.com": names[0], "mail.example.com": names[1],
            **other, **self.places(), **self.besides})

    def setup_options(self):
        """What is not installed here is said to client-setup."""
        return f"--openssl-conf {self.world.openssl_conf}"

    def prepare(self):
        """Everything of the page but what the client itself is run with."""
        here = self.replacements(*self.names)
        here.all_used("\n".join(b.text for b in self.blocks))
        for block in self.blocks:
            if block.file:
                self.put(block, here)
            elif block.user == "root":
                self.world.as_root(here(block.text))

    def put(self, block, here):
        path = pathlib.Path(here(block.file))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(here(block.text.partition("\n")[2]), "utf-8")
        if self.home in path.parents:
            os.chown(path.parent, self.uid, self.uid)
            os.chown(path, self.uid, self.uid)

    def issue(self, *names):
        """The client's own files for @names, and its commands."""
        here = self.replacements(*names)
        self.put_names(here)
        commands = [b.text for b in self.blocks if b.user == self.person]
        expect(len(commands) == 1, f"{self.section}: who runs it how")
        return self.run(["sh", "-eu", "-c", here(commands[0])])

    def put_names(self, here):
        """The files that say which names are wanted"""
        for block in self.blocks:
            if (block.file and "www.example.com" in block.text and
                    "/policy.d/" not in block.file):
                self.put(block, here)

    def refused(self, tells, *names):
        """It gets no certificate for @names, and says why"""
        r = self.issue(*names)
        told = r.stdout + r.stderr
        expect(r.returncode != 0, told)
        for words in tells:
            expect(words in told, f"{words!r} in {told}")

    # Files and commands.

    def file(self, name, text, mode=0o600):
        return self.lab.file(f"home-{self.name}/{name}", text, self.uid, mode)

    def argv(self, argv, uid=None):
        uid = self.uid if uid is None else uid
        if self.in_tree:
            return later_debian.inside(self.lab.dir, uid, argv)
        return [*self.lab.as_user(uid), *map(str, argv)]

    def environment(self, more):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                "SSL_CERT_FILE": str(self.world.ca_file),
                "CURL_CA_BUNDLE": str(self.world.ca_file),
                **self.world.modules, **(more or {})}

    def run(self, argv, env=None, within=()):
        """As the client's user; @within: a command that root runs it in."""
        return subprocess.run(
            [*map(str, within), *self.argv(argv)], capture_output=True,
            text=True, timeout=300, cwd="/", stdin=subprocess.DEVNULL,
            check=False, env=self.environment(env))

    # What came out.

    def chain(self):
        return self.certificate

    def issued(self):
        """The certificate is for the client's names, from this CA, and its
        serial number is..."""
        lab = self.lab
        text = lab.run(["openssl", "x509", "-in", self.certificate, "-noout",
                        "-serial", "-ext", "subjectAltName"]).stdout
        for name in self.names:
            expect(f"DNS:{name}" in text, f"{name} in {text}")
        lab.run(["openssl", "verify", "-CAfile", self.world.pebble.root,
                 "-untrusted", self.chain(), self.certificate])
        return text.split("serial=")[1].split()[0]

    def signed(self, **members):
        """The audit lines of what it asked for."""
        return [l for l in self.world.audit() if l.get("uid") == self.uid and
                all(l.get(k) == v for k, v in members.items())]

