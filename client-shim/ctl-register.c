/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-conversation.h"
#include "client-shim/ctl-print.h"

/* account register and account deactivate (RFC 8555 sections 7.3, 7.3.6). */

/* Nobody agrees to terms by accident, and not to terms he was not shown. */
static int check_terms(const struct ctl_context *c,
                       const struct net_directory *d)
{
    if (!d->meta.terms[0] || ctl_args_has(c, "--agree-terms"))
        return CTL_EXIT_DONE;
    if (c->json)
        ctl_print_json(json_pack("{s:s}", "termsOfService", d->meta.terms));
    else
        (void)printf("terms of service: %s\n", d->meta.terms);
    return ctl_fail(CTL_EXIT_NO, "read the CA's terms of service, then agree "
                                 "to them with --agree-terms");
}

static json_t *register_parameters(const struct ctl_context *c,
                                   const char *account)
{
    json_t *contacts = json_array();

    for (size_t i = 0; i < ctl_args_count(c, "--contact"); i++)
        (void)json_array_append_new(
            contacts, json_string(ctl_args_nth(c, "--contact", i)));
    return json_pack("{s:s, s:o, s:b}", "name", account, "contacts", contacts,
                     "termsOfServiceAgreed",
                     (int)ctl_args_has(c, "--agree-terms"));
}

static int finish_register(struct ctl_conversation *v, json_t **ret)
{
    if (!v->ca.answer->location[0])
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: the CA's answer has no account URL (Location)",
                        v->account);
    return ctl_daemon_call(&v->daemon, "AccountRegistered",
                           json_pack("{s:s, s:s, s:s}", "name", v->account,
                                     "url", v->ca.answer->location, "status",
                                     v->ca.answer->account.status),
                           ret);
}

static int register_account(struct ctl_conversation *v, json_t **ret)
{
    const struct ctl_context *c = v->context;
    json_t *parameters;
    int r;

    r = ctl_conversation_directory(v);
    if (r)
        return r;
    if (v->ca.answer->directory.meta.needs_external_account)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: this CA wants an external account binding, which "
                        "account register cannot make",
                        v->account);
    r = check_terms(c, &v->ca.answer->directory);
    if (r)
        return r;
    parameters = register_parameters(c, v->account);
    r = ctl_conversation_post(v, NET_KIND_ACCOUNT, "AccountSignRegistration",
                              parameters);
    json_decref(parameters);
    return r ? r : finish_register(v, ret);
}

int ctl_register_run(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *answer = NULL;
    bool created;
    int r;

    r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = register_account(&v, &answer);
    if (r)
        return r;
    created = v.ca.answer->http_status == 201;
    (void)json_object_set_new(answer, "new", json_boolean(created));
    if (!c->json)
        (void)puts(created ? "registered"
                           : "was registered before; the CA says it is the "
                             "same account");
    return ctl_account_print(c, answer);
}

static int deactivate_account(struct ctl_conversation *v, json_t **ret)
{
    json_t *parameters;
    int r;

    if (!ctl_conversation_known(v))
        return ctl_fail(CTL_EXIT_NO,
                        "%s: never registered, so there is nothing to "
                        "deactivate at the CA",
                        v->account);
    parameters = json_pack("{s:s}", "name", v->account);
    r = ctl_conversation_post(v, NET_KIND_ACCOUNT, "AccountSignDeactivation",
                              parameters);
    json_decref(parameters);
    if (r)
        return r;
    if (strcmp(v->ca.answer->account.status, "deactivated") != 0)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: the CA answered, but calls the account %s",
                        v->account, v->ca.answer->account.status);
    return ctl_daemon_call(&v->daemon, "AccountDeactivated",
                           json_pack("{s:s}", "name", v->account), ret);
}

int ctl_register_run_deactivate(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = deactivate_account(&v, &answer);
    if (r)
        return r;
    if (!c->json)
        (void)puts("deactivated");
    return ctl_account_print(c, answer);
}

const struct ctl_option ctl_register_options[] = {
    { "--contact", "URL", "mailto:NAME@DOMAIN", 0, false, true },
    { "--agree-terms", NULL, "agree to the CA's terms of service", 0, false,
      false },
    CTL_CA_OPTIONS,
    { 0 },
};

const struct ctl_option ctl_deactivate_options[] = {
    { "--yes", NULL, "it cannot be undone", 0, true, false },
    CTL_CA_OPTIONS,
    { 0 },
};
