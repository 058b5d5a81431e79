# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guardianctl issue needs around it: a daemon with an account, BIND with
the zone, and Pebble 2.10 behind a relay that a test can switch.

Records are put into DNS by nsupdate, as another program on another host would.
"""

import base64
import functools
import json
import re
import sys
import time

from acme_relay import Relay
from bind_lab import Bind
from https_peer import Answer
from lab import (CLIENT_UID, DAEMON_UID, GUARDIANCTL, GUARDIAND, SOFTHSM, Lab,
                 expect, run_cases, unix_open, wait_for)
from pebble_lab import ISSUER, Pebble

ZONE = "lab.example"
NAME = f"www.{ZONE}"


class SwitchedRelay(Relay):
    """@change(request, answer) may give another answer; None keeps it."""

    change = None
    made = 0  # orders

    def answer(self, request):
        answer = self.forward(request)
        if request.path == "/order-plz" and answer.status == 201:
            self.made += 1
        other = self.change(request, answer) if self.change else None
        return other or answer

    def tried(self):
        """Requests for an order, those with a bad nonce too."""
        return self.paths("POST").count("/order-plz")


def refusing(path, status, kind, detail, *headers, times=10 ** 6):
    """A change: so many POSTs to @path are answered with a problem."""
    left = [times]

    def change(request, answer):
        if request.path != path or request.method != "POST" or not left[0]:
            return None
        left[0] -= 1
        return Answer.problem(status, kind, detail, [
            *headers, ("Replay-Nonce", answer.header("Replay-Nonce"))])
    return change


def in_challenges(**members):
    """A change: of every challenge of dns-persist-01; None takes one away."""
    def change(request, answer):
        if (answer.header("Content-Type") or "") != (
                "application/json; charset=utf-8") or not answer.body:
            return None
        value = answer.json()
        for c in value.get("challenges", []):
            if c["type"] == "dns-persist-01":
                c.update({k.replace("_", "-"): v for k, v in members.items()})
        answer.body = json.dumps(value).encode()
        return answer
    return change


class IssueLab:
    """One daemon, one token, one zone; accounts at the CAs that tests bring."""

    def __init__(self, lab):
        self.lab = lab
        self.etc = lab.folder("etc")
        self.run = lab.folder("run", DAEMON_UID, 0o755)
        self.dns = Bind(lab, "ns1")
        self.dns.key("hand")
        self.dns.zone(ZONE, policy=["grant hand zonesub TXT;"])
        self.dns.start()
        self.pebble = Pebble(lab, self.dns.address, alternate_roots=2,
                             nonce_reject=10,
                             profiles={"default": 90 * 86400,
                                       "short": 6 * 86400})
        self.relay = SwitchedRelay(lab, self.pebble)
        self.daemon()
        self.account("lab", self.relay.directory_url)
        self.out = lab.folder("out", CLIENT_UID)

    def daemon(self):
        lab = self.lab
        lab.folder("state", DAEMON_UID, 0o700)
        lab.folder("log", DAEMON_UID, 0o750)
        lab.folder("token-state", DAEMON_UID, 0o700)
        env = lab.softhsm(DAEMON_UID)
        lab.file("etc/guardian.conf", "\n".join([
            "[Guardian]", f"StateDirectory={lab.dir}/state",
            f"LogDirectory={lab.dir}/log",
            f"ClientSocket={self.run}/client.sock",
            f"AdminSocket={self.run}/admin.sock", "AllowSwappableSecrets=yes",
            "[Token lab]", f"Module={SOFTHSM}", "Token=pkcs11:token=lab",
            f"Pin=file:{lab.dir}/softhsm/pin",
            f"Environment=SOFTHSM2_CONF={env['SOFTHSM2_CONF']}",
            f"Directory={lab.dir}/token-state"]) + "\n")
        self.policy("lab", "lab")
        lab.start("guardiand", [GUARDIAND, "--config", self.etc], DAEMON_UID)
        wait_for("the daemon", lambda: unix_open(self.run / "admin.sock"))
        wait_for("the token", lambda: '"state":"ok"' in self.ctl(
            "--json", "token", "list", ok=None).stdout)

    def policy(self, name, account, more=""):
        self.lab.file(f"etc/policy.d/{name}.policy", "\n".join([
            "[Client]", f"User={CLIENT_UID}", "[Allow]", f"Account={account}",
            f"Domain={ZONE}", f"Subdomains={ZONE}",
            f"Wildcard={ZONE} w.{ZONE} below.{ZONE}", "AllowSuffix=example",
            "Profiles=short", more])
            + "\n")

    def account(self, name, directory):
        """An account at a CA; its URL and thumbprint."""
        self.ctl("account", "create", name, "--token", "lab", "--directory",
                 directory)
        self.ctl("account", "register", name, "--agree-terms", "--ca-file",
                 self.pebble.ca_file)
        shown = json.loads(self.ctl("--json", "account", "show", name).stdout)
        shown = shown["account"]
        if name == "lab":
            self.url = shown["url"]
        return shown["url"], shown["thumbprint"]

    def ctl(self, *args, uid=0, ok=(0,)):
        return self.lab.run([GUARDIANCTL, "--config", self.etc, *args], uid,
                            ok=ok)

    # Records, and certificates for them.

    def persist(self, domain, *more, uri=None, ttl=1):
        """The record of a domain, as it should be."""
        value = "; ".join([ISSUER, f"accounturi={uri or self.url}", *more])
        self.remove(domain)
        self.dns.add("hand", ZONE, f"add _validation-persist.{domain}. {ttl} "
                     f"TXT \"{value}\"")

    def remove(self, domain):
        self.dns.add("hand", ZONE,
                     f"delete _validation-persist.{domain}. TXT")

    def argv(self, stem, *args, domains=(), account="lab", own_key=True,
             resolver=True):
        """The command line for OUT/STEM.pem and OUT/STEM.key."""
        names = [x for d in domains for x in ("--domain", d)]
        key = ["--key-out", self.out / f"{stem}.key"] if own_key else []
        where = ["--resolver", self.dns.address if resolver is True else
                 resolver] if resolver else []
        return [GUARDIANCTL, "--config", self.etc, "--json", "issue",
                "--account", account, *names, *key, "--out",
                self.out / f"{stem}.pem", "--ca-file", self.pebble.ca_file,
                *where, *args]

    def issue(self, stem, *args, code=0, says=(), **more):
        """Run it as the client, and what it answers in JSON (None: nothing)."""
        r = self.lab.run(self.argv(stem, *args, **more), CLIENT_UID, ok=None)
        expect(r.returncode == code, f"exit {code}, not {r.returncode}: "
               f"{r.stdout}{r.stderr}")
        for words in [says] if isinstance(says, str) else says:
            expect(words in r.stderr, f"{words!r} in {r.stderr!r}")
        lines = r.stdout.splitlines()
        return json.loads(lines[-1]) if lines else None

    # What came out.

    def openssl(self, *args, stdin=None):
        return self.lab.run(["openssl", *args], stdin=stdin).stdout

    def names(self, stem):
        text = self.openssl("x509", "-in", self.out / f"{stem}.pem", "-noout",
                            "-ext", "subjectAltName")
        return sorted(re.findall(r"DNS:([^,\s]+)", text))

    def serial(self, stem):
        return self.openssl("x509", "-in", self.out / f"{stem}.pem", "-noout",
                            "-serial").strip().removeprefix("serial=")

    def key_of_certificate(self, stem):
        return self.openssl("x509", "-in", self.out / f"{stem}.pem", "-noout",
                            "-pubkey")

    def key_of_file(self, stem):
        return self.openssl("pkey", "-in", self.out / f"{stem}.key", "-pubout")

    def pair_fits(self, stem):
        """Key and chain are one pair; nothing, or a chain that still waits for
        its key, is no mismatch either. Returns what is there."""
        chain = (self.out / f"{stem}.pem").exists()
        key = (self.out / f"{stem}.key").exists()
        if chain and key:
            expect(self.key_of_certificate(stem) == self.key_of_file(stem),
                   "key and certificate are a pair")
        expect(chain or not key, "no key without its certificate")
        return chain, key

    def verified(self, stem, root=0):
        self.lab.file("root.pem", self.pebble.manage(f"/roots/{root}"))
        pem = self.out / f"{stem}.pem"
        self.openssl("verify", "-CAfile", self.lab.dir / "root.pem",
                     "-untrusted", pem, pem)

    def window(self, stem, start_s, end_s):
        """What the CA suggests from now on, from now on."""
        def t(s):
            return time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                 time.gmtime(time.time() + s))
        leaf = (self.out / f"{stem}.pem").read_text().split("-----END")[0]
        self.pebble.set_renewal_info(
            leaf + "-----END CERTIFICATE-----\n", json.dumps(
                {"suggestedWindow": {"start": t(start_s), "end": t(end_s)}}))


def payload(request):
    """Of a signed request, or None."""
    text = request.json()["payload"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
                      ) if text else None


class IssueCases:
    """One account at one Pebble, and what its tests share."""

    def __init__(self, lab):
        self.lab = lab
        self.w = IssueLab(lab)
        self.w.persist(NAME)

    def fresh(self, name):
        """One case, with a relay that changes nothing yet."""
        @functools.wraps(getattr(self, name))
        def case():
            self.w.relay.change = None
            getattr(self, name)()
        return case

    def files(self, stem):
        return [((self.w.out / f"{stem}.{x}").stat().st_ino,
                 (self.w.out / f"{stem}.{x}").read_bytes())
                for x in ("key", "pem")]


def run(cases_class):
    """Those named on the command line, or all."""
    with Lab("acme-guardian-issue") as lab:
        cases = cases_class(lab)
        only = sys.argv[1:]
        return run_cases([cases.fresh(n) for n in cases_class.__dict__
                          if n.startswith("test_") and
                          (not only or any(o in n for o in only))])
