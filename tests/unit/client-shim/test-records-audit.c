/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/client-shim/dns-result-support.h"

#include "acme/persist.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/records-audit.h"

/* What should not be there. */

const struct ctl_command *const ctl_commands[] = { NULL };

#define NOW INT64_C(1795000000)
#define URL "https://ca.example/acct/1"
#define OURS "ca.example; accounturi=" URL
#define DEAD_URL "https://ca.example/acct/9"
#define PREFIX "https://bound.example/hash/"
#define BOUND_URL "https://bound.example/acct/2"
#define T_NOW "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define T_OLD "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"
#define T_NEVER "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA"

static const char accounts_text[] =
    "{\"le\": {\"url\": \"" URL "\", \"thumbprint\": \"" T_NOW
    "\", \"status\": \"valid\"},"
    "\"dead\": {\"url\": \"" DEAD_URL "\", \"thumbprint\": \"" T_NOW
    "\", \"status\": \"deactivated\"},"
    "\"bound\": {\"url\": \"" BOUND_URL "\", \"thumbprint\": \"" T_NOW
    "\", \"status\": \"valid\", \"meta\": {\"accountHashPrefix\": \"" PREFIX
    "\"}}}";
static const char keys_text[] =
    "[{\"account\": \"bound\", \"thumbprint\": \"" T_OLD "\"}]";

struct place {
    json_t *accounts, *keys;
    struct ours ours;
    struct servers now, old;
    bool denied;
    const char *account; /* of the record; NULL: none */
    bool wildcard, reusable;
    char found[512]; /* codes, each with its severity's first letter */
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    if (!p)
        return -1;
    *state = p;
    p->accounts = json_loads(accounts_text, 0, NULL);
    p->keys = json_loads(keys_text, 0, NULL);
    servers_init(&p->now);
    servers_init(&p->old);
    (void)servers_have(&p->old, NULL, NULL);
    p->account = "le";
    return ours_init(&p->ours, p->accounts, p->keys);
}

static int tear_down(void **state)
{
    struct place *p = *state;

    servers_deinit(&p->now);
    servers_deinit(&p->old);
    ours_deinit(&p->ours);
    json_decref(p->accounts);
    json_decref(p->keys);
    free(p);
    return 0;
}

static int note(const struct audit_finding *f, void *userdata)
{
    struct place *p = userdata;

    assert_string_equal(f->name, "example.com");
    assert_true(*audit_words(f->code) && *audit_advice(f->code));
    (void)snprintf(p->found + strlen(p->found),
                   sizeof(p->found) - strlen(p->found), "%s%c:%s",
                   p->found[0] ? " " : "", audit_severity(f->code)[0],
                   audit_word(f->code));
    return 0;
}

static const char *audit(struct place *p)
{
    char issuer[] = "ca.example", account[16] = "";
    const struct kept_value record = { .account = account,
                                       .issuer = issuer,
                                       .wildcard = p->wildcard,
                                       .reusable = p->reusable };
    const struct audit_question q = {
        .domain = "example.com",
        .records = &record,
        .n_records = p->account ? 1 : 0,
        .ours = &p->ours,
        .issuers = (const char *const[]){ "ca.example", NULL },
        .now = &p->now.result,
        .old = &p->old.result,
        .denied = p->denied,
        .now_s = NOW,
        .expiring_s = NOW + 1000,
    };

    p->found[0] = '\0';
    (void)snprintf(account, sizeof(account), "%s",
                   p->account ? p->account : "");
    assert_int_equal(audit_name(&q, note, p), 0);
    return p->found;
}

/* What is found of one value beside nothing else. */
static const char *audit_value(struct place *p, const char *value)
{
    servers_deinit(&p->now);
    servers_init(&p->now);
    (void)servers_have(&p->now, value, NULL);
    return audit(p);
}

static const char *bound(const char *domain, const char *thumbprint)
{
    static struct buf b;
    struct refusal refusal;

    buf_clear(&b);
    assert_int_equal(buf_append_str(&b, "ca.example; accounturi="), 0);
    assert_int_equal(
        persist_accounturi(PREFIX, domain, thumbprint, BOUND_URL, &b, &refusal),
        0);
    return buf_str(&b);
}

static void test_ours_as_it_should_be(void **state)
{
    assert_string_equal(audit_value(*state, OURS), "");
}

