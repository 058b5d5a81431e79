#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong on a host, and what comes back by itself.

Each case breaks one thing, looks at what an administrator is told, by the
journal and by systemctl status, puts it right and has a request signed.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import struct
import sys
import time

from machine import expect, scenario
from place import PIN, SERVICE, Place, order

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
ETC = "/etc/acme-guardian"
TOKEN = "acme-guardian-token@hsm"
SOCKETS = ("acme-guardian-client.socket", "acme-guardian-admin.socket",
           f"{TOKEN}.socket")
DAY = 24 * 3600
STA_UNSYNC = 0x40


def set_up(m):
    """The token, the account, a user and a policy"""
    m.place = place = Place(m)
    place.token()
    place.account()
    place.endpoints()
    m.run("useradd --system --user-group web")
    place.policy("web", "[Client]\nUser=web\n[Allow]\nAccount=lab\n"
                 "Domain=www.example\nOrdersPerDay=100000\n")
    place.reload()


def sign(m):
    return m.place.ctl("sign", "--account", "lab", "--url",
                       m.place.endpoints()["newOrder"], "--nonce", "bm9uY2U",
                       "--payload-file", "-", user="web", check=False,
                       input=order("www.example"))


def expect_signed(m, when):
    m.place.wait_token()
    r = sign(m)
    expect(r.returncode == 0, f"{when}: {r.stdout}{r.stderr}")


def show(m, unit, what):
    return m.systemctl("show", "-P", what, unit).stdout.strip()


def status_of(m, unit=SERVICE):
    return m.systemctl("status", "--no-pager", "--full", "-n", "30", unit,
                       check=False).stdout


def told(m, *texts, unit=SERVICE):
    """systemctl status says all of this, soon."""
    def is_so():
        status = status_of(m, unit)
        missing = [t for t in texts if t not in status]
        expect(not missing, f"{missing} in systemctl status:\n{status}")
        return True
    m.wait_for(f"systemctl status {unit}", is_so)


def not_started(m, unit, text):
    """The journal has the words of the process that was to become the service.

    systemctl status shows them only if the journal still found its unit when it
    read them.
    """
    m.wait_for(text, lambda: any(
        text in e["MESSAGE"] for e in m.journal("-b", f"UNIT={unit}")))


def sockets_listen(m):
    for unit in SOCKETS:
        expect(show(m, unit, "ActiveState") == "active", f"{unit} is active")


@contextlib.contextmanager
def away(m, path):
    """Without the file or directory."""
    m.run(["mv", path, f"{path}.away"])
    try:
        yield
    finally:
        m.run(["mv", f"{path}.away", path])


# ---- the daemon ------------------------------------------------------------


def test_a_daemon_that_hangs_is_started_again(m):
    before = show(m, SERVICE, "MainPID")
    restarts = int(show(m, SERVICE, "NRestarts"))
    m.run(["kill", "-STOP", before])
    # Twice WatchdogSec= of the unit.
    m.wait_for("another process", lambda: show(m, SERVICE, "MainPID") not in
               ("0", before) and show(m, SERVICE, "SubState") == "running", 60)
    expect(int(show(m, SERVICE, "NRestarts")) > restarts, "by Restart=")
    expect(any("Watchdog timeout" in e["MESSAGE"]
               for e in m.journal("-u", SERVICE, "-b")), "the watchdog did it")
    sockets_listen(m)
    expect_signed(m, "after the watchdog")


def test_a_daemon_that_is_killed_is_started_again(m):
    before = show(m, SERVICE, "MainPID")
    m.run(["kill", "-KILL", before])
    r = sign(m)
    expect(r.returncode == 0, f"a client waits, and is served: {r.stderr}")
    expect(show(m, SERVICE, "MainPID") not in ("0", before), "another process")


def test_stopping_the_service_does_not_stop_signing(m):
    """acme-guardiand(8) says so, and what does."""
    m.systemctl("stop", SERVICE)
    r = sign(m)
    expect(r.returncode == 0, f"the socket starts it: {r.stderr}")


def test_suspended_stays_suspended(m):
    def refused(when):
        r = sign(m)
        expect(r.returncode == 1 and "suspended" in r.stderr, f"{when}: {r}")
    m.place.ctl("suspend", "all")
    refused("at once")
    m.systemctl("restart", SERVICE)
    refused("after a restart")
    m.systemctl("stop", SERVICE)
    refused("when a client starts it")
    m.run(["kill", "-KILL", show(m, SERVICE, "MainPID")])
    refused("after a crash")
    m.restart()
    refused("after a boot")
    m.place.ctl("resume", "all")
    expect_signed(m, "resumed")


# ---- the token -------------------------------------------------------------


