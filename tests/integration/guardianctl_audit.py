#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl and the audit log, from its first key to a daemon that was stopped. Each
case goes on where the one before it ended."""

import json
import os
import re
import stat
import sys
import time

from guardianctl_lab import RegisteredWorld, run
from lab import CLIENT_UID, GUARDIANCTL, OTHER_UID, expect, wait_for


def test_audit_log(w):
    key = w.lab.dir / "audit.key"
    w.ctl("audit", "take-key", "--out", key)
    expect(stat.S_IMODE(key.stat().st_mode) == 0o600, "mode 0600")
    expect(re.fullmatch(r"[0-9a-f]{64}\n", key.read_text()), "the key alone")
    w.ctl("audit", "take-key", code=1, says="taken before")
    w.ctl("audit", "take-key", "--out", key, code=78, says="audit.key: ")
    out = w.ctl("audit", "verify", "--key-file", key)
    expect(re.search(r"lines 1 to \d+ fit", out) and
           "the daemon names" in out, out)
    closed = w.json("audit", "rotate")["file"]
    expect(closed.startswith("audit.jsonl.") or "/audit.jsonl." in closed,
           closed)
    later = w.lab.dir / "later.key"
    out = w.ctl("audit", "verify", "--key-file", key, "--save-key", later)
    expect("lines 1 to" in out and f"written: {later}, the key of line" in out,
           out)
    line = int(later.read_text().split(":")[0])
    w.ctl("audit", "verify", "--key-file", key, "--save-key", later, code=78,
          says="later.key: ")
    result = w.json("audit", "verify", "--key-file", key)
    expect(result["ok"] and result["tailChecked"], result)
    away = w.lab.dir / "away"
    file = w.lab.dir / "log" / os.path.basename(closed)
    file.rename(away)
    w.ctl("audit", "verify", "--key-file", key, code=1, says="--save-key")
    result = w.json("audit", "verify", "--key-file", later)
    expect(result["ok"] and result["tailChecked"] and
           result["firstLine"] == line > 1, result)
    away.rename(file)
    w.ctl("audit", "verify", "--key-file", key, "--head", f"1:{'0' * 64}",
          code=1)
    w.ctl("audit", "verify", "--key-file", key, "--head", "1", code=64)
    w.ctl("audit", "verify", "--key-file", w.lab.file("short", "ab\n"),
          code=2, says="short:1: ")
    w.ctl("audit", "verify", "--key-file", w.lab.file("other", "0" * 64),
          code=1, says="audit.jsonl")
    w.ctl("audit", "verify", "--key-file", w.lab.dir / "none", code=78)


def test_audit_tail(w):
    for _ in range(3):
        w.ctl("sign", "--url", w.account["url"], "--nonce", "x",
              uid=CLIENT_UID)
    lines = w.ctl("audit", "tail", "-n", "2").splitlines()
    expect(len(lines) == 2 and "operation=fetch" in lines[-1], lines)
    raw = [json.loads(l)
           for l in w.ctl("--json", "audit", "tail", "-n", "2").splitlines()]
    expect(raw[1]["n"] == raw[0]["n"] + 1, raw)
    p = w.lab.start("tail", [GUARDIANCTL, "--config", w.etc, "audit", "tail",
                             "--follow", "--lines", "1", "--json"])
    wait_for("the last line", lambda: w.lab.log("tail").count("\n") >= 1)
    time.sleep(0.3)
    for _ in range(3):
        w.ctl("sign", "--url", w.account["url"], "--nonce", "x",
              uid=CLIENT_UID)
    wait_for("three more", lambda: sum(
        '"operation":"fetch"' in l
        for l in w.lab.log("tail").splitlines()[1:]) >= 3)
    numbers = [json.loads(l)["n"] for l in w.lab.log("tail").splitlines()]
    expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))),
           f"no line twice, none missing: {numbers}")
    w.lab.stop(p)


def test_who_may_not_read_the_log_can_follow_it(w):
    w.ctl("audit", "tail", uid=OTHER_UID, code=77, says="audit.jsonl")
    p = w.lab.start("follow", [GUARDIANCTL, "--config", w.etc, "audit",
                               "tail", "-f"], OTHER_UID)
    wait_for("its call in the log", lambda: any(
        "Watch" in line and f"uid={OTHER_UID}" in line
        for line in w.ctl("audit", "tail").splitlines()))
    w.ctl("sign", "--url", w.account["url"], "--nonce", "x", uid=CLIENT_UID)
    wait_for("the line", lambda: "operation=fetch" in w.lab.log("follow"))
    w.lab.stop(w.daemon)
    expect(p.wait(10) == 75, "the end of the daemon is told as such")
    w.start()
    w.token_ready()


def test_status(w):
    status = w.json("status", code=w.json_code("status"))
    expect(status["ready"] and status["policyRuleSets"] == 1, status)
    expect(w.json_code("status") == (1 if status["warnings"] else 0), status)
    out = w.ctl("status", code=w.json_code("status"))
    expect(re.search(r"^ready +yes$", out, re.M), out)


def test_a_stopped_daemon_leaves_a_log_that_verifies(w):
    expect(w.lab.stop(w.daemon) == 0, "a clean stop")
    out = w.ctl("audit", "verify", "--key-file", w.lab.dir / "audit.key")
    expect("audit.chain names" in out, out)
    out = w.ctl("audit", "verify", "--key-file", w.lab.dir / "audit.key",
                "--dir", w.lab.dir / "log", config=False)
    expect("could not be checked" in out, out)


if __name__ == "__main__":
    sys.exit(run(globals(), RegisteredWorld))
