/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/zones.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/config.h"
#include "tests/unit/daemon/tmp-dir.h"

#define RFC2136                                                                \
    "[Zone]\nPublisher=rfc2136\nServer=192.0.2.1\nTsigName=K1\n"               \
    "TsigKey=file:/etc/key\n"

static int parse(struct zones *z, const char *text, struct errmsg *e)
{
    return zones_parse(z, bytes_from_str(text), "test.zone", "example.test", e);
}

static void test_defaults(void **state)
{
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    const struct zone *x;

    (void)state;
    assert_int_equal(parse(z, "[Zone]\n", NULL), 0);
    x = &z->items[0];
    assert_string_equal(x->name, "example.test");
    assert_int_equal(x->publisher, ZONE_MANUAL);
    assert_int_equal(x->verify, ZONE_VERIFY_AUTHORITATIVE);
    assert_int_equal(x->ttl_s, 3600);
    assert_int_equal(x->n_servers, 0);
    assert_int_equal(x->resolver.family, 0);
    assert_string_equal(x->file, "test.zone");
    assert_int_equal(x->line, 1);
}

static void test_every_key(void **state)
{
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    const struct zone *x;

    (void)state;
    assert_int_equal(parse(z,
                           RFC2136 "Name=_acme.other.test\n"
                                   "TsigAlgorithm=hmac-sha512\n"
                                   "AliasZone=persist.test\nTTL=5min\n"
                                   "Verify=both\n"
                                   "Servers=192.0.2.1 192.0.2.2:54\n"
                                   "Servers=[2001:db8::1]:53\n"
                                   "Resolver=::1\n",
                           NULL),
                     0);
    x = &z->items[0];
    assert_string_equal(x->name, "_acme.other.test");
    assert_int_equal(x->publisher, ZONE_RFC2136);
    assert_string_equal(x->tsig_name, "k1");
    assert_int_equal(x->tsig_algorithm, ZONE_HMAC_SHA512);
    assert_string_equal(x->tsig_key, "file:/etc/key");
    assert_string_equal(x->alias_zone, "persist.test");
    assert_string_equal(zone_write_zone(x), "persist.test");
    assert_int_equal(x->ttl_s, 300);
    assert_int_equal(x->verify, ZONE_VERIFY_BOTH);
    assert_int_equal(x->n_servers, 3);
    assert_int_equal(x->servers[1].port, 54);
    assert_int_equal(parse(z,
                           "[Zone]\nPublisher=hook\nHook=/bin/hook\n"
                           "HookUser=dns\n",
                           NULL),
                     0);
    assert_string_equal(z->items[1].hook, "/bin/hook");
    assert_string_equal(z->items[1].hook_user, "dns");
}

static void test_each_mistake_names_its_key(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *word;
    } cases[] = {
        { "", 0, "one section" },
        { "[Zone]\n[Zone]\n", 2, "one section" },
        { "[Zone]\nNames=x\n", 2, "Names" },
        { "[Zone]\nName=Example.test\n", 2, "Name=" },
        { "[Zone]\nName=example.test.\n", 2, "Name=" },
        { "[Zone]\nName=test\n", 2, "Name=" },
        { "[Zone]\nName=a_b.test\n", 2, "Name=" },
        { "[Zone]\nName=__a.test\n", 2, "Name=" },
        { "[Zone]\nAliasZone=x y\n", 2, "AliasZone=" },
        { "[Zone]\nAliasZone=example.test\n", 2, "AliasZone=" },
        { "[Zone]\nPublisher=dns\n", 2, "Publisher=" },
        { "[Zone]\nVerify=yes\n", 2, "Verify=" },
        { "[Zone]\nTTL=0\n", 2, "TTL=" },
        { "[Zone]\nTTL=8d\n", 2, "TTL=" },
        { "[Zone]\nTTL=1500ms\n", 2, "TTL=" },
        { "[Zone]\nServers=ns1.test\n", 2, "Servers=" },
        { "[Zone]\nServers=192.0.2.1 192.0.2.1:53\n", 2, "twice" },
        { "[Zone]\nServers=192.0.2.1\nVerify=resolver\n", 2, "Servers=" },
        { "[Zone]\nResolver=x\n", 2, "Resolver=" },
        { "[Zone]\nServer=192.0.2.1\n", 2, "Server= is for" },
        { "[Zone]\nHook=/bin/x\n", 2, "Hook= is for" },
        { "[Zone]\nTsigAlgorithm=hmac-sha256\n", 2, "TsigAlgorithm= is for" },
        { "[Zone]\nPublisher=rfc2136\n", 1, "needs Server=" },
        { "[Zone]\nPublisher=rfc2136\nServer=192.0.2.1\n", 1,
          "needs TsigName=" },
        { "[Zone]\nPublisher=rfc2136\nServer=192.0.2.1\nTsigName=k\n", 1,
          "needs TsigKey=" },
        { "[Zone]\nPublisher=hook\nHook=/bin/x\n", 1, "needs HookUser=" },
        { "[Zone]\nPublisher=hook\nHook=x\nHookUser=x\n", 3, "Hook=" },
        { RFC2136 "HookUser=x\n", 6, "HookUser= is for" },
        { RFC2136 "TsigName=a..b\n", 6, "TsigName=" },
        { RFC2136 "TsigKey=file:key\n", 6, "TsigKey=" },
        { RFC2136 "TsigKey=credential:../x\n", 6, "TsigKey=" },
        { RFC2136 "Server=ns1.test\n", 6, "Server=" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
        struct errmsg e = { 0 };

        print_message("%s\n", cases[i].text);
        assert_int_equal(parse(z, cases[i].text, &e), CONFIG_E_INVALID);
        assert_string_equal(e.file, "test.zone");
        assert_int_equal(e.line, cases[i].line);
        if (!strstr(e.text, cases[i].word))
            fail_msg("%s: no %s", e.text, cases[i].word);
        assert_int_equal(z->n, 0);
    }
}

