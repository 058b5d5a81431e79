#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages: installed over what version 0.1.0 left, upgraded under
load, removed, purged; on the host's Debian and, built there, on trixie.

The version before, as a package, is this tree's under a lower number
(scripts/package --as-version); its files are really that version's
(tests/upgrade).
"""

import json
import os
import pathlib
import re
import shutil
import sys

import image
from machine import ROOT, Machine, expect, scenario
from place import SERVICE, Place

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
OLD = "0.1.9"
LEFT = ROOT / "tests/upgrade/0.1.0"
STATE, LOG = "/var/lib/acme-guardian", "/var/log/acme-guardian"
TOKENS = "/var/lib/acme-guardian-token"
DEBS = "/root/debs"
TOKEN = "acme-guardian-token@lab"
OURS = ("acme-guardian", "acme-guardian-openssl", "libacme-guardian0",
        "libacme-guardian-dev")


def packages(*options, out, env=None):
    """What scripts/package makes, which lintian has judged; by name."""
    with image.locked("package"):
        image.quiet([ROOT / "scripts/package", *options, out],
                    env=dict(os.environ, **(env or {})))
        files = [f for f in out.glob("*.deb") if "-dbgsym" not in f.name]
    return {f.name.split("_")[0]: f for f in files}


def version(m, name="acme-guardian"):
    r = m.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name],
              check=False)
    return r.stdout.strip()


def install(m, files):
    m.run(["mkdir", "-p", DEBS])
    for file in files.values():
        shutil.copy(file, m.path(DEBS))
    # As the README says.
    return m.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y",
                  "install", *(f"{DEBS}/{f.name}" for f in files.values())],
                 timeout=300)


def active(m, unit):
    return m.systemctl("is-active", unit, check=False).stdout.strip()


def show(m, unit, what):
    return m.systemctl("show", "-P", what, unit).stdout.strip()


def sign(m, account="ec"):
    a = m.accounts[account]
    return m.run(["guardianctl", "sign", "--account", account, "--url",
                  a["url"], "--nonce", "bm9uY2U"], user="load", check=False)


# ---- the version before ----------------------------------------------------


def test_before_it_is_configured(m):
    """Unpacked only, as when an installation is interrupted."""
    old = packages("--as-version", OLD, out=ROOT / "build-test/package-old",
                   env={"DEB_BUILD_OPTIONS": "nocheck"})
    expect(set(old) == set(OURS), f"packages: {old}")
    m.run(["mkdir", "-p", DEBS])
    for file in old.values():
        shutil.copy(file, m.path(DEBS))
    m.run(["dpkg", "--unpack", *(f"{DEBS}/{f.name}" for f in old.values())])
    m.systemctl("daemon-reload")
    r = m.systemctl("start", SERVICE, check=False)
    status = m.systemctl("status", "--no-pager", SERVICE, check=False).stdout
    expect(r.returncode != 0 and "217/USER" in status, f"no user: {status}")
    r = m.run(["guardianctl", "setup", "--token", "x", "--backend", "sealed"],
              check=False)
    expect(r.returncode == 78 and "acme-guardian" in r.stderr, f"setup: {r}")
    m.run(["dpkg", "--configure", "-a"], timeout=300)
    expect(version(m) == f"installed {OLD}", version(m))


def test_installed_it_runs_and_signs_nothing(m):
    for unit in (SERVICE, "acme-guardian-client.socket",
                 "acme-guardian-admin.socket"):
        m.wait_for(unit, lambda u=unit: active(m, u) == "active")
        m.systemctl("is-enabled", "--quiet", unit)
    m.run(["getent", "passwd", "acme-guardian", "acme-guardian-token",
           "acme-guardian-ops", "acme-guardian-monitor"])
    m.run(["getent", "group", "acme-guardian-admin", "acme-guardian-monitor"])
    status = json.loads(m.run(["guardianctl", "--json", "status"],
                              check=False).stdout)
    library = m.run("ls /usr/lib/*/libacme-guardian.so.0").stdout.strip()
    modules = m.run(["openssl", "version", "-m"]).stdout.split('"')[1]
    image.quiet(["python3", ROOT / "tests/binaries.py", *map(m.path, (
        "/usr/sbin/acme-guardiand", "/usr/bin/guardianctl", library,
        f"{modules}/acme-guardian.so",
        "/usr/libexec/acme-guardian/acme-guardian-token"))])
    said = m.run("OPENSSL_CONF=/usr/share/acme-guardian/openssl.cnf "
                 "openssl list -providers").stdout
    expect(f"name: acme-guardian\n    version: {OLD}\n    status: active" in
           said, said)
    expect(status["version"] == OLD and status["accounts"] == 0 and
           status["tokens"] == [] and status["policyRuleSets"] == 0, status)


def test_what_0_1_0_left_opens(m):
    """Its state and token directories in the places that units have."""
    m.systemctl("stop", SERVICE, "acme-guardian-*.socket")
    for name, owner, target in (("state", "acme-guardian", STATE),
                                ("log", "acme-guardian", LOG),
                                ("token", "acme-guardian-token",
                                 f"{TOKENS}/lab")):
        m.run(["rm", "-rf", target])
        shutil.copytree(LEFT / name, m.path(target))
        m.run(f"chown -R {owner}: {target} && chmod 0700 {target} && "
              f"chmod 0600 {target}/*")
    m.run(f"chmod 0755 {TOKENS}")
    m.run(["systemd-creds", "encrypt", "--name=acme-guardian-lab", "-",
           "/etc/credstore.encrypted/acme-guardian-lab"],
          input=(LEFT / "credential").read_bytes().decode("latin-1"))
    shutil.copy(LEFT / "first-key", m.path("/root/first-key"))
    m.run("chmod 0600 /root/first-key")
    m.run("useradd --system --user-group load")
    m.place = place = Place(m)
    place.config("lab", "[Guardian]\nRequestsPerMinute=10000000\n[Token lab]\n"
                 "Backend=sealed\nPin=credential:acme-guardian-lab\n"
                 "HelperSocket=/run/acme-guardian/token/lab.sock\n")
    place.policy("load", "[Client]\nUser=load\n[Allow]\nAccount=ec rsa\n"
                 "Domain=www.lab.example\n")
    m.systemctl("enable", f"{TOKEN}.socket")
    m.systemctl("start", SERVICE)
    place.wait_token("lab")
    m.accounts = {a["name"]: a for a in json.loads(
        (LEFT / "accounts.json").read_text(encoding="utf-8"))}
    expect_all_as_it_was(m)


def expect_all_as_it_was(m):
    """Accounts, keys, suspension and audit log."""
    for name, old in m.accounts.items():
        new = m.place.ctl_json("account", "show", name)["account"]
        expect(new["status"] == "valid" and
               {k: new[k] for k in old} == old, f"{name}: {old} -> {new}")
    expect(sign(m).returncode == 0, "the key signs")
    refused = sign(m, "rsa")
    expect(refused.returncode == 1 and "suspended" in refused.stderr,
           f"the suspension holds: {refused}")
    m.place.ctl("audit", "verify", "--key-file", "/root/first-key")


# ---- to this version -------------------------------------------------------


def test_upgraded_under_load_no_request_fails(m):
    sockets = ("acme-guardian-client.socket", "acme-guardian-admin.socket",
               f"{TOKEN}.socket")
    before = {u: show(m, u, "InvocationID") for u in sockets}
    services = {u: show(m, u, "MainPID") for u in (SERVICE, f"{TOKEN}.service")}
    new = packages(out=ROOT / "build-test/package")
    shutil.copy(BUILD / "tests/tools/sign-load", m.path("/usr/local/bin"))
    m.run(["systemd-run", "--quiet", "--unit=load", "-p", "User=load", "-p",
           "StandardOutput=truncate:/run/load", "-p", "Type=exec", "--",
           "sign-load", "ec", m.accounts["ec"]["url"], "6"])
    said = install(m, new)
    expect("conffile" not in said.stdout + said.stderr, "nothing is asked")
    now = version(m).split()[1]
    expect(version(m).startswith("installed") and now != OLD, version(m))
    m.wait_for("the new daemon", lambda: m.place.status().get("version") == now)
    m.place.wait_token("lab")
    m.systemctl("stop", "load.service")
    counts = re.search(r"(\d+) requests, (\d+) failed", m.read("/run/load"))
    expect(counts and int(counts[1]) > 50 and counts[2] == "0",
           m.read("/run/load")[-2000:])
    print(f"        {counts[0]}", flush=True)
    expect({u: show(m, u, "InvocationID") for u in sockets} == before,
           "the sockets were never closed")
    for unit, pid in services.items():
        expect(show(m, unit, "MainPID") not in ("0", pid),
               f"{unit} is the new program")
    expect_all_as_it_was(m)


def test_configured_again_nothing_changes(m):
    m.run(["dpkg-reconfigure", "-fnoninteractive", "acme-guardian"], timeout=120)
    m.wait_for("the daemon", lambda: active(m, SERVICE) == "active")
    m.place.wait_token("lab")
    expect_all_as_it_was(m)


# ---- and away --------------------------------------------------------------


def kept(m):
    return m.run(f"find {STATE} {LOG} {TOKENS} /etc/acme-guardian "
                 "/etc/credstore.encrypted/acme-guardian-lab -type f "
                 "! -name lock ! -name pin-failed | sort").stdout.splitlines()


def test_removed_nothing_runs_and_all_is_there(m):
    m.systemctl("stop", SERVICE)
    files = kept(m)
    m.systemctl("start", SERVICE)
    m.run(["dpkg", "-r", "acme-guardian"], timeout=120)
    for unit in (SERVICE, f"{TOKEN}.service", f"{TOKEN}.socket",
                 "acme-guardian-client.socket", "acme-guardian-admin.socket"):
        expect(active(m, unit) in ("inactive", "unknown", "failed"),
               f"{unit}: {active(m, unit)}")
    expect(m.run("pgrep acme-guardian", check=False).stdout == "", "no process")
    expect(not m.run("ls /run/acme-guardian/*.sock", check=False).stdout,
           "no socket")
    expect(kept(m) == files, f"{set(files) ^ set(kept(m))}")


def test_installed_again_it_goes_on(m):
    install(m, packages(out=ROOT / "build-test/package"))
    m.place.wait_token("lab")
    expect_all_as_it_was(m)


def test_purged_it_keeps_keys_and_log_and_says_so(m):
    m.systemctl("stop", SERVICE)
    files = kept(m)
    m.systemctl("start", SERVICE)
    r = m.run(["dpkg", "-P", "acme-guardian"], timeout=120)
    said = r.stdout + r.stderr
    for path in (STATE, LOG, TOKENS, "/etc/acme-guardian",
                 "/etc/credstore.encrypted/acme-guardian-lab"):
        expect(re.search(rf"^  {path} ", said, re.M), f"{path} is told: {said}")
    expect(kept(m) == files, f"{set(files) ^ set(kept(m))}")
    expect(any(f.endswith(":ec:1.key") for f in files) and
           f"{LOG}/audit.jsonl" in files, f"sealed keys and log: {files}")
    left = m.run("find /etc/systemd /run/acme-guardian /usr/lib/systemd "
                 "-name '*acme-guardian*'", check=False).stdout
    expect(left == "", f"no unit, link or socket is left: {left}")
    # The command that it prints deletes all of it.
    command = re.search(r"^  (rm -rf .*)$", said, re.M).group(1)
    m.run(command)
    for path in (STATE, LOG, TOKENS, "/etc/acme-guardian"):
        expect(m.run(["test", "-e", path], check=False).returncode == 1, path)


# ---- on the next Debian ----------------------------------------------------

TRIXIE = (*image.BUILDING, *image.build_depends(), "procps", "softhsm2")


def test_built_and_installed_on_trixie(_):
    with Machine("trixie", product=False, suite="trixie",
                 packages=TRIXIE) as m:
        m.run(["mkdir", "/root/source"])
        files = image.quiet(["git", "-C", ROOT, "ls-files", "--cached",
                             "--others", "--exclude-standard"]).splitlines()
        for name in files:
            target = m.path("/root/source") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).exists():
                shutil.copy(ROOT / name, target)
        # Runs the unit tests, and lintian.
        m.run(["/root/source/scripts/package", "/root/out"], timeout=900)
        m.run("dpkg -i $(ls /root/out/*.deb | grep -v dbgsym)", timeout=120)
        for name in OURS:
            expect(version(m, name).startswith("installed"), name)
        m.write("/root/passphrase", "correct horse battery\n", mode=0o600)
        for name, backend in (("soft", "sealed"), ("hsm", "softhsm")):
            r = m.run(["guardianctl", "setup", "--token", name,
                       "--no-policy", "--backend", backend,
                       "--recovery-passphrase-file",
                       "/root/passphrase"], timeout=180)
            expect(f"token {name}: made a key, signed, verified" in r.stdout,
                   r.stdout)
        m.systemctl("reload", SERVICE)
        status = json.loads(m.run(["guardianctl", "--json", "status"],
                                  check=False).stdout)
        expect(status["separation"] == "separated" and
               {t["state"] for t in status["tokens"]} == {"ok"}, status)
        figure = m.run(["systemd-analyze", "security", "--no-pager",
                        "--threshold=9", SERVICE], check=False)
        print("        trixie: " + figure.stdout.strip().splitlines()[-1],
              flush=True)
        m.run(["dpkg", "-P", "acme-guardian"], timeout=120)
        expect(active(m, SERVICE) != "active", "purged")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("package", [
        test_before_it_is_configured,
        test_installed_it_runs_and_signs_nothing,
        test_what_0_1_0_left_opens,
        test_upgraded_under_load_no_request_fails,
        test_configured_again_nothing_changes,
        test_removed_nothing_runs_and_all_is_there,
        test_installed_again_it_goes_on,
        test_purged_it_keeps_keys_and_log_and_says_so,
        test_built_and_installed_on_trixie,
    ], product=False)
