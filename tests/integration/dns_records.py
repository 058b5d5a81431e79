#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Publishing and looking up records at real BINDs, in both documented set-ups,
and at servers gone bad. Driven through tests/tools/dns-drive."""

import base64
import json
import os
import pathlib
import socket
import sys
import threading
import time

from bind_lab import Bind, FakeDns, own_network, record, reply
from lab import BUILD, ROOT, Lab, children, expect, free_port, run_cases

DRIVE = BUILD / "tests/tools/dns-drive"
CLOCK = os.environ.get("CLOCK_SHIFT_LIB", "")
LABEL = "_validation-persist"
OURS = "ca.test; accounturi=https://ca.test/ours/1"
OLD = "ca.test; accounturi=https://ca.test/ours/0"
FOREIGN = "ca.test; accounturi=https://ca.test/theirs/1"
OWN = "/ours/"
# Silence is told soon.
QUICK = {"DNS_TRY_MS": "150", "DNS_TRIES": "2", "DNS_TCP_MS": "1500"}


class Place:
    """A directory of zone files, and dns-drive with it."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.dir = lab.folder(f"zones-{name}")

    def zone(self, name, **keys):
        text = "[Zone]\n" + "".join(f"{k}={v}\n" for k, v in keys.items())
        self.lab.file(f"zones-{self.name}/{name}.zone", text)

    def rfc2136(self, name, bind, key, secret=None, **keys):
        algorithm, own = bind.keys.get(key, ("hmac-sha256", None))
        file = self.lab.file(f"key-{self.name}-{name}", (secret or own) + "\n",
                             0, 0o600)
        self.zone(name, **{
            "Publisher": "rfc2136", "Server": bind.address, "TsigName": key,
            "TsigAlgorithm": algorithm, "TsigKey": f"file:{file}",
            "Servers": bind.address, **keys})

    def drive(self, *args, stdin=None, env=None, ok=(0,)):
        return self.lab.run([DRIVE, self.dir, *args], stdin=stdin, ok=ok,
                            env={**QUICK, **(env or {})})

    def lookup(self, *names, kind="TXT"):
        r = self.drive("lookup", kind, *names)
        return [json.loads(line) for line in r.stdout.splitlines()]

    def view(self, name, kind="TXT"):
        """Of a lookup with one view, that one."""
        views = self.lookup(name, kind=kind)[0]["views"]
        expect(len(views) == 1, f"one view: {views}")
        return views[0]

    def publish(self, wants, verb="publish", env=None):
        wants = [{"domain": d, "values": v} for d, v in wants.items()]
        r = self.drive(verb, OWN, stdin=json.dumps(wants), env=env)
        return json.loads(r.stdout)


def owner(domain):
    return f"{LABEL}.{domain}"


def states(plan):
    return [(c["domain"], c["remove"], c["state"]) for c in plan["changes"]]


def quoted(*values):
    return sorted(f'"{v}"' for v in values)


def grant(key, domain):
    return f"grant {key} name {owner(domain)}. TXT;"


def test_a_grant_for_each_owner(lab):
    """The first set-up: update-policy names each owner, for TXT alone."""
    bind = Bind(lab, "grants")
    bind.key("k1")
    domains = ["example.test", "www.example.test"]
    bind.zone("example.test", ["www A 192.0.2.1",
                               f'{LABEL}.www 77 TXT "{FOREIGN}"'],
              policy=[grant("k1", d) for d in domains])
    bind.start()
    p = Place(lab, "grants")
    p.rfc2136("example.test", bind, "k1", TTL="5min")
    want = {d: [OURS] for d in domains}
    plan = p.publish(want, "plan")
    expect(states(plan) == [(d, False, "pending") for d in domains], plan)
    expect(bind.dig(owner("example.test")) == [], "a plan changes nothing")
    plan = p.publish(want)
    expect(states(plan) == [(d, False, "done") for d in domains], plan)
    expect(bind.dig(owner("example.test")) == quoted(OURS), "published")
    expect(bind.dig(owner("www.example.test")) == quoted(OURS, FOREIGN),
           "beside the foreign one")
    expect(bind.ttl(owner("example.test")) == {300}, "TTL= is used")
    expect(bind.ttl(owner("www.example.test")) == {77},
           "the foreign one's TTL is kept")
    plan = p.publish(want)
    expect(plan["changes"] == [] and plan["unchanged"] == 2,
           f"nothing the second time: {plan}")
    plan = p.publish({d: [] for d in domains}, "revoke")
    expect(states(plan) == [(d, True, "done") for d in domains], plan)
    expect(bind.dig(owner("example.test")) == [] and
           bind.dig(owner("www.example.test")) == quoted(FOREIGN),
           "ours are gone, the foreign one stays")
    expect(p.view(owner("www.example.test"))["values"] == [FOREIGN], "seen")


