# SPDX-License-Identifier: LGPL-2.1-or-later
"""The clients of docs/clients.md: where they are here, and what a lab without
port 80 and without known roots adds to their commands."""

import os
import pathlib
import re
import socket

from clients_lab import LETSENCRYPT, RealClient
from lab import expect, free_port, port_open, unix_open, wait_for

CHALLENGES = "/var/www/challenges"


class AcmeTiny(RealClient):
    name = section = person = setup = "acme-tiny"
    account = "web-rsa"

    def places(self):
        self.certificate = self.home / "signed_chain.pem"
        wrapper = self.lab.folder("local") / f"{self.name}-guardian"
        return {"/var/lib/acme-tiny": self.home, CHALLENGES: self.challenges,
                f"User={self.person}": f"User={self.uid}",
                "/usr/local/bin/acme-tiny-guardian": wrapper,
                # It would ask the site for its answer first.
                "\nacme-tiny-guardian": f"\n{wrapper} --disable-check"}


class LaterAcmeTiny(AcmeTiny):
    name = "acme-tiny-later"
    in_tree = True


class Dehydrated(RealClient):
    """Debian 12's, for which the account is an RSA one."""
    name = section = person = setup = "dehydrated"
    account = "web-rsa"
    besides = {"--cron": "--cron --force"}

    def places(self):
        return {"/var/lib/dehydrated": self.home,
                "/etc/dehydrated": self.home, CHALLENGES: self.challenges,
                "-o dehydrated": f"-o {self.uid}",
                f"User={self.person}": f"User={self.uid}"}

    def setup_options(self):
        return f"{self.home}/config {super().setup_options()}"

    def issue(self, *names):
        self.certificate = self.home / "certs" / names[0] / "fullchain.pem"
        return super().issue(*names)


class LaterDehydrated(Dehydrated):
    """With OpenSSL 3.6 and a P-256 account"""
    name = "dehydrated-later"
    account = "web"
    in_tree = True


class AcmeSh(RealClient):
    name = "acmesh"
    section, person, setup = "acme.sh", "acme", "acme.sh"
    in_tree = True
    besides = {"acme.sh --issue": "acme.sh --issue --force"}

    def places(self):
        return {"/var/lib/acme/": f"{self.home}/", CHALLENGES: self.challenges,
                f"/ca/{LETSENCRYPT}": "/ca/localhost/dir",
                "-o acme": f"-o {self.uid}",
                f"User={self.person}": f"User={self.uid}"}

    def issue(self, *names):
        self.certificate = self.home / f".acme.sh/{names[0]}_ecc/fullchain.cer"
        return super().issue(*names)


class Lacme(RealClient):
    """It asks for signatures at a socket, and has no file for its key."""
    name = section = person = setup = "lacme"
    tells = ("lost connection with lacme-accountd",)
    # No user of its own to become, Pebble's roots unknown, and not due.
    besides = {"\n[webserver]\n": "user =\ngroup =\n\n[webserver]\nuser =\n"
                                  "group =\n", "[www]\n": "[www]\nCAfile =\n",
               "newOrder": "--force newOrder"}

    def places(self):
        return {"/etc/lacme": self.home, CHALLENGES: self.challenges}

    def setup_options(self):
        return f"{self.home}/lacme.conf --lacme-socket {self.world.lacme}"

    def prepare(self):
        # With the units, lacme's socket is its user's from the start.
        os.chown(self.world.lacme, self.uid, self.uid)
        users = pathlib.Path("/etc/passwd").read_text(encoding="utf-8")
        self.passwd = self.lab.file(
            "passwd", f"{users}lab-lacme:x:{self.uid}:{self.uid}::/:/bin/sh\n")
        super().prepare()
        self.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey",
                  "-noout", "-out", self.home / "www.key"])
        self.certificate = self.home / "www.pem"

    def argv(self, argv, uid=None):
        # lacme reads the system's roots and nothing else, and wants its user
        # to have a name: in a mount namespace of its own, both are the lab's.
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" '
                '/etc/ssl/certs && mount --bind "$2" /etc/passwd && shift 2 && '
                'exec "$@"', "sh", str(self.world.trust), str(self.passwd),
                *super().argv(argv, uid)]

    def chain(self):
        return self.home / "www.chain.pem"


