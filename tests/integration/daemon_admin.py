#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's admin socket: roles, accounts, policies, and what can be watched."""

import json
import signal
import sys
import time

from daemon_lab import (ADMIN, CA, CLIENT, DIRECTORY, ENDPOINTS, MONITOR, OPS,
                        OTHER, POLICY, SIGNER, AsUser, expect_error, run,
                        unb64, verify, with_guardian)
import lab as L


@with_guardian()
def test_reload_is_all_or_nothing(g):
    order = g.order("new.example.com")
    expect_error(g.sign_input(CLIENT, order), "PolicyDenied")
    old = g.must("Status")["policyHash"]
    g.policy(POLICY.replace("www.example.com", "new.example.com"))
    answer = g.must("Reload")
    L.expect(answer["policyHash"] != old and "nonce" in answer["note"],
             str(answer))
    error, _ = g.sign_input(CLIENT, order)
    L.expect(not error, "the new policy is in force")

    g.policy(POLICY.replace("Profiles=", "Profile="))
    expect_error(g.ask_admin("Reload"), "ConfigurationInvalid", line=8,
                 file=f"{g.etc}/policy.d/test.policy")
    error, _ = g.sign_input(CLIENT, order)
    L.expect(not error, "the one before stays in force")
    status = g.must("Status")
    L.expect(not status["ready"] and
             any("test.policy:8" in w for w in status["warnings"]),
             str(status))
    # SIGHUP is the same, and [Deny] and [Roles] come along.
    g.policy(POLICY)
    g.configure(g.conf.replace("Domain=no.", "Domain=www.example.com "
                               "no.").replace(f"OpsUser={OPS}",
                                                   f"OpsUser={OTHER}"))
    g.process.send_signal(signal.SIGHUP)
    L.wait_for("the reload", lambda: g.must("Status")["policyHash"] == old)
    expect_error(g.sign_input(CLIENT, g.order("www.example.com")),
                 "PolicyDenied", reason="identifier-denied")
    g.must("Reload", uid=OTHER)


@with_guardian()
def test_roles(g):
    g.must("Status", uid=MONITOR)
    g.must("Status", uid=OPS)
    g.must("Reload", uid=OPS)
    expect_error(g.ask_admin("Reload", uid=MONITOR), "NotPermitted",
                 role="ops")
    expect_error(g.ask_admin("Suspend", {"scope": "all"}, uid=OPS),
                 "NotPermitted", role="admin")
    try:
        error, answer = g.ask_admin("Status", uid=CLIENT)
        L.expect(False, f"closed before a byte is read: {error} {answer}")
    except (ConnectionError, BrokenPipeError):
        pass
    # The signer is not on the admin socket, nor the other way round.
    with AsUser(0, g.admin) as v:
        error, _ = v.call(SIGNER + "ListAccounts")
        L.expect(error and error.startswith("org.varlink.service."), error)
    with AsUser(0, g.client) as v:
        error, _ = v.call(ADMIN + "Status")
        L.expect(error and error.startswith("org.varlink.service."), error)
    denied = [x for x in g.audit_lines() if x.get("verdict") == "denied"]
    L.expect({x["uid"] for x in denied} == {MONITOR, OPS}, str(denied))


