/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "pkcs11/pin.h"

static char dir[] = "/tmp/test-pin-XXXXXX";
static char path[64];
static char said[TOKEN_TEXT_MAX]; /* why the last one was refused */

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/pin", dir);
    return secrets_init(true, NULL);
}

static int teardown(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(dir);
}

static void put(const char *text, mode_t mode)
{
    FILE *f;

    (void)remove(path);
    f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static enum token_result get(enum settings_pin from, char *arg,
                             const char *credentials, const char *want)
{
    struct settings_token settings = { .pin = from, .pin_arg = arg };
    CLEANUP_SECRET struct secret *pin = NULL;
    struct backend_error err = { 0 };
    enum token_result r = pin_read(&settings, credentials, &pin, &err);

    memcpy(said, err.text, sizeof(said));
    if (r == TOKEN_S_OK && want) {
        assert_int_equal(pin->len, strlen(want));
        assert_memory_equal(pin->data, want, pin->len);
    } else {
        assert_null(pin);
    }
    if (r != TOKEN_S_OK)
        assert_int_not_equal(strlen(err.text), 0);
    return r;
}

static void test_a_file_is_read_without_its_newline(void **state)
{
    (void)state;
    put("1234\n", 0600);
    assert_int_equal(get(SETTINGS_PIN_FILE, path, NULL, "1234"), TOKEN_S_OK);
    put("1234", 0400);
    assert_int_equal(get(SETTINGS_PIN_FILE, path, NULL, "1234"), TOKEN_S_OK);
    put("", 0600);
    assert_int_equal(get(SETTINGS_PIN_FILE, path, NULL, NULL),
                     TOKEN_S_PIN_MISSING);
    (void)remove(path);
    assert_int_equal(get(SETTINGS_PIN_FILE, path, NULL, NULL),
                     TOKEN_S_PIN_MISSING);
}

static void test_files_of_more_than_the_owner_are_refused(void **state)
{
    static const mode_t modes[] = { 0640, 0604, 0644, 0620, 0602, 0610, 0700 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        put("1234", modes[i]);
        assert_int_equal(get(SETTINGS_PIN_FILE, path, NULL, NULL),
                         TOKEN_S_PIN_MISSING);
    }
}

static void test_only_regular_files_are_read(void **state)
{
    (void)state;
    (void)remove(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(get(SETTINGS_PIN_FILE, path, NULL, NULL),
                     TOKEN_S_PIN_MISSING);
    assert_non_null(strstr(said, "regular file"));
}

static void test_credentials_are_plain_names(void **state)
{
    char name[] = "pin";
    char up[64];
    char hidden[] = ".pin";
    char hidden_path[64];

    (void)state;
    put("5678\n", 0400);
    /* Both would be found. */
    snprintf(up, sizeof(up), "../%s/pin", strrchr(dir, '/') + 1);
    snprintf(hidden_path, sizeof(hidden_path), "%s/.pin", dir);
    assert_int_equal(link(path, hidden_path), 0);
    assert_int_equal(get(SETTINGS_PIN_CREDENTIAL, name, dir, "5678"),
                     TOKEN_S_OK);
    assert_int_equal(get(SETTINGS_PIN_CREDENTIAL, name, NULL, NULL),
                     TOKEN_S_PIN_MISSING);
    assert_int_equal(get(SETTINGS_PIN_CREDENTIAL, up, dir, NULL),
                     TOKEN_S_PIN_MISSING);
    assert_int_equal(get(SETTINGS_PIN_CREDENTIAL, hidden, dir, NULL),
                     TOKEN_S_PIN_MISSING);
    (void)remove(hidden_path);
}

static void test_none_is_no_pin(void **state)
{
    (void)state;
    assert_int_equal(get(SETTINGS_PIN_NONE, NULL, NULL, NULL), TOKEN_S_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_read_without_its_newline),
        cmocka_unit_test(test_files_of_more_than_the_owner_are_refused),
        cmocka_unit_test(test_only_regular_files_are_read),
        cmocka_unit_test(test_credentials_are_plain_names),
        cmocka_unit_test(test_none_is_no_pin),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
