# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ends something at a point of a rotation that a run before has recorded.

A point is before or after something: a commit of the registry, a call that
makes, uses or destroys a key on the token, a request at the CA, an update of
DNS. Who gets there waits at a gate, and goes on when this has done what the
case wants done. Points are told apart by the rotation's state, so that the same
ones are found again however long a run takes.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import sys
import threading
import time
from dataclasses import dataclass

from acme_client import key_bound
from acme_relay import Relay
from bind_lab import Bind, FakeDns
from lab import BUILD, SOFTHSM, Failed, Lab, expect, unix_open, wait_for
from pebble_lab import ISSUER, Pebble, TxtServer
from rotation_lab import RotationWorld

NAMED = re.compile(r"(?<=/my-account/).*")  # each account has another
AT_ONCE = ("--settle", "0", "--cache-time", "0", "--order-drain", "0",
           "--grace", "0")
GATE = BUILD / "tests/tools/crash-gate.so"
FAULTY = BUILD / "tests/faulty-module/faulty-pkcs11.so"
DOWN_S = 1.5


@dataclass(frozen=True)
class Point:
    state: str  # of the rotation, when it is reached
    what: str   # "commit", "C_Sign", "POST /nonce-plz", "UPDATE"
    side: str   # "before" or "after"
    nth: int    # of those in this state

    def __str__(self):
        again = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.side} {self.what}{again} in {self.state}"


class Gate:
    """Where all points of one world come by, one after the other. While the CA
    is asked what it has done, the daemon's clock is told to go fast."""

    def __init__(self, path, state_of):
        """@state_of(): the rotation's state as the registry has it, and as
        points have it."""
        self.state_of, self.lock = state_of, threading.Lock()
        self.open()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self):
        """Nothing is noted, and nobody waits."""
        with self.lock:
            self.counts, self.points, self.moves = {}, [], []
            self.last_state = self.target = self.action = None
            self.on_enter = None
            self.fired = self.noting = False

    def note(self, target=None, action=None):
        """From now on, and at @target @action is called, once. on_enter is
        (state, action): when that state is there for the first time."""
        self.open()
        with self.lock:
            self.last_state = self.state_of()[0]
            self.target, self.action, self.noting = target, action, True

    def come_by(self, what, side):
        with self.lock:
            raw, state = self.state_of()
            if not self.noting:
                return raw
            key = (state, what, side)
            self.counts[key] = nth = self.counts.get(key, 0) + 1
            point = Point(state, what, side, nth)
            self.points.append(point)
            if raw != self.last_state:
                self.moves.append((self.last_state, raw))
                self.last_state = raw
            actions = []
            if self.on_enter and self.on_enter[0] == raw:
                actions.append(self.on_enter[1])
                self.on_enter = None
            if point == self.target:
                actions.append(self.action)
                self.fired, self.target = True, None
        for action in actions:
            action()
        return raw

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(peer,),
                                 daemon=True).start()

    def _serve(self, peer):
        with peer, contextlib.suppress(OSError):
            what, side = peer.makefile().readline().rsplit(None, 1)
            state = self.come_by(what, side)
            peer.sendall(b"f" if state == "unresolved" else b"1")

    def close(self):
        self.listener.close()


class GatedRelay(Relay):
    """A CA whose requests come by the gate. change(request, forward) may answer
    in its place; None leaves it to Pebble."""
    change = prefix = None
    down_until = 0

    def __init__(self, lab, pebble, gate):
        self.gate = gate
        super().__init__(lab, pebble)
        self.server.verify_request = lambda *_: not self.is_down()

    def is_down(self):
        return time.monotonic() < self.down_until

    def stop_for(self, seconds):
        self.down_until = time.monotonic() + seconds

    def _stop_here(self):
        if self.is_down():
            raise ConnectionAbortedError("the CA is stopped")

    def answer(self, request):
        what = f"{request.method} {NAMED.sub('*', request.path)}"
        self._stop_here()
        self.gate.come_by(what, "before")
        self._stop_here()
        answer = self.change(request, lambda: self.forward(request)) if \
            self.change else None
        if not answer:
            answer = self.forward(request)
        self.gate.come_by(what, "after")
        self._stop_here()
        if self.prefix and request.path == "/dir":
            value = answer.json()
            value["meta"].update({"accountHashPrefix": self.prefix,
                                  "issuerDomainNames": [ISSUER]})
            answer.body = json.dumps(value).encode()
        return answer


