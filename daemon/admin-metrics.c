/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "acme/json-strict.h"
#include "daemon/admin-call.h"
#include "daemon/decision.h"
#include "daemon/guardian.h"
#include "daemon/lacme.h"
#include "daemon/params.h"
#include "daemon/record-rules.h"
#include "daemon/rotate.h"

/*
 * Metrics, MetricsAccounts: what a monitoring system wants to know once a
 * minute, in two calls however many accounts and records there are, since each
 * call is a line of the audit log.
 */

static json_t *decisions_json(const struct metrics *m)
{
    json_t *list = json_array();

    for (unsigned op = 0; op < ACME_OP_COUNT; op++) {
        for (unsigned reason = 0; reason < REASON_COUNT; reason++) {
            if (m->decisions[op][reason] == 0)
                continue;
            (void)json_array_append_new(
                list, json_pack("{s:s,s:s,s:s,s:I}", "operation",
                                acme_op_name((enum acme_op)op), "verdict",
                                decision_verdict((enum reason)reason), "reason",
                                reason ? reason_code((enum reason)reason) : "",
                                "count", (json_int_t)m->decisions[op][reason]));
        }
    }
    return list;
}

static json_t *histogram_json(const struct metrics_histogram *h)
{
    json_t *bounds = json_array();
    json_t *counts = json_array();

    for (size_t i = 0; i < METRICS_N_BOUNDS; i++)
        (void)json_array_append_new(
            bounds, json_integer((json_int_t)metrics_bounds_us[i]));
    for (size_t i = 0; i <= METRICS_N_BOUNDS; i++)
        (void)json_array_append_new(counts, json_integer((json_int_t)h->n[i]));
    return json_pack("{s:o,s:o,s:I}", "bounds", bounds, "counts", counts, "sum",
                     (json_int_t)h->sum_us);
}

static json_t *tokens_json(const struct guardian *g)
{
    json_t *list = json_array();

    for (size_t i = 0; i < g->n_tokens; i++) {
        const struct token *t = g->tokens[i];
        const struct token_status *s = token_status(t);
        json_t *free_memory =
            s->free_plus_one > 0
                ? json_integer((json_int_t)s->free_plus_one - 1)
                : json_null();

        (void)json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:I,s:I,s:I,s:o}", "name",
                      token_settings(t)->name, "state", token_state(t),
                      "inFlight", (json_int_t)token_in_flight(t), "processes",
                      (json_int_t)s->processes, "sessions",
                      (json_int_t)s->sessions, "freeMemory", free_memory));
    }
    return list;
}

ADMIN_METHOD(admin_on_metrics)
{
    struct guardian *g = userdata;
    uint8_t mac[32];

    if (!params_take(call, parameters, NULL, 0))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    varlink_reply_json(
        call,
        json_pack(
            "{s:s,s:I,s:b,s:b,s:I,s:I,s:I,s:b,s:b,s:b,s:I,s:b,s:b,s:I,s:I,s:I,"
            "s:o,s:o,s:o,s:o}",
            "version", GUARDIAN_VERSION, "since", (json_int_t)g->since_s,
            "ready", (int)admin_is_ready(g), "policyCurrent",
            g->policy_error.text[0] == '\0', "policyLoaded",
            (json_int_t)g->policy_loaded_s, "policyRuleSets",
            (json_int_t)policy_set_n_rulesets(g->policy), "policyNames",
            (json_int_t)policy_set_n_names(g->policy), "auditWritable",
            g->audit && audit_state(g->audit) == 0, "auditReserved",
            g->audit && audit_reserve_state(g->audit) == 0, "auditKeyWaiting",
            g->audit && audit_first_key_waiting(g->audit), "auditLine",
            (json_int_t)(g->audit ? audit_head(g->audit, mac) : 0),
            "registryWritable", g->registry_error[0] == '\0', "clockBad",
            g->host.clock == HOST_CLOCK_UNSYNCHRONISED ||
                g->host.clock == HOST_CLOCK_BEFORE_BUILD,
            "connections",
            (json_int_t)varlink_server_connections(g->varlink) +
                (json_int_t)lacme_connections(g->lacme),
            "deniedNames", (json_int_t)g->denied.n, "noRule",
            (json_int_t)g->n_no_rule, "suspensions", admin_suspensions_json(g),
            "tokens", tokens_json(g), "decisions", decisions_json(&g->metrics),
            "signing", histogram_json(&g->metrics.signing)));
}

/* ---- accounts ---- */

static json_t *rotation_json(const struct account *a)
{
    const struct store_rotation *x;
    struct rotation_next next;

    if (!rotate_is_active(a))
        return json_null();
    x = &a->rotation->row;
    next = rotation_next(x);
    return json_pack(
        "{s:s,s:s,s:I,s:I,s:s}", "kind", rotation_kind_name(x->kind), "state",
        rotation_state_name(x->state), "started", (json_int_t)x->started_s,
        "since", (json_int_t)x->since_s, "actor", next.actor);
}

static int account_json(struct guardian *g, const struct account *a,
                        json_t **ret)
{
    const struct store_account *row = &a->row;
    struct store_record_sums sums = { 0 };
    int r;

    r = store_record_sums(g->store, row->acme.name, time(NULL), &sums);
    if (r)
        return r;
    *ret = json_pack(
        "{s:s,s:s,s:b,s:b,s:I,s:o,s:I,s:I,s:o,s:o}", "name", row->acme.name,
        "state", account_state(a), "staging", (int)record_is_staging(row),
        "suspended", (int)suspend_account(&g->suspend, row->acme.name),
        "keySince", (json_int_t)row->key_since_s, "rotate",
        row->schedule.rotate.set ? json_integer(row->schedule.rotate.s)
                                 : json_null(),
        "records", (json_int_t)sums.n, "recordsExpired",
        (json_int_t)sums.n_expired, "nextExpiry",
        sums.next_s ? json_integer(sums.next_s) : json_null(), "rotation",
        rotation_json(a));
    return *ret ? 0 : -ENOMEM;
}

ADMIN_METHOD(admin_on_metrics_accounts)
{
    struct guardian *g = userdata;
    struct admin_paging q = { .after = "" };
    const struct param params[] = { ADMIN_PAGING_PARAMS(&q) };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    admin_reply_accounts(g, call, &q, "accounts", NULL, account_json);
}
