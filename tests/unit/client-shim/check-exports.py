#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check-exports.py HEADER VERSION-SCRIPT LIBRARY

The library exports what its header declares, nothing else, and needs no
library that would surprise its users.
"""
import re
import subprocess
import sys

NEEDED = {"libjansson.so.4", "libc.so.6"}
SANITIZERS = ("libasan", "libubsan", "libtsan", "libm.so", "libgcov")


def output(*argv):
    return subprocess.run(argv, check=True, text=True, capture_output=True).stdout


def same(what, want, got):
    if want == got:
        return True
    print(f"{what}: missing {sorted(want - got)}, too many {sorted(got - want)}")
    return False


def main():
    header, script, library = sys.argv[1:]
    text = re.sub(r"/\*.*?\*/", "", open(header, encoding="utf-8").read(), flags=re.S)
    declared = set(re.findall(r"\b(guardian_\w+)\(", text))
    listed = set(re.findall(r"^\s+(guardian_\w+);", open(script, encoding="utf-8").read(), re.M))
    symbols = [line.split() for line in output("nm", "-D", "--defined-only", library).splitlines()]
    exported = {s[2].split("@")[0] for s in symbols if s[1] != "A"}
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", library)))
    needed = {n for n in needed if not n.startswith(SANITIZERS)}
    ok = same("version script", declared, listed)
    ok = same("exported symbols", declared, exported) and ok
    ok = same("needed libraries", NEEDED, needed) and ok
    print(f"{len(declared)} symbols")
    sys.exit(not (ok and declared))


main()
