/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/record-value.h"

#include <stdio.h>
#include <string.h>

#include "acme/persist.h"
#include "daemon/record-rules.h"

#define FORM_URL "url"
#define FORM_KEY_BOUND "key-bound"

static int put_text(struct buf *b, const char *before, const char *text)
{
    int r = buf_append_str(b, before);

    return r ? r : buf_append_json(b, bytes_from_str(text));
}

static int put_flag(struct buf *b, const char *before, bool flag)
{
    int r = buf_append_str(b, before);

    return r ? r : buf_append_str(b, flag ? "true" : "false");
}

static int put_until(struct buf *b, int64_t until_s)
{
    char text[24];
    int r;

    if (until_s == 0)
        return buf_append_str(b, ",\"persistUntil\":null");
    (void)snprintf(text, sizeof(text), "%lld", (long long)until_s);
    r = buf_append_str(b, ",\"persistUntil\":");
    return r ? r : buf_append_str(b, text);
}

int record_put_facts(struct buf *b, const struct store_record *x)
{
    int r;

    r = put_text(b, "{\"account\":", x->account);
    if (r == 0)
        r = put_text(b, ",\"domain\":", x->domain);
    if (r == 0)
        r = put_text(b, ",\"issuer\":", x->issuer);
    if (r == 0)
        r = put_flag(b, ",\"wildcard\":", x->wildcard);
    if (r == 0)
        r = put_flag(b, ",\"reusable\":", x->reusable);
    return r ? r : put_until(b, x->until_s);
}

bool record_form_ok(const char *form)
{
    return strcmp(form, FORM_URL) == 0 || strcmp(form, FORM_KEY_BOUND) == 0;
}

int record_source_init(struct record_source *s,
                       const struct store_account *account, const char *form)
{
    bool has_prefix = account->meta.account_hash_prefix;
    bool key_bound = form ? strcmp(form, FORM_KEY_BOUND) == 0 : has_prefix;

    if (key_bound && !has_prefix)
        return REFUSED;
    *s = (struct record_source){ .account = account,
                                 .thumbprint = account->acme.thumbprint,
                                 .url = account->acme.account_url,
                                 .key_bound = key_bound,
                                 .staging = record_is_staging(account) };
    return 0;
}

void record_source_deinit(struct record_source *s)
{
    buf_deinit(&s->accounturi);
    buf_deinit(&s->value);
    *s = (struct record_source){ 0 };
}

/* The URL itself, or bound to domain and key. */
static int make_accounturi(struct record_source *s,
                           const struct store_record *x,
                           struct refusal *ret_refusal)
{
    buf_clear(&s->accounturi);
    if (!s->key_bound)
        return buf_append_str(&s->accounturi, s->url);
    return persist_accounturi(s->account->meta.account_hash_prefix,
                              x->reusable ? "*" : x->domain, s->thumbprint,
                              s->url, &s->accounturi, ret_refusal);
}

static int make_value(struct record_source *s, const struct store_record *x,
                      struct refusal *ret_refusal)
{
    struct persist_record record = { .issuer = x->issuer,
                                     .wildcard = x->wildcard,
                                     .until_s = x->until_s };
    int r;

    r = make_accounturi(s, x, ret_refusal);
    if (r)
        return r;
    record.accounturi = buf_str(&s->accounturi);
    buf_clear(&s->value);
    return persist_format(&record, &s->value, ret_refusal);
}

int record_put_value(struct record_source *s, const struct store_record *x,
                     const struct record_marks *marks, struct buf *b,
                     struct refusal *ret_refusal)
{
    int r;

    r = make_value(s, x, ret_refusal);
    if (r == 0)
        r = record_put_facts(b, x);
    if (r == 0)
        r = put_flag(b, ",\"expired\":", marks->expired);
    if (r == 0)
        r = put_flag(b, ",\"denied\":", marks->denied);
    if (r == 0)
        r = buf_append_str(b, ",\"owner\":\"" PERSIST_LABEL ".");
    if (r == 0)
        r = buf_append_str(b, x->domain);
    if (r == 0)
        r = put_text(b, "\",\"accounturi\":", buf_str(&s->accounturi));
    if (r == 0)
        r = put_text(b, ",\"value\":", buf_str(&s->value));
    if (r == 0)
        r = put_text(b, ",\"form\":", s->key_bound ? FORM_KEY_BOUND : FORM_URL);
    if (r == 0)
        r = put_flag(b, ",\"staging\":", s->staging);
    return r ? r : buf_append_char(b, '}');
}
