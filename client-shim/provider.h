/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>

#include "client-shim/include/acme-guardian.h"
#include "client-shim/stub.h"

/*
 * Inside the OpenSSL provider only. It lives in other people's processes: no
 * global state, no thread; errors go to OpenSSL's queue, and are printed only
 * where its configuration says so.
 *
 * The names of the algorithms are those of OpenSSL's own provider, so that its
 * keys and ours are of the same types.
 */

#define PROV_NAME "acme-guardian"
#define PROV_STRUCTURE "acme-guardian" /* of the DER between the decoders */
#define PROV_RSA "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define PROV_EC "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define PROV_PROPERTIES "provider=" PROV_NAME

/* What OpenSSL gave us, and what its configuration file says. */
struct prov {
    const OSSL_CORE_HANDLE *core;
    OSSL_FUNC_core_get_params_fn *get_params;
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
    OSSL_FUNC_BIO_gets_fn *bio_gets;
    OSSL_FUNC_BIO_read_ex_fn *bio_read_ex;
    OSSL_FUNC_BIO_write_ex_fn *bio_write_ex;
    int timeout_ms;
    bool connect_at_load;
    bool errors_to_stderr;
    struct errmsg wrong; /* in the configuration; told with each stub */
};

/* A stub that was read. Threads share it; it is freed with its last user. */
struct prov_key {
    atomic_uint refs;
    const struct prov *prov;
    struct stub stub;
    char thumbprint[JWK_THP_TEXT_LEN + 1];
    struct guardian *guardian; /* of this key alone: connects when signing */
};

/* How a decoder tells the key's type of a key that it made. */
struct prov_reference {
    struct prov_key *key;
};

/* prov_key_new() - Return: NULL with an error in OpenSSL's queue. */
struct prov_key *prov_key_new(const struct prov *p, const struct stub *stub);
struct prov_key *prov_key_ref(struct prov_key *key);
struct prov_key *prov_key_unref(struct prov_key *key);

bool prov_key_is_rsa(const struct prov_key *key);
size_t prov_key_signature_max(const struct prov_key *key); /* octets */
const char *prov_key_digest(const struct prov_key *key);   /* "SHA256" */

/* Errors: the reason's number has its words in provider-error.c. */
enum prov_reason {
    PROV_E_STUB = 1,
    PROV_E_MEMORY,
    PROV_E_DIGEST,
    PROV_E_NO_REQUEST,
    PROV_E_BUFFER,
    PROV_E_CONFIG,
    PROV_E_PARAMETER,
    PROV_E_SIGNATURE,
    PROV_E_GUARDIAN = 100, /* and a GUARDIAN_E_* on top */
};

void prov_raise_at(const struct prov *p, const char *file, int line,
                   const char *function, int reason, const char *fmt, ...)
    PRINTF(6, 7);
#define prov_raise(p, ...)                                                     \
    prov_raise_at(p, __FILE_NAME__, __LINE__, __func__, __VA_ARGS__)

/* prov_raise_guardian() - what the daemon said to a request, or why it said
 * nothing. @e may be NULL. */
void prov_raise_guardian(const struct prov_key *key, int code,
                         const struct guardian_error *e);

const OSSL_ITEM *prov_reasons(void);

extern const OSSL_ALGORITHM prov_keymgmts[];
extern const OSSL_ALGORITHM prov_signatures[];
extern const OSSL_ALGORITHM prov_decoders[];
extern const OSSL_ALGORITHM prov_encoders[];
