/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/keycheck.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "daemon/rotate.h"
#include "fakes.h"
#include "tmp-dir.h"

#define KEYS_MAX 200

/* A token with these keys, which lists them in pages as a helper does. */
static struct world {
    struct guardian g;
    struct token_key keys[KEYS_MAX];
    uint32_t n_keys;
    struct token_key page[TOKEN_LIST_MAX];
    unsigned pages, finds, seen, done, torn_pages;
    struct jwk jwk[2];
    uint8_t spki[2][TOKEN_SPKI_MAX];
    uint32_t spki_len[2];
    int r;
    enum token_result result;
} w;

static int a_token;

static void on_list(const struct token_ask *ask)
{
    struct token_list_request request;
    uint32_t n;

    assert_int_equal(ask->data.len, sizeof(request));
    memcpy(&request, ask->data.data, sizeof(request));
    assert_true(request.skip <= w.n_keys);
    n = w.n_keys - request.skip;
    if (n > TOKEN_LIST_MAX)
        n = TOKEN_LIST_MAX;
    memcpy(w.page, w.keys + request.skip, n * sizeof(*w.page));
    w.pages++;
    if (w.torn_pages > 0) {
        w.torn_pages--;
        fakes.changes++;
    }
    fakes.answer = (struct token_answer){ .result = TOKEN_S_OK,
                                          .data = { (uint8_t *)w.page,
                                                    n * sizeof(*w.page) },
                                          .text = "" };
}

static void on_find(const struct token_ask *ask)
{
    w.finds++;
    fakes.answer =
        (struct token_answer){ .result = TOKEN_S_NO_KEY, .text = "" };
    for (uint32_t i = 0; i < w.n_keys; i++) {
        if (strcmp(w.keys[i].label, ask->label) == 0)
            fakes.answer =
                (struct token_answer){ .result = TOKEN_S_OK,
                                       .data = { (uint8_t *)&w.keys[i],
                                                 sizeof(w.keys[i]) },
                                       .text = "" };
    }
}

static void on_ask(const struct token_ask *ask)
{
    if (ask->op == TOKEN_OP_LIST)
        on_list(ask);
    else if (ask->op == TOKEN_OP_FIND)
        on_find(ask);
    else
        fail();
}

static void make_key(int which)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    uint8_t *der = w.spki[which];

    assert_non_null(key);
    w.spki_len[which] = (uint32_t)i2d_PUBKEY(key, &der);
    EVP_PKEY_free(key);
    assert_int_equal(
        jwk_from_spki((struct bytes){ w.spki[which], w.spki_len[which] },
                      &w.jwk[which]),
        0);
}

static int setup(void **state)
{
    struct errmsg e = { 0 };
    int r = tmp_dir_new(state);
    struct tmp_dir *dir = *state;

    if (r)
        return r;
    memset(&w, 0, sizeof(w));
    fakes_reset();
    fakes.on_ask = on_ask;
    w.g.audit_tried_ms = UINT64_MAX / 2; /* there is none */
    make_key(0);
    make_key(1);
    return store_open(tmp_dir_file(dir, "state"), &w.g.store, &e);
}

static int teardown(void **state)
{
    accounts_deinit(&w.g.accounts);
    store_close(w.g.store);
    return tmp_dir_free(state);
}

static void add_key(const char *label, int which)
{
    struct token_key *key = &w.keys[w.n_keys++];

    (void)snprintf(key->label, sizeof(key->label), "%s", label);
    key->alg = JWS_ALG_ES256;
    key->attrs = TOKEN_ATTR_SENSITIVE;
    key->attrs_known = TOKEN_ATTR_SENSITIVE;
    key->spki_len = w.spki_len[which];
    memcpy(key->spki, w.spki[which], key->spki_len);
}

static const char *ours(const char *rest)
{
    static char label[TOKEN_LABEL_MAX + 8];

    (void)snprintf(label, sizeof(label), "pre:%s:%s", store_instance(w.g.store),
                   rest);
    return label;
}

static struct account *add_account(const char *name, const char *label)
{
    char account_name[33], key_label[TOKEN_LABEL_MAX + 8], token[] = "hsm";
    char directory[] = "https://ca.example/directory";
    struct store_account row = { .acme = { .name = account_name,
                                           .directory_url = directory },
                                 .status = ACCOUNT_VALID,
                                 .token = token,
                                 .key_label = key_label,
                                 .generation = 1 };
    struct account *a = NULL;

