/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Numbers are of 32 bits in the order of this machine, on which both ends are;
 * strings stand after their length with their NUL. A reader is a cursor that
 * turns bad at the first thing that does not fit, and stays so.
 */
#include "client-shim/dns-wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* In place of an owner's length: the same as of the record before. */
#define SAME_OWNER UINT32_MAX

static int put_u32(struct buf *b, uint32_t n)
{
    return buf_append(b, &n, sizeof(n));
}

static int put_bytes(struct buf *b, struct bytes s)
{
    int r = put_u32(b, (uint32_t)s.len);

    return r || s.len == 0 ? r : buf_append(b, s.data, s.len);
}

static int put_str(struct buf *b, const char *s)
{
    struct bytes with_nul = { (const uint8_t *)s, strlen(s) + 1 };

    return put_bytes(b, with_nul);
}

static int put_head(struct buf *b, enum dns_wire_kind kind, uint32_t id)
{
    int r = put_u32(b, kind);

    return r ? r : put_u32(b, id);
}

struct cursor {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static void take(struct cursor *c, void *to, size_t n)
{
    if (c->bad || n > c->left) {
        c->bad = true;
        memset(to, 0, n);
        return;
    }
    memcpy(to, c->p, n);
    c->p += n;
    c->left -= n;
}

static uint32_t take_u32(struct cursor *c)
{
    uint32_t n = 0;

    take(c, &n, sizeof(n));
    return n;
}

/* A yes or no is 1 or 0. */
static bool take_bool(struct cursor *c)
{
    uint32_t n = take_u32(c);

    c->bad = c->bad || n > 1;
    return n == 1;
}

static struct bytes take_n(struct cursor *c, size_t n)
{
    struct bytes s = { c->p, n };

    if (c->bad || n > c->left) {
        c->bad = true;
        return (struct bytes){ 0 };
    }
    c->p += n;
    c->left -= n;
    return s;
}

static struct bytes take_bytes(struct cursor *c)
{
    return take_n(c, take_u32(c));
}

/* Printable ASCII of at most @max octets, and where it is a name, no blank and
 * no capital. */
static const char *str_of(struct cursor *c, struct bytes s, size_t max,
                          bool name)
{
    c->bad = c->bad || s.len < 1 || s.len > max + 1 || s.data[s.len - 1];
    for (size_t i = 0; !c->bad && i < s.len - 1; i++) {
        uint8_t ch = s.data[i];

        c->bad = ch < 0x20 || ch > 0x7e ||
                 (name && (ch == ' ' || (ch >= 'A' && ch <= 'Z')));
    }
    return c->bad ? "" : (const char *)s.data;
}

static const char *take_name(struct cursor *c)
{
    const char *s = str_of(c, take_bytes(c), DNS_NAME_TEXT_MAX, true);

    c->bad = c->bad || !s[0];
    return s;
}

static const char *take_text(struct cursor *c, size_t max)
{
    return str_of(c, take_bytes(c), max, false);
}

static struct dns_server take_server(struct cursor *c)
{
    struct dns_server s = { 0 };

