/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "acme/persist.h"
#include "base/array.h"

/*
 * Reading and judging records (acme/persist.h). The grammar is that of RFC 8659
 * section 4.2:
 *
 *   issue-value = *WSP [issuer-domain-name *WSP] [";" *WSP [parameters *WSP]]
 *   parameters  = (parameter *WSP ";" *WSP parameters) / parameter
 *   parameter   = tag *WSP "=" *WSP value
 *   value       = *(%x21-3A / %x3C-7E)
 *
 * As a value has no semicolon, each one ends a part, and white space is what
 * stands at the ends of parts, tags and values.
 */

static int persist_refuse(enum persist_reason *ret_reason,
                          enum persist_reason reason)
{
    *ret_reason = reason;
    return REFUSED;
}

static bool is_wsp(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_wsp(text.data[0]))
        text = (struct bytes){ text.data + 1, text.len - 1 };
    while (text.len > 0 && is_wsp(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* What stands before the first @stop, or all; *ret_rest what stands after it,
 * NULL if there was none. */
static struct bytes cut(struct bytes text, char stop, struct bytes *ret_rest)
{
    const uint8_t *at = text.len ? memchr(text.data, stop, text.len) : NULL;
    size_t len = at ? (size_t)(at - text.data) : text.len;

    *ret_rest =
        at ? (struct bytes){ at + 1, text.len - len - 1 } : (struct bytes){ 0 };
    return (struct bytes){ text.data, len };
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static int compare_folded(struct bytes a, struct bytes b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int diff = lower(a.data[i]) - lower(b.data[i]);

        if (diff)
            return diff;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool same_folded(struct bytes a, const char *b)
{
    return compare_folded(a, bytes_from_str(b)) == 0;
}

static bool is_alnum(uint8_t c)
{
    uint8_t l = lower(c);

    return (l >= 'a' && l <= 'z') || (l >= '0' && l <= '9');
}

/* Of a tag, and of a label of the issuer's name. */
static bool is_ldh(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.data[i]) && text.data[i] != '-')
            return false;
    }
    return text.len > 0 && is_alnum(text.data[0]) &&
           is_alnum(text.data[text.len - 1]);
}

static bool is_host_name(struct bytes text)
{
    struct bytes rest = text;

    do {
        if (!is_ldh(cut(rest, '.', &rest)))
            return false;
    } while (rest.data);
    return true;
}

struct bytes persist_issuer(struct bytes value)
{
    struct bytes rest;

    return trim(cut(value, ';', &rest));
}

struct parameter {
    struct bytes tag, value;
};

struct parameters {
    struct parameter *items;
    size_t n;
};

static void parameters_deinit(struct parameters *p)
{
    free(p->items);
}

static int parameters_add(struct parameters *p, struct parameter one)
{
    struct parameter *items = array_grown(p->items, p->n, sizeof(*items));

    if (!items)
        return -ENOMEM;
    p->items = items;
    items[p->n++] = one;
    return 0;
}

static bool is_value(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return false;
    }
    return true;
}

static int persist_read_parameter(struct bytes text, struct parameter *ret,
                                  enum persist_reason *ret_reason)
{
    struct bytes rest;
    struct bytes tag = trim(cut(text, '=', &rest));
    struct bytes value = trim(rest);

    if (text.len == 0)
        return persist_refuse(ret_reason, PERSIST_REASON_EMPTY_PARAMETER);
    if (!rest.data)
        return persist_refuse(ret_reason, PERSIST_REASON_NO_EQUALS_SIGN);
    if (!is_ldh(tag))
        return persist_refuse(ret_reason, PERSIST_REASON_BAD_TAG);
    if (!is_value(value))
        return persist_refuse(ret_reason, PERSIST_REASON_BAD_PARAMETER_VALUE);
    *ret = (struct parameter){ tag, value };
    return 0;
}

static int parameter_compare(const void *a, const void *b)
{
    const struct parameter *pa = a, *pb = b;

    return compare_folded(pa->tag, pb->tag);
}

/* Sorted by tag: a value of 64 KiB has room for thousands, from anybody. */
static int persist_read_parameters(struct bytes text, struct parameters *ret,
                                   enum persist_reason *ret_reason)
{
    while (text.data) {
        struct parameter one;
        int r;

        r = persist_read_parameter(trim(cut(text, ';', &text)), &one,
                                   ret_reason);
        if (!r)
            r = parameters_add(ret, one);
        if (r)
            return r;
    }
    if (ret->n > 0)
        qsort(ret->items, ret->n, sizeof(*ret->items), parameter_compare);
    for (size_t i = 1; i < ret->n; i++) {
        if (compare_folded(ret->items[i - 1].tag, ret->items[i].tag) == 0)
            return persist_refuse(ret_reason,
                                  PERSIST_REASON_DUPLICATE_PARAMETER);
    }
    return 0;
}

/* { NULL, 0 } if it is not there. */
static struct bytes parameters_get(const struct parameters *p, const char *tag)
{
    for (size_t i = 0; i < p->n; i++) {
        if (same_folded(p->items[i].tag, tag))
            return p->items[i].value;
    }
    return (struct bytes){ 0 };
}

