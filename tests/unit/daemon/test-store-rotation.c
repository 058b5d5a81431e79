/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store-fixture.h"

static struct store_account account(void)
{
    struct store_account a = {
        .acme = { .name = "a",
                  .directory_url = "https://ca.example/d",
                  .jwk = { .type = JWK_TYPE_P256 } },
        .status = ACCOUNT_CREATED,
        .token = "hsm",
        .key_label = "label:1",
        .generation = 1,
    };

    memset(a.acme.thumbprint, 'A', JWK_THP_TEXT_LEN);
    return a;
}

static struct store *with_account(struct tmp_dir *d)
{
    struct store *s = open_store(d);
    struct store_account a = account();

    assert_int_equal(store_account_add(s, &a), 0);
    return s;
}

static struct store_rotation rotation(void)
{
    return (struct store_rotation){
        .account = "a",
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
        .started_s = 1,
        .since_s = 2,
        .keep_old = true,
        .grace_s = 3,
        .order_drain_s = 4,
        .settle_s = 5,
        .cache_s = 6,
        .old_generation = 1,
        .new_generation = 2,
    };
}

static struct store_rotation full(void)
{
    struct store_rotation x = rotation();

    x.state = ROTATION_UNRESOLVED;
    x.new_jwk = "{2}";
    x.new_thumbprint = "two";
    x.request_url = "https://ca.example/k";
    x.request_nonce = "n";
    x.request_protected = "p";
    x.request_payload = "q";
    x.request_signature = "s";
    x.reason = "answer-lost";
    x.text = "words";
    x.new_attrs = 7;
    x.new_attrs_known = 8;
    x.key_bound = true;
    x.new_foreign = true;
    x.new_rsa_bits = 12;
    x.window_end_s = 13;
    x.published_s = 14;
    x.verified_s = 15;
    x.caches_s = 16;
    x.old_records_removed_s = 17;
    x.sent_s = 9;
    x.tries = 10;
    x.spent = true;
    x.confirmed_s = 11;
    x.old_deactivated_s = 18;
    return x;
}

