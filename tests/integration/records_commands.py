#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guardianctl records: against the real daemon, Pebble 2.10 and BIND."""

import contextlib
import json
import re
import sys
import time

from acme_client import Client, key_bound
from bind_lab import Bind
from draft02_adapter import Draft02Adapter
from guardianctl_lab import STRANGER_UID, World
from lab import (GUARDIANCTL, OTHER_UID, Lab, Varlink, b64url, expect,
                 run_cases)
from pebble_lab import ISSUER, Pebble

STAGING = "https://acme-staging-v02.api.letsencrypt.org"
CA = "https://ca.example"
PREFIX = f"{CA}/hash/"
NOBODY = "https://127.0.0.1:1"
LONG_CA = "https://long.example"
LONG_URL = f"{LONG_CA}/acct/" + "x" * 260


class RecordsWorld(World):
    """Accounts at CAs that are never asked, and one at a real Pebble."""

    def __init__(self, lab):
        super().__init__(lab)
        self.policy("[Client]\nUser=0\n[Allow]\nAccount=pebble draft02\n"
                    "Domain=pebble.example www.lab.example\n"
                    "Wildcard=pebble.example\nAllowSuffix=example\n")
        self.ctl("reload")
        self.account("staging", f"{STAGING}/directory", f"{STAGING}/acct/1")
        self.account("bound", f"{CA}/dir", f"{CA}/acct/2", typed=["ca.example"],
                     meta={"accountHashPrefix": PREFIX,
                           "issuerDomainNames": ["ca.example"]})
        self.account("two", "https://two.example/dir",
                     "https://two.example/acct/3",
                     typed=["one.example", "two.example", "three.example"],
                     meta={"issuerDomainNames": ["one.example",
                                                 "two.example"]})
        self.account("untyped", "https://untyped.example/dir",
                     "https://untyped.example/acct/4")
        self.account("long", f"{LONG_CA}/dir", LONG_URL, typed=["long.example"])
        # Nobody listens there, so nobody says whose account it is.
        self.account("unproven", f"{NOBODY}/dir", f"{NOBODY}/acct/5",
                     typed=["nobody.example"], proven=False)

    def call(self, method, error=None, **parameters):
        v = Varlink(self.admin)
        got, answer = v.call(f"org.acmeguardian.Admin.{method}", parameters)
        v.close()
        expect(got == (error and f"org.acmeguardian.Admin.{error}"),
               f"{method}: {got} {answer}")
        return answer

    def account(self, name, directory, url, typed=(), meta=None, proven=True):
        origin = "/".join(directory.split("/")[:3])
        self.call("AccountCreate", name=name, token="lab", alg="ES256",
                   directory=directory)
        self.call("AccountSetDirectory", name=name, endpoints={
            n: f"{origin}/{n}" for n in ("newNonce", "newAccount", "newOrder",
                                         "revokeCert", "keyChange")},
            **({"meta": full_meta(meta)} if meta else {}))
        self.call("AccountRegistered", name=name, url=url, status="valid")
        if typed:
            self.call("AccountSetIssuers", name=name, issuers=list(typed))
        if proven:
            self.prove(name)

    def prove(self, name):
        a = self.call("AccountShow", name=name)["account"]
        self.call("AccountProven", name=name, url=a["url"],
                   thumbprint=a["thumbprint"])
        return a

    def add(self, *args, **more):
        return self.json("records", "add", *args, **more)

    def clear(self):
        for r in self.json("records", "list")["records"]:
            self.ctl("records", "remove", r["account"], r["domain"],
                     "--issuer", r["issuer"])

    def listed(self, *args):
        return [r["domain"] for r in
                self.json("records", "list", *args)["records"]]

    def render(self, *args, **more):
        return self.ctl("records", "render", *args, **more)

    def rendered(self, *args):
        return json.loads(self.render("--format", "json", *args))

    def zone_file(self, name, text):
        self.lab.file(f"etc/zones.d/{name}.zone", "[Zone]\n" + text)

    def no_zones(self):
        for f in (self.etc / "zones.d").glob("*.zone"):
            f.unlink()


