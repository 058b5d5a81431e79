/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/outside-key.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "acme/evp-key.h"
#include "client-shim/outside-jwk.h"

/*
 * The private numbers lie in OpenSSL's secure heap. Its decoders also copy a
 * key's file through the ordinary one, and give that back as it is: therefore
 * all memory is locked, and wiped when OpenSSL frees it. A key is only taken
 * when it has signed something that its public part verifies.
 */

/* A power of two, with room for the making of the largest key. */
#define HEAP_LEN ((size_t)256 * 1024)
#define HEAP_PIECE_MIN 32
#define SIGNATURE_MAX 1024 /* DER of ECDSA included */

struct outside_key {
    EVP_PKEY *key;
    struct jwk jwk;
};

static void bio_free_p(BIO **bio)
{
    BIO_free(*bio);
}
#define CLEANUP_BIO CLEANUP(bio_free_p)

static void md_ctx_free_p(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static void ecdsa_sig_free_p(ECDSA_SIG **sig)
{
    ECDSA_SIG_free(*sig);
}

static int openssl_error(void)
{
    return evp_key_error() == -ENOMEM ? -ENOMEM : -EIO;
}

/* ---- memory ---- */

static bool frees_are_wiped;

static void *plain_malloc(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(len);
}

/* More than was asked for may be there, and have been used. */
static void wiping_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (p)
        OPENSSL_cleanse(p, malloc_usable_size(p));
    free(p);
}

static void *wiping_realloc(void *p, size_t len, const char *file, int line)
{
    size_t before = p ? malloc_usable_size(p) : 0;
    void *fresh;

    if (len == 0) {
        wiping_free(p, file, line);
        return NULL;
    }
    fresh = malloc(len);
    if (!fresh)
        return NULL;
    if (p)
        (void)memcpy(fresh, p, before < len ? before : len);
    wiping_free(p, file, line);
    return fresh;
}

void outside_key_wipe_frees(void)
{
    frees_are_wiped = CRYPTO_set_mem_functions(plain_malloc, wiping_realloc,
                                               wiping_free) == 1;
}

static int lock_all(struct errmsg *reterr)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0 || !secrets_must_be_locked())
        return 0;
    errmsg_set(reterr,
               "memory for a private key cannot be locked (%s): raise the "
               "limit (ulimit -l), or run this as root",
               strerror(errno));
    return SECRET_E_NOT_LOCKABLE;
}

int outside_key_init(struct errmsg *reterr)
{
    if (!frees_are_wiped) {
        errmsg_set(reterr, "OpenSSL had memory before it could be told to "
                           "wipe it");
        return -EIO;
    }
    /* Memory that is never dumped need not be found in a core. */
    if (prctl(PR_SET_DUMPABLE, 0) < 0) {
        errmsg_set(reterr, "core dumps cannot be prevented: %s",
                   strerror(errno));
        return -errno;
    }
    /* 2: made, but not locked; lock_all() finds that, too. */
    if (!CRYPTO_secure_malloc_initialized() &&
        CRYPTO_secure_malloc_init(HEAP_LEN, HEAP_PIECE_MIN) == 0) {
        errmsg_set(reterr, "no memory for private keys can be had");
        return openssl_error();
    }
    return lock_all(reterr);
}

struct outside_key *outside_key_free(struct outside_key *key)
{
    if (!key)
        return NULL;
    EVP_PKEY_free(key->key);
    free(key);
    return NULL;
}

const struct jwk *outside_key_public(const struct outside_key *key)
{
    return &key->jwk;
}

/* ---- signatures ---- */

/* As JWS has it: r and s, each of the coordinate's length (RFC 7518 3.4). */
static int append_raw(struct bytes der, size_t coordinate, struct buf *ret)
{
    const unsigned char *p = der.data;
    CLEANUP(ecdsa_sig_free_p)
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
    uint8_t raw[2 * JWK_COORD_MAX];

    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)coordinate) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + coordinate, (int)coordinate) <
            0)
        return openssl_error();
    return buf_append(ret, raw, 2 * coordinate);
}

static const char *digest_of(const struct jwk *jwk)
{
    if (jwk->type == JWK_TYPE_ED25519)
        return NULL; /* hashes for itself */
    return jwk->type == JWK_TYPE_P384 ? "SHA384" : "SHA256";
}

int outside_key_sign(const struct outside_key *key, struct bytes input,
                     struct buf *ret)
{
    CLEANUP(md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CLEANUP_BUF struct buf raw = { 0 };
    bool ecdsa =
        key->jwk.type == JWK_TYPE_P256 || key->jwk.type == JWK_TYPE_P384;
    uint8_t sig[SIGNATURE_MAX];
    size_t len = sizeof(sig);
    int r;

    if (!ctx)
        return -ENOMEM;
    if (EVP_DigestSignInit_ex(ctx, NULL, digest_of(&key->jwk), NULL, NULL,
                              key->key, NULL) != 1 ||
        EVP_DigestSign(ctx, sig, &len, input.data, input.len) != 1)
        return openssl_error();
    r = ecdsa ? append_raw((struct bytes){ sig, len }, jwk_coord_len(&key->jwk),
                           &raw)
              : buf_append(&raw, sig, len);
    if (r)
        return r;
    r = jws_verify(&key->jwk, input, buf_bytes(&raw));
    if (r)
        return r < 0 ? r : -EIO;
    return buf_append(ret, raw.data, raw.len);
}

int outside_key_sign_parts(const struct outside_key *key,
                           const char *protected_b64, const char *payload_b64,
                           struct buf *ret)
{
    CLEANUP_BUF struct buf input = { 0 };
    int r = buf_printf(&input, "%s.%s", protected_b64, payload_b64);

