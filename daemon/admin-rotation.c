/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/json-strict.h"
#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/label.h"
#include "daemon/params.h"

/*
 * RotationStart, RotationStatus, RotationStep, RotationAnswer, RotationAbort.
 * guardianctl asks the CA what it is told to and relays the answer; what that
 * means is judged here. A step that changes nothing leaves no audit line: it is
 * asked for many times while something is waited for.
 */

#define GRACE_S 86400
#define ORDER_DRAIN_S 120
#define SETTLE_S 5
#define CACHE_S 15
#define GRACE_MAX_S (90 * 86400)
#define ORDER_DRAIN_MAX_S (OPEN_ORDERS_KEEP_MS / 1000)
#define SETTLE_MAX_S 15
#define CACHE_MAX_S 30
_Static_assert((SETTLE_MAX_S + CACHE_MAX_S) * 1000 + ROTATION_SWITCH_MS +
                       ROTATE_QUIET_MS <=
                   ROTATION_HOLD_MS,
               "there is time for open orders before the longest hold ends");

struct account *admin_rotation(struct guardian *g, struct varlink_call *call,
                               const char *name)
{
    struct account *a = admin_account(g, call, name);

    if (!a || a->rotation)
        return a;
    admin_error(call, "NoRotation", json_pack("{s:s}", "account", name));
    return NULL;
}

void admin_rotation_error(struct varlink_call *call, int r)
{
    if (r == ROTATE_E_AUDIT)
        admin_error(call, "AuditUnavailable", json_object());
    else
        admin_error_busy(call);
}

/* ---- start ---- */

static bool begin_range(struct varlink_call *call, const char *name,
                        int64_t value, int64_t max)
{
    char text[64];

    if (value <= max)
        return true;
    (void)snprintf(text, sizeof(text), "is at most %lld seconds",
                   (long long)max);
    admin_error_value(call, name, text);
    return false;
}

static int stop_at_first(const struct store_record *record, void *userdata)
{
    (void)record;
    (void)userdata;
    return 1;
}

/* Records with the key's hash in them: publishing the new ones comes first. */
static bool has_key_bound_records(const struct guardian *g,
                                  const struct account *a)
{
    const struct store_record_query q = { .account = a->row.acme.name };

    return a->row.meta.account_hash_prefix &&
           store_record_each(g->store, &q, stop_at_first, NULL) != 0;
}

static void refuse_second(struct varlink_call *call, const struct account *a)
{
    const struct store_rotation *x = &a->rotation->row;

    admin_error(call, "RotationUnderWay",
                json_pack("{s:s,s:s,s:o,s:s}", "account", x->account, "state",
                          rotation_state_name(x->state), "since",
                          admin_time(x->since_s), "text",
                          rotation_next(x).text));
}

/* False: it was answered. */
static bool may_start(const struct guardian *g, struct varlink_call *call,
                      const struct account *a)
{
    const char *state = account_status_name(account_status(a));

    if (rotate_is_active(a))
        refuse_second(call, a);
    else if (a->unresolved)
        admin_error_state(call, state, a->unresolved);
    else if (account_status(a) != ACCOUNT_VALID || !a->row.acme.account_url)
        admin_error_state(call, state,
                          "only a valid account has a key that "
                          "the CA can change");
    else if (!a->token)
        admin_error_no_token(call, a->row.token);
    else if (!a->row.acme.directory.key_change)
        admin_error_state(call, "key-change-unsupported",
                          "the CA's directory names no keyChange");
    else if (has_key_bound_records(g, a))
        admin_error_state(call, "key-bound",
                          "its records name its key: this version rotates "
                          "accounts whose records name their URL");
    else
        return true;
    return false;
}

static int start(struct guardian *g, struct varlink_call *call,
                 struct account *a, const struct store_rotation *wishes)
{
    CLEANUP_BUF struct buf label = { 0 };
    CLEANUP_BUF struct buf jwk = { 0 };
    const struct jwk *old = &a->row.acme.jwk;
    struct store_rotation x = *wishes;
    char by[24];
    int r;

