/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings-diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/settings-value.h"

static const char *const others[][3] = {
    { "Guardian", "StateDirectory", "/s" },
    { "Guardian", "LogDirectory", "/l" },
    { "Guardian", "ClientSocket", "/c" },
    { "Guardian", "AdminSocket", "/a" },
    { "Guardian", "AllowSwappableSecrets", "yes" },
    { "Guardian", "ConnectionsPerUser", "3" },
    { "Guardian", "RequestsPerUser", "3" },
    { "Guardian", "RequestsPerMinute", "3" },
    { "Guardian", "AuditSync", "group" },
    { "Guardian", "AuditMaxSize", "1M" },
    { "Guardian", "AuditKeep", "3" },
    { "Guardian", "AuditReserve", "1M" },
    { "Token t", "Backend", "libp11" },
    { "Token t", "Module", "/other.so" },
    { "Token t", "Token", "pkcs11:token=other" },
    { "Token t", "Pin", "file:/other" },
    { "Token t", "Timeout", "3s" },
    { "Token t", "Sessions", "3" },
    { "Token t", "Processes", "3" },
    { "Token t", "Environment", "A=1" },
    { "Token t", "InitArgs", "x" },
    { "Token t", "KeyPrefix", "other" },
    { "Token t", "VerifySignatures", "all" },
    { "Token t", "SystemCalls", "ptrace" },
    { "Token t", "SystemCalls", "all" },
    { "Token t", "WritableCode", "yes" },
    { "Token t", "Directory", "/d" },
    { "Token t", "HelperSocket", "/h" },
    { "Lacme l", "Account", "other" },
    { "Lacme l", "Socket", "/lacme" },
    { "Lacme l", "Owner", "root" },
};

static char dir[64], conf[96];

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/test-diff-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(conf, sizeof(conf), "%s/guardian.conf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(conf);
    return rmdir(dir);
}

static struct settings *load(const char *text)
{
    struct settings *s = NULL;
    struct errmsg e = { 0 };
    FILE *f = fopen(conf, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(conf, 0644), 0);
    if (settings_load(dir, &s, &e))
        fail_msg("%s", e.text);
    return s;
}

#define TOKEN "Module=/m.so\nToken=pkcs11:token=a\nPin=file:/pin\n"

/* The base, with @line in @section. */
static struct settings *load_with(const char *section, const char *line)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "[Guardian]\n%s\n[Token t]\n" TOKEN "%s\n[Lacme l]\n%s\n",
                   strcmp(section, "Guardian") == 0 ? line : "",
                   strcmp(section, "Token t") == 0 ? line : "",
                   strcmp(section, "Lacme l") == 0 ? line : "");
    return load(text);
}

/* Joined by ", ". */
static void check(const struct settings *a, const struct settings *b,
                  const char *expected)
{
    CLEANUP_BUF struct buf have = { 0 };
    char **list = NULL;

    assert_int_equal(settings_diff(a, b, &list), 0);
    for (char **w = list; w && *w; w++)
        assert_int_equal(buf_printf(&have, "%s%s", w == list ? "" : ", ", *w),
                         0);
    settings_strv_free(list);
    assert_string_equal(buf_str(&have), expected);
}

static void test_each_key_is_told(void **state)
{
    CLEANUP_SETTINGS struct settings *base = load_with("", "");

    (void)state;
    check(base, base, "");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        CLEANUP_SETTINGS struct settings *s = NULL;
        char line[128], expected[128];

        (void)snprintf(line, sizeof(line), "%s=%s", others[i][1], others[i][2]);
        (void)snprintf(expected, sizeof(expected), "[%s] %s=", others[i][0],
                       others[i][1]);
        print_message("%s\n", expected);
        s = load_with(others[i][0], line);
        if (strcmp(others[i][1], "StateDirectory") == 0 ||
            strcmp(others[i][1], "HelperSocket") == 0)
            continue; /* moves the token's directory, too: below */
        check(base, s, expected);
        check(s, base, expected);
    }
}

static void test_a_default_that_follows_is_told(void **state)
{
    CLEANUP_SETTINGS struct settings *base = load_with("", "");
    CLEANUP_SETTINGS struct settings *s = NULL;

    (void)state;
    s = load_with("Guardian", "StateDirectory=/s");
    check(base, s, "[Guardian] StateDirectory=, [Token t] Directory=");
    settings_free(s);
    s = load_with("Token t", "HelperSocket=/h");
    check(base, s, "[Token t] Directory=, [Token t] HelperSocket=");
}

/* Who adds a key says here what becomes of it at a reload. */
static void test_no_key_is_forgotten(void **state)
{
    (void)state;
    for (const struct config_schema *s = settings_schema; s->section; s++) {
        if (strcmp(s->section, "Roles") == 0 || strcmp(s->section, "Deny") == 0)
            continue;
        for (const char *const *key = s->keys; *key; key++) {
            bool found = false;

            for (size_t i = 0; !found && i < ARRAY_LEN(others); i++)
                found =
                    strcmp(others[i][1], *key) == 0 &&
                    strncmp(others[i][0], s->section, strlen(s->section)) == 0;
            if (!found)
                fail_msg("[%s] %s=", s->section, *key);
        }
    }
}

static void test_sections_that_come_and_go(void **state)
{
    CLEANUP_SETTINGS struct settings *a = load("[Token a]\n" TOKEN "[Lacme l]");
    CLEANUP_SETTINGS struct settings *b = load("[Token b]\n" TOKEN);

    (void)state;
    check(a, b, "[Token a], [Token b], [Lacme l]");
}

static void test_what_a_reload_takes_over_is_no_change(void **state)
{
    CLEANUP_SETTINGS struct settings *a = load("");
    CLEANUP_SETTINGS struct settings *b =
        load("[Roles]\nAdminUser=me\nOpsGroup=us\n[Deny]\nDomain=a.example\n");

    (void)state;
    check(a, b, "");
}

int main(void)
{
#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(test_each_key_is_told),
        IN_DIR(test_a_default_that_follows_is_told),
        cmocka_unit_test(test_no_key_is_forgotten),
        IN_DIR(test_sections_that_come_and_go),
        IN_DIR(test_what_a_reload_takes_over_is_no_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
