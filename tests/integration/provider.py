#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""provider.py [tree]: the OpenSSL provider under openssl(1), as clients that are
shell scripts use it; with the host's OpenSSL, or with that of a later Debian.
provider_programs.py has programs that call OpenSSL themselves."""

import base64
import contextlib
import json
import os
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
import lab as L  # noqa: E402
import stub_file  # noqa: E402
from daemon_lab import CLIENT  # noqa: E402
from provider_lab import NO_DIGESTS, with_provider  # noqa: E402


def refused(p, words, *argv, **more):
    """The command fails, and says so in its own output."""
    r = p.openssl(*argv, ok=None, **more)
    said = r.stdout + r.stderr
    L.expect(r.returncode != 0 and words in said,
             f"{words!r}, not {r.returncode} {said!r}")
    L.expect("LeakSanitizer" not in said and "AddressSanitizer" not in said,
             said)
    return said


def sign(p, account, data, **more):
    """openssl dgst -sign, and its signature in a file."""
    name = p.lab.file("input", data)
    out = p.lab.folder("out", CLIENT) / "signature"
    p.openssl("dgst", p.digest(account), "-sign", p.stubs[account], "-out",
              out, name, **more)
    return out


def sign_refused(p, words, account, data, stub=None, **more):
    name = p.lab.file("input", data)
    return refused(p, words, "dgst", p.digest(account), "-sign",
                   stub or p.stubs[account], name, **more)


@with_provider()
def test_requests_are_signed(p):
    for account in p.stubs:
        data = p.order(account, "example.com")
        signature = sign(p, account, data)
        # By an OpenSSL that knows nothing of us.
        p.lab.run(["openssl", "dgst", p.digest(account), "-verify",
                   p.public(account), "-signature", signature,
                   p.lab.dir / "input"])
        lines = p.audit(account=account, operation="order", verdict="allowed")
        L.expect(len(lines) == 1 and lines[0]["uid"] == CLIENT,
                 f"one order: {lines}")


@with_provider()
def test_a_refusal_is_in_the_clients_own_output(p):
    for account in p.stubs:
        said = sign_refused(
            p, "policy denied: identifier-not-allowed evil.net", account,
            p.order(account, "evil.net"))
        L.expect("test.policy:" in said, f"with its rule: {said}")


@with_provider()
def test_public_work_goes_on_without_the_daemon(p):
    p.guardian.stop()
    for account, stub in p.stubs.items():
        kind = "rsa" if account == "rsa" else "ec"
        public = p.public(account).read_text()
        for argv in ((kind, "-pubout"), ("pkey", "-pubout")):
            got = p.openssl(*argv, "-in", stub).stdout
            L.expect(got == public, f"{argv}: {got} {public}")
        # Checked, and written back as it was: dehydrated does this.
        r = p.openssl(kind, "-in", stub, "-check")
        L.expect(r.stdout.replace("RSA key ok\n", "") == stub.read_text(),
                 r.stdout)
        for argv in (("pkey", "-check"), ("pkey", "-pubcheck")):
            r = p.openssl(*argv, "-noout", "-in", stub)
            L.expect("valid" in r.stdout + r.stderr, f"{argv}: {r}")
    p.guardian.start()


@with_provider()
def test_text_is_laid_out_as_that_of_private_keys(p):
    """The expressions of acme.sh, acme-tiny, dehydrated and getssl."""
    for account in ("p256", "p384"):
        text = p.openssl("ec", "-in", p.stubs[account], "-noout",
                         "-text").stdout
        m = re.search(r"^pub:\n((?:    [0-9a-f:]+\n)+)ASN1 OID: (\w+)\n"
                      r"NIST CURVE: (P-\d+)\n", text, re.M)
        L.expect(m and m.group(3) == f"P-{account[1:]}", text)
        point = bytes.fromhex(re.sub(r"[\s:]", "", m.group(1)))
        L.expect(stub_file.spki(p.accounts[account]["jwk"]).endswith(point),
                 "the key's point")
        L.expect(re.search(rf"^Private-Key: \({account[1:]} bit\)$", text,
                           re.M), text)
    text = p.openssl("rsa", "-in", p.stubs["rsa"], "-noout", "-text").stdout
    m = re.search(r"modulus:[\s]+?00:([a-f0-9\:\s]+?)\n"
                  r"publicExponent: ([0-9]+)", text)
    L.expect(m and m.group(2) == "65537", text)
    n = re.sub(r"[\s:]", "", m.group(1))
    modulus = p.openssl("rsa", "-in", p.stubs["rsa"], "-noout",
                        "-modulus").stdout
    L.expect(modulus == f"Modulus={n.upper()}\n", modulus)
    L.expect(n == stub_file.number(p.accounts["rsa"]["jwk"]["n"]).hex(), n)


@with_provider()
def test_nothing_but_requests_is_signed(p):
    """Each refused before the daemon hears of it."""
    words = "not an ACME request"
    for account, stub in p.stubs.items():
        before = len(p.guardian.audit_lines())
        for data in ("", ".", "e30", "e30.e30=", "e30.e30.e30", "a b.c",
                     b"\0" * 32, "e30." + "A" * 70000):
            sign_refused(p, words, account, data)
        refused(p, NO_DIGESTS, "pkeyutl", "-sign", "-inkey",
                stub, "-in", p.lab.file("digest", b"\0" * 32))
        refused(p, words, "req", "-new", "-key", stub, "-subj", "/CN=x")
        # A digest that no request of this account is signed with.
        other = "-sha512" if account != "p384" else "-sha256"
        said = refused(p, "requests of this account are signed with SHA",
                       "dgst", other, "-sign", stub, p.lab.dir / "digest")
        L.expect("unsupported digest" in said, said)
        said = refused(p, "", "dgst", p.digest(account), "-sign", stub,
                       "-sigopt", "rsa_padding_mode:pss",
                       p.lab.dir / "digest")
        L.expect(len(p.guardian.audit_lines()) == before, "nothing was asked")


@with_provider(("p256",))
def test_stubs_that_cannot_be_used(p):
    good = p.stubs["p256"].read_text()
    jwk, socket_path = p.accounts["p256"]["jwk"], p.guardian.client
    cases = {
        "cut": ("\n".join(good.splitlines()[:2]), "damaged or cut short"),
        "cut-der": (stub_file.pem(stub_file.der(jwk, socket_path,
                                                "p256")[:-9]),
                    "damaged or cut short"),
        "damaged": (good.replace("MI", "M*", 1), "damaged or cut short"),
        "large": (good.replace("\n", "\n" + "A" * 64 + "\n" * 1, 1).replace(
            "A" * 64, "\n".join(["A" * 64] * 200)), "larger than a stub"),
        "later": (stub_file.pem(stub_file.der(jwk, socket_path, "p256", 2)),
                  "another version than 1"),
        "relative": (stub_file.stub(jwk, "run/client.sock", "p256"),
                     "no absolute path"),
        "name": (stub_file.stub(jwk, socket_path, "../x"),
                 "no name of an account"),
        "off-curve": (stub_file.stub({**jwk, "x": jwk["y"]}, socket_path,
                                     "p256"), "public key"),
    }
    for name, (text, words) in cases.items():
        file = p.lab.file(name, text)
        said = refused(p, words, "pkey", "-in", file, "-noout")
        L.expect("unusable stub" in said, f"{name}: {said}")
        L.expect(said.count("unusable stub: ") == 1, f"{name}: once: {said}")
    # What is no stub of ours is not ours to complain about.
    for name, text in {
            "foreign": stub_file.pem(b"\x30\x03\x02\x01\x01",
                                     "OTHER GUARDIAN ACCOUNT"),
            "none": "hello\n", "empty": "",
            "bare": stub_file.der(jwk, socket_path, "p256")[:20]}.items():
        said = refused(p, "", "pkey", "-in", p.lab.file(name, text), "-noout")
        L.expect("acme-guardian" not in said, f"{name}: {said}")


@with_provider(("p256",))
def test_comments_and_carriage_returns_do_no_harm(p):
    good = p.stubs["p256"].read_text()
    for name, text in {"comments": f"# ours\n\n{good}\nmore\n",
                       "long": "x" * 1000 + "\n" + good,
                       "crlf": good.replace("\n", "\r\n"),
                       "unended": good.rstrip("\n")}.items():
        file = p.lab.file(name, text)
        got = p.openssl("ec", "-in", file, "-pubout").stdout
        L.expect(got == p.public("p256").read_text(), f"{name}: {got}")


@with_provider(("p256",))
def test_what_the_daemon_does_not_know(p):
    order = p.order("p256", "example.com")
    gone = p.stub("gone.pem", p.accounts["p256"]["jwk"], "gone")
    sign_refused(p, "unknown account: there is no account gone for this user",
                 "p256", order, gone)
    # Somebody whom no rule mentions.
    sign_refused(p, "policy denied: no-rule", "p256", order, uid=61299)
    p.guardian.must("Suspend", {"scope": "account", "name": "p256"})
    sign_refused(p, "suspended", "p256", order)
    p.guardian.must("Resume", {"scope": "account", "name": "p256"})
    sign(p, "p256", order)


def head(what):
    return base64.urlsafe_b64encode(
        b'{"alg":"ES256","kid":"https://ca.example/acct/p256","nonce":"n-1",'
        b'"url":"https://ca.example/%s/1"}' % what.encode()
    ).rstrip(b"=").decode()


@with_provider(("p256",))
def test_a_stale_stub_says_what_to_do(p):
    """After a rotation: what depends on the key is refused, fetching is not."""
    other = p.guardian.make_account("other")["jwk"]
    stale = p.stub("stale.pem", other, "p256")
    said = sign_refused(p, "key changed: account p256 has a new key", "p256",
                        p.order("p256", "example.com"), stale)
    L.expect("guardianctl stub refresh" in said, said)
    # Its key authorization would be of the key that the stub is of.
    said = sign_refused(p, "key changed: account p256 has a new key", "p256",
                        head("chall") + ".e30", stale)
    L.expect("guardianctl stub refresh" in said, said)
    p.openssl("dgst", "-sha256", "-sign", stale, "-hex",
              p.lab.file("fetch", head("order") + "."))


@contextlib.contextmanager
def a_socket(p, accept):
    """One that nobody reads from; @accept: or that refuses."""
    path = p.lab.dir / "run/deaf.sock"
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    os.chmod(path, 0o666)
    if accept:
        s.listen(8)
    else:
        s.close()
    try:
        yield path
    finally:
        s.close()
        path.unlink()


@with_provider(("p256",))
def test_sockets_that_do_not_answer(p):
    jwk, order = p.accounts["p256"]["jwk"], p.order("p256", "example.com")
    said = sign_refused(p, "guardian cannot be reached", "p256", order,
                        p.stub("a.pem", jwk, "p256", "/nonexistent/x.sock"))
    L.expect("/nonexistent/x.sock: No such file or directory" in said, said)
    with a_socket(p, False) as path:
        sign_refused(p, f"{path}: Connection refused", "p256", order,
                     p.stub("b.pem", jwk, "p256", path))
    conf = p.config("short.cnf", "timeout = 1")
    with a_socket(p, True) as path:
        start = time.monotonic()
        sign_refused(p, f"no answer in time: {path}: nothing for 1 s", "p256",
                     order, p.stub("c.pem", jwk, "p256", path), conf=conf)
        L.expect(time.monotonic() - start >= 1, "it waited as long as that")
    os.chmod(p.guardian.client, 0o600)
    sign_refused(p, "Permission denied", "p256", order)
    os.chmod(p.guardian.client, 0o666)


@contextlib.contextmanager
def a_liar(p, signature):
    """A daemon that answers every request with this."""
    path = p.lab.dir / "run/liar.sock"
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    os.chmod(path, 0o666)
    s.listen(8)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = s.accept()
                peer.recv(65536)
                peer.sendall(json.dumps({"parameters": {
                    "signature": signature}}).encode() + b"\0")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        s.shutdown(socket.SHUT_RDWR)
        s.close()
        thread.join()
        path.unlink()


@with_provider()
def test_what_is_no_signature_is_not_passed_on(p):
    """Of another length, or not base64url: no more is written than there is
    room for, and no program takes it for a signature."""
    for account, size in (("p256", 64), ("p384", 96), ("rsa", 256)):
        for signature in ("", "AA", "A" * 11000, "=" * 86,
                          L.b64url(b"\1" * (size - 1)),
                          L.b64url(b"\1" * (size + 1))):
            with a_liar(p, signature) as path:
                stub = p.stub("liar.pem", p.accounts[account]["jwk"], account,
                              path)
                sign_refused(p, "is no signature of this account's key",
                             account, p.order(account, "example.com"), stub)


@with_provider(("p256",))
def test_the_configuration_is_read(p):
    """What is wrong in it is said where somebody looks."""
    for more, words in {
            "timeout = 0": "a number of seconds from 1 to 600",
            "timeout = 601": "a number of seconds from 1 to 600",
            "timeout = 5s": "a number of seconds from 1 to 600",
            "timeout = -5": "a number of seconds from 1 to 600",
            "connect = always": "when-signing or at-load is wanted",
            "errors = syslog": "queue or stderr is wanted"}.items():
        said = refused(p, words, "pkey", "-noout", "-in", p.stubs["p256"],
                       conf=p.config("bad.cnf", more))
        L.expect(f"bad configuration: {more}" in said, said)
    conf = p.config("good.cnf", "timeout = 600\nconnect = at-load")
    said = p.openssl("list", "-providers", conf=conf).stdout
    L.expect("name: acme-guardian" in said and "status: active" in said, said)
    sign(p, "p256", p.order("p256", "example.com"), conf=conf)
    # Not there: told when it is needed.
    p.guardian.stop()
    p.openssl("pkey", "-in", p.stubs["p256"], "-noout", conf=conf)
    p.guardian.start()


@with_provider(("p256",))
def test_errors_are_printed_for_programs_that_drop_them(p):
    line = "acme-guardian: policy denied: identifier-not-allowed evil.net"
    order = p.order("p256", "evil.net")
    shipped = (L.ROOT / "client-shim/openssl-stderr.cnf.in").read_text()
    for errors, times, conf in (
            ("queue", 0, p.config("queue.cnf", "errors = queue")),
            ("stderr", 1, p.config("stderr.cnf", "errors = stderr")),
            ("as it is installed", 1, p.lab.file(
                "shipped.cnf", shipped.replace("@dir@", str(p.lab.dir))))):
        said = sign_refused(p, "policy denied", "p256", order, conf=conf)
        L.expect(sum(l.startswith(line) for l in said.splitlines()) == times,
                 f"{errors}: {said}")
        # Nothing is printed of what went well.
        r = p.openssl("pkey", "-in", p.stubs["p256"], "-noout", conf=conf)
        L.expect(not r.stderr, r.stderr)


@with_provider(("p256",))
def test_the_configuration_that_is_installed(p):
    """With the command of acme-guardian-openssl(7)."""
    conf = L.ROOT / "client-shim/openssl.cnf"
    p.lab.file("account.pem", p.stubs["p256"].read_text())
    p.lab.file("openssl.cnf", conf.read_text())
    page = (L.ROOT / "man/acme-guardian-openssl.7.rst").read_text()
    command = re.search(r"^ +(OPENSSL_CONF=.*\\\n.*)$", page, re.M).group(1)
    command = command.replace("/usr/share/acme-guardian", str(p.lab.dir))
    env = {**p.env(), "OPENSSL_MODULES": str(p.programs)}
    text = p.run("sh", "-c", f"cd {p.lab.dir} && {command}", env=env).stdout
    L.expect("Held by acme-guardian: account p256" in text, text)
    # A client's certificate request with the same file.
    out = p.lab.folder("out", CLIENT)
    p.run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout",
          out / "key", "-out", out / "csr", "-subj", "/CN=x",
          env={**env, "OPENSSL_CONF": str(p.lab.dir / "openssl.cnf")})


def make_certificate(p, name):
    d = p.lab.folder("tls", CLIENT)
    p.openssl("req", "-x509", "-newkey", "rsa:2048" if name == "rsa" else "ec",
              *(() if name == "rsa" else ("-pkeyopt",
                                          "ec_paramgen_curve:P-256")),
              "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout",
              d / f"{name}.key", "-out", d / f"{name}.crt")
    return d / f"{name}.crt", d / f"{name}.key"


@with_provider(("p256",))
def test_ordinary_keys_are_left_alone(p):
    """Generated, used and written by OpenSSL's own provider."""
    for name in ("rsa", "ec"):
        crt, key = make_certificate(p, name)
        p.openssl("verify", "-CAfile", crt, crt)
        head = key.read_text().splitlines()[0]
        L.expect(head == "-----BEGIN PRIVATE KEY-----", head)
        data = p.lab.file("data", "any data\n")
        sig = crt.with_suffix(".sig")
        p.openssl("dgst", "-sha256", "-sign", key, "-out", sig, data)
        pub = p.openssl("x509", "-in", crt, "-pubkey", "-noout").stdout
        p.openssl("dgst", "-sha256", "-verify", p.lab.file("pub", pub),
                  "-signature", sig, data)
        for argv in (("pkey", "-aes256", "-passout", "pass:x"),
                     ("pkey", "-text", "-noout"), ("pkey", "-outform", "DER"),
                     ("pkey", "-traditional"), ("pkey", "-check"),
                     (name, "-text"), (name, "-pubout")):
            with_us = p.openssl(*argv, "-in", key, "-out",
                                crt.with_suffix(".out"))
            L.expect(with_us.returncode == 0, f"{argv}")
        p.openssl("pkcs12", "-export", "-in", crt, "-inkey", key, "-passout",
                  "pass:x", "-out", crt.with_suffix(".p12"))
    p.openssl("genpkey", "-algorithm", "ed25519")
    p.openssl("genrsa", "2048")


