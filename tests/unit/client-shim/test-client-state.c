/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client-shim/client-state.h"

static void expect_json(const char *text, const char *path, int r,
                        const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };
    struct errmsg err = { 0 };

    assert_int_equal(client_state_json(bytes_from_str(text), path, &got, &err),
                     r);
    assert_string_equal(buf_str(&got), want);
    assert_int_equal(r != 0, err.text[0] != '\0');
}

static void test_account_urls_of_json_files(void **state)
{
    (void)state;
    /* certbot 2.1, lego 4 and 5, dehydrated */
    expect_json("{\"body\": {}, \"uri\": \"https://ca.example/acct/7\"}", "uri",
                0, "https://ca.example/acct/7");
    expect_json("{\n\t\"email\": \"\",\n\t\"registration\": {\n\t\t\"body\": "
                "{\"status\": \"valid\"},\n\t\t\"uri\": "
                "\"https://ca.example/acct/8\"\n\t}\n}",
                "registration.uri", 0, "https://ca.example/acct/8");
    expect_json("{\"id\":\"a\",\"server\":\"https://ca.example/dir\"}",
                "server", 0, "https://ca.example/dir");
    expect_json("{\"url\":\"https://ca.example/acct/9\"}\n", "url", 0,
                "https://ca.example/acct/9");
    expect_json("{\"email\":\"\"}", "registration.uri", 0, "");
    expect_json("{\"registration\":null}", "registration.uri", 0, "");
}

static void test_damaged_json_is_told(void **state)
{
    (void)state;
    expect_json("{\"uri\": \"https://ca.exam", "uri", CLIENT_STATE_E_BAD, "");
    expect_json("", "uri", CLIENT_STATE_E_BAD, "");
    expect_json("[]", "uri", CLIENT_STATE_E_BAD, "");
    expect_json("{\"uri\":7}", "uri", CLIENT_STATE_E_BAD, "");
    expect_json("{\"registration\":\"x\"}", "registration.uri",
                CLIENT_STATE_E_BAD, "");
    expect_json("{\"uri\":\"a\",\"uri\":\"b\"}", "uri", CLIENT_STATE_E_BAD, "");
}

static void expect_shell(const char *text, int r, const char *want,
                         unsigned line)
{
    CLEANUP_BUF struct buf got = { 0 };
    struct errmsg err = { 0 };

    assert_int_equal(client_state_shell(bytes_from_str(text), "CA", &got, &err),
                     r);
    assert_string_equal(buf_str(&got), want);
    assert_int_equal(err.line, line);
}

static void test_shell_values(void **state)
{
    (void)state;
    expect_shell("CA='https://a.example/dir'\n", 0, "https://a.example/dir", 0);
    expect_shell("CA=\"https://a.example/dir\"", 0, "https://a.example/dir", 0);
    expect_shell("CA=https://a.example/dir\n", 0, "https://a.example/dir", 0);
    expect_shell(" export CA='x' # why\r\n", 0, "x", 0);
    expect_shell("CA=\n", 0, "", 0);
    expect_shell("CA='it costs $5'\n", 0, "it costs $5", 0);
    expect_shell("CA=1\n#CA=2\nCA=3\nXCA=4\nCAX=5\n", 0, "3", 0);
    expect_shell("# CA=1\nB=2\n", CLIENT_STATE_E_ABSENT, "", 0);
    expect_shell("", CLIENT_STATE_E_ABSENT, "", 0);
}

static void test_what_only_a_shell_could_tell(void **state)
{
    static const char *const values[] = {
        "\"$X\"", "\"`id`\"", "\"a\\\"b\"", "$(id)",     "a b",
        "'a'b",   "'a",       "\"a",        "a;rm",      "'a' && id",
        "a#b",    "~/x",      "'a\tb'",     "\"a\x7f\"", "*",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        CLEANUP_BUF struct buf text = { 0 };

        assert_int_equal(buf_printf(&text, "X=1\nCA=%s\n", values[i]), 0);
        expect_shell(buf_str(&text), CLIENT_STATE_E_BAD, "", 2);
    }
}

