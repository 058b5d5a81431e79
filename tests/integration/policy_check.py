#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl policy check, explain and lint: every request and CSR vector, one
by one and in a batch, and what the commands say to bad input."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
VECTORS = pathlib.Path(sys.argv[2]).resolve()
CODES = {"allowed": 0, "denied": 1, "malformed": 2}
RULES = "[Client]\nUser=1000\n[Allow]\nAccount=test\n"


def run(*args, stdin=""):
    return subprocess.run([PROGRAM, *map(str, args)], input=stdin, text=True,
                          capture_output=True, check=False, timeout=60)


def expect(p, code, *words):
    text = p.stdout + p.stderr
    assert p.returncode == code, f"exit {p.returncode}, not {code}: {text}"
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


class Place:
    """A policy, an account file, and the options that name them."""

    def __init__(self, context, policy=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="policy-check-"))
        self.policy = self.dir / "policy.d"
        self.policy.mkdir(mode=0o755)
        self.account = self.dir / "account.json"
        self.account.write_text(json.dumps(context["account"]))
        self.rules(policy or context["policy"])
        self.caller = ["--uid", context["caller"]["uid"]]

    def rules(self, text):
        path = self.policy / "50-test.policy"
        path.write_text(text)
        path.chmod(0o644)

    def command(self, name, *args, caller=None, stdin=""):
        return run("policy", name, "--policy-dir", self.policy,
                   "--account-file", self.account, *(caller or self.caller),
                   *args, stdin=stdin)

    def check(self, case, *args, name="check", caller=None):
        return self.command(name, "--protected", case["protected"],
                            "--payload", case["payload"], *args,
                            caller=caller)

    def batch(self, lines):
        p = self.command("check", "--batch", stdin="".join(
            (line if isinstance(line, str) else json.dumps(line)) + "\n"
            for line in lines))
        return p, [json.loads(line) for line in p.stdout.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)


def load(name):
    return json.loads((VECTORS / name).read_text())


def check_vectors(name):
    vectors = load(name)
    cases = vectors["cases"]
    bad = []
    with Place(vectors["context"]) as place:
        single = {}
        for case in cases:
            p = place.check(case)
            words = p.stdout.split()
            single[case["id"]] = words
            wanted = case["verdict"]
            if (words[:1] != [wanted] or p.returncode != CODES[wanted]
                    or len(words) != (1 if wanted == "allowed" else 2)
                    or p.stderr):
                bad.append(f"{case['id']}: {p.stdout!r} {p.stderr!r} exit "
                           f"{p.returncode}, not {wanted}")
        p, answers = place.batch(cases)
        expect(p, 0)
        assert len(answers) == len(cases)
        for case, answer in zip(cases, answers):
            words = single[case["id"]]
            if answer != {"id": case["id"], "verdict": words[0],
                          "reason": words[1] if len(words) > 1 else None}:
                bad.append(f"batch: {answer}, but alone {words}")
    assert not bad, "\n".join(bad)
    print(f"# {name}: {len(cases)} cases, alone and in a batch")


def requests():
    vectors = load("requests.json")
    return vectors["context"], {c["id"]: c for c in vectors["cases"]}


def bad_lines_cost_themselves_only():
    context, cases = requests()
    good = cases["order-exact"]
    with Place(context) as place:
        lines = ["{", "", "[]", "7", '{"id":4}',
                 {"id": 5, "protected": 1, "payload": ""},
                 {"id": 6, "protected": good["protected"]},
                 '{"id":1,"id":2}', "\x01\x02", "x" * 600_000, good]
        p, answers = place.batch(lines)
        expect(p, 2)
        assert len(answers) == len(lines), answers
        for number, answer in enumerate(answers[:-1], 1):
            assert answer["verdict"] == "error", answer
            assert answer["reason"] == "bad-line", answer
            assert f"line {number}: " in answer["detail"], answer
        assert [a["id"] for a in answers[4:7]] == [4, 5, 6], answers
        assert answers[-1] == {"id": "order-exact", "verdict": "allowed",
                               "reason": None}
        p = place.command("check", "--batch",
                          stdin=json.dumps(good))  # no newline at the end
        expect(p, 0, '"allowed"')
        expect(place.command("check", "--batch"), 0)


def conditions_of_the_caller():
    context, cases = requests()
    order = cases["order-exact"]
    table = [
        ("Unit=web.service\nGroup=7", ["--gid", 7, "--unit", "web.service"],
         "allowed"),
        ("Unit=web.service\nGroup=7", ["--gid", 7], "denied no-rule"),
        ("Unit=web@*.service\nUser=5", ["--unit", "web@a.service"], "allowed"),
        ("Group=7 8", ["--gid", 9, "--gid", 8], "allowed"),
        ("Group=7 8", ["--gid", 9], "denied no-rule"),
        ("Socket=tenant", ["--instance", "tenant"], "allowed"),
        ("Socket=tenant", [], "denied no-rule"),
        ("User=root", [], "denied no-rule"),
    ]
    with Place(context) as place:
        for client, caller, wanted in table:
            place.rules(f"[Client]\n{client}\n[Allow]\nAccount=test\n"
                        "Domain=example.com\n")
            p = place.check(order, caller=["--uid", 5, *caller])
            assert p.stdout == wanted + "\n", f"{client} {caller}: {p.stdout}"
        place.rules("[Client]\nUser=root\n[Allow]\nAccount=test\n"
                    "Domain=example.com\n")
        expect(place.check(order, caller=["--uid", 0]), 0, "allowed")


