# SPDX-License-Identifier: LGPL-2.1-or-later
"""The token helper on a token that fails in every way that tokens do.

SoftHSM2 stands behind a PKCS#11 module that fails on command
(tests/faulty-module/); the codes are those that real modules gave.
"""

import os
import subprocess
import time

from token_conformance import DATA, alive, children, many
from token_lab import PIN, Failed, Faulty, equal, main, within
from token_wire import Closed, Foreign, Key, own

SIGN_CODES = (0xB3, 0xB0, 0x82, 0x60, 0x90, 0x91, 0x50, 0x06, 0x05, 0x30, 0x31,
              0x32, 0xE0, 0xE1, 0x02, 0x03, 0x190, 0x80000123, 0x54321)


def ready(p, **changes):
    """A helper with the key k, and quiet rules."""
    p.rules()
    h = p.start(stderr=subprocess.DEVNULL, **changes)
    equal(h.generate("k", "ES256").result, "OK", "generate")
    equal(h.sign("k", "ES256", DATA).result, "OK", "sign")
    return h


def refused_pin(p, h, text="PIN_WRONG"):
    equal(h.status().result, text, "status")
    equal(h.sign("k", "ES256", DATA).result, text, "sign")


# Exit codes: systemd starts the helper again at once, or as after a failure.
NEEDS_NEW_START = 75
FAILURE = 1


def ends(h, seconds=60, code=NEEDS_NEW_START):
    """The helper ends by itself."""
    equal(h.wait(seconds), code, "exit code")


# ---- the PIN --------------------------------------------------------------


def a_wrong_pin_is_sent_once_across_restarts(p):
    p.set_pin("not-the-pin")
    for _ in range(3):
        with p.start(Processes=3, stderr=-3) as h:
            refused_pin(p, h)
            time.sleep(0.6)  # it tries to start again meanwhile
            refused_pin(p, h)
    equal(p.logins(), 1, "C_Login calls")
    p.set_pin("nor-this-one")
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    equal(p.logins(), 2, "C_Login calls after another wrong PIN")
    p.set_pin("not-the-pin")
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    equal(p.logins(), 2, "C_Login calls after going back to the first")
    p.set_pin(PIN)
    with p.start(stderr=-3) as h:
        equal(h.status().result, "OK", "the right PIN")
    p.set_pin("not-the-pin")
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    equal(p.logins(), 3, "C_Login calls in all")


def unlock_sends_it_exactly_once_more(p):
    p.set_pin("not-the-pin")
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
        equal(h.unlock().result, "PIN_WRONG", "unlock")
        equal(p.logins(), 2, "C_Login calls")
        refused_pin(p, h)
        time.sleep(0.6)
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    equal(p.logins(), 2, "C_Login calls after a restart")


def the_record_holds_no_pin(p):
    p.set_pin("not-the-pin")
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    if b"not-the-pin" in p.record().read_bytes():
        raise Failed("the PIN stands in the record")
    equal(p.record().stat().st_mode & 0o777, 0o600, "mode")


def a_damaged_record_stops_all_tries(p):
    p.set_pin("not-the-pin")
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    p.record().write_bytes(p.record().read_bytes()[:50])
    with p.start(stderr=-3) as h:
        refused_pin(p, h, "PIN_MISSING")
    equal(p.logins(), 1, "C_Login calls")


def a_place_for_the_record_is_needed(p):
    with p.start(stderr=-3, Directory="/proc/nowhere") as h:
        refused_pin(p, h, "PIN_MISSING")
    equal(p.logins(), 0, "C_Login calls")