    (void)snprintf(by, sizeof(by), "uid %u", varlink_call_peer(call)->uid);
    r = label_format(token_settings(a->token)->key_prefix,
                     store_instance(g->store), a->row.acme.name,
                     a->row.generation + 1, &label);
    if (r == 0)
        r = jwk_format(old, &jwk);
    if (r)
        return r;
    x.state = ROTATION_PLANNED;
    x.kind = ROTATION_KIND_PLANNED;
    x.old_token = x.new_token = a->row.token;
    x.new_alg = params_borrow(jws_alg_name(jwk_alg(old)));
    x.new_rsa_bits = old->type == JWK_TYPE_RSA ? (unsigned)old->n_len * 8 : 0;
    x.account = a->row.acme.name;
    x.by = by;
    x.started_s = time(NULL);
    x.old_label = a->row.key_label;
    x.old_jwk = params_borrow(buf_str(&jwk));
    x.old_thumbprint = a->row.acme.thumbprint;
    x.old_generation = a->row.generation;
    x.new_label = params_borrow(buf_str(&label));
    x.new_generation = a->row.generation + 1;
    return rotate_commit(g, a, &x, NULL, varlink_call_peer(call));
}

ADMIN_METHOD(admin_on_rotation_start)
{
    struct guardian *g = userdata;
    struct store_rotation x = { .grace_s = GRACE_S,
                                .order_drain_s = ORDER_DRAIN_S,
                                .settle_s = SETTLE_S,
                                .cache_s = CACHE_S };
    const char *name = "";
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
        { "keepOldKey", PARAM_BOOL, true, { .flag = &x.keep_old } },
        { "grace", PARAM_NUMBER, true, { .number = &x.grace_s } },
        { "orderDrain", PARAM_NUMBER, true, { .number = &x.order_drain_s } },
        { "settle", PARAM_NUMBER, true, { .number = &x.settle_s } },
        { "cacheTime", PARAM_NUMBER, true, { .number = &x.cache_s } },
    };
    struct account *a;
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)) ||
        !begin_range(call, "grace", x.grace_s, GRACE_MAX_S) ||
        !begin_range(call, "orderDrain", x.order_drain_s, ORDER_DRAIN_MAX_S) ||
        !begin_range(call, "settle", x.settle_s, SETTLE_MAX_S) ||
        !begin_range(call, "cacheTime", x.cache_s, CACHE_MAX_S))
        return;
    a = admin_account(g, call, name);
    if (!a || !may_start(g, call, a) ||
        !admin_begin(g, call, &(struct admin_subject){ .account = name }))
        return;
    r = start(g, call, a, &x);
    if (r)
        admin_rotation_error(call, r);
    else
        admin_reply_rotation(call, a);
}

/* ---- status ---- */

ADMIN_METHOD(admin_on_rotation_status)
{
    CLEANUP_PAGE struct page p = { 0 };
    struct guardian *g = userdata;
    const char *name = NULL;
    const char *after = "";
    int64_t limit = 0;
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &name } },
        { "after", PARAM_STRING, true, { .string = &after } },
        { "limit", PARAM_NUMBER, true, { .number = &limit } },
    };
    const char *last = "";
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    if (name && !admin_account(g, call, name))
        return;
    admin_note(g, call, &(struct admin_subject){ .account = name });
    r = page_begin(&p, "rotations", limit);
    for (size_t i = 0; r == 0 && i < g->accounts.n; i++) {
        const struct account *a = g->accounts.items[i];

        if (!a->rotation || (name && strcmp(a->row.acme.name, name) != 0) ||
            strcmp(a->row.acme.name, after) <= 0)
            continue;
        r = page_item_json(&p, admin_rotation_json(a));
        if (r == 0)
            last = a->row.acme.name;
    }
    admin_reply_page(call, &p, r, last);
}

/* ---- step ---- */

struct step {
    struct varlink_call *call;
    struct account *account;
};

static void step_done(const char *error, const struct token_answer *answer,
                      void *userdata)
{
    CLEANUP_FREE struct step *s = userdata;

    if (!error)
        admin_reply_rotation(s->call, s->account);
    else if (strcmp(error, "TokenFailed") == 0)
        admin_error_token(s->call, answer);
    else if (strcmp(error, "NoSuchToken") == 0)
        admin_error_no_token(s->call, s->account->row.token);
    else if (strcmp(error, "Busy") == 0)
        admin_error_busy(s->call);
    else
        admin_error(s->call, error, json_object());
}

