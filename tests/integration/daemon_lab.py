# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon over its sockets, with a SoftHSM2 token behind it; users and clients of
it."""

import base64
import json
import os
import socket
import sys
import time

import lab as L

SIGNER = "org.acmeguardian.Signer."
ADMIN = "org.acmeguardian.Admin."
VECTORS = json.loads((L.ROOT / "tests/vectors/requests.json").read_text())
# All but one: the key of csr-account-key is the vectors' account's, not ours;
# policy-check and the unit tests have that case.
CSR_CASES = [c for c in json.loads((L.ROOT / "tests/vectors/csr.json")
                                   .read_text())["cases"]
             if c["id"] != "csr-account-key"]
CA = "https://ca.example"
DIRECTORY = CA + "/directory"
ENDPOINTS = VECTORS["context"]["account"]["directory"]
ACCOUNT_URL = VECTORS["context"]["account"]["account_url"]
CLIENT, OTHER, OPS, MONITOR, NOBODY = 1000, 61201, 61202, 61203, 61204
POLICY = f"""[Client]
User={CLIENT}
[Allow]
Account=test
Domain=example.com www.example.com
Subdomains=apps.example.com
Wildcard=apps.example.com
Profiles=tlsserver

[Client]
User={OTHER}
[Allow]
Account=test
Domain=other.example.com
OrdersPerDay=2

[Client]
User={OTHER}
[Allow]
Account=second
Domain=other.example.com

[Client]
User=0
[Allow]
Account=test
Domain=example.com
"""


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jws(header, payload):
    def text(x):
        return x if isinstance(x, str) else json.dumps(x)
    return {"protected": L.b64url(text(header).encode()),
            "payload": L.b64url(text(payload).encode())}


class AsUser:
    """A Varlink connection of another uid: made by a child, handed over."""

    def __init__(self, uid, path):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                s = socket.socket(socket.AF_UNIX)
                s.connect(str(path))
                socket.send_fds(theirs, [b"x"], [s.fileno()])
                # The peer is who connected: it must be alive for its unit.
                theirs.recv(1)
            finally:
                os._exit(0)
        theirs.close()
        self.pid, self.control = pid, ours
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        L.expect(fds, f"uid {uid} can connect to {path}")
        self.varlink = L.Varlink.__new__(L.Varlink)
        self.varlink.socket = socket.socket(fileno=fds[0])
        self.varlink.socket.settimeout(30)
        self.varlink.buffer = b""

    def __enter__(self):
        return self.varlink

    def __exit__(self, *_):
        self.varlink.close()
        self.control.close()
        os.waitpid(self.pid, 0)


class Guardian:
    """A daemon with a configuration of its own in a Lab."""

    def __init__(self, lab, token=""):
        self.lab = lab
        self.env = lab.softhsm(0)
        self.run_dir = lab.folder("run")
        self.client = self.run_dir / "client.sock"
        self.admin = self.run_dir / "admin.sock"
        self.lacme = self.run_dir / "lacme.sock"
        self.etc = lab.folder("etc")
        lab.folder("etc/policy.d")
        self.policy(POLICY)
        self.conf = f"""[Guardian]
