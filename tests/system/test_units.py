#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The units themselves: sockets stay whatever the services behind them do."""

import contextlib
import pathlib
import sys
import time

from machine import expect, scenario

SERVICE = "acme-guardian.service"
SOCKETS = ("acme-guardian-client.socket", "acme-guardian-admin.socket")
TOKEN = "acme-guardian-token@hsm"
RUN = "/run/acme-guardian"
CONF = "/etc/acme-guardian/guardian.conf"

GUARDIAN_CONF = f"""[Token hsm]
Backend=sealed
Pin=credential:acme-guardian-hsm
HelperSocket={RUN}/token/hsm.sock
"""

# Who asks the daemon for its name, and what comes: the name, "end", or "late".
ASK = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(float(sys.argv[2]))
try:
    s.connect(sys.argv[1])
    s.sendall(b'{"method":"org.varlink.service.GetInfo"}\\0')
    answer = s.recv(65536)
    print(json.loads(answer.rstrip(b'\\0'))["parameters"]["product"]
          if answer else "end")
except TimeoutError:
    print("late")
except (ConnectionResetError, BrokenPipeError):
    print("end")
"""


def ask(m, path=f"{RUN}/client.sock", patience=30):
    return m.run(["python3", "-c", ASK, path, str(patience)],
                 timeout=patience + 30).stdout.strip()


def state_of(m, unit, what="ActiveState"):
    return m.systemctl("show", "-P", what, unit).stdout.strip()


def wait_active(m, unit):
    """It serves before systemd has read that it is ready."""
    m.wait_for(f"{unit} is active", lambda: state_of(m, unit) == "active")


def expect_sockets(m, *more):
    for unit in (*SOCKETS, *more):
        expect(state_of(m, unit) == "active", f"{unit} is active")


def drop_in(m, unit, text):
    path = f"/run/systemd/system/{unit}.d/test.conf"
    if text:
        m.write(path, text)
    else:
        m.run(["rm", "-f", path])
    m.systemctl("daemon-reload")


@contextlib.contextmanager
def without_credential(m):
    """The credential's file is away meanwhile, and the token well after it."""
    path = "/etc/credstore.encrypted/acme-guardian-hsm"
    m.run(["mv", path, "/root/good"])
    try:
        yield pathlib.PurePath(path)
    finally:
        m.run(["mv", "/root/good", path])
        m.systemctl("stop", f"{TOKEN}.service")
        wait_token(m)


def wait_failed(m, unit, status):
    """Until its last start ended so: while the next is under way, systemd shows
    neither the status of the last nor its own."""
    m.wait_for(f"{unit} ends with {status}", lambda: state_of(
        m, unit, "ExecMainStatus") == status)


def starts(m, unit):
    """How often systemd has begun to start it."""
    return len(m.journal("-u", unit, "JOB_TYPE=start",
                         "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5"))


def prepare(m):
    m.write(CONF, GUARDIAN_CONF)
    m.run(["install", "-d", "-m", "0700", "-o", "acme-guardian-token", "-g",
           "acme-guardian-token", "/var/lib/acme-guardian-token/hsm"])
    m.run("head -c 32 /dev/urandom | systemd-creds encrypt "
          "--name=acme-guardian-hsm - /etc/credstore.encrypted/acme-guardian-hsm")
    m.run_unit("seal.service",
               ["/usr/libexec/acme-guardian/acme-guardian-token", "init-sealed",
                "--no-recovery", "hsm"], "User=acme-guardian-token",
               "LoadCredentialEncrypted=acme-guardian-hsm")
    m.systemctl("enable", "--now", f"{TOKEN}.socket")


def status(m):
    return m.run(["guardianctl", "status"], check=False).stdout.splitlines()


def token_state(m):
    return "".join(line.split()[2] for line in status(m)
                   if line.startswith("hsm "))


def wait_token(m, state="ok", seconds=60):
    m.wait_for(f"the token is {state}", lambda: token_state(m) == state,
               seconds)


# ---- what an operator does -------------------------------------------------


def test_the_first_client_starts_the_service(m):
    m.systemctl("disable", "--now", SERVICE)
    m.systemctl("enable", "--now", *SOCKETS)
    prepare(m)
    expect_sockets(m, f"{TOKEN}.socket")
    expect(state_of(m, SERVICE) == "inactive", "nothing runs yet")
    expect(ask(m) == "acme-guardiand", "the first connection is answered")
    wait_active(m, SERVICE)
    wait_token(m)
    told = state_of(m, SERVICE, "StatusText")
    expect("1 of 1 tokens ready" in told, told)


