/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "acme/persist.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/publish-own.h"
#include "client-shim/records-ours.h"

/* Whose a published value is, and which of them may be removed. */

const struct ctl_command *const ctl_commands[] = { NULL };

#define URL "https://ca.example/acct/1"
#define BOUND_URL "https://bound.example/acct/2"
#define PREFIX "https://bound.example/hash/"
#define T_NOW "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define T_OLD "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"
#define T_NEVER "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA"

static const char accounts_text[] =
    "{\"le\": {\"url\": \"" URL "\", \"thumbprint\": \"" T_NOW
    "\", \"status\": \"valid\", \"meta\": null},"
    "\"bound\": {\"url\": \"" BOUND_URL "\", \"thumbprint\": \"" T_NOW
    "\", \"status\": \"valid\", \"meta\": {\"accountHashPrefix\": \"" PREFIX
    "\"}},"
    "\"twin\": {\"url\": \"" URL "\", \"status\": \"valid\"},"
    "\"new\": {\"url\": null, \"status\": \"new\"}}";
static const char keys_text[] =
    "[{\"account\": \"bound\", \"thumbprint\": \"" T_NOW "\"},"
    "{\"account\": \"bound\", \"thumbprint\": \"" T_OLD "\"},"
    "{\"account\": \"le\", \"thumbprint\": \"" T_NEVER "\"}, {}]";

struct place {
    json_t *accounts, *keys;
    struct ours ours;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    if (!p)
        return -1;
    *state = p;
    p->accounts = json_loads(accounts_text, 0, NULL);
    p->keys = json_loads(keys_text, 0, NULL);
    return ours_init(&p->ours, p->accounts, p->keys);
}

static int tear_down(void **state)
{
    struct place *p = *state;

    ours_deinit(&p->ours);
    json_decref(p->accounts);
    json_decref(p->keys);
    free(p);
    return 0;
}

static const char *bound(const char *domain, const char *thumbprint)
{
    static struct buf b;
    struct refusal refusal;

    buf_clear(&b);
    assert_int_equal(
        persist_accounturi(PREFIX, domain, thumbprint, BOUND_URL, &b, &refusal),
        0);
    return buf_str(&b);
}

static enum ours_kind judge(const struct place *p, const char *uri,
                            const char *account)
{
    const struct ours_account *a;
    enum ours_kind kind;

    assert_int_equal(ours_judge(&p->ours, "example.com", uri, &kind, &a), 0);
    if (account)
        assert_string_equal(a->name, account);
    else
        assert_null(a);
    return kind;
}

static void test_whose_it_is(void **state)
{
    const struct place *p = *state;

    assert_int_equal(judge(p, URL, "le"), OURS_NOW);
    assert_int_equal(judge(p, URL "0", NULL), OURS_NOT);
    assert_int_equal(judge(p, BOUND_URL, "bound"), OURS_OTHER_FORM);
    assert_int_equal(judge(p, bound("example.com", T_NOW), "bound"), OURS_NOW);
    assert_int_equal(judge(p, bound("*", T_NOW), "bound"), OURS_REUSABLE);
    assert_int_equal(judge(p, bound("example.com", T_OLD), "bound"),
                     OURS_EARLIER);
    assert_int_equal(judge(p, bound("*", T_OLD), "bound"), OURS_EARLIER);
    assert_int_equal(judge(p, bound("example.com", T_NEVER), NULL), OURS_NOT);
    assert_int_equal(judge(p, bound("www.example.com", T_NOW), NULL), OURS_NOT);
    assert_non_null(ours_prefix_of(&p->ours, bound("a.example", T_NEVER)));
    assert_null(ours_prefix_of(&p->ours, URL));
}

static void test_accounts_that_share_a_url(void **state)
{
    const struct place *p = *state;

    assert_string_equal(
        ours_same_url(&p->ours, ours_find(&p->ours, "le"))->name, "twin");
    assert_null(ours_same_url(&p->ours, ours_find(&p->ours, "bound")));
    assert_null(ours_same_url(&p->ours, ours_find(&p->ours, "new")));
    assert_null(ours_find(&p->ours, "nobody"));
}

static struct kept_value record(const char *domain)
{
    static char issuer[] = "ca.example", name[16];

    (void)snprintf(name, sizeof(name), "%s", domain);
    return (struct kept_value){ .issuer = issuer, .domain = name };
}

static bool removes(struct publish_own *o, const char *issuer, const char *uri)
{
    struct buf b = { 0 };
    bool yes;

    assert_int_equal(
        buf_printf(&b, "%s; accounturi=%s; policy=wildcard", issuer, uri), 0);
    yes = publish_own_has(buf_bytes(&b), o);
    buf_deinit(&b);
    return yes;
}

