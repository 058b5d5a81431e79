# SPDX-License-Identifier: LGPL-2.1-or-later
"""A token that lies: wrong signatures by the thousand under concurrency, and
handles that name another key. Every signature that leaves is verified here."""

import collections
import os

from token_lab import Failed, Faulty, equal, main, within
from token_wire import Key
from verify_lab import Verifier

KEYS = {"e1": ("ES256", 0), "e2": ("ES256", 0), "p": ("ES384", 0),
        "d": ("EdDSA", 0), "r1": ("RS256", 2048), "r2": ("RS256", 2048)}
LENGTHS = {"ES256": 64, "ES384": 96, "EdDSA": 64, "RS256": 256}
REQUESTS = 800
WINDOW = 16  # requests under way
# One bit, one octet less, many more, and a good one of another request.
LIES = ("C_Sign flip every=3", "C_Sign short every=5", "C_Sign long every=7",
        "C_Sign last every=2")


class Counts:
    def __init__(self):
        self.left = collections.Counter()     # by algorithm
        self.bad = collections.Counter()      # of them, not verifying
        self.held = 0                         # answered BAD_SIGNATURE
        self.wrong_length = 0
        self.other = collections.Counter()    # answers of any other kind


def make_keys(h):
    keys = {}
    for label, (alg, bits) in KEYS.items():
        r = h.generate(label, alg, bits)
        equal(r.result, "OK", f"{label}: {r.text}")
        keys[label] = Verifier(Key(r.data).spki, alg)
    return keys


def judge(counts, keys, label, data, reply):
    alg = KEYS[label][0]
    if reply.result == "OK":
        counts.left[alg] += 1
        counts.wrong_length += len(reply.data) != LENGTHS[alg]
        counts.bad[alg] += not keys[label].accepts(data, reply.data)
    elif reply.result == "BAD_SIGNATURE" and not reply.data:
        counts.held += 1
    else:
        counts.other[f"{alg} {reply.result} {reply.text}"] += 1


def sign_many(h, keys, n):
    """WINDOW at a time, each over octets of its own, by all keys in turn."""
    counts, under_way, names = Counts(), {}, list(KEYS)
    for i in range(n + WINDOW):
        if i < n:
            label, data = names[i % len(names)], os.urandom(40)
            sent = h.send("SIGN", label, KEYS[label][0], data=data)
            under_way[sent] = (label, data)
        if i >= WINDOW or i >= n:
            reply = h.receive()
            judge(counts, keys, *under_way.pop(reply.id), reply)
    equal(under_way, {}, "requests without an answer")
    return counts


def lie(p, n, **settings):
    p.rules()
    with p.start(stderr=-3, Processes=2, Sessions=4, **settings) as h:
        keys = make_keys(h)
        within("two processes", lambda: h.status().processes == 2)
        p.rules(*LIES)
        counts = sign_many(h, keys, n)
        p.rules()
        after = sign_many(h, keys, 60)
        equal((sum(after.left.values()), sum(after.bad.values())), (60, 0),
              "signatures afterwards")
    equal(dict(counts.other), {}, "other answers")
    equal(counts.wrong_length, 0, "signatures of a wrong length that left")
    equal(p.trace("OVERLAP"), [], "sessions used by two threads at once")
    if counts.held < n / 8:
        raise Failed(f"only {counts.held} of {n} were held back")
    for alg in LENGTHS:
        if not counts.left[alg]:
            raise Failed(f"no {alg} signature left at all")
    return counts


def say(what, n, counts):
    print(f"# wrong signatures, {what}: {n} asked for, {counts.held} held back, "
          f"{sum(counts.left.values())} left and verified here, bad among them: "
          + ", ".join(f"{a} {counts.bad[a]}" for a in LENGTHS), flush=True)


def no_bad_rsa_signature_leaves(p):
    """The other algorithms' are not verified by default: that is known."""
    counts = lie(p, REQUESTS)
    equal(counts.bad["RS256"], 0, "bad RSA signatures that left")
    if not counts.bad["ES256"]:
        raise Failed("the token has not lied")
    say("by default", REQUESTS, counts)


def no_bad_signature_leaves_where_all_are_verified(p):
    counts = lie(p, REQUESTS, VerifySignatures="all")
    equal(dict(+counts.bad), {}, "bad signatures that left")
    say("VerifySignatures=all", REQUESTS, counts)


def no_bad_signature_leaves_a_helper_that_just_began(p):
    """The first by each key is verified, whatever the algorithm."""
    p.rules()
    with p.start(stderr=-3) as h:
        keys = make_keys(h)
    tried = 0
    for lie_ in ("flip", "short", "long"):
        for label, (alg, _) in KEYS.items():
            p.rules(f"C_Sign {lie_}")
            with p.start(stderr=-3) as h:
                r = h.sign(label, alg, b"first")
                equal((r.result, r.data), ("BAD_SIGNATURE", b""), label)
                p.rules()
                r = h.sign(label, alg, b"first")
                equal(keys[label].accepts(b"first", r.data), True, label)
            tried += 1
    print(f"# the first signature by a key: {tried} wrong ones, none left")


def the_handle_of_a_new_key_may_name_another(p):
    """tpm2-pkcs11 1.9 gives handles that are in use. What was then meant for
    the new key met the one that an account lives by."""
    for n, rule in enumerate(("", "C_GetAttributeValue attr=0x162 value=1")):
        p.rules()
        with p.start(stderr=-3) as h:
            r = h.generate(f"k{n}", "ES256")
            equal(r.result, "OK", r.text)
            p.rules("C_GenerateKeyPair twin", rule)
            new = h.generate("new", "ES256")
            equal((new.result, new.data), ("FAILED", b""), new.text)
            equal(h.wait(60), 75, "exit code")
        p.rules()
        with p.start(stderr=-3) as h:
            equal(h.find(f"k{n}").data, r.data, "the key of before")
            equal(h.find("new").result, "OK", "the new key")
            equal(h.ask("DESTROY", "new").result, "OK", "destroy")


def a_label_that_cannot_be_read_is_no_missing_key(p):
    p.rules()
    with p.start(stderr=-3) as h:
        h.generate("k", "ES256")
        for code in (0x11, 0x12):
            p.rules(f"C_GetAttributeValue rv={code:#x} count=1")
            equal(h.find("k").result, "OK", f"{code:#x} once")
        p.rules("C_GetAttributeValue attr=0x3 value=none")
        equal(h.find("k").result, "FAILED", "for good")


TESTS = [no_bad_rsa_signature_leaves,
         no_bad_signature_leaves_where_all_are_verified,
         no_bad_signature_leaves_a_helper_that_just_began,
         the_handle_of_a_new_key_may_name_another,
         a_label_that_cannot_be_read_is_no_missing_key]

if __name__ == "__main__":
    main(TESTS, [Faulty])
