/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-conversation.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

void ctl_conversation_deinit(struct ctl_conversation *v)
{
    ctl_daemon_deinit(&v->daemon);
    ctl_ca_deinit(&v->ca);
    json_decref(v->shown);
    v->shown = NULL;
    free(v->directory);
    v->directory = NULL;
}

const json_t *ctl_conversation_facts(const struct ctl_conversation *v)
{
    return json_object_get(v->shown, "account");
}

static const char *directory_of(const struct ctl_conversation *v)
{
    return ctl_string(ctl_conversation_facts(v), "directory");
}

int ctl_conversation_select(struct ctl_conversation *v, const char *account)
{
    json_t *before = v->shown;
    const char *old = directory_of(v);
    int r;

    v->account = account;
    v->shown = NULL;
    r = ctl_daemon_call(&v->daemon, "AccountShow",
                        json_pack("{s:s}", "name", account), &v->shown);
    if (r == 0 &&
        (!old || !directory_of(v) || strcmp(old, directory_of(v)) != 0)) {
        v->ca.nonce[0] = '\0';
        v->ca.new_nonce[0] = '\0';
        free(v->directory);
        v->directory = NULL;
    }
    v->ca.allow_http = ctl_true(ctl_conversation_facts(v), "allowHttpLoopback");
    json_decref(before);
    return r;
}

int ctl_conversation_open(const struct ctl_context *c, const char *account,
                          struct ctl_conversation *ret)
{
    int r;

    *ret = (struct ctl_conversation){ .context = c };
    r = ctl_ca_open_for(c, account, false, &ret->ca);
    if (r == 0)
        r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &ret->daemon);
    return r ? r : ctl_conversation_select(ret, account);
}

static const char *filled(const char *text)
{
    return *text ? text : NULL;
}

static json_t *endpoints_json(const struct net_directory *d)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "newNonce", d->new_nonce,
        "newAccount", d->new_account, "newOrder", d->new_order, "newAuthz",
        filled(d->new_authz), "revokeCert", filled(d->revoke_cert), "keyChange",
        filled(d->key_change), "renewalInfo", filled(d->renewal_info));
}

static json_t *names_json(const struct net_names *l)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < l->n; i++)
        (void)json_array_append_new(list, json_string(l->name[i]));
    return list;
}

static json_t *meta_json(const struct net_meta *m)
{
    return json_pack(
        "{s:s*, s:b, s:s*, s:o, s:o, s:o}", "termsOfService", filled(m->terms),
        "externalAccountRequired", (int)m->needs_external_account,
        "accountHashPrefix", filled(m->account_hash_prefix),
        "issuerDomainNames", names_json(&m->issuers), "caaIdentities",
        names_json(&m->caa_identities), "profiles", names_json(&m->profiles));
}

static int fetch_directory(struct ctl_conversation *v)
{
    const char *url = directory_of(v);
    int r;

    if (v->directory)
        return CTL_EXIT_DONE;
    if (!url)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the daemon names no directory", v->account);
    r = ctl_ca_get(&v->ca, NET_KIND_DIRECTORY, url);
    if (r)
        return r;
    v->directory = malloc(sizeof(*v->directory));
    if (!v->directory)
        return ctl_fail_errno(-ENOMEM, url);
    *v->directory = v->ca.answer->directory;
    return CTL_EXIT_DONE;
}

int ctl_conversation_directory(struct ctl_conversation *v, json_t **ret_changes)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = fetch_directory(v);
    if (r)
        return r;
    assert(v->directory);
    r = ctl_daemon_call(&v->daemon, "AccountSetDirectory",
                        json_pack("{s:s, s:o, s:o}", "name", v->account,
                                  "endpoints", endpoints_json(v->directory),
                                  "meta", meta_json(&v->directory->meta)),
                        &answer);
    if (r)
        return r;
    (void)snprintf(v->ca.new_nonce, sizeof(v->ca.new_nonce), "%s",
                   v->directory->new_nonce);
    if (ret_changes)
        *ret_changes = json_incref(json_object_get(answer, "changes"));
    return CTL_EXIT_DONE;
}

bool ctl_conversation_known(struct ctl_conversation *v)
{
    const char *url =
        ctl_string(json_object_get(v->shown, "endpoints"), "newNonce");

    if (!url || strlen(url) > ACME_URL_MAX)
        return false;
    (void)snprintf(v->ca.new_nonce, sizeof(v->ca.new_nonce), "%s", url);
    return true;
}

struct signing {
    struct ctl_conversation *v;
    const char *method;
    json_t *parameters;
};

static int sign(const char *nonce, void *userdata, json_t **ret)
{
    const struct signing *s = userdata;
    json_t *all = json_copy(s->parameters);

    if (json_object_set_new(all, "nonce", json_string(nonce)) < 0) {
        json_decref(all);
        return ctl_fail_errno(-ENOMEM, s->method);
    }
    return ctl_daemon_call(&s->v->daemon, s->method, all, ret);
}

int ctl_conversation_try_post(struct ctl_conversation *v, enum net_kind kind,
                              const char *method, json_t *parameters)
{
    struct signing s = { v, method, parameters };
    const struct ctl_ca_post post = { .kind = kind,
                                      .sign = sign,
                                      .userdata = &s };

    return ctl_ca_try_post(&v->ca, &post);
}

int ctl_conversation_post(struct ctl_conversation *v, enum net_kind kind,
                          const char *method, json_t *parameters)
{
    int r = ctl_conversation_try_post(v, kind, method, parameters);

    return r || net_answer_good(v->ca.answer) ? r : ctl_ca_report(&v->ca);
}
