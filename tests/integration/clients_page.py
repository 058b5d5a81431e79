# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/clients.md, as its readers would follow it.

A block begins with "# /FILE", whose content it is, or with "# as USER", who runs
these commands. What a page cannot have is put in its place: folders, names, user
numbers, and a CA that runs here.
"""

import re

from lab import ROOT, Failed, expect

PAGE = ROOT / "docs/clients.md"


class Block:
    def __init__(self, kind, text):
        self.kind, self.text = kind, text
        first = text.partition("\n")[0]
        self.file = self.user = None
        if first.startswith("# /"):
            self.file = first[2:]
        elif first.startswith("# as "):
            self.user = first[5:]


def sections():
    """{title: its blocks that say what they are}"""
    parts = re.split(r"^## (.*)$", PAGE.read_text("utf-8"), flags=re.M)
    return {title: [Block(*m) for m in re.findall(
        r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)]
        for title, text in zip(parts[1::2], parts[2::2])}


class Replacements:
    """All in one pass, the longest first, so that none finds another's result."""

    def __init__(self, pairs):
        self.pairs = pairs
        self.pattern = re.compile("|".join(
            re.escape(k) for k in sorted(pairs, key=len, reverse=True)))

    def __call__(self, text):
        return self.pattern.sub(lambda m: str(self.pairs[m.group()]), text)

    def all_used(self, text):
        """A page that was changed must not leave one of them behind."""
        for words in self.pairs:
            if words not in text:
                raise Failed(f"docs/clients.md has no {words!r} any more")


def shared(title):
    """The commands for root of a section that is no client's."""
    blocks = [b for b in sections()[title] if b.user == "root"]
    expect(blocks, f"docs/clients.md: commands under {title}")
    return "\n".join(b.text for b in blocks)
