/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"

#define KEY_AUTHORIZATION_TOKEN_MAX 256
#define DNS_ACCOUNT_LABEL_LEN 17 /* "_" and 16 base32 characters */

struct key_authorization {
    char *text;             /* token "." thumbprint (RFC 8555 8.1) */
    char dns01[44];         /* base64url SHA-256 (RFC 8555 8.4) */
    uint8_t tls_alpn01[32]; /* SHA-256 (RFC 8737 section 3) */
};

/* Return: 0; REFUSED (bad-token: 1..256 of the base64url alphabet); -ENOMEM. */
int key_authorization_new(struct bytes token, const char *thumbprint,
                          struct key_authorization *ret,
                          struct refusal *ret_refusal) MUST_CHECK;
void key_authorization_deinit(struct key_authorization *ka);

/* dns_account_label() - the label of dns-account-01 for an account URL: "_" and
 * the lower-case base32 of the first 10 octets of its SHA-256. */
int dns_account_label(struct bytes account_url,
                      char ret[static DNS_ACCOUNT_LABEL_LEN + 1]) MUST_CHECK;
