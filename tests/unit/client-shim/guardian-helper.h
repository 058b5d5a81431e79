/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <acme-guardian.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fake-signer.h"

/* What tests of libacme-guardian do most. */

DEFINE_CLEANUP(struct guardian *, guardian_free)
DEFINE_CLEANUP(struct guardian_error *, guardian_error_free)
DEFINE_CLEANUP(struct guardian_jws *, guardian_jws_free)
#define CLEANUP_GUARDIAN CLEANUP(guardian_free_p)
#define CLEANUP_ERROR CLEANUP(guardian_error_free_p)
#define CLEANUP_JWS CLEANUP(guardian_jws_free_p)

static inline struct guardian *open_handle(const struct fake_signer *s)
{
    struct guardian *g = NULL;

    assert_int_equal(guardian_new(s->path, &g), GUARDIAN_OK);
    return g;
}

static inline int sign_as(struct guardian *g, const char *account,
                          struct guardian_error **ret_error)
{
    CLEANUP_JWS struct guardian_jws *jws = NULL;
    struct guardian_sign_request request = { .account = account,
                                             .url = "https://ca.example/o",
                                             .nonce = "N" };

    return guardian_sign(g, &request, &jws, ret_error);
}
