#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daily check of the records in DNS, as its unit runs it: in its sandbox, as
its user, told by its failure."""

import json
import sys

from machine import expect, scenario
from place import INSIDE, Place

CHECK = "acme-guardian-check.service"
DOMAIN = "www.checked.example"
OWNER = f"_validation-persist.{DOMAIN}"
ANSWERS = "/run/txt.json"


def set_up(m):
    """An account, a record of it, a resolver, and somebody who is told"""
    m.place = place = Place(m)
    place.token()
    m.account = place.account()
    # The unit has no --ca-file: the CA's root is one of the system's.
    m.run(f"cat {place.ca['ca_file']} >> /etc/ssl/certs/ca-certificates.crt")
    place.ctl("account", "issuers", "lab", "ca.example")
    place.ctl("records", "add", "lab", DOMAIN)
    publish(m)
    m.run(["systemd-run", "--quiet", "--unit=txt", "python3",
           f"{INSIDE}/txt_server.py", "5300", ANSWERS])
    m.write("/etc/acme-guardian/zones.d/checked.example.zone",
            "[Zone]\nVerify=resolver\nResolver=127.0.0.1:5300\n")
    m.write("/etc/systemd/system/told.service",
            "[Service]\nType=oneshot\nExecStart=/bin/touch /run/told\n")
    m.write(f"/etc/systemd/system/{CHECK}.d/told.conf",
            "[Unit]\nOnFailure=told.service\n")
    m.systemctl("daemon-reload")


def publish(m, *values):
    m.write(ANSWERS, json.dumps({OWNER: list(values)}))


def ours(m):
    return f"ca.example; accounturi={m.account['url']}"


def told(m):
    return m.run("test -e /run/told", check=False).returncode == 0


def run_check(m, fails):
    """What it said."""
    m.run("rm -f /run/told; systemctl reset-failed " + CHECK, check=False)
    since = m.run(["date", "+%s"]).stdout.strip()
    r = m.systemctl("start", CHECK, check=False)
    said = "\n".join(e["MESSAGE"] for e in m.journal(
        "-u", CHECK, "--since", f"@{since}"))
    expect((r.returncode != 0) == fails, f"it fails: {fails}; {r} {said}")
    if fails:
        m.wait_for("OnFailure=", lambda: told(m))
    else:
        expect(not told(m), "nobody is told")
    return said


def test_all_is_well(m):
    publish(m, ours(m))
    said = run_check(m, False)
    expect("1 ok, 0 found, 0 unknown" in said and
           "1 names: 0 found, 0 unknown" in said, said)
    expect(m.place.ctl_json("account", "show", "lab")["account"]["proof"]
           ["current"], "the account was proven by the unit")


def test_what_the_check_finds_fails_it_and_the_audit_runs_all_the_same(m):
    publish(m)
    said = run_check(m, True)
    expect("no-record" in said and "not-published" in said, said)


def test_what_the_audit_alone_finds_fails_it(m):
    publish(m, ours(m), "ca.example; accounturi=https://localhost/other")
    said = run_check(m, True)
    expect("1 ok, 0 found" in said and "foreign-account" in said, said)


def test_what_nobody_tells_fails_it(m):
    publish(m, ours(m))
    m.systemctl("stop", "txt.service")
    said = run_check(m, True)
    expect("0 found, 1 unknown" in said, said)


def test_the_timer_is_there_and_nobody_enabled_it(m):
    state = m.systemctl("is-enabled", "acme-guardian-check.timer", check=False)
    expect(state.stdout == "disabled\n", str(state))
    m.systemctl("enable", "--now", "acme-guardian-check.timer")
    timers = m.run(["systemctl", "list-timers", "--no-pager"]).stdout
    expect("acme-guardian-check.timer" in timers, timers)


def test_figures_for_the_node_exporter(m):
    path = "/var/lib/acme-guardian-metrics/acme-guardian.prom"
    m.systemctl("start", "acme-guardian-metrics.service")
    text = m.run(["cat", path]).stdout
    expect("acme_guardian_ready 1\n" in text and
           'account_state{account="lab",state="valid"} 1' in text, text)
    said = m.run(["stat", "-c", "%U %a", path]).stdout
    expect(said == "acme-guardian-monitor 644\n", said)
    state = m.systemctl("is-enabled", "acme-guardian-metrics.timer",
                        check=False)
    expect(state.stdout == "disabled\n", str(state))


def test_the_rotation_s_unit(m):
    """In its sandbox, as its user, which may start what is due and no more."""
    unit = "acme-guardian-rotate.service"
    before = m.place.ctl_json("account", "show", "lab")["account"]
    m.systemctl("start", unit)
    m.write("/etc/acme-guardian/accounts.d/lab.account",
            f"[Account]\nDirectory={before['directory']}\n"
            f"Token={before['token']}\nRotate=90d\nSettle=0\nCacheTime=0\n"
            "OrderDrain=0\n")
    m.place.ctl("apply")
    m.systemctl("stop", "acme-guardian.service")
    m.run(["python3", "-c", "import sqlite3; d = sqlite3.connect("
           "'/var/lib/acme-guardian/registry.db'); d.execute('UPDATE account "
           "SET key_since_s = 1'); d.commit()"])
    m.systemctl("start", "acme-guardian.service")
    m.systemctl("start", unit)
    after = m.place.ctl_json("account", "show", "lab")["account"]
    expect(after["thumbprint"] != before["thumbprint"],
           "\n".join(e["MESSAGE"] for e in m.journal("-u", unit)))
    state = m.systemctl("is-enabled", "acme-guardian-rotate.timer",
                        check=False)
    expect(state.stdout == "disabled\n", str(state))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("check", [
        set_up,
        test_all_is_well,
        test_what_the_check_finds_fails_it_and_the_audit_runs_all_the_same,
        test_what_the_audit_alone_finds_fails_it,
        test_what_nobody_tells_fails_it,
        test_the_timer_is_there_and_nobody_enabled_it,
        test_the_rotation_s_unit,
        test_figures_for_the_node_exporter,
    ])
