# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the fault tests share: file systems that fail, clients that keep every
signature they get, and what must be true of these afterwards.

Everything is mounted in a mount namespace of this test's own (main_alone), so
nothing is left behind, however it ends.
"""

import collections
import contextlib
import ctypes
import glob
import hashlib
import itertools
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys

import daemon_lab as D
import lab as L

MORE_ACCOUNTS = [f"more-{n}" for n in range(12)]
POLICY = f"""[Client]
User={D.CLIENT}
[Allow]
Account=test {" ".join(MORE_ACCOUNTS)}
Domain=example.com
OrdersPerDay=1000000

[Client]
User={D.OTHER}
[Allow]
Account=test
Domain=example.com
OrdersPerDay=1000000

[Client]
User=0
[Allow]
Account=test
Domain=example.com
"""
AUDIT_DOWN = D.SIGNER + "AuditUnavailable"
PASSING = {"connection lost", "Busy", "TokenUnavailable", "AuditUnavailable"}
HERE = pathlib.Path(__file__).parent
NONCES = itertools.count()


def tried(what, lost):
    """scripts/test shows lines that begin so."""
    print(f"# {what}; {lost}", flush=True)


def run(cases):
    """One after the other: who forks (daemon_lab.AsUser) has no threads."""
    names = sys.argv[1:]
    return L.run_cases([f for f in cases if not names or
                        any(n in f.__name__ for n in names)])


def run_alone(cases):
    """run(), with mounts that are nobody else's."""
    if "FAULT_ALONE" not in os.environ:
        os.environ["FAULT_ALONE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private",
                              sys.executable, *sys.argv])
    return run(cases)


# Signatures.

class Checker:
    """An ES256 key of OpenSSL's: a process for each takes too long."""

    def __init__(self, jwk):
        self.crypto = c = ctypes.CDLL("libcrypto.so.3")
        for name in ("BIO_new_mem_buf", "PEM_read_bio_PUBKEY",
                     "EVP_MD_CTX_new", "EVP_sha256"):
            getattr(c, name).restype = ctypes.c_void_p
        pem = D._pem(jwk).encode()  # pylint: disable=protected-access
        bio = ctypes.c_void_p(c.BIO_new_mem_buf(pem, len(pem)))
        self.key = ctypes.c_void_p(c.PEM_read_bio_PUBKEY(bio, None, None, None))
        c.BIO_free(bio)
        L.expect(self.key, f"a public key: {jwk}")

    def fits(self, text, signature):
        raw = D.unb64(signature)
        if len(raw) != 64:
            return False
        # pylint: disable-next=protected-access
        der = b"".join(D._der_int(raw[i:i + 32]) for i in (0, 32))
        der = b"\x30" + bytes([len(der)]) + der
        context = ctypes.c_void_p(self.crypto.EVP_MD_CTX_new())
        md = ctypes.c_void_p(self.crypto.EVP_sha256())
        good = self.crypto.EVP_DigestVerifyInit(
            context, None, md, None, self.key) == 1 and \
            self.crypto.EVP_DigestVerify(
                context, der, ctypes.c_size_t(len(der)), text,
                ctypes.c_size_t(len(text))) == 1
        self.crypto.EVP_MD_CTX_free(context)
        return good


def input_of(request):
    return f"{request['protected']}.{request['payload']}"


class Signatures:
    """Every one that was received: (account, input, signature)."""

    def __init__(self):
        self.all = []

    def __len__(self):
        return len(self.all)

    def keep(self, request, signature, account="test"):
        self.all.append((account, input_of(request), signature))

    def read(self, path):
        """What fault_client.py left; its last line may be half of one."""
        for line in pathlib.Path(path).read_text().split("\n")[:-1]:
            s = json.loads(line)
            self.all.append((s["account"], s["input"], s["signature"]))

    def check(self, log_dir, jwks):
        """Each is good, and each is in the log as allowed."""
        logged = allowed_inputs(log_dir)
        checkers = {name: Checker(jwk) for name, jwk in jwks.items()}
        for account, text, signature in self.all:
            L.expect(checkers[account].fits(text.encode(), signature),
                     f"a signature that does not fit: {text} {signature}")
            digest = hashlib.sha256(text.encode()).hexdigest()
            L.expect(digest in logged, f"a signature that is not in the audit "
                     f"log: {account} {text}")


def audit_lines(log_dir):
    for name in glob.glob(str(log_dir / "audit.jsonl*")):
        for line in pathlib.Path(name).read_bytes().split(b"\n"):
            if line:
                yield json.loads(line)


