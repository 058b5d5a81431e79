/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/config.h"
#include "client-shim/account-files.h"
#include "client-shim/ctl.h"

const struct ctl_command *const ctl_commands[] = { NULL };

static int parse(const char *name, const char *text, struct account_wishes *ret,
                 struct errmsg *reterr)
{
    return account_files_parse(ret, bytes_from_str(text), "x.account", name,
                               reterr);
}

static void test_a_whole_file_is_read(void **state)
{
    CLEANUP_ACCOUNT_WISHES struct account_wishes *w = calloc(1, sizeof(*w));
    const struct account_wish *x;

    (void)state;
    assert_non_null(w);
    assert_int_equal(
        parse("main",
              "[Account]\nCa=letsencrypt-staging\nToken=hsm\n"
              "KeyType=rsa-3072\nContact=mailto:a@b.example\n"
              "Contact=mailto:c@b.example\nAgreeTerms=yes\nEabKid=k 1\n"
              "EabKey=credential:eab\nIssuer=a.example b.example\n"
              "Origins=https://b.example\nChallengeMembers=payload2\n"
              "AllowQuery=yes\nAllowHttpLoopback=no\nCaFile=/etc/ca.pem\n"
              "ExistingKey=pkcs11:object=x\n"
              "Rotate=90d\nRotateWindow=Sun 02:00-04:00\nOrderDrain=60s\n"
              "Settle=0\nCacheTime=3\nGrace=1h\nKeepOldKey=yes\n",
              w, NULL),
        0);
    x = account_files_find(w, "main");
    assert_non_null(x);
    assert_null(account_files_find(w, "other"));
    assert_string_equal(
        x->directory, "https://acme-staging-v02.api.letsencrypt.org/directory");
    assert_string_equal(x->token, "hsm");
    assert_string_equal(x->alg, "RS256");
    assert_int_equal(x->rsa_bits, 3072);
    assert_string_equal(x->contacts[1], "mailto:c@b.example");
    assert_null(x->contacts[2]);
    assert_true(x->manage_contacts);
    assert_true(x->agree_terms);
    assert_string_equal(x->eab_kid, "k 1");
    assert_string_equal(x->eab_key, "credential:eab");
    assert_string_equal(x->issuers[1], "b.example");
    assert_string_equal(x->origins[0], "https://b.example");
    assert_string_equal(x->challenge_members[0], "payload2");
    assert_true(x->allow_query);
    assert_false(x->allow_http_loopback);
    assert_string_equal(x->ca_file, "/etc/ca.pem");
    assert_string_equal(x->existing_key, "pkcs11:object=x");
    assert_int_equal(x->schedule.rotate_s, 90 * 86400);
    assert_string_equal(x->schedule.window, "Sun 02:00-04:00");
    assert_int_equal(x->schedule.order_drain_s, 60);
    assert_int_equal(x->schedule.settle_s, 0);
    assert_int_equal(x->schedule.cache_s, 3);
    assert_int_equal(x->schedule.grace_s, 3600);
    assert_true(x->schedule.keep_old);
}

static void test_little_is_enough(void **state)
{
    CLEANUP_ACCOUNT_WISHES struct account_wishes *w = calloc(1, sizeof(*w));

    (void)state;
    assert_non_null(w);
    assert_int_equal(parse("a",
                           "[Account]\nDirectory=https://ca.example/dir\n"
                           "Token=hsm\n",
                           w, NULL),
                     0);
    assert_int_equal(parse("b",
                           "[Account]\nCa=https://ca.example/dir\nToken=hsm\n"
                           "Contact=\n",
                           w, NULL),
                     0);
    assert_string_equal(w->items[0].alg, "ES256");
    assert_false(w->items[0].agree_terms);
    assert_false(w->items[0].manage_contacts);
    assert_null(w->items[0].contacts);
    assert_int_equal(w->items[0].schedule.rotate_s, ACCOUNT_NO_TIME);
    assert_int_equal(w->items[0].schedule.grace_s, ACCOUNT_NO_TIME);
    assert_null(w->items[0].schedule.window);
    assert_false(w->items[0].schedule.keep_old);
    assert_string_equal(w->items[1].directory, "https://ca.example/dir");
    assert_true(w->items[1].manage_contacts);
    assert_null(w->items[1].contacts);
}

#define BOTH "[Account]\nCa=gts\nToken=hsm\n"

static void test_what_is_wrong_is_said_with_its_line(void **state)
{
    static const struct {
        const char *name, *text;
        unsigned line;
        const char *words;
    } cases[] = {
        { "a", "", 0, "one section" },
        { "a", BOTH BOTH, 0, "one section" },
        { "A", BOTH, 0, "an account's name" },
        { "a", "[Account]\nToken=hsm\n", 1, "Ca= or Directory=" },
        { "a", BOTH "Directory=https://a.example/\n", 2, "exclude" },
        { "a", "[Account]\nCa=nobody\nToken=hsm\n", 2, "Ca=nobody" },
        { "a", "[Account]\nCa=gts\n", 1, "Token=" },
        { "a", "[Account]\nCa=gts\nToken=A\n", 3, "Token=A" },
        { "a", BOTH "KeyType=ec-p521\n", 4, "ec-p521" },
        { "a", BOTH "EabKid=x\n", 4, "need each other" },
        { "a", BOTH "EabKey=credential:x\n", 4, "need each other" },
        { "a", BOTH "EabKid=x\nEabKey=secret\n", 5, "EabKey=" },
        { "a", BOTH "EabKid=x\nEabKey=file:rel\n", 5, "EabKey=" },
        { "a", BOTH "CaFile=rel\n", 4, "CaFile" },
        { "a", BOTH "AllowQuery=7\n", 4, "AllowQuery" },
        { "a", BOTH "Rotates=1d\n", 4, "Rotates" },
        { "a", BOTH "Rotate=59min\n", 4, "Rotate" },
        { "a", BOTH "RotateWindow=\nRotateWindow=Sunday\n", 5,
          "RotateWindow= is [DAYS] HH:MM-HH:MM" },
        { "a", BOTH "OrderDrain=11min\n", 4, "OrderDrain" },
        { "a", BOTH "Settle=16\n", 4, "Settle" },
        { "a", BOTH "CacheTime=31\n", 4, "CacheTime" },
        { "a", BOTH "Grace=91d\n", 4, "Grace" },
        { "a", BOTH "KeepOldKey=maybe\n", 4, "KeepOldKey" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_ACCOUNT_WISHES struct account_wishes *w = calloc(1, sizeof(*w));
        struct errmsg e = { 0 };

        assert_non_null(w);
        if (parse(cases[i].name, cases[i].text, w, &e) != CONFIG_E_INVALID ||
            strcmp(e.file, "x.account") != 0 || e.line != cases[i].line ||
            !strstr(e.text, cases[i].words))
            fail_msg("%zu: %s:%u: %s", i, e.file, e.line, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file_is_read),
        cmocka_unit_test(test_little_is_enough),
        cmocka_unit_test(test_what_is_wrong_is_said_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
