# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted systemd with the product installed: what scenarios run in.

    with Machine("name") as m:
        m.run(["guardianctl", "status"])

The machine is a systemd-nspawn container with a network of its own (loopback
only) over an overlay that ends with it. Nothing is registered anywhere, so it
works where the host runs no systemd, and several run side by side. KEEP=1
leaves the files and says how to look at them.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import image

sys.path.insert(0, str(image.ROOT / "tests/integration"))
from lab import Failed, expect, run_cases  # noqa: E402 pylint: disable=C0413

UNITS = "acme-guardian*"
CLONE_NEWNS = 0x00020000
PR_SET_PDEATHSIG = 1
NSPAWN_REBOOT = 133  # with --keep-unit, its caller starts it again
LIBC = ctypes.CDLL(None, use_errno=True)
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
               "/bin", "HOME=/root", "LANG=C.UTF-8", "SYSTEMD_PAGER="]
ROOT = image.ROOT
KEEP = bool(os.environ.get("KEEP"))

__all__ = ["ROOT", "Machine", "Failed", "expect", "scenario"]


def own_mounts():
    """Mounts of this process end with it, however it ends."""
    if LIBC.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    image.quiet(["mount", "--make-rprivate", "/"])


def own_cgroups(name):
    """A new group under each of this process's that systemd would manage.

    Two machines in one group would see each other's units, and stop them.
    """
    mounts = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            before, after = line.rstrip("\n").split(" - ", 1)
            where, kind = before.split()[4], after.split()[0]
            if kind == "cgroup2":
                mounts[""] = where
            elif kind == "cgroup" and "name=systemd" in after:
                mounts["name=systemd"] = where
    made = []
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        for line in f:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if controllers in mounts:
                group = pathlib.Path(mounts[controllers] + path) / name
                group.mkdir(exist_ok=True)
                made.append(group)
    return made


