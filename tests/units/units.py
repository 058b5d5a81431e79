#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installs into an empty root and asks systemd's own tools about the units.

usage: units.py BUILD

Prints systemd-analyze's figures: 0 is closed, 10 open.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# acme-guardiand(8) and acme-guardian-token(8) state what they are below.
DAEMON_AT_MOST = 0.9
TOKEN_AT_MOST = 0.9
CHECK_AT_MOST = 1.5
METRICS_AT_MOST = 0.9

DAEMON = "acme-guardian.service"
TOKEN = "acme-guardian-token@hsm.service"
CHECK = "acme-guardian-check.service"
METRICS = "acme-guardian-metrics.service"
ROTATE = "acme-guardian-rotate.service"
STUBS = "acme-guardian-stubs.service"
UNITS = (DAEMON, TOKEN, CHECK, "acme-guardian-check.timer",
         ROTATE, "acme-guardian-rotate.timer",
         METRICS, "acme-guardian-metrics.timer",
         STUBS, "acme-guardian-stubs.path", "acme-guardian-stubs.timer",
         "acme-guardian-client.socket",
         "acme-guardian-client@web.socket", "acme-guardian-admin.socket",
         "acme-guardian-lacme@le.socket", "acme-guardian-token@hsm.socket")
ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8", SYSTEMD_COLORS="0",
                   SYSTEMD_LOG_LEVEL="notice")


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Failed(text)


def run(*argv, **more):
    r = subprocess.run(list(map(str, argv)), capture_output=True, text=True,
                       check=False, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
                       **more)
    return r.returncode, r.stdout + r.stderr


class Root:
    """What `meson install` puts in place, with systemd's own targets."""

    def __init__(self, build, path):
        self.path = pathlib.Path(path)
        done = subprocess.run(
            ["meson", "install", "-C", build, "--no-rebuild", "--quiet"],
            env=dict(os.environ, DESTDIR=path), capture_output=True, text=True,
            check=False)
        expect(done.returncode == 0, f"meson install: {done.stderr}")
        self.units = self.find(DAEMON).parent
        self.examples = self.find("network-hsm.conf").parent
        host = next(p for p in map(pathlib.Path, ("/usr/lib/systemd/system",
                                                  "/lib/systemd/system"))
                    if (p / "sysinit.target").exists())
        for target in host.glob("*.target"):
            shutil.copy(target, self.units)
        (self.path / "bin").mkdir(exist_ok=True)
        (self.path / "bin/sh").touch(0o755)  # an example calls it

    def find(self, name, folder="*"):
        found = [p for p in self.path.rglob(name) if p.match(f"{folder}/{name}")]
        expect(len(found) == 1, f"{name} is installed once: {found}")
        return found[0]

    def verify(self, *units):
        code, said = run("systemd-analyze", "verify", "--man=no",
                         f"--root={self.path}", *units)
        expect(code == 0 and not said, f"verify {' '.join(units)}: {said}")

    def drop_in(self, unit, example=None):
        folder = self.units / f"{unit}.d"
        shutil.rmtree(folder, ignore_errors=True)
        if example:
            folder.mkdir()
            shutil.copy(example, folder)

    def exposure(self, unit):
        """(the figure, what adds to it)"""
        code, said = run("systemd-analyze", "security", "--offline=yes",
                         f"--root={self.path}", "--no-pager", unit)
        figure = re.search(r"exposure level for \S+ ([0-9.]+)", said)
        expect(code == 0 and figure, f"security {unit}: {said}")
        return float(figure[1]), [line.split()[1] for line in said.splitlines()
                                  if line.startswith("✗")]


def test_systemd_reads_the_units(root):
    root.verify(*UNITS)


def test_a_mistake_in_a_unit_is_noticed(root):
    path = root.units / DAEMON
    text = path.read_text(encoding="utf-8")
    for bad in (text.replace("KillMode=", "KilMode="),
                text.replace("KillMode=mixed", "KillMode=some"),
                text.replace("/acme-guardiand\n", "/acme-gardiand\n")):
        expect(bad != text, "a mistake was made")
        path.write_text(bad, encoding="utf-8")
        try:
            root.verify(DAEMON)
        except Failed:
            continue
        finally:
            path.write_text(text, encoding="utf-8")
        raise Failed("a unit with a mistake was accepted")


