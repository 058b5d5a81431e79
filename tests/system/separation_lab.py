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
import shutil
import sys

from machine import expect, scenario
from place import SOFTHSM as MODULE, Place

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
    m.run(["install", "-m", "0644",
           "/etc/credstore.encrypted/acme-guardian-hsm", "/var/tmp/sealed-pin"])
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


LIST = call("ListAccounts", {}, "Signer", CLIENT_SOCKET)
STATUS = call("Status", {})


# What else is tried.

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


def every_process_of(m, unit, kill):
    tried = {}
    for pid in pids(m, unit):
        tried.update(intrusions(pid, kill))
    return tried


SOFTHSM = {"SOFTHSM2_CONF": "/etc/acme-guardian/softhsm-hsm.conf"}
LOAD = f"load-module={MODULE},hsm,{PIN}"


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


def run(name, members):
    """Boots the host and tries the cases of a file on it; ends the program."""
    sys.dont_write_bytecode = True
    scenario(name, [test_a_host_with_two_tokens,
                    *(v for k, v in list(members.items())
                      if k.startswith("test_"))])
