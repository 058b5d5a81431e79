# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every class of PKCS#11 error, from every call that the token helper makes.

Which code a fault gives differs with every module, so each code comes from each
call: before the real call is made ("before") and after it was ("after"). What
has to hold: the answer is what docs and daemon expect of this class, a key that
is there is never said to be gone, no PIN is sent more often than once a start,
the helper comes back, and then the key signs as before.

What else real modules do wrong, and where it is tried:

    a fault that is another code in each module     every code here, once and
                                                    for good
    sessions closed, login lost, all at once        token_faults.py, token_lost.py
    an operation that stays active                  "after", each code of C_Sign
    the token gone, cached as there, and back       token_faults.py, token_lost.py
    a connection that is lost, SIGPIPE              token_lost.py, p11-kit
    too few sessions, one handle for two threads    token_faults.py
    wrong, locked, expired PIN; flags; none at all  here, token_faults.py and a
                                                    TPM in token_lost.py
    calls that hang, crash, print, fork, are slow   token_faults.py
    signatures and handles that are another's       token_lies.py
    readable keys, odd templates, twins, no label   token_faults.py
    what each module cannot do                      token_conformance.py
"""

import concurrent.futures
import subprocess
import sys

from token_conformance import DATA
from token_lab import Failed, Faulty, equal, place, within
from token_wire import Closed, Key
from verify_lab import Verifier

UNSUPPORTED = (0x07, 0x10, 0x13, 0x20, 0x21, 0x54, 0x70, 0x71, 0xB5, 0xD0,
               0xD1, 0xE2, 0x140)
UNFIT = (0x62, 0x63, 0x68)
PIN_WRONG = (0xA0, 0xA1, 0xA2)
PIN_LOCKED = (0xA3, 0xA4)
# What none of them is: a session, a login, a device or a module that is lost.
LOST = (0x01, 0x02, 0x03, 0x05, 0x06, 0x08, 0x09, 0x0A, 0x11, 0x12, 0x1B, 0x30,
        0x31, 0x32, 0x40, 0x41, 0x50, 0x51, 0x60, 0x64, 0x65, 0x66, 0x82, 0x90,
        0x91, 0xB0, 0xB3, 0xB4, 0xB6, 0xB7, 0xB8, 0xC0, 0xC1, 0xE0, 0xE1,
        0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x120, 0x121, 0x130, 0x160,
        0x170, 0x180, 0x190, 0x191, 0x1A0, 0x1B0, 0x1B1, 0x200, 0x54321,
        0x80000123)
FULL, TOO_SMALL = 0xB1, 0x150
CODES = (*LOST, *UNSUPPORTED, *UNFIT, *PIN_WRONG, *PIN_LOCKED, FULL, TOO_SMALL)
# C_GenerateKeyPair: tried once more, with fewer attributes.
SHORTENED = (0x10, 0x12, 0x13, 0xD1)
ABSENT = (0x11, 0x12)  # of an attribute: the token has none, or does not tell
# Where each code costs a start: those that real modules gave.
CLASSES = (0x02, 0x03, 0x05, 0x06, 0x07, 0x20, 0x30, 0x31, 0x32, 0x50, 0x54,
           0x60, 0x63, 0x70, 0x82, 0x90, 0x91, *PIN_WRONG, *PIN_LOCKED, FULL,
           0xB0, 0xB3, 0xE0, 0xE1, 0x100, 0x101, 0x102, 0x103, 0x104, TOO_SMALL,
           0x190, 0x80000123)

DEFINITE = {**dict.fromkeys(UNSUPPORTED, "UNSUPPORTED"),
            **dict.fromkeys(UNFIT, "KEY_UNFIT"),
            **dict.fromkeys(PIN_WRONG, "PIN_WRONG"),
            **dict.fromkeys(PIN_LOCKED, "PIN_LOCKED"),
            FULL: "FULL", TOO_SMALL: "BAD_SIGNATURE"}


class Bench:
    """A helper on a token of its own that holds the key k, and what is counted.
    """

    def __init__(self, p):
        self.p = p
        self.tried = 0
        self.wrong = []
        self.h = None
        self.ending = False  # the helper has said what it does at its end
        p.rules()
        self.start()
        self.key = Key(self.h.generate("k", "ES256").data)
        self.good = Verifier(self.key.spki, "ES256")
        self.cured()

    def start(self):
        self.h = self.p.start(stderr=subprocess.DEVNULL)

    def stop(self):
        self.h.stop(60)

    def restart(self, stop=False):
        """It ends when it has to; a new one is what the daemon starts."""
        if not stop:
            within("it ends", lambda: self.h.process.poll() is not None, 120)
        self.h.sock.close()
        self.h.process.wait(60)
        self.h.begin()
        self.ending = False

    def signs(self):
        r = self.h.sign("k", "ES256", DATA)
        return r.result == "OK" and self.good.accepts(DATA, r.data)

    def cured(self):
        """No rule any more: the key is there, and signs."""
        self.p.rules()
        if not self.ending:
            within("it recovers", lambda: self.h.status().result == "OK", 120)
            if not self.signs():
                raise Failed("the key does not sign")
            return
        self.restart()
        within("a new one starts", lambda: self.h.status().result == "OK", 120)
        if not self.signs():
            raise Failed("the key is lost")

    def ask(self, op, *args, **more):
        r = self.h.ask(op, *args, **more)
        self.ending = self.ending or r.result == "FAILED"
        if r.result == "OK" and op == "SIGN" and \
                not self.good.accepts(DATA, r.data):
            return "A BAD SIGNATURE"
        return r.result

    def judge(self, what, have, want):
        self.tried += 1
        if have not in want:
            self.wrong.append(f"{what}: {have}, expected {want}")


def sign(b):
    return b.ask("SIGN", "k", "ES256", data=DATA)


def find(b):
    return b.ask("FIND", "k")


def when_used(call, op, extra=(), want=None, once=True):
    """A call that fails while the helper works: before the token has done what
    it was asked, and after."""
    def case(b, code):
        for when in ("", "post"):
            b.p.rules(*extra, f"{call} rv={code:#x} {when}"
                      f"{' count=1' if once else ''}")
            wanted = (want,) if want else (DEFINITE.get(code, "OK"),)
            b.judge(f"{call} {code:#x} {when}", op(b), wanted)
            b.cured()
    return case


def for_good(b, code):
    """It fails each time: told as what it is, and the helper makes way."""
    b.p.rules(f"C_Sign rv={code:#x}")
    b.judge(f"C_Sign {code:#x} for good", sign(b),
            (DEFINITE.get(code, "FAILED"),))
    b.cured()


def opening(b, code):
    """The way up the ladder is closed, too."""
    b.p.rules("C_Sign rv=0x5 count=1", f"C_OpenSession rv={code:#x} count=1")
    b.judge(f"C_OpenSession {code:#x}", sign(b),
            (DEFINITE.get(code, "FAILED"),))
    b.ending = True
    b.cured()


def attributes(b, code):
    """What cannot be read is no answer; what the token has not is one."""
    for after in range(0, 20, 3):
        b.p.rules(f"C_GetAttributeValue rv={code:#x} after={after} count=1")
        want = ("OK", "KEY_UNFIT") if code in ABSENT else \
            (DEFINITE.get(code, "OK"), "OK")
        b.judge(f"C_GetAttributeValue {code:#x}, the {after}th", find(b), want)
        b.cured()


def looking(b, code):
    """A token that does not answer has not said that there is no key."""
    b.p.rules(f"C_GetTokenInfo rv={code:#x} count=1")
    b.judge(f"C_GetTokenInfo {code:#x} once", b.ask("FIND", "z"), ("NO_KEY",))
    b.p.rules(f"C_GetTokenInfo rv={code:#x}")
    b.judge(f"C_GetTokenInfo {code:#x}", b.ask("FIND", "z"), ("FAILED",))
    b.cured()


def generating(b, code):
    """Never tried twice, since a key may be there after all."""
    want = "OK" if code in SHORTENED else "FULL" if code == 0x31 else \
        DEFINITE.get(code, "FAILED")
    b.p.rules(f"C_GenerateKeyPair rv={code:#x} count=1")
    label = f"n{code:x}"
    b.judge(f"C_GenerateKeyPair {code:#x}",
            b.ask("GENERATE", label, "ES256"), (want,))
    b.cured()
    b.judge(f"the key after C_GenerateKeyPair {code:#x}", b.ask("FIND", label),
            ("OK" if want == "OK" else "NO_KEY",))


def destroying(b, code):
    label = f"d{code:x}"
    equal(b.ask("GENERATE", label, "ES256"), "OK", "a key to destroy")
    want = DEFINITE.get(code, "OK")
    b.p.rules(f"C_DestroyObject rv={code:#x} count=1")
    b.judge(f"C_DestroyObject {code:#x}", b.ask("DESTROY", label), (want,))
    b.cured()
    b.judge(f"the key after C_DestroyObject {code:#x}", b.ask("FIND", label),
            ("NO_KEY" if want == "OK" else "OK",))


def starting(call, told):
    """A call that fails for as long as the helper starts."""
    def case(b, code):
        b.stop()
        b.p.rules(f"{call} rv={code:#x}")
        b.start()
        b.judge(f"{call} {code:#x} at the start", b.h.status().result, (told,))
        b.cured()
    return case


def logging_in(b, code):
    b.stop()
    b.p.rules(f"C_Login rv={code:#x}")
    b.start()
    told = DEFINITE[code] if code in (*PIN_WRONG, *PIN_LOCKED) else "FAILED"
    b.judge(f"C_Login {code:#x} at the start", b.h.status().result, (told,))
    if code in PIN_WRONG:
        once_and_no_more(b, code)
    b.cured()


def once_and_no_more(b, code):
    """Whatever is asked, and by whatever process, until an operator says so."""
    sent = b.p.logins()
    for _ in range(3):
        b.judge(f"after C_Login {code:#x}", sign(b), ("PIN_WRONG",))
        b.restart(stop=True)
        b.judge(f"after C_Login {code:#x}", b.h.status().result, ("PIN_WRONG",))
    b.judge(f"tries after C_Login {code:#x}", b.p.logins() - sent, (0,))
    b.p.rules()
    equal(b.h.unlock().result, "OK", f"C_Login {code:#x}: confirmed")


def logging_in_again(b, code):
    b.p.rules("C_SignInit logout count=1", f"C_Login rv={code:#x}")
    sent = b.p.logins()
    told = DEFINITE[code] if code in (*PIN_WRONG, *PIN_LOCKED) else "FAILED"
    b.judge(f"C_Login {code:#x} again", sign(b), (told,))
    b.ending = True
    b.judge(f"tries of C_Login {code:#x}", b.p.logins() - sent, (1,))
    if code in PIN_WRONG:
        b.restart()
        once_and_no_more(b, code)
    b.cured()


CASES = {
    "C_SignInit": (CODES, when_used("C_SignInit", sign)),
    "C_Sign": (CODES, when_used("C_Sign", sign)),
    "C_Sign, for good": (CODES, for_good),
    "C_FindObjectsInit": (CODES, when_used("C_FindObjectsInit", find)),
    "C_FindObjects": (CODES, when_used("C_FindObjects", find)),
    "C_FindObjectsFinal": (
        CODES, when_used("C_FindObjectsFinal", find, want="OK")),
    "C_CloseSession": (CODES, when_used(
        "C_CloseSession", sign, ["C_Sign rv=0x5 count=1"], "OK")),
    "C_GetSessionInfo": (CODES, when_used(
        "C_GetSessionInfo", sign, ["C_Sign rv=0x5 count=1"], "OK")),
    "C_GetAttributeValue": (CODES, attributes),
    "C_GenerateKeyPair": (CODES, generating),
    "C_DestroyObject": (CODES, destroying),
    "C_GetTokenInfo": (CODES, looking),
    "C_OpenSession": (CODES, opening),
    "C_Login, again": (CLASSES, logging_in_again),
    "C_Login": (CLASSES, logging_in),
    "C_Initialize": (CLASSES, starting("C_Initialize", "NO_TOKEN")),
    "C_GetSlotList": (CLASSES, starting("C_GetSlotList", "NO_TOKEN")),
    "C_GetSlotInfo": (CLASSES, starting("C_GetSlotInfo", "NO_TOKEN")),
    "C_GetTokenInfo, at the start": (
        CLASSES, starting("C_GetTokenInfo", "NO_TOKEN")),
    "C_OpenSession, at the start": (
        CLASSES, starting("C_OpenSession", "FAILED")),
    "C_GetInfo": (CLASSES, starting("C_GetInfo", "OK")),
    "C_GetMechanismInfo": (CLASSES, starting("C_GetMechanismInfo", "OK")),
}


def run(name):
    codes, case = CASES[name]
    with place(Faulty) as p:
        b = Bench(p)
        for code in codes:
            try:
                case(b, code)
            except (Failed, Closed, OSError) as e:
                raise Failed(f"{name} {code:#x}: {e!r}") from e
        b.stop()
        if p.trace("OVERLAP"):
            raise Failed(f"{name}: a session used by two threads at once")
        return name, b.tried, b.wrong, p.logins(), len(p.trace("C_Initialize"))


def main():
    names = sys.argv[1:] or list(CASES)
    tried, wrong = 0, []
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        for name, n, bad, logins, starts in pool.map(run, names):
            print(f"{name}: {n - len(bad)} of {n} right, {logins} logins in "
                  f"{starts} starts", flush=True)
            tried += n
            wrong += bad
    for line in wrong:
        print(f"not ok {line}")
    print(f"# token faults: {tried} answers to {len(CODES)} codes from "
          f"{len(names)} calls, {tried - len(wrong)} right; lost: no key, no "
          "PIN try")
    print(f"{len(wrong)} failed" if wrong else "all held")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
