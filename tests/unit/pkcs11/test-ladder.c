/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "pkcs11/ladder.h"

/* A token by script: each letter is what the next try of the work, the reset or
 * the login gives: '.' OK, 'n' no key, 's' session, 'l' login, 'r' restart. */
struct script {
    const char *work, *reset, *login;
    unsigned n_work, n_reset, n_login;
};

struct backend {
    struct script *script;
};

struct backend_session {
    struct script *script;
};

static enum token_result play(char what, struct backend_error *err)
{
    static const struct {
        char what;
        enum token_result result;
        enum backend_cure cure;
    } rows[] = {
        { 'n', TOKEN_S_NO_KEY, BACKEND_CURE_NONE },
        { 'f', TOKEN_S_FULL, BACKEND_CURE_NONE },
        { 'w', TOKEN_S_PIN_WRONG, BACKEND_CURE_NONE },
        { 's', TOKEN_S_FAILED, BACKEND_CURE_SESSION },
        { 'l', TOKEN_S_FAILED, BACKEND_CURE_LOGIN },
        { 'r', TOKEN_S_FAILED, BACKEND_CURE_RESTART },
    };

    if (what == '.')
        return TOKEN_S_OK;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].what == what)
            return backend_fail(err, rows[i].result, rows[i].cure, 0, "%c",
                                what);
    }
    fail_msg("the script ended too early: '%c'", what);
    return TOKEN_S_UNSET;
}

static enum token_result work(void *userdata, struct backend_error *err)
{
    struct script *s = userdata;

    return play(s->work[s->n_work++], err);
}

static enum token_result reset(struct backend_session *session,
                               struct backend_error *err)
{
    return play(session->script->reset[session->script->n_reset++], err);
}

static enum token_result login(struct backend *b, const struct secret *pin,
                               unsigned flags, struct backend_error *err)
{
    assert_null(pin);
    assert_int_equal(flags, 0);
    return play(b->script->login[b->script->n_login++], err);
}

static enum token_result run(struct script *script, struct backend_error *err)
{
    static const struct backend_ops ops = { .session_reset = reset,
                                            .login = login };
    static const struct settings_token settings = { .pin = SETTINGS_PIN_NONE };
    struct backend backend = { script };
    struct backend_session session = { script };
    struct login l;
    struct ladder ladder = { .ops = &ops, .session = &session, .login = &l };

    login_init(&l, &settings, &ops, &backend, NULL);
    *err = (struct backend_error){ 0 };
    return ladder_run(&ladder, work, script, err);
}

static void test_each_step_is_taken_once(void **state)
{
    static const struct {
        const char *work, *reset, *login; /* all of it has to be used up */
        enum token_result result;
        bool exits;
    } rows[] = {
        { ".", "", "", TOKEN_S_OK, false },
        { "n", "", "", TOKEN_S_NO_KEY, false },
        { "s.", ".", "", TOKEN_S_OK, false },
        { "sn", ".", "", TOKEN_S_NO_KEY, false },
        { "ss", ".", "", TOKEN_S_FAILED, true },
        { "sr", ".", "", TOKEN_S_FAILED, true },
        { "s", "s", "", TOKEN_S_FAILED, true },
        { "s", "f", "", TOKEN_S_FULL, true },
        { "l.", ".", ".", TOKEN_S_OK, false },
        { "ln", ".", ".", TOKEN_S_NO_KEY, false },
        { "sl.", "..", ".", TOKEN_S_OK, false },
        { "s.", "l.", ".", TOKEN_S_OK, false },
        { "ls", ".", ".", TOKEN_S_FAILED, true },
        { "ll", ".", ".", TOKEN_S_FAILED, true },
        { "l", "l", ".", TOKEN_S_FAILED, true },
        { "l", "", "w", TOKEN_S_PIN_WRONG, true },
        { "l", "", "r", TOKEN_S_FAILED, true },
        { "r", "", "", TOKEN_S_FAILED, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct script s = { .work = rows[i].work,
                            .reset = rows[i].reset,
                            .login = rows[i].login };
        struct backend_error err;
        enum token_result r = run(&s, &err);
        bool exits = r != TOKEN_S_OK && err.cure == BACKEND_CURE_RESTART;

        if (r != rows[i].result || exits != rows[i].exits ||
            s.n_work != strlen(s.work) || s.n_reset != strlen(s.reset) ||
            s.n_login != strlen(s.login))
            fail_msg("row %zu (%s): result %d, exits %d, %u works, %u resets, "
                     "%u logins",
                     i, s.work, r, exits, s.n_work, s.n_reset, s.n_login);
        if (!exits && r != TOKEN_S_OK)
            assert_int_equal(err.cure, BACKEND_CURE_NONE);
    }
}

static void test_another_threads_login_counts(void **state)
{
    static const struct backend_ops ops = { .login = login };
    static const struct settings_token settings = { .pin = SETTINGS_PIN_NONE };
    struct script script = { .login = "..." };
    struct backend backend = { &script };
    struct backend_error err;
    struct login l;
    unsigned seen;

    (void)state;
    login_init(&l, &settings, &ops, &backend, NULL);
    seen = login_generation(&l);
    assert_int_equal(login_again(&l, seen, &err), TOKEN_S_OK);
    assert_int_equal(login_again(&l, seen, &err), TOKEN_S_OK);
    assert_int_equal(script.n_login, 1);
    assert_int_equal(login_again(&l, login_generation(&l), &err), TOKEN_S_OK);
    assert_int_equal(script.n_login, 2);
}

static void test_nobody_is_asked_for_a_pin_in_between(void **state)
{
    static const struct backend_ops ops = { .login = login };
    static const struct settings_token settings = { .pin = SETTINGS_PIN_ASK };
    struct script script = { .login = "" };
    struct backend backend = { &script };
    struct backend_error err;
    struct login l;

    (void)state;
    login_init(&l, &settings, &ops, &backend, NULL);
    assert_int_equal(login_again(&l, 0, &err), TOKEN_S_FAILED);
    assert_int_equal(err.cure, BACKEND_CURE_RESTART);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_step_is_taken_once),
        cmocka_unit_test(test_another_threads_login_counts),
        cmocka_unit_test(test_nobody_is_asked_for_a_pin_in_between),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
