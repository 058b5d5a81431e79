/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * tests/vectors/requests.json and csr.json end to end: the octets that a client
 * sends, the account, the policy and the caller of the file's context, and the
 * verdict of each case.
 */
#include "policy-fixture.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *load(const char *name)
{
    const char *dir = getenv("VECTORS");
    char path[1024];
    json_t *j;

    assert_non_null(dir);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    return j;
}

static struct acme_account *account_of(const json_t *context)
{
    struct acme_account *account = NULL;
    struct refusal why = { 0 };
    char *text = json_dumps(json_object_get(context, "account"), 0);

    assert_non_null(text);
    if (acme_account_read(bytes_from_str(text), &account, &why))
        fail_msg("account: %s %s", reason_code(why.reason), why.detail);
    free(text);
    return account;
}

static struct bytes text_of(const json_t *c, const char *member)
{
    const json_t *s = json_object_get(c, member);

    assert_true(json_is_string(s));
    return (struct bytes){ (const uint8_t *)json_string_value(s),
                           json_string_length(s) };
}

static const char *kind_word(enum reason reason)
{
    return reason_kind(reason) == REASON_KIND_MALFORMED ? "malformed"
                                                        : "denied";
}

static const char *verdict_of(const struct policy_set *set, uid_t uid,
                              const struct acme_account *account,
                              const json_t *c, enum reason *ret_reason)
{
    CLEANUP_ACME_REQUEST struct acme_request *rq = NULL;
    struct policy_caller caller = { .uid = uid, .now = 1700000000 };
    struct policy_verdict v = { 0 };
    struct refusal why = { 0 };
    int r;

    r = acme_request_read(account, text_of(c, "protected"),
                          text_of(c, "payload"), &rq, &why);
    *ret_reason = why.reason;
    if (r == REFUSED)
        return kind_word(why.reason);
    assert_int_equal(r, 0);
    assert_int_equal(
        policy_eval(set, &caller, &fixture_names, account, rq, NULL, NULL, &v),
        0);
    *ret_reason = v.reason;
    return v.allowed ? "allowed" : kind_word(v.reason);
}

static void check_file(const char *name, size_t at_least)
{
    json_t *file = load(name);
    const json_t *context = json_object_get(file, "context");
    CLEANUP_ACME_ACCOUNT struct acme_account *account = account_of(context);
    CLEANUP_POLICY_SET struct policy_set *set = fixture_set(
        json_string_value(json_object_get(context, "policy")), NULL);
    uid_t uid = (uid_t)json_integer_value(
        json_object_get(json_object_get(context, "caller"), "uid"));
    const json_t *cases = json_object_get(file, "cases");
    unsigned bad = 0;

    assert_true(json_array_size(cases) >= at_least);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        const char *expected = json_string_value(json_object_get(c, "verdict"));
        enum reason reason = REASON_UNSET;
        const char *verdict = verdict_of(set, uid, account, c, &reason);

        if (strcmp(verdict, expected) == 0)
            continue;
        bad++;
        print_error("%s: %s: %s %s, not %s\n", name,
                    json_string_value(json_object_get(c, "id")), verdict,
                    reason_code(reason), expected);
    }
    json_decref(file);
    assert_int_equal(bad, 0);
}

static void test_requests(void **state)
{
    (void)state;
    check_file("requests.json", 50);
}

static void test_csrs(void **state)
{
    (void)state;
    check_file("csr.json", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_csrs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
