/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/domain.h"
#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/params.h"
#include "daemon/registry.h"

/*
 * RotationRecords and RotationAccept: what guardianctl says of the records that
 * it published, looked for and removed, and which zones a person answers for.
 */

/* ---- as JSON ---- */

static int put_zone(const char *zone, void *userdata)
{
    return json_array_append_new(userdata, json_string(zone)) < 0 ? -ENOMEM : 0;
}

json_t *rotation_records_json(const struct account *a)
{
    const struct store_rotation *x = &a->rotation->row;
    json_t *accepted;
    uint64_t wait = 0;
    enum rotation_work work;

    if (!x->key_bound)
        return json_null();
    accepted = json_array();
    if (!accepted || store_rotation_zone_each(a->rotation->guardian->store,
                                              x->account, put_zone, accepted)) {
        json_decref(accepted);
        return NULL;
    }
    work = rotation_work_due(a, &wait);
    return json_pack("{s:s?,s:I,s:o,s:o,s:o,s:o,s:o,s:s?,s:s?}", "work",
                     work ? rotation_work_name(work) : NULL, "revision",
                     (json_int_t)a->records_revision, "published",
                     admin_time(x->published_s), "verified",
                     admin_time(x->verified_s), "cachesUntil",
                     admin_time(x->caches_s), "oldRemoved",
                     admin_time(x->old_records_removed_s), "accepted", accepted,
                     "oldUrl", x->old_url, "newUrl", x->new_url);
}

void admin_error_records(struct varlink_call *call, const struct account *a,
                         int r)
{
    if (r == ROTATE_E_HELD)
        admin_error_state(call, rotation_state_name(a->rotation->row.state),
                          "the key that its records name is being changed: "
                          "rotate resume, and then once more");
    else
        admin_rotation_error(call, r);
}

/* ---- RotationRecords ---- */

struct finding_zone {
    const char *wanted;
    bool found;
};

static int compare_zone(const char *zone, void *userdata)
{
    struct finding_zone *f = userdata;

    f->found = f->found || strcmp(zone, f->wanted) == 0;
    return 0;
}

/* Only of what a person answers for may it be said that nobody looked. False:
 * it was answered. */
static bool check_unverified(struct guardian *g, struct varlink_call *call,
                             const char *account, const json_t *zones)
{
    for (size_t i = 0; i < json_array_size(zones); i++) {
        struct finding_zone f = { json_string_value(json_array_get(zones, i)),
                                  false };
        char text[DNS_NAME_MAX + 64];

        if (store_rotation_zone_each(g->store, account, compare_zone, &f)) {
            admin_error_busy(call);
            return false;
        }
        if (f.found)
            continue;
        (void)snprintf(text, sizeof(text), "%.253s is not accepted unverified",
                       f.wanted);
        admin_error_value(call, "unverified", text);
        return false;
    }
    return true;
}

struct saying {
    const char *account, *claim;
    enum rotation_claim which;
    int64_t revision;
    const json_t *unverified;
    struct rotation_claimed claimed;
};

static const char *const reasons[] = { "records-by-hand",
                                       "records-not-published",
                                       "records-not-everywhere",
                                       "records-not-gone" };

#define TEXT_MAX 400

/* False: it was answered. */
static bool check_saying(struct varlink_call *call, const struct saying *s)
{
    const struct rotation_claimed *c = &s->claimed;
    bool known = false;

    for (size_t i = 0; c->reason && i < ARRAY_LEN(reasons); i++)
        known = known || strcmp(c->reason, reasons[i]) == 0;
    if (s->which == ROTATION_CLAIM_UNSET)
        admin_error_value(call, "claim", "is none of a rotation's records");
    else if ((s->which == ROTATION_CLAIM_LACKING) != (c->reason && c->text))
        admin_error_value(call, "reason", "goes with lacking, and with a text");
    else if (c->reason && !known)
        admin_error_value(call, "reason", "is none of a rotation's records");
    else if (c->text && strlen(c->text) > TEXT_MAX)
        admin_error_value(call, "text", "is longer than 400 octets");
    else if (c->ttl_s > ROTATION_TTL_MAX_S)
        admin_error_value(call, "ttl", "is at most 604800 seconds");
    else
        return true;
    return false;
}

