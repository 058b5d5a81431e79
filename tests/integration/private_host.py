# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that see another host: the lab's root among the system's, and names
of its own, in a mount namespace that nobody else is in. Needs root.
"""

import pathlib

ROOTS = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
_MOUNT = """
mount --make-rprivate / && mount --bind "$1" %s &&
if [ -n "$2" ]; then mount --bind "$2" /etc/hosts; fi && shift 2 && exec "$@"
""" % ROOTS


def with_system_roots(lab, argv, uid=0, hosts=None, only_lab=False):
    """@argv so that it trusts the lab's root as if the system did.

    @hosts is {name: address} for /etc/hosts there; @uid becomes that user
    after the mounts; @only_lab leaves the public roots out.
    """
    own = (lab.tls() / "ca.pem").read_text()
    public = "" if only_lab or not ROOTS.exists() else ROOTS.read_text()
    roots = lab.file("system-roots.crt", public + own)
    table = ""
    if hosts:
        table = lab.file("system-hosts", "".join(
            f"{address} {name}\n" for name, address in
            {"localhost": "127.0.0.1", **hosts}.items()))
    return ["unshare", "--mount", "sh", "-c", _MOUNT, "sh", roots, table,
            *lab.as_user(uid), *argv]