    return r ? r : outside_key_sign(key, buf_bytes(&input), ret);
}

/* ---- making and reading ---- */

static bool is_account_key(const struct jwk *jwk)
{
    size_t bits = jwk->n_len * 8;

    return jwk->type != JWK_TYPE_RSA ||
           (bits >= 2048 && bits <= JWK_RSA_MAX * 8);
}

/* Takes @pkey over. */
static int take_key(EVP_PKEY *pkey, struct outside_key **ret,
                    struct errmsg *reterr)
{
    static const char sample[] = "acme-guardian";
    CLEANUP_OUTSIDE_KEY struct outside_key *key = calloc(1, sizeof(*key));
    CLEANUP_BUF struct buf signature = { 0 };
    int r;

    if (!key) {
        EVP_PKEY_free(pkey);
        return -ENOMEM;
    }
    key->key = pkey;
    r = evp_key_to_jwk(pkey, &key->jwk);
    if (r < 0)
        return r;
    if (r || !is_account_key(&key->jwk)) {
        errmsg_set(reterr, "is a key of a kind that no account has: P-256, "
                           "P-384, RSA of 2048 to 4096 bits or Ed25519");
        return OUTSIDE_KEY_E_UNSUPPORTED;
    }
    r = outside_key_sign(key, bytes_from_str(sample), &signature);
    if (r == -EIO) {
        errmsg_set(reterr, "has a private and a public part that do not "
                           "belong together");
        return OUTSIDE_KEY_E_INVALID;
    }
    if (r)
        return r;
    *ret = TAKE_PTR(key);
    return 0;
}

int outside_key_new(enum jws_alg alg, unsigned rsa_bits,
                    struct outside_key **ret)
{
    EVP_PKEY *pkey = NULL;
    int r;

    if (rsa_bits != 0 && (alg != JWS_ALG_RS256 || rsa_bits % 1024 != 0 ||
                          rsa_bits < 2048 || rsa_bits > 4096))
        return -EINVAL;
    switch (alg) {
    case JWS_ALG_ES256:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        break;
    case JWS_ALG_ES384:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
        break;
    case JWS_ALG_RS256:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
                                 (size_t)(rsa_bits ? rsa_bits : 2048));
        break;
    case JWS_ALG_EDDSA:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case JWS_ALG_UNSET:
        return -EINVAL;
    }
    if (!pkey)
        return openssl_error();
    r = take_key(pkey, ret, NULL);
    return r > 0 ? -EIO : r;
}

/* Nobody is asked; but that a password was wanted is worth saying. */
static int no_password(char *buf, int size, int writing, void *userdata)
{
    bool *wanted = userdata;

    (void)buf;
    (void)size;
    (void)writing;
    *wanted = true;
    return -1;
}

static bool has_text(const struct secret *file, const char *text)
{
    return memmem(file->data, file->len, text, strlen(text)) != NULL;
}

static int read_pem(const struct secret *file, EVP_PKEY **ret, bool *encrypted)
{
    CLEANUP_BIO BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);

    if (!bio)
        return -ENOMEM;
    *ret = PEM_read_bio_PrivateKey(bio, NULL, no_password, encrypted);
    ERR_clear_error();
    return 0;
}

static void read_der(const struct secret *file, EVP_PKEY **ret)
{
    const unsigned char *p = file->data;

    *ret = d2i_AutoPrivateKey(NULL, &p, (long)file->len);
    ERR_clear_error();
    if (*ret && p == file->data + file->len)
        return;
    EVP_PKEY_free(*ret);
    *ret = NULL;
}

static int invalid(struct errmsg *reterr, const char *text)
{
    errmsg_set(reterr, "%s", text);
    return OUTSIDE_KEY_E_INVALID;
}

int outside_key_parse(const struct secret *file, struct outside_key **ret,
                      struct errmsg *reterr)
{
    bool encrypted = false;
    EVP_PKEY *pkey = NULL;
    int r = 0;

    if (file->len == 0)
        return invalid(reterr, "is empty");
    if (has_text(file, "-----BEGIN "))
        r = read_pem(file, &pkey, &encrypted);
    else if (outside_jwk_looks_like(file))
        r = outside_jwk_read(file, &pkey);
    else
        read_der(file, &pkey);
    if (r < 0)
        return r;
    if (encrypted) {
        errmsg_set(reterr, "is encrypted: write it out without a passphrase "
                           "first (openssl pkey)");
        return OUTSIDE_KEY_E_ENCRYPTED;
    }
    if (!pkey)
        return invalid(reterr, "has no private key in PEM, DER or JWK");
    return take_key(pkey, ret, reterr);
}

/* ---- writing ---- */

static int format_pkcs8(const EVP_PKEY *key, bool pem, struct secret **ret)
{
    CLEANUP_BIO BIO *bio = BIO_new(BIO_s_secmem());
    char *data = NULL;
    long len;
    int ok;

    if (!bio)
        return -ENOMEM;
    ok =
        pem ? PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
            : i2d_PKCS8PrivateKey_bio(bio, key, NULL, NULL, 0, NULL, NULL);
    if (ok != 1)
        return openssl_error();
    len = BIO_get_mem_data(bio, &data);
    return secret_new_copy((struct bytes){ (const uint8_t *)data, (size_t)len },
                           ret);
}

int outside_key_format(const struct outside_key *key,
                       enum outside_key_form form, struct secret **ret)
{
    if (form == OUTSIDE_KEY_JWK)
        return outside_jwk_format(key->key, &key->jwk, ret);
    return format_pkcs8(key->key, form == OUTSIDE_KEY_PEM, ret);
}
