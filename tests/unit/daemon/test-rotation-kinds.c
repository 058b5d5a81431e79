/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rotation-fixture.h"

/* The kinds that are not planned: compromised keys, and other accounts. */

static void test_a_compromised_key_is_asked_about_first(void **state)
{
    (void)state;
    be(ROTATION_KIND_PLANNED, ROTATION_PLANNED);
    assert_string_equal(asked(), "none");
    be(ROTATION_KIND_COMPROMISED, ROTATION_PLANNED);
    assert_string_equal(asked(), "try-old-key");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, STATUS(502)), "planned");
    assert_string_equal(asked(), "try-old-key");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "planned");
    assert_string_equal(asked(), "none"); /* the new key can be made */
    assert_false(f.row.old_lost);
}

/* Not by one answer, of a front end that is out of order. */
static void test_who_was_robbed_is_told(void **state)
{
    (void)state;
    be(ROTATION_KIND_COMPROMISED, ROTATION_PLANNED);
    for (unsigned i = 1; i < ROTATION_REFUSALS; i++) {
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, ERROR(400, "malformed")),
                            "planned");
        assert_string_equal(f.row.reason, "old-key-refused");
        assert_string_equal(asked(), "try-old-key");
    }
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, STATUS(500)), "planned");
    assert_string_equal(hear(ROTATION_ASK_OLD_KEY, ERROR(403, "unauthorized")),
                        "account-lost");
    assert_true(rotation_is_lost(&f.row));
    assert_string_equal(asked(), "none");
    f.row.state = ROTATION_PLANNED; /* asked again */
    assert_true(rotation_is_lost(&f.row));
    (void)hear(ROTATION_ASK_OLD_KEY, OPENS);
    assert_false(rotation_is_lost(&f.row));
    assert_null(f.row.reason);
}

static void test_a_refusal_in_between_does_not_count(void **state)
{
    (void)state;
    be(ROTATION_KIND_COMPROMISED, ROTATION_PLANNED);
    (void)hear(ROTATION_ASK_OLD_KEY, ERROR(400, "malformed"));
    assert_string_equal(asked(), "try-old-key");
    (void)hear(ROTATION_ASK_OLD_KEY, OPENS);
    assert_string_equal(asked(), "none");
    assert_null(f.row.reason);
}

#define REGISTERED(url)                                                        \
    ((struct rotation_answer){                                                 \
        .http_status = 201, .location = (url), .account_status = "valid" })

static void test_a_move_registers_another_account(void **state)
{
    static char other[] = "https://ca.example/acct/2";

    (void)state;
    be(ROTATION_KIND_MOVE, ROTATION_KEY_GENERATED);
    assert_string_equal(asked(), "register");
    (void)hear(ROTATION_ASK_REGISTER, STATUS(201));
    assert_null(f.row.new_url);
    (void)hear(ROTATION_ASK_REGISTER, REGISTERED(OURS));
    assert_null(f.row.new_url);
    (void)hear(ROTATION_ASK_REGISTER, ERROR(403, "userActionRequired"));
    assert_string_equal(f.row.reason, "registration-refused");
    assert_string_equal(asked(), "register");
    (void)hear(ROTATION_ASK_REGISTER, REGISTERED(other));
    assert_string_equal(f.row.new_url, other);
    assert_null(f.row.reason);
    /* Whose it is, nobody believes before it was asked. */
    assert_string_equal(asked(), "try-new-key");
    (void)hear(ROTATION_ASK_NEW_KEY, ERROR(400, "malformed"));
    assert_string_equal(f.row.reason, "account-not-ours");
    assert_string_equal(asked(), "try-new-key");
    (void)hear(ROTATION_ASK_NEW_KEY, STATUS(502));
    assert_string_equal(asked(), "try-new-key");
    (void)hear(ROTATION_ASK_NEW_KEY, OPENS);
    assert_null(f.row.reason);
    assert_string_equal(asked(), "none");
}

static void test_a_move_changes_no_key_at_the_ca(void **state)
{
    (void)state;
    be(ROTATION_KIND_MOVE, ROTATION_SWITCHING);
    assert_string_equal(asked(), "none");
    be(ROTATION_KIND_MOVE, ROTATION_SWITCHED);
    assert_string_equal(asked(), "confirm-new-key");
    be(ROTATION_KIND_MOVE, ROTATION_ABORTING);
    f.row.new_jwk = new_key;
    assert_string_equal(asked(), "none");
}