static void test_other_algorithms_are_refused_by_name(void **state)
{
    static const char *const names[] = { "hmac-md5",    "hmac-sha1",
                                         "hmac-sha224", "hmac-sha384",
                                         "gss-tsig",    "HMAC-SHA256" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
        CLEANUP_BUF struct buf text = { 0 };
        CLEANUP_BUF struct buf want = { 0 };
        struct errmsg e = { 0 };

        assert_int_equal(
            buf_printf(&text, RFC2136 "TsigAlgorithm=%s\n", names[i]), 0);
        assert_int_equal(parse(z, buf_str(&text), &e), CONFIG_E_INVALID);
        assert_int_equal(buf_printf(&want,
                                    "TsigAlgorithm=%s is not supported: "
                                    "hmac-sha256 and hmac-sha512 are",
                                    names[i]),
                         0);
        assert_string_equal(e.text, buf_str(&want));
    }
}

static void test_a_key_in_the_file_is_not_repeated(void **state)
{
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    struct errmsg e = { 0 };

    (void)state;
    assert_int_equal(parse(z, RFC2136 "TsigKey=c2VjcmV0c2VjcmV0\n", &e),
                     CONFIG_E_INVALID);
    assert_null(strstr(e.text, "c2VjcmV0"));
}

static void test_a_zone_stands_in_one_file(void **state)
{
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    struct errmsg e = { 0 };

    (void)state;
    assert_int_equal(parse(z, "[Zone]\n", NULL), 0);
    assert_int_equal(zones_parse(z, bytes_from_str("[Zone]\nName=example.test"),
                                 "b.zone", "b", &e),
                     CONFIG_E_INVALID);
    assert_string_equal(e.file, "b.zone");
    assert_non_null(strstr(e.text, "test.zone"));
}

static void test_the_longest_zone_is_found(void **state)
{
    static const struct {
        const char *domain, *zone;
    } cases[] = {
        { "example.test", "_validation-persist.example.test" },
        { "www.example.test", "example.test" },
        { "a.b.example.test", "b.example.test" },
        { "b.example.test", "b.example.test" },
        { "xb.example.test", "example.test" },
        { "notexample.test", NULL },
        { "test", NULL },
    };
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));

    (void)state;
    assert_int_equal(parse(z, "[Zone]\nName=b.example.test\n", NULL), 0);
    assert_int_equal(parse(z, "[Zone]\n", NULL), 0);
    assert_int_equal(
        parse(z, "[Zone]\nName=_validation-persist.example.test\n", NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct zone *x = zones_find(z, cases[i].domain);

        assert_string_equal(x ? x->name : "-",
                            cases[i].zone ? cases[i].zone : "-");
    }
    assert_null(zones_find(NULL, "example.test"));
    assert_string_equal(zones_find_name(z, "example.test")->name,
                        "example.test");
}

static void test_owners(void **state)
{
    struct zone alias = { .alias_zone = (char *)(uintptr_t) "persist.test" };
    char owner[ZONE_OWNER_MAX];
    char longest[DNS_NAME_MAX + 1];

    (void)state;
    assert_int_equal(zone_write_owner(NULL, "example.test", owner), 0);
    assert_string_equal(owner, "_validation-persist.example.test");
    assert_int_equal(zone_write_owner(&alias, "example.test", owner), 0);
    assert_string_equal(owner, "example.test.persist.test");
    memset(longest, 'a', sizeof(longest));
    longest[DNS_NAME_MAX] = '\0';
    assert_int_equal(zone_owner(longest, owner), ZONE_E_LONG);
    assert_int_equal(zone_owner(longest + 20, owner), 0);
    assert_int_equal(zone_owner(longest + 19, owner), ZONE_E_LONG);
    assert_int_equal(zone_write_owner(&alias, longest + 13, owner), 0);
    assert_int_equal(zone_write_owner(&alias, longest + 12, owner),
                     ZONE_E_LONG);
}

