#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon when a token, its PIN, its keys or the helper are not as they were."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from daemon_lab import (ACCOUNT_URL, ADMIN, CA, CLIENT, DIRECTORY, SIGNER,
                        AsUser, Guardian, expect_error, jws, run,
                        with_guardian)
import lab as L


def test_a_wrong_pin_is_told_and_cured():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        lab.file("softhsm/pin", "9999\n", 0, 0o600)
        g.start()
        error, answer = g.ask_admin("AccountCreate", {
            "name": "test", "token": "hsm", "alg": "ES256",
            "directory": DIRECTORY})
        L.expect(error == ADMIN + "TokenFailed" and
                 answer["result"] == "pin-wrong", f"{error} {answer}")
        status = g.must("Status")
        L.expect(any("pin-wrong" in w for w in status["warnings"]) and
                 not status["ready"], str(status))
        lab.file("softhsm/pin", "1234\n", 0, 0o600)
        L.wait_for("the token", lambda: g.must("TokenUnlock", {
            "name": "hsm"})["token"]["state"] == "ok")
        g.make_account()
        error, answer = g.sign_input(CLIENT, g.order("example.com"))
        L.expect(not error, f"{error} {answer}")
        L.expect(g.stop() == 0, "a clean stop")


def make_second_generation(g):
    """Its next key, of which the registry knows nothing."""
    prefix = g.account["keyLabel"].rsplit(":", 1)[0]
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--keypairgen", "--key-type",
               "EC:prime256v1", "--label", prefix + ":2", "--id", "77"],
              env=g.env)


@with_guardian()
def test_a_missing_token_is_told_and_noticed_when_it_is_back(g):
    g.stop()
    tokens = g.lab.dir / "softhsm/tokens"
    away = g.lab.dir / "softhsm/away"
    tokens.rename(away)
    tokens.mkdir()
    g.start()
    L.wait_for("the state", lambda: g.must("Status")["tokens"][0]["state"]
               == "no-token")
    got = g.sign_input(CLIENT, g.order("example.com"))
    expect_error(got, "TokenUnavailable")
    L.expect(got[1]["retryAfterMs"] > 0, str(got))
    tokens.rmdir()
    away.rename(tokens)
    L.wait_for("the token", lambda: g.must("Status")["ready"])
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")


@with_guardian()
def test_a_key_that_is_gone_needs_to_be_resolved(g):
    g.must("TokenCheck", {"name": "hsm"})
    label = g.account["keyLabel"]
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--delete-object", "--type",
               "privkey", "--label", label], env=g.env)
    g.lab.run(["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
               "--login", "--pin", "1234", "--delete-object", "--type",
               "pubkey", "--label", label], env=g.env, ok=None)
    g.restart()
    L.wait_for("the check", lambda: g.must("AccountShow", {"name": "test"})
               ["account"]["status"] == "needs-resolve")
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AccountNotReady", state="needs-resolve")
    expect_error(g.ask_admin("TokenCheck", {"name": "hsm"}), "TokenFailed",
                 result="no-key")


@with_guardian()
def test_a_higher_generation_needs_to_be_resolved(g):
    make_second_generation(g)
    g.restart()
    expect_error(g.sign_input(CLIENT, g.order("example.com")),
                 "AccountNotReady", state="needs-resolve")
    text = g.must("AccountShow", {"name": "test"})["account"]["statusText"]
    L.expect("generation 2" in text, text)
    for method, more in (("AccountSignDeactivation", {}),
                         ("AccountSignRegistration", {
                             "contacts": [], "termsOfServiceAgreed": True})):
        expect_error(g.ask_admin(method, {"name": "test", "nonce": "n",
                                          **more}),
                     "WrongState", state="needs-resolve")


def helper_of(g):
    for pid in L.descendants(g.process.pid):
        name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        if name == b"acme-guardian-token":
            return pid
    return None


