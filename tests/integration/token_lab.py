# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens for the tests of the token helper, and how those tests run."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

from token_wire import Helper, Key, own

# A crash has to look like one under the sanitizers, too.
os.environ.setdefault("ASAN_OPTIONS", "handle_segv=0")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
HELPER = BUILD / "pkcs11/acme-guardian-token"
FAULTY = BUILD / "tests/faulty-module/faulty-pkcs11.so"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
NSS = "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"
PIN = "1234-is-long-enough"


class Failed(Exception):
    pass


def equal(have, want, what=""):
    if have != want:
        raise Failed(f"{what}: {have!r}, expected {want!r}")


def within(what, probe, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if probe():
            return
        time.sleep(0.02)
    raise Failed(f"{what}: not so after {seconds} s")


class Place:
    """One test's folder with one token and the configuration for it."""

    backend = "cryptoki"
    uri = "pkcs11:token=t1"
    algs = ("ES256", "ES384", "RS256", "EdDSA")
    proves_attrs = True
    rsa_bits = (2048, 3072, 4096)
    processes = 2  # what may become of Processes=2
    pin = PIN
    wrong_pin = "4321-is-wrong-but-long"
    # Tests of token_conformance.py on what a backend answers "unsupported" to.
    cannot = ()

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.config = self.folder / "conf"
        self.config.mkdir(mode=0o755)
        self.pin_file = self.folder / "pin"
        self.set_pin(self.pin)
        self.settings = {"Pin": f"file:{self.pin_file}"}
        self.environment = []
        self.make()

    def make(self):
        raise NotImplementedError

    def close(self):
        """What make() has started is ended."""

    def set_pin(self, pin):
        new = self.folder / "pin.new"
        new.write_text(pin + "\n")
        new.chmod(0o600)
        new.rename(self.pin_file)

    def write(self, **changes):
        lines = ["[Guardian]", f"StateDirectory={self.state}", "[Token t]",
                 f"Backend={self.backend}"]
        settings = dict(self.settings, **changes)
        settings.setdefault("Token", self.uri)
        lines += [f"{k}={v}" for k, v in settings.items() if v is not None]
        lines += [f"Environment={e}" for e in self.environment]
        (self.config / "guardian.conf").write_text("\n".join(lines) + "\n")

    def start(self, env=None, stderr=None, **changes):
        self.write(**changes)
        return Helper(HELPER, self.config, "t", env=env, stderr=stderr)

    def make_key(self, helper, label, alg, bits=0):
        """A new key on the token, as the helper then finds it."""
        reply = helper.generate(label, alg, bits)
        equal(reply.result, "OK", f"generating {label}: {reply.text}")
        return Key(reply.data)

    def destroy(self, helper, label):
        equal(helper.ask("DESTROY", label).result, "OK", f"destroy {label}")

    def record(self):
        return self.state / "token/t/pin-failed"

    def run(self, *command, stdin=subprocess.DEVNULL, **env):
        done = subprocess.run([str(c) for c in command], check=False,
                              env=dict(os.environ, **env), text=True,
                              stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failed(f"{' '.join(map(str, command))}: {done.stdout}")
        return done.stdout


class SoftHsm(Place):
    module = SOFTHSM

    def make(self):
        self.tokens = self.folder / "tok"
        self.tokens.mkdir()
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.tokens}\n"
                        "objectstore.backend = file\nlog.level = ERROR\n")
        self.softhsm_env = {"SOFTHSM2_CONF": str(conf)}
        self.init_token("t1")
        self.environment.append(f"SOFTHSM2_CONF={conf}")
        self.settings["Module"] = self.module

    def init_token(self, label):
        self.run("softhsm2-util", "--init-token", "--free", "--label", label,
                 "--so-pin", "87654321", "--pin", PIN, **self.softhsm_env)

    def tool(self, *arguments, token="t1"):
        return self.run("pkcs11-tool", "--module", SOFTHSM, "--token-label",
                        token, "--login", "--pin", PIN, *arguments,
                        **self.softhsm_env)


