#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""binaries_itself.py CC...: that binaries.py notices each missing flag.

A small program is built with everything, which must pass, and then once for
each flag without it, which must fail for that reason.
"""

import pathlib
import platform
import subprocess
import sys
import tempfile

from binaries import faults

SOURCE = r"""
#include <stdio.h>
#include <string.h>
#ifdef UNSAFE
#define puts_copy(to, from) strcpy(to, from)
#else
#define puts_copy(to, from) memcpy(to, from, strlen(from) + 1)
#endif
static int one(const char *s) { return printf("%s\n", s); }
static int two(const char *s) { return printf("<%s>\n", s); }
int (*const table[])(const char *) = { one, two };
#ifdef TEXTREL
__asm__(".text\n.globl absolute\nabsolute: .quad absolute\n");
#endif
#ifdef WRITABLE
__asm__(".section .writable, \"awx\"\n.quad 0\n.text\n");
#endif
int main(int argc, char *argv[])
{
    char copy[64];
    (void)argc;
    puts_copy(copy, argv[0]);
    return table[argc & 1](copy) < 0;
}
"""
X86 = platform.machine() == "x86_64"
BRANCHES = "-fcf-protection=full" if X86 else "-mbranch-protection=standard"
COMPILE = ["-O2", "-fPIE", "-fstack-protector-strong", BRANCHES,
           "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
LINK = ["-pie", "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack",
        "-Wl,--disable-new-dtags"] + (["-Wl,-z,ibt,-z,shstk"] if X86 else [])

# The reason that is expected, what is left out, what is put there.
CASES = [
    ("pie", ["-fPIE", "-pie"], ["-fno-pie", "-no-pie"]),
    ("relro", ["-Wl,-z,relro,-z,now"], ["-Wl,-z,norelro,-z,now"]),
    ("now", ["-Wl,-z,relro,-z,now"], ["-Wl,-z,relro,-z,lazy"]),
    ("execstack", ["-Wl,-z,noexecstack"], ["-Wl,-z,execstack"]),
    ("wx", [], ["-DWRITABLE"]),
    ("textrel", [], ["-DTEXTREL", "-Wl,-z,notext"]),
    ("rpath", [], ["-Wl,-rpath,/opt/lib"]),
    ("rpath", ["-Wl,--disable-new-dtags"],
     ["-Wl,--enable-new-dtags", "-Wl,-rpath,/opt/lib"]),
    ("stack-protector", ["-fstack-protector-strong"],
     ["-fno-stack-protector"]),
    ("fortify", ["-D_FORTIFY_SOURCE=3"], []),
    ("unsafe", ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"],
     ["-U_FORTIFY_SOURCE", "-DUNSAFE"]),
    ("branches", [BRANCHES],
     ["-fcf-protection=none" if X86 else "-mbranch-protection=none"]),
]
if X86:
    CASES += [("ibt", ["-Wl,-z,ibt,-z,shstk"], ["-Wl,-z,shstk"]),
              ("shstk", ["-Wl,-z,ibt,-z,shstk"], ["-Wl,-z,ibt"])]


def build(cc, folder, flags):
    program = folder / "program"
    subprocess.run([*cc, "-w", *flags, "-o", program, folder / "program.c"],
                   check=True)
    return program


def main(cc):
    bad = 0
    with tempfile.TemporaryDirectory(prefix="binaries-") as name:
        folder = pathlib.Path(name)
        (folder / "program.c").write_text(SOURCE)
        found = faults(build(cc, folder, COMPILE + LINK))
        bad += bool(found)
        print(f"{'not ok' if found else 'ok    '} with everything {found}")
        for reason, without, instead in CASES:
            flags = [f for f in COMPILE + LINK if f not in without] + instead
            found = faults(build(cc, folder, flags))
            seen = any(f.startswith(reason + ":") for f in found)
            bad += not seen
            print(f"{'ok    ' if seen else 'not ok'} {reason}: "
                  f"{' '.join(instead) or 'without ' + ' '.join(without)}")
            if not seen:
                print(f"       {found}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
