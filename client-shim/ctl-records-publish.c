/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-ca.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-records-dns.h"
#include "client-shim/ctl-records-ours.h"
#include "client-shim/publish-own.h"
#include "client-shim/publish-report.h"

/*
 * records publish: all values are known, and of proven accounts, before the
 * first change is made. Values of an earlier key are not in its way: they are
 * removed by a step of its own (--remove-old), and for a domain only when
 * everything that replaces them has been seen there.
 */

struct publishing {
    const struct ctl_context *c;
    bool dry_run, remove_old;
    struct records_filter filter;
    char domain[DNS_NAME_MAX + 1];
    struct ctl_dns dns;
    struct records_kept kept;
    struct ctl_ours ours;
    const char **values; /* of all kept, in their order */
    struct publish_want *wants;
    size_t n_wants;
    struct publish_own own;
    struct publish_plan plan;
    size_t n_held;   /* domains whose old values must still stay */
    size_t n_denied; /* domains that are left alone */
    bool blocks;
};

static void publishing_deinit(struct publishing *p)
{
    publish_plan_deinit(&p->plan);
    publish_own_deinit(&p->own);
    free(p->wants);
    free(p->values);
    ctl_ours_deinit(&p->ours);
    records_kept_deinit(&p->kept);
    ctl_dns_close(&p->dns);
}

/* ---- what is wanted ---- */

/* What stands there is left to records revoke, which takes all of it back. */
static void leave_out(struct publishing *p, const char *domain)
{
    p->n_denied++;
    (void)ctl_fail(CTL_EXIT_NO,
                   "%s: it is denied, itself or by a name above it (names "
                   "list, or [Deny] in guardian.conf), and left alone",
                   domain);
}

static int make_wants(struct publishing *p)
{
    p->values = calloc(p->kept.n + 1, sizeof(*p->values));
    p->wants = calloc(p->kept.n + 1, sizeof(*p->wants));
    if (!p->values || !p->wants)
        return ctl_fail_errno(-ENOMEM, "records publish");
    for (size_t i = 0, end; i < p->kept.n; i = end) {
        end = records_kept_end(&p->kept, i);
        for (size_t v = i; v < end; v++)
            p->values[v] = p->kept.items[v].value;
        if (p->kept.items[i].denied) {
            leave_out(p, p->kept.items[i].domain);
            continue;
        }
        p->wants[p->n_wants++] = (struct publish_want){
            .domain = p->kept.items[i].domain,
            .values = p->values + i,
            .n_values = end - i,
        };
    }
    return CTL_EXIT_DONE;
}

static int make_own(struct publishing *p, bool old)
{
    publish_own_deinit(&p->own);
    for (size_t i = 0; i < p->kept.n; i++) {
        const struct kept_value *v = &p->kept.items[i];
        const struct ours_account *a = ours_find(&p->ours.all, v->account);
        int r = a ? publish_own_add_value(&p->own, a, v, old) : 0;

        if (r)
            return ctl_fail_errno(r, "records publish");
    }
    publish_own_sort(&p->own);
    return CTL_EXIT_DONE;
}

/* With half of what one URL stands for, the other half would be replaced. */
static int check_shared(const struct publishing *p)
{
    const struct ours_account *a, *other;

    if (!p->filter.account)
        return CTL_EXIT_DONE;
    a = ours_find(&p->ours.all, p->filter.account);
    other = a ? ours_same_url(&p->ours.all, a) : NULL;
    if (!other)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "%s and %s have one account URL, so one's records could "
                    "not be told from the other's: publish without --account",
                    a->name, other->name);
}

static int collect(struct publishing *p)
{
    int r;

    r = ctl_records_filter(p->c, p->domain, &p->filter);
    if (r == 0)
        r = ctl_dns_secrets(p->c);
    if (r == 0)
        r = ctl_dns_open(p->c, &p->dns);
    if (r == 0)
        r = ctl_records_keep(p->c, &p->filter, &p->kept);
    if (r)
        return r;
    if (p->kept.n == 0 && p->filter.domain)
        return ctl_fail(CTL_EXIT_NO, "%s: there is no record",
                        p->filter.domain);
    r = ctl_ours_load(p->c, p->remove_old, &p->ours);
    if (r == 0)
        r = check_shared(p);
    return r ? r : make_wants(p);
}

/* ---- the plan ---- */

static int make_plan(struct publishing *p, bool only_remove,
                     struct publish_plan *ret)
{
    const struct publish_rules rules = { .own = publish_own_has,
                                         .userdata = &p->own,
                                         .only_remove = only_remove };
    struct errmsg err = { 0 };
    int r = publish_plan(p->dns.lookup, p->dns.zones, p->wants, p->n_wants,
                         &rules, ret, &err);

    if (r < 0)
        return ctl_fail_errno(r, "records publish");
    return r ? ctl_fail_at(CTL_EXIT_MALFORMED, &err) : CTL_EXIT_DONE;
}

