/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/bytes.h"

/* Certificates made for a test: P-256, SHA-256. */

struct fixture_cert {
    const char *subject;      /* common name; NULL: an empty subject */
    const char *issuer;       /* common name of who signs */
    const char *const *names; /* dNSNames, NULL-ended; may be NULL */
    const char *serial_hex;   /* NULL: 1 */
    const char *key_id_hex;   /* authority key identifier; NULL: none */
    int64_t not_before_s, not_after_s;
};

EVP_PKEY *fixture_key(void);
X509 *fixture_cert(const struct fixture_cert *c, EVP_PKEY *key,
                   EVP_PKEY *signer);
/* fixture_pem() - appended. */
void fixture_pem(X509 *cert, struct buf *ret);
