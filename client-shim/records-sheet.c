/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-sheet.h"

#include <errno.h>
#include <string.h>

#include "acme/persist.h"
#include "client-shim/publish.h"
#include "client-shim/records-sheet-parts.h"
#include "client-shim/records-text.h"
#include "client-shim/records-until.h"

enum records_format records_format_parse(const char *word)
{
    static const char *const words[] = {
        [RECORDS_ZONE] = "zone",
        [RECORDS_NSUPDATE] = "nsupdate",
        [RECORDS_JSON] = "json",
        [RECORDS_BIND_POLICY] = "bind-policy",
    };

    for (unsigned i = RECORDS_ZONE; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i], word) == 0)
            return (enum records_format)i;
    }
    return RECORDS_FORMAT_UNSET;
}

struct records_sheet *records_sheet_free(struct records_sheet *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; s->groups && i < s->n_groups; i++) {
        for (unsigned p = 0; p < PART_COUNT; p++)
            buf_deinit(&s->groups[i].parts[p].text);
        json_decref(s->groups[i].seen);
    }
    free(s->groups);
    buf_deinit(&s->json);
    json_decref(s->staging);
    json_decref(s->granted);
    free(s);
    return NULL;
}

int records_sheet_new(const struct records_style *style,
                      struct records_sheet **ret)
{
    CLEANUP_RECORDS_SHEET struct records_sheet *s = calloc(1, sizeof(*s));
    size_t n = style->zones ? style->zones->n : 0;

    if (!s)
        return -ENOMEM;
    s->style = *style;
    s->n_groups = n + 1;
    s->groups = calloc(n + 1, sizeof(*s->groups));
    s->staging = json_object();
    s->granted = json_object();
    if (!s->groups || !s->staging || !s->granted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        s->groups[i].zone = &style->zones->items[i];
    for (size_t i = 0; i <= n; i++) {
        s->groups[i].seen = json_object();
        if (!s->groups[i].seen)
            return -ENOMEM;
    }
    *ret = TAKE_PTR(s);
    return 0;
}

size_t records_sheet_count(const struct records_sheet *s)
{
    return s->count;
}

static struct group *group_of(struct records_sheet *s, const struct zone *zone)
{
    return zone ? &s->groups[zone - s->style.zones->items]
                : &s->groups[s->n_groups - 1];
}

/* Whether this is the first time; -ENOMEM. */
static int see(json_t *seen, const char *what, bool *ret_first)
{
    *ret_first = !json_object_get(seen, what);
    return *ret_first && json_object_set_new(seen, what, json_true()) < 0
               ? -ENOMEM
               : 0;
}

/* ---- one record, in each format ---- */

struct entry {
    const struct records_value *value;
    const struct zone *zone;
    char write_owner[ZONE_OWNER_MAX];
    uint32_t ttl_s;
    const char *account_url;
};

static uint32_t ttl_in(const struct records_sheet *s, const struct zone *zone)
{
    if (s->style.has_ttl)
        return s->style.ttl_s;
    return zone ? zone->ttl_s : ZONE_TTL_DEFAULT_S;
}

static struct part *txt_part(struct group *g)
{
    return &g->parts[g->zone && g->zone->alias_zone ? PART_ALIAS : PART_OWN];
}

/* CAA stands at the domain, which can be in another zone than the record. */
static struct group *caa_group(struct records_sheet *s, const struct entry *e,
                               uint32_t *ret_ttl_s)
{
    const struct zone *zone =
        s->style.zones ? zones_find_name(s->style.zones, e->value->domain)
                       : NULL;

    *ret_ttl_s = ttl_in(s, zone);
    return group_of(s, zone);
}

static int add_cname(const struct entry *e, const char *prefix, struct group *g)
{
    bool first = false;
    int r;

    r = see(g->seen, e->value->owner, &first);
    if (r || !first)
        return r;
    return records_text_cname(prefix, e->value->owner, e->ttl_s, e->write_owner,
                              &g->parts[PART_OWN].text);
}

static int add_zone(struct records_sheet *s, const struct entry *e)
{
    struct group *g = group_of(s, e->zone);
    uint32_t ttl_s;
    int r = 0;

    if (e->zone && e->zone->alias_zone)
        r = add_cname(e, "", g);
    if (r == 0)
        r = records_text_txt("", e->write_owner, e->ttl_s, e->value->value,
                             &txt_part(g)->text);
    if (r || !e->account_url)
        return r;
    g = caa_group(s, e, &ttl_s);
    return records_text_caa("", e->value, ttl_s, e->account_url,
                            &g->parts[PART_OWN].text);
}

/*
 * An update is one DNS message, and one zone's. Where no file names the zone,
 * nsupdate finds it out from the first name, so each name is sent by itself.
 */
#define SEND_OCTETS (24 * 1024)

static int sent(struct part *p, const struct zone *zone, size_t before)
{
    p->unsent += p->text.len - before;
    if (zone && p->unsent < SEND_OCTETS)
        return 0;
    p->unsent = 0;
    return buf_append_str(&p->text, "send\n");
}

static int add_nsupdate(struct records_sheet *s, const struct entry *e)
{
    struct group *g = group_of(s, e->zone);
    struct part *p = txt_part(g);
    size_t before = p->text.len;
    uint32_t ttl_s;
    int r;

    r = records_text_txt("update add ", e->write_owner, e->ttl_s,
                         e->value->value, &p->text);
    if (r == 0)
        r = sent(p, g->zone, before);
    if (r || !e->account_url)
        return r;
    g = caa_group(s, e, &ttl_s);
    p = &g->parts[PART_CAA];
    before = p->text.len;
    r = records_text_caa("update add ", e->value, ttl_s, e->account_url,
                         &p->text);
    return r ? r : sent(p, g->zone, before);
}

static int add_json(struct records_sheet *s, const struct entry *e)
{
    const struct records_place place = {
        .zone = e->zone,
        .write_owner = e->write_owner,
        .ttl_s = e->ttl_s,
        .account_url = e->account_url,
    };
    int r;

    r = s->json.len ? buf_append_char(&s->json, ',') : 0;
    return r ? r : records_text_json(e->value, &place, &s->json);
}

/* For an alias zone one grant does for all: nothing else stands there. */
static int add_alias_policy(struct records_sheet *s, const struct entry *e,
                            struct group *g)
{
    CLEANUP_BUF struct buf grant = { 0 };
    bool first = false;
    int r;

