#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who can do what on a booted host (docs/processes.md), tried by attacking it.

tests/tools/separation-probe becomes the daemon, a token helper, a client or the
timers' user: uid, groups and cgroup, and in a second round the namespaces, too.
It does not take over their seccomp filters and the rights that they gave up by
themselves, so that what is refused here is refused by nothing that a flaw in
the process could undo. Every attempt has to end exactly as it says here; a
control shows that the same attempt succeeds where it may, or where the measure
has been taken away.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sys

from machine import Failed, expect, scenario

from place import SOFTHSM as MODULE, Place

from admin_roles import ADMIN, MONITOR, NEEDED, NONE, OPS

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
PROBE = "/usr/local/bin/separation-probe"
DAEMON, TOKENS = "acme-guardian", "acme-guardian-token"
UNIT = "acme-guardian.service"
HELPER = "acme-guardian-token@hsm.service"
OTHER_HELPER = "acme-guardian-token@other.service"
PIN = "1234-the-hsms"
OTHER_PIN = "4321-the-others"
DEVICE, DEVICE_NUMBER = "/dev/stand-in", (10, 229)
PORT = 4711
STATE, TOKEN_STATE = "/var/lib/acme-guardian", "/var/lib/acme-guardian-token"
CREDENTIAL = f"/run/credentials/{HELPER}/acme-guardian-hsm"
OTHER_CREDENTIAL = (f"/run/credentials/{OTHER_HELPER}/"
                    "acme-guardian-other")
RUN = "/run/acme-guardian"
ADMIN_SOCKET, CLIENT_SOCKET = f"{RUN}/admin.sock", f"{RUN}/client.sock"
TOKEN_SOCKET, OTHER_SOCKET = f"{RUN}/token/hsm.sock", f"{RUN}/token/other.sock"
LACME_SOCKET, TENANT_SOCKET = f"{RUN}/lacme/web.sock", f"{RUN}/client/box.sock"
NO_ROLE = "ECONNRESET"   # closed before a byte was read
ERROR = "EREMOTEIO"      # an error of Varlink; the line says which

POLICY = """[Client]
User=alice
[Allow]
Account=main
Domain=alice.example.com

[Client]
Group=web
[Allow]
Account=main
Domain=web.example.com

[Client]
User=dyn
Unit=dyn.service
[Allow]
Account=main
Domain=dyn.example.com

[Client]
User=carol
Unit=shop.service
[Allow]
Account=main
Domain=shop.example.com
"""
# A drop-in for the token that has a device and a network: the stand-ins.
HSM_DROP_IN = f"""[Service]
PrivateDevices=no
DeviceAllow={DEVICE} rw
PrivateNetwork=no
RestrictAddressFamilies=AF_INET
IPAddressAllow=127.0.0.1
"""


class Who:
    """How the probe is told whom to become."""

    def __init__(self, name, *args, environment=None):
        self.name, self.args = name, args
        self.environment = environment or {}


def probe(m, who, *attempts):
    env = [f"{k}={v}" for k, v in who.environment.items()]
    out = m.run(["env", *env, PROBE, *who.args, *attempts], timeout=120).stdout
    result = {}
    for line in out.splitlines():
        attempt, outcome, said = line.split("\t", 2)
        result[attempt] = (outcome, said)
    return result


def said(m, who, attempt):
    return probe(m, who, attempt)[attempt][1]


def outcomes(m, who, expected, label=""):
    """Each attempt, and all that ended otherwise than expected."""
    got = probe(m, who, *expected)
    wrong = []
    for attempt, want in expected.items():
        outcome, text = got[attempt]
        print(f"        {label}{who.name}: {attempt}: {outcome}", flush=True)
        if outcome != want:
            wrong.append(f"{who.name}: {attempt}: {outcome} {text[:200]!r}, "
                         f"expected {want}")
    expect(not wrong, "\n".join(wrong))


def control(m, who, *attempts):
    outcomes(m, who, dict.fromkeys(attempts, "ok"), "control: ")


# Who is there.

def main_pid(m, unit):
    pid = m.systemctl("show", "-P", "MainPID", unit).stdout.strip()
    expect(pid != "0", f"{unit} runs")
    return pid


