/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-shim/issue-judge.h"

#define URL "https://acme.example/acct/1"
#define GOOD "ca.example; accounturi=" URL
#define GOOD_WILDCARD GOOD "; policy=wildcard"
#define OTHER "ca.example; accounturi=https://acme.example/acct/2"
#define DIRECTORY "https://acme.example/directory"
#define THUMBPRINT "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

/* ---- issue_judge() ---- */

/* What a server says: "" is NODATA, "!" no answer, "->" an alias, else the
 * value of its one record. */
struct lab {
    struct dns_result result;
    struct dns_view views[4];
    struct dns_value values[4];
};

static void lab_make(struct lab *lab, const char *const *says)
{
    *lab = (struct lab){ .result = { .type = DNS_TYPE_TXT } };
    lab->result.views = lab->views;
    for (size_t i = 0; says[i]; i++) {
        struct dns_view *v = &lab->views[i];

        v->status = says[i][0] == '!'   ? DNS_TIMEOUT
                    : says[i][0] == '-' ? DNS_ALIAS
                    : says[i][0]        ? DNS_OK
                                        : DNS_NODATA;
        if (v->status == DNS_OK) {
            assert_int_equal(buf_append_str(&lab->values[i].text, says[i]), 0);
            v->values = &lab->values[i];
            v->n_values = 1;
        }
        lab->result.n_views++;
    }
}

static void lab_deinit(struct lab *lab)
{
    for (size_t i = 0; i < ARRAY_LEN(lab->values); i++)
        buf_deinit(&lab->values[i].text);
}

static const char *const the_issuer[] = { "ca.example", NULL };
static const char *const nobody[] = { NULL };
static const char *const the_account[] = { URL, NULL };

static struct issue_judged judged(const char *const *says, bool wildcard,
                                  const char *const *issuers)
{
    const struct persist_question q = { .wildcard = wildcard,
                                        .issuers = issuers,
                                        .accepted = the_account,
                                        .now_s = 1800000000 };
    struct issue_judged j = { 0 };
    struct lab lab;

    lab_make(&lab, says);
    assert_int_equal(issue_judge(&lab.result, &q, &j), 0);
    /* Its place among the views is all that is looked at afterwards. */
    lab_deinit(&lab);
    return j;
}

static void test_what_servers_say_is_put_together(void **state)
{
    static const struct {
        const char *says[5];
        bool wildcard;
        enum issue_found found;
        enum persist_reason reason;
    } cases[] = {
        { { GOOD }, false, ISSUE_FOUND, PERSIST_REASON_UNSET },
        { { GOOD, GOOD }, false, ISSUE_FOUND, PERSIST_REASON_UNSET },
        { { GOOD_WILDCARD }, true, ISSUE_FOUND, PERSIST_REASON_UNSET },
        { { GOOD }, true, ISSUE_FOUND_NOT, PERSIST_REASON_NO_WILDCARD_POLICY },
        { { "" }, false, ISSUE_FOUND_NOT, PERSIST_REASON_NO_RECORD },
        { { OTHER }, false, ISSUE_FOUND_NOT, PERSIST_REASON_OTHER_ACCOUNT },
        { { OTHER, "" }, false, ISSUE_FOUND_NOT, PERSIST_REASON_OTHER_ACCOUNT },
        /* The CA may ask either. */
        { { GOOD, "" },
          false,
          ISSUE_FOUND_SOMEWHERE,
          PERSIST_REASON_NO_RECORD },
        { { "", GOOD },
          false,
          ISSUE_FOUND_SOMEWHERE,
          PERSIST_REASON_NO_RECORD },
        /* Silence is no answer, neither good nor bad. */
        { { "!", GOOD }, false, ISSUE_FOUND, PERSIST_REASON_UNSET },
        { { "!", "" }, false, ISSUE_FOUND_NOT, PERSIST_REASON_NO_RECORD },
        { { "!", "!" }, false, ISSUE_FOUND_UNKNOWN, PERSIST_REASON_UNSET },
        { { NULL }, false, ISSUE_FOUND_UNKNOWN, PERSIST_REASON_UNSET },
        /* Where a CNAME only leads on there is nothing to judge. */
        { { "->", GOOD }, false, ISSUE_FOUND, PERSIST_REASON_UNSET },
        { { "->", "!" }, false, ISSUE_FOUND_UNKNOWN, PERSIST_REASON_UNSET },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct issue_judged j =
            judged(cases[i].says, cases[i].wildcard, the_issuer);

        if (j.found != cases[i].found || j.reason != cases[i].reason)
            fail_msg("case %zu: found %d, reason %s", i, j.found,
                     persist_reason_code(j.reason));
    }
}

/* With key-bound records those above count, too. Who is silent there is named,
 * not who answered for another place. */
