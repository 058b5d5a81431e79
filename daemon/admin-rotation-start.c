/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/label.h"
#include "daemon/params.h"

/*
 * RotationStart: of which kind, from where to where. Only what cannot change
 * any more is settled here; the new key is judged when it is there.
 */

#define NOT_GIVEN INT64_MAX

/* The call's parameters, which are valid until its answer. */
struct start {
    struct guardian *guardian;
    struct varlink_call *call;
    struct account *account;
    const char *kind, *token, *alg, *new_key;
    const json_t *to_key;
    int64_t rsa_bits;
    bool scheduled;            /* nobody asks but the clock */
    struct store_rotation row; /* strings borrowed */
    struct jwk outside;        /* of to_key */
    struct buf outside_text;
    char outside_thumbprint[JWK_THP_TEXT_LEN + 1];
};

static void start_free(struct start *s)
{
    buf_deinit(&s->outside_text);
    free(s);
}

/* ---- may it? ---- */

static void refuse_second(struct varlink_call *call, const struct account *a)
{
    const struct store_rotation *x = &a->rotation->row;

    admin_error(call, "RotationUnderWay",
                json_pack("{s:s,s:s,s:o,s:s}", "account", x->account, "state",
                          rotation_state_name(x->state), "since",
                          admin_time(x->since_s), "text",
                          rotation_next(x).text));
}

/* From account-lost there is one way on: to another account. */
static bool is_in_the_way(const struct account *a, enum rotation_kind kind)
{
    const struct rotation *r = a->rotation;

    if (!r || (rotation_is_over(r->row.state) && !r->row.old_lost))
        return false;
    if (kind == ROTATION_KIND_MOVE && rotation_is_lost(&r->row))
        return r->busy || !(rotation_is_over(r->row.state) ||
                            r->row.state == ROTATION_ACCOUNT_LOST);
    return !rotation_is_over(r->row.state) || rotation_is_lost(&r->row);
}

/* False: it was answered. */
static bool may_start(struct varlink_call *call, const struct account *a,
                      const struct store_rotation *x)
{
    const char *state = account_status_name(account_status(a));
    bool move = x->kind == ROTATION_KIND_MOVE;

    if (is_in_the_way(a, x->kind))
        refuse_second(call, a);
    else if (account_why_unresolved(a) &&
             !(move && a->rotation && rotation_is_lost(&a->rotation->row)))
        admin_error_state(call, state, account_why_unresolved(a));
    else if (a->row.status != ACCOUNT_VALID || !a->row.acme.account_url)
        admin_error_state(call, state,
                          "only a valid account has a key that "
                          "the CA can change");
    else if (!a->token)
        admin_error_no_token(call, a->row.token);
    else if (!move && !a->row.acme.directory.key_change)
        admin_error_state(call, "key-change-unsupported",
                          "the CA's directory names no keyChange: account move "
                          "makes a new account instead");
    else
        return true;
    return false;
}

/* ---- what is asked for ---- */

bool admin_read_key_kind(struct varlink_call *call, const char *alg,
                         int64_t rsa_bits, struct store_rotation *row)
{
    enum jws_alg which = jws_alg_parse(bytes_from_str(alg));
    bool rsa = which == JWS_ALG_RS256;

    if (which == JWS_ALG_UNSET) {
        admin_error_value(call, "alg", "is one of ES256, ES384, RS256, EdDSA");
        return false;
    }
    if (rsa && rsa_bits == 0)
        rsa_bits = 2048;
    if (rsa_bits != 0 &&
        (!rsa || (rsa_bits != 2048 && rsa_bits != 3072 && rsa_bits != 4096))) {
        admin_error_value(call, "rsaBits",
                          "is 2048, 3072 or 4096, with RS256 only");
        return false;
    }
    row->new_alg = params_borrow(jws_alg_name(which));
    row->new_rsa_bits = (unsigned)rsa_bits;
    return true;
}

/* Without an algorithm the new key is as the old one. */
static bool read_key_kind(struct start *s)
{
    const struct jwk *old = &s->account->row.acme.jwk;

    if (s->alg)
        return admin_read_key_kind(s->call, s->alg, s->rsa_bits, &s->row);
    s->row.new_alg = params_borrow(jws_alg_name(jwk_alg(old)));
    s->row.new_rsa_bits =
        old->type == JWK_TYPE_RSA ? (unsigned)old->n_len * 8 : 0;
    return true;
}

