/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-csr-input.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "der-mutator.h"
#include "fuzz.h"

#define SIGNATURE_MAX 128
#define TAG_SEQUENCE 0x30
#define TAG_BIT_STRING 0x03
#define TAG_NULL 0x05

/* Made for this file, and good for nothing else. */
static const char p256_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGmQZmpo9SLw3M18V\n"
    "Tj3I32iOM/bIvga3vP6SFqG2gBChRANCAARYQyTSJCP7Tv/ksgH5nLGfrP1t4SR9\n"
    "yI5J3CEsv2u0Dx/d/on0SwiyK7XkRv+u4af2XmLCUFJK3RE3iC7UuOic\n"
    "-----END PRIVATE KEY-----\n";
static const uint8_t ed25519_seed[32] = { 'f', 'u', 'z', 'z' };

static const uint8_t ecdsa_sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                        0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
static const uint8_t ed25519[] = { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 };

static EVP_PKEY *signing_key(bool edwards)
{
    static EVP_PKEY *keys[2];

    if (!keys[0]) {
        BIO *bio = BIO_new_mem_buf(p256_pem, -1);

        keys[0] = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        keys[1] = EVP_PKEY_new_raw_private_key(
            EVP_PKEY_ED25519, NULL, ed25519_seed, sizeof(ed25519_seed));
        MUST(keys[0] && keys[1]);
    }
    return keys[edwards];
}

static void append(struct buf *b, const void *data, size_t len)
{
    MUST(buf_append(b, data, len) == 0);
}

/* The members of what is signed, the third of which may be left to us. */
static void put_members(struct bytes content, EVP_PKEY *key, struct buf *ret)
{
    for (unsigned i = 0; content.len > 0; i++) {
        const uint8_t *at = content.data;
        struct bytes value;
        uint8_t tag;
        bool whole = der_take_value(&content, &tag, &value);

        if (whole && i == 2 && tag == TAG_NULL) {
            uint8_t *spki = NULL;
            int len = i2d_PUBKEY(key, &spki);

            MUST(len > 0);
            append(ret, spki, (size_t)len);
            OPENSSL_free(spki);
            continue;
        }
        append(ret, at, (size_t)(content.data - at));
        if (!whole) {
            append(ret, content.data, content.len);
            return;
        }
    }
}

static size_t sign(EVP_PKEY *key, bool edwards, struct bytes tbs,
                   uint8_t ret[static SIGNATURE_MAX])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = SIGNATURE_MAX;

    MUST(ctx && EVP_DigestSignInit(ctx, NULL, edwards ? NULL : EVP_sha256(),
                                   NULL, key) == 1);
    MUST(EVP_DigestSign(ctx, ret, &len, tbs.data, tbs.len) == 1);
    EVP_MD_CTX_free(ctx);
    return len;
}

static void put_signed(struct bytes input, bool edwards, struct buf *ret)
{
    CLEANUP_BUF struct buf members = { 0 };
    CLEANUP_BUF struct buf tbs = { 0 };
    CLEANUP_BUF struct buf all = { 0 };
    uint8_t signature[SIGNATURE_MAX];
    EVP_PKEY *key = signing_key(edwards);
    struct bytes content;
    uint8_t tag;
    size_t len;

    if (!der_take_value(&input, &tag, &content))
        return;
    put_members(content, key, &members);
    der_put_header(&tbs, tag, members.len);
    append(&tbs, members.data, members.len);
    append(&tbs, input.data, input.len);

    len = sign(key, edwards, buf_bytes(&tbs), signature);
    append(&all, tbs.data, tbs.len);
    if (edwards)
        append(&all, ed25519, sizeof(ed25519));
    else
        append(&all, ecdsa_sha256, sizeof(ecdsa_sha256));
    der_put_header(&all, TAG_BIT_STRING, len + 1);
    append(&all, "", 1);
    append(&all, signature, len);
    der_put_header(ret, TAG_SEQUENCE, all.len);
    append(ret, all.data, all.len);
}

void fuzz_csr_take(struct bytes input, struct fuzz_csr *ret)
{
    uint8_t what = fuzz_octet(&input);

    *ret = (struct fuzz_csr){ .certificate = what == 'c' };
    if (what == 'p' || what == 'e')
        put_signed(input, what == 'e', &ret->der);
    else
        append(&ret->der, input.data, input.len);
}

void fuzz_csr_deinit(struct fuzz_csr *c)
{
    buf_deinit(&c->der);
}
