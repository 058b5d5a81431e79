/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/directory-changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/audit-line.h"

static char order[] = "https://ca.example/order";
static char other[] = "https://ca.example/other";
static char terms[] = "https://ca.example/terms";
static char *issuers[] = { (char[]){ "a.example" }, (char[]){ "b.example" },
                           NULL };

struct answer {
    json_t *changes, *lines;
};

static struct answer compared(const struct store_account *from,
                              const struct store_account *to)
{
    struct answer a = { json_array(), json_array() };

    assert_int_equal(directory_changes(from, to, a.changes, a.lines), 0);
    return a;
}

static void answer_free(struct answer *a)
{
    json_decref(a->changes);
    json_decref(a->lines);
}

static const char *at(const json_t *array, size_t i)
{
    const char *s = json_string_value(json_array_get(array, i));

    assert_non_null(s);
    return s;
}

static struct store_account with_order(char *url)
{
    return (struct store_account){ .acme.directory.new_order = url };
}

static void test_what_is_known_first_is_logged_and_no_change(void **state)
{
    const struct store_account nothing = { 0 };
    struct store_account to = with_order(order);
    struct answer a;

    (void)state;
    to.meta_known = true;
    to.meta.terms = terms;
    to.meta.issuers = issuers;
    a = compared(&nothing, &to);
    assert_int_equal(json_array_size(a.changes), 0);
    assert_int_equal(json_array_size(a.lines), 4);
    assert_string_equal(at(a.lines, 0), "newOrder: https://ca.example/order");
    assert_string_equal(at(a.lines, 1),
                        "termsOfService: https://ca.example/terms");
    assert_string_equal(at(a.lines, 2), "externalAccountRequired: false");
    assert_string_equal(at(a.lines, 3),
                        "issuerDomainNames: a.example b.example");
    answer_free(&a);
}

static void test_a_change_is_told_and_logged_alike(void **state)
{
    const struct store_account from = with_order(order);
    const struct store_account to = with_order(other);
    struct answer a = compared(&from, &to);

    (void)state;
    assert_int_equal(json_array_size(a.changes), 1);
    assert_string_equal(
        at(a.changes, 0),
        "newOrder: https://ca.example/order -> https://ca.example/other");
    assert_true(json_equal(a.changes, a.lines));
    answer_free(&a);
    a = compared(&from, &from);
    assert_int_equal(json_array_size(a.lines), 0);
    answer_free(&a);
}

/* The lines' text behind @which of their parts, in order. */
static void join_parts(const json_t *lines, const char *which, char *ret)
{
    ret[0] = '\0';
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *s = at(lines, i);

        assert_true(strlen(s) <= AUDIT_TEXT_MAX);
        if (strncmp(s, which, strlen(which)) == 0)
            strcat(ret, strstr(s, ": ") + 2);
    }
}

static void test_a_long_old_value_does_not_hide_the_new_one(void **state)
{
    char before[1025], after[1025], got[2048];
    const struct store_account from = with_order(before);
    struct store_account to = with_order(other);
    struct answer a;

    (void)state;
    memset(before, 'b', 1024);
    memset(after, 'a', 1024);
    before[1024] = after[1024] = '\0';
    a = compared(&from, &to);
    assert_string_equal(at(a.lines, 0),
                        "newOrder, new (1): https://ca.example/other");
    join_parts(a.lines, "newOrder, old", got);
    assert_string_equal(got, before);
    assert_int_equal(json_array_size(a.changes), 1);
    answer_free(&a);

    to.acme.directory.new_order = after;
    a = compared(&from, &to);
    join_parts(a.lines, "newOrder, new", got);
    assert_string_equal(got, after);
    answer_free(&a);
    a = compared(&(struct store_account){ 0 }, &to);
    join_parts(a.lines, "newOrder (", got);
    assert_string_equal(got, after);
    answer_free(&a);
}

static void test_a_part_ends_between_characters(void **state)
{
    char before[1025] = "", got[2048];
    const struct store_account from = with_order(before);
    const struct store_account to = with_order(other);
    struct answer a;

    (void)state;
    before[0] = 'x';
    for (size_t i = 1; i + 1 < 1024; i += 2)
        memcpy(before + i, "\xc3\xa4", 3);
    a = compared(&from, &to);
    join_parts(a.lines, "newOrder, old", got);
    assert_string_equal(got, before);
    answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_known_first_is_logged_and_no_change),
        cmocka_unit_test(test_a_change_is_told_and_logged_alike),
        cmocka_unit_test(test_a_long_old_value_does_not_hide_the_new_one),
        cmocka_unit_test(test_a_part_ends_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
