/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/credential.h"
#include "client-shim/ctl-print.h"

/* account register and account deactivate (RFC 8555 sections 7.3, 7.3.6). */

const char *ctl_register_terms(const struct net_directory *d, bool agree)
{
    return d->meta.terms[0] && !agree ? d->meta.terms : NULL;
}

/* Nobody agrees to terms by accident, and not to terms he was not shown. */
static int check_terms(const struct ctl_context *c, const char *terms)
{
    if (!terms)
        return CTL_EXIT_DONE;
    if (c->json)
        ctl_print_json(json_pack("{s:s}", "termsOfService", terms));
    else
        (void)printf("terms of service: %s\n", terms);
    return ctl_fail(CTL_EXIT_NO, "read the CA's terms of service, then agree "
                                 "to them with --agree-terms");
}

/* An account that has a binding keeps it: the key was for one use. */
static int make_binding(const struct ctl_conversation *v,
                        const struct ctl_registration *g,
                        const struct net_directory *d, json_t **ret)
{
    const char *bound =
        ctl_string(ctl_conversation_facts(v), "externalAccount");

    if (bound || (!g->eab_kid && !d->meta.needs_external_account))
        return CTL_EXIT_DONE;
    if (!g->eab_kid)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: this CA wants an external account binding: get a "
                        "key identifier and an HMAC key from it, and give them "
                        "with --eab-kid and --eab-key (EabKid= and EabKey=)",
                        v->account);
    return ctl_eab_make(v, g, d->new_account, ret);
}

static int sign_and_send(struct ctl_conversation *v,
                         const struct ctl_registration *g, json_t *binding)
{
    json_t *parameters;
    int r;

    parameters =
        json_pack("{s:s, s:O, s:b, s:O*}", "name", v->account, "contacts",
                  g->contacts, "termsOfServiceAgreed", (int)g->agree_terms,
                  "externalAccountBinding", binding);
    if (!parameters)
        return ctl_fail_errno(-ENOMEM, v->account);
    r = ctl_conversation_post(v, NET_KIND_ACCOUNT, "AccountSignRegistration",
                              parameters);
    json_decref(parameters);
    return r;
}

int ctl_register_account(struct ctl_conversation *v,
                         const struct ctl_registration *g, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *binding = NULL;
    const struct net_answer *a = v->ca.answer;
    bool created;
    int r;

    r = make_binding(v, g, v->directory, &binding);
    if (r == 0)
        r = sign_and_send(v, g, binding);
    if (r)
        return r;
    created = a->http_status == 201;
    if (!a->location[0])
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: the CA's answer has no account URL (Location)",
                        v->account);
    r = ctl_daemon_call(&v->daemon, "AccountRegistered",
                        json_pack("{s:s, s:s, s:s}", "name", v->account, "url",
                                  a->location, "status", a->account.status),
                        ret);
    if (r == 0)
        (void)json_object_set_new(*ret, "new", json_boolean(created));
    return r;
}

int ctl_register_options_read(const struct ctl_context *c,
                              struct ctl_registration *g)
{
    g->agree_terms = ctl_args_has(c, "--agree-terms");
    g->eab_kid = ctl_args_value(c, "--eab-kid");
    g->eab_key = ctl_args_value(c, "--eab-key");
    if (!g->eab_kid != !g->eab_key)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--eab-kid and --eab-key need each other");
    if (g->eab_key && !credential_source_ok(g->eab_key))
        return ctl_fail(CTL_EXIT_USAGE,
                        "--eab-key takes credential:NAME or file:/PATH, never "
                        "the key itself");
    for (size_t i = 0; i < ctl_args_count(c, "--contact"); i++)
        (void)json_array_append_new(
            g->contacts, json_string(ctl_args_nth(c, "--contact", i)));
    return CTL_EXIT_DONE;
}

int ctl_register_check_terms(const struct ctl_context *c,
                             const struct net_directory *d, bool agree)
{
    return check_terms(c, ctl_register_terms(d, agree));
}

static int register_named(struct ctl_conversation *v,
                          const struct ctl_registration *g, json_t **ret)
{
    int r;

    r = ctl_conversation_directory(v, NULL);
    if (r == 0)
        r = ctl_register_check_terms(v->context, v->directory, g->agree_terms);
    return r ? r : ctl_register_account(v, g, ret);
}

int ctl_register_run(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *contacts = json_array();
    CLEANUP_CTL_JSON json_t *answer = NULL;
    struct ctl_registration g = { .contacts = contacts };
    int r;

    r = ctl_register_options_read(c, &g);
    if (r == 0)
        r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = register_named(&v, &g, &answer);
    if (r)
        return r;
    if (!c->json)
        (void)puts(ctl_true(answer, "new")
                       ? "registered"
                       : "was registered before; the CA says it is the same "
                         "account");
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
    CTL_REGISTRATION_OPTIONS,
    CTL_CA_OPTIONS,
    { 0 },
};

const struct ctl_option ctl_deactivate_options[] = {
    { "--yes", NULL, "it cannot be undone", 0, true, false },
    CTL_CA_OPTIONS,
    { 0 },
};