def test_a_new_key_replaces_the_old_values(lab):
    bind = Bind(lab, "rotate")
    bind.key("k1")
    bind.zone("example.test", [f'{LABEL} TXT "{OLD}"',
                               f'{LABEL} TXT "ca.test; accounturi=" '
                               '"https://ca.test/ours/0"',
                               f'{LABEL} TXT "{FOREIGN}"'],
              policy=[grant("k1", "example.test")])
    bind.start()
    p = Place(lab, "rotate")
    p.rfc2136("example.test", bind, "k1")
    expect(len(bind.dig(owner("example.test"))) == 3, "two cuts of one value")
    plan = p.publish({"example.test": [OURS]})
    expect(len(plan["changes"]) == 3 and
           all(c["state"] == "done" for c in plan["changes"]), plan)
    expect(bind.dig(owner("example.test")) == quoted(OURS, FOREIGN),
           bind.dig(owner("example.test")))


def test_a_cname_into_one_zone(lab):
    """The second set-up: owners are CNAMEs into a zone that the key owns."""
    bind = Bind(lab, "alias")
    bind.key("k2", "hmac-sha512")
    bind.zone("example.test", [
        f"{LABEL} CNAME example.test.persist.test.",
        f"{LABEL}.www CNAME www.example.test.persist.test."])
    bind.zone("persist.test", policy=["grant k2 zonesub TXT;"])
    bind.start()
    p = Place(lab, "alias")
    p.rfc2136("example.test", bind, "k2", AliasZone="persist.test")
    p.zone("persist.test", Servers=bind.address)
    domains = ["example.test", "www.example.test", "lost.example.test"]
    plan = p.publish({d: [OURS] for d in domains})
    expect(sorted(states(plan)) == sorted((d, False, "done") for d in domains),
           plan)
    expect(bind.dig("www.example.test.persist.test") == quoted(OURS),
           "written in the other zone")
    expect([n["domain"] for n in plan["notes"]] == ["lost.example.test"],
           f"whose CNAME lacks is noted: {plan['notes']}")
    expect(f'"{owner("lost.example.test")}. IN CNAME '
           'lost.example.test.persist.test."' in plan["notes"][0]["text"],
           f"with what to add: {plan['notes']}")
    found = p.lookup(owner("www.example.test"), owner("lost.example.test"))
    first, last = found[0]["views"]
    expect(first["status"] == "alias" and
           first["target"] == "www.example.test.persist.test", first)
    expect(last["status"] == "ok" and last["values"] == [OURS] and
           last["zone"] == "persist.test", last)
    expect(found[0]["agreement"] == "agree", found[0])
    expect(found[1]["views"][0]["status"] == "nxdomain", found[1])
    plan = p.publish({d: [OURS] for d in domains})
    expect(plan["changes"] == [] and plan["unchanged"] == 3, plan)


def test_a_cname_in_the_way(lab):
    bind = Bind(lab, "inway")
    bind.key("k1")
    bind.zone("example.test", [f"{LABEL} CNAME elsewhere.other.test."],
              policy=[grant("k1", "example.test")])
    bind.start()
    p = Place(lab, "inway")
    p.rfc2136("example.test", bind, "k1")
    plan = p.publish({"example.test": [OURS]})
    expect(plan["changes"] == [] and plan["notes"][0]["blocks"] and
           "elsewhere.other.test" in plan["notes"][0]["text"], plan)


