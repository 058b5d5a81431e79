#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lies about for others on the host, and a daemon that is started badly."""

import os
import pathlib
import re
import socket
import sys

from attacks_lab import PIN, audit_key, still_serves
import daemon_lab as D
import lab as L


def pids_below(pid):
    found = [pid]
    for p in found:
        kids = pathlib.Path(f"/proc/{p}/task/{p}/children").read_text()
        found += [int(k) for k in kids.split()]
    return found


# Secrets.

@D.with_guardian()
def test_secrets_stay_where_they_belong(g):
    key = audit_key(g)
    still_serves(g)
    secret = b"1234\n"
    for pid in pids_below(g.process.pid):
        for name in ("environ", "cmdline"):
            text = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            L.expect(PIN.encode() not in text.split(b"\0"),
                     f"/proc/{pid}/{name}")
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        L.expect("NoNewPrivs:\t1" in status, f"{pid}: no new privileges")
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        L.expect(re.search(r"core file size\s+0\s+0", limits), f"{pid}: core")
        owner = os.stat(f"/proc/{pid}/mem").st_uid
        L.expect(owner == 0, f"/proc/{pid}/mem is root's: not dumpable")
    mapped = pathlib.Path(f"/proc/{g.process.pid}/maps").read_text()
    L.expect("softhsm" not in mapped and "p11-kit" not in mapped,
             "the daemon has no module")
    fds = [os.readlink(p) for p in
           pathlib.Path(f"/proc/{g.process.pid}/fd").iterdir()]
    L.expect(not any("softhsm" in x for x in fds), f"nor the token: {fds}")
    for root, dirs, files in os.walk(g.lab.dir / "state"):
        for n in dirs + files:
            mode = os.stat(os.path.join(root, n)).st_mode & 0o077
            L.expect(mode == 0, f"{root}/{n} is private, not {mode:o}")
    L.expect(not (g.lab.dir / "state/audit.first").exists(), "key taken")
    for root, _, files in os.walk(g.lab.dir):
        for n in files:
            path = pathlib.Path(root, n)
            if not path.is_file():
                continue
            data = path.read_bytes()
            L.expect(key.encode() not in data and
                     bytes.fromhex(key) not in data, f"{path}: the first key")
            if "softhsm" not in root:
                L.expect(secret not in data, f"{path}: the PIN")


# Starting.

def ends(g, status, *texts, argv=None, env=None, prefix=()):
    r = g.lab.run([*prefix, *(argv or g.argv())], ok=None, env=env)
    said = r.stdout + r.stderr
    L.expect(r.returncode == status, f"exit {status}, not {r.returncode}: "
             f"{said}")
    for t in texts:
        L.expect(str(t) in said, f"says {t}: {said}")


def test_starting_badly_says_what_is_wrong():
    with L.Lab("attacks") as lab:
        g = D.Guardian(lab)
        conf = lab.dir / "etc/guardian.conf"
        ends(g, 64, "Usage", argv=[*g.argv(), "extra"])
        for text, line in (("[Guardian]\nNonsense=1\n", 2),
                           ("[Guardian]\n\nStateDirectory\n", 3),
                           ("x\n", 1), ("[Nope]\n", 1),
                           ("[Guardian]\nConnectionsPerUser=99999999999\n",
                            2)):
            g.configure(text)
            ends(g, 78, f"{conf}:{line}")
        g.configure(g.conf)
        for mode in (0o666, 0o664):
            os.chmod(conf, mode)
            ends(g, 78, conf)
        os.chmod(conf, 0o644)
        os.chown(conf, L.CLIENT_UID, 0)
        ends(g, 78, conf)
        os.unlink(conf)
        os.mkfifo(conf, 0o644)
        ends(g, 78, conf, prefix=["timeout", "10"])
        os.unlink(conf)
        g.configure(g.conf)
        state = lab.folder("state", mode=0o777)
        ends(g, 78, state)
        os.chmod(state, 0o700)
        (state / "registry.db").write_bytes(b"x" * 8192)
        ends(g, 78, "registry.db")
        (state / "registry.db").write_bytes(b"SQLite format 3\0" + b"\xff" *
                                            4080)
        ends(g, 78, "registry.db")
        os.unlink(state / "registry.db")
        os.symlink("/etc/passwd", state / "registry.db")
        ends(g, 1, "registry.db")
        L.expect(pathlib.Path("/etc/passwd").read_bytes()[:5] == b"root:",
                 "a link is not followed")
        os.unlink(state / "registry.db")
        junk = ["systemd-socket-activate", "-l", lab.dir / "run/x.sock",
                "--fdname=nonsense"]
        p = lab.start("junk", [*junk, *g.argv()])
        L.wait_for("the socket", (lab.dir / "run/x.sock").exists)
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(lab.dir / "run/x.sock"))
            p.wait(15)
        L.expect(p.returncode == 1 and "nonsense" in lab.log("junk"),
                 f"an unknown socket: {p.returncode} {lab.log('junk')}")
        g.start()
        L.expect(g.stop() == 0, "and it starts after all that")


def test_without_locked_memory_it_does_not_start():
    with L.Lab("attacks") as lab:
        g = D.Guardian(lab)
        for d in ("state", "log", "run"):
            lab.folder(d, L.DAEMON_UID, 0o755)
        g.configure(g.conf.replace("AllowSwappableSecrets=yes\n", ""))
        limit = ["prlimit", "--memlock=0:0", "--"]
        ends(g, 78, "AllowSwappableSecrets",
             prefix=[*limit, *L.Lab.as_user(L.DAEMON_UID)])


if __name__ == "__main__":
    sys.exit(D.run(globals()))
