/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/provider.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

/*
 * What OpenSSL asks a provider for, and the provider's section of OpenSSL's
 * configuration: timeout= and connect=.
 */

/* Longer than a rotation holds a request. */
#define TIMEOUT_S 75
#define TIMEOUT_S_MAX 600

static void prov_free(void *provctx)
{
    free(provctx);
}

static const OSSL_ALGORITHM *prov_query(void *provctx, int operation,
                                        int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return prov_keymgmts;
    case OSSL_OP_SIGNATURE:
        return prov_signatures;
    case OSSL_OP_DECODER:
        return prov_decoders;
    case OSSL_OP_ENCODER:
        return prov_encoders;
    default:
        return NULL;
    }
}

static const OSSL_PARAM *prov_gettable(void *provctx)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };

    (void)provctx;
    return params;
}

static bool set_ptr(OSSL_PARAM *params, const char *name, const char *value)
{
    OSSL_PARAM *p = OSSL_PARAM_locate(params, name);

    return !p || OSSL_PARAM_set_utf8_ptr(p, value) == 1;
}

static int prov_get_params(void *provctx, OSSL_PARAM params[])
{
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);

    (void)provctx;
    return set_ptr(params, OSSL_PROV_PARAM_NAME, "acme-guardian") &&
           set_ptr(params, OSSL_PROV_PARAM_VERSION, GUARDIAN_VERSION) &&
           set_ptr(params, OSSL_PROV_PARAM_BUILDINFO, GUARDIAN_VERSION) &&
           (!status || OSSL_PARAM_set_int(status, 1) == 1);
}

static const OSSL_ITEM *prov_get_reasons(void *provctx)
{
    (void)provctx;
    return prov_reasons();
}

static const OSSL_DISPATCH provider_functions[] = {
    { OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))prov_free },
    { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))prov_query },
    { OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))prov_gettable },
    { OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))prov_get_params },
    { OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (void (*)(void))prov_get_reasons },
    { 0, NULL },
};

static void take_functions(struct prov *p, const OSSL_DISPATCH *in)
{
    for (; in->function_id != 0; in++) {
        switch (in->function_id) {
        case OSSL_FUNC_CORE_GET_PARAMS:
            p->get_params = OSSL_FUNC_core_get_params(in);
            break;
        case OSSL_FUNC_CORE_NEW_ERROR:
            p->new_error = OSSL_FUNC_core_new_error(in);
            break;
        case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
            p->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
            break;
        case OSSL_FUNC_CORE_VSET_ERROR:
            p->vset_error = OSSL_FUNC_core_vset_error(in);
            break;
        case OSSL_FUNC_BIO_GETS:
            p->bio_gets = OSSL_FUNC_BIO_gets(in);
            break;
        case OSSL_FUNC_BIO_READ_EX:
            p->bio_read_ex = OSSL_FUNC_BIO_read_ex(in);
            break;
        case OSSL_FUNC_BIO_WRITE_EX:
            p->bio_write_ex = OSSL_FUNC_BIO_write_ex(in);
            break;
        default:
            break;
        }
    }
}

static bool has_all(const struct prov *p)
{
    return p->get_params && p->new_error && p->set_error_debug &&
           p->vset_error && p->bio_gets && p->bio_read_ex && p->bio_write_ex;
}

static void read_timeout(struct prov *p, const char *text)
{
    char *end;
    long s;

    if (!text)
        return;
    s = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || s < 1 || s > TIMEOUT_S_MAX)
        errmsg_set(&p->wrong,
                   "timeout = %s: a number of seconds from 1 to %d is wanted",
                   text, TIMEOUT_S_MAX);
    else
        p->timeout_ms = (int)s * 1000;
}

static void read_connect(struct prov *p, const char *text)
{
    if (!text || strcmp(text, "when-signing") == 0)
        return;
    if (strcmp(text, "at-load") == 0)
        p->connect_at_load = true;
    else
        errmsg_set(&p->wrong, "connect = %s: when-signing or at-load is wanted",
                   text);
}

static void read_errors(struct prov *p, const char *text)
{
    if (!text || strcmp(text, "queue") == 0)
        return;
    if (strcmp(text, "stderr") == 0)
        p->errors_to_stderr = true;
    else
        errmsg_set(&p->wrong, "errors = %s: queue or stderr is wanted", text);
}

/* The section may have nothing of ours, or not be there at all. What is wrong
 * in it is told when a stub is read: programs do not say why a provider could
 * not be loaded, and go on without it. */
static void configure(struct prov *p)
{
    char *timeout = NULL, *connect = NULL, *errors = NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_ptr("timeout", &timeout, 0),
        OSSL_PARAM_utf8_ptr("connect", &connect, 0),
        OSSL_PARAM_utf8_ptr("errors", &errors, 0),
        OSSL_PARAM_END,
    };

    p->timeout_ms = TIMEOUT_S * 1000;
    (void)p->get_params(p->core, params);
    read_timeout(p, timeout);
    read_connect(p, connect);
    read_errors(p, errors);
}

__attribute__((visibility("default"))) int
OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                   const OSSL_DISPATCH **out, void **provctx)
{
    struct prov *p = calloc(1, sizeof(*p));

    if (!p)
        return 0;
    p->core = handle;
    take_functions(p, in);
    if (!has_all(p)) {
        free(p);
        return 0;
    }
    configure(p);
    *out = provider_functions;
    *provctx = p;
    return 1;
}
