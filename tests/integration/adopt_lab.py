# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts that other ACME clients have registered, by really running them,
each as a user of its own; and acme.sh's and getssl's as they leave them."""

import base64
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading

from acme_client import Client, Key, Problem, openssl, unb64
from clients_lab import MODULE
from lab import (CLIENT_UID, ROOT, Failed, b64url, expect, free_port,
                 thumbprint)

MAIL = "admin@example.com"


# Keys that clients keep, of any type.


def der(tag, content):
    n = len(content)
    length = bytes([n]) if n < 128 else \
        bytes([0x80 | (n.bit_length() + 7) // 8]) + \
        n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + content


def der_int(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def jwk_to_pem(jwk):
    """An RSA key of certbot's as PKCS#1."""
    numbers = [0] + [int.from_bytes(unb64(jwk[m]), "big") for m in
                     ("n", "e", "d", "p", "q", "dp", "dq", "qi")]
    body = der(0x30, b"".join(map(der_int, numbers)))
    return (b"-----BEGIN RSA PRIVATE KEY-----\n" +
            base64.encodebytes(body) + b"-----END RSA PRIVATE KEY-----\n")


class FileKey(Key):
    """A key from PEM text, RSA or P-256."""

    def __init__(self, pem):  # pylint: disable=super-init-not-called
        self.pem = pem
        self.rsa = b"modulus" in openssl("pkey", "-text", "-noout", stdin=pem)
        if self.rsa:
            text = openssl("rsa", "-modulus", "-noout", stdin=pem).decode()
            n = bytes.fromhex(text.strip().partition("=")[2])
            self.jwk = {"kty": "RSA", "n": b64url(n), "e": "AQAB"}
        else:
            point = openssl("ec", "-pubout", "-outform", "DER",
                            stdin=pem)[-64:]
            self.jwk = {"kty": "EC", "crv": "P-256", "x": b64url(point[:32]),
                        "y": b64url(point[32:])}
        self.thumbprint = thumbprint(self.jwk)

    def jws(self, protected, payload):
        if not self.rsa:
            return super().jws(protected, payload)
        head = b64url(json.dumps({"alg": "RS256", **protected}).encode())
        body = "" if payload is None else b64url(json.dumps(payload).encode())
        with tempfile.NamedTemporaryFile(suffix=".pem") as f:
            f.write(self.pem)
            f.flush()
            signature = openssl("dgst", "-sha256", "-sign", f.name,
                                stdin=f"{head}.{body}".encode())
        return {"protected": head, "payload": body,
                "signature": b64url(signature)}


class WebRoot:
    """What http-01 is answered from; on Pebble's port for it."""

    def __init__(self, lab):
        self.port = free_port()
        self.dir = lab.folder("webroot", mode=0o777)
        self.challenges = lab.folder("webroot/.well-known/acme-challenge",
                                     mode=0o777)
        os.chmod(self.dir / ".well-known", 0o777)
        handler = functools.partial(QuietHandler, directory=str(self.dir))
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", self.port), handler)
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):  # pylint: disable=arguments-differ
        pass


def provider_conf(lab):
    """The openssl.cnf that is shipped, with the module of this build, both where
    everybody reads them."""
    module = lab.folder("modules") / "acme-guardian.so"
    shutil.copy(MODULE, module)
    text = (ROOT / "client-shim/openssl.cnf").read_text()
    return lab.file("openssl.cnf", text.replace(
        "[acme_guardian_sect]\n", f"[acme_guardian_sect]\nmodule = {module}\n"))