def test_two_servers_agree_and_disagree(lab):
    first, second = Bind(lab, "pair1"), Bind(lab, "pair2")
    first.key("k1")
    first.zone("example.test", policy=[grant("k1", "example.test")],
               also_notify=[second])
    first.start()
    second.secondary("example.test", first)
    second.start()
    p = Place(lab, "pair")
    p.rfc2136("example.test", first, "k1",
              Servers=f"{first.address} {second.address}")
    p.publish({"example.test": [OURS]})
    end = time.monotonic() + 15
    while second.dig(owner("example.test")) != quoted(OURS):
        expect(time.monotonic() < end, "the copy follows")
        time.sleep(0.1)
    found = p.lookup(owner("example.test"))[0]
    expect([v["server"] for v in found["views"]] ==
           [first.address, second.address], found)
    expect(found["agreement"] == "agree", found)
    # The copy stays behind when it is not told.
    second.stop()
    p.publish({"example.test": [OURS, OURS + "2"]})
    found = p.lookup(owner("example.test"))[0]
    expect(found["agreement"] == "partly" and
           found["views"][1]["status"] == "unreachable", found)
    second.zones["example.test"] = (f'type primary; file "{second.dir}/'
                                    'example.test.copy";\n')
    second.start()
    found = p.lookup(owner("example.test"))[0]
    expect(found["agreement"] == "disagree", found)


def test_over_ipv6(lab):
    bind = Bind(lab, "v6", "::1")
    bind.key("k1")
    bind.zone("example.test", policy=[grant("k1", "example.test")])
    bind.start()
    p = Place(lab, "v6")
    p.rfc2136("example.test", bind, "k1")
    plan = p.publish({"example.test": [OURS]})
    expect(states(plan) == [("example.test", False, "done")], plan)
    v = p.view(owner("example.test"))
    expect(v["server"] == bind.address and v["values"] == [OURS], v)


def test_no_name_and_no_data(lab):
    bind = Bind(lab, "nothing")
    bind.zone("example.test", [f"{LABEL} CAA 0 issue ca.test"],
              minimum=42)
    bind.start()
    p = Place(lab, "nothing")
    p.zone("example.test", Servers=bind.address)
    v = p.view(owner("example.test"))
    expect(v["status"] == "nodata" and v["ttl"] == 42, v)
    v = p.view(owner("www.example.test"))
    expect(v["status"] == "nxdomain" and v["ttl"] == 42, v)


def test_certification_authorities(lab):
    bind = Bind(lab, "caa")
    bind.zone("example.test", [
        '@ CAA 128 issue "ca.test; accounturi=https://ca.test/ours/1"',
        '@ CAA 0 issuewild ";"', 'www CAA 0 IODEF "mailto:a@example.test"'])
    bind.start()
    p = Place(lab, "caa")
    p.zone("example.test", Servers=bind.address)
    v = p.view("example.test", "CAA")
    expect(sorted((x["flags"], x["tag"], x["value"]) for x in v["values"]) ==
           [(0, "issuewild", ";"),
            (128, "issue", "ca.test; accounturi=https://ca.test/ours/1")], v)
    v = p.view("www.example.test", "CAA")
    expect([x["tag"] for x in v["values"]] == ["iodef"], v)


def test_servers_that_say_nothing(lab):
    """Each its own status, and none of them says that nothing is there."""
    servers = {
        "no-answer": FakeDns(lambda q, tcp: None),
        "lame": FakeDns(lambda q, tcp: reply(q, 0x8000, [
            record(16, b"\x01x")])),
        "malformed": FakeDns(lambda q, tcp: reply(q, 0x8400, [
            record(16, b"\x09x")])),
        "servfail": FakeDns(lambda q, tcp: reply(q, 0x8402)),
        "error-code": FakeDns(lambda q, tcp: reply(q, 0x8409)),
        "too-large": FakeDns(lambda q, tcp: reply(q, 0x8600)),
        "cname-loop": FakeDns(lambda q, tcp: reply(q, 0x8400, [
            record(5, b"\xc0\x0c")])),
    }
    bind = Bind(lab, "refusing")
    bind.start()
    p = Place(lab, "silent")
    for status, server in servers.items():
        p.zone("example.test", Servers=server.address)
        v = p.view(owner("example.test"))
        expect(v["status"] == status and v["values"] == [], f"{status}: {v}")
        server.close()
    p.zone("example.test", Servers=bind.address)
    expect(p.view(owner("example.test"))["status"] == "refused", "refused")
    p.zone("example.test", Servers=f"127.0.0.1:{free_port()}")
    v = p.view(owner("example.test"))
    expect(v["status"] == "unreachable" and "refused" in v["text"], v)


