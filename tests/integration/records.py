#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records over the admin socket: kept, shown, and many."""

import contextlib
import hashlib
import json
import os
import pathlib
import sqlite3
import sys
import time

import daemon_lab as D
import lab as L
from records_lab import (DAY, ISSUER, PREFIX, add, admin_lines, in_registry,
                         pages, ready, record, set_meta, typed, values)


@D.with_guardian()
def test_records_are_added_changed_listed_and_removed(g):
    typed(g, issuers=(ISSUER, "b.example"))
    until = int(time.time()) + DAY
    first = record("www.example.com", persistUntil=until)
    got = add(g, first, record("example.com", wildcard=True),
              record("www.example.com", issuer="b.example"))
    L.expect(got == {"added": 3, "changed": 0, "unchanged": 0}, str(got))
    lines = admin_lines(g, "RecordAdd")
    L.expect([(x["account"], x["identifiers"], x["detail"]) for x in lines] == [
        ("test", ["www.example.com"], f"{ISSUER}, persistUntil={until}"),
        ("test", ["example.com"], f"{ISSUER}, policy=wildcard"),
        ("test", ["www.example.com"], "b.example")], str(lines))
    got = add(g, first, record("example.com"))
    L.expect(got == {"added": 0, "changed": 1, "unchanged": 1}, str(got))
    g.restart()
    listed = g.must("RecordList", uid=D.MONITOR)
    L.expect(listed.get("next") is None, "all on one page")
    added = listed["records"][0].pop("added")
    L.expect(abs(time.time() - time.mktime(time.strptime(
        added + "UTC", "%Y-%m-%dT%H:%M:%SZ%Z")) + time.timezone) < 60, added)
    L.expect(listed["records"][0] == {
        **record("example.com"), "wildcard": False, "reusable": False,
        "persistUntil": None}, str(listed))
    L.expect(listed["records"][2]["persistUntil"] == until, str(listed))

    def names(**q):
        return [(r["domain"], r["issuer"]) for r in
                g.must("RecordList", q)["records"]]
    both = [("www.example.com", "b.example"), ("www.example.com", ISSUER)]
    L.expect(names(domain="www.example.com") == both, "by domain")
    L.expect(names(account="test", domain="www.example.com") == both, "by both")
    L.expect(names(domain="nosuch.example") == [], "none")
    D.expect_error(g.ask_admin("RecordList", {"account": "nosuch"}),
                   "NoSuchAccount")
    for limit in (1, 2, 3, 4):
        records, n = pages(g.must, "RecordList", "records", {"limit": limit})
        L.expect(len(records) == 3 and n == -(-3 // limit), f"limit {limit}")
    for after in ("x", "a/b", "a/b/c/d"):
        D.expect_error(g.ask_admin("RecordList", {"after": after}),
                       "InvalidValue", parameter="after")
    remove = {"account": "test", "domain": "www.example.com"}
    L.expect(g.must("RecordRemove", {**remove, "issuer": ISSUER})["removed"]
             == 1, "one")
    L.expect(g.must("RecordRemove", {**remove, "issuer": ISSUER})["removed"]
             == 0, "gone")
    L.expect(g.must("RecordRemove", remove)["removed"] == 1, "the other")
    L.expect(names() == [("example.com", ISSUER)], "the rest stays")
    L.expect(admin_lines(g, "RecordRemove")[0]["identifiers"] ==
             ["www.example.com"], "audited")


@D.with_guardian()
def test_a_record_that_would_not_do_is_refused_by_name(g):
    now = int(time.time())
    good = record("www.example.com")
    D.expect_error(g.ask_admin("RecordAdd", {"records": [good]}),
                   "InvalidValue", parameter="records[0].issuer")
    typed(g)
    long = ".".join(["a" * 60] * 3 + ["b" * 51])
    cases = [
        ({"domain": "WWW.example.com"}, "domain", "www.example.com"),
        ({"domain": "www.example.com."}, "domain", "in normal form"),
        ({"domain": "*.example.com"}, "domain", ""),
        ({"domain": "b\u00fccher.example"}, "domain", "xn--bcher-kva.example"),
        ({"domain": "a b.example"}, "domain", "bad-dns-name"),
        ({"domain": "xn--a.example"}, "domain", "bad-dns-name"),
        ({"domain": "192.0.2.1"}, "domain", ""),
        ({"domain": long}, "domain", "too long"),
        ({"issuer": "b.example"}, "issuer", "issuer-not-typed"),
        ({"issuer": "CA.example"}, "issuer", "no-issuer-name"),
        ({"persistUntil": now - 1}, "persistUntil", "past"),
        ({"persistUntil": 0}, "persistUntil", "past"),
        ({"persistUntil": 253402300800}, "persistUntil", "9999"),
        ({"reusable": True}, "reusable", "accountHashPrefix"),
    ]
    for wrong, member, words in cases:
        got = g.ask_admin("RecordAdd", {"records": [good, {**good, **wrong}]})
        D.expect_error(got, "InvalidValue", parameter=f"records[1].{member}")
        L.expect(words in got[1]["text"], str(got))
    got = g.ask_admin("RecordAdd", {"records": [
        good, {**good, "issuer": "letsencrypt.org"}]})
    D.expect_error(got, "IssuerMismatch", issuer="letsencrypt.org")
    L.expect("records[1]" in got[1]["text"], str(got))
    D.expect_error(g.ask_admin("RecordAdd", {"records": [
        good, {**good, "account": "nosuch"}]}), "NoSuchAccount")
    for bad, name in (({**good, "x": 1}, "records[0].x"),
                      ({"account": "test"}, "records[0].domain"),
                      ({**good, "wildcard": 1}, "records[0].wildcard")):
        error, answer = g.ask_admin("RecordAdd", {"records": [bad]})
        L.expect(error == "org.varlink.service.InvalidParameter" and
                 answer == {"parameter": name}, f"{error} {answer}")
    for n in (0, 201):
        D.expect_error(g.ask_admin("RecordAdd", {"records": [
            record(f"n{i}.example.com") for i in range(n)]}), "InvalidValue",
            parameter="records")
    L.expect(g.must("RecordList")["records"] == [], "none of them was added")
    set_meta(g, issuerDomainNames=["c.example"])
    got = g.ask_admin("RecordAdd", {"records": [good]})
    D.expect_error(got, "InvalidValue", parameter="records[0].issuer")
    L.expect("issuer-not-offered" in got[1]["text"], str(got))
    set_meta(g, issuerDomainNames=[ISSUER])
    add(g, good)
    g.must("AccountDeactivated", {"name": "test"})
    D.expect_error(g.ask_admin("RecordAdd", {"records": [good]}),
                   "InvalidValue", parameter="records[0].account")


def key_bound(g, domain):
    text = (bytes([len(domain)]) + domain.encode() +
            g.account["thumbprint"].encode() + D.ACCOUNT_URL.encode())
    return f"{PREFIX}sha-256/{L.b64url(hashlib.sha256(text).digest())}"


@D.with_guardian()
def test_values_are_what_stands_in_dns(g):
    ready(g)
    until = int(time.time()) + DAY
    add(g, record("example.com", wildcard=True, persistUntil=until),
        record("www.example.com"))
    got = values(g)
    L.expect(got == [{
        "account": "test", "domain": "example.com",
        "owner": "_validation-persist.example.com", "issuer": ISSUER,
        "wildcard": True, "reusable": False, "persistUntil": until,
        "expired": False, "denied": False, "accounturi": D.ACCOUNT_URL,
        "value": f"{ISSUER}; accounturi={D.ACCOUNT_URL}; policy=wildcard; "
                 f"persistUntil={until}", "form": "url", "staging": False,
    }, {
        "account": "test", "domain": "www.example.com",
        "owner": "_validation-persist.www.example.com", "issuer": ISSUER,
        "wildcard": False, "reusable": False, "persistUntil": None,
        "expired": False, "denied": False, "accounturi": D.ACCOUNT_URL,
        "value": f"{ISSUER}; accounturi={D.ACCOUNT_URL}", "form": "url",
        "staging": False}], str(got))
    D.expect_error(g.ask_admin("RecordValues", {"form": "key-bound"}),
                   "InvalidValue", parameter="form")
    D.expect_error(g.ask_admin("RecordValues", {"form": "both"}),
                   "InvalidValue", parameter="form")
    set_meta(g, accountHashPrefix=PREFIX)
    add(g, record("any.example.com", reusable=True))
    got = values(g)
    L.expect([(v["form"], v["accounturi"]) for v in got] == [
        ("key-bound", key_bound(g, d)) for d in
        ("*", "example.com", "www.example.com")], str(got))
    L.expect(got[2]["value"] == f"{ISSUER}; accounturi="
             f"{key_bound(g, 'www.example.com')}", str(got))
    L.expect([v["accounturi"] for v in values(g, form="url")] ==
             [D.ACCOUNT_URL] * 3, "forced")
    L.expect([v["domain"] for v in values(g, domain="example.com")] ==
             ["example.com"], "one domain")
    in_registry(g, ("update record set until_s = 5 where domain = ?",
                    ("example.com",)))
    L.expect([v["expired"] for v in values(g)] == [False, True, False],
             "no CA takes it any more")


# Many.

def cpu_of(g):
    """Seconds of processor time that the daemon has used."""
    fields = pathlib.Path(f"/proc/{g.process.pid}/stat").read_text().split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


N = 100000


@D.with_guardian()
def test_a_hundred_thousand_records(g):
    ready(g)
    begin = time.monotonic()
    for i in range(0, 2000, 200):
        add(g, *(record(f"n{j:06}.example.com") for j in range(i, i + 200)))
    print(f"        2000 added: {time.monotonic() - begin:.2f} s")
    with contextlib.closing(sqlite3.connect(
            g.lab.dir / "state/registry.db")) as db:
        db.executemany("insert into record values ('test', ?, ?, 0, 0, 0, 1)",
                       ((f"n{j:06}.example.com", ISSUER)
                        for j in range(2000, N)))
        db.commit()
    with D.AsUser(0, g.admin) as v:
        def ask(method, parameters):
            v.send(D.ADMIN + method, parameters)
            while b"\0" not in v.buffer:
                v.buffer += v.socket.recv(1 << 20)
            text, _, v.buffer = v.buffer.partition(b"\0")
            L.expect(len(text) < 65536, f"a message of {len(text)} octets")
            return text

        def all_pages(method, member, **more):
            begin, after, texts, slowest = time.monotonic(), {}, [], 0
            cpu = cpu_of(g)
            while True:
                sent = time.monotonic()
                text = ask(method, {**more, **after})
                slowest = max(slowest, time.monotonic() - sent)
                texts.append(text)
                tail = text.rpartition(b'"next":"')[2]
                if tail == text:
                    break
                after = {"after": tail.partition(b'"')[0].decode()}
            cpu = cpu_of(g) - cpu
            print(f"        {method} {more}: {time.monotonic() - begin:.2f} s in "
                  f"{len(texts)} pages, the slowest {slowest * 1000:.1f} ms; "
                  f"{cpu:.2f} s of the daemon's")
            # Sanitizers take several times as long.
            L.expect(cpu < 1 or "ASAN_OPTIONS" in os.environ,
                     f"{method}: {cpu:.2f} s of the daemon's processor time")
            L.expect(slowest < 1, "no page holds up the daemon")
            return [x for t in texts
                    for x in json.loads(t)["parameters"][member]]

        listed = all_pages("RecordList", "records", account="test")
        L.expect(len(listed) == N, f"all of them, not {len(listed)}")
        plain = all_pages("RecordValues", "values", account="test")
        L.expect([x["domain"] for x in plain] ==
                 [f"n{j:06}.example.com" for j in range(N)], "each once")
        set_meta(g, accountHashPrefix=PREFIX)
        bound = all_pages("RecordValues", "values", form="key-bound")
        L.expect(len({x["value"] for x in bound}) == N, "each its own")
        L.expect(bound[77]["accounturi"] == key_bound(g, "n000077.example.com"),
                 str(bound[77]))


@D.with_guardian()
def test_many_accounts_come_in_pages(g):
    n = 300
    with contextlib.closing(sqlite3.connect(g.lab.dir /
                                            "state/registry.db")) as db:
        columns = [c[1] for c in db.execute("pragma table_info(account)")]
    other = {"name": "?", "key_label": "?", "account_url": "NULL",
             "status": "'created'"}
    in_registry(g, *((
        f"insert into account ({', '.join(columns)})"
        f" select {', '.join(other.get(c, c) for c in columns)}"
        " from account where name = 'test'",
        [f"many{i:03}" if c == "name" else f"label{i}"
         for c in columns if c in ("name", "key_label")]) for i in range(n)))
    g.restart()
    accounts, pages_read = pages(g.must, "AccountList", "accounts")
    names = [a["name"] for a in accounts]
    L.expect(names == sorted(set(names)) and len(names) == n + 1 and
             pages_read > 3, f"{len(names)} in {pages_read}")
    accounts, pages_read = pages(g.must, "AccountList", "accounts",
                                 {"limit": 100})
    L.expect(len(accounts) == n + 1 and pages_read >= 4, str(pages_read))


if __name__ == "__main__":
    sys.exit(D.run(globals()))
