# SPDX-License-Identifier: LGPL-2.1-or-later
"""DNS servers of a Lab: real BIND 9s, and servers that misbehave.

A Bind needs no root: it runs as a user without a name, on a loopback address
and a free port, with its zones in the Lab's folder.

    with Lab("dns") as lab:
        ns1 = Bind(lab, "ns1")
        ns1.key("owner-key")
        ns1.zone("example.test", ["www A 192.0.2.1"],
                 policy=["grant owner-key name _validation-persist.example.test"
                         ". TXT;"])
        ns1.start()
        ns1.dig("www.example.test", "A")
"""

import base64
import ctypes
import fcntl
import os
import secrets
import socket
import struct
import threading

from lab import CA_UID, Failed, free_port, wait_for

NAMED = "/usr/sbin/named"


def own_network():
    """A network namespace with a loopback of its own, 127.0.0.1 to 127.0.0.9, in
    which everybody may listen on port 53. Only root can have one."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket() as s:
        up = struct.pack("16sh22x", b"lo", 0x49)  # up, loopback, running
        fcntl.ioctl(s, 0x8914, up)
        for n in range(2, 10):
            # BIND listens on addresses that an interface has.
            fcntl.ioctl(s, 0x8916, struct.pack(
                "16sHH4s16x", f"lo:{n}".encode(), socket.AF_INET, 0,
                bytes([127, 0, 0, n])))
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w",
              encoding="ascii") as f:
        f.write("0")


class Bind:
    """One named. Zones and keys are said before start(), or before restart()."""

    def __init__(self, lab, name="ns1", address="127.0.0.1", port=None,
                 options=()):
        self.lab, self.name = lab, name
        self.host, self.port = address, port or free_port()
        self.address = f"{address}:{self.port}"
        if ":" in address:
            self.address = f"[{address}]:{self.port}"
        self.dir = lab.folder(name, CA_UID, 0o755)
        self.options = list(options)
        self.keys, self.zones, self.more = {}, {}, []
        self.process = None

    # What it has.

    def key(self, name, algorithm="hmac-sha256", secret=None):
        """A TSIG key; returns its secret in base64."""
        secret = secret or base64.b64encode(secrets.token_bytes(32)).decode()
        self.keys[name] = (algorithm, secret)
        return secret

    def zone(self, name, records=(), policy=(), ns=("ns1.invalid",),
             also_notify=(), minimum=60, options=()):
        """A primary zone. @records are lines of its file, @policy lines of its
        update-policy, @ns names of its servers."""
        lines = ["$TTL 300", f"@ SOA {ns[0]}. root.invalid. 1 3600 600 86400 "
                 f"{minimum}", *[f"@ NS {n}." for n in ns], *records]
        file = self.lab.file(f"{self.name}/{name}.zone", "\n".join(lines) +
                             "\n", CA_UID)
        text = f'type primary; file "{file}";\n'
        if policy:
            text += "update-policy {\n" + "\n".join(policy) + "\n};\n"
        if also_notify:
            text += "notify explicit; also-notify { " + " ".join(
                f"{b.host} port {b.port};" for b in also_notify) + " };\n"
        self.zones[name] = text + "\n".join(options)

    def secondary(self, name, primary):
        """A copy of another Bind's zone; it asks, too, lest a NOTIFY is missed."""
        self.zones[name] = ("type secondary; min-refresh-time 1; "
                            "max-refresh-time 2; min-retry-time 1; "
                            "max-retry-time 2; "
                            f'file "{self.dir}/{name}.copy"; masterfile-format '
                            f"text;\nprimaries {{ {primary.host} port "
                            f"{primary.port}; }};\n")

    def forward(self, name, to):
        """Of a resolver: what is below @name is asked there."""
        self.zones[name] = ("type forward; forward only; forwarders { "
                            f"{to.host} port {to.port}; }};\n")

    def config(self):
        v6 = ":" in self.host
        on, off = ("listen-on-v6", "listen-on") if v6 else ("listen-on",
                                                            "listen-on-v6")
        text = (f'options {{\ndirectory "{self.dir}";\npid-file none;\n'
                f'session-keyfile "{self.dir}/session.key";\n'
                f"{on} port {self.port} {{ {self.host}; }};\n{off} {{ none; }};"
                "\nnotify no; allow-transfer { any; };\n"
                "minimal-responses no;\n"
                "max-records-per-type 0; max-types-per-name 0;\n")
        if not any(o.startswith("recursion") for o in self.options):
            text += "recursion no;\n"
        if not any(o.startswith("dnssec-validation") for o in self.options):
            text += "dnssec-validation no;\n"
        text += "\n".join(self.options) + "\n};\ncontrols { };\n"
        text += "logging { category default { default_stderr; }; };\n"
        for name, (algorithm, secret) in self.keys.items():
            text += (f'key "{name}" {{ algorithm {algorithm}; secret '
                     f'"{secret}"; }};\n')
        for name, zone in self.zones.items():
            text += f'zone "{name}" {{\n{zone}}};\n'
        return text + "\n".join(self.more) + "\n"

    # Its life.

    def start(self):
        conf = self.lab.file(f"{self.name}/named.conf", self.config(), CA_UID)
        self.process = self.lab.start(self.name, [NAMED, "-f", "-g", "-n", "1",
                                                  "-c", conf], CA_UID)
        wait_for(f"BIND {self.name}", self.ready)
        return self

    def ready(self):
        if self.process.poll() is not None:
            raise Failed(f"BIND {self.name} ended:\n" +
                         self.lab.log(self.name)[-2000:])
        r = self.lab.run(["dig", "+time=1", "+tries=1", f"@{self.host}", "-p",
                          self.port, "version.bind", "CH", "TXT"], ok=None)
        return "status: NOERROR" in r.stdout

    def stop(self):
        self.lab.stop(self.process)

    def restart(self):
        self.stop()
        self.start()

    # What it says.

    def dig(self, name, kind="TXT", *options):
        """The answer's lines, as dig +short prints them, sorted."""
        r = self.lab.run(["dig", "+short", "+norecurse", f"@{self.host}", "-p",
                          self.port, name, kind, *options])
        return sorted(r.stdout.splitlines())

    def ttl(self, name, kind="TXT"):
        r = self.lab.run(["dig", "+noall", "+answer", "+norecurse",
                          f"@{self.host}", "-p", self.port, name, kind])
        return {int(line.split()[1]) for line in r.stdout.splitlines()}

    def add(self, key, zone, *records):
        """nsupdate: the lab's own hand in a zone."""
        algorithm, secret = self.keys[key]
        text = (f"server {self.host} {self.port}\nzone {zone}\n" + "".join(
            f"update {r}\n" for r in records) + "send\n")
        self.lab.run(["nsupdate", "-y", f"{algorithm}:{key}:{secret}"],
                     stdin=text)


