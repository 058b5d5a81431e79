/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/directory-changes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit-line.h"

/* Of a value that does not fit into a line; before it stands which part. */
#define PART_MAX (AUDIT_TEXT_MAX - 64)

struct comparison {
    json_t *changes, *lines;
    bool first; /* nothing was known: no change, but something new */
};

static int add_line(json_t *lines, const struct buf *b)
{
    json_t *line = json_stringn((const char *)b->data, b->len);

    return json_array_append_new(lines, line) < 0 ? -ENOMEM : 0;
}

/* Never within a character. */
static size_t part_len(const char *value)
{
    size_t n = strlen(value);

    if (n <= PART_MAX)
        return n;
    for (n = PART_MAX; n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80;)
        n--;
    return n > 0 ? n : PART_MAX;
}

/* "caaIdentities, new (2): " and what of it has room. */
static int add_parts(json_t *lines, const char *name, const char *which,
                     const char *value)
{
    int r = 0;

    for (unsigned i = 1; r == 0 && *value; i++) {
        CLEANUP_BUF struct buf b = { 0 };
        size_t n = part_len(value);

        r = buf_printf(&b, "%s%s (%u): ", name, which, i);
        if (r == 0)
            r = buf_append(&b, value, n);
        if (r == 0)
            r = add_line(lines, &b);
        value += n;
    }
    return r;
}

/* The new value before the old one, which somebody may have made long. */
static int add_long(const struct comparison *c, const char *name,
                    const char *from, const char *to)
{
    int r = add_parts(c->lines, name, c->first ? "" : ", new", to);

    return r || c->first ? r : add_parts(c->lines, name, ", old", from);
}

static int compare(const struct comparison *c, const char *name,
                   const char *from, const char *to)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    from = from && *from ? from : "none";
    to = to && *to ? to : "none";
    if (strcmp(from, to) == 0)
        return 0;
    r = c->first ? buf_printf(&b, "%s: %s", name, to)
                 : buf_printf(&b, "%s: %s -> %s", name, from, to);
    if (r == 0 && !c->first)
        r = add_line(c->changes, &b);
    if (r)
        return r;
    return b.len <= AUDIT_TEXT_MAX ? add_line(c->lines, &b)
                                   : add_long(c, name, from, to);
}

static int compare_lists(const struct comparison *c, const char *name,
                         char *const *from, char *const *to)
{
    CLEANUP_BUF struct buf a = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    int r = 0;

    for (; r == 0 && from && *from; from++)
        r = buf_printf(&a, "%s%s", a.len ? " " : "", *from);
    for (; r == 0 && to && *to; to++)
        r = buf_printf(&b, "%s%s", b.len ? " " : "", *to);
    return r ? r : compare(c, name, buf_str(&a), buf_str(&b));
}

static const char *flag_word(bool flag)
{
    return flag ? "true" : "false";
}

static int compare_meta(const struct comparison *c,
                        const struct acme_meta *from,
                        const struct acme_meta *to)
{
    int r;

    r = compare(c, "termsOfService", from->terms, to->terms);
    if (r == 0)
        r = compare(c, "externalAccountRequired",
                    c->first ? NULL
                             : flag_word(from->external_account_required),
                    flag_word(to->external_account_required));
    if (r == 0)
        r = compare(c, "accountHashPrefix", from->account_hash_prefix,
                    to->account_hash_prefix);
    if (r == 0)
        r = compare_lists(c, "issuerDomainNames", from->issuers, to->issuers);
    if (r == 0)
        r = compare_lists(c, "caaIdentities", from->caa_identities,
                          to->caa_identities);
    return r ? r : compare_lists(c, "profiles", from->profiles, to->profiles);
}

static int compare_endpoints(const struct comparison *c,
                             const struct acme_account *from,
                             const struct acme_account *to)
{
    static const struct {
        const char *name;
        enum acme_endpoint which;
    } endpoints[] = {
        { "newNonce", ACME_ENDPOINT_NEW_NONCE },
        { "newAccount", ACME_ENDPOINT_NEW_ACCOUNT },
        { "newOrder", ACME_ENDPOINT_NEW_ORDER },
        { "newAuthz", ACME_ENDPOINT_NEW_AUTHZ },
        { "revokeCert", ACME_ENDPOINT_REVOKE_CERT },
        { "keyChange", ACME_ENDPOINT_KEY_CHANGE },
        { "renewalInfo", ACME_ENDPOINT_RENEWAL_INFO },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(endpoints); i++)
        r = compare(c, endpoints[i].name,
                    acme_account_endpoint(from, endpoints[i].which),
                    acme_account_endpoint(to, endpoints[i].which));
    return r;
}

int directory_changes(const struct store_account *from,
                      const struct store_account *to, json_t *changes,
                      json_t *lines)
{
    struct comparison c = { changes, lines, !from->acme.directory.new_order };
    int r = compare_endpoints(&c, &from->acme, &to->acme);

    if (r || !to->meta_known)
        return r;
    c.first = !from->meta_known;
    return compare_meta(&c, &from->meta, &to->meta);
}
