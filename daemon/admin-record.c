/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/dns-name.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"
#include "daemon/record-rules.h"
#include "daemon/record-value.h"
#include "daemon/rotate.h"

/*
 * RecordList and RecordValues: pages, read along an index and written by hand,
 * since there may be a hundred thousand records. Values are shown only of
 * accounts that are proven to be ours, and only for issuer names that their
 * directories may speak for.
 */

struct listing {
    struct guardian *guardian;
    struct varlink_call *call;
    struct store_record_query query;
    const char *form; /* RecordValues: what was asked for, or NULL */
    const char *key;  /* likewise */
    int64_t limit, now_s;
    struct page page;
    struct buf after; /* what query.after_... point into */
    struct buf last;  /* key of the last item on the page */
    struct record_source source;
    const struct account *account; /* of the last record, as in source */
    struct buf issuer;             /* the last one that was right for it */
    bool answered;
};

static void listing_deinit(struct listing *l)
{
    page_deinit(&l->page);
    buf_deinit(&l->after);
    buf_deinit(&l->last);
    buf_deinit(&l->issuer);
    record_source_deinit(&l->source);
}

/* Three words, none of which has a slash. */
static int split_after(struct listing *l, const char *after)
{
    char *domain, *issuer;
    int r;

    r = buf_append_str(&l->after, after);
    if (r)
        return r;
    domain = strchr((char *)l->after.data, '/');
    issuer = domain ? strchr(domain + 1, '/') : NULL;
    if (!issuer || strchr(issuer + 1, '/'))
        return REFUSED;
    *domain = '\0';
    *issuer = '\0';
    l->query.after_account = buf_str(&l->after);
    l->query.after_domain = domain + 1;
    l->query.after_issuer = issuer + 1;
    return 0;
}

/* False: it was answered. */
static bool listing_begin(struct listing *l, const char *name,
                          const char *after)
{
    int r = after ? split_after(l, after) : 0;

    if (r == REFUSED) {
        admin_error_value(l->call, "after", "is what `next` was");
        return false;
    }
    if (r == 0)
        r = page_begin(&l->page, name, l->limit);
    if (r) {
        admin_error_busy(l->call);
        return false;
    }
    if (l->query.account &&
        !admin_account(l->guardian, l->call, l->query.account))
        return false;
    admin_note(l->guardian, l->call,
               &(struct admin_subject){ .account = l->query.account,
                                        .detail = l->query.domain });
    return true;
}

static int listing_item_end(struct listing *l, const struct store_record *x)
{
    int r = page_item_end(&l->page);

    if (r)
        return r;
    buf_clear(&l->last);
    r = buf_append_str(&l->last, x->account);
    if (r == 0)
        r = buf_append_char(&l->last, '/');
    if (r == 0)
        r = buf_append_str(&l->last, x->domain);
    if (r == 0)
        r = buf_append_char(&l->last, '/');
    return r ? r : buf_append_str(&l->last, x->issuer);
}

static void listing_end(struct listing *l, int r)
{
    if (!l->answered)
        admin_reply_page(l->call, &l->page, r, buf_str(&l->last));
}

/* ---- RecordList ---- */

static int list_one(const struct store_record *x, void *userdata)
{
    struct listing *l = userdata;
    struct buf *b = &l->page.b;
    int r;

    r = page_item(&l->page);
    if (r)
        return r;
    r = record_put_facts(b, x);
    if (r == 0)
        r = buf_append_str(b, ",\"added\":");
    if (r == 0)
        r = admin_put_time(b, x->added_s);
    if (r == 0)
        r = buf_append_char(b, '}');
    return r ? r : listing_item_end(l, x);
}

ADMIN_METHOD(admin_on_record_list)
{
    CLEANUP(listing_deinit)
    struct listing l = { .guardian = userdata, .call = call };
    const char *after = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &l.query.account } },
        { "domain", PARAM_STRING, true, { .string = &l.query.domain } },
        { "after", PARAM_STRING, true, { .string = &after } },
        { "limit", PARAM_NUMBER, true, { .number = &l.limit } },
    };

    if (params_take(call, parameters, params, ARRAY_LEN(params)) &&
        listing_begin(&l, "records", after))
        listing_end(
            &l, store_record_each(l.guardian->store, &l.query, list_one, &l));
}

/* ---- RecordValues ---- */

static int withhold(struct listing *l, const char *account, const char *code,
                    const char *text)
{
    admin_error(l->call, "RecordsWithheld",
                json_pack("{s:s,s:s,s:s}", "account", account, "reason", code,
                          "text", text));
    l->answered = true;
    return REFUSED;
}

