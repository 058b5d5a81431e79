/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Items "0", "1", ... until the page is full; each is as long as @len. */
static size_t fill(struct page *p, size_t len)
{
    static char item[PAGE_OCTETS + 100];

    memset(item, '7', len);
    item[len] = '\0';
    for (size_t n = 0;; n++) {
        int r = page_item(p);

        if (r == 0) {
            assert_int_equal(buf_append_str(&p->b, item), 0);
            r = page_item_end(p);
        }
        if (r) {
            assert_int_equal(r, PAGE_E_FULL);
            return n;
        }
    }
}

static void test_an_empty_page(void **state)
{
    CLEANUP_PAGE struct page p = { 0 };

    (void)state;
    assert_int_equal(page_begin(&p, "names", 0), 0);
    assert_int_equal(page_end(&p, ""), 0);
    assert_string_equal(buf_str(&p.b), "{\"names\":[]}");
}

static void test_the_limit_is_kept_and_says_where_to_go_on(void **state)
{
    CLEANUP_PAGE struct page p = { 0 };

    (void)state;
    assert_int_equal(page_begin(&p, "names", 2), 0);
    assert_int_equal(fill(&p, 1), 2);
    assert_int_equal(page_end(&p, "a\"b"), 0);
    assert_string_equal(buf_str(&p.b), "{\"names\":[7,7],\"next\":\"a\\\"b\"}");
}

/* At the limit, but nothing comes after: it was the last page. */
static void test_a_page_that_is_just_full_is_the_last(void **state)
{
    CLEANUP_PAGE struct page p = { 0 };

    (void)state;
    assert_int_equal(page_begin(&p, "names", 1), 0);
    assert_int_equal(page_item(&p), 0);
    assert_int_equal(buf_append_str(&p.b, "1"), 0);
    assert_int_equal(page_item_end(&p), 0);
    assert_int_equal(page_end(&p, "x"), 0);
    assert_string_equal(buf_str(&p.b), "{\"names\":[1]}");
}

static void test_what_does_not_fit_a_message_is_cut_off_whole(void **state)
{
    CLEANUP_PAGE struct page p = { 0 };
    size_t n;

    (void)state;
    assert_int_equal(page_begin(&p, "names", 0), 0);
    n = fill(&p, 1000);
    assert_int_equal(n, (PAGE_OCTETS - strlen("{\"names\":[") + 1) / 1001);
    assert_int_equal(page_end(&p, "k"), 0);
    assert_true(p.b.len < 64 * 1024 - 2048);
    assert_string_equal(buf_str(&p.b) + p.b.len -
                            strlen("777],\"next\":\"k\"}"),
                        "777],\"next\":\"k\"}");
}

/* A page without any item would be asked for again and again. */
static void test_one_item_is_always_taken(void **state)
{
    CLEANUP_PAGE struct page p = { 0 };

    (void)state;
    assert_int_equal(page_begin(&p, "names", 0), 0);
    assert_int_equal(fill(&p, PAGE_OCTETS + 50), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_page),
        cmocka_unit_test(test_the_limit_is_kept_and_says_where_to_go_on),
        cmocka_unit_test(test_a_page_that_is_just_full_is_the_last),
        cmocka_unit_test(test_what_does_not_fit_a_message_is_cut_off_whole),
        cmocka_unit_test(test_one_item_is_always_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
