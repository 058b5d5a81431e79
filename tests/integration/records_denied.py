#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that are denied over the admin socket: no record, no value, no signature."""

import sys

import daemon_lab as D
import lab as L
from records_lab import (add, admin_lines, binding, in_registry, pages, ready,
                         record, registry, values)


@D.with_guardian()
def test_a_denied_name_gets_no_record_and_no_value(g):
    ready(g)
    names = ["a.www.example.com", "example.com", "www.example.com",
             "wwww.example.com"]
    add(g, *map(record, names))

    def denied():
        return [v["domain"] for v in values(g) if v["denied"]]

    def refused(domain, *words):
        got = g.ask_admin("RecordAdd", {"records": [
            record("new.example.net"), record(domain)]})
        D.expect_error(got, "InvalidValue", parameter="records[1].domain")
        L.expect(all(w in got[1]["text"] for w in words), str(got))

    L.expect(denied() == [], "none yet")
    g.must("NameDeny", {"domain": "www.example.com"})
    L.expect(denied() == ["a.www.example.com", "www.example.com"], "with below")
    since = g.must("NameDenied")["names"][0]["since"]
    for domain in ("www.example.com", "b.www.example.com"):
        refused(domain, "www.example.com is denied since " + since, "uid 0",
                "guardianctl names allow www.example.com")
    add(g, record("example.com", wildcard=True), record("xwww.example.com"))
    g.must("RecordRemove", {"account": "test", "domain": "www.example.com"})
    g.must("NameAllow", {"domain": "www.example.com"})
    L.expect(denied() == [], "undone")
    add(g, record("www.example.com"))
    g.configure(g.conf.replace("[Deny]\nDomain=",
                               "[Deny]\nDomain=example.com "))
    g.must("Reload")
    L.expect(denied() == sorted(names + ["xwww.example.com"]),
             "by the configuration, too")
    refused("www.example.com", "example.com is denied by [Deny]",
            "guardian.conf")


def allowed(g, *names):
    error, answer = g.sign_input(D.CLIENT, g.order(*names))
    if error:
        D.expect_error((error, answer), "PolicyDenied",
                       reason="identifier-denied")
    return not error


@D.with_guardian()
def test_a_denied_name_is_refused_from_now_on(g):
    L.expect(allowed(g, "www.example.com") and allowed(g, "a.apps.example.com")
             and allowed(g, "*.apps.example.com"), "before")
    g.must("NameDeny", {"domain": "www.example.com"})
    g.must("NameDeny", {"domain": "b.apps.example.com"})
    g.must("NameDeny", {"domain": "b.apps.example.com"})

    def check(when):
        L.expect(not allowed(g, "www.example.com"), f"{when}: the name")
        L.expect(not allowed(g, "b.apps.example.com"), f"{when}: another")
        L.expect(not allowed(g, "x.b.apps.example.com"), f"{when}: below it")
        L.expect(not allowed(g, "*.apps.example.com"),
                 f"{when}: the wildcard that covers it")
        L.expect(not allowed(g, "no.internal.apps.example.com"),
                 f"{when}: [Deny] itself")
        L.expect(allowed(g, "example.com", "a.apps.example.com"),
                 f"{when}: the rest")
    check("at once")
    g.restart()
    check("after a restart")
    g.must("Reload")
    check("after a reload")
    g.policy("[Client]\nUser=1\n")
    D.expect_error(g.ask_admin("Reload"), "ConfigurationInvalid")
    check("after a reload that failed")
    status = g.must("Status")
    L.expect(status["deniedNames"] == 2 and
             any("2 names are denied" in n for n in status["notes"]),
             str(status))
    names = g.must("NameDenied", uid=D.MONITOR)["names"]
    L.expect([(n["domain"], n["by"]) for n in names] == [
        ("b.apps.example.com", "uid 0"), ("www.example.com", "uid 0")] and
        all(n["since"].endswith("Z") for n in names), str(names))
    L.expect(pages(g.must, "NameDenied", "names", {"limit": 1})[0] == names,
             "in pages")
    g.must("NameAllow", {"domain": "www.example.com"})
    L.expect(allowed(g, "www.example.com") and
             not allowed(g, "b.apps.example.com"), "that one only")
    D.expect_error(g.ask_admin("NameAllow", {"domain": "www.example.com"}),
                   "NoSuchName", name="www.example.com")
    for bad in ("*.example.com", "WWW.example.com", "", "a b"):
        D.expect_error(g.ask_admin("NameDeny", {"domain": bad}),
                       "InvalidValue", parameter="domain")
    L.expect([x["detail"] for x in admin_lines(g, "NameDeny")][:2] ==
             ["www.example.com", "b.apps.example.com"], "audited")
    g.policy(D.POLICY)
    g.must("Reload")
    L.expect(not allowed(g, "b.apps.example.com") and
             allowed(g, "www.example.com"), "in a policy that reads again")


