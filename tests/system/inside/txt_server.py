#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""txt_server.py PORT FILE: a resolver whose TXT records are those of FILE, a JSON
object of owners with lists of values, read for each question."""

import json
import pathlib
import socket
import struct
import sys
import threading


def name_of(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    return ".".join(labels).lower(), at + 5


def answer(query, file):
    name, end = name_of(query)
    values = json.loads(file.read_text()).get(name, [])
    text = b""
    for value in values:
        parts = [value[i:i + 255].encode() for i in range(0, len(value), 255)]
        data = b"".join(bytes([len(p)]) + p for p in parts)
        text += struct.pack("!HHHIH", 0xC00C, 16, 1, 60, len(data)) + data
    return (query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(values), 0, 0) +
            query[12:end] + text)


def serve_tcp(port, file):
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            peer, _ = server.accept()
            with peer, peer.makefile("rb") as f:
                query = f.read(struct.unpack("!H", f.read(2))[0])
                text = answer(query, file)
                peer.sendall(struct.pack("!H", len(text)) + text)


def main():
    port, file = int(sys.argv[1]), pathlib.Path(sys.argv[2])
    threading.Thread(target=serve_tcp, args=(port, file), daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", port))
        while True:
            query, peer = s.recvfrom(4096)
            s.sendto(answer(query, file), peer)


if __name__ == "__main__":
    main()
