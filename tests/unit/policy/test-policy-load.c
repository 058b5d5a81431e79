/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../need.h"

#define GOOD "[Client]\nUser=1000\n[Allow]\nAccount=test\nDomain=example.com\n"

struct dir {
    char path[64];
    char file[128];
};

static int make_dir(void **state)
{
    static struct dir d;

    (void)snprintf(d.path, sizeof(d.path), "/tmp/test-policy-XXXXXX");
    assert_non_null(mkdtemp(d.path));
    *state = &d;
    return 0;
}

static const char *in_dir(struct dir *d, const char *name)
{
    (void)snprintf(d->file, sizeof(d->file), "%s/%s", d->path, name);
    return d->file;
}

static int remove_dir(void **state)
{
    static const char *const names[] = { "10-a.policy", "20-b.policy",
                                         ".hidden.policy", "notes.txt",
                                         ".policy" };
    struct dir *d = *state;

    (void)chmod(d->path, 0700);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (unlink(in_dir(d, names[i])) < 0)
            (void)rmdir(d->file);
    }
    return rmdir(d->path);
}

static void put(struct dir *d, const char *name, const char *text)
{
    FILE *f = fopen(in_dir(d, name), "we");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(d->file, 0644), 0);
}

static void check_error(struct dir *d, int expected, const char *words)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    CLEANUP_BUF struct buf b = { 0 };
    struct errmsg e = { 0 };

    assert_int_equal(policy_load(d->path, NULL, &set, &e), expected);
    assert_null(set);
    assert_int_equal(errmsg_format(&e, &b), 0);
    if (!strstr(buf_str(&b), words))
        fail_msg("'%s' does not say '%s'", buf_str(&b), words);
}

static void test_no_directory_is_the_empty_set(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg e = { 0 };

    (void)state;
    assert_int_equal(policy_load("/nonexistent/policy.d", NULL, &set, &e), 0);
    assert_int_equal(policy_set_n_rulesets(set), 0);
    assert_int_equal(policy_set_n_names(set), 0);
}

static void test_files_are_read_in_name_order(void **state)
{
    struct dir *d = *state;
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct acme_account account = fixture_account("test");
    struct policy_caller caller = { .uid = 1000 };
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");
    struct policy_verdict v = { 0 };
    struct errmsg e = { 0 };

    put(d, "20-b.policy", GOOD);
    put(d, "10-a.policy", GOOD);
    put(d, ".hidden.policy", "nonsense");
    put(d, ".policy", "nonsense");
    put(d, "notes.txt", "nonsense");
    assert_int_equal(policy_load(d->path, NULL, &set, &e), 0);
    assert_int_equal(policy_set_n_rulesets(set), 2);
    assert_int_equal(policy_set_n_names(set), 2);
    assert_int_equal(policy_eval(set, &caller, &fixture_names, &account, &rq,
                                 NULL, NULL, &v),
                     0);
    assert_string_equal(policy_ruleset_file(v.rule), in_dir(d, "10-a.policy"));
}

static void test_one_bad_file_loads_nothing(void **state)
{
    struct dir *d = *state;

    put(d, "10-a.policy", GOOD);
    put(d, "20-b.policy", GOOD "Nonsense=1\n");
    check_error(d, POLICY_E_INVALID, "20-b.policy:6: unknown key Nonsense=");
}

static void test_hash_covers_names_and_contents(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        bool same;
    } cases[] = {
        { "10-a.policy", GOOD, true },
        { "20-b.policy", GOOD, false },
        { "10-a.policy", GOOD "# more\n", false },
    };
    struct dir *d = *state;
    uint8_t first[32];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_set *set = NULL;
        struct errmsg e = { 0 };
        uint8_t hash[32];

        put(d, cases[i].name, cases[i].text);
        assert_int_equal(policy_load(d->path, NULL, &set, &e), 0);
        policy_set_hash(set, hash);
        if (i == 0)
            memcpy(first, hash, sizeof(first));
        assert_true((memcmp(first, hash, sizeof(first)) == 0) == cases[i].same);
        policy_set_free(set);
        assert_int_equal(unlink(in_dir(d, cases[i].name)), 0);
    }
}

