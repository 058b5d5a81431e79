/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store-fixture.h"

/* Records, and names that are denied. */

static void add_account(struct store *s, char *name)
{
    struct store_account a = {
        .acme = { .name = name,
                  .directory_url = "https://ca.example/d",
                  .jwk = { .type = JWK_TYPE_P256 } },
        .status = ACCOUNT_CREATED,
        .token = "hsm",
        .key_label = "label",
    };

    memset(a.acme.thumbprint, 'A', JWK_THP_TEXT_LEN);
    assert_int_equal(store_account_add(s, &a), 0);
}

static struct store *with_accounts(struct tmp_dir *d)
{
    struct store *s = open_store(d);

    add_account(s, "a");
    add_account(s, "b");
    return s;
}

/* Every record of a query as a word in a text. */
struct seen {
    char text[1024];
    size_t left; /* stops after so many */
};

static int see(const struct store_record *x, void *userdata)
{
    struct seen *seen = userdata;
    size_t n = strlen(seen->text);

    (void)snprintf(seen->text + n, sizeof(seen->text) - n,
                   "%s/%s/%s%s%s@%lld+%lld ", x->account, x->domain, x->issuer,
                   x->wildcard ? "*" : "", x->reusable ? "!" : "",
                   (long long)x->until_s, (long long)x->added_s);
    return --seen->left == 0 ? 77 : 0;
}

static void assert_seen(struct store *s, const struct store_record_query *q,
                        const char *expected)
{
    struct seen seen = { .left = 100 };

    assert_int_equal(store_record_each(s, q, see, &seen), 0);
    assert_string_equal(seen.text, expected);
}

static void add(struct store *s, const struct store_record *x, size_t n,
                struct store_record_counts expected)
{
    struct store_record_counts got = { 99, 99, 99 };

    assert_int_equal(store_records_add(s, x, n, &got), 0);
    assert_int_equal(got.added, expected.added);
    assert_int_equal(got.changed, expected.changed);
    assert_int_equal(got.unchanged, expected.unchanged);
}

static const struct store_record some[] = {
    { "b", "x.example", "ca.example", false, false, 0, 7 },
    { "a", "y.example", "ca.example", true, false, 99, 7 },
    { "a", "x.example", "z.example", false, true, 0, 7 },
    { "a", "x.example", "ca.example", false, false, 0, 7 },
};

static void assert_sums(struct store *s, int64_t now_s, size_t n,
                        size_t n_expired, int64_t next_s)
{
    struct store_record_sums sums = { 99, 99, 99 };

    assert_int_equal(store_record_sums(s, "a", now_s, &sums), 0);
    assert_int_equal(sums.n, n);
    assert_int_equal(sums.n_expired, n_expired);
    assert_int_equal(sums.next_s, next_s);
}

static void test_sums_tell_what_expires(void **state)
{
    static const struct store_record more[] = {
        { "a", "z.example", "ca.example", false, false, 50, 7 },
        { "b", "z.example", "ca.example", false, false, 10, 7 },
    };
    struct store *s = with_accounts(*state);

    assert_sums(s, 1, 0, 0, 0);
    add(s, some, ARRAY_LEN(some), (struct store_record_counts){ 4, 0, 0 });
    assert_sums(s, 1, 3, 0, 99);
    add(s, more, ARRAY_LEN(more), (struct store_record_counts){ 2, 0, 0 });
    assert_sums(s, 1, 4, 0, 50);
    assert_sums(s, 50, 4, 0, 50); /* itself is still good */
    assert_sums(s, 51, 4, 1, 99);
    assert_sums(s, 100, 4, 2, 0);
    store_close(s);
}

static void test_records_are_kept_in_order(void **state)
{
    struct store *s = with_accounts(*state);

    add(s, some, ARRAY_LEN(some), (struct store_record_counts){ 4, 0, 0 });
    store_close(s);
    s = open_store(*state);
    assert_seen(s, &(struct store_record_query){ 0 },
                "a/x.example/ca.example@0+7 a/x.example/z.example!@0+7 "
                "a/y.example/ca.example*@99+7 b/x.example/ca.example@0+7 ");
    assert_seen(s, &(struct store_record_query){ .account = "a" },
                "a/x.example/ca.example@0+7 a/x.example/z.example!@0+7 "
                "a/y.example/ca.example*@99+7 ");
    assert_seen(s, &(struct store_record_query){ .domain = "x.example" },
                "a/x.example/ca.example@0+7 a/x.example/z.example!@0+7 "
                "b/x.example/ca.example@0+7 ");
    assert_seen(
        s,
        &(struct store_record_query){ .account = "a", .domain = "x.example" },
        "a/x.example/ca.example@0+7 a/x.example/z.example!@0+7 ");
    store_close(s);
}