    (void)snprintf(account_name, sizeof(account_name), "%s", name);
    (void)snprintf(key_label, sizeof(key_label), "%s", label);
    row.acme.jwk = w.jwk[0];
    assert_int_equal(jwk_thumbprint_text(&w.jwk[0], row.acme.thumbprint), 0);
    assert_int_equal(accounts_add(&w.g, &row, &a), 0);
    a->token = (struct token *)&a_token;
    return a;
}

static void on_key(const struct token_key *key, void *userdata)
{
    (void)key;
    (void)userdata;
    w.seen++;
}

static void on_again(void *userdata)
{
    (void)userdata;
    w.seen = 0;
}

static void on_done(const struct token_answer *a, void *userdata)
{
    (void)userdata;
    w.done++;
    w.r = a->r;
    w.result = a->result;
}

static void check(void)
{
    keycheck_start(&w.g, (struct token *)&a_token,
                   &(struct keycheck_fns){
                       .key = on_key, .again = on_again, .done = on_done });
    assert_int_equal(w.done, 1);
}

static void test_an_account_whose_key_is_there_is_fine(void **state)
{
    struct account *a;

    (void)state;
    add_key(ours("le:1"), 0);
    a = add_account("le", ours("le:1"));
    check();
    assert_int_equal(w.r, 0);
    assert_null(a->unresolved);
    assert_int_equal(w.seen, 1);
    assert_int_equal(a->row.key_attrs, TOKEN_ATTR_SENSITIVE);
}

static void test_what_does_not_agree_needs_to_be_resolved(void **state)
{
    static const struct {
        const char *label; /* on the token */
        int which;
        const char *why;
    } cases[] = {
        { NULL, 0, "is not on token" },
        { "le:1", 1, "is not the one in the registry" },
        { "le:2", 0, "generation 2" },
        { "other:1", 0, "is not on token" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct account *a;

        print_message("%s\n", cases[i].why);
        if (i > 0) {
            teardown(state);
            assert_int_equal(setup(state), 0);
        }
        if (strcmp(cases[i].why, "generation 2") == 0)
            add_key(ours("le:1"), 0);
        if (cases[i].label)
            add_key(ours(cases[i].label), cases[i].which);
        a = add_account("le", ours("le:1"));
        check();
        assert_non_null(a->unresolved);
        assert_non_null(strstr(a->unresolved, cases[i].why));
        assert_int_equal(account_status(a), ACCOUNT_NEEDS_RESOLVE);
    }
}

/* A rotation of @a to generation 2, whose key is the second. */
static void rotate(struct account *a, enum rotation_state state, bool made)
{
    struct buf jwk[2] = { { 0 }, { 0 } };
    char old_label[TOKEN_LABEL_MAX + 8], new_label[TOKEN_LABEL_MAX + 8];
    char by[] = "uid 0", thumbprint[JWK_THP_TEXT_LEN + 1];
    struct store_rotation x = { .account = a->row.acme.name,
                                .old_token = a->row.token,
                                .new_token = a->row.token,
                                .by = by,
                                .old_label = old_label,
                                .old_thumbprint = a->row.acme.thumbprint,
                                .new_label = new_label,
                                .state = state,
                                .old_generation = 1,
                                .new_generation = 2 };
    struct rotation *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    (void)snprintf(old_label, sizeof(old_label), "%s", ours("le:1"));
    (void)snprintf(new_label, sizeof(new_label), "%s", ours("le:2"));
    for (int i = 0; i < 2; i++)
        assert_int_equal(jwk_format(&w.jwk[i], &jwk[i]), 0);
    assert_int_equal(jwk_thumbprint_text(&w.jwk[1], thumbprint), 0);
    x.old_jwk = (char *)(uintptr_t)buf_str(&jwk[0]);
    if (made) {
        x.new_jwk = (char *)(uintptr_t)buf_str(&jwk[1]);
        x.new_thumbprint = thumbprint;
        r->new_key = w.jwk[1];
    }
    assert_int_equal(store_rotation_copy(&x, &r->row), 0);
    r->account = a;
    r->guardian = &w.g;
    a->rotation = r;
    buf_deinit(&jwk[0]);
    buf_deinit(&jwk[1]);
}

static void test_a_rotation_knows_two_generations(void **state)
{
    static const struct {
        enum rotation_state state;
        int on_token; /* generation 2: 0 no, 1 its key, 2 another key */
        const char *why;
    } cases[] = {
        { ROTATION_PLANNED, 1, NULL },
        { ROTATION_KEY_GENERATED, 1, NULL },
        { ROTATION_DRAINING, 1, NULL },
        { ROTATION_DRAINING, 0, NULL }, /* it will not come to switching */
        { ROTATION_SWITCHING, 1, NULL },
        { ROTATION_SWITCHING, 0, "that it is rotated to is not on token" },
        { ROTATION_UNRESOLVED, 1, NULL },
        { ROTATION_UNRESOLVED, 2, "that it is rotated to is not on token" },
        { ROTATION_ABORTING, 1, NULL },
        { ROTATION_ABORTED, 1, "generation 2" },
        { ROTATION_DONE, 1, "generation 2" }, /* of a registry from before */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct account *a;

        print_message("%s, %d\n", rotation_state_name(cases[i].state),
                      cases[i].on_token);
        if (i > 0) {
            teardown(state);
            assert_int_equal(setup(state), 0);
        }
        add_key(ours("le:1"), 0);
        if (cases[i].on_token)
            add_key(ours("le:2"), cases[i].on_token == 1 ? 1 : 0);
        a = add_account("le", ours("le:1"));
        rotate(a, cases[i].state, cases[i].state != ROTATION_PLANNED);
        check();
        if (!cases[i].why) {
            assert_null(a->unresolved);
            continue;
        }
        assert_non_null(a->unresolved);
        assert_non_null(strstr(a->unresolved, cases[i].why));
    }
}

/* It is not among those that are listed as ours. */
static void test_a_key_that_others_named_is_not_missed(void **state)
{
    static const enum rotation_state states[] = { ROTATION_SWITCHING,
                                                  ROTATION_UNRESOLVED };

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct account *a;

        if (i > 0) {
            teardown(state);
            assert_int_equal(setup(state), 0);
        }
        add_key(ours("le:1"), 0);
        a = add_account("le", ours("le:1"));
        rotate(a, states[i], true);
        a->rotation->row.new_foreign = true;
        check();
        assert_null(a->unresolved);
    }
}

