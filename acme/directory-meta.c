/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/directory-meta.h"

#include <errno.h>
#include <string.h>

#include "acme/domain.h"
#include "acme/json-strict.h"
#include "acme/order.h"
#include "acme/persist.h"

static void list_free(char **list)
{
    for (char **s = list; s && *s; s++)
        free(*s);
    free(list);
}

static bool list_has(char *const *list, const char *text)
{
    for (; list && *list; list++) {
        if (strcmp(*list, text) == 0)
            return true;
    }
    return false;
}

static int list_copy(char *const *from, char ***ret)
{
    size_t n = 0;
    char **list;

    *ret = NULL;
    if (!from)
        return 0;
    while (from[n])
        n++;
    list = calloc(n + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        list[i] = strdup(from[i]);
        if (!list[i]) {
            list_free(list);
            return -ENOMEM;
        }
    }
    *ret = list;
    return 0;
}

static int text_copy(const char *from, char **ret)
{
    *ret = from ? strdup(from) : NULL;
    return from && !*ret ? -ENOMEM : 0;
}

void acme_meta_deinit(struct acme_meta *m)
{
    free(m->terms);
    free(m->account_hash_prefix);
    list_free(m->issuers);
    list_free(m->caa_identities);
    list_free(m->profiles);
    *m = (struct acme_meta){ 0 };
}

int acme_meta_copy(const struct acme_meta *from, struct acme_meta *ret)
{
    struct acme_meta m = *from;
    int r;

    m.terms = m.account_hash_prefix = NULL;
    m.issuers = m.caa_identities = m.profiles = NULL;
    r = text_copy(from->terms, &m.terms);
    if (!r)
        r = text_copy(from->account_hash_prefix, &m.account_hash_prefix);
    if (!r)
        r = list_copy(from->issuers, &m.issuers);
    if (!r)
        r = list_copy(from->caa_identities, &m.caa_identities);
    if (!r)
        r = list_copy(from->profiles, &m.profiles);
    if (r) {
        acme_meta_deinit(&m);
        return r;
    }
    *ret = m;
    return 0;
}

static bool meta_is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    }
    return true;
}

/* It is only shown, to be opened by a person. */
static int meta_read_terms(const json_t *value, struct acme_meta *m,
                           struct refusal *ret_refusal)
{
    if (!value)
        return 0;
    if (!json_is_string(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "termsOfService");
    if (json_string_length(value) > ACME_META_TERMS_MAX)
        return refuse(ret_refusal, REASON_TOO_LARGE, "termsOfService");
    if (!meta_is_plain(json_bytes(value)))
        return refuse(ret_refusal, REASON_BAD_VALUE,
                      "termsOfService has characters that no URL has");
    return json_strict_copy(value, &m->terms);
}

static int meta_read_external(const json_t *value, struct acme_meta *m,
                              struct refusal *ret_refusal)
{
    if (value && !json_is_boolean(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE,
                      "externalAccountRequired");
    m->external_account_required = json_is_true(value);
    return 0;
}

static int meta_read_prefix(const json_t *value, struct acme_meta *m,
                            struct refusal *ret_refusal)
{
    int r;

    if (!value)
        return 0;
    if (!json_is_string(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "accountHashPrefix");
    r = persist_prefix_check(json_bytes(value), ret_refusal);
    if (r)
        return r;
    return json_strict_copy(value, &m->account_hash_prefix);
}

static int meta_add_issuer(const json_t *item, char **list, size_t i,
                           struct refusal *ret_refusal)
{
    int r;

    if (!json_is_string(item))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "issuerDomainNames");
    r = dns_name_check(json_bytes(item), false, ret_refusal);
    if (r)
        return r;
    if (list_has(list, json_string_value(item)))
        return refuse(ret_refusal, REASON_BAD_VALUE,
                      "issuerDomainNames has %s twice",
                      json_string_value(item));
    return json_strict_copy(item, &list[i]);
}

static int meta_read_issuers(const json_t *value, struct acme_meta *m,
                             struct refusal *ret_refusal)
{
    size_t n = json_array_size(value);
    int r = 0;

