#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the daemon starts, what it is left with, and its audit log on a full disk."""

import os
import pathlib
import sys

from daemon_lab import (ADMIN, CLIENT, NOBODY, POLICY, SIGNER, AsUser,
                        Guardian, Lacme, expect_error, run, with_guardian)
import lab as L


def test_a_second_daemon_on_the_same_state_is_told():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.start()
        lab.folder("etc2")
        lab.file("etc2/guardian.conf",
                 g.conf.replace("/run/", "/run/second-"))
        r = lab.run([L.GUARDIAND, "--config", lab.dir / "etc2"], ok=(75,))
        L.expect("another acme-guardiand" in r.stderr, r.stderr)
        g.must("Status")
        L.expect(g.stop() == 0, "a clean stop")


def test_configuration_that_cannot_be_read_ends_it():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.configure(g.conf + "Nonsense=1\n")
        r = lab.run(g.argv(), ok=(78,))
        L.expect("guardian.conf:" in r.stderr and "Nonsense" in r.stderr,
                 r.stderr)
        r = lab.run([L.GUARDIAND, "--config", lab.dir / "nowhere"], ok=(78,))
        L.expect("nowhere" in r.stderr, r.stderr)
        r = lab.run([L.GUARDIAND, "--nonsense"], ok=(64,))
        r = lab.run([L.GUARDIAND, "--version"])
        L.expect(r.stdout.startswith("acme-guardiand "), r.stdout)
        r = lab.run([L.GUARDIAND, "--help"])


def test_it_confines_itself():
    """Without a unit: what it was left with, and what it may do."""
    with L.Lab("daemon") as lab:
        left_open = lab.file("left-open", "")
        fd = os.open(left_open, os.O_RDONLY)
        g = Guardian(lab)
        g.start(pass_fds=(fd,))
        os.close(fd)
        proc = pathlib.Path(f"/proc/{g.process.pid}")
        # The filter is loaded after the sockets were made, before they are read.
        L.wait_for("the filter", lambda: "Seccomp:\t2" in
                   (proc / "status").read_text())
        status = (proc / "status").read_text()
        L.expect("NoNewPrivs:\t1" in status, f"no_new_privs: {status}")
        L.expect(os.stat(proc / "mem").st_uid == 0, "not dumpable")
        fds = [os.readlink(p) for p in (proc / "fd").iterdir()]
        L.expect(str(left_open) not in fds, f"no descriptor of others: {fds}")
        for line in (proc / "maps").read_text().splitlines():
            mode = line.split()[1]
            L.expect(not ("w" in mode and "x" in mode), line)
        L.expect(g.stop() == 0, "a clean stop")


def test_a_newer_registry_is_not_touched():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.start()
        g.stop()
        lab.run(["python3", "-c", "import sqlite3,sys;"
                 "d=sqlite3.connect(sys.argv[1]);"
                 "d.execute('pragma user_version=99');d.commit()",
                 lab.dir / "state/registry.db"])
        r = lab.run(g.argv(), ok=(78,))
        L.expect("registry.db" in r.stderr, r.stderr)


def test_a_bad_policy_or_no_token_does_not_keep_it_from_starting():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.policy("[Client]\nUser=1\n")
        g.conf = g.conf.replace(L.SOFTHSM, "/nonexistent/module.so")
        g.configure(g.conf)
        g.start()
        L.wait_for("the token's state", lambda: g.must("Status")["tokens"][0]
                   ["state"] not in ("starting", "ok"))
        status = g.must("Status")
        L.expect(any("test.policy:" in w for w in status["warnings"]),
                 str(status))
        L.expect(any("module.so" in w for w in status["warnings"]),
                 str(status))
        expect_error(g.ask(CLIENT, "ListAccounts"), "PolicyDenied",
                     reason="no-rule")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian()
