# SPDX-License-Identifier: LGPL-2.1-or-later
"""TXT questions and answers in a few lines, for peers that look at DNS."""

import secrets
import socket
import socketserver
import struct
import threading

A, TXT, CNAME = 1, 16, 5
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def _name(labels):
    return b"".join(bytes([len(l)]) + l for l in
                    (x.encode() for x in labels.rstrip(".").split("."))) + b"\0"


def _read_name(data, at):
    """A name in lower case without the last dot, and where it ends."""
    labels, end = [], None
    for _ in range(128):
        length = data[at]
        if length >= 0xC0:
            end = at + 2 if end is None else end
            at = struct.unpack("!H", data[at:at + 2])[0] & 0x3FFF
        elif length:
            labels.append(data[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length
        else:
            return ".".join(labels).lower(), at + 1 if end is None else end
    raise ValueError("a name that does not end")


def _receive(s, length):
    data = b""
    while len(data) < length:
        more = s.recv(length - len(data))
        if not more:
            raise ConnectionError("the name server closed")
        data += more
    return data


def ask_txt(server, owner, timeout=30):
    """(rcode, [[string, ...] of each record]) of @owner, over TCP.

    A CNAME is followed as far as the server itself answered it.
    """
    host, _, port = server.rpartition(":")
    query = struct.pack("!HHHHHH", secrets.randbits(16), 0x0100, 1, 0, 0, 0)
    query += _name(owner) + struct.pack("!HH", TXT, 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout) as s:
        s.sendall(struct.pack("!H", len(query)) + query)
        data = _receive(s, struct.unpack("!H", _receive(s, 2))[0])
    if data[:2] != query[:2]:
        raise ValueError("an answer to another question")
    _, flags, questions, answers = struct.unpack("!HHHH", data[:8])
    at = 12
    for _ in range(questions):
        at = _read_name(data, at)[1] + 4
    return flags & 15, _values(data, at, answers, owner.lower().rstrip("."))


def _values(data, at, answers, wanted):
    found, aliases = [], {}
    for _ in range(answers):
        owner, at = _read_name(data, at)
        kind, _, _, length = struct.unpack("!HHIH", data[at:at + 10])
        at += 10
        if kind == CNAME:
            aliases[owner] = _read_name(data, at)[0]
        elif kind == TXT:
            found.append((owner, _strings(data[at:at + length])))
        at += length
    for _ in range(len(aliases)):
        wanted = aliases.get(wanted, wanted)
    return [strings for owner, strings in found if owner == wanted]


def _strings(data):
    strings = []
    while data:
        strings.append(data[1:1 + data[0]])
        data = data[1 + data[0]:]
    return strings


class TxtAnswerer:
    """A name server over TCP; answer(owner) gives (rcode, [value, ...]). Where
    loopback is set, every name has the address 127.0.0.1."""
    loopback = False

    def __init__(self, answer):
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    while True:
                        length = struct.unpack("!H", _receive(self.request, 2))
                        reply = outer.reply(_receive(self.request, length[0]))
                        self.request.sendall(struct.pack("!H", len(reply)) +
                                             reply)
                except ConnectionError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, request_queue_size = True, 128

        self.answer = answer
        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def reply(self, query):
        owner, end = _read_name(query, 12)
        kind = struct.unpack("!H", query[end:end + 2])[0]
        rcode, values = self.answer(owner) if kind == TXT else (NOERROR, [])
        records = [self._record(v) for v in values]
        if kind == A and self.loopback:
            records = [b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 0, 4) +
                       socket.inet_aton("127.0.0.1")]
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | rcode, 1,
                                       len(records), 0, 0)
        return head + query[12:end + 4] + b"".join(records)

    @staticmethod
    def _record(value):
        parts = [value[i:i + 255] for i in range(0, len(value), 255)] or [b""]
        data = b"".join(bytes([len(p)]) + p for p in parts)
        return b"\xc0\x0c" + struct.pack("!HHIH", TXT, 1, 0, len(data)) + data

    def close(self):
        self.server.shutdown()
        self.server.server_close()
