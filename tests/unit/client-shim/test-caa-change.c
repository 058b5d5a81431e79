/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "client-shim/caa-change.h"
#include "client-shim/ctl.h"

const struct ctl_command *const ctl_commands[] = { NULL };

#define LOST "https://ca.example/acct/1"
#define NEW "https://ca.example/acct/2"

static int give(bool remove, const char *record, void *userdata)
{
    return buf_printf(userdata, "%s%s %s", buf_str(userdata)[0] ? "\n" : "",
                      remove ? "remove" : "add", record);
}

/* Lines "FLAGS TAG VALUE", at most four; the changes as lines. */
static void changes(const char *instead, const char *const *lines,
                    const char *want)
{
    const struct caa_change_question q = { "ca.example", LOST, instead };
    struct dns_value values[4] = { 0 };
    CLEANUP_BUF struct buf got = { 0 };
    char tags[4][32];
    size_t n = 0;

    for (; lines[n]; n++) {
        unsigned flags;
        int at = 0;

        assert_int_equal(sscanf(lines[n], "%u %31s %n", &flags, tags[n], &at),
                         2);
        values[n].number = flags;
        values[n].tag = tags[n];
        assert_int_equal(buf_append_str(&values[n].text, lines[n] + at), 0);
    }
    assert_int_equal(caa_change(values, n, &q, give, &got), 0);
    assert_string_equal(buf_str(&got), want);
    for (size_t i = 0; i < n; i++)
        buf_deinit(&values[i].text);
}

#define CHANGES(instead, want, ...)                                            \
    changes(instead, (const char *const[]){ __VA_ARGS__, NULL }, want)

static void test_before_there_is_another_account(void **state)
{
    (void)state;
    changes(NULL, (const char *const[]){ NULL }, "add 0 issue \";\"");
    CHANGES(NULL, "remove 0 issue \"ca.example\"\nadd 0 issue \";\"",
            "0 issue ca.example");
    CHANGES(NULL,
            "remove 0 issue \"ca.example; accounturi=" LOST
            "\"\nadd 0 issue \";\"",
            "0 issue ca.example; accounturi=" LOST);
    /* Others go on. */
    CHANGES(NULL, "remove 0 issue \"ca.example\"", "0 issue other.example",
            "0 issue ca.example");
    CHANGES(NULL, "", "0 issue other.example", "0 iodef mailto:a@b.example");
    CHANGES(NULL, "", "0 issue ;");
    CHANGES(NULL, "add 0 issue \";\"", "0 iodef mailto:a@b.example");
    /* Wildcards have their own, but never more than the account may. */
    CHANGES(NULL, "remove 0 issuewild \"ca.example\"", "0 issue other.example",
            "128 issuewild other.example", "0 issuewild ca.example");
}

static void test_when_there_is_one(void **state)
{
    (void)state;
    changes(NEW, (const char *const[]){ NULL },
            "add 0 issue \"ca.example; accounturi=" NEW "\"");
    CHANGES(NEW,
            "remove 0 issue \"ca.example\"\n"
            "add 0 issue \"ca.example; accounturi=" NEW "\"",
            "0 issue ca.example", "0 issue other.example");
    CHANGES(NEW, "", "0 issue ca.example; accounturi=" NEW);
    CHANGES(NEW, "remove 0 issue \"ca.example\"", "0 issue ca.example",
            "0 issue ca.example; accounturi=" NEW);
}

static void test_what_it_shows_is_one_line(void **state)
{
    (void)state;
    CHANGES(NULL,
            "remove 0 issue \"ca.example; x=\\\"\\\\\\010\\255\"\n"
            "add 0 issue \";\"",
            "0 issue ca.example; x=\"\\\n\xff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_there_is_another_account),
        cmocka_unit_test(test_when_there_is_one),
        cmocka_unit_test(test_what_it_shows_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
