# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon whose accounts rotate, clients that sign meanwhile, and a CA whose
answers to keyChange can be changed, cut or delayed."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

from accounts_lab import World
from acme_client import Client, http_request, unb64
from acme_relay import Relay
from https_peer import Answer
from lab import (GUARDIANCTL, Failed, Lab, Varlink, descendants, expect,
                 run_cases, wait_for)
from pebble_lab import ISSUER, Pebble, TxtServer

SIGNER = "org.acmeguardian.Signer."
ADMIN = "org.acmeguardian.Admin."
NAME = "www.apps.example.com"
OPS_UID = 61234
KEY_CHANGE = "/rollover-account-key"
QUICK = ("--settle", "1", "--cache-time", "1", "--order-drain", "20",
         "--grace", "0")


class KeyChangeRelay(Relay):
    """Pebble behind an origin of its own. on_key_change(forward) answers in its
    place; forward() asks Pebble. on_any(request) may answer anything else."""
    on_key_change = None
    on_any = None

    def __init__(self, *args, **more):
        self.bad, self.seen, self.answers = [], [], []
        super().__init__(*args, **more)

    def answer(self, request):
        self.seen.append((time.monotonic(), request))
        answer = self._answer(request)
        self.answers.append((request, answer))
        if answer.status >= 400:
            kind = b"badNonce" in answer.body
            self.bad.append((request.path, answer.status, kind, answer.body))
        return answer

    def _answer(self, request):
        answer = self.on_any(request) if self.on_any else None
        if answer:
            return answer
        if request.path == KEY_CHANGE and self.on_key_change:
            return self.on_key_change(lambda: self.forward(request))
        return self.forward(request)

    def times(self, path):
        return [t for t, r in self.seen if r.path == path]


class Cut(Answer):
    """Announces what never comes: the client has no answer that it can read."""

    def __init__(self):
        super().__init__(200, b"", [("Content-Type", "application/json")],
                         short=10)


