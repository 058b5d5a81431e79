#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Publishing records at real BINDs, in both documented set-ups."""

import sys
import time

from bind_lab import Bind
from dns_lab import (FOREIGN, LABEL, OLD, OURS, Place, grant, owner, quoted,
                     run, states)
from lab import expect


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
    print(f"        1,000 published in {took:.1f} s", flush=True)
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


if __name__ == "__main__":
    sys.exit(run(globals()))
