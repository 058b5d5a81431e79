/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client-shim/client-setup.h"

static const struct jwk rsa = { .type = JWK_TYPE_RSA };
static const struct jwk p256 = { .type = JWK_TYPE_P256,
                                 .x = { 1 },
                                 .y = { 1 } };
static const struct jwk short_x = { .type = JWK_TYPE_P256, .y = { 1 } };
static const struct jwk short_y = { .type = JWK_TYPE_P384, .x = { 1 } };
static const struct jwk ed25519 = { .type = JWK_TYPE_ED25519,
                                    .x = { 1 },
                                    .y = { 1 } };

static struct client_setup_wish wish_of(const char *client,
                                        const struct jwk *key, const char *file)
{
    return (struct client_setup_wish){ .client = client,
                                       .account = "main",
                                       .key = key,
                                       .file = file,
                                       .openssl_conf = "/x/openssl.cnf",
                                       .lacme_socket = "/s" };
}

static int plan(const char *client, const struct jwk *key, const char *file,
                struct client_setup *ret)
{
    const struct client_setup_wish wish = wish_of(client, key, file);
    struct errmsg err = { 0 };
    int r = client_setup_plan(&wish, ret, &err);

    assert_int_equal(r != 0, err.text[0] != '\0');
    return r;
}

static void expect_edit(const struct client_setup_step *s, const char *path,
                        const char *before, const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };

    assert_string_equal(s->path, path);
    assert_int_equal(client_setup_edit(s, bytes_from_str(before), &got), 0);
    assert_string_equal(buf_str(&got), want);
}

static void test_each_client_gets_what_it_reads(void **state)
{
    struct client_setup p;

    (void)state;
    assert_int_equal(plan("acme.sh", &p256, "/h/account.conf", &p), 0);
    expect_edit(&p.steps[0], "/h/acme-guardian-openssl", "",
                "#!/bin/sh\n"
                "OPENSSL_CONF='/x/openssl.cnf' exec /usr/bin/openssl \"$@\"\n");
    assert_int_equal(p.steps[0].mode, 0755);
    expect_edit(&p.steps[1], "/h/account.conf", "A='1'\n",
                "A='1'\nACME_OPENSSL_BIN='/h/acme-guardian-openssl'\n");
    assert_int_equal(plan("dehydrated", &rsa, NULL, &p), 0);
    expect_edit(&p.steps[0], "/etc/dehydrated/config", "CA=x\n",
                "CA=x\nexport OPENSSL_CONF='/x/openssl.cnf'\n");
    assert_int_equal(p.n, 2);
    assert_int_equal(plan("getssl", &rsa, "/h/getssl.cfg", &p), 0);
    expect_edit(&p.steps[0], "/h/getssl.cfg", "SSLCONF=\"/etc/x\"\n",
                "SSLCONF='/x/openssl.cnf'\n");
    assert_int_equal(plan("acme-tiny", &rsa, "/h/tiny", &p), 0);
    expect_edit(&p.steps[0], "/h/tiny", "",
                "#!/bin/sh\n"
                "OPENSSL_CONF='/x/openssl.cnf' exec acme-tiny \"$@\"\n");
    assert_int_equal(plan("lacme", &rsa, NULL, &p), 0);
    expect_edit(&p.steps[0], "/etc/lacme/lacme.conf", "[accountd]\n",
                "#[accountd]\n[client]\nsocket = /s\n");
}

static void test_haproxy_in_its_chroot(void **state)
{
    struct client_setup_wish wish = wish_of("haproxy", &p256, NULL);
    struct client_setup p;
    struct errmsg err;

    (void)state;
    assert_int_equal(client_setup_plan(&wish, &p, &err), 0);
    expect_edit(&p.steps[0],
                "/etc/systemd/system/haproxy.service.d/acme-guardian.conf", "",
                "[Service]\nEnvironment=OPENSSL_CONF=/x/openssl.cnf\n");
    wish.chroot = "/var/lib/haproxy";
    assert_int_equal(client_setup_plan(&wish, &p, &err), 0);
    assert_non_null(strstr(p.steps[0].text,
                           "BindReadOnlyPaths=/run/acme-guardian:/var/lib/"
                           "haproxy/run/acme-guardian\n"));
}

