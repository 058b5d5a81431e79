/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rotation-records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct store_rotation at(enum rotation_state s)
{
    return (struct store_rotation){ .state = s,
                                    .kind = ROTATION_KIND_PLANNED,
                                    .key_bound = true,
                                    .since_s = 1000,
                                    .grace_s = 100 };
}

static enum rotation_work work_of(const struct store_rotation *x, bool proven,
                                  int64_t now_s, int64_t *ret_wait)
{
    const struct rotation_run run = { .old_key = ROTATION_YES };

    return rotation_work(x, &run, proven, now_s, ret_wait);
}

static void test_where_records_name_the_url_there_is_none(void **state)
{
    int64_t wait;

    (void)state;
    for (enum rotation_state s = 1; s < ROTATION_STATE_COUNT; s++) {
        struct store_rotation x = at(s);

        x.key_bound = false;
        x.published_s = 1;
        assert_int_equal(work_of(&x, true, 2000, &wait), ROTATION_WORK_NONE);
        assert_int_equal(wait, 0);
    }
}

static void test_before_the_switch(void **state)
{
    struct store_rotation x = at(ROTATION_KEY_GENERATED);
    int64_t wait;

    (void)state;
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_PUBLISH);
    x.kind = ROTATION_KIND_COMPROMISED; /* the switch comes first */
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_NONE);
    x.kind = ROTATION_KIND_MOVE; /* to an account that has no URL yet */
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_NONE);
    x.new_url = "https://ca.example/acct/2";
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_PUBLISH);
    x.old_lost = true;
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_NONE);
    x = at(ROTATION_RECORDS_PUBLISHED);
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_VERIFY);
    x = at(ROTATION_RECORDS_VERIFIED);
    x.caches_s = 2007;
    assert_int_equal(work_of(&x, false, 2000, &wait), ROTATION_WORK_NONE);
    assert_int_equal(wait, 7);
    assert_int_equal(work_of(&x, false, 2007, &wait), ROTATION_WORK_NONE);
    assert_int_equal(wait, 0);
    x = at(ROTATION_DRAINING);
    x.published_s = 1;
    assert_int_equal(work_of(&x, true, 2000, &wait), ROTATION_WORK_NONE);
}

static void test_after_the_switch(void **state)
{
    struct store_rotation x = at(ROTATION_SWITCHED);
    int64_t wait;

    (void)state;
    assert_int_equal(work_of(&x, true, 1000, &wait), ROTATION_WORK_NONE);
    x.confirmed_s = 1000;
    assert_int_equal(work_of(&x, false, 1000, &wait), ROTATION_WORK_NONE);
    assert_int_equal(work_of(&x, true, 1000, &wait), ROTATION_WORK_PUBLISH);
    x.published_s = 1;
    assert_int_equal(work_of(&x, true, 1000, &wait), ROTATION_WORK_VERIFY);
    x.verified_s = 1;
    assert_int_equal(work_of(&x, true, 1099, &wait), ROTATION_WORK_NONE);
    assert_int_equal(wait, 1);
    x.old_lost = true; /* who has it has no grace */
    assert_int_equal(work_of(&x, true, 1001, &wait), ROTATION_WORK_REMOVE_OLD);
    x.old_lost = false;
    assert_int_equal(work_of(&x, true, 1100, &wait), ROTATION_WORK_REMOVE_OLD);
    x.old_records_removed_s = 1;
    assert_int_equal(work_of(&x, true, 1100, &wait), ROTATION_WORK_NONE);
    assert_int_equal(wait, 0);
}

/* Its records go before the new key goes, and neither before the CA has taken
 * the old one. */
static void test_aborting(void **state)
{
    const struct rotation_run unasked = { 0 };
    struct store_rotation x = at(ROTATION_ABORTING);
    int64_t wait;

    (void)state;
    assert_int_equal(work_of(&x, true, 1000, &wait), ROTATION_WORK_NONE);
    x.published_s = 1;
    assert_int_equal(rotation_work(&x, &unasked, true, 1000, &wait),
                     ROTATION_WORK_NONE);
    assert_int_equal(work_of(&x, true, 1000, &wait), ROTATION_WORK_REMOVE_NEW);
}

static enum rotation_state after_adding(enum rotation_state s,
                                        enum rotation_kind kind, int *ret)
{
    struct store_rotation x = at(s);