def test_what_is_no_answer_is_waited_past(lab):
    """A wrong id, another question, another server's packet."""
    def handler(query, _):
        good = reply(query, 0x8400, [record(16, b"\x04good")])
        bad = reply(query, 0x8400, [record(16, b"\x03bad")])
        fake.udp.sendto(bytes([bad[0] ^ 1]) + bad[1:], fake.peer)
        fake.udp.sendto(bad[:13] + b"q" + bad[14:], fake.peer)
        fake.udp.sendto(bad[:2] + bytes([bad[2] & 0x7f]) + bad[3:], fake.peer)
        fake.udp.sendto(b"\0" * 5, fake.peer)
        return good
    fake = FakeDns(handler)
    receive = fake.udp.recvfrom

    class Spy:
        def recvfrom(self, n):
            query, fake.peer = receive(n)
            return query, fake.peer

        def __getattr__(self, name):
            return getattr(real, name)
    real, fake.udp = fake.udp, Spy()
    # The thread waits in the real one: this first query passes it.
    fake.handler = lambda q, tcp: None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", (fake.host, fake.port))
    time.sleep(0.1)
    fake.handler = handler
    p = Place(lab, "spoof")
    p.zone("example.test", Servers=fake.address)
    v = p.view(owner("example.test"))
    expect(v["status"] == "ok" and v["values"] == ["good"], v)
    fake.close()


def test_a_server_without_edns(lab):
    def handler(query, _):
        if query[11]:
            return reply(query, 0x8401)
        return reply(query, 0x8400, [record(16, b"\x03old")])
    fake = FakeDns(handler)
    p = Place(lab, "edns")
    p.zone("example.test", Servers=fake.address)
    expect(p.view(owner("example.test"))["values"] == ["old"], "asked again")
    fake.close()


def test_a_silent_server_is_not_asked_ten_thousand_times(lab):
    fake = FakeDns(lambda q, tcp: None)
    p = Place(lab, "patience")
    p.zone("example.test", Servers=fake.address)
    names = "".join(f"{LABEL}.n{i}.example.test\n" for i in range(2000))
    start = time.monotonic()
    r = p.drive("lookup", "TXT", stdin=names)
    took = time.monotonic() - start
    expect(r.stdout.count('"no-answer"') == 2000, "each is unknown")
    expect(took < 5 and fake.queries < 300, f"{took:.1f} s, {fake.queries}")
    fake.close()


