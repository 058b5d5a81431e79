/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/account.h"

#include <errno.h>
#include <string.h>

#include "acme/json-strict.h"
#include "acme/url.h"

const char *acme_account_endpoint(const struct acme_account *a,
                                  enum acme_endpoint which)
{
    const struct acme_directory *d = &a->directory;

    switch (which) {
    case ACME_ENDPOINT_NEW_NONCE:
        return d->new_nonce;
    case ACME_ENDPOINT_NEW_ACCOUNT:
        return d->new_account;
    case ACME_ENDPOINT_NEW_ORDER:
        return d->new_order;
    case ACME_ENDPOINT_NEW_AUTHZ:
        return d->new_authz;
    case ACME_ENDPOINT_REVOKE_CERT:
        return d->revoke_cert;
    case ACME_ENDPOINT_KEY_CHANGE:
        return d->key_change;
    case ACME_ENDPOINT_RENEWAL_INFO:
        return d->renewal_info;
    case ACME_ENDPOINT_ACCOUNT:
        return a->account_url;
    case ACME_ENDPOINT_NONE:
    case ACME_ENDPOINT_COUNT:
        break;
    }
    return NULL;
}

static int account_check_endpoint(const struct acme_account *a,
                                  enum acme_endpoint which,
                                  struct refusal *ret_refusal)
{
    const char *url = acme_account_endpoint(a, which);
    int r;

    if (!url)
        return 0;
    r = url_check_for_account(bytes_from_str(url), a, ret_refusal);
    if (r)
        return r;
    for (unsigned i = 1; i < which; i++) {
        const char *other = acme_account_endpoint(a, (enum acme_endpoint)i);

        if (other && url_same_but_slash(bytes_from_str(url), other))
            return refuse(ret_refusal, REASON_BAD_VALUE, "two endpoints at %s",
                          url);
    }
    return 0;
}

/* An origin is what is left of a URL whose path is "/". */
static int account_check_origin(const struct acme_account *a,
                                const char *origin, struct refusal *ret_refusal)
{
    struct url_rules rules = { .allow_http_loopback = a->allow_http_loopback };
    CLEANUP_BUF struct buf b = { 0 };
    struct url url;
    int r;

    r = buf_printf(&b, "%s/", origin);
    if (r)
        return r;
    r = url_read(buf_bytes(&b), &rules, &url, ret_refusal);
    if (r)
        return r;
    if (url.path.len != 1)
        return refuse(ret_refusal, REASON_BAD_URL, "origin %s", origin);
    return 0;
}

#define MEMBER_CHARS                                                           \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

/* Members that mean something in some other request (RFC 8555, 9773, and the
 * profiles draft), in whatever case: a payload with one is no challenge. */
static int account_check_challenge_member(const char *name,
                                          struct refusal *ret_refusal)
{
    static const char *const used[] = {
        "identifiers",
        "notBefore",
        "notAfter",
        "profile",
        "replaces",
        "csr",
        "certificate",
        "reason",
        "onlyReturnExisting",
        "termsOfServiceAgreed",
        "contact",
        "externalAccountBinding",
        "status",
        "orders",
        "identifier",
        "account",
        "oldKey",
        "protected",
        "payload",
        "signature",
        "resource",
    };

    /* Go's reader folds by Unicode: U+017F "tatus" is "status" to it. */
    if (strspn(name, MEMBER_CHARS) < strlen(name))
        return refuse(ret_refusal, REASON_BAD_VALUE, "challenge member %s",
                      name);
    for (size_t i = 0; i < ARRAY_LEN(used); i++) {
        if (strcasecmp(name, used[i]) == 0)
            return refuse(ret_refusal, REASON_BAD_VALUE, "challenge member %s",
                          name);
    }
    return 0;
}