def flags_stop_the_pin(p):
    count_low, final_try, locked, change = (1 << n for n in range(16, 20))
    for flags in (count_low, final_try, locked, change):
        p.rules(f"C_GetTokenInfo flags={flags:#x}")
        with p.start(stderr=-3) as h:
            refused_pin(p, h, "PIN_LOCKED")
            equal(p.logins(), 0, f"C_Login calls with {flags:#x}")
            if flags in (locked, change):
                equal(h.unlock().result, "PIN_LOCKED", f"unlock, {flags:#x}")
                equal(p.logins(), 0, f"C_Login calls with {flags:#x}")
    for n, flags in enumerate((count_low, final_try), 1):
        p.rules(f"C_GetTokenInfo flags={flags:#x}")
        with p.start(stderr=-3) as h:
            equal(h.unlock().result, "OK", f"unlock with {flags:#x}")
            equal(p.logins(), n, "C_Login calls")


def a_locked_pin_is_told(p):
    p.rules("C_Login rv=0xA4")
    with p.start(stderr=-3) as h:
        refused_pin(p, h, "PIN_LOCKED")
        equal(h.status().text[-14:], "CKR_PIN_LOCKED", "text")


def other_failures_at_login_are_no_wrong_pin(p):
    for rv in (0x05, 0x102, 0xB3, 0x30):
        p.rules(f"C_Login rv={rv:#x}")
        with p.start(stderr=-3) as h:
            equal(h.status().result, "FAILED", f"{rv:#x}")
            p.rules()
            within(f"it recovers from {rv:#x}",
                   lambda: h.status().result == "OK")
        if p.record().exists():
            raise Failed(f"{rv:#x} was written down as a wrong PIN")


def a_hang_at_login_does_not_burn_the_pin(p):
    for _ in range(3):
        p.rules("C_Login hang")
        with p.start(stderr=-3, Timeout="300ms") as h:
            s = h.status()
            equal(s.result, "FAILED", "status")
            if "Timeout=" not in s.text:
                raise Failed(s.text)
            p.rules()
            within("it recovers", lambda: h.status().result == "OK")


def a_pin_that_twice_gave_no_answer_counts_as_wrong(p):
    p.rules("C_Login segv")
    with p.start(stderr=-3) as h:
        equal(h.status().result, "FAILED", "status")
        within("it gives up", lambda: h.status().result == "PIN_WRONG")
        p.rules()
        time.sleep(0.6)
        refused_pin(p, h)
        equal(p.logins(), 0, "finished C_Login calls")
        equal(h.unlock().result, "OK", "unlock")


def relogin_obeys_the_pin_rules(p):
    with ready(p, Processes=2) as h:
        p.set_pin("not-the-pin")
        within("two processes", lambda: h.status().processes == 2)
        logins = p.logins()
        p.rules("C_SignInit logout")
        try:
            while h.sign("k", "ES256", DATA).result == "OK":
                pass
        except Closed:
            pass
        ends(h)
        equal(p.logins(), logins + 1, "C_Login calls")
    p.rules()
    with p.start(stderr=-3) as h:
        refused_pin(p, h)
    equal(p.logins(), logins + 1, "C_Login calls after a restart")


def pin_files_of_others_are_refused(p):
    for mode in (0o640, 0o604, 0o700, 0o620):
        p.pin_file.chmod(mode)
        with p.start(stderr=-3) as h:
            refused_pin(p, h, "PIN_MISSING")
    p.pin_file.chmod(0o400)
    os.chown(p.pin_file, 12345, 12345)
    with p.start(stderr=-3) as h:
        refused_pin(p, h, "PIN_MISSING")
    os.chown(p.pin_file, 0, 0)
    with p.start(stderr=-3) as h:
        equal(h.status().result, "OK", "0400 and root's")
    p.pin_file.rename(p.folder / "real-pin")
    os.mkfifo(p.pin_file, 0o600)
    with p.start(stderr=-3) as h:
        refused_pin(p, h, "PIN_MISSING")


def the_pin_comes_as_a_credential(p):
    credentials = p.folder / "credentials"
    credentials.mkdir()
    (credentials / "pin").write_text(PIN)
    env = dict(os.environ, CREDENTIALS_DIRECTORY=str(credentials))
    with p.start(env=env, Pin="credential:pin", stderr=-3) as h:
        equal(h.status().result, "OK", "credential")
    with p.start(env=env, Pin="credential:other", stderr=-3) as h:
        refused_pin(p, h, "PIN_MISSING")
    with p.start(Pin="credential:pin", stderr=-3) as h:
        refused_pin(p, h, "PIN_MISSING")
    with p.start(Pin="none", stderr=-3) as h:
        refused_pin(p, h, "PIN_MISSING")


