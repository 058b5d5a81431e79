/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "client-shim/ctl-commands.h"
#include "client-shim/rotate-dns.h"

/* When a rotation has seen what it waits for. */

const struct ctl_command *const ctl_commands[] = { NULL };

#define NEW "ca.example; accounturi=https://ca.example/new"
#define OLD "ca.example; accounturi=https://ca.example/old"

static const char *const values[] = { NEW };
static const struct publish_want want = { .domain = "example.com",
                                          .values = values,
                                          .n_values = 1 };
static const struct publish_want nothing = { .domain = "example.com" };

static void test_every_server_has_it(void **state)
{
    const struct dns_view *view;
    struct servers s;
    uint32_t ttl_s;

    (void)state;
    servers_init(&s);
    /* Nobody was asked. */
    assert_int_equal(rotate_look(&s.result, &want, NULL, &view, &ttl_s),
                     ROTATE_LOOK_SILENT);
    assert_null(view);
    servers_have(&s, OLD, NEW)->ttl_s = 5;
    servers_have(&s, NEW, NULL)->ttl_s = 7;
    assert_int_equal(rotate_look(&s.result, &want, NULL, &view, &ttl_s),
                     ROTATE_LOOK_GOOD);
    assert_int_equal(ttl_s, 7);
    servers_deinit(&s);
}

static void test_one_server_that_lacks_it(void **state)
{
    const struct dns_view *view;
    struct servers s;
    uint32_t ttl_s;

    (void)state;
    servers_init(&s);
    (void)servers_add(&s, DNS_TIMEOUT);
    (void)servers_have(&s, OLD, NULL);
    (void)servers_have(&s, NEW, NULL);
    assert_int_equal(rotate_look(&s.result, &want, NULL, &view, &ttl_s),
                     ROTATE_LOOK_NOT);
    assert_ptr_equal(view, &s.views[1]);
    servers_deinit(&s);

    servers_init(&s);
    (void)servers_have(&s, NEW, NULL);
    (void)servers_add(&s, DNS_NXDOMAIN);
    assert_int_equal(rotate_look(&s.result, &want, NULL, &view, &ttl_s),
                     ROTATE_LOOK_NOT);
    assert_ptr_equal(view, &s.views[1]);
    servers_deinit(&s);
}

/* It may be the one that the CA asks. */
static void test_one_server_that_does_not_tell(void **state)
{
    static const enum dns_status statuses[] = { DNS_TIMEOUT, DNS_SERVFAIL,
                                                DNS_REFUSED, DNS_LAME };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(statuses); i++) {
        const struct dns_view *view;
        struct servers s;
        uint32_t ttl_s;
        bool first = i % 2;

        servers_init(&s);
        if (first)
            (void)servers_add(&s, statuses[i / 2]);
        (void)servers_have(&s, NEW, NULL);
        if (!first)
            (void)servers_add(&s, statuses[i / 2]);
        assert_int_equal(rotate_look(&s.result, &want, NULL, &view, &ttl_s),
                         ROTATE_LOOK_SILENT);
        assert_ptr_equal(view, &s.views[first ? 0 : 1]);
        servers_deinit(&s);
    }
}

static void test_gone_everywhere(void **state)
{
    CLEANUP_PUBLISH_OWN struct publish_own own = { 0 };
    const struct dns_view *view;
    struct servers s;
    uint32_t ttl_s;

    (void)state;
    assert_int_equal(publish_own_add(&own, "https://ca.example/old", NULL), 0);
    publish_own_sort(&own);
    servers_init(&s);
    (void)servers_have(&s, NEW, NULL);
    assert_int_equal(rotate_look(&s.result, &want, &own, &view, &ttl_s),
                     ROTATE_LOOK_GOOD);
    /* What replaces it has to stand there still. */
    (void)servers_add(&s, DNS_NODATA);
    assert_int_equal(rotate_look(&s.result, &want, &own, &view, &ttl_s),
                     ROTATE_LOOK_NOT);
    assert_int_equal(rotate_look(&s.result, &nothing, &own, &view, &ttl_s),
                     ROTATE_LOOK_GOOD);
    (void)servers_have(&s, NEW, OLD);
    assert_int_equal(rotate_look(&s.result, &nothing, &own, &view, &ttl_s),
                     ROTATE_LOOK_NOT);
    assert_ptr_equal(view, &s.views[2]);
    servers_deinit(&s);
}

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(rotate_work_parse("publish"), ROTATE_PUBLISH);
    assert_int_equal(rotate_work_parse("remove-new"), ROTATE_REMOVE_NEW);
    assert_int_equal(rotate_work_parse(""), ROTATE_WORK_UNSET);
    assert_int_equal(rotate_work_parse("else"), ROTATE_WORK_UNSET);
    assert_true(rotate_removes(ROTATE_REMOVE_OLD));
    assert_true(rotate_removes(ROTATE_REMOVE_NEW));
    assert_false(rotate_removes(ROTATE_PUBLISH));
    assert_false(rotate_removes(ROTATE_VERIFY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_server_has_it),
        cmocka_unit_test(test_one_server_that_lacks_it),
        cmocka_unit_test(test_one_server_that_does_not_tell),
        cmocka_unit_test(test_gone_everywhere),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
