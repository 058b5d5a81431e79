/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct dir {
    char path[64];
    char conf[96];
};

static int make_dir(void **state)
{
    static struct dir d;

    (void)snprintf(d.path, sizeof(d.path), "/tmp/test-settings-XXXXXX");
    assert_non_null(mkdtemp(d.path));
    (void)snprintf(d.conf, sizeof(d.conf), "%s/guardian.conf", d.path);
    *state = &d;
    return 0;
}

static int remove_dir(void **state)
{
    struct dir *d = *state;

    (void)unlink(d->conf);
    return rmdir(d->path);
}

static void put(const struct dir *d, const char *text)
{
    FILE *f = fopen(d->conf, "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(d->conf, 0644), 0);
}

static void test_no_file_gives_defaults(void **state)
{
    struct dir *d = *state;
    CLEANUP_SETTINGS struct settings *s = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(settings_load(d->path, &s, &e), 0);
    assert_string_equal(s->state_dir, "/var/lib/acme-guardian");
    assert_int_equal(s->connections_per_user, 64);
    assert_int_equal(s->audit_sync, SETTINGS_SYNC_INTERVAL);
    assert_false(s->allow_swappable);
    assert_int_equal(s->n_tokens, 0);
    assert_string_equal(s->admin_groups[0], "acme-guardian-admin");
    assert_string_equal(s->ops_users[0], "acme-guardian-ops");
    assert_string_equal(s->monitor_groups[0], "acme-guardian-monitor");
    assert_null(s->admin_users);
    assert_null(s->ops_groups);
    assert_null(s->monitor_users);
}

static void test_lists_grow_until_they_are_emptied(void **state)
{
    struct dir *d = *state;
    CLEANUP_SETTINGS struct settings *s = NULL;
    struct errmsg e = { 0 };

    put(d, "[Roles]\nAdminGroup=a\nOpsUser=\nMonitorGroup=\n"
           "[Deny]\nDomain=a.example\n"
           "[Token t]\nBackend=sealed\nEnvironment=A=1\n"
           "[Roles]\nAdminGroup=b\nMonitorGroup=m\n"
           "[Deny]\nDomain=\n"
           "[Token t]\nEnvironment=\nEnvironment=B=2\n");
    assert_int_equal(settings_load(d->path, &s, &e), 0);
    assert_string_equal(s->admin_groups[0], "acme-guardian-admin");
    assert_string_equal(s->admin_groups[1], "a");
    assert_string_equal(s->admin_groups[2], "b");
    assert_null(s->admin_groups[3]);
    assert_null(s->ops_users);
    assert_string_equal(s->monitor_groups[0], "m");
    assert_null(s->monitor_groups[1]);
    assert_null(s->deny_domains);
    assert_string_equal(s->tokens[0].environment[0], "B=2");
    assert_null(s->tokens[0].environment[1]);
}

/* The unit's StateDirectory=, whatever the daemon's is; the daemon's own user
 * can write to neither. */
static void test_a_helper_s_directory_is_that_of_its_unit(void **state)
{
    struct dir *d = *state;
    CLEANUP_SETTINGS struct settings *s = NULL;
    struct errmsg e = { 0 };

    put(d, "[Guardian]\nStateDirectory=/s\n"
           "[Token a]\nBackend=sealed\nHelperSocket=/run/a.sock\n"
           "[Token b]\nBackend=sealed\n"
           "[Token c]\nBackend=sealed\nHelperSocket=/run/c.sock\n"
           "Directory=/c\n");
    assert_int_equal(settings_load(d->path, &s, &e), 0);
    assert_string_equal(settings_token(s, "a")->directory,
                        "/var/lib/acme-guardian-token/a");
    assert_string_equal(settings_token(s, "b")->directory, "/s/token/b");
    assert_string_equal(settings_token(s, "c")->directory, "/c");
}

static void test_token_section_is_read(void **state)
{
    struct dir *d = *state;
    CLEANUP_SETTINGS struct settings *s = NULL;
    const struct settings_token *t;
    struct errmsg e = { 0 };

    put(d, "[Guardian]\nStateDirectory=/s\n[Token hsm]\nModule=/m.so\n"
           "Token=pkcs11:token=t1\nPin=file:/pin\nTimeout=500ms\n"
           "Environment=A=1 B=2\nVerifySignatures=all\n"
           "SystemCalls=ptrace io_uring_setup\nWritableCode=yes\n[Deny]\n"
           "Domain=a.example b.example\n[Lacme web]\nAccount=le\n");
    assert_int_equal(settings_load(d->path, &s, &e), 0);
    t = settings_token(s, "hsm");
    assert_non_null(t);
    assert_int_equal(t->backend, SETTINGS_BACKEND_CRYPTOKI);
    assert_int_equal(t->pin, SETTINGS_PIN_FILE);
    assert_string_equal(t->pin_arg, "/pin");
    assert_int_equal(t->timeout_ms, 500);
    assert_string_equal(t->environment[1], "B=2");
    assert_true(t->verify_all);
    assert_string_equal(t->system_calls[1], "io_uring_setup");
    assert_false(t->all_system_calls);
    assert_true(t->writable_code);
    assert_string_equal(t->directory, "/s/token/hsm");
    assert_string_equal(s->deny_domains[1], "b.example");
    assert_string_equal(s->lacmes[0].account, "le");
}

static void test_bad_values_are_named(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *says;
    } cases[] = {
        { "[Guardian]\nStateDir=/x\n", 2, "unknown key StateDir=" },
        { "[Guardian]\nStateDirectory=x\n", 2, "absolute path" },
        { "[Guardian]\nAuditSync=never\n", 2, "interval, group" },
        { "[Guardian]\nConnectionsPerUser=0\n", 2, "from 1 to 65536" },
        { "[Token hsm]\nModule=/m.so\n", 1, "needs Token=" },
        { "[Token hsm]\nToken=pkcs11:\n", 1, "needs Module=" },
        { "[Token HSM]\nBackend=sealed\n", 1, "a token's name" },
        { "[Token hsm]\nPin=1234\n", 2, "never the PIN itself" },
        { "[Token hsm]\nPin=credential:../x\n", 2, "never the PIN itself" },
        { "[Token hsm]\nBackend=sealed\nKeyPrefix=a:b\n", 1, "KeyPrefix=" },
        { "[Token hsm]\nBackend=sealed\nEnvironment=A\n", 1, "Environment=" },
        { "[Token hsm]\nSystemCalls=ptrace plaice\n", 1, "SystemCalls=" },
        { "[Token hsm]\nWritableCode=some\n", 2, "WritableCode=" },
    };
    struct dir *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings *s = NULL;
        struct errmsg e = { 0 };

        put(d, cases[i].text);
        assert_int_equal(settings_load(d->path, &s, &e), CONFIG_E_INVALID);
        assert_string_equal(e.file, d->conf);
        assert_int_equal(e.line, cases[i].line);
        if (!strstr(e.text, cases[i].says))
            fail_msg("%s: got \"%s\"", cases[i].says, e.text);
    }
}

