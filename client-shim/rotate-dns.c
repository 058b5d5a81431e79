/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/rotate-dns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/publish-report.h"
#include "client-shim/records-list.h"

enum rotate_work rotate_work_parse(const char *word)
{
    static const char *const words[] = {
        [ROTATE_WORK_UNSET] = "",           [ROTATE_PUBLISH] = "publish",
        [ROTATE_VERIFY] = "verify",         [ROTATE_REMOVE_OLD] = "remove-old",
        [ROTATE_REMOVE_NEW] = "remove-new",
    };

    for (size_t i = 1; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) == 0)
            return (enum rotate_work)i;
    }
    return ROTATE_WORK_UNSET;
}

bool rotate_removes(enum rotate_work w)
{
    return w == ROTATE_REMOVE_OLD || w == ROTATE_REMOVE_NEW;
}

void rotate_dns_deinit(struct rotate_dns *d)
{
    publish_own_deinit(&d->own);
    free(d->pending);
    free(d->wants);
    free(d->values);
    records_kept_deinit(&d->kept);
    ctl_dns_close(&d->dns);
}

/* ---- what should be there ---- */

static int keep_record(const struct records_record *r, void *userdata)
{
    const struct records_value v = { .account = r->account,
                                     .domain = r->domain,
                                     .issuer = r->issuer,
                                     .accounturi = "",
                                     .value = "" };
    int e = records_kept_add(userdata, &v);

    return e ? ctl_fail_errno(e, "records") : CTL_EXIT_DONE;
}

/* Whose records the new key's are is not ours to say any more. */
static bool is_release(const json_t *rotation)
{
    const char *kind = ctl_string(rotation, "kind");

    return kind && strcmp(kind, "release") == 0;
}

/* Of an abort, or when the account has left, nothing should stand; then no
 * account needs to be proven. */
static int load_kept(struct rotate_dns *d, const char *account)
{
    const struct records_filter filter = { .account = account, .key = "new" };
    int r;

    if (!d->none)
        return ctl_records_keep(d->c, &filter, &d->kept);
    r = records_list_each(d->c, account, NULL, keep_record, &d->kept);
    records_kept_sort(&d->kept);
    return r;
}

static int make_wants(struct rotate_dns *d)
{
    size_t n = d->kept.n + 1;

    d->values = calloc(n, sizeof(*d->values));
    d->wants = calloc(n, sizeof(*d->wants));
    d->pending = calloc(n, sizeof(*d->pending));
    if (!d->values || !d->wants || !d->pending)
        return ctl_fail_errno(-ENOMEM, "records");
    for (size_t i = 0, end; i < d->kept.n; i = end) {
        bool none = d->none || d->kept.items[i].denied;

        end = records_kept_end(&d->kept, i);
        for (size_t v = i; v < end; v++)
            d->values[v] = d->kept.items[v].value;
        if (d->kept.items[i].denied && !rotate_removes(d->work))
            continue;
        d->pending[d->n] = true;
        d->wants[d->n++] =
            (struct publish_want){ .domain = d->kept.items[i].domain,
                                   .values = d->values + i,
                                   .n_values = none ? 0 : end - i };
    }
    return CTL_EXIT_DONE;
}

/* Of a move there are two URLs, of all else the account's. */
static const char *url_of(const json_t *account, const json_t *rotation,
                          bool old)
{
    const json_t *records = json_object_get(rotation, "records");
    const char *url = ctl_string(records, old ? "oldUrl" : "newUrl");

    return url ? url : ctl_string(account, "url");
}

/* Publishing, only values of the same key are replaced: of a record that was
 * changed meanwhile. */
static int make_own(struct rotate_dns *d, const json_t *account,
                    const json_t *rotation)
{
    bool old = d->work == ROTATE_REMOVE_OLD;
    const char *prefix =
        ctl_string(json_object_get(account, "meta"), "accountHashPrefix");
    const char *url = url_of(account, rotation, old);
    const char *thumbprint =
        ctl_string(rotation, old ? "oldThumbprint" : "newThumbprint");

    if (!url || !thumbprint)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon does not say what the records are made of");
    for (size_t i = 0; i < d->n; i++) {
        int r = prefix ? publish_own_add_key(&d->own, prefix, url,
                                             d->wants[i].domain, thumbprint)
                       : publish_own_add(&d->own, url, NULL);

        if (r)
            return ctl_fail_errno(r, "records");
    }
    publish_own_sort(&d->own);
    return CTL_EXIT_DONE;
}

int rotate_dns_load(struct rotate_dns *d, const struct ctl_context *c,
                    const json_t *rotation, enum rotate_work work)
{
    const char *account = ctl_string(rotation, "account");
    CLEANUP_CTL_JSON json_t *accounts = NULL;
    int r;

    *d = (struct rotate_dns){ .c = c, .work = work };
    d->none = work == ROTATE_REMOVE_NEW ||
              (work == ROTATE_REMOVE_OLD && is_release(rotation));
    if (!account)
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "a rotation of no account");
    r = ctl_dns_secrets(c);
    if (r == 0)
        r = ctl_dns_open(c, &d->dns);
    if (r == 0)
        r = load_kept(d, account);
    if (r == 0)
        r = ctl_records_accounts(c, account, &accounts);
    if (r == 0)
        r = make_wants(d);
    return r ? r : make_own(d, json_object_get(accounts, account), rotation);
}

