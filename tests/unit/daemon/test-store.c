/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store-fixture.h"

static void test_account_survives_a_restart_whole(void **state)
{
    struct store_account a = full_account(), b = small_account("other");
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &b), 0);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 2);
    assert_account(&got[0], &a);
    assert_account(&got[1], &b);
    accounts_free(got, n);
    store_close(s);
}

static void test_every_key_type_is_kept(void **state)
{
    const enum jwk_type types[] = { JWK_TYPE_P256, JWK_TYPE_P384,
                                    JWK_TYPE_ED25519 };
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char name[] = { (char)('a' + (char)i), 0 };
        struct store_account a = small_account(name);

        a.acme.jwk = (struct jwk){ .type = types[i] };
        memset(a.acme.jwk.x, 7, types[i] == JWK_TYPE_P384 ? 48 : 32);
        if (types[i] != JWK_TYPE_ED25519)
            memset(a.acme.jwk.y, 8, types[i] == JWK_TYPE_P384 ? 48 : 32);
        assert_int_equal(store_account_add(s, &a), 0);
        assert_int_equal(store_accounts(s, &got, &n), 0);
        assert_int_equal(n, i + 1);
        assert_account(&got[i], &a);
        accounts_free(got, n);
    }
    store_close(s);
}

static void test_update_replaces_all_columns(void **state)
{
    struct store_account a = small_account("letsencrypt"), b = full_account();
    struct store *s = open_store(*state);
    struct store_account *got;
    size_t n;

    assert_int_equal(store_account_add(s, &b), 0);
    assert_int_equal(store_account_update(s, &a), 0);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_int_equal(n, 1);
    assert_account(&got[0], &a);
    accounts_free(got, n);

    assert_int_equal(store_account_update(s, &b), 0);
    assert_int_equal(store_accounts(s, &got, &n), 0);
    assert_account(&got[0], &b);
    accounts_free(got, n);
    store_close(s);
}

static void test_names_are_taken_once_and_must_exist(void **state)
{
    struct store_account a = full_account(), b = small_account("b");
    struct store *s = open_store(*state);

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &a), STORE_E_EXISTS);
    assert_int_equal(store_account_update(s, &b), STORE_E_MISSING);
    b.status = ACCOUNT_UNSET;
    assert_int_equal(store_account_add(s, &b), -EINVAL);
    b = small_account("b");
    b.acme.jwk.type = JWK_TYPE_UNSET;
    assert_int_equal(store_account_add(s, &b), -EINVAL);
    b = small_account("b");
    b.token = NULL;
    assert_int_equal(store_account_add(s, &b), -EINVAL);

    /* None of the failures has left a transaction open. */
    b = small_account("b");
    assert_int_equal(store_account_add(s, &b), 0);
    store_close(s);
}

static void test_copy_shares_nothing(void **state)
{
    struct store_account a = full_account(), b;

    (void)state;
    assert_int_equal(store_account_copy(&a, &b), 0);
    assert_account(&a, &b);
    assert_ptr_not_equal(a.acme.name, b.acme.name);
    assert_ptr_not_equal(a.contacts, b.contacts);
    store_account_deinit(&b);
    assert_null(b.acme.name);
}

static void test_status_names_go_both_ways(void **state)
{
    (void)state;
    for (int i = ACCOUNT_CREATED; i <= ACCOUNT_NEEDS_RESOLVE; i++) {
        const char *name = account_status_name((enum account_status)i);

        assert_int_equal(account_status_parse(name), i);
    }
    assert_string_equal(account_status_name(ACCOUNT_NEEDS_RESOLVE),
                        "needs-resolve");
    assert_int_equal(account_status_parse("unset"), ACCOUNT_UNSET);
    assert_int_equal(account_status_parse("Valid"), ACCOUNT_UNSET);
}

static size_t suspended(struct store *s)
{
    struct store_suspension *got;
    size_t n;

    assert_int_equal(store_suspensions(s, &got, &n), 0);
    store_suspensions_free(got, n);
    return n;
}

static void test_unsaved_suspensions_hold_until_it_is_closed(void **state)
{
    const struct store_suspension one = { "client", "7", 17, "uid 0" };
    const struct store_suspension two = { "all", NULL, 18, "uid 0" };
    struct store *s = open_store(*state);

    assert_int_equal(store_suspend_unsaved(s, &one), 0);
    assert_int_equal(store_suspend_unsaved(s, &one), 0);
    assert_int_equal(store_suspend_unsaved(s, &two), 0);
    assert_int_equal(suspended(s), 2);
    assert_int_equal(store_resume(s, "all", NULL), 0);
    assert_int_equal(store_resume(s, "all", NULL), STORE_E_MISSING);
    assert_int_equal(suspended(s), 1);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(suspended(s), 0);
    assert_int_equal(store_suspend_unsaved(s, &one), 0);
    assert_int_equal(store_suspensions_save(s), 0);
    assert_int_equal(suspended(s), 1);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(suspended(s), 1);
    store_close(s);
}

