#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""binaries.py FILE...: the hardening of programs and libraries, read back.

A flag that a compiler quietly drops, or that a packager's own flags undo, is
seen here and nowhere else. Works on stripped files, so also on a package's.
Prints a line for each file; exit status 1 if anything is missing.
"""

import pathlib
import re
import struct
import sys

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PT_GNU_STACK, PT_GNU_RELRO, PT_GNU_PROPERTY = 0x6474E551, 0x6474E552, 0x6474E553
PF_X, PF_W = 1, 2
ET_DYN = 3
EM_X86_64, EM_AARCH64 = 62, 183
(DT_NEEDED, DT_STRTAB, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_RPATH, DT_TEXTREL,
 DT_BIND_NOW, DT_RUNPATH, DT_FLAGS) = 1, 5, 6, 7, 8, 15, 22, 24, 29, 30
DT_FLAGS_1, DT_GNU_HASH = 0x6FFFFFFB, 0x6FFFFEF5
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
NT_GNU_PROPERTY, X86_FEATURE_1, X86_IBT, X86_SHSTK = 5, 0xC0000002, 1, 2
RELATIVE = {EM_X86_64: 8, EM_AARCH64: 1027}
STT_FUNC = 2
# What an indirect call may land on.
LANDING = {EM_X86_64: {b"\xf3\x0f\x1e\xfa"},                   # endbr64
           EM_AARCH64: {b"\x5f\x24\x03\xd5", b"\x3f\x23\x03\xd5"}}  # bti c, paciasp
# Never, and what is always replaced by its checked form.
UNSAFE = {"gets", "strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "scanf",
          "mktemp", "tmpnam", "tempnam"}
UNFORTIFIED = {"printf", "fprintf", "dprintf", "asprintf", "vprintf",
               "vfprintf", "vdprintf", "vasprintf", "vsnprintf", "syslog"}


class Elf:
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("no little-endian ELF file of 64 bit")
        (self.type, self.machine, _, _, phoff, _, _, _, phsize,
         phnum) = struct.unpack_from("<HHIQQQIHHH", self.data, 16)
        self.segments = [struct.unpack_from("<IIQQQQQQ", self.data,
                                            phoff + i * phsize)
                         for i in range(phnum)]
        self.dynamic = self.read_dynamic()
        self.symbols = self.read_symbols()

    def of_type(self, kind):
        return [s for s in self.segments if s[0] == kind]

    def offset(self, address):
        for _, _, offset, start, _, size, *_ in self.of_type(PT_LOAD):
            if start <= address < start + size:
                return offset + address - start
        raise ValueError(f"address {address:#x} is in no segment")

    def executable(self, address):
        return any(flags & PF_X and start <= address < start + size
                   for _, flags, _, start, _, size, *_ in self.of_type(PT_LOAD))

    def read_dynamic(self):
        found = {}
        for _, _, offset, _, _, size, *_ in self.of_type(PT_DYNAMIC):
            for tag, value in struct.iter_unpack(
                    "<QQ", self.data[offset:offset + size]):
                if tag == 0:
                    break
                found.setdefault(tag, value)
        return found

    def read_symbols(self):
        """Of the dynamic table: (name, is a function, address; 0: not here)."""
        if DT_SYMTAB not in self.dynamic:
            return []
        table = self.offset(self.dynamic[DT_SYMTAB])
        strings = self.offset(self.dynamic[DT_STRTAB])
        found = []
        # No field says how many there are; the strings follow the symbols.
        for at in range(table, strings, 24):
            name, info, _, section, value, _ = struct.unpack_from(
                "<IBBHQQ", self.data, at)
            end = self.data.index(b"\0", strings + name)
            found.append((self.data[strings + name:end].decode(),
                          info & 15 == STT_FUNC, value if section else 0))
        return found

    def imports(self):
        return {name for name, _, value in self.symbols if name and not value}

    def relative_targets(self):
        """Addresses that stand in data: tables of functions, and others."""
        size = self.dynamic.get(DT_RELASZ, 0)
        start = self.offset(self.dynamic[DT_RELA]) if size else 0
        for _, info, addend in struct.iter_unpack(
                "<QQQ", self.data[start:start + size]):
            if info & 0xFFFFFFFF == RELATIVE[self.machine]:
                yield addend

    def properties(self):
        """GNU property type -> value, of those with four octets."""
        found = {}
        for _, _, at, _, _, size, *_ in self.of_type(PT_GNU_PROPERTY):
            name_len, desc_len, kind = struct.unpack_from("<III", self.data, at)
            if kind != NT_GNU_PROPERTY or name_len != 4 or size < desc_len:
                continue
            at += 16
            end = at + desc_len
            while at + 8 <= end:
                tag, length = struct.unpack_from("<II", self.data, at)
                if length == 4:
                    found[tag] = struct.unpack_from("<I", self.data, at + 8)[0]
                at += 8 + (length + 7) // 8 * 8
        return found


def check_position(elf):
    if elf.type != ET_DYN:
        yield "pie: at a fixed address"
    if elf.of_type(PT_INTERP) and not (
            elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_PIE):
        yield "pie: a program that is not marked as PIE"
    if DT_TEXTREL in elf.dynamic or (
            elf.dynamic.get(DT_FLAGS, 0) & DF_TEXTREL):
        yield "textrel: relocations in the code"


def check_relro(elf):
    if not elf.of_type(PT_GNU_RELRO):
        yield "relro: no GNU_RELRO segment"
    if not (DT_BIND_NOW in elf.dynamic
            or elf.dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW
            or elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW):
        yield "now: symbols are bound late"


def check_memory(elf):
    stack = elf.of_type(PT_GNU_STACK)
    if not stack or stack[0][1] & PF_X:
        yield "execstack: the stack is executable"
    for _, flags, *_ in elf.of_type(PT_LOAD):
        if flags & PF_X and flags & PF_W:
            yield "wx: a segment is writable and executable"


def check_search_path(elf):
    for tag in (DT_RPATH, DT_RUNPATH):
        if tag in elf.dynamic:
            yield "rpath: libraries are searched elsewhere first"


def check_library_calls(elf):
    imports = elf.imports()
    if "__stack_chk_fail" not in imports:
        yield "stack-protector: __stack_chk_fail is not used"
    if not any(re.fullmatch(r"__(?!stack).*_chk", name) for name in imports):
        yield "fortify: no checked function is used"
    for name in sorted(imports & UNFORTIFIED):
        yield f"fortify: {name} instead of its checked form"
    for name in sorted(imports & UNSAFE):
        yield f"unsafe: {name}"


def check_branches(elf):
    """The mark is for the loader; that the code is so is seen in the code."""
    if elf.machine == EM_X86_64:
        have = elf.properties().get(X86_FEATURE_1, 0)
        if not have & X86_IBT:
            yield "ibt: not marked"
        if not have & X86_SHSTK:
            yield "shstk: not marked"
    targets = {a for a in elf.relative_targets() if elf.executable(a)}
    targets |= {a for _, function, a in elf.symbols
                if function and elf.executable(a)}
    bare = {a for a in targets if elf.data[elf.offset(a):elf.offset(a) + 4]
            not in LANDING[elf.machine]}
    if not targets:
        yield "branches: nothing to look at"
    if bare:
        yield (f"branches: {len(bare)} of {len(targets)} targets of indirect "
               f"calls do not begin with a landing instruction, as at "
               f"{min(bare):#x}")


CHECKS = (check_position, check_relro, check_memory, check_search_path,
          check_library_calls, check_branches)


def faults(path):
    elf = Elf(path)
    if elf.machine not in LANDING:
        return [f"machine: {elf.machine} is not known here"]
    return [fault for check in CHECKS for fault in check(elf)]


def main(paths):
    bad = 0
    for path in paths:
        found = faults(path)
        bad += bool(found)
        print(f"{'not ok' if found else 'ok    '} {path}")
        for fault in found:
            print(f"       {fault}")
    return 1 if bad or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
