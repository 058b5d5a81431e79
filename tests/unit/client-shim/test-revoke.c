/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "client-shim/ctl-commands.h"
#include "client-shim/publish-report.h"
#include "client-shim/revoke.h"

/* When a record is gone, and which authorizations are ended. */

const struct ctl_command *const ctl_commands[] = { NULL };

#define URL "https://ca.example/acct/1"

static void test_gone_is_what_every_server_says(void **state)
{
    CLEANUP_PUBLISH_OWN struct publish_own o = { 0 };
    const struct dns_view *view;
    struct servers s;
    uint32_t ttl_s;

    (void)state;
    assert_int_equal(publish_own_add(&o, URL, NULL), 0);
    publish_own_sort(&o);
    servers_init(&s);
    assert_int_equal(revoke_look(&s.result, &o, &ttl_s, &view), REVOKE_UNKNOWN);
    (void)servers_have(&s, NULL, NULL);
    (void)servers_have(&s, "ca.example; accounturi=" URL "0", NULL);
    assert_int_equal(revoke_look(&s.result, &o, &ttl_s, &view), REVOKE_GONE);
    (void)servers_add(&s, DNS_TIMEOUT);
    assert_int_equal(revoke_look(&s.result, &o, &ttl_s, &view), REVOKE_UNKNOWN);
    assert_ptr_equal(view, &s.views[2]);
    servers_have(&s, "x.example; accounturi=" URL, NULL)->ttl_s = 7;
    assert_int_equal(revoke_look(&s.result, &o, &ttl_s, &view), REVOKE_THERE);
    assert_ptr_equal(view, &s.views[3]);
    assert_int_equal(ttl_s, 7);
    servers_deinit(&s);
}

/* Of exactly the name, valid, and not being worked on. */
static void test_which_authorizations_are_ended(void **state)
{
    static struct net_authz z = { .status = "valid",
                                  .identifier_type = "dns",
                                  .identifier = "example.com" };

    (void)state;
    assert_true(revoke_may_end(&z, "example.com", false));
    assert_false(revoke_may_end(&z, "example.com", true));
    assert_false(revoke_may_end(&z, "www.example.com", false));
    assert_false(revoke_may_end(&z, "com", false));
    z.wildcard = 1;
    assert_true(revoke_may_end(&z, "example.com", true));
    assert_false(revoke_may_end(&z, "example.com", false));
    z.has_persist = 1;
    (void)strcpy(z.persist.status, "processing");
    assert_false(revoke_may_end(&z, "example.com", true));
    (void)strcpy(z.persist.status, "valid");
    assert_true(revoke_may_end(&z, "example.com", true));
    (void)strcpy(z.status, "pending");
    assert_false(revoke_may_end(&z, "example.com", true));
    (void)strcpy(z.status, "valid");
    (void)strcpy(z.identifier_type, "ip");
    assert_false(revoke_may_end(&z, "example.com", true));
}

static enum ctl_exit code_of(enum publish_state a, enum publish_state b)
{
    struct publish_change changes[] = { { .state = a }, { .state = b } };
    const struct publish_plan plan = { .changes = changes, .n_changes = 2 };

    return publish_report_exit(&plan);
}

/* What was not made outweighs what is left to a person. */
static void test_exit_codes_of_changes(void **state)
{
    struct publish_note note = { .blocks = false };
    struct publish_plan plan = { .notes = &note, .n_notes = 1 };

    (void)state;
    assert_int_equal(code_of(PUBLISH_DONE, PUBLISH_DONE), CTL_EXIT_DONE);
    assert_int_equal(code_of(PUBLISH_DONE, PUBLISH_BY_HAND), CTL_EXIT_NO);
    assert_int_equal(code_of(PUBLISH_FAILED, PUBLISH_BY_HAND),
                     CTL_EXIT_TRY_AGAIN);
    assert_int_equal(code_of(PUBLISH_DONE, PUBLISH_UNKNOWN),
                     CTL_EXIT_TRY_AGAIN);
    assert_int_equal(code_of(PUBLISH_LATER, PUBLISH_DONE), CTL_EXIT_TRY_AGAIN);
    assert_int_equal(code_of(PUBLISH_PENDING, PUBLISH_DONE),
                     CTL_EXIT_TRY_AGAIN);
    assert_int_equal(publish_report_exit(&plan), CTL_EXIT_DONE);
    note.blocks = true;
    assert_int_equal(publish_report_exit(&plan), CTL_EXIT_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gone_is_what_every_server_says),
        cmocka_unit_test(test_which_authorizations_are_ended),
        cmocka_unit_test(test_exit_codes_of_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