static bool has_addition(const struct publish_plan *plan, const char *domain)
{
    for (size_t i = 0; i < plan->n_changes; i++) {
        if (!plan->changes[i].remove &&
            strcmp(plan->changes[i].domain, domain) == 0)
            return true;
    }
    for (size_t i = 0; i < plan->n_notes; i++) {
        if (strcmp(plan->notes[i].domain, domain) == 0)
            return true;
    }
    return false;
}

/* Only those at which nothing is missing, and that nothing is said about. */
static void hold_back(struct publishing *p, const struct publish_plan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_wants; i++) {
        if (!has_addition(plan, p->wants[i].domain)) {
            p->wants[n++] = p->wants[i];
            continue;
        }
        p->n_held++;
        (void)ctl_fail(CTL_EXIT_TRY_AGAIN,
                       "%s: old values stay, since what replaces them is not "
                       "seen everywhere: records publish, then records check",
                       p->wants[i].domain);
    }
    p->n_wants = n;
}

static int plan_removal(struct publishing *p)
{
    CLEANUP_PUBLISH_PLAN struct publish_plan now = { 0 };
    int r;

    r = make_own(p, false);
    if (r == 0)
        r = make_plan(p, false, &now);
    if (r)
        return r;
    hold_back(p, &now);
    r = make_own(p, true);
    return r ? r : make_plan(p, true, &p->plan);
}

static int plan(struct publishing *p)
{
    int r;

    if (p->remove_old)
        return plan_removal(p);
    r = make_own(p, false);
    return r ? r : make_plan(p, false, &p->plan);
}

/* ---- and the changes ---- */

static void tried(const struct publish_change *c, void *userdata)
{
    const struct publishing *p = userdata;

    if (!p->c->json && publish_report_change(c, false))
        return;
    (void)fflush(stdout);
}

static int apply(struct publishing *p)
{
    int r;

    if (p->dry_run) {
        for (size_t i = 0; !p->c->json && i < p->plan.n_changes; i++) {
            r = publish_report_change(&p->plan.changes[i], true);
            if (r)
                return r;
        }
        return CTL_EXIT_DONE;
    }
    r = publish_apply(&p->plan, NULL, tried, p);
    if (r)
        (void)ctl_fail_errno(r, "records publish");
    return CTL_EXIT_DONE;
}

static void say_counts(const struct publishing *p)
{
    const struct publish_plan *plan = &p->plan;
    size_t done = publish_count(plan, PUBLISH_DONE);
    size_t by_hand = publish_count(plan, PUBLISH_BY_HAND);

    if (p->c->json) {
        ctl_print_json(publish_report_json(plan));
        return;
    }
    if (p->dry_run)
        (void)printf("%zu to change, %zu as wanted\n", plan->n_changes,
                     plan->n_unchanged);
    else if (plan->n_changes == 0)
        (void)printf("nothing to do: %zu as wanted\n", plan->n_unchanged);
    else
        (void)printf("%zu done, %zu by hand, %zu not made, %zu as wanted\n",
                     done, by_hand, plan->n_changes - done - by_hand,
                     plan->n_unchanged);
}

static int finish(const struct publishing *p)
{
    enum ctl_exit code = publish_report_exit(&p->plan);

    say_counts(p);
    if (p->dry_run)
        code = p->blocks || p->n_denied ? CTL_EXIT_NO : CTL_EXIT_DONE;
    if (code == CTL_EXIT_TRY_AGAIN)
        return ctl_fail(code, "not everything was made: the lines above say "
                              "which half; run it again");
    if (code == CTL_EXIT_DONE && p->n_held)
        return CTL_EXIT_TRY_AGAIN;
    if (code == CTL_EXIT_DONE && p->n_denied)
        return CTL_EXIT_NO;
    return (int)code;
}

int ctl_records_run_publish(struct ctl_context *c)
{
    struct publishing p = { .c = c,
                            .dry_run = ctl_args_has(c, "--dry-run"),
                            .remove_old = ctl_args_has(c, "--remove-old") };
    int r;

    r = collect(&p);
    if (r == 0)
        r = plan(&p);
    if (r == 0) {
        publish_report_notes(&p.plan, &p.blocks);
        r = apply(&p);
    }
    if (r == 0)
        r = finish(&p);
    publishing_deinit(&p);
    return r;
}

const struct ctl_option ctl_records_publish_options[] = {
    { "--account", "NAME", "records of this account", 0, false, false },
    { "--domain", "DOMAIN", "records of this domain", 0, false, false },
    { "--dry-run", NULL, "only say what would change", 0, false, false },
    { "--remove-old", NULL,
      "remove values of earlier keys, where the new ones are seen", 0, false,
      false },
    CTL_CA_OPTIONS,
    { 0 },
};