static void test_what_publish_replaces(void **state)
{
    CLEANUP_PUBLISH_OWN struct publish_own o = { 0 };
    const struct place *p = *state;
    const struct kept_value v = record("example.com");
    const struct ours_account *a = ours_find(&p->ours, "bound");

    assert_false(removes(&o, "ca.example", BOUND_URL));
    assert_int_equal(publish_own_add_value(&o, a, &v, false), 0);
    assert_int_equal(publish_own_add_value(&o, a, &v, false), 0);
    publish_own_sort(&o);
    assert_int_equal(o.n, 2);
    assert_true(removes(&o, "ca.example", bound("example.com", T_NOW)));
    assert_true(removes(&o, "CA.Example", bound("*", T_NOW)));
    assert_false(removes(&o, "b.example", bound("example.com", T_NOW)));
    assert_false(removes(&o, "ca.example", bound("www.example.com", T_NOW)));
    /* Make before break. */
    assert_false(removes(&o, "ca.example", bound("example.com", T_OLD)));
    assert_false(removes(&o, "ca.example", BOUND_URL));
    assert_false(removes(&o, "ca.example", URL));
    assert_false(publish_own_has(
        bytes_from_str("ca.example; accounturi=" BOUND_URL "; x"), &o));
}

static void test_what_remove_old_removes(void **state)
{
    CLEANUP_PUBLISH_OWN struct publish_own o = { 0 };
    const struct place *p = *state;
    const struct kept_value v = record("example.com");

    assert_int_equal(
        publish_own_add_value(&o, ours_find(&p->ours, "bound"), &v, true), 0);
    publish_own_sort(&o);
    assert_true(removes(&o, "ca.example", bound("example.com", T_OLD)));
    assert_true(removes(&o, "ca.example", BOUND_URL));
    assert_false(removes(&o, "ca.example", bound("example.com", T_NOW)));
    assert_false(removes(&o, "ca.example", bound("example.com", T_NEVER)));
}

static void test_what_revoke_removes(void **state)
{
    CLEANUP_PUBLISH_OWN struct publish_own o = { 0 };
    const struct place *p = *state;

    for (size_t i = 0; i < p->ours.n; i++)
        assert_int_equal(
            publish_own_add_account(&o, &p->ours.items[i], "example.com"), 0);
    publish_own_sort(&o);
    assert_true(removes(&o, "any.example", URL));
    assert_true(removes(&o, "any.example", BOUND_URL));
    assert_true(removes(&o, "any.example", bound("example.com", T_NOW)));
    assert_true(removes(&o, "any.example", bound("*", T_OLD)));
    assert_false(removes(&o, "any.example", bound("example.com", T_NEVER)));
    assert_false(removes(&o, "any.example", URL "0"));
}

#define T_NEXT "DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDA"

/* The key that a rotation will give the account lies on the token as earlier
 * ones do, and its records are in DNS before it is the account's. */
static void test_the_key_that_is_next(void **state)
{
    static const char text[] =
        "[{\"account\": \"bound\", \"newThumbprint\": \"" T_OLD
        "\", \"over\": false}, {\"account\": \"le\", \"newThumbprint\": "
        "\"" T_NEXT "\", \"over\": true}, {\"account\": \"twin\"}, {}]";
    CLEANUP_PUBLISH_OWN struct publish_own now = { 0 };
    CLEANUP_PUBLISH_OWN struct publish_own old = { 0 };
    CLEANUP_PUBLISH_OWN struct publish_own all = { 0 };
    CLEANUP_CTL_JSON json_t *rotations = json_loads(text, 0, NULL);
    struct place *p = *state;
    const struct kept_value v = record("example.com");
    const struct ours_account *a = ours_find(&p->ours, "bound");

    assert_int_equal(judge(p, bound("example.com", T_OLD), "bound"),
                     OURS_EARLIER);
    ours_take_rotations(&p->ours, rotations);
    assert_null(ours_find(&p->ours, "le")->next);
    assert_int_equal(judge(p, bound("example.com", T_OLD), "bound"), OURS_NEXT);
    assert_int_equal(judge(p, bound("*", T_OLD), "bound"), OURS_NEXT);
    assert_int_equal(publish_own_add_value(&now, a, &v, false), 0);
    assert_int_equal(publish_own_add_value(&old, a, &v, true), 0);
    assert_int_equal(publish_own_add_account(&all, a, "example.com"), 0);
    publish_own_sort(&now);
    publish_own_sort(&old);
    publish_own_sort(&all);
    assert_false(removes(&now, "ca.example", bound("example.com", T_OLD)));
    assert_false(removes(&old, "ca.example", bound("example.com", T_OLD)));
    assert_true(removes(&all, "ca.example", bound("example.com", T_OLD)));
}

static void test_what_a_key_stands_for(void **state)
{
    CLEANUP_PUBLISH_OWN struct publish_own o = { 0 };

    (void)state;
    assert_int_equal(
        publish_own_add_key(&o, PREFIX, BOUND_URL, "example.com", T_OLD), 0);
    publish_own_sort(&o);
    assert_true(removes(&o, "any.example", bound("example.com", T_OLD)));
    assert_true(removes(&o, "any.example", bound("*", T_OLD)));
    assert_false(removes(&o, "any.example", bound("example.com", T_NOW)));
    assert_false(removes(&o, "any.example", bound("www.example.com", T_OLD)));
    assert_false(removes(&o, "any.example", BOUND_URL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whose_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_accounts_that_share_a_url, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_key_that_is_next, set_up,
                                        tear_down),
        cmocka_unit_test(test_what_a_key_stands_for),
        cmocka_unit_test_setup_teardown(test_what_publish_replaces, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_remove_old_removes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_revoke_removes, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
