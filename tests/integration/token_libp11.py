# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is peculiar to Backend=libp11: what it cannot do, and that it says so.
That it signs is in token_conformance.py."""

import subprocess

from token_conformance import DATA, sign_well
from token_lab import PIN, Failed, Faulty, equal, main
from token_wire import Key, own


class Libp11Faulty(Faulty):
    """libp11 on SoftHSM2 behind the module that fails on command."""

    backend = "libp11"


def keys(p, **algs):
    """Made through the other backend, as an operator would."""
    with p.start(Backend="cryptoki", stderr=subprocess.DEVNULL) as h:
        return {label: Key(must(h.generate(label, alg)).data)
                for label, alg in algs.items()}


def must(reply):
    equal(reply.result, "OK", reply.text)
    return reply


def says(reply, result, *words):
    equal(reply.result, result, reply.text)
    for word in words:
        if word not in reply.text:
            raise Failed(f"{word!r} is not in: {reply.text}")


def start(p, **changes):
    return p.start(stderr=subprocess.DEVNULL, **changes)


def it_signs_with_keys_of_the_other_backend_and_claims_nothing(p):
    made = keys(p, a="ES256", b="ES384")
    with start(p) as h:
        for label, alg in (("a", "ES256"), ("b", "ES384")):
            found = Key(must(h.find(label)).data)
            equal((found.spki, found.id), (made[label].spki, made[label].id),
                  label)
            equal((found.attrs, found.known), (0, 0), "attributes")
            sign_well(p, h, label, alg, found.spki)


def what_it_cannot_do_is_said(p):
    keys(p, a="ES256")
    with start(p) as h:
        for reply in (h.generate("b", "ES256"), h.ask("DESTROY", "a"),
                      h.ask("FIND_URI", data=b"pkcs11:object=a")):
            says(reply, "UNSUPPORTED", "unsupported-by-backend", "cryptoki")
        must(h.sign("a", "ES256", DATA))


def an_ed25519_key_hides_all_others(p):
    keys(p, a="ES256", e="EdDSA")
    with start(p) as h:
        for reply in (h.find("a"), h.sign("a", "ES256", DATA),
                      h.ask("LIST", "", data=bytes(8))):
            says(reply, "UNSUPPORTED", "unsupported-by-backend", "Ed25519")


def it_lists_in_pages(p):
    labels = sorted(f"a:{i}" for i in range(67))
    keys(p, **{label: "ES256" for label in labels}, **{"b:1": "ES256"})
    with start(p) as h:
        pages = [h.list("a:", skip) for skip in (0, 64, 128)]
        equal([k.label for page in pages for k in page], labels, "labels")
        equal([len(page) for page in pages], [64, 3, 0], "pages")
        # More keys than a session keeps ready.
        for label in labels[:33] + labels[:1]:
            must(h.sign(label, "ES256", DATA))


def two_keys_of_one_label_are_ambiguous(p):
    for ident in ("01", "02"):
        p.tool("--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign",
               "--label", own("a"), "--id", ident, "--sensitive")
    with start(p) as h:
        says(h.find("a"), "AMBIGUOUS", "2 keys")
        says(h.sign("a", "ES256", DATA), "AMBIGUOUS")


def a_pin_with_a_nul_is_not_sent(p):
    p.set_pin(PIN + "\0")
    with start(p) as h:
        equal(h.status().result, "PIN_MISSING", "status")
    p.set_pin(PIN)
    with start(p) as h:
        equal(h.status().result, "OK", "status")


def the_token_is_named_and_only_one(p):
    with start(p) as h:
        s = h.status()
        equal((s.result, s.label), ("OK", "t1"), "status")
        if "libp11" not in s.library:
            raise Failed(s.library)
        serial = s.serial
    p.init_token("t2")
    for uri, result in (("pkcs11:manufacturer=SoftHSM%20project", "NO_TOKEN"),
                        ("pkcs11:token=t3", "NO_TOKEN"),
                        ("pkcs11:token=t1;slot-id=1", "NO_TOKEN"),
                        (f"pkcs11:serial={serial}", "OK")):
        with start(p, Token=uri) as h:
            equal(h.status().result, result, uri)
    with start(p, Module="/nowhere.so") as h:
        equal(h.status().result, "NO_TOKEN", "no module")


def every_doubt_ends_in_a_new_process(p):
    p.rules()
    keys(p, a="ES256")
    logins = p.logins()
    with start(p) as h:
        must(h.sign("a", "ES256", DATA))
        p.rules("C_Sign rv=0xb3 count=1")
        says(h.sign("a", "ES256", DATA), "FAILED", "SESSION_HANDLE_INVALID")
        equal(h.wait(), 75, "exit code")
    p.rules()
    with start(p) as h:
        must(h.sign("a", "ES256", DATA))
    equal(p.logins() - logins, 2, "C_Login calls")


def a_definite_answer_ends_nothing(p):
    p.rules()
    keys(p, a="ES256")
    with start(p) as h:
        p.rules("C_SignInit rv=0x68 count=1")
        says(h.sign("a", "ES256", DATA), "KEY_UNFIT")
        must(h.sign("a", "ES256", DATA))


def a_wrong_pin_is_sent_once(p):
    p.rules()
    p.set_pin("not-the-pin")
    for _ in range(2):
        with start(p, Processes=2) as h:
            equal(h.status().result, "PIN_WRONG", "status")
    equal(p.logins(), 1, "C_Login calls")


if __name__ == "__main__":
    main([v for k, v in list(globals().items())
          if callable(v) and getattr(v, "__module__", "") == __name__ and
          k not in ("keys", "must", "says", "start", "Libp11Faulty")],
         [Libp11Faulty])
