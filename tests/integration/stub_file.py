# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stubs as client-shim/stub.h describes them, written a second time."""

import base64

LABEL = "ACME GUARDIAN ACCOUNT"
RSA = bytes.fromhex("300d06092a864886f70d0101010500")
P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
P384 = bytes.fromhex("301006072a8648ce3d020106052b81040022")


def tlv(tag, content):
    n = len(content)
    if n < 0x80:
        return bytes([tag, n]) + content
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, "big") + content


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def number(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def spki(jwk):
    if jwk["kty"] == "RSA":
        algorithm = RSA
        key = tlv(0x30, b"".join(integer(int.from_bytes(number(jwk[m]), "big"))
                                 for m in "ne"))
    else:
        algorithm = P256 if jwk["crv"] == "P-256" else P384
        key = b"\4" + number(jwk["x"]) + number(jwk["y"])
    return tlv(0x30, algorithm + tlv(3, b"\0" + key))


def der(jwk, socket, account, version=1):
    return tlv(0x30, integer(version) + tlv(12, str(socket).encode()) +
               tlv(12, account.encode()) + spki(jwk))


def pem(data, label=LABEL):
    text = base64.b64encode(data).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines,
                      f"-----END {label}-----", ""])


def stub(jwk, socket, account):
    return pem(der(jwk, socket, account))
