#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl records accounturi and judge: every vector, each reason, and what
the commands say to bad input."""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
VECTORS = pathlib.Path(sys.argv[2]).resolve()
HEADER = pathlib.Path(sys.argv[3]).resolve()
CODES = {"valid": 0, "unauthorized": 1, "malformed": 2}
PREFIX = "https://ca.example/account-hash/"
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
ACCOUNT = "https://ca.example/acct/123"
GOOD = "ca.example; accounturi=" + ACCOUNT
NOW = 1790000000


def run(*args, stdin=b""):
    return subprocess.run([PROGRAM, *map(str, args)], input=stdin,
                          capture_output=True, check=False, timeout=60)


def expect(p, code, *words):
    text = p.stdout.decode() + p.stderr.decode()
    assert p.returncode == code, f"exit {p.returncode}, not {code}: {text}"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


def fails(p, code, *words):
    """Nothing on stdout that could be taken for a result."""
    expect(p, code, *words)
    assert p.stdout == b"", p.stdout
    assert p.stderr.startswith(b"guardianctl: "), p.stderr


def accounturi(domain="example.com", prefix=PREFIX, thumbprint=THUMBPRINT,
               account=ACCOUNT, more=()):
    where = [] if domain is None else ["--domain", domain]
    return run("records", "accounturi", "--prefix", prefix, *where,
               "--thumbprint", thumbprint, "--account-url", account, *more)


def judge(records, *more, issuers=("ca.example",), accepted=(ACCOUNT,),
          domain="example.com", now=NOW):
    args = ["--domain", domain]
    for issuer in issuers:
        args += ["--issuer", issuer]
    for uri in accepted:
        args += ["--accept", uri]
    if now is not None:
        args += ["--now", now]
    data = records if isinstance(records, bytes) else json.dumps(
        records).encode()
    return run("records", "judge", *args, *more, stdin=data)


def load(name):
    return json.loads((VECTORS / name).read_text())


def vectors_of_accounturi():
    cases = load("dns-persist-accounturi.json")
    for case in cases:
        more = ["--reusable"] if case.get("reusable") else []
        p = accounturi(case["domain"], case["prefix"], case["thumbprint"],
                       case["account_url"], more)
        expect(p, 0)
        assert p.stdout.decode() == case["accounturi"] + "\n", case
        assert p.stderr == b"", p.stderr
    print(f"# {len(cases)} values")


def vectors_of_judge():
    cases = load("dns-persist-check.json")
    for case in cases:
        more = ["--wildcard"] if case["wildcard"] else []
        p = judge(case["records"], *more, issuers=case["issuers"],
                  accepted=case["accepted"], domain=case["domain"],
                  now=case["now"])
        words = p.stdout.decode().split()
        wanted = case["verdict"]
        assert words[:1] == [wanted], f"{case['id']}: {p.stdout} {p.stderr}"
        assert len(words) == (1 if wanted == "valid" else 2), case["id"]
        assert p.returncode == CODES[wanted], case["id"]
        assert p.stderr == b"", p.stderr
    print(f"# {len(cases)} verdicts")


def accounturi_by_another_program():
    for domain, hashed in (("a.b", "a.b"), ("A.B.", "a.b"),
                           ("müller.example", "xn--mller-kva.example"),
                           ("x" * 63 + ".example", "x" * 63 + ".example")):
        text = bytes([len(hashed)]) + (hashed + THUMBPRINT + ACCOUNT).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest())
        expect(accounturi(domain), 0, PREFIX + "sha-256/"
               + digest.decode().rstrip("=") + "\n")
    star = accounturi(None, more=["--reusable"])
    expect(star, 0)
    assert accounturi("example.org", more=["--reusable"]).stdout == star.stdout
    p = accounturi(more=["--json"])
    expect(p, 0)
    assert list(json.loads(p.stdout)) == ["accounturi"], p.stdout


def accounturi_of_bad_parts():
    fails(accounturi(None), 64, "needs --domain, or --reusable")
    fails(accounturi("*.example.com"), 2, "--domain: bad-dns-name",
          "give the name below the star")
    fails(accounturi("com"), 2, "--domain: bad-dns-name: com: one label")
    fails(accounturi("☃.com"), 2, "disallowed character")
    fails(accounturi("☃.com", more=["--reusable"]), 2, "disallowed character")
    fails(accounturi(prefix="https://ca.example/a;b/"), 2, "accountHashPrefix",
          "character 0x3b")
    fails(accounturi(prefix="https://ca.example/a b/"), 2, "character 0x20")
    fails(accounturi(prefix="http://ca.example/h/"), 2, "url-scheme")
    fails(accounturi(prefix="https://ca.example"), 2, "no URL with a path")
    fails(accounturi(thumbprint="abc"), 2, "thumbprint of 3 characters")
    fails(accounturi(account="acct/1"), 2, "url-scheme")
    fails(run("records", "accounturi", "--prefix", PREFIX), 64, "needs --")


def every_reason():
    table = [
        ("no-record", [], []),
        ("other-issuer", [["other.example; accounturi=" + ACCOUNT]], []),
        ("other-account", [["ca.example; accounturi=" + ACCOUNT + "4"]], []),
        ("no-wildcard-policy", [[GOOD]], ["--wildcard"]),
        ("expired", [[GOOD + "; persistUntil=1"]], []),
        ("bad-issuer", [["ca.example.; accounturi=" + ACCOUNT]], []),
        ("empty-parameter", [[GOOD + ";"]], []),
        ("no-equals-sign", [[GOOD + "; wildcard"]], []),
        ("bad-tag", [[GOOD + "; a_b=1"]], []),
        ("bad-parameter-value", [[GOOD + "\0"]], []),
        ("duplicate-parameter", [[GOOD + "; a=1; A=2"]], []),
        ("no-accounturi", [["ca.example; policy=wildcard"]], []),
        ("bad-persist-until", [[GOOD + "; persistUntil=soon"]], []),
    ]
    in_c = dict((code, verdict.lower()) for verdict, code in re.findall(
        r'X\(\w+, (\w+), "([a-z-]+)"', HEADER.read_text()))
    assert set(in_c) == {reason for reason, _, _ in table}, in_c
    for reason, records, more in table:
        verdict = in_c[reason]
        p = judge(records, *more)
        expect(p, CODES[verdict])
        assert p.stdout.decode() == f"{verdict} {reason}\n", p.stdout
        p = judge(records, "--json", *more)
        answer = json.loads(p.stdout)
        assert answer.pop("text"), answer
        assert answer == {"verdict": verdict, "reason": reason}, answer
    p = judge([[GOOD]], "--json")
    assert json.loads(p.stdout) == {"verdict": "valid", "reason": None}


def judge_with_lists_and_clock():
    expect(judge([[GOOD]], issuers=["a.example", "CA.example."],
                 accepted=["https://a.example/1", ACCOUNT]), 0, "valid\n")
    expect(judge([["b", ".example; accounturi=x"], [], [""], [GOOD]]), 0)
    # one string longer than DNS could carry; 64 KiB of escaped octets
    expect(judge([[GOOD + "; a=" + "x" * 70_000]]), 0)
    expect(judge([["\x7f" * 65_000], [GOOD]]), 0)
    later = int(time.time()) + 1000
    expect(judge([[f"{GOOD}; persistUntil={later}"]], now=None), 0)
    expect(judge([[f"{GOOD}; persistUntil={later}"]], now=later), 0)
    expect(judge([[f"{GOOD}; persistUntil={later}"]], now=later + 1), 1,
           "expired")


def judge_of_bad_input():
    fails(judge(b""), 2, "stdin:")
    fails(judge(b"<html>"), 2, "stdin:1: ")
    fails(judge(b"{}"), 2, "no array of TXT records")
    fails(judge(b'["text"]'), 2, "record 1 is no array of strings")
    fails(judge([["a"], [1]]), 2, "record 2 has what is no string")
    fails(judge(b'[["\xff"]]'), 2, "stdin:1: ")
    fails(judge(b"[" + b" " * 600_000 + b"]"), 2, "stdin: above 524288 octets")
    fails(judge([], domain="*.example.com"), 2, "--domain: bad-dns-name")
    fails(judge([], issuers=["ca.example", "ca"]), 2, "--issuer: bad-dns-name")
    fails(judge([], issuers=[]), 64, "--issuer")
    fails(judge([], accepted=[]), 64, "--accept")
    for now in "soon", "-1", "1.5", "9223372036854775808":
        fails(judge([], f"--now={now}", now=None), 64,
              "--now takes a number")


def main():
    for test in (vectors_of_accounturi, vectors_of_judge,
                 accounturi_by_another_program, accounturi_of_bad_parts,
                 every_reason, judge_with_lists_and_clock, judge_of_bad_input):
        test()
        print(f"# {test.__name__}")


if __name__ == "__main__":
    main()