    take(c, &s, sizeof(s));
    if (s.family != 0 && s.family != AF_INET && s.family != AF_INET6)
        c->bad = true;
    if ((s.family == 0) != (s.port == 0))
        c->bad = true;
    return s;
}

int dns_wire_put_query(struct buf *b, uint32_t id, const struct dns_query *q)
{
    int r = put_head(b, DNS_WIRE_QUERY, id);

    if (r == 0)
        r = buf_append(b, &q->server, sizeof(q->server));
    if (r == 0)
        r = put_u32(b, q->type);
    if (r == 0)
        r = put_u32(b, q->recurse);
    if (r == 0)
        r = put_u32(b, q->without_checking);
    return r ? r : put_str(b, q->name);
}

static void read_query(struct cursor *c, struct dns_query *q)
{
    q->server = take_server(c);
    q->type = (enum dns_type)take_u32(c);
    q->recurse = take_bool(c);
    q->without_checking = take_bool(c);
    q->name = take_name(c);
    c->bad = c->bad || q->type == DNS_TYPE_UNSET || q->type > UINT16_MAX;
}

static int put_change(struct buf *b, const struct dns_change *c)
{
    int r = put_u32(b, c->remove);

    if (r == 0)
        r = put_u32(b, c->ttl_s);
    if (r == 0)
        r = put_str(b, c->owner);
    return r ? r : put_bytes(b, c->rdata);
}

int dns_wire_put_update(struct buf *b, uint32_t id, const struct dns_update *u)
{
    int r = put_head(b, DNS_WIRE_UPDATE, id);

    if (r == 0)
        r = buf_append(b, &u->server, sizeof(u->server));
    if (r == 0)
        r = put_str(b, u->zone);
    if (r == 0)
        r = put_str(b, u->key_name);
    if (r == 0)
        r = put_str(b, u->algorithm);
    if (r == 0)
        r = put_u32(b, (uint32_t)u->n_changes);
    for (size_t i = 0; r == 0 && i < u->n_changes; i++)
        r = put_change(b, &u->changes[i]);
    if (r == 0 && b->len > DNS_WIRE_REQUEST_MAX)
        return -E2BIG;
    return r;
}

static void read_change(struct cursor *c, struct dns_change *ret)
{
    ret->remove = take_bool(c);
    ret->ttl_s = take_u32(c);
    ret->owner = take_name(c);
    ret->rdata = take_bytes(c);
    c->bad = c->bad || !dns_txt_ok(ret->rdata);
}

static void read_update(struct cursor *c, struct dns_wire_request *ret)
{
    struct dns_update *u = &ret->update;

    u->server = take_server(c);
    u->zone = take_name(c);
    u->key_name = take_name(c);
    u->algorithm = take_name(c);
    u->n_changes = take_u32(c);
    u->changes = ret->changes;
    c->bad = c->bad || u->server.family == 0 || u->n_changes < 1 ||
             u->n_changes > ARRAY_LEN(ret->changes);
    for (size_t i = 0; !c->bad && i < u->n_changes; i++)
        read_change(c, &ret->changes[i]);
}

bool dns_wire_read_request(struct bytes message, struct dns_wire_request *ret)
{
    struct cursor c = { message.data, message.len, false };

    *ret = (struct dns_wire_request){ 0 };
    ret->kind = (enum dns_wire_kind)take_u32(&c);
    ret->id = take_u32(&c);
    if (ret->kind == DNS_WIRE_QUERY)
        read_query(&c, &ret->query);
    else if (ret->kind == DNS_WIRE_UPDATE)
        read_update(&c, ret);
    else
        c.bad = true;
    return !c.bad && c.left == 0;
}

int dns_wire_put_answer(struct buf *b, uint32_t id, const struct dns_answer *a,
                        struct dns_wire_writer *ret)
{
    const uint32_t numbers[] = { a->status,        a->rcode, a->authoritative,
                                 a->authenticated, a->local, a->is_signed };
    int r = put_head(b, DNS_WIRE_ANSWER, id);

    if (r == 0)
        r = buf_append(b, numbers, sizeof(numbers));
    if (r == 0)
        r = put_str(b, a->text);
    *ret = (struct dns_wire_writer){ .b = b, .n_at = b->len };
    return r ? r : put_u32(b, 0);
}

static int put_owner(struct dns_wire_writer *w, const char *owner)
{
    size_t len = strlen(owner) + 1;
    int r;

    if (w->owner_len == len &&
        memcmp(w->b->data + w->owner_at, owner, len) == 0)
        return put_u32(w->b, SAME_OWNER);
    r = put_str(w->b, owner);
    w->owner_at = w->b->len - len;
    w->owner_len = len;
    return r;
}

static int put_rdata(struct buf *b, const struct dns_rr *rr)
{
    int r = 0;

    switch (rr->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        return buf_append(b, &rr->server, sizeof(rr->server));
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
        return put_str(b, rr->name);
    case DNS_TYPE_SOA:
        r = put_u32(b, rr->number);
        if (r == 0)
            r = put_u32(b, rr->serial);
        return r ? r : put_str(b, rr->name);
    case DNS_TYPE_TXT:
        return put_bytes(b, rr->rdata);
    case DNS_TYPE_CAA:
        r = put_u32(b, rr->number);
        if (r == 0)
            r = put_str(b, rr->name);
        return r ? r : put_bytes(b, rr->text);
    case DNS_TYPE_UNSET:
    default:
        return -EINVAL;
    }
}

int dns_wire_put_rr(struct dns_wire_writer *w, const struct dns_rr *rr)
{
    int r = put_u32(w->b, rr->type);

    if (r == 0)
        r = put_u32(w->b, rr->authority);
    if (r == 0)
        r = put_u32(w->b, rr->ttl_s);
    if (r == 0)
        r = put_owner(w, rr->owner);
    if (r == 0)
        r = put_rdata(w->b, rr);
    w->n_rrs++;
    return r == 0 && w->b->len > DNS_ANSWER_MAX ? -E2BIG : r;
}

void dns_wire_end_answer(struct dns_wire_writer *w)
{
    memcpy(w->b->data + w->n_at, &w->n_rrs, sizeof(w->n_rrs));
}

static void read_rdata(struct cursor *c, struct dns_rr *rr)
{
    switch (rr->type) {
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        rr->server = take_server(c);
        c->bad = c->bad || rr->server.family == 0;
        break;
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
        rr->name = take_name(c);
        break;
    case DNS_TYPE_SOA:
        rr->number = take_u32(c);
        rr->serial = take_u32(c);
        rr->name = take_name(c);
        break;
    case DNS_TYPE_TXT:
        rr->rdata = take_bytes(c);
        c->bad = c->bad || !dns_txt_ok(rr->rdata);
        break;
    case DNS_TYPE_CAA:
        rr->number = take_u32(c);
        rr->name = take_text(c, UINT8_MAX);
        rr->text = take_bytes(c);
        c->bad = c->bad || rr->number > UINT8_MAX;
        break;
    case DNS_TYPE_UNSET:
    default:
        c->bad = true;
        break;
    }
}

static void read_rr(struct cursor *c, const struct dns_rr *before,
                    struct dns_rr *rr)
{
    uint32_t len;

