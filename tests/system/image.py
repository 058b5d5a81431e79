# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file systems that machines boot from, built once and kept.

A base image is a minimal Debian with systemd; a product layer is what
installing this tree's acme-guardian adds to it. Both lie in a cache outside
the repository, each under a hash of what it was made from, and are only ever
read afterwards: a machine writes into an overlay of its own.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("ACME_GUARDIAN_CACHE",
                                    "/var/cache/acme-guardian-tests"))
# While developing, "build" saves the time that packages take.
INSTALL = os.environ.get("ACME_GUARDIAN_INSTALL", "packages")

# To be raised when bootstrap() makes another image of the same packages.
IMAGE_VERSION = "2"

# What a machine has besides Debian's minimal set: systemd, the libraries that
# the product links, and what the scenarios use inside.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libnss-systemd",
    "libcurl4", "libidn2-0", "libjansson4", "libldns3", "libp11-3",
    "libp11-kit0", "libpsl5", "libseccomp2", "libsodium23", "libsqlite3-0",
    "libssl3", "libsystemd0", "publicsuffix",
    "ca-certificates", "curl", "gdb-minimal", "lacme", "lacme-accountd",
    "opensc", "openssl", "pebble", "procps", "python3", "softhsm2", "strace",
    "systemd-container", "util-linux")


# Where packages are built and tried: what Build-Depends says, and systemd.
BUILDING = ("systemd", "systemd-sysv", "dbus", "libnss-systemd",
            "build-essential", "lintian", "publicsuffix")


def build_depends():
    """The first alternative of each, without versions and profiles."""
    control = (ROOT / "debian/control").read_text(encoding="utf-8")
    field = re.search(r"^Build-Depends:((?:\n .*)+)", control, re.M).group(1)
    return tuple(re.match(r"[a-z0-9.+-]+", item.strip()).group()
                 for item in field.split(",") if item.strip())


def quiet(argv, **more):
    """Runs a command; what it said is shown only when it fails."""
    r = subprocess.run(list(map(str, argv)), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                       text=True, errors="replace", check=False, **more)
    if r.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {r.returncode}\n"
                           f"{r.stdout[-4000:]}")
    return r.stdout


@contextlib.contextmanager
def locked(name):
    """One process at a time makes the entry @name of the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(kind, digest, make):
    """CACHE/kind-digest, made by make(folder) if it is not there yet."""
    done = CACHE / f"{kind}-{digest[:16]}"
    with locked(done.name):
        if not done.exists():
            part = CACHE / f"{done.name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(done)
    return done


def host_suite():
    release = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    fields = dict(line.split("=", 1) for line in release.splitlines()
                  if "=" in line)
    return fields["VERSION_CODENAME"].strip('"')


def host_mirror():
    """The host's own source of Debian's main packages."""
    sources = quiet(["apt-get", "indextargets", "--format",
                     "$(SITE)|$(RELEASE)|$(COMPONENT)",
                     "Created-By: Packages"])
    for line in sources.splitlines():
        site, suite, component = line.split("|")
        if suite == host_suite() and component == "main":
            return site
    raise RuntimeError("no source of Debian's main packages in /etc/apt")


def host_environment():
    """For programs that do not read apt.conf: its proxies."""
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    for scheme in ("http", "https"):
        line = quiet(["apt-config", "shell", "proxy",
                      f"Acquire::{scheme}::Proxy"]).strip()
        if line:
            env[f"{scheme}_proxy"] = line.split("=", 1)[1].strip("'")
    return env


def in_tree(tree, argv, env):
    """Runs @argv in @tree with /proc and /dev, which end with it."""
    quiet(["unshare", "--mount", "--propagation", "private", "sh", "-c",
           'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && '
           'exec chroot "$@"', "sh", tree, *argv], env=env)


def give_apt(tree, suite):
    """The host's apt configuration and name resolution, for the bootstrap."""
    if suite == host_suite():
        shutil.rmtree(tree / "etc/apt")
        shutil.copytree("/etc/apt", tree / "etc/apt")
    else:
        shutil.copytree("/etc/apt/apt.conf.d", tree / "etc/apt/apt.conf.d",
                        dirs_exist_ok=True)
    for path in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(path, str(tree) + path)
    for folder in ("/usr/share/keyrings", "/usr/local/share/ca-certificates"):
        if os.path.isdir(folder):
            shutil.copytree(folder, str(tree) + folder, dirs_exist_ok=True)


