/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/known-cas.h"
#include "acme/persist.h"
#include "base/settings.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-records-dns.h"
#include "client-shim/ctl-records-ours.h"
#include "client-shim/records-audit.h"
#include "client-shim/records-list.h"
#include "client-shim/records-until.h"

/* records audit. No account need be proven for it: nothing is published. */

#define EXPIRING_DEFAULT "30d"

struct auditing {
    const struct ctl_context *c;
    struct ctl_dns dns;
    struct ctl_ours ours;
    struct records_kept records; /* without values */
    json_t *denied;              /* names, as members of an object */
    json_t *issuer_set;          /* likewise */
    const char **issuers;
    json_t *names; /* all, as members of an object */
    int64_t now_s, expiring_s;
    struct ctl_progress progress;
    size_t n_found, n_unknown;
};

static void auditing_deinit(struct auditing *a)
{
    free(a->issuers);
    json_decref(a->issuer_set);
    json_decref(a->names);
    json_decref(a->denied);
    records_kept_deinit(&a->records);
    ctl_ours_deinit(&a->ours);
    ctl_dns_close(&a->dns);
}

static int remember(json_t *set, const char *name)
{
    return json_object_set_new(set, name, json_true()) < 0
               ? ctl_fail_errno(-ENOMEM, "records audit")
               : CTL_EXIT_DONE;
}

/* ---- what is known here ---- */

static int keep_record(const struct records_record *r, void *userdata)
{
    struct auditing *a = userdata;
    const struct records_value v = { .account = r->account,
                                     .domain = r->domain,
                                     .issuer = r->issuer,
                                     .accounturi = "",
                                     .value = "",
                                     .until_s = r->until_s,
                                     .wildcard = r->wildcard,
                                     .reusable = r->reusable };
    int e = records_kept_add(&a->records, &v);

    if (e)
        return ctl_fail_errno(e, "records audit");
    e = remember(a->names, r->domain);
    return e ? e : remember(a->issuer_set, r->issuer);
}

static int add_strings(json_t *set, const json_t *strings)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < json_array_size(strings); i++)
        r = remember(set, json_string_value(json_array_get(strings, i)));
    return r;
}

/* All names that an account's CA may have in a record. */
static int add_issuers(struct auditing *a, const json_t *account)
{
    const char *directory = ctl_string(account, "directory");
    const struct known_ca *ca =
        directory ? known_ca_of_directory(directory) : NULL;
    const json_t *meta = json_object_get(account, "meta");
    int r;

    r = add_strings(a->issuer_set, json_object_get(meta, "issuerDomainNames"));
    if (r == 0)
        r = add_strings(a->issuer_set, json_object_get(meta, "caaIdentities"));
    if (r == 0)
        r = add_strings(a->issuer_set, json_object_get(account, "issuers"));
    for (size_t i = 0; r == 0 && ca && ca->issuers[i]; i++)
        r = remember(a->issuer_set, ca->issuers[i]);
    return r;
}

static int list_issuers(struct auditing *a)
{
    const char *name;
    json_t *row;
    size_t n = 0;
    int r = CTL_EXIT_DONE;

    json_object_foreach(a->ours.accounts, name, row)
    {
        if (r == 0)
            r = add_issuers(a, row);
    }
    a->issuers =
        calloc(json_object_size(a->issuer_set) + 1, sizeof(*a->issuers));
    if (r || !a->issuers)
        return r ? r : ctl_fail_errno(-ENOMEM, "records audit");
    json_object_foreach(a->issuer_set, name, row)
    {
        a->issuers[n++] = name;
    }
    return CTL_EXIT_DONE;
}

static int keep_denied(json_t *items, void *userdata)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < json_array_size(items); i++) {
        const char *name = ctl_string(json_array_get(items, i), "domain");

        if (name)
            r = remember(userdata, name);
    }
    return r;
}

