#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Looking up records at real BINDs, and at servers gone bad."""

import socket
import sys
import time

from bind_lab import Bind, FakeDns, record, reply
from dns_lab import LABEL, OURS, Place, grant, owner, quoted, run
from lab import expect, free_port


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
    expect(took < 60 and fake.queries < 300, f"{took:.1f} s, {fake.queries}")
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
    print(f"        {n} owners in {took:.2f} s", flush=True)


if __name__ == "__main__":
    sys.exit(run(globals()))