def bootstrap(tree, suite, packages):
    env = host_environment()
    # Each release's script is sid's; an older debootstrap lacks later names.
    known = pathlib.Path("/usr/share/debootstrap/scripts") / suite
    quiet(["debootstrap", "--variant=minbase", suite, tree, host_mirror(),
           *([] if known.exists() else [known.with_name("sid")])], env=env)
    give_apt(tree, suite)
    no_start = tree / "usr/sbin/policy-rc.d"
    no_start.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    no_start.chmod(0o755)
    # Nobody is asked about files that the host's configuration brought.
    hasty = tree / "etc/dpkg/dpkg.cfg.d/hasty"
    hasty.write_text("force-unsafe-io\nforce-confold\n", encoding="ascii")
    in_tree(tree, ["apt-get", "update"], env)
    in_tree(tree, ["apt-get", "-y", "dist-upgrade"], env)
    in_tree(tree, ["apt-get", "install", "-y", "--no-install-recommends",
                   *packages], env)
    no_start.unlink()
    in_tree(tree, ["apt-get", "clean"], env)
    (tree / "etc/hostname").write_text("machine\n", encoding="ascii")
    # What Debian leaves out of an image so that each boot makes its own; a
    # journal on disk, since machines are rebooted.
    (tree / "etc/machine-id").write_text("", encoding="ascii")
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (tree / "var/log/journal").mkdir(exist_ok=True)


def base_image(suite=None, packages=PACKAGES):
    suite = suite or host_suite()
    text = "\n".join([IMAGE_VERSION, suite, *sorted(packages)])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return made_once(f"base-{suite}", digest,
                     lambda tree: bootstrap(tree, suite, packages))


def source_digest():
    """Over every file that the product could be made from."""
    state = hashlib.sha256()
    for folder, folders, files in os.walk(ROOT):
        here = pathlib.Path(folder)
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and
            f not in ("__pycache__", "build-test") and
            here / f != ROOT / "tests" and
            not (here / f / "build.ninja").exists())
        for name in sorted(files):
            path = here / name
            state.update(f"{path.relative_to(ROOT)}\0".encode())
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def overlay(layers, upper, work, root):
    """Mounts @layers (first on top) and the writable @upper at @root.

    Return: False where the kernel or the file system cannot.
    """
    r = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o",
         f"lowerdir={':'.join(map(str, layers))},upperdir={upper},"
         f"workdir={work}", root], check=False, capture_output=True)
    return r.returncode == 0


def copy(layers, root):
    for layer in reversed(layers):
        quiet(["cp", "-a", "--reflink=auto", f"{layer}/.", root])


@contextlib.contextmanager
def layered(layers, upper):
    """A tree in which what is changed lands in @upper."""
    with tempfile.TemporaryDirectory(dir=CACHE) as spare:
        work, root = pathlib.Path(spare) / "work", pathlib.Path(spare) / "root"
        work.mkdir()
        root.mkdir()
        if not overlay(layers, upper, work, root):
            copy(layers, upper)
            yield upper
            return
        try:
            yield root
        finally:
            quiet(["umount", root])


def install_packages(root):
    """The packages that scripts/package makes of this tree."""
    out = ROOT / "build-test/package"
    with locked("package"):
        quiet([ROOT / "scripts/package", out])
        files = sorted(f for f in out.glob("*.deb") if "-dbgsym" not in f.name)
        for file in files:
            shutil.copy(file, root / "root")
    in_tree(root, ["dpkg", "-i", *(f"/root/{f.name}" for f in files)],
            dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    for file in files:
        (root / "root" / file.name).unlink()


def install_build(root):
    """What `meson install` puts in place: quicker to have than packages."""
    tree = hashlib.sha256(str(ROOT).encode()).hexdigest()
    build = CACHE / f"build-{tree[:16]}"
    with locked(build.name):
        if not (build / "build.ninja").exists():
            quiet(["meson", "setup", build, ROOT, "--prefix=/usr",
                   "--sysconfdir=/etc", "--localstatedir=/var",
                   "-Dtests=none"])
        quiet(["ninja", "-C", build])
        quiet(["meson", "install", "-C", build, "--no-rebuild"],
              env=dict(os.environ, DESTDIR=str(root)))
    for argv in (["systemd-sysusers"], ["mkdir", "-p", "/etc/acme-guardian"],
                 ["systemctl", "enable", "acme-guardian.service"],
                 ["journalctl", "--update-catalog"]):
        in_tree(root, argv, os.environ)


def product(tree, base):
    with layered([base], tree) as root:
        {"packages": install_packages, "build": install_build}[INSTALL](root)


def product_layer(base):
    digest = hashlib.sha256(
        f"{base.name}\n{INSTALL}\n{source_digest()}".encode())
    return made_once("product", digest.hexdigest(),
                     lambda tree: product(tree, base))


def layers(with_product=True, suite=None, packages=PACKAGES):
    """What a machine lies over, the uppermost first."""
    base = base_image(suite, packages)
    return [product_layer(base), base] if with_product else [base]


if __name__ == "__main__":
    print("\n".join(map(str, layers())))