@with_guardian()
def test_accounts_have_their_states(g):
    a = g.make_account("fresh", register=False)
    L.expect(a["status"] == "created" and a["url"] is None and
             "sensitive" in a["attributes"] and not a["software"], str(a))
    expect_error(g.ask_admin("AccountCreate", {
        "name": "fresh", "token": "hsm", "alg": "ES256",
        "directory": DIRECTORY}), "AccountExists")
    for name, value, error in (("name", "No", "InvalidValue"),
                               ("alg", "HS256", "InvalidValue"),
                               ("token", "no", "NoSuchToken"),
                               ("directory", "http://ca.example/d",
                                "InvalidValue"),
                               ("rsaBits", 2048, "InvalidValue"),
                               ("origins", ["https://x/y"], "InvalidValue"),
                               ("challengeMembers", ["csr"],
                                "InvalidValue")):
        expect_error(g.ask_admin("AccountCreate", {
            "name": "other", "token": "hsm", "alg": "ES256",
            "directory": DIRECTORY, name: value}), error)
    expect_error(g.ask_admin("AccountSignRegistration", {
        "name": "fresh", "nonce": "abc", "contacts": [],
        "termsOfServiceAgreed": True}), "WrongState")
    g.policy(f"[Client]\nUser={CLIENT}\n[Allow]\nAccount=test fresh\n"
             "Domain=example.com\n")
    g.must("Reload")
    for method, request in (("SignInput", g.order("example.com")),
                            ("Sign", {"url": CA + "/order/1", "nonce": "abc",
                                      "payload": ""})):
        expect_error(g.ask(CLIENT, method, {"account": "fresh", **request}),
                     "AccountNotReady", state="created")
    expect_error(g.ask_admin("AccountSetDirectory", {
        "name": "fresh", "endpoints": {
            **ENDPOINTS, "newOrder": "https://evil.example/o"}}),
        "InvalidValue", parameter="endpoints")
    g.must("AccountSetDirectory", {"name": "fresh", "endpoints": ENDPOINTS})
    r = g.must("AccountSignRegistration", {
        "name": "fresh", "nonce": "abc",
        "contacts": ["mailto:a@example.com"], "termsOfServiceAgreed": True})
    L.expect(r["url"] == ENDPOINTS["newAccount"], str(r))
    L.expect(json.loads(unb64(r["payload"])) == {
        "termsOfServiceAgreed": True, "contact": ["mailto:a@example.com"]},
        str(r))
    L.expect(json.loads(unb64(r["protected"]))["jwk"] == a["jwk"], str(r))
    verify(g.lab, a["jwk"], r, r["signature"])
    expect_error(g.ask_admin("AccountSignDeactivation",
                             {"name": "fresh", "nonce": "abc"}), "WrongState")
    expect_error(g.ask_admin("AccountRegistered", {
        "name": "fresh", "url": "https://evil.example/1",
        "status": "valid"}), "InvalidValue")
    g.must("AccountRegistered", {"name": "fresh", "url": CA + "/acct/9",
                                 "status": "valid"})
    expect_error(g.ask_admin("AccountRegistered", {
        "name": "fresh", "url": CA + "/acct/10", "status": "valid"}),
        "InvalidValue")
    r = g.must("AccountSignDeactivation", {"name": "fresh", "nonce": "abc"})
    L.expect(json.loads(unb64(r["payload"])) == {"status": "deactivated"},
             str(r))
    verify(g.lab, a["jwk"], r, r["signature"])
    a = g.must("AccountDeactivated", {"name": "test"})["account"]
    L.expect(a["status"] == "deactivated", str(a))
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AccountNotReady", state="deactivated")
    shown = g.must("AccountShow", {"name": "fresh"})
    L.expect(shown["endpoints"]["newOrder"] == ENDPOINTS["newOrder"] and
             shown["account"]["contacts"] == ["mailto:a@example.com"],
             str(shown))


@with_guardian()
def test_restart_keeps_everything(g):
    before = g.must("AccountList")
    head = g.must("AuditHead")
    g.restart()
    L.expect(g.must("AccountList") == before, "the accounts")
    L.expect(g.must("AuditHead")["line"] > head["line"], "the chain goes on")
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_token_check_signs_and_lists(g):
    answer = g.must("TokenCheck", {"name": "hsm"})
    L.expect(answer["token"]["state"] == "ok" and
             [k["account"] for k in answer["keys"]] == ["test"] and
             answer["keys"][0]["generation"] == 1 and
             answer["keys"][0]["thumbprint"] == g.account["thumbprint"],
             str(answer))
    expect_error(g.ask_admin("TokenCheck", {"name": "no"}), "NoSuchToken")
    tokens = g.must("TokenList")["tokens"]
    L.expect([(t["name"], t["state"], t["unseparated"]) for t in tokens] ==
             [("hsm", "ok", True)], str(tokens))
    status = g.must("Status")
    L.expect(status["separation"] == "unseparated" and status["ready"],
             str(status))


@with_guardian()
def test_watch_streams_decisions(g):
    with AsUser(MONITOR, g.admin) as v:
        v.send(ADMIN + "Watch", more=True)
        time.sleep(0.2)
        g.sign_input(CLIENT, g.order("example.com"))
        error, answer = v.receive()
        line = json.loads(answer["line"])
        L.expect(not error and line["operation"] == "order", str(answer))
        g.process.terminate()  # a stream does not hold up a stop
        g.process.wait(30)
    g.lab.processes.remove(g.process)
    g.start()


if __name__ == "__main__":
    sys.exit(run(globals()))