static void test_others_must_not_write(void **state)
{
    struct dir *d = *state;

    put(d, "10-a.policy", GOOD);
    assert_int_equal(chmod(in_dir(d, "10-a.policy"), 0664), 0);
    check_error(d, POLICY_E_INVALID, "writable by its owner alone");
    assert_int_equal(chmod(d->file, 0646), 0);
    check_error(d, POLICY_E_INVALID, "writable by its owner alone");
    assert_int_equal(chmod(d->file, 0644), 0);
    assert_int_equal(chmod(d->path, 0777), 0);
    check_error(d, POLICY_E_INVALID, "writable by its owner alone");
}

static void test_owner_must_be_root_or_this_user(void **state)
{
    struct dir *d = *state;

    put(d, "10-a.policy", GOOD);
    assert_int_equal(chown(in_dir(d, "10-a.policy"), 12345, 0), 0);
    check_error(d, POLICY_E_INVALID, "must be owned by root");
    assert_int_equal(chown(d->file, 0, 0), 0);
    assert_int_equal(chown(d->path, 12345, 0), 0);
    check_error(d, POLICY_E_INVALID, "must be owned by root");
    assert_int_equal(chown(d->path, 0, 0), 0);
}

static void test_only_regular_files_are_read(void **state)
{
    struct dir *d = *state;

    assert_int_equal(mkfifo(in_dir(d, "10-a.policy"), 0600), 0);
    check_error(d, POLICY_E_INVALID, "no regular file");
    assert_int_equal(unlink(d->file), 0);
    assert_int_equal(mkdir(d->file, 0700), 0);
    check_error(d, POLICY_E_INVALID, "no regular file");
}

static void test_a_file_has_a_largest_size(void **state)
{
    struct dir *d = *state;

    put(d, "10-a.policy", "");
    assert_int_equal(truncate(in_dir(d, "10-a.policy"), (64 << 20) + 1), 0);
    check_error(d, POLICY_E_INVALID, "larger than 64 MiB");
}

static void test_a_file_that_cannot_be_opened_loads_nothing(void **state)
{
    struct dir *d = *state;

    /* Not the same as no directory: something was meant to be here. */
    assert_int_equal(symlink("/nonexistent", in_dir(d, "10-a.policy")), 0);
    check_error(d, -ENOENT, "cannot be opened");
}

static void test_the_directory_must_be_one(void **state)
{
    struct dir *d = *state;
    struct dir file = *d;

    put(d, "notes.txt", GOOD);
    (void)snprintf(file.path, sizeof(file.path), "%.40s/notes.txt", d->path);
    check_error(&file, POLICY_E_INVALID, "no directory");
}

static void test_deny_names_are_checked(void **state)
{
    char *const bad[] = { (char[]){ "*.example.com" }, NULL };
    char *const upper[] = { (char[]){ "Example.com" }, NULL };
    char *const top[] = { (char[]){ "test" }, NULL };
    char *e;

    (void)state;
    e = fixture_error(GOOD, bad);
    assert_non_null(strstr(e, "[Deny] Domain=*.example.com"));
    free(e);
    e = fixture_error(GOOD, upper);
    assert_non_null(strstr(e, "[Deny] Domain=Example.com"));
    free(e);
    assert_string_equal(
        fixture_verdict("[Client]\nUser=1000\n[Allow]\nAccount=test\n"
                        "Domain=a.b.test a.example.com\n",
                        top, ACME_OP_ORDER, "a.b.test"),
        "identifier-denied");
}

static void test_ids_survive_edits_elsewhere(void **state)
{
    static const char *const texts[] = {
        "[Client]\nUser=1\n[Allow]\nAccount=a\n",
        "# "
        "more\n\n[Client]\nUser=1\n[Allow]\nAccount=a\nDomain=a.example.com\n",
        "[Client]\nUser=2\n[Allow]\nAccount=a\n",
        "[Client]\nUser=1\n[Allow]\nAccount=b\n",
        "[Client]\nGroup=1\n[Allow]\nAccount=a\n",
        "[Client]\nUser=1\nUnit=a.service\n[Allow]\nAccount=a\n",
    };
    char first[17] = "";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP_POLICY_SET struct policy_set *set = fixture_set(texts[i], NULL);
        struct acme_account account = fixture_account(i == 3 ? "b" : "a");
        static const gid_t gids[] = { 1 };
        struct policy_caller caller = { .uid = i == 2 ? 2 : 1,
                                        .gids = gids,
                                        .n_gids = 1,
                                        .unit = "a.service" };
        struct acme_request rq = fixture_request(ACME_OP_FETCH, "");
        struct policy_verdict v = { 0 };

        assert_int_equal(policy_eval(set, &caller, &fixture_names, &account,
                                     &rq, NULL, NULL, &v),
                         0);
        assert_non_null(v.rule);
        assert_int_equal(strlen(policy_ruleset_id(v.rule)), 16);
        if (i == 0)
            memcpy(first, policy_ruleset_id(v.rule), sizeof(first));
        assert_true((strcmp(first, policy_ruleset_id(v.rule)) == 0) == (i < 2));
    }
}

