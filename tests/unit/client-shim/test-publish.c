/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/publish.h"

#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "client-shim/publish-hook.h"

#define OWNER "_validation-persist.example.test"
#define ALIAS "example.test.persist.test"
#define OURS "ca.test; accounturi=https://ca.test/ours"
#define OLD "ca.test; accounturi=https://ca.test/ours-old"
#define FOREIGN "ca.test; accounturi=https://ca.test/theirs"

static bool own(struct bytes value, void *userdata)
{
    (void)userdata;
    return memmem(value.data, value.len, "/ours", 5);
}

static const struct publish_rules rules = { .own = own };

/* A view with up to three values. */
static struct dns_view view(enum dns_status status, const char *const *texts)
{
    struct dns_view v = { .name = strdup(OWNER),
                          .server = strdup("ns1"),
                          .status = status,
                          .ttl_s = 77 };

    v.values = calloc(3, sizeof(*v.values));
    for (; texts && texts[v.n_values]; v.n_values++) {
        struct dns_value *x = &v.values[v.n_values];
        struct bytes text = bytes_from_str(texts[v.n_values]);

        assert_int_equal(dns_txt_encode(text, &x->rdata), 0);
        assert_int_equal(buf_append(&x->text, text.data, text.len), 0);
    }
    return v;
}

static struct dns_result result_of(struct dns_view a, struct dns_view b)
{
    struct dns_result r = { .name = strdup(OWNER), .n_views = 2 };

    r.views = calloc(2, sizeof(*r.views));
    r.views[0] = a;
    r.views[1] = b;
    return r;
}

/* Decides, and frees what was seen. */
static struct publish_plan plan_for(const char *const *values,
                                    const struct zone *zone,
                                    struct dns_result written,
                                    struct dns_result *owner,
                                    const struct publish_rules *by)
{
    struct publish_plan plan = { 0 };
    struct publish_want want = { .domain = "example.test", .values = values };

    while (values && values[want.n_values])
        want.n_values++;
    assert_int_equal(
        publish_decide(&want, zone, &written, owner, by, &plan, NULL), 0);
    dns_result_deinit(&written);
    return plan;
}

