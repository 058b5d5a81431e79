/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-ca.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-records-dns.h"
#include "client-shim/dns-view.h"
#include "client-shim/records-judge.h"

/*
 * records check. Every account by itself: that one cannot be proven is a
 * finding of its own and keeps no other back. What is found is said as it
 * comes; only a batch of names is in memory.
 */

struct check {
    const struct ctl_context *c;
    struct records_filter filter;
    char domain[DNS_NAME_MAX + 1];
    struct ctl_dns dns;
    struct records_kept kept;
    int64_t now_s;
    struct ctl_progress progress;
    size_t n[CHECK_UNKNOWN + 1]; /* by state */
};

/* ---- what is to be there ---- */

static int keep_account(struct check *k, const char *account)
{
    struct records_filter filter = k->filter;
    int r;

    filter.account = account;
    r = ctl_records_keep(k->c, &filter, &k->kept);
    switch (r) {
    case CTL_EXIT_NO:
        k->n[CHECK_FOUND]++;
        return CTL_EXIT_DONE;
    case CTL_EXIT_MALFORMED:
    case CTL_EXIT_UNAVAILABLE:
    case CTL_EXIT_TRY_AGAIN:
        k->n[CHECK_UNKNOWN]++;
        return CTL_EXIT_DONE;
    default:
        return r;
    }
}

static int collect(struct check *k)
{
    CLEANUP_CTL_JSON json_t *users = NULL;
    const char *account;
    json_t *unused;
    int r;

    r = ctl_records_filter(k->c, k->domain, &k->filter);
    if (r == 0)
        r = ctl_dns_open(k->c, &k->dns);
    if (r == 0)
        r = ctl_records_users(k->c, &k->filter, &users);
    if (r)
        return r;
    if (k->filter.domain && json_object_size(users) == 0)
        return ctl_fail(CTL_EXIT_NO, "%s: there is no record",
                        k->filter.domain);
    json_object_foreach(users, account, unused)
    {
        r = keep_account(k, account);
        if (r)
            return r;
    }
    return CTL_EXIT_DONE;
}

/* ---- what is said about one record ---- */

static const char *reason_of(const struct check_view *v)
{
    if (v->verdict == PERSIST_VALID)
        return "valid";
    return v->verdict == PERSIST_UNSET ? dns_status_code(v->view->status)
                                       : persist_reason_code(v->reason);
}

static const char *words_of(const struct check_view *v)
{
    if (v->verdict == PERSIST_VALID)
        return "a CA would accept it";
    return v->verdict == PERSIST_UNSET ? dns_status_words(v->view->status)
                                       : persist_reason_text(v->reason);
}

static json_t *strings(char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        (void)json_array_append_new(array, json_string(*list));
    return array;
}

static json_t *view_json(const struct check_view *v)
{
    const struct dns_view *d = v->view;

    return json_pack(
        "{s:s, s:b, s:s*, s:s, s:o, s:s, s:s, s:s, s:s, s:s*, s:I, s:s}",
        "server", d->server ? d->server : "none", "resolver", (int)d->resolver,
        "zone", d->zone, "name", d->name, "cnames", strings(d->chain),
        "verdict", check_state_word(v->state), "status",
        dns_status_code(d->status), "reason", reason_of(v), "text", words_of(v),
        "detail", d->text[0] ? d->text : NULL, "ttl", (json_int_t)d->ttl_s,
        "dnssec", dns_security_word(d->security));
}

static int print_json(const struct check *k, const struct kept_value *v,
                      const struct check_judged *j)
{
    json_t *views = json_array();

    for (size_t i = 0; i < j->n_views; i++)
        (void)json_array_append_new(views, view_json(&j->views[i]));
    ctl_print_json(json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:b, s:s*, s:o}", "verdict",
        check_state_word(j->state), "domain", v->domain, "account", v->account,
        "issuer", v->issuer, "staging", (int)v->staging, "disagree",
        (int)j->disagree, "advice",
        j->state == CHECK_OK ? NULL : check_advice(j), "servers", views));
    (void)k;
    return CTL_EXIT_DONE;
}

/* Of all servers together. */
static const char *security_of(const struct check_judged *j)
{
    enum dns_security s = DNS_SECURITY_UNKNOWN;

    for (size_t i = 0; i < j->n_views; i++) {
        if (j->views[i].view->security > s)
            s = j->views[i].view->security;
    }
    return dns_security_word(s);
}

static void print_view(const struct check_view *v)
{
    const struct dns_view *d = v->view;
    const char *end = dns_view_end(d);

    (void)printf("         %s: %s: %s", d->server ? d->server : "none",
                 reason_of(v), words_of(v));
    if (d->text[0])
        (void)printf(" (%s)", d->text);
    if (strcmp(end, d->name) != 0)
        (void)printf(", at %s", end);
    (void)printf(", %s\n", dns_security_word(d->security));
}