static bool read_seconds(struct bytes text, int64_t *ret)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c < '0' || c > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, c - '0', &n))
            return false;
    }
    *ret = n;
    return text.len > 0;
}

static int persist_read_until(struct bytes text, struct persist_parsed *ret,
                              enum persist_reason *ret_reason)
{
    if (!text.data)
        return 0;
    if (!read_seconds(text, &ret->until_s))
        return persist_refuse(ret_reason, PERSIST_REASON_BAD_PERSIST_UNTIL);
    ret->has_until = true;
    return 0;
}

static int copy(struct bytes text, char **ret)
{
    *ret = strndup((const char *)text.data, text.len);
    return *ret ? 0 : -ENOMEM;
}

int persist_parse(struct bytes value, struct persist_parsed *ret,
                  enum persist_reason *ret_reason)
{
    CLEANUP(parameters_deinit) struct parameters parameters = { 0 };
    struct persist_parsed p = { 0 };
    struct bytes rest, accounturi;
    struct bytes issuer = trim(cut(value, ';', &rest));
    int r;

    if (!is_host_name(issuer))
        return persist_refuse(ret_reason, PERSIST_REASON_BAD_ISSUER);
    r = persist_read_parameters(rest, &parameters, ret_reason);
    if (r)
        return r;
    accounturi = parameters_get(&parameters, "accounturi");
    if (accounturi.len == 0)
        return persist_refuse(ret_reason, PERSIST_REASON_NO_ACCOUNTURI);
    r = persist_read_until(parameters_get(&parameters, "persistUntil"), &p,
                           ret_reason);
    if (r)
        return r;
    p.wildcard = same_folded(parameters_get(&parameters, "policy"), "wildcard");

    r = copy(issuer, &p.issuer);
    if (!r)
        r = copy(accounturi, &p.accounturi);
    if (r) {
        persist_parsed_deinit(&p);
        return r;
    }
    *ret = p;
    return 0;
}

void persist_parsed_deinit(struct persist_parsed *p)
{
    free(p->issuer);
    free(p->accounturi);
    *p = (struct persist_parsed){ 0 };
}

static bool listed(const char *text, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(text, *list) == 0)
            return true;
    }
    return false;
}

/* With its dot at the end it still means this CA: malformed, not a stranger's.
 */
static bool persist_is_for(struct bytes value, const char *const *issuers)
{
    struct bytes issuer = persist_issuer(value);

    if (issuer.len > 0 && issuer.data[issuer.len - 1] == '.')
        issuer.len--;
    for (; *issuers; issuers++) {
        if (same_folded(issuer, *issuers))
            return true;
    }
    return false;
}

/* The order is that of the CAs, and that of the reasons. */
static int persist_check_authorizes(const struct persist_parsed *p,
                                    const struct persist_question *q,
                                    enum persist_reason *ret_reason)
{
    if (!listed(p->accounturi, q->accepted))
        return persist_refuse(ret_reason, PERSIST_REASON_OTHER_ACCOUNT);
    if (q->wildcard && !p->wildcard)
        return persist_refuse(ret_reason, PERSIST_REASON_NO_WILDCARD_POLICY);
    if (p->has_until && q->now_s > p->until_s)
        return persist_refuse(ret_reason, PERSIST_REASON_EXPIRED);
    return 0;
}

static int persist_judge_one(struct bytes value,
                             const struct persist_question *q,
                             enum persist_reason *ret_reason)
{
    CLEANUP_PERSIST_PARSED struct persist_parsed p = { 0 };
    int r;

    if (!persist_is_for(value, q->issuers))
        return persist_refuse(ret_reason, PERSIST_REASON_OTHER_ISSUER);
    r = persist_parse(value, &p, ret_reason);
    if (r)
        return r;
    return persist_check_authorizes(&p, q, ret_reason);
}

/* Malformed comes last in the table, and so before what is unauthorized. Of
 * several malformed records the first is told. */
static bool is_nearer(enum persist_reason one, enum persist_reason other)
{
    if (persist_reason_verdict(other) == PERSIST_MALFORMED)
        return false;
    return one > other;
}

int persist_judge(const struct bytes *values, size_t n_values,
                  const struct persist_question *q,
                  enum persist_verdict *ret_verdict,
                  enum persist_reason *ret_reason)
{
    enum persist_reason nearest = PERSIST_REASON_NO_RECORD;

    for (size_t i = 0; i < n_values; i++) {
        enum persist_reason reason = PERSIST_REASON_UNSET;
        int r = persist_judge_one(values[i], q, &reason);

        if (r < 0)
            return r;
        if (r == 0) {
            *ret_verdict = PERSIST_VALID;
            *ret_reason = PERSIST_REASON_UNSET;
            return 0;
        }
        if (is_nearer(reason, nearest))
            nearest = reason;
    }
    *ret_verdict = persist_reason_verdict(nearest);
    *ret_reason = nearest;
    return 0;
}
