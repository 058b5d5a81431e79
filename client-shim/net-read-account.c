/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-read.h"

#include <string.h>

/*
 * The account object (RFC 8555 section 7.1.2). A member "key" is not of the
 * standard, but several CAs have it, and who compares accounts must know
 * whose key it is.
 */

/* The members that a thumbprint is made of; a CA may add "kid" or "use". */
static json_t *bare_key(const json_t *key)
{
    static const char *const names[] = { "kty", "crv", "x", "y", "n", "e" };
    json_t *bare = json_object();

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *value = json_object_get(key, names[i]);

        if (value)
            (void)json_object_set(bare, names[i], value);
    }
    return bare;
}

/* A key that cannot be read is still a key that the object names. */
static void read_key(const struct net_object *o, struct net_account *ret)
{
    const json_t *key = json_object_get(o->json, "key");
    CLEANUP_JSON json_t *bare = bare_key(key);
    struct jwk jwk;

    if (!key || json_is_null(key))
        return;
    ret->names_key = 1;
    if (jwk_read(bare, &jwk, NULL) ||
        jwk_thumbprint_text(&jwk, ret->thumbprint))
        ret->thumbprint[0] = '\0';
}

/* Only shown, like all that a CA keeps of us. */
static void read_contacts(const struct net_object *o, struct net_account *ret)
{
    const json_t *list = json_object_get(o->json, "contact");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);

        if (ret->n_contacts == NET_CONTACTS_MAX)
            return;
        if (json_string_length(s) > 0)
            net_text(ret->contact[ret->n_contacts++], NET_NAME_MAX,
                     json_string_value(s), json_string_length(s));
    }
}

void net_read_account(struct net_answer *a, struct bytes body)
{
    CLEANUP_NET_OBJECT struct net_object o = { 0 };
    struct net_account *to = &a->account;

    if (!net_object_load(a, "account object", body, &o) ||
        !net_object_word(&o, "status", true, to->status))
        return;
    read_key(&o, to);
    read_contacts(&o, to);
}