def test_starting_the_service_starts_its_sockets(m):
    m.systemctl("stop", SERVICE, *SOCKETS)
    expect(m.run(["test", "-e", f"{RUN}/client.sock"],
                 check=False).returncode == 1, "no socket is left")
    m.systemctl("start", SERVICE)
    expect_sockets(m)
    expect(ask(m) == "acme-guardiand", "it serves")


def test_one_more_socket_is_enabled_and_the_service_restarted(m):
    client = "acme-guardian-client@web.socket"
    lacme = "acme-guardian-lacme@le.socket"
    m.systemctl("enable", client, lacme)
    m.systemctl("restart", SERVICE)
    expect_sockets(m, client, lacme)
    expect(ask(m, f"{RUN}/client/web.sock") == "acme-guardiand",
           "the new socket is served")
    modes = m.run(["stat", "-c", "%a %U %n", RUN, f"{RUN}/client",
                   f"{RUN}/client/web.sock", f"{RUN}/lacme/le.sock",
                   f"{RUN}/token/hsm.sock", f"{RUN}/client.sock",
                   f"{RUN}/admin.sock"]).stdout.splitlines()
    expect(modes == [f"755 root {RUN}", f"700 root {RUN}/client",
                     f"666 root {RUN}/client/web.sock",
                     f"600 root {RUN}/lacme/le.sock",
                     f"600 acme-guardian {RUN}/token/hsm.sock",
                     f"666 root {RUN}/client.sock",
                     f"666 root {RUN}/admin.sock"], f"modes: {modes}")
    m.systemctl("disable", "--now", client, lacme)
    m.systemctl("restart", SERVICE)
    expect(ask(m) == "acme-guardiand", "and without them")


def test_the_daemon_starts_no_helper(m):
    m.write(f"{CONF}.d/own.conf", "[Token own]\nBackend=sealed\n")
    m.systemctl("restart", SERVICE)
    said = m.wait_for("the token's state", lambda: [
        line for line in status(m) if line.startswith("own") and
        "unreachable" in line])
    expect("Permission denied" in said[0] and
           "set HelperSocket=" in said[0] and
           "acme-guardian-token@own.socket" in said[0], said[0])
    m.run(["rm", f"{CONF}.d/own.conf"])
    m.systemctl("restart", SERVICE)


# ---- starts that fail ------------------------------------------------------


def test_a_bad_configuration_ends_it_and_not_the_sockets(m):
    m.write(CONF, "[Guardain]\n")
    before = starts(m, SERVICE)
    r = m.systemctl("restart", SERVICE, check=False)
    expect(r.returncode != 0, "the restart fails")
    # What is asked ten seconds long, without a pause, is ended each time.
    seen, end = set(), time.monotonic() + 10
    while time.monotonic() < end:
        seen.add(ask(m))
    expect(seen == {"end"}, f"clients get an end: {seen}")
    expect_sockets(m)
    again = starts(m, SERVICE) - before
    expect(1 <= again <= 7, f"not a start for each client: {again}")
    m.wait_for("the end", lambda: state_of(m, SERVICE) == "failed")
    wait_failed(m, SERVICE, "78")
    expect(any(f"{CONF}:1: unknown section" in e["MESSAGE"]
               for e in m.journal("-u", SERVICE, "-n", "50")), "file and line")
    m.write(CONF, GUARDIAN_CONF)
    expect(ask(m) == "acme-guardiand", "repaired, it comes by itself")


def test_a_daemon_that_cannot_be_executed_keeps_who_waits(m):
    m.systemctl("stop", SERVICE)
    drop_in(m, SERVICE, "[Service]\nExecStart=\nExecStart=/usr/sbin/nowhere\n")
    expect(ask(m, patience=5) == "late", "nobody answers")
    m.wait_for("it is tried again", lambda: int(
        state_of(m, SERVICE, "NRestarts")) >= 2)
    expect_sockets(m)
    drop_in(m, SERVICE, "")
    expect(ask(m) == "acme-guardiand", "repaired, it comes by itself")