/* Who runs it again need not know where the chroot was. */
static void test_haproxy_keeps_its_chroot(void **state)
{
    static const char bind[] =
        "BindReadOnlyPaths=/run/acme-guardian:/jail/run/acme-guardian";
    struct client_setup_wish wish = wish_of("haproxy", &p256, NULL);
    struct client_setup p;
    struct errmsg err;
    char before[200], now[200];

    (void)state;
    (void)snprintf(before, sizeof(before), "[Service]\nEnvironment=A=b\n%s",
                   bind);
    (void)snprintf(now, sizeof(now),
                   "[Service]\nEnvironment=OPENSSL_CONF=/x/openssl.cnf\n%s\n",
                   bind);
    assert_int_equal(client_setup_plan(&wish, &p, &err), 0);
    expect_edit(&p.steps[0], p.steps[0].path, before, now);
    wish.chroot = "/other";
    assert_int_equal(client_setup_plan(&wish, &p, &err), 0);
    expect_edit(&p.steps[0], p.steps[0].path, before, p.steps[0].text);
}

/* HAProxy does not print what OpenSSL's error queue says. */
static void test_the_configuration_of_openssl_that_is_installed(void **state)
{
    struct client_setup_wish wish = wish_of("haproxy", &p256, NULL);
    struct client_setup p;
    struct errmsg err;

    (void)state;
    wish.openssl_conf = NULL;
    assert_int_equal(client_setup_plan(&wish, &p, &err), 0);
    assert_non_null(strstr(p.steps[0].text, "/acme-guardian/"
                                            "openssl-stderr.cnf\n"));
    wish.client = "dehydrated";
    assert_int_equal(client_setup_plan(&wish, &p, &err), 0);
    assert_non_null(strstr(p.steps[0].text, "/acme-guardian/openssl.cnf"));
}

static void test_keys_that_a_client_cannot_use(void **state)
{
    struct client_setup p;

    (void)state;
    assert_int_equal(plan("acme-tiny", &p256, "/t", &p), CLIENT_SETUP_E_KEY);
    assert_int_equal(plan("haproxy", &short_x, NULL, &p), CLIENT_SETUP_E_KEY);
    assert_int_equal(plan("haproxy", &short_y, NULL, &p), CLIENT_SETUP_E_KEY);
    assert_int_equal(plan("haproxy", &rsa, NULL, &p), 0);
    assert_int_equal(plan("dehydrated", &short_x, NULL, &p), 0);
    assert_int_equal(plan("dehydrated", &ed25519, NULL, &p),
                     CLIENT_SETUP_E_KEY);
}

static void test_what_is_not_said_is_asked_for(void **state)
{
    struct client_setup p;

    (void)state;
    assert_int_equal(plan("caddy", &rsa, NULL, &p), CLIENT_SETUP_E_UNKNOWN);
    assert_int_equal(plan("getssl", &rsa, NULL, &p), CLIENT_SETUP_E_FILE);
    assert_int_equal(plan("acme.sh", &rsa, "account.conf", &p),
                     CLIENT_SETUP_E_FILE);
    assert_int_equal(plan("acme-tiny", &rsa, "/a'b", &p), CLIENT_SETUP_E_FILE);
    assert_int_equal(plan("acme-tiny", &rsa, "/a\nb", &p), CLIENT_SETUP_E_FILE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_client_gets_what_it_reads),
        cmocka_unit_test(test_haproxy_in_its_chroot),
        cmocka_unit_test(test_haproxy_keeps_its_chroot),
        cmocka_unit_test(test_the_configuration_of_openssl_that_is_installed),
        cmocka_unit_test(test_keys_that_a_client_cannot_use),
        cmocka_unit_test(test_what_is_not_said_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
