#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Updates and the keys that sign them: what a server refuses, what it leaves without
a word, and who gets to see a key."""

import base64
import json
import os
import pathlib
import sys
import threading

from bind_lab import Bind, FakeDns, reply
from dns_lab import (DRIVE, OURS, OWN, QUICK, Place, grant, owner, quoted, run,
                     states)
from lab import children, expect, free_port

CLOCK = os.environ.get("CLOCK_SHIFT_LIB", "")


def tsig_place(lab, name, key="k1", secret=None, algorithm="hmac-sha256",
               **keys):
    bind = Bind(lab, name)
    bind.key("k1")
    bind.key("k512", "hmac-sha512")
    bind.zone("example.test", policy=[grant("k1", "example.test"),
                                      grant("k512", "example.test")])
    bind.start()
    p = Place(lab, name)
    p.rfc2136("example.test", bind, key, secret,
              **{"TsigAlgorithm": algorithm, **keys})
    return bind, p


def refused_with(bind, p, *words, env=None):
    plan = p.publish({"example.test": [OURS], "www.example.test": [OURS]},
                     env=env)
    expect([c["state"] for c in plan["changes"]] == ["failed"] * 2, plan)
    for c in plan["changes"]:
        for word in words:
            expect(word in c["text"], f"{word}: {c['text']}")
    expect(bind.dig(owner("example.test")) == [], "nothing was changed")


def test_a_tsig_key_with_another_secret(lab):
    bind, p = tsig_place(lab, "badsig", secret="c29tZXRoaW5nIGVsc2U=")
    refused_with(bind, p, "BADSIG", "k1")


def test_a_tsig_key_that_the_server_does_not_have(lab):
    bind, p = tsig_place(lab, "badkey", "k3", "c29tZXRoaW5nIGVsc2U=")
    refused_with(bind, p, "BADKEY", "k3")
    bind.stop()
    bind, p = tsig_place(lab, "badalg", "k1", algorithm="hmac-sha512")
    refused_with(bind, p, "BADKEY", "k1", "hmac-sha512")


def test_a_tsig_from_another_time(lab):
    bind, p = tsig_place(lab, "badtime")
    refused_with(bind, p, "BADTIME", "clock", env={
        "LD_PRELOAD": CLOCK, "CLOCK_SHIFT": "-4000",
        "ASAN_OPTIONS": "verify_asan_link_order=0"})


def test_hmac_sha512(lab):
    bind, p = tsig_place(lab, "sha512", "k512", algorithm="hmac-sha512")
    plan = p.publish({"example.test": [OURS]})
    expect(states(plan) == [("example.test", False, "done")], plan)
    expect(bind.dig(owner("example.test")) == quoted(OURS), "published")


def test_other_algorithms_at_load(lab):
    p = Place(lab, "algorithms")
    key = lab.file("key-algorithms", "c2VjcmV0\n", 0, 0o600)
    for name in ("hmac-md5", "hmac-sha1", "hmac-sha384", "gss-tsig"):
        p.zone("example.test", Publisher="rfc2136", Server="192.0.2.1",
               TsigName="k1", TsigKey=f"file:{key}", TsigAlgorithm=name)
        r = p.drive("zones", ok=(78,))
        expect(f"TsigAlgorithm={name} is not supported" in r.stderr, r.stderr)


def test_a_key_that_cannot_be_read(lab):
    bind, p = tsig_place(lab, "nokey")
    (lab.dir / "key-nokey-example.test").unlink()
    refused_with(bind, p, "cannot be read", "key-nokey-example.test")


def test_a_zone_that_the_server_does_not_have(lab):
    bind, p = tsig_place(lab, "notauth")
    p.rfc2136("other.test", bind, "k1")
    plan = p.publish({"example.test": [OURS], "other.test": [OURS]})
    expect(states(plan) == [("example.test", False, "done"),
                            ("other.test", False, "failed")], plan)
    expect("NOTAUTH" in plan["changes"][1]["text"] and
           "other.test" in plan["changes"][1]["text"], plan)


def test_an_update_without_a_word_back(lab):
    """Taken and not answered is unknown; not taken is a failure."""
    key = lab.file("key-mute", "c2VjcmV0\n", 0, 0o600)
    p = Place(lab, "mute")
    answers = {
        "silent": (lambda q, tcp: None if tcp else reply(q, 0x8403)),
        "unsigned": (lambda q, tcp: reply(q, 0xa800 if tcp else 0x8403)),
        "refused": (lambda q, tcp: reply(q, 0xa805 if tcp else 0x8403)),
        "notauth": (lambda q, tcp: reply(q, 0xa809 if tcp else 0x8403)),
    }
    for name, handler in answers.items():
        fake = FakeDns(handler)
        p.zone("example.test", Publisher="rfc2136", Server=fake.address,
               TsigName="k1", TsigKey=f"file:{key}")
        plan = p.publish({"example.test": [OURS]})
        expect(states(plan) == [("example.test", False, "unknown")],
               f"{name}: {plan}")
        fake.close()
    p.zone("example.test", Publisher="rfc2136",
           Server=f"127.0.0.1:{free_port()}", TsigName="k1",
           TsigKey=f"file:{key}")
    plan = p.publish({"example.test": [OURS]})
    expect(states(plan) == [("example.test", False, "failed")], plan)
    expect("unknown" in plan["notes"][0]["text"], plan)


def memory_of(pid):
    """All that a process has in memory and that can be read."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        maps = [line.split() for line in f]
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for fields in maps:
            begin, end = (int(x, 16) for x in fields[0].split("-"))
            if "r" not in fields[1] or end - begin > 64 << 20:
                continue
            try:
                mem.seek(begin)
                found.append(mem.read(end - begin))
            except OSError:
                pass
    return b"".join(found)


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f
                    if ":\t" in line)


