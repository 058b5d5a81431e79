#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The day of installation: guardianctl setup on a booted systemd with the
package installed, with options and at a terminal; twice, killed, after a reboot,
and when a credential is lost. Its answers and refusals, one by one, are in
tests/integration/setup_command.py.
"""

import json
import os
import pty
import re
import sys
import time

from machine import ENVIRONMENT, expect, scenario
from place import Place, order

PASSPHRASE = "correct horse battery"
DAEMON = "acme-guardian.service"
HSM = ("--token", "hsm", "--backend", "softhsm", "--recovery-passphrase-file",
       "/root/passphrase", "--client-user", "www-data", "--domain",
       "www.lab.example", "--account", "le", "--audit-key-out",
       "/root/audit.key")


def place(m):
    if not hasattr(m, "place"):
        m.place = Place(m)
    return m.place


def setup(m, *args, code=0):
    r = m.run(["guardianctl", "setup", *args], check=False, timeout=180)
    expect(r.returncode == code, f"setup {args}: exit {r.returncode}, not "
           f"{code}:\n{r.stdout}{r.stderr}")
    expect(PASSPHRASE not in r.stdout + r.stderr, "the passphrase is shown")
    return r.stdout


def made(text):
    return re.findall(r"^made +(.*)$", text, re.M)


def files(m):
    """All that setup writes, with times and content; of what modules keep for
    themselves, the names."""
    return m.run(
        "cd / && find etc/acme-guardian etc/credstore.encrypted "
        "etc/systemd/system root/audit.key -printf '%p %m %u %T@\\n' | sort; "
        "find etc/acme-guardian etc/credstore.encrypted root/audit.key -type f "
        "-exec sha256sum {} + | sort; "
        "find var/lib/acme-guardian-token -printf '%p %m %u\\n' | "
        "grep -v pin-failed | sort").stdout


def invocation(m, unit):
    return m.systemctl("show", "-P", "InvocationID", unit).stdout


def token_states(m):
    status = json.loads(m.run(["guardianctl", "--json", "status"],
                              check=False).stdout)
    expect(status["separation"] == "separated", status)
    return {t["name"]: t["state"] for t in status["tokens"]}


def test_softhsm_with_options(m):
    m.write("/root/passphrase", PASSPHRASE + "\n", mode=0o600)
    text = setup(m, *HSM)
    for words in ("made           /etc/acme-guardian/guardian.conf\n",
                  "acme-guardian-token@hsm.socket enabled and started",
                  "/root/audit.key: the audit log's first key",
                  "token hsm: made a key, signed, verified",
                  "policy: 1 rule sets, 1 names", "audit log: lines 1 to",
                  "status: ready, separated", "guardianctl account create"):
        expect(words in text, f"{words!r}: {text}")
    for unit in ("acme-guardian-token@hsm.socket", DAEMON,
                 "acme-guardian-client.socket", "acme-guardian-admin.socket"):
        for word in ("is-active", "is-enabled"):
            m.systemctl(word, "--quiet", unit)
    user = m.run("ps -o user:32= -C acme-guardian-token | sort -u").stdout
    expect(user == "acme-guardian-token\n", user)
    expect(token_states(m) == {"hsm": "ok"}, "the token")
    m.run(["guardianctl", "audit", "verify", "--key-file", "/root/audit.key"])


def test_the_second_time_changes_nothing(m):
    for args in (HSM, ("--token", "hsm")):
        before = files(m), invocation(m, DAEMON)
        text = setup(m, *args)
        expect(made(text) == [], text)
        expect((files(m), invocation(m, DAEMON)) == before,
               "files and the daemon are as they were")
    expect("with who took it" in text, f"the key is not shown again: {text}")


def test_an_account_and_a_signature(m):
    p = place(m)
    p.start_ca()
    p.account("le", "hsm")
    url = p.endpoints()["newOrder"]
    for name, code in (("www.lab.example", 0), ("other.lab.example", 1)):
        r = p.ctl("sign", "--url", url, "--nonce", "bm9uY2U",
                  "--payload-file", "-", user="www-data", check=False,
                  input=order(name))
        expect(r.returncode == code, f"{name}: {r.stdout}{r.stderr}")
    # Nothing is left to anybody now.
    text = setup(m, "--token", "hsm")
    expect("account create" not in text, text)
    m.run(["guardianctl", "status"])


def test_a_sealed_store_beside_it(m):
    before = invocation(m, DAEMON)
    text = setup(m, "--token", "soft", "--backend", "sealed",
                 "--recovery-passphrase-file", "/root/passphrase")
    expect("acme-guardian.service restarted" in text, text)
    expect(invocation(m, DAEMON) != before, "it reads tokens at its start")
    expect("token soft: made a key, signed, verified" in text, text)
    expect(token_states(m) == {"hsm": "ok", "soft": "ok"}, "both tokens")
    before = files(m), invocation(m, DAEMON)
    expect(made(setup(m, "--token", "soft")) == [], "twice")
    expect((files(m), invocation(m, DAEMON)) == before, "nothing has changed")


class Terminal:
    """guardianctl in the machine, on a terminal, and a person at it."""

    def __init__(self, m, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp("nsenter", ["nsenter", "-t", str(m.leader), "-a",
                                  "--root", "--wd", "env", "-i", *ENVIRONMENT,
                                  "guardianctl", *args])
        self.seen, self.at = "", 0

    def read(self):
        try:
            more = os.read(self.fd, 4096).decode(errors="replace")
        except OSError:
            more = ""
        self.seen += more
        return bool(more)

    def answer(self, question, text):
        end = time.monotonic() + 120
        while question not in self.seen[self.at:]:
            expect(time.monotonic() < end and self.read(),
                   f"{question!r} does not come:\n{self.seen}")
        self.at = self.seen.index(question, self.at) + len(question)
        os.write(self.fd, text.encode() + b"\n")

    def end(self):
        while self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_at_a_terminal(m):
    t = Terminal(m, "setup")
    t.answer("Name of the token [main]: ", "Desk Top")
    t.answer("Name of the token [main]: ", "desk")
    t.answer("Backend [", "sealed")
    # There is a policy, so none is asked for.
    t.answer("Go on [yes]: ", "")
    t.answer("12 characters or more): ", PASSPHRASE)
    t.answer("again: ", PASSPHRASE + "!")
    t.answer("12 characters or more): ", PASSPHRASE)
    t.answer("again: ", PASSPHRASE)
    code = t.end()
    expect(code == 0, f"exit {code}:\n{t.seen}")
    expect(PASSPHRASE not in t.seen, "nothing that was typed is shown")
    expect("token desk: made a key, signed, verified" in t.seen, t.seen)
    expect(token_states(m)["desk"] == "ok", "the token")


def test_killed_and_run_again(m):
    """Between the steps that only a booted systemd has: the first is the one
    before the token is made, the others are calls of systemctl."""
    for n in (2, 3, 4, 6, 8, 10):
        name = f"k{n}"
        args = ("--token", name, "--backend", "softhsm",
                "--recovery-passphrase-file", "/root/passphrase")
        r = m.run(["strace", "-o", "/dev/null", "-e", "trace=clone", "-e",
                   f"inject=clone:signal=KILL:when={n}", "guardianctl",
                   "setup", *args], check=False, timeout=180)
        expect(r.returncode in (-9, 137), f"killed at {n}: {r}")
        text = setup(m, *args)
        expect(f"token {name}: made a key, signed, verified" in text, text)
        expect(made(setup(m, "--token", name)) == [], "and then no more")
    left = m.run("find /etc/acme-guardian /etc/credstore.encrypted "
                 "/var/lib/acme-guardian-token -name '.*' -o -name '*.begun'")
    expect(left.stdout == "", left.stdout)


def test_after_a_reboot(m):
    names = set(token_states(m))
    m.restart()
    m.wait_for("all tokens", lambda: set(token_states(m).values()) == {"ok"},
               90)
    expect(set(token_states(m)) == names, "none is missing")
    expect(made(setup(m, "--token", "hsm")) == [], "nothing is missing")


def test_a_lost_credential(m):
    """Another host key: what was encrypted is lost, the keys are not."""
    m.systemctl("stop", DAEMON)
    m.run("rm /var/lib/systemd/credential.secret")
    m.run("for f in /etc/credstore.encrypted/acme-guardian-*; do rm $f; done")
    key = None
    for name in ("hsm", "soft"):
        setup(m, "--token", name, "--recover", "--recovery-passphrase-file",
              "/root/passphrase",
              # The other tokens have no credential yet, and status says so.
              code=1)
        expect(token_states(m)[name] == "ok", f"{name} signs again")
        if name == "hsm":
            check = json.loads(m.run(["guardianctl", "--json", "token",
                                      "check", name]).stdout)
            key = [k for k in check["keys"] if k["account"] == "le"]
    expect(key, "the account's key is as it was")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("setup", [
        test_softhsm_with_options,
        test_the_second_time_changes_nothing,
        test_an_account_and_a_signature,
        test_a_sealed_store_beside_it,
        test_at_a_terminal,
        test_killed_and_run_again,
        test_after_a_reboot,
        test_a_lost_credential,
    ])
