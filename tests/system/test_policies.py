#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""User=, Group=, Unit= and Socket= for real services and a container.

Each caller orders every name; it gets its own and no other. Once with the first
connection starting the daemon, which then reads a peer that was there before
it, and once as on kernels without SO_PEERPIDFD.
"""

import json
import sys

from machine import expect, scenario
from place import INSIDE, SERVICE, Place

# What a rule set's [Client] says, and the one name it allows.
RULES = {
    "alice.example": "User=alice\nUnit=alice.service",
    "bob.example": "User=bob",
    "dyn.example": "User=dyn\nUnit=dyn.service",
    "web.example": "User=web\nUnit=web@*.service",
    "certs.example": "Group=certs\nUnit=certs.service",
    "root.example": "User=root",
    "tenant.example": "Socket=tenant",
    "later.example": "Socket=later",
}
# A service, what its [Service] says, and the name it gets; None: no rule
# matches, so it learns nothing.
SERVICES = {
    "alice.service": ("User=alice", "alice.example"),
    "bob.service": ("User=bob", "bob.example"),
    "dyn.service": ("DynamicUser=yes", "dyn.example"),
    "web@one.service": ("User=web", "web.example"),
    "certs.service": ("User=carol\nSupplementaryGroups=certs", "certs.example"),
    "bob-elsewhere.service": ("User=bob", "bob.example"),
    "alice-elsewhere.service": ("User=alice", None),
    "dyn-elsewhere.service": ("DynamicUser=yes", None),
    "web.service": ("User=web", None),
    "certs-without.service": ("User=carol", None),
    "certs-elsewhere.service": ("User=carol\nSupplementaryGroups=certs", None),
    "nobody.service": ("User=nobody", None),
}
NO_PIDFD = "/run/systemd/system/acme-guardian.service.d/no-peerpidfd.conf"


def set_up(m):
    """The token, the account, the policy, and everybody's services"""
    m.place = place = Place(m)
    place.token()
    place.account()
    place.policy("all", "".join(
        f"[Client]\n{client}\n[Allow]\nAccount=lab\nDomain={name}\n"
        "OrdersPerDay=1000\n" for name, client in RULES.items()))
    m.run("groupadd certs")
    for user in ("alice", "bob", "carol", "web"):
        m.run(["useradd", "--system", "--user-group", user])
    for unit, (lines, _) in SERVICES.items():
        template = unit.replace("@one", "@")
        m.write(f"/etc/systemd/system/{template}",
                f"[Service]\nType=oneshot\n{lines}\n"
                f"ExecStart=python3 {INSIDE}/try_names.py {order_url(m)} "
                f"{' '.join(RULES)}\n"
                "StandardOutput=truncate:/run/tried-%n\n")
    m.systemctl("daemon-reload")
    place.reload()


def order_url(m):
    return m.place.endpoints()["newOrder"]


def only(name):
    """All that a caller gets who has the rule set of @name."""
    other = "identifier-not-allowed" if name else "no-rule"
    return {n: "signed" if n == name else other for n in RULES}


def check_service(m, unit, name):
    m.systemctl("start", unit)
    tried = json.loads(m.read(f"/run/tried-{unit}"))
    expect(tried == only(name), f"{unit}: {tried}, wanted {only(name)}")


def stop_daemon(m):
    m.systemctl("stop", SERVICE)
    for socket in ("client", "admin"):
        state = m.systemctl("is-active", f"acme-guardian-{socket}.socket").stdout
        expect(state == "active\n", f"{socket} listens: {state}")
    state = m.systemctl("is-active", SERVICE, check=False).stdout
    expect(state == "inactive\n", f"the daemon is stopped: {state}")


def test_a_first_connection_starts_the_daemon(m):
    stop_daemon(m)
    m.systemctl("stop", "acme-guardian-token@hsm.service")
    check_service(m, "alice.service", "alice.example")
    for unit in (SERVICE, "acme-guardian-token@hsm.service"):
        # Both serve before systemd has read that they are ready.
        m.wait_for(f"{unit} is active", lambda u=unit: m.systemctl(
            "is-active", u, check=False).stdout == "active\n")


def test_each_service_gets_its_own_name_only(m):
    for unit, (_, name) in SERVICES.items():
        check_service(m, unit, name)


def test_the_same_when_its_connection_starts_the_daemon(m):
    for unit, (_, name) in SERVICES.items():
        stop_daemon(m)
        check_service(m, unit, name)


def test_no_unit_outside_services(m):
    r = m.run(["python3", f"{INSIDE}/try_names.py", order_url(m), *RULES])
    expect(json.loads(r.stdout) == only("root.example"), r.stdout)
    r = m.run(["python3", f"{INSIDE}/try_names.py", order_url(m), *RULES],
              user="alice")
    expect(json.loads(r.stdout) == only(None), r.stdout)