class Found:
    """A client with an account: its user, its directory, its key."""

    def __init__(self, lab, name, uid):
        self.lab, self.name, self.uid = lab, name, uid
        self.home = lab.folder(f"home-{name}", uid, 0o755)
        self.url, self.key_file = None, None

    def run(self, *argv, env=None, ok=(0,), prefix=()):
        r = subprocess.run(
            [*map(str, prefix), *self.lab.as_user(self.uid), *map(str, argv)],
            capture_output=True, text=True, cwd=self.home, timeout=180,
            stdin=subprocess.DEVNULL, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home),
                 "LC_ALL": "C.UTF-8", **(env or {})})
        if ok is not None and r.returncode not in ok:
            raise Failed(f"{self.name}: exit {r.returncode}\n{r.stdout}"
                         f"{r.stderr}")
        return r

    def put(self, name, text, mode=0o600):
        path = self.home / name
        for above in reversed(path.relative_to(self.home).parents):
            folder = self.home / above
            folder.mkdir(exist_ok=True)
            os.chown(folder, self.uid, self.uid)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.chown(path, self.uid, self.uid)
        os.chmod(path, mode)
        return path

    def key(self):
        text = self.key_file.read_bytes()
        if text.lstrip().startswith(b"{"):
            text = jwk_to_pem(json.loads(text))
        return FileKey(text)