def test_without_an_audit_log_nothing_is_signed(g):
    g.stop()
    log = g.lab.dir / "log"
    log.rename(g.lab.dir / "log-away")
    log.write_text("a file where the folder should be")
    g.start()
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AuditUnavailable")
    status = g.must("Status")
    L.expect(not status["ready"] and status["auditState"] != "ok" and
             any("nothing is signed" in w for w in status["warnings"]),
             str(status))
    expect_error(g.ask_admin("AuditRotate"), "AuditUnavailable")
    g.must("Suspend", {"scope": "all"})  # only takes away: always works
    expect_error(g.ask_admin("Resume", {"scope": "all"}), "AuditUnavailable")
    log.unlink()
    (g.lab.dir / "log-away").rename(log)
    L.wait_for("the audit log", lambda: g.ask_admin(
        "Resume", {"scope": "all"})[0] is None)
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_the_first_key_is_given_once(g):
    L.expect(any("take-key" in w for w in g.must("Status")["warnings"]),
             "a warning before")
    with AsUser(0, g.admin) as v:  # to nobody
        v.send(ADMIN + "AuditTakeFirstKey", oneway=True)
        L.expect(not v.call(ADMIN + "AuditHead")[0], "answered after it")
    key = g.must("AuditTakeFirstKey")["key"]
    L.expect(len(bytes.fromhex(key)) == 32, "32 octets")
    expect_error(g.ask_admin("AuditTakeFirstKey"), "AlreadyTaken")
    L.expect(not any("take-key" in w for w in g.must("Status")["warnings"]),
             "no warning after")


def test_activated_sockets_by_name():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        tenant = lab.dir / "run/tenant.sock"
        g.policy(POLICY + "\n[Client]\nSocket=tenant\n[Allow]\nAccount=test\n"
                 "Domain=tenant.example.com\n")
        sockets = [g.client, g.admin, g.lacme, tenant]
        env = {k: v for k, v in os.environ.items()
               if k.startswith(("ACME_GUARDIAN_TEST", "ASAN", "UBSAN", "MUTATE"))}
        activate = ["systemd-socket-activate"]
        for s in sockets:
            activate += ["-l", s]
        activate += [f"--setenv={k}={v}" for k, v in env.items()]
        g.process = lab.start("guardiand", [
            *activate, "--fdname=client:admin:lacme@test:client@tenant",
            *g.argv()], env=env)
        for s in sockets:
            L.wait_for(str(s), s.exists)
            os.chmod(s, 0o666)
        g.make_account()
        order = g.order("tenant.example.com")
        expect_error(g.sign_input(CLIENT, order), "PolicyDenied")
        with AsUser(NOBODY, tenant) as v:
            error, answer = v.call(SIGNER + "SignInput", order)
            L.expect(not error, f"by its socket: {error} {answer}")
        L.expect(Lacme(g.lacme).greeting()[0].startswith("1 OK"), "lacme")
        L.expect(g.stop() == 0, "a clean stop")


def test_answers_wait_for_the_disk_with_group_sync():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.conf = g.conf.replace("AuditReserve", "AuditSync=group\nAuditReserve")
        g.configure(g.conf)
        g.start()
        g.make_account()
        for _ in range(3):
            error, answer = g.sign_input(CLIENT, g.order("example.com"))
            L.expect(not error, f"{error} {answer}")
        c = Lacme(g.lacme)
        c.greeting()
        L.expect(c.ask(g.order("example.com"))[0].endswith("\r\n"), "lacme")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian()
def test_a_full_disk_under_the_audit_log(g):
    # A file that may not grow is what a full disk looks like.
    size = (g.lab.dir / "log/audit.jsonl").stat().st_size
    g.lab.run(["prlimit", f"--pid={g.process.pid}", f"--fsize={size}:"])
    for _ in range(2):
        expect_error(g.sign_input(CLIENT, g.order("example.com")),
                     "AuditUnavailable")
    status = g.must("Status")
    L.expect(not status["ready"] and
             any("nothing is signed" in w for w in status["warnings"]),
             str(status))
    g.lab.run(["prlimit", f"--pid={g.process.pid}", "--fsize=unlimited"])
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"there is room again: {error} {answer}")


@with_guardian()
def test_start_and_stop_are_in_the_audit_log(g):
    g.restart()
    lines = [x["operation"] for x in g.audit_lines() if x["type"] == "process"
             and "operation" in x]
    L.expect(lines == ["start", "stop", "start"], str(lines))


if __name__ == "__main__":
    sys.exit(run(globals()))