typedef void (*token_step_fn)(struct account *a, const struct peer *by,
                              rotate_done_fn fn, void *userdata);

static void ask_token(struct guardian *g, struct varlink_call *call,
                      struct account *a, token_step_fn fn)
{
    struct step *s = malloc(sizeof(*s));

    if (!s) {
        admin_error_busy(call);
        return;
    }
    *s = (struct step){ call, a };
    if (admin_begin(g, call,
                    &(struct admin_subject){ .account = a->row.acme.name }))
        fn(a, varlink_call_peer(call), step_done, s);
    else
        free(s);
}

static void go(struct guardian *g, struct varlink_call *call, struct account *a,
               enum rotation_state to)
{
    struct store_rotation next = a->rotation->row;
    int r;

    next.state = to;
    if (!admin_begin(g, call,
                     &(struct admin_subject){ .account = a->row.acme.name }))
        return;
    r = rotate_commit(g, a, &next, NULL, varlink_call_peer(call));
    if (r)
        admin_rotation_error(call, r);
    else
        admin_reply_rotation(call, a);
}

/* A quiet moment; none comes for long: new orders wait while open ones
 * finish. */
static void drain(struct guardian *g, struct varlink_call *call,
                  struct account *a)
{
    struct rotation *r = a->rotation;
    struct rotate_open open = { 0 };

    if (rotate_is_quiet(a)) {
        go(g, call, a, ROTATION_SWITCHING);
        return;
    }
    rotate_open(a, &open);
    if (!r->orders_held && !open.unknown &&
        names_now_ms() >= r->quiet_ms + ROTATE_QUIET_MS)
        rotate_hold_orders(r);
    admin_reply_rotation(call, a);
}

/* Whoever was to tell the answer is gone. */
static void lost(struct guardian *g, struct varlink_call *call,
                 struct account *a)
{
    struct store_rotation next = a->rotation->row;
    int r;

    next.state = ROTATION_UNRESOLVED;
    next.reason = params_borrow("answer-lost");
    next.text = params_borrow("the CA's answer was not told");
    r = rotate_commit(g, a, &next, NULL, varlink_call_peer(call));
    if (r)
        admin_rotation_error(call, r);
    else
        admin_reply_rotation(call, a);
}

static void step(struct guardian *g, struct varlink_call *call,
                 struct account *a, bool again)
{
    const struct store_rotation *x = &a->rotation->row;
    uint64_t wait;

    if (a->rotation->busy) {
        admin_reply_rotation(call, a);
        return;
    }
    switch (x->state) {
    case ROTATION_PLANNED:
        ask_token(g, call, a, rotate_generate);
        return;
    case ROTATION_KEY_GENERATED:
        go(g, call, a, ROTATION_DRAINING);
        return;
    case ROTATION_DRAINING:
        drain(g, call, a);
        return;
    case ROTATION_SWITCHING:
        /* Whoever has asked the CA to switch is waited for. */
        if (x->sent_s && !x->reason && !rotate_is_carried(a->rotation))
            lost(g, call, a);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_SWITCH_REFUSED:
        go(g, call, a, ROTATION_ABORTING);
        return;
    case ROTATION_ACCOUNT_LOST:
        if (again)
            go(g, call, a, ROTATION_UNRESOLVED);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_ABORTING:
        if (!x->new_jwk)
            ask_token(g, call, a, rotate_find);
        else if (rotation_due(a, &wait) == ROTATION_ASK_NONE && wait == 0)
            ask_token(g, call, a, rotate_destroy);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_SWITCHED:
        if (rotation_due(a, &wait) == ROTATION_ASK_NONE && wait == 0)
            go(g, call, a, ROTATION_CLEANED);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_CLEANED:
        if (rotation_due(a, &wait) == ROTATION_ASK_NONE && wait == 0)
            ask_token(g, call, a, rotate_destroy);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_RECORDS_PUBLISHED:
    case ROTATION_RECORDS_VERIFIED:
    case ROTATION_UNRESOLVED:
    case ROTATION_DONE:
    case ROTATION_ABORTED:
    case ROTATION_UNSET:
    case ROTATION_STATE_COUNT:
        break;
    }
    admin_reply_rotation(call, a);
}