def allowed_inputs(log_dir):
    return {x["input_sha256"] for x in audit_lines(log_dir)
            if x.get("verdict") == "allowed" and "input_sha256" in x}


# The daemon.

class Guardian(D.Guardian):
    """One with an account that was made before anything fails."""

    def __init__(self, lab, **settings):
        super().__init__(lab)
        self.policy(POLICY)
        self.keep = Signatures()
        self.set(**settings)

    def set(self, **settings):
        """Keys of [Guardian]; in force at the next start."""
        for key, value in settings.items():
            line = f"{key}={value}\n"
            text, n = re.subn(rf"^{key}=.*\n", line, self.conf, flags=re.M)
            self.conf = text if n else self.conf.replace("[Roles]",
                                                         line + "[Roles]")
        self.configure(self.conf)

    def use_sealed(self):
        """Keys in files of ours. SoftHSM2 writes its token anew, in place, at
        each login: what ends there has no token any more."""
        lab = self.lab
        lab.folder("token-state", mode=0o700)
        lab.file("credential", os.urandom(32), mode=0o600)
        self.conf = self.conf[:self.conf.index("[Token")] + (
            "[Token hsm]\nBackend=sealed\nProcesses=2\n"
            f"Pin=file:{lab.dir}/credential\n"
            f"Directory={lab.dir}/token-state\n")
        self.configure(self.conf)
        lab.run([L.TOKEN_HELPER, "init-sealed", "--config", self.etc, "hsm"],
                stdin="correct horse battery\n")

    def begin(self):
        self.start()
        self.account = self.make_account()
        self.first_key = self.must("AuditTakeFirstKey")["key"]

    def request(self, order=True):
        """No two are the same: of what is, the second is a retry."""
        n = next(NONCES)
        header = {"alg": "ES256", "kid": D.ACCOUNT_URL, "nonce": f"nonce{n}"}
        if order:
            return D.jws({**header, "url": D.ENDPOINTS["newOrder"]},
                         '{"identifiers":' + " " * (n % 1000) +
                         '[{"type":"dns","value":"example.com"}]}')
        return D.jws({**header, "url": D.CA + "/order/1"}, "")

    def try_sign(self, varlink=None, order=True):
        """None, and it is kept; or the error."""
        request = self.request(order)
        if varlink:
            error, answer = varlink.call(D.SIGNER + "SignInput",
                                         {"account": "test", **request})
        else:
            error, answer = self.sign_input(D.CLIENT, request)
        if not error:
            self.keep.keep(request, answer["signature"])
        return error

    def signs(self, when):
        error = self.try_sign()
        L.expect(not error, f"{when}: signed, not {error}")

    def signs_again(self, when):
        """Without a hand, soon."""
        L.wait_for(f"a signature {when}", lambda: not self.try_sign())

    def said(self, text):
        return self.lab.log("guardiand").count(text)

    def wait_until_ready(self):
        def ready():
            with contextlib.suppress(OSError, L.Failed):
                return self.must("Status")["ready"]
            return False
        L.wait_for("all that was ended", ready)

    def signs_until_refused(self, wanted=AUDIT_DOWN):
        n = 0
        with D.AsUser(D.CLIENT, self.client) as v:
            while n < 20000:
                error = self.try_sign(v, order=False)
                if error:
                    L.expect(error == wanted, f"{wanted}, not {error}")
                    return n
                n += 1
        raise L.Failed(f"{n} signatures, and never {wanted}")

    def end(self):
        """A clean stop."""
        status = self.stop()
        L.expect(status == 0, f"a clean stop, not {status}")

    def nothing_is_lost(self, jwks=None):
        """Of a daemon that was stopped. What it says is for people."""
        self.keep.check(self.lab.dir / "log",
                        jwks or {"test": self.account["jwk"]})
        self.lab.file("first.key", self.first_key + "\n", mode=0o600)
        r = self.lab.run([L.GUARDIANCTL, "--config", self.etc, "audit",
                          "verify", "--key-file", self.lab.dir / "first.key"],
                         ok=None)
        L.expect(r.returncode == 0, f"audit verify: {r.stdout}{r.stderr}")
        registry_is_whole(self.lab.dir / "state")
        return f"{len(self.keep)} signatures received, each of them good and " \
            "in an audit log that verifies, the registry whole; lost: nothing"


def registry_is_whole(state_dir):
    with contextlib.closing(sqlite3.connect(state_dir / "registry.db")) as db:
        found = db.execute("pragma integrity_check").fetchall()
        L.expect(found == [("ok",)], f"integrity_check: {found}")
        found = db.execute("pragma foreign_key_check").fetchall()
        L.expect(not found, f"foreign_key_check: {found}")