static void assert_is(struct store *s, const struct store_rotation *want)
{
    struct store_rotation *x = NULL;
    size_t n = 0;

    assert_int_equal(store_rotations(s, &x, &n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(x->account, want->account);
    assert_int_equal(x->state, want->state);
    assert_string_equal(x->new_label, want->new_label);
    assert_string_equal(x->new_token, want->new_token);
    assert_string_equal(x->new_alg, want->new_alg);
    if (want->old_token)
        assert_string_equal(x->old_token, want->old_token);
    else
        assert_null(x->old_token);
    if (want->new_jwk)
        assert_string_equal(x->new_jwk, want->new_jwk);
    else
        assert_null(x->new_jwk);
    if (want->request_nonce)
        assert_string_equal(x->request_signature, want->request_signature);
    else
        assert_null(x->request_signature);
    if (want->text)
        assert_string_equal(x->text, want->text);
    assert_memory_equal(&x->state, &want->state,
                        sizeof(*x) - offsetof(struct store_rotation, state));
    store_rotation_deinit(x);
    free(x);
}

static void test_each_member_is_kept(void **state)
{
    struct store *s = with_account(*state);
    struct store_rotation x = rotation();

    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
    assert_is(s, &x);
    x = full();
    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
    store_close(s);
    s = open_store(*state);
    assert_is(s, &x);
    store_close(s);
}

static void test_every_state_is_kept(void **state)
{
    struct store *s = with_account(*state);
    struct store_rotation x = full();

    for (x.state = 1; x.state < ROTATION_STATE_COUNT; x.state++) {
        assert_int_equal(store_rotation_put(s, &x, NULL), 0);
        assert_is(s, &x);
    }
    store_close(s);
}

static void test_every_kind_is_kept(void **state)
{
    struct store *s = with_account(*state);

    for (enum rotation_kind k = 1; k < ROTATION_KIND_COUNT; k++) {
        struct store_rotation x = full();

        x.kind = k;
        x.new_alg = "RS256";
        if (k == ROTATION_KIND_ADOPT) {
            x.old_token = NULL;
            x.old_label = "";
        }
        if (k == ROTATION_KIND_RELEASE)
            x.new_token = x.new_label = "";
        assert_int_equal(store_rotation_put(s, &x, NULL), 0);
        assert_is(s, &x);
    }
    store_close(s);
}

static void test_it_switches_with_its_account_or_not_at_all(void **state)
{
    struct store *s = with_account(*state);
    struct store_rotation x = rotation(), bad;
    struct store_account a = account(), *rows = NULL;
    size_t n;

    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
    a.key_label = "label:2";
    a.generation = 2;
    bad = full();
    bad.new_jwk = NULL;
    assert_int_equal(store_rotation_put(s, &bad, &a), -EINVAL);
    bad = full();
    a.acme.name = "nobody";
    assert_int_equal(store_rotation_put(s, &bad, &a), STORE_E_MISSING);
    assert_is(s, &x);
    a.acme.name = "a";
    x = full();
    x.state = ROTATION_SWITCHED;
    assert_int_equal(store_rotation_put(s, &x, &a), 0);
    assert_is(s, &x);
    assert_int_equal(store_accounts(s, &rows, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].generation, 2);
    assert_string_equal(rows[0].key_label, "label:2");
    store_account_deinit(&rows[0]);
    free(rows);
    store_close(s);
}

static void test_what_cannot_be_is_refused(void **state)
{
    struct store *s = with_account(*state);

    for (int i = 0; i < 12; i++) {
        struct store_rotation x = full();

        if (i == 0)
            x.account = "nobody";
        if (i == 1)
            x.new_label = x.old_label;
        if (i == 2)
            x.new_jwk = x.old_jwk;
        if (i == 3)
            x.new_generation = x.old_generation;
        if (i == 4)
            x.request_signature = NULL;
        if (i == 5)
            x.state = ROTATION_UNSET;
        if (i == 6)
            x.kind = ROTATION_KIND_UNSET;
        if (i == 7)
            x.new_alg = "HS256";
        if (i == 8)
            x.old_token = NULL; /* only of a key that was outside */
        if (i == 9)
            x.kind = ROTATION_KIND_ADOPT;
        if (i == 10)
            x.new_token = "";
        if (i == 11) { /* no record names the key */
            x.state = ROTATION_RECORDS_VERIFIED;
            x.key_bound = false;
        }
        print_message("case %d\n", i);
        assert_int_equal(store_rotation_put(s, &x, NULL), -EINVAL);
    }
    store_close(s);
}

static int count(const char *zone, void *userdata)
{
    (void)zone;
    ++*(int *)userdata;
    return 0;
}

static void accept_zone(struct store *s)
{
    const struct store_rotation_zone zone = {
        .account = "a", .zone = "example.com", .accepted_s = 1, .by = "uid 0"
    };

    assert_int_equal(store_rotation_zone_accept(s, &zone), 0);
}

static int accepted(struct store *s)
{
    int n = 0;

    assert_int_equal(store_rotation_zone_each(s, "a", count, &n), 0);
    return n;
}

/* What was accepted for the last one is not for the next; and one that does not
 * begin takes nothing away from it. */
static void test_it_begins_without_the_zones_of_the_last_one(void **state)
{
    struct store *s = with_account(*state);
    struct store_rotation x = full(), bad = full();

    x.state = bad.state = ROTATION_PLANNED;
    assert_int_equal(store_rotation_begin(s, &x), 0);
    accept_zone(s);
    bad.new_label = bad.old_label;
    assert_int_equal(store_rotation_begin(s, &bad), -EINVAL);
    assert_int_equal(accepted(s), 1);
    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
    assert_int_equal(accepted(s), 1);
    assert_int_equal(store_rotation_begin(s, &x), 0);
    assert_int_equal(accepted(s), 0);
    store_close(s);
}

static void test_it_goes_with_its_account(void **state)
{
    struct tmp_dir *d = *state;
    struct store *s = with_account(d);
    struct store_rotation x = full(), *rows = NULL;
    sqlite3 *db;
    size_t n = 9;

    assert_int_equal(store_rotation_put(s, &x, NULL), 0);
    store_close(s);
    assert_int_equal(sqlite3_open(tmp_dir_file(d, "registry.db"), &db), 0);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA foreign_keys = ON;"
                                  "DELETE FROM account",
                                  NULL, NULL, NULL),
                     0);
    assert_int_equal(sqlite3_close(db), 0);
    s = open_store(d);
    assert_int_equal(store_rotations(s, &rows, &n), 0);
    assert_int_equal(n, 0);
    free(rows);
    store_close(s);
}

static void test_a_copy_is_whole_and_its_own(void **state)
{
    struct store_rotation x = full(), copy = { 0 };

    (void)state;
    assert_int_equal(store_rotation_copy(&x, &copy), 0);
    assert_string_equal(copy.text, "words");
    assert_true(copy.text != x.text);
    assert_memory_equal(&copy.state, &x.state,
                        sizeof(x) - offsetof(struct store_rotation, state));
    store_rotation_deinit(&copy);
    assert_null(copy.account);
}

#define STORE_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, tmp_dir_new, tmp_dir_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_each_member_is_kept),
        STORE_TEST(test_every_state_is_kept),
        STORE_TEST(test_every_kind_is_kept),
        STORE_TEST(test_it_switches_with_its_account_or_not_at_all),
        STORE_TEST(test_what_cannot_be_is_refused),
        STORE_TEST(test_it_begins_without_the_zones_of_the_last_one),
        STORE_TEST(test_it_goes_with_its_account),
        STORE_TEST(test_a_copy_is_whole_and_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
