/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/x509.h>

#include "acme/identifiers.h"
#include "base/errmsg.h"

/* Certificates, chains and requests as guardianctl issue looks at them. Pure:
 * no files, no clock. */

static inline void issue_x509s_free_p(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
}
#define CLEANUP_ISSUE_CHAIN CLEANUP(issue_x509s_free_p)

/* What cannot be read or does not fit; OpenSSL's error queue is left empty. */
#define ISSUE_CERT_E_INVALID 1

/**
 * issue_chain_parse() - the certificates of a PEM text, in its order
 *
 * Text between them, keys and the like are skipped.
 *
 * Return: 0 with at least one; ISSUE_CERT_E_INVALID; -ENOMEM.
 */
int issue_chain_parse(struct bytes pem, STACK_OF(X509) * *ret) MUST_CHECK;

/* issue_cert_names() - Return: 0; ISSUE_CERT_E_INVALID: names that no order of
 * ours has, or none; -ENOMEM. */
int issue_cert_names(const X509 *cert, struct identifiers *ret) MUST_CHECK;

/* issue_names_same() - as sets. */
bool issue_names_same(const struct identifiers *a, const struct identifiers *b);
bool issue_names_meet(const struct identifiers *a, const struct identifiers *b);

struct issue_validity {
    int64_t not_before_s;
    int64_t not_after_s; /* more than not_before_s */
};
int issue_cert_validity(const X509 *cert,
                        struct issue_validity *ret) MUST_CHECK;

/* issue_cert_digest() - SHA-256 of its DER. Return: 0; -ENOMEM. */
int issue_cert_digest(const X509 *cert, uint8_t ret[static 32]) MUST_CHECK;

/* issue_cert_has_key() - is it the certificate of this key? */
bool issue_cert_has_key(const X509 *cert, const EVP_PKEY *key);

/**
 * issue_chain_check() - may this chain take the old one's place?
 * @key:   what was asked for is a certificate of this key ...
 * @names: ... and exactly these names
 *
 * The first certificate is that one and is not expired at @now_s, and each is
 * signed by the next.
 *
 * Return: 0; ISSUE_CERT_E_INVALID with *reterr; -ENOMEM.
 */
int issue_chain_check(const STACK_OF(X509) * chain, const EVP_PKEY *key,
                      const struct identifiers *names, int64_t now_s,
                      struct errmsg *reterr) MUST_CHECK;

/* issue_chain_top() - the common name of who issued the last certificate, the
 * root's; nothing where it has none, '?' for what cannot be shown. Appended.
 * Return: 0; -ENOMEM. */
int issue_chain_top(const STACK_OF(X509) * chain, struct buf *ret) MUST_CHECK;

/**
 * issue_cert_ari_id() - how renewal information names a certificate: base64url
 * of the authority key identifier, '.', and of the serial number's octets (RFC
 * 9773 section 4.1). Appended.
 *
 * Return: 0; ISSUE_CERT_E_INVALID: it has no such identifier; -ENOMEM.
 */
int issue_cert_ari_id(const X509 *cert, struct buf *ret) MUST_CHECK;
