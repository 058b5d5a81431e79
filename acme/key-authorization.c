/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/key-authorization.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "acme/b64url.h"

int key_authorization_new(struct bytes token, const char *thumbprint,
                          struct key_authorization *ret,
                          struct refusal *ret_refusal)
{
    struct key_authorization ka = { 0 };
    CLEANUP_FREE char *text = NULL;

    if (token.len == 0)
        return refuse(ret_refusal, REASON_BAD_TOKEN, "empty");
    if (token.len > KEY_AUTHORIZATION_TOKEN_MAX)
        return refuse(ret_refusal, REASON_BAD_TOKEN, "%zu characters",
                      token.len);
    if (b64url_span(token) < token.len)
        return refuse(ret_refusal, REASON_BAD_TOKEN,
                      "outside the base64url alphabet");

    if (asprintf(&text, "%.*s.%s", (int)token.len, (const char *)token.data,
                 thumbprint) < 0) {
        text = NULL;
        return -ENOMEM;
    }
    crypto_hash_sha256(ka.tls_alpn01, (const uint8_t *)text, strlen(text));
    sodium_bin2base64(ka.dns01, sizeof(ka.dns01), ka.tls_alpn01,
                      sizeof(ka.tls_alpn01),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    ka.text = TAKE_PTR(text);
    *ret = ka;
    return 0;
}

void key_authorization_deinit(struct key_authorization *ka)
{
    free(ka->text);
    *ka = (struct key_authorization){ 0 };
}

int dns_account_label(struct bytes account_url,
                      char ret[static DNS_ACCOUNT_LABEL_LEN + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t hash[crypto_hash_sha256_BYTES];
    char *out = ret;

    crypto_hash_sha256(hash, account_url.data, account_url.len);
    *out++ = '_';
    /* Ten octets are two groups of forty bits: eight characters each. */
    for (const uint8_t *group = hash; group < hash + 10; group += 5) {
        uint64_t bits = 0;

        for (int i = 0; i < 5; i++)
            bits = bits << 8 | group[i];
        for (int shift = 35; shift >= 0; shift -= 5)
            *out++ = alphabet[bits >> shift & 31];
    }
    *out = 0;
    return 0;
}
