/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"
#include "client-shim/include/acme-guardian.h"

/* Inside libacme-guardian only. */

/* The parameters of a call, built up; an error sticks until params_call(). */
struct params {
    struct buf text;
    int error; /* negative errno */
};

/* A member; left out when @value is NULL. */
void params_add(struct params *p, const char *name, const char *value);
void params_add_list(struct params *p, const char *name,
                     const char *const *values, size_t n);
void params_deinit(struct params *p);

/**
 * params_call() - org.acmeguardian.Signer.@method with these parameters
 * @ret: the answer, a new reference
 */
int params_call(struct params *p, struct guardian *g, const char *method,
                json_t **ret, struct guardian_error **ret_error) MUST_CHECK;

/*
 * Errors. Each sets *ret_error, if there is one to set, and returns the code.
 * @detail is copied and may be NULL.
 */
int error_local(struct guardian_error **ret_error, int code, int system_errno,
                const char *detail);
int error_remote(struct guardian_error **ret_error, const char *name,
                 json_t *parameters);
int error_no_answer(struct guardian_error **ret_error);

static inline void cleanup_json(json_t **j)
{
    json_decref(*j);
}
#define CLEANUP_JSON CLEANUP(cleanup_json)
