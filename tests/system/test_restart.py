#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Restarts under load: no client of libacme-guardian sees one.

Six clients ask all the time, three over a connection that they keep, three over
a new one each time, while daemon and token helper are restarted.
"""

import json
import os
import pathlib
import re
import shutil
import sys

from machine import expect, scenario
from place import SERVICE, Place

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
TOKEN = "acme-guardian-token@hsm.service"
CLIENTS = 6
RESTARTS = 12
# Signed between two restarts: all that wait are served, and more come.
ENOUGH = 5 * CLIENTS


def set_up(m):
    """The token, the account, a policy for the load, and a high limit"""
    m.place = place = Place(m)
    place.config("load", "[Guardian]\nRequestsPerMinute=10000000\n")
    place.token()
    m.account = place.account()
    m.run("useradd --system --user-group load")
    place.policy("load", "[Client]\nUser=load\nUnit=load.service\n[Allow]\n"
                 "Account=lab\nDomain=load.example\n")
    place.reload()
    shutil.copy(BUILD / "tests/tools/sign-load", m.path("/usr/local/bin"))


def start_load(m):
    m.run(["systemd-run", "--quiet", "--unit=load", "-p", "User=load", "-p",
           "StandardOutput=truncate:/run/load", "-p", "Type=exec", "--",
           "sign-load", "lab", m.account["url"], CLIENTS])
    wait_signed(m, 0)


def stop_load(m):
    """Ends the load; all of its requests must have been answered with yes."""
    m.systemctl("stop", "load.service")
    said = m.read("/run/load")
    counts = re.search(r"(\d+) requests, (\d+) failed, the longest took (\d+)",
                       said)
    expect(counts, f"counts at the end: {said[-1000:]}")
    requests, failed, longest = map(int, counts.groups())
    print(f"        {requests} requests, {failed} failed, the longest took "
          f"{longest} ms", flush=True)
    expect(failed == 0, said[-2000:])
    return requests


def audit_line(m):
    r = m.place.ctl("--json", "status", check=False)
    return json.loads(r.stdout)["auditLine"] if r.stdout else 0


def wait_signed(m, more_than):
    """Until the audit log has that many lines and ENOUGH; they are grants."""
    m.wait_for("signatures",
               lambda: audit_line(m) >= more_than + ENOUGH, 60)
    return audit_line(m)


def restart_often(m, *units):
    start_load(m)
    line = audit_line(m)
    for _ in range(RESTARTS):
        for unit in units:
            before = m.systemctl("show", "-P", "MainPID", unit).stdout
            m.systemctl("restart", unit)
            after = m.systemctl("show", "-P", "MainPID", unit).stdout
            expect(before != after, f"{unit} is another process")
        line = wait_signed(m, line)
    expect(stop_load(m) > RESTARTS * ENOUGH, "signed all along")


def test_daemon_restarted_under_load(m):
    restart_often(m, SERVICE)


def test_token_helper_restarted_under_load(m):
    restart_often(m, TOKEN)


def test_both_restarted_under_load(m):
    restart_often(m, TOKEN, SERVICE)


def test_restarts_as_fast_as_systemd_does_them(m):
    start_load(m)
    for _ in range(RESTARTS):
        m.systemctl("restart", SERVICE)
    stop_load(m)


def test_stopped_and_started_by_its_sockets(m):
    start_load(m)
    for _ in range(RESTARTS):
        m.systemctl("stop", SERVICE)
        wait_signed(m, audit_line(m))
    stop_load(m)


def test_the_audit_log_had_no_trouble(m):
    told = [e["MESSAGE"] for e in m.journal("-u", SERVICE)
            if "audit.jsonl" in e["MESSAGE"]]
    expect(told == [], f"nothing was lost or put right: {told[:3]}")
    key = m.place.ctl("audit", "take-key").stdout
    m.write("/root/first-key", re.search(r"[0-9a-f]{64}", key).group() + "\n",
            mode=0o600)
    m.place.ctl("audit", "verify", "--key-file", "/root/first-key")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("restart", [
        set_up,
        test_daemon_restarted_under_load,
        test_token_helper_restarted_under_load,
        test_both_restarted_under_load,
        test_restarts_as_fast_as_systemd_does_them,
        test_stopped_and_started_by_its_sockets,
        test_the_audit_log_had_no_trouble,
    ])
