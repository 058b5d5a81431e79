/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-records.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/records-list.h"
#include "client-shim/records-names.h"
#include "client-shim/records-until.h"

/* guardianctl records ...: the table, list and remove. */

int ctl_records_name(const char *text, char ret[static DNS_NAME_MAX + 1])
{
    struct errmsg err = { 0 };
    int r = records_name_read(text, ret, &err);

    if (r < 0)
        return ctl_fail_errno(r, text);
    return r ? ctl_fail_at(CTL_EXIT_MALFORMED, &err) : CTL_EXIT_DONE;
}

/* ---- accounts ---- */

static int keep_account(json_t *accounts, json_t *account)
{
    const char *name = ctl_string(account, "name");

    if (!name)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "accounts: the daemon names one that has no name");
    return json_object_set(accounts, name, account) < 0
               ? ctl_fail_errno(-ENOMEM, "accounts")
               : CTL_EXIT_DONE;
}

static int keep_accounts(json_t *rows, void *userdata)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < json_array_size(rows); i++)
        r = keep_account(userdata, json_array_get(rows, i));
    return r;
}

static int one_account(struct ctl_daemon *d, const char *account,
                       json_t *accounts)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_daemon_call(d, "AccountShow", json_pack("{s:s}", "name", account),
                        &answer);
    return r ? r : keep_account(accounts, json_object_get(answer, "account"));
}

int ctl_records_accounts(const struct ctl_context *c, const char *account,
                         json_t **ret)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *accounts = json_object();
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r)
        return r;
    r = account ? one_account(&d, account, accounts)
                : ctl_daemon_pages(&d, "AccountList", json_object(), "accounts",
                                   keep_accounts, accounts);
    if (r == 0)
        *ret = TAKE_PTR(accounts);
    return r;
}

/* ---- list ---- */

struct list {
    const struct ctl_context *c;
    json_t *accounts;
    struct buf json;
    size_t n;
    int64_t now_s;
};

static bool is_staging(const struct list *l, const struct records_record *r)
{
    return ctl_true(json_object_get(l->accounts, r->account), "staging");
}

static int list_json(struct list *l, const struct records_record *r)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_CTL_JSON json_t *row = json_copy(r->row);

    if (json_object_set_new(row, "staging", json_boolean(is_staging(l, r))) < 0)
        return -ENOMEM;
    text = json_dumps(row, JSON_COMPACT);
    return text ? buf_printf(&l->json, "%s%s", l->n ? "," : "", text) : -ENOMEM;
}

static int details(const struct list *l, const struct records_record *r,
                   struct buf *b)
{
    char until[RECORDS_TIME_MAX];
    int e = 0;

    if (r->wildcard)
        e = buf_append_str(b, "wildcard");
    if (e == 0 && r->reusable)
        e = buf_printf(b, "%sreusable", b->len ? ", " : "");
    if (e == 0 && r->until_s) {
        records_time_format(r->until_s, until);
        e = buf_printf(b, "%s%s %s", b->len ? ", " : "",
                       r->until_s < l->now_s ? "EXPIRED" : "until", until);
    }
    if (e == 0 && is_staging(l, r))
        e = buf_printf(b, "%sSTAGING", b->len ? ", " : "");
    return e;
}

/* Not aligned to the widest of all, so that a million of them need no memory.
 */
static int list_text(struct list *l, const struct records_record *r)
{
    CLEANUP_BUF struct buf more = { 0 };
    int e;

    if (l->n == 0)
        (void)printf("%-40s %-24s %-16s %s\n", "DOMAIN", "ISSUER", "ACCOUNT",
                     "DETAILS");
    e = details(l, r, &more);
    if (e == 0)
        (void)printf("%-40s %-24s %-16s %s\n", r->domain, r->issuer, r->account,
                     more.len ? buf_str(&more) : "-");
    return e;
}

static int list_one(const struct records_record *r, void *userdata)
{
    struct list *l = userdata;
    int e = l->c->json ? list_json(l, r) : list_text(l, r);

    l->n++;
    return e ? ctl_fail_errno(e, "records list") : CTL_EXIT_DONE;
}