def a_token_hidden_for_a_moment_is_looked_for_again(p):
    p.rules("C_GetTokenInfo rv=0xE0")
    with p.start(stderr=-3) as h:
        within("it looks", lambda: p.trace("C_GetTokenInfo"))
        p.rules()
        equal(h.status().result, "OK", "hidden for a moment")
    p.rules("C_GetTokenInfo rv=0xE0")
    with p.start(stderr=-3) as h:
        equal(h.status().result, "NO_TOKEN", "hidden for long")
        p.rules()
        within("it is found", lambda: h.status().result == "OK")


# ---- the error ladder -----------------------------------------------------


def one_failure_of_any_kind_is_not_seen(p):
    with ready(p) as h:
        for call in ("C_SignInit", "C_Sign"):
            for rv in SIGN_CODES:
                for post in ("", "post"):
                    p.rules(f"{call} rv={rv:#x} count=1 {post}")
                    r = h.sign("k", "ES256", DATA)
                    equal(r.result, "OK", f"{call} {rv:#x} {post}: {r.text}")
        equal(p.logins(), 1, "C_Login calls")


def a_failure_that_stays_ends_the_helper(p):
    for call in ("C_SignInit", "C_Sign", "C_FindObjectsInit"):
        for rv in (0xB3, 0x05, 0x80000123):
            p.rules()
            with p.start(stderr=-3) as h:
                h.generate("k", "ES256")
                p.rules(f"{call} rv={rv:#x}")
                r = h.sign("k" if call != "C_FindObjectsInit" else "other",
                           "ES256", DATA)
                equal((r.result, r.ckr), ("FAILED", rv), call)
                ends(h)
            logins = p.logins()
    equal(logins, 9, "C_Login calls: one a start")


def definite_answers_are_not_repeated(p):
    with ready(p) as h:
        for rv, result in ((0x70, "UNSUPPORTED"), (0x71, "UNSUPPORTED"),
                           (0x54, "UNSUPPORTED"), (0x21, "UNSUPPORTED"),
                           (0x63, "KEY_UNFIT"), (0x68, "KEY_UNFIT"),
                           (0x150, "BAD_SIGNATURE")):
            before = len(p.trace("C_SignInit"))
            p.rules(f"C_SignInit rv={rv:#x}")
            equal(h.sign("k", "ES256", DATA).result, result, f"{rv:#x}")
            equal(len(p.trace("C_SignInit")), before + 1, "tries")
        p.rules()
        equal(h.sign("k", "ES256", DATA).result, "OK", "afterwards")


def a_lost_login_is_renewed_once(p):
    with ready(p) as h:
        for call in ("C_SignInit", "C_Sign", "C_FindObjectsInit"):
            before = p.logins()
            p.rules(f"{call} logout count=1")
            r = h.sign("k", "ES256", DATA) if call != "C_FindObjectsInit" \
                else h.find("k")
            equal(r.result, "OK", f"{call}: {r.text}")
            if call != "C_Sign":  # SoftHSM2 finishes what was begun
                equal(p.logins(), before + 1, f"C_Login calls, {call}")


def closed_sessions_are_opened_again(p):
    with ready(p) as h:
        before = p.logins()
        p.rules("C_SignInit closeall count=1")
        r = h.sign("k", "ES256", DATA)
        equal(r.result, "OK", r.text)
        equal(p.logins(), before + 1, "C_Login calls")


