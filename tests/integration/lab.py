# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the integration tests share: a place, users, servers, and steps.

Everything lives in one temporary folder and on free loopback ports, runs as
users that need no entry in /etc/passwd, and ends with the Lab.
"""

import atexit
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))


def for_all_users(build):
    """The programs where every user may run them: a tree in /root is closed."""
    above = [build, *build.resolve().parents]
    if not build.exists() or all(p.stat().st_mode & 1 for p in above):
        return build
    stage = pathlib.Path(tempfile.mkdtemp(prefix="acme-guardian-bin-"))
    atexit.register(shutil.rmtree, stage, ignore_errors=True)
    os.chmod(stage, 0o755)
    for name in ("daemon/acme-guardiand", "pkcs11/acme-guardian-token",
                 "client-shim/guardianctl", "client-shim/acme-guardian.so",
                 "tests/tools/dns-drive",
                 "tests/tools/find-scalar", "tests/tools/provider-drive",
                 "client-shim/libacme-guardian.so", "tests/tools/crash-gate.so",
                 "tests/tools/fake-clock.so",
                 "tests/faulty-module/faulty-pkcs11.so"):
        if (build / name).exists():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(build / name, stage / name)
    return stage


BUILD = for_all_users(BUILD)
GUARDIAND = BUILD / "daemon/acme-guardiand"
TOKEN_HELPER = BUILD / "pkcs11/acme-guardian-token"
GUARDIANCTL = BUILD / "client-shim/guardianctl"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"

# Numeric users: nobody needs to exist for a test.
DAEMON_UID, TOKEN_UID, CA_UID, CLIENT_UID, OTHER_UID = range(61101, 61106)


class Failed(Exception):
    """A check that did not hold; its text says what was expected."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(jwk):
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"),
               "OKP": ("crv", "kty", "x")}[jwk["kty"]]
    text = json.dumps({m: jwk[m] for m in members}, separators=(",", ":"),
                      sort_keys=True)
    return b64url(hashlib.sha256(text.encode()).digest())


CLAIMS = []  # open as long as this process lives, as a name is that is bound


def claims(port):
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0acme-guardian-test-port-{port}")
    except OSError:
        claim.close()
        return False
    CLAIMS.append(claim)
    return True


def is_free(port):
    """At each address; for TCP and UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("", port))
            except OSError:
                return False
    return True


def free_port(n=1):
    """The first of @n ports that nobody has, no other test will be given, and
    no connection out can take before a server does: below the kernel's own."""
    while True:
        first = random.randrange(10000, 32768 - n)
        if all(claims(p) and is_free(p) for p in range(first, first + n)):
            return first


