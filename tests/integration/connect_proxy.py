# SPDX-License-Identifier: LGPL-2.1-or-later
"""An HTTP proxy that does CONNECT and nothing else, and writes down for whom.

    proxy = ConnectProxy()                     proxy.url for HTTPS_PROXY=
    proxy.refuse = lambda host, port: ...      true: 403
    proxy.credentials = "user:password"        without them: 407
    proxy.seen                                 [(host, port, status), ...]
"""

import base64
import select
import socket
import socketserver
import threading


class _Handler(socketserver.StreamRequestHandler):
    timeout = 60

    def handle(self):
        line, headers = self._head()
        proxy = self.server.proxy
        method, target = (line.split() + ["", ""])[:2]
        host, _, port = target.rpartition(":")
        host, port = host.strip("[]"), int(port) if port.isdigit() else 0
        status = proxy.judge(method, host, port, headers)
        upstream = None
        if status == 200:
            try:
                upstream = proxy.connect(host, port)
            except OSError:
                status = 502
        proxy.seen.append((host, port, status))
        self._answer(status)
        if upstream:
            with upstream:
                _shovel(self.connection, upstream)

    def _head(self):
        lines = []
        while line := self.rfile.readline(8192).decode("latin-1").strip():
            lines.append(line)
        headers = {l.partition(":")[0].lower(): l.partition(":")[2].strip()
                   for l in lines[1:]}
        self.server.proxy.heads.append(lines)
        return (lines or [""])[0], headers

    def _answer(self, status):
        more = ('Proxy-Authenticate: Basic realm="lab"\r\n'
                if status == 407 else "")
        length = "" if status == 200 else "Content-Length: 0\r\n"
        self.wfile.write(f"HTTP/1.1 {status} Lab\r\n{more}{length}\r\n"
                         .encode())


def _shovel(a, b):
    other = {a: b, b: a}
    while True:
        for s in select.select([a, b], [], [], 60)[0] or [None]:
            data = s.recv(65536) if s else b""
            if not data:
                return
            other[s].sendall(data)


class ConnectProxy:
    def __init__(self, address="127.0.0.1"):
        self.seen, self.heads = [], []
        self.refuse = lambda host, port: False
        self.credentials = None
        self.hosts = {}   # name -> address; *.localhost is loopback
        v6 = ":" in address

        class Server(socketserver.ThreadingTCPServer):
            address_family = socket.AF_INET6 if v6 else socket.AF_INET
            daemon_threads, request_queue_size = True, 128

        self.server = Server((address, 0), _Handler)
        self.server.proxy = self
        self.address, self.port = self.server.server_address[:2]
        around = f"[{address}]" if v6 else address
        self.url = f"http://{around}:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()

    def judge(self, method, host, port, headers):
        if method != "CONNECT" or not port:
            return 405
        if self.credentials is not None:
            good = base64.b64encode(self.credentials.encode()).decode()
            given = headers.get("proxy-authorization", "").split()
            if given[1:] != [good]:
                return 407
        return 403 if self.refuse(host, port) else 200

    def connect(self, host, port):
        default = "127.0.0.1" if host.endswith("localhost") else host
        return socket.create_connection((self.hosts.get(host, default), port),
                                        10)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
