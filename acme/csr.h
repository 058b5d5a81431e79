/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"
#include "acme/identifiers.h"

/*
 * The closed reading of PKCS#10 requests and certificates (design section 7):
 * what a second reader could see that we do not is refused.
 */

#define CSR_MAX (16 * 1024)
#define CSR_NAMES_MAX IDENTIFIERS_MAX
#define CSR_EXTENSIONS_MAX 32

enum csr_key_type {
    CSR_KEY_UNSET = 0,
    CSR_KEY_EC_P256,
    CSR_KEY_EC_P384,
    CSR_KEY_EC_P521,
    CSR_KEY_RSA, /* rsa_bits says how long */
    CSR_KEY_ED25519,
};

struct csr {
    struct identifiers names; /* union of CN and SANs, no duplicates, >= 1 */
    enum csr_key_type key_type;
    unsigned rsa_bits;
    bool other_subject; /* a subject attribute other than CN: Subject=any */
    char **extensions;  /* dotted OIDs outside the standard set, NULL-ended;
                           each needs CsrExtensions=. May be NULL. */
    struct jwk key; /* of a kind that accounts may have; else type is UNSET */
};

/**
 * csr_read() - a PKCS#10 request (RFC 2986), DER
 * @account: its own key in the CSR is refused (RFC 8555 section 11.1)
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int csr_read(struct bytes der, const struct acme_account *account,
             struct csr *ret, struct refusal *ret_refusal) MUST_CHECK;

/**
 * certificate_read() - the names of a certificate to revoke (RFC 8555 7.6)
 *
 * The same closed DER reading; a certificate's other extensions are the CA's
 * and are not judged. Only names is filled in.
 */
int certificate_read(struct bytes der, struct csr *ret,
                     struct refusal *ret_refusal) MUST_CHECK;

void csr_deinit(struct csr *csr);