class Clients:
    """The clients, at one CA."""

    def __init__(self, lab, pebble, web):
        self.lab, self.ca, self.web = lab, pebble, web
        self.n = 0

    def new(self, name):
        self.n += 1
        return Found(self.lab, f"{name}-{self.n}", CLIENT_UID + 10 + self.n)

    def ask(self, key, url=None):
        """What the CA says to a key."""
        c = Client(self.ca.directory_url, self.ca.ca_file, key=key)
        c.url = url
        return c

    def knows(self, key):
        """The URL of the key's account, or None."""
        try:
            return self.ask(key).register(existing=True)
        except Problem as e:
            expect(e.kind == "accountDoesNotExist", str(e))
            return None

    def refuses(self, key, url):
        """Nothing that the key signs for that account is taken."""
        try:
            self.ask(key, url).account()
            return False
        except Problem as e:
            return e.status in (400, 401, 403)

    # Really run.

    def certbot_argv(self, f, *args):
        d = f.home
        return ["certbot", *args, "--server", self.ca.directory_url,
                "--config-dir", d / "etc", "--work-dir", d / "work",
                "--logs-dir", d / "log", "-n"]

    def certbot_env(self):
        return {"REQUESTS_CA_BUNDLE": str(self.ca.ca_file)}

    def certbot_issue(self, f, name, **more):
        return f.run(*self.certbot_argv(
            f, "certonly", "--agree-tos", "-m", MAIL, "--no-eff-email",
            "--webroot", "-w", self.web.dir, "-d", name, "--force-renewal"),
            env=self.certbot_env(), **more)

    def certbot(self):
        f = self.new("certbot")
        self.certbot_issue(f, "certbot.example.com")
        f.path = f.home / "etc"
        f.key_file, = f.path.glob("accounts/*/*/*/private_key.json")
        f.url = json.loads((f.key_file.parent / "regr.json").read_text())["uri"]
        return f

    def lego_issue(self, f, name, **more):
        return f.run("lego", "--server", self.ca.directory_url, "--path",
                     f.home / "lego", "--email", MAIL, "--accept-tos",
                     "--http", "--http.webroot", self.web.dir, "-d", name,
                     "run", env={"LEGO_CA_CERTIFICATES": str(self.ca.ca_file)},
                     **more)

    def lego(self):
        f = self.new("lego")
        self.lego_issue(f, "lego.example.com")
        f.path = f.home / "lego"
        f.key_file, = f.path.glob("accounts/*/*/keys/*.key")
        account, = f.path.glob("accounts/*/*/account.json")
        f.url = json.loads(account.read_text())["registration"]["uri"]
        return f

    def dehydrated_run(self, f, *args, **more):
        return f.run("dehydrated", "--config", f.home / "config", *args,
                     **more)

    def dehydrated(self):
        f = self.new("dehydrated")
        f.path = f.home / "state"
        f.put("config", "\n".join([
            f"CA={self.ca.directory_url}", f"BASEDIR={f.path}",
            f"WELLKNOWN={self.web.challenges}", "KEYSIZE=2048",
            f'CURL_OPTS="--cacert {self.ca.ca_file}"', "KEY_ALGO=rsa",
            "ACCOUNT_KEYSIZE=2048", ""]), 0o644)
        f.path.mkdir()
        os.chown(f.path, f.uid, f.uid)
        self.dehydrated_run(f, "--register", "--accept-terms")
        self.dehydrated_run(f, "-c", "-d", "dehydrated.example.com")
        f.key_file, = f.path.glob("accounts/*/account_key.pem")
        f.url = json.loads((f.key_file.parent / "account_id.json")
                           .read_text())["url"]
        return f

    def uacme(self):
        """It trusts the system's roots alone: the lab's are put there, for this
        process."""
        f = self.new("uacme")
        conf = f.home / "conf"
        inside = ("mount --bind \"$1\" /etc/ssl/certs/ca-certificates.crt && "
                  "shift && exec \"$@\"")
        f.run("uacme", "-y", "-c", conf, "-a", self.ca.directory_url, "new",
              MAIL, prefix=["unshare", "-m", "sh", "-c", inside, "sh",
                            self.ca.ca_file])
        f.path = f.key_file = conf / "private/key.pem"
        f.url = self.knows(f.key())
        return f

    def acme_tiny(self):
        f = self.new("acme-tiny")
        f.path = f.key_file = f.put("account.key", openssl("genrsa", "2048"))
        key = f.put("domain.key", openssl("genrsa", "2048"))
        request = f.put("domain.csr", openssl(
            "req", "-new", "-key", key, "-subj", "/CN=tiny.example.com",
            "-addext", "subjectAltName=DNS:tiny.example.com"))
        f.run("acme-tiny", "--directory-url", self.ca.directory_url,
              "--account-key", f.key_file, "--csr", request, "--acme-dir",
              self.web.challenges, "--disable-check",
              env={"SSL_CERT_FILE": str(self.ca.ca_file)})
        f.url = self.knows(f.key())
        return f

    # As the facts say that they leave their files.

    def acme_sh(self, key=None):
        f = self.new("acme.sh")
        key = key or Key()
        f.url = Client(self.ca.directory_url, self.ca.ca_file,
                       key=key).register(f"mailto:{MAIL}")
        digest = base64.b64encode(hashlib.sha256(key.pem).digest()).decode()
        f.path = f.home / ".acme.sh"
        f.key_file = f.put(".acme.sh/ca/localhost/dir/account.key", key.pem)
        f.conf = f.put(".acme.sh/ca/localhost/dir/ca.conf",
                       f"CA_EMAIL='{MAIL}'\nACCOUNT_URL='{f.url}'\n"
                       f"CA_KEY_HASH='{digest}'\n")
        f.put(".acme.sh/account.conf",
              f"ACCOUNT_EMAIL='{MAIL}'\nUPGRADE_HASH='x'\n")
        f.put(".acme.sh/sh.example.com_ecc/sh.example.com.conf",
              "Le_Domain='sh.example.com'\nLe_Alt='no'\n"
              f"Le_API='{self.ca.directory_url}'\n")
        return f

    def getssl(self):
        """An EC key of getssl's is two blocks of PEM."""
        f = self.new("getssl")
        key = Key()
        key.pem = openssl("ecparam", "-genkey", "-name", "prime256v1")
        key = FileKey(key.pem)
        f.url = Client(self.ca.directory_url, self.ca.ca_file,
                       key=key).register()
        f.path = f.home / ".getssl"
        f.key_file = f.put(".getssl/account.key", key.pem)
        f.put(".getssl/getssl.cfg",
              f'CA="{self.ca.directory_url}"\nACCOUNT_KEY_LENGTH=4096\n'
              f'ACCOUNT_KEY="{f.key_file}"\nPRIVATE_KEY_ALG="rsa"\n', 0o644)
        return f

    def haproxy(self):
        f = self.new("haproxy")
        key = FileKey(openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                              "ec_paramgen_curve:P-256"))
        f.url = Client(self.ca.directory_url, self.ca.ca_file,
                       key=key).register()
        f.path = f.key_file = f.put("le.account.key", key.pem, 0o644)
        return f