class GuardianKey:
    """The daemon's key, for a client that composes its own requests."""

    def __init__(self, w, account):
        self.w, self.name = w, account
        self.jwk = w.call("AccountShow", name=account)["account"]["jwk"]

    def jws(self, protected, payload):
        head = b64url(json.dumps({"alg": "ES256", **protected}).encode())
        body = "" if payload is None else b64url(json.dumps(payload).encode())
        v = Varlink(self.w.client)
        error, answer = v.call("org.acmeguardian.Signer.SignInput", {
            "account": self.name, "protected": head, "payload": body})
        v.close()
        expect(not error, f"SignInput: {error} {answer}")
        return {"protected": head, "payload": body,
                "signature": answer["signature"]}


def full_meta(meta):
    return {"externalAccountRequired": False, "issuerDomainNames": [],
            "caaIdentities": [], "profiles": [], **meta}


def test_names_as_people_write_them_have_one_form(w):
    expect(w.add("bound", "WWW.Example.COM", "faß.example", "MÜNCHEN.example.",
                 "xn--mnchen-3ya.example", "例え.テスト") ==
           {"account": "bound", "issuer": "ca.example", "staging": False,
            "added": 4, "changed": 0, "unchanged": 1}, "the umlaut is one name")
    expect(w.listed() == sorted(w.listed()) and set(w.listed()) == {
        "www.example.com", "xn--fa-hia.example", "xn--mnchen-3ya.example",
        "xn--r8jz45g.xn--zckzah"}, w.listed())
    for name in ("München.EXAMPLE", "xn--MNCHEN-3ya.example."):
        shown = w.json("records", "show", name)["records"]
        expect([r["domain"] for r in shown] == ["xn--mnchen-3ya.example"],
               shown)
        expect(w.rendered("--domain", name)[0]["owner"] ==
               "_validation-persist.xn--mnchen-3ya.example", name)
    w.ctl("records", "remove", "bound", "münchen.example")
    w.ctl("records", "show", "münchen.example", code=1, says="no record")


def test_names_that_are_none(w):
    for name in ["localhost", "example..com", ".example.com",
                 "example.com..", "-a.example", "a-.example", "a_b.example",
                 "_validation-persist.example.com", "a b.example",
                 "192.0.2.1", "2001:db8::1", "https://example.com",
                 "example.com;x", "a\nb.example", "a" * 64 + ".example",
                 ".".join(["a" * 60] * 5), "xn--a.example", "xn--0.example",
                 # What IDNA refuses: unassigned or disallowed code points,
                 # bidi, a joiner without its context, a dot by another name.
                 "☃.example", "‮abc.example", "a‍b.example",
                 "אa.example", "ⅷ.example.☃", "a․com"]:
        for args in (("records", "add", "bound", "--", name),
                     ("records", "show", "--", name),
                     ("records", "remove", "bound", "--", name),
                     ("records", "render", "--domain", name)):
            w.ctl(*args, code=2)
    w.ctl("records", "add", "bound", "*.example.com", code=2,
          says="with --wildcard")
    w.ctl("records", "add", "bound", "good.example", "bad..example", code=2,
          says="nothing was added")
    w.ctl("records", "add", "bound", ".".join(["a" * 49] * 5), code=2,
          says="too long")
    expect(w.listed() == [], "nothing is there")


def test_a_file_of_names(w):
    f = w.lab.file("names", "# ours\n\n  www.lab.example \r\nA.lab.example\n"
                   "b.lab.example")
    expect(w.add("bound", "c.lab.example", "--file", f)["added"] == 4,
           "four names")
    expect(w.add("bound", "--file", "-", stdin=f.read_text())["unchanged"] == 3,
           "the same from stdin")
    w.clear()
    w.lab.file("bad", "good.lab.example\nnot a name\n\n*.lab.example\n")
    r = w.lab.run([GUARDIANCTL, "--config", w.etc, "records", "add", "bound",
                   "--file", w.lab.dir / "bad"], ok=(2,))
    expect(f"{w.lab.dir}/bad:2: " in r.stderr and
           f"{w.lab.dir}/bad:4: " in r.stderr and
           "nothing was added" in r.stderr, r.stderr)
    expect(w.listed() == [], "not even the good one")
    w.lab.file("empty", "# nothing\n")
    w.ctl("records", "add", "bound", "--file", w.lab.dir / "empty", code=2,
          says="no name is in it")
    w.ctl("records", "add", "bound", "--file", w.lab.dir / "nowhere", code=78,
          says="nowhere")
    w.ctl("records", "add", "bound", "--file", w.lab.dir, code=78,
          says="Is a directory")
    w.ctl("records", "add", "bound", code=64, says="DOMAIN... or --file")
    many = "".join(f"not a name {i}\n" for i in range(1000))
    r = w.lab.run([GUARDIANCTL, "--config", w.etc, "records", "add", "bound",
                   "--file", "-"], stdin=many, ok=(2,))
    expect(r.stderr.count("\n") == 21 and "1000 names are bad" in r.stderr,
           r.stderr[-300:])