class RotationWorld(World):
    def __init__(self, lab, *more):
        lab.file("etc/policy.d/test.policy",
                 "[Client]\nUser=0\n[Allow]\nAccount=main\n"
                 "Subdomains=apps.example.com\nOrdersPerDay=100000\n")
        super().__init__(lab, [f"[Lacme main]\nSocket={lab.dir}/run/lacme.sock",
                               *more])
        self.ca = ("--ca-file", lab.tls() / "ca.pem")

    def admin_call(self, method, **parameters):
        v = Varlink(self.admin)
        try:
            return v.call(ADMIN + method, parameters)
        finally:
            v.close()

    def must(self, method, **parameters):
        error, answer = self.admin_call(method, **parameters)
        expect(not error, f"{method}: {error} {answer}")
        return answer

    def rotation(self, name="main"):
        rows = self.must("RotationStatus", account=name)["rotations"]
        return rows[0] if rows else None

    def state(self, name="main"):
        row = self.rotation(name)
        return row and row["state"]

    def kill_daemon(self):
        """With its token helper, and nobody has a moment to clean up."""
        pids = [self.daemon.pid, *descendants(self.daemon.pid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.daemon.wait()
        self.lab.forget(self.daemon)

    def restart_daemon(self):
        self.kill_daemon()
        self.start_daemon()

    def kill_helper(self):
        for pid in descendants(self.daemon.pid):
            name = open(f"/proc/{pid}/cmdline", "rb").read()
            if b"acme-guardian-token" in name:
                os.kill(pid, signal.SIGKILL)

    def start_ctl(self, *args):
        return subprocess.Popen(
            [*map(str, [GUARDIANCTL, "--config", self.etc, *args])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.lab.dir, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]})

    def rotate(self, name="main", *more, **how):
        return self.ctl("rotate", "start", name, *QUICK, *self.ca, *more,
                        **how)

    def resume(self, name="main", **how):
        return self.ctl("rotate", "resume", name, *self.ca, **how)

    def keys_on_token(self, token="lab"):
        """Ours without the instance, others' by their names."""
        def look():
            error, answer = self.admin_call("TokenCheck", name=token)
            # While others make and destroy keys, nobody can tell.
            if error and answer.get("result") == "busy":
                return None
            expect(not error, f"TokenCheck: {error} {answer}")
            return answer["keys"]

        keys = []
        wait_for("a look at the keys",
                 lambda: keys.append(look()) or keys[-1] is not None, 120)
        keys = keys[-1]
        return {k["label"].split(":", 2)[-1]: k["thumbprint"] for k in keys}


class Signing(Client):
    """The tests' ACME client, with its signatures from the daemon."""

    def __init__(self, world, directory_url, account="main"):
        self.world, self.account_name = world, account
        self.waits, self.changes = [], 0
        self.varlink = Varlink(world.client, timeout=90)
        super().__init__(directory_url, world.lab.tls() / "ca.pem", key=self)
        self.refresh()

    def refresh(self):
        error, answer = self.varlink.call(SIGNER + "GetAccount",
                                          {"account": self.account_name})
        expect(not error, f"GetAccount: {error} {answer}")
        self.facts = answer["account"]
        self.url = self.facts["url"]

    def sign(self, url, nonce, payload):
        begin = time.monotonic()
        error, answer = self.varlink.call(SIGNER + "Sign", {
            "account": self.account_name, "url": url, "nonce": nonce,
            "payload": payload, "thumbprint": self.facts["thumbprint"]})
        self.waits.append(time.monotonic() - begin)
        return error, answer

    def _post_once(self, url, payload, key, kid, jwk):
        if not self.nonce:
            self.get(self.directory["newNonce"], "HEAD")
        text = "" if payload is None else json.dumps(payload)
        while True:
            nonce, self.nonce = self.nonce, None
            error, answer = self.sign(url, nonce, text)
            if error != SIGNER + "KeyChanged":
                break
            self.changes += 1
            self.nonce = nonce
            self.refresh()
        expect(not error, f"Sign {url}: {error} {answer}")
        r = http_request("POST", url, json.dumps(answer),
                         {"Content-Type": "application/jose+json"},
                         self.ca_file)
        self.nonce = r.headers.get("Replay-Nonce")
        return r


class Issuing(threading.Thread):
    """Issues without pause until it is stopped; what failed is kept."""

    def __init__(self, world, directory_url, dns, number):
        super().__init__(daemon=True)
        self.client = Signing(world, directory_url)
        self.dns, self.number = dns, number
        self.stopping, self.issued, self.failed = False, 0, []
        self.start()

    def run(self):
        n = 0
        while not self.stopping and not self.failed:
            name = f"n{n}.c{self.number}.apps.example.com"
            n += 1
            try:
                self.dns.persist(name,
                                 f"{ISSUER}; accounturi={self.client.url}")
                self.client.issue(name)
                self.issued += 1
            except Exception as e:  # pylint: disable=broad-except
                self.failed.append(f"{type(e).__name__}: {e}")

    def stop(self):
        self.stopping = True
        self.join(120)


def inner_of(request):
    """Header and payload of a keyChange's inner JWS, and itself."""
    inner = json.loads(unb64(request.json()["payload"]))
    return (json.loads(unb64(inner["protected"])),
            json.loads(unb64(inner["payload"])), inner)


class RotationCases:
    """One account at one Pebble, and what its tests share."""

    def __init__(self, lab, *more):
        self.lab, self.w = lab, RotationWorld(lab, *more)
        self.dns = TxtServer(lab)
        self.pebble = Pebble(lab, self.dns.address)
        self.ca = self.relay()
        self.url = self.w.registered("main", self.ca)["url"]
        self.dns.persist(NAME, f"{ISSUER}; accounturi={self.url}")

    def relay(self):
        return KeyChangeRelay(self.lab, self.pebble)

    def under_way(self, runs, state):
        """Each of {account: guardianctl} was in @state before it ended."""
        left = dict(runs)

        def there():
            for name, ctl in list(left.items()):
                ended = ctl.poll() is not None
                if self.w.state(name) == state:
                    del left[name]
                elif ended:
                    raise Failed(f"{name}: ended with {ctl.returncode} in "
                                 f"{self.w.state(name)}: {ctl.stdout.read()}")
            return not left

        wait_for(f"{', '.join(runs)}: {state}", there)

    def works(self, name="main"):
        """The CA takes what the daemon signs, and it is the row's key."""
        w = self.w
        w.ctl("account", "prove", name, *w.ca)
        a = w.account(name)
        expect(a["status"] == "valid", str(a))
        on_token = {k: v for k, v in w.keys_on_token().items()
                    if k.startswith(f"{name}:")}
        expect(on_token.get(f"{name}:{a['generation']}") == a["thumbprint"],
               f"{a['thumbprint']} in {on_token}")
        return a, on_token

    def issues(self):
        c = Signing(self.w, self.ca.directory_url)
        c.issue(NAME)
        return c

    def as_ops(self, method, **parameters):
        """One call, as a user with the role ops."""
        v = None
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setresuid(OPS_UID, OPS_UID, OPS_UID)
                v = Varlink(self.w.admin)
                error, _ = v.call(ADMIN + method, parameters)
                os.write(w, (error or "done").encode())
            finally:
                os._exit(0)
        os.close(w)
        with os.fdopen(r) as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        return said.removeprefix(ADMIN)

    def place(self, state, told=False, **more):
        """As far as @state, without guardianctl. @told: the CA has switched, and
        the daemon was told; "lost": it was not."""
        w = self.w
        w.must("RotationStart", account="main", **{
            "settle": 0, "cacheTime": 0, "orderDrain": 0, "grace": 0, **more})
        for _ in range(4):
            if w.state() == state:
                break
            w.must("RotationStep", account="main")
        if not told:
            expect(w.state() == state, f"{w.state()}, not {state}")
            return
        client = Signing(w, self.ca.directory_url)
        client.get(client.directory["newNonce"], "HEAD")
        nonce = client.nonce
        jws = w.must("RotationSign", account="main", ask="key-change",
                     nonce=nonce)
        r = http_request("POST", jws.pop("url"), json.dumps(jws),
                         {"Content-Type": "application/jose+json"},
                         client.ca_file)
        expect(r.status == 200, f"keyChange: {r.status} {r.body}")
        if told != "lost":
            w.must("RotationAnswer", account="main", ask="key-change",
                   nonce=nonce, answer={"httpStatus": 200})

    def in_registry(self, *statements):
        with contextlib.closing(sqlite3.connect(
                self.lab.dir / "state/registry.db")) as db:
            for s in statements:
                db.execute(s)
            db.commit()


def alone(case):
    """One that others cannot run beside: it stops the daemon, or has what they
    share."""
    case.alone = True
    return case


def run(cases_class, lab_name, side_by_side=False):
    """Those named on the command line, or all but those named with a minus."""
    without = [a[1:] for a in sys.argv[1:] if a.startswith("-")]
    only = [a for a in sys.argv[1:] if not a.startswith("-")]
    with Lab(lab_name) as lab:
        made = cases_class(lab)
        names = [n for n in cases_class.__dict__ if n.startswith("test_") and
                 (not only or any(a in n for a in only)) and
                 not any(a in n for a in without)]
        expect(names, "no such test")
        cases = [getattr(made, n) for n in names]
        beside = [c for c in cases if side_by_side and
                  not hasattr(c, "alone")]
        return run_cases([c for c in cases if c not in beside],
                         side_by_side=beside)
