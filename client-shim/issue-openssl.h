/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/bio.h>
#include <openssl/crypto.h>

#include "base/cleanup.h"

/* What issue-cert.c, issue-csr.c and issue-key.c need of OpenSSL alike. */

static inline void issue_bio_free_p(BIO **bio)
{
    BIO_free(*bio);
}
#define CLEANUP_ISSUE_BIO CLEANUP(issue_bio_free_p)

/* Of i2d_X() and the like. */
static inline void issue_der_free_p(unsigned char **der)
{
    OPENSSL_free(*der);
}
#define CLEANUP_ISSUE_DER CLEANUP(issue_der_free_p)

/* issue_no_password() - a pem_password_cb. There is nobody to ask: what is
 * encrypted is not for a timer. */
static inline int issue_no_password(char *buf, int size, int writing,
                                    void *userdata)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)userdata;
    return -1;
}
