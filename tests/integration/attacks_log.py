#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What would keep a signature out of the audit log, or put a line into it."""

import contextlib
import hashlib
import json
import os
import sys
import threading

from attacks_lab import SIGN, audit_key, audit_verifies, request, still_serves
import daemon_lab as D
import lab as L


@D.with_guardian()
def test_no_text_of_a_caller_makes_a_line_of_the_log(g):
    key = audit_key(g)
    nasty = ['a\n{"n":1,"verdict":"allowed"}', 'a","verdict":"allowed',
             "\u2028\u2029\u0085", "\x7f\x1b[2J", "\\", '"', "%s%n%d",
             "a\r\nb", "\U0001f600" * 200, "x" * 9000]
    for n in nasty:
        g.sign_input(D.CLIENT, request(g, {}, {"identifiers": [
            {"type": "dns", "value": n}]}))
        g.sign_input(D.CLIENT, request(g, {"url": D.CA + "/" + n}, "{}"))
        g.sign_input(D.CLIENT, request(g, {"kid": n, "nonce": n}, "{}"))
        g.sign_input(D.CLIENT, request(g, {}, {n: n}))
        g.ask_admin("AccountShow", {"name": n})
        g.ask_admin("TokenCheck", {"name": n})
        g.ask_admin("Suspend", {"scope": "client", "name": n})
    g.ask(D.CLIENT, "SignInput", {"protected": "\xff", "payload": "\xff"})
    lines = g.audit_lines()
    L.expect([x["n"] for x in lines] == list(range(1, len(lines) + 1)),
             "the lines count on")
    L.expect(not any(x.get("type") == "decision" and
                     x["verdict"] == "allowed" for x in lines),
             "nothing was allowed")
    L.expect(len([x for x in lines if x.get("reason")]) > 5, "and refused")
    audit_verifies(g, key)


def test_a_full_disk_signs_nothing_and_loses_nothing():
    with L.Lab("attacks") as lab:
        g = D.Guardian(lab)
        log = lab.folder("log")
        lab.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=755", "lab",
                 log])
        try:
            g.start()
            g.make_account()
            key = audit_key(g)
            still_serves(g)
            filler = os.open(log / "filler", os.O_WRONLY | os.O_CREAT)
            with contextlib.suppress(OSError):
                while True:
                    os.write(filler, b"x" * 4096)
            os.close(filler)
            signed, error = 0, None
            with D.AsUser(D.CLIENT, g.client) as v:
                fetch = request(g, {"url": D.CA + "/order/1"}, "")
                while signed < 3000 and not error:
                    error, _ = v.call(SIGN, {"account": "test", **fetch})
                    signed += not error
            L.expect(error == D.SIGNER + "AuditUnavailable",
                     f"nothing is signed: {error} after {signed}")
            lines = g.audit_lines()
            allowed = [x for x in lines if x.get("operation") == "fetch"]
            L.expect(len(allowed) == signed,
                     f"{len(allowed)} lines for {signed} signatures")
            os.unlink(log / "filler")
            L.wait_for("signing again", lambda: not g.sign_input(
                D.CLIENT, fetch)[0])
            L.expect(g.stop() == 0, "a clean stop")
            audit_verifies(g, key)
        finally:
            if g.process and g.process.poll() is None:
                g.process.kill()
                g.process.wait()
            lab.run(["umount", "-l", log])


@D.with_guardian()
def test_kill_9_leaves_a_line_for_each_signature(g):
    key = audit_key(g)
    conf = g.conf.replace("[Guardian]", "[Guardian]\nAuditMaxSize=64K\n"
                          "AuditKeep=100")
    g.configure(conf)
    g.restart()
    hashes = []
    for _ in range(5):
        stop = threading.Event()

        def work():
            try:
                with D.AsUser(D.CLIENT, g.client) as v:
                    i = 0
                    while not stop.is_set():
                        r = request(g, {"url": D.CA + "/order/1",
                                        "nonce": f"n{i}"}, "")
                        i += 1
                        if not v.call(SIGN, {"account": "test", **r})[0]:
                            hashes.append(hashlib.sha256(
                                f"{r['protected']}.{r['payload']}".encode()
                            ).hexdigest())
            except OSError:
                pass

        before = len(hashes)
        t = threading.Thread(target=work)
        t.start()
        L.wait_for("signatures", lambda: len(hashes) > before + 200)
        g.process.kill()
        g.process.wait()
        g.lab.processes.remove(g.process)
        stop.set()
        t.join()
        g.start()
    L.expect(g.must("Status")["auditState"] == "ok", "the log goes on")
    L.expect(g.stop() == 0, "a clean stop")
    files = list((g.lab.dir / "log").glob("audit.jsonl*"))
    L.expect(len(files) > 2, f"rotated: {len(files)}")
    seen = set()
    for f in files:
        for line in f.read_bytes().split(b"\n"):
            if line:
                seen.add(json.loads(line).get("input_sha256"))
    missing = [h for h in hashes if h not in seen]
    L.expect(not missing, f"{len(missing)} of {len(hashes)} without a line")
    audit_verifies(g, key)
    # What is not the log's does not matter; what is missing does.
    (g.lab.dir / "log/audit.jsonl.zzz").write_text("")
    audit_verifies(g, key)
    g.start()


if __name__ == "__main__":
    sys.exit(D.run(globals()))