static int print_list(struct list *l, const char *account)
{
    int r;

    r = ctl_records_accounts(l->c, account, &l->accounts);
    if (r == 0)
        r = records_list_each(l->c, account, NULL, list_one, l);
    if (r)
        return r;
    if (l->c->json)
        (void)printf("{\"records\":[%s]}\n", buf_str(&l->json));
    else if (l->n == 0)
        (void)puts("no records");
    return CTL_EXIT_DONE;
}

static int run_list(struct ctl_context *c)
{
    struct list l = { .c = c, .now_s = (int64_t)time(NULL) };
    int r = print_list(&l, ctl_args_value(c, "--account"));

    buf_deinit(&l.json);
    json_decref(l.accounts);
    return r;
}

/* ---- remove ---- */

static int print_removed(const struct ctl_context *c, const char *domain,
                         long long n)
{
    if (c->json)
        ctl_print_json(json_pack("{s:I}", "removed", (json_int_t)n));
    if (n == 0)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: there is no such record of account %s", domain,
                        c->operands[0]);
    if (!c->json)
        (void)printf("removed %lld; what is published at "
                     "_validation-persist.%s holds until it is gone from DNS\n",
                     n, domain);
    return CTL_EXIT_DONE;
}

static int run_remove(struct ctl_context *c)
{
    const char *wanted = ctl_args_value(c, "--issuer");
    char domain[DNS_NAME_MAX + 1], issuer[DNS_NAME_MAX + 1];
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_records_name(c->operands[1], domain);
    if (r == 0 && wanted)
        r = ctl_records_name(wanted, issuer);
    if (r == 0)
        r = ctl_once(c, CTL_SOCKET_ADMIN, "RecordRemove",
                     json_pack("{s:s, s:s, s:s*}", "account", c->operands[0],
                               "domain", domain, "issuer",
                               wanted ? issuer : NULL),
                     &answer);
    return r ? r : print_removed(c, domain, ctl_integer(answer, "removed"));
}

/* ---- the table ---- */

static const struct ctl_option list_options[] = {
    { "--account", "NAME", "of this account", 0, false, false },
    { 0 },
};

static const struct ctl_option remove_options[] = {
    { "--issuer", "NAME", "of this issuer; otherwise of all", 0, false, false },
    { 0 },
};

const struct ctl_command ctl_records_commands[] = {
    { "records add", "ACCOUNT [DOMAIN...]", 1, UINT_MAX,
      ctl_records_add_options,
      "records that authorize an account for domains (dns-persist-01)",
      ctl_records_run_add },
    { "records list", NULL, 0, 0, list_options, "all records", run_list },
    { "records show", "DOMAIN", 1, 1, NULL,
      "the records of a domain, with what should stand in DNS",
      ctl_records_run_show },
    { "records remove", "ACCOUNT DOMAIN", 2, 2, remove_options,
      "forget a record; what is published stays", run_remove },
    { "records render", NULL, 0, 0, ctl_records_render_options,
      "the exact records, for a zone file, nsupdate or a program",
      ctl_records_run_render },
    { "records publish", NULL, 0, 0, ctl_records_publish_options,
      "make DNS have the records, zone by zone", ctl_records_run_publish },
    { "records check", NULL, 0, 0, ctl_records_check_options,
      "would a CA accept what DNS has?", ctl_records_run_check },
    { "records audit", NULL, 0, 0, ctl_records_audit_options,
      "find in DNS what should not be there", ctl_records_run_audit },
    { "records withdraw", "NAME", 1, 1, ctl_records_withdraw_options,
      "take every record of an account out of DNS", ctl_records_run_withdraw },
    { "records revoke", "DOMAIN", 1, 1, ctl_records_revoke_options,
      "take a domain from all accounts: in DNS, at their CAs, and here",
      ctl_records_run_revoke },
    { "records handover", "DOMAIN", 1, 1, NULL,
      "what to look at before a domain changes hands",
      ctl_records_run_handover },
    { 0 },
};