def test_what_the_units_name_is_installed(root):
    for path in root.units.glob("acme-guardian*"):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key in ("ExecStart", "ExecReload", "ExecStopPost"):
                program = value.lstrip("!").split()[0]
                expect(os.access(f"{root.path}{program}", os.X_OK),
                       f"{path.name}: {program}")
            elif key in ("Sockets", "Service", "Also"):
                for unit in value.split():
                    expect((root.units / unit).exists(),
                           f"{path.name}: {unit}")


def test_the_manual_pages_named_are_there(root):
    for path in root.units.glob("acme-guardian*"):
        pages = re.findall(r"man:(\S+?)\((\d)\)",
                           path.read_text(encoding="utf-8"))
        expect(pages, f"{path.name} names its manual")
        for name, section in pages:
            root.find(f"{name}.{section}")


def test_the_daemon_s_sandbox(root):
    figure, open_points = root.exposure(DAEMON)
    print(f"# {DAEMON}: {figure} ({', '.join(open_points)})")
    code, said = run("systemd-analyze", "security", "--offline=yes",
                     f"--root={root.path}", "--no-pager",
                     f"--threshold={round(DAEMON_AT_MOST * 10)}", DAEMON)
    expect(code == 0 and figure <= DAEMON_AT_MOST,
           f"more than {DAEMON_AT_MOST}: {said}")


def test_the_token_helpers_sandbox(root):
    figure, open_points = root.exposure(TOKEN)
    print(f"# {TOKEN}: {figure} ({', '.join(open_points)})")
    expect(figure <= TOKEN_AT_MOST, f"more than {TOKEN_AT_MOST}")


def test_the_check_s_sandbox(root):
    """It has the network, which is the most of its figure."""
    figure, open_points = root.exposure(CHECK)
    print(f"# {CHECK}: {figure} ({', '.join(open_points)})")
    expect(figure <= CHECK_AT_MOST, f"more than {CHECK_AT_MOST}")


def test_the_rotations_sandbox(root):
    figure, open_points = root.exposure(ROTATE)
    print(f"# {ROTATE}: {figure} ({', '.join(open_points)})")
    expect(figure <= CHECK_AT_MOST, f"more than {CHECK_AT_MOST}")


def test_what_needs_a_person_fails_the_rotation(root):
    text = (root.units / ROTATE).read_text(encoding="utf-8")
    expect("SuccessExitStatus" not in text and
           not re.search(r"^Exec\w+=[-!+]", text, re.M), text)
    expect(re.search("^ExecStart=.*rotate start --due$", text, re.M), text)


def test_the_metrics_sandbox(root):
    figure, open_points = root.exposure(METRICS)
    print(f"# {METRICS}: {figure} ({', '.join(open_points)})")
    expect(figure <= METRICS_AT_MOST, f"more than {METRICS_AT_MOST}")


def test_findings_fail_the_check(root):
    """No exit status but 0 is success, so that OnFailure= works."""
    text = (root.units / CHECK).read_text(encoding="utf-8")
    expect("SuccessExitStatus" not in text and
           not re.search(r"^Exec\w+=[-!+]", text, re.M), text)
    expect(re.search("^ExecStart=.*records check$", text, re.M) and
           re.search("^ExecStopPost=.*records audit$", text, re.M), text)


def test_a_threshold_can_be_missed(root):
    """What makes the two above worth something."""
    path = root.path / "open.conf"
    path.write_text("[Service]\nPrivateNetwork=no\nCapabilityBoundingSet=~\n",
                    encoding="utf-8")
    root.drop_in(DAEMON, path)
    figure, _ = root.exposure(DAEMON)
    root.drop_in(DAEMON)
    expect(figure > DAEMON_AT_MOST, f"an open unit has {figure}")


def test_the_examples(root):
    examples = sorted(root.examples.glob("*.conf"))
    expect([e.name for e in examples] ==
           ["ask-pin.conf", "network-hsm.conf", "tpm.conf", "usb-token.conf"],
           f"examples: {examples}")
    for example in examples:
        root.drop_in(TOKEN, example)
        root.verify(TOKEN)
        figure, _ = root.exposure(TOKEN)
        print(f"# {TOKEN} with {example.name}: {figure}")
    root.drop_in(TOKEN)


