/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "acme/json-strict.h"
#include "daemon/admin-call.h"
#include "daemon/lacme.h"
#include "daemon/params.h"
#include "daemon/record-rules.h"
#include "daemon/rotate.h"

/* Status: everything that an operator should see, from memory. */

static void warn(json_t *list, const char *fmt, ...) PRINTF(2, 3);

static void warn(json_t *list, const char *fmt, ...)
{
    char text[1280];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)json_array_append_new(list, json_string(text));
}

struct policy_warnings {
    const struct guardian *guardian;
    json_t *warnings;
};

static int warn_unknown_account(const char *account, const char *file,
                                unsigned line, void *userdata)
{
    const struct policy_warnings *w = userdata;

    if (!accounts_find(&w->guardian->accounts, account))
        warn(w->warnings, "%s:%u: there is no account %s", file, line, account);
    return 0;
}

static void warn_error(json_t *warnings, const char *what,
                       const struct errmsg *e)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (e->text[0])
        warn(warnings, "%s: %s", what,
             errmsg_format(e, &text) ? e->text : buf_str(&text));
}

static void warn_account(json_t *warnings, const struct account *a)
{
    CLEANUP_JSON json_t *unproven = admin_unproven_json(a->row.key_attrs);
    const char *name = a->row.acme.name;

    if (account_why_unresolved(a))
        warn(warnings, "account %s signs nothing: %s", name,
             account_why_unresolved(a));
    if (rotate_gate(a) == ROTATE_CLOSED)
        warn(warnings, "account %s signs nothing, its rotation is %s: %s", name,
             rotate_word(a), rotation_next(&a->rotation->row).text);
    if (!a->token)
        warn(warnings, "account %s: there is no [Token %s]", name,
             a->row.token);
    if (json_array_size(unproven) > 0) {
        CLEANUP_FREE char *list = json_dumps(unproven, JSON_COMPACT);

        warn(warnings, "account %s: its token does not prove of its key: %s",
             name, list ? list : "");
    }
}

static void warn_lacmes(json_t *warnings, const struct guardian *g)
{
    const struct settings *s = g->settings;

    for (size_t i = 0; i < s->n_lacmes; i++) {
        if (!accounts_find(&g->accounts, s->lacmes[i].account))
            warn(warnings, "[Lacme %s]: there is no account %s",
                 s->lacmes[i].name, s->lacmes[i].account);
    }
}

static json_t *collect_warnings(const struct guardian *g)
{
    json_t *warnings = json_array();
    struct policy_warnings w = { g, warnings };

    warn_error(warnings, "policy not loaded, the one before is in force",
               &g->policy_error);
    warn_error(warnings, "nothing is signed, the audit log cannot be used",
               &g->audit_error);
    if (g->audit && audit_state(g->audit))
        warn(warnings, "nothing is signed, the audit log cannot be written: %s",
             strerror(audit_state(g->audit)));
    if (g->audit && audit_reserve_state(g->audit))
        warn(warnings, "no space could be set aside for the audit log: %s",
             strerror(audit_reserve_state(g->audit)));
    if (g->registry_error[0])
        warn(warnings,
             "the registry cannot be written, changes are refused: %s",
             g->registry_error);
    if (g->audit && audit_first_key_waiting(g->audit))
        warn(warnings, "the audit log's first key lies on this host: take it "
                       "with guardianctl audit take-key and keep it elsewhere");
    for (size_t i = 0; i < g->n_tokens; i++) {
        if (strcmp(token_state(g->tokens[i]), "ok") != 0)
            warn(warnings, "token %s: %s: %s",
                 token_settings(g->tokens[i])->name, token_state(g->tokens[i]),
                 token_state_text(g->tokens[i]));
    }
    for (size_t i = 0; i < g->accounts.n; i++)
        warn_account(warnings, g->accounts.items[i]);
    if (policy_accounts(g->policy, warn_unknown_account, &w))
        warn(warnings, "not all accounts that the policy names were looked up");
    warn_lacmes(warnings, g);
    if (g->host.clock == HOST_CLOCK_BEFORE_BUILD)
        warn(warnings, "%s", host_clock_text(g->host.clock));
    for (size_t i = 0; g->host.directories && g->host.directories[i]; i++)
        warn(warnings, "%s", g->host.directories[i]);
    return warnings;
}