/* Whatever is asked for, one record at a time gives all of them once. */
static void test_pages_leave_out_and_repeat_nothing(void **state)
{
    const struct store_record_query queries[] = {
        { 0 },
        { .account = "a" },
        { .domain = "x.example" },
        { .account = "a", .domain = "x.example" },
    };
    struct store *s = with_accounts(*state);

    add(s, some, ARRAY_LEN(some), (struct store_record_counts){ 4, 0, 0 });
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        struct store_record_query q = queries[i];
        struct seen whole = { .left = 100 };
        char pages[1024] = "", a[8], d[64], c[64];

        assert_int_equal(store_record_each(s, &q, see, &whole), 0);
        for (;;) {
            struct seen one = { .left = 1 };
            int r = store_record_each(s, &q, see, &one);

            if (r == 0)
                break;
            assert_int_equal(r, 77);
            strcat(pages, one.text);
            assert_int_equal(
                sscanf(one.text, "%7[^/]/%63[^/]/%63[^@*! ]", a, d, c), 3);
            q.after_account = a;
            q.after_domain = d;
            q.after_issuer = c;
        }
        assert_string_equal(pages, whole.text);
    }
    store_close(s);
}

static void test_the_same_again_changes_only_what_differs(void **state)
{
    struct store *s = with_accounts(*state);
    struct store_record again[] = { some[0], some[1] };

    add(s, some, 2, (struct store_record_counts){ 2, 0, 0 });
    again[0].added_s = 8;
    again[1].added_s = 8;
    again[1].until_s = 100;
    add(s, again, 2, (struct store_record_counts){ 0, 1, 1 });
    again[1].wildcard = false;
    add(s, again, 2, (struct store_record_counts){ 0, 1, 1 });
    again[1].reusable = true;
    add(s, again, 2, (struct store_record_counts){ 0, 1, 1 });
    assert_seen(s, &(struct store_record_query){ 0 },
                "a/y.example/ca.example!@100+7 b/x.example/ca.example@0+7 ");
    store_close(s);
}

static void test_all_or_none(void **state)
{
    struct store *s = with_accounts(*state);
    struct store_record_counts counts = { 99, 99, 99 };
    struct store_record bad[] = { some[0], some[1] };

    bad[1].account = "nobody";
    assert_int_equal(store_records_add(s, bad, 2, &counts), -EINVAL);
    bad[1].account = "a";
    bad[1].domain = "";
    assert_int_equal(store_records_add(s, bad, 2, &counts), -EINVAL);
    bad[1].domain = "y.example";
    bad[1].until_s = -1;
    assert_int_equal(store_records_add(s, bad, 2, &counts), -EINVAL);
    assert_int_equal(counts.added, 99);
    assert_seen(s, &(struct store_record_query){ 0 }, "");
    store_close(s);
}

static void test_remove_says_how_many(void **state)
{
    struct store *s = with_accounts(*state);
    bool has = false;
    bool wildcard = true;
    size_t n = 99;

    add(s, some, ARRAY_LEN(some), (struct store_record_counts){ 4, 0, 0 });
    assert_int_equal(store_record_remove(s, "a", "x.example", "z.example", &n),
                     0);
    assert_int_equal(n, 1);
    assert_int_equal(store_record_remove(s, "a", "x.example", "z.example", &n),
                     0);
    assert_int_equal(n, 0);
    assert_int_equal(store_record_has(s, "a", "x.example", &has, &wildcard), 0);
    assert_true(has && !wildcard);
    assert_int_equal(store_record_has(s, "a", "y.example", &has, &wildcard), 0);
    assert_true(has && wildcard);
    assert_int_equal(store_record_remove(s, "a", "x.example", NULL, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(store_record_has(s, "a", "x.example", &has, &wildcard), 0);
    assert_false(has || wildcard);
    assert_seen(s, &(struct store_record_query){ 0 },
                "a/y.example/ca.example*@99+7 b/x.example/ca.example@0+7 ");
    store_close(s);
}

static void test_denied_names_survive_until_allowed(void **state)
{
    const struct store_denied one = { "x.example", 17, "uid 0" };
    const struct store_denied again = { "x.example", 99, "uid 1" };
    const struct store_denied other = { "a.example", 18, "uid 2" };
    struct store *s = open_store(*state);
    struct store_denied *got;
    size_t n;

    assert_int_equal(store_deny(s, &one), 0);
    assert_int_equal(store_deny(s, &again), 0);
    assert_int_equal(store_deny(s, &other), 0);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(store_denied(s, &got, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(got[0].name, "a.example");
    assert_string_equal(got[1].name, "x.example");
    assert_int_equal(got[1].since_s, 17);
    assert_string_equal(got[1].by, "uid 0");
    store_denied_free(got, n);

    assert_int_equal(store_allow(s, "x.example"), 0);
    assert_int_equal(store_allow(s, "x.example"), STORE_E_MISSING);
    assert_int_equal(store_denied(s, &got, &n), 0);
    assert_int_equal(n, 1);
    store_denied_free(got, n);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_sums_tell_what_expires),
        IN_DIR(test_records_are_kept_in_order),
        IN_DIR(test_pages_leave_out_and_repeat_nothing),
        IN_DIR(test_the_same_again_changes_only_what_differs),
        IN_DIR(test_all_or_none),
        IN_DIR(test_remove_says_how_many),
        IN_DIR(test_denied_names_survive_until_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
