#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness itself: two machines side by side, users, exit codes, reboot."""

import sys

from machine import Failed, Machine, expect, scenario


def test_commands_run_as_whom_they_should(m):
    expect(m.run(["id", "-un"]).stdout == "root\n", "root by default")
    expect(m.run("id -u; id -G", user="nobody").stdout == "65534\n65534\n",
           "a user by name")
    expect(m.run(["id", "-u"], user=61234).stdout == "61234\n", "by number")
    expect(m.run("exit 7", check=False).returncode == 7, "the exit code")
    expect(m.run(["cat"], input="x").stdout == "x", "input")
    expect(m.run("env | cut -d= -f1 | sort | tr '\\n' ' '").stdout ==
           "HOME LANG PATH PWD SYSTEMD_PAGER ", "a clean environment")
    try:
        m.run("echo told; false")
    except Failed as e:
        expect("told" in str(e), f"a failure shows what was said: {e}")
    else:
        raise Failed("a failing command is a failure")


def test_files_and_journal(m):
    m.write("/etc/new/file", "text\n", mode=0o640, owner="nobody:daemon")
    stat = m.run("stat -c '%a %U %G' /etc/new/file").stdout
    expect(stat == "640 nobody daemon\n", stat)
    expect(m.path("/etc/new/file").read_text() == "text\n", "seen from outside")
    r = m.run_unit("told.service", "echo told; id -un", "User=nobody")
    expect(r.stdout == "told\nnobody\n", r.stdout)
    m.run(["systemd-cat", "-t", "case", "echo", "a line"])
    expect([e["MESSAGE"] for e in m.journal("-t", "case")] == ["a line"],
           "the journal has it")


def test_nothing_leaves(m):
    links = m.run("ls /sys/class/net").stdout.split()
    expect(links == ["lo"], f"loopback only: {links}")


def test_a_second_machine_is_another(m):
    with Machine("other", product=False) as other:
        other.write("/run/only-here", "")
        other.run(["systemd-run", "--unit=same", "sleep", "1000"])
        expect(not m.path("/run/only-here").exists(), "no file of the other")
        gone = m.systemctl("is-active", "same.service", check=False)
        expect(gone.stdout == "inactive\n", f"no unit of the other: {gone}")
    m.systemctl("is-system-running", check=False)


def test_reboot(m):
    m.write("/etc/stays", "")
    m.write("/run/goes", "")
    boot = m.read("/proc/sys/kernel/random/uuid")
    expect(boot, "something to read")
    before = m.leader
    m.restart()
    expect(m.leader != before, "another first process")
    expect(m.run("test -e /etc/stays && ! test -e /run/goes",
                 check=False).returncode == 0, "the disk stays, /run does not")
    expect(m.journal("-t", "case", "-b", "-1"), "the journal stays")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("boot", [
        test_commands_run_as_whom_they_should,
        test_files_and_journal,
        test_nothing_leaves,
        test_a_second_machine_is_another,
        test_reboot,
    ])
