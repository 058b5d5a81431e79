#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""provider_programs.py [tree]: the OpenSSL provider in a program that calls OpenSSL by itself
(tests/tools/provider-drive.c): threads, fork(), chroot(), and the ways of signing
that hash first."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
import lab as L  # noqa: E402
import stub_file  # noqa: E402
from daemon_lab import CLIENT  # noqa: E402
from provider_lab import IN_TREE, NO_DIGESTS, SANITIZERS, with_provider  # noqa: E402


def order(p, account, *names):
    return p.lab.file("order", p.order(account, *(names or ("example.com",))))


def refused(p, words, *argv, **more):
    r = p.drive(*argv, ok=(1,), **more)
    L.expect(words in r.stderr, f"{words!r}, not {r.stderr!r}")
    L.expect("Sanitizer" not in r.stderr, r.stderr)
    return r.stderr


def number(jwk, member):
    return int.from_bytes(stub_file.number(jwk[member]), "big")


@with_provider()
def test_keys_are_what_clients_take_them_for(p):
    """All that HAProxy, uacme and mod_md read of a key, without the daemon."""
    p.guardian.stop()
    for account, stub in p.stubs.items():
        got = dict(line.split("=") for line in
                   p.drive("facts", stub).stdout.splitlines())
        jwk = p.accounts[account]["jwk"]
        if account == "rsa":
            want = {"id": "6", "bits": "2048", "security": "112",
                    "digest": "SHA256"}
            numbers = ("n", "n"), ("e", "e")
        else:
            p384 = account == "p384"
            want = {"id": "408", "bits": account[1:],
                    "security": "192" if p384 else "128",
                    "digest": "SHA384" if p384 else "SHA256",
                    "group": "secp384r1" if p384 else "prime256v1"}
            numbers = ("qx", "x"), ("qy", "y")
        for name, member in numbers:
            L.expect(int(got.pop(name), 16) == number(jwk, member),
                     f"{account}: {name}")
        L.expect(got == want, f"{account}: {got}")
    p.guardian.start()


@with_provider()
def test_requests_are_signed_in_pieces(p):
    for account, stub in p.stubs.items():
        p.drive("sign", stub, order(p, account))
        refused(p, "policy denied: identifier-not-allowed evil.net", "sign",
                stub, order(p, account, "evil.net"))


@with_provider()
def test_the_size_is_no_reason_to_ask(p):
    """Neither for the socket nor for anything on it."""
    p.guardian.stop()
    for account, stub in p.stubs.items():
        said = p.drive("size", stub, 100).stdout
        size = {"p256": 72, "p384": 104, "rsa": 256}[account]
        L.expect(said == f"{size} {size}\n", f"{account}: {said}")
    p.guardian.start()
    for account, stub in p.stubs.items():
        before = len(p.guardian.audit_lines())
        p.drive("sign", stub, order(p, account))
        L.expect(len(p.guardian.audit_lines()) == before + 1,
                 "one signature, one request")


@with_provider()
def test_a_digest_alone_is_never_signed(p):
    before = len(p.guardian.audit_lines())
    for account, stub in p.stubs.items():
        for how in ("digest", "raw"):
            refused(p, NO_DIGESTS, how, stub,
                    *([order(p, account)] if how == "digest" else []))
        said = refused(p, "no legacy key", "legacy", stub)
        L.expect("acme-guardian" not in said, said)
    L.expect(len(p.guardian.audit_lines()) == before, "nothing was asked")


@with_provider()
def test_sixteen_threads_share_a_key(p):
    for account, stub in p.stubs.items():
        p.drive("threads", stub, order(p, account), 16, 10)
        # Counted whole: none was answered with another one's signature, or
        # verifying it had failed.
        n = len(p.audit(account=account, operation="order", verdict="allowed"))
        L.expect(n == 160, f"{account}: {n}")


@with_provider(("p256",))
def test_threads_are_refused_each_for_itself(p):
    p.guardian.policy("")
    p.guardian.must("Reload")
    said = refused(p, "policy denied", "threads", p.stubs["p256"],
                   order(p, "p256"), 16, 3)
    L.expect(said.count("policy denied: ") == 48, said)