def a_lost_token_is_not_a_missing_key(p):
    with ready(p) as h:
        p.rules("C_FindObjects empty", "C_GetTokenInfo rv=0xE0")
        equal(h.find("k").result, "FAILED", "find")
        ends(h)
    p.rules()
    for ask in (lambda h: h.sign("k", "ES256", DATA), lambda h: h.find("k"),
                lambda h: h.find("z"), lambda h: h.ask("DESTROY", "k")):
        with p.start(stderr=-3) as h:
            equal(h.sign("k", "ES256", DATA).result, "OK", "before")
            p.tokens.rename(p.folder / "away")
            try:
                equal(ask(h).result, "FAILED", "while the token is away")
            finally:
                (p.folder / "away").rename(p.tokens)
            ends(h)
    with p.start(stderr=-3) as h:
        equal(h.sign("k", "ES256", DATA).result, "OK", "when it is back")


def a_missing_token_is_told_until_it_comes(p):
    away = p.folder / "away"
    p.tokens.rename(away)
    p.tokens.mkdir()
    with p.start(stderr=-3) as h:
        refused_pin(p, h, "NO_TOKEN")
        equal(h.unlock().result, "NO_TOKEN", "unlock")
        p.tokens.rmdir()
        away.rename(p.tokens)
        within("it is found", lambda: h.status().result == "OK")
        equal(h.generate("k", "ES256").result, "OK", "generate")


def modules_that_do_not_load_are_told(p):
    (p.folder / "text.so").write_text("no module")
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    for module in (p.folder / "none.so", p.folder / "text.so", libc):
        with p.start(stderr=-3, Module=module) as h:
            refused_pin(p, h, "NO_TOKEN")
    for rv in (0x05, 0x30, 0x07):
        p.rules(f"C_Initialize rv={rv:#x}")
        with p.start(stderr=-3) as h:
            refused_pin(p, h, "NO_TOKEN")


def uris_that_say_too_much_are_refused(p):
    p.init_token("t2")
    for uri in ("pkcs11:token=t1?pin-value=1234", "pkcs11:token=t1;id=%01",
                "pkcs11:token=t1?pin-source=file:/etc/passwd",
                "pkcs11:token=t1?module-path=/tmp/x.so",
                "pkcs11:token=t1?module-name=x", "pkcs11:token=t1?more=1",
                "pkcs11:token=t1;x-more=1", "pkcs11:token=t1;object=k",
                "pkcs11:model=SoftHSM%20v2", "token=t1", "pkcs11:token=t"):
        with p.start(stderr=-3, Token=uri) as h:
            refused_pin(p, h, "NO_TOKEN")
    equal(p.logins(), 0, "C_Login calls")


# ---- hangs, crashes and noise ---------------------------------------------


def a_hang_ends_within_the_timeout(p):
    for call in ("C_Sign", "C_SignInit", "C_FindObjectsInit"):
        p.rules()
        with p.start(stderr=-3, Processes=2, Timeout="500ms") as h:
            h.generate("k", "ES256")
            within("two", lambda: h.status().processes == 2)
            workers = children(h.process.pid)
            p.rules(f"{call} hang")
            begun = time.monotonic()
            h.send("SIGN", "k" if call != "C_FindObjectsInit" else "other",
                   "ES256", data=DATA)
            ends(h)
            took = time.monotonic() - begun
            if not 0.4 < took < 20:
                raise Failed(f"{call}: ended after {took:.2f} s")
            if any(map(alive, workers)):
                raise Failed("a worker is left")


def a_slow_call_is_waited_for(p):
    with ready(p, Timeout="2s") as h:
        p.rules("C_Sign ms=600")
        equal(h.sign("k", "ES256", DATA).result, "OK", "sign")


def a_crash_ends_the_helper(p):
    for call in ("C_Sign", "C_FindObjectsInit"):
        p.rules()
        with p.start(stderr=-3, Processes=2) as h:
            h.generate("k", "ES256")
            p.rules(f"{call} segv")
            h.send("SIGN", "k" if call == "C_Sign" else "x", "ES256",
                   data=DATA)
            ends(h, code=FAILURE)


