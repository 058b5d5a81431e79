#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tokens that go away while they are used, and come back: sessions by the
hundred, SoftHSM2's directory, a p11-kit server and its connections; and a TPM
that really locks its PIN."""

import contextlib
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
import daemon_lab as D  # noqa: E402
import lab as L  # noqa: E402
from token_lab import FAULTY, Faulty, equal, place, within  # noqa: E402
from token_served import (P11_KIT_CLIENT, TPM2_PKCS11,  # noqa: E402
                          Tpm2, children, kill)
from token_wire import Closed, Key  # noqa: E402
from verify_lab import Verifier  # noqa: E402

CLIENTS = 4


class Client(threading.Thread):
    """Asks without pause, and again when it is told to: as ACME clients do."""

    def __init__(self, g, number):
        super().__init__(daemon=True)
        self.g, self.number = g, number
        self.key = Verifier(D.spki_of(g.account["jwk"]), "ES256")
        self.signed = self.unavailable = 0
        self.wrong = []
        self.ends = threading.Event()

    def run(self):
        v = L.Varlink(self.g.client, 240)
        try:
            while not self.ends.is_set():
                self.ask(v, f"{self.number}-{self.signed}")
        except Exception as e:  # pylint: disable=broad-except
            self.wrong.append(repr(e))
        finally:
            v.close()

    def ask(self, v, nonce):
        """One request, until it is signed."""
        request = D.jws({"alg": "ES256", "kid": D.ACCOUNT_URL, "nonce": nonce,
                         "url": D.CA + "/order/1"}, "")
        while True:
            error, answer = v.call(D.SIGNER + "SignInput",
                                   {"account": "test", **request})
            if error == D.SIGNER + "TokenUnavailable":
                self.unavailable += 1
                time.sleep(min(answer["retryAfterMs"], 500) / 1000)
                continue
            data = f"{request['protected']}.{request['payload']}".encode()
            if error:
                self.wrong.append(f"{error} {answer}")
                self.ends.set()
            elif not self.key.accepts(data, D.unb64(answer["signature"])):
                self.wrong.append("a signature that does not verify")
            else:
                self.signed += 1
            return


class Load:
    """CLIENTS of them, of whom none may be told anything but "later"."""

    def __init__(self, g):
        self.clients = [Client(g, n) for n in range(CLIENTS)]
        for c in self.clients:
            c.start()
        self.go_on()

    def go_on(self):
        """Each of them has got two more signatures."""
        before = [c.signed for c in self.clients]
        L.wait_for("all clients' next signatures", lambda: any(
            c.wrong for c in self.clients) or all(
                c.signed > n + 1 for c, n in zip(self.clients, before)), 240)
        wrong = [w for c in self.clients for w in c.wrong]
        L.expect(not wrong, str(wrong[:3]))

    def later(self):
        """All have been told so since."""
        before = [c.unavailable for c in self.clients]
        L.wait_for("unavailable", lambda: all(
            c.unavailable > n for c, n in zip(self.clients, before)), 240)

    def end(self, what, times):
        for c in self.clients:
            c.ends.set()
        for c in self.clients:
            c.join(240)
        wrong = [w for c in self.clients for w in c.wrong]
        L.expect(not wrong, str(wrong[:3]))
        L.expect(not any(c.is_alive() for c in self.clients), "all end")
        print(f"# {what}: {times} times, with {CLIENTS} clients; "
              f"{sum(c.signed for c in self.clients)} signed and verified, "
              f"{sum(c.unavailable for c in self.clients)} told to come again; "
              "lost: none", flush=True)


@contextlib.contextmanager
def guardian(change=lambda g: None):
    with L.Lab("lost") as lab:
        g = D.Guardian(lab)
        change(g)
        g.start()
        g.account = g.make_account()
        yield g
        L.expect(g.stop() == 0, "a clean stop")
        untouched(g)


def untouched(g):
    """No PIN is written down as wrong, and no key has gone."""
    L.expect(not list((g.lab.dir / "state").rglob("pin-failed")),
             "no PIN is taken for a wrong one")
    g.start()
    L.wait_for("ready", lambda: g.must("Status")["ready"], 120)
    account = g.must("AccountShow", {"name": "test"})["account"]
    L.expect(account["thumbprint"] == g.account["thumbprint"] and
             account["status"] == "valid", str(account))
    L.expect(g.stop() == 0, "a clean stop")


def test_a_token_is_removed_and_inserted_again():
    times = 5
    with guardian() as g:
        load = Load(g)
        tokens, away = (g.lab.dir / "softhsm" / n for n in ("tokens", "away"))
        for _ in range(times):
            tokens.rename(away)
            load.later()
            away.rename(tokens)
            load.go_on()
        load.end("SoftHSM2's directory moved away and back", times)


class P11Server:
    """SoftHSM2 behind p11-kit server, for a daemon."""

    def __init__(self, g):
        self.g, self.process = g, None
        self.socket = g.lab.dir / "pk.sock"
        g.configure(g.conf.replace(L.SOFTHSM, P11_KIT_CLIENT).replace(
            f"SOFTHSM2_CONF={g.lab.dir}/softhsm/softhsm2.conf",
            f"P11_KIT_SERVER_ADDRESS=unix:path={self.socket}"))
        self.serve()

    def serve(self):
        self.socket.unlink(missing_ok=True)
        self.process = self.g.lab.start(
            "p11-kit", ["p11-kit", "server", "--foreground", "--provider",
                        L.SOFTHSM, "--name", self.socket, "pkcs11:token=lab"],
            env=self.g.env)
        L.wait_for("p11-kit server", self.socket.exists)

    def cut(self):
        remotes = children(self.process.pid)
        for pid in remotes:
            kill(pid)
        return len(remotes)

    def away(self):
        remotes = children(self.process.pid)
        self.process.kill()
        self.process.wait()
        self.g.lab.forget(self.process)
        for pid in remotes:
            kill(pid)


def test_a_connection_is_cut():
    times, servers = 20, []
    with guardian(lambda g: servers.append(P11Server(g))) as g:
        load = Load(g)
        for _ in range(times):
            L.expect(servers[0].cut() > 0, "a connection to cut")
            load.go_on()
        load.end("p11-kit-remote killed in the middle of use", times)


def test_a_server_is_gone_and_back():
    times, servers = 4, []
    with guardian(lambda g: servers.append(P11Server(g))) as g:
        load = Load(g)
        for _ in range(times):
            servers[0].away()
            load.later()
            servers[0].serve()
            load.go_on()
        load.end("p11-kit server gone and back", times)


def test_sessions_are_lost_by_the_hundred():
    """All sessions of a process at once, at each 25th signature."""
    def faulty(g):
        g.rules, g.trace = g.lab.dir / "rules", g.lab.dir / "trace"
        g.rules.write_text("\n")
        g.configure(g.conf.replace(f"Module={L.SOFTHSM}", f"Module={FAULTY}") +
                    "Processes=2\nSessions=8\n" + "".join(
                        f"Environment={e}\n" for e in (
                            f"FAULTY_MODULE={L.SOFTHSM}",
                            f"FAULTY_RULES={g.rules}",
                            f"FAULTY_TRACE={g.trace}")))

    def calls(g, name):
        whole = g.trace.read_text().rpartition("\n")[0]
        return sum(1 for line in whole.splitlines() if line.split()[2] == name)

    with guardian(faulty) as g:
        load = Load(g)
        opened = calls(g, "C_OpenSession")
        (g.lab.dir / "rules.new").write_text("C_SignInit closeall every=25\n")
        (g.lab.dir / "rules.new").rename(g.rules)
        L.wait_for("some hundred sessions", lambda: any(
            c.wrong for c in load.clients) or
            calls(g, "C_OpenSession") > opened + 500, 240)
        lost = calls(g, "C_OpenSession") - opened
        (g.lab.dir / "rules.new").write_text("\n")
        (g.lab.dir / "rules.new").rename(g.rules)
        load.go_on()
        load.end(f"{lost} sessions lost under load", 1)
        L.expect(calls(g, "OVERLAP") == 0, "no session used by two threads")


class FaultyTpm(Tpm2):
    """A TPM behind the module that notes what is called."""

    def make(self):
        super().make()
        self.trace_file = self.folder / "trace"
        self.settings["Module"] = FAULTY
        self.environment += [f"FAULTY_MODULE={TPM2_PKCS11}",
                             f"FAULTY_TRACE={self.trace_file}"]

    trace, logins = Faulty.trace, Faulty.logins

    def clear_lockout(self):
        bus = next(e for e in self.environment if e.startswith("DBUS_"))
        self.run("tpm2_dictionarylockout", "-c", TPM2TOOLS_TCTI="tabrmd:"
                 "bus_type=session", DBUS_SESSION_BUS_ADDRESS=bus.split("=", 1)[1])


def restarted(p, result, n=3):
    """Whatever is asked of it, and however often it starts."""
    for _ in range(n):
        with p.start(stderr=-3) as h:
            equal(h.status().result, result, "status")
            equal(h.sign("k", "ES256", b"x").result, result, "sign")


def test_a_tpm_locks_its_pin_after_three_wrong_ones():
    with place(FaultyTpm) as p:
        with p.start(stderr=-3) as h:
            spki = Key(h.generate("k", "ES256").data).spki
        p.set_pin("a wrong PIN, the first")
        before = p.logins()
        restarted(p, "PIN_WRONG", 6)
        equal(p.logins() - before, 1, "C_Login calls with it")
        p.set_pin(p.pin)
        with p.start(stderr=-3) as h:
            equal(h.status().result, "OK", "not locked by six starts")
        # The TPM counts all that ever were wrong: two more, from an operator.
        for n, text in (("second", "PIN_WRONG"), ("third", None)):
            p.set_pin(f"a wrong PIN, the {n}")
            with p.start(stderr=-3) as h:
                got = h.status().result
                equal(got in ("PIN_WRONG", "PIN_LOCKED"), True, f"{n}: {got}")
                if text:
                    equal(got, text, n)
        p.set_pin(p.pin)
        with p.start(stderr=-3) as h:
            equal(h.status().result, "PIN_LOCKED", "the right one, locked out")
        p.clear_lockout()
        with p.start(stderr=-3) as h:
            within("it opens again", lambda: h.unlock().result == "OK", 120)
            equal(Key(h.find("k").data).spki, spki, "the key of before")
        print(f"# a TPM that locks after three wrong PINs: {p.logins() - before}"
              " C_Login calls in 11 starts, each wrong PIN sent once; lost: no "
              "key", flush=True)


def main(names):
    """A process for each, side by side: a daemon's lab forks to become another
    user, which is not to be done beside threads."""
    cases = {n: f for n, f in globals().items() if n.startswith("test_")}
    if len(names) == 1:
        return L.run_cases([cases[names[0]]])
    running = [subprocess.Popen([sys.executable, __file__, n])
               for n in names or cases]
    return max([p.wait() for p in running])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