    rr->type = (enum dns_type)take_u32(c);
    rr->authority = take_bool(c);
    rr->ttl_s = take_u32(c);
    len = take_u32(c);
    if (len == SAME_OWNER && before)
        rr->owner = before->owner;
    else
        rr->owner = str_of(c, take_n(c, len), DNS_NAME_TEXT_MAX, true);
    c->bad = c->bad || !rr->owner[0];
    read_rdata(c, rr);
}

/* The smallest record there can be: a count is no reason to allocate more. */
#define RR_MIN 20

static int read_rrs(struct cursor *c, struct dns_answer *a)
{
    size_t n = take_u32(c);
    int r;

    if (c->bad || n > c->left / RR_MIN)
        return DNS_WIRE_E_INVALID;
    a->rrs = calloc(n ? n : 1, sizeof(*a->rrs));
    if (!a->rrs)
        return -ENOMEM;
    a->n_rrs = n;
    /* Grown here, once, so that texts stay where they are. */
    r = buf_reserve(&a->joined, c->left);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct dns_rr *rr = &a->rrs[i];
        size_t at = a->joined.len;

        read_rr(c, i ? rr - 1 : NULL, rr);
        if (c->bad)
            return DNS_WIRE_E_INVALID;
        if (rr->type != DNS_TYPE_TXT)
            continue;
        r = dns_txt_join(rr->rdata, &a->joined);
        rr->text = (struct bytes){ a->joined.data + at, a->joined.len - at };
    }
    return r;
}

static int read_answer(struct cursor *c, uint32_t *ret_id, struct dns_answer *a)
{
    int r;

    if (take_u32(c) != DNS_WIRE_ANSWER)
        return DNS_WIRE_E_INVALID;
    *ret_id = take_u32(c);
    a->status = (enum dns_status)take_u32(c);
    a->rcode = take_u32(c);
    a->authoritative = take_bool(c);
    a->authenticated = take_bool(c);
    a->local = take_bool(c);
    a->is_signed = take_bool(c);
    (void)snprintf(a->text, sizeof(a->text), "%s", take_text(c, DNS_TEXT_MAX));
    if (c->bad || a->status == DNS_STATUS_UNSET ||
        a->status >= DNS_STATUS_COUNT || a->rcode > 0xfff)
        return DNS_WIRE_E_INVALID;
    r = read_rrs(c, a);
    if (r)
        return r;
    return c->bad || c->left || (a->status != DNS_OK && a->n_rrs)
               ? DNS_WIRE_E_INVALID
               : 0;
}

int dns_wire_read_answer(struct bytes message, uint32_t *ret_id,
                         struct dns_answer *ret)
{
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    struct cursor c;
    int r;

    if (message.len > DNS_ANSWER_MAX + 1024)
        return DNS_WIRE_E_INVALID;
    r = buf_append(&a.storage, message.data, message.len);
    if (r)
        return r;
    c = (struct cursor){ a.storage.data, a.storage.len, false };
    r = read_answer(&c, ret_id, &a);
    if (r)
        return r;
    *ret = a;
    a = (struct dns_answer){ 0 };
    return 0;
}

int dns_wire_put_result(struct buf *b, uint32_t id,
                        const struct dns_update_result *u)
{
    const uint32_t numbers[] = { u->status, u->rcode, u->tsig_error,
                                 u->unknown };
    int r = put_head(b, DNS_WIRE_RESULT, id);

    if (r == 0)
        r = buf_append(b, numbers, sizeof(numbers));
    return r ? r : put_str(b, u->text);
}

int dns_wire_read_result(struct bytes message, uint32_t *ret_id,
                         struct dns_update_result *ret)
{
    struct cursor c = { message.data, message.len, false };
    struct dns_update_result u = { 0 };

    if (take_u32(&c) != DNS_WIRE_RESULT)
        return DNS_WIRE_E_INVALID;
    *ret_id = take_u32(&c);
    u.status = (enum dns_status)take_u32(&c);
    u.rcode = take_u32(&c);
    u.tsig_error = take_u32(&c);
    u.unknown = take_bool(&c);
    (void)snprintf(u.text, sizeof(u.text), "%s", take_text(&c, DNS_TEXT_MAX));
    if (c.bad || c.left || u.status == DNS_STATUS_UNSET ||
        u.status >= DNS_STATUS_COUNT || u.rcode > 0xfff ||
        u.tsig_error > UINT16_MAX || (u.status == DNS_OK && u.unknown))
        return DNS_WIRE_E_INVALID;
    *ret = u;
    return 0;
}
