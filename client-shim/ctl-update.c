/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-account.h"

#include <errno.h>
#include <stdio.h>

#include "client-shim/ctl-print.h"

/* account update (RFC 8555 sections 7.3.2, 7.3.3). */

/* What the CA says it has now; it may have refused some without an error. */
static json_t *contacts_json(const struct net_account *a)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < a->n_contacts; i++)
        (void)json_array_append_new(list, json_string(a->contact[i]));
    return list;
}

int ctl_update_account(struct ctl_conversation *v, json_t *contacts,
                       bool agree_terms, json_t **ret)
{
    const struct net_answer *a = v->ca.answer;
    json_t *parameters;
    int r;

    parameters =
        json_pack("{s:s, s:O*, s:o*}", "name", v->account, "contacts", contacts,
                  "termsOfServiceAgreed", agree_terms ? json_true() : NULL);
    if (!parameters)
        return ctl_fail_errno(-ENOMEM, v->account);
    r = ctl_conversation_post(v, NET_KIND_ACCOUNT, "AccountSignUpdate",
                              parameters);
    json_decref(parameters);
    if (r)
        return r;
    return ctl_daemon_call(
        &v->daemon, "AccountUpdated",
        json_pack("{s:s, s:s, s:o*}", "name", v->account, "status",
                  a->account.status, "contacts",
                  contacts ? contacts_json(&a->account) : NULL),
        ret);
}

static int read_contacts(const struct ctl_context *c, json_t **ret)
{
    size_t n = ctl_args_count(c, "--contact");
    bool none = ctl_args_has(c, "--no-contacts");

    if (n > 0 && none)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--contact and --no-contacts exclude each other");
    if (n == 0 && !none && !ctl_args_has(c, "--agree-terms"))
        return ctl_fail(CTL_EXIT_USAGE, "account update needs --contact, "
                                        "--no-contacts or --agree-terms");
    if (n == 0 && !none)
        return CTL_EXIT_DONE;
    *ret = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(
            *ret, json_string(ctl_args_nth(c, "--contact", i)));
    return *ret ? CTL_EXIT_DONE : ctl_fail_errno(-ENOMEM, "arguments");
}

int ctl_update_run(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *contacts = NULL;
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = read_contacts(c, &contacts);
    if (r == 0)
        r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = ctl_conversation_directory(&v, NULL);
    if (r == 0)
        r = ctl_update_account(&v, contacts, ctl_args_has(c, "--agree-terms"),
                               &answer);
    if (r)
        return r;
    if (!c->json)
        (void)puts("updated");
    return ctl_account_print(c, answer);
}

const struct ctl_option ctl_update_options[] = {
    { "--contact", "URL", "mailto:NAME@DOMAIN, in place of those there are", 0,
      false, true },
    { "--no-contacts", NULL, "none any more", 0, false, false },
    { "--agree-terms", NULL, "agree to the CA's terms of service of today", 0,
      false, false },
    CTL_CA_OPTIONS,
    { 0 },
};
