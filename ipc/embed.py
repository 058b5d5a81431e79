#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed.py OUT.c IN.varlink...: interface files as C strings.

org.example.Name.varlink becomes: const char varlink_org_example_Name[]
"""
import os
import sys


def literal(line):
    text = line.replace("\\", "\\\\").replace('"', '\\"')
    return '    "' + text + '\\n"'


def main():
    out, inputs = sys.argv[1], sys.argv[2:]
    parts = ['#include "ipc/interfaces.h"']
    for path in inputs:
        name = os.path.basename(path).removesuffix(".varlink")
        with open(path, encoding="ascii") as f:
            lines = f.read().splitlines()
        lines = [line for line in lines if "SPDX-" not in line]
        parts.append(
            "const char varlink_%s[] =\n%s;"
            % (name.replace(".", "_"), "\n".join(map(literal, lines)))
        )
    with open(out, "w", encoding="ascii") as f:
        f.write("\n\n".join(parts) + "\n")


main()