def a_crash_or_hang_at_the_start_is_told(p):
    for word, text in (("segv", "SIGSEGV"), ("hang", "Timeout=")):
        p.rules(f"C_Initialize {word}")
        with p.start(stderr=-3, Timeout="300ms") as h:
            s = h.status()
            equal(s.result, "FAILED", "status")
            if text not in s.text:
                raise Failed(s.text)
            p.rules()
            within("it recovers", lambda: h.status().result == "OK")


def the_peer_may_leave_during_a_hang(p):
    with ready(p, Timeout="60s") as h:
        p.rules("C_Sign hang")
        h.send("SIGN", "k", "ES256", data=DATA)
        time.sleep(0.2)
        equal(h.stop(30), 0, "exit code")


def the_token_gets_its_sessions_back(p):
    with ready(p, Processes=2, Sessions=3) as h:
        within("two", lambda: h.status().processes == 2)
        many(h, "k", 30)
        equal(h.stop(30), 0, "exit code")
    equal(len(p.trace("C_Finalize")), 2, "C_Finalize calls")
    with ready_again(p) as h:
        p.rules("C_Finalize ms=2000")
        equal(h.stop(30), 0, "exit code when that is slow")
    equal(len(p.trace("C_Finalize")), 3, "C_Finalize calls, a slow one too")
    with ready_again(p, Timeout="1s") as h:
        p.rules("C_Finalize hang")
        equal(h.stop(30), 0, "exit code when that hangs")


def ready_again(p, **changes):
    h = p.start(stderr=-3, **changes)
    equal(h.sign("k", "ES256", DATA).result, "OK", "sign")
    return h


def output_is_logged_and_limited(p):
    p.rules()
    log = p.folder / "log"
    with log.open("w") as f, p.start(stderr=f) as h:
        h.generate("k", "ES256")
        p.rules("C_Sign print=NOISE")
        for _ in range(300):
            equal(h.sign("k", "ES256", DATA).result, "OK", "sign")
        h.stop()
    lines = log.read_text().count("NOISE")
    if not 1 <= lines <= 25:
        raise Failed(f"{lines} lines were logged")


def threads_and_forks_of_the_module_do_no_harm(p):
    p.rules("C_Initialize thread", "C_SignInit fork")
    with p.start(stderr=-3) as h:
        h.generate("k", "ES256")
        equal(h.sign("k", "ES256", DATA).result, "OK", "sign")
        equal(h.stop(30), 0, "exit code")


# ---- sessions -------------------------------------------------------------


def few_sessions_are_made_do_with(p):
    p.rules("C_OpenSession limit=2")
    with p.start(stderr=-3, Sessions=5) as h:
        equal(h.status().sessions, 1, "sessions")
        equal(h.generate("k", "ES256").result, "FULL", "generate")
        p.rules()
        equal(h.generate("k", "ES256").result, "OK", "generate")
        p.rules("C_OpenSession limit=2")
        for r in many(h, "k", 50):
            equal(r.result, "OK", r.text)


def no_session_at_all_is_told(p):
    p.rules("C_OpenSession limit=1")
    with p.start(stderr=-3) as h:
        equal(h.status().result, "FULL", "status")


def a_duplicate_handle_is_not_used(p):
    p.rules("C_OpenSession duplicate after=1 count=1")
    with p.start(stderr=-3, Sessions=4) as h:
        h.generate("k", "ES256")
        equal(h.status().sessions, 4, "sessions")
        for _ in range(10):
            for r in many(h, "k", 50):
                equal(r.result, "OK", r.text)
    equal(p.trace("OVERLAP"), [], "sessions used by two threads at once")


def sessions_are_never_shared(p):
    with ready(p, Sessions=6) as h:
        p.rules("C_Sign rv=0x5 after=20 count=1")
        for _ in range(20):
            for r in many(h, "k", 40):
                equal(r.result, "OK", r.text)
    equal(p.trace("OVERLAP"), [], "sessions used by two threads at once")