def test_answers_up_to_and_over_64_kib(lab):
    """What a message holds comes whole over TCP; more cannot come. (A BIND does
    not even load a zone with more.)"""
    bind = Bind(lab, "large")
    value = "x" * 255
    bind.zone("example.test", [f'{LABEL} TXT "{i:04}" "{value}"'
                               for i in range(230)])
    bind.start()
    p = Place(lab, "large")
    p.zone("example.test", Servers=bind.address)
    v = p.view(owner("example.test"))
    expect(v["status"] == "ok" and
           sorted(v["values"]) == [f"{i:04}{value}" for i in range(230)],
           f"{v['status']} {len(v['values'])}")
    full = 65535 - 12 - len(owner("example.test")) - 6
    for cut in (0, 0x0200):
        fake = FakeDns(lambda q, tcp, cut=cut: reply(
            q, 0x8400 | cut, [record(16, b"\xff" + b"y" * 255)] *
            (full // 268)) if tcp else reply(q, 0x8600))
        p.zone("example.test", Servers=fake.address)
        v = p.view(owner("example.test"))
        expect((v["status"], len(v["values"])) ==
               (("too-large", 0) if cut else ("ok", full // 268)),
               f"{v['status']} {len(v['values'])}")
        fake.close()


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


def test_partial_failure_says_which_half(lab):
    bind = Bind(lab, "partial")
    bind.key("k1")
    granted = [f"n{i}.example.test" for i in range(0, 10, 2)]
    bind.zone("example.test", policy=[grant("k1", d) for d in granted])
    bind.start()
    p = Place(lab, "partial")
    p.rfc2136("example.test", bind, "k1")
    domains = [f"n{i}.example.test" for i in range(10)]
    plan = p.publish({d: [OURS] for d in domains})
    for c in plan["changes"]:
        want = "done" if c["domain"] in granted else "failed"
        expect(c["state"] == want, c)
        expect(want == "done" or "REFUSED" in c["text"], c)
        expect(bind.dig(c["owner"]) ==
               (quoted(OURS) if want == "done" else []), c)


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


def test_many_owners_in_few_updates(lab):
    bind = Bind(lab, "many")
    bind.key("k1")
    bind.zone("example.test", policy=["grant k1 zonesub TXT;"])
    bind.start()
    p = Place(lab, "many")
    p.rfc2136("example.test", bind, "k1")
    want = {f"n{i}.example.test": [OURS] for i in range(1000)}
    start = time.monotonic()
    plan = p.publish(want)
    took = time.monotonic() - start
    expect(all(c["state"] == "done" for c in plan["changes"]) and
           len(plan["changes"]) == 1000, "all are done")
    expect(took < 20, f"1,000 published in {took:.1f} s")
    plan = p.publish(want)
    expect(plan["changes"] == [] and plan["unchanged"] == 1000, "idempotent")


def test_by_hand(lab):
    bind = Bind(lab, "hand")
    bind.zone("example.test")
    bind.start()
    p = Place(lab, "hand")
    p.zone("example.test", Servers=bind.address)
    plan = p.publish({"example.test": [OURS]})
    expect(states(plan) == [("example.test", False, "by-hand")], plan)
    expect(plan["changes"][0]["line"] ==
           f'add {owner("example.test")}. 3600 IN TXT "{OURS}"', plan)


def hook_place(lab, name, text, user="nobody", mode=0o755):
    bind = Bind(lab, name)
    bind.zone("example.test", [f'{LABEL} TXT "{OLD}"'])
    bind.start()
    p = Place(lab, name)
    p.bind = bind
    hook = lab.file(f"hook-{name}", text, 0, mode)
    p.zone("example.test", Publisher="hook", Hook=hook, HookUser=user,
           Servers=bind.address, TTL="10min")
    return p


def test_what_a_hook_is_told(lab):
    out = lab.folder("hook-out", 65534)
    p = hook_place(lab, "told", "#!/bin/sh\n{ id -u; id -G; printf '%s\\n' "
                   f'"$@"; cat; env | sort; }} >{out}/$1\n')
    plan = p.publish({"example.test": [OURS]},
                     env={"SECRET": "x", "HOME": "/root"})
    expect(states(plan) == [("example.test", False, "done"),
                            ("example.test", True, "done")], plan)
    for verb, value in (("add", OURS), ("remove", OLD)):
        lines = (out / verb).read_text().splitlines()
        expect(lines[:5] == ["65534", "65534", verb, owner("example.test"),
                             value], lines)
        names = {x.split("=")[0] for x in lines[5:]} - {"_", "PWD", "SHLVL"}
        expect(names == {"PATH", "LC_ALL", "ZONE", "TTL"}, names)
        expect("ZONE=example.test" in lines and "TTL=600" in lines, lines)


def test_what_a_hook_says(lab):
    for code, want, word in ((0, "done", ""), (75, "later", "later"),
                             (1, "failed", "exit status 1")):
        p = hook_place(lab, f"says{code}", f"#!/bin/sh\nexit {code}\n")
        plan = p.publish({"example.test": [OURS, OLD]})
        expect(states(plan) == [("example.test", False, want)], plan)
        expect(word in plan["changes"][0]["text"], plan)
    p = hook_place(lab, "stops", "#!/bin/sh\nexit 75\n")
    plan = p.publish({"example.test": [OURS], "www.example.test": [OURS]})
    expect({c["state"] for c in plan["changes"]} == {"later"} and
           "not tried" in plan["changes"][1]["text"], plan)


def test_hooks_that_are_not_run(lab):
    text = "#!/bin/sh\nexit 0\n"
    for name, user, mode, word in (("writable", "nobody", 0o777, "writable"),
                                   ("plain", "nobody", 0o644, "cannot be run"),
                                   ("nouser", "no-such-user", 0o755,
                                    "no such user")):
        p = hook_place(lab, name, text, user, mode)
        plan = p.publish({"example.test": [OURS, OLD]})
        expect(states(plan) == [("example.test", False, "failed")] and
               word in plan["changes"][0]["text"], plan)


def test_who_can_move_a_hook_can_change_it(lab):
    """A path that only root can change, as a whole and through links."""
    p = hook_place(lab, "moved", "#!/bin/sh\nexit 0\n")
    folder = lab.folder("hooks")
    lab.file("hooks/hook", "#!/bin/sh\nexit 0\n", 0, 0o755)
    (lab.dir / "link").symlink_to(folder / "hook")

    def run(hook):
        p.zone("example.test", Publisher="hook", Hook=hook, HookUser="nobody",
               Servers=p.bind.address)
        return p.publish({"example.test": [OURS, OLD]})

    for hook in (folder / "hook", lab.dir / "link"):
        for uid, mode, want in ((0, 0o755, "done"), (0, 0o775, "failed"),
                                (65534, 0o755, "failed"),
                                (0, 0o1777, "done")):
            os.chown(folder, uid, 0)
            folder.chmod(mode)
            plan = run(hook)
            expect(states(plan) == [("example.test", False, want)],
                   f"{hook} {uid} {mode:o}: {plan}")
            expect(want == "done" or str(folder) in plan["changes"][0]["text"],
                   plan)


def test_the_example_hook(lab):
    """examples/publish-hook, with a folder and a reload of this lab's."""
    records = lab.folder("acme-records", 65534)
    reload = lab.file("reload", f"#!/bin/sh\necho \"$1\" >>{records}/reloads\n",
                      mode=0o755)
    text = (ROOT / "examples/publish-hook").read_text()
    for line, new in (("DIR=/var/lib/acme-records", f"DIR={records}"),
                      ('RELOAD="rndc reload"', f'RELOAD="{reload}"')):
        expect(line in text, line)
        text = text.replace(line, new)
    p = hook_place(lab, "example", text)
    odd = OURS + '; x="\\' + "y" * 300
    lab.file("acme-records/example.test.records",
             f'{owner("example.test")}. 60 IN TXT "{OLD}"\n'
             f'{owner("example.test")}. 60 IN TXT "{FOREIGN}"\n', 65534)
    plan = p.publish({"example.test": [OURS, odd]})
    expect({c["state"] for c in plan["changes"]} == {"done"}, plan)
    shown = Bind(lab, "included")
    shown.zone("example.test",
               [f"$INCLUDE {records}/example.test.records"])
    shown.start()
    p.zone("example.test", Servers=shown.address)
    v = p.view(owner("example.test"))
    expect(sorted(v["values"]) == sorted([OURS, odd, FOREIGN]), v)
    expect((records / "reloads").read_text() == "example.test\n" * 3,
           "read again for each change")
    r = lab.run(["setpriv", "--reuid=65534", "--regid=65534",
                 "--clear-groups", "--", lab.dir / "hook-example", "add",
                 owner("example.test")], stdin=OURS + "\n",
                env={"ZONE": "example.test", "TTL": "600"})
    expect((records / "reloads").read_text() == "example.test\n" * 3,
           f"nothing to do, nothing done: {r.stderr}")


def resolver(lab, name, **more):
    return Bind(lab, name, options=["recursion yes;", "allow-query { any; };",
                                    *more.pop("options", ())], **more)


def test_servers_as_the_zone_names_them(lab):
    """NS and their addresses, asked of a resolver; a delegation and a CNAME out
    of the zone are followed, with no file for any of them."""
    tests = Bind(lab, "at-1", "127.0.0.1", 53)
    tests.zone("test", ["ns1.example A 127.0.0.2", "ns2.example A 127.0.0.3",
                        "ns2.example AAAA ::1", "example NS ns1.example",
                        "example NS ns2.example", "other NS ns.other",
                        "ns.other A 127.0.0.4", "empty NS nowhere.invalid."],
               ns=["ns1.example.test"])
    tests.start()
    one, two = (Bind(lab, f"at-{n}", f"127.0.0.{n}", 53) for n in (2, 3))
    for b in (one, two):
        b.zone("example.test", [
            f'{LABEL} TXT "{OURS}"', f"{LABEL}.www CNAME x.other.test.",
            "sub NS ns.other.test.", "ns1 A 127.0.0.2", "ns2 A 127.0.0.3",
            "ns2 AAAA ::1"], ns=["ns1.example.test", "ns2.example.test"])
        b.start()
    other = Bind(lab, "at-4", "127.0.0.4", 53)
    other.zone("other.test", [f'x TXT "{FOREIGN}"', "ns A 127.0.0.4"],
               ns=["ns.other.test"])
    other.zone("sub.example.test", [f'{LABEL} TXT "{OLD}"'],
               ns=["ns.other.test"])
    other.start()
    asked = resolver(lab, "asked")
    for zone, server in (("test", tests), ("example.test", one),
                         ("other.test", other), ("sub.example.test", other)):
        asked.forward(zone, server)
    asked.start()
    p = Place(lab, "found")
    p.zone("example.test", Resolver=asked.address, Verify="both")
    r = p.lookup(owner("example.test"), owner("www.example.test"),
                 owner("sub.example.test"))
    expect(sorted(v["server"] for v in r[0]["views"]) ==
           ["ns1.example.test (127.0.0.2)", "ns2.example.test (127.0.0.3)",
            f"resolver ({asked.address})"], r[0])
    expect({v["status"] for v in r[0]["views"]} == {"ok"} and
           r[0]["agreement"] == "agree", r[0])
    final = [v for v in r[1]["views"] if v["status"] != "alias"]
    expect(sorted(v["server"] for v in final) ==
           ["ns.other.test (127.0.0.4)", f"resolver ({asked.address})"] and
           all(v["values"] == [FOREIGN] for v in final), r[1])
    expect(final[-1]["chain"] == ["x.other.test"] or
           final[0]["chain"] == ["x.other.test"], r[1])
    final = [v for v in r[2]["views"] if v["status"] != "delegated"]
    expect(all(v["values"] == [OLD] for v in final) and len(final) == 2, r[2])
    # Without a file, and with the system's resolver.
    conf = lab.file("resolv.conf", "# nameserver 192.0.2.9\n"
                    "nameserver 127.0.0.5\n")
    system = resolver(lab, "system", address="127.0.0.5", port=53)
    for zone, server in (("test", tests), ("example.test", one),
                         ("other.test", other)):
        system.forward(zone, server)
    system.start()
    nothing = lab.folder("zones-none")
    run = lab.run(["unshare", "--mount", "sh", "-c",
                   'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
                   "sh", conf, DRIVE, nothing, "lookup", "TXT",
                   owner("example.test"), owner("empty.test"),
                   owner("nowhere.invalid")])
    r = [json.loads(line) for line in run.stdout.splitlines()]
    expect(sorted(v["server"] for v in r[0]["views"]) ==
           ["ns1.example.test (127.0.0.2)", "ns2.example.test (127.0.0.3)"],
           r[0])
    for x in r[1:]:
        expect(x["agreement"] == "nobody" and
               x["views"][0]["status"] == "no-server", x)
    for b in (tests, one, two, other, system):
        b.stop()


def with_resolver(lab, p, address, *args):
    """dns-drive where the system's resolver is another one."""
    conf = lab.file("resolv.conf", f"nameserver {address}\n")
    run = lab.run(["unshare", "--mount", "sh", "-c",
                   'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
                   "sh", conf, DRIVE, p.dir, *args], env=QUICK)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_resolver_on_the_link(lab):
    """Its address says nothing without the interface."""
    lab.run(["ip", "address", "add", "fe80::53/64", "dev", "lo", "nodad"])
    text = bytes([len(OURS)]) + OURS.encode()
    server = FakeDns(lambda q, tcp: reply(q, 0x8180, [record(16, text)]),
                     "fe80::53", 53, socket.if_nametoindex("lo"))
    p = Place(lab, "link")
    p.zone("example.test", Verify="resolver")
    r = with_resolver(lab, p, "fe80::53%lo", "lookup", "TXT",
                      owner("example.test"))
    expect(server.queries and r[0]["views"][0]["values"] == [OURS], r)
    server.close()


def test_who_else_says_that_it_is_validated(lab):
    """AD of a resolver on this host, and of one that is elsewhere."""
    lab.run(["ip", "address", "add", "192.0.2.53/32", "dev", "lo"])
    text = bytes([len(OURS)]) + OURS.encode()
    p = Place(lab, "ad")
    for address, word in (("127.0.0.7", "validated"),
                          ("192.0.2.53", "ad-untrusted")):
        server = FakeDns(
            lambda q, tcp: reply(q, 0x81a0, [record(16, text)]), address, 53)
        p.zone("example.test", Verify="resolver", Resolver=address)
        expect(p.view(owner("example.test"))["security"] == word, word)
        p.zone("example.test", Verify="resolver")
        r = with_resolver(lab, p, address, "lookup", "TXT",
                          owner("example.test"))
        expect(r[0]["views"][0]["security"] == word, r)
        server.close()


def test_signed_zones(lab):
    """Signatures are seen at servers; a resolver says whether they are good."""
    bind = Bind(lab, "signed")
    bind.zone("example.test", [f'{LABEL} TXT "{OURS}"'], options=[
        "dnssec-policy default; inline-signing yes;"])
    bind.start()
    end = time.monotonic() + 20
    while not bind.dig("example.test", "DNSKEY") or "RRSIG" not in str(
            lab.run(["dig", "+dnssec", f"@{bind.host}", "-p", bind.port,
                     owner("example.test"), "TXT"]).stdout):
        expect(time.monotonic() < end, "the zone is signed")
        time.sleep(0.1)
    ksk = next(k for k in bind.dig("example.test", "DNSKEY")
               if k.startswith("257"))
    flags, protocol, algorithm, *key = ksk.split()
    other = "A" + "".join(key)[1:]
    anchor = ('trust-anchors {{ example.test static-key {} {} {} "{}"; }};')
    results = {}
    for name, text in (("good", "".join(key)), ("bad", other)):
        r = resolver(lab, f"validating-{name}",
                     options=["dnssec-validation yes;"])
        r.forward("example.test", bind)
        r.more.append(anchor.format(flags, protocol, algorithm, text))
        r.start()
        p = Place(lab, f"signed-{name}")
        p.zone("example.test", Verify="both", Servers=bind.address,
               Resolver=r.address)
        views = p.lookup(owner("example.test"))[0]["views"]
        results[name] = [(v["resolver"], v["status"], v["security"])
                         for v in sorted(views, key=lambda v: v["resolver"])]
        r.stop()
    expect(results["good"] == [(False, "ok", "signed"),
                               (True, "ok", "validated")], results)
    expect(results["bad"] == [(False, "ok", "signed"),
                              (True, "bogus", "bogus")], results)


def test_ten_thousand_owners(lab):
    bind = Bind(lab, "speed")
    n = 10000
    bind.zone("example.test", [f'{LABEL}.n{i} TXT "{OURS}"'
                               for i in range(0, n, 2)])
    bind.start()
    p = Place(lab, "speed")
    p.zone("example.test", Servers=bind.address)
    names = "".join(f"{LABEL}.n{i}.example.test\n" for i in range(n))
    start = time.monotonic()
    r = p.drive("lookup", "TXT", stdin=names,
                env={"DNS_TRY_MS": "2000", "DNS_TRIES": "3"})
    took = time.monotonic() - start
    expect(r.stdout.count('"ok"') == n // 2 and
           r.stdout.count('"nxdomain"') == n // 2, "all are answered")
    expect(took < 30, f"{n} in {took:.1f} s")
    print(f"        {n} owners in {took:.2f} s", flush=True)


def main():
    if os.geteuid() != 0:
        sys.exit("dns_records.py: needs root, for users and a network")
    own_network()
    cases = [v for k, v in globals().items() if k.startswith("test_")]
    if len(sys.argv) > 1:
        cases = [c for c in cases if any(a in c.__name__ for a in sys.argv[1:])]
    with Lab("dns") as lab:
        sys.exit(run_cases(cases, lab))


if __name__ == "__main__":
    main()
