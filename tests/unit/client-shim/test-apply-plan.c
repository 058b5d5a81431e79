/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "acme/json-strict.h"
#include "client-shim/apply-plan.h"
#include "client-shim/ctl.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define DIRECTORY "https://ca.example/dir"
#define JWK                                                                    \
    "{\"kty\":\"EC\",\"crv\":\"P-256\","                                       \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"

static char name[] = "main", directory[] = DIRECTORY, token[] = "hsm",
            es256[] = "ES256", rs256[] = "RS256", kid[] = "kid-1",
            one[] = "one", two[] = "two", three[] = "three";
static char *one_two[] = { one, two, NULL };
static char *two_one[] = { two, one, NULL };
static char *one_three[] = { one, three, NULL };

static struct account_wish wish(void)
{
    return (struct account_wish){
        .name = name,
        .directory = directory,
        .token = token,
        .alg = es256,
        .schedule = { .rotate_s = ACCOUNT_NO_TIME,
                      .order_drain_s = ACCOUNT_NO_TIME,
                      .settle_s = ACCOUNT_NO_TIME,
                      .cache_s = ACCOUNT_NO_TIME,
                      .grace_s = ACCOUNT_NO_TIME },
    };
}

/* An account as the wish above has it, and @more members that come last. */
static json_t *facts(const char *more)
{
    CLEANUP_BUF struct buf b = { 0 };
    json_t *base, *extra;

    assert_int_equal(
        buf_append_str(&b, "{\"name\":\"main\",\"directory\":\"" DIRECTORY
                           "\",\"alg\":\"ES256\",\"token\":\"hsm\","
                           "\"status\":\"valid\",\"contacts\":[],"
                           "\"issuers\":[],\"origins\":[],\"jwk\":" JWK
                           ",\"challengeMembers\":[],\"allowQuery\":false,"
                           "\"allowHttpLoopback\":false}"),
        0);
    base = json_loads(buf_str(&b), 0, NULL);
    extra = json_loads(more, 0, NULL);
    assert_int_equal(json_object_update(base, extra), 0);
    json_decref(extra);
    return base;
}

/* The actions; *texts are the lines of what is not done. */
static unsigned compare(const struct account_wish *w, const char *more,
                        struct buf *texts)
{
    CLEANUP_JSON json_t *f = more ? facts(more) : NULL;
    struct apply_step s = { 0 };
    unsigned actions;

    assert_int_equal(apply_compare(w, f, &s), 0);
    actions = s.actions;
    buf_clear(texts);
    assert_int_equal(buf_append_str(texts, ""), 0);
    for (size_t i = 0; i < json_array_size(s.not_done); i++)
        assert_int_equal(
            buf_printf(texts, "%s\n",
                       json_string_value(json_array_get(s.not_done, i))),
            0);
    apply_step_deinit(&s);
    return actions;
}

static void test_what_is_as_it_should_be_needs_nothing(void **state)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    assert_int_equal(compare(&w, "{}", &texts), 0);
    assert_string_equal(buf_str(&texts), "");
    w.issuers = two_one;
    w.contacts = two_one;
    w.manage_contacts = true;
    w.origins = one_two;
    w.eab_kid = kid;
    assert_int_equal(compare(&w,
                             "{\"issuers\":[\"one\",\"two\"],\"contacts\":"
                             "[\"one\",\"two\"],\"origins\":[\"two\",\"one\"],"
                             "\"externalAccount\":\"kid-1\"}",
                             &texts),
                     0);
    assert_string_equal(buf_str(&texts), "");
}

static void test_what_is_not_there_is_made(void **state)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    assert_int_equal(compare(&w, NULL, &texts), APPLY_CREATE | APPLY_REGISTER);
    w.issuers = one_two;
    assert_int_equal(compare(&w, NULL, &texts),
                     APPLY_CREATE | APPLY_REGISTER | APPLY_ISSUERS);
    assert_int_equal(compare(&w, "{\"status\":\"created\"}", &texts),
                     APPLY_REGISTER | APPLY_ISSUERS);
    assert_string_equal(buf_str(&texts), "");
}

static void test_contacts_are_changed_where_the_file_has_them(void **state)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    assert_int_equal(compare(&w, "{\"contacts\":[\"one\"]}", &texts), 0);
    w.manage_contacts = true;
    assert_int_equal(compare(&w, "{\"contacts\":[\"one\"]}", &texts),
                     APPLY_CONTACTS);
    w.contacts = one_two;
    assert_int_equal(compare(&w, "{\"contacts\":[\"one\",\"three\"]}", &texts),
                     APPLY_CONTACTS);
    assert_int_equal(compare(&w, "{\"contacts\":[\"one\"]}", &texts),
                     APPLY_CONTACTS);
    assert_int_equal(
        compare(&w, "{\"contacts\":[\"one\",\"two\",\"three\"]}", &texts),
        APPLY_CONTACTS);
}

