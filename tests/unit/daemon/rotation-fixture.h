/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/rotation.h"

#define OURS "https://ca.example/acct/1"
#define PROBLEM "urn:ietf:params:acme:error:"

/* A rotation whose request was sent a while ago. */
struct rotation_fixture {
    struct store_rotation row;
    struct rotation_run run;
    struct rotation_clock now;
    struct rotation_step step;
};
extern struct rotation_fixture f;
extern char old_key[], new_key[]; /* thumbprints */

int setup(void **state);

#define ROTATION_TEST(name) cmocka_unit_test_setup(name, setup)

/* be() - anew, of another kind and in another state; nothing was sent. */
void be(enum rotation_kind kind, enum rotation_state state);

/* hear() - as the daemon does: what was heard becomes what is. Returns the
 * state's name, or "unasked". */
const char *hear(enum rotation_ask ask, struct rotation_answer a);

/* asked() - the next question's name, once the time for it has come. */
const char *asked(void);

/* ask_round() - one round of questions; the last state. */
const char *ask_round(struct rotation_answer find,
                      struct rotation_answer by_new,
                      struct rotation_answer by_old);

#define NOTHING ((struct rotation_answer){ 0 })
#define STATUS(n) ((struct rotation_answer){ .http_status = (n) })
#define ERROR(n, name)                                                         \
    ((struct rotation_answer){ .http_status = (n), .problem = PROBLEM name })
#define OPENS                                                                  \
    ((struct rotation_answer){ .http_status = 200, .account_status = "valid" })
#define AT(url)                                                                \
    ((struct rotation_answer){ .http_status = 200, .location = (url) })
#define GONE ERROR(400, "accountDoesNotExist")
#define NO_KEY ERROR(400, "malformed")
