/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/caa-judge.h"

#include <string.h>
#include <strings.h>

#define METHOD "dns-persist-01"
#define FLAG_CRITICAL 128

static const struct {
    bool allows;
    const char *code, *words;
} table[CAA_COUNT] = { [CAA_UNSET] = { false, "unset", "nothing" },
#define X(name, allows, code, words) [CAA_##name] = { allows, code, words },
                       CAA_TABLE(X)
#undef X
};

bool caa_allows(enum caa_meaning m)
{
    return table[m].allows;
}

const char *caa_code(enum caa_meaning m)
{
    return table[m].code;
}

const char *caa_words(enum caa_meaning m)
{
    return table[m].words;
}

static struct bytes trim(struct bytes t)
{
    while (t.len && (t.data[0] == ' ' || t.data[0] == '\t'))
        t = (struct bytes){ t.data + 1, t.len - 1 };
    while (t.len && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* Up to @stop, trimmed; the rest stays in *text, { NULL, 0 } at its end. */
static struct bytes next(struct bytes *text, char stop)
{
    const uint8_t *at = text->len ? memchr(text->data, stop, text->len) : NULL;
    size_t len = at ? (size_t)(at - text->data) : text->len;
    struct bytes part = { text->data, len };

    *text = at ? (struct bytes){ at + 1, text->len - len - 1 }
               : (struct bytes){ 0 };
    return trim(part);
}

static bool same(struct bytes a, const char *b)
{
    return a.len == strlen(b) &&
           strncasecmp((const char *)a.data, b, a.len) == 0;
}

static bool lists_method(struct bytes list)
{
    while (list.data) {
        if (same(next(&list, ','), METHOD))
            return true;
    }
    return false;
}

/* One parameter of a property that names the CA: what it leaves of @m. */
static enum caa_meaning narrow(enum caa_meaning m, struct bytes parameter,
                               const struct caa_question *q)
{
    struct bytes tag = next(&parameter, '=');
    struct bytes value = trim(parameter);

    if (same(tag, "accounturi")) {
        if (!q->account_url || !bytes_eq_str(value, q->account_url))
            return CAA_OTHER_ACCOUNT;
        return m == CAA_ISSUER ? CAA_ACCOUNT : m;
    }
    if (same(tag, "validationmethods") && !lists_method(value))
        return CAA_OTHER_METHOD;
    return m;
}

/* One issue or issuewild property. */
static enum caa_meaning judge_one(struct bytes value,
                                  const struct caa_question *q)
{
    struct bytes issuer = next(&value, ';');
    enum caa_meaning m = CAA_ISSUER;

    if (issuer.len == 0)
        return CAA_NOBODY;
    if (!same(issuer, q->issuer))
        return CAA_OTHER_ISSUER;
    while (value.data && table[m].allows)
        m = narrow(m, next(&value, ';'), q);
    return m;
}

static bool has_tag(const struct dns_value *records, size_t n, const char *tag)
{
    for (size_t i = 0; i < n; i++) {
        if (records[i].tag && strcasecmp(records[i].tag, tag) == 0)
            return true;
    }
    return false;
}

static bool has_unknown_critical(const struct dns_value *records, size_t n)
{
    static const char *const known[] = { "issue",       "issuewild",
                                         "iodef",       "issuemail",
                                         "issuevmc",    "contactemail",
                                         "contactphone" };

    for (size_t i = 0; i < n; i++) {
        bool found = !(records[i].number & FLAG_CRITICAL) || !records[i].tag;

        for (size_t k = 0; !found && k < ARRAY_LEN(known); k++)
            found = strcasecmp(records[i].tag, known[k]) == 0;
        if (!found)
            return true;
    }
    return false;
}

/* The one that allows most; else the one that comes nearest to that, which is
 * the last in the table's order but for "nobody". */
static bool is_nearer(enum caa_meaning one, enum caa_meaning than)
{
    if (table[one].allows || table[than].allows)
        return table[one].allows && (!table[than].allows || one == CAA_ISSUER);
    if (than == CAA_UNSET || than == CAA_NOBODY)
        return true;
    return one != CAA_NOBODY && one > than;
}

enum caa_meaning caa_judge(const struct dns_value *records, size_t n,
                           const struct caa_question *q)
{
    const char *tag =
        q->wildcard && has_tag(records, n, "issuewild") ? "issuewild" : "issue";
    enum caa_meaning best = CAA_UNSET;

    if (has_unknown_critical(records, n))
        return CAA_CRITICAL;
    for (size_t i = 0; i < n; i++) {
        enum caa_meaning m;

        if (!records[i].tag || strcasecmp(records[i].tag, tag) != 0)
            continue;
        m = judge_one(buf_bytes(&records[i].text), q);
        if (is_nearer(m, best))
            best = m;
    }
    return best == CAA_UNSET ? CAA_NONE : best;
}
