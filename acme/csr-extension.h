/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/x509.h>

#include "acme/csr.h"

/* Extensions of requests and certificates: for acme/csr.c. */

/**
 * csr_extensions_read() - those asked for in a request, each once
 *
 * Names are added to @csr; those outside the standard set are listed in
 * csr->extensions. Return: 0; REFUSED; -ENOMEM.
 */
int csr_extensions_read(const STACK_OF(X509_EXTENSION) * extensions,
                        struct csr *csr,
                        struct refusal *ret_refusal) MUST_CHECK;

/* certificate_extensions_read() - the names of the one subjectAltName; each
 * extension once. */
int certificate_extensions_read(const STACK_OF(X509_EXTENSION) * extensions,
                                struct csr *csr,
                                struct refusal *ret_refusal) MUST_CHECK;

/* csr_add_name() - unless it is there already. */
int csr_add_name(struct csr *csr, enum identifier_type type, struct bytes value,
                 struct refusal *ret_refusal) MUST_CHECK;
