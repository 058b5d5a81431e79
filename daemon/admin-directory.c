/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "acme/json-strict.h"
#include "daemon/admin-rotation.h"
#include "daemon/directory-changes.h"
#include "daemon/params.h"
#include "daemon/registry.h"

/*
 * AccountSetDirectory: what the CA's directory says now. A difference to what
 * it said before is told, and all that is new is logged, member by member:
 * nobody follows silently.
 */

/*
 * The strings of @d are borrowed from the parameters: the row is only copied
 * from. NULL, or the member at fault.
 */
static const char *read_endpoints(const json_t *object,
                                  struct acme_directory *d)
{
    const struct {
        const char *name;
        bool optional;
        char **ret;
    } members[] = {
        { "newNonce", false, &d->new_nonce },
        { "newAccount", false, &d->new_account },
        { "newOrder", false, &d->new_order },
        { "newAuthz", true, &d->new_authz },
        { "revokeCert", true, &d->revoke_cert },
        { "keyChange", true, &d->key_change },
        { "renewalInfo", true, &d->renewal_info },
    };
    const char *values[ARRAY_LEN(members)] = { NULL };
    struct param params[ARRAY_LEN(members)];
    const char *bad = NULL;

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        params[i] = (struct param){ members[i].name,
                                    PARAM_STRING,
                                    members[i].optional,
                                    { .string = &values[i] } };
    if (params_read(object, params, ARRAY_LEN(params), &bad))
        return bad;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        *members[i].ret = params_borrow(values[i]);
    return NULL;
}

/* ---- meta ---- */

/* Profiles are names here, and members of an object in a directory. */
static json_t *profiles_object(const json_t *names)
{
    json_t *object = json_object();
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (json_object_set_new(object, json_string_value(name),
                                json_string("")) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *list_or_absent(const json_t *list)
{
    return json_array_size(list) > 0 ? json_deep_copy(list) : NULL;
}

/* *ret_text: a directory with this meta and nothing else, for its reader. NULL
 * for the return value, or the member at fault. */
static const char *meta_directory(const json_t *object, char **ret_text)
{
    const char *terms = NULL;
    const char *prefix = NULL;
    bool external = false;
    const json_t *issuers = NULL;
    const json_t *caa = NULL;
    const json_t *profiles = NULL;
    const struct param params[] = {
        { "termsOfService", PARAM_STRING, true, { .string = &terms } },
        { "externalAccountRequired", PARAM_BOOL, false, { .flag = &external } },
        { "accountHashPrefix", PARAM_STRING, true, { .string = &prefix } },
        { "issuerDomainNames", PARAM_STRINGS, false, { .json = &issuers } },
        { "caaIdentities", PARAM_STRINGS, false, { .json = &caa } },
        { "profiles", PARAM_STRINGS, false, { .json = &profiles } },
    };
    CLEANUP_JSON json_t *directory = NULL;
    const char *bad = NULL;

    if (params_read(object, params, ARRAY_LEN(params), &bad))
        return bad;
    directory = json_pack(
        "{s:{s:s*,s:b,s:s*,s:o*,s:o*,s:o}}", "meta", "termsOfService", terms,
        "externalAccountRequired", (int)external, "accountHashPrefix", prefix,
        "issuerDomainNames", list_or_absent(issuers), "caaIdentities",
        list_or_absent(caa), "profiles", profiles_object(profiles));
    *ret_text = directory ? json_dumps(directory, JSON_COMPACT) : NULL;
    return NULL;
}

/* False: it was answered. */
static bool take_meta(struct varlink_call *call, const json_t *object,
                      struct acme_meta *ret)
{
    CLEANUP_FREE char *text = NULL;
    struct refusal refusal = { 0 };
    const char *bad = meta_directory(object, &text);
    int r;

    if (bad) {
        varlink_error_invalid_parameter(call, bad);
        return false;
    }
    r = text ? acme_meta_read(bytes_from_str(text), ret, &refusal) : -ENOMEM;
    if (r == REFUSED)
        admin_error_refusal(call, "meta", &refusal);
    else if (r)
        admin_error_busy(call);
    return r == 0;
}

/* One line for the call, or those of what is new. */
static bool begin(struct guardian *g, struct varlink_call *call,
                  const char *account, const json_t *lines)
{
    const json_t *line;
    size_t i;

    if (json_array_size(lines) == 0)
        return admin_begin(g, call,
                           &(struct admin_subject){ .account = account });
    json_array_foreach(lines, i, line)
    {
        if (!admin_begin(
                g, call,
                &(struct admin_subject){ .account = account,
                                         .detail = json_string_value(line) }))
            return false;
    }
    return true;
}

/* Every value of a key-bound record begins with it. */
static bool same_prefix(const struct store_account *a,
                        const struct store_account *b)
{
    const char *x = a->meta.account_hash_prefix;
    const char *y = b->meta.account_hash_prefix;

    return x && y ? strcmp(x, y) == 0 : x == y;
}

static void set_directory(struct guardian *g, struct varlink_call *call,
                          struct account *a, const struct store_account *row)
{
    CLEANUP_JSON json_t *changes = json_array();
    CLEANUP_JSON json_t *lines = json_array();
    int r;

    if (!changes || !lines || directory_changes(&a->row, row, changes, lines)) {
        admin_error_busy(call);
        return;
    }
    if (!begin(g, call, row->acme.name, lines))
        return;
    r = same_prefix(&a->row, row)
            ? 0
            : rotate_records_change(g, a, true, varlink_call_peer(call));
    if (r) {
        admin_error_records(call, a, r);
        return;
    }
    r = accounts_update(g, a, row);
    if (r)
        registry_error(call, r);
    else
        varlink_reply_json(call, json_pack("{s:O}", "changes", changes));
}

ADMIN_METHOD(admin_on_account_set_directory)
{
    CLEANUP_ACME_META struct acme_meta meta = { 0 };
    struct guardian *g = userdata;
    const char *name = "";
    const json_t *endpoints = NULL;
    const json_t *object = NULL;
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
        { "endpoints", PARAM_OBJECT, false, { .json = &endpoints } },
        { "meta", PARAM_OBJECT, true, { .json = &object } },
    };
    struct refusal refusal = { 0 };
    struct store_account row;
    struct account *a;
    const char *bad;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a)
        return;
    row = a->row;
    row.acme.directory = (struct acme_directory){ 0 };
    bad = read_endpoints(endpoints, &row.acme.directory);
    if (bad) {
        varlink_error_invalid_parameter(call, bad);
        return;
    }
    if (acme_account_check(&row.acme, &refusal)) {
        admin_error_refusal(call, "endpoints", &refusal);
        return;
    }
    if (object) {
        if (!take_meta(call, object, &meta))
            return;
        row.meta = meta; /* only copied from */
        row.meta_known = true;
    }
    set_directory(g, call, a, &row);
}
