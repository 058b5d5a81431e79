/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

/* The daemon's own state: status, reload, suspend and resume. */

static int decimal(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text) &&
           strlen(text) <= 10;
}

/* "all", "account NAME", "client UID". */
static int scope_parameters(const struct ctl_context *c, json_t **ret)
{
    const char *scope = c->operands[0];
    const char *name = c->n_operands > 1 ? c->operands[1] : NULL;
    bool account = strcmp(scope, "account") == 0;
    bool client = strcmp(scope, "client") == 0;

    if (!account && !client && strcmp(scope, "all") != 0)
        return ctl_fail(CTL_EXIT_USAGE,
                        "%s takes all, account NAME or client UID, not %s",
                        c->command->name, scope);
    if ((account || client) && !name)
        return ctl_fail(CTL_EXIT_USAGE, "%s %s needs %s", c->command->name,
                        scope, account ? "a NAME" : "a UID");
    if (!account && !client && name)
        return ctl_fail(CTL_EXIT_USAGE, "%s all takes no name: %s",
                        c->command->name, name);
    if (client && !decimal(name))
        return ctl_fail(CTL_EXIT_USAGE, "a client is a numeric uid, not %s",
                        name);
    *ret = json_pack("{s:s, s:s*}", "scope", scope, "name", name);
    return 0;
}

static int change_scope(struct ctl_context *c, const char *method,
                        const char *done)
{
    json_t *parameters = NULL;
    int r;

    r = scope_parameters(c, &parameters);
    if (r)
        return r;
    r = ctl_once(c, CTL_SOCKET_ADMIN, method, parameters, NULL);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(json_object());
    else
        (void)printf("%s: %s%s%s\n", done, c->operands[0],
                     c->n_operands > 1 ? " " : "",
                     c->n_operands > 1 ? c->operands[1] : "");
    return CTL_EXIT_DONE;
}

static int run_suspend(struct ctl_context *c)
{
    return change_scope(c, "Suspend", "suspended");
}

static int run_resume(struct ctl_context *c)
{
    return change_scope(c, "Resume", "resumed");
}

static int run_reload(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *note;
    const json_t *word;
    size_t i;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "Reload", json_object(), &answer);
    if (r)
        return r;
    if (c->json) {
        ctl_print_json(json_incref(answer));
        return CTL_EXIT_DONE;
    }
    (void)printf("policy loaded: %lld rule sets, %lld names, %s\n",
                 ctl_integer(answer, "ruleSets"), ctl_integer(answer, "names"),
                 ctl_string(answer, "policyHash"));
    note = ctl_string(answer, "note");
    if (note && *note)
        (void)printf("note: %s\n", note);
    json_array_foreach(json_object_get(answer, "restartNeeded"), i, word)
    {
        (void)printf("in force only after a restart: %s\n",
                     json_string_value(word));
    }
    return CTL_EXIT_DONE;
}

static void status_number(struct ctl_table *t, const char *name,
                          const json_t *answer, const char *member)
{
    char number[32];

    (void)snprintf(number, sizeof(number), "%lld", ctl_integer(answer, member));
    ctl_table_pair(t, name, number);
}

static int status_pairs(const json_t *answer)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };

    ctl_table_pair(&t, "version", ctl_string(answer, "version"));
    ctl_table_pair(&t, "instance", ctl_string(answer, "instance"));
    ctl_table_pair(&t, "running since", ctl_string(answer, "since"));
    ctl_table_pair(&t, "ready", ctl_true(answer, "ready") ? "yes" : "no");
    ctl_table_pair(&t, "separation", ctl_string(answer, "separation"));
    ctl_table_pair(&t, "policy", ctl_string(answer, "policyHash"));
    ctl_table_pair(&t, "policy loaded", ctl_string(answer, "policyLoaded"));
    status_number(&t, "policy rule sets", answer, "policyRuleSets");
    status_number(&t, "policy names", answer, "policyNames");
    ctl_table_pair(&t, "audit log", ctl_string(answer, "auditState"));
    status_number(&t, "audit line", answer, "auditLine");
    status_number(&t, "connections", answer, "connections");
    status_number(&t, "accounts", answer, "accounts");
    return ctl_table_print(&t);
}

static void suspension_row(struct ctl_table *t, const json_t *s)
{
    CTL_TABLE_ROW(t, ctl_string(s, "scope"), ctl_string(s, "name"),
                  ctl_string(s, "since"), ctl_string(s, "by"));
}

static int status_suspensions(const json_t *list)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 4 };

    if (json_array_size(list) == 0)
        return CTL_EXIT_DONE;
    (void)putchar('\n');
    CTL_TABLE_ROW(&t, "SUSPENDED", "NAME", "SINCE", "BY");
    for (size_t i = 0; i < json_array_size(list); i++)
        suspension_row(&t, json_array_get(list, i));
    return ctl_table_print(&t);
}

/* "warning ..." and "note ...". */
static int status_words(const char *what, const json_t *list)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };

    if (json_array_size(list) == 0)
        return CTL_EXIT_DONE;
    (void)putchar('\n');
    for (size_t i = 0; i < json_array_size(list); i++)
        ctl_table_pair(&t, what, json_string_value(json_array_get(list, i)));
    return ctl_table_print(&t);
}

static int status_print(const json_t *answer)
{
    const json_t *tokens = json_object_get(answer, "tokens");
    int r;

    r = status_pairs(answer);
    if (r == 0 && json_array_size(tokens) > 0) {
        (void)putchar('\n');
        r = ctl_token_print_list(tokens);
    }
    if (r == 0)
        r = status_suspensions(json_object_get(answer, "suspensions"));
    if (r == 0)
        r = status_words("warning", json_object_get(answer, "warnings"));
    if (r == 0)
        r = status_words("note", json_object_get(answer, "notes"));
    return r;
}

/* What needs somebody to act: exit 1, so that a monitor need not parse. */
static bool status_good(const json_t *answer)
{
    return ctl_true(answer, "ready") &&
           json_array_size(json_object_get(answer, "warnings")) == 0 &&
           ctl_token_all_ok(json_object_get(answer, "tokens"));
}

static int run_status(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "Status", json_object(), &answer);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(json_incref(answer));
    else
        r = status_print(answer);
    return r ? r : status_good(answer) ? CTL_EXIT_DONE : CTL_EXIT_NO;
}

const struct ctl_command ctl_state_commands[] = {
    { "status", NULL, 0, 0, NULL, "is everything well? exit 1 if it is not",
      run_status },
    { "reload", NULL, 0, 0, NULL, "read the policy again, all or nothing",
      run_reload },
    { "suspend", "all|account NAME|client UID", 1, 2, NULL,
      "sign nothing more, at once and across restarts", run_suspend },
    { "resume", "all|account NAME|client UID", 1, 2, NULL, "undo suspend",
      run_resume },
    { 0 },
};