StateDirectory={lab.dir}/state
LogDirectory={lab.dir}/log
ClientSocket={self.client}
AdminSocket={self.admin}
AllowSwappableSecrets=yes
AuditReserve=64K
RequestsPerMinute=10000000
[Roles]
OpsUser={OPS}
MonitorUser={MONITOR}
[Deny]
Domain=no.internal.apps.example.com
[Lacme test]
Socket={self.lacme}
[Token hsm]
Module={L.SOFTHSM}
Token=pkcs11:token=lab
Pin=file:{lab.dir}/softhsm/pin
Timeout=5
Environment=SOFTHSM2_CONF={lab.dir}/softhsm/softhsm2.conf
{token}"""
        self.configure(self.conf)
        self.process = None

    def configure(self, text):
        self.lab.file("etc/guardian.conf", text)

    def policy(self, text):
        self.lab.file("etc/policy.d/test.policy", text)

    def argv(self):
        return [L.GUARDIAND, "--config", self.etc, "--token-helper",
                L.TOKEN_HELPER]

    def start(self, pass_fds=(), **env):
        self.process = self.lab.start("guardiand", self.argv(), env={
            **{k: v for k, v in os.environ.items()
               if k.startswith(("ACME_GUARDIAN_TEST", "ASAN", "UBSAN", "MUTATE"))},
            **env}, pass_fds=pass_fds)
        L.wait_for("the client socket", lambda: self.process.poll() is not None
                   or L.unix_open(self.admin))
        if f"Socket={self.lacme}" in self.conf:
            L.wait_for("the lacme socket", lambda: L.unix_listens(self.lacme)
                       or self.process.poll() is not None)
        L.expect(self.process.poll() is None, "the daemon runs")

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
        status = self.process.returncode
        self.lab.processes.remove(self.process)
        return status

    def restart(self):
        L.expect(self.stop() == 0, "a clean stop")
        self.start()

    def ask_admin(self, method, parameters=None, uid=0):
        with AsUser(uid, self.admin) as v:
            return v.call(ADMIN + method, parameters)

    def must(self, method, parameters=None, uid=0):
        error, answer = self.ask_admin(method, parameters, uid)
        L.expect(not error, f"{method}: {error} {answer}")
        return answer

    def ask(self, uid, method, parameters=None):
        with AsUser(uid, self.client) as v:
            return v.call(SIGNER + method, parameters)

    def sign_input(self, uid, request, account="test", **more):
        return self.ask(uid, "SignInput", {"account": account, **request,
                                           **more})

    def create(self, parameters):
        """As an operator does it: again, when SoftHSM2 makes no key for once.

        A C_GenerateKeyPair that failed is never repeated by itself.
        """
        for _ in range(2):
            error, answer = self.ask_admin("AccountCreate", parameters)
            if error != ADMIN + "TokenFailed" or "CKR_GENERAL" not in str(answer):
                L.expect(not error, f"AccountCreate: {error} {answer}")
                return answer
            time.sleep(1)
        return self.must("AccountCreate", parameters)

    def make_account(self, name="test", register=True, **more):
        a = self.create({"name": name, "token": "hsm", "alg": "ES256",
                         "directory": DIRECTORY, **more})["account"]
        if register:
            self.must("AccountSetDirectory",
                      {"name": name, "endpoints": ENDPOINTS})
            url = ACCOUNT_URL if name == "test" else f"{CA}/acct/{name}"
            a = self.must("AccountRegistered", {
                "name": name, "url": url, "status": "valid"})["account"]
        return a

    def order(self, *names, **more):
        return jws({"alg": "ES256", "kid": ACCOUNT_URL, "nonce": "nonce_-1",
                    "url": ENDPOINTS["newOrder"]},
                   {"identifiers": [{"type": "dns", "value": n}
                                    for n in names], **more})

    def audit_lines(self):
        lines = (self.lab.dir / "log/audit.jsonl").read_bytes()
        return [json.loads(x) for x in lines.split(b"\n") if x]


def verify(lab, jwk, request, signature):
    """The signature over exactly these octets, checked by OpenSSL."""
    raw = unb64(signature)
    L.expect(len(raw) == 64, "r||s of ES256")
    der = b"".join(_der_int(raw[i:i + 32]) for i in (0, 32))
    lab.file("sig.der", b"\x30" + bytes([len(der)]) + der)
    lab.file("key.pem", _pem(jwk))
    lab.file("input", f"{request['protected']}.{request['payload']}")
    lab.run(["openssl", "dgst", "-sha256", "-verify", lab.dir / "key.pem",
             "-signature", lab.dir / "sig.der", lab.dir / "input"])


def _der_int(raw):
    raw = raw.lstrip(b"\0")
    if not raw or raw[0] & 0x80:
        raw = b"\0" + raw
    return b"\x02" + bytes([len(raw)]) + raw


def spki_of(jwk):
    point = b"\x04" + unb64(jwk["x"]) + unb64(jwk["y"])
    return bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                         ) + point


def _pem(jwk):
    spki = spki_of(jwk)
    return ("-----BEGIN PUBLIC KEY-----\n"
            + base64.encodebytes(spki).decode() +
            "-----END PUBLIC KEY-----\n")


def expect_error(got, error, **members):
    name, parameters = got
    L.expect(name == SIGNER + error or name == ADMIN + error,
             f"{error}, not {name} {parameters}")
    for k, v in members.items():
        L.expect(parameters.get(k) == v, f"{k}={v}, not {parameters}")


def with_guardian(token="", before=None):
    """A case gets a running daemon with the account "test".

    @before: is called with what is not started yet
    """
    def decorate(fn):
        def case():
            with L.Lab("daemon") as lab:
                g = Guardian(lab, token)
                if before:
                    before(g)
                g.start()
                g.account = g.make_account()
                fn(g)
                status = g.stop()
                L.expect(status == 0, f"a clean stop, not {status}")
        case.__name__ = fn.__name__
        return case
    return decorate


class Lacme:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def greeting(self):
        return self.file.readline().decode(), self.file.readline().decode()

    def ask(self, *requests):
        self.socket.sendall("".join(
            f"{r['protected']}.{r['payload']}\r\n" for r in requests).encode())
        return [self.file.readline().decode() for _ in requests]


def run(members):
    """The cases of a file, or those that the command line names."""
    names = sys.argv[1:]
    cases = [f for n, f in members.items() if n.startswith("test_")
             and (not names or any(x in n for x in names))]
    return L.run_cases(cases)