static void expect_set(const char *text, const char *prefix, const char *value,
                       const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };

    assert_int_equal(
        client_state_shell_set(bytes_from_str(text), prefix, "CA", value, &got),
        0);
    assert_string_equal(buf_str(&got), want);
}

static void test_a_shell_value_is_replaced(void **state)
{
    CLEANUP_BUF struct buf got = { 0 };

    (void)state;
    expect_set("A='1'\nCA='2'\nB='3'\n", "", "x=", "A='1'\nCA='x='\nB='3'\n");
    expect_set("CA=1\nCA=2\n", "", "x", "CA=1\nCA='x'\n");
    expect_set("A=1", "", "x", "A=1\nCA='x'\n");
    expect_set("", "export ", "x", "export CA='x'\n");
    expect_set("CA=1", "", "x", "CA='x'");
    assert_int_equal(
        client_state_shell_set(bytes_from_str("CA=1\n"), "", "CA", "a'b", &got),
        CLIENT_STATE_E_BAD);
    assert_int_equal(got.len, 0);
}

static void expect_lacme(const char *text, const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };
    CLEANUP_BUF struct buf again = { 0 };

    assert_int_equal(client_state_lacme(bytes_from_str(text), "/s", &got), 0);
    assert_string_equal(buf_str(&got), want);
    assert_int_equal(client_state_lacme(buf_bytes(&got), "/s", &again), 0);
    assert_string_equal(buf_str(&again), want);
}

static void test_lacme_asks_a_socket(void **state)
{
    (void)state;
    expect_lacme("[client]\n#socket = %t/S.lacme\nserver = x\n\n[accountd]\n"
                 "# why\ncommand = y\n\n; vim\n",
                 "[client]\n#socket = %t/S.lacme\nserver = x\n\n"
                 "socket = /s\n#[accountd]\n# why\n#command = y\n\n; vim\n");
    expect_lacme("[client]\n socket=/old\n", "[client]\nsocket = /s\n");
    expect_lacme("[webserver]\nsocket = /w\n",
                 "[webserver]\nsocket = /w\n[client]\nsocket = /s\n");
    expect_lacme("", "[client]\nsocket = /s\n");
}

static void expect_dir(int (*fn)(const char *, struct buf *), const char *dir,
                       const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };

    assert_int_equal(fn(dir, &got), want ? 0 : CLIENT_STATE_E_ABSENT);
    assert_string_equal(buf_str(&got), want ? want : "");
}

static void test_directories_of_directory_names(void **state)
{
    (void)state;
    expect_dir(client_state_certbot_directory,
               "acme-v02.api.letsencrypt.org/directory/0123",
               "https://acme-v02.api.letsencrypt.org/directory");
    expect_dir(client_state_certbot_directory, "ca.localhost:14000/dir/0123",
               "https://ca.localhost:14000/dir");
    expect_dir(client_state_certbot_directory, "0123", NULL);
    expect_dir(client_state_certbot_directory, "", NULL);
    /* echo https://acme-v02.api.letsencrypt.org/directory | urlbase64 */
    expect_dir(
        client_state_dehydrated_directory,
        "aHR0cHM6Ly9hY21lLXYwMi5hcGkubGV0c2VuY3J5cHQub3JnL2RpcmVjdG9yeQo",
        "https://acme-v02.api.letsencrypt.org/directory");
    expect_dir(client_state_dehydrated_directory, "aHR0cHM6Ly8", NULL);
    expect_dir(client_state_dehydrated_directory, "not base64", NULL);
    expect_dir(client_state_lego_directory,
               "acme-v02.api.letsencrypt.org/joe@example.com",
               "https://acme-v02.api.letsencrypt.org/directory");
    expect_dir(client_state_lego_directory, "ca.localhost_14000/x", NULL);
    expect_dir(client_state_lego_directory, "", NULL);
}

