# SPDX-License-Identifier: LGPL-2.1-or-later
"""A TPM 2.0 in software (swtpm), as tpm2-pkcs11 reaches it."""

import pathlib
import subprocess
import time

from lab import free_port

TPM2_PKCS11 = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so"


class Swtpm:
    def __init__(self, folder):
        self.state = pathlib.Path(folder) / "swtpm"
        self.state.mkdir()
        self.log = self.state / "log"
        # tpm2-tss wants the control channel at the port after the server's.
        self.port = free_port(2)
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
             "--server", f"type=tcp,port={self.port}", "--ctrl",
             f"type=tcp,port={self.port + 1}", "--flags",
             "not-need-init,startup-clear", "--log", f"file={self.log}"],
            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not self.listens():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "swtpm does not listen"
            time.sleep(0.02)
        self.tcti = f"swtpm:host=127.0.0.1,port={self.port}"

    def listens(self):
        """Without connecting: swtpm serves one connection and ends."""
        want = f"0100007F:{self.port + 1:04X}"
        return any(line.split()[1] == want and line.split()[3] == "0A" for line
                   in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
