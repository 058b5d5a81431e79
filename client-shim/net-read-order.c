/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-read.h"

#include <string.h>

/* Orders, authorizations and challenges (RFC 8555 sections 7.1.3, 7.1.4, 8;
 * the challenge of dns-persist-01 as its drafts have it). */

#define PERSIST "dns-persist-01"

static bool read_authorizations(const struct net_object *o,
                                struct net_order *to)
{
    const json_t *list = json_object_get(o->json, "authorizations");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n == 0 || n > NET_AUTHORIZATIONS_MAX) {
        net_answer_fail(o->a, NET_RESULT_BAD_ANSWER,
                        "the order's authorizations are not a list of 1 to %d "
                        "URLs",
                        NET_AUTHORIZATIONS_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        CLEANUP_JSON json_t *one =
            json_pack("{s:O}", "authorization", json_array_get(list, i));
        const struct net_object item = { o->a, "order", one, NULL };

        if (!net_object_exact(&item, "authorization", true,
                              to->authorization[i], ACME_URL_MAX))
            return false;
    }
    to->n_authorizations = (uint32_t)n;
    return true;
}

void net_read_order(struct net_answer *a, struct bytes body)
{
    CLEANUP_NET_OBJECT struct net_object o = { 0 };
    struct net_order *to = &a->order;

    if (!net_object_load(a, "order", body, &o) ||
        !net_object_word(&o, "status", true, to->status) ||
        !net_object_exact(&o, "finalize", true, to->finalize, ACME_URL_MAX) ||
        !net_object_exact(&o, "certificate", false, to->certificate,
                          ACME_URL_MAX) ||
        !read_authorizations(&o, to))
        return;
    net_object_problem(&o, "error", &to->error);
}

/* Drafts 00 and 01 have one name, draft 02 the other. A challenge with both
 * would be two answers to one question. */
static bool read_issuers(const struct net_object *o, struct net_challenge *to)
{
    static const char old[] = "issuer-domain-names";
    static const char now[] = "issuerDomainNames";

    if (json_object_get(o->json, old) && json_object_get(o->json, now)) {
        net_answer_fail(o->a, NET_RESULT_BAD_ANSWER,
                        "the challenge has both %s and %s", old, now);
        return false;
    }
    return net_object_names(o, json_object_get(o->json, old) ? old : now,
                            &to->issuers);
}

/* Of another type than dns-persist-01 only what all challenges have. */
static bool read_challenge(const struct net_object *o, struct net_challenge *to)
{
    if (!net_object_word(o, "type", true, to->type) ||
        !net_object_word(o, "status", true, to->status) ||
        !net_object_exact(o, "url", true, to->url, ACME_URL_MAX))
        return false;
    net_object_problem(o, "error", &to->error);
    if (strcmp(to->type, PERSIST) != 0)
        return true;
    return net_object_exact(o, "accounturi", false, to->accounturi,
                            ACME_URL_MAX) &&
           read_issuers(o, to);
}

void net_read_challenge(struct net_answer *a, struct bytes body)
{
    CLEANUP_NET_OBJECT struct net_object o = { 0 };

    if (net_object_load(a, "challenge", body, &o))
        (void)read_challenge(&o, &a->challenge);
}

static bool read_identifier(const struct net_object *o, struct net_authz *to)
{
    const struct net_object id = { o->a, "authorization's identifier",
                                   json_object_get(o->json, "identifier"),
                                   NULL };

    return net_object_word(&id, "type", true, to->identifier_type) &&
           net_object_exact(&id, "value", true, to->identifier, DNS_NAME_MAX);
}

static void add_offered(struct net_authz *to, const json_t *challenge)
{
    const json_t *type = json_object_get(challenge, "type");
    size_t n = strlen(to->offered);

    if (!json_string_length(type))
        return;
    if (n > 0) {
        net_text(to->offered + n, NET_TEXT_MAX - n, ", ", 2);
        n += strlen(to->offered + n);
    }
    net_text(to->offered + n, NET_TEXT_MAX - n, json_string_value(type),
             json_string_length(type));
}

/* Two challenges of one type would be two answers to one question. */
static bool read_challenges(const struct net_object *o, struct net_authz *to)
{
    const json_t *list = json_object_get(o->json, "challenges");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        const struct net_object item = { o->a, "challenge", c, NULL };
        const json_t *type = json_object_get(c, "type");

        add_offered(to, c);
        if (!json_is_string(type) || !bytes_eq_str(json_bytes(type), PERSIST))
            continue;
        if (to->has_persist) {
            net_answer_fail(
                o->a, NET_RESULT_BAD_ANSWER,
                "the authorization has two challenges of type " PERSIST);
            return false;
        }
        if (!read_challenge(&item, &to->persist))
            return false;
        to->has_persist = 1;
    }
    return true;
}

void net_read_authz(struct net_answer *a, struct bytes body)
{
    CLEANUP_NET_OBJECT struct net_object o = { 0 };
    struct net_authz *to = &a->authz;

    if (net_object_load(a, "authorization", body, &o) &&
        net_object_word(&o, "status", true, to->status) &&
        read_identifier(&o, to) &&
        net_object_flag(&o, "wildcard", &to->wildcard))
        (void)read_challenges(&o, to);
}

void net_read_renewal(struct net_answer *a, struct bytes body)
{
    CLEANUP_NET_OBJECT struct net_object o = { 0 };
    struct net_renewal *to = &a->renewal;
    struct net_object window;

    if (!net_object_load(a, "renewal information", body, &o))
        return;
    window =
        (struct net_object){ a, "suggestedWindow",
                             json_object_get(o.json, "suggestedWindow"), NULL };
    if (!net_object_time(&window, "start", &to->start_s) ||
        !net_object_time(&window, "end", &to->end_s))
        return;
    if (to->start_s == 0 || to->start_s >= to->end_s) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the renewal information has no suggestedWindow "
                        "whose end is after its start");
        return;
    }
    net_object_shown(&o, "explanationURL", to->explanation, ACME_URL_MAX);
}