static void test_the_old_account_ends_before_its_key(void **state)
{
    static const struct {
        struct rotation_answer a;
        bool done;
    } cases[] = {
        { { .http_status = 200, .account_status = "deactivated" }, true },
        { { .http_status = 403, .problem = PROBLEM "unauthorized" }, false },
        { { .http_status = 400, .problem = PROBLEM "accountDoesNotExist" },
          true },
        { { .http_status = 200, .account_status = "valid" }, false },
        { { .http_status = 200 }, false },
        { { .http_status = 400, .problem = PROBLEM "malformed" }, false },
        { { .http_status = 502 }, false },
        { { 0 }, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
        assert_true(rotation_deactivates(&f.row));
        assert_string_equal(hear(ROTATION_ASK_DEACTIVATE, cases[i].a),
                            "cleaned");
        assert_int_equal(rotation_deactivates(&f.row), !cases[i].done);
    }
    be(ROTATION_KIND_PLANNED, ROTATION_CLEANED);
    assert_false(rotation_deactivates(&f.row));
    assert_string_equal(hear(ROTATION_ASK_DEACTIVATE, OPENS), "unasked");
    be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
    f.row.old_lost = true; /* nobody here can */
    assert_false(rotation_deactivates(&f.row));
    assert_false(rotation_is_lost(&f.row)); /* the new one is in its place */
    f.row.state = ROTATION_ABORTED;
    assert_true(rotation_is_lost(&f.row));
}

/* It may be unauthorized for any reason, and its key is destroyed next. */
static void test_unauthorized_is_not_deactivated_yet(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
        assert_int_equal(rotation_deactivation(&f.run),
                         ROTATION_ASK_DEACTIVATE);
        assert_string_equal(hear(ROTATION_ASK_OLD_KEY, OPENS), "unasked");
        (void)hear(ROTATION_ASK_DEACTIVATE, ERROR(403, "unauthorized"));
        assert_int_equal(rotation_deactivation(&f.run), ROTATION_ASK_OLD_KEY);
        (void)hear(ROTATION_ASK_OLD_KEY, STATUS(502));
        assert_int_equal(rotation_deactivation(&f.run), ROTATION_ASK_OLD_KEY);
        (void)hear(ROTATION_ASK_OLD_KEY,
                   i == 0 ? OPENS : ERROR(403, "unauthorized"));
        assert_int_equal(rotation_deactivates(&f.row), i == 0);
    }
    be(ROTATION_KIND_MOVE, ROTATION_CLEANED);
    (void)hear(ROTATION_ASK_DEACTIVATE, ERROR(403, "unauthorized"));
    (void)hear(ROTATION_ASK_OLD_KEY, OPENS);
    assert_string_equal(f.row.reason, "deactivation-refused");
    assert_int_equal(rotation_deactivation(&f.run), ROTATION_ASK_DEACTIVATE);
}

/* Its key is the only one that opens anything. */
static void test_the_only_account_that_is_left_is_not_given_up(void **state)
{
    static char other[] = "https://ca.example/acct/2";

    (void)state;
    be(ROTATION_KIND_MOVE, ROTATION_KEY_GENERATED);
    f.row.sent_s = 0;
    f.row.old_lost = true;
    assert_true(rotation_may_abort(&f.row));
    f.row.new_url = other;
    assert_false(rotation_may_abort(&f.row));
    f.row.old_lost = false;
    assert_true(rotation_may_abort(&f.row));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROTATION_TEST(test_a_compromised_key_is_asked_about_first),
        ROTATION_TEST(test_who_was_robbed_is_told),
        ROTATION_TEST(test_a_refusal_in_between_does_not_count),
        ROTATION_TEST(test_a_move_registers_another_account),
        ROTATION_TEST(test_a_move_changes_no_key_at_the_ca),
        ROTATION_TEST(test_the_old_account_ends_before_its_key),
        ROTATION_TEST(test_unauthorized_is_not_deactivated_yet),
        ROTATION_TEST(test_the_only_account_that_is_left_is_not_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
