/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/publish-report.h"
#include "client-shim/records-until.h"
#include "client-shim/revoke.h"

#define PAUSE_MAX_S 10

static bool has_own(const struct dns_view *v, struct publish_own *own)
{
    for (size_t i = 0; i < v->n_values; i++) {
        if (publish_own_has(buf_bytes(&v->values[i].text), own))
            return true;
    }
    return false;
}

enum revoke_presence revoke_look(const struct dns_result *result,
                                 struct publish_own *own, uint32_t *ret_ttl,
                                 const struct dns_view **ret_view)
{
    enum revoke_presence p = result->n_views ? REVOKE_GONE : REVOKE_UNKNOWN;

    *ret_ttl = 0;
    *ret_view = NULL;
    for (size_t i = 0; i < result->n_views; i++) {
        const struct dns_view *v = &result->views[i];

        if (!dns_view_final(v))
            continue;
        if (!dns_view_tells(v) && p == REVOKE_GONE) {
            p = REVOKE_UNKNOWN;
            *ret_view = v;
        }
        if (!dns_view_tells(v) || !has_own(v, own))
            continue;
        if (p != REVOKE_THERE)
            *ret_view = v;
        p = REVOKE_THERE;
        *ret_ttl = v->ttl_s > *ret_ttl ? v->ttl_s : *ret_ttl;
    }
    return p;
}

/* What was learned about servers that were silent is not kept. */
static int look_up(struct revoke *r, struct dns_result *ret)
{
    CLEANUP_DNS_LOOKUP struct dns_lookup *lookup = NULL;
    const struct dns_wanted wanted = {
        .name = r->owner,
        .type = DNS_TYPE_TXT,
        .zone = zones_find(r->dns.zones, r->domain),
    };
    int e;

    e = dns_lookup_new(r->dns.child, r->dns.zones, &lookup);
    if (e == 0)
        e = dns_lookup(lookup, &wanted, ret);
    return e ? ctl_fail_errno(e, "DNS process") : CTL_EXIT_DONE;
}

/* Is it there now? For how long, is remembered. */
static int look(struct revoke *r, struct dns_result *ret,
                enum revoke_presence *ret_presence,
                const struct dns_view **ret_view)
{
    uint32_t ttl_s = 0;
    int e = look_up(r, ret);

    if (e)
        return e;
    *ret_presence = revoke_look(ret, &r->own, &ttl_s, ret_view);
    r->seen = r->seen || *ret_presence == REVOKE_THERE;
    r->ttl_s = ttl_s > r->ttl_s ? ttl_s : r->ttl_s;
    return CTL_EXIT_DONE;
}

/* ---- removing ---- */

static void tried(const struct publish_change *c, void *userdata)
{
    const struct revoke *r = userdata;

    if (!r->c->json && publish_report_change(c, false))
        return;
    (void)fflush(stdout);
}

static void say_unpublished(struct revoke *r, const struct publish_plan *plan)
{
    enum ctl_exit code;
    bool blocks = false;

    publish_report_notes(plan, &blocks);
    code = publish_report_exit(plan);
    if (code == CTL_EXIT_DONE)
        revoke_step(r, "unpublish", REVOKE_DONE,
                    "%zu records were removed from DNS", plan->n_changes);
    else if (code == CTL_EXIT_NO)
        revoke_step(r, "unpublish", REVOKE_BY_HAND, "%s",
                    plan->n_changes ? "remove the records above at the zone"
                                    : "put the zone in order, see above");
    else
        revoke_step(r, "unpublish", REVOKE_LATER,
                    "%zu of %zu records were removed from DNS",
                    publish_count(plan, PUBLISH_DONE), plan->n_changes);
    if (r->c->json)
        r->plan = publish_report_json(plan);
}

int revoke_unpublish(struct revoke *r)
{
    CLEANUP_PUBLISH_PLAN struct publish_plan plan = { 0 };
    const struct publish_want want = { .domain = r->domain };
    const struct publish_rules rules = { .own = publish_own_has,
                                         .userdata = &r->own,
                                         .only_remove = true };
    struct dns_result before = { 0 };
    const struct dns_view *view = NULL;
    enum revoke_presence p = REVOKE_UNKNOWN;
    struct errmsg err = { 0 };
    int e;

    e = look(r, &before, &p, &view);
    dns_result_deinit(&before);
    if (e)
        return e;
    e = publish_plan(r->dns.lookup, r->dns.zones, &want, 1, &rules, &plan,
                     &err);
    if (e > 0)
        return ctl_fail_at(CTL_EXIT_MALFORMED, &err);
    if (e == 0)
        e = publish_apply(&plan, NULL, tried, r);
    if (e)
        (void)ctl_fail_errno(e, r->domain);
    say_unpublished(r, &plan);
    return CTL_EXIT_DONE;
}

/* ---- until it is gone ---- */

static int64_t now_s(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return t.tv_sec;
}

static void say_caches(struct revoke *r)
{
    char until[RECORDS_TIME_MAX];

    if (!r->seen) {
        revoke_step(r, "caches", REVOKE_DONE,
                    "it was gone before this run looked: caches may serve it "
                    "for its TTL from then on");
        return;
    }
    records_time_format(now_s(CLOCK_REALTIME) + r->ttl_s, until);
    revoke_step(r, "caches", REVOKE_DONE,
                "caches may serve it until %s (its TTL was %u s)", until,
                r->ttl_s);
}

static void say_left(struct revoke *r, enum revoke_presence p,
                     const struct dns_view *v)
{
    const char *server = v && v->server ? v->server : "nobody";
    enum revoke_state state =
        r->worst == REVOKE_BY_HAND ? REVOKE_BY_HAND : REVOKE_LATER;

    if (p == REVOKE_THERE)
        revoke_step(r, "gone", state, "%s still has it", server);
    else
        revoke_step(r, "gone", state, "%s does not tell whether it has it (%s)",
                    server, v ? dns_status_words(v->status) : "was asked");
}

/* With something that is left to a person, waiting is no use. */
static int look_once(struct revoke *r, int64_t end_s, unsigned pause_s,
                     bool *ret_again)
{
    struct dns_result result = { 0 };
    const struct dns_view *view = NULL;
    enum revoke_presence p = REVOKE_UNKNOWN;
    int e = look(r, &result, &p, &view);

    if (e)
        return e;
    *ret_again = p != REVOKE_GONE && r->worst != REVOKE_BY_HAND &&
                 now_s(CLOCK_MONOTONIC) + pause_s <= end_s;
    if (p == REVOKE_GONE) {
        revoke_step(r, "gone", REVOKE_DONE, "no server has it");
        say_caches(r);
    } else if (!*ret_again) {
        say_left(r, p, view);
    }
    dns_result_deinit(&result);
    return CTL_EXIT_DONE;
}

int revoke_wait_gone(struct revoke *r)
{
    int64_t end_s = now_s(CLOCK_MONOTONIC) + (int64_t)r->wait_s;
    unsigned pause_s = 1;
    bool again = true;
    int e = CTL_EXIT_DONE;

    while (e == 0 && again) {
        e = look_once(r, end_s, pause_s, &again);
        if (e == 0 && again && pause_s == 1)
            (void)ctl_fail(CTL_EXIT_DONE,
                           "waiting until no server has it, at most %llu s",
                           (unsigned long long)r->wait_s);
        if (e == 0 && again)
            (void)sleep(pause_s);
        pause_s = pause_s * 2 > PAUSE_MAX_S ? PAUSE_MAX_S : pause_s * 2;
    }
    return e;
}
