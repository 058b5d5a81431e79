# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens that processes of their own serve: SoftHSM2 behind `p11-kit server`,
and a TPM 2.0 in software, with a resource manager and without."""

import contextlib
import os
import pathlib
import signal
import subprocess

from swtpm_lab import TPM2_PKCS11, Swtpm
from token_lab import HELPER, Place, SoftHsm, equal, within

P11_KIT_CLIENT = "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so"
QUIET = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
             stderr=subprocess.DEVNULL)


def children(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(p) for p in text.split()]


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class P11Kit(SoftHsm):
    """SoftHSM2 in another process, which may be gone at any time."""

    module = P11_KIT_CLIENT
    algs = ("ES256", "ES384", "RS256")  # p11-kit 0.24 passes no CKM_EDDSA on

    def make(self):
        super().make()
        self.environment.clear()  # SOFTHSM2_CONF= is the server's
        self.socket = self.folder / "pk.sock"
        self.environment.append(
            f"P11_KIT_SERVER_ADDRESS=unix:path={self.socket}")
        self.server = None
        self.serve()

    def serve(self):
        self.socket.unlink(missing_ok=True)
        self.server = subprocess.Popen(
            ["p11-kit", "server", "--foreground", "--provider",
             SoftHsm.module, "--name", self.socket, self.uri],
            env=dict(os.environ, **self.softhsm_env), **QUIET)
        within("p11-kit server listens", self.socket.exists)

    def cut(self):
        """The connections are lost; others can be made. How many were there?"""
        gone = children(self.server.pid)  # p11-kit-remote, one for each
        for pid in gone:
            kill(pid)
        return len(gone)

    def stop_serving(self):
        """The server is gone, and what it served with it."""
        remotes = children(self.server.pid)
        self.server.kill()
        self.server.wait()
        for pid in remotes:
            kill(pid)

    def close(self):
        if self.server:
            self.stop_serving()


def destroy_and_begin_anew(p, helper, label):
    """tpm2-pkcs11 gives handles that are in use once it has destroyed a key:
    another worker takes over the connection."""
    before = {*children(helper.process.pid)}
    Place.destroy(p, helper, label)
    within("another worker", lambda: children(helper.process.pid) and
           not before & {*children(helper.process.pid)}, 60)
    equal(helper.status().processes, 1, "processes")


class Tpm2(Place):
    """A TPM as the kernel's /dev/tpmrm0 gives it: tpm2-abrmd manages what it
    holds. Without that, see token_init.py."""

    module = TPM2_PKCS11
    algs = ("ES256", "ES384", "RS256")  # tpm2-pkcs11 has no EdDSA
    rsa_bits = (2048,)
    processes = 1  # one does not see what another makes

    def make(self):
        self.tpm = Swtpm(self.folder)
        bus = f"unix:path={self.folder}/bus"
        self.manage(bus)
        store = self.folder / "store"
        store.mkdir()
        self.environment = [f"TPM2_PKCS11_STORE={store}",
                            "TPM2_PKCS11_TCTI=tabrmd:bus_type=session",
                            "TPM2_PKCS11_BACKEND=esysdb",
                            f"DBUS_SESSION_BUS_ADDRESS={bus}"]
        self.settings["Module"] = self.module
        self.settings["Timeout"] = "60s"
        self.write()
        (self.folder / "passphrase").write_text("correct horse battery\n" * 2)
        with (self.folder / "passphrase").open() as f:
            self.run(HELPER, "init-token", "--config", self.config, "t",
                     stdin=f)

    def manage(self, address):
        self.bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile",
             f"--address={address}"], **QUIET)
        within("the bus", (self.folder / "bus").exists)
        env = dict(os.environ, DBUS_SESSION_BUS_ADDRESS=address)
        self.manager = subprocess.Popen(
            ["tpm2-abrmd", "--allow-root", "--session", "--flush-all",
             f"--tcti={self.tpm.tcti}"], env=env, **QUIET)
        within("tpm2-abrmd", lambda: self.manages(env), 60)

    def manages(self, env):
        done = subprocess.run(
            ["dbus-send", "--session", "--print-reply",
             "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus."
             "NameHasOwner", "string:com.intel.tss2.Tabrmd"],
            env=env, capture_output=True, check=False, text=True)
        return "boolean true" in done.stdout

    def write(self, **changes):
        """One session, as setup writes it: a logout makes room in the TPM, and
        is one of all sessions."""
        super().write(**{**changes, "Sessions": 1})

    def destroy(self, helper, label):
        destroy_and_begin_anew(self, helper, label)

    def close(self):
        for process in (self.manager, self.bus):
            process.terminate()
            process.wait(30)
        self.tpm.stop()