def control_group(m, unit):
    return m.systemctl("show", "-P", "ControlGroup", unit).stdout.strip()


def pids(m, unit):
    """All processes of a unit, the main one first."""
    main = main_pid(m, unit)
    found = m.read(f"/sys/fs/cgroup{control_group(m, unit)}/cgroup.procs"
                   ).split()
    return [main, *sorted(set(found) - {main}, key=int)]


def like(m, unit, name, namespaces=False, **environment):
    args = ["--as", main_pid(m, unit)]
    if namespaces:
        args.append("--namespaces")
        name += " in its namespaces"
    return Who(name, *args, environment=environment)


ROOT = Who("root")


def user_id(m, name):
    return m.run(["id", "-u", name]).stdout.strip()


def guardianctl(m, *args, check=True):
    return m.run(["guardianctl", *args], check=check)


@contextlib.contextmanager
def drop_in(m, unit, text):
    """The unit, restarted with these settings, and again without them."""
    path = f"/run/systemd/system/{unit}.d/test.conf"
    m.write(path, f"[Service]\n{text}")
    try:
        m.systemctl("daemon-reload")
        m.systemctl("restart", unit)
        yield
    finally:
        m.run(["rm", path])
        m.systemctl("daemon-reload")
        m.systemctl("restart", unit)
        wait_for_tokens(m)


# A process that is looked at: what would open it.

def intrusions(pid, outcome):
    """Everything that needs the right to trace a process, and kill."""
    files = {f"open=/proc/{pid}/mem": "EACCES",
             f"read=/proc/{pid}/environ": "EACCES",
             f"read=/proc/{pid}/maps": "EACCES",
             f"list=/proc/{pid}/fd": "EACCES",
             f"list=/proc/{pid}/root/": "EACCES",
             f"setns={pid}": "EACCES"}
    calls = dict.fromkeys((f"attach={pid}", f"seize={pid}", f"vm-read={pid}",
                           f"vm-write={pid}", f"get-fd={pid}"), "EPERM")
    return {**files, **calls, f"kill={pid}": outcome}


# Making the host.

def make_users(m):
    for name in ("alice", "bob", "carol", "dave"):
        m.run(["useradd", "--system", name])
    m.run(["groupadd", "--system", "web"])
    m.run(["usermod", "-aG", "web", "bob"])
    m.run(["useradd", "--system", "-G", "acme-guardian-monitor", "watcher"])
    m.run(["useradd", "--system", "-G", "acme-guardian-admin", "boss"])


def make_stand_ins(m):
    """A device that everybody may open by its mode, and a service on the
    network: what a token's unit alone may reach."""
    major, minor = map(str, DEVICE_NUMBER)
    m.run(["mknod", "-m", "0666", DEVICE, "c", major, minor])
    m.write("/etc/systemd/system/stand-in.socket",
            f"[Socket]\nListenStream=127.0.0.1:{PORT}\nAccept=yes\n"
            "TriggerLimitIntervalSec=0\n")
    m.write("/etc/systemd/system/stand-in@.service",
            "[Service]\nExecStart=/bin/true\n")
    m.write(f"/etc/systemd/system/{HELPER}.d/stand-in.conf", HSM_DROP_IN)
    m.systemctl("daemon-reload")
    m.systemctl("start", "stand-in.socket")


def wait_for_tokens(m):
    """A daemon that is restarted has its helpers started anew."""
    place = Place(m)
    place.wait_token("hsm")
    place.wait_token("other")


def test_a_host_with_two_tokens(m):
    make_users(m)
    make_stand_ins(m)
    place = Place(m)
    place.policy("test", POLICY)
    place.token("hsm", PIN, PIN)
    place.token("other", OTHER_PIN, OTHER_PIN)
    m.systemctl("enable", "acme-guardian-lacme@web.socket",
                "acme-guardian-client@box.socket")
    m.systemctl("restart", UNIT)
    wait_for_tokens(m)
    guardianctl(m, "account", "create", "main", "--token", "hsm",
                "--directory", "https://ca.example/directory")
    for user in ("alice", "acme-guardian-ops", "watcher", "boss", TOKENS):
        m.run(["systemd-run", "--quiet", f"--unit={app(user)}", "-p",
               f"User={user}", "sleep", "infinity"])
    shutil.copy(BUILD / "tests/tools/separation-probe", m.path(PROBE))
    register(m)


