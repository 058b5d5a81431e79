#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A CA in a machine: the tests' own Pebble, as a Type=notify service.

    pebble.py FILE

FILE then says where it is; the service's end is Pebble's.
"""

import json
import os
import signal
import socket
import sys

from lab import Lab, free_port


def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(os.environ["NOTIFY_SOCKET"])
        s.send(text.encode())


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Lab("ca") as lab:
        http_port = free_port()
        lab.pebble(http_port)
        with open(sys.argv[1], "w", encoding="utf-8") as f:
            json.dump({"directory": lab.directory_url, "http_port": http_port,
                       "ca_file": f"{lab.dir}/tls/ca.pem",
                       "root": str(lab.ca_root)}, f)
        notify("READY=1")
        signal.pause()


if __name__ == "__main__":
    main()