def wait_for(what, probe, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if probe():
            return
        time.sleep(0.02)
    raise Failed(f"{what}: not there after {seconds} s")


def port_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def unix_open(path, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX, kind) as s:
        try:
            s.connect(str(path))
        except OSError:
            return False
        return True


def unix_listens(path):
    """Without connecting: that would count for a while."""
    return any(line.endswith(f" {path}") and line.split()[3] == "00010000"
               for line in pathlib.Path("/proc/net/unix").read_text()
               .splitlines())


def children(pid):
    return [int(p) for p in pathlib.Path(
        f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid):
    """Children, their children, and so on; who is ending is left out."""
    found = []
    for child in children(pid):
        found.append(child)
        with contextlib.suppress(OSError):
            found += descendants(child)
    return found


class Lab:
    def __init__(self, name):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-"))
        os.chmod(self.dir, 0o711)
        self.processes = []
        self.closing = False
        self.keep = bool(os.environ.get("KEEP"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.closing = True
        for p in reversed(self.processes):
            self.stop(p)
        if kind and not self.keep:
            for log in sorted(self.dir.glob("*.log")):
                sys.stderr.write(f"--- {log.name}\n")
                sys.stderr.write(log.read_text(errors="replace")[-3000:])
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            sys.stderr.write(f"kept: {self.dir}\n")

    # Files and folders.

    def folder(self, name, uid=0, mode=0o755):
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, uid, uid)
        os.chmod(path, mode)
        return path

    def file(self, name, text, uid=0, mode=0o644):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.chown(path, uid, uid)
        os.chmod(path, mode)
        return path

    # Processes.

    @staticmethod
    def as_user(uid, gid=None):
        if uid == 0:
            return []
        return ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}",
                "--clear-groups", "--"]

    def start(self, name, argv, uid=0, env=None, **more):
        log = open(self.dir / f"{name}.log", "ab")
        p = subprocess.Popen(
            [*self.as_user(uid), *map(str, argv)], stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT, cwd=self.dir,
            env={"PATH": os.environ["PATH"], **(env or {})},
            start_new_session=True, **more)
        log.close()
        p.lab_name = name
        self.processes.append(p)
        return p

    def stop(self, p, seconds=15):
        """SIGTERM, and SIGKILL to its session for what does not listen."""
        if p.poll() is None:
            p.terminate()
            try:
                p.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        self.forget(p)
        return p.returncode

    def forget(self, p):
        if p in self.processes:
            self.processes.remove(p)

    def run(self, argv, uid=0, env=None, ok=(0,), stdin=None):
        r = subprocess.run(
            [*self.as_user(uid), *map(str, argv)], input=stdin,
            capture_output=True, text=True, cwd=self.dir, timeout=120,
            env={"PATH": os.environ["PATH"], **(env or {})})
        if ok is not None and r.returncode not in ok:
            raise Failed(f"{' '.join(map(str, argv))}: exit {r.returncode}\n"
                         f"{r.stdout}{r.stderr}")
        return r

    def log(self, name):
        path = self.dir / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # A private CA for the CA's own web server, and Pebble.

    def tls(self):
        d = self.folder("tls")
        if (d / "ca.pem").exists():
            return d
        self.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-days", "7", "-subj",
                  "/CN=Lab root", "-addext", "keyUsage=critical,keyCertSign",
                  "-keyout", d / "ca.key", "-out", d / "ca.pem"])
        self.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-subj",
                  "/CN=localhost", "-keyout", d / "server.key", "-out",
                  d / "server.csr"])
        # curl takes *.localhost for loopback: peers can differ in host.
        self.file("tls/ext", "subjectAltName=DNS:localhost,DNS:ca.localhost,"
                  "DNS:evil.localhost,DNS:relay.localhost,IP:127.0.0.1,"
                  "IP:::1\nauthorityKeyIdentifier=keyid\n")
        self.run(["openssl", "x509", "-req", "-in", d / "server.csr", "-CA",
                  d / "ca.pem", "-CAkey", d / "ca.key", "-days", "7",
                  "-extfile", d / "ext", "-out", d / "server.pem"])
        os.chown(d / "server.key", CA_UID, CA_UID)
        return d

    def pebble(self, http_port):
        """An ACME CA. All names resolve to 127.0.0.1 for it."""
        tls = self.tls()
        self.acme_port, mgmt, dns = free_port(), free_port(), free_port()
        self.directory_url = f"https://localhost:{self.acme_port}/dir"
        self.file("pebble.json", json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.acme_port}",
            "managementListenAddress": f"127.0.0.1:{mgmt}",
            "certificate": str(tls / "server.pem"),
            "privateKey": str(tls / "server.key"),
            "httpPort": http_port, "tlsPort": free_port(),
            "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.start("challtestsrv", [
            "pebble-challtestsrv", "-dns01", f"127.0.0.1:{dns}", "-http01", "",
            "-https01", "", "-tlsalpn01", "", "-management",
            f"127.0.0.1:{free_port()}", "-defaultIPv6", ""], CA_UID)
        p = self.start("pebble", ["pebble", "-config",
                                  self.dir / "pebble.json", "-dnsserver",
                                  f"127.0.0.1:{dns}"], CA_UID,
                       {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
                        "PEBBLE_AUTHZREUSE": "0"})
        wait_for("Pebble", lambda: port_open(self.acme_port) and
                 port_open(mgmt))
        root = self.run(["python3", "-c", "import ssl,sys,urllib.request as u;"
                         "c=ssl.create_default_context(cafile=sys.argv[1]);"
                         "print(u.urlopen(sys.argv[2],context=c).read()"
                         ".decode())", tls / "ca.pem",
                         f"https://localhost:{mgmt}/roots/0"]).stdout
        self.ca_root = self.file("pebble-root.pem", root)
        return p

    # Tokens.

    def softhsm(self, uid, label="lab", pin="1234", folder="softhsm"):
        """A SoftHSM2 token; returns the environment that finds it. Of two
        programs on one token each is disturbed by the other's login and new
        keys: a program has a token of its own, in a folder of its own."""
        d = self.folder(folder, uid, 0o700)
        self.folder(f"{folder}/tokens", uid, 0o700)
        conf = self.file(f"{folder}/softhsm2.conf",
                         f"directories.tokendir = {d}/tokens\n"
                         "objectstore.backend = file\nlog.level = ERROR\n",
                         uid, 0o600)
        env = {"SOFTHSM2_CONF": str(conf)}
        self.run(["softhsm2-util", "--init-token", "--free", "--label", label,
                  "--so-pin", "87654321", "--pin", pin], uid, env)
        self.file(f"{folder}/pin", pin + "\n", uid, 0o600)
        return env


class Restarting:
    """What a unit with Restart= is under systemd: started again when it ends."""

    def __init__(self, lab, name, argv, uid, env=None):
        self.lab, self.name, self.argv = lab, name, argv
        self.uid, self.env, self.wanted = uid, env, True
        self.process = lab.start(name, argv, uid, env)
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while self.wanted:
            self.process.wait()
            time.sleep(0.05)
            if self.wanted and not self.lab.closing:
                self.lab.forget(self.process)
                self.process = self.lab.start(self.name, self.argv, self.uid,
                                              self.env)

    def stop(self):
        self.wanted = False
        self.lab.stop(self.process)


class Varlink:
    """A Varlink client in a few lines: what any language needs."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = b""

    def send(self, method, parameters=None, **flags):
        message = {"method": method, "parameters": parameters or {}, **flags}
        self.socket.sendall(json.dumps(message).encode() + b"\0")

    def receive(self):
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed by the service")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        answer = json.loads(message)
        return answer.get("error"), answer.get("parameters", {})

    def call(self, method, parameters=None):
        self.send(method, parameters)
        return self.receive()

    def close(self):
        self.socket.close()


def user_exists(name):
    try:
        pwd.getpwnam(name)
        return True
    except KeyError:
        return False


def run_cases(cases, lab=None, side_by_side=()):
    """Runs functions named after what they show; exit status for meson. Those
    that mostly wait, and disturb nobody, can do so side by side."""
    def run(case):
        name = case.__name__.removeprefix("test_").replace("_", " ")
        try:
            case(lab) if lab else case()
            print(f"ok      {name}", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            print(f"FAILED  {name}: {type(e).__name__}: {e}", flush=True)
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        passed = list(pool.map(run, side_by_side))
    passed += [run(case) for case in cases]
    failed = passed.count(False)
    print(f"{len(passed) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
