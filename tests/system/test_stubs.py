#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client's stub follows the account's key by itself, by the path unit, in its
service's sandbox, and as the client's user."""

import sys

from machine import expect, scenario
from place import Place

SERVICE = "acme-guardian-stubs.service"
HOME = "/home/client"
STUB = f"{HOME}/account.key"
HAPROXY_STUB = "/etc/haproxy/account.key"


def set_up(m):
    """An account, and a user who has a stub of it in a home that is closed"""
    m.place = place = Place(m)
    place.token()
    place.account()
    m.run(["useradd", "--create-home", "--home-dir", HOME, "client"])
    m.run(["chmod", "0700", HOME])
    place.ctl("stub", "write", "lab", STUB, "--mode", "600")
    # As the package does.
    m.systemctl("enable", "--now", "acme-guardian-stubs.path")


def stub(m):
    return m.run(["cat", STUB]).stdout


def facts(m):
    return m.run(["stat", "-c", "%U:%G %a", STUB]).stdout.strip()


def rotate(m):
    m.place.ctl("rotate", "start", "lab", "--settle", "0", "--cache-time", "0",
                "--grace", "0", "--ca-file", m.place.ca["ca_file"],
                timeout=180)


def test_a_new_key_is_in_the_stub(m):
    before = stub(m)
    expect(facts(m) == "client:client 600", facts(m))
    rotate(m)
    m.wait_for("the stub of the new key", lambda: stub(m) != before, 60)
    expect(facts(m) == "client:client 600", facts(m))
    said = m.place.ctl("stub", "refresh").stdout
    expect("1 stubs are as they should be" in said, said)


def test_changes_that_the_path_unit_did_not_see(m):
    """Such as one while the service runs, or before the path unit does."""
    before = stub(m)
    m.systemctl("stop", "acme-guardian-stubs.path")
    rotate(m)
    expect(stub(m) == before, "nobody has told")
    m.systemctl("start", "acme-guardian-stubs.timer")
    m.wait_for("the stub of the new key", lambda: stub(m) != before, 300)
    m.systemctl("stop", "acme-guardian-stubs.timer")
    m.systemctl("start", "acme-guardian-stubs.path")


def test_many_changes_in_a_moment(m):
    """They are more than systemd starts a unit at once by default."""
    for _ in range(8):
        m.systemctl("start", SERVICE)


def test_a_stub_that_cannot_be_written_fails_the_unit(m):
    m.run(["mv", STUB, f"{STUB}.away"])
    r = m.systemctl("start", SERVICE, check=False)
    expect(r.returncode != 0, str(r))
    said = "\n".join(e["MESSAGE"] for e in m.journal("-u", SERVICE))
    expect(f"{STUB}: there is no file" in said, said)
    m.run(["mv", f"{STUB}.away", STUB])
    m.systemctl("start", SERVICE)


def test_haproxy_is_reloaded_by_the_examples(m):
    """The units that docs/clients.md names. What stands for HAProxy's own unit
    notes its reloads: HAProxy itself is in tests/integration/clients.py."""
    m.write("/etc/systemd/system/haproxy.service",
            "[Service]\nExecStart=sleep infinity\n"
            "ExecReload=sh -c 'echo reloaded >>/run/reloads'\n")
    m.run("cp /usr/share/doc/acme-guardian/examples/haproxy-account-key.* "
          "/etc/systemd/system/")
    m.run(["mkdir", "-p", "/etc/haproxy"])
    m.place.ctl("stub", "write", "lab", HAPROXY_STUB, "--mode", "600")
    m.systemctl("daemon-reload")
    m.systemctl("start", "haproxy.service")
    m.systemctl("enable", "--now", "haproxy-account-key.path")
    rotate(m)
    m.wait_for("a reload", lambda: m.run("cat /run/reloads", check=False).stdout
               == "reloaded\n", 60)
    said = m.place.ctl("stub", "refresh").stdout
    expect("2 stubs are as they should be" in said, said)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("stubs", [
        set_up,
        test_a_new_key_is_in_the_stub,
        test_changes_that_the_path_unit_did_not_see,
        test_many_changes_in_a_moment,
        test_a_stub_that_cannot_be_written_fails_the_unit,
        test_haproxy_is_reloaded_by_the_examples,
    ])
