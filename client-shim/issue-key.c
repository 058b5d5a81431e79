/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue-key.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "client-shim/issue-openssl.h"

/* OpenSSL's: a power of two, with room for the largest key's making. */
#define HEAP_LEN ((size_t)256 * 1024)
#define HEAP_PIECE_MIN 32

static const struct {
    const char *name;
    const char *curve; /* as OpenSSL names it; NULL: RSA */
    unsigned bits;
} types[ISSUE_KEY_COUNT] = {
    [ISSUE_KEY_EC_P256] = { "ec-p256", "P-256", 256 },
    [ISSUE_KEY_EC_P384] = { "ec-p384", "P-384", 384 },
    [ISSUE_KEY_RSA_2048] = { "rsa-2048", NULL, 2048 },
    [ISSUE_KEY_RSA_3072] = { "rsa-3072", NULL, 3072 },
    [ISSUE_KEY_RSA_4096] = { "rsa-4096", NULL, 4096 },
};

enum issue_key_type issue_key_type_parse(const char *name)
{
    for (int t = 1; t < ISSUE_KEY_COUNT; t++) {
        if (strcmp(types[t].name, name) == 0)
            return (enum issue_key_type)t;
    }
    return ISSUE_KEY_UNSET;
}

const char *issue_key_type_name(enum issue_key_type type)
{
    return type > ISSUE_KEY_UNSET && type < ISSUE_KEY_COUNT ? types[type].name
                                                            : "unknown";
}

enum issue_key_type issue_key_type_of(const EVP_PKEY *key)
{
    int id = EVP_PKEY_get_base_id(key);
    unsigned bits = (unsigned)EVP_PKEY_get_bits(key);

    for (int t = 1; t < ISSUE_KEY_COUNT; t++) {
        if (types[t].bits == bits &&
            id == (types[t].curve ? EVP_PKEY_EC : EVP_PKEY_RSA))
            return (enum issue_key_type)t;
    }
    return ISSUE_KEY_UNSET;
}

static int openssl_error(void)
{
    unsigned long e = ERR_peek_last_error();

    ERR_clear_error();
    return ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EIO;
}

int issue_key_heap_init(void)
{
    if (CRYPTO_secure_malloc_initialized() ||
        CRYPTO_secure_malloc_init(HEAP_LEN, HEAP_PIECE_MIN))
        return 0;
    return -ENOMEM;
}

int issue_key_new(enum issue_key_type type, EVP_PKEY **ret)
{
    EVP_PKEY *key;

    key = types[type].curve
              ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", types[type].curve)
              : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)types[type].bits);
    if (!key)
        return openssl_error();
    *ret = key;
    return 0;
}

int issue_key_format(const EVP_PKEY *key, struct secret **ret)
{
    CLEANUP_ISSUE_BIO BIO *bio = BIO_new(BIO_s_secmem());
    char *data = NULL;
    long len;

    if (!bio ||
        PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return openssl_error();
    len = BIO_get_mem_data(bio, &data);
    return secret_new_copy((struct bytes){ (const uint8_t *)data, (size_t)len },
                           ret);
}

int issue_key_parse(const struct secret *pem, EVP_PKEY **ret)
{
    CLEANUP_ISSUE_BIO BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    EVP_PKEY *key;

    if (!bio)
        return -ENOMEM;
    key = PEM_read_bio_PrivateKey(bio, NULL, issue_no_password, NULL);
    ERR_clear_error();
    if (!key)
        return ISSUE_KEY_E_INVALID;
    *ret = key;
    return 0;
}