@with_provider(("p256",))
def test_tls_beside_it(p):
    """A server and a client that have the provider, and ordinary keys."""
    for name in ("rsa", "ec"):
        crt, key = make_certificate(p, name)
        port = L.free_port()
        server = p.start(f"s_server-{name}", "openssl", "s_server", "-accept",
                         f"127.0.0.1:{port}", "-cert", crt, "-key", key,
                         "-www", "-quiet")
        L.wait_for("s_server", lambda port=port: L.port_open(port), 60)
        for version in ("-tls1_2", "-tls1_3"):
            said = p.openssl("s_client", "-connect", f"127.0.0.1:{port}",
                             "-CAfile", crt, "-verify_return_error", version,
                             stdin="GET / HTTP/1.0\r\n\r\n").stdout
            L.expect("Verify return code: 0 (ok)" in said, said)
        p.lab.stop(server)


@with_provider(("p256",))
def test_an_account_key_serves_no_tls(p):
    """A handshake is not a request to a CA."""
    crt, _ = make_certificate(p, "ec")
    # A certificate of the account's public key, which anybody can make.
    forged = p.lab.dir / "tls/forged.crt"
    p.openssl("x509", "-new", "-subj", "/CN=localhost", "-force_pubkey",
              p.public("p256"), "-CA", crt, "-CAkey", crt.with_suffix(".key"),
              "-days", "1", "-out", forged)
    port = L.free_port()
    before = len(p.guardian.audit_lines())
    server = p.start("s_server", "openssl", "s_server", "-accept",
                     f"127.0.0.1:{port}", "-cert", forged, "-key",
                     p.stubs["p256"], "-www")
    L.wait_for("s_server", lambda: L.port_open(port), 60)
    for version in ("-tls1_2", "-tls1_3"):
        r = p.openssl("s_client", "-connect", f"127.0.0.1:{port}", version,
                      ok=None, stdin="GET / HTTP/1.0\r\n\r\n")
        L.expect(r.returncode != 0, f"no handshake: {r}")
    p.lab.stop(server)
    L.expect("not an ACME request" in p.lab.log("s_server"),
             p.lab.log("s_server"))
    L.expect(len(p.guardian.audit_lines()) == before, "nothing was asked")


@with_provider(("p256",))
def test_without_the_provider_a_stub_is_no_key(p):
    r = p.run("openssl", "pkey", "-in", p.stubs["p256"], "-noout", ok=None,
              env={"OPENSSL_CONF": "/dev/null"})
    L.expect(r.returncode != 0, "it cannot be read")


CASES = [f for name, f in sorted(globals().items())
         if name.startswith("test_")]

if __name__ == "__main__":
    sys.exit(L.run_cases(CASES))
