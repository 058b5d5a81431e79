# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real ACME clients: a daemon whose policy they live under, Pebble 2.10, and one
web server that answers challenges for all of them.

Each client is a user of its own with a folder of its own and names of its own.
"""

import base64
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
from lab import BUILD, ROOT, expect
from pebble_lab import Pebble, TxtServer

sys.path.insert(0, str(ROOT / "tests/system"))
import later_debian  # noqa: E402 pylint: disable=C0413

APEX = "apps.example.com"
EVIL = "www.evil.net"
MODULE = BUILD / "client-shim/acme-guardian.so"
QUICK = ("--settle", "1", "--cache-time", "1", "--order-drain", "60",
         "--grace", "0")
KEY_TYPES = {"ec": (), "rsa": ("--alg", "RS256")}


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
    """Accounts ec and rsa, lacme's socket for the first one; a policy file for
    each client comes with it."""

    def __init__(self, lab, *more):
        self.lacme = lab.dir / "run/lacme.sock"
        super().__init__(lab, ["[Lacme lacme]", "Account=ec",
                               f"Socket={self.lacme}", *more])
        self.web = ChallengeWeb()
        self.dns = TxtServer(lab)
        self.pebble = Pebble(lab, self.dns.address, http_port=self.web.port)
        self.directory_url = self.pebble.directory_url
        self.ca_file = self.pebble.ca_file
        self.trust = self.roots()
        self.openssl_conf = self.provider() if MODULE.exists() else None
        for name, more in KEY_TYPES.items():
            self.registered(name, self.pebble, *more)

    def roots(self):
        """What programs that know the system's roots alone may be given."""
        lab = self.lab
        trust = lab.folder("trust")
        for name in ("lab.pem", "ca-certificates.crt"):
            shutil.copy(self.ca_file, trust / name)
        lab.run(["openssl", "rehash", trust])
        return trust

    def provider(self):
        """openssl.cnf with the provider, both where everybody reads them."""
        module = self.lab.folder("modules") / MODULE.name
        shutil.copy(MODULE, module)
        return self.lab.file("openssl.cnf", f"""\
openssl_conf = openssl_init

[openssl_init]
providers = providers

[providers]
default = default
acme-guardian = acme_guardian

[default]
activate = 1

[acme_guardian]
module = {module}
activate = 1

[req]
distinguished_name = req_distinguished_name

[req_distinguished_name]
""")

    def policy(self, client, account, who, *more):
        self.lab.file(f"etc/policy.d/{client}.policy", "\n".join([
            "[Client]", who, "[Allow]", f"Account={account}",
            f"Subdomains={client}.{APEX}", *more]) + "\n")
        self.ctl("reload")

    def rotate(self, account):
        before = self.account(account)
        self.ctl("rotate", "start", account, *QUICK, "--ca-file",
                 self.ca_file, says="done")
        after = self.account(account)
        expect(after["thumbprint"] != before["thumbprint"] and
               after["url"] == before["url"], f"{before} {after}")


class RealClient:
    """One client with its user, home and names; clients_kinds.py has them."""

    name = None
    account = "ec"
    in_tree = False  # of the later Debian
    tells = ("policy denied", "identifier-not-allowed", EVIL)

    def __init__(self, world, number):
        self.world, self.lab = world, world.lab
        self.uid = 61120 + number
        self.domain = f"{self.name}.{APEX}"
        self.names = [f"www.{self.domain}", f"mail.{self.domain}"]
        self.home = self.lab.folder(f"home-{self.name}", self.uid, 0o700)
        self.challenges = self.lab.folder(f"www-{self.name}", self.uid)
        world.web.folders[self.domain] = self.challenges
        world.policy(self.name, self.account, self.who())
        self.facts = world.account(self.account)
        self.certificate = self.home / "cert.pem"
        self.openssl = {"OPENSSL_CONF": str(world.openssl_conf)}
        self.key = None
        self.prepare()

    def who(self):
        return f"User={self.uid}"

    def prepare(self):
        raise NotImplementedError

    def refresh(self):
        """After a rotation"""
        self.stub(self.key.relative_to(self.home))

    def stub(self, name):
        """What stands in place of the account key."""
        facts = self.world.account(self.account)
        self.key = self.file(str(name), stub(self.world.client, facts))

    # Files and commands.

    def file(self, name, text, mode=0o600):
        return self.lab.file(f"home-{self.name}/{name}", text, self.uid, mode)

    def folder(self, *names):
        for name in names:
            self.lab.folder(f"home-{self.name}/{name}", self.uid, 0o700)

    def argv(self, argv):
        if self.in_tree:
            return later_debian.inside(self.lab.dir, self.uid, argv)
        return [*self.lab.as_user(self.uid), *map(str, argv)]

    def environment(self, more):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                "SSL_CERT_FILE": str(self.world.ca_file), **(more or {})}

    def run(self, argv, env=None, within=()):
        """As the client's user; @within: a command that root runs it in."""
        return subprocess.run(
            [*map(str, within), *self.argv(argv)], capture_output=True,
            text=True, timeout=300, cwd="/", stdin=subprocess.DEVNULL,
            check=False, env=self.environment(env))

    def must(self, argv, **more):
        r = self.run(argv, **more)
        expect(r.returncode == 0, f"{' '.join(map(str, argv))}: exit "
               f"{r.returncode}\n{r.stdout}{r.stderr}")
        return r

    def start_process(self, name, argv, env=None):
        return self.lab.start(name, self.argv(argv),
                              env=self.environment(env))

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


def der(tag, body):
    size = len(body)
    head = [size] if size < 128 else [0x80 | (size.bit_length() + 7) // 8,
                                      *size.to_bytes((size.bit_length() + 7)
                                                     // 8, "big")]
    return bytes([tag, *head]) + body


def public_key(jwk):
    """SubjectPublicKeyInfo"""
    if jwk["kty"] == "EC":
        point = b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"])
        return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107"
                             "034200") + point
    n, e = (der(2, b"\0" * (v[0] >> 7) + v) for v in (unb64(jwk["n"]),
                                                     unb64(jwk["e"])))
    return der(0x30, bytes.fromhex("300d06092a864886f70d0101010500") +
               der(3, b"\0" + der(0x30, n + e)))


def stub(socket, facts):
    """As client-shim/stub.h says, written by the tests themselves."""
    body = der(0x30, der(2, b"\1") + der(12, str(socket).encode()) +
               der(12, facts["name"].encode()) + public_key(facts["jwk"]))
    label = "ACME GUARDIAN ACCOUNT"
    text = base64.b64encode(body).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines,
                      f"-----END {label}-----", ""])