static void test_of_several_places_one_is_enough(void **state)
{
    static const struct dns_view views[3];
    const struct issue_judged no = { ISSUE_FOUND_NOT, PERSIST_UNAUTHORIZED,
                                     PERSIST_REASON_NO_RECORD, &views[0] };
    const struct issue_judged silent = { .found = ISSUE_FOUND_UNKNOWN,
                                         .view = &views[1] };
    const struct issue_judged good = { .found = ISSUE_FOUND,
                                       .view = &views[2] };
    struct issue_judged all = { 0 };

    (void)state;
    issue_judged_add(&all, &no);
    assert_ptr_equal(all.view, &views[0]);
    issue_judged_add(&all, &(struct issue_judged){ 0 });
    assert_int_equal(all.found, ISSUE_FOUND_NOT);
    issue_judged_add(&all, &silent);
    assert_int_equal(all.found, ISSUE_FOUND_UNKNOWN);
    assert_ptr_equal(all.view, &views[1]);
    issue_judged_add(&all, &no);
    assert_int_equal(all.found, ISSUE_FOUND_UNKNOWN);
    issue_judged_add(&all, &good);
    assert_int_equal(all.found, ISSUE_FOUND);
    issue_judged_add(&all, &silent);
    assert_int_equal(all.found, ISSUE_FOUND);
}

/* Of whom one could ask why: not of who only sent us on. */
static void test_who_is_silent_is_named(void **state)
{
    static const char *const says[] = { "->", "!", NULL };
    const struct persist_question q = { .issuers = the_issuer,
                                        .accepted = the_account,
                                        .now_s = 1800000000 };
    struct issue_judged j = { 0 };
    struct lab lab;

    (void)state;
    lab_make(&lab, says);
    assert_int_equal(issue_judge(&lab.result, &q, &j), 0);
    assert_ptr_equal(j.view, &lab.views[1]);
    lab_deinit(&lab);
}

/* Which name the CA goes by is not known before its challenge. */
static void test_without_issuers_a_record_s_own_counts(void **state)
{
    static const char *const good[] = { GOOD, NULL };
    static const char *const other[] = { OTHER, NULL };

    (void)state;
    assert_int_equal(judged(good, false, nobody).found, ISSUE_FOUND);
    assert_int_equal(judged(other, false, nobody).reason,
                     PERSIST_REASON_OTHER_ACCOUNT);
}

static void test_another_issuer_is_not_ours(void **state)
{
    static const char *const other_issuer[] = { "other.example", NULL };
    static const char *const good[] = { GOOD, NULL };

    (void)state;
    assert_int_equal(judged(good, false, other_issuer).reason,
                     PERSIST_REASON_OTHER_ISSUER);
}

/* ---- issue_accepted_make() ---- */

static void test_without_a_prefix_it_is_the_url(void **state)
{
    const struct issue_identity id = { NULL, THUMBPRINT, URL };
    struct issue_accepted a = { 0 };
    struct refusal refusal;

    (void)state;
    assert_int_equal(issue_accepted_make(&id, "example.com", &a, &refusal), 0);
    assert_string_equal(a.values[0], URL);
    assert_null(a.values[1]);
    issue_accepted_deinit(&a);
}

static void test_with_a_prefix_it_is_one_of_two(void **state)
{
    static const char prefix[] = "https://acme.example/h/";
    const struct issue_identity id = { prefix, THUMBPRINT, URL };
    CLEANUP_BUF struct buf own = { 0 };
    CLEANUP_BUF struct buf star = { 0 };
    struct issue_accepted a = { 0 };
    struct refusal refusal;

    (void)state;
    assert_int_equal(persist_accounturi(prefix, "example.com", THUMBPRINT, URL,
                                        &own, &refusal),
                     0);
    assert_int_equal(
        persist_accounturi(prefix, "*", THUMBPRINT, URL, &star, &refusal), 0);
    assert_int_equal(issue_accepted_make(&id, "example.com", &a, &refusal), 0);
    assert_string_equal(a.values[0], buf_str(&own));
    assert_string_equal(a.values[1], buf_str(&star));
    assert_string_not_equal(a.values[0], a.values[1]);
    assert_null(a.values[2]);
    issue_accepted_deinit(&a);
}

static void test_parents_end_above_two_labels(void **state)
{
    (void)state;
    assert_string_equal(issue_parent("a.b.example.com"), "b.example.com");
    assert_string_equal(issue_parent("www.example.com"), "example.com");
    assert_null(issue_parent("example.com"));
    assert_null(issue_parent("com"));
}

/* ---- issuer names ---- */

static void set(struct net_names *names, const char *const *list)
{
    *names = (struct net_names){ 0 };
    for (; list && *list; list++)
        (void)strcpy(names->name[names->n++], *list);
}

static void test_the_directory_s_names_come_first(void **state)
{
    static const char *const own[] = { "ca.example", NULL };
    static const char *const both[] = { "ca.example", "old.example", NULL };
    struct net_meta *meta = calloc(1, sizeof(*meta));
    struct issue_issuers found;
    const char *name = NULL;

    (void)state;
    set(&meta->caa_identities, both);
    assert_int_equal(issue_issuers_find(meta, DIRECTORY, &found, &name), 0);
    assert_string_equal(found.names[0], "ca.example");
    assert_string_equal(found.names[1], "old.example");
    assert_null(found.names[2]);
    set(&meta->issuers, own);
    assert_int_equal(issue_issuers_find(meta, DIRECTORY, &found, &name), 0);
    assert_string_equal(found.names[0], "ca.example");
    assert_null(found.names[1]);
    free(meta);
}