def test_the_processes_that_speak_dns(lab):
    """They are nobody, behind a filter; and of two, one has the key."""
    bind, held = Bind(lab, "held-bind"), threading.Event()
    asked = threading.Event()

    def handler(query, tcp):
        if not tcp:
            return reply(query, 0x8403)
        asked.set()
        held.wait(20)
        return None
    fake = FakeDns(handler)
    secret = bind.key("k1")
    p = Place(lab, "held")
    p.rfc2136("example.test", bind, "k1", Server=fake.address)
    done = []
    thread = threading.Thread(target=lambda: done.append(p.publish(
        {"example.test": [OURS]}, env={"DNS_TCP_MS": "20000"})))
    thread.start()
    expect(asked.wait(10), "an update is under way")
    parent = pathlib.Path(f"/proc/{os.getpid()}/task/{thread.native_id}"
                          "/children").read_text()
    speaking = children(int(parent))
    expect(len(speaking) == 2, speaking)
    raw, text = base64.b64decode(secret), secret.encode()
    having = []
    for pid in speaking:
        status = status_of(pid)
        expect(status["Uid"].split() == ["65534"] * 4 and
               status["Groups"].strip() == "" and status["Seccomp"] == "2" and
               status["NoNewPrivs"] == "1", status)
        fds = {os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0]
               for n in os.listdir(f"/proc/{pid}/fd")}
        expect(fds <= {"/dev/null", "socket"}, fds)
        memory = memory_of(pid)
        expect(len(memory) > 100000, "its memory was read")
        having.append(raw in memory or text in memory)
    held.set()
    thread.join()
    fake.close()
    expect(having == [False, True], f"the one for updates alone: {having}")
    expect(done and done[0]["changes"][0]["state"] == "unknown", done)


def test_a_credential_of_systemd(lab):
    """As a unit gets it, from the store of plain ones, and decrypted."""
    bind, p = tsig_place(lab, "creds")
    _, secret = bind.keys["k1"]
    p.zone("example.test", Publisher="rfc2136", Server=bind.address,
           TsigName="k1", TsigKey="credential:lab.tsig", Servers=bind.address)
    wants = json.dumps([{"domain": "example.test", "values": [OURS]}])
    passed = lab.folder("passed")
    lab.file("passed/lab.tsig", secret, mode=0o400)
    host = {"SYSTEMD_CREDENTIAL_SECRET": str(lab.dir / "credential.secret")}
    made = lab.run(["systemd-creds", "--name=lab.tsig", "--with-key=host",
                    "encrypt", "-", "-"], stdin=secret, env=host)
    stores = {"credstore": secret + "\n", "credstore.encrypted": made.stdout}
    runs = [p.drive("plan", OWN, stdin=wants)]
    r = p.drive("publish", OWN, stdin=wants,
                env={"CREDENTIALS_DIRECTORY": str(passed)})
    expect(states(json.loads(r.stdout)) ==
           [("example.test", False, "done")], r.stdout)
    for name, content in stores.items():
        p.publish({"example.test": []}, env={
            "CREDENTIALS_DIRECTORY": str(passed)})
        lab.file(f"etc-{name}/{name}/lab.tsig", content, mode=0o600)
        r = lab.run(["unshare", "--mount", "sh", "-c",
                     "mount -t tmpfs none /mnt && mkdir /mnt/etc /mnt/work && "
                     "mount -t overlay -o lowerdir=/etc,upperdir=/mnt/etc,"
                     "workdir=/mnt/work overlay /etc && "
                     'cp -r "$1"/* /etc/ && shift && exec "$@"', "sh",
                     lab.dir / f"etc-{name}", DRIVE, p.dir, "publish", OWN],
                    stdin=wants, env={**QUICK, **host})
        plan = json.loads(r.stdout)
        expect(states(plan) == [("example.test", False, "done")],
               f"{name}: {plan} {r.stderr}")
        runs.append(r)
    for r in runs:
        expect(secret not in r.stdout + r.stderr, "and is never shown")


if __name__ == "__main__":
    sys.exit(run(globals()))