static bool read_to_key(struct start *s)
{
    struct refusal refusal = { 0 };
    const struct account *other;
    int r = jwk_read(s->to_key, &s->outside, &refusal);

    if (r == REFUSED) {
        admin_error_refusal(s->call, "toKey", &refusal);
        return false;
    }
    other = r ? NULL : accounts_find_key(&s->guardian->accounts, &s->outside);
    if (other) {
        admin_error_value(s->call, "toKey", "is the key of an account here");
        return false;
    }
    if (r || jwk_format(&s->outside, &s->outside_text) ||
        jwk_thumbprint_text(&s->outside, s->outside_thumbprint)) {
        admin_error_busy(s->call);
        return false;
    }
    s->row.new_alg = params_borrow(jws_alg_name(jwk_alg(&s->outside)));
    s->row.new_rsa_bits = (unsigned)s->outside.n_len * 8;
    s->row.new_jwk = params_borrow(buf_str(&s->outside_text));
    s->row.new_thumbprint = s->outside_thumbprint;
    s->row.new_token = params_borrow("");
    s->row.new_label = params_borrow("");
    return true;
}

static bool read_target(struct start *s)
{
    const char *token = s->token ? s->token : s->account->row.token;

    if (s->row.kind == ROTATION_KIND_RELEASE)
        return read_to_key(s);
    if (!guardian_token(s->guardian, token)) {
        admin_error_no_token(s->call, token);
        return false;
    }
    s->row.new_token = params_borrow(token);
    return read_key_kind(s);
}

/* NULL, or the parameter that does not fit the others. */
static const char *check_together(const struct start *s)
{
    bool release = s->row.kind == ROTATION_KIND_RELEASE;

    if (release != (s->to_key != NULL))
        return "toKey";
    if (release && s->new_key)
        return "newKey";
    if (release && s->token)
        return "token";
    if (release && s->alg)
        return "alg";
    if (s->rsa_bits && !s->alg)
        return "rsaBits";
    return NULL;
}

/* The account's own, or else ours. */
static void set_default(int64_t *value, struct store_seconds own,
                        int64_t otherwise)
{
    if (*value == NOT_GIVEN)
        *value = own.set ? own.s : otherwise;
}

static const struct store_seconds none;

/* A thief does not wait. What was signed arrives or does not. */
static bool read_times(struct start *s)
{
    struct store_rotation *x = &s->row;
    const struct store_schedule *own = &s->account->row.schedule;
    bool at_once =
        x->kind == ROTATION_KIND_COMPROMISED ||
        (s->account->rotation && rotation_is_lost(&s->account->rotation->row));

    set_default(&x->grace_s, at_once ? none : own->grace,
                at_once ? 0 : ROTATION_GRACE_S);
    set_default(&x->order_drain_s, at_once ? none : own->order_drain,
                at_once ? 0 : ROTATION_ORDER_DRAIN_S);
    set_default(&x->settle_s, at_once ? none : own->settle,
                at_once ? 0 : ROTATION_SETTLE_S);
    set_default(&x->cache_s, own->cache, ROTATION_CACHE_S);
    x->keep_old = x->keep_old || (own->keep_old && !at_once);
    return admin_check_time(s->call, ADMIN_GRACE, x->grace_s) &&
           admin_check_time(s->call, ADMIN_ORDER_DRAIN, x->order_drain_s) &&
           admin_check_time(s->call, ADMIN_SETTLE, x->settle_s) &&
           admin_check_time(s->call, ADMIN_CACHE, x->cache_s);
}

/* Whoever starts what is due decides nothing: neither whether, nor how. */
static bool says_nothing(const struct start *s)
{
    const struct store_rotation *x = &s->row;

    return strcmp(s->kind, "planned") == 0 && !s->token && !s->alg &&
           !s->new_key && !s->to_key && s->rsa_bits == 0 && !x->keep_old &&
           !x->weaker_ok && x->grace_s == NOT_GIVEN &&
           x->order_drain_s == NOT_GIVEN && x->settle_s == NOT_GIVEN &&
           x->cache_s == NOT_GIVEN;
}

