/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-answer.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "acme/json-strict.h"

static bool printable(char c)
{
    return c >= 0x20 && c < 0x7f;
}

void net_text(char *to, size_t max, const char *from, size_t len)
{
    size_t n = len < max ? len : max;

    memcpy(to, from, n);
    to[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (!printable(to[i]))
            to[i] = '?';
    }
}

void net_answer_fail(struct net_answer *a, enum net_result result,
                     const char *fmt, ...)
{
    char text[NET_TEXT_MAX + 1];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    *a = (struct net_answer){ .kind = a->kind, .result = result };
    net_text(a->text, NET_TEXT_MAX, text, strlen(text));
}

/* Printable, ended inside, and nothing behind the end. */
static bool text_ok(const char *text, size_t size)
{
    size_t n = strnlen(text, size);

    if (n == size)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (i < n ? !printable(text[i]) : text[i] != '\0')
            return false;
    }
    return true;
}

#define TEXT_OK(field) text_ok(field, sizeof(field))

static bool directory_ok(const struct net_directory *d)
{
    return TEXT_OK(d->new_nonce) && TEXT_OK(d->new_account) &&
           TEXT_OK(d->new_order) && TEXT_OK(d->new_authz) &&
           TEXT_OK(d->revoke_cert) && TEXT_OK(d->key_change) &&
           TEXT_OK(d->renewal_info) && TEXT_OK(d->terms) &&
           d->needs_external_account <= 1;
}

bool net_nonce_ok(const char *nonce)
{
    return nonce[strspn(nonce, "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] ==
           '\0';
}

bool net_answer_check(const void *data, size_t len, enum net_kind kind)
{
    struct net_answer a;

    if (len != sizeof(a))
        return false;
    memcpy(&a, data, sizeof(a));
    if (a.kind != (uint32_t)kind || a.result == NET_RESULT_UNSET ||
        a.result >= NET_RESULT_COUNT)
        return false;
    if (a.result == NET_RESULT_OK ? a.http_status < 200 || a.http_status > 599
                                  : a.http_status != 0)
        return false;
    return TEXT_OK(a.text) && TEXT_OK(a.location) && TEXT_OK(a.nonce) &&
           net_nonce_ok(a.nonce) && TEXT_OK(a.acme_status) &&
           TEXT_OK(a.problem_type) && TEXT_OK(a.problem_detail) &&
           directory_ok(&a.directory);
}

/* An endpoint: no octet of it may be changed, only refused. */
static bool set_url(struct net_answer *a, const char *name, char *field,
                    const char *url)
{
    size_t n = url ? strlen(url) : 0;

    if (n > ACME_URL_MAX) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the directory's %s is above %d octets", name,
                        ACME_URL_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!printable(url[i])) {
            net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                            "the directory's %s is not printable", name);
            return false;
        }
        field[i] = url[i];
    }
    return true;
}

static bool set_endpoints(struct net_answer *a, const struct acme_directory *d)
{
    struct net_directory *to = &a->directory;

    if (!d->new_nonce || !d->new_account || !d->new_order) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "the directory has no %s",
                        !d->new_nonce     ? "newNonce"
                        : !d->new_account ? "newAccount"
                                          : "newOrder");
        return false;
    }
    return set_url(a, "newNonce", to->new_nonce, d->new_nonce) &&
           set_url(a, "newAccount", to->new_account, d->new_account) &&
           set_url(a, "newOrder", to->new_order, d->new_order) &&
           set_url(a, "newAuthz", to->new_authz, d->new_authz) &&
           set_url(a, "revokeCert", to->revoke_cert, d->revoke_cert) &&
           set_url(a, "keyChange", to->key_change, d->key_change) &&
           set_url(a, "renewalInfo", to->renewal_info, d->renewal_info);
}

static json_t *load_object(struct bytes body)
{
    json_t *j = json_loadb((const char *)body.data, body.len,
                           JSON_REJECT_DUPLICATES, NULL);

    if (json_is_object(j))
        return j;
    json_decref(j);
    return NULL;
}

/* The rest of the directory is acme_directory_read()'s; these two are only
 * shown or end the attempt. */
static void set_meta(struct net_answer *a, struct bytes body)
{
    CLEANUP_JSON json_t *all = load_object(body);
    const json_t *meta = json_object_get(all, "meta");
    const char *terms =
        json_string_value(json_object_get(meta, "termsOfService"));

    if (terms)
        net_text(a->directory.terms, ACME_URL_MAX, terms, strlen(terms));
    a->directory.needs_external_account =
        json_is_true(json_object_get(meta, "externalAccountRequired"));
}

void net_answer_read_directory(struct net_answer *a, struct bytes body)
{
    struct acme_directory d = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = acme_directory_read(body, &d, &refusal);
    if (r == REFUSED)
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "not a directory object: %s: %s",
                        reason_code(refusal.reason), refusal.detail);
    else if (r)
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "%s", strerror(-r));
    else if (set_endpoints(a, &d))
        set_meta(a, body);
    acme_directory_deinit(&d);
}

void net_answer_read_account(struct net_answer *a, struct bytes body)
{
    CLEANUP_JSON json_t *account = load_object(body);
    const json_t *status = json_object_get(account, "status");

    if (!account) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the answer is not a JSON object");
        return;
    }
    if (!json_is_string(status) ||
        json_string_length(status) > NET_STATUS_MAX) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the account object has no status");
        return;
    }
    net_text(a->acme_status, NET_STATUS_MAX, json_string_value(status),
             json_string_length(status));
}

static void set_text(const json_t *object, const char *name, char *to,
                     size_t max)
{
    const json_t *s = json_object_get(object, name);

    if (json_is_string(s))
        net_text(to, max, json_string_value(s), json_string_length(s));
}

void net_answer_read_problem(struct net_answer *a, struct bytes body)
{
    CLEANUP_JSON json_t *problem = load_object(body);

    set_text(problem, "type", a->problem_type, NET_TYPE_MAX);
    set_text(problem, "detail", a->problem_detail, NET_DETAIL_MAX);
}
