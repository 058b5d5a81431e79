# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/tokens.md: each section of guardian.conf in it opens its token and signs;
those of vendors whose devices are not here are at least configuration.

What the page cannot have is put in its place: labels, sockets and folders.
"""

import os
import re
import subprocess

from token_conformance import DATA
from token_lab import (HELPER, ROOT, Failed, Libp11, Nss, Sealed, SoftHsm,
                       equal, place)
from token_served import P11Kit, Tpm2
from token_wire import Helper, verifies

PAGE = ROOT / "docs/tokens.md"
KINDS = {"softhsm": SoftHsm, "tpm": Tpm2, "nss": Nss, "remote": P11Kit,
         "old": Libp11, "sealed": Sealed}
VENDORS = {"yubihsm", "luna", "cloudhsm", "nethsm"}


def sections():
    found = re.findall(r"^```ini\n\[Token (\w+)\]\n(.*?)^```$",
                       PAGE.read_text("utf-8"), re.M | re.S)
    equal({n for n, _ in found}, {*KINDS, *VENDORS}, "sections of the page")
    return dict(found)


def put(text, changes):
    for old, new in changes.items():
        if old not in text:
            raise Failed(f"docs/tokens.md has no {old!r} any more")
        text = text.replace(old, new)
    return text


def places(p, name):
    """What this place has instead of what the page says."""
    if name in ("softhsm", "old"):
        return {"token=softhsm": "token=t1", "/etc/acme-guardian/softhsm2.conf":
                p.softhsm_env["SOFTHSM2_CONF"]}
    if name == "remote":
        return {"token=softhsm": "token=t1",
                "/run/p11-kit/pkcs11": str(p.socket)}
    if name == "nss":
        return {"/etc/acme-guardian/nss.pin": str(p.pin_file),
                "/var/lib/acme-guardian-nss": str(p.folder / "nss")}
    if name == "tpm":
        return {"token=tpm": "token=t1", "device:/dev/tpmrm0":
                "tabrmd:bus_type=session\n" + "".join(
                    f"Environment={e}" for e in p.environment
                    if e.startswith("DBUS_")),
                "/var/lib/acme-guardian-token/tpm/store": str(
                    p.folder / "store")}
    return {}


def write(p, name, text):
    (p.config / "guardian.conf").write_text(
        f"[Guardian]\nStateDirectory={p.state}\n[Token {name}]\n{text}")


def credentials(p, name):
    folder = p.folder / "credentials"
    folder.mkdir()
    (folder / f"acme-guardian-{name}").write_text(p.pin)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def signs(p, name, env):
    with Helper(HELPER, p.config, name, env=dict(os.environ, **env)) as h:
        status = h.status()
        equal(status.result, "OK", f"{name}: {status.text}")
        for alg in ("ES256", "RS256"):
            key = p.make_key(h, alg, alg, 2048 if alg == "RS256" else 0)
            r = h.sign(alg, alg, DATA)
            equal(r.result, "OK", f"{name} {alg}: {r.text}")
            if not verifies(key.spki, alg, DATA, r.data, p.folder):
                raise Failed(f"{name} {alg}: the signature does not verify")


def tried(name, text):
    with place(KINDS[name]) as p:
        write(p, name, put(text, places(p, name)))
        env = credentials(p, name)
        if name == "sealed":
            with (p.folder / "passphrase").open() as f:
                p.run(HELPER, "init-sealed", "--config", p.config, name,
                      stdin=f, **env)
        signs(p, name, env)


def read_only(name, text):
    """The section is read; what is missing is the vendor's module alone."""
    with place(SoftHsm) as p:
        write(p, name, text)
        with Helper(HELPER, p.config, name, stderr=subprocess.DEVNULL) as h:
            status = h.status()
            equal(status.result, "NO_TOKEN", name)
            if not status.text.startswith("Module= cannot be loaded"):
                raise Failed(f"{name}: {status.text}")


def main():
    for name, text in sections().items():
        (read_only if name in VENDORS else tried)(name, text)
        print(f"ok     {name}", flush=True)


if __name__ == "__main__":
    main()