def a_login_lost_under_load_is_renewed_once(p):
    with ready(p, Sessions=6) as h:
        before = p.logins()
        p.rules("C_SignInit logout after=30 count=1")
        for r in many(h, "k", 100):
            equal(r.result, "OK", r.text)
        equal(p.logins(), before + 1, "C_Login calls")


def begun_ahead(p, h):
    """Signs until C_SignInit has been called for a request to come."""
    def asked():
        for _ in range(20):
            equal(h.sign("k", "ES256", DATA).result, "OK", "sign")
        time.sleep(0.01)
        calls = [c[2] for c in p.trace() if c[2] in ("C_SignInit", "C_Sign")]
        return calls[-1] == "C_SignInit"

    within("a signature begun ahead", asked, 60)


def what_was_begun_ahead_is_in_nobodys_way(p):
    others = (lambda h: h.find("k"), lambda h: h.sign("other", "ES256", DATA),
              lambda h: h.ask("LIST", data=bytes(8)),
              lambda h: h.generate("new", "ES256"),
              lambda h: h.ask("DESTROY", "new"),
              lambda h: time.sleep(0.2) or h.sign("k", "ES256", DATA))
    with ready(p, Sessions=1) as h:
        equal(h.generate("other", "ES256").result, "OK", "generate")
        for i, ask in enumerate(others):
            begun_ahead(p, h)
            r = ask(h)
            equal(r.result, "OK", f"{i}: {r.text}")
            equal(h.sign("k", "ES256", DATA).result, "OK", f"{i}: after it")
        equal(p.logins(), 1, "C_Login calls")


def a_failure_ahead_is_not_seen(p):
    with ready(p, Sessions=1) as h:
        for rule in ("C_SignInit rv=0x5 count=1", "C_Sign rv=0x91 count=1",
                     "C_SignInit closeall count=1"):
            begun_ahead(p, h)
            p.rules(rule)
            for _ in range(20):
                r = h.sign("k", "ES256", DATA)
                equal(r.result, "OK", f"{rule}: {r.text}")
            p.rules()


# ---- signatures and keys --------------------------------------------------


def wrong_signatures_are_not_released(p):
    with ready(p) as h:
        equal(h.generate("r", "RS256", 2048).result, "OK", "RSA key")
        for rule in ("short", "long", "flip"):
            for label, alg in (("r", "RS256"), ("k", "ES256")):
                if (rule, label) == ("flip", "k"):
                    continue
                # By a key known to be good: nothing else looks at it.
                equal(h.sign(label, alg, DATA).result, "OK", "before")
                p.rules(f"C_Sign {rule}")
                r = h.sign(label, alg, DATA)
                equal((r.result, r.data), ("BAD_SIGNATURE", b""),
                      f"{rule} {alg}")
                p.rules()
                equal(h.sign(label, alg, DATA).result, "OK", "afterwards")


def every_signature_is_verified_where_wanted(p):
    with ready(p, VerifySignatures="all") as h:
        for alg, bits in (("ES256", 0), ("ES384", 0), ("EdDSA", 0)):
            p.rules()
            equal(h.generate(alg, alg, bits).result, "OK", alg)
            for _ in range(3):
                equal(h.sign(alg, alg, DATA).result, "OK", alg)
            p.rules(f"C_Sign flip label={own(alg)}")
            r = h.sign(alg, alg, DATA)
            equal((r.result, r.data), ("BAD_SIGNATURE", b""), alg)


def the_first_signature_by_a_key_is_verified(p):
    ready(p).stop()
    p.rules("C_Sign flip")
    with p.start(stderr=-3) as h:
        equal(h.sign("k", "ES256", DATA).result, "BAD_SIGNATURE", "first")
        p.rules()
        equal(h.sign("k", "ES256", DATA).result, "OK", "then")