/* What is as it was meant, but should not be forgotten. */
static json_t *collect_notes(const struct guardian *g)
{
    json_t *notes = json_array();

    for (size_t i = 0; i < g->accounts.n; i++) {
        const struct account *a = g->accounts.items[i];
        const struct store_account *row = &a->row;

        if (rotate_is_active(a))
            warn(notes, "account %s: a rotation of its key is %s: %s",
                 row->acme.name, rotation_state_name(a->rotation->row.state),
                 rotation_next(&a->rotation->row).text);
        if (row->key_attrs & TOKEN_ATTR_SOFTWARE)
            warn(notes,
                 "account %s: its key is encrypted software, not in an HSM",
                 row->acme.name);
        if (record_is_staging(row))
            warn(notes, "account %s is at a CA for tests (staging)",
                 row->acme.name);
    }
    if (g->denied.n > 0)
        warn(notes, "%zu names are denied by operators: %s%s", g->denied.n,
             g->denied.items[0].name, g->denied.n > 1 ? ", ..." : "");
    /* Not for ever a warning, where the hypervisor keeps the clock right. */
    if (g->host.clock == HOST_CLOCK_UNSYNCHRONISED)
        warn(notes, "%s", host_clock_text(g->host.clock));
    if (g->n_no_rule > 0)
        warn(notes, "%llu requests came from callers that no rule matches",
             (unsigned long long)g->n_no_rule);
    return notes;
}

json_t *admin_suspensions_json(const struct guardian *g)
{
    json_t *list = json_array();

    for (size_t i = 0; i < g->suspend.n; i++) {
        const struct store_suspension *s = &g->suspend.items[i];

        (void)json_array_append_new(
            list, json_pack("{s:s,s:s?,s:o,s:s}", "scope", s->scope, "name",
                            s->name, "since", admin_time(s->since_s), "by",
                            s->by ? s->by : ""));
    }
    return list;
}

static json_t *collect_tokens(const struct guardian *g, bool *ret_separated)
{
    json_t *list = json_array();

    for (size_t i = 0; i < g->n_tokens; i++) {
        const struct token *t = g->tokens[i];

        if (token_spawned(t) || token_status(t)->unseparated)
            *ret_separated = false;
        (void)json_array_append_new(list, admin_token_json(t));
    }
    return list;
}

static const char *audit_state_text(const struct guardian *g)
{
    if (!g->audit)
        return g->audit_error.text;
    return audit_state(g->audit) ? strerror(audit_state(g->audit)) : "ok";
}

bool admin_is_ready(const struct guardian *g)
{
    for (size_t i = 0; i < g->n_tokens; i++) {
        if (strcmp(token_state(g->tokens[i]), "ok") != 0)
            return false;
    }
    return !g->policy_error.text[0] && g->audit && audit_state(g->audit) == 0;
}

ADMIN_METHOD(admin_on_status)
{
    struct guardian *g = userdata;
    bool separated = true;
    json_t *tokens;
    uint8_t hash[32], mac[32];
    char hex[65];

    if (!params_take(call, parameters, NULL, 0))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    tokens = collect_tokens(g, &separated);
    policy_set_hash(g->policy, hash);
    sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    varlink_reply_json(
        call,
        json_pack(
            "{s:s,s:s,s:o,s:s,s:b,s:s,s:I,s:I,s:o,s:s,s:I,s:I,s:I,s:o,s:o,s:I,"
            "s:o,s:o}",
            "version", GUARDIAN_VERSION, "instance", store_instance(g->store),
            "since", admin_time(g->since_s), "separation",
            separated ? "separated" : "unseparated", "ready",
            (int)admin_is_ready(g), "policyHash", hex, "policyRuleSets",
            (json_int_t)policy_set_n_rulesets(g->policy), "policyNames",
            (json_int_t)policy_set_n_names(g->policy), "policyLoaded",
            g->policy_loaded_s ? admin_time(g->policy_loaded_s)
                               : json_string(""),
            "auditState", audit_state_text(g), "auditLine",
            (json_int_t)(g->audit ? audit_head(g->audit, mac) : 0),
            "connections",
            (json_int_t)varlink_server_connections(g->varlink) +
                (json_int_t)lacme_connections(g->lacme),
            "accounts", (json_int_t)g->accounts.n, "tokens", tokens,
            "suspensions", admin_suspensions_json(g), "deniedNames",
            (json_int_t)g->denied.n, "warnings", collect_warnings(g), "notes",
            collect_notes(g)));
}
