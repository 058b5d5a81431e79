/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-move.h"

#include <errno.h>
#include <string.h>

#include "client-shim/ctl-account.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-rotate.h"

/*
 * For CAs without key change, and for accounts that were lost: a rotation whose
 * new key registers an account of its own. Run again, it goes on.
 */

static bool is_text(const json_t *object, const char *member, const char *text)
{
    const char *s = ctl_string(object, member);

    return s && strcmp(s, text) == 0;
}

static int look(struct ctl_conversation *v, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r = ctl_daemon_call(&v->daemon, "RotationStatus",
                            json_pack("{s:s}", "account", v->account), &answer);

    if (r == 0)
        *ret = json_incref(
            json_array_get(json_object_get(answer, "rotations"), 0));
    return r;
}

/* A binding is of the new key, which is there only now. */
static int add_binding(struct ctl_conversation *v,
                       const struct ctl_registration *g, json_t *p)
{
    CLEANUP_CTL_JSON json_t *rotation = NULL;
    json_t *binding = NULL;
    struct jwk key;
    int r;

    if (!g->eab_kid)
        return CTL_EXIT_DONE;
    r = look(v, &rotation);
    if (r)
        return r;
    if (jwk_read(json_object_get(rotation, "newKey"), &key, NULL))
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: the daemon shows no new key",
                        v->account);
    r = ctl_eab_make_for(
        v, &key, g,
        ctl_string(json_object_get(v->shown, "endpoints"), "newAccount"),
        &binding);
    if (r == 0)
        (void)json_object_set_new(p, "externalAccountBinding", binding);
    return r;
}

int ctl_move_parameters(struct ctl_conversation *v, json_t *p)
{
    const struct ctl_registration *g = v->registration;
    json_t *contacts;

    if (!g)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: a new account is to be registered: account move "
                        "goes on",
                        v->account);
    contacts = json_array_size(g->contacts) > 0
                   ? g->contacts
                   : json_object_get(ctl_conversation_facts(v), "contacts");
    (void)json_object_set(p, "contacts", contacts);
    (void)json_object_set_new(p, "termsOfServiceAgreed",
                              json_boolean(g->agree_terms));
    return add_binding(v, g, p);
}

bool ctl_move_refused(const struct ctl_conversation *v, const char *ask,
                      const json_t *rotation)
{
    static const char *const all[][2] = {
        { "register", "registration-refused" },
        { "try-new-key", "account-not-ours" },
        { "deactivate-old", "deactivation-refused" },
    };

    if (v->ca.answer->result != NET_RESULT_OK || net_answer_good(v->ca.answer))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(all[i][0], ask) == 0 &&
            is_text(rotation, "reason", all[i][1]))
            return true;
    }
    return false;
}

/* ---- the command ---- */

static int check_binding(const struct ctl_conversation *v,
                         const struct ctl_registration *g)
{
    if (g->eab_kid || !v->directory->meta.needs_external_account)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "%s: this CA wants an external account binding: get a key "
                    "identifier and an HMAC key from it, and give them with "
                    "--eab-kid and --eab-key",
                    v->account);
}

static int start(struct ctl_conversation *v)
{
    CLEANUP_CTL_JSON json_t *parameters = json_object();
    int r = ctl_rotate_parameters(v->context, parameters);

    (void)json_object_set_new(parameters, "kind", json_string("move"));
    return r ? r
             : ctl_daemon_call(&v->daemon, "RotationStart",
                               json_incref(parameters), NULL);
}

/* Before the switch; after it rotate resume would do as well. */
static bool is_under_way(const json_t *rotation)
{
    return is_text(rotation, "kind", "move") && !ctl_true(rotation, "over");
}

static bool is_registered(const json_t *rotation)
{
    return ctl_string(rotation, "newUrl") != NULL;
}

static int prepare(struct ctl_conversation *v, const struct ctl_registration *g)
{
    CLEANUP_CTL_JSON json_t *rotation = NULL;
    int r = ctl_conversation_directory(v, NULL);

    if (r == 0)
        r = look(v, &rotation);
    if (r || (is_under_way(rotation) && is_registered(rotation)))
        return r;
    r = ctl_register_check_terms(v->context, v->directory, g->agree_terms);
    if (r == 0)
        r = check_binding(v, g);
    if (r == 0 && !is_under_way(rotation))
        r = start(v);
    /* The endpoints are known now. */
    return r ? r : ctl_conversation_select(v, v->account);
}

int ctl_move_run(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *contacts = json_array();
    struct ctl_registration g = { .contacts = contacts };
    int r;

    r = ctl_register_options_read(c, &g);
    if (r == 0)
        r = ctl_conversation_open(c, c->operands[0], &v);
    if (r)
        return r;
    v.registration = &g;
    r = prepare(&v, &g);
    return r ? r : ctl_rotate_resume(&v);
}

const struct ctl_option ctl_move_options[] = {
    CTL_ROTATE_OPTIONS,
    CTL_REGISTRATION_OPTIONS,
    CTL_CA_OPTIONS,
    { 0 },
};