class GatedDns(FakeDns):
    """What is asked of a name server; updates come by the gate."""

    def __init__(self, bind, gate):
        self.bind, self.gate = bind, gate
        super().__init__(self.answer)

    def answer(self, query, tcp):
        update = (query[2] >> 3) & 15 == 5
        if update:
            self.gate.come_by("UPDATE", "before")
        with contextlib.suppress(OSError):
            answer = self.forward(query, tcp)
            if update:
                self.gate.come_by("UPDATE", "after")
            return answer
        return None

    def forward(self, query, tcp):
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(30)
            s.connect((self.bind.host, self.bind.port))
            if not tcp:
                s.send(query)
                return s.recv(65535)
            s.sendall(struct.pack("!H", len(query)) + query)
            f = s.makefile("rb")
            return f.read(struct.unpack("!H", f.read(2))[0])


class CrashWorld(RotationWorld):
    """A daemon, a token and a relay of their own; the CA is everybody's."""
    module = FAULTY

    def __init__(self, lab, common):
        lab.folder("gate")
        self.path = lab.dir / "gate/gate"
        self.gate = Gate(self.path, self.state_in_registry)
        self.environment = {"LD_PRELOAD": str(GATE),
                            "CRASH_GATE": str(self.path)}
        self.guard = threading.Lock()
        self.process = None  # the guardianctl of the case
        self.wrong = []  # what was seen besides
        super().__init__(lab)
        self.relay = GatedRelay(lab, common.pebble, self.gate)
        self.prepare(common)
        # What is stored at the first time alone is stored.
        self.operate("rotate", "start", "main", *AT_ONCE, *self.ca)
        self.kept = set()  # old keys that were to stay

    def prepare(self, _):
        self.registered("main", self.relay)

    def token_lines(self):
        return [f"Environment=FAULTY_MODULE={SOFTHSM}",
                f"Environment=FAULTY_GATE={self.path}"]

    # What is there.

    def state_in_registry(self):
        """More than the state's name: what tells one point from another."""
        where = f"file:{self.lab.dir}/state/registry.db?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(where, uri=True,
                                                    timeout=30)) as db:
                row = db.execute(
                    "select state, sent_s, reason, confirmed_s from rotation "
                    "where account = 'main'").fetchone()
        except sqlite3.Error:  # nobody has it open: the daemon is gone
            return "gone", "gone"
        raw, sent, reason, confirmed = row or ("none", 0, None, 0)
        state = "none" if raw in ("done", "aborted") else raw
        if state == "switching":
            state += "+sent" * bool(sent) + "+refused" * bool(reason)
        if state == "switched":
            state += "+confirmed" * bool(confirmed)
        return raw, state

    # What ends.

    def end_daemon(self):
        """And it is started again, as by systemd."""
        with self.guard:
            self.kill_daemon()
            self.spawn_daemon()

    def end_ctl(self):
        p = self.process
        if p and p.poll() is None:
            p.send_signal(signal.SIGKILL)
            p.wait()

    def fault(self, name):
        return {"daemon": self.end_daemon, "helper": self.kill_helper,
                "guardianctl": self.end_ctl,
                "ca": lambda: self.relay.stop_for(DOWN_S)}[name]

    # And afterwards.

    def is_ready(self):
        if not unix_open(self.admin):
            return False
        with contextlib.suppress(OSError):
            error, answer = self.admin_call("TokenList")
            return not error and all(t["state"] == "ok"
                                     for t in answer["tokens"])
        return False

    def is_whole(self):
        return self.is_ready() and not self.relay.is_down()

    def operate(self, *args):
        """guardianctl, which may end as it likes."""
        self.process = p = self.start_ctl(*args)
        out = p.communicate(timeout=180)[0]
        return p.returncode, out

    def go_on(self, row):
        """A registration says yes to the CA's terms, which resume does not."""
        if row["kind"] == "move" and row["state"] == "key-generated":
            return self.operate("account", "move", "main", "--agree-terms",
                                *self.ca)
        return self.operate("rotate", "resume", "main", *self.ca)

    def finish(self):
        """On, until it is over; what was said is the answer."""
        said = []
        for _ in range(12):
            wait_for("all that was ended", self.is_whole)
            row = self.rotation()
            if not row or row["over"]:
                return row, said
            code, out = self.go_on(row)
            said.append(f"{row['state']}: exit {code}: {out}")
        raise Failed(f"not over: {self.rotation()}: {said}")

    def agree(self, before, keeps=False):
        """Daemon, token and CA have the same key, and no other is left but the
        old one where it was to stay (@keeps)."""
        row = self.rotation()
        self.ctl("account", "prove", "main", *self.ca)
        a = self.must("AccountShow", name="main")["account"]
        expect(a["status"] == "valid", str(a))
        if keeps:
            self.kept.add(before["thumbprint"])
        on_token = {k: v for k, v in self.keys_on_token().items()
                    if v == a["thumbprint"] or v not in self.kept}
        expect(on_token == {f"main:{a['generation']}": a["thumbprint"]},
               f"{a['thumbprint']} of {a['generation']} in {on_token}, "
               f"{row and row['state']}")
        if row and self.mark(row) != before["mark"]:
            key = "new" if row["state"] == "done" else "old"
            expect(a["thumbprint"] == row[f"{key}Thumbprint"], f"{a} {row}")
        else:
            expect(a["thumbprint"] == before["thumbprint"], f"{a} {before}")

    def now(self):
        row = self.rotation()
        a = self.must("AccountShow", name="main")["account"]
        return {"mark": self.mark(row), "thumbprint": a["thumbprint"]}

    @staticmethod
    def mark(row):
        """Which rotation it is."""
        return row and (row["started"], row["since"], row["state"])

    def close(self):
        self.gate.close()
        self.relay.close()


