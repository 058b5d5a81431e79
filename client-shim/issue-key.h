/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>

#include "acme/evp-key.h"
#include "acme/identifiers.h"
#include "base/secret.h"

/* The certificate's own key and the request for it (RFC 2986). The account's
 * key is never here. */

enum issue_key_type {
    ISSUE_KEY_UNSET = 0,
    ISSUE_KEY_EC_P256,
    ISSUE_KEY_EC_P384,
    ISSUE_KEY_RSA_2048,
    ISSUE_KEY_RSA_3072,
    ISSUE_KEY_RSA_4096,
    ISSUE_KEY_COUNT
};
/* As KeyTypes= of a policy spells it: "ec-p256". UNSET: no such type. */
enum issue_key_type issue_key_type_parse(const char *name);
const char *issue_key_type_name(enum issue_key_type type);
enum issue_key_type issue_key_type_of(const EVP_PKEY *key);

#define ISSUE_KEY_E_INVALID 1

/* issue_key_heap_init() - private numbers of keys are to lie in memory that is
 * locked, where the host lets us. Before the first key. Return: 0; -ENOMEM. */
int issue_key_heap_init(void) MUST_CHECK;

/* issue_key_new() - Return: 0; -EIO; -ENOMEM. */
int issue_key_new(enum issue_key_type type, EVP_PKEY **ret) MUST_CHECK;

/* issue_key_format() - PKCS#8 in PEM, not encrypted: for a file of mode 0600.
 * Return: 0; -ENOMEM and the like. */
int issue_key_format(const EVP_PKEY *key, struct secret **ret) MUST_CHECK;

/* issue_key_parse() - a private key in PEM. Return: 0; ISSUE_KEY_E_INVALID:
 * there is none, or it is encrypted; -ENOMEM. */
int issue_key_parse(const struct secret *pem, EVP_PKEY **ret) MUST_CHECK;

/* issue_csr_new() - a request for these names, DER, appended. The subject is
 * empty: names are only looked for in the extension. Return: 0; -EIO; -ENOMEM.
 */
int issue_csr_new(EVP_PKEY *key, const struct identifiers *names,
                  struct buf *ret) MUST_CHECK;

/* issue_csr_der() - from a file's content, PEM or DER. Return: 0;
 * ISSUE_KEY_E_INVALID; -ENOMEM. */
int issue_csr_der(struct bytes file, struct buf *ret) MUST_CHECK;

/* issue_csr_key() - the public key in it. Return: 0; ISSUE_KEY_E_INVALID. */
int issue_csr_key(struct bytes der, EVP_PKEY **ret) MUST_CHECK;