static void test_suspensions_survive_until_resumed(void **state)
{
    const struct store_suspension all = { "all", NULL, 17, "uid 0" };
    const struct store_suspension one = { "account", "letsencrypt", 18,
                                          "uid 1" };
    const struct store_suspension again = { "account", "letsencrypt", 99,
                                            "uid 2" };
    struct store_account a = full_account(), b = small_account("b");
    struct store *s = open_store(*state);
    struct store_suspension *got;
    struct store_account *accounts;
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    assert_int_equal(store_account_add(s, &b), 0);
    assert_int_equal(store_suspend(s, &all), 0);
    assert_int_equal(store_suspend(s, &one), 0);
    assert_int_equal(store_suspend(s, &again), 0);
    store_close(s);

    s = open_store(*state);
    assert_int_equal(store_suspensions(s, &got, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(got[0].scope, "account");
    assert_string_equal(got[0].name, "letsencrypt");
    assert_int_equal(got[0].since_s, 18);
    assert_string_equal(got[0].by, "uid 1");
    assert_string_equal(got[1].scope, "all");
    assert_null(got[1].name);
    store_suspensions_free(got, n);

    assert_int_equal(store_accounts(s, &accounts, &n), 0);
    assert_true(accounts[1].suspended);
    assert_false(accounts[0].suspended);
    accounts_free(accounts, n);

    assert_int_equal(store_resume(s, "account", "letsencrypt"), 0);
    assert_int_equal(store_resume(s, "account", "letsencrypt"),
                     STORE_E_MISSING);
    assert_int_equal(store_resume(s, "all", NULL), 0);
    assert_int_equal(store_suspensions(s, &got, &n), 0);
    assert_int_equal(n, 0);
    store_suspensions_free(got, n);
    store_close(s);
}

static void test_suspension_scopes_are_closed(void **state)
{
    const struct store_suspension bad[] = {
        { "everything", NULL, 1, "uid 0" },
        { "all", "letsencrypt", 1, "uid 0" },
        { "account", NULL, 1, "uid 0" },
    };
    struct store *s = open_store(*state);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(store_suspend(s, &bad[i]), -EINVAL);
    store_close(s);
}

static void test_instance_is_made_once(void **state)
{
    struct store *s = open_store(*state);
    char first[9];

    assert_int_equal(strlen(store_instance(s)), 8);
    assert_int_equal(strspn(store_instance(s), "0123456789abcdef"), 8);
    memcpy(first, store_instance(s), 9);
    store_close(s);
    s = open_store(*state);
    assert_string_equal(store_instance(s), first);
    store_close(s);
}

static void test_row_with_a_cut_key_is_corrupt(void **state)
{
    struct store_account a = full_account();
    struct store_account *got = NULL;
    struct store *s = open_store(*state);
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    store_close(s);
    sql(*state, "UPDATE account SET key_x = x'11'");
    s = open_store(*state);
    assert_int_equal(store_accounts(s, &got, &n), STORE_E_CORRUPT);
    assert_null(got);
    store_close(s);
}

static void test_half_a_proof_is_corrupt(void **state)
{
    static const char *const halves[] = {
        "UPDATE account SET proof_url = NULL",
        "UPDATE account SET proof_url = 'u', proof_thumbprint = NULL",
        "UPDATE account SET proof_thumbprint = 't', unproven_reason = NULL",
        "UPDATE account SET unproven_reason = 'r', unproven_text = NULL",
    };
    struct store_account a = full_account();
    struct store_account *got = NULL;
    struct store *s = open_store(*state);
    size_t n;

    assert_int_equal(store_account_add(s, &a), 0);
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        store_close(s);
        sql(*state, halves[i]);
        s = open_store(*state);
        assert_int_equal(store_accounts(s, &got, &n), STORE_E_CORRUPT);
        assert_null(got);
    }
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_account_survives_a_restart_whole),
        IN_DIR(test_every_key_type_is_kept),
        IN_DIR(test_update_replaces_all_columns),
        IN_DIR(test_names_are_taken_once_and_must_exist),
        cmocka_unit_test(test_copy_shares_nothing),
        cmocka_unit_test(test_status_names_go_both_ways),
        IN_DIR(test_suspensions_survive_until_resumed),
        IN_DIR(test_unsaved_suspensions_hold_until_it_is_closed),
        IN_DIR(test_suspension_scopes_are_closed),
        IN_DIR(test_instance_is_made_once),
        IN_DIR(test_row_with_a_cut_key_is_corrupt),
        IN_DIR(test_half_a_proof_is_corrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