def keys_that_can_be_read_out_are_refused(p):
    uri = b"pkcs11:object=acme-guardian%3Ak"
    for attr, value, sign in ((0x103, 0, "KEY_UNFIT"), (0x162, 1, "KEY_UNFIT"),
                              (0x202, 1, "KEY_UNFIT"), (0x108, 0, "KEY_UNFIT"),
                              (0x11, 1, "KEY_UNFIT"), (0x103, "none", "OK"),
                              (0x162, "none", "OK")):
        ready(p).stop()
        p.rules(f"C_GetAttributeValue attr={attr:#x} value={value}")
        with p.start(stderr=-3) as h:
            r = h.ask("FIND_URI", data=uri)
            equal((r.result, r.data), ("KEY_UNFIT", b""),
                  f"{attr:#x}={value} by URI")
            equal(h.sign("k", "ES256", DATA).result, sign,
                  f"signing with {attr:#x}={value}")
            p.rules()
            equal(h.ask("DESTROY", "k").result, "OK", "destroy")


def a_token_that_makes_readable_keys_gets_none(p):
    for attr, value in ((0x103, 0), (0x162, 1), (0x165, 0), (0x164, 0),
                        (0x103, "none"), (0x11, 1), (0x202, 1)):
        p.rules(f"C_GetAttributeValue attr={attr:#x} value={value}")
        with p.start(stderr=-3) as h:
            r = h.generate("bad", "ES256")
            equal((r.result, r.data), ("KEY_UNFIT", b""), f"{attr:#x}")
            p.rules()
            equal(h.find("bad").result, "NO_KEY", "what is left")


def the_keys_of_other_tools_are_judged(p):
    common = ("--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign")
    p.tool(*common, "--label", "good", "--id", "01", "--sensitive")
    p.tool(*common, "--label", "open", "--id", "02", "--extractable")
    p.tool("--keypairgen", "--key-type", "EC:secp521r1", "--usage-sign",
           "--label", "p521", "--id", "04", "--sensitive")
    p.tool("--keypairgen", "--key-type", "rsa:1024", "--usage-sign",
           "--label", "small", "--id", "05", "--sensitive")
    p.tool(*common, "--label", "alone", "--id", "06", "--sensitive")
    p.tool("--delete-object", "--type", "pubkey", "--id", "06")
    with p.start(stderr=-3) as h:
        r = h.ask("FIND_URI", data=b"pkcs11:object=good")
        equal(r.result, "OK", r.text)
        for name in ("open", "p521", "small", "alone"):
            r = h.ask("FIND_URI", data=f"pkcs11:object={name}".encode())
            equal(r.result, "KEY_UNFIT", f"{name}: {r.text}")
            equal(h.sign(Foreign(name), "ES256", DATA).result, "KEY_UNFIT",
                  name)
        listed = {k.label: k for k in h.list(Foreign(""))}
        equal(sorted(listed), ["alone", "good", "open", "p521", "small"],
              "list")
        if listed["open"].has("UNEXTRACTABLE"):
            raise Failed("an extractable key is listed as safe")


def keys_that_no_label_names_are_refused(p):
    common = ("--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign",
              "--sensitive")
    p.tool(*common, "--id", "07")
    p.tool(*common, "--id", "08", "--label", "x" * 121)
    p.tool(*common, "--id", "09", "--label", "x" * 120)
    with p.start(stderr=-3) as h:
        for ident, want in (("07", "KEY_UNFIT"), ("08", "KEY_UNFIT"),
                            ("09", "OK")):
            r = h.ask("FIND_URI", data=f"pkcs11:id=%{ident}".encode())
            equal(r.result, want, f"{ident}: {r.text}")


def a_key_of_another_label_is_not_taken(p):
    with ready(p) as h:
        p.rules("C_GetAttributeValue attr=0x3 value=88")  # "X"
        equal(h.find("k").result, "NO_KEY", "find")
        equal(h.ask("DESTROY", "k").result, "NO_KEY", "destroy")
        p.rules()
        equal(h.sign("k", "ES256", DATA).result, "OK", "afterwards")