class BoundWorld(CrashWorld):
    """One whose records name the key, with a zone of its own."""
    numbers = itertools.count()

    def prepare(self, common):
        number = next(self.numbers)
        self.bind, zone = common.bind, common.zones[number]
        self.dns = GatedDns(self.bind, self.gate)
        self.domains = (f"d{n}.{zone}" for n in itertools.count())
        file = self.lab.file("tsig", common.key + "\n", 0, 0o600)
        self.lab.file(f"etc/zones.d/{zone}.zone", "\n".join([
            "[Zone]", f"Name={zone}", f"Servers={self.bind.address}", "TTL=1",
            "Publisher=rfc2136", f"Server={self.dns.address}",
            "TsigName=persist", f"TsigKey=file:{file}"]) + "\n")
        self.relay.prefix = self.relay.url("/account-hash/")
        self.registered("main", self.relay)
        self.ctl("account", "directory", "main", *self.ca)
        self.ctl("account", "issuers", "main", ISSUER)
        self.ctl("records", "add", "main", next(self.domains))
        self.ctl("records", "publish", "--account", "main", *self.ca)

    def agree(self, before, keeps=False):
        super().agree(before, keeps)
        a = self.must("AccountShow", name="main")["account"]
        for r in self.must("RecordList", account="main")["records"]:
            uri = key_bound(self.relay.prefix, r["domain"], a["thumbprint"],
                            a["url"])
            found = [t.replace('" "', "").strip('"') for t in
                     self.bind.dig(f"_validation-persist.{r['domain']}")]
            expect(found == [f"{ISSUER}; accounturi={uri}"],
                   f"{r['domain']}: {found}, not {uri}")

    def close(self):
        super().close()
        self.dns.close()


class Common:
    """What all worlds share: a CA, a name server, and certificates."""

    def __init__(self, lab, n_zones):
        self.tls = lab.tls()
        self.pebble = Pebble(lab, TxtServer(lab).address)
        self.bind = Bind(lab)
        self.key = self.bind.key("persist")
        self.zones = [f"w{n}.apps.example.com" for n in range(n_zones)]
        for zone in self.zones:
            self.bind.zone(zone, policy=["grant persist zonesub TXT;"],
                           minimum=1)
        self.bind.start()


def new_world(kind, common):
    """With a Lab of its own."""
    lab = Lab("acme-guardian-crash")
    try:
        shutil.copytree(common.tls, lab.dir / "tls")
        return kind(lab, common)
    except Exception:
        lab.__exit__(*sys.exc_info())
        raise
