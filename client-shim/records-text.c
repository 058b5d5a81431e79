/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-text.h"

#include <string.h>

#include "acme/persist.h"

/*
 * Domains and zone names are host names in normal form, so that they need no
 * escapes in a zone file; values are quoted by persist_split().
 */

int records_text_txt(const char *prefix, const char *owner, uint32_t ttl_s,
                     const char *value, struct buf *b)
{
    int r;

    r = buf_printf(b, "%s%s. %u IN TXT ", prefix, owner, ttl_s);
    if (r == 0)
        r = persist_split(bytes_from_str(value), b);
    return r ? r : buf_append_char(b, '\n');
}

int records_text_cname(const char *prefix, const char *owner, uint32_t ttl_s,
                       const char *target, struct buf *b)
{
    return buf_printf(b, "%s%s. %u IN CNAME %s.\n", prefix, owner, ttl_s,
                      target);
}

/* RFC 8659 section 4.2: VCHAR without ";". And no quotes or backslashes, which
 * no URL has and which a zone file would read otherwise. */
static bool stands_in_caa(const char *url)
{
    for (const char *p = url; *p; p++) {
        if (*p <= 0x20 || *p >= 0x7f || strchr(";\"\\", *p))
            return false;
    }
    return *url;
}

int records_caa_value(const char *issuer, const char *account_url,
                      struct buf *ret)
{
    if (!stands_in_caa(account_url))
        return RECORDS_TEXT_E_URL;
    return buf_printf(ret,
                      "%s; accounturi=%s; validationmethods=dns-persist-01",
                      issuer, account_url);
}

int records_text_caa(const char *prefix, const struct records_value *v,
                     uint32_t ttl_s, const char *account_url, struct buf *b)
{
    CLEANUP_BUF struct buf value = { 0 };
    int r;

    r = records_caa_value(v->issuer, account_url, &value);
    if (r == 0)
        r = buf_printf(b, "%s%s. %u IN CAA 0 issue \"%s\"\n", prefix, v->domain,
                       ttl_s, buf_str(&value));
    if (r == 0 && v->wildcard)
        r = buf_printf(b, "%s%s. %u IN CAA 0 issuewild \"%s\"\n", prefix,
                       v->domain, ttl_s, buf_str(&value));
    return r;
}

/* ---- JSON ---- */

static int json_text(struct buf *b, const char *name, const char *value)
{
    int r;

    if (!value)
        return 0;
    r = buf_printf(
        b, "%s\"%s\":", b->len && b->data[b->len - 1] != '{' ? "," : "", name);
    return r ? r : buf_append_json(b, bytes_from_str(value));
}

static int json_bool(struct buf *b, const char *name, bool value)
{
    return buf_printf(b, ",\"%s\":%s", name, value ? "true" : "false");
}

/* The strings of the TXT record, as they are, for what writes them itself. */
static int json_strings(struct buf *b, const char *value)
{
    size_t len = strlen(value);
    int r;

    r = buf_append_str(b, ",\"strings\":[");
    for (size_t done = 0; r == 0 && done < len; done += PERSIST_STRING_MAX) {
        size_t left = len - done;
        struct bytes part = { (const uint8_t *)value + done, left };

        if (left > PERSIST_STRING_MAX)
            part.len = PERSIST_STRING_MAX;
        r = done ? buf_append_char(b, ',') : 0;
        if (r == 0)
            r = buf_append_json(b, part);
    }
    return r ? r : buf_append_char(b, ']');
}

static int json_caa_one(struct buf *b, const struct records_value *v,
                        const char *tag, const char *value)
{
    int r;

    r = buf_append_str(b, "{");
    if (r == 0)
        r = json_text(b, "owner", v->domain);
    if (r == 0)
        r = buf_append_str(b, ",\"flags\":0");
    if (r == 0)
        r = json_text(b, "tag", tag);
    if (r == 0)
        r = json_text(b, "value", value);
    return r ? r : buf_append_char(b, '}');
}

static int json_caa(struct buf *b, const struct records_value *v,
                    const char *account_url)
{
    CLEANUP_BUF struct buf value = { 0 };
    int r;

    if (!account_url)
        return 0;
    r = records_caa_value(v->issuer, account_url, &value);
    if (r == 0)
        r = buf_append_str(b, ",\"caa\":[");
    if (r == 0)
        r = json_caa_one(b, v, "issue", buf_str(&value));
    if (r == 0 && v->wildcard)
        r = buf_append_char(b, ',');
    if (r == 0 && v->wildcard)
        r = json_caa_one(b, v, "issuewild", buf_str(&value));
    return r ? r : buf_append_char(b, ']');
}

static int json_facts(struct buf *b, const struct records_value *v)
{
    int r;

    r = json_text(b, "account", v->account);
    if (r == 0)
        r = json_text(b, "domain", v->domain);
    if (r == 0)
        r = json_text(b, "issuer", v->issuer);
    if (r == 0)
        r = json_bool(b, "wildcard", v->wildcard);
    if (r == 0)
        r = json_bool(b, "reusable", v->reusable);
    if (r == 0 && v->until_s)
        r = buf_printf(b, ",\"persistUntil\":%lld", (long long)v->until_s);
    if (r == 0)
        r = json_text(b, "form", v->key_bound ? "key-bound" : "url");
    if (r == 0)
        r = json_bool(b, "staging", v->staging);
    if (r == 0)
        r = json_text(b, "accounturi", v->accounturi);
    return r;
}

static int json_place(struct buf *b, const struct records_value *v,
                      const struct records_place *p)
{
    int r;

    r = json_text(b, "owner", v->owner);
    if (r == 0 && strcmp(v->owner, p->write_owner) != 0)
        r = json_text(b, "cname", p->write_owner);
    if (r == 0)
        r = buf_printf(b, ",\"ttl\":%u", p->ttl_s);
    if (r == 0 && p->zone)
        r = json_text(b, "zone", p->zone->name);
    if (r == 0 && p->zone)
        r = json_text(b, "zoneFile", p->zone->file);
    return r;
}

int records_text_json(const struct records_value *v,
                      const struct records_place *place, struct buf *b)
{
    int r;

    r = buf_append_char(b, '{');
    if (r == 0)
        r = json_facts(b, v);
    if (r == 0)
        r = json_place(b, v, place);
    if (r == 0)
        r = json_text(b, "value", v->value);
    if (r == 0)
        r = json_strings(b, v->value);
    if (r == 0)
        r = json_caa(b, v, place->account_url);
    return r ? r : buf_append_char(b, '}');
}
