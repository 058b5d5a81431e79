/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/decide.h"
#include "daemon/rotate.h"

#include "fakes.h"

#define HEADER(url)                                                            \
    "{\"alg\":\"ES256\",\"kid\":\"https://ca.example/acct/123\","              \
    "\"nonce\":\"abc\",\"url\":\"" url "\"}"
#define ORDER_HEADER HEADER("https://ca.example/acme/new-order")
#define ORDER(name)                                                            \
    "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"" name "\"}]}"

/* A daemon with one account, which a caller may use for example.com, over the
 * fakes. */
struct decide_fixture {
    struct guardian g;
    struct account account;
    struct account *accounts[1];
    struct token *tokens[1];
    struct peer peer;
    gid_t gids[1];
    struct store_suspension suspension;
    struct rotation rotation;
    /* the last outcome */
    unsigned outcomes;
    enum reason reason;
    size_t signature_len;
    char operation[32], identifier[64], rule[128], state[32], thumbprint[64];
    uint64_t retry_after_ms;
};
extern struct decide_fixture f;
extern char label[]; /* its key's */

int setup(void **state);
int teardown(void **state);

#define DECIDE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ask() - for a signature; the reason's code, or "signed". ask_as(): by who
 * believes in a key; order(): of the name that is allowed. */
const char *ask(const char *header, const char *payload);
const char *ask_as(const char *thumbprint, const char *header,
                   const char *payload);
const char *order(void);

/* expect_refused() - @got is @reason, and it did not reach the token. */
void expect_refused(const char *got, const char *reason);
