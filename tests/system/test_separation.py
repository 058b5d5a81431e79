#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon and the token helpers on a booted host: what each can do against the
other, and what they leave behind (separation_lab.py)."""

import json
import os
import re

from machine import expect
from place import SOFTHSM as MODULE, Place
from separation_lab import (ADMIN_SOCKET, CLIENT_SOCKET, CREDENTIAL, DAEMON,
                            DEVICE, ERROR, HELPER, LACME_SOCKET, LIST, LOAD,
                            NO_ROLE, OTHER_CREDENTIAL, OTHER_HELPER,
                            OTHER_SOCKET, PIN, PORT, ROOT, RUN, SOFTHSM, STATE,
                            STATUS, TENANT_SOCKET, TOKENS, TOKEN_SOCKET,
                            TOKEN_STATE, UNIT, app, asking_systemd,
                            becoming_more, configuration, control,
                            control_group, drop_in, every_process_of,
                            guardianctl, intrusions, like, main_pid,
                            of_the_daemon, outcomes, pids, run, said, user_id,
                            wait_for_tokens)


def test_each_runs_as_its_own_user(m):
    for unit, user in ((UNIT, DAEMON), (HELPER, TOKENS),
                       (OTHER_HELPER, TOKENS)):
        wanted = user_id(m, user)
        for pid in pids(m, unit):
            status = m.read(f"/proc/{pid}/status")
            ids = {l.split()[0]: l.split()[1:] for l in status.splitlines()
                   if l.startswith(("Uid:", "Gid:", "Groups:", "NoNewPrivs:",
                                    "CapEff:", "CapBnd:", "VmLck:"))}
            expect(ids["Uid:"] == [wanted] * 4, f"{unit}: {ids}")
            expect(set(ids["Groups:"]) <= {ids["Gid:"][0]}, f"{unit}: {ids}")
            expect(int(ids["CapEff:"][0], 16) == 0 and
                   int(ids["CapBnd:"][0], 16) == 0, f"{unit}: {ids}")
            expect(ids["NoNewPrivs:"] == ["1"], f"{unit}: {ids}")
    expect(user_id(m, DAEMON) != user_id(m, TOKENS), "two users")
    status = json.loads(guardianctl(m, "--json", "status", check=False).stdout)
    expect(status["separation"] == "separated" and
           not any(t["unseparated"] for t in status["tokens"]),
           f"nothing is unseparated: {status}")


def traceable(pid):
    """The same for who has the same user and no capability."""
    return [a for a in intrusions(pid, "ok") if not a.startswith("setns=")]


LOAD_BLIND = f"load-module={MODULE},hsm,0000"


# The daemon against the PIN, the helper, the device.

def test_the_daemon_has_no_pin_no_helper_and_no_device(m):
    outcomes(m, like(m, UNIT, "daemon", **SOFTHSM), {
        f"list={os.path.dirname(CREDENTIAL)}": "EACCES",
        f"read={CREDENTIAL}": "EACCES",
        "list=/etc/credstore.encrypted": "EACCES",
        "read=/etc/credstore.encrypted/acme-guardian-hsm": "EACCES",
        "create=/etc/credstore.encrypted/acme-guardian-hsm": "EACCES",
        "read=/var/lib/systemd/credential.secret": "EACCES",
        "list=/root": "EACCES",
        f"list={TOKEN_STATE}/hsm": "EACCES",
        f"list={TOKEN_STATE}/hsm/softhsm": "EACCES",
        f"create={TOKEN_STATE}/x": "EACCES",
        **every_process_of(m, HELPER, "EPERM"),
        # It is the daemon's work to ask the helper, so this is no secret.
        f"connect-packets={TOKEN_SOCKET}": "ok",
        LOAD: "ENODEV", LOAD_BLIND: "ENODEV",
        # Its mode would let everybody in.
        f"open={DEVICE}": "EPERM",
        f"tcp={PORT}": "ETIMEDOUT",
        **configuration("EACCES", "EACCES"),
        **becoming_more(m), **asking_systemd(),
        "write=/sys/fs/cgroup/cgroup.procs": "EACCES",
        f"write=/sys/fs/cgroup{control_group(m, HELPER)}/cgroup.procs":
            "EACCES",
        STATUS: NO_ROLE, LIST: ERROR,
    })


def test_the_daemon_in_its_namespaces_sees_none_of_it(m):
    outcomes(m, like(m, UNIT, "daemon", True, **SOFTHSM), {
        "list=/run/credentials": "EACCES",
        f"read={CREDENTIAL}": "EACCES",
        "list=/etc/credstore.encrypted": "EACCES",
        f"list={TOKEN_STATE}": "EACCES",
        f"list={TOKEN_STATE}/hsm": "EACCES",
        "list=/root": "EACCES",
        **every_process_of(m, HELPER, "EPERM"),
        LOAD: "ENODEV",
        f"open={DEVICE}": "ENOENT",
        f"tcp={PORT}": "ETIMEDOUT",
        **configuration("EACCES", "EROFS"),
        **becoming_more(m),
        "run=true": "EPERM",
        f"chmod={TOKEN_SOCKET}": "EROFS",
        "execute=/run": "EROFS",
        **dict.fromkeys((f"execute={d}" for d in (
            "/tmp", "/var/tmp", "/dev/shm", STATE, "/var/log/acme-guardian")),
            "EACCES"),
    })


def test_controls_of_what_the_daemon_cannot(m):
    helper = like(m, HELPER, "helper", **SOFTHSM)
    main = main_pid(m, HELPER)
    expect(said(m, ROOT, f"read={CREDENTIAL}") == PIN, "root reads the PIN")
    expect(said(m, helper, f"read={CREDENTIAL}") == PIN, "and the helper")
    control(m, ROOT, *intrusions(main, "ok"),
            f"read={CREDENTIAL}", "write=/etc/acme-guardian/guardian.conf.d/token-hsm.conf",
            "create=/etc/acme-guardian/policy.d/x.policy",
            "create=/etc/systemd/system/x.service", "setuid=0",
            "mount=/tmp", "mknod=/tmp/x,1,1", *asking_systemd())
    control(m, helper, f"read={CREDENTIAL}", LOAD, f"open={DEVICE}",
            f"tcp={PORT}", f"list={TOKEN_STATE}/hsm")
    # The right PIN after it, or SoftHSM2 remembers a wrong one.
    outcomes(m, helper, {LOAD_BLIND: "EACCES", LOAD: "ok"}, "control: ")


def test_control_without_device_policy_the_daemon_opens_the_device(m):
    with drop_in(m, UNIT, "PrivateDevices=no\nDevicePolicy=auto\n"
                 "IPAddressDeny=\nPrivateNetwork=no\n"):
        control(m, like(m, UNIT, "daemon without DevicePolicy="),
                f"open={DEVICE}", f"tcp={PORT}")


# The helper against the registry and the audit log.

def test_a_helper_has_no_registry_no_chain_key_and_no_role(m):
    outcomes(m, like(m, HELPER, "helper"), {
        **of_the_daemon("EACCES"),
        **every_process_of(m, UNIT, "EPERM"),
        **configuration("EACCES", "EACCES"),
        **becoming_more(m), **asking_systemd(),
        "read=/etc/credstore.encrypted/acme-guardian-hsm": "EACCES",
        "read=/var/lib/systemd/credential.secret": "EACCES",
        f"create={TOKEN_STATE}/x": "EACCES",
        f"connect-packets={TOKEN_SOCKET}": "EACCES",
        f"connect-packets={OTHER_SOCKET}": "EACCES",
        f"connect={LACME_SOCKET}": "EACCES",
        f"connect={TENANT_SOCKET}": "EACCES",
        "write=/sys/fs/cgroup/cgroup.procs": "EACCES",
        STATUS: NO_ROLE, LIST: ERROR,
    })
    outcomes(m, like(m, HELPER, "helper", True), {
        **of_the_daemon("EACCES"),
        **configuration("EACCES", "EROFS"),
        "create=/etc/acme-guardian/policy.d/x.policy": "EACCES",
        f"symlink={RUN}/lacme/x.sock": "EACCES",
        "list=/etc/acme-guardian/policy.d": "EACCES",
        f"connect={CLIENT_SOCKET}": "EACCES",
        f"connect={ADMIN_SOCKET}": "EACCES",
        "run=true": "EPERM",
        "execute=/run": "EROFS",
        **dict.fromkeys((f"execute={d}" for d in (
            "/tmp", "/var/tmp", "/dev/shm", f"{TOKEN_STATE}/hsm")), "EACCES"),
        # /proc shows it nobody's but its own.
        f"read=/proc/{main_pid(m, UNIT)}/stat": "ENOENT",
    })


def test_controls_of_what_a_helper_cannot(m):
    daemon = like(m, UNIT, "daemon")
    control(m, daemon, *of_the_daemon("ok"))
    control(m, ROOT, *of_the_daemon("ok"),
            *intrusions(main_pid(m, UNIT), "ok"))
    expect(said(m, daemon, f"read={STATE}/registry.db").startswith(
        "SQLite format 3"), "the daemon's user reads the registry")


# One token's helper against another's.

def test_helpers_share_a_user_and_nothing_else(m):
    """What a bad module of one vendor can do to another vendor's helper."""
    other, first = main_pid(m, OTHER_HELPER), main_pid(m, HELPER)
    # By the user and the cgroup alone: all but the process and the device.
    outcomes(m, like(m, OTHER_HELPER, "other helper"), {
        **every_process_of(m, HELPER, "ok"),
        f"open={DEVICE}": "EPERM", f"tcp={PORT}": "ETIMEDOUT",
        f"connect-packets={TOKEN_SOCKET}": "EACCES",
    })
    # In its unit: neither the PIN nor the files. It can end the other.
    outcomes(m, like(m, OTHER_HELPER, "other helper", True, **SOFTHSM), {
        f"read={CREDENTIAL}": "ENOENT",
        f"list={TOKEN_STATE}/hsm": "ENOENT",
        f"create={TOKEN_STATE}/x": "EROFS",
        LOAD: "ENODEV",
        f"read=/proc/{first}/status": "ENOENT",
        f"read=/proc/{first}/mem": "ENOENT",
        **dict.fromkeys((f"attach={first}", f"vm-read={first}",
                         f"get-fd={first}"), "EPERM"),
        f"kill={first}": "ok",
        # Its own.
        f"read={OTHER_CREDENTIAL}": "ok", f"list={TOKEN_STATE}/other": "ok",
    })
    sleeper = main_pid(m, app(TOKENS))
    control(m, like(m, OTHER_HELPER, "other helper"),
            *traceable(sleeper), f"read={CREDENTIAL}",
            f"read=/proc/{first}/status")
    expect(other != first, "two helpers")