@with_guardian()
def test_killing_the_helper_under_load_loses_no_request(g):
    code = ("import sys,json,socket,time\n"
            "s=socket.socket(socket.AF_UNIX);s.settimeout(30)\n"
            "s.connect(sys.argv[1]);m=sys.argv[2].encode()+b'\\0'\n"
            "end=time.monotonic()+3\n"
            "while time.monotonic()<end:\n"
            "  s.sendall(m);b=b''\n"
            "  while not b.endswith(b'\\0'): b+=s.recv(65536)\n"
            "  if 'error' in json.loads(b[:-1]): print(b)\n"
            "print('done')\n")
    message = json.dumps({"method": SIGNER + "SignInput", "parameters": {
        "account": "test", **jws({"alg": "ES256", "kid": ACCOUNT_URL,
                                  "nonce": "a", "url": CA + "/order/1"}, "")}})
    procs = [subprocess.Popen(
        [*g.lab.as_user(CLIENT), sys.executable, "-c", code, str(g.client),
         message], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    # A request is repeated once: the next helper gets the time to answer.
    for _ in range(2):
        time.sleep(1)
        pid = helper_of(g)
        L.expect(pid, "a helper runs")
        os.kill(pid, signal.SIGKILL)
    for p in procs:
        out = p.communicate(timeout=60)[0]
        L.expect(out.strip() == "done", f"no errors, not {out}")


def has_files(pid):
    """It has not ended, and may still answer."""
    try:
        return bool(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False


@with_guardian()
def test_a_helper_that_is_back_signs_only_after_a_look_at_its_keys(g):
    make_second_generation(g)
    error, _ = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, "nobody has looked at it so far")
    helper = helper_of(g)
    ended = [helper, *L.descendants(helper)]
    os.kill(helper, signal.SIGKILL)
    # Its workers answer until they have noticed.
    L.wait_for("their end", lambda: not any(has_files(p) for p in ended))
    expect_error(g.sign_input(CLIENT, g.order("www.example.com")),
                 "AccountNotReady", state="needs-resolve")


@with_guardian()
def test_requests_in_flight_are_answered_before_it_stops(g):
    helper = helper_of(g)
    os.kill(helper, signal.SIGSTOP)
    for pid in L.descendants(helper):
        os.kill(pid, signal.SIGSTOP)
    with AsUser(CLIENT, g.client) as v:
        v.send(SIGNER + "SignInput", {"account": "test",
                                      **g.order("example.com")})
        time.sleep(0.2)
        g.process.terminate()
        time.sleep(0.2)
        L.expect(g.process.poll() is None, "it waits for the answer")
        for pid in [helper, *L.descendants(helper)]:
            os.kill(pid, signal.SIGCONT)
        error, answer = v.receive()
        L.expect(not error and answer["signature"], f"{error} {answer}")
    g.process.wait(30)
    g.lab.processes.remove(g.process)
    g.start()


@with_guardian("Timeout=500ms\nSessions=1\n")
def test_a_token_that_hangs_costs_its_timeout_and_no_more(g):
    helper = helper_of(g)
    stopped = [helper, *L.descendants(helper)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    got = g.sign_input(CLIENT, g.order("example.com"))
    took = time.monotonic() - begin
    expect_error(got, "TokenUnavailable")
    L.expect(1.4 < took < 20, f"Timeout= and a second, not {took:.1f} s")
    # It was closed, and when it does not go it is killed.
    # Not by asking: what is allowed counts as an order, signed or not.
    L.wait_for("a new helper", lambda: g.must("Status")["ready"])
    error, answer = g.sign_input(CLIENT, g.order("example.com"))
    L.expect(not error, f"{error} {answer}")
    L.expect(helper_of(g) != helper, "another process")
    for pid in stopped[1:]:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def test_a_helper_behind_its_own_socket():
    with L.Lab("daemon") as lab:
        g = Guardian(lab, f"HelperSocket={lab.dir}/run/token.sock\n"
                          f"Directory={lab.dir}/helper\n")
        g.start()
        got = g.ask_admin("AccountCreate", {
            "name": "test", "token": "hsm", "alg": "ES256",
            "directory": DIRECTORY})
        expect_error(got, "TokenFailed", result="unreachable")
        helper = L.Restarting(lab, "helper", [
            "systemd-socket-activate", "--seqpacket", "-l",
            lab.dir / "run/token.sock", L.TOKEN_HELPER, "--config", g.etc,
            "hsm"], 0, g.env)
        try:
            L.wait_for("the token", lambda: g.must("Status")["ready"], 20)
            g.make_account()
            for _ in range(2):
                error, answer = g.sign_input(CLIENT, g.order("example.com"))
                L.expect(not error, f"{error} {answer}")
                helper.process.kill()  # as if it had crashed
            L.expect(helper_of(g) is None, "none of its own")
            L.expect(g.stop() == 0, "a clean stop")
        finally:
            helper.stop()


def test_an_account_whose_token_section_is_gone():
    with L.Lab("daemon") as lab:
        g = Guardian(lab)
        g.start()
        g.make_account()
        g.configure(g.conf[:g.conf.index("[Token")])
        g.restart()
        expect_error(g.sign_input(CLIENT, g.order("example.com")),
                     "TokenUnavailable")
        status = g.must("Status")
        L.expect(any("[Token hsm]" in w for w in status["warnings"]),
                 str(status))
        expect_error(g.ask_admin("AccountSignRegistration", {
            "name": "test", "nonce": "abc", "contacts": [],
            "termsOfServiceAgreed": False}), "NoSuchToken")
        L.expect(g.stop() == 0, "a clean stop")


@with_guardian()
def test_a_key_that_an_hsm_team_made(g):
    tool = ["pkcs11-tool", "--module", L.SOFTHSM, "--token-label", "lab",
            "--login", "--pin", "1234"]
    g.lab.run([*tool, "--keypairgen", "--key-type", "EC:prime256v1", "--label",
               "from-the-team", "--id", "4711", "--sensitive",
               "--usage-sign"], env=g.env)
    uri = "pkcs11:object=from-the-team"
    account = {"name": "second", "token": "hsm", "alg": "ES256",
               "directory": DIRECTORY, "existingKey": uri}
    expect_error(g.ask_admin("AccountCreate", {**account, "alg": "RS256"}),
                 "InvalidValue", parameter="existingKey")
    expect_error(g.ask_admin("AccountCreate", {
        **account, "existingKey": "pkcs11:object=nosuch"}), "TokenFailed",
        result="no-key")
    a = g.must("AccountCreate", account)["account"]
    L.expect(a["keyLabel"] == "from-the-team", str(a))
    expect_error(g.ask_admin("AccountCreate", {**account, "name": "third"}),
                 "InvalidValue", parameter="existingKey")
    keys = g.must("TokenCheck", {"name": "hsm"})["keys"]
    L.expect({(k["label"], k["account"]) for k in keys} == {
        (g.account["keyLabel"], "test"), ("from-the-team", "second")},
        str(keys))
    events = [x["operation"] for x in g.audit_lines() if x["type"] == "key"]
    L.expect(events == ["generate", "take"], str(events))
    g.restart()
    L.expect(g.must("AccountShow", {"name": "second"})["account"]["status"] ==
             "created", "found again")


@with_guardian()
def test_a_key_left_behind_by_a_crash_is_taken_up(g):
    g.make_account("second", register=False)
    before = g.must("AccountShow", {"name": "second"})["account"]
    g.stop()
    g.lab.run(["python3", "-c", "import sqlite3,sys;"
               "d=sqlite3.connect(sys.argv[1]);"
               "d.execute('delete from account where name=\"second\"');"
               "d.commit()", g.lab.dir / "state/registry.db"])
    g.start()
    expect_error(g.ask_admin("AccountCreate", {
        "name": "second", "token": "hsm", "alg": "RS256",
        "directory": DIRECTORY}), "InvalidValue", parameter="alg")
    after = g.make_account("second", register=False)
    L.expect(after["thumbprint"] == before["thumbprint"], "the same key")


if __name__ == "__main__":
    sys.exit(run(globals()))
