/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-account.h"

#include <stdio.h>

#include "client-shim/ctl-print.h"

/* account directory and account issuers: what a CA says of itself, and what the
 * operator knows of it. */

static int print_changes(const struct ctl_context *c, const char *account,
                         json_t *changes)
{
    if (c->json) {
        ctl_print_json(
            json_pack("{s:s, s:O}", "account", account, "changes", changes));
        return CTL_EXIT_DONE;
    }
    if (json_array_size(changes) == 0)
        (void)puts("the directory is as it was");
    for (size_t i = 0; i < json_array_size(changes); i++)
        (void)printf("%s\n", json_string_value(json_array_get(changes, i)));
    return CTL_EXIT_DONE;
}

int ctl_directory_run(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *changes = NULL;
    int r;

    r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = ctl_conversation_directory(&v, &changes);
    return r ? r : print_changes(c, v.account, changes);
}

int ctl_issuers_run(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    json_t *issuers = json_array();
    bool none = ctl_args_has(c, "--none");
    int r;

    if ((c->n_operands > 1) == none) {
        json_decref(issuers);
        return ctl_fail(CTL_EXIT_USAGE,
                        "account issuers takes the names, or --none");
    }
    for (size_t i = 1; i < c->n_operands; i++)
        (void)json_array_append_new(issuers, json_string(c->operands[i]));
    r = ctl_once(
        c, CTL_SOCKET_ADMIN, "AccountSetIssuers",
        json_pack("{s:s, s:o}", "name", c->operands[0], "issuers", issuers),
        &answer);
    return r ? r : ctl_account_print(c, answer);
}

const struct ctl_option ctl_directory_options[] = {
    CTL_CA_OPTIONS,
    { 0 },
};

const struct ctl_option ctl_issuers_options[] = {
    { "--none", NULL, "forget those that were typed before", 0, false, false },
    { 0 },
};