    r = add_cname(e, "// ", g);
    if (r == 0)
        r = buf_printf(&grant, "%s %s", e->zone->tsig_name,
                       e->zone->alias_zone);
    if (r == 0)
        r = see(s->granted, buf_str(&grant), &first);
    if (r || !first)
        return r;
    return buf_printf(&g->parts[PART_ALIAS].text, "grant %s zonesub TXT;\n",
                      e->zone->tsig_name);
}

static int add_bind_policy(struct records_sheet *s, const struct entry *e)
{
    struct group *g = group_of(s, e->zone);
    struct buf *b = &g->parts[PART_OWN].text;
    bool first = false;
    int r;

    if (!e->zone || !e->zone->tsig_name)
        return RECORDS_SHEET_E_NO_KEY;
    if (e->zone->alias_zone)
        return add_alias_policy(s, e, g);
    r = see(g->seen, e->write_owner, &first);
    if (r == 0 && first)
        r = publish_bind_policy(e->zone, e->write_owner, b);
    return r || !first ? r : buf_append_char(b, '\n');
}

static int (*const adders[])(struct records_sheet *s, const struct entry *e) = {
    [RECORDS_ZONE] = add_zone,
    [RECORDS_NSUPDATE] = add_nsupdate,
    [RECORDS_JSON] = add_json,
    [RECORDS_BIND_POLICY] = add_bind_policy,
};

/* ---- what has no place ---- */

static int judge(const struct records_sheet *s, const struct records_value *v,
                 struct errmsg *reterr)
{
    const struct bytes value = bytes_from_str(v->value);
    const struct persist_question q = {
        .wildcard = v->wildcard,
        .issuers = (const char *const[]){ v->issuer, NULL },
        .accepted = (const char *const[]){ v->accounturi, NULL },
        .now_s = s->style.now_s,
    };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_UNSET;
    char until[RECORDS_TIME_MAX];
    int r;

    r = persist_judge(&value, 1, &q, &verdict, &reason);
    if (r || verdict == PERSIST_VALID)
        return r;
    records_time_format(v->until_s, until);
    errmsg_set(reterr, "%s: %s%s%s, so no CA would accept it (%s)", v->owner,
               persist_reason_text(reason),
               reason == PERSIST_REASON_EXPIRED ? ": " : "",
               reason == PERSIST_REASON_EXPIRED ? until : "",
               persist_reason_code(reason));
    return RECORDS_SHEET_E_LEFT_OUT;
}

static int check_caa(const struct records_value *v, const char *account_url,
                     struct errmsg *reterr)
{
    CLEANUP_BUF struct buf value = { 0 };
    int r;

    r = account_url ? records_caa_value(v->issuer, account_url, &value) : 0;
    if (r != RECORDS_TEXT_E_URL)
        return r;
    errmsg_set(reterr,
               "%s: the URL of account %s has a character that cannot stand in "
               "CAA",
               v->owner, v->account);
    return RECORDS_SHEET_E_LEFT_OUT;
}

static int find_place(const struct records_sheet *s,
                      const struct records_value *v, struct entry *e,
                      struct errmsg *reterr)
{
    int r;

    e->zone = s->style.zones ? zones_find(s->style.zones, v->domain) : NULL;
    e->ttl_s = ttl_in(s, e->zone);
    r = zone_write_owner(e->zone, v->domain, e->write_owner);
    if (r != ZONE_E_LONG)
        return r;
    errmsg_set(reterr,
               "%s: the name at which it is written is too long for DNS",
               v->owner);
    return RECORDS_SHEET_E_LEFT_OUT;
}

int records_sheet_add(struct records_sheet *s, const struct records_value *v,
                      const char *account_url, struct errmsg *reterr)
{
    struct entry e = { .value = v, .account_url = account_url };
    int r;

    if (v->denied) {
        errmsg_set(
            reterr,
            "%s: %s is denied, itself or by a name above it (NameDeny or "
            "[Deny]), so nothing is signed for it",
            v->owner, v->domain);
        return RECORDS_SHEET_E_LEFT_OUT;
    }
    r = judge(s, v, reterr);
    if (r == 0)
        r = check_caa(v, account_url, reterr);
    if (r == 0)
        r = find_place(s, v, &e, reterr);
    if (r == 0)
        r = adders[s->style.format](s, &e);
    if (r)
        return r;
    if (v->staging &&
        json_object_set_new(s->staging, v->account, json_true()) < 0)
        return -ENOMEM;
    s->count++;
    return 0;
}
