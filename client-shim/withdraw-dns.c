/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/withdraw.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client-shim/caa-change.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/publish-report.h"
#include "client-shim/revoke.h"

#define PAUSE_MAX_S 10
#define CAA_TTL_S 3600

/* ---- what is there ---- */

/* What was learned about servers that were silent is not kept. */
static int look_up(const struct withdraw *w, enum dns_type type,
                   struct dns_result **ret)
{
    CLEANUP_DNS_LOOKUP struct dns_lookup *lookup = NULL;
    CLEANUP_FREE struct dns_wanted *wanted = calloc(w->n + 1, sizeof(*wanted));
    int r = wanted ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < w->n; i++) {
        const struct withdraw_name *x = &w->names[i];
        bool caa = type == DNS_TYPE_CAA;

        wanted[i] = (struct dns_wanted){
            .name = caa ? x->domain : x->owner,
            .type = type,
            .zone = caa ? zones_find_name(w->dns.zones, x->domain)
                        : zones_find(w->dns.zones, x->domain),
        };
    }
    if (r == 0)
        r = dns_lookup_new(w->dns.child, w->dns.zones, &lookup);
    if (r == 0)
        r = dns_lookup_many(lookup, wanted, w->n, ret, NULL, NULL);
    return r ? ctl_fail_errno(r, "DNS process") : CTL_EXIT_DONE;
}

static int look(struct withdraw *w)
{
    struct dns_result *results = NULL;
    int r = look_up(w, DNS_TYPE_TXT, &results);

    if (r)
        return r;
    w->n_left = w->n_unknown = 0;
    for (size_t i = 0; results && i < w->n; i++) {
        const struct dns_view *view;
        uint32_t ttl_s;
        enum revoke_presence p =
            revoke_look(&results[i], &w->own, &ttl_s, &view);

        w->n_left += p == REVOKE_THERE;
        w->n_unknown += p == REVOKE_UNKNOWN;
        w->ttl_s = ttl_s > w->ttl_s ? ttl_s : w->ttl_s;
    }
    dns_results_free(results, w->n);
    return CTL_EXIT_DONE;
}

/* ---- removing ---- */

static void tried(const struct publish_change *c, void *userdata)
{
    const struct withdraw *w = userdata;

    if (!w->c->json && publish_report_change(c, false))
        return;
    (void)fflush(stdout);
}

static int make_plan(struct withdraw *w, struct publish_plan *plan)
{
    CLEANUP_FREE struct publish_want *wants = calloc(w->n + 1, sizeof(*wants));
    const struct publish_rules rules = { .own = publish_own_has,
                                         .userdata = &w->own,
                                         .only_remove = true };
    struct errmsg err = { 0 };
    size_t n = 0;
    int r;

    if (!wants)
        return ctl_fail_errno(-ENOMEM, w->account);
    for (size_t i = 0; i < w->n; i++) {
        if (i == 0 || strcmp(w->names[i - 1].domain, w->names[i].domain) != 0)
            wants[n++].domain = w->names[i].domain;
    }
    r = publish_plan(w->dns.lookup, w->dns.zones, wants, n, &rules, plan, &err);
    if (r > 0)
        return ctl_fail_at(CTL_EXIT_MALFORMED, &err);
    return r ? ctl_fail_errno(r, w->account) : CTL_EXIT_DONE;
}

/* What the publishers do not do is a person's, and the lines above say what. */
int withdraw_remove(struct withdraw *w)
{
    CLEANUP_PUBLISH_PLAN struct publish_plan plan = { 0 };
    bool blocks = false;
    int r = look(w);

    if (r == 0)
        r = make_plan(w, &plan);
    if (r)
        return r;
    r = publish_apply(&plan, NULL, tried, w);
    if (r)
        return ctl_fail_errno(r, w->account);
    publish_report_notes(&plan, &blocks);
    w->by_hand = blocks || publish_count(&plan, PUBLISH_BY_HAND) > 0;
    if (w->c->json)
        w->plan = publish_report_json(&plan);
    return CTL_EXIT_DONE;
}

/* ---- until they are gone ---- */

static int64_t now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* What a person has to remove is not waited for. */
int withdraw_wait(struct withdraw *w)
{
    int64_t end_s = now_s() + (int64_t)w->wait_s;
    unsigned pause_s = 1;
    int r;

    for (;;) {
        r = look(w);
        if (r || w->n_left + w->n_unknown == 0 || w->by_hand ||
            now_s() + pause_s > end_s)
            return r;
        if (pause_s == 1)
            (void)ctl_fail(CTL_EXIT_DONE,
                           "waiting until no server has them, at most %llu s",
                           (unsigned long long)w->wait_s);
        (void)sleep(pause_s);
        pause_s = pause_s * 2 > PAUSE_MAX_S ? PAUSE_MAX_S : pause_s * 2;
    }
}

/* ---- CAA ---- */

struct caa_line {
    struct withdraw *w;
    const char *domain;
};

static int give_line(bool remove, const char *record, void *userdata)
{
    const struct caa_line *l = userdata;

    if (l->w->c->json)
        return json_array_append_new(l->w->caa,
                                     json_pack("{s:s, s:b, s:s}", "domain",
                                               l->domain, "remove", (int)remove,
                                               "record", record)) < 0
                   ? -ENOMEM
                   : 0;
    (void)printf("%s %s. %d IN CAA %s\n", remove ? "remove" : "add", l->domain,
                 CAA_TTL_S, record);
    return 0;
}

static const struct dns_view *telling(const struct dns_result *result)
{
    for (size_t i = 0; i < result->n_views; i++) {
        if (dns_view_tells(&result->views[i]))
            return &result->views[i];
    }
    return NULL;
}

static int give_changes(struct withdraw *w, const struct ours_account *a,
                        const struct withdraw_name *x,
                        const struct dns_result *result)
{
    const struct caa_change_question q = { .issuer = x->issuer,
                                           .lost = a->url,
                                           .instead = w->instead };
    struct caa_line line = { w, x->domain };
    const struct dns_view *view = telling(result);

    if (view)
        return caa_change(view->values, view->n_values, &q, give_line, &line);
    (void)ctl_fail(CTL_EXIT_DONE, "%s: no server tells its CAA records",
                   x->domain);
    return 0;
}

int withdraw_caa(struct withdraw *w)
{
    const struct ours_account *a = ours_find(&w->ours.all, w->account);
    struct dns_result *results = NULL;
    int r = look_up(w, DNS_TYPE_CAA, &results);

    if (r)
        return r;
    if (!w->c->json && w->n > 0)
        (void)puts("\nCAA records, for the owners of the zones to change:");
    for (size_t i = 0; r == 0 && results && i < w->n; i++)
        r = give_changes(w, a, &w->names[i], &results[i]);
    dns_results_free(results, w->n);
    return r ? ctl_fail_errno(r, w->account) : CTL_EXIT_DONE;
}
