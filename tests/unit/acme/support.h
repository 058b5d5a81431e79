/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "acme/account.h"

/* Shared by the tests of acme/. Failures print both sides. */

#define B(s) bytes_from_str(s)

/* NULL: read; else the code of the reason. */
static inline const char *outcome(int r, const struct refusal *refusal)
{
    assert_in_range(r, 0, REFUSED);
    return r ? reason_code(refusal->reason) : NULL;
}

#define assert_outcome(got, want, what)                                        \
    do {                                                                       \
        const char *got_ = (got);                                              \
        const char *want_ = (want);                                            \
                                                                               \
        if (!got_ || !want_ ? got_ != want_ : strcmp(got_, want_) != 0)        \
            fail_msg("%s: %s, want %s", (what), got_ ? got_ : "accepted",      \
                     want_ ? want_ : "accepted");                              \
    } while (0)

/* A file under tests/vectors, as JSON. */
static inline json_t *vectors_load(const char *name)
{
    char path[4096];
    json_error_t error;
    json_t *json;

    snprintf(path, sizeof(path), "%s/%s", getenv("VECTORS"), name);
    json = json_load_file(path, 0, &error);
    if (!json)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return json;
}

static inline const char *vectors_str(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));

    if (!s)
        fail_msg("no member %s", name);
    return s;
}

#define ACCOUNT_KEY                                                            \
    "{\"kty\":\"EC\",\"crv\":\"P-256\","                                       \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"

#define ACCOUNT_DIRECTORY                                                      \
    "{\"newNonce\":\"https://ca.example/acme/new-nonce\","                     \
    "\"newAccount\":\"https://ca.example/acme/new-acct\","                     \
    "\"newOrder\":\"https://ca.example/acme/new-order\","                      \
    "\"newAuthz\":\"https://ca.example/acme/new-authz\","                      \
    "\"revokeCert\":\"https://ca.example/acme/revoke-cert\","                  \
    "\"keyChange\":\"https://ca.example/acme/key-change\","                    \
    "\"renewalInfo\":\"https://ca.example/acme/renewal-info\"}"

#define ACCOUNT_URL "https://ca.example/acct/123"

/* The account of the vectors, with further members: "" or ",\"valid\":true". */
static inline struct acme_account *account_new(const char *more)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct acme_account *a = NULL;
    struct refusal refusal = { 0 };
    int r;

    assert_int_equal(
        buf_printf(&b,
                   "{\"name\":\"test\","
                   "\"directory_url\":\"https://ca.example/directory\","
                   "\"directory\":" ACCOUNT_DIRECTORY ",\"alg\":\"ES256\","
                   "\"jwk\":" ACCOUNT_KEY "%s}",
                   more),
        0);
    r = acme_account_read(buf_bytes(&b), &a, &refusal);
    assert_outcome(outcome(r, &refusal), NULL, refusal.detail);
    return a;
}

#define REGISTERED ",\"account_url\":\"" ACCOUNT_URL "\""