static int print_text(const struct kept_value *v, const struct check_judged *j)
{
    const char *advice = j->state == CHECK_OK ? NULL : check_advice(j);

    (void)printf("%-8s %s  account %s, %s%s: %zu server%s, %s\n",
                 check_state_word(j->state), v->domain, v->account, v->issuer,
                 v->staging ? " (STAGING)" : "", j->n_views,
                 j->n_views == 1 ? "" : "s", security_of(j));
    if (j->state == CHECK_OK)
        return CTL_EXIT_DONE;
    for (size_t i = 0; i < j->n_views; i++)
        print_view(&j->views[i]);
    if (j->n_views == 0)
        (void)puts("         nobody was asked");
    if (advice)
        (void)printf("         to do: %s\n", advice);
    return CTL_EXIT_DONE;
}

static int judge_one(struct check *k, const struct kept_value *v,
                     const struct dns_result *result)
{
    CLEANUP_CHECK_JUDGED struct check_judged j = { 0 };
    int r = check_judge(result, v, k->now_s, &j);

    if (r)
        return ctl_fail_errno(r, "records check");
    k->n[j.state]++;
    return k->c->json ? print_json(k, v, &j) : print_text(v, &j);
}

/* ---- batches of names ---- */

struct batch {
    size_t begins[CTL_DNS_BATCH + 1]; /* of k->kept; the last ends them */
    size_t n;
    char owners[CTL_DNS_BATCH][ZONE_OWNER_MAX];
    struct dns_wanted wanted[CTL_DNS_BATCH];
};

static int fill(const struct check *k, size_t from, struct batch *b)
{
    b->n = 0;
    b->begins[0] = from;
    while (b->n < CTL_DNS_BATCH && b->begins[b->n] < k->kept.n) {
        size_t i = b->begins[b->n];
        const char *domain = k->kept.items[i].domain;

        if (zone_owner(domain, b->owners[b->n]))
            return ctl_fail(CTL_EXIT_MALFORMED,
                            "%s: too long a name to have a record", domain);
        b->wanted[b->n] = (struct dns_wanted){
            .name = b->owners[b->n],
            .type = DNS_TYPE_TXT,
            .zone = zones_find(k->dns.zones, domain),
        };
        b->begins[++b->n] = records_kept_end(&k->kept, i);
    }
    return CTL_EXIT_DONE;
}

static int judge_batch(struct check *k, const struct batch *b,
                       const struct dns_result *results)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; i < b->n; i++) {
        for (size_t v = b->begins[i]; r == 0 && v < b->begins[i + 1]; v++)
            r = judge_one(k, &k->kept.items[v], &results[i]);
    }
    return r;
}

static int run_batch(struct check *k, struct batch *b, size_t from,
                     size_t *ret_next)
{
    struct dns_result *results = NULL;
    int r = fill(k, from, b);

    if (r == 0)
        r = ctl_dns_many(&k->dns, b->wanted, b->n, &k->progress, &results);
    if (r)
        return r;
    ctl_progress_pause(&k->progress);
    r = judge_batch(k, b, results);
    dns_results_free(results, b->n);
    *ret_next = b->begins[b->n];
    return r;
}

static size_t count_names(const struct records_kept *kept)
{
    size_t n = 0;

    for (size_t i = 0; i < kept->n; i = records_kept_end(kept, i))
        n++;
    return n;
}

static int look(struct check *k)
{
    CLEANUP_FREE struct batch *b = calloc(1, sizeof(*b));
    int r = CTL_EXIT_DONE;
    size_t from = 0;

    if (!b)
        return ctl_fail_errno(-ENOMEM, "records check");
    ctl_progress_begin(&k->progress, "looking up", count_names(&k->kept));
    while (r == 0 && from < k->kept.n)
        r = run_batch(k, b, from, &from);
    ctl_progress_end(&k->progress);
    return r;
}

static int summary(const struct check *k)
{
    if (k->c->json)
        ctl_print_json(json_pack("{s:I, s:I, s:I}", "ok",
                                 (json_int_t)k->n[CHECK_OK], "found",
                                 (json_int_t)k->n[CHECK_FOUND], "unknown",
                                 (json_int_t)k->n[CHECK_UNKNOWN]));
    else
        (void)printf("%zu ok, %zu found, %zu unknown\n", k->n[CHECK_OK],
                     k->n[CHECK_FOUND], k->n[CHECK_UNKNOWN]);
    if (k->n[CHECK_FOUND])
        return CTL_EXIT_NO;
    return k->n[CHECK_UNKNOWN] ? CTL_EXIT_UNKNOWN : CTL_EXIT_DONE;
}

int ctl_records_run_check(struct ctl_context *c)
{
    struct check k = { .c = c, .now_s = (int64_t)time(NULL) };
    int r;

    r = collect(&k);
    if (r == 0)
        r = look(&k);
    if (r == 0)
        r = summary(&k);
    ctl_dns_close(&k.dns);
    records_kept_deinit(&k.kept);
    return r;
}

const struct ctl_option ctl_records_check_options[] = {
    { "--account", "NAME", "records of this account", 0, false, false },
    { "--domain", "DOMAIN", "records of this domain", 0, false, false },
    CTL_CA_OPTIONS,
    { 0 },
};