HELPER_PROGRAM = "/usr/libexec/acme-guardian/acme-guardian-token"


def test_a_helper_is_closed_from_its_first_instruction(m):
    """Before it can say so itself: a program that its user may run and not
    read is not dumpable. Held in the linker, by a library that is a FIFO."""
    folder = "/run/held"
    m.run(f"mkdir -m 0755 {folder} && mkfifo -m 0644 {folder}/libsodium.so.23 "
          f"&& install -m 0755 {HELPER_PROGRAM} {folder}/readable")
    helper = like(m, OTHER_HELPER, "other helper")

    def held(name, program):
        m.run(["systemd-run", "--quiet", "--collect", f"--unit={name}", "-p",
               f"User={TOKENS}", "-p", "Type=exec", "-E",
               f"LD_LIBRARY_PATH={folder}", program, "--version"])
        pid = main_pid(m, f"{name}.service")
        m.wait_for("the linker", lambda: m.run(
            f"test $(readlink /proc/{pid}/exe) = {program} && "
            f"grep -q 'State:.S' /proc/{pid}/status", check=False
        ).returncode == 0)
        return pid
    outcomes(m, helper, intrusions(held("held", HELPER_PROGRAM), "ok"))
    control(m, helper, *traceable(held("held-control", f"{folder}/readable")))
    m.systemctl("kill", "-s", "SIGKILL", "held.service",
                "held-control.service")
    m.run(["rm", "-r", folder])