def app(user):
    """A unit in which only this user is."""
    return f"{user}-app.service"


def register(m):
    """As if the CA had: signing needs an account that is valid."""
    endpoints = {n: f"https://ca.example/{n}" for n in (
        "newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}
    control(m, ROOT, call("AccountSetDirectory",
                          {"name": "main", "endpoints": endpoints}),
            call("AccountRegistered", {"name": "main", "status": "valid",
                                       "url": "https://ca.example/acct/1"}))


def call(method, parameters, interface="Admin", socket=ADMIN_SOCKET):
    return (f"varlink={socket},org.acmeguardian.{interface}.{method},"
            f"{json.dumps(parameters)}")


def sign(payload, url):
    return call("Sign", {"account": "main", "nonce": "n", "payload": payload,
                         "url": f"https://ca.example/{url}"}, "Signer",
                CLIENT_SOCKET)


LIST = call("ListAccounts", {}, "Signer", CLIENT_SOCKET)
STATUS = call("Status", {})


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



# The daemon against the PIN, the helper, the device.

def configuration(outcome, made):
    """What decides: writing it, and making more of it."""
    return {**dict.fromkeys((
        "write=/etc/acme-guardian/guardian.conf.d/token-hsm.conf",
        "write=/etc/acme-guardian/policy.d/test.policy",
        "write=/lib/systemd/system/acme-guardian.service",
        f"write=/etc/systemd/system/{HELPER}.d/stand-in.conf"), outcome),
        **dict.fromkeys((
            "create=/etc/acme-guardian/guardian.conf.d/x.conf",
            "create=/etc/acme-guardian/policy.d/x.policy",
            "create=/etc/systemd/system/x.service",
            "create=/run/systemd/system/x.service",
            f"create={RUN}/x", f"symlink={RUN}/token/x.sock",
            f"symlink={RUN}/lacme/x.sock"), made)}


def becoming_more(m):
    return {"setuid=0": "EPERM", f"setuid={user_id(m, 'dave')}": "EPERM",
            "mknod=/tmp/x,1,1": "EPERM", "mount=/tmp": "EPERM"}


def asking_systemd():
    """systemd gives root's units their credentials, and nobody else's."""
    return dict.fromkeys((
        "run=systemd-creds decrypt --name=acme-guardian-hsm /var/tmp/sealed-pin -",
        "run=systemctl kill -s SIGCONT " + HELPER,
        "run=systemctl reset-failed " + UNIT,
        "run=systemd-run -q --wait -p LoadCredentialEncrypted=acme-guardian-hsm"
        " true",
        f"run=su -s /bin/sh -c true {TOKENS}"), "EPERM")


def traceable(pid):
    """The same for who has the same user and no capability."""
    return [a for a in intrusions(pid, "ok") if not a.startswith("setns=")]


def every_process_of(m, unit, kill):
    tried = {}
    for pid in pids(m, unit):
        tried.update(intrusions(pid, kill))
    return tried


SOFTHSM = {"SOFTHSM2_CONF": "/etc/acme-guardian/softhsm-hsm.conf"}
LOAD = f"load-module={MODULE},hsm,{PIN}"
LOAD_BLIND = f"load-module={MODULE},hsm,0000"


def test_the_daemon_has_no_pin_no_helper_and_no_device(m):
    m.run(["install", "-m", "0644",
           "/etc/credstore.encrypted/acme-guardian-hsm", "/var/tmp/sealed-pin"])
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

def of_the_daemon(outcome):
    return dict.fromkeys((
        f"list={STATE}", "list=/var/log/acme-guardian",
        *(f"read={STATE}/{name}" for name in (
            "registry.db", "registry.db-wal", "audit.chain", "audit.first",
            "lock")),
        f"create={STATE}/x",
        "read=/var/log/acme-guardian/audit.jsonl",
        "write=/var/log/acme-guardian/audit.jsonl",
        "create=/var/log/acme-guardian/x"), outcome)


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


# Clients.

def test_a_client_has_none_of_all_this(m):
    outcomes(m, like(m, app("alice"), "client", **SOFTHSM), {
        f"read={CREDENTIAL}": "EACCES",
        "read=/etc/credstore.encrypted/acme-guardian-hsm": "EACCES",
        "read=/var/lib/systemd/credential.secret": "EACCES",
        f"list={TOKEN_STATE}/hsm": "EACCES",
        **of_the_daemon("EACCES"),
        **every_process_of(m, HELPER, "EPERM"),
        **every_process_of(m, UNIT, "EPERM"),
        **configuration("EACCES", "EACCES"),
        **becoming_more(m), **asking_systemd(),
        LOAD: "ENODEV",
        f"connect-packets={TOKEN_SOCKET}": "EACCES",
        f"connect-packets={OTHER_SOCKET}": "EACCES",
        f"connect={LACME_SOCKET}": "EACCES",
        f"connect={TENANT_SOCKET}": "EACCES",
        f"list={RUN}/client": "EACCES",
        f"connect={CLIENT_SOCKET}": "ok",
        STATUS: NO_ROLE, LIST: "ok",
    })
    control(m, ROOT, f"connect={LACME_SOCKET}", f"connect={TENANT_SOCKET}",
            f"list={RUN}/client", STATUS)


def test_a_client_gets_its_names_signed_and_no_end_of_the_account(m):
    alice = like(m, app("alice"), "client")
    order = json.dumps({"identifiers": [{"type": "dns",
                                         "value": "alice.example.com"}]})
    control(m, alice, sign(order, "newOrder"))
    end = json.dumps({"status": "deactivated"})
    outcomes(m, alice, dict.fromkeys((sign(end, "acct/1"), sign(end, "authz/1"),
                                      sign(end, "keyChange")), ERROR))
    outcomes(m, like(m, app("acme-guardian-ops"), "ops"),
             dict.fromkeys((sign(order, "newOrder"), sign(end, "acct/1")),
                           ERROR))


def test_the_mode_of_the_token_socket_is_not_all_that_guards_it(m):
    """Opened to everybody, the helper still serves its owner alone."""
    alice = like(m, app("alice"), "client")
    control(m, like(m, UNIT, "daemon"), f"chmod={TOKEN_SOCKET}")
    m.systemctl("stop", UNIT)
    m.run(["chmod", "0666", TOKEN_SOCKET])
    try:
        control(m, alice, f"connect-packets={TOKEN_SOCKET}")
        outcomes(m, alice, {f"stay-connected={TOKEN_SOCKET}": "ECONNRESET"})
        uid = user_id(m, "alice")
        expect(any(f"a connection by uid {uid} is refused" in e["MESSAGE"]
                   for e in m.journal("-u", HELPER)), "the helper says so")
    finally:
        m.run(["chmod", "0600", TOKEN_SOCKET])
        m.systemctl("start", UNIT)
        wait_for_tokens(m)


# Roles.

def test_each_role_calls_what_it_may(m):
    text = said(m, ROOT, f"varlink={ADMIN_SOCKET},"
                "org.varlink.service.GetInterfaceDescription,"
                '{"interface":"org.acmeguardian.Admin"}')
    methods = set(re.findall(r"^method (\w+)",
                             json.loads(text)["parameters"]["description"],
                             re.M))
    expect(methods == set(NEEDED),
           f"who may call it is decided for each: {methods ^ set(NEEDED)}")
    for word in ("Deactivat", "Destroy", "Delete", "Unlock", "FirstKey",
                 "Suspend", "Resume", "Create", "Rotate"):
        for method in (x for x in methods if word in x):
            expect(NEEDED[method] == ADMIN, f"{method} is not for timers")
    for unit, role in ((app("alice"), NONE), (UNIT, NONE), (HELPER, NONE),
                       (app("watcher"), MONITOR),
                       (app("acme-guardian-ops"), OPS),
                       (app("boss"), ADMIN)):
        who = like(m, unit, unit)
        # No method takes this: who may call gets no further than that.
        calls = {call(x, {"never": 1}): x for x in sorted(methods)}
        for attempt, (outcome, text) in probe(m, who, *calls).items():
            method = calls[attempt]
            want = (NO_ROLE if role == NONE else
                    "InvalidParameter" if role >= NEEDED[method] else
                    "NotPermitted")
            print(f"        {unit}: {method}: {want}", flush=True)
            expect(want in (outcome if role == NONE else text),
                   f"{unit}: {method}: {outcome} {text}, expected {want}")


def test_control_with_the_role_the_timers_user_deactivates(m):
    ops = like(m, app("acme-guardian-ops"), "ops")
    end = call("AccountSignDeactivation", {"name": "main", "nonce": "n"})
    outcomes(m, ops, {end: ERROR})
    expect("NotPermitted" in said(m, ops, end), "for want of the role")
    place = Place(m)
    place.config("role", "[Roles]\nAdminUser=acme-guardian-ops\n")
    place.reload()
    try:
        control(m, ops, end)
    finally:
        m.run(["rm", "/etc/acme-guardian/guardian.conf.d/role.conf"])
        place.reload()
    outcomes(m, ops, {end: ERROR})


# By whom policy tells clients apart.

def in_unit(m, unit, *properties):
    out = m.run_unit(unit, [PROBE, LIST], *properties).stdout
    return out.split("\t")[1]


MATCHES = (
    ("a user", "any.service", ("User=alice",), "ok"),
    ("a group", "any.service", ("User=bob",), "ok"),
    ("a unit", "shop.service", ("User=carol",), "ok"),
    ("another unit", "any.service", ("User=carol",), ERROR),
    ("another user in the unit", "shop.service", ("User=dave",), ERROR),
    ("a dynamic user", "dyn.service", ("DynamicUser=yes",), "ok"),
    ("another dynamic user", "dynb.service", ("DynamicUser=yes",), ERROR),
)


def matches(m, label, wanted):
    for name, unit, properties, want in MATCHES:
        want = wanted.get(name, want)
        got = in_unit(m, unit, *properties)
        print(f"        {label}: {name}: {got}", flush=True)
        expect(got == want, f"{label}: {name}: {got}, expected {want}")


def test_users_and_units_match_in_the_sandbox(m):
    matches(m, "as shipped", {})
    with drop_in(m, UNIT, "Environment=ACME_GUARDIAN_TEST_NO_PEERPIDFD=1\n"):
        matches(m, "without SO_PEERPIDFD", {})


def test_control_private_users_would_hide_every_user(m):
    with drop_in(m, UNIT, "PrivateUsers=yes\n"):
        matches(m, "control: PrivateUsers=", dict.fromkeys(
            (x[0] for x in MATCHES), ERROR))


def test_control_invisible_processes_would_hide_every_unit(m):
    with drop_in(m, UNIT, "ProtectProc=invisible\n"):
        matches(m, "control: ProtectProc=", {"a unit": ERROR,
                                             "a dynamic user": ERROR})


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


FORGED = "MESSAGE=forged\\nMESSAGE_ID=676dedf03a624d0796d3f9f3f818627d" \
    "\\nGUARDIAN_VERDICT=allowed\\n_SYSTEMD_UNIT=acme-guardian.service"


def test_journal_entries_are_forged_only_under_the_forgers_name(m):
    """Anybody may write any field to the journal but those with a "_"."""
    for unit in (app("alice"), HELPER):
        control(m, like(m, unit, unit), f"journal={FORGED}")
    entries = m.journal("GUARDIAN_VERDICT=allowed", "MESSAGE=forged")
    expect({e["_UID"] for e in entries} ==
           {user_id(m, "alice"), user_id(m, TOKENS)},
           f"the journal says who: {entries}")
    # Whose process had ended when the journal looked has no unit.
    expect({e.get("_SYSTEMD_UNIT") for e in entries} <=
           {app("alice"), HELPER, None}, f"and where: {entries}")
    expect(not m.journal("-u", UNIT, "MESSAGE=forged"),
           "not among the daemon's own")
    expect(not m.journal("_SYSTEMD_UNIT=" + UNIT, "MESSAGE=forged"),
           "nor where its unit is asked for")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("separation", [v for k, v in list(globals().items())
                            if k.startswith("test_")])
