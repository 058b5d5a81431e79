/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "support.h"

#include "acme/b64url.h"
#include "acme/request.h"

/* Requests from the texts of their parts. */

#define NONCE "oFvnlFP1wIhRlYS2jTaXbA"
#define KID "\"kid\":\"" ACCOUNT_URL "\""
#define CA "https://ca.example"
#define NEW_ACCT "/acme/new-acct"
#define ONLY "\"onlyReturnExisting\":true"
#define ORDER_1 "\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}]"

static inline const char *read_b64(const struct acme_account *a,
                                   struct bytes protected, struct bytes payload,
                                   struct acme_request **ret)
{
    static struct refusal refusal;
    int r = acme_request_read(a, protected, payload, ret, &refusal);

    return outcome(r, &refusal);
}

/* The texts of header and payload; no payload at all where it is "". */
static inline const char *read_text(const struct acme_account *a,
                                    const char *header, const char *payload,
                                    struct acme_request **ret)
{
    CLEANUP_BUF struct buf h = { 0 };
    CLEANUP_BUF struct buf p = { 0 };

    assert_int_equal(b64url_encode(B(header), &h), 0);
    assert_int_equal(b64url_encode(B(payload), &p), 0);
    return read_b64(a, buf_bytes(&h), buf_bytes(&p), ret);
}

static inline const char *read_at(const struct acme_account *a,
                                  const char *path, bool by_jwk,
                                  const char *payload,
                                  struct acme_request **ret)
{
    CLEANUP_BUF struct buf h = { 0 };

    assert_int_equal(buf_printf(&h,
                                "{\"alg\":\"ES256\",\"nonce\":\"" NONCE
                                "\",\"url\":\"" CA "%s\",%s}",
                                path, by_jwk ? "\"jwk\":" ACCOUNT_KEY : KID),
                     0);
    return read_text(a, buf_str(&h), payload, ret);
}

struct case_at {
    const char *path;
    const char *payload;
    enum acme_op op; /* unset: refused */
    const char *want;
};

static inline void check_cases(const struct acme_account *a, bool by_jwk,
                               const struct case_at *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
        char what[512];

        snprintf(what, sizeof(what), "%s %s", cases[i].path, cases[i].payload);
        assert_outcome(
            read_at(a, cases[i].path, by_jwk, cases[i].payload, &req),
            cases[i].want, what);
        assert_int_equal(req ? req->op : ACME_OP_UNSET, cases[i].op);
    }
}
