/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "base/bytes.h"
#include "ipc/token-proto.h"

/*
 * JWS signatures with an OpenSSL private key: one that is in this process, or
 * one whose operations libp11 sends to a token. What OpenSSL would look up for
 * every signature is looked up once. For one thread at a time.
 */

struct evp_signer;

/* evp_signer_new() - takes a reference of @key. Return: 0; -EINVAL for keys we
 * do not sign with; -ENOMEM. */
int evp_signer_new(EVP_PKEY *key, struct evp_signer **ret) MUST_CHECK;

/* evp_signer_sign() - hashes @input; ECDSA as r||s. Return: 0; -EIO, and the
 * OpenSSL error queue says why. */
int evp_signer_sign(struct evp_signer *s, struct bytes input,
                    uint8_t ret[static TOKEN_SIGNATURE_MAX],
                    size_t *ret_len) MUST_CHECK;

const EVP_PKEY *evp_signer_key(const struct evp_signer *s);

struct evp_signer *evp_signer_free(struct evp_signer *s);
DEFINE_CLEANUP(struct evp_signer *, evp_signer_free)
#define CLEANUP_EVP_SIGNER CLEANUP(evp_signer_free_p)