static void test_without_offers_the_table_says(void **state)
{
    struct net_meta *meta = calloc(1, sizeof(*meta));
    struct issue_issuers found;
    const char *name = NULL;

    (void)state;
    assert_int_equal(issue_issuers_find(
                         meta, "https://acme-v02.api.letsencrypt.org/directory",
                         &found, &name),
                     0);
    assert_string_equal(found.names[0], "letsencrypt.org");
    assert_int_equal(issue_issuers_find(meta, DIRECTORY, &found, &name), 0);
    assert_null(found.names[0]);
    free(meta);
}

static void test_another_ca_s_name_does_not_count(void **state)
{
    static const char *const theirs[] = { "letsencrypt.org", NULL };
    static const char *const mixed[] = { "letsencrypt.org", "ca.example",
                                         NULL };
    struct net_meta *meta = calloc(1, sizeof(*meta));
    struct issue_issuers found;
    const char *name = NULL;

    (void)state;
    set(&meta->caa_identities, theirs);
    assert_int_equal(issue_issuers_find(meta, DIRECTORY, &found, &name),
                     ISSUE_JUDGE_E_MISMATCH);
    assert_string_equal(name, "letsencrypt.org");
    set(&meta->caa_identities, mixed);
    assert_int_equal(issue_issuers_find(meta, DIRECTORY, &found, &name), 0);
    assert_string_equal(found.names[0], "ca.example");
    assert_null(found.names[1]);
    free(meta);
}

/* ---- issue_challenge_judge() ---- */

struct offer {
    const char *accounturi;
    const char *directory[3], *challenge[3], *caa[3];
    enum issue_challenge verdict;
};

static void expect_challenge(const struct offer *o, size_t i)
{
    struct net_challenge *c = calloc(1, sizeof(*c));
    struct net_meta *meta = calloc(1, sizeof(*meta));
    struct issue_issuers issuers;
    enum issue_challenge verdict;

    if (o->accounturi)
        (void)strcpy(c->accounturi, o->accounturi);
    set(&c->issuers, o->challenge);
    set(&meta->issuers, o->directory);
    set(&meta->caa_identities, o->caa);
    verdict = issue_challenge_judge(c, meta, DIRECTORY, URL, &issuers);
    if (verdict != o->verdict)
        fail_msg("case %zu: %s", i, issue_challenge_code(verdict));
    free(c);
    free(meta);
}

static void test_challenges_that_differ_are_not_answered(void **state)
{
    static const struct offer cases[] = {
        { NULL, { NULL }, { "a.example" }, { NULL }, ISSUE_CHALLENGE_OK },
        { URL, { NULL }, { "a.example" }, { NULL }, ISSUE_CHALLENGE_OK },
        { NULL, { NULL }, { NULL }, { "a.example" }, ISSUE_CHALLENGE_OK },
        { "https://acme.example/acct/2",
          { NULL },
          { "a.example" },
          { NULL },
          ISSUE_CHALLENGE_ACCOUNTURI },
        /* In one spelling only. */
        { URL "/",
          { NULL },
          { "a.example" },
          { NULL },
          ISSUE_CHALLENGE_ACCOUNTURI },
        { NULL,
          { "a.example" },
          { "a.example", "b.example" },
          { "b.example", "A.example" },
          ISSUE_CHALLENGE_OK },
        { NULL,
          { "a.example" },
          { "b.example" },
          { "a.example", "b.example" },
          ISSUE_CHALLENGE_ISSUERS },
        { NULL,
          { NULL },
          { "a.example", "b.example" },
          { "a.example" },
          ISSUE_CHALLENGE_ISSUERS },
        { NULL,
          { NULL },
          { "letsencrypt.org" },
          { NULL },
          ISSUE_CHALLENGE_ORIGIN },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_challenge(&cases[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_servers_say_is_put_together),
        cmocka_unit_test(test_of_several_places_one_is_enough),
        cmocka_unit_test(test_who_is_silent_is_named),
        cmocka_unit_test(test_without_issuers_a_record_s_own_counts),
        cmocka_unit_test(test_another_issuer_is_not_ours),
        cmocka_unit_test(test_without_a_prefix_it_is_the_url),
        cmocka_unit_test(test_with_a_prefix_it_is_one_of_two),
        cmocka_unit_test(test_parents_end_above_two_labels),
        cmocka_unit_test(test_the_directory_s_names_come_first),
        cmocka_unit_test(test_without_offers_the_table_says),
        cmocka_unit_test(test_another_ca_s_name_does_not_count),
        cmocka_unit_test(test_challenges_that_differ_are_not_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
