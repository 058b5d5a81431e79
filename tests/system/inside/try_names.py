#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a caller gets: an order of each name is signed, or why it is not.

    try_names.py URL NAME... [--socket PATH]
"""

import argparse
import json
import re
import subprocess


def try_name(args, name):
    payload = {"identifiers": [{"type": "dns", "value": name}]}
    r = subprocess.run(
        ["guardianctl", *args.socket, "sign", "--account", "lab", "--url",
         args.url, "--nonce", "bm9uY2U", "--payload-file", "-"],
        input=json.dumps(payload), capture_output=True, text=True, check=False)
    if r.returncode == 0:
        return "signed" if json.loads(r.stdout)["signature"] else "empty"
    denied = re.search(r"denied: ([a-z-]+)", r.stderr)
    return denied.group(1) if denied else r.stderr.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--socket", default=[],
                        type=lambda path: ["--socket", path])
    args = parser.parse_args()
    print(json.dumps({name: try_name(args, name) for name in args.names}))


if __name__ == "__main__":
    main()