class Machine:
    def __init__(self, name, product=True, suite=None,
                 packages=image.PACKAGES):
        self.name = f"{name}-{os.getpid()}"
        self.of = (product, suite, packages)
        self.dir = image.CACHE / "machines" / self.name
        self.root = self.dir / "root"
        self.process = self.leader = self.lock = None
        self.cgroups = []
        self.layers = []

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.explain()
        self._end()

    # The file system.

    def _prepare(self):
        self.layers = image.layers(*self.of)
        self.dir.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(self.dir.parent)
        self.dir.mkdir()
        self.lock = _try_lock(self.dir)
        for part in ("root", "upper", "work"):
            (self.dir / part).mkdir()
        if not KEEP:
            own_mounts()
        if not image.overlay(self.layers, self.dir / "upper",
                             self.dir / "work", self.root):
            image.copy(self.layers, self.root)

    # Running.

    def _start(self):
        self.cgroups = own_cgroups(self.name)

        def child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for group in self.cgroups:
                (group / "cgroup.procs").write_text("0")

        with open(self.dir / "console", "ab") as console:
            self.process = subprocess.Popen(
                ["systemd-nspawn", "-D", self.root, "-b", "--register=no",
                 "--keep-unit", "--private-network", "--machine", self.name,
                 # Without, even what RLIMIT_MEMLOCK allows is refused,
                 # DeviceAllow= and IPAddressDeny= do nothing, and whether the
                 # clock is synchronised cannot be asked.
                 "--system-call-filter=@memlock bpf adjtimex clock_adjtime",
                 "--link-journal=no",
                 "--resolv-conf=off", "--timezone=off",
                 "--console=read-only"],
                stdin=subprocess.DEVNULL, stdout=console,
                stderr=subprocess.STDOUT, start_new_session=True,
                # The hierarchy of Debian's hosts, whatever this one has.
                env={"PATH": os.environ["PATH"],
                     "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                preexec_fn=child)
        self._wait_booted()

    def _wait_booted(self):
        self.wait_for("the machine's first process", self._find_leader, 60)
        self.wait_for("systemd", lambda: self.run(
            ["systemctl", "is-system-running"], check=False).stdout.strip() in
            ("running", "degraded"), 180)

    def _find_leader(self):
        """The one child of nspawn that is process 1 of its namespace."""
        if self.process.poll() is not None:
            raise Failed(f"systemd-nspawn ended with {self.process.returncode}")
        pid = self.process.pid
        with contextlib.suppress(OSError):
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            for child in children.read_text(encoding="ascii").split():
                status = pathlib.Path(f"/proc/{child}/status").read_text(
                    encoding="ascii")
                ids = [l.split() for l in status.splitlines()
                       if l.startswith("NSpid:")]
                comm = pathlib.Path(f"/proc/{child}/comm").read_text(
                    encoding="utf-8").strip()
                if ids and ids[0][-1] == "1" and comm == "systemd":
                    self.leader = int(child)
                    return True
        return False

    def restart(self):
        """Reboots, as an administrator would."""
        self.run(["systemctl", "reboot"])
        ended = self.process.wait(120)
        expect(ended == NSPAWN_REBOOT, f"a reboot, not exit {ended}")
        self._remove_cgroups()
        self._start()

    def _remove_cgroups(self):
        for group in self.cgroups:
            _remove_group(group)

    def _end(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                if self.leader and self.process.poll() is None:
                    os.kill(self.leader, signal.SIGKILL)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        self._remove_cgroups()
        if KEEP:
            (self.dir / "kept").touch()
            sys.stderr.write(f"kept: {self.root}; boot it with systemd-nspawn "
                             f"-D {self.root} -b --private-network; remove "
                             f"{self.dir}/kept when done\n")
        elif self.lock:
            subprocess.run(["umount", "-l", self.root], check=False,
                           stderr=subprocess.DEVNULL)
            shutil.rmtree(self.dir, ignore_errors=True)
        if self.lock:
            os.close(self.lock)
            self.lock = None

    # What scenarios use.

    def run(self, argv, user=None, check=True, input=None, timeout=60):
        """Runs a command (a list, or a text for the shell) in the machine.

        In no unit, with a clean environment; as root or @user, a name or an id.
        """
        if isinstance(argv, str):
            argv = ["sh", "-c", argv]
        become = []
        if str(user).isdigit():
            become = ["setpriv", f"--reuid={user}", f"--regid={user}",
                      "--clear-groups", "--"]
        elif user is not None:
            become = ["sh", "-c", 'u=$1; shift; exec setpriv --reuid="$u" '
                      '--regid="$(id -g "$u")" --init-groups -- "$@"', "sh",
                      user]
        r = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "--root", "--wd", "env",
             "-i", *ENVIRONMENT, *become, *map(str, argv)],
            input="" if input is None else input, capture_output=True,
            text=True, errors="replace", timeout=timeout, check=False)
        if check and r.returncode != 0:
            raise Failed(f"{' '.join(map(str, argv))}: exit {r.returncode}\n"
                         f"{r.stdout}{r.stderr}")
        return r

    def run_unit(self, unit, argv, *properties, check=True, input=None,
                 timeout=60):
        """Runs a command as a transient service, e.g. with "User=web"."""
        if isinstance(argv, str):
            argv = ["sh", "-c", argv]
        more = [a for p in properties for a in ("-p", p)]
        return self.run(["systemd-run", "--quiet", "--wait", "--pipe",
                         "--collect", f"--unit={unit}", *more, "--", *argv],
                        check=check, input=input, timeout=timeout)

    def systemctl(self, *args, check=True, timeout=90):
        return self.run(["systemctl", *args], check=check, timeout=timeout)

    def journal(self, *args):
        """Journal entries as dicts; arguments as for journalctl."""
        self.run(["journalctl", "--sync"])
        r = self.run(["journalctl", "-o", "json", "--no-pager", "-q", *args])
        return [json.loads(line) for line in r.stdout.splitlines()]

    def path(self, name):
        return self.root / str(name).lstrip("/")

    def write(self, path, text, mode=0o644, owner=None):
        """Writes a file inside; folders above it are made. owner: NAME[:GROUP]"""
        self.run(["mkdir", "-p", os.path.dirname(path)])
        self.run(["sh", "-c", 'umask 077; cat >"$1.new" && chown "$2" "$1.new" '
                  '&& chmod "$3" "$1.new" && mv "$1.new" "$1"', "sh", path,
                  owner or "root:root", f"{mode:o}"], input=text)

    def read(self, path):
        return self.run(["cat", path]).stdout

    def wait_for(self, what, probe, seconds=30):
        """Until probe() is true; its last Failed is told if it never is."""
        end, last = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            try:
                result = probe()
                if result:
                    return result
            except (Failed, subprocess.TimeoutExpired) as e:
                if self.process.poll() is not None:
                    raise
                last = f": {e}"
            time.sleep(0.05)
        raise Failed(f"{what}: not there after {seconds} s{last}")

    def explain(self):
        """For the reader of a failure: the last that our units said."""
        out = sys.stderr
        out.write("--- console\n")
        with contextlib.suppress(OSError):
            text = (self.dir / "console").read_text(encoding="utf-8",
                                                    errors="replace")
            lines = [l for l in text.splitlines() if l.strip()]
            out.write("\n".join(lines[-20:]) + "\n")
        if not self.leader or self.process.poll() is not None:
            return
        with contextlib.suppress(Exception):
            for argv in (["journalctl", "--no-pager", "-q", "-n", "60", "-o",
                          "short-precise", "-u", UNITS],
                         ["systemctl", "--no-pager", "--failed"]):
                out.write(f"--- {' '.join(argv)}\n{self.run(argv).stdout}")
        out.flush()


def _try_lock(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd
    except BlockingIOError:
        os.close(fd)
        return None


def _remove_left_over(machines):
    """What a killed test could not remove."""
    with image.locked("machines"):
        for folder in machines.iterdir():
            fd = _try_lock(folder)
            if fd is None:
                continue
            if not (folder / "kept").exists():
                subprocess.run(["umount", "-l", folder / "root"], check=False,
                               stderr=subprocess.DEVNULL)
                shutil.rmtree(folder, ignore_errors=True)
            os.close(fd)


def _remove_group(group):
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def scenario(name, cases, **more):
    """Boots a machine, runs each case(m) in it; ends the program."""
    if os.geteuid() != 0:
        sys.exit(f"{name}: needs root, to boot a machine")
    with Machine(name, **more) as m:
        failed = run_cases(cases, m)
        if failed:
            m.explain()
    sys.exit(failed)