class FakeDns:
    """A server whose answers a function makes: handler(query, tcp) returns the
    whole message, or None to stay silent."""

    def __init__(self, handler, address="127.0.0.1", port=None, scope=0):
        self.handler, self.host = handler, address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.port = port or free_port()
        self.address = f"{address}:{self.port}"
        self.queries = 0
        where = (address, self.port)
        if scope:
            where = (address, self.port, 0, scope)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind(where)
        self.tcp = socket.create_server(where, family=family)
        for loop in (self._udp, self._tcp):
            threading.Thread(target=loop, daemon=True).start()

    def _udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            self.queries += 1
            answer = self.handler(query, False)
            if answer is not None:
                self.udp.sendto(answer, peer)

    def _tcp(self):
        while True:
            try:
                peer, _ = self.tcp.accept()
            except OSError:
                return
            with peer:
                self._serve(peer)

    def _serve(self, peer):
        f = peer.makefile("rb")
        head = f.read(2)
        if len(head) < 2:
            return
        self.queries += 1
        answer = self.handler(f.read(struct.unpack("!H", head)[0]), True)
        if answer is not None:
            peer.sendall(struct.pack("!H", len(answer)) + answer)

    def close(self):
        self.udp.close()
        self.tcp.close()


def question_end(query):
    at = 12
    while query[at]:
        at += query[at] + 1
    return at + 5


def reply(query, flags, answers=(), authority=()):
    """A message to @query with these flags and raw records."""
    end = question_end(query)
    return (query[:2] + struct.pack("!HHHHH", flags, 1, len(answers),
                                    len(authority), 0) + query[12:end] +
            b"".join(answers) + b"".join(authority))


def record(kind, data, ttl=60, name=b"\xc0\x0c"):
    """A record of the question's own name, unless another is given."""
    return name + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def wire_name(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")
                    if x) + b"\0"
