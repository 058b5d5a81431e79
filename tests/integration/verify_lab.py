# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures checked by the thousand: libcrypto in this process, where one
openssl(1) for each would take minutes."""

import ctypes
import ctypes.util

from token_wire import ecdsa_der

_lib = ctypes.CDLL(ctypes.util.find_library("crypto"))
_P, _N = ctypes.c_void_p, ctypes.c_size_t
for _name, _result, _arguments in (
        ("d2i_PUBKEY", _P, (_P, _P, ctypes.c_long)),
        ("EVP_PKEY_free", None, (_P,)),
        ("EVP_MD_CTX_new", _P, ()),
        ("EVP_MD_CTX_free", None, (_P,)),
        ("EVP_sha256", _P, ()),
        ("EVP_sha384", _P, ()),
        ("EVP_DigestVerifyInit", ctypes.c_int, (_P, _P, _P, _P, _P)),
        ("EVP_DigestVerify", ctypes.c_int,
         (_P, ctypes.c_char_p, _N, ctypes.c_char_p, _N)),
        ("ERR_clear_error", None, ())):
    _function = getattr(_lib, _name)
    _function.restype, _function.argtypes = _result, _arguments


class Verifier:
    """One public key."""

    def __init__(self, spki, alg):
        self.alg = alg
        start = ctypes.create_string_buffer(spki, len(spki))
        at = ctypes.c_void_p(ctypes.addressof(start))
        self.key = _lib.d2i_PUBKEY(None, ctypes.byref(at), len(spki))
        assert self.key, "a public key that OpenSSL reads"

    def accepts(self, data, signature):
        """A JWS signature over data?"""
        digest = {"ES256": _lib.EVP_sha256, "RS256": _lib.EVP_sha256,
                  "ES384": _lib.EVP_sha384, "EdDSA": lambda: None}[self.alg]()
        if self.alg in ("ES256", "ES384"):
            if len(signature) != (64 if self.alg == "ES256" else 96):
                return False
            signature = ecdsa_der(signature)
        context = _lib.EVP_MD_CTX_new()
        good = _lib.EVP_DigestVerifyInit(
            context, None, digest, None, self.key) == 1 and \
            _lib.EVP_DigestVerify(context, signature, len(signature), data,
                                  len(data)) == 1
        _lib.EVP_MD_CTX_free(context)
        _lib.ERR_clear_error()
        return good

    def __del__(self):
        _lib.EVP_PKEY_free(self.key)
