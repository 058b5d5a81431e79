/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/stub.h"

#include <errno.h>
#include <string.h>

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/settings.h"
#include "client-shim/stub-key.h"

/*
 * Idea: what was read is written again, and must come out the same. So there is
 * no second encoding of a stub that somebody else would read differently.
 */

#define BEGIN_LINE "-----BEGIN " STUB_LABEL "-----"

typedef struct {
    ASN1_INTEGER *version;
    ASN1_UTF8STRING *socket;
    ASN1_UTF8STRING *account;
    ASN1_STRING *key; /* SubjectPublicKeyInfo as it came */
} STUB_BODY;

ASN1_SEQUENCE(STUB_BODY) = {
    ASN1_SIMPLE(STUB_BODY, version, ASN1_INTEGER),
    ASN1_SIMPLE(STUB_BODY, socket, ASN1_UTF8STRING),
    ASN1_SIMPLE(STUB_BODY, account, ASN1_UTF8STRING),
    ASN1_SIMPLE(STUB_BODY, key, ASN1_SEQUENCE),
} static_ASN1_SEQUENCE_END(STUB_BODY)

static void body_free_p(STUB_BODY **body)
{
    ASN1_item_free((ASN1_VALUE *)*body, ASN1_ITEM_rptr(STUB_BODY));
}
#define CLEANUP_BODY CLEANUP(body_free_p)

static void octets_free_p(uint8_t **octets)
{
    OPENSSL_free(*octets);
}
#define CLEANUP_OCTETS CLEANUP(octets_free_p)

static void bio_free_p(BIO **bio)
{
    BIO_free(*bio);
}
#define CLEANUP_BIO CLEANUP(bio_free_p)

static void values_free_p(ASN1_SEQUENCE_ANY **values)
{
    sk_ASN1_TYPE_pop_free(*values, ASN1_TYPE_free);
}

/* The error queue belongs to whoever called into OpenSSL before us. */
struct errors_kept {
    char unused;
};

static void errors_kept_deinit(const struct errors_kept *k)
{
    (void)k;
    (void)ERR_pop_to_mark();
}
#define KEEP_ERRORS                                                            \
    CLEANUP(errors_kept_deinit)                                                \
    __attribute__((unused)) struct errors_kept kept = { (char)ERR_set_mark() }

static int invalid(struct errmsg *reterr, const char *text)
{
    errmsg_set(reterr, "%s", text);
    return STUB_E_INVALID;
}

/* A path goes into messages and onto a terminal: nothing that moves a cursor.
 */
static bool socket_ok(const char *path)
{
    for (const char *c = path; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    }
    return path[0] == '/' && bytes_is_utf8(bytes_from_str(path));
}

static int check(const struct stub *stub, struct errmsg *reterr)
{
    int r;

    if (!socket_ok(stub->socket))
        return invalid(reterr, "the stub's socket is no absolute path");
    if (!settings_name_ok(stub->account))
        return invalid(reterr, "the stub's account is no name of an account");
    r = stub_key_check(&stub->key);
    if (r == STUB_KEY_E_INVALID)
        return invalid(reterr, "the stub's public key is none that an account "
                               "of OpenSSL clients can have (P-256, P-384, "
                               "RSA of 2048 to 4096 bits)");
    return r;
}

static int put(ASN1_STRING *into, const void *data, size_t len)
{
    return ASN1_STRING_set(into, data, (int)len) == 1 ? 0 : -ENOMEM;
}

static int fill(STUB_BODY *body, const struct stub *stub)
{
    CLEANUP_BUF struct buf key = { 0 };
    int r;

    r = stub_key_encode(&stub->key, &key);
    if (r)
        return r < 0 ? r : STUB_E_INVALID;
    if (ASN1_INTEGER_set_int64(body->version, STUB_VERSION) != 1)
        return -ENOMEM;
    r = put(body->socket, stub->socket, strlen(stub->socket));
    if (r == 0)
        r = put(body->account, stub->account, strlen(stub->account));
    return r ? r : put(body->key, key.data, key.len);
}

static int encode(const struct stub *stub, struct buf *ret)
{
    CLEANUP_BODY STUB_BODY *body =
        (STUB_BODY *)ASN1_item_new(ASN1_ITEM_rptr(STUB_BODY));
    CLEANUP_OCTETS uint8_t *der = NULL;
    int len, r;

    if (!body)
        return -ENOMEM;
    r = fill(body, stub);
    if (r)
        return r;
    len = ASN1_item_i2d((ASN1_VALUE *)body, &der, ASN1_ITEM_rptr(STUB_BODY));
    return len > 0 ? buf_append(ret, der, (size_t)len) : -ENOMEM;
}

int stub_encode(const struct stub *stub, struct buf *ret, struct errmsg *reterr)
{
    KEEP_ERRORS;
    int r;

    r = check(stub, reterr);
    return r ? r : encode(stub, ret);
}

