/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/suffix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_public_suffixes(void **state)
{
    static const struct {
        const char *name;
        const char *allow; /* or NULL */
        int r;
    } cases[] = {
        { "example.com", NULL, 0 },
        { "apps.example.co.uk", NULL, 0 },
        /* ICANN section: never, and AllowSuffix= does not help */
        { "com", NULL, REFUSED },
        { "co.uk", NULL, REFUSED },
        { "co.uk", "co.uk", REFUSED },
        { "xn--p1ai", "xn--p1ai", REFUSED },
        /* a rule with a star, its parent, and its exception */
        { "foo.ck", "foo.ck", REFUSED },
        { "ck", "ck", REFUSED },
        { "kawasaki.jp", NULL, REFUSED },
        { "www.ck", NULL, 0 },
        /* private section: only by its exact name */
        { "github.io", NULL, REFUSED },
        { "github.io", "io", REFUSED },
        { "github.io", "github.io", 0 },
        { "me.github.io", NULL, 0 },
        /* no listed rule: by its name or one above */
        { "corp.internal", NULL, REFUSED },
        { "corp.internal", "corp.internal", 0 },
        { "corp.internal", "internal", 0 },
        { "a.corp.internal", "corp.internal", 0 },
        { "a.corp.internal", "b.corp.internal", REFUSED },
        { "corp.internal", "a.corp.internal", REFUSED },
    };
    psl_ctx_t *psl = psl_latest(NULL);

    (void)state;
    assert_non_null(psl);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name_index allow = { 0 };
        struct refusal why = { 0 };

        if (cases[i].allow)
            assert_int_equal(
                name_index_add(&allow, bytes_from_str(cases[i].allow)), 0);
        if (suffix_check(psl, cases[i].name, &allow, &why) != cases[i].r)
            fail_msg("%s with AllowSuffix=%s: not %d", cases[i].name,
                     cases[i].allow ? cases[i].allow : "", cases[i].r);
        name_index_deinit(&allow);
    }
    psl_free(psl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_suffixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