def two_keys_of_one_label_are_ambiguous(p):
    common = ("--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign",
              "--sensitive", "--label", own("twin"))
    p.tool(*common, "--id", "01")
    p.tool(*common, "--id", "02")
    with p.start(stderr=-3) as h:
        for r in (h.find("twin"), h.sign("twin", "ES256", DATA),
                  h.ask("DESTROY", "twin"),
                  h.ask("FIND_URI", data=b"pkcs11:object=acme-guardian%3Atwin"),
                  h.ask("FIND_URI", data=b"pkcs11:id=%01")):
            equal((r.result, r.data), ("AMBIGUOUS", b""), r.text)
        equal(h.generate("twin", "ES256").result, "EXISTS", "generate")


def templates_are_shortened_where_they_must(p):
    for rv in (0xD1, 0x12, 0x13):
        p.rules(f"C_GenerateKeyPair rv={rv:#x} count=1")
        with p.start(stderr=-3) as h:
            r = h.generate(f"k{rv}", "ES256")
            equal(r.result, "OK", r.text)
            if not Key(r.data).has("SENSITIVE", "UNEXTRACTABLE"):
                raise Failed("the shorter template made a weak key")


def generating_is_never_repeated(p):
    for rv in (0x05, 0xB3, 0x101):
        before = len(p.trace("C_GenerateKeyPair"))
        p.rules(f"C_GenerateKeyPair rv={rv:#x} post")
        with p.start(stderr=-3) as h:
            equal(h.generate(f"k{rv}", "ES256").result, "FAILED", "generate")
            ends(h)
        equal(len(p.trace("C_GenerateKeyPair")), before + 1, "calls")


def a_full_token_is_told(p):
    with ready(p) as h:
        p.rules("C_GenerateKeyPair rv=0x31")
        equal(h.generate("new", "ES256").result, "FULL", "generate")
        p.rules()
        equal(h.generate("new", "ES256").result, "OK", "generate")


def keys_are_made_one_after_the_other_and_not_looked_for_meanwhile(p):
    """SoftHSM2 does not find what is there while it makes another key."""
    with ready(p, Sessions=4) as h:
        p.rules("C_GenerateKeyPair ms=700")
        begun = time.monotonic()
        making = [h.send("GENERATE", f"new{i}", "ES256") for i in range(3)]
        longest, left = 0, set(making)
        while left:
            asked = time.monotonic()
            looking = h.send("FIND", "k")
            while True:
                reply = h.receive()
                equal(reply.result, "OK", reply.text)
                if reply.id == looking:
                    break
                left.discard(reply.id)
            longest = max(longest, time.monotonic() - asked)
        if time.monotonic() - begun < 2.1:
            raise Failed("two keys were made at once")
        if longest < 0.5:
            raise Failed(f"found within {longest} s, while a key was made")


def a_key_that_takes_long_keeps_nobody_from_theirs(p):
    with ready(p, Sessions=2, Timeout="2s") as h:
        p.rules("C_GenerateKeyPair ms=6000")
        making = h.send("GENERATE", "new", "ES256")
        looked = 0
        while True:
            looking = h.send("FIND", "k")
            reply = h.receive()
            equal(reply.result, "OK", reply.text)
            if reply.id == making:
                h.receive()
                break
            equal(reply.id, looking, "the answer")
            looked += 1
        if not looked:
            raise Failed("nothing was found before the key was there")


def a_lost_session_does_not_stop_generating(p):
    with ready(p) as h:
        p.rules("C_FindObjectsInit rv=0xB3 count=1")
        equal(h.generate("new", "ES256").result, "OK", "generate")


def destroying_goes_on_after_a_failure(p):
    with ready(p) as h:
        p.rules("C_DestroyObject rv=0xB3 count=1 post")
        equal(h.ask("DESTROY", "k").result, "OK", "destroy")
        equal(h.find("k").result, "NO_KEY", "find")


TESTS = [v for k, v in list(globals().items())
         if callable(v) and getattr(v, "__module__", "") == __name__ and
         k not in ("ready", "ready_again", "refused_pin", "ends",
                   "begun_ahead")]

if __name__ == "__main__":
    main(TESTS, [Faulty])