static void test_a_rotation_knows_no_third_generation(void **state)
{
    struct account *a;

    (void)state;
    add_key(ours("le:1"), 0);
    add_key(ours("le:3"), 1);
    a = add_account("le", ours("le:1"));
    rotate(a, ROTATION_DRAINING, true);
    check();
    assert_non_null(a->unresolved);
    assert_non_null(strstr(a->unresolved, "generation 3"));
}

static void test_another_instances_keys_are_nobodys_business(void **state)
{
    struct account *a;

    (void)state;
    add_key(ours("le:1"), 0);
    add_key("pre:ffffffff:le:2", 1);
    add_key("other:ffffffff:le:3", 1);
    a = add_account("le", ours("le:1"));
    check();
    assert_null(a->unresolved);
    assert_int_equal(w.seen, 1);
}

static void test_a_key_with_a_name_of_its_own_is_found_by_it(void **state)
{
    struct account *a;

    (void)state;
    add_key("from-the-team", 0);
    a = add_account("le", "from-the-team");
    check();
    assert_null(a->unresolved);
    assert_int_equal(w.finds, 1);
    /* and missed by it */
    w.done = 0;
    w.n_keys = 0;
    a->token = (struct token *)&a_token; /* the guardian here has no tokens */
    check();
    assert_non_null(a->unresolved);
    assert_int_equal(w.r, 0);
}

static void test_what_is_there_again_needs_nobody(void **state)
{
    struct account *a;

    (void)state;
    a = add_account("le", ours("le:1"));
    check();
    assert_non_null(a->unresolved);
    add_key(ours("le:1"), 0);
    w.done = 0;
    check();
    assert_null(a->unresolved);
}

static void test_many_keys_come_in_pages(void **state)
{
    struct account *a;
    char rest[32];

    (void)state;
    for (unsigned i = 0; i < 2 * TOKEN_LIST_MAX; i++) {
        (void)snprintf(rest, sizeof(rest), "a%u:1", i);
        add_key(ours(rest), 1);
    }
    add_key(ours("le:1"), 0);
    a = add_account("le", ours("le:1"));
    check();
    assert_null(a->unresolved);
    assert_int_equal(w.pages, 3);
    assert_int_equal(w.seen, 2 * TOKEN_LIST_MAX + 1);
}

