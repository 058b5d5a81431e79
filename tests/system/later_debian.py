# SPDX-License-Identifier: LGPL-2.1-or-later
"""A later Debian beside the host's: clients and an OpenSSL that Debian 12 lacks.

    python3 later_debian.py    makes the tree if it is not there; prints its path

HAProxy has had ACME since 3.2, OpenSSL 3.0 is not the only one that a provider
meets, and acme.sh, dehydrated and acme-tiny are here in the versions that the
next release will have. The tree is only read: programs run in it with mounts of
their own, which end with them.
"""

import image

SUITE = "forky"
PACKAGES = (
    "haproxy", "openssl", "acme.sh", "dehydrated", "acme-tiny", "curl",
    "ca-certificates", "util-linux", "procps", "python3-varlink",
    # What our own libraries link, and what tells of their memory errors.
    "libjansson4", "libsystemd0", "libasan8", "libubsan1",
    "valgrind")

# A folder of the test lies in the tree under its own path.
ENTER = """
tree=$1 shared=$2
shift 2
mount -t proc proc "$tree/proc" && mount --rbind /dev "$tree/dev" &&
mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp" && mkdir -p "$tree$shared" &&
mount --rbind "$shared" "$tree$shared" &&
exec chroot "$@"
"""


def tree():
    return image.base_image(SUITE, PACKAGES)


def inside(shared, uid, argv, gid=None):
    """The command line that runs @argv in the tree as the user @uid.

    @shared: a folder below /tmp that both sides see
    """
    shared = str(shared)
    if not shared.startswith("/tmp/"):
        raise ValueError(f"{shared}: not below /tmp, unset TMPDIR")
    place = tree()
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER,
            "sh", str(place), shared, f"--userspec={uid}:{gid or uid}",
            "--groups=", str(place), *map(str, argv)]


if __name__ == "__main__":
    print(tree())
