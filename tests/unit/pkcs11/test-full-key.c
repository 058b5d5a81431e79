/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pkcs11/full-key.h"

/* A token that makes short keys so many times. */
struct backend_session {
    unsigned shorts, made, destroyed;
    enum token_result destroys;
};

static struct token_key key_of(enum token_alg alg, uint32_t len)
{
    struct token_key key = { .alg = alg, .spki_len = len };

    memset(key.spki, 0x55, sizeof(key.spki));
    return key;
}

static enum token_result generate(struct backend_session *s, const char *label,
                                  enum token_alg alg, unsigned rsa_bits,
                                  struct backend_key *ret,
                                  struct backend_error *reterr)
{
    (void)label;
    (void)rsa_bits;
    (void)reterr;
    assert_int_equal(s->made, s->destroyed); /* the label is free */
    *ret = (struct backend_key){ .key = key_of(alg, 91) };
    if (s->made++ < s->shorts)
        ret->key.spki[91 - 32] = 0;
    return TOKEN_S_OK;
}

static enum token_result destroy(struct backend_session *s,
                                 const struct backend_key *key,
                                 struct backend_error *reterr)
{
    (void)key;
    (void)reterr;
    s->destroyed++;
    return s->destroys;
}

static const struct backend_ops ops = { .generate = generate,
                                        .destroy = destroy };

static enum token_result make(struct backend_session *s, enum token_alg alg,
                              struct backend_key *ret)
{
    struct backend_error err;

    return full_key_generate(&ops, s, "k", alg, 0, false, ret, &err);
}

static void test_a_short_key_does_not_stay(void **state)
{
    struct backend_session s = { .shorts = 2, .destroys = TOKEN_S_OK };
    struct backend_key key;

    (void)state;
    assert_int_equal(make(&s, TOKEN_ALG_ES256, &key), TOKEN_S_OK);
    assert_true(full_key_is(&key.key));
    assert_int_equal(s.made, 3);
    assert_int_equal(s.destroyed, 2);
    s = (struct backend_session){ .shorts = 2, .destroys = TOKEN_S_OK };
    assert_int_equal(make(&s, TOKEN_ALG_RS256, &key), TOKEN_S_OK);
    assert_int_equal(s.made, 1);
}

static void test_the_first_stays_where_none_may_be_destroyed(void **state)
{
    struct backend_session s = { .shorts = 2, .destroys = TOKEN_S_OK };
    struct backend_error err;
    struct backend_key key;

    (void)state;
    assert_int_equal(
        full_key_generate(&ops, &s, "k", TOKEN_ALG_ES256, 0, true, &key, &err),
        TOKEN_S_OK);
    assert_false(full_key_is(&key.key));
    assert_int_equal(s.made, 1);
    assert_int_equal(s.destroyed, 0);
}

static void test_a_token_that_cannot_do_it(void **state)
{
    struct backend_session s = { .shorts = 1000, .destroys = TOKEN_S_OK };
    struct backend_key key;

    (void)state;
    assert_int_equal(make(&s, TOKEN_ALG_ES256, &key), TOKEN_S_KEY_UNFIT);
    assert_int_equal(s.made, FULL_KEY_TRIES);
    assert_int_equal(s.destroyed, FULL_KEY_TRIES);
    s = (struct backend_session){ .shorts = 1000, .destroys = TOKEN_S_FULL };
    assert_int_equal(make(&s, TOKEN_ALG_ES256, &key), TOKEN_S_FULL);
    assert_int_equal(s.made, 1);
}

static void test_where_a_zero_octet_matters(void **state)
{
    static const struct {
        enum token_alg alg;
        uint32_t len, at;
        bool full;
    } rows[] = {
        { TOKEN_ALG_ES256, 91, 91 - 64, false },
        { TOKEN_ALG_ES256, 91, 91 - 32, false },
        { TOKEN_ALG_ES256, 91, 91 - 63, true },
        { TOKEN_ALG_ES256, 91, 91 - 65, true },
        { TOKEN_ALG_ES256, 91, 90, true },
        { TOKEN_ALG_ES384, 120, 120 - 96, false },
        { TOKEN_ALG_ES384, 120, 120 - 48, false },
        { TOKEN_ALG_ES384, 120, 120 - 64, true },
        { TOKEN_ALG_RS256, 294, 294 - 64, true },
        { TOKEN_ALG_EDDSA, 44, 44 - 32, true },
        { TOKEN_ALG_ES256, 10, 0, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct token_key key = key_of(rows[i].alg, rows[i].len);

        assert_true(full_key_is(&key));
        key.spki[rows[i].at] = 0;
        assert_int_equal(full_key_is(&key), rows[i].full);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_short_key_does_not_stay),
        cmocka_unit_test(test_the_first_stays_where_none_may_be_destroyed),
        cmocka_unit_test(test_a_token_that_cannot_do_it),
        cmocka_unit_test(test_where_a_zero_octet_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