static void test_acme_sh_knows_no_port(void **state)
{
    const char *dir = "ca.localhost/acme/dir";

    (void)state;
    assert_true(client_state_acme_sh_is(dir, "https://ca.localhost/acme/dir"));
    assert_true(
        client_state_acme_sh_is(dir, "https://ca.localhost:14000/acme/dir"));
    assert_false(client_state_acme_sh_is(dir, "https://ca.localhost/acme"));
    assert_false(
        client_state_acme_sh_is(dir, "https://ca.localhost.evil/acme/dir"));
    assert_false(client_state_acme_sh_is(dir, "https://evil/acme/dir"));
    assert_true(client_state_acme_sh_is("ca.localhost",
                                        "https://ca.localhost/acme/dir"));
    assert_false(client_state_acme_sh_is("ca.localhost",
                                         "https://ca.localhosts/acme/dir"));
    assert_false(client_state_acme_sh_is("", "https://x/"));
    expect_dir(client_state_acme_sh_directory, dir,
               "https://ca.localhost/acme/dir");
    expect_dir(client_state_acme_sh_directory, "ca.localhost", NULL);
}

static void test_the_hash_of_a_key_file(void **state)
{
    CLEANUP_BUF struct buf got = { 0 };

    (void)state;
    /* printf abc | openssl dgst -sha256 -binary | base64 */
    assert_int_equal(client_state_acme_sh_hash(bytes_from_str("abc"), &got), 0);
    assert_string_equal(buf_str(&got),
                        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

static void test_the_note_of_a_retired_client(void **state)
{
    CLEANUP_BUF struct buf got = { 0 };

    (void)state;
    assert_int_equal(client_state_retired("main", &got), 0);
    assert_true(client_state_is_retired(buf_bytes(&got)));
    assert_null(strstr(buf_str(&got), "BEGIN"));
    assert_non_null(strstr(buf_str(&got), "\"main\""));
    assert_false(client_state_is_retired(bytes_from_str("{\"kty\":")));
    assert_false(client_state_is_retired(bytes_from_str("")));
}

static void test_what_clients_are_like(void **state)
{
    (void)state;
    for (int i = CLIENT_UNSET + 1; i < CLIENT_COUNT; i++) {
        enum client_kind kind = (enum client_kind)i;
        const struct client_kind_facts *f = client_kind_facts(kind);

        assert_int_equal(client_kind_find(f->name), kind);
        assert_true(client_kind_takes(kind, JWS_ALG_RS256, JWS_ALG_RS256));
        /* One way on for everybody. */
        assert_int_equal(!f->stub, f->instead != NULL);
    }
    assert_int_equal(client_kind_find("caddy"), CLIENT_UNSET);
    assert_true(
        client_kind_takes(CLIENT_HAPROXY, JWS_ALG_RS256, JWS_ALG_ES384));
    assert_false(
        client_kind_takes(CLIENT_ACME_SH, JWS_ALG_ES256, JWS_ALG_EDDSA));
    /* Before 0.7.1 it knows RSA alone; acme-tiny always. */
    assert_false(
        client_kind_takes(CLIENT_DEHYDRATED, JWS_ALG_RS256, JWS_ALG_ES256));
    assert_false(client_kind_takes(CLIENT_PEM, JWS_ALG_RS256, JWS_ALG_ES384));
    assert_true(client_kind_takes(CLIENT_PEM, JWS_ALG_ES256, JWS_ALG_ES384));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_account_urls_of_json_files),
        cmocka_unit_test(test_damaged_json_is_told),
        cmocka_unit_test(test_shell_values),
        cmocka_unit_test(test_what_only_a_shell_could_tell),
        cmocka_unit_test(test_a_shell_value_is_replaced),
        cmocka_unit_test(test_lacme_asks_a_socket),
        cmocka_unit_test(test_directories_of_directory_names),
        cmocka_unit_test(test_acme_sh_knows_no_port),
        cmocka_unit_test(test_the_hash_of_a_key_file),
        cmocka_unit_test(test_the_note_of_a_retired_client),
        cmocka_unit_test(test_what_clients_are_like),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
