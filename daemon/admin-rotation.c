/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/json-strict.h"
#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/params.h"
#include "daemon/registry.h"

/*
 * RotationStatus, RotationStep, RotationAnswer, RotationAbort.
 * guardianctl asks the CA what it is told to and relays the answer; what that
 * means is judged here. A step that changes nothing leaves no audit line: it is
 * asked for many times while something is waited for.
 */

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
        registry_error(call, r);
}

/* ---- status ---- */

static int status_item(struct guardian *g, const struct account *a,
                       json_t **ret)
{
    (void)g;
    if (!a->rotation)
        return 0;
    *ret = admin_rotation_json(a);
    return *ret ? 0 : -ENOMEM;
}

ADMIN_METHOD(admin_on_rotation_status)
{
    struct guardian *g = userdata;
    const char *name = NULL;
    struct admin_paging q = { .after = "" };
    const struct param params[] = {
        { "account", PARAM_STRING, true, { .string = &name } },
        ADMIN_PAGING_PARAMS(&q),
    };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    if (name && !admin_account(g, call, name))
        return;
    admin_note(g, call, &(struct admin_subject){ .account = name });
    admin_reply_accounts(g, call, &q, "rotations", name, status_item);
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
    if (next.reason && strncmp(next.reason, "records-", 8) == 0) {
        next.reason = NULL; /* of records that were waited for */
        next.text = NULL;
    }
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

    if (rotate_is_postponed(a)) {
        admin_reply_rotation(call, a);
        return;
    }
    if (r->row.kind == ROTATION_KIND_COMPROMISED || rotate_is_quiet(a)) {
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

/* What was started in a window waits for the next one when that is over. False:
 * it was answered. */
static bool look_at_window(struct guardian *g, struct varlink_call *call,
                           struct account *a, bool now)
{
    struct store_rotation next = a->rotation->row;
    int r;

    if (now && !admin_may(g, call, ROLE_ADMIN))
        return false;
    if (now)
        next.window_end_s = 0;
    else if (rotate_is_postponed(a))
        next.window_end_s = rotate_window(a).end_s;
    if (next.window_end_s == a->rotation->row.window_end_s ||
        (next.window_end_s == 0 && !now))
        return true;
    r = rotate_commit(g, a, &next, NULL, varlink_call_peer(call));
    if (r)
        admin_rotation_error(call, r);
    return r == 0;
}

/* Nothing is to be asked, done or waited for. */
static bool is_ready(const struct account *a)
{
    uint64_t wait;

    return rotation_due(a, &wait) == ROTATION_ASK_NONE && wait == 0 &&
           rotation_work_due(a, &wait) == ROTATION_WORK_NONE;
}

/* Out of a state in which there may be something to do about records. */
static void step_records(struct guardian *g, struct varlink_call *call,
                         struct account *a, enum rotation_state to)
{
    if (is_ready(a))
        go(g, call, a, to);
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
    if (rotate_is_unsure(a) && x->state != ROTATION_ABORTING &&
        x->state != ROTATION_SWITCH_REFUSED) {
        admin_reply_rotation(call, a);
        return;
    }
    switch (x->state) {
    case ROTATION_PLANNED:
        if (rotation_due(a, &wait) != ROTATION_ASK_NONE || wait > 0)
            admin_reply_rotation(call, a);
        else if (x->kind == ROTATION_KIND_RESOLVE)
            go(g, call, a, ROTATION_ABORTING); /* there is nothing to change */
        else if (x->new_jwk)
            go(g, call, a, ROTATION_KEY_GENERATED);
        else
            ask_token(g, call, a, rotate_generate);
        return;
    case ROTATION_KEY_GENERATED:
    case ROTATION_RECORDS_VERIFIED:
        step_records(g, call, a, ROTATION_DRAINING);
        return;
    case ROTATION_DRAINING:
        drain(g, call, a);
        return;
    case ROTATION_SWITCHING:
        /* Whoever has asked the CA to switch is waited for. */
        if (x->sent_s && !x->reason && !rotate_is_carried(a->rotation))
            lost(g, call, a);
        else if (x->kind == ROTATION_KIND_MOVE && rotate_settled_ms(a) == 0)
            go(g, call, a, ROTATION_SWITCHED);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_SWITCH_REFUSED:
        go(g, call, a, ROTATION_ABORTING);
        return;
    case ROTATION_ACCOUNT_LOST:
        if (again)
            go(g, call, a, x->new_jwk ? ROTATION_UNRESOLVED : ROTATION_PLANNED);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_ABORTING:
        if (!x->new_jwk)
            ask_token(g, call, a, rotate_find);
        else if (is_ready(a))
            ask_token(g, call, a, rotate_destroy);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_SWITCHED:
        step_records(g, call, a, ROTATION_CLEANED);
        return;
    case ROTATION_CLEANED:
        if (is_ready(a))
            ask_token(g, call, a, rotate_destroy);
        else
            admin_reply_rotation(call, a);
        return;
    case ROTATION_RECORDS_PUBLISHED:
    case ROTATION_UNRESOLVED:
    case ROTATION_DONE:
    case ROTATION_ABORTED:
    case ROTATION_UNSET:
    case ROTATION_STATE_COUNT:
        break;
    }
    admin_reply_rotation(call, a);
}

/* What is deactivated gets no new key; what is left of its keys is destroyed.
 */
static bool is_in_vain(const struct account *a)
{
    enum rotation_state state = a->rotation->row.state;

    return account_is_over(a->row.status) && !rotation_is_over(state) &&
           state != ROTATION_SWITCH_REFUSED && state != ROTATION_ABORTING &&
           state != ROTATION_CLEANED;
}

ADMIN_METHOD(admin_on_rotation_step)
{
    struct guardian *g = userdata;
    const char *name = "";
    bool again = false;
    bool now = false;
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
        { "again", PARAM_BOOL, true, { .flag = &again } },
        { "now", PARAM_BOOL, true, { .flag = &now } },
    };
    struct account *a;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_rotation(g, call, name);
    if (!a)
        return;
    if (rotate_is_blocked(a))
        admin_error_state(call, account_status_name(account_status(a)),
                          a->unresolved);
    else if (is_in_vain(a))
        admin_error_state(call, account_status_name(a->row.status),
                          "no key opens the account any more: rotate abort "
                          "ends its rotation");
    else if (a->rotation->row.state != ROTATION_DRAINING ||
             look_at_window(g, call, a, now))
        step(g, call, a, again);
}

/* ---- answer ---- */

/* Whoever says what the new account is says whom the zones will let have
 * certificates. That it once answered the new key is not said by ops either. */
bool admin_may_ask(struct guardian *g, struct varlink_call *call,
                   const struct account *a, enum rotation_ask ask)
{
    const struct store_rotation *x = &a->rotation->row;
    bool names = ask == ROTATION_ASK_REGISTER ||
                 (ask == ROTATION_ASK_NEW_KEY && rotation_proves_new(x) &&
                  x->state == ROTATION_KEY_GENERATED);

    return !names || admin_may(g, call, ROLE_ADMIN);
}

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

/* The new account's URL keeps the rules of every account's. False: it was
 * answered. */
static bool check_new_url(struct varlink_call *call, const struct account *a,
                          enum rotation_ask ask,
                          const struct rotation_answer *answer)
{
    struct acme_account acme = a->row.acme;
    struct refusal refusal = { 0 };

    if (ask != ROTATION_ASK_REGISTER || !answer->location ||
        answer->http_status >= 300)
        return true;
    acme.account_url = params_borrow(answer->location);
    if (acme_account_check(&acme, &refusal) == 0)
        return true;
    admin_error_refusal(call, "location", &refusal);
    return false;
}

static void hear(struct guardian *g, struct varlink_call *call,
                 struct account *a, enum rotation_ask ask,
                 const struct rotation_answer *answer)
{
    const struct rotation_clock now = { time(NULL), names_now_ms() };
    struct rotation *r = a->rotation;
    struct rotation_step next;
    int e;

    if (!check_new_url(call, a, ask, answer))
        return;
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
    if (!admin_may_ask(g, call, a, rotation_ask_parse(ask)))
        return;
    (void)snprintf(detail, sizeof(detail), "%.24s: HTTP status %u", ask,
                   answer.http_status);
    if (admin_begin(
            g, call,
            &(struct admin_subject){ .account = name, .detail = detail }))
        hear(g, call, a, rotation_ask_parse(ask), &answer);
}

/* ---- abort ---- */

static const char *why_no_abort(const struct store_rotation *x)
{
    if (rotation_is_over(x->state))
        return "it is over";
    return rotation_registered(x) && x->old_lost
               ? "the new account is the only one that is left: account move "
                 "goes on"
               : "the CA may have the new key: resume it";
}

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
        admin_error_state(call, rotation_state_name(x->state), why_no_abort(x));
    else
        go(g, call, a, ROTATION_ABORTING);
}