def deny_list_of_the_settings():
    context, cases = requests()
    order = cases["order-exact"]
    with Place(context) as place:
        conf = place.dir / "guardian.conf"
        conf.write_text("[Deny]\nDomain=example.com\n")
        conf.chmod(0o644)
        expect(place.check(order), 0, "allowed")
        expect(place.check(order, "--config", place.dir), 1,
               "denied identifier-denied")
        # without --policy-dir all comes from the settings
        p = run("policy", "check", "--config", place.dir, "--account-file",
                place.account, *place.caller, "--protected",
                order["protected"], "--payload", order["payload"])
        expect(p, 1, "denied identifier-denied")
        expect(run("policy", "lint", "--config", place.dir), 1,
               "example.com is granted here, but refused by [Deny]")
        conf.write_text("[Deny]\nDomain=*.example.com\n")
        expect(place.check(order, "--config", place.dir), 78,
               "[Deny] Domain=*.example.com")
        conf.write_text("[Denied]\n")
        expect(place.check(order, "--config", place.dir), 78,
               "guardian.conf:1: unknown section")


def explain_names_the_first_condition_that_failed():
    context, cases = requests()
    policy = (RULES.replace("test", "other") + RULES.replace("1000", "1001")
              + RULES + "Domain=example.net\n" + RULES
              + "Domain=example.com\n")
    with Place(context, policy) as place:
        file = place.policy / "50-test.policy"
        p = place.check(cases["order-exact"], name="explain")
        expect(p, 0)
        assert p.stdout.splitlines() == [
            f"{file}:1: Account=other: the account is test",
            f"{file}:5: User=1001: the caller is uid 1000",
            f"{file}:9: Domain=: example.com is neither listed nor below a "
            "name in Subdomains=",
            f"{file}:14: matched",
            "allowed"], p.stdout
        p = place.check(cases["order-one-of-two"], "--json",
                        name="explain")
        expect(p, 1)
        answer = json.loads(p.stdout)
        assert answer["verdict"] == "denied", answer
        assert answer["reason"] == "identifier-not-allowed", answer
        assert [r["matched"] for r in answer["ruleSets"]] == [False] * 4
        assert answer["ruleSets"][1] == {
            "file": str(file), "line": 5, "matched": False,
            "condition": "User=1001", "why": "the caller is uid 1000"}
        bad = {"protected": "!", "payload": ""}
        expect(place.check(bad, name="explain"), 2, "malformed bad-base64url")
        expect(place.check(bad, "--json", name="explain"), 2,
               '"verdict":"malformed"', '"ruleSets":[]')


def check_in_json():
    context, cases = requests()
    with Place(context) as place:
        p = place.check(cases["order-exact"], "--json")
        expect(p, 0)
        assert json.loads(p.stdout) == {
            "verdict": "allowed", "reason": None,
            "rule": f"{place.policy}/50-test.policy:1"}, p.stdout
        p = place.check({"protected": "e30", "payload": ""}, "--json")
        expect(p, 2)
        answer = json.loads(p.stdout)
        assert answer["verdict"] == "malformed", answer
        assert answer["reason"] == "missing-member" and answer["detail"]


def lint():
    context, _ = requests()
    with Place(context) as place:
        expect(run("policy", "lint", place.policy), 0,
               "1 rule sets, 4 names, no warnings")
        place.rules(RULES.replace("1000", "61184") + "Domain=example.com\n")
        p = run("policy", "lint", place.policy)
        expect(p, 1, "50-test.policy:1: warning: User=61184 ")
        p = run("policy", "lint", place.policy, "--json")
        expect(p, 1)
        answer = json.loads(p.stdout)
        assert answer["ruleSets"] == 1 and answer["names"] == 1, answer
        assert answer["warnings"][0]["line"] == 1, answer
        place.rules(RULES + "Domain=example.com\nDomian=example.net\n")
        p = run("policy", "lint", place.policy)
        expect(p, 78, "50-test.policy:6: unknown key Domian=")
        assert p.stdout == "", p.stdout
        place.rules(RULES)
        (place.policy / "50-test.policy").chmod(0o666)
        expect(run("policy", "lint", place.policy), 78,
               "writable by its owner alone")
        expect(run("policy", "lint", place.dir / "nowhere"), 78, "nowhere: ")


def usage():
    context, cases = requests()
    order = cases["order-exact"]
    with Place(context) as place:
        expect(place.command("check"), 64, "--protected and --payload, or")
        expect(place.command("explain"), 64, "needs --protected and --payload")
        expect(place.check(order, "--batch"), 64, "--batch")
        expect(place.check(order, name="explain", caller=["--uid", 5,
                                                           "--batch"]), 64,
               "unknown option --batch")
        for uid in "-1", "4294967295", "root", "99999999999", "1x":
            expect(place.check(order, caller=[f"--uid={uid}"]), 64,
                   "--uid takes a numeric id")
        expect(place.check(order, "--gid", "web"), 64,
               "--gid takes a numeric id")
        place.account.write_text("{}")
        expect(place.check(order), 78, "account.json: missing-member")
        place.account.write_text("{" + " " * 70_000 + "}")
        expect(place.check(order), 78, "account.json: above 65536 octets")
        place.account.unlink()
        expect(place.check(order), 78, "account.json: No such file")


def main():
    check_vectors("requests.json")
    check_vectors("csr.json")
    for test in (bad_lines_cost_themselves_only, conditions_of_the_caller,
                 deny_list_of_the_settings,
                 explain_names_the_first_condition_that_failed, check_in_json,
                 lint, usage):
        test()
        print(f"# {test.__name__}")


if __name__ == "__main__":
    main()