static void test_others(void **state)
{
    struct place *p = *state;

    p->account = NULL;
    assert_string_equal(
        audit_value(p, "ca.example; accounturi=https://ca.example/acct/3"),
        "e:foreign-account");
    assert_string_equal(
        audit_value(p, "CA.example; accounturi=https://ca.example/acct/3"),
        "e:foreign-account");
    assert_string_equal(
        audit_value(p, "b.example; accounturi=https://b.example/1"),
        "w:other-issuer");
    assert_string_equal(audit_value(p, "ca.example; accounturi"),
                        "w:malformed");
    assert_string_equal(audit_value(p, "ca.example; accounturi=https://"
                                       "ca.example/acct/3; persistUntil=1"),
                        "w:expired");
    assert_string_equal(audit_value(p, bound("example.com", T_NEVER)),
                        "e:unknown-hash");
    assert_string_equal(audit_value(p, bound("www.example.com", T_NOW)),
                        "e:unknown-hash");
}

static void test_ours_that_is_not_as_asked(void **state)
{
    struct place *p = *state;

    assert_string_equal(audit_value(p, OURS "; policy=wildcard"),
                        "w:wildcard-wider");
    p->wildcard = true;
    assert_string_equal(audit_value(p, OURS "; policy=wildcard"), "");
    assert_string_equal(audit_value(p, OURS "; persistUntil=1794999999"),
                        "w:expired");
    assert_string_equal(audit_value(p, OURS "; persistUntil=1795000999"),
                        "w:expiring");
    assert_string_equal(audit_value(p, OURS "; persistUntil=1795001000"), "");
    p->account = NULL;
    assert_string_equal(audit_value(p, OURS), "w:no-record-here");
    assert_string_equal(audit_value(p, "ca.example; accounturi=" DEAD_URL),
                        "w:dead-account");
}

static void test_key_bound(void **state)
{
    struct place *p = *state;

    p->account = "bound";
    assert_string_equal(audit_value(p, bound("example.com", T_NOW)), "");
    assert_string_equal(audit_value(p, bound("example.com", T_OLD)),
                        "w:retired-key");
    assert_string_equal(audit_value(p, bound("*", T_NOW)), "w:reusable-wider");
    p->reusable = true;
    assert_string_equal(audit_value(p, bound("*", T_NOW)), "");
    assert_string_equal(audit_value(p, "ca.example; accounturi=" BOUND_URL),
                        "w:other-form");
}

static void test_what_is_missing_and_what_was_left(void **state)
{
    struct place *p = *state;

    (void)servers_have(&p->now, NULL, NULL);
    assert_string_equal(audit(p), "w:not-published");
    p->denied = true;
    assert_string_equal(audit(p), "w:not-published w:denied-name");
    p->account = NULL;
    assert_string_equal(audit(p), "");
    (void)servers_have(&p->old, "anything", NULL);
    assert_string_equal(audit(p), "w:old-label");
}

/* What nobody says is not missing. */
static void test_silence_is_unknown(void **state)
{
    struct place *p = *state;

    (void)servers_add(&p->now, DNS_TIMEOUT);
    assert_string_equal(audit(p), "u:unknown");
    (void)servers_have(&p->now, OURS, NULL);
    assert_string_equal(audit(p), "u:unknown");
}

static void test_two_servers_say_it_once(void **state)
{
    struct place *p = *state;

    (void)servers_have(&p->now, OURS, "b.example; accounturi=https://b/1");
    (void)servers_have(&p->now, "b.example; accounturi=https://b/1", OURS);
    assert_string_equal(audit(p), "w:other-issuer");
}

static int count(const struct audit_finding *f, void *userdata)
{
    assert_int_equal(f->code, AUDIT_SHARED_URL);
    assert_string_equal(f->detail, "twin");
    ++*(int *)userdata;
    return 0;
}

static void test_accounts_that_share_a_url(void **state)
{
    struct place *p = *state;
    struct ours ours;
    int n = 0;

    assert_int_equal(audit_accounts(&p->ours, count, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(json_object_set_new(p->accounts, "twin",
                                         json_pack("{s:s}", "url", URL)),
                     0);
    assert_int_equal(ours_init(&ours, p->accounts, NULL), 0);
    assert_int_equal(audit_accounts(&ours, count, &n), 0);
    assert_int_equal(n, 1);
    ours_deinit(&ours);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_ours_as_it_should_be),
        CASE(test_others),
        CASE(test_ours_that_is_not_as_asked),
        CASE(test_key_bound),
        CASE(test_what_is_missing_and_what_was_left),
        CASE(test_silence_is_unknown),
        CASE(test_two_servers_say_it_once),
        CASE(test_accounts_that_share_a_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