def test_a_users_own_manager_lends_no_unit(m):
    """alice.service of alice's own systemd is not the system's."""
    uid = m.run(["id", "-u", "alice"]).stdout.strip()
    # What pam_systemd would set.
    m.write("/run/systemd/system/user@.service.d/runtime-dir.conf",
            "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n")
    m.systemctl("daemon-reload")
    m.systemctl("start", f"user@{uid}.service")
    run_dir = f"/run/user/{uid}"
    m.write(f"{run_dir}/systemd/user/alice.service",
            "[Service]\nType=oneshot\n"
            f"ExecStart=python3 {INSIDE}/try_names.py {order_url(m)} "
            f"{' '.join(RULES)}\nStandardOutput=truncate:%t/tried\n")
    m.run(["env", f"XDG_RUNTIME_DIR={run_dir}", "systemctl", "--user", "start",
           "alice.service"], user="alice")
    tried = m.read(f"{run_dir}/tried")
    expect(json.loads(tried) == only(None), tried)
    m.systemctl("stop", f"user@{uid}.service")


def test_the_same_without_peerpidfd(m):
    m.write(NO_PIDFD,
            "[Service]\nEnvironment=ACME_GUARDIAN_TEST_NO_PEERPIDFD=1\n")
    m.systemctl("daemon-reload")
    stop_daemon(m)
    for unit, (_, name) in SERVICES.items():
        if unit != "certs.service":
            check_service(m, unit, name)


def test_the_first_connection_without_peerpidfd(m):
    """A unit that is not certain is worth nothing without the user."""
    for unit, (_, name) in SERVICES.items():
        stop_daemon(m)
        if unit == "certs.service":
            m.systemctl("start", unit)
            tried = json.loads(m.read(f"/run/tried-{unit}"))
            expect(tried["alice.example"] == "no-rule", f"first: {tried}")
        else:
            check_service(m, unit, name)
    m.run(["rm", NO_PIDFD])
    m.systemctl("daemon-reload")
    m.systemctl("restart", SERVICE)


def container(m, socket, *argv):
    """Runs a command in a container with its own users and one socket.

    Its root and its "alice" are other users outside; it sees the host's /usr.
    """
    if not m.path("/var/lib/tenant").exists():
        m.run("cd /var/lib; mkdir -p tenant; cd tenant; for d in etc run proc "
              "sys dev tmp root var; do mkdir $d; done; for l in bin lib lib64 "
              "sbin; do ln -s usr/$l $l; done; cp /etc/os-release /etc/passwd "
              "/etc/group etc; mkdir usr; chown -hR 700000:700000 .")
    return m.run_unit(
        "tenant.service",
        ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "-D",
         "/var/lib/tenant", "--private-users=700000:65536", "--bind-ro=/usr",
         f"--bind={socket}:/run/acme-guardian/client.sock", "--pipe", "--",
         *argv], "Delegate=yes")


def test_a_container_with_a_socket_of_its_own(m):
    place = m.place
    m.systemctl("enable", "acme-guardian-client@tenant.socket")
    m.systemctl("restart", SERVICE)
    socket = "/run/acme-guardian/client/tenant.sock"
    seen = container(m, socket, "sh", "-c", "cat /proc/self/uid_map; "
                     "ls -A /run/acme-guardian").stdout.split()
    expect(seen == ["0", "700000", "65536", "client.sock"],
           f"users of its own and this socket only: {seen}")
    try_all = ["python3", f"{INSIDE}/try_names.py", order_url(m), *RULES]
    for user in ("root", "alice", "nobody"):
        r = container(m, socket, "setpriv", f"--reuid={user}",
                      "--clear-groups", "--", *try_all)
        expect(json.loads(r.stdout) == only("tenant.example"),
               f"{user} of the container: {r.stdout}")
    stop_daemon(m)
    r = container(m, socket, *try_all)
    expect(json.loads(r.stdout) == only("tenant.example"),
           f"its first connection: {r.stdout}")
    # That socket and no other: through client.sock the same users are strangers.
    r = container(m, "/run/acme-guardian/client.sock", *try_all)
    expect(json.loads(r.stdout) == only(None), f"client.sock: {r.stdout}")
    r = place.ctl("--socket", socket, "jwk", "--account", "lab", user="alice",
                  check=False)
    expect(r.returncode != 0 and "Permission denied" in r.stderr,
           f"nobody outside reaches the container's socket: {r}")


def test_one_more_socket_while_the_service_runs(m):
    socket = "/run/acme-guardian/client/later.sock"
    try_all = ["python3", f"{INSIDE}/try_names.py", order_url(m), *RULES]
    expect(not m.path(socket).exists(), "not there yet")
    m.systemctl("enable", "acme-guardian-client@later.socket")
    m.systemctl("restart", SERVICE)
    r = container(m, socket, *try_all)
    expect(json.loads(r.stdout) == only("later.example"), r.stdout)
    m.restart()
    r = container(m, socket, *try_all)
    expect(json.loads(r.stdout) == only("later.example"),
           f"after a boot: {r.stdout}")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("policies", [
        set_up,
        test_a_first_connection_starts_the_daemon,
        test_each_service_gets_its_own_name_only,
        test_the_same_when_its_connection_starts_the_daemon,
        test_no_unit_outside_services,
        test_a_users_own_manager_lends_no_unit,
        test_the_same_without_peerpidfd,
        test_the_first_connection_without_peerpidfd,
        test_a_container_with_a_socket_of_its_own,
        test_one_more_socket_while_the_service_runs,
    ])
