/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rotation-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct rotation_fixture f;
char old_key[] = "old", new_key[] = "new";
static char reason[64];

int setup(void **state)
{
    (void)state;
    f = (struct rotation_fixture){
        .row = { .state = ROTATION_SWITCHING,
                 .old_thumbprint = old_key,
                 .new_thumbprint = new_key,
                 .cache_s = 10,
                 .sent_s = 1000,
                 .tries = 1 },
        .now = { .s = 2000, .ms = 500000 },
    };
    return 0;
}

const char *hear(enum rotation_ask ask, struct rotation_answer a)
{
    if (rotation_hear(&f.row, &f.run, ask, &a, OURS, &f.now, &f.step))
        return "unasked";
    f.row = f.step.row;
    f.run = f.step.run;
    if (f.row.reason && f.row.reason != reason) {
        (void)snprintf(reason, sizeof(reason), "%s", f.row.reason);
        f.row.reason = reason;
    }
    return rotation_state_name(f.row.state);
}

const char *asked(void)
{
    uint64_t wait_ms;

    f.now.ms = f.now.ms > f.run.not_before_ms ? f.now.ms : f.run.not_before_ms;
    return rotation_ask_name(
        rotation_question(&f.row, &f.run, true, f.now.ms, &wait_ms));
}

const char *ask_round(struct rotation_answer find,
                      struct rotation_answer by_new,
                      struct rotation_answer by_old)
{
    const char *s;

    if (strcmp(asked(), "spend-nonce") == 0)
        (void)hear(ROTATION_ASK_SPEND, OPENS);
    assert_string_equal(asked(), "find-new-key");
    (void)hear(ROTATION_ASK_FIND_NEW, find);
    assert_string_equal(asked(), "try-new-key");
    s = hear(ROTATION_ASK_NEW_KEY, by_new);
    if (f.row.state != ROTATION_UNRESOLVED)
        return s;
    assert_string_equal(asked(), "try-old-key");
    return hear(ROTATION_ASK_OLD_KEY, by_old);
}

void be(enum rotation_kind kind, enum rotation_state state)
{
    (void)setup(NULL);
    f.row.kind = kind;
    f.row.state = state;
    f.row.sent_s = 0;
}