class Faulty(SoftHsm):
    """SoftHSM2 behind the module that fails on command."""

    def make(self):
        super().make()
        self.settings["Module"] = FAULTY
        self.rules_file = self.folder / "rules"
        self.trace_file = self.folder / "trace"
        self.environment += [f"FAULTY_MODULE={SOFTHSM}",
                             f"FAULTY_RULES={self.rules_file}",
                             f"FAULTY_TRACE={self.trace_file}"]

    def rules(self, *lines):
        new = self.folder / "rules.new"
        new.write_text("\n".join(lines) + "\n")
        new.rename(self.rules_file)

    def trace(self, function=None):
        if not self.trace_file.exists():
            return []
        whole = self.trace_file.read_text().rpartition("\n")[0]
        lines = [l.split() for l in whole.splitlines()]
        return [l for l in lines if function in (None, l[2])]

    def logins(self):
        return len(self.trace("C_Login"))


class Nss(Place):
    uri = "pkcs11:token=NSS%20Certificate%20DB"
    algs = ("ES256", "ES384", "RS256")

    def make(self):
        database = self.folder / "nss"
        database.mkdir()
        self.run("certutil", "-N", "-d", f"sql:{database}", "-f",
                 self.pin_file)
        self.settings["Module"] = NSS
        self.settings["InitArgs"] = (
            f"configdir='sql:{database}' certPrefix='' keyPrefix='' "
            "secmod='secmod.db' flags=")


class Sealed(Place):
    """The store of encrypted software keys: the "PIN" is its credential."""

    backend = "sealed"
    uri = "pkcs11:token=t"
    pin = "3f9d" * 16
    wrong_pin = "93fd" * 16
    proves_attrs = False

    def make(self):
        self.settings["Token"] = None
        self.write()
        self.state.mkdir()
        (self.folder / "passphrase").write_text("correct horse battery\n" * 2)
        with (self.folder / "passphrase").open() as f:
            self.run(HELPER, "init-sealed", "--config", self.config, "t",
                     stdin=f)


class Libp11(SoftHsm):
    """SoftHSM2 through libp11, which only signs: keys come from elsewhere."""

    backend = "libp11"
    algs = ("ES256", "ES384", "RS256")
    types = dict(ES256="EC:prime256v1", ES384="EC:secp384r1", RS256="rsa:2048")
    proves_attrs = False
    cannot = ("rsa_sizes_are_honoured", "a_label_is_given_once",
              "lists_page_through_a_prefix", "a_key_is_found_by_uri",
              "destroyed_keys_are_gone",
              "a_key_is_destroyed_by_the_only_session",
              "labels_of_others_are_neither_made_nor_destroyed")

    def make_key(self, helper, label, alg, bits=0):
        equal(helper.generate(label, alg, bits).result, "UNSUPPORTED",
              "generating")
        self.tool("--keypairgen", "--key-type", self.types[alg], "--label",
                  own(label), "--id", os.urandom(8).hex(), "--usage-sign",
                  "--sensitive")
        reply = helper.find(label)
        equal(reply.result, "OK", f"finding {label}: {reply.text}")
        return Key(reply.data)


@contextlib.contextmanager
def place(kind):
    folder = tempfile.mkdtemp(prefix="token-")
    os.chmod(folder, 0o755)
    p = None
    try:
        p = kind(folder)
        yield p
    finally:
        if p:
            p.close()
        shutil.rmtree(folder, ignore_errors=True)


def main(tests, kinds, leave=True):
    """Each test on a place of its own; a line for each; exit status 1 if any
    failed, or with leave=False how many. Arguments: names of tests, instead of
    all."""
    bad = 0
    for test in tests:
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        for kind in kinds:
            name = f"{kind.__name__}: {test.__name__}"
            begun = time.monotonic()
            try:
                with place(kind) as p:
                    test(p)
                print(f"ok     {name} ({time.monotonic() - begun:.1f} s)",
                      flush=True)
            except Exception:
                bad += 1
                print(f"not ok {name}")
                traceback.print_exc(file=sys.stdout)
    if not leave:
        return bad
    print(f"{bad} failed" if bad else "all held")
    sys.exit(1 if bad else 0)
