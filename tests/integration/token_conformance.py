# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every backend of the token helper has to do, on real tokens.

    token_conformance.py KIND [TEST...]     KIND: SoftHsm, Nss, ...
"""

import os
import signal
import sys

import token_lab
import token_served
from token_lab import Failed, equal, within
from token_wire import Closed, Foreign, Key, verifies

DATA = b"eyJhbGciOiJFUzI1NiJ9." + b"payload-" * 60
BITS = {"RS256": 2048}
PROVEN = ("SENSITIVE", "UNEXTRACTABLE", "ALWAYS_SENSITIVE",
          "NEVER_EXTRACTABLE", "SIGN_ONLY")


def sign_well(p, h, label, alg, spki, data=DATA):
    r = h.sign(label, alg, data)
    equal(r.result, "OK", f"signing with {label}: {r.text}")
    if not verifies(spki, alg, data, r.data, p.folder):
        raise Failed(f"{label}: the signature does not verify")
    return r.data


def make_key(p, h, label, alg):
    return p.make_key(h, label, alg, BITS.get(alg, 0))


def all_processes(p, h):
    """As many of Processes=2 as there may be on this token."""
    within(f"{p.processes} processes",
           lambda: h.status().processes == p.processes)


def status_names_the_token(p):
    with p.start(Processes=2) as h:
        s = h.status()
        equal((s.result, s.text), ("OK", ""), "status")
        if not s.label:
            raise Failed("status has no token label")
        all_processes(p, h)
        equal(h.stop(), 0, "exit code after the connection closed")


def every_algorithm_generates_and_signs(p):
    with p.start() as h:
        for alg in p.algs:
            key = make_key(p, h, f"g:i:{alg}:1", alg)
            equal(key.label, f"g:i:{alg}:1", "label")
            if p.proves_attrs and not key.has(*PROVEN):
                raise Failed(f"{alg}: attributes {key.attrs:#x} of "
                             f"{key.known:#x} known")
            sign_well(p, h, key.label, alg, key.spki)
            again = Key(h.find(key.label).data)
            equal((again.spki, again.attrs), (key.spki, key.attrs), "found")


def rsa_sizes_are_honoured(p):
    with p.start(Timeout="60s") as h:
        h.sock.settimeout(120)  # luck with primes, and a busy machine
        for bits in p.rsa_bits:
            r = h.generate(f"r{bits}", "RS256", bits)
            equal(r.result, "OK", r.text)
            equal(len(h.sign(f"r{bits}", "RS256", DATA).data), bits // 8,
                  "signature length")


def a_label_is_given_once(p):
    with p.start() as h:
        make_key(p, h, "k:1", "ES256")
        equal(h.generate("k:1", "ES256").result, "EXISTS", "second key")
        equal(h.generate("k:1", "ES384").result, "EXISTS", "another type")
        equal(h.generate("k:", "ES256").result, "OK", "a prefix of it")


def another_algorithm_is_refused(p):
    with p.start() as h:
        make_key(p, h, "k:1", "ES256")
        for alg in ("ES384", "RS256", "EdDSA"):
            equal(h.sign("k:1", alg, DATA).result, "KEY_UNFIT", alg)


def unknown_keys_are_named_so(p):
    with p.start() as h:
        make_key(p, h, "k:1", "ES256")
        for label in ("k", "k:", "k:10", "K:1", "x" * 106):
            equal(h.find(label).result, "NO_KEY", label)
            equal(h.sign(label, "ES256", DATA).result, "NO_KEY", label)
            equal(h.ask("DESTROY", label).result, "NO_KEY", label)


def lists_page_through_a_prefix(p):
    with p.start(Timeout="60s") as h:
        labels = sorted(f"a:{i}" for i in range(67))
        for label in labels:
            make_key(p, h, label, "ES256")
        make_key(p, h, "b:1", "ES256")
        pages = [h.list("a:", skip) for skip in (0, 64, 128)]
        equal([len(page) for page in pages], [64, 3, 0], "pages")
        equal([k.label for page in pages for k in page], labels, "labels")
        equal([k.label for k in h.list("b:")], ["b:1"], "another prefix")
        equal([k.label for k in h.list("c")], [], "none")
        equal(len({k.spki for page in pages for k in page}), 67, "keys")


def a_key_is_found_by_uri(p):
    with p.start() as h:
        key = make_key(p, h, "team:key", "ES256")
        named = "pkcs11:object=acme-guardian%3Ateam%3Akey"
        ident = "".join(f"%{b:02x}" for b in key.id)
        for uri in (named, f"pkcs11:id={ident}",
                    f"{p.uri};object=acme-guardian:team%3Akey;type=private"):
            r = h.ask("FIND_URI", data=uri.encode())
            equal(r.result, "OK", f"{uri}: {r.text}")
            equal(Key(r.data).spki, key.spki, uri)
        for uri in ("pkcs11:object=acme-guardian:team",
                    named.replace("pkcs11:", "pkcs11:token=other;"),
                    "pkcs11:", "nonsense", f"{named};type=public",
                    f"{named}?pin-value=1", f"{named}\0x",
                    f"{named};x-more=1"):
            r = h.ask("FIND_URI", data=uri.encode())
            equal((r.result, r.data), ("NO_KEY", b""), uri)


def destroyed_keys_are_gone(p):
    with p.start(Processes=2, Sessions=2) as h:
        all_processes(p, h)
        key = make_key(p, h, "k:1", "ES256")
        other = make_key(p, h, "k:2", "ES256")
        many(h, "k:1", 40)  # every session has found it
        p.destroy(h, "k:1")
        for reply in many(h, "k:1", 40):
            equal(reply.result, "NO_KEY", "signing with it")
        equal([k.label for k in h.list()], ["k:2"], "list")
        new = make_key(p, h, "k:1", "ES256")
        if new.spki == key.spki:
            raise Failed("the same key came back")
        for reply in many(h, "k:1", 40):
            if not verifies(new.spki, "ES256", DATA, reply.data, p.folder):
                raise Failed("signed by another key")
        sign_well(p, h, "k:2", "ES256", other.spki)


def a_key_is_destroyed_by_the_only_session(p):
    """What waits meanwhile is answered, whatever it takes."""
    with p.start(Sessions=1) as h:
        for i in range(3):
            make_key(p, h, f"k:{i}", "ES256")
        for i in range(3):
            p.destroy(h, f"k:{i}")
            for reply in many(h, f"k:{i}", 3):
                equal(reply.result, "NO_KEY", "signing with it")
            make_key(p, h, f"n:{i}", "ES256")
        equal([k.label for k in h.list()], [f"n:{i}" for i in range(3)], "list")


def labels_of_others_are_neither_made_nor_destroyed(p):
    theirs = Foreign("other:k:1")
    with p.start(KeyPrefix="other") as h:
        key = make_key(p, h, theirs, "ES256")
        equal(h.generate("k:1", "ES256").result, "NOT_OURS", "our prefix")
    with p.start() as h:
        make_key(p, h, "k:1", "ES256")
        for label in (theirs, "k", "acme-guardian", "acme-guardianx:k:1",
                      "Acme-guardian:k:1", ":k:1", "acme-guardia:n:k:1"):
            r = h.ask("DESTROY", Foreign(label))
            equal((r.result, r.data), ("NOT_OURS", b""), f"destroy {label}")
            r = h.generate(Foreign(label), "ES256")
            equal((r.result, r.data), ("NOT_OURS", b""), f"generate {label}")
        equal(sorted(k.label for k in h.list(Foreign(""))),
              ["k:1", "other:k:1"], "what is there")
        # A key that somebody made for us may have any label.
        sign_well(p, h, theirs, "ES256", key.spki)


def many(h, label, n, alg="ES256", data=DATA):
    """n requests at once; the answers in any order."""
    sent = {h.send("SIGN", label, alg, data=data) for _ in range(n)}
    got = [h.receive() for _ in range(n)]
    equal({r.id for r in got}, sent, "answers")
    return got


def requests_in_parallel_are_all_answered(p):
    with p.start(Processes=2, Sessions=3) as h:
        key = make_key(p, h, "k:1", "ES256")
        for _ in range(20):
            for reply in many(h, "k:1", 50):
                equal(reply.result, "OK", reply.text)
        if not verifies(key.spki, "ES256", DATA, reply.data, p.folder):
            raise Failed("a signature does not verify")


def long_messages_are_signed(p):
    with p.start() as h:
        for alg in p.algs:
            key = make_key(p, h, alg, alg)
            for n in (1, 4096, 64 * 1024 + 1):
                sign_well(p, h, alg, alg, key.spki, b"x" * n)


def keys_outlive_the_helper(p):
    with p.start() as h:
        keys = {alg: make_key(p, h, alg, alg) for alg in p.algs}
        equal(h.stop(), 0, "exit code")
    with p.start() as h:
        for alg, key in keys.items():
            sign_well(p, h, alg, alg, key.spki)


def a_killed_helper_leaves_nothing_behind(p):
    with p.start(Processes=2) as h:
        all_processes(p, h)
        make_key(p, h, "k:1", "ES256")
        workers = children(h.process.pid)
        equal(len(workers), p.processes, "workers")
        os.kill(h.process.pid, signal.SIGKILL)
        within("the workers end", lambda: not any(map(alive, workers)))
        try:
            h.sign("k:1", "ES256", DATA)
            raise Failed("a dead helper answered")
        except (Closed, OSError):
            pass
    with p.start() as h:
        equal(h.sign("k:1", "ES256", DATA).result, "OK", "after a restart")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(c) for c in f.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def a_dead_worker_ends_the_helper(p):
    with p.start(Processes=2, stderr=-3) as h:
        all_processes(p, h)
        make_key(p, h, "k:1", "ES256")
        os.kill(children(h.process.pid)[-1], signal.SIGKILL)
        equal(h.wait(), 1, "exit code")


def a_wrong_secret_is_told_and_then_the_right_one_works(p):
    with p.start() as h:
        make_key(p, h, "k:1", "ES256")
    p.set_pin(p.wrong_pin)
    for _ in range(2):
        with p.start(stderr=-3) as h:
            equal(h.status().result, "PIN_WRONG", "status")
            equal(h.sign("k:1", "ES256", DATA).result, "PIN_WRONG", "sign")
            equal(h.find("k:1").result, "PIN_WRONG", "find")
    equal(p.record().stat().st_mode & 0o777, 0o600, "mode of the record")
    p.set_pin(p.pin)
    with p.start(stderr=-3) as h:
        s = h.status()
        equal(s.result, "OK", f"status with the right PIN: {s.text}")
        equal(h.sign("k:1", "ES256", DATA).result, "OK", "sign")


def a_secret_that_comes_back_is_used_without_a_restart(p):
    with p.start() as h:
        make_key(p, h, "k:1", "ES256")
    p.set_pin(p.wrong_pin)
    with p.start(stderr=-3) as h:
        equal(h.status().result, "PIN_WRONG", "status")
        p.set_pin(p.pin)
        within("it recovers", lambda: h.status().result == "OK", 20)
        equal(h.sign("k:1", "ES256", DATA).result, "OK", "sign")


def unlock_tries_once_more(p):
    with p.start() as h:
        equal(h.unlock().result, "OK", "unlocking what is not locked")
    p.set_pin(p.wrong_pin)
    with p.start(stderr=-3) as h:
        equal(h.unlock().result, "PIN_WRONG", "a wrong one stays wrong")
        equal(h.status().result, "PIN_WRONG", "status")
        p.set_pin(p.pin)
        equal(h.unlock().result, "OK", "the right one")
        equal(h.status().result, "OK", "status")


def a_missing_secret_is_told(p):
    p.pin_file.unlink()
    with p.start(stderr=-3) as h:
        s = h.status()
        equal(s.result, "PIN_MISSING", "status")
        if "pin" not in s.text:
            raise Failed(f"the text does not name the file: {s.text}")


TESTS = [v for k, v in list(globals().items())
         if callable(v) and getattr(v, "__module__", "") == __name__ and
         k not in ("sign_well", "make_key", "many", "children", "alive",
                   "all_processes")]

if __name__ == "__main__":
    name = sys.argv.pop(1)
    chosen = getattr(token_lab, name, None) or getattr(token_served, name)
    token_lab.main([t for t in TESTS if t.__name__ not in chosen.cannot],
                   [chosen])
