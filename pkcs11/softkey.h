/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "base/errmsg.h"
#include "base/secret.h"
#include "ipc/token-proto.h"

/*
 * Private keys in this process, with OpenSSL. PKCS#8 is only ever in a struct
 * secret and in the short-lived buffers of OpenSSL's decoder, which it wipes.
 * The numbers of a loaded key lie in OpenSSL's secure heap. What does not:
 * values computed from them while signing (Montgomery forms of an RSA key's
 * primes, blinding), in this process's ordinary heap.
 */

/**
 * softkey_heap_init() - OpenSSL's secure heap, once in a process
 * @len: octets, a power of two
 *
 * Return: 0, also if it is there; -ENOLCK if its pages cannot be locked, but
 * must be (secrets_init()); -ENOMEM.
 */
int softkey_heap_init(size_t len) MUST_CHECK;

/* softkey_generate() - Return: 0; -EINVAL for an algorithm or size that we do
 * not sign with; -EIO; -ENOMEM; -ENOLCK. */
int softkey_generate(enum token_alg alg, unsigned rsa_bits,
                     struct secret **ret_pkcs8,
                     uint8_t ret_spki[static TOKEN_SPKI_MAX],
                     size_t *ret_spki_len) MUST_CHECK;

/* softkey_load() - Return: 0 with a key to EVP_PKEY_free(); -EINVAL if it is
 * no PKCS#8, or its public half is not @spki; -ENOMEM. */
int softkey_load(const struct secret *pkcs8, struct bytes spki,
                 EVP_PKEY **ret) MUST_CHECK;