static void test_a_pin_in_the_file_is_not_repeated(void **state)
{
    struct dir *d = *state;
    struct settings *s = NULL;
    struct errmsg e = { 0 };

    put(d, "[Token hsm]\nPin=sesame77\n");
    assert_int_equal(settings_load(d->path, &s, &e), CONFIG_E_INVALID);
    assert_null(strstr(e.text, "sesame77"));
}

static void test_a_file_others_can_write_is_refused(void **state)
{
    struct dir *d = *state;
    struct settings *s = NULL;
    struct errmsg e = { 0 };

    put(d, "[Guardian]\n");
    assert_int_equal(chmod(d->conf, 0664), 0);
    assert_int_equal(settings_load(d->path, &s, &e), CONFIG_E_INVALID);
    assert_non_null(strstr(e.text, "writable by its owner alone"));
}

/* Each would leave out what somebody has written down, or wait for ever. */
static void test_what_is_there_but_no_file_is_refused(void **state)
{
    struct dir *d = *state;
    struct settings *s = NULL;
    char dropins[112], dropin[128];
    struct errmsg e = { 0 };

    assert_int_equal(symlink("/nonexistent/x", d->conf), 0);
    assert_int_equal(settings_load(d->path, &s, &e), -ENOENT);
    assert_string_equal(e.file, d->conf);
    assert_non_null(strstr(e.text, "cannot be opened"));
    assert_int_equal(unlink(d->conf), 0);
    assert_int_equal(mkfifo(d->conf, 0600), 0);
    assert_int_equal(settings_load(d->path, &s, &e), CONFIG_E_INVALID);
    assert_non_null(strstr(e.text, "regular file"));
    assert_int_equal(unlink(d->conf), 0);

    (void)snprintf(dropins, sizeof(dropins), "%s.d", d->conf);
    (void)snprintf(dropin, sizeof(dropin), "%s/a.conf", dropins);
    assert_int_equal(mkdir(dropins, 0755), 0);
    assert_int_equal(symlink("/nonexistent/x", dropin), 0);
    e = (struct errmsg){ 0 };
    assert_int_equal(settings_load(d->path, &s, &e), -ENOENT);
    assert_string_equal(e.file, dropin);
    assert_int_equal(unlink(dropin), 0);
    assert_int_equal(chmod(dropins, 0775), 0);
    assert_int_equal(settings_load(d->path, &s, &e), CONFIG_E_INVALID);
    assert_string_equal(e.file, dropins);
    assert_int_equal(rmdir(dropins), 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(settings_name_ok("letsencrypt-2.a_b"));
    assert_false(settings_name_ok(""));
    assert_false(settings_name_ok("-a"));
    assert_false(settings_name_ok("A"));
    assert_false(settings_name_ok("a/b"));
    assert_false(settings_name_ok("a:b"));
    assert_false(settings_name_ok("abcdefghijabcdefghijabcdefghijabc"));
}

/* Files that are not there yet count after those that are, by their names. */
static void test_texts_count_as_files(void **state)
{
    struct dir *d = *state;
    const struct settings_text more[] = {
        { "guardian.conf.d/token-t.conf",
          bytes_from_str("[Guardian]\nAuditKeep=7\n[Token t]\n"
                         "Backend=sealed\n") },
        { "guardian.conf.d/bad.conf", bytes_from_str("[Token x]\nNo=1\n") },
    };
    CLEANUP_SETTINGS struct settings *s = NULL;
    struct errmsg e = { 0 };

    put(d, "[Guardian]\nAuditKeep=5\n");
    assert_int_equal(settings_load_with(d->path, more, 1, &s, &e), 0);
    assert_int_equal(s->audit_keep, 7);
    assert_non_null(settings_token(s, "t"));
    assert_int_equal(settings_load_with(d->path, more + 1, 1, &s, &e),
                     CONFIG_E_INVALID);
    assert_non_null(strstr(e.file, "/guardian.conf.d/bad.conf"));
    assert_int_equal(e.line, 2);
}

int main(void)
{
#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(test_no_file_gives_defaults),
        IN_DIR(test_lists_grow_until_they_are_emptied),
        IN_DIR(test_token_section_is_read),
        IN_DIR(test_a_helper_s_directory_is_that_of_its_unit),
        IN_DIR(test_bad_values_are_named),
        IN_DIR(test_a_pin_in_the_file_is_not_repeated),
        IN_DIR(test_a_file_others_can_write_is_refused),
        IN_DIR(test_what_is_there_but_no_file_is_refused),
        IN_DIR(test_texts_count_as_files),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