/* ---- the changes ---- */

static int plan_some(struct rotate_dns *d, size_t from, size_t n,
                     struct publish_plan *ret)
{
    const struct publish_rules rules = { .own = publish_own_has,
                                         .userdata = &d->own };
    struct errmsg err = { 0 };
    int r = publish_plan(d->dns.lookup, d->dns.zones, d->wants + from, n,
                         &rules, ret, &err);

    if (r < 0)
        return ctl_fail_errno(r, "records");
    return r ? ctl_fail_at(CTL_EXIT_MALFORMED, &err) : CTL_EXIT_DONE;
}

int rotate_dns_plan(struct rotate_dns *d, struct publish_plan *ret)
{
    return plan_some(d, 0, d->n, ret);
}

struct changing {
    struct rotate_dns *dns;
    rotate_before_fn before;
    void *userdata;
    bool begun;
    uint32_t ttl_s; /* that was told */
    struct ctl_progress progress;
    struct rotate_tally *tally;
};

static void take_failure(struct rotate_tally *t, const struct publish_change *c)
{
    if (t->n_failed++ == 0)
        (void)snprintf(t->text, sizeof(t->text), "%.200s: %s%s%.120s",
                       c->domain, publish_state_word(c->state),
                       c->text[0] ? ": " : "", c->text);
}

/* What was made is counted only: there may be ten thousand. */
static int tally_change(struct changing *x, const struct publish_change *c)
{
    struct rotate_tally *t = x->tally;

    t->n_changes++;
    if (c->state == PUBLISH_DONE) {
        t->n_done++;
        return CTL_EXIT_DONE;
    }
    if (c->state == PUBLISH_BY_HAND)
        t->n_by_hand++;
    else
        take_failure(t, c);
    if (x->dns->c->json ||
        (c->state == PUBLISH_BY_HAND && x->dns->work == ROTATE_PUBLISH))
        return CTL_EXIT_DONE;
    ctl_progress_pause(&x->progress);
    return publish_report_change(c, false);
}

static int tally_plan(struct changing *x, const struct publish_plan *plan)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; i < plan->n_notes; i++) {
        const struct publish_note *n = &plan->notes[i];

        if (n->blocks && x->tally->n_blocked++ == 0 && !x->tally->text[0])
            (void)snprintf(x->tally->text, sizeof(x->tally->text),
                           "%.150s: %.240s", n->domain, n->text);
    }
    for (size_t i = 0; r == 0 && i < plan->n_changes; i++)
        r = tally_change(x, &plan->changes[i]);
    return r;
}

/* The daemon knows before anybody's server does. */
static int tell_before(struct changing *x, const struct publish_plan *plan)
{
    int r;

    if (!x->before || plan->n_changes == 0 ||
        (x->begun && plan->before_ttl_s <= x->ttl_s))
        return CTL_EXIT_DONE;
    r = x->before(plan->before_ttl_s, x->userdata);
    x->begun = true;
    x->ttl_s = plan->before_ttl_s;
    return r;
}

static int change_some(struct changing *x, size_t from, size_t n)
{
    CLEANUP_PUBLISH_PLAN struct publish_plan plan = { 0 };
    bool blocks;
    int r;

    r = plan_some(x->dns, from, n, &plan);
    if (r == 0)
        r = tell_before(x, &plan);
    if (r)
        return r;
    if (plan.n_notes) {
        ctl_progress_pause(&x->progress);
        publish_report_notes(&plan, &blocks);
    }
    r = publish_apply(&plan, NULL, NULL, NULL);
    if (r)
        (void)ctl_fail_errno(r, "records");
    return tally_plan(x, &plan);
}

/* Where nobody sees a bar, a line for each batch but the only one. */
static void say_batch(struct changing *x, size_t done)
{
    ctl_progress_step(&x->progress, done);
    if (x->progress.shown || x->dns->c->json || x->dns->n <= CTL_DNS_BATCH)
        return;
    (void)printf("%s: %zu of %zu\n", x->progress.what, done, x->dns->n);
    (void)fflush(stdout);
}

int rotate_dns_change(struct rotate_dns *d, rotate_before_fn before,
                      void *userdata, struct rotate_tally *ret)
{
    struct changing x = {
        .dns = d, .before = before, .userdata = userdata, .tally = ret
    };
    int r = CTL_EXIT_DONE;

    *ret = (struct rotate_tally){ 0 };
    ctl_progress_begin(
        &x.progress, rotate_removes(d->work) ? "removing" : "publishing", d->n);
    for (size_t from = 0, n; r == 0 && from < d->n; from += n) {
        n = d->n - from < CTL_DNS_BATCH ? d->n - from : CTL_DNS_BATCH;
        r = change_some(&x, from, n);
        if (r == 0)
            say_batch(&x, from + n);
    }
    ctl_progress_end(&x.progress);
    return r;
}