static int account_check_challenge_members(char *const *list,
                                           struct refusal *ret_refusal)
{
    for (char *const *m = list; m && *m; m++) {
        int r = account_check_challenge_member(*m, ret_refusal);

        if (r)
            return r;
        for (char *const *other = list; other < m; other++) {
            if (strcasecmp(*other, *m) == 0)
                return refuse(ret_refusal, REASON_BAD_VALUE,
                              "challenge member %s twice", *m);
        }
    }
    return 0;
}

int acme_account_check(const struct acme_account *a,
                       struct refusal *ret_refusal)
{
    int r;

    if (!a->directory.new_nonce)
        return refuse(ret_refusal, REASON_MISSING_MEMBER, "newNonce");
    if (!a->directory.new_account)
        return refuse(ret_refusal, REASON_MISSING_MEMBER, "newAccount");
    if (!a->directory.new_order)
        return refuse(ret_refusal, REASON_MISSING_MEMBER, "newOrder");

    r = url_check_for_account(bytes_from_str(a->directory_url), a, ret_refusal);
    if (r)
        return r;
    for (char **o = a->origins; o && *o; o++) {
        r = account_check_origin(a, *o, ret_refusal);
        if (r)
            return r;
    }
    for (unsigned i = 1; i < ACME_ENDPOINT_COUNT; i++) {
        r = account_check_endpoint(a, (enum acme_endpoint)i, ret_refusal);
        if (r)
            return r;
    }
    return account_check_challenge_members(a->challenge_members, ret_refusal);
}

static int directory_read_member(const json_t *object, const char *name,
                                 char **ret, struct refusal *ret_refusal)
{
    const json_t *value = json_object_get(object, name);

    if (!value)
        return 0;
    if (!json_is_string(value))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "%s", name);
    return json_strict_copy(value, ret);
}

static int directory_read_object(const json_t *object,
                                 struct acme_directory *ret,
                                 struct refusal *ret_refusal)
{
    struct acme_directory d = { 0 };
    const struct {
        const char *name;
        char **ret;
    } members[] = {
        { "newNonce", &d.new_nonce },       { "newAccount", &d.new_account },
        { "newOrder", &d.new_order },       { "newAuthz", &d.new_authz },
        { "revokeCert", &d.revoke_cert },   { "keyChange", &d.key_change },
        { "renewalInfo", &d.renewal_info },
    };

    if (!json_is_object(object))
        return refuse(ret_refusal, REASON_WRONG_TYPE, "directory");
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        int r = directory_read_member(object, members[i].name, members[i].ret,
                                      ret_refusal);

        if (r) {
            acme_directory_deinit(&d);
            return r;
        }
    }
    *ret = d;
    return 0;
}

int acme_directory_read(struct bytes json, struct acme_directory *ret,
                        struct refusal *ret_refusal)
{
    CLEANUP_JSON json_t *object = NULL;
    int r;

    r = json_strict_read(json, &object, ret_refusal);
    if (r)
        return r;
    return directory_read_object(object, ret, ret_refusal);
}

void acme_directory_deinit(struct acme_directory *d)
{
    free(d->new_nonce);
    free(d->new_account);
    free(d->new_order);
    free(d->new_authz);
    free(d->revoke_cert);
    free(d->key_change);
    free(d->renewal_info);
    *d = (struct acme_directory){ 0 };
}

static void account_free_list(char **list)
{
    for (char **s = list; s && *s; s++)
        free(*s);
    free(list);
}

struct acme_account *acme_account_free(struct acme_account *a)
{
    if (!a)
        return NULL;
    free(a->name);
    free(a->directory_url);
    acme_directory_deinit(&a->directory);
    free(a->account_url);
    account_free_list(a->origins);
    account_free_list(a->challenge_members);
    free(a);
    return NULL;
}

static int account_read_list(const json_t *array, const char *name, size_t max,
                             char ***ret, struct refusal *ret_refusal)
{
    size_t n = json_array_size(array);

    if (!array)
        return 0;
    if (n > max)
        return refuse(ret_refusal, REASON_TOO_LARGE, "%s", name);
    *ret = calloc(n + 1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        int r;

        if (!json_is_string(item))
            return refuse(ret_refusal, REASON_WRONG_TYPE, "%s", name);
        r = json_strict_copy(item, &(*ret)[i]);
        if (r)
            return r;
    }
    return 0;
}

