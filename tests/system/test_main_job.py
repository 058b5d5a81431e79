#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main job on a booted systemd with the package installed: Debian's lacme
gets a certificate with an account key that is in a token, and no name beside
those of its policy (docs/lacme.md). tests/integration/main_job.py looks closer.
"""

import base64
import os
import pathlib
import re
import shutil
import sys

from machine import expect, scenario
from place import SERVICE, SOFTHSM, Place

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
NAME, ALSO, FOREIGN = "www.lab.example", "api.lab.example", "evil.example"
LAB = "/root/lab"


def test_from_the_package_to_an_account(m):
    m.place = place = Place(m)
    m.write("/root/passphrase", "correct horse battery\n", mode=0o600)
    place.ctl("setup", "--token", "hsm", "--backend", "softhsm",
              "--no-policy", "--recovery-passphrase-file", "/root/passphrase",
              "--audit-key-out", "/root/audit.key", timeout=180)
    m.account = place.account("letsencrypt")
    for proof in ("sensitive", "never-extractable", "local"):
        expect(proof in m.account["attributes"], f"{proof}: {m.account}")


def test_a_socket_and_a_policy_for_lacme(m):
    m.place.config("lacme", "[Lacme web]\nAccount=letsencrypt\n")
    m.place.policy("lacme", "[Client]\nSocket=web\n[Allow]\n"
                   f"Account=letsencrypt\nDomain={NAME} {ALSO}\n")
    m.systemctl("enable", "acme-guardian-lacme@web.socket")
    m.systemctl("restart", SERVICE)
    m.place.ctl("policy", "lint", "/etc/acme-guardian/policy.d")
    m.place.wait_token()
    # So that its first connection starts the daemon.
    m.systemctl("stop", SERVICE, "acme-guardian-token@hsm.service")


def lacme_order(m, *names, check=True):
    san = ",".join(f"DNS:{n}" for n in names)
    m.write(f"{LAB}/certs.conf", "[www]\n"
            f"certificate-key = {LAB}/www.key\ncertificate = {LAB}/www.pem\n"
            f"certificate-chain = {LAB}/chain.pem\n"
            f"subject = /CN={names[0]}\nsubjectAltName = {san}\nCAfile =\n")
    # lacme reads the system's roots and nothing else: in a mount namespace of
    # its own, these are the CA's.
    return m.run(["unshare", "--mount", "sh", "-c",
                  'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"',
                  "sh", f"{LAB}/trust", "lacme", "--config",
                  f"{LAB}/lacme.conf", "--config-certs", f"{LAB}/certs.conf",
                  "--force", "newOrder"], check=check, timeout=120)


def test_lacme_gets_a_certificate(m):
    ca = m.place.ca
    m.write(f"{LAB}/lacme.conf", "[client]\n"
            "socket = /run/acme-guardian/lacme/web.sock\n"
            f"server = {ca['directory']}\n[webserver]\n"
            f"listen = 127.0.0.1:{ca['http_port']}\n", mode=0o600)
    m.run(f"mkdir {LAB}/trust && cp {ca['ca_file']} {LAB}/trust/lab.pem && "
          f"cp {ca['ca_file']} {LAB}/trust/ca-certificates.crt && "
          f"openssl rehash {LAB}/trust && openssl genpkey -algorithm EC "
          f"-pkeyopt ec_paramgen_curve:P-256 -out {LAB}/www.key")
    lacme_order(m, NAME, ALSO)
    names = m.run(["openssl", "x509", "-in", f"{LAB}/www.pem", "-noout", "-ext",
                   "subjectAltName"]).stdout
    expect(f"DNS:{NAME}" in names and f"DNS:{ALSO}" in names, names)
    m.run(["openssl", "verify", "-CAfile", ca["root"], "-untrusted",
           f"{LAB}/chain.pem", f"{LAB}/www.pem"])


def test_no_other_name(m):
    before = m.read(f"{LAB}/www.pem")
    r = lacme_order(m, NAME, FOREIGN, check=False)
    expect(r.returncode != 0, "lacme fails")
    expect(m.read(f"{LAB}/www.pem") == before, "no new certificate")
    denied = m.journal("-u", SERVICE, "GUARDIAN_VERDICT=denied")
    expect(denied and denied[-1]["GUARDIAN_REASON"] == "identifier-not-allowed"
           and denied[-1]["GUARDIAN_DETAIL"] == FOREIGN, f"{denied[-1:]}")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_key_is_in_no_file(m):
    jwk = m.account["jwk"]
    der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                        "04") + unb64(jwk["x"]) + unb64(jwk["y"])
    m.write(f"{LAB}/account.pub", "-----BEGIN PUBLIC KEY-----\n" +
            base64.encodebytes(der).decode() + "-----END PUBLIC KEY-----\n")
    shutil.copy(BUILD / "tests/tools/find-scalar", m.path("/usr/local/bin"))
    m.run(f"mkdir {LAB}/control && openssl ecparam -name prime256v1 -genkey "
          f"-noout -out {LAB}/control/known.pem && openssl ec -in "
          f"{LAB}/control/known.pem -pubout -out {LAB}/known.pub")
    r = m.run(["find-scalar", f"{LAB}/known.pub", f"{LAB}/control"],
              check=False)
    expect(r.returncode == 1, f"a planted key is found: {r}")
    m.run(["find-scalar", f"{LAB}/account.pub", "/etc/acme-guardian",
           "/etc/credstore.encrypted", "/run/acme-guardian", "/run/credentials",
           "/var/lib/acme-guardian", "/var/lib/acme-guardian-token",
           "/var/log", "/root", "/tmp"], timeout=300)
    held = m.run(["pkcs11-tool", "--module", SOFTHSM, "--list-objects",
                  "--type", "pubkey"], check=False)
    expect("EC_POINT" not in held.stdout, "nor in anybody's default token")


def test_all_of_it_is_in_the_audit_log(m):
    m.place.ctl("audit", "verify", "--key-file", "/root/audit.key")
    log = m.read("/var/log/acme-guardian/audit.jsonl")
    for operation in ("order", "challenge", "finalize", "fetch"):
        expect(re.search(rf'"operation":"{operation}"', log), operation)
    m.place.ctl("status")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    scenario("main-job", [
        test_from_the_package_to_an_account,
        test_a_socket_and_a_policy_for_lacme,
        test_lacme_gets_a_certificate,
        test_no_other_name,
        test_the_key_is_in_no_file,
        test_all_of_it_is_in_the_audit_log,
    ])
