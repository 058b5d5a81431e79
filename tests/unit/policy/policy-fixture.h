/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

/* What most tests need: a set from a text, a caller, a request by hand. */

struct policy_set *fixture_set(const char *text, char *const *deny);

/* fixture_error() - of a text that must not load, formatted; free() it. */
char *fixture_error(const char *text, char *const *deny);

/*
 * Known names: caddy 1000, www 33, nobody 65534; groups web 2000, nogroup
 * 65534. Every lookup is counted in *userdata, an unsigned.
 */
extern const struct policy_names fixture_names;
extern unsigned fixture_lookups;

/* An account of this name, and nothing else in it. */
struct acme_account fixture_account(const char *name);

/*
 * fixture_request() - identifiers from words: "example.com *.a.example
 * ip:192.0.2.1"; ec-p256 for finalize. Free with fixture_request_deinit().
 */
struct acme_request fixture_request(enum acme_op op, const char *identifiers);
void fixture_request_deinit(struct acme_request *rq);

/* fixture_verdict() - "allowed", or the reason's code; caller uid 1000,
 * account "test". */
const char *fixture_verdict(const char *policy, char *const *deny,
                            enum acme_op op, const char *identifiers);

/* fixture_verdict_now() - the same with names denied at run time. */
const char *fixture_verdict_now(const char *policy, char *const *deny_now,
                                enum acme_op op, const char *identifiers);

/* fixture_eval() - the same for a request made elsewhere. */
const char *fixture_eval(const char *policy, const struct policy_caller *caller,
                         const struct acme_request *rq);
