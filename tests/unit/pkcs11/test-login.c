/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The PIN rules, with a token that counts what it is sent. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "pkcs11/login.h"
#include "pkcs11/pin-record.h"

struct backend {
    const char *right;
    enum token_result instead; /* of judging the PIN */
    unsigned sent;
    unsigned flags;
};

struct place {
    char dir[64];
    char pin_path[80];
    char store[80];
    struct settings_token settings;
    struct backend token;
};

static enum token_result token_login(struct backend *b,
                                     const struct secret *pin, unsigned flags,
                                     struct backend_error *err)
{
    b->sent++;
    b->flags = flags;
    if (b->instead)
        return backend_fail(err, b->instead, BACKEND_CURE_RESTART, 0x5, "x");
    if (pin->len == strlen(b->right) &&
        memcmp(pin->data, b->right, pin->len) == 0)
        return TOKEN_S_OK;
    return backend_fail(err, TOKEN_S_PIN_WRONG, BACKEND_CURE_NONE, 0xA0, "x");
}

static void write_pin(struct place *p, const char *pin)
{
    FILE *f = fopen(p->pin_path, "we");

    assert_non_null(f);
    fputs(pin, f);
    fclose(f);
    assert_int_equal(chmod(p->pin_path, 0600), 0);
}

/* A new start: nothing is remembered but on disk. */
static enum token_result start(struct place *p, bool confirmed)
{
    static const struct backend_ops ops = { .login = token_login };
    struct backend_error err = { 0 };
    struct login l;
    enum token_result r;

    login_init(&l, &p->settings, &ops, &p->token, NULL);
    r = login_first(&l, confirmed, NULL, &err);
    assert_null(strstr(err.text, "wrong-pin"));
    return r;
}

static enum token_result start_with(struct place *p, const char *pin)
{
    write_pin(p, pin);
    return start(p, false);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    strcpy(p->dir, "/tmp/test-login-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->pin_path, sizeof(p->pin_path), "%s/pin", p->dir);
    snprintf(p->store, sizeof(p->store), "%s/a/b", p->dir);
    p->settings = (struct settings_token){
        .pin = SETTINGS_PIN_FILE,
        .pin_arg = p->pin_path,
        .directory = p->store,
    };
    p->token = (struct backend){ .right = "right-pin" };
    *state = p;
    return secrets_init(true, NULL);
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct place *p = *state;

    (void)nftw(p->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

static void test_a_wrong_pin_is_sent_once(void **state)
{
    struct place *p = *state;

    for (int i = 0; i < 3; i++)
        assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 1);
    assert_int_equal(start_with(p, "wrong-pin-2"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 2);
    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 2);
}

static void test_it_stays_failed_after_a_good_one(void **state)
{
    struct place *p = *state;

    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 2);
}

static void test_the_token_is_told_that_the_pin_changed(void **state)
{
    struct place *p = *state;

    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.flags, 0);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
    assert_int_equal(p->token.flags, BACKEND_LOGIN_CHANGED);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
    assert_int_equal(p->token.flags, 0);
    assert_int_equal(start(p, true), TOKEN_S_OK);
    assert_int_equal(p->token.flags, BACKEND_LOGIN_CONFIRMED);
}

static void test_forgetting_frees_one_try(void **state)
{
    struct place *p = *state;
    struct errmsg err;

    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(pin_record_forget(p->store, &err), 0);
    assert_int_equal(start(p, true), TOKEN_S_PIN_WRONG);
    assert_int_equal(start(p, false), TOKEN_S_PIN_WRONG);
    assert_int_equal(start(p, true), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 2);
}

static void test_other_failures_leave_it_free(void **state)
{
    struct place *p = *state;

    p->token.instead = TOKEN_S_FAILED;
    for (unsigned i = 1; i < 5; i++) {
        assert_int_equal(start_with(p, "right-pin"), TOKEN_S_FAILED);
        assert_int_equal(p->token.sent, i);
    }
    p->token.instead = TOKEN_S_UNSET;
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
}

