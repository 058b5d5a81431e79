/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store-fixture.h"

/* An old registry is told: by its file, and by the mark beside the log. */

/* As cp(1) does, or whoever restores a backup. */
static void copy_registry(struct tmp_dir *d)
{
    struct buf bytes = { 0 };
    char from[128], to[128], block[4096];
    size_t n;
    FILE *f;

    (void)snprintf(from, sizeof(from), "%s/registry.db", d->path);
    (void)snprintf(to, sizeof(to), "%s/copy", d->path);
    f = fopen(from, "rb");
    assert_non_null(f);
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        assert_int_equal(buf_append(&bytes, block, n), 0);
    assert_int_equal(fclose(f), 0);
    f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(to, from), 0);
    buf_deinit(&bytes);
}

/* Whether "a", which is registered, must ask; "b", which is not, never must. */
static bool must_ask(struct tmp_dir *d)
{
    struct store_account *got;
    struct store *s = open_store(d);
    size_t n;
    bool must;

    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 2);
    must = got[0].must_ask;
    assert_false(got[1].must_ask);
    accounts_free(got, n);
    store_close(s);
    return must;
}

static void test_a_copied_registry_has_to_ask(void **state)
{
    char a_name[] = "a", b_name[] = "b";
    struct store_account a = full_account(), b = small_account(b_name);
    struct tmp_dir *d = *state;
    struct store *s = open_store(d);

    a.acme.name = a_name;
    a.must_ask = b.must_ask = false;
    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &b), 0);
    store_close(s);
    assert_false(must_ask(d));
    copy_registry(d);
    assert_true(must_ask(d));
    assert_true(must_ask(d)); /* until somebody has */
    s = open_store(d);
    assert_int_equal(store_account_update(s, &a), 0);
    store_close(s);
    assert_false(must_ask(d));
}

static bool fits(struct store *s, struct tmp_dir *d)
{
    struct errmsg e = { 0 };
    bool fits = false;

    assert_int_equal(store_mark_open(s, d->path, &fits, &e), 0);
    return fits;
}

static void retire(struct store *s)
{
    struct store_rotation x = {
        .account = "letsencrypt",
        .by = "uid 0",
        .old_label = "label:1",
        .old_jwk = "{1}",
        .old_thumbprint = "one",
        .new_label = "label:2",
        .old_token = "hsm",
        .new_token = "hsm",
        .state = ROTATION_PLANNED,
        .kind = ROTATION_KIND_PLANNED,
        .new_alg = "ES256",
        .old_generation = 1,
        .new_generation = 2,
    };

    assert_int_equal(store_mark_advance(s), 0);
    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
}

static struct store *opened(struct tmp_dir *d, bool want)
{
    struct store *s = open_store(d);

    assert_int_equal(fits(s, d), want);
    return s;
}

static void write_mark(struct tmp_dir *d, const char *text)
{
    FILE *f = fopen(tmp_dir_file(d, STORE_MARK_FILE), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_a_mark_tells_an_old_registry(void **state)
{
    struct tmp_dir *d = *state;
    struct store_account a = full_account();
    struct store *s = opened(d, true);
    char text[64];

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_mark_settle(s), 0);
    assert_int_equal(access(tmp_dir_file(d, STORE_MARK_FILE), F_OK), -1);
    retire(s);
    retire(s);
    store_close(s);
    s = opened(d, true); /* the same number in both */

    /* Ended between the two: a question too many, until it is settled. */
    assert_int_equal(store_mark_advance(s), 0);
    store_close(s);
    s = opened(d, false);
    store_close(s);
    s = opened(d, false);
    assert_int_equal(store_mark_settle(s), 0);
    store_close(s);
    s = opened(d, true);

    /* The log is older: that is nothing against the registry. */
    (void)snprintf(text, sizeof(text), "%s %020d\n", store_instance(s), 1);
    write_mark(d, text);
    assert_true(fits(s, d));
    assert_int_equal(store_mark_settle(s), 0);
    retire(s);
    assert_true(fits(s, d));
    (void)snprintf(text, sizeof(text), "%s %020d\n", store_instance(s), 99);
    write_mark(d, text);
    assert_false(fits(s, d));

    for (size_t i = 0; i < 4; i++) {
        static const char *const bad[] = { "", "x",
                                           "99999999 00000000000000000"
                                           "001\n",
                                           NULL };

        if (bad[i])
            write_mark(d, bad[i]);
        else
            assert_int_equal(unlink(tmp_dir_file(d, STORE_MARK_FILE)), 0);
        assert_false(fits(s, d));
        assert_int_equal(store_mark_settle(s), 0);
        assert_true(fits(s, d));
    }
    store_close(s);
}

static void test_a_registry_without_a_number_is_old(void **state)
{
    struct tmp_dir *d = *state;
    struct store *s = open_store(d);
    char text[64];

    (void)snprintf(text, sizeof(text), "%s %020d\n", store_instance(s), 1);
    write_mark(d, text);
    assert_false(fits(s, d));
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_a_copied_registry_has_to_ask),
        IN_DIR(test_a_mark_tells_an_old_registry),
        IN_DIR(test_a_registry_without_a_number_is_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