    x.kind = kind;
    x.key_bound = false; /* it may be the first */
    *ret = rotation_add_record(&x);
    if (*ret == 0 && x.state < ROTATION_SWITCHING)
        assert_true(x.key_bound);
    else
        assert_false(x.key_bound);
    assert_true(rotation_may_go(s, x.state));
    return x.state;
}

static void test_records_that_are_added(void **state)
{
    (void)state;
    for (enum rotation_state s = 1; s < ROTATION_STATE_COUNT; s++) {
        bool held = s == ROTATION_SWITCHING || s == ROTATION_UNRESOLVED ||
                    s == ROTATION_ACCOUNT_LOST;
        bool back = s == ROTATION_RECORDS_VERIFIED || s == ROTATION_DRAINING;
        int r;

        assert_int_equal(after_adding(s, ROTATION_KIND_PLANNED, &r),
                         back ? ROTATION_RECORDS_PUBLISHED : s);
        assert_int_equal(r, held ? ROTATION_E_HELD : 0);
        /* Its records come later. */
        assert_int_equal(after_adding(s, ROTATION_KIND_COMPROMISED, &r), s);
        assert_int_equal(r, held ? ROTATION_E_HELD : 0);
    }
}

static const struct {
    const char *name;
    enum rotation_claim claim;
    unsigned works; /* that it is about */
} claims[] = {
    { "publishing", ROTATION_CLAIM_PUBLISHING,
      1U << ROTATION_WORK_PUBLISH | 1U << ROTATION_WORK_VERIFY },
    { "published", ROTATION_CLAIM_PUBLISHED,
      1U << ROTATION_WORK_PUBLISH | 1U << ROTATION_WORK_VERIFY },
    { "verified", ROTATION_CLAIM_VERIFIED, 1U << ROTATION_WORK_VERIFY },
    { "lacking", ROTATION_CLAIM_LACKING,
      1U << ROTATION_WORK_PUBLISH | 1U << ROTATION_WORK_VERIFY |
          1U << ROTATION_WORK_REMOVE_OLD | 1U << ROTATION_WORK_REMOVE_NEW },
    { "old-removed", ROTATION_CLAIM_OLD_REMOVED,
      1U << ROTATION_WORK_REMOVE_OLD },
    { "new-removed", ROTATION_CLAIM_NEW_REMOVED,
      1U << ROTATION_WORK_REMOVE_NEW },
    { "anything", ROTATION_CLAIM_UNSET, 0 },
};

static void test_only_what_is_asked_for_can_be_claimed(void **state)
{
    const struct rotation_claimed c = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        assert_int_equal(rotation_claim_parse(claims[i].name), claims[i].claim);
        for (enum rotation_work w = 0; w < ROTATION_WORK_COUNT; w++) {
            struct store_rotation x = at(ROTATION_SWITCHED), next;
            int r = rotation_claim(&x, w, claims[i].claim, &c, 5, &next);

            assert_int_equal(r, claims[i].works & 1U << w ? 0
                                                          : ROTATION_E_UNASKED);
        }
    }
}

static void test_claims_of_all_records(void **state)
{
    (void)state;
    assert_true(rotation_claim_needs_all(ROTATION_CLAIM_PUBLISHED));
    assert_true(rotation_claim_needs_all(ROTATION_CLAIM_VERIFIED));
    assert_true(rotation_claim_needs_all(ROTATION_CLAIM_OLD_REMOVED));
    assert_false(rotation_claim_needs_all(ROTATION_CLAIM_PUBLISHING));
    assert_false(rotation_claim_needs_all(ROTATION_CLAIM_NEW_REMOVED));
}

/* Caches: from when the last server has it, for as long as what was there
 * before may be kept, whoever saw that. */
