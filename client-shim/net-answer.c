/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Who reads an answer of the child relies on what net_answer_check() says and
 * on nothing else: every field of the kind is checked here. */

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
    uint32_t kind = a->kind;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    memset(a, 0, sizeof(*a));
    a->kind = kind;
    a->result = result;
    net_text(a->text, NET_TEXT_MAX, text, strlen(text));
}

bool net_answer_good(const struct net_answer *a)
{
    return a->result == NET_RESULT_OK && a->http_status >= 200 &&
           a->http_status < 300;
}

static size_t kind_len(uint32_t kind)
{
    static const size_t lengths[NET_KIND_COUNT] = {
#define LENGTH(member) sizeof(((struct net_answer *)0)->member)
        [NET_KIND_DIRECTORY] = LENGTH(directory),
        [NET_KIND_ACCOUNT] = LENGTH(account),
        [NET_KIND_ORDER] = LENGTH(order),
        [NET_KIND_AUTHZ] = LENGTH(authz),
        [NET_KIND_CHALLENGE] = LENGTH(challenge),
        [NET_KIND_CERTIFICATE] = LENGTH(certificate),
        [NET_KIND_RENEWAL_INFO] = LENGTH(renewal),
#undef LENGTH
    };

    return kind < NET_KIND_COUNT ? lengths[kind] : 0;
}

size_t net_answer_len(const struct net_answer *a)
{
    return offsetof(struct net_answer, directory) +
           (net_answer_good(a) ? kind_len(a->kind) : 0);
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

static bool problem_ok(const struct net_problem *p)
{
    return TEXT_OK(p->type) && TEXT_OK(p->detail);
}

/* @n texts of @size that are not empty, in a row of @max; the rest is blank. */
static bool rows_ok(const char *rows, size_t size, uint32_t n, size_t max)
{
    if (n > max)
        return false;
    for (size_t i = 0; i < max; i++) {
        const char *row = rows + i * size;

        if (!text_ok(row, size) || (i < n) != (row[0] != '\0'))
            return false;
    }
    return true;
}

#define ROWS_OK(field, n)                                                      \
    rows_ok((field)[0], sizeof((field)[0]), n, ARRAY_LEN(field))

static bool names_ok(const struct net_names *l)
{
    return ROWS_OK(l->name, l->n);
}

static bool meta_ok(const struct net_meta *m)
{
    return TEXT_OK(m->terms) && TEXT_OK(m->account_hash_prefix) &&
           m->needs_external_account <= 1 && m->caa_identities_unusable <= 1 &&
           names_ok(&m->issuers) && names_ok(&m->caa_identities) &&
           names_ok(&m->profiles);
}

static bool directory_ok(const struct net_directory *d)
{
    return TEXT_OK(d->new_nonce) && d->new_nonce[0] &&
           TEXT_OK(d->new_account) && d->new_account[0] &&
           TEXT_OK(d->new_order) && d->new_order[0] && TEXT_OK(d->new_authz) &&
           TEXT_OK(d->revoke_cert) && TEXT_OK(d->key_change) &&
           TEXT_OK(d->renewal_info) && meta_ok(&d->meta);
}

static bool account_ok(const struct net_account *a)
{
    return TEXT_OK(a->status) && a->status[0] && a->names_key <= 1 &&
           TEXT_OK(a->thumbprint) && net_nonce_ok(a->thumbprint) &&
           (!a->thumbprint[0] ||
            (a->names_key && strlen(a->thumbprint) == JWK_THP_TEXT_LEN)) &&
           ROWS_OK(a->contact, a->n_contacts);
}

static bool order_ok(const struct net_order *o)
{
    return TEXT_OK(o->status) && o->status[0] && TEXT_OK(o->finalize) &&
           o->finalize[0] && TEXT_OK(o->certificate) && problem_ok(&o->error) &&
           o->n_authorizations > 0 &&
           ROWS_OK(o->authorization, o->n_authorizations);
}

static bool challenge_ok(const struct net_challenge *c)
{
    return TEXT_OK(c->type) && c->type[0] && TEXT_OK(c->status) &&
           c->status[0] && TEXT_OK(c->url) && c->url[0] &&
           TEXT_OK(c->accounturi) && names_ok(&c->issuers) &&
           problem_ok(&c->error);
}

static bool authz_ok(const struct net_authz *a)
{
    return TEXT_OK(a->status) && a->status[0] && TEXT_OK(a->identifier_type) &&
           TEXT_OK(a->identifier) && a->identifier[0] && a->wildcard <= 1 &&
           TEXT_OK(a->offered) && a->has_persist <= 1 &&
           (a->has_persist ? challenge_ok(&a->persist)
                           : !a->persist.type[0] && !a->persist.url[0]);
}

static bool certificate_ok(const struct net_certificate *c)
{
    return c->pem_len <= NET_BODY_MAX && c->pem[c->pem_len] == '\0' &&
           net_pem_ok((struct bytes){ (const uint8_t *)c->pem, c->pem_len }) &&
           ROWS_OK(c->alternate, c->n_alternates);
}

static bool renewal_ok(const struct net_renewal *r)
{
    return r->start_s > 0 && r->start_s < r->end_s && TEXT_OK(r->explanation);
}

static bool body_ok(const struct net_answer *a)
{
    switch ((enum net_kind)a->kind) {
    case NET_KIND_DIRECTORY:
        return directory_ok(&a->directory);
    case NET_KIND_ACCOUNT:
        return account_ok(&a->account);
    case NET_KIND_ORDER:
        return order_ok(&a->order);
    case NET_KIND_AUTHZ:
        return authz_ok(&a->authz);
    case NET_KIND_CHALLENGE:
        return challenge_ok(&a->challenge);
    case NET_KIND_CERTIFICATE:
        return certificate_ok(&a->certificate);
    case NET_KIND_RENEWAL_INFO:
        return renewal_ok(&a->renewal);
    case NET_KIND_NONCE:
    case NET_KIND_KEY_CHANGE:
        return true;
    case NET_KIND_UNSET:
    case NET_KIND_COUNT:
        break;
    }
    return false;
}

bool net_nonce_ok(const char *nonce)
{
    return nonce[strspn(nonce, "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] ==
           '\0';
}

static bool head_ok(const struct net_answer *a, enum net_kind kind)
{
    if (a->kind != (uint32_t)kind || a->result == NET_RESULT_UNSET ||
        a->result >= NET_RESULT_COUNT)
        return false;
    if (a->result == NET_RESULT_OK
            ? a->http_status < 200 || a->http_status > 599
            : a->http_status != 0)
        return false;
    return a->retry_after_s <= NET_RETRY_MAX_S && a->date_s >= 0 &&
           TEXT_OK(a->text) && TEXT_OK(a->location) && TEXT_OK(a->nonce) &&
           net_nonce_ok(a->nonce) && problem_ok(&a->problem);
}

bool net_answer_check(const struct net_answer *a, size_t len,
                      enum net_kind kind)
{
    if (len < offsetof(struct net_answer, directory) || !head_ok(a, kind) ||
        len != net_answer_len(a))
        return false;
    return !net_answer_good(a) || body_ok(a);
}