def test_a_wrong_pin_is_told_and_not_repeated(m):
    m.place.credential("hsm", "9999")
    m.systemctl("stop", f"{TOKEN}.service")
    m.place.wait_token(state="pin-wrong")
    r = sign(m)
    expect(r.returncode == 69, f"the token is not available: {r}")
    told(m, "0 of 1 tokens ready", "pin-wrong")
    # Again only when somebody says so: the right PIN is not known to be right.
    m.systemctl("restart", f"{TOKEN}.service")
    m.wait_for("and it is not sent again", lambda: any(
        "failed before and is not sent again" in e["MESSAGE"]
        for e in m.journal("-u", f"{TOKEN}.service", "-b")))
    m.place.wait_token(state="pin-wrong")
    m.place.credential("hsm", PIN)
    m.systemctl("stop", f"{TOKEN}.service")
    expect_signed(m, "with the right PIN")


def test_a_token_that_is_broken_at_boot_comes_back(m):
    with away(m, "/var/lib/acme-guardian-token/hsm/softhsm"):
        m.restart()
        sockets_listen(m)
        expect(show(m, SERVICE, "ActiveState") == "active",
               "the daemon does not wait for a token")
        fault = m.wait_for("the token's fault", lambda: [
            t for t in m.place.status()["tokens"]
            if t["state"] not in ("ok", "starting")])[0]
        told(m, "0 of 1 tokens ready", fault["state"])
        start = time.monotonic()
        r = sign(m)
        expect(r.returncode == 69 and time.monotonic() - start < 25,
               f"an answer, and no waiting: {r}")
    expect_signed(m, "when it is back, without a hand")
    told(m, "1 of 1 tokens ready")


# ---- half installed --------------------------------------------------------


def test_without_its_user(m):
    """As when only the files of the package are there."""
    m.systemctl("stop", SERVICE)
    m.run("sed -i.away s/^acme-guardian:/was-guardian:/ /etc/passwd")
    try:
        r = m.systemctl("start", SERVICE, check=False)
        expect(r.returncode != 0, "it does not start")
        told(m, "status=217/USER")
        not_started(m, SERVICE, "Failed to determine user credentials")
        sockets_listen(m)
        r = m.systemctl("restart", f"{TOKEN}.socket", check=False)
        expect(r.returncode != 0, "a socket needs its owner")
        told(m, "Failed to resolve user acme-guardian", unit=f"{TOKEN}.socket")
    finally:
        m.run("mv /etc/passwd.away /etc/passwd")
    m.systemctl("start", f"{TOKEN}.socket")
    expect_signed(m, "with its user, without a hand")


def test_without_its_program(m):
    with away(m, "/usr/sbin/acme-guardiand"):
        m.systemctl("restart", SERVICE, check=False)
        told(m, "acme-guardiand (code=exited, status=203/EXEC)")
        not_started(m, SERVICE, "acme-guardiand: No such file")
        sockets_listen(m)
    expect_signed(m, "with its program, without a hand")


def test_without_the_helper_s_program(m):
    with away(m, "/usr/libexec/acme-guardian/acme-guardian-token"):
        m.systemctl("stop", f"{TOKEN}.service")
        told(m, "acme-guardian-token hsm (code=exited, status=203/EXEC)",
             unit=f"{TOKEN}.service")
        not_started(m, f"{TOKEN}.service", "acme-guardian-token: No such file")
        m.place.wait_token(state="unreachable")
        sockets_listen(m)
    expect_signed(m, "with the helper, without a hand")


def test_without_the_configuration(m):
    with away(m, ETC):
        m.systemctl("restart", SERVICE, check=False)
        told(m, "status=78", f"{ETC}: ")
        sockets_listen(m)
    m.systemctl("start", SERVICE)
    expect_signed(m, "with its configuration")


def test_a_registry_of_a_later_version(m):
    """No start helps, and none is made; the sockets stay for the next one."""
    registry = "/var/lib/acme-guardian/registry.db"
    set_version = ("import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); "
                   "print(*d.execute('pragma user_version').fetchone()); "
                   "d.execute('pragma user_version=' + sys.argv[2]); d.commit()")
    m.systemctl("stop", SERVICE)
    before = m.run(["python3", "-c", set_version, registry, "99"]).stdout.strip()
    r = m.systemctl("start", SERVICE, check=False)
    expect(r.returncode != 0, "it does not start")
    told(m, "status=78", f"{registry}: ")
    sockets_listen(m)
    restarts = show(m, SERVICE, "NRestarts")
    time.sleep(4)  # twice RestartSec=
    expect(show(m, SERVICE, "ActiveState") == "failed" and
           show(m, SERVICE, "NRestarts") == restarts, "it is not tried again")
    m.run(["python3", "-c", set_version, registry, before])
    expect_signed(m, "with its own version, by the next client")


# ---- what others could change ----------------------------------------------


def test_a_configuration_that_others_can_write(m):
    for path, before in ((f"{ETC}/guardian.conf.d/token-hsm.conf", "0644"),
                         (f"{ETC}/guardian.conf.d", "0755"), (ETC, "0755")):
        m.run(["chmod", "g+w", path])
        r = m.systemctl("restart", SERVICE, check=False)
        expect(r.returncode != 0, f"{path}: not with this")
        told(m, "status=78", f"{path}: must be writable by its owner alone")
        m.run(["chmod", before, path])
    m.systemctl("start", SERVICE)
    expect_signed(m, "repaired")