class HAProxy(RealClient):
    """It is asked at its own socket, answers challenges itself, and is in a
    chroot of its own."""
    name = person = setup = "haproxy"
    section = "HAProxy"
    in_tree = True

    def places(self):
        """Of the page, all but the files of its ACME are root's."""
        w = self.world
        return {"/etc/haproxy": self.etc, "/var/lib/haproxy": self.jail,
                "/run/haproxy": self.home,
                f"User={self.person}": f"User={self.uid}",
                "user haproxy": f"uid {self.uid}",
                "group haproxy": f"gid {self.uid}",
                ":80\n": f"127.0.0.1:{self.http}\n",
                ":443 ": f"127.0.0.1:{self.https} ",
                "    expose-experimental-directives\n": f"""\
    expose-experimental-directives
    httpclient.resolvers.id lab
    httpclient.ssl.ca-file {w.ca_file}
    acme.scheduler off
""", "\ndefaults\n": f"""
resolvers lab
    nameserver one {w.dns.address}

defaults
"""}

    def prepare(self):
        lab = self.lab
        self.process = None
        self.take_ports()
        self.etc, self.jail = lab.folder("haproxy"), lab.folder("haproxy/jail")
        lab.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", "365", "-subj",
                 "/CN=first", "-keyout", self.etc / "key.pem", "-out",
                 self.etc / "first.pem"])
        lab.file("haproxy/site.pem", "".join(
            (self.etc / n).read_text() for n in ("first.pem", "key.pem")))
        super().prepare()

    def setup_options(self):
        return (f"{self.etc}/unit.d/acme-guardian.conf --openssl-conf "
                f"{self.world.openssl_stderr_conf}")

    def unit(self):
        """(environment, mounts) of the unit's drop-in"""
        text = (self.etc / "unit.d/acme-guardian.conf").read_text()
        source, target = re.search("^BindReadOnlyPaths=(.*):(.*)$", text,
                                   re.M).groups()
        expect((source, target) == ("/run/acme-guardian",
                                    f"{self.jail}/run/acme-guardian"), text)
        run = self.world.client.parent
        return (dict([re.search("^Environment=(.*?)=(.*)$", text,
                                re.M).groups()]), (run, f"{self.jail}{run}"))

    def start(self, *names):
        """Anew: a configuration is read once, and the account key with it."""
        if self.process:
            self.lab.stop(self.process)
        for _ in range(5):
            self.take_ports()
            if self.started(*names):
                return
            # Somebody else was given the port meanwhile.
            expect("cannot bind socket" in self.output(), self.output())
        expect(False, self.output())

    def take_ports(self):
        self.http, self.https = free_port(), free_port()
        self.world.web.ports[self.domain] = self.http

    def started(self, *names):
        self.put_names(self.replacements(*names))
        environment, (source, target) = self.unit()
        self.process = self.lab.start("haproxy", self.argv([
            "sh", "-c", 'mkdir -p "$2" && mount --bind "$1" "$2" && '
            'mount -o remount,bind,ro "$2" && shift 2 && exec "$@"', "sh",
            source, target, "haproxy", "-W", "-db", "-f",
            self.etc / "haproxy.cfg"], uid=0), env=self.environment(
                environment))
        wait_for("HAProxy", lambda: self.process.poll() is not None or (
            port_open(self.http) and unix_open(self.home / "admin.sock")), 120)
        return self.process.poll() is None

    def output(self):
        return self.lab.log("haproxy")

    def command(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.home / "admin.sock"))
            s.sendall(line.encode() + b"\n")
            s.shutdown(socket.SHUT_WR)
            data = b""
            while chunk := s.recv(65536):
                data += chunk
        return data.decode()

    def commands(self):
        """Those of the page: to renew, and to fetch what came of it."""
        text = next(b.text for b in self.blocks if b.kind == "haproxy")
        return self.replacements(*self.names)(text).splitlines()

    def serial(self):
        return self.command(f"show ssl cert {self.etc}/site.pem").partition(
            "Serial: ")[2].split()[0]

    def refused(self, tells, *names):
        """It goes on without a signature, in vain, and tries for minutes."""
        self.start(*names)
        told = len(self.output())
        self.command(self.commands()[0])
        wait_for("a refusal in HAProxy's output", lambda: all(
            w in self.output()[told:] for w in tells), 60)

    def issue(self, *names):
        renew, fetch = self.commands()
        self.start(*names)
        before, told = self.serial(), len(self.output())
        self.command(renew)
        wait_for("the end of HAProxy's renewal", lambda: self.serial() != before
                 or "Stopped" in self.command("acme status"), 120)
        new = self.serial() != before
        if new:
            self.file("cert.pem", self.command(fetch))
        return Ran(0 if new else 1, self.output()[told:])


class Ran:
    """As subprocess's, of a command that is none."""

    def __init__(self, returncode, stdout):
        self.returncode, self.stdout, self.stderr = returncode, stdout, ""


KINDS = (AcmeTiny, LaterAcmeTiny, Dehydrated, LaterDehydrated, AcmeSh, Lacme,
         HAProxy)