/* Those of NameDeny, and of guardian.conf where it can be read. */
static int load_denied(struct auditing *a)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_SETTINGS struct settings *settings = NULL;
    struct errmsg err = { 0 };
    int r;

    r = ctl_daemon_open(a->c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_daemon_pages(&d, "NameDenied", json_object(), "names",
                             keep_denied, a->denied);
    if (r || settings_load(a->c->config_dir, &settings, &err))
        return r;
    for (char **p = settings->deny_domains; r == 0 && p && *p; p++)
        r = remember(a->denied, *p);
    return r;
}

static bool is_denied(const struct auditing *a, const char *name)
{
    for (; name; name = strchr(name, '.')) {
        name += *name == '.';
        if (json_object_get(a->denied, name))
            return true;
    }
    return false;
}

static int read_names(struct auditing *a)
{
    size_t n = ctl_args_count(a->c, "--domain");
    char name[DNS_NAME_MAX + 1];
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = ctl_records_name(ctl_args_nth(a->c, "--domain", i), name);
        if (r == 0)
            r = remember(a->names, name);
    }
    return r;
}

static int read_expiring(struct auditing *a)
{
    const char *text = ctl_args_value(a->c, "--expiring");
    struct errmsg err = { 0 };

    if (records_until_parse(text ? text : EXPIRING_DEFAULT, a->now_s,
                            &a->expiring_s, &err) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_MALFORMED, "--expiring %s", err.text);
}

static int collect(struct auditing *a)
{
    int r;

    a->names = json_object();
    a->denied = json_object();
    a->issuer_set = json_object();
    r = read_expiring(a);
    if (r == 0)
        r = read_names(a);
    if (r == 0)
        r = ctl_dns_open(a->c, &a->dns);
    if (r == 0)
        r = records_list_each(a->c, NULL, NULL, keep_record, a);
    if (r == 0)
        r = ctl_ours_load(a->c, true, &a->ours);
    if (r == 0)
        r = load_denied(a);
    records_kept_sort(&a->records);
    return r ? r : list_issuers(a);
}

/* ---- findings ---- */

static void count(struct auditing *a, enum audit_code code)
{
    if (code == AUDIT_UNKNOWN)
        a->n_unknown++;
    else
        a->n_found++;
}

static int print_finding(const struct audit_finding *f)
{
    CLEANUP_BUF struct buf line = { 0 };
    int r;

    r = buf_printf(&line, "%-8s %s  %s: %s", audit_severity(f->code), f->name,
                   audit_word(f->code), audit_words(f->code));
    if (r == 0 && f->account)
        r = buf_printf(&line, ": account %s", f->account);
    if (r == 0 && f->detail)
        r = buf_printf(&line, ": %s", f->detail);
    if (r == 0 && f->value.len) {
        r = buf_append_str(&line, ": ");
        if (r == 0)
            r = persist_split(f->value, &line);
    }
    if (r)
        return ctl_fail_errno(r, "records audit");
    (void)printf("%s; to do: %s\n", buf_str(&line), audit_advice(f->code));
    return CTL_EXIT_DONE;
}

static int on_finding(const struct audit_finding *f, void *userdata)
{
    struct auditing *a = userdata;

    count(a, f->code);
    ctl_progress_pause(&a->progress);
    if (!a->c->json)
        return print_finding(f);
    ctl_print_json(json_pack(
        "{s:s, s:s, s:s, s:s, s:s*, s:s*, s:o*, s:s}", "severity",
        audit_severity(f->code), "name", f->name, "code", audit_word(f->code),
        "text", audit_words(f->code), "account", f->account, "detail",
        f->detail, "value", f->value.len ? ctl_dns_text(f->value) : NULL,
        "advice", audit_advice(f->code)));
    return CTL_EXIT_DONE;
}

/* ---- batches of names ---- */

struct batch {
    const char *names[CTL_DNS_BATCH];
    size_t n;
    char owners[CTL_DNS_BATCH][2][ZONE_OWNER_MAX];
    struct dns_wanted wanted[CTL_DNS_BATCH * 2];
};