static void test_sixteen_wrong_ones_are_enough(void **state)
{
    struct place *p = *state;
    char pin[32];

    for (int i = 0; i < 16; i++) {
        snprintf(pin, sizeof(pin), "wrong-pin-%d", i);
        assert_int_equal(start_with(p, pin), TOKEN_S_PIN_WRONG);
    }
    assert_int_equal(p->token.sent, 16);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 16);
}

static void test_a_damaged_record_stops_all(void **state)
{
    struct place *p = *state;
    char path[128];

    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    snprintf(path, sizeof(path), "%s/pin-failed", p->store);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_PIN_MISSING);
    assert_int_equal(p->token.sent, 1);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_PIN_MISSING);
}

static void test_without_a_record_nothing_is_sent(void **state)
{
    struct place *p = *state;
    char nowhere[] = "/proc/no/where";

    p->settings.directory = nowhere;
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_PIN_MISSING);
    assert_int_equal(p->token.sent, 0);
}

static void test_in_a_directory_of_others_nothing_is_sent(void **state)
{
    struct place *p = *state;

    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK); /* makes it */
    for (mode_t bit = S_IWOTH; bit <= S_IWGRP; bit <<= 3) {
        assert_int_equal(chmod(p->store, 0700 | bit), 0);
        assert_int_equal(start_with(p, "right-pin"), TOKEN_S_PIN_MISSING);
    }
    assert_int_equal(p->token.sent, 1);
    assert_int_equal(chmod(p->store, 0700), 0);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
}

/* The record of a process that died while the token was asked. */
static void begin(struct place *p, const char *pin)
{
    CLEANUP_SECRET struct secret *s = NULL;
    CLEANUP_FD int fd = -1;
    struct errmsg err;

    assert_int_equal(secret_new_copy(bytes_from_str(pin), &s), 0);
    assert_int_equal(pin_record_open(p->store, &fd, &err), 0);
    assert_int_equal(pin_record_begin(fd, s, &err), 0);
}

static void test_a_try_without_an_answer_may_be_made_once_more(void **state)
{
    struct place *p = *state;

    begin(p, "wrong-pin");
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
    begin(p, "wrong-pin");
    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(p->token.sent, 1);
}

static void test_a_hang_is_no_try(void **state)
{
    struct place *p = *state;
    struct errmsg err;

    for (int i = 0; i < 4; i++) {
        begin(p, "right-pin");
        assert_int_equal(pin_record_unanswered(p->store, &err), 0);
    }
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
    begin(p, "right-pin");
    begin(p, "right-pin");
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_PIN_WRONG);
    assert_int_equal(pin_record_unanswered(p->store, &err), 0);
    assert_int_equal(start_with(p, "right-pin"), TOKEN_S_OK);
}

static void test_the_record_is_private_and_holds_no_pin(void **state)
{
    struct place *p = *state;
    char path[128];
    char text[1024] = "";
    struct stat st;
    FILE *f;

    assert_int_equal(start_with(p, "wrong-pin"), TOKEN_S_PIN_WRONG);
    snprintf(path, sizeof(path), "%s/pin-failed", p->store);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    f = fopen(path, "re");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof(text), f) > 0);
    fclose(f);
    assert_null(memmem(text, sizeof(text), "wrong", 5));
    assert_int_equal(stat(p->store, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    snprintf(path, sizeof(path), "%s/a", p->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700); /* as the folder above it */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_wrong_pin_is_sent_once),
        TEST(test_it_stays_failed_after_a_good_one),
        TEST(test_the_token_is_told_that_the_pin_changed),
        TEST(test_forgetting_frees_one_try),
        TEST(test_other_failures_leave_it_free),
        TEST(test_sixteen_wrong_ones_are_enough),
        TEST(test_a_damaged_record_stops_all),
        TEST(test_without_a_record_nothing_is_sent),
        TEST(test_in_a_directory_of_others_nothing_is_sent),
        TEST(test_a_try_without_an_answer_may_be_made_once_more),
        TEST(test_a_hang_is_no_try),
        TEST(test_the_record_is_private_and_holds_no_pin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