@contextlib.contextmanager
def guardian(before=None, **settings):
    """@before(guardian): mounts what will fail, say."""
    with L.Lab("fault") as lab:
        g = Guardian(lab, **settings)
        try:
            if before:
                before(g)
            g.begin()
            yield g
        finally:
            if g.process and g.process.poll() is None:
                g.process.kill()
                g.process.wait()
            for name in ("log", "state"):
                subprocess.run(["umount", "--lazy", lab.dir / name],
                               check=False, stderr=subprocess.DEVNULL)


# Under load.

class Supervised(L.Restarting):
    """What the daemon is under systemd: started again when it ends."""

    def __init__(self, g):
        super().__init__(g.lab, "guardiand", g.argv(), 0, {
            k: v for k, v in os.environ.items()
            if k.startswith(("ASAN", "UBSAN"))})


@contextlib.contextmanager
def supervised(g):
    """In the place of a daemon that runs; clean at its end."""
    g.end()
    s = Supervised(g)
    try:
        L.wait_for("the daemon", lambda: L.unix_open(g.admin))
        yield s
    finally:
        s.stop()
    L.expect(s.process.returncode == 0,
             f"a clean stop, not {s.process.returncode}")


def templates():
    """Two of three are orders."""
    head = {"alg": "ES256", "kid": D.ACCOUNT_URL}
    order = {"account": "test",
             "protected": {**head, "url": D.ENDPOINTS["newOrder"]},
             "payload": json.dumps({"identifiers": [
                 {"type": "dns", "value": "example.com"}]})}
    return [order, order, {"account": "test", "payload": "", "protected": {
        **head, "url": D.CA + "/order/1"}}]


class Clients:
    """fault_client.py, several times, as two users."""
    numbers = itertools.count()

    def __init__(self, g, n):
        self.g, self.running = g, {}
        program = g.lab.file("client.py",
                             (HERE / "fault_client.py").read_text())
        requests = g.lab.file("requests.json", json.dumps(templates()))
        for i in range(n):
            name = f"client-{next(self.numbers)}"
            out, err = (open(g.lab.dir / f"{name}.{x}", "wb")
                        for x in ("out", "err"))
            with out, err:
                self.running[name] = subprocess.Popen(
                    [*g.lab.as_user(D.CLIENT if i % 2 else D.OTHER),
                     sys.executable, str(program), str(g.client), name,
                     str(requests)], stdout=out, stderr=err)

    def end(self):
        """What they were told, counted; their signatures are kept. Whoever is
        to ask again is told so: a refusal that is final would be a lie."""
        counts = collections.Counter()
        for p in self.running.values():
            p.terminate()
        for name, p in self.running.items():
            code = p.wait(120)
            words = (self.g.lab.dir / f"{name}.err").read_text()
            L.expect(code == 0, f"a client ended with {code}: {words}")
            counts.update(json.loads(words))
            self.g.keep.read(self.g.lab.dir / f"{name}.out")
        L.expect(set(counts) <= PASSING, f"told what is not so: {counts}")
        return counts


# File systems.

def small_disk(lab, name, size):
    path = lab.folder(name, mode=0o700)
    lab.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0750", "small",
             path])
    return path


def fill(path):
    """To the last octet. Return: what to remove to have room again."""
    filler = path / "filler"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, b"x" * size)
    finally:
        os.close(fd)
    return filler


def can_break_disks(lab):
    """Loop devices are not there for every container."""
    image = lab.dir / "probe.img"
    with open(image, "wb") as f:
        f.truncate(1 << 20)
    r = lab.run(["losetup", "--find", "--show", image], ok=None)
    if r.returncode == 0:
        lab.run(["losetup", "--detach", r.stdout.strip()])
    return r.returncode == 0


def real_disk(lab, name):
    """A file system that can be made to fail as a real one does."""
    path = lab.folder(name, mode=0o700)
    image = lab.dir / f"{name}.img"
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    lab.run(["mkfs.ext4", "-q", "-F", image])
    lab.run(["mount", "-o", "loop", image, path])
    os.chmod(path, 0o750)
    return path


def break_disk(lab, path):
    """What the kernel does after an error, with files open for writing."""
    lab.run(["mount", "-o", "remount,abort", path])


def repair_disk(lab, path):
    """With nobody on it."""
    lab.run(["umount", path])
    lab.run(["e2fsck", "-p", f"{path}.img"], ok=(0, 1))
    lab.run(["mount", "-o", "loop", f"{path}.img", path])
