#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Full and read-only file systems under the audit log and under the registry:
what is refused, what goes on, what is said, and that it comes back."""

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import fault_lab as F  # noqa: E402
import lab as L  # noqa: E402

FULL = "No space left on device"
CANNOT = "cannot be written, nothing is signed until it can"
ACCOUNT = {"name": "new", "token": "hsm", "alg": "ES256",
           "directory": D.DIRECTORY}
# Reading, and what only takes away, needs no line.
REFUSED = {
    "Resume": {"scope": "all"}, "Reload": {}, "AuditRotate": {},
    "NameAllow": {"domain": "gone.example"}, "AccountCreate": ACCOUNT,
    "TokenCheck": {"name": "hsm"}, "BackupBegin": {},
    "AccountSignProof": {"name": "test", "nonce": "abc"},
    "AccountDeactivated": {"name": "test"},
}
READS = {"Status": {}, "TokenList": {}, "AccountList": {}, "Metrics": {},
         "MetricsAccounts": {}, "NameDenied": {},
         "AccountShow": {"name": "test"}, "RecordList": {}}


def what_is_refused(g):
    """While no line can be written. Nothing that needs one is done."""
    before = g.must("AccountList")
    for _ in range(3):
        error = g.try_sign()
        L.expect(error == F.AUDIT_DOWN, f"SignInput: {error}")
    error, _ = g.ask(D.CLIENT, "Sign", {
        "account": "test", "url": D.CA + "/order/1", "nonce": "abc",
        "payload": ""})
    L.expect(error == F.AUDIT_DOWN, f"Sign: {error}")
    c = D.Lacme(g.lacme)
    L.expect(c.greeting()[0].startswith("1 OK"), "lacme is greeted")
    L.expect(c.ask(g.request()) == [""], "and closed")
    for method, parameters in REFUSED.items():
        error, answer = g.ask_admin(method, parameters)
        L.expect(error == D.ADMIN + "AuditUnavailable",
                 f"{method}: {error} {answer}")
    for method, parameters in READS.items():
        g.must(method, parameters)
    L.expect(g.must("AccountList") == before, "nothing was done")


def what_goes_on(g):
    """Knowing and taking away."""
    for method, more in (("ListAccounts", {}), ("GetAccount", {
            "account": "test"}), ("KeyAuthorization", {
                "account": "test", "token": "abc"}), ("Check", {
                    "account": "test", "operation": "order",
                    "identifiers": ["example.com"]})):
        error, answer = g.ask(D.CLIENT, method, more)
        L.expect(not error, f"{method}: {error} {answer}")
    g.must("Suspend", {"scope": "client", "name": str(D.OTHER)})
    error, answer = g.sign_input(D.OTHER, g.request())
    L.expect(error == D.SIGNER + "PolicyDenied" and
             answer["reason"] == "suspended", f"{error} {answer}")
    g.must("NameDeny", {"domain": "bad.example.com"})


def is_told(g, *words):
    """In Status, by the metrics, and in the journal, which says it once."""
    status = g.must("Status")
    L.expect(not status["ready"] and all(w in status["auditState"]
                                         for w in words), str(status))
    L.expect(any("nothing is signed" in w for w in status["warnings"]),
             str(status))
    metrics = g.must("Metrics")
    L.expect(not metrics["auditWritable"] and not metrics["ready"],
             str(metrics))


def goes_on_by_itself(g, when):
    g.must("Resume", {"scope": "client", "name": str(D.OTHER)})
    g.signs_again(when)
    status = g.must("Status")
    L.expect(status["ready"] and status["auditState"] == "ok", str(status))
    L.expect(g.must("Metrics")["auditWritable"], "the metrics, too")


def full_log(sync):
    with F.guardian(lambda g: F.small_disk(g.lab, "log", "1m"),
                    AuditSync=sync, AuditMaxSize="48K") as g:
        log = g.lab.dir / "log"
        for _ in range(20):
            g.signs("before")
        filler = F.fill(log)
        reserved = g.signs_until_refused()
        L.expect(reserved > 0, "what was set aside is used")
        what_is_refused(g)
        what_goes_on(g)
        is_told(g, FULL)
        L.expect(g.said(f"{CANNOT}: {FULL}") == 1, "said once")
        L.expect(g.said("can be written again") == 0, "not yet")
        lines = len(list(F.audit_lines(log)))
        g.stop()  # and a start
        g.start()
        L.expect(g.try_sign() == F.AUDIT_DOWN, "nor after a start")
        is_told(g, FULL)
        L.expect(len(list(F.audit_lines(log))) == lines, "no line more")
        filler.unlink()
        goes_on_by_itself(g, "when there is room")
        L.expect(g.said("can be written again") == 1, "said once")
        for _ in range(100):
            g.signs("afterwards")
        L.expect(len(list(log.glob("audit.jsonl.*"))) > 0, "rotated again")
        g.end()
        F.tried(f"the disk full under the audit log (AuditSync={sync}): "
                f"{reserved} more signed from the reserve, then "
                "AuditUnavailable, a start included, until there was room",
                g.nothing_is_lost())


def test_a_full_disk_under_the_log():
    full_log("interval")


def test_a_full_disk_under_the_log_with_group_sync():
    full_log("group")


def test_a_log_that_is_read_only_at_a_start():
    with F.guardian(lambda g: F.small_disk(g.lab, "log", "1m")) as g:
        log = g.lab.dir / "log"
        g.signs("before")
        g.end()
        g.lab.run(["mount", "-o", "remount,ro", log])
        g.start()
        what_is_refused(g)
        what_goes_on(g)
        is_told(g, "Read-only file system")
        L.expect(g.said("The audit log cannot be used, nothing is signed") > 0,
                 "said")
        g.lab.run(["mount", "-o", "remount,rw", log])
        L.wait_for("the log", lambda: not g.ask_admin(
            "Resume", {"scope": "client", "name": str(D.OTHER)})[0])
        g.signs_again("when it can be written")
        g.end()
        F.tried("a read-only file system under the audit log at a start: "
                "nothing signed until it was writable", g.nothing_is_lost())


def broken_disk(name):
    # With interval it may cost the lines of the last 100 ms.
    with F.guardian(lambda g: F.real_disk(g.lab, name),
                    AuditSync="group") as g:
        path = g.lab.dir / name
        for _ in range(20):
            g.signs("before")
        F.break_disk(g.lab, path)
        # What was being synced at this moment is noticed within an interval.
        with D.AsUser(D.CLIENT, g.client) as v:
            L.wait_for("the refusal", lambda: g.try_sign(v) == F.AUDIT_DOWN)
            for _ in range(20):
                error = g.try_sign(v)
                L.expect(error == F.AUDIT_DOWN, f"and no other: {error}")
        is_told(g, "Read-only file system")
        said = g.said("nothing is signed until it can: Read-only")
        L.expect(1 <= said <= 2, f"said once of writing and syncing: {said}")
        g.stop()
        F.repair_disk(g.lab, path)
        g.start()
        g.signs_again("after the repair and a start")
        g.end()
        F.tried(f"ext4 remounted read-only after an error under the {name} "
                "directory while signing: AuditUnavailable until it was "
                "repaired", g.nothing_is_lost())


def test_a_disk_that_breaks_under_the_log():
    broken_disk("log")


def test_a_disk_that_breaks_under_the_state():
    broken_disk("state")


def registry_refuses(g):
    """Each with the reason."""
    for method, parameters in (
            ("NameDeny", {"domain": "more.example"}),
            ("AccountCreate", ACCOUNT),
            ("AccountSetIssuers", {"name": "test", "issuers": ["ca.example"]}),
            ("AccountProven", {"name": "test", "url": D.ACCOUNT_URL,
                               "thumbprint": g.account["thumbprint"]}),
            ("RotationStart", {"account": "test"}),
            ("AccountDeactivated", {"name": "test"})):
        error, answer = g.ask_admin(method, parameters)
        L.expect(error == D.ADMIN + "RegistryUnavailable" and
                 FULL in answer["text"], f"{method}: {error} {answer}")
    L.expect([a["name"] for a in g.must("AccountList")["accounts"]] ==
             ["test"], "no account more")
    L.expect(any("registry cannot be written" in w and FULL in w
                 for w in g.must("Status")["warnings"]), "Status says so")
    L.expect(g.must("Metrics")["registryWritable"] is False, "nor metrics")
    L.expect(g.said("changes are refused until it can: " + FULL) == 1,
             "the journal says so once")


def suspending_works(g):
    """The switch that stops a client does not wait for a disk."""
    r = g.lab.run([L.GUARDIANCTL, "--config", g.etc, "suspend", "client",
                   D.OTHER], ok=(69,))
    L.expect("it is suspended, but a restart forgets that" in r.stderr and
             FULL in r.stderr, r.stderr)
    is_suspended(g)


def is_suspended(g):
    error, answer = g.sign_input(D.OTHER, g.request())
    L.expect(error == D.SIGNER + "PolicyDenied" and
             answer["reason"] == "suspended", f"{error} {answer}")
    g.signs("others go on")


def test_a_full_disk_under_the_registry():
    def before(g):
        F.small_disk(g.lab, "state", "1m")
        # A helper that could not note a wrong PIN sends none.
        g.conf += f"Directory={g.lab.dir}/helper\n"
        g.set()
    with F.guardian(before) as g:
        g.must("NameDeny", {"domain": "one.example"})
        filler = F.fill(g.lab.dir / "state")
        for _ in range(50):
            g.signs("the log is elsewhere")
        registry_refuses(g)
        suspending_works(g)
        filler.unlink()
        g.must("NameDeny", {"domain": "two.example"})
        L.expect(g.said("can be written again") == 1, "said once")
        L.expect(not any("registry" in w for w in g.must("Status")["warnings"])
                 and g.must("Metrics")["registryWritable"], "no warning more")
        g.create(ACCOUNT)  # takes up the key that was made in vain
        g.restart()
        is_suspended(g)
        g.must("Resume", {"scope": "client", "name": str(D.OTHER)})
        filler = F.fill(g.lab.dir / "state")
        g.process.kill()
        g.process.wait()
        g.lab.processes.remove(g.process)
        g.start()
        g.signs_again("after kill -9 and a start on the full disk")
        filler.unlink()
        names = [x["domain"] for x in g.must("NameDenied")["names"]]
        L.expect(names == ["one.example", "two.example"], str(names))
        g.end()
        F.tried("the disk full under the registry: signing went on, changes "
                "were refused with the reason, suspending worked and was "
                "saved later, kill -9 and a start included",
                g.nothing_is_lost())


def test_a_registry_that_is_read_only_at_a_start():
    with F.guardian(lambda g: F.small_disk(g.lab, "state", "1m")) as g:
        state = g.lab.dir / "state"
        g.signs("before")
        g.end()
        g.lab.run(["mount", "-o", "remount,ro", state])
        s = F.Supervised(g)
        try:
            L.wait_for("its words", lambda: g.said("Read-only file system") > 2)
            L.expect(not L.unix_open(g.client), "nobody is served")
            g.lab.run(["mount", "-o", "remount,rw", state])
            g.wait_until_ready()
            g.signs_again("when it can be written")
        finally:
            s.stop()
        F.tried("a read-only file system under the registry at a start: it "
                "ends with the reason, and is back by its supervisor when it "
                "is writable", g.nothing_is_lost())


def main():
    cases = [test_a_full_disk_under_the_log,
             test_a_full_disk_under_the_log_with_group_sync,
             test_a_log_that_is_read_only_at_a_start,
             test_a_full_disk_under_the_registry,
             test_a_registry_that_is_read_only_at_a_start]
    with L.Lab("fault") as lab:
        if F.can_break_disks(lab):
            cases += [test_a_disk_that_breaks_under_the_log,
                      test_a_disk_that_breaks_under_the_state]
        else:
            print("# no loop device here: a disk that breaks is not tried")
    return F.run_alone(cases)


if __name__ == "__main__":
    sys.exit(main())