def test_a_helper_s_bad_configuration_ends_it_and_not_its_socket(m):
    m.systemctl("restart", SERVICE)
    wait_token(m)
    before = starts(m, f"{TOKEN}.service")
    m.write(CONF, GUARDIAN_CONF.replace("[Token hsm]", "[Token usb]"))
    m.systemctl("stop", f"{TOKEN}.service")
    wait_failed(m, f"{TOKEN}.service", "78")
    time.sleep(5)
    again = starts(m, f"{TOKEN}.service") - before
    expect(again <= 4, f"not in a loop: {again}")
    expect_sockets(m, f"{TOKEN}.socket")
    m.write(CONF, GUARDIAN_CONF)
    wait_token(m)


def test_a_credential_that_does_not_decrypt_is_tried_again(m):
    with without_credential(m) as path:
        m.run(f"tr 'A-Y' 'B-Z' < /root/good > {path}")
        m.systemctl("stop", f"{TOKEN}.service")
        m.wait_for("it is tried again", lambda: int(
            state_of(m, f"{TOKEN}.service", "NRestarts")) >= 2)
        # Before the helper runs.
        wait_failed(m, f"{TOKEN}.service", "243")
        expect_sockets(m, f"{TOKEN}.socket")
        said = m.wait_for("status says so", lambda: [
            line for line in status(m) if line.startswith("hsm") and
            "unreachable" in line], 90)
        expect("journal of its unit" in said[0], said[0])


def test_no_credential_is_for_the_helper_to_tell(m):
    with without_credential(m):
        m.systemctl("stop", f"{TOKEN}.service")
        wait_token(m, "pin-missing")
        wait_active(m, f"{TOKEN}.service")


def test_no_limit_takes_a_socket_down(m):
    """Each would leave a socket failed that has started its service often."""
    for unit in (*SOCKETS, f"{TOKEN}.socket", "acme-guardian-client@web.socket",
                 "acme-guardian-lacme@le.socket"):
        limit = state_of(m, unit, "TriggerLimitIntervalUSec")
        expect(limit == "0", f"{unit}: TriggerLimitIntervalSec={limit}")
    for unit in (SERVICE, f"{TOKEN}.service"):
        for what, wanted in (("StartLimitIntervalUSec", "0"),
                             ("Restart", "on-failure"), ("RestartUSec", "2s"),
                             ("RestartPreventExitStatus", "78"),
                             ("Type", "notify")):
            is_so = state_of(m, unit, what)
            expect(is_so == wanted, f"{unit}: {what}={is_so}")


# ---- stopping --------------------------------------------------------------


def test_what_is_stopped_with_its_sockets_stays_so(m):
    m.systemctl("stop", SERVICE)
    expect(ask(m) == "acme-guardiand", "stopped alone, a client starts it")
    m.systemctl("stop", SERVICE, "acme-guardian-*.socket")
    expect(m.run(["test", "-e", f"{RUN}/client.sock"],
                 check=False).returncode == 1, "nothing to connect to")
    # Not cut off while it logs in: TimeoutStopSec=.
    m.wait_for("the helper's end", lambda: state_of(
        m, f"{TOKEN}.service") == "inactive", 60)
    expect(state_of(m, SERVICE) == "inactive", "and it was not called again")
    m.systemctl("start", SERVICE)
    expect_sockets(m, f"{TOKEN}.socket")
    wait_token(m)


def test_all_comes_back_at_boot(m):
    m.restart()
    expect_sockets(m, f"{TOKEN}.socket")
    expect(ask(m) == "acme-guardiand", "it serves")
    wait_token(m)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("units", [
        test_the_first_client_starts_the_service,
        test_starting_the_service_starts_its_sockets,
        test_one_more_socket_is_enabled_and_the_service_restarted,
        test_the_daemon_starts_no_helper,
        test_a_bad_configuration_ends_it_and_not_the_sockets,
        test_a_daemon_that_cannot_be_executed_keeps_who_waits,
        test_a_helper_s_bad_configuration_ends_it_and_not_its_socket,
        test_a_credential_that_does_not_decrypt_is_tried_again,
        test_no_credential_is_for_the_helper_to_tell,
        test_no_limit_takes_a_socket_down,
        test_what_is_stopped_with_its_sockets_stays_so,
        test_all_comes_back_at_boot,
    ])