static void put(const char *path, const char *text, mode_t mode)
{
    CLEANUP_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void test_a_directory_of_files(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ZONES struct zones *z = NULL;
    CLEANUP_ZONES struct zones *none = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(zones_load(tmp_dir_file(d, "none"), &none, &e), 0);
    assert_int_equal(none->n, 0);
    put(tmp_dir_file(d, "a.test.zone"), "[Zone]\n", 0644);
    put(tmp_dir_file(d, "b.test.zone"), "[Zone]\n", 0600);
    put(tmp_dir_file(d, ".c.test.zone"), "no zone", 0644);
    put(tmp_dir_file(d, "README"), "no zone", 0644);
    assert_int_equal(zones_load(d->path, &z, &e), 0);
    assert_int_equal(z->n, 2);
    assert_string_equal(z->items[0].name, "a.test");
    assert_string_equal(z->items[1].name, "b.test");
}

static void test_files_that_others_can_change_are_refused(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_ZONES struct zones *z = NULL;
    struct errmsg e = { 0 };

    put(tmp_dir_file(d, "a.test.zone"), "[Zone]\n", 0664);
    assert_int_equal(zones_load(d->path, &z, &e), CONFIG_E_INVALID);
    assert_non_null(strstr(e.text, "writable"));
    put(tmp_dir_file(d, "a.test.zone"), "[Zone]\n", 0644);
    assert_int_equal(chmod(d->path, 0777), 0);
    assert_int_equal(zones_load(d->path, &z, &e), CONFIG_E_INVALID);
    assert_int_equal(chmod(d->path, 0700), 0);
    assert_int_equal(zones_load(d->path, &z, &e), 0);
}

static int read_key(struct tmp_dir *d, const char *text, mode_t mode,
                    struct secret **ret, struct errmsg *e)
{
    char source[256];
    const struct zone z = { .file = (char *)(uintptr_t) "a.zone",
                            .line = 1,
                            .tsig_key = source };

    (void)snprintf(source, sizeof(source), "file:%s", tmp_dir_file(d, "key"));
    put(tmp_dir_file(d, "key"), text, mode);
    return zone_read_key(&z, ret, e);
}

static void test_keys_are_base64(void **state)
{
    static const char *const bad[] = { "\n", "c2Vjcm", "c2Vjc$V0",
                                       "==", "c2VjcmV0 x" };
    CLEANUP_SECRET struct secret *key = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(read_key(*state, "c2VjcmV0\n", 0600, &key, &e), 0);
    assert_int_equal(key->len, 6);
    assert_memory_equal(key->data, "secret", 6);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP_SECRET struct secret *none = NULL;

        assert_int_equal(read_key(*state, bad[i], 0600, &none, &e),
                         CONFIG_E_INVALID);
        assert_null(strstr(e.text, "c2Vj"));
    }
}

static void test_keys_that_others_can_read_are_refused(void **state)
{
    static const mode_t bad[] = { 0644, 0640, 0604, 0660, 0700 };
    CLEANUP_SECRET struct secret *key = NULL;
    struct errmsg e = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(read_key(*state, "c2VjcmV0\n", bad[i], &key, &e),
                         CONFIG_E_INVALID);
        assert_null(key);
    }
}

static void test_a_unit_brings_its_credentials(void **state)
{
    struct tmp_dir *d = *state;
    const struct zone z = { .file = (char *)(uintptr_t) "a.zone",
                            .tsig_key = (char *)(uintptr_t) "credential:k" };
    CLEANUP_SECRET struct secret *key = NULL;
    CLEANUP_SECRET struct secret *none = NULL;
    struct errmsg e = { 0 };

    put(tmp_dir_file(d, "k"), "c2VjcmV0", 0440);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", d->path, 1), 0);
    assert_int_equal(zone_read_key(&z, &key, &e), 0);
    assert_int_equal(key->len, 6);
    assert_int_equal(unlink(tmp_dir_file(d, "k")), 0);
    assert_int_equal(zone_read_key(&z, &none, &e), -ENOENT);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    assert_int_equal(zone_read_key(&z, &none, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/etc/credstore/k"));
}

static int init(void **state)
{
    (void)state;
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    return sodium_init() < 0 ? -1 : 0;
}

#define WITH_DIR(test)                                                         \
    cmocka_unit_test_setup_teardown(test, tmp_dir_new, tmp_dir_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_each_mistake_names_its_key),
        cmocka_unit_test(test_other_algorithms_are_refused_by_name),
        cmocka_unit_test(test_a_key_in_the_file_is_not_repeated),
        cmocka_unit_test(test_a_zone_stands_in_one_file),
        cmocka_unit_test(test_the_longest_zone_is_found),
        cmocka_unit_test(test_owners),
        WITH_DIR(test_a_directory_of_files),
        WITH_DIR(test_files_that_others_can_change_are_refused),
        WITH_DIR(test_keys_are_base64),
        WITH_DIR(test_keys_that_others_can_read_are_refused),
        WITH_DIR(test_a_unit_brings_its_credentials),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