    if (!value)
        return 0;
    if (!json_is_array(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "issuerDomainNames");
    if (n == 0)
        return refuse(ret_refusal, REASON_BAD_VALUE,
                      "issuerDomainNames is empty");
    if (n > ACME_META_ISSUERS_MAX)
        return refuse(ret_refusal, REASON_TOO_LARGE,
                      "issuerDomainNames has %zu names", n);
    m->issuers = calloc(n + 1, sizeof(*m->issuers));
    if (!m->issuers)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = meta_add_issuer(json_array_get(value, i), m->issuers, i,
                            ret_refusal);
    return r;
}

/* Return: 0; REFUSED if it is no host name, or there already; -ENOMEM. */
static int meta_add_identity(const json_t *item, char **list, size_t i)
{
    char name[DNS_NAME_MAX + 1];
    int r;

    if (!json_is_string(item))
        return REFUSED;
    r = domain_normalize(json_bytes(item), name, NULL);
    if (r)
        return r;
    if (list_has(list, name))
        return REFUSED;
    return text_copy(name, &list[i]);
}

static int meta_read_identities(const json_t *value, struct acme_meta *m)
{
    size_t n = json_array_size(value);
    int r;

    if (!value)
        return 0;
    r = n > 0 && n <= ACME_META_IDENTITIES_MAX ? 0 : REFUSED;
    if (r == 0) {
        m->caa_identities = calloc(n + 1, sizeof(*m->caa_identities));
        r = m->caa_identities ? 0 : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        r = meta_add_identity(json_array_get(value, i), m->caa_identities, i);
    if (r == REFUSED) {
        list_free(m->caa_identities);
        m->caa_identities = NULL;
        m->caa_identities_unusable = true;
        return 0;
    }
    return r;
}

static int meta_check_subset(const struct acme_meta *m,
                             struct refusal *ret_refusal)
{
    for (char **s = m->issuers; s && *s && m->caa_identities; s++) {
        if (!list_has(m->caa_identities, *s))
            return refuse(ret_refusal, REASON_BAD_VALUE,
                          "issuerDomainNames has %s, caaIdentities has not",
                          *s);
    }
    return 0;
}

/* As the payload of an order may have it (acme/order.h). */
static bool meta_is_profile(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= ORDER_PROFILE_MAX &&
           meta_is_plain(bytes_from_str(name));
}

/* Names to descriptions; the descriptions are for people with a browser. */
static int meta_read_profiles(json_t *value, struct acme_meta *m,
                              struct refusal *ret_refusal)
{
    size_t n = json_object_size(value);
    char **next;

    if (!value)
        return 0;
    if (!json_is_object(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "profiles");
    if (n > ACME_META_PROFILES_MAX)
        return refuse(ret_refusal, REASON_TOO_LARGE, "%zu profiles", n);
    next = m->profiles = calloc(n + 1, sizeof(*m->profiles));
    if (!next)
        return -ENOMEM;
    for (void *it = json_object_iter(value); it;
         it = json_object_iter_next(value, it)) {
        const char *name = json_object_iter_key(it);
        int r = meta_is_profile(name) ? text_copy(name, next) : 0;

        if (r)
            return r;
        next += *next != NULL;
    }
    return 0;
}

static int meta_read_object(const json_t *meta, struct acme_meta *m,
                            struct refusal *ret_refusal)
{
    int r;

    if (!json_is_object(meta))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "meta");
    r = meta_read_terms(json_object_get(meta, "termsOfService"), m,
                        ret_refusal);
    if (!r)
        r = meta_read_external(json_object_get(meta, "externalAccountRequired"),
                               m, ret_refusal);
    if (!r)
        r = meta_read_prefix(json_object_get(meta, "accountHashPrefix"), m,
                             ret_refusal);
    if (!r)
        r = meta_read_issuers(json_object_get(meta, "issuerDomainNames"), m,
                              ret_refusal);
    if (!r)
        r = meta_read_identities(json_object_get(meta, "caaIdentities"), m);
    if (!r)
        r = meta_check_subset(m, ret_refusal);
    if (!r)
        r = meta_read_profiles(json_object_get(meta, "profiles"), m,
                               ret_refusal);
    return r;
}

int acme_meta_read(struct bytes directory_json, struct acme_meta *ret,
                   struct refusal *ret_refusal)
{
    CLEANUP_ACME_META struct acme_meta m = { 0 };
    CLEANUP_JSON json_t *object = NULL;
    const json_t *meta;
    int r;

    r = json_strict_read(directory_json, &object, ret_refusal);
    if (r)
        return r;
    if (!json_is_object(object))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "directory");
    meta = json_object_get(object, "meta");
    r = meta ? meta_read_object(meta, &m, ret_refusal) : 0;
    if (r)
        return r;
    *ret = m;
    m = (struct acme_meta){ 0 };
    return 0;
}