def test_more_names_than_a_call_takes(w):
    long = ".".join(["l" * 50] * 4)
    names = "".join(f"n{i}.{long}.example\n" for i in range(700))
    expect(w.add("bound", "--file", "-", stdin=names)["added"] == 700, "all")
    expect(len(w.listed("--account", "bound")) == 700, "all are listed")
    expect(len(w.rendered()) == 700, "all are rendered")
    out = w.ctl("records", "list")
    expect(out.count("\n") == 701 and out.startswith("DOMAIN "), out[:200])


def test_persist_until(w):
    for text, want in [("2099-01-31", 4073500800),
                       ("2099-01-31T12:00:00+01:00", 4073540400),
                       ("@4073500800", 4073500800)]:
        w.ctl("records", "add", "bound", "u.example", "--persist-until", text)
        record = w.rendered("--domain", "u.example")[0]
        expect(record["persistUntil"] == want and
               record["value"].endswith(f"; persistUntil={want}"), record)
    w.ctl("records", "add", "bound", "u.example", "--persist-until", "365d")
    until = w.rendered("--domain", "u.example")[0]["persistUntil"]
    expect(abs(until - time.time() - 365 * 86400) < 60, until)
    for text, says in [("2020-01-01", "in the past"), ("0d", "in the past"),
                       ("@1", "in the past"), ("1801353600", "takes a date"),
                       ("tomorrow", "takes a date"), ("2027-02-30", "takes"),
                       ("@253402300800", "after the year 9999")]:
        w.ctl("records", "add", "bound", "u.example", "--persist-until", text,
              code=2, says=says)
    expect(w.rendered()[0]["persistUntil"] == until, "nothing changed")


def test_an_expired_record_is_not_rendered(w):
    w.ctl("records", "add", "bound", "soon.example", "--persist-until", "1s")
    w.ctl("records", "add", "bound", "later.example")
    time.sleep(2.1)
    out = w.render(code=1, says="expired")
    expect("later.example" in out and "soon.example" not in out, out)
    expect("EXPIRED" in w.ctl("records", "list"), "the list says so")
    expect("EXPIRED" in w.ctl("records", "show", "soon.example"), "show, too")


def test_a_denied_record_is_not_rendered(w):
    w.ctl("records", "add", "bound", "deny.example", "www.deny.example",
          "other.example")
    w.call("NameDeny", domain="deny.example")
    out = w.render(code=1, says="www.deny.example is denied")
    expect("other.example" in out and "deny.example" not in out, out)
    expect("DENIED" in w.ctl("records", "show", "www.deny.example"), "shown")
    w.ctl("records", "add", "bound", "a.deny.example", code=2,
          says="names allow deny.example undoes that")
    w.call("NameAllow", domain="deny.example")
    expect(w.render().count("deny.example") == 2, "both again")