@D.with_guardian()
def test_what_is_not_in_force_is_not_called_denied(g):
    g.must("NameDeny", {"domain": "a.apps.example.com"})
    in_registry(g, ("insert into denied values ('no domain', 1, 'test')",))
    D.expect_error(g.ask_admin("NameDeny", {"domain": "www.example.com"}),
                   "Busy")
    log = g.lab.log("guardiand")
    L.expect("Denied by uid 0: www.example.com" not in log and
             "Denied by uid 0, but not in force yet: www.example.com" in log,
             log)
    L.expect(allowed(g, "www.example.com") and
             not allowed(g, "a.apps.example.com"), "as it was before")
    L.expect(len(g.must("NameDenied")["names"]) == 1, "and so it is listed")
    in_registry(g, ("delete from denied where name = 'no domain'",))
    g.must("NameDeny", {"domain": "www.example.com"})
    L.expect(not allowed(g, "www.example.com"), "asked for again")
    L.expect("Denied by uid 0: www.example.com" in g.lab.log("guardiand"),
             "and said")


@D.with_guardian()
def test_a_full_audit_log_keeps_nobody_from_denying(g):
    ready(g)
    size = (g.lab.dir / "log/audit.jsonl").stat().st_size
    g.lab.run(["prlimit", f"--pid={g.process.pid}", f"--fsize={size}:"])
    # What only takes away is done; all else is not.
    for method, parameters in (
            ("AccountSignProof", {"name": "test", "nonce": "n"}),
            ("NameAllow", {"domain": "www.example.com"}),
            ("RecordAdd", {"records": [record("www.example.com")]}),
            ("AccountSetIssuers", {"name": "test", "issuers": []})):
        D.expect_error(g.ask_admin(method, parameters), "AuditUnavailable")
    g.lab.run(["prlimit", f"--pid={g.process.pid}", "--fsize=unlimited"])
    g.stop()
    log = g.lab.dir / "log"
    log.rename(g.lab.dir / "log-away")
    log.write_text("a file where the folder should be")
    g.start()
    g.must("NameDeny", {"domain": "www.example.com"})
    g.must("AccountNotProven", {"name": "test", "reason": "account-not-ours",
                                "text": "x"})
    D.expect_error(g.ask_admin("NameAllow", {"domain": "www.example.com"}),
                   "AuditUnavailable")
    before = registry(g)
    D.expect_error(g.ask_admin("AccountSignRegistration", {
        "name": "test", "nonce": "n", "contacts": ["mailto:x@y.example"],
        "termsOfServiceAgreed": True, "externalAccountBinding": binding(g)}),
        "AuditUnavailable")
    L.expect(registry(g) == before, "not even what the CA would be told")
    log.unlink()
    (g.lab.dir / "log-away").rename(log)
    g.restart()
    L.expect(not allowed(g, "www.example.com"), "denied")


if __name__ == "__main__":
    sys.exit(D.run(globals()))