static int keep_id(const struct policy_ruleset *rule, bool matched,
                   const char *condition, const char *why, void *userdata)
{
    struct buf *b = userdata;

    (void)matched;
    (void)condition;
    (void)why;
    return buf_printf(b, "%s ", policy_ruleset_id(rule));
}

static void test_rule_sets_alike_are_counted_apart(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set =
        fixture_set("[Client]\nUser=1\n[Allow]\nAccount=a\nOrdersPerDay=5\n"
                    "[Client]\nUser=1\n[Allow]\nAccount=a\n",
                    NULL);
    struct acme_account account = fixture_account("a");
    struct policy_caller caller = { .uid = 1 };
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");
    CLEANUP_BUF struct buf ids = { 0 };

    (void)state;
    assert_int_equal(policy_explain(set, &caller, &fixture_names, &account, &rq,
                                    keep_id, &ids),
                     0);
    assert_int_equal(ids.len, 34);
    assert_memory_not_equal(ids.data, ids.data + 17, 16);
}

static int list_account(const char *account, const char *file, unsigned line,
                        void *userdata)
{
    struct buf *b = userdata;

    return buf_printf(b, "%s %s:%u;", account, file, line);
}

static void test_accounts_are_listed_with_their_place(void **state)
{
    CLEANUP_POLICY_SET struct policy_set *set =
        fixture_set("[Client]\nUser=1\n[Allow]\nAccount=a b a\n"
                    "[Client]\nUser=2\n[Allow]\nAccount=a\nOrdersPerDay=3\n",
                    NULL);
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(policy_accounts(set, list_account, &b), 0);
    assert_string_equal(buf_str(&b), "a f:1;b f:1;a f:5;");
}

static unsigned orders_of(const char *lines)
{
    char text[256];
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct acme_account account = fixture_account("a");
    struct policy_caller caller = { .uid = 1 };
    struct acme_request rq = fixture_request(ACME_OP_FETCH, "");
    struct policy_verdict v = { 0 };

    (void)snprintf(text, sizeof(text),
                   "[Client]\nUser=1\n[Allow]\nAccount=a\n%s", lines);
    set = fixture_set(text, NULL);
    assert_int_equal(policy_eval(set, &caller, &fixture_names, &account, &rq,
                                 NULL, NULL, &v),
                     0);
    return policy_ruleset_orders_per_day(v.rule);
}

static void test_orders_per_day(void **state)
{
    (void)state;
    assert_int_equal(orders_of(""), 50);
    assert_int_equal(orders_of("OrdersPerDay=7\n"), 7);
    assert_int_equal(orders_of("OrdersPerDay=7\nOrdersPerDay=\n"), 50);
}

int main(int argc, char **argv)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_directory_is_the_empty_set),
        IN_DIR(test_files_are_read_in_name_order),
        IN_DIR(test_one_bad_file_loads_nothing),
        IN_DIR(test_hash_covers_names_and_contents),
        IN_DIR(test_others_must_not_write),
        IN_DIR(test_only_regular_files_are_read),
        IN_DIR(test_a_file_has_a_largest_size),
        IN_DIR(test_a_file_that_cannot_be_opened_loads_nothing),
        IN_DIR(test_the_directory_must_be_one),
        cmocka_unit_test(test_deny_names_are_checked),
        cmocka_unit_test(test_ids_survive_edits_elsewhere),
        cmocka_unit_test(test_rule_sets_alike_are_counted_apart),
        cmocka_unit_test(test_accounts_are_listed_with_their_place),
        cmocka_unit_test(test_orders_per_day),
    };
    const struct CMUnitTest as_root[] = {
        IN_DIR(test_owner_must_be_root_or_this_user),
    };

    if (!need_group(argc, argv, "root"))
        return cmocka_run_group_tests(tests, NULL, NULL);
    need(geteuid() == 0, "root, to give a file away");
    return cmocka_run_group_tests(as_root, NULL, NULL);
}