def test_the_issuer(w):
    add = ("records", "add")
    w.ctl(*add, "two", "i.example", code=2, says="one.example, two.example")
    w.ctl(*add, "two", "i.example", "--issuer", "three.example", code=2,
          says="issuer-not-offered")
    w.ctl(*add, "two", "i.example", "--issuer", "four.example", code=2,
          says="issuer-not-typed")
    w.ctl(*add, "two", "i.example", "--issuer", "no host", code=2,
          says="no domain name")
    w.ctl(*add, "two", "i.example", "--issuer", "letsencrypt.org", code=1,
          says="issuer-origin-mismatch")
    w.ctl(*add, "staging", "i.example", "--issuer", "pki.goog", code=1,
          says="issuer-origin-mismatch")
    w.ctl(*add, "untyped", "i.example", code=2, says="say --issuer")
    w.ctl(*add, "untyped", "i.example", "--issuer", "untyped.example", code=2,
          says="issuer-not-typed")
    w.ctl(*add, "nobody", "i.example", code=1, says="no such account")
    expect(w.listed() == [], "none of them")
    w.ctl(*add, "two", "i.example", "--issuer", "TWO.example")
    expect(w.add("staging", "i.example") ==
           {"account": "staging", "issuer": "letsencrypt.org", "staging": True,
            "added": 1, "changed": 0, "unchanged": 0}, "from the table")
    expect(w.add("staging", "i.example", "--wildcard")["changed"] == 1,
           "the new facts hold")
    w.ctl("records", "remove", "two", "i.example", "--issuer", "one.example",
          code=1, says="no such record")
    w.ctl("records", "remove", "two", "i.example", "--issuer", "two.example")


def test_staging_is_visible(w):
    out = w.ctl("records", "add", "staging", "s.example", "--wildcard")
    expect("STAGING" in out, out)
    for args in (("list",), ("show", "s.example"), ("render",),
                 ("render", "--format", "nsupdate")):
        out = w.ctl("records", *args)
        expect("STAGING" in out, f"{args}: {out}")
    expect(w.rendered()[0]["staging"] is True and
           w.json("records", "list")["records"][0]["staging"] is True and
           w.json("records", "show", "s.example")["records"][0]["staging"] is
           True, "in JSON, too")


def test_key_bound_values(w):
    w.ctl("records", "add", "bound", "k.example", "--wildcard")
    w.ctl("records", "add", "bound", "r.example", "--reusable")
    a = w.json("account", "show", "bound")["account"]
    got = {r["domain"]: r for r in w.rendered()}
    for name, covered in (("k.example", "k.example"), ("r.example", "*")):
        want = key_bound(PREFIX, covered, a["thumbprint"], a["url"])
        expect(got[name]["accounturi"] == want and
               got[name]["form"] == "key-bound", got[name])
    expect(got["k.example"]["value"] == "ca.example; accounturi=" +
           got["k.example"]["accounturi"] + "; policy=wildcard", got)
    plain = w.rendered("--form", "url", "--domain", "k.example")[0]
    expect(plain["accounturi"] == a["url"] and plain["form"] == "url", plain)
    # CAA always has the account's URL.
    caa = w.rendered("--caa", "--domain", "k.example")[0]["caa"]
    value = f"ca.example; accounturi={a['url']}; validationmethods=dns-persist-01"
    expect(caa == [{"owner": "k.example", "flags": 0, "tag": tag,
                    "value": value} for tag in ("issue", "issuewild")], caa)
    w.clear()
    w.ctl("records", "add", "staging", "k.example", "--reusable", code=2,
          says="accountHashPrefix")
    w.ctl("records", "add", "staging", "k.example")
    w.render("--form", "key-bound", code=2, says="accountHashPrefix")


def test_a_prefix_that_could_not_stand_in_a_record(w):
    endpoints = w.call("AccountShow", name="bound")["endpoints"]
    for bad in (f"{CA}/a;b/", f"{CA}/a b/", f"{CA}/a\tb/", "ca.example/",
                "http://ca.example/x/", f"{CA}/" + "x" * 600, ""):
        w.call("AccountSetDirectory", error="InvalidValue", name="bound",
                endpoints=endpoints, meta=full_meta(
                    {"accountHashPrefix": bad,
                     "issuerDomainNames": ["ca.example"]}))


