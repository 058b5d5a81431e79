# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts whose records name their key (draft 02): two real BINDs, Pebble behind the
adapter, zones with a publisher and without."""

from acme_client import key_bound
from bind_lab import Bind
from draft02_adapter import Draft02Adapter
from lab import expect
from pebble_lab import ISSUER
from rotation_lab import KEY_CHANGE, RotationWorld

LABEL = "_validation-persist."
TTL = 1
QUICK = ("--settle", "0", "--cache-time", "0", "--order-drain", "600",
         "--grace", "0")


class Adapter(Draft02Adapter):
    """Looks at DNS when the key changes; may answer keyChange itself."""
    on_key_change = None
    look = None
    seen = None

    def answer(self, request):
        if request.path == KEY_CHANGE:
            self.seen = self.look() if self.look else None
            if self.on_key_change:
                return self.on_key_change(lambda: super(
                    Adapter, self).answer(request))
        return super().answer(request)


class RecordCases:
    def __init__(self, lab):
        self.lab = lab
        self.ns1, self.ns2 = Bind(lab, "ns1"), Bind(lab, "ns2")
        self.key = self.ns1.key("persist")
        self.ns2.key("persist", secret=self.key)
        grant = ["grant persist zonesub TXT;"]
        for zone in ("auto.test", "hand.test", "split.test", "many.test",
                     "gone.test"):
            self.ns1.zone(zone, policy=grant, minimum=TTL,
                          also_notify=[self.ns2])
        # ns2 is told of one zone at once, and never of the other.
        self.ns2.secondary("auto.test", self.ns1)
        self.ns2.zone("split.test", policy=grant, minimum=TTL)
        self.ns1.start()
        self.ns2.start()
        self.w = RotationWorld(lab)
        self.ca = Adapter(lab, self.ns1.address, authz_reuse=0)
        for zone, more in (
                ("auto.test", self.updates()), ("many.test", self.updates()),
                ("split.test", self.updates()), ("hand.test", "")):
            servers = self.ns1.address
            if zone in ("auto.test", "split.test"):
                servers += f" {self.ns2.address}"
            self.zone_file(zone, servers, more)
        self.policy("one")
        self.n_accounts = 0

    def updates(self, server=None):
        file = self.lab.file("tsig", self.key + "\n", 0, 0o600)
        return (f"Publisher=rfc2136\nServer={server or self.ns1.address}\n"
                f"TsigName=persist\nTsigKey=file:{file}\n")

    def zone_file(self, zone, servers, more):
        self.lab.file(f"etc/zones.d/{zone}.zone",
                      f"[Zone]\nName={zone}\nServers={servers}\nTTL={TTL}\n"
                      + more)

    def policy(self, account):
        self.lab.file("etc/policy.d/test.policy",
                      f"[Client]\nUser=0\n[Allow]\nAccount={account}\n"
                      "AllowSuffix=test\nDomain=auto.test\n"
                      "Subdomains=auto.test hand.test\n")
        self.w.ctl("reload")

    def account(self, *domains, publish=True):
        """A new one, with records that are in DNS."""
        self.n_accounts += 1
        self.ca.look = self.ca.on_key_change = None
        self.name = f"a{self.n_accounts}"
        w = self.w
        w.registered(self.name, self.ca)
        w.ctl("account", "directory", self.name, *w.ca)
        w.ctl("account", "issuers", self.name, ISSUER)
        self.add(*domains)
        if publish:
            w.run("records", "publish", "--account", self.name, *w.ca)
            for d in domains:
                if d.endswith("hand.test"):
                    self.by_hand(d, self.thumbprint())
                if d.endswith("split.test"):
                    self.by_hand(d, self.thumbprint(), self.ns2)
        self.policy(self.name)
        return self.name

    def add(self, *domains, **how):
        if domains:
            self.w.ctl("records", "add", self.name, *domains, **how)

    # What is in DNS.

    def thumbprint(self):
        return self.w.account(self.name)["thumbprint"]

    def keys(self):
        r = self.w.rotation(self.name)
        return r["oldThumbprint"], r["newThumbprint"]

    def value(self, domain, thumbprint, more=""):
        url = self.w.account(self.name)["url"]
        return (f"{ISSUER}; accounturi="
                f"{key_bound(self.ca.prefix, domain, thumbprint, url)}{more}")

    def by_hand(self, domain, thumbprint, server=None, change="add"):
        zone = ".".join(domain.split(".")[-2:])
        ttl = f" {TTL}" if change == "add" else ""
        (server or self.ns1).add(
            "persist", zone, f'{change} {LABEL}{domain}.{ttl} TXT '
            f'"{self.value(domain, thumbprint)}"')

    def there(self, domain, server=None):
        return [t.replace('" "', "").strip('"')
                for t in (server or self.ns1).dig(LABEL + domain)]

    def expect_there(self, domain, *thumbprints, server=None):
        want = sorted(self.value(domain, t) for t in thumbprints)
        found = self.there(domain, server)
        expect(sorted(found) == want, f"{domain}: {found}, not {want}")

    # Commands.

    def rotate(self, *more, **how):
        quick = [x for pair in zip(QUICK[::2], QUICK[1::2])
                 if pair[0] not in more for x in pair]
        return self.w.ctl("rotate", "start", self.name, *quick, *self.w.ca,
                          *more, **how)

    def resume(self, *more, **how):
        return self.w.ctl("rotate", "resume", self.name, *self.w.ca,
                          *more, **how)

    def changes(self, *more, code=1):
        return self.w.ctl("rotate", "changes", self.name, *self.w.ca, *more,
                          code=code)

    def nsupdate(self, text):
        self.lab.run(["nsupdate", "-y", f"hmac-sha256:persist:{self.key}"],
                     stdin=f"server {self.ns1.host} {self.ns1.port}\n{text}")

    def states(self):
        """That the rotation has gone through, each once."""
        found = [e["detail"].split(":")[0] for e in self.w.audit()
                 if e.get("operation") == "rotation" and
                 e.get("account") == self.name]
        return [s for i, s in enumerate(found) if s not in found[:i]]

    def state(self):
        return self.w.state(self.name)

    def on_token(self):
        return [k for k in self.w.keys_on_token()
                if k.startswith(f"{self.name}:")]

    def only_new(self, *domains):
        old, new = self.keys()
        expect(self.state() == "done", self.state())
        expect(self.thumbprint() == new != old, "the account has the new key")
        expect(len(self.on_token()) == 1, f"{self.on_token()}")
        for d in domains:
            self.expect_there(d, new)

    def only_old(self, *domains):
        old, new = self.keys()
        expect(self.state() == "aborted", self.state())
        expect(self.thumbprint() == old != new, "the account has its old key")
        expect(len(self.on_token()) == 1, f"{self.on_token()}")
        for d in domains:
            self.expect_there(d, old)

    def abort(self, *more, **how):
        return self.w.ctl("rotate", "abort", self.name, *self.w.ca,
                          *more, **how)
