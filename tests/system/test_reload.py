#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reload with good and with bad files, and what the journal says of all."""

import json
import re
import sys

from machine import ROOT, expect, scenario
from place import SERVICE, Place, order

POLICY = "/etc/acme-guardian/policy.d/web.policy"
GOOD = "[Client]\nUser=web\n[Allow]\nAccount=lab\nDomain=www.example\n"


def set_up(m):
    """The token, the account, a user"""
    m.place = place = Place(m)
    place.token()
    m.account = place.account()
    m.run("useradd --system --user-group web")


def sign(m, name):
    """guardianctl's answer to an order of @name by web.service"""
    return m.run_unit(
        "web.service", ["guardianctl", "sign", "--account", "lab", "--url",
                        m.place.endpoints()["newOrder"], "--nonce", "bm9uY2U",
                        "--payload-file", "-"], "User=web", check=False,
        input=order(name))


def expect_in_force(m, name, other):
    expect(sign(m, name).returncode == 0, f"{name} is allowed")
    r = sign(m, other)
    expect(r.returncode == 1 and "denied" in r.stderr, f"{other} is not: {r}")


def reload_fails(m, *said, repair=None):
    """As an administrator sees it; the policy before stays in force.

    @repair comes before a client is tried that reads the same configuration.
    """
    r = m.systemctl("reload", SERVICE, check=False)
    expect(r.returncode != 0, "systemctl reload fails")
    status = m.systemctl("status", "--no-pager", "--full", SERVICE,
                         check=False).stdout
    journal = " ".join(e["MESSAGE"] for e in m.journal(
        "-u", SERVICE, "-n", "6"))
    for text in said:
        expect(text in journal, f"{text} in the journal: {journal}")
        expect(text in status, f"{text} in systemctl status: {status}")
    expect("active (running)" in status, status)
    if repair:
        m.run(repair)
    expect_in_force(m, "www.example", "api.example")


def test_a_good_policy_is_in_force_when_reload_returns(m):
    expect(sign(m, "www.example").returncode == 1, "nothing is allowed yet")
    m.place.policy("web", GOOD)
    expect(sign(m, "www.example").returncode == 1, "not before the reload")
    m.place.reload()
    expect_in_force(m, "www.example", "api.example")
    m.place.policy("web", GOOD.replace("www.", "api."))
    m.place.reload()
    expect_in_force(m, "api.example", "www.example")
    m.place.policy("web", GOOD)
    m.place.reload()
    expect_in_force(m, "www.example", "api.example")


def test_a_bad_line_is_told_by_file_and_number(m):
    m.place.policy("web", GOOD.replace("www.", "api.") + "Domian=a.example\n")
    reload_fails(m, f"{POLICY}:6", "Domian")


def test_a_second_bad_file_takes_nothing_of_the_first(m):
    m.place.policy("web", GOOD.replace("www.", "api."))
    m.place.policy("zz", "[Client]\nUser=web\n[Allow]\nAccount=lab\n"
                   "Subdomains=com\n")
    reload_fails(m, "/etc/acme-guardian/policy.d/zz.policy:5")
    m.run(["rm", "/etc/acme-guardian/policy.d/zz.policy"])


def test_a_group_writable_policy_is_refused_by_name(m):
    m.place.policy("web", GOOD.replace("www.", "api."))
    for mode in ("0664", "0646"):
        m.run(["chmod", mode, POLICY])
        reload_fails(m, POLICY)
    m.run(["chmod", "0644", POLICY])
    m.run(["chown", "web", POLICY])
    reload_fails(m, POLICY)
    m.run(["chown", "root", POLICY])


def test_a_folder_that_others_may_write_is_refused_by_name(m):
    for folder in ("/etc/acme-guardian/policy.d", "/etc/acme-guardian"):
        m.run(["chmod", "0775", folder])
        reload_fails(m, folder, repair=["chmod", "0755", folder])


