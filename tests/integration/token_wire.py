# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's end of ipc/token-proto.h, for tests of the token helper."""

import os
import pathlib
import socket
import struct
import subprocess

OPS = dict(STATUS=1, LIST=2, FIND=3, FIND_URI=4, GENERATE=5, SIGN=6,
           DESTROY=7, UNLOCK=8)
ALGS = dict(ES256=1, ES384=2, RS256=3, EdDSA=4)
RESULTS = ["UNSET", "OK", "PROTOCOL", "UNSUPPORTED", "NO_KEY", "AMBIGUOUS",
           "EXISTS", "KEY_UNFIT", "NO_TOKEN", "PIN_WRONG", "PIN_LOCKED",
           "PIN_MISSING", "FULL", "BAD_SIGNATURE", "FAILED", "NOT_OURS"]
ATTRS = dict(SENSITIVE=1, UNEXTRACTABLE=2, ALWAYS_SENSITIVE=4,
             NEVER_EXTRACTABLE=8, LOCAL=16, SIGN_ONLY=32, SOFTWARE=64)

REQUEST = struct.Struct("=IIQIIII128s")
REPLY = struct.Struct("=IIQII256s")
STATUS = struct.Struct("=6I64s64s32s32s64s256s")
KEY = struct.Struct("=128sIIII32sII600s")
DATA_MAX = 64 * 1024 + 1


PREFIX = "acme-guardian:"  # KeyPrefix=


class Closed(Exception):
    """The helper closed the connection."""


class Foreign(str):
    """A label outside KeyPrefix=, to be sent as it is."""


def own(label):
    """Tests write a label without the prefix that it has on the token."""
    if isinstance(label, Foreign) or label.startswith(PREFIX):
        return label
    return PREFIX + label


class Key:
    def __init__(self, data):
        (label, self.alg, self.attrs, self.known, spki_len, ident, id_len,
         reserved, spki) = KEY.unpack(data)
        self.label = label.rstrip(b"\0").decode().removeprefix(PREFIX)
        self.spki = spki[:spki_len]
        self.id = ident[:id_len]
        assert reserved == 0

    def has(self, *names):
        return all(self.attrs & ATTRS[n] for n in names)


class Status:
    def __init__(self, data):
        (result, self.backend, self.processes, self.sessions,
         self.unseparated, _, *texts) = STATUS.unpack(data)
        self.result = RESULTS[result]
        (self.label, self.manufacturer, self.model, self.serial, self.library,
         self.text) = (t.rstrip(b"\0").decode() for t in texts)


class Reply:
    def __init__(self, datagram):
        (version, result, self.id, data_len, self.ckr,
         text) = REPLY.unpack(datagram[:REPLY.size])
        assert version == 1
        self.result = RESULTS[result]
        self.text = text.rstrip(b"\0").decode()
        self.data = datagram[REPLY.size:]
        assert len(self.data) == data_len


class Helper:
    """A running acme-guardian-token and the socket to it."""

    def __init__(self, program, config, name, env=None, stderr=None,
                 timeout=90):
        self.argv = [str(program), "--config", str(config), name]
        self.env, self.stderr, self.timeout = env, stderr, timeout
        self.begin()

    def begin(self):
        """A process and a connection to it; once more when it has ended."""
        self.sock, other = socket.socketpair(socket.AF_UNIX,
                                             socket.SOCK_SEQPACKET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.sock.settimeout(self.timeout)
        fd = other.fileno()
        self.process = subprocess.Popen(
            [*self.argv, "--fd", str(fd)], pass_fds=[fd], env=self.env,
            stderr=self.stderr, stdin=subprocess.DEVNULL)
        other.close()
        self.next_id = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, seconds=60):
        self.sock.close()
        return self.process.wait(seconds)

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def raw(self, datagram):
        self.sock.send(datagram)
        return self.receive()

    def receive(self):
        try:
            answer = self.sock.recv(1 << 17)
        except ConnectionResetError:
            answer = b""
        if not answer:
            raise Closed
        return Reply(answer)

    def send(self, op, label="", alg=None, bits=0, data=b""):
        self.next_id += 1
        if op in ("LIST", "FIND", "GENERATE", "SIGN", "DESTROY"):
            label = own(label)
        self.sock.send(request(op, self.next_id, label, alg, bits, data))
        return self.next_id

    def ask(self, op, label="", alg=None, bits=0, data=b""):
        sent = self.send(op, label, alg, bits, data)
        reply = self.receive()
        assert reply.id == sent, f"answer {reply.id} to request {sent}"
        return reply

    def status(self):
        return Status(self.ask("STATUS").data)

    def unlock(self):
        return Status(self.ask("UNLOCK").data)

    def sign(self, label, alg, data):
        return self.ask("SIGN", label, alg, data=data)

    def find(self, label):
        return self.ask("FIND", label)

    def generate(self, label, alg, bits=0):
        return self.ask("GENERATE", label, alg, bits)

    def list(self, prefix="", skip=0):
        reply = self.ask("LIST", prefix, data=struct.pack("=II", skip, 0))
        return [Key(reply.data[i:i + KEY.size])
                for i in range(0, len(reply.data), KEY.size)]


def request(op, ident, label="", alg=None, bits=0, data=b"", version=1,
            data_len=None, reserved=0):
    return REQUEST.pack(version, OPS.get(op, op), ident,
                        ALGS.get(alg, alg or 0), bits,
                        len(data) if data_len is None else data_len, reserved,
                        label.encode()) + data


def _der(tag, body):
    length = bytes([len(body)]) if len(body) < 128 else \
        bytes([0x81, len(body)])
    return bytes([tag]) + length + body


def _der_int(raw):
    raw = raw.lstrip(b"\0") or b"\0"
    return _der(2, (b"\0" if raw[0] & 0x80 else b"") + raw)


def ecdsa_der(signature):
    """ECDSA-Sig-Value of r||s."""
    half = len(signature) // 2
    return _der(0x30, _der_int(signature[:half]) + _der_int(signature[half:]))


def verifies(spki, alg, data, signature, folder):
    """Does openssl(1) accept this JWS signature?"""
    folder = pathlib.Path(folder)
    if alg in ("ES256", "ES384"):
        signature = ecdsa_der(signature)
    files = [folder / n for n in ("v.spki", "v.sig", "v.data")]
    for path, content in zip(files, (spki, signature, data)):
        path.write_bytes(content)
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform",
               "DER", "-inkey", files[0], "-sigfile", files[1], "-in",
               files[2]]
    if alg != "EdDSA":
        command += ["-digest", "sha384" if alg == "ES384" else "sha256"]
    done = subprocess.run(command, capture_output=True, check=False,
                          env=dict(os.environ, LC_ALL="C"))
    return done.returncode == 0
