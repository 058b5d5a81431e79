/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "daemon/admin-call.h"
#include "daemon/message-ids.h"
#include "daemon/params.h"
#include "daemon/registry.h"
#include "daemon/reload.h"

/* Reload, Suspend, Resume. */

static const char reload_note[] =
    "Signatures already given stay valid until their nonces are spent.";

static json_t *restart_needed(const struct guardian *g)
{
    json_t *list = json_array();

    for (char *const *word = g->restart_needed; word && *word; word++)
        (void)json_array_append_new(list, json_string(*word));
    return list;
}

ADMIN_METHOD(admin_on_reload)
{
    struct guardian *g = userdata;
    struct errmsg e = { 0 };
    uint8_t hash[32];
    char hex[65];

    if (!params_take(call, parameters, NULL, 0) ||
        !admin_begin(g, call, &(struct admin_subject){ 0 }))
        return;
    if (reload_policy(g, &e)) {
        admin_error(call, "ConfigurationInvalid",
                    json_pack("{s:s,s:i,s:s}", "file", e.file, "line",
                              (int)e.line, "text", e.text));
        return;
    }
    policy_set_hash(g->policy, hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    varlink_reply_json(
        call, json_pack("{s:s,s:I,s:I,s:s,s:o}", "policyHash", hex, "ruleSets",
                        (json_int_t)policy_set_n_rulesets(g->policy), "names",
                        (json_int_t)policy_set_n_names(g->policy), "note",
                        reload_note, "restartNeeded", restart_needed(g)));
}

struct scope {
    const char *scope, *name;
};

static bool take_scope(struct guardian *g, struct varlink_call *call,
                       const json_t *parameters, struct scope *ret)
{
    const struct param params[] = {
        { "scope", PARAM_STRING, false, { .string = &ret->scope } },
        { "name", PARAM_STRING, true, { .string = &ret->name } },
    };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return false;
    if (!suspend_scope_ok(ret->scope, ret->name)) {
        admin_error_value(call, "scope",
                          "takes all, account with its name, or client with "
                          "its uid");
        return false;
    }
    if (strcmp(ret->scope, "account") == 0 &&
        !accounts_find(&g->accounts, ret->name)) {
        admin_error_no_account(call, ret->name);
        return false;
    }
    return true;
}

/* The registry has it; now the same in memory. */
static int scope_changed(struct guardian *g, const struct varlink_call *call,
                         const struct scope *s, const char *what)
{
    int r;

    r = suspend_load(&g->suspend, g->store);
    for (size_t i = 0; r == 0 && i < g->accounts.n; i++) {
        struct store_account *row = &g->accounts.items[i]->row;

        row->suspended = suspend_account(&g->suspend, row->acme.name);
    }
    log_event(LOG_WARNING, MSG_SUSPENDED,
              (struct log_field[]){ { "GUARDIAN_DETAIL", s->scope },
                                    { "GUARDIAN_ACCOUNT", s->name } },
              2, "%s by uid %u: %s%s%s", what, varlink_call_peer(call)->uid,
              s->scope, s->name ? " " : "", s->name ? s->name : "");
    return r;
}

static void format_scope(const struct scope *s, char *text, size_t len)
{
    (void)snprintf(text, len, "%s%s%s", s->scope, s->name ? " " : "",
                   s->name ? s->name : "");
}

#define SUSPENDED_UNSAVED "Suspended (only until a restart)"

/* *ret_why: 0, or why the registry does not have it. */
static int suspend_now(struct guardian *g, const struct store_suspension *x,
                       int *ret_why)
{
    *ret_why = registry_note(g, store_suspend(g->store, x));
    return registry_cannot(*ret_why) ? store_suspend_unsaved(g->store, x)
                                     : *ret_why;
}

static void error_unsaved(struct varlink_call *call, int r)
{
    char text[160];

    (void)snprintf(text, sizeof(text),
                   "it is suspended, but a restart forgets that: the registry "
                   "cannot be written: %s",
                   strerror(-r));
    admin_error(call, "RegistryUnavailable", json_pack("{s:s}", "text", text));
}

ADMIN_METHOD(admin_on_suspend)
{
    struct guardian *g = userdata;
    struct scope s = { .scope = "" };
    char detail[128], by[ADMIN_BY_MAX];
    int why = 0;
    int r;

    if (!take_scope(g, call, parameters, &s))
        return;
    format_scope(&s, detail, sizeof(detail));
    /* It only takes away: neither an audit log that is full must prevent it nor
     * a registry that cannot be written. */
    admin_note(g, call, &(struct admin_subject){ .detail = detail });
    admin_by(varlink_call_peer(call)->uid, by);
    r = suspend_now(g,
                    &(struct store_suspension){ /* Only read. */
                                                .scope = params_borrow(s.scope),
                                                .name = params_borrow(s.name),
                                                .since_s = time(NULL),
                                                .by = by },
                    &why);
    if (r == 0)
        r = scope_changed(g, call, &s, why ? SUSPENDED_UNSAVED : "Suspended");
    if (r)
        registry_error(call, r);
    else if (why)
        error_unsaved(call, why);
    else
        varlink_reply(call, (struct bytes){ 0 });
}

ADMIN_METHOD(admin_on_resume)
{
    struct guardian *g = userdata;
    struct scope s = { .scope = "" };
    char detail[128];
    int r;

    if (!take_scope(g, call, parameters, &s))
        return;
    format_scope(&s, detail, sizeof(detail));
    if (!admin_begin(g, call, &(struct admin_subject){ .detail = detail }))
        return;
    r = registry_note(g, store_resume(g->store, s.scope, s.name));
    if (r == STORE_E_MISSING) {
        admin_error_state(call, "active", "it was not suspended");
        return;
    }
    if (r == 0)
        r = scope_changed(g, call, &s, "Resumed");
    if (r)
        registry_error(call, r);
    else
        varlink_reply(call, (struct bytes){ 0 });
}