static int batch_add(const struct auditing *a, struct batch *b,
                     const char *name)
{
    char *now = b->owners[b->n][0], *before = b->owners[b->n][1];

    if (zone_owner(name, now))
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: too long a name to have a record", name);
    (void)snprintf(before, ZONE_OWNER_MAX, AUDIT_LABEL_BEFORE ".%s", name);
    b->wanted[b->n * 2] =
        (struct dns_wanted){ .name = now,
                             .type = DNS_TYPE_TXT,
                             .zone = zones_find(a->dns.zones, name) };
    b->wanted[b->n * 2 + 1] =
        (struct dns_wanted){ .name = before, .type = DNS_TYPE_TXT };
    b->names[b->n++] = name;
    return CTL_EXIT_DONE;
}

static int judge_name(struct auditing *a, const char *name,
                      const struct dns_result *results)
{
    size_t from = records_kept_find(&a->records, name);
    const struct audit_question q = {
        .domain = name,
        .records = a->records.items + from,
        .n_records = records_kept_end(&a->records, from) - from,
        .ours = &a->ours.all,
        .issuers = a->issuers,
        .now = &results[0],
        .old = &results[1],
        .denied = is_denied(a, name),
        .now_s = a->now_s,
        .expiring_s = a->expiring_s,
    };
    int r = audit_name(&q, on_finding, a);

    return r < 0 ? ctl_fail_errno(r, "records audit") : r;
}

static int run_batch(struct auditing *a, struct batch *b)
{
    struct dns_result *results = NULL;
    int r = ctl_dns_many(&a->dns, b->wanted, b->n * 2, &a->progress, &results);

    if (r)
        return r;
    for (size_t i = 0; r == 0 && i < b->n; i++)
        r = judge_name(a, b->names[i], &results[i * 2]);
    dns_results_free(results, b->n * 2);
    b->n = 0;
    return r;
}

static int look(struct auditing *a)
{
    CLEANUP_FREE struct batch *b = calloc(1, sizeof(*b));
    const char *name;
    json_t *unused;
    int r;

    if (!b)
        return ctl_fail_errno(-ENOMEM, "records audit");
    r = audit_accounts(&a->ours.all, on_finding, a);
    ctl_progress_begin(&a->progress, "looking up",
                       json_object_size(a->names) * 2);
    json_object_foreach(a->names, name, unused)
    {
        if (r == 0)
            r = batch_add(a, b, name);
        if (r == 0 && b->n == CTL_DNS_BATCH)
            r = run_batch(a, b);
    }
    if (r == 0 && b->n)
        r = run_batch(a, b);
    ctl_progress_end(&a->progress);
    return r;
}

static int summary(const struct auditing *a)
{
    size_t n = json_object_size(a->names);

    if (a->c->json)
        ctl_print_json(json_pack("{s:I, s:I, s:I}", "names", (json_int_t)n,
                                 "found", (json_int_t)a->n_found, "unknown",
                                 (json_int_t)a->n_unknown));
    else
        (void)printf("%zu names: %zu found, %zu unknown\n", n, a->n_found,
                     a->n_unknown);
    if (a->n_found)
        return CTL_EXIT_NO;
    return a->n_unknown ? CTL_EXIT_UNKNOWN : CTL_EXIT_DONE;
}

int ctl_records_run_audit(struct ctl_context *c)
{
    struct auditing a = { .c = c, .now_s = (int64_t)time(NULL) };
    int r;

    r = collect(&a);
    if (r == 0)
        r = look(&a);
    if (r == 0)
        r = summary(&a);
    auditing_deinit(&a);
    return r;
}

const struct ctl_option ctl_records_audit_options[] = {
    { "--domain", "DOMAIN", "also of this name", 0, false, true },
    { "--expiring", "TIME", "an end within this time is a finding (30d)", 0,
      false, false },
    { 0 },
};