@with_provider(("p256",))
def test_after_fork_each_has_its_own_connection(p):
    p.drive("fork", p.stubs["p256"], order(p, "p256"))
    n = len(p.audit(operation="order", verdict="allowed"))
    L.expect(n == 12, f"{n} signatures")


@with_provider(("p256",))
def test_descriptors_that_the_program_closed_are_its_own(p):
    """Others of that number are neither written to nor closed."""
    name = p.lab.file("own", "", CLIENT, 0o600)
    p.drive("closefrom", p.stubs["p256"], order(p, "p256"), name)
    n = len(p.audit(operation="order", verdict="allowed"))
    L.expect(n == 5, f"{n} signatures")


def jail(p):
    """A root with nothing in it."""
    return p.lab.folder("jail")


@with_provider(("p256",))
def test_in_another_root_the_socket_lies_inside(p):
    """The stub's path leads to it from there."""
    root = jail(p)
    place = root / p.guardian.run_dir.relative_to("/")
    place.mkdir(parents=True)
    for parent in [place, *place.parents]:
        if root in parent.parents:
            parent.chmod(0o755)
    argv = ("chroot", p.stubs["p256"], order(p, "p256"), root, CLIENT)
    refused(p, "guardian cannot be reached", *argv, uid=0, leaks=False)
    # As a bind mount of the directory would; the socket is the same.
    os.link(p.guardian.client, place / "client.sock")
    p.drive(*argv, uid=0, leaks=False)
    L.expect(p.audit(operation="order", uid=CLIENT), "as the user it became")


@with_provider(("p256",))
def test_in_another_root_with_a_connection_made_before(p):
    conf = p.config("early.cnf", "connect = at-load")
    argv = ("chroot", p.stubs["p256"], order(p, "p256"), jail(p), CLIENT)
    refused(p, "is acme-guardian running, and the socket within this "
            "process's root?", *argv, uid=0, leaks=False)
    p.drive(*argv, uid=0, leaks=False, conf=conf)
    # Who connected is who asks.
    L.expect(p.audit(operation="order", uid=0), "as who it was")


@with_provider(("p256",))
def test_alone_it_says_what_is_missing(p):
    conf = p.config("alone.cnf", order="acme = acme_guardian_sect")
    refused(p, "bad configuration: OpenSSL's own provider, default, is not "
            "active", "sign", p.stubs["p256"], order(p, "p256"), conf=conf)


@with_provider(("p256",))
def test_in_a_context_of_its_own(p):
    """Loaded and unloaded by the program, without any openssl.cnf."""
    p.run(p.programs / "provider-drive", "own", p.stubs["p256"],
          order(p, "p256"), p.module,
          env={**p.env(leaks=True), "OPENSSL_CONF": "/dev/null"})


def lines(*argv):
    return subprocess.run(argv, check=True, capture_output=True,
                          text=True).stdout.splitlines()


@with_provider(("p256",))
def test_it_shows_one_symbol_and_has_no_state(p):
    """Nothing of it can be written to: many programs' threads share it."""
    shown = [x.split()[2] for x in lines("nm", "-D", "--defined-only",
                                         p.module)]
    L.expect(shown == ["OSSL_provider_init"], f"{shown}")
    if SANITIZERS:
        return # they have theirs in it
    written = [x.split()[-1] for x in lines("objdump", "-t", p.module)
               if re.search(r"\s\.t?(data|bss)\t", x)]
    # The compiler's own, of which every shared library has the same.
    L.expect(set(written) <= {".data", ".bss", "completed.0", "__dso_handle",
                              "__TMC_END__"}, f"{written}")


def test_the_openssl_is_the_one_that_was_meant():
    """In the tree, 3.5 or later."""
    with L.Lab("provider-version") as lab:
        argv = ["openssl", "version"]
        if IN_TREE:
            import later_debian  # pylint: disable=C0415
            argv = later_debian.inside(lab.dir, CLIENT, argv)
        said = lab.run(argv).stdout
        print("# provider tried with " + said.split("(")[0].strip())
        version = tuple(map(int, said.split()[1].split(".")[:2]))
        L.expect(version >= ((3, 5) if IN_TREE else (3, 0)), said)


CASES = [f for name, f in sorted(globals().items())
         if name.startswith("test_")]

if __name__ == "__main__":
    sys.exit(L.run_cases(CASES))