static void assert_changes(const struct publish_plan *p, const char *want)
{
    CLEANUP_BUF struct buf have = { 0 };

    for (size_t i = 0; i < p->n_changes; i++)
        assert_int_equal(buf_printf(&have, "%s %s %u\n",
                                    p->changes[i].remove ? "remove" : "add",
                                    buf_str(&p->changes[i].value),
                                    p->changes[i].ttl_s),
                         0);
    assert_string_equal(buf_str(&have), want);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_what_is_missing_is_added_and_only_that(void **state)
{
    const struct {
        const char *const *first, *const *second;
        enum dns_status of_second;
        const char *want;
        size_t n_unchanged;
    } cases[] = {
        { NULL, NULL, DNS_NXDOMAIN, "add " OURS " 3600\n", 0 },
        { LIST(OURS), LIST(OURS), DNS_OK, "", 1 },
        /* One server has it, another not yet. */
        { LIST(OURS), NULL, DNS_NODATA, "add " OURS " 3600\n", 0 },
        /* Who does not answer does not count. */
        { LIST(OURS), NULL, DNS_TIMEOUT, "", 1 },
        { LIST(OURS), NULL, DNS_LAME, "", 1 },
        /* The foreign one stays, with its TTL. */
        { LIST(FOREIGN), LIST(FOREIGN), DNS_OK, "add " OURS " 77\n", 0 },
        { LIST(FOREIGN, OURS), LIST(OURS, FOREIGN), DNS_OK, "", 1 },
        { LIST(OLD), LIST(OLD), DNS_OK,
          "add " OURS " 3600\nremove " OLD " 3600\n", 0 },
        { LIST(OURS, OLD), LIST(OURS), DNS_OK, "remove " OLD " 3600\n", 1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_result written = result_of(
            view(cases[i].first ? DNS_OK : DNS_NXDOMAIN, cases[i].first),
            view(cases[i].of_second, cases[i].second));
        CLEANUP_PUBLISH_PLAN struct publish_plan p =
            plan_for(LIST(OURS), NULL, written, NULL, &rules);

        assert_changes(&p, cases[i].want);
        assert_int_equal(p.n_unchanged, cases[i].n_unchanged);
        assert_int_equal(p.n_notes, 0);
    }
}

static void test_foreign_values_are_never_removed(void **state)
{
    const struct publish_rules nobody = { 0 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct dns_result written =
            result_of(view(DNS_OK, LIST(FOREIGN, OURS)), view(DNS_OK, NULL));
        CLEANUP_PUBLISH_PLAN struct publish_plan p =
            plan_for(NULL, NULL, written, NULL, i ? &rules : &nobody);

        assert_changes(&p, i ? "remove " OURS " 77\n" : "");
    }
}

/* Another cut of the same text is another record to a server. */
static void test_what_is_removed_is_named_as_it_stands(void **state)
{
    static const uint8_t cut[] = "\x07"
                                 "ca.test\x21"
                                 "; accounturi=https://ca.test/ours";
    struct dns_view a = view(DNS_OK, LIST(OURS));
    struct dns_view b = view(DNS_OK, LIST(OURS));
    CLEANUP_PUBLISH_PLAN struct publish_plan p = { 0 };

    (void)state;
    buf_clear(&b.values[0].rdata);
    assert_int_equal(buf_append(&b.values[0].rdata, cut, sizeof(cut) - 1), 0);
    p = plan_for(NULL, NULL, result_of(a, b), NULL, &rules);
    assert_int_equal(p.n_changes, 2);
    assert_true(p.changes[0].remove && p.changes[1].remove);
    assert_int_equal(p.changes[1].rdata.len, sizeof(cut) - 1);
    assert_memory_equal(p.changes[1].rdata.data, cut, sizeof(cut) - 1);
}

static void test_removing_adds_nothing(void **state)
{
    const struct publish_rules removing = { .own = own, .only_remove = true };
    struct dns_result written =
        result_of(view(DNS_OK, LIST(OLD)), view(DNS_OK, LIST(OLD)));
    CLEANUP_PUBLISH_PLAN struct publish_plan p =
        plan_for(LIST(OURS), NULL, written, NULL, &removing);

    (void)state;
    assert_changes(&p, "remove " OLD " 3600\n");
}

static void test_silence_is_noted(void **state)
{
    struct dns_result written =
        result_of(view(DNS_TIMEOUT, NULL), view(DNS_SERVFAIL, NULL));
    CLEANUP_PUBLISH_PLAN struct publish_plan p =
        plan_for(LIST(OURS), NULL, written, NULL, &rules);

    (void)state;
    assert_changes(&p, "add " OURS " 3600\n");
    assert_int_equal(p.n_notes, 1);
    assert_false(p.notes[0].blocks);
    assert_non_null(strstr(p.notes[0].text, "unknown"));
}

static void test_a_cname_in_the_way_blocks(void **state)
{
    struct dns_view a = view(DNS_ALIAS, NULL);
    CLEANUP_PUBLISH_PLAN struct publish_plan p = { 0 };

    (void)state;
    a.target = strdup("x.other.test");
    p = plan_for(LIST(OURS), NULL, result_of(a, view(DNS_TIMEOUT, NULL)), NULL,
                 &rules);
    assert_changes(&p, "");
    assert_int_equal(p.n_notes, 1);
    assert_true(p.notes[0].blocks);
    assert_non_null(strstr(p.notes[0].text, "x.other.test"));
    assert_non_null(strstr(p.notes[0].text, "AliasZone="));
}

static void test_an_alias_must_lead_there(void **state)
{
    const struct zone zone = { .name = (char *)(uintptr_t) "example.test",
                               .alias_zone = (char *)(uintptr_t) "persist.test",
                               .ttl_s = 60 };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct dns_view at_owner =
            view(i == 2 ? DNS_NXDOMAIN : DNS_ALIAS, NULL);
        struct dns_result owner;
        CLEANUP_PUBLISH_PLAN struct publish_plan p = { 0 };

        if (i < 2)
            at_owner.target = strdup(i == 0 ? ALIAS : "wrong.test");
        owner = result_of(at_owner, view(DNS_NXDOMAIN, NULL));
        p = plan_for(
            LIST(OURS), &zone,
            result_of(view(DNS_NXDOMAIN, NULL), view(DNS_NXDOMAIN, NULL)),
            &owner, &rules);
        assert_changes(&p, "add " OURS " 60\n");
        assert_string_equal(p.changes[0].owner, ALIAS);
        assert_int_equal(p.n_notes, i == 0 ? 0 : 1);
        if (i)
            assert_non_null(
                strstr(p.notes[0].text, "\"" OWNER ". IN CNAME " ALIAS ".\""));
        dns_result_deinit(&owner);
    }
}

static void test_a_domain_without_room_is_refused(void **state)
{
    char longest[DNS_NAME_MAX + 1];
    struct publish_want want = { .domain = longest };
    struct publish_plan plan = { 0 };
    const struct dns_result nothing = { 0 };
    struct errmsg e = { 0 };

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[DNS_NAME_MAX] = '\0';
    assert_int_equal(
        publish_decide(&want, NULL, &nothing, NULL, &rules, &plan, &e),
        PUBLISH_E_NAME);
    assert_non_null(strstr(e.text, "253"));
}

static void test_lines(void **state)
{
    const struct zone zone = { .tsig_name = (char *)(uintptr_t) "k1" };
    struct dns_result written =
        result_of(view(DNS_NXDOMAIN, NULL), view(DNS_NXDOMAIN, NULL));
    CLEANUP_PUBLISH_PLAN struct publish_plan p =
        plan_for(LIST(OURS), NULL, written, NULL, &rules);
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(publish_format_change(&p.changes[0], &b), 0);
    assert_string_equal(buf_str(&b), "add " OWNER ". 3600 IN TXT \"" OURS "\"");
    buf_clear(&b);
    assert_int_equal(publish_bind_policy(&zone, OWNER, &b), 0);
    assert_string_equal(buf_str(&b), "grant k1 name " OWNER ". TXT;");
}

/* Its user is not ours: with our terminal it could type what we run next. */
static void test_a_hook_has_a_session_of_its_own(void **state)
{
    static const char script[] = "#!/bin/sh\n"
                                 "read -r _ _ _ _ _ session _ </proc/$$/stat\n"
                                 "[ \"$session\" = $$ ]\n";
    char path[] = "/tmp/test-hook-XXXXXX";
    struct passwd *us = getpwuid(geteuid());
    CLEANUP_FD int fd = mkostemp(path, O_CLOEXEC);
    struct zone zone = { .name = "example.test", .hook = path };
    struct publish_change c = { .zone = &zone, .owner = "_a.example.test" };

    (void)state;
    assert_non_null(us);
    zone.hook_user = us->pw_name;
    assert_int_equal(write(fd, script, strlen(script)), strlen(script));
    assert_int_equal(fchmod(fd, 0700), 0);
    close(TAKE_FD(fd)); /* a file open for writing is not run */
    assert_int_equal(buf_append_str(&c.value, "x"), 0);
    assert_int_equal(publish_hook_run(&c), 0);
    assert_int_equal(unlink(path), 0);
    print_message("%s\n", c.text);
    assert_int_equal(c.state, PUBLISH_DONE);
    buf_deinit(&c.value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_missing_is_added_and_only_that),
        cmocka_unit_test(test_foreign_values_are_never_removed),
        cmocka_unit_test(test_what_is_removed_is_named_as_it_stands),
        cmocka_unit_test(test_removing_adds_nothing),
        cmocka_unit_test(test_silence_is_noted),
        cmocka_unit_test(test_a_cname_in_the_way_blocks),
        cmocka_unit_test(test_an_alias_must_lead_there),
        cmocka_unit_test(test_a_domain_without_room_is_refused),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_a_hook_has_a_session_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
