#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""account adopt: accounts that other clients registered, from their own files.

After each: the CA has a key of the token's, the old key signs nothing that it
takes, and the account's URL is the same."""

import base64
import hashlib
import json
import os
import subprocess
import sys

from acme_client import Key
from adopt_lab import Clients, WebRoot, provider_conf
from https_peer import Answer
from lab import GUARDIANCTL, expect
from pebble_lab import Pebble, TxtServer
from rotation_lab import Cut, KeyChangeRelay, RotationWorld, run

STUB = "-----BEGIN ACME GUARDIAN ACCOUNT-----"
RETIRED = "This account's key is in acme-guardian now"
ASIDE = ".acme-guardian-old"


class AdoptCases:
    def __init__(self, lab):
        self.lab, self.w = lab, RotationWorld(lab)
        self.dns, self.web = TxtServer(lab), WebRoot(lab)
        self.pebble = Pebble(lab, self.dns.address, http_port=self.web.port)
        self.ca = self.pebble
        self.clients = Clients(lab, self.pebble, self.web)
        self.conf = provider_conf(lab)
        self.n = 0

    def name(self):
        self.n += 1
        return f"a{self.n}"

    def argv(self, name, kind, path, *more):
        return ["account", "adopt", name, path, "--from", kind, "--token",
                "lab", "--cache-time", "0", *self.w.ca, *more]

    def adopt(self, name, kind, path, *more, **how):
        return self.w.ctl(*self.argv(name, kind, path, *more), **how)

    def adopted(self, name, f, key):
        """@key was the client's."""
        w, c = self.w, self.clients
        w.ctl("account", "prove", name, *w.ca)
        a = w.account(name)
        expect(a["status"] == "valid" and a["url"] == f.url, str(a))
        expect(a["thumbprint"] != key.thumbprint, "a new key")
        expect(f"{name}:{a['generation']}" in w.keys_on_token(),
               str(w.keys_on_token()))
        expect(c.knows(key) is None, "the CA does not know the old key")
        expect(c.refuses(key, f.url), "the CA does not take the old key")
        return a

    def untouched(self, f, key, before):
        expect(f.key_file.read_bytes() == before, "its key's file is the same")
        expect(self.clients.knows(key) == f.url, "its key goes on")

    def owned(self, path, f, mode=None):
        st = os.lstat(path)
        expect(st.st_uid == f.uid and (mode is None or
                                       st.st_mode & 0o777 == mode),
               f"{path}: {st}")
        left = [p for p in path.parent.iterdir() if "guardianctl-new" in p.name]
        expect(not left, str(left))

    def with_stub(self, kind, f, *more):
        name, key = self.name(), f.key()
        mode = f.key_file.stat().st_mode & 0o777
        self.adopt(name, kind, f.path, "--install-stub", *more,
                   says=["adopted", f.url, key.thumbprint])
        a = self.adopted(name, f, key)
        text = f.key_file.read_text()
        expect(text.startswith(STUB) or STUB in text, text)
        expect("PRIVATE" not in text, text)
        self.owned(f.key_file, f, mode)
        listed = (self.w.etc / f"stubs.d/{name}.stubs").read_text()
        expect(f"Path={f.key_file}\n" in listed, listed)
        # Again: nothing changes.
        self.adopt(name, kind, f.path, "--install-stub", *more, says="adopted")
        expect(f.key_file.read_text() == text, "the same stub")
        expect(self.w.account(name) == a, "the same account")
        return name, a