def test_nothing_of_an_account_that_is_not_proven(w):
    w.ctl("records", "add", "unproven", "p.example", "--issuer",
          "nobody.example")
    w.ctl("records", "add", "staging", "q.example")
    for args in ((), ("--account", "unproven"), ("--domain", "p.example"),
                 ("--format", "nsupdate"), ("--format", "bind-policy"),
                 ("--caa",), ("--account", "unproven", "--form", "url")):
        out = w.render(*args, code=75,
                       says="no record of account unproven is shown")
        expect(out == "", f"{args}: {out}")
    expect("q.example" in w.render("--account", "staging"), "others are")
    out = w.ctl("records", "show", "p.example")
    expect("not shown" in out and "acct/5" not in out, out)
    w.prove("unproven")
    expect("acct/5" in w.ctl("records", "show", "p.example"), "shown now")
    expect("acct/5" in w.render(), "rendered now")
    w.call("AccountNotProven", name="unproven", reason="account-not-ours",
           text="another key")
    out = w.ctl("records", "show", "p.example")
    expect("another key (account-not-ours)" in out, out)
    expect(w.render(code=75) == "", "nor then")


def test_an_issuer_that_is_not_right_any_more(w):
    w.ctl("records", "add", "two", "o.example", "--issuer", "two.example")
    w.call("AccountSetIssuers", name="two", issuers=["one.example"])
    answer = json.loads(w.ctl("--json", "records", "render", code=1,
                              says="issuer-not-typed"))
    expect(answer["error"] == "org.acmeguardian.Admin.RecordsWithheld" and
           answer["parameters"]["account"] == "two", answer)
    expect(w.render(code=1) == "", "nothing of it")
    w.call("AccountSetIssuers", name="two",
           issuers=["one.example", "two.example", "three.example"])
    expect("o.example" in w.render(), "right again")


def test_options_that_do_not_go_together(w):
    for args, says in [
            (("render", "--format", "xml"), "--format takes zone, nsupdate"),
            (("render", "--form", "hash"), "--form takes url or key-bound"),
            (("render", "--ttl", "0"), "--ttl takes a number from 1"),
            (("render", "--ttl", "99999999"), "--ttl takes a number from 1"),
            (("render", "--json", "--format", "zone"), "--json goes with"),
            (("render", "--caa", "--format", "bind-policy"), "--caa goes with"),
            (("remove", "bound"), "needs ACCOUNT DOMAIN"),
            (("show",), "needs DOMAIN"), (("add",), "needs ACCOUNT"),
            (("list", "x"), "one argument too many")]:
        w.ctl("records", *args, code=64, says=says)
    expect(w.render() == "", "no records, no lines")
    expect(w.rendered() == [], "nor in JSON")
    w.render("--domain", "none.example", code=1, says="there is no record")
    w.render("--account", "nobody", code=1, says="no such account")
    w.ctl("records", "list", "--account", "nobody", code=1, says="no such")


def test_roles(w):
    w.ctl("records", "add", "bound", "x.example")
    w.ctl("records", "list", uid=OTHER_UID)
    w.ctl("records", "show", "x.example", uid=OTHER_UID)
    w.render(uid=OTHER_UID)
    for args in (("add", "bound", "y.example"),
                 ("remove", "bound", "x.example")):
        w.ctl("records", *args, uid=OTHER_UID, code=77,
              says="needs the role: admin")


def test_without_daemon_or_role(w):
    for args in (("add", "bound", "x.example"), ("list",),
                 ("show", "x.example"), ("remove", "bound", "x.example"),
                 ("render",), ("render", "--caa")):
        w.ctl("records", *args, "--admin-socket", w.lab.dir / "none", code=69,
              says="nobody listens there")
        w.ctl("records", *args, uid=STRANGER_UID, code=77,
              says="not permitted")


def test_a_bad_zone_file_is_78(w):
    w.zone_file("bad.example", "Publisher=carrier-pigeon\n")
    w.render(code=78, says="bad.example.zone:2: ")
    w.no_zones()


# What DNS servers make of it.

def load(w, name, records):
    """named-checkzone's own reading of the records in a zone."""
    f = w.lab.file(f"{name}.db", f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns.{name}. "
                   f"root.{name}. 1 2 3 4 5\n@ NS ns.{name}.\nns A 192.0.2.1\n"
                   f"$ORIGIN elsewhere.example.\n{records}")
    return w.lab.run(["named-checkzone", "-i", "local", "-D", name, f]).stdout