static void test_the_way_to_verified(void **state)
{
    struct store_rotation x = at(ROTATION_KEY_GENERATED), next;
    struct rotation_claimed c = { .ttl_s = 300 };

    (void)state;
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_PUBLISH,
                                    ROTATION_CLAIM_PUBLISHING, &c, 2000, &next),
                     0);
    assert_int_equal(next.state, ROTATION_KEY_GENERATED);
    assert_int_equal(next.published_s, 2000);
    x = next;
    c.ttl_s = 0;
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_PUBLISH,
                                    ROTATION_CLAIM_PUBLISHED, &c, 2010, &next),
                     0);
    assert_int_equal(next.state, ROTATION_RECORDS_PUBLISHED);
    assert_int_equal(next.published_s, 2000);
    x = next;
    c = (struct rotation_claimed){ .reason = "records-not-everywhere",
                                   .text = "ns2 lacks it" };
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_VERIFY,
                                    ROTATION_CLAIM_LACKING, &c, 2020, &next),
                     0);
    assert_int_equal(next.state, ROTATION_RECORDS_PUBLISHED);
    assert_string_equal(next.text, "ns2 lacks it");
    x = next;
    c = (struct rotation_claimed){ .ttl_s = 60 };
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_VERIFY,
                                    ROTATION_CLAIM_VERIFIED, &c, 2030, &next),
                     0);
    assert_int_equal(next.state, ROTATION_RECORDS_VERIFIED);
    assert_int_equal(next.verified_s, 2030);
    assert_int_equal(next.caches_s, 2330);
    assert_null(next.text);
    assert_null(next.reason);
}

static void test_the_way_out(void **state)
{
    const struct rotation_claimed c = { 0 };
    struct store_rotation x = at(ROTATION_SWITCHED), next;

    (void)state;
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_VERIFY,
                                    ROTATION_CLAIM_VERIFIED, &c, 2030, &next),
                     0);
    assert_int_equal(next.state, ROTATION_SWITCHED);
    assert_int_equal(next.verified_s, 2030);
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_REMOVE_OLD,
                                    ROTATION_CLAIM_OLD_REMOVED, &c, 2040,
                                    &next),
                     0);
    assert_int_equal(next.state, ROTATION_CLEANED);
    assert_int_equal(next.old_records_removed_s, 2040);
    x = at(ROTATION_ABORTING);
    x.published_s = x.verified_s = x.caches_s = 1;
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_REMOVE_NEW,
                                    ROTATION_CLAIM_NEW_REMOVED, &c, 2050,
                                    &next),
                     0);
    assert_int_equal(next.state, ROTATION_ABORTING);
    assert_int_equal(next.published_s, 0);
}

static void test_why_it_was_aborted_is_kept(void **state)
{
    struct rotation_claimed c = { .reason = "records-by-hand",
                                  .text = "ns2 has it" };
    struct store_rotation x = at(ROTATION_ABORTING), next;

    (void)state;
    x.published_s = 1;
    x.reason = "refused";
    x.text = "the CA said no";
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_REMOVE_NEW,
                                    ROTATION_CLAIM_LACKING, &c, 5, &next),
                     0);
    assert_string_equal(next.reason, "refused");
    assert_string_equal(next.text, "ns2 has it");
    c = (struct rotation_claimed){ 0 };
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_REMOVE_NEW,
                                    ROTATION_CLAIM_NEW_REMOVED, &c, 5, &next),
                     0);
    assert_string_equal(next.reason, "refused");
    assert_string_equal(next.text, "the CA said no");
    x.reason = "records-by-hand";
    assert_int_equal(rotation_claim(&x, ROTATION_WORK_REMOVE_NEW,
                                    ROTATION_CLAIM_NEW_REMOVED, &c, 5, &next),
                     0);
    assert_null(next.reason);
    assert_null(next.text);
}

static void test_by_hand_is_for_a_person(void **state)
{
    static const enum rotation_state states[] = { ROTATION_RECORDS_PUBLISHED,
                                                  ROTATION_SWITCHED,
                                                  ROTATION_ABORTING };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct store_rotation x = at(states[i]);

        x.confirmed_s = x.published_s = 1;
        x.reason = "records-not-everywhere";
        assert_string_equal(rotation_next(&x).actor, "ops");
        x.reason = "records-by-hand";
        assert_string_equal(rotation_next(&x).actor, "operator");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_records_name_the_url_there_is_none),
        cmocka_unit_test(test_before_the_switch),
        cmocka_unit_test(test_after_the_switch),
        cmocka_unit_test(test_aborting),
        cmocka_unit_test(test_records_that_are_added),
        cmocka_unit_test(test_only_what_is_asked_for_can_be_claimed),
        cmocka_unit_test(test_claims_of_all_records),
        cmocka_unit_test(test_the_way_to_verified),
        cmocka_unit_test(test_the_way_out),
        cmocka_unit_test(test_why_it_was_aborted_is_kept),
        cmocka_unit_test(test_by_hand_is_for_a_person),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
