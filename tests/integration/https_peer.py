# SPDX-License-Identifier: LGPL-2.1-or-later
"""An HTTPS server inside the test, so that a test can watch and switch it.

A peer is one origin on loopback with the lab's certificate. What it answers is
answer(); what it was asked stays in requests.
"""

import email.utils
import http.server
import json
import socket
import socketserver
import ssl
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    path: str
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """@date: seconds that Date is off, None for no Date; @short: octets that
    are announced and never come; @delay_s: waits before the answer."""
    status: int = 200
    body: bytes = b""
    headers: list = field(default_factory=list)
    date: float | None = 0
    short: int = 0
    delay_s: float = 0

    @classmethod
    def of(cls, value, status=200, headers=()):
        return cls(status, json.dumps(value).encode(),
                   [("Content-Type", "application/json"), *headers])

    @classmethod
    def problem(cls, status, kind, detail, headers=()):
        return cls(status, json.dumps({
            "type": f"urn:ietf:params:acme:error:{kind}", "detail": detail,
            "status": status}).encode(),
            [("Content-Type", "application/problem+json"), *headers])

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()),
                    None)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # Not HTTPServer's: that asks the resolver for this host's name.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        """Clients that hang up or distrust us are what tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    # Head and body in one segment: two would wait for a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self.command, self.path, dict(self.headers.items()),
                          self.rfile.read(length))
        peer = self.server.peer
        peer.requests.append(request)
        answer = peer.answer(request)
        if answer.delay_s:
            time.sleep(answer.delay_s)
        self.send_response_only(answer.status)
        if answer.date is not None:
            self.send_header("Date", email.utils.formatdate(
                time.time() + answer.date, usegmt=True))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length",
                         str(len(answer.body) + answer.short))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        if answer.short:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = _serve


class HttpsPeer:
    def __init__(self, lab, host="localhost", address="127.0.0.1", port=0):
        """@host is the name in its URLs; @address "::1" for IPv6 alone."""
        tls = lab.tls()
        self.requests = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = type("Server", (_Server,), {"address_family": family})
        self.server = kind((address, port), _Handler)
        self.server.peer = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        # The handshake belongs to the connection's thread, not to accept().
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.address, self.port = address, self.server.server_address[1]
        self.host = host
        self.origin = f"https://{host}:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       args=(0.05,), daemon=True)
        self.thread.start()

    def answer(self, request):
        raise NotImplementedError

    def url(self, path):
        return self.origin + path

    def paths(self, method=None):
        return [r.path for r in self.requests
                if method in (None, r.method)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
