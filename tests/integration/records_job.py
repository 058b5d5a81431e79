#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""From records to DNS and back: publish, check, audit, revoke and handover, at
real BINDs in both documented set-ups, with Pebble as the judge of records that
name an account's URL, and draft 02 in front of it for key-bound ones."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import time

from accounts_lab import World
from acme_client import NotValid
from bind_lab import Bind
from draft02_adapter import Draft02Adapter
from guardian_key import Denied, guardian_client
from lab import GUARDIANCTL, Lab, Varlink, expect, free_port, run_cases
from pebble_lab import ISSUER, Pebble

LABEL = "_validation-persist"
FOREIGN = f"{ISSUER}; accounturi=https://localhost/my-account/foreign"
GONE = 1000000000


def owner(domain):
    return f"{LABEL}.{domain}"


def grant(key, domain):
    return f"grant {key} name {owner(domain)}. TXT;"


class Cases:
    def __init__(self, lab):
        self.lab = lab
        self.bind = Bind(lab, "ns1")
        self.key = self.bind.key("persist")
        self.zones()
        self.bind.start()
        self.w = World(lab)
        self.ca = ("--ca-file", lab.tls() / "ca.pem")
        # A CA's resolver follows CNAMEs; this one remembers for a second.
        self.resolver = Bind(lab, "resolver", options=[
            "recursion yes;", "max-cache-ttl 0;", "max-ncache-ttl 0;",
            "empty-zones-enable no;"])
        for zone in self.bind.zones:
            self.resolver.forward(zone, self.bind)
        self.resolver.start()
        self.pebble = Pebble(lab, self.resolver.address, authz_reuse=100,
                             nonce_reject=10)
        self.adapter = Draft02Adapter(lab, self.resolver.address,
                                      authz_reuse=100)
        for name, ca in (("url", self.pebble), ("bound", self.adapter)):
            self.w.registered(name, ca)
            self.w.ctl("account", "directory", name, *self.ca)
            self.w.ctl("account", "issuers", name, ISSUER)
        for path, zone, more in (
                ("one.test", "one.test", ""),
                ("two.test", "two.test", "AliasZone=persist.test\n"),
                ("three.test", "three.test", "")):
            self.zone_file(path, zone, more)
        self.zone_file("persist.test", "persist.test", publisher="manual")
        for name in ("manual.test", "audit.test"):
            self.zone_file(name, name, publisher="manual")
        lab.file("etc/policy.d/root.policy",
                 "[Client]\nUser=root\n[Allow]\nAccount=url bound\n"
                 "AllowSuffix=test\nSubdomains=one.test two.test three.test\n"
                 "Domain=one.test two.test three.test\n"
                 "Wildcard=one.test two.test three.test wild.one.test "
                 "wild.two.test\n")
        self.w.ctl("reload")

    # Zones.

    def zones(self):
        b = self.bind
        names = [f"{x}{d}" for d in ("one.test", "three.test")
                 for x in ("", "www.", "wild.", "a.", "b.", "c.", "late.")]
        for zone in ("one.test", "three.test"):
            b.zone(zone, ['@ CAA 0 issue "ca.lab.example"',
                          'www CAA 0 issue "other.example"'],
                   policy=[grant("persist", n) for n in names
                           if n.endswith(zone)])
        b.zone("two.test", [
            f"{LABEL}{x} CNAME {y}two.test.persist.test."
            for x, y in (("", ""), (".www", "www."), (".wild", "wild."))])
        b.zone("persist.test", policy=["grant persist zonesub TXT;"])
        b.zone("manual.test", policy=["grant persist zonesub TXT;"])
        b.zone("audit.test", policy=["grant persist zonesub TXT;"])

    def zone_file(self, path, zone, more="", publisher="rfc2136", server=None,
                  servers=None):
        file = self.lab.file("tsig", self.key + "\n", 0, 0o600)
        text = f"[Zone]\nName={zone}\nServers={servers or self.bind.address}\n"
        if publisher == "rfc2136":
            text += (f"Publisher=rfc2136\nServer={server or self.bind.address}\n"
                     f"TsigName=persist\nTsigKey=file:{file}\n")
        self.lab.file(f"etc/zones.d/{path}.zone", text + more)

    def hand(self, zone, *records):
        self.bind.add("persist", zone, *records)

    # Commands.

    def ctl(self, *args, **more):
        return self.w.ctl("records", *args, **more)

    def ca_ctl(self, *args, **more):
        return self.w.ctl("records", *args, *self.ca, **more)

    def lines(self, *args, code=0):
        r = self.w.run("--json", "records", *args)
        expect(r.returncode == code, f"{args}: {r.returncode}, not {code}: "
               f"{r.stdout}{r.stderr}")
        return [json.loads(l) for l in r.stdout.splitlines()]

    def found(self, *domains, code=1):
        """{(code, name), ...} of what audit finds."""
        args = [x for d in domains for x in ("--domain", d)]
        return {(f["code"], f["name"]) for f in
                self.lines("audit", *args, code=code) if "code" in f}

    def admin(self, method, **parameters):
        error, answer = Varlink(self.w.admin).call(
            f"org.acmeguardian.Admin.{method}", parameters)
        expect(not error, f"{method}: {error} {answer}")
        return answer

    def denied(self):
        return {n["domain"] for n in self.admin("NameDenied")["names"]}

    def kept(self, domain):
        return self.admin("RecordList", domain=domain)["records"]

    def each(self, case):
        """In a world without records, whatever the case before left."""
        def run():
            self.forget()
            case()
        run.__name__ = case.__name__
        return run

    def forget(self):
        for r in self.admin("RecordList")["records"]:
            self.admin("RecordRemove", account=r["account"], domain=r["domain"])
        for name in self.denied():
            self.admin("NameAllow", domain=name)

    # The whole way, for each form and set-up.

    def job(self, account, ca, zone, shown):
        """@shown: a part of the values"""
        www, wild = f"www.{zone}", f"wild.{zone}"
        self.ctl("add", account, zone, www)
        self.ctl("add", account, wild, "--wildcard", "--persist-until", "90d")
        filters = ("--account", account)
        self.ca_ctl("check", *filters, code=1, says=[
            f"found    {www}", "no-record", "to do: guardianctl records publish",
            "0 ok, 3 found, 0 unknown"])
        out = self.ca_ctl("publish", *filters, "--dry-run")
        expect(out.count("add ") == 3 and shown in out and
               "3 to change" in out, out)
        expect(self.bind.dig(owner(www)) in ([], [f"{www}.persist.test."]),
               "a dry run changes nothing")
        self.ca_ctl("publish", *filters, says="3 done, 0 by hand, 0 not made")
        self.ca_ctl("publish", *filters, says="nothing to do: 3 as wanted")
        self.ca_ctl("check", *filters, says=[f"ok       {www}", "3 ok, 0 found"])
        time.sleep(1.1)
        client = guardian_client(self.w, account, ca)
        self.issue(account, www, says="valid until")
        expect("CERTIFICATE" in client.issue(www), "issued")
        expect("CERTIFICATE" in client.issue(f"*.{wild}", wild, zone), "issued")
        order = client.order(www)
        expect(client.authorizations(order)[0]["status"] == "valid",
               "the CA would use it again")
        self.revoke(account, client, www)
        self.revoke(account, client, wild, wildcard=True)
        self.ca_ctl("check", *filters, says="1 ok, 0 found, 0 unknown")
        self.forget()

    def issue(self, account, domain, **more):
        self.w.ctl("issue", "--account", account, "--domain", domain,
                   "--key-out", self.lab.dir / "key.pem", "--out",
                   self.lab.dir / "chain.pem", "--resolver",
                   self.resolver.address, *self.ca, **more)

    def revoke(self, account, client, domain, wildcard=False):
        out = self.ca_ctl("revoke", domain, "--yes", "--wait", 20)
        expect([l.split()[:2] for l in out.splitlines() if
                not l.startswith("done       remove")] == [
                    ["done", x] for x in ("deny", "unpublish", "gone", "caches",
                                          "authorizations", "forget")], out)
        ended = int(re.search(r"(\d+) were ended", out)[1])
        expect(ended >= (2 if wildcard else 1), out)
        expect(re.search(r"until 20\d\d-\d\d-\d\dT\S+Z", out), out)
        expect(not any("accounturi" in l for l in self.bind.dig(owner(domain))),
               "gone from DNS")
        expect(domain in self.denied() and not self.kept(domain), "and here")
        self.ca_ctl("check", "--domain", domain, code=1, says="no record")
        try:
            client.order(domain)
        except Denied as e:
            expect("denied" in str(e), str(e))
        else:
            expect(False, "the daemon refuses")
        self.issue(account, domain, code=1, says="denied")
        # Once more: all is done.
        self.ca_ctl("revoke", domain, "--yes", says="no account here has")
        # And the CA itself, if the daemon did not.
        self.admin("NameAllow", domain=domain)
        time.sleep(1.1)
        self.issue(account, domain, code=1, says="no-record")
        for name in (domain, f"*.{domain}") if wildcard else (domain,):
            authz = client.authorizations(client.order(name))[0]
            expect(authz["status"] == "pending", f"{name}: none is left")
            got = client.validate(authz)
            expect(got["status"] == "invalid",
                   f"{name}: the CA refuses: {got}")
        try:
            client.issue(domain)
        except NotValid as e:
            expect(e.kind == "unauthorized", str(e))
        self.admin("NameDeny", domain=domain)

    def test_a_grant_for_each_owner(self):
        self.job("url", self.pebble, "one.test",
                 self.w.account("url")["url"])

    def test_a_cname_into_one_zone(self):
        self.job("url", self.pebble, "two.test", "two.test.persist.test. ")

    def test_key_bound_with_grants(self):
        self.job("bound", self.adapter, "one.test", "sha-256/")

    def test_key_bound_with_cnames(self):
        self.job("bound", self.adapter, "two.test", "sha-256/")

    # Publishing.

    def test_only_our_own_values_are_replaced(self):
        self.hand("three.test", f'add {owner("a.three.test")} 60 TXT "{FOREIGN}"')
        self.ctl("add", "url", "a.three.test")
        self.ca_ctl("publish", "--domain", "a.three.test", says="1 done")
        self.ctl("add", "url", "a.three.test", "--wildcard")
        out = self.ca_ctl("publish", "--domain", "a.three.test", says="2 done")
        expect(len(re.findall("^done +(add|remove)", out, re.M)) == 2, out)
        url = self.w.account("url")["url"]
        expect(self.bind.dig(owner("a.three.test")) == sorted([
            f'"{FOREIGN}"', f'"{ISSUER}; accounturi={url}; policy=wildcard"']),
            self.bind.dig(owner("a.three.test")))
        self.ca_ctl("publish", "--domain", "nothing.test", code=1,
                    says="no record")
        plan = self.w.json("records", "publish", *self.ca)
        expect(plan["changes"] == [] and plan["unchanged"] == 1, str(plan))

    def test_old_values_stay_until_the_new_ones_are_seen(self):
        url = self.w.account("bound")["url"]
        old = f"{ISSUER}; accounturi={url}"
        name = owner("b.three.test")
        self.hand("three.test", f'add {name} 60 TXT "{old}"')
        self.ctl("add", "bound", "b.three.test")
        self.ca_ctl("publish", "--remove-old", code=75, says="old values stay")
        self.ca_ctl("publish", says="1 done")
        expect(len(self.bind.dig(name)) == 2, "make before break")
        self.ca_ctl("publish", says="nothing to do")
        expect(("other-form", "b.three.test") in self.found(), "audited")
        self.ca_ctl("publish", "--remove-old", says=["remove", "1 done"])
        left = self.bind.dig(name)
        expect(len(left) == 1 and "sha-256/" in left[0], left)

    def test_a_denied_name_is_not_published(self):
        self.ctl("add", "url", "a.three.test", "x.b.three.test", "c.three.test")
        self.ca_ctl("publish", "--domain", "c.three.test")
        for name in ("b.three.test", "c.three.test"):
            self.admin("NameDeny", domain=name)
        out = self.ca_ctl("publish", code=1, says=[
            "x.b.three.test: it is denied", "c.three.test: it is denied",
            "0 not made, 0 as wanted"])
        expect(self.bind.dig(owner("a.three.test")) and
               not self.bind.dig(owner("x.b.three.test")) and
               self.bind.dig(owner("c.three.test")), out)
        self.ca_ctl("publish", "--dry-run", "--domain", "x.b.three.test",
                    code=1, says="denied")
        self.ca_ctl("publish", "--remove-old", code=1, says="nothing to do")
        self.ca_ctl("revoke", "c.three.test", "--yes")
        expect(not self.bind.dig(owner("c.three.test")), "revoked")

    def test_by_hand_is_left_to_a_person(self):
        self.ctl("add", "url", "x.manual.test")
        out = self.ca_ctl("publish", code=1, says=["by hand", "1 by hand"])
        line = re.search(r"add (\S+ \d+) IN (TXT .*)", out)
        self.hand("manual.test", f"add {line[1]} {line[2]}")
        self.ca_ctl("publish", says="nothing to do")
        self.ca_ctl("check", says="1 ok")
        out = self.ca_ctl("revoke", "x.manual.test", "--yes", code=1, says=[
            "by-hand  unpublish", "still has it", "see to what is left"])
        expect(len(self.kept("x.manual.test")) == 1, "kept until all is done")
        line = re.search(r"remove (\S+) \d+ IN (TXT .*)", out)
        self.hand("manual.test", f"delete {line[1]} {line[2]}")
        self.ca_ctl("revoke", "x.manual.test", "--yes",
                    says="done     forget")

    def test_a_server_that_refuses_says_which_half_was_made(self):
        self.ctl("add", "url", "c.three.test", "other.three.test")
        out = self.ca_ctl("publish", code=75, says="which half")
        expect(re.search(r"^done +add _validation-persist.c.three", out, re.M)
               and re.search(r"^NOT MADE +add _validation-persist.other", out,
                             re.M) and "REFUSED" in out, out)
        self.forget()

    def test_a_hook_is_another_way(self):
        log = self.lab.file("hooked", "", 65534, 0o600)
        hook = self.lab.file("hook", "#!/bin/sh\necho $1 $2 $(cat) >> "
                             f"{log}\n", 0, 0o755)
        self.zone_file("hook.test", "hook.test", publisher="hook",
                       more=f"Publisher=hook\nHook={hook}\nHookUser=nobody\n")
        self.ctl("add", "url", "x.hook.test")
        self.ca_ctl("publish", says="1 done")
        expect(log.read_text().startswith(
            f"add {owner('x.hook.test')} {ISSUER}; accounturi="),
            log.read_text())
        self.lab.file("hook", "#!/bin/sh\nexit 75\n", 0, 0o755)
        self.ca_ctl("publish", code=75, says=["later", "which half"])

    # Checking.

    def test_what_a_ca_would_find(self):
        self.ctl("add", "url", "late.three.test", "--wildcard")
        name, url = owner("late.three.test"), self.w.account("url")["url"]
        ours = f"{ISSUER}; accounturi={url}"
        for value, reason in (
                (FOREIGN, "other-account"), (ours, "no-wildcard-policy"),
                ("b.example; accounturi=" + url, "other-issuer"),
                (ours + f"; policy=wildcard; persistUntil={GONE}", "expired"),
                (ours + "; policy=wildcard; x", "no-equals-sign")):
            self.hand("three.test", f"delete {name} TXT",
                      f'add {name} 60 TXT "{value}"')
            row = self.lines("check", *map(str, self.ca), code=1)[0]
            expect(row["verdict"] == "found" and row["advice"] and
                   row["servers"][0]["reason"] == reason, f"{reason}: {row}")
        self.hand("three.test", f"delete {name} TXT")

    def test_silent_servers_are_unknown_and_others_disagree(self):
        self.ctl("add", "url", "www.three.test")
        dead = f"127.0.0.1:{free_port()}"
        self.ca_ctl("publish", says="1 done")
        self.zone_file("three.test", "three.test",
                       servers=f"{self.bind.address} {dead}")
        self.ca_ctl("check", code=3, says=["unknown  www.three.test",
                                           f"{dead}: unreachable",
                                           "Servers=", "1 unknown"])
        second = Bind(self.lab, "ns2")
        second.zone("three.test")
        second.start()
        self.zone_file("three.test", "three.test",
                       servers=f"{self.bind.address} {second.address}")
        self.ca_ctl("check", code=1, says=["found    www.three.test",
                                           "have different records"])
        second.stop()
        # What is published stays until the silent server can be asked.
        self.zone_file("three.test", "three.test",
                       servers=f"{self.bind.address} {dead}")
        self.ca_ctl("revoke", "www.three.test", "--yes", "--wait", 1, code=75,
                    says=["left     gone", "does not tell", "left     forget"])
        expect(self.kept("www.three.test"), "the record stays")
        self.zone_file("three.test", "three.test")
        self.ca_ctl("revoke", "www.three.test", "--yes",
                    says=["gone before this run", "done     forget"])

    def test_a_bar_on_a_terminal_alone(self):
        self.ctl("add", "url", *[f"n{i}.audit.test" for i in range(30)])
        master, slave = pty.openpty()
        r = subprocess.run(
            [GUARDIANCTL, "--config", self.w.etc, "records", "check",
             *map(str, self.ca)], stdout=subprocess.PIPE, stderr=slave,
            timeout=60, check=False)
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):
            while part := os.read(master, 65536):
                seen += part
        os.close(master)
        expect(b"looking up [" in seen and b" of 30" in seen, seen)
        expect(r.returncode == 1 and b"\r" not in r.stdout and
               b"\x1b" not in r.stdout, r.stdout)

    def test_an_account_that_cannot_be_proven_is_found(self):
        self.ctl("add", "url", "www.one.test")
        self.ctl("add", "bound", "www.two.test")
        self.ca_ctl("publish", says="2 done")
        a = self.w.account("url")
        self.admin("AccountNotProven", name="url", reason="account-not-ours",
                   text="test")
        self.pebble.stop()
        self.ca_ctl("check", code=3, says=["1 ok, 0 found, 1 unknown"])
        self.pebble.start()     # which knows nobody now
        self.ca_ctl("check", code=1, says=["account-not-ours",
                                           "1 ok, 1 found, 0 unknown"])
        self.ca_ctl("publish", code=1, says="account-not-ours")
        self.w.ctl("account", "show", "url")
        expect(a["url"] == self.w.account("url")["url"], "nothing else changed")
        self.ca_ctl("revoke", "www.one.test", "--yes", code=75,
                    says=["accountDoesNotExist", "left     forget"])
        self.forget()

    # Auditing.

    def test_audit(self):
        url = self.w.account("bound")["url"]
        ours = f"{ISSUER}; accounturi={self.w.account('url')['url']}"
        soon = int(time.time()) + 86400
        prefix = self.adapter.prefix
        zone = {
            "foreign": FOREIGN, "expired": f"{ours}; persistUntil={GONE}",
            "expiring": f"{ours}; persistUntil={soon}",
            "wider": f"{ours}; policy=wildcard", "elsewhere":
            "b.example; accounturi=https://b.example/1",
            "hash": f"{ISSUER}; accounturi={prefix}sha-256/" + "A" * 43,
            "malformed": f"{ISSUER}; accounturi", "leftover": ours,
            "form": f"{ISSUER}; accounturi={url}", "fine": ours,
        }
        self.hand("audit.test", *[
            f'add {owner(n)}.audit.test 60 TXT "{v}"' for n, v in zone.items()],
            f'add _acme-persist.old.audit.test 60 TXT "{ours}"')
        names = [f"{n}.audit.test" for n in
                 ("expired", "expiring", "wider", "fine", "missing", "denied")]
        self.ctl("add", "url", *names)
        self.ctl("add", "bound", "form.audit.test")
        self.admin("NameDeny", domain="denied.audit.test")
        asked = [f"{n}.audit.test" for n in zone] + ["old.audit.test"]
        want = {("foreign-account", "foreign"), ("expired", "expired"),
                ("expiring", "expiring"), ("wildcard-wider", "wider"),
                ("other-issuer", "elsewhere"), ("unknown-hash", "hash"),
                ("malformed", "malformed"), ("no-record-here", "leftover"),
                ("other-form", "form"), ("old-label", "old"),
                ("not-published", "missing"), ("not-published", "denied"),
                ("denied-name", "denied")}
        want = {(c, f"{n}.audit.test") for c, n in want}
        got = self.found(*asked)
        expect(got == want, f"missing {want - got}, extra {got - want}")
        out = self.ctl("audit", "--domain", "foreign.audit.test", code=1)
        line = next(l for l in out.splitlines() if "foreign-account" in l)
        expect(line.startswith("error    foreign.audit.test") and
               "to do: " in line and "my-account/foreign" in line, line)
        out = self.ctl("audit", "--expiring", "1h", code=1)
        expect("expiring" not in out.replace("expiring.audit.test", ""), out)
        self.forget()
        self.ctl("audit", says="0 names: 0 found, 0 unknown")
        self.ctl("audit", "--domain", "nothing.audit.test")
        self.zone_file("gone.test", "gone.test", publisher="manual",
                       servers=f"127.0.0.1:{free_port()}")
        self.ctl("audit", "--domain", "x.gone.test", code=3,
                 says="cannot be reached")

    # Handover.

    def test_handover(self):
        self.ctl("add", "url", "www.one.test")
        self.ctl("add", "url", "one.test", "--wildcard")
        self.hand("one.test", f'add {owner("www.one.test")} 60 TXT "{FOREIGN}"')
        out = self.ctl("handover", "www.one.test", code=1)
        for says in ("www.one.test  url", "one.test  url", "not ours",
                     "my-account/foreign", "other.example", "other-issuer",
                     "root.policy", "Subdomains  one.test",
                     "not known here"):
            expect(says in out, f"{says}: {out}")
        report = self.lines("handover", "one.test", code=1)[0]
        expect([m["reason"] for m in report["caaMeaning"]] == ["allowed"],
               str(report))
        expect({p["key"] for p in report["policies"]} ==
               {"Domain", "Subdomains", "Wildcard"}, str(report["policies"]))
        self.hand("one.test", f"delete {owner('www.one.test')} TXT")
        self.forget()
        self.ctl("handover", "nobody.audit.test", code=3,
                 says=["records here", "none", "what servers did not tell"])

    def test_usage(self):
        self.ctl("revoke", "www.one.test", code=64, says="--yes")
        self.ctl("revoke", "*.one.test", "--yes", code=2, says="--wildcard")
        self.ctl("audit", "--expiring", "soon", code=2, says="--expiring")
        self.ctl("check", "--domain", "a b", code=2, says="no domain")


def main():
    with Lab("records-job") as lab:
        cases = Cases(lab)
        only = sys.argv[1:]
        return run_cases([
            cases.each(getattr(cases, n)) for n in Cases.__dict__ if n.startswith("test_")
            and (not only or any(x in n for x in only))])


if __name__ == "__main__":
    sys.exit(main())