static bool is_stale(const struct account *a, const struct saying *s)
{
    return rotation_claim_needs_all(s->which) &&
           (uint64_t)s->revision != a->records_revision;
}

static void say(struct guardian *g, struct varlink_call *call,
                struct account *a, const struct saying *s)
{
    struct rotation *r = a->rotation;
    const char *state = rotation_state_name(r->row.state);
    struct store_rotation next;
    uint64_t wait;
    int e;

    if (is_stale(a, s)) {
        admin_error(call, "RecordsChanged",
                    json_pack("{s:s}", "account", s->account));
        return;
    }
    if (rotation_claim(&r->row, rotation_work_due(a, &wait), s->which,
                       &s->claimed, time(NULL), &next)) {
        admin_error_state(call, state, "this is not what is to be done now");
        return;
    }
    /* What moves nothing is said again with each look. */
    if (s->which != ROTATION_CLAIM_LACKING &&
        !admin_begin(g, call,
                     &(struct admin_subject){ .account = s->account,
                                              .detail = s->claim }))
        return;
    e = rotate_commit(g, a, &next, &r->run, varlink_call_peer(call));
    if (e)
        admin_rotation_error(call, e);
    else
        admin_reply_rotation(call, a);
}

ADMIN_METHOD(admin_on_rotation_records)
{
    struct guardian *g = userdata;
    struct saying s = { .account = "", .claim = "" };
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &s.account } },
        { "claim", PARAM_STRING, false, { .string = &s.claim } },
        { "revision", PARAM_NUMBER, false, { .number = &s.revision } },
        { "ttl", PARAM_NUMBER, true, { .number = &s.claimed.ttl_s } },
        { "unverified", PARAM_STRINGS, true, { .json = &s.unverified } },
        { "reason", PARAM_STRING, true, { .string = &s.claimed.reason } },
        { "text", PARAM_STRING, true, { .string = &s.claimed.text } },
    };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    s.which = rotation_claim_parse(s.claim);
    a = admin_rotation(g, call, s.account);
    if (!a || !check_saying(call, &s) ||
        !check_unverified(g, call, s.account, s.unverified))
        return;
    if (account_why_unresolved(a))
        admin_error_state(call, account_status_name(account_status(a)),
                          account_why_unresolved(a));
    else
        say(g, call, a, &s);
}

/* ---- RotationAccept ---- */

static bool check_zone(struct varlink_call *call, const char *zone)
{
    char normal[DNS_NAME_MAX + 1];
    struct refusal refusal = { 0 };
    int r = domain_normalize(bytes_from_str(zone), normal, &refusal);

    if (r < 0)
        admin_error_busy(call);
    else if (r == REFUSED)
        admin_error_refusal(call, "zone", &refusal);
    else if (strcmp(normal, zone) != 0)
        admin_error_value(call, "zone", "is not in normal form");
    else
        return true;
    return false;
}

ADMIN_METHOD(admin_on_rotation_accept)
{
    struct guardian *g = userdata;
    const char *account = "";
    const char *zone = "";
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &account } },
        { "zone", PARAM_STRING, false, { .string = &zone } },
    };
    struct account *a;
    char by[ADMIN_BY_MAX];
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_rotation(g, call, account);
    if (!a || !check_zone(call, zone))
        return;
    if (!rotate_is_active(a) || !a->rotation->row.key_bound) {
        admin_error_state(call, rotation_state_name(a->rotation->row.state),
                          "no records are waited for");
        return;
    }
    if (!admin_begin(
            g, call,
            &(struct admin_subject){ .account = account, .detail = zone }))
        return;
    admin_by(varlink_call_peer(call)->uid, by);
    r = registry_note(g, store_rotation_zone_accept(
                             g->store, &(struct store_rotation_zone){
                                           .account = params_borrow(account),
                                           .zone = params_borrow(zone),
                                           .accepted_s = time(NULL),
                                           .by = by }));
    if (r)
        registry_error(call, r);
    else
        admin_reply_rotation(call, a);
}