/* False: it was answered. */
static bool check_scheduled(struct start *s)
{
    const struct account *a = s->account;
    struct schedule_now now;

    if (!s->scheduled)
        return admin_may(s->guardian, s->call, ROLE_ADMIN);
    if (!says_nothing(s)) {
        admin_error_value(s->call, "scheduled",
                          "goes with no other parameter than account");
        return false;
    }
    now = rotate_window(a);
    if (!now.due)
        admin_error_state(s->call, "not-due",
                          now.due_s ? "its key is not old enough"
                                    : "it has no Rotate=");
    else if (!now.open)
        admin_error_state(s->call, "not-now", "its window is not open");
    s->row.window_end_s = now.end_s;
    return now.due && now.open;
}

static bool read_kind(struct start *s)
{
    static const enum rotation_kind all[] = {
        ROTATION_KIND_PLANNED,
        ROTATION_KIND_COMPROMISED,
        ROTATION_KIND_MOVE,
        ROTATION_KIND_RELEASE,
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(rotation_kind_name(all[i]), s->kind) != 0)
            continue;
        s->row.kind = all[i];
        return true;
    }
    admin_error_value(s->call, "kind",
                      "is planned, compromised, move or release");
    return false;
}

/* ---- it begins ---- */

static int stop_at_first(const struct store_record *record, void *userdata)
{
    (void)record;
    (void)userdata;
    return 1;
}

/* If that cannot be told, it is as if. */
bool admin_has_records(const struct guardian *g, const struct account *a)
{
    const struct store_record_query q = { .account = a->row.acme.name };

    return store_record_each(g->store, &q, stop_at_first, NULL) != 0;
}

void rotation_from(const struct account *a, struct store_rotation *x)
{
    x->account = a->row.acme.name;
    x->started_s = time(NULL);
    x->old_label = a->row.key_label;
    x->old_thumbprint = params_borrow(a->row.acme.thumbprint);
    x->old_url = a->row.acme.account_url;
    x->old_generation = a->row.generation;
}

int rotation_plan(struct guardian *g, struct account *a,
                  const struct store_rotation *wishes, const struct peer *by)
{
    CLEANUP_BUF struct buf label = { 0 };
    CLEANUP_BUF struct buf jwk = { 0 };
    struct store_rotation x = *wishes;
    const struct token *token = guardian_token(g, x.new_token);
    /* The label of a key that is there already is none for a new one. */
    unsigned generation =
        (a->row.other_generation > a->row.generation ? a->row.other_generation
                                                     : a->row.generation) +
        1;
    char who[ADMIN_BY_MAX];
    int r = 0;

    admin_by(by->uid, who);
    if (!x.new_label && token) {
        r = label_format(token_settings(token)->key_prefix,
                         store_instance(g->store), a->row.acme.name, generation,
                         &label);
        x.new_label = params_borrow(buf_str(&label));
    }
    if (r == 0)
        r = jwk_format(&a->row.acme.jwk, &jwk);
    if (r)
        return r;
    rotation_from(a, &x);
    x.state = ROTATION_PLANNED;
    x.by = who;
    x.old_jwk = params_borrow(buf_str(&jwk));
    x.old_lost = a->rotation && rotation_is_lost(&a->rotation->row);
    x.new_generation = generation;
    x.key_bound = rotate_changes_records(a, x.kind) && admin_has_records(g, a);
    return rotate_commit(g, a, &x, NULL, by);
}

static void plan(struct start *s)
{
    int r;

    s->row.old_token = s->account->row.token;
    r = rotation_plan(s->guardian, s->account, &s->row,
                      varlink_call_peer(s->call));
    if (r)
        admin_rotation_error(s->call, r);
    else
        admin_reply_rotation(s->call, s->account);
    start_free(s);
}

/* The key that an HSM team made. */
static void on_found(const struct token_answer *answer, void *userdata)
{
    struct start *s = userdata;
    struct token_key key;

    if (!token_answer_ok(answer) || answer->data.len != sizeof(key)) {
        admin_error_token(s->call, answer);
        start_free(s);
        return;
    }
    memcpy(&key, answer->data.data, sizeof(key));
    key.label[sizeof(key.label) - 1] = '\0';
    if (!may_start(s->call, s->account, &s->row)) {
        start_free(s);
        return;
    }
    if (strcmp(key.label, s->account->row.key_label) == 0 &&
        strcmp(s->row.new_token, s->account->row.token) == 0) {
        admin_error_value(s->call, "newKey", "names the key that it has");
        start_free(s);
        return;
    }
    s->row.new_label = key.label;
    s->row.new_foreign = true;
    plan(s);
}