/* The token and the registry may disagree about the key: not stored. */
static int check_account(struct listing *l, const struct account *a)
{
    struct record_refusal refusal;

    if (l->key && strcmp(l->key, "new") == 0 && a->rotation &&
        rotation_proves_new(&a->rotation->row)) {
        if (a->rotation->run.new_key == ROTATION_YES)
            return 0;
        return withhold(l, a->row.acme.name, "not-proven",
                        "it was never proven that the new account is ours: "
                        "rotate resume");
    }
    if (account_why_unresolved(a))
        return withhold(l, a->row.acme.name, "account-not-valid",
                        account_why_unresolved(a));
    if (record_proof_check(&a->row, l->now_s, &refusal))
        return withhold(l, a->row.acme.name, refusal.code, refusal.text);
    return 0;
}

/* Of a rotation: that of before, or that of after. */
static int take_key(struct listing *l, const struct account *a)
{
    const struct store_rotation *x = a->rotation ? &a->rotation->row : NULL;

    if (!l->key || strcmp(l->key, "current") == 0)
        return 0;
    l->answered = true;
    if (!x) {
        admin_error(l->call, "NoRotation",
                    json_pack("{s:s}", "account", a->row.acme.name));
        return REFUSED;
    }
    if (!x->new_thumbprint) {
        admin_error_state(l->call, rotation_state_name(x->state),
                          "there is no new key yet");
        return REFUSED;
    }
    l->answered = false;
    if (strcmp(l->key, "new") == 0) {
        l->source.thumbprint = x->new_thumbprint;
        l->source.url = x->new_url ? x->new_url : l->source.url;
    } else {
        l->source.thumbprint = x->old_thumbprint;
        l->source.url = x->old_url ? x->old_url : l->source.url;
    }
    return 0;
}

static bool key_ok(const char *key)
{
    return strcmp(key, "current") == 0 || strcmp(key, "new") == 0 ||
           strcmp(key, "old") == 0;
}

/* Another account than that of the record before. */
static int take_account(struct listing *l, const char *name)
{
    const struct account *a = accounts_find(&l->guardian->accounts, name);
    int r;

    if (!a)
        return -EINVAL; /* the registry would not have the record */
    r = check_account(l, a);
    if (r)
        return r;
    record_source_deinit(&l->source);
    buf_clear(&l->issuer);
    r = record_source_init(&l->source, &a->row, l->form);
    if (r == REFUSED) {
        admin_error_value(l->call, "form",
                          "cannot be key-bound: the CA's directory has no "
                          "accountHashPrefix");
        l->answered = true;
    }
    if (r == 0)
        r = take_key(l, a);
    if (r == 0)
        l->account = a;
    return r;
}

static int check_issuer(struct listing *l, const struct store_record *x)
{
    struct record_refusal refusal;

    if (bytes_eq_str(buf_bytes(&l->issuer), x->issuer))
        return 0;
    if (record_issuer_check(&l->account->row, x->issuer, &refusal))
        return withhold(l, x->account, refusal.code, refusal.text);
    buf_clear(&l->issuer);
    return buf_append_str(&l->issuer, x->issuer);
}

static int refused_value(struct listing *l, const struct store_record *x,
                         const struct refusal *refusal)
{
    char text[REFUSAL_DETAIL_MAX + DNS_NAME_MAX + 64];

    (void)snprintf(text, sizeof(text), "%s: %s: %s", x->domain,
                   reason_code(refusal->reason), refusal->detail);
    return withhold(l, x->account, "no-record-possible", text);
}

static int value_one(const struct store_record *x, void *userdata)
{
    struct listing *l = userdata;
    struct refusal refusal = { 0 };
    struct record_marks marks;
    int r;

    r = page_item(&l->page);
    if (r)
        return r;
    if (!l->account || strcmp(l->account->row.acme.name, x->account) != 0)
        r = take_account(l, x->account);
    if (r == 0)
        r = check_issuer(l, x);
    if (r)
        return r;
    marks = (struct record_marks){
        .expired = x->until_s > 0 && x->until_s < l->now_s,
        .denied = denied_has(l->guardian->policy, x->domain),
    };
    r = record_put_value(&l->source, x, &marks, &l->page.b, &refusal);
    if (r == REFUSED)
        return refused_value(l, x, &refusal);
    return r ? r : listing_item_end(l, x);
}

ADMIN_METHOD(admin_on_record_values)
{
    CLEANUP(listing_deinit)
    struct listing l = { .guardian = userdata,
                         .call = call,
                         .now_s = time(NULL) };
    const char *after = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &l.query.account } },
        { "domain", PARAM_STRING, true, { .string = &l.query.domain } },
        { "form", PARAM_STRING, true, { .string = &l.form } },
        { "key", PARAM_STRING, true, { .string = &l.key } },
        { "after", PARAM_STRING, true, { .string = &after } },
        { "limit", PARAM_NUMBER, true, { .number = &l.limit } },
    };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    if (l.form && !record_form_ok(l.form)) {
        admin_error_value(call, "form", "is url or key-bound");
        return;
    }
    if (l.key && !key_ok(l.key)) {
        admin_error_value(call, "key", "is current, new or old");
        return;
    }
    if (listing_begin(&l, "values", after))
        listing_end(
            &l, store_record_each(l.guardian->store, &l.query, value_one, &l));
}