ADMIN_METHOD(admin_on_rotation_step)
{
    struct guardian *g = userdata;
    const char *name = "";
    bool again = false;
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
        { "again", PARAM_BOOL, true, { .flag = &again } },
    };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_rotation(g, call, name);
    if (!a)
        return;
    if (a->unresolved && !rotation_is_over(a->rotation->row.state))
        admin_error_state(call, account_status_name(account_status(a)),
                          a->unresolved);
    else
        step(g, call, a, again);
}

/* ---- answer ---- */

/* NULL, or the member at fault. */
static const char *read_answer(const json_t *object,
                               struct rotation_answer *ret)
{
    int64_t status = 0;
    const struct param params[] = {
        { "httpStatus", PARAM_NUMBER, false, { .number = &status } },
        { "problem", PARAM_STRING, true, { .string = &ret->problem } },
        { "detail", PARAM_STRING, true, { .string = &ret->detail } },
        { "location", PARAM_STRING, true, { .string = &ret->location } },
        { "accountStatus",
          PARAM_STRING,
          true,
          { .string = &ret->account_status } },
        { "thumbprint", PARAM_STRING, true, { .string = &ret->thumbprint } },
    };
    const char *bad = NULL;

    if (params_read(object, params, ARRAY_LEN(params), &bad))
        return bad;
    if (status > 599)
        return "httpStatus";
    ret->http_status = (unsigned)status;
    return NULL;
}

static void hear(struct guardian *g, struct varlink_call *call,
                 struct account *a, enum rotation_ask ask,
                 const struct rotation_answer *answer)
{
    const struct rotation_clock now = { time(NULL), names_now_ms() };
    struct rotation *r = a->rotation;
    struct rotation_step next;
    int e;

    if (rotation_hear(&r->row, &r->run, ask, answer, a->row.acme.account_url,
                      &now, &next)) {
        admin_error_state(call, rotation_state_name(r->row.state),
                          "this was not the question");
        return;
    }
    e = rotate_commit(g, a, &next.row, &next.run, varlink_call_peer(call));
    if (e)
        admin_rotation_error(call, e);
    else
        admin_reply_rotation(call, a);
}

static bool same_request(const struct store_rotation *x, const char *nonce)
{
    return x->request_nonce && strcmp(x->request_nonce, nonce) == 0;
}

ADMIN_METHOD(admin_on_rotation_answer)
{
    struct guardian *g = userdata;
    struct rotation_answer answer = { 0 };
    const char *name = "";
    const char *ask = "";
    const char *nonce = "";
    const json_t *object = NULL;
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
        { "ask", PARAM_STRING, false, { .string = &ask } },
        { "nonce", PARAM_STRING, false, { .string = &nonce } },
        { "answer", PARAM_OBJECT, false, { .json = &object } },
    };
    struct account *a;
    const char *bad;
    char detail[64];

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    bad = read_answer(object, &answer);
    if (bad) {
        varlink_error_invalid_parameter(call, bad);
        return;
    }
    a = admin_rotation(g, call, name);
    if (!a)
        return;
    if (rotation_ask_parse(ask) == ROTATION_ASK_KEY_CHANGE &&
        !same_request(&a->rotation->row, nonce)) {
        admin_error_value(call, "nonce", "is not that of the request");
        return;
    }
    (void)snprintf(detail, sizeof(detail), "%.24s: HTTP status %u", ask,
                   answer.http_status);
    if (admin_begin(
            g, call,
            &(struct admin_subject){ .account = name, .detail = detail }))
        hear(g, call, a, rotation_ask_parse(ask), &answer);
}

/* ---- abort ---- */

ADMIN_METHOD(admin_on_rotation_abort)
{
    struct guardian *g = userdata;
    const char *name = "";
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
    };
    const struct store_rotation *x;
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_rotation(g, call, name);
    if (!a)
        return;
    x = &a->rotation->row;
    if (x->state == ROTATION_ABORTING)
        admin_reply_rotation(call, a);
    else if (a->rotation->busy)
        admin_error_busy(call);
    else if (!rotation_may_abort(x))
        admin_error_state(call, rotation_state_name(x->state),
                          rotation_is_over(x->state)
                              ? "it is over"
                              : "the CA may have the new key: resume it");
    else
        go(g, call, a, ROTATION_ABORTING);
}