def test_a_bad_configuration_is_told_by_file_and_number(m):
    file = "/etc/acme-guardian/guardian.conf.d/typo.conf"
    m.place.config("typo", "[Deny]\nDomains=a.example\n")
    reload_fails(m, f"{file}:2", repair=["rm", file])


def test_repaired_it_is_in_force(m):
    m.place.policy("web", GOOD.replace("www.", "api."))
    m.place.reload()
    expect_in_force(m, "api.example", "www.example")
    m.place.policy("web", GOOD)
    m.place.reload()


def test_a_start_with_a_bad_policy_allows_nothing_and_says_so(m):
    m.place.policy("web", GOOD + "Domian=a.example\n")
    m.systemctl("restart", SERVICE)
    expect(sign(m, "www.example").returncode == 1, "nothing is allowed")
    status = m.systemctl("status", "--no-pager", "--full", SERVICE).stdout
    expect(f"{POLICY}:6" in status, status)
    m.place.policy("web", GOOD)
    m.place.reload()
    expect_in_force(m, "www.example", "api.example")


def events(m, *match):
    return m.journal("-u", SERVICE, *match)


def test_each_field_finds_its_entries(m):
    place = m.place
    uid = m.run(["id", "-u", "web"]).stdout.strip()
    m.systemctl("restart", SERVICE)
    place.wait_token()
    sign(m, "www.example")
    sign(m, "evil.example")
    place.ctl("suspend", "all")
    sign(m, "www.example")
    place.ctl("resume", "all")
    for match, field, wanted in (
            (["GUARDIAN_VERDICT=allowed", "GUARDIAN_OPERATION=order"],
             "GUARDIAN_ACCOUNT", "lab"),
            (["GUARDIAN_VERDICT=denied"], "GUARDIAN_REASON",
             "identifier-not-allowed"),
            (["GUARDIAN_VERDICT=refused"], "GUARDIAN_REASON", "suspended"),
            (["GUARDIAN_REASON=identifier-not-allowed"], "GUARDIAN_DETAIL",
             "evil.example"),
            ([f"GUARDIAN_RULE={POLICY}:1"], "GUARDIAN_ACCOUNT", "lab"),
            ([f"GUARDIAN_PEER_UID={uid}"], "GUARDIAN_OPERATION", "order"),
            (["GUARDIAN_ACCOUNT=lab", "GUARDIAN_VERDICT=allowed",
              f"GUARDIAN_PEER_UID={uid}"], "GUARDIAN_KEY",
             m.account["thumbprint"]),
            (["GUARDIAN_OPERATION=AccountCreate"], "GUARDIAN_PEER_UID", "0"),
            (["GUARDIAN_TOKEN=hsm"], "GUARDIAN_VERDICT", "ok"),
            ([f"GUARDIAN_KEY={m.account['thumbprint']}"], "GUARDIAN_PEER_UID",
             uid)):
        found = events(m, *match)
        expect(found and wanted in [e.get(field) for e in found],
               f"{match} finds {field}={wanted}: {found[-1:]}")
    last = events(m, "GUARDIAN_VERDICT=denied")[-1]
    expect(last["PRIORITY"] == "5" and last["_SYSTEMD_UNIT"] == SERVICE and
           int(last["GUARDIAN_PEER_PID"]) > 1, f"{last}")
    granted = events(m, "GUARDIAN_VERDICT=allowed", "GUARDIAN_OPERATION=order")
    expect(granted[-1]["PRIORITY"] == "6", f"{granted[-1]}")
    loaded = events(m, "MESSAGE_ID=5261ea0ed67b455bac220071eeb14adb")
    expect(loaded[-1]["GUARDIAN_DETAIL"].startswith("sha256:"), f"{loaded}")