/* An emergency takes over what is under way, with its new key: nothing is let
 * finish, and records come after the switch. */
static bool overtakes(const struct start *s)
{
    const struct account *a = s->account;

    return s->row.kind == ROTATION_KIND_COMPROMISED && a->rotation &&
           a->rotation->row.kind == ROTATION_KIND_PLANNED &&
           rotation_may_abort(&a->rotation->row) &&
           a->rotation->row.state != ROTATION_SWITCHING &&
           a->row.status == ACCOUNT_VALID && !s->token && !s->alg &&
           !s->new_key;
}

static void overtake(struct start *s)
{
    struct account *a = s->account;
    struct store_rotation next = a->rotation->row;
    int r;

    if (a->rotation->busy) {
        admin_error_busy(s->call);
        start_free(s);
        return;
    }
    next.kind = ROTATION_KIND_COMPROMISED;
    if (next.state != ROTATION_PLANNED)
        next.state = ROTATION_DRAINING;
    next.reason = NULL;
    next.text = NULL;
    next.window_end_s = 0;
    next.keep_old = s->row.keep_old;
    next.grace_s = s->row.grace_s;
    next.order_drain_s = s->row.order_drain_s;
    next.settle_s = s->row.settle_s;
    next.cache_s = s->row.cache_s;
    r = rotate_commit(s->guardian, a, &next, NULL, varlink_call_peer(s->call));
    if (r)
        admin_rotation_error(s->call, r);
    else
        admin_reply_rotation(s->call, a);
    start_free(s);
}

static void begin(struct start *s)
{
    if (overtakes(s)) {
        overtake(s);
        return;
    }
    if (!s->new_key) {
        plan(s);
        return;
    }
    token_send(guardian_token(s->guardian, s->row.new_token),
               &(struct token_ask){ .op = TOKEN_OP_FIND_URI,
                                    .data = bytes_from_str(s->new_key) },
               on_found, s);
}

/* False: it was answered. */
static bool check(struct start *s)
{
    const char *bad;

    if (!check_scheduled(s) || !read_kind(s) || !read_times(s))
        return false;
    bad = check_together(s);
    if (bad) {
        admin_error_value(s->call, bad,
                          "does not go with the other parameters");
        return false;
    }
    if (s->new_key && strlen(s->new_key) > TOKEN_DATA_MAX / 16) {
        admin_error_value(s->call, "newKey", "is too long");
        return false;
    }
    return (overtakes(s) ||
            (may_start(s->call, s->account, &s->row) && read_target(s))) &&
           admin_begin(s->guardian, s->call,
                       &(struct admin_subject){
                           .account = s->account->row.acme.name,
                           .detail = rotation_kind_name(s->row.kind) });
}

ADMIN_METHOD(admin_on_rotation_start)
{
    struct start in = { .guardian = userdata, .call = call, .kind = "planned" };
    struct store_rotation *x = &in.row;
    const char *name = "";
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
        { "kind", PARAM_STRING, true, { .string = &in.kind } },
        { "token", PARAM_STRING, true, { .string = &in.token } },
        { "alg", PARAM_STRING, true, { .string = &in.alg } },
        { "rsaBits", PARAM_NUMBER, true, { .number = &in.rsa_bits } },
        { "newKey", PARAM_STRING, true, { .string = &in.new_key } },
        { "acceptWeaker", PARAM_BOOL, true, { .flag = &x->weaker_ok } },
        { "toKey", PARAM_OBJECT, true, { .json = &in.to_key } },
        { "scheduled", PARAM_BOOL, true, { .flag = &in.scheduled } },
        { "keepOldKey", PARAM_BOOL, true, { .flag = &x->keep_old } },
        { "grace", PARAM_NUMBER, true, { .number = &x->grace_s } },
        { "orderDrain", PARAM_NUMBER, true, { .number = &x->order_drain_s } },
        { "settle", PARAM_NUMBER, true, { .number = &x->settle_s } },
        { "cacheTime", PARAM_NUMBER, true, { .number = &x->cache_s } },
    };
    struct start *s;

    x->grace_s = x->order_drain_s = x->settle_s = x->cache_s = NOT_GIVEN;
    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    in.account = admin_account(in.guardian, call, name);
    if (!in.account)
        return;
    s = malloc(sizeof(*s));
    if (!s) {
        admin_error_busy(call);
        return;
    }
    *s = in;
    if (check(s))
        begin(s);
    else
        start_free(s);
}