def test_named_reads_what_was_rendered(w):
    w.ctl("records", "add", "bound", "www.zone.example", "--wildcard",
          "--persist-until", "2099-01-01")
    w.ctl("records", "add", "long", "zone.example", "www.zone.example",
          "bücher.zone.example")
    w.ctl("records", "add", "staging", "www.zone.example")
    read = load(w, "zone.example", w.render("--caa", "--ttl", "77"))
    read = re.sub(r"[ \t]+", " ", read)
    expect(" 77 IN" in read, read)
    for r in w.rendered("--caa"):
        found = [txt_value(l) for l in read.splitlines()
                 if l.startswith(f"{r['owner']}.") and "TXT" in l]
        expect(r["value"] in found, f"{r}: {found}")
        expect(r["strings"] == [r["value"][i:i + 255] for i in
                                range(0, len(r["value"]), 255)], r)
        for c in r["caa"]:
            expect(f'CAA 0 {c["tag"]} "{c["value"]}"' in read, f"{c}: {read}")
    expect(any(len(r["strings"]) == 2 for r in w.rendered()), "a long one")


def txt_value(line):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', line)).replace("\\;", ";")


def nsupdate(w, bind, key, script):
    algorithm, secret = bind.keys[key]
    return w.lab.run(["nsupdate", "-y", f"{algorithm}:{key}:{secret}"],
                     stdin=script, ok=None)


def test_bind_takes_policy_and_updates(w):
    """One grant per owner name, and nothing more than that."""
    bind = Bind(w.lab, "ns-plain")
    secret = bind.key("guardian")
    w.lab.file("tsig", secret + "\n", 0, 0o600)
    w.zone_file("plain.example", "Publisher=rfc2136\nTsigName=guardian\n"
                f"TsigKey=file:{w.lab.dir}/tsig\nTTL=123\n"
                f"Server={bind.address}\n")
    w.ctl("records", "add", "bound", "plain.example", "www.plain.example")
    w.ctl("records", "add", "long", "www.plain.example")
    policy = w.render("--format", "bind-policy")
    expect(policy.count("grant guardian name") == 2, policy)
    bind.zone("plain.example", policy=policy.splitlines())
    bind.start()
    script = w.render("--format", "nsupdate")
    r = nsupdate(w, bind, "guardian", script)
    expect(r.returncode == 0, f"{script}: {r.stderr}")
    for record in w.rendered():
        found = [txt_value(l) for l in bind.dig(record["owner"])]
        expect(record["value"] in found, f"{record}: {found}")
    expect(bind.ttl("_validation-persist.www.plain.example") == {123}, "TTL=")
    for name in ("www.plain.example", "_validation-persist.a.plain.example"):
        r = nsupdate(w, bind, "guardian", f"server 127.0.0.1 {bind.port}\n"
                     f"zone plain.example\nupdate add {name}. 1 TXT x\nsend\n")
        expect("REFUSED" in r.stderr, f"{name}: {r.stderr}")
    w.ctl("records", "add", "bound", "nowhere.example")
    out = w.render("--format", "bind-policy", says="no key to grant")
    expect(out == policy, out)
    w.render("--format", "bind-policy", "--domain", "nowhere.example", code=1,
             says="no key to grant")
    bind.stop()


def test_bind_takes_the_alias_zone(w):
    bind = Bind(w.lab, "ns-alias")
    secret = bind.key("alias-key", "hmac-sha512")
    w.lab.file("tsig", secret + "\n", 0, 0o600)
    w.zone_file("aliased.example", "Publisher=rfc2136\nTsigName=alias-key\n"
                f"TsigKey=file:{w.lab.dir}/tsig\nTsigAlgorithm=hmac-sha512\n"
                f"Server={bind.address}\nAliasZone=acme.test\n")
    w.ctl("records", "add", "bound", "aliased.example", "www.aliased.example")
    w.ctl("records", "add", "long", "aliased.example")
    policy = w.render("--format", "bind-policy").splitlines()
    cnames = [l.removeprefix("// ") for l in policy if " IN CNAME " in l]
    grants = [l for l in policy if not l.startswith("//")]
    expect(len(cnames) == 2 and grants == ["grant alias-key zonesub TXT;"],
           policy)
    zone = w.render()
    expect(all(c in zone for c in cnames) and zone.count("CNAME") == 2, zone)
    bind.zone("aliased.example", cnames)
    bind.zone("acme.test", policy=grants)
    bind.start()
    script = w.render("--format", "nsupdate")
    r = nsupdate(w, bind, "alias-key", script)
    expect(r.returncode == 0, f"{script}: {r.stderr}")
    for record in w.rendered():
        expect(bind.dig(record["owner"], "CNAME") == [f"{record['cname']}."],
               record)
        found = [txt_value(l) for l in bind.dig(record["cname"])]
        expect(record["value"] in found, f"{record}: {found}")
    bind.stop()