static void test_what_cannot_be_changed_is_said(void **state)
{
    static const struct {
        const char *more, *words;
    } cases[] = {
        { "{\"alg\":\"ES384\"}", "KeyType=" },
        { "{\"token\":\"other\"}", "Token=" },
        { "{\"directory\":\"https://b.example/\"}", "Directory=" },
        { "{\"origins\":[\"https://b.example\"]}", "Origins=" },
        { "{\"challengeMembers\":[\"x\"]}", "ChallengeMembers=" },
        { "{\"allowQuery\":true}", "AllowQuery=" },
        { "{\"allowHttpLoopback\":true}", "AllowHttpLoopback=" },
        { "{\"status\":\"deactivated\"}", "deactivated" },
        { "{\"status\":\"needs-resolve\"}", "needs-resolve" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf texts = { 0 };
        struct account_wish w = wish();
        unsigned actions = compare(&w, cases[i].more, &texts);

        if (actions || !strstr(buf_str(&texts), cases[i].words))
            fail_msg("%s: %u %s", cases[i].more, actions, buf_str(&texts));
    }
}

/* Another CA of the same name would get requests that were not meant for it. */
static void test_at_another_ca_nothing_is_done(void **state)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    w.issuers = one_three;
    w.contacts = one_two;
    w.manage_contacts = true;
    assert_int_equal(compare(&w,
                             "{\"directory\":\"https://b.example/\","
                             "\"status\":\"created\"}",
                             &texts),
                     0);
    assert_int_equal(
        compare(&w, "{\"directory\":\"https://b.example/\"}", &texts), 0);
}

static void test_how_a_key_is_rotated_is_set(void **state)
{
    static char window[] = "Sun 02:00-04:00";
    static const char *const others[] = {
        "{}",
        "{\"schedule\":{\"rotate\":86400,\"window\":null,\"settle\":0}}",
        "{\"schedule\":{\"rotate\":86400,\"window\":\"Sun 02:00-04:00\"}}",
        "{\"schedule\":{\"rotate\":86400,\"window\":\"Sun 02:00-04:00\","
        "\"settle\":0,\"keepOldKey\":true}}",
        "{\"schedule\":{\"rotate\":86400,\"window\":\"Sun 02:00-04:00\","
        "\"settle\":0,\"grace\":0,\"keepOldKey\":false}}",
    };
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    w.schedule.rotate_s = 86400;
    w.schedule.window = window;
    w.schedule.settle_s = 0;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(compare(&w, others[i], &texts), APPLY_SCHEDULE);
    assert_int_equal(
        compare(&w,
                "{\"schedule\":{\"rotate\":86400,\"window\":"
                "\"Sun 02:00-04:00\",\"settle\":0,\"grace\":null,"
                "\"keepOldKey\":false,\"due\":\"2026-01-01T00:00:00Z\"}}",
                &texts),
        0);
    assert_int_equal(compare(&w, NULL, &texts),
                     APPLY_CREATE | APPLY_REGISTER | APPLY_SCHEDULE);
    w = wish();
    assert_int_equal(compare(&w, others[1], &texts), APPLY_SCHEDULE);
    assert_string_equal(buf_str(&texts), "");
}

static void test_no_account_is_bound_twice(void **state)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    w.eab_kid = kid;
    assert_int_equal(compare(&w, "{}", &texts), 0);
    assert_non_null(strstr(buf_str(&texts), "EabKid="));
    assert_int_equal(compare(&w, "{\"externalAccount\":\"kid-2\"}", &texts), 0);
    assert_non_null(strstr(buf_str(&texts), "kid-2"));
    assert_int_equal(compare(&w, "{\"status\":\"created\"}", &texts),
                     APPLY_REGISTER);
    assert_string_equal(buf_str(&texts), "");
}

static void test_rsa_keys_differ_in_their_length_too(void **state)
{
    CLEANUP_BUF struct buf texts = { 0 };
    struct account_wish w = wish();

    (void)state;
    w.alg = rs256;
    w.rsa_bits = 3072;
    (void)compare(&w, "{\"alg\":\"RS256\"}", &texts); /* of JWK: none */
    assert_non_null(strstr(buf_str(&texts), "KeyType="));
}

static void test_actions_are_told_in_words(void **state)
{
    CLEANUP_BUF struct buf text = { 0 };
    struct account_wish w = wish();
    static char staging[] =
        "https://acme-staging-v02.api.letsencrypt.org/directory";

    (void)state;
    w.directory = staging;
    assert_int_equal(apply_action_text(&w, APPLY_CREATE, &text), 0);
    assert_string_equal(buf_str(&text), "make an ES256 key on the token hsm");
    buf_clear(&text);
    assert_int_equal(apply_action_text(&w, APPLY_REGISTER, &text), 0);
    assert_non_null(strstr(buf_str(&text), "(STAGING)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_as_it_should_be_needs_nothing),
        cmocka_unit_test(test_what_is_not_there_is_made),
        cmocka_unit_test(test_contacts_are_changed_where_the_file_has_them),
        cmocka_unit_test(test_what_cannot_be_changed_is_said),
        cmocka_unit_test(test_at_another_ca_nothing_is_done),
        cmocka_unit_test(test_how_a_key_is_rotated_is_set),
        cmocka_unit_test(test_no_account_is_bound_twice),
        cmocka_unit_test(test_rsa_keys_differ_in_their_length_too),
        cmocka_unit_test(test_actions_are_told_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