def test_what_apparmor_lets_a_client_do(root):
    """Compiled, but not loaded: what its rules name is what there is."""
    path = root.find("acme-guardian", "abstractions")
    profile = root.path / "profile"
    profile.write_text("include <tunables/global>\n"
                       "profile a-client /usr/bin/a-client {\n"
                       "  include <abstractions/base>\n"
                       "  include <abstractions/acme-guardian>\n}\n",
                       encoding="utf-8")
    parse = ["apparmor_parser", "--skip-kernel-load", "--skip-cache",
             "--warn=all", "--Include", path.parents[1], "--base",
             "/etc/apparmor.d", profile]
    code, said = run(*parse)
    expect(code == 0, f"apparmor_parser: {said}")
    text = path.read_text(encoding="utf-8")
    rules = [line.split() for line in text.splitlines()
             if re.match(r" +/", line)]

    def allowed(name):
        """By the rules, without variables: one directory for each."""
        for glob, access in rules:
            pattern = re.escape(glob)
            pattern = re.sub(r"@\\\{multiarch\\\}", "[^/]+", pattern)
            pattern = re.sub(r"\\\{,(.*?)\\\}", r"(\1)?", pattern)
            pattern = pattern.replace(r"\*", "[^/]*")
            if re.fullmatch(pattern, name):
                return access.rstrip(",")
        return ""

    for name, access in (
            ("/run/acme-guardian/client.sock", "rw"),
            ("/var/run/acme-guardian/client.sock", "rw"),
            ("/run/acme-guardian/admin.sock", ""),
            ("/run/acme-guardian/token/hsm.sock", ""),
            ("/etc/acme-guardian/guardian.conf", ""),
            ("/var/lib/acme-guardian/registry.db", "")):
        expect(allowed(name) == access, f"{name}: '{allowed(name)}'")
    for pattern, access in (("libacme-guardian.so.0*", "mr"),
                            ("acme-guardian.so", "mr"),
                            ("openssl*.cnf", "r")):
        found = [p for p in root.path.rglob(pattern) if not p.is_dir()]
        expect(found, f"{pattern} is installed")
        for p in found:
            name = "/" + str(p.relative_to(root.path)).replace(
                "usr/local", "usr")
            expect(allowed(name) == access, f"{name}: '{allowed(name)}'")


def test_users_and_groups(root):
    (root.path / "etc").mkdir(exist_ok=True)
    code, said = run("systemd-sysusers", f"--root={root.path}",
                     root.find("acme-guardian.conf", "sysusers.d"))
    strange = [line for line in said.splitlines()
               if not line.startswith("Creating ")]
    expect(code == 0 and not strange, f"systemd-sysusers: {said}")
    for file, names in (
            ("passwd", ["acme-guardian", "acme-guardian-monitor",
                        "acme-guardian-ops", "acme-guardian-token"]),
            ("group", ["acme-guardian", "acme-guardian-admin",
                       "acme-guardian-monitor", "acme-guardian-ops",
                       "acme-guardian-token"])):
        lines = (root.path / "etc" / file).read_text(encoding="utf-8")
        made = sorted(line.split(":")[0] for line in lines.splitlines())
        expect([n for n in made if n.startswith("acme")] == names,
               f"{file}: {made}")


def test_directories(root):
    code, said = run("systemd-tmpfiles", f"--root={root.path}", "--create",
                     root.find("acme-guardian.conf", "tmpfiles.d"))
    expect(code == 0 and not said, f"systemd-tmpfiles: {said}")
    for name, mode in (("run/acme-guardian", 0o755),
                       ("run/acme-guardian/client", 0o700),
                       ("run/acme-guardian/lacme", 0o755),
                       ("run/acme-guardian/token", 0o755)):
        st = (root.path / name).stat()
        expect((st.st_mode & 0o7777, st.st_uid) == (mode, 0),
               f"/{name}: {st.st_mode:o}")


TESTS = (
    test_systemd_reads_the_units,
    test_a_mistake_in_a_unit_is_noticed,
    test_what_the_units_name_is_installed,
    test_the_manual_pages_named_are_there,
    test_the_daemon_s_sandbox,
    test_the_token_helpers_sandbox,
    test_the_check_s_sandbox,
    test_the_rotations_sandbox,
    test_what_needs_a_person_fails_the_rotation,
    test_the_metrics_sandbox,
    test_findings_fail_the_check,
    test_a_threshold_can_be_missed,
    test_the_examples,
    test_what_apparmor_lets_a_client_do,
    test_users_and_groups,
    test_directories,
)


def main():
    failed = 0
    if os.geteuid() != 0:
        print("skipped: needs root, to make users and directories in a tree")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as path:
        root = Root(sys.argv[1], path)
        for test in TESTS:
            name = test.__name__.removeprefix("test_").replace("_", " ")
            try:
                test(root)
                print(f"ok      {name}")
            except Failed as e:
                failed += 1
                print(f"FAILED  {name}: {e}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