class Cases(AdoptCases):
    # Clients that go on with a stub.

    def test_dehydrated_goes_on_with_a_stub(self):
        f = self.clients.dehydrated()
        before = (f.key_file.parent / "account_id.json").read_text()
        self.with_stub("dehydrated", f)
        expect((f.key_file.parent / "account_id.json").read_text() == before,
               "its account's URL is the same")
        expect(not (f.path / "lock").exists(), "its lock is given back")

    def test_acme_sh_knows_the_stub_as_its_key(self):
        f = self.clients.acme_sh()
        self.with_stub("acme.sh", f)
        digest = base64.b64encode(hashlib.sha256(
            f.key_file.read_bytes()).digest()).decode()
        expect(f"CA_KEY_HASH='{digest}'\n" in f.conf.read_text(),
               f.conf.read_text())
        expect(f"ACCOUNT_URL='{f.url}'\n" in f.conf.read_text(), "the rest")
        self.owned(f.conf, f, 0o600)

    def test_getssl_with_two_blocks_in_its_key(self):
        f = self.clients.getssl()
        expect(f.key_file.read_text().count("BEGIN") == 2, "parameters first")
        self.with_stub("getssl", f)

    def test_haproxy(self):
        f = self.clients.haproxy()
        name, a = self.with_stub("haproxy", f, "--directory",
                                 self.ca.directory_url)
        for c in ("x", "y"):
            expect(len(a["jwk"][c]) == 43, f"{name}: full coordinates: {a}")

    def test_a_pem_file_may_be_of_a_client_that_cannot(self):
        """As Debian's uacme, which signs with GnuTLS: that is said before."""
        f = self.clients.uacme()
        more = ("--directory", self.ca.directory_url, "--install-stub")
        out = self.w.run(*self.argv("dry", "pem", f.path, *more, "--dry-run"))
        expect(out.returncode == 0 and "not uacme" in out.stderr, str(out))
        self.with_stub("pem", f, "--directory", self.ca.directory_url)

    def test_acme_tiny_as_pem(self):
        _, a = self.with_stub("pem", self.clients.acme_tiny(), "--directory",
                              self.ca.directory_url)
        expect(a["alg"] == "RS256", "the type that it can use")

    # Clients that stop.

    def retires(self, kind, f, again):
        """@again issues by the client itself."""
        name, key = self.name(), f.key()
        before = f.key_file.read_bytes()
        self.adopt(name, kind, f.path, code=1, says=[
            "client-cannot-use-this-key", f"{kind}.example.com",
            "guardianctl issue", "--client-retired"])
        self.adopt(name, kind, f.path, "--install-stub", code=1,
                   says="client-cannot-use-this-key")
        self.untouched(f, key, before)
        self.adopt(name, kind, f.path, "--client-retired", says="adopted")
        self.adopted(name, f, key)
        aside = f.key_file.with_name(f.key_file.name + ASIDE)
        expect(aside.read_bytes() == before, "the dead key, for who asks")
        expect(RETIRED in f.key_file.read_text(), f.key_file.read_text())
        self.owned(f.key_file, f)
        # It stops, and registers no other account.
        known = sorted(p.name for p in f.key_file.parents[1].rglob("*"))
        result = again()
        expect(result.returncode != 0, f"{kind}: {result.stdout}")
        expect(sorted(p.name for p in f.key_file.parents[1].rglob("*")) ==
               known, f"{kind} made something new")
        expect(RETIRED in f.key_file.read_text(), "and no key")
        self.adopt(name, kind, f.path, "--client-retired", says="adopted")
        return name

    def test_certbot_stops(self):
        f = self.clients.certbot()
        self.retires("certbot", f, lambda: self.clients.certbot_issue(
            f, "other.example.com", ok=None))
        expect(not (f.path / ".certbot.lock").exists(), "its lock is gone")
        r = f.run(*self.clients.certbot_argv(f, "renew", "--force-renewal", "--no-random-sleep-on-renew"),
                  env=self.clients.certbot_env(), ok=None)
        expect(r.returncode != 0, f"renewed: {r.stdout}")

    def test_lego_stops(self):
        f = self.clients.lego()
        name, key = self.name(), f.key()
        more = ("--directory", self.ca.directory_url)
        self.adopt(name, "lego", f.path, code=64, says="--directory")
        self.adopt(name, "lego", f.path, *more, code=1, says=[
            "client-cannot-use-this-key", "lego.example.com"])
        self.adopt(name, "lego", f.path, *more, "--client-retired",
                   says="adopted")
        self.adopted(name, f, key)
        r = self.clients.lego_issue(f, "other.example.com", ok=None)
        expect(r.returncode != 0, f"lego: {r.stdout}")
        expect(RETIRED in f.key_file.read_text(), "and no key")

    # What is shown, and what is not taken.

    def test_what_was_found_is_shown_first(self):
        f = self.clients.acme_sh()
        key, before = f.key(), f.key_file.read_bytes()
        self.adopt("dry", "acme.sh", f.path, "--install-stub", "--dry-run",
                   says=["acme.sh", str(f.key_file), "P-256", key.thumbprint,
                         self.ca.directory_url, f.url], never="adopted")
        self.untouched(f, key, before)
        self.w.ctl("account", "show", "dry", code=1)

    def test_json(self):
        f = self.clients.getssl()
        answer = self.w.json(*self.argv(self.name(), "getssl", f.path,
                                        "--install-stub"))
        expect(answer["client"] == "stub" and
               answer["rotation"]["state"] in ("cleaned", "done"), str(answer))

    def refused(self, f, kind, says, code=1, more=(), path=None):
        """Nothing is here, and the client's key goes on."""
        key, before = f.key(), f.key_file.read_bytes()
        name = self.name()
        self.adopt(name, kind, path or f.path, "--install-stub", *more,
                   code=code, says=says)
        self.untouched(f, key, before)
        self.w.ctl("account", "show", name, code=1)

    def test_what_becomes_of_the_client_is_said(self):
        """With its old key alone it would register a new account."""
        for kind, f in (("acme.sh", self.clients.acme_sh()),
                        ("getssl", self.clients.getssl())):
            key, before = f.key(), f.key_file.read_bytes()
            name = self.name()
            self.adopt(name, kind, f.path, code=64,
                       says=["--install-stub", "--client-retired"])
            self.adopt(name, kind, f.path.name, "--install-stub", code=64,
                       says="absolute")
            self.untouched(f, key, before)
            self.w.ctl("account", "show", name, code=1)

    def test_key_types_that_the_client_may_not_know(self):
        """Dehydrated to 0.7.0 knows RSA alone, acme-tiny always."""
        f = self.clients.acme_tiny()
        self.refused(f, "pem", "client-cannot-use-this-key", more=(
            "--directory", self.ca.directory_url, "--alg", "ES256"))

    def test_an_account_url_that_is_another(self):
        f = self.clients.acme_sh()
        other = self.ca.origin + "/my-account/nobody"
        f.put(".acme.sh/ca/localhost/dir/ca.conf", f"ACCOUNT_URL='{other}'\n")
        self.refused(f, "acme.sh", ["account-url-differs", other, f.url])
        self.refused(f, "acme.sh", "account-url-differs",
                     more=("--account-url", other))
        name, key = self.name(), f.key()
        self.adopt(name, "acme.sh", f.path, "--install-stub", "--account-url",
                   f.url, says="adopted")
        self.adopted(name, f, key)

    def test_a_key_that_the_ca_does_not_know(self):
        f = self.clients.acme_sh()
        f.key_file.write_bytes(Key().pem)
        name = self.name()
        self.adopt(name, "acme.sh", f.path, "--install-stub", code=1,
                   says="account-unknown")
        self.w.ctl("account", "show", name, code=1)

    def test_an_account_that_is_deactivated(self):
        f = self.clients.acme_sh()
        before = f.key_file.read_bytes()
        self.clients.ask(f.key(), f.url).post(f.url, {"status": "deactivated"})
        name = self.name()
        self.adopt(name, "acme.sh", f.path, "--install-stub", code=1,
                   says="account-not-valid")
        expect(f.key_file.read_bytes() == before, "its key stays")
        self.w.ctl("account", "show", name, code=1)

    def test_encrypted_and_damaged_keys(self):
        f = self.clients.haproxy()
        more = ("--directory", self.ca.directory_url, "--install-stub")
        for text, says in (
                (subprocess.run(["openssl", "pkcs8", "-topk8", "-passout",
                                 "pass:x"], input=f.key().pem, check=True,
                                capture_output=True).stdout, "encrypted"),
                (f.key().pem[:100], "key"), (b"x" * 5000, "too large"),
                (b"", "empty")):
            path = f.put("bad.key", text)
            out = self.w.run(*self.argv(self.name(), "pem", path, *more))
            expect(out.returncode in (1, 78) and says in out.stderr,
                   f"{says}: {out.returncode} {out.stderr}")
            expect(str(path) in out.stderr or "bad.key" in out.stderr,
                   out.stderr)
            expect(path.read_bytes() == text, "left as it is")

    def test_links_where_files_should_be(self):
        f = self.clients.haproxy()
        more = ("--directory", self.ca.directory_url)
        real = f.home / "real.key"
        f.key_file.rename(real)
        f.key_file.symlink_to("real.key")
        f.key_file = real
        self.refused(f, "haproxy", "symbolic link", 78, more,
                     f.home / "le.account.key")
        # As root could read them, but not the directory's owner.
        secret = self.lab.file("secret.key", f.key().pem, 0, 0o600)
        d = f.home / ".acme.sh/ca/localhost/dir"
        d.mkdir(parents=True)
        (d / "account.key").symlink_to(secret)
        for p in (d, *d.parents[:3]):
            os.chown(p, f.uid, f.uid)
        self.refused(f, "acme.sh", "no account", 78, (), f.home / ".acme.sh")
        self.refused(f, "acme.sh", "symbolic link", 78, more,
                     d / "account.key")

    def test_several_accounts(self):
        f = self.clients.acme_sh()
        other = f.put(".acme.sh/ca/staging.example/dir/account.key",
                      f.key().pem)
        self.refused(f, "acme.sh", ["several accounts", "--directory"], 78)
        name, key = self.name(), f.key()
        self.adopt(name, "acme.sh", f.path, "--install-stub", "--directory",
                   self.ca.directory_url, says="adopted")
        self.adopted(name, f, key)
        expect(other.read_bytes() == key.pem, "the other one's is as it was")

    def test_shell_files_are_not_run(self):
        f = self.clients.acme_sh()
        mark = f.home / "was-run"
        f.put(".acme.sh/sh.example.com_ecc/sh.example.com.conf",
              f"Le_API=\"$(touch {mark})\"\n")
        self.refused(f, "acme.sh", ["only a shell could tell", ":1:"], 78)
        expect(not mark.exists(), "run")

    def test_a_client_that_is_running(self):
        f = self.clients.dehydrated()
        lock = f.put("state/lock", "")
        self.refused(f, "dehydrated", ["running", str(lock)], 75)
        expect(lock.exists(), "its lock stays")
        lock.unlink()
        self.with_stub("dehydrated", f)

    def test_a_client_that_runs_meanwhile(self):
        """Its key's file is another one when the CA has switched."""
        f = self.clients.acme_sh()
        ca = KeyChangeRelay(self.lab, self.pebble)
        key = f.key()

        def changed(forward):
            answer = forward()
            f.put(".acme.sh/ca/localhost/dir/account.key", key.pem + b"\n")
            return answer

        ca.on_key_change = changed
        name = self.name()
        f.url = f.url.replace(self.ca.origin, ca.origin)
        self.adopt(name, "acme.sh", f.path, "--install-stub", "--directory",
                   ca.directory_url, "--account-url", f.url, code=75,
                   says="changed meanwhile")
        ca.on_key_change = None
        self.adopt(name, "acme.sh", f.path, "--install-stub", "--directory",
                   ca.directory_url, "--account-url", f.url, says="adopted")
        expect(STUB in f.key_file.read_text(), "a stub")
        self.w.ctl("account", "prove", name, *self.w.ca)

    def test_a_directory_that_cannot_be_written_is_found_first(self):
        f = self.clients.haproxy()
        f.home.chmod(0o555)
        try:
            self.refused(f, "haproxy", "ermission", 77,
                         ("--directory", self.ca.directory_url))
        finally:
            f.home.chmod(0o755)

    def test_a_name_that_is_taken(self):
        f = self.clients.haproxy()
        name = self.w.create(self.name(), self.ca.directory_url)
        key, before = f.key(), f.key_file.read_bytes()
        self.adopt(name, "haproxy", f.path, "--directory",
                   self.ca.directory_url, "--install-stub", code=1,
                   says="was not adopted")
        self.untouched(f, key, before)

    def test_the_same_account_twice(self):
        f = self.clients.haproxy()
        copy = f.put("copy.key", f.key().pem)
        more = ("--directory", self.ca.directory_url)
        self.with_stub("haproxy", f, *more)
        self.adopt(self.name(), "haproxy", copy, *more, "--client-retired",
                   code=1, says="account-unknown")

    def test_a_ca_that_refuses_the_new_key(self):
        f = self.clients.haproxy()
        ca = KeyChangeRelay(self.lab, self.pebble)
        key, before = f.key(), f.key_file.read_bytes()
        ca.on_key_change = lambda forward: Answer(409, b"", [
            ("Location", "https://ca.localhost/x")])
        name = self.name()
        self.adopt(name, "haproxy", f.path, "--install-stub", "--directory",
                   ca.directory_url, code=1, says=["key-in-use", "goes on"])
        self.untouched(f, key, before)
        # The next try is a new one.
        ca.on_key_change = None
        self.adopt(name, "haproxy", f.path, "--install-stub", "--directory",
                   ca.directory_url, says="adopted")
        expect(self.clients.knows(key) is None, "now it has the new key")

    def without_key_change(self):
        ca = KeyChangeRelay(self.lab, self.pebble)

        def directory(request):
            if request.path != "/dir":
                return None
            answer = ca.forward(request)
            value = answer.json()
            del value["keyChange"]
            answer.body = json.dumps(value).encode()
            return answer

        ca.on_any = directory
        return ca

    def test_a_ca_without_key_change(self):
        ca = self.without_key_change()
        f = self.clients.dehydrated()
        f.url = f.url.replace(self.ca.origin, ca.origin)
        account_id = f.key_file.parent / "account_id.json"
        f.put(account_id.relative_to(f.home), json.dumps({"url": f.url}))
        key, before = f.key(), f.key_file.read_bytes()
        name = self.name()
        more = ("--install-stub", "--directory", ca.directory_url)
        self.adopt(name, "dehydrated", f.path, *more, code=1,
                   says=["key-change-unsupported", "--new-account"])
        self.adopt(name, "dehydrated", f.path, *more, "--new-account", code=1,
                   says="--agree-terms")
        self.adopt(name, "dehydrated", f.path, *more, "--agree-terms", code=64,
                   says="--new-account")
        expect(f.key_file.read_bytes() == before, "nothing yet")
        more += ("--new-account", "--agree-terms")
        self.adopt(name, "dehydrated", f.path, *more, says="adopted")
        self.w.ctl("account", "prove", name, *self.w.ca)
        a = self.w.account(name)
        expect(a["status"] == "valid" and a["url"] != f.url, str(a))
        expect(self.clients.refuses(key, f.url), "the old one is deactivated")
        expect(STUB in f.key_file.read_text(), f.key_file.read_text())
        expect(json.loads(account_id.read_text()) == {"url": a["url"]},
               account_id.read_text())
        self.owned(account_id, f)
        self.adopt(name, "dehydrated", f.path, *more, says="adopted")

    # Stubs.

    def test_stubs_follow_the_key(self):
        f = self.clients.haproxy()
        name, _ = self.with_stub("haproxy", f, "--directory",
                                 self.ca.directory_url)
        second = f.home / "second.stub"
        self.w.ctl("stub", "write", name, second, says="written")
        self.owned(second, f, 0o644)
        text = f.key_file.read_text()
        expect(second.read_text() == text, "one key, one stub")
        self.w.ctl("stub", "refresh", name, says="2 stubs are as they should")
        said = self.lab.dir / "state/keys-changed"
        before = said.stat().st_mtime_ns
        self.w.rotate(name)
        expect(said.stat().st_mtime_ns > before, "the path unit is told")
        answer = self.w.json("stub", "refresh", name)
        expect(sorted(answer["written"]) == sorted(
            [str(f.key_file), str(second)]) and not answer["unchanged"],
            str(answer))
        expect(second.read_text() == f.key_file.read_text() != text, "new ones")
        self.owned(f.key_file, f, 0o644)
        # A list that cannot be read keeps no other from it.
        bad = self.lab.file("etc/stubs.d/AAA.stubs", "[Stub]\nPath\n")
        self.w.rotate(name)
        self.w.ctl("stub", "refresh", code=78, says=[str(bad), "written"])
        expect(second.read_text() == f.key_file.read_text(), "both")
        bad.unlink()
        # What is no stub of this account's is not written over.
        second.write_text("-----BEGIN EC PRIVATE KEY-----\n")
        self.w.ctl("stub", "refresh", name, code=1, says="is no stub")
        self.w.ctl("stub", "write", name, second, code=1,
                   says=["something else", "account adopt"])
        second.unlink()
        self.w.ctl("stub", "refresh", name, code=1, says="there is no file")

    def test_an_account_without_a_key_has_no_stub(self):
        f = self.clients.new("nobody")
        self.w.ctl("stub", "write", "none", f.home / "x", code=1)
        expect(not (f.home / "x").exists(), "nothing")

    # What a client needs besides.

    def policy(self, name, f, *domains):
        self.lab.file(f"etc/policy.d/{name}.policy", "\n".join([
            "[Client]", f"User={f.uid}", "[Allow]", f"Account={name}",
            f"Domain={' '.join(domains)}"]) + "\n")
        self.w.ctl("reload")

    def setup(self, kind, f, path, name, *more):
        """Shown, done, and done again."""
        argv = ("client-setup", kind, path, "--account", name,
                "--openssl-conf", self.conf, *more)
        before = path.read_text() if path.exists() else None
        self.w.ctl(*argv, says=[str(path), str(self.conf)])
        expect(before is None or path.read_text() == before, "only shown")
        self.w.ctl(*argv, "--apply", says="changed")
        self.owned(path, f)
        backup = path.with_name(path.name + ".before-acme-guardian")
        expect(before is None or backup.read_text() == before, "kept beside")
        after = path.read_text()
        self.w.ctl(*argv, "--apply", says="as it should be", never="changed")
        expect(path.read_text() == after, "once")
        return after

    def test_dehydrated_goes_on_as_before(self):
        """With the stub, with the next key's, and no further than its
        policy."""
        f = self.clients.dehydrated()
        name, _ = self.with_stub("dehydrated", f)
        self.policy(name, f, "dehydrated.example.com")
        self.setup("dehydrated", f, f.home / "config", name)
        issue = ("-c", "-x", "-d", "dehydrated.example.com")
        self.clients.dehydrated_run(f, *issue)
        self.w.rotate(name)
        self.w.ctl("stub", "refresh", name, says="written")
        self.clients.dehydrated_run(f, *issue)
        self.clients.dehydrated_run(f, "-c", "-x", "--keep-going", "-d",
                                    "dehydrated.example.com")
        r = self.clients.dehydrated_run(f, "-c", "-x", "-d", "evil.example.net",
                                        ok=None)
        expect(r.returncode != 0 and "identifier-not-allowed" in
               r.stdout + r.stderr, f"{r.stdout}{r.stderr}")

    def test_what_shell_clients_need(self):
        f = self.clients.acme_sh()
        name, _ = self.with_stub("acme.sh", f)
        conf = f.path / "account.conf"
        text = self.setup("acme.sh", f, conf, name)
        wrapper = f.path / "acme-guardian-openssl"
        expect(f"ACME_OPENSSL_BIN='{wrapper}'" in text, text)
        self.owned(wrapper, f, 0o755)
        out = f.run(wrapper, "pkey", "-in", f.key_file, "-noout", "-text")
        expect("prime256v1" in out.stdout, out.stdout)
        f = self.clients.getssl()
        name, _ = self.with_stub("getssl", f)
        text = self.setup("getssl", f, f.path / "getssl.cfg", name)
        expect(f"SSLCONF='{self.conf}'" in text, text)
        f = self.clients.acme_tiny()
        name, _ = self.with_stub("pem", f, "--directory",
                                 self.ca.directory_url)
        self.setup("acme-tiny", f, f.home / "tiny", name)
        self.owned(f.home / "tiny", f, 0o755)

    def test_a_key_that_the_client_cannot_use(self):
        name = self.w.create(self.name(), self.ca.directory_url)
        self.w.ctl("client-setup", "acme-tiny", "/tmp/x", "--account", name,
                   code=1, says=["client-cannot-use-this-key", "RS256"])
        self.w.ctl("client-setup", "caddy", "--account", name, code=64)
        self.w.ctl("client-setup", "getssl", "--account", name, code=64,
                   says="getssl.cfg")

    # Interrupted.

    def test_interrupted_anywhere_and_begun_again(self):
        """Killed at each state; there is always one key that works."""
        for state in ("planned", "key-generated", "draining", "switching",
                      "switched"):
            f = self.clients.haproxy()
            key, name = f.key(), self.name()
            argv = self.argv(name, "haproxy", f.path, "--install-stub",
                             "--directory", self.ca.directory_url)
            with subprocess.Popen(
                    [*map(str, [GUARDIANCTL, "--config", self.w.etc, *argv])],
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    text=True, cwd=self.lab.dir, stdin=subprocess.DEVNULL,
                    env={"PATH": os.environ["PATH"]}) as p:
                for line in p.stdout:
                    if line.startswith(state) or (state == "planned" and
                                                  line.startswith("account")):
                        break
                p.kill()
            works = self.clients.knows(key)
            expect(works is None or works == f.url, str(works))
            self.w.ctl(*argv, says="adopted")
            self.adopted(name, f, key)
            expect(STUB in f.key_file.read_text(), "a stub")


    def switch_with(self, ended):
        """Adopted again after the first one got no answer to its keyChange."""
        ca = KeyChangeRelay(self.lab, self.pebble)
        f = self.clients.haproxy()
        key, name = f.key(), self.name()
        argv = self.argv(name, "haproxy", f.path, "--install-stub",
                         "--directory", ca.directory_url)
        with subprocess.Popen(
                [*map(str, [GUARDIANCTL, "--config", self.w.etc, *argv])],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                cwd=self.lab.dir, stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"]}) as p:
            ca.on_key_change = lambda forward: ended(p, forward)
            out = p.communicate(timeout=240)[0]
        ca.on_key_change = None
        expect(self.clients.knows(key) is None, f"it has switched: {out}")
        self.w.ctl(*argv, says="adopted")
        self.w.ctl("account", "prove", name, *self.w.ca)
        expect(STUB in f.key_file.read_text(), "a stub")
        return out

    def test_an_answer_that_is_lost(self):
        def lost(_, forward):
            forward()
            return Cut()

        out = self.switch_with(lost)
        expect("unresolved" in out and "adopted" in out, out)

    def test_killed_while_the_ca_switches(self):
        def killed(p, forward):
            answer = forward()
            p.kill()
            return answer

        self.switch_with(killed)


if __name__ == "__main__":
    sys.exit(run(Cases, "adopt"))