/* A page may have been missed: what they say together is nobody's token. */
static void test_keys_that_come_meanwhile_are_looked_at_again(void **state)
{
    struct account *a;

    (void)state;
    add_key(ours("le:1"), 0);
    a = add_account("le", ours("le:1"));
    w.torn_pages = 2;
    check();
    assert_int_equal(w.r, 0);
    assert_null(a->unresolved);
    assert_int_equal(w.pages, 3);
    assert_int_equal(w.seen, 1);
}

static void test_keys_that_never_stay_prove_nothing(void **state)
{
    struct account *a;

    (void)state;
    a = add_account("le", ours("le:1"));
    w.torn_pages = 100;
    check();
    assert_int_equal(w.r, -EBUSY);
    assert_null(a->unresolved);
}

static void switched_meanwhile(const struct token_ask *ask)
{
    struct account *a = w.g.accounts.items[0];
    struct store_account row = a->row;

    on_ask(ask);
    if (a->row.generation > 1)
        return;
    row.acme.jwk = w.jwk[1];
    assert_int_equal(jwk_thumbprint_text(&w.jwk[1], row.acme.thumbprint), 0);
    row.key_label = (char *)(uintptr_t)ours("le:2");
    row.generation = 2;
    assert_int_equal(accounts_update(&w.g, a, &row), 0);
}

static void test_a_switch_meanwhile_is_no_disagreement(void **state)
{
    struct account *a;

    (void)state;
    fakes.on_ask = switched_meanwhile;
    add_key(ours("le:2"), 1);
    a = add_account("le", ours("le:1"));
    check();
    assert_int_equal(w.r, 0);
    assert_null(a->unresolved);
    assert_int_equal(w.pages, 2);
}

static void no_token(const struct token_ask *ask)
{
    (void)ask;
    fakes.answer =
        (struct token_answer){ .result = TOKEN_S_NO_TOKEN, .text = "" };
}

/* Not knowing is no reason to think that a key is gone. */
static void test_a_token_that_does_not_answer_changes_nothing(void **state)
{
    struct account *a;

    (void)state;
    fakes.on_ask = no_token;
    a = add_account("le", ours("le:1"));
    check();
    assert_int_equal(w.result, TOKEN_S_NO_TOKEN);
    assert_null(a->unresolved);
}

static void (*answered)(const struct token_ask *ask);

static void replaced(const struct token_ask *ask)
{
    answered(ask);
    fakes.connection++;
}

/* Half of what it saw may have been another token. */
static void
test_a_helper_that_is_replaced_meanwhile_proves_nothing(void **state)
{
    struct account *a;

    (void)state;
    answered = fakes.on_ask;
    fakes.on_ask = replaced;
    add_key(ours("le:1"), 0);
    a = add_account("le", ours("le:1"));
    add_account("other", ours("other:1"));
    account_set_unresolved(&w.g, a, "what was known before");
    check();
    assert_int_equal(w.r, -ESTALE);
    assert_string_equal(a->unresolved, "what was known before");
}

#define CHECK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(test_an_account_whose_key_is_there_is_fine),
        CHECK_TEST(test_what_does_not_agree_needs_to_be_resolved),
        CHECK_TEST(test_a_rotation_knows_two_generations),
        CHECK_TEST(test_a_key_that_others_named_is_not_missed),
        CHECK_TEST(test_a_rotation_knows_no_third_generation),
        CHECK_TEST(test_another_instances_keys_are_nobodys_business),
        CHECK_TEST(test_a_key_with_a_name_of_its_own_is_found_by_it),
        CHECK_TEST(test_what_is_there_again_needs_nobody),
        CHECK_TEST(test_many_keys_come_in_pages),
        CHECK_TEST(test_keys_that_come_meanwhile_are_looked_at_again),
        CHECK_TEST(test_keys_that_never_stay_prove_nothing),
        CHECK_TEST(test_a_switch_meanwhile_is_no_disagreement),
        CHECK_TEST(test_a_token_that_does_not_answer_changes_nothing),
        CHECK_TEST(test_a_helper_that_is_replaced_meanwhile_proves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