static int put_pem(struct bytes der, struct buf *ret)
{
    CLEANUP_BIO BIO *mem = BIO_new(BIO_s_mem());
    const char *text;
    long len;

    if (!mem ||
        PEM_write_bio(mem, STUB_LABEL, "", der.data, (long)der.len) <= 0)
        return -ENOMEM;
    len = BIO_get_mem_data(mem, &text);
    return buf_append(ret, text, (size_t)len);
}

int stub_format(const struct stub *stub, struct buf *ret, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf der = { 0 };
    KEEP_ERRORS;
    int r;

    r = stub_encode(stub, &der, reterr);
    return r ? r : put_pem(buf_bytes(&der), ret);
}

/* Before all else, since a later version may have other members. */
static int check_version(struct bytes der, struct errmsg *reterr)
{
    const uint8_t *p = der.data;
    CLEANUP(values_free_p)
    ASN1_SEQUENCE_ANY *values = d2i_ASN1_SEQUENCE_ANY(NULL, &p, (long)der.len);
    const ASN1_TYPE *first = sk_ASN1_TYPE_value(values, 0);
    int64_t version;

    if (!first || ASN1_TYPE_get(first) != V_ASN1_INTEGER)
        return invalid(reterr, "the stub is damaged or cut short: write it "
                               "again with guardianctl stub write");
    if (ASN1_INTEGER_get_int64(&version, first->value.integer) != 1 ||
        version != STUB_VERSION) {
        errmsg_set(reterr,
                   "the stub is of another version than %d: write it again "
                   "with the guardianctl of this acme-guardian",
                   STUB_VERSION);
        return STUB_E_INVALID;
    }
    return 0;
}

static bool take_text(const ASN1_STRING *from, size_t max, char *ret)
{
    size_t len = (size_t)ASN1_STRING_length(from);
    const uint8_t *data = ASN1_STRING_get0_data(from);

    if (len == 0 || len > max || memchr(data, 0, len))
        return false;
    memcpy(ret, data, len);
    ret[len] = 0;
    return true;
}

static int read_body(struct bytes der, struct stub *ret)
{
    const uint8_t *p = der.data;
    CLEANUP_BODY STUB_BODY *body = (STUB_BODY *)ASN1_item_d2i(
        NULL, &p, (long)der.len, ASN1_ITEM_rptr(STUB_BODY));
    int r;

    if (!body || !take_text(body->socket, STUB_SOCKET_MAX, ret->socket) ||
        !take_text(body->account, STUB_ACCOUNT_MAX, ret->account))
        return STUB_E_INVALID;
    r = stub_key_decode((struct bytes){ ASN1_STRING_get0_data(body->key),
                                        (size_t)ASN1_STRING_length(body->key) },
                        &ret->key);
    return r > 0 ? STUB_E_INVALID : r;
}

static int decode(struct bytes der, struct stub *ret, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf again = { 0 };
    int r;

    r = check_version(der, reterr);
    if (r)
        return r;
    r = read_body(der, ret);
    if (r == 0)
        r = encode(ret, &again);
    if (r == STUB_E_INVALID || (r == 0 && !bytes_eq(buf_bytes(&again), der)))
        return invalid(reterr, "the stub's content is none that guardianctl "
                               "writes: write it again with guardianctl stub "
                               "write");
    return r ? r : check(ret, reterr);
}

int stub_decode(struct bytes der, struct stub *ret, struct errmsg *reterr)
{
    struct stub stub = { 0 };
    KEEP_ERRORS;
    int r;

    if (der.len > STUB_DER_MAX)
        return invalid(reterr, "the stub is larger than a stub can be");
    r = decode(der, &stub, reterr);
    if (r == 0)
        *ret = stub;
    return r;
}

/* The line that starts a stub: at the start of the text or of a line. */
static const char *find_begin(struct bytes text)
{
    const char *at = (const char *)text.data;
    const char *end = at + text.len;

    while (text.len > 0 && (at = memmem(at, (size_t)(end - at), BEGIN_LINE,
                                        strlen(BEGIN_LINE)))) {
        if (at == (const char *)text.data || at[-1] == '\n')
            return at;
        at++;
    }
    return NULL;
}

int stub_parse(struct bytes text, struct stub *ret, struct errmsg *reterr)
{
    CLEANUP_OCTETS uint8_t *der = NULL;
    CLEANUP_OCTETS uint8_t *name = NULL;
    CLEANUP_OCTETS uint8_t *header = NULL;
    CLEANUP_BIO BIO *mem = NULL;
    KEEP_ERRORS;
    const char *begin = find_begin(text);
    long len = 0;

    if (!begin)
        return STUB_E_NONE;
    if (text.len > STUB_TEXT_MAX)
        return invalid(reterr, "the stub is larger than a stub can be");
    mem = BIO_new_mem_buf(begin,
                          (int)((const char *)text.data + text.len - begin));
    if (!mem)
        return -ENOMEM;
    if (PEM_read_bio(mem, (char **)&name, (char **)&header, &der, &len) != 1 ||
        header[0])
        return invalid(reterr, "the stub is damaged or cut short: write it "
                               "again with guardianctl stub write");
    return stub_decode((struct bytes){ der, (size_t)len }, ret, reterr);
}