def test_a_name_cannot_forge_a_field(m):
    sign(m, "evil.example\nGUARDIAN_VERDICT=allowed\nPRIORITY=0")
    last = events(m, "-n", "1", f"GUARDIAN_PEER_UID={uid_of(m, 'web')}")[0]
    expect(last["GUARDIAN_VERDICT"] in ("malformed", "denied"), f"{last}")
    expect(last["PRIORITY"] == "5", f"{last}")


def uid_of(m, name):
    return m.run(["id", "-u", name]).stdout.strip()


def test_the_newest_audit_line_each_minute(m):
    head = "MESSAGE_ID=676dedf03a624d0796d3f9f3f818627d"
    last = m.wait_for("the head of the log", lambda: events(m, head), 90)[-1]
    key = m.place.ctl("audit", "take-key").stdout
    m.write("/root/first-key", re.search(r"[0-9a-f]{64}", key).group() + "\n",
            mode=0o600)
    line, mac = last["GUARDIAN_AUDIT_LINE"], last["GUARDIAN_AUDIT_MAC"]
    m.place.ctl("audit", "verify", "--key-file", "/root/first-key", "--head",
                f"{line}:{mac}")
    r = m.place.ctl("audit", "verify", "--key-file", "/root/first-key",
                    "--head", f"{int(line) + 10000}:{mac}", check=False)
    expect(r.returncode == 1, f"a head that is not in the log: {r}")


def test_the_catalog_explains_every_message(m):
    ids = dict(re.findall(r'#define (MSG_\w+) "([0-9a-f]{32})"', (
        ROOT / "daemon/message-ids.h").read_text(encoding="ascii")))
    expect(len(ids) > 5, f"{ids}")
    for name, message_id in ids.items():
        text = m.run(["journalctl", "--list-catalog", message_id]).stdout
        expect(text.strip(), f"{name} has an entry in the catalog")
    seen = {e["MESSAGE_ID"] for e in events(m) if "MESSAGE_ID" in e}
    for name in ("GRANTED", "DENIED", "ADMIN", "SUSPENDED", "RELOADED",
                 "RELOAD_FAILED", "TOKEN_STATE", "AUDIT_HEAD"):
        expect(ids[f"MSG_{name}"] in seen, f"MSG_{name} was written")
    text = m.run(["journalctl", "-x", "--no-pager", "-n", "1",
                  f"MESSAGE_ID={ids['MSG_DENIED']}"]).stdout
    expect("Subject: An ACME request was refused" in text and
           "policy explain" in text, text)
    text = m.run(["journalctl", "-x", "--no-pager", "-n", "1",
                  f"MESSAGE_ID={ids['MSG_GRANTED']}"]).stdout
    expect(f"Rule: {POLICY}:1." in text, f"with the rule filled in: {text}")


def test_each_documented_field_is_written(m):
    page = (ROOT / "man/acme-guardiand.8.rst").read_text(encoding="utf-8")
    section = page.split("\nJOURNAL\n")[1].split("\nENVIRONMENT\n")[0]
    documented = set(re.findall(r"``(GUARDIAN_[A-Z_]+)``", section))
    written = {f for e in events(m) for f in e if f.startswith("GUARDIAN_")}
    expect(documented == written,
           f"documented only: {documented - written}, "
           f"written only: {written - documented}")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("reload", [
        set_up,
        test_a_good_policy_is_in_force_when_reload_returns,
        test_a_bad_line_is_told_by_file_and_number,
        test_a_second_bad_file_takes_nothing_of_the_first,
        test_a_group_writable_policy_is_refused_by_name,
        test_a_folder_that_others_may_write_is_refused_by_name,
        test_a_bad_configuration_is_told_by_file_and_number,
        test_repaired_it_is_in_force,
        test_a_start_with_a_bad_policy_allows_nothing_and_says_so,
        test_each_field_finds_its_entries,
        test_a_name_cannot_forge_a_field,
        test_the_newest_audit_line_each_minute,
        test_the_catalog_explains_every_message,
        test_each_documented_field_is_written,
    ])
