/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/sha256.h"

#include <errno.h>

#include <openssl/evp.h>

struct sha256 {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

int sha256_new(struct sha256 **ret)
{
    struct sha256 *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    s->ctx = EVP_MD_CTX_new();
    if (!s->md || !s->ctx) {
        sha256_free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

struct sha256 *sha256_free(struct sha256 *s)
{
    if (!s)
        return NULL;
    EVP_MD_CTX_free(s->ctx);
    EVP_MD_free(s->md);
    free(s);
    return NULL;
}

int sha256_digest(struct sha256 *s, struct bytes data, uint8_t ret[static 32])
{
    if (EVP_DigestInit_ex2(s->ctx, s->md, NULL) != 1 ||
        EVP_DigestUpdate(s->ctx, data.data, data.len) != 1 ||
        EVP_DigestFinal_ex(s->ctx, ret, NULL) != 1)
        return -ENOMEM;
    return 0;
}