# What is left behind, or could be forged.

def test_secrets_are_locked(m):
    """The daemon's chain key always; a helper's PIN until it has logged in."""
    locked = re.search(r"VmLck:\s+(\d+)", m.read(
        f"/proc/{main_pid(m, UNIT)}/status")).group(1)
    expect(int(locked) > 0, f"{UNIT}: {locked} KiB")
    # Neither AllowSwappableSecrets= nor this was needed above.
    with drop_in(m, OTHER_HELPER, "LimitMEMLOCK=0\n"):
        Place(m).wait_token("other", "pin-missing")
        text = guardianctl(m, "token", "list", check=False).stdout
        expect("memory for secrets cannot be locked" in text, text)
        print("        control: LimitMEMLOCK=0: no PIN is read", flush=True)


def test_no_process_leaves_a_core(m):
    m.run(["systemd-run", "--quiet", "--collect", "--unit=dumps", "-p",
           "LimitCORE=infinity", "-p", "WorkingDirectory=/tmp", "sleep",
           "infinity"])
    for unit, code in ((HELPER, "killed"), (UNIT, "killed"),
                       ("dumps.service", "dumped")):
        m.run(["kill", "-ABRT", main_pid(m, unit)])
        m.wait_for(f"the end of {unit}", lambda u=unit, c=code: any(
            f"code={c}, status=6/ABRT" in e.get("MESSAGE", "")
            for e in m.journal("UNIT=" + u)))
        print(f"        {unit}: {code}", flush=True)
    m.systemctl("restart", UNIT)
    wait_for_tokens(m)


def test_nothing_of_ours_is_where_others_meet(m):
    for folder in ("/dev/shm", "/dev/mqueue"):
        expect(not m.run(["ls", "-A", folder]).stdout, folder)
    m.write("/tmp/of-the-host", "")
    for unit in (UNIT, HELPER, OTHER_HELPER):
        name = said(m, like(m, unit, unit, True), "list=/tmp")
        expect(not name, f"{unit} sees in /tmp: {name}")
    expect("of-the-host" in said(m, like(m, UNIT, UNIT), "list=/tmp"),
           "which is not the host's")
    abstract = [l.split()[-1] for l in m.read("/proc/net/unix").splitlines()
                if l.split()[-1].startswith("@")]
    expect(not any("guardian" in name for name in abstract), abstract)


if __name__ == "__main__":
    run("separation", globals())
