/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "base/bytes.h"
#include "ipc/token-proto.h"

/* Public keys and JWS signatures, with OpenSSL. */

/* signature_key() - a DER SubjectPublicKeyInfo, for signature_verify().
 * Return: 0; -EINVAL; free with EVP_PKEY_free(). */
int signature_key(struct bytes spki, EVP_PKEY **ret) MUST_CHECK;

/* signature_alg() - what a key signs with; TOKEN_ALG_UNSET if we do not sign
 * with such keys (P-256, P-384, RSA of 2048 to 4096 bits, Ed25519). */
enum token_alg signature_alg(const EVP_PKEY *key);

/* signature_len() - octets of a JWS signature by this key, exactly: 64, 96, the
 * modulus, 64. 0 for keys we do not sign with. */
size_t signature_len(const EVP_PKEY *key);

/* signature_spki() - DER of a public key. Return: its length; 0 if it does not
 * fit. */
size_t signature_spki(const EVP_PKEY *key, uint8_t ret[static TOKEN_SPKI_MAX]);

/**
 * signature_verify() - check a JWS signature over @input
 *
 * Return: 0 if good; SIGNATURE_E_BAD; negative errno.
 */
int signature_verify(EVP_PKEY *key, struct bytes input,
                     struct bytes sig) MUST_CHECK;
#define SIGNATURE_E_BAD 1

/**
 * signature_from_der() - ECDSA-Sig-Value to r||s of @n octets each
 *
 * Return: 0 with 2 * @n octets in @ret; -EINVAL.
 */
int signature_from_der(struct bytes der, size_t n,
                       uint8_t ret[static TOKEN_SIGNATURE_MAX]) MUST_CHECK;
