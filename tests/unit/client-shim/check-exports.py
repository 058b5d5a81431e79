#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""check-exports.py HEADER VERSION-SCRIPT MANUAL LIBRARY

The library exports what its header declares, nothing else, and needs no
library that would surprise its users. The manual has every function, error and
member.
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


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def words(pattern, text):
    return set(re.findall(pattern, text, re.M))


def main():
    header, script, manual, library = sys.argv[1:]
    text = re.sub(r"/\*.*?\*/", "", read(header), flags=re.S)
    manual = read(manual)
    declared = words(r"\b(guardian_\w+)\(", text)
    listed = words(r"^\s+(guardian_\w+);", read(script))
    members = words(r"^    .*?(\w+)(?:\[\d\])?;$", text)
    symbols = [line.split() for line in output("nm", "-D", "--defined-only", library).splitlines()]
    exported = {s[2].split("@")[0] for s in symbols if s[1] != "A"}
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", library)))
    needed = {n for n in needed if not n.startswith(SANITIZERS)}
    ok = same("version script", declared, listed)
    ok = same("exported symbols", declared, exported) and ok
    ok = same("needed libraries", NEEDED, needed) and ok
    ok = same("manual", declared, words(r"\b(guardian_\w+)\(", manual)) and ok
    codes = words(r"\b(GUARDIAN_\w+)", text)
    ok = same("manual", codes, words(r"\b(GUARDIAN_\w+)", manual)) and ok
    ok = same("manual", members, members & words(r"\b(\w+)\b", manual)) and ok
    print(f"{len(declared)} symbols")
    sys.exit(not (ok and declared))


main()
