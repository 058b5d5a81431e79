/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/provider.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>

/*
 * From a file to a key in two steps, as OpenSSL does it: PEM to DER of a
 * structure that is ours alone, and that to a key by reference. To find nothing
 * of ours is success with nothing found; what is ours and cannot be used is an
 * error that says why.
 */

#define LINE_SIZE 256
#define BEGIN "-----BEGIN "
#define BEGIN_STUB BEGIN STUB_LABEL "-----"
#define END "-----END "
/* How far before a block comments are read through. */
#define BEFORE_MAX (64 * 1024)

static void *decoder_new(void *provctx)
{
    return provctx;
}

static void decoder_free(void *ctx)
{
    (void)ctx;
}

/* With no selection, whatever is in the file is wanted. */
static int decoder_does_selection(void *provctx, int selection)
{
    (void)provctx;
    return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY);
}

static bool starts(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

struct reader {
    const struct prov *prov;
    OSSL_CORE_BIO *in;
    char line[LINE_SIZE]; /* or a part of one that is longer */
    bool at_start;        /* of a line, the next one */
};

static bool next_line(struct reader *r)
{
    bool was_start;
    size_t len;

    do {
        was_start = r->at_start;
        if (r->prov->bio_gets(r->in, r->line, sizeof(r->line)) <= 0)
            return false;
        len = strlen(r->line);
        r->at_start = len > 0 && r->line[len - 1] == '\n';
    } while (!was_start && !r->at_start);
    return was_start || next_line(r);
}

/* One block as it stands, and not a line more: another one may follow. Of one
 * that is too long for a stub, enough is kept for that to be seen. */
static bool read_block(struct reader *r, struct buf *ret)
{
    size_t before = 0;

    do {
        if (!next_line(r) || before > BEFORE_MAX)
            return false;
        before += strlen(r->line);
    } while (!starts(r->line, BEGIN));
    do {
        if (ret->len <= STUB_TEXT_MAX && buf_append_str(ret, r->line) != 0)
            return false;
    } while (!starts(r->line, END) && next_line(r));
    return true;
}

static int pass_der(const struct stub *stub, OSSL_CALLBACK *fn, void *arg)
{
    CLEANUP_BUF struct buf der = { 0 };
    char structure[] = PROV_STRUCTURE;
    int type = OSSL_OBJECT_PKEY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE, structure,
                               sizeof(structure) - 1),
        OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_DATA, NULL, 0),
        OSSL_PARAM_END,
    };

    if (stub_encode(stub, &der, NULL) != 0)
        return 0;
    params[2].data = der.data;
    params[2].data_size = der.len;
    return fn(params, arg);
}

static int decode_pem(void *ctx, OSSL_CORE_BIO *in, int selection,
                      OSSL_CALLBACK *fn, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *passphrase, void *pass_arg)
{
    const struct prov *p = ctx;
    struct reader r = { .prov = p, .in = in, .at_start = true };
    CLEANUP_BUF struct buf text = { 0 };
    struct errmsg e = { 0 };
    struct stub stub;

    (void)selection;
    (void)passphrase;
    (void)pass_arg;
    if (!read_block(&r, &text) || !starts(buf_str(&text), BEGIN_STUB))
        return 1;
    if (p->wrong.text[0]) {
        prov_raise(p, PROV_E_CONFIG, "bad configuration: %s", p->wrong.text);
        return 0;
    }
    if (stub_parse(buf_bytes(&text), &stub, &e) != 0) {
        prov_raise(p, PROV_E_STUB, "unusable stub: %s",
                   e.text[0] ? e.text : "out of memory");
        return 0;
    }
    return pass_der(&stub, fn, arg);
}

static int pass_key(const struct prov *p, const struct stub *stub, char *type,
                    OSSL_CALLBACK *fn, void *arg)
{
    struct prov_reference made = { prov_key_new(p, stub) };
    int object = OSSL_OBJECT_PKEY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &object),
        OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, type, strlen(type)),
        OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &made,
                                sizeof(made)),
        OSSL_PARAM_END,
    };
    int found;

    if (!made.key)
        return 0;
    found = fn(params, arg);
    prov_key_unref(made.key); /* who wants it has taken a reference */
    return found;
}

/* All of it, unless it is longer than any stub. */
static bool read_der(const struct prov *p, OSSL_CORE_BIO *in,
                     uint8_t ret[static STUB_DER_MAX + 1], size_t *ret_len)
{
    size_t got;

    *ret_len = 0;
    while (*ret_len <= STUB_DER_MAX &&
           p->bio_read_ex(in, ret + *ret_len, STUB_DER_MAX + 1 - *ret_len,
                          &got) == 1 &&
           got > 0)
        *ret_len += got;
    return *ret_len > 0 && *ret_len <= STUB_DER_MAX;
}

/* Any DER may come here: what is no stub is somebody else's. */
static int decode_der(const struct prov *p, OSSL_CORE_BIO *in, bool rsa,
                      OSSL_CALLBACK *fn, void *arg)
{
    uint8_t der[STUB_DER_MAX + 1];
    char type[] = "RSA";
    struct stub stub;
    size_t len;

    if (p->wrong.text[0] || !read_der(p, in, der, &len) ||
        stub_decode((struct bytes){ der, len }, &stub, NULL) != 0 ||
        (stub.key.type == JWK_TYPE_RSA) != rsa)
        return 1;
    if (!rsa)
        memcpy(type, "EC", sizeof("EC"));
    return pass_key(p, &stub, type, fn, arg);
}

static int decode_rsa(void *ctx, OSSL_CORE_BIO *in, int selection,
                      OSSL_CALLBACK *fn, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *passphrase, void *pass_arg)
{
    (void)selection;
    (void)passphrase;
    (void)pass_arg;
    return decode_der(ctx, in, true, fn, arg);
}

static int decode_ec(void *ctx, OSSL_CORE_BIO *in, int selection,
                     OSSL_CALLBACK *fn, void *arg,
                     OSSL_PASSPHRASE_CALLBACK *passphrase, void *pass_arg)
{
    (void)selection;
    (void)passphrase;
    (void)pass_arg;
    return decode_der(ctx, in, false, fn, arg);
}

#define COMMON_FUNCTIONS                                                       \
    { OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new },                 \
        { OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free },           \
    {                                                                          \
        OSSL_FUNC_DECODER_DOES_SELECTION,                                      \
            (void (*)(void))decoder_does_selection                             \
    }

static const OSSL_DISPATCH pem_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode_pem },
    { 0, NULL },
};
static const OSSL_DISPATCH rsa_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode_rsa },
    { 0, NULL },
};
static const OSSL_DISPATCH ec_functions[] = {
    COMMON_FUNCTIONS,
    { OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode_ec },
    { 0, NULL },
};

#define DER PROV_PROPERTIES ",input=der,structure=" PROV_STRUCTURE

const OSSL_ALGORITHM prov_decoders[] = {
    { "DER", PROV_PROPERTIES ",input=pem", pem_functions,
      "acme-guardian stub" },
    { PROV_RSA, DER, rsa_functions, "acme-guardian RSA stub" },
    { PROV_EC, DER, ec_functions, "acme-guardian EC stub" },
    { NULL, NULL, NULL, NULL },
};