static int account_read_key(const json_t *jwk, const json_t *alg,
                            struct acme_account *a, struct refusal *ret_refusal)
{
    int r;

    r = jwk_read(jwk, &a->jwk, ret_refusal);
    if (r)
        return r;
    if (jws_alg_parse(json_bytes(alg)) != jwk_alg(&a->jwk))
        return refuse(ret_refusal, REASON_WRONG_ALG, "%s",
                      json_string_value(alg));
    return jwk_thumbprint_text(&a->jwk, a->thumbprint);
}

struct account_members {
    json_t *name, *directory_url, *directory, *account_url, *alg, *jwk;
    json_t *origins, *challenge_members, *valid;
    json_t *allow_query, *allow_http_loopback;
};

static int account_read_members(const json_t *object, struct account_members *m,
                                struct refusal *ret_refusal)
{
    const struct json_member members[] = {
        { "name", JSON_STRING, true, &m->name },
        { "directory_url", JSON_STRING, true, &m->directory_url },
        { "directory", JSON_OBJECT, true, &m->directory },
        { "account_url", JSON_STRING, false, &m->account_url },
        { "alg", JSON_STRING, true, &m->alg },
        { "jwk", JSON_OBJECT, true, &m->jwk },
        { "origins", JSON_ARRAY, false, &m->origins },
        { "challenge_members", JSON_ARRAY, false, &m->challenge_members },
        { "valid", JSON_TRUE, false, &m->valid },
        { "allow_query", JSON_TRUE, false, &m->allow_query },
        { "allow_http_loopback", JSON_TRUE, false, &m->allow_http_loopback },
    };

    return json_strict_members(object, members, ARRAY_LEN(members),
                               ret_refusal);
}

static int account_fill(const struct account_members *m, struct acme_account *a,
                        struct refusal *ret_refusal)
{
    int r;

    r = json_strict_copy(m->name, &a->name);
    if (!r)
        r = json_strict_copy(m->directory_url, &a->directory_url);
    if (!r)
        r = json_strict_copy(m->account_url, &a->account_url);
    if (!r)
        r = directory_read_object(m->directory, &a->directory, ret_refusal);
    if (!r)
        r = account_read_key(m->jwk, m->alg, a, ret_refusal);
    if (!r)
        r = account_read_list(m->origins, "origins", ACME_ORIGINS_MAX,
                              &a->origins, ret_refusal);
    if (!r)
        r = account_read_list(m->challenge_members, "challenge_members",
                              ACME_CHALLENGE_MEMBERS_MAX, &a->challenge_members,
                              ret_refusal);
    a->valid = m->valid ? json_is_true(m->valid) : m->account_url != NULL;
    a->allow_query = json_is_true(m->allow_query);
    a->allow_http_loopback = json_is_true(m->allow_http_loopback);
    return r;
}

int acme_account_read(struct bytes json, struct acme_account **ret,
                      struct refusal *ret_refusal)
{
    CLEANUP_ACME_ACCOUNT struct acme_account *a = NULL;
    CLEANUP_JSON json_t *object = NULL;
    struct account_members m = { 0 };
    int r;

    r = json_strict_read(json, &object, ret_refusal);
    if (r)
        return r;
    r = account_read_members(object, &m, ret_refusal);
    if (r)
        return r;

    a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    r = account_fill(&m, a, ret_refusal);
    if (r)
        return r;
    if (a->valid && !a->account_url)
        return refuse(ret_refusal, REASON_MISSING_MEMBER, "account_url");
    r = acme_account_check(a, ret_refusal);
    if (r)
        return r;
    *ret = TAKE_PTR(a);
    return 0;
}