def test_a_policy_that_others_can_write_at_a_start(m):
    policy = f"{ETC}/policy.d/web.policy"
    m.run(["chmod", "0664", policy])
    m.systemctl("restart", SERVICE)
    told(m, "POLICY NOT READ", f"{policy}: must be writable by its owner alone")
    m.place.wait_token()
    expect(sign(m).returncode == 1, "nothing is allowed")
    m.run(["chmod", "0644", policy])
    m.place.reload()
    expect_signed(m, "repaired")


def test_a_directory_of_sockets_that_is_another_s(m):
    uid = m.run(["id", "-u", "web"]).stdout.strip()
    for directory in ("/run/acme-guardian", "/run/acme-guardian/token"):
        m.run(["chown", "web", directory])
        m.systemctl("restart", SERVICE)
        said = f"{directory} of sockets must be owned by root or the " \
            f"daemon's user, not by uid {uid}"
        told(m, "SOCKETS CAN BE REPLACED", said)
        r = m.place.ctl("status", check=False)
        expect(r.returncode == 1 and said in r.stdout, f"{r}")
        m.run(["systemd-tmpfiles", "--create", "acme-guardian.conf"])
        m.systemctl("restart", SERVICE)
        expect("SOCKETS" not in show(m, SERVICE, "StatusText"), "repaired")
    expect_signed(m, "repaired")


# ---- the clock -------------------------------------------------------------


@contextlib.contextmanager
def clock(m, ahead, synchronised):
    """The daemon's clock, for it alone."""
    libraries = show(m, SERVICE, "ExecPaths").split()[-1]
    shutil.copy(BUILD / "tests/tools/fake-clock.so", m.path(libraries))
    m.write("/etc/fake-clock", f"{ahead} {synchronised}\n")
    path = f"/run/systemd/system/{SERVICE}.d/clock.conf"
    m.write(path, "[Service]\nEnvironment=FAKE_CLOCK=/etc/fake-clock "
            f"LD_PRELOAD={libraries}/fake-clock.so\n")
    m.systemctl("daemon-reload")
    try:
        m.systemctl("restart", SERVICE)
        yield
    finally:
        m.run(["rm", path, f"{libraries}/fake-clock.so"])
        m.systemctl("daemon-reload")
        m.systemctl("restart", SERVICE)


def test_a_clock_before_the_build(m):
    with clock(m, -20000 * DAY, 1):
        told(m, "WRONG CLOCK", "a time before this version was built")
        status = m.place.ctl("status", check=False)
        expect(status.returncode == 1 and
               "before this version was built" in status.stdout, f"{status}")
        entry = m.journal("-u", SERVICE, "GUARDIAN_DETAIL=clock")[-1]
        expect(entry["PRIORITY"] == "3", f"an error: {entry}")
        expect_signed(m, "it goes on")
        m.write("/etc/fake-clock", "0 1\n")
        m.wait_for("the clock is right", lambda: "CLOCK" not in
                   show(m, SERVICE, "StatusText"), 90)


def test_a_clock_that_is_not_synchronised(m):
    with clock(m, 0, 0):
        told(m, "clock not synchronised", "Going on, but the host's clock is "
             "not synchronised")
        entry = m.journal("-u", SERVICE, "GUARDIAN_DETAIL=clock")[-1]
        expect(entry["PRIORITY"] == "4", f"a warning: {entry}")
        status = m.place.ctl("status", check=False).stdout
        expect("not synchronised" in status, status)
        expect_signed(m, "it goes on")
    with clock(m, 0, 1):
        expect("clock" not in show(m, SERVICE, "StatusText").lower(),
               "and nothing of one that is")
    # In its sandbox the daemon sees what everybody sees.
    timex = ctypes.create_string_buffer(1024)
    ctypes.CDLL(None).adjtimex(timex)
    status = struct.unpack_from("@IllllI", timex)[-1]
    expect(("not synchronised" in show(m, SERVICE, "StatusText")) ==
           bool(status & STA_UNSYNC), f"the kernel says {status:#x}: "
           f"{show(m, SERVICE, 'StatusText')}")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("trouble", [
        set_up,
        test_a_daemon_that_hangs_is_started_again,
        test_a_daemon_that_is_killed_is_started_again,
        test_stopping_the_service_does_not_stop_signing,
        test_suspended_stays_suspended,
        test_a_wrong_pin_is_told_and_not_repeated,
        test_a_token_that_is_broken_at_boot_comes_back,
        test_without_its_user,
        test_without_its_program,
        test_without_the_helper_s_program,
        test_without_the_configuration,
        test_a_registry_of_a_later_version,
        test_a_configuration_that_others_can_write,
        test_a_policy_that_others_can_write_at_a_start,
        test_a_directory_of_sockets_that_is_another_s,
        test_a_clock_before_the_build,
        test_a_clock_that_is_not_synchronised,
    ])
