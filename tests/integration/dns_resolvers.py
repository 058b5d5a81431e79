#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that are found by resolvers, and what those say of signed zones."""

import json
import socket
import sys
import time

from bind_lab import Bind, FakeDns, record, reply
from dns_lab import DRIVE, FOREIGN, LABEL, OLD, OURS, QUICK, Place, owner, run
from lab import expect


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


if __name__ == "__main__":
    sys.exit(run(globals()))