def test_pebble_accepts_what_was_rendered(w):
    bind = Bind(w.lab, "ns-pebble")
    ca = Pebble(w.lab, bind.address)
    w.ctl("account", "create", "pebble", "--token", "lab", "--directory",
          ca.directory_url)
    w.ctl("account", "register", "pebble", "--agree-terms", "--ca-file",
          ca.ca_file)
    w.call("AccountSetIssuers", name="pebble", issuers=[ISSUER])
    w.ctl("records", "add", "pebble", "pebble.example", "--wildcard",
          "--persist-until", "1d")
    render = ("--domain", "pebble.example", "--ca-file", ca.ca_file)
    expect(w.render(*render[:2], code=69) == "", "a CA that is not trusted")
    zone = w.render(*render)
    expect(w.render() == zone, "proven by now")
    bind.zone("pebble.example", zone.splitlines())
    bind.start()
    client = Client(ca.directory_url, ca.ca_file, GuardianKey(w, "pebble"))
    client.url = w.call("AccountShow", name="pebble")["account"]["url"]
    for name in ("pebble.example", "*.pebble.example"):
        order = client.order(name)
        done = client.validate(client.authorizations(order)[0])
        expect(done["status"] == "valid", f"{name}: {done}")
    # A Pebble that was started again knows nobody.
    ca.stop()
    ca.start()
    w.call("AccountNotProven", name="pebble", reason="test", text="test")
    expect(w.render(*render, code=1, says="account-not-ours") == "", "nothing")
    bind.stop()


def test_key_bound_records_as_draft_02_has_them(w):
    """No public CA serves them: the adapter checks the hash by itself."""
    bind = Bind(w.lab, "ns-draft02")
    with contextlib.closing(Draft02Adapter(w.lab, bind.address)) as ca:
        w.ctl("account", "create", "draft02", "--token", "lab", "--directory",
              ca.url("/dir"))
        w.ctl("account", "register", "draft02", "--agree-terms", "--ca-file",
              ca.ca_file)
        w.ctl("account", "issuers", "draft02", ISSUER)
        w.ctl("records", "add", "draft02", "pebble.example", "--wildcard")
        w.ctl("records", "add", "draft02", "www.lab.example", "--reusable")
        zone = w.render("--account", "draft02", "--ca-file", ca.ca_file)
        expect(ca.prefix in zone and w.rendered()[0]["form"] == "key-bound",
               zone)
        for name in ("pebble.example", "lab.example"):
            bind.zone(name, [l for l in zone.splitlines() if name in l])
        bind.start()
        client = Client(ca.url("/dir"), ca.ca_file, GuardianKey(w, "draft02"))
        client.url = w.call("AccountShow", name="draft02")["account"]["url"]
        for name in ("pebble.example", "*.pebble.example", "www.lab.example"):
            order = client.order(name)
            done = client.validate(client.authorizations(order)[0])
            expect(done["status"] == "valid", f"{name}: {done}")
        bind.stop()


def fresh(case):
    """The case, without what the one before left behind."""
    def run(w):
        w.clear()
        w.no_zones()
        case(w)

    run.__name__ = case.__name__
    return run


def main():
    with Lab("records") as lab:
        world = RecordsWorld(lab)
        status = run_cases([fresh(v) for k, v in globals().items()
                            if k.startswith("test_")], world)
        if status:
            raise SystemExit(status)
    return 0


if __name__ == "__main__":
    sys.exit(main())
