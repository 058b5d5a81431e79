/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-records.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/records-list.h"
#include "client-shim/records-until.h"

/*
 * records show: what was asked for, and the value where the account is proven.
 * No CA is asked here: where it is not, that is said instead.
 */

#define WITHHELD "org.acmeguardian.Admin.RecordsWithheld"

static int keep(const struct records_record *r, void *userdata)
{
    json_t *records = userdata;
    json_t *copy = json_copy(r->row);

    return json_array_append_new(records, copy) < 0
               ? ctl_fail_errno(-ENOMEM, "records")
               : CTL_EXIT_DONE;
}

/* The members of a value that are not the record's. */
static int take_value(json_t *record, const json_t *value)
{
    static const char *const members[] = { "owner",  "form",    "accounturi",
                                           "value",  "expired", "denied",
                                           "staging" };
    int e = 0;

    for (size_t i = 0; e == 0 && i < ARRAY_LEN(members); i++)
        e = json_object_set(record, members[i],
                            json_object_get(value, members[i]));
    return e;
}

static int attach(json_t *record, const json_t *answer)
{
    const json_t *values = json_object_get(answer, "values");
    const char *issuer = ctl_string(record, "issuer");

    for (size_t i = 0; issuer && i < json_array_size(values); i++) {
        const json_t *value = json_array_get(values, i);
        const char *its = ctl_string(value, "issuer");

        if (its && strcmp(its, issuer) == 0)
            return take_value(record, value);
    }
    return 0;
}

static int add_value(struct ctl_daemon *d, json_t *record, const char *domain)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *account = ctl_string(record, "account");
    int r, e;

    r = ctl_daemon_call(
        d, "RecordValues",
        json_pack("{s:s, s:s}", "account", account, "domain", domain), &answer);
    if (r == CTL_EXIT_NO && answer)
        e = json_object_set(record, "withheld", answer);
    else if (r)
        return r;
    else
        e = attach(record, answer);
    return e ? ctl_fail_errno(-ENOMEM, "records") : CTL_EXIT_DONE;
}

static int add_values(const struct ctl_context *c, json_t *records,
                      const char *domain)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { .expected = WITHHELD };
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    for (size_t i = 0; r == 0 && i < json_array_size(records); i++)
        r = add_value(&d, json_array_get(records, i), domain);
    return r;
}

/* ---- printing ---- */

static void until_pair(struct ctl_table *t, const json_t *record)
{
    long long until_s = ctl_integer(record, "persistUntil");
    char text[RECORDS_TIME_MAX];

    if (until_s <= 0)
        return;
    records_time_format(until_s, text);
    ctl_table_pair(
        t, until_s < (long long)time(NULL) ? "EXPIRED" : "persist until", text);
}

static void value_pairs(struct ctl_table *t, const json_t *record)
{
    const json_t *refusal = json_object_get(record, "withheld");
    CLEANUP_BUF struct buf text = { 0 };

    ctl_table_pair(t, "form", ctl_string(record, "form"));
    ctl_table_pair(t, "value", ctl_string(record, "value"));
    if (!refusal)
        return;
    if (buf_printf(&text, "not shown: %s (%s)", ctl_string(refusal, "text"),
                   ctl_string(refusal, "reason")))
        t->failed = true;
    ctl_table_pair(t, "value", buf_str(&text));
}

static int print_record(const json_t *record)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };

    ctl_table_pair(&t, "domain", ctl_string(record, "domain"));
    ctl_table_pair(&t, "account", ctl_string(record, "account"));
    ctl_table_pair(&t, "issuer", ctl_string(record, "issuer"));
    ctl_table_pair(&t, "staging",
                   ctl_true(record, "staging") ? CTL_RECORDS_STAGING : NULL);
    ctl_table_pair(&t, "wildcard", ctl_true(record, "wildcard") ? "yes" : NULL);
    ctl_table_pair(&t, "reusable", ctl_true(record, "reusable") ? "yes" : NULL);
    until_pair(&t, record);
    ctl_table_pair(&t, "DENIED",
                   ctl_true(record, "denied") ? "nothing is signed for it"
                                              : NULL);
    ctl_table_pair(&t, "added", ctl_string(record, "added"));
    ctl_table_pair(&t, "owner", ctl_string(record, "owner"));
    value_pairs(&t, record);
    return ctl_table_print(&t);
}

static int print_all(const struct ctl_context *c, json_t *records)
{
    int r = CTL_EXIT_DONE;

    if (c->json) {
        ctl_print_json(json_pack("{s:O}", "records", records));
        return CTL_EXIT_DONE;
    }
    for (size_t i = 0; r == 0 && i < json_array_size(records); i++) {
        if (i)
            (void)putchar('\n');
        r = print_record(json_array_get(records, i));
    }
    return r;
}

/* Also where the value is not shown. */
static int add_facts(const struct ctl_context *c, json_t *records,
                     const char *domain)
{
    CLEANUP_CTL_JSON json_t *accounts = NULL;
    int r;

    r = ctl_records_accounts(c, NULL, &accounts);
    for (size_t i = 0; r == 0 && i < json_array_size(records); i++) {
        json_t *record = json_array_get(records, i);
        const char *account = ctl_string(record, "account");
        bool staging = ctl_true(json_object_get(accounts, account), "staging");

        if (json_object_set_new(record, "staging", json_boolean(staging)) < 0 ||
            json_object_set_new(
                record, "owner",
                json_sprintf("_validation-persist.%s", domain)) < 0)
            r = ctl_fail_errno(-ENOMEM, "records");
    }
    return r;
}

int ctl_records_run_show(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *records = json_array();
    char domain[DNS_NAME_MAX + 1];
    int r;

    r = ctl_records_name(c->operands[0], domain);
    if (r == 0)
        r = records_list_each(c, NULL, domain, keep, records);
    if (r == 0 && json_array_size(records) == 0)
        return ctl_fail(CTL_EXIT_NO, "%s: there is no record", domain);
    if (r == 0)
        r = add_facts(c, records, domain);
    if (r == 0)
        r = add_values(c, records, domain);
    return r ? r : print_all(c, records);
}
