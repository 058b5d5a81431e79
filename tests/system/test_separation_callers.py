#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients, timers and other users on a booted host: what each can do, and by what
policy tells them apart (separation_lab.py)."""

import json
import re

from machine import expect
from place import Place
from separation_lab import (ADMIN_SOCKET, CLIENT_SOCKET, CREDENTIAL, ERROR,
                            HELPER, LACME_SOCKET, LIST, LOAD, NO_ROLE,
                            OTHER_SOCKET, PROBE, ROOT, RUN, SOFTHSM, STATUS,
                            TENANT_SOCKET, TOKENS, TOKEN_SOCKET, TOKEN_STATE,
                            UNIT, app, asking_systemd, becoming_more, call,
                            configuration, control, drop_in, every_process_of,
                            like, of_the_daemon, outcomes, probe, run, said,
                            user_id, wait_for_tokens)

from admin_roles import ADMIN, MONITOR, NEEDED, NONE, OPS


def sign(payload, url):
    return call("Sign", {"account": "main", "nonce": "n", "payload": payload,
                         "url": f"https://ca.example/{url}"}, "Signer",
                CLIENT_SOCKET)


# Clients.

def test_a_client_has_none_of_all_this(m):
    outcomes(m, like(m, app("alice"), "client", **SOFTHSM), {
        f"read={CREDENTIAL}": "EACCES",
        "read=/etc/credstore.encrypted/acme-guardian-hsm": "EACCES",
        "read=/var/lib/systemd/credential.secret": "EACCES",
        f"list={TOKEN_STATE}/hsm": "EACCES",
        **of_the_daemon("EACCES"),
        **every_process_of(m, HELPER, "EPERM"),
        **every_process_of(m, UNIT, "EPERM"),
        **configuration("EACCES", "EACCES"),
        **becoming_more(m), **asking_systemd(),
        LOAD: "ENODEV",
        f"connect-packets={TOKEN_SOCKET}": "EACCES",
        f"connect-packets={OTHER_SOCKET}": "EACCES",
        f"connect={LACME_SOCKET}": "EACCES",
        f"connect={TENANT_SOCKET}": "EACCES",
        f"list={RUN}/client": "EACCES",
        f"connect={CLIENT_SOCKET}": "ok",
        STATUS: NO_ROLE, LIST: "ok",
    })
    control(m, ROOT, f"connect={LACME_SOCKET}", f"connect={TENANT_SOCKET}",
            f"list={RUN}/client", STATUS)


def test_a_client_gets_its_names_signed_and_no_end_of_the_account(m):
    alice = like(m, app("alice"), "client")
    order = json.dumps({"identifiers": [{"type": "dns",
                                         "value": "alice.example.com"}]})
    control(m, alice, sign(order, "newOrder"))
    end = json.dumps({"status": "deactivated"})
    outcomes(m, alice, dict.fromkeys((sign(end, "acct/1"), sign(end, "authz/1"),
                                      sign(end, "keyChange")), ERROR))
    outcomes(m, like(m, app("acme-guardian-ops"), "ops"),
             dict.fromkeys((sign(order, "newOrder"), sign(end, "acct/1")),
                           ERROR))


def test_the_mode_of_the_token_socket_is_not_all_that_guards_it(m):
    """Opened to everybody, the helper still serves its owner alone."""
    alice = like(m, app("alice"), "client")
    control(m, like(m, UNIT, "daemon"), f"chmod={TOKEN_SOCKET}")
    m.systemctl("stop", UNIT)
    m.run(["chmod", "0666", TOKEN_SOCKET])
    try:
        control(m, alice, f"connect-packets={TOKEN_SOCKET}")
        outcomes(m, alice, {f"stay-connected={TOKEN_SOCKET}": "ECONNRESET"})
        uid = user_id(m, "alice")
        expect(any(f"a connection by uid {uid} is refused" in e["MESSAGE"]
                   for e in m.journal("-u", HELPER)), "the helper says so")
    finally:
        m.run(["chmod", "0600", TOKEN_SOCKET])
        m.systemctl("start", UNIT)
        wait_for_tokens(m)


# Roles.

def test_each_role_calls_what_it_may(m):
    text = said(m, ROOT, f"varlink={ADMIN_SOCKET},"
                "org.varlink.service.GetInterfaceDescription,"
                '{"interface":"org.acmeguardian.Admin"}')
    methods = set(re.findall(r"^method (\w+)",
                             json.loads(text)["parameters"]["description"],
                             re.M))
    expect(methods == set(NEEDED),
           f"who may call it is decided for each: {methods ^ set(NEEDED)}")
    for word in ("Deactivat", "Destroy", "Delete", "Unlock", "FirstKey",
                 "Suspend", "Resume", "Create", "Rotate"):
        for method in (x for x in methods if word in x):
            expect(NEEDED[method] == ADMIN, f"{method} is not for timers")
    for unit, role in ((app("alice"), NONE), (UNIT, NONE), (HELPER, NONE),
                       (app("watcher"), MONITOR),
                       (app("acme-guardian-ops"), OPS),
                       (app("boss"), ADMIN)):
        who = like(m, unit, unit)
        # No method takes this: who may call gets no further than that.
        calls = {call(x, {"never": 1}): x for x in sorted(methods)}
        for attempt, (outcome, text) in probe(m, who, *calls).items():
            method = calls[attempt]
            want = (NO_ROLE if role == NONE else
                    "InvalidParameter" if role >= NEEDED[method] else
                    "NotPermitted")
            print(f"        {unit}: {method}: {want}", flush=True)
            expect(want in (outcome if role == NONE else text),
                   f"{unit}: {method}: {outcome} {text}, expected {want}")


def test_control_with_the_role_the_timers_user_deactivates(m):
    ops = like(m, app("acme-guardian-ops"), "ops")
    end = call("AccountSignDeactivation", {"name": "main", "nonce": "n"})
    outcomes(m, ops, {end: ERROR})
    expect("NotPermitted" in said(m, ops, end), "for want of the role")
    place = Place(m)
    place.config("role", "[Roles]\nAdminUser=acme-guardian-ops\n")
    place.reload()
    try:
        control(m, ops, end)
    finally:
        m.run(["rm", "/etc/acme-guardian/guardian.conf.d/role.conf"])
        place.reload()
    outcomes(m, ops, {end: ERROR})


# By whom policy tells clients apart.

def in_unit(m, unit, *properties):
    out = m.run_unit(unit, [PROBE, LIST], *properties).stdout
    return out.split("\t")[1]


MATCHES = (
    ("a user", "any.service", ("User=alice",), "ok"),
    ("a group", "any.service", ("User=bob",), "ok"),
    ("a unit", "shop.service", ("User=carol",), "ok"),
    ("another unit", "any.service", ("User=carol",), ERROR),
    ("another user in the unit", "shop.service", ("User=dave",), ERROR),
    ("a dynamic user", "dyn.service", ("DynamicUser=yes",), "ok"),
    ("another dynamic user", "dynb.service", ("DynamicUser=yes",), ERROR),
)


def matches(m, label, wanted):
    for name, unit, properties, want in MATCHES:
        want = wanted.get(name, want)
        got = in_unit(m, unit, *properties)
        print(f"        {label}: {name}: {got}", flush=True)
        expect(got == want, f"{label}: {name}: {got}, expected {want}")


def test_users_and_units_match_in_the_sandbox(m):
    matches(m, "as shipped", {})
    with drop_in(m, UNIT, "Environment=ACME_GUARDIAN_TEST_NO_PEERPIDFD=1\n"):
        matches(m, "without SO_PEERPIDFD", {})


def test_control_private_users_would_hide_every_user(m):
    with drop_in(m, UNIT, "PrivateUsers=yes\n"):
        matches(m, "control: PrivateUsers=", dict.fromkeys(
            (x[0] for x in MATCHES), ERROR))


def test_control_invisible_processes_would_hide_every_unit(m):
    with drop_in(m, UNIT, "ProtectProc=invisible\n"):
        matches(m, "control: ProtectProc=", {"a unit": ERROR,
                                             "a dynamic user": ERROR})


FORGED = "MESSAGE=forged\\nMESSAGE_ID=676dedf03a624d0796d3f9f3f818627d" \
    "\\nGUARDIAN_VERDICT=allowed\\n_SYSTEMD_UNIT=acme-guardian.service"


def test_journal_entries_are_forged_only_under_the_forgers_name(m):
    """Anybody may write any field to the journal but those with a "_"."""
    for unit in (app("alice"), HELPER):
        control(m, like(m, unit, unit), f"journal={FORGED}")
    entries = m.journal("GUARDIAN_VERDICT=allowed", "MESSAGE=forged")
    expect({e["_UID"] for e in entries} ==
           {user_id(m, "alice"), user_id(m, TOKENS)},
           f"the journal says who: {entries}")
    # Whose process had ended when the journal looked has no unit.
    expect({e.get("_SYSTEMD_UNIT") for e in entries} <=
           {app("alice"), HELPER, None}, f"and where: {entries}")
    expect(not m.journal("-u", UNIT, "MESSAGE=forged"),
           "not among the daemon's own")
    expect(not m.journal("_SYSTEMD_UNIT=" + UNIT, "MESSAGE=forged"),
           "nor where its unit is asked for")


if __name__ == "__main__":
    run("separation-callers", globals())
