/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-conversation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-print.h"

void ctl_conversation_deinit(struct ctl_conversation *v)
{
    ctl_daemon_deinit(&v->daemon);
    ctl_ca_deinit(&v->ca);
    json_decref(v->shown);
    v->shown = NULL;
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
    r = ctl_ca_open(c, &ret->ca);
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

int ctl_conversation_directory(struct ctl_conversation *v)
{
    const char *url = directory_of(v);
    int r;

    if (!url)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the daemon names no directory", v->account);
    r = ctl_ca_get(&v->ca, NET_KIND_DIRECTORY, url);
    if (r)
        return r;
    (void)snprintf(v->ca.new_nonce, sizeof(v->ca.new_nonce), "%s",
                   v->ca.answer->directory.new_nonce);
    return ctl_daemon_call(&v->daemon, "AccountSetDirectory",
                           json_pack("{s:s, s:o}", "name", v->account,
                                     "endpoints",
                                     endpoints_json(&v->ca.answer->directory)),
                           NULL);
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
