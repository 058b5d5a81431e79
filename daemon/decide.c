/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/decide.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/decision.h"
#include "daemon/quota.h"
#include "daemon/rotate.h"
#include "daemon/sha256.h"

struct policy_caller decide_caller(const struct peer *peer, const char *socket)
{
    return (struct policy_caller){
        .uid = peer->uid,
        .gids = peer->gids,
        .n_gids = peer->n_gids,
        .unit = peer->unit,
        .unit_certain = peer->unit_certain,
        .socket = socket,
        .now = time(NULL),
    };
}

int decide_rule(const struct policy_ruleset *rule, struct buf *ret)
{
    if (!rule)
        return 0;
    return buf_printf(ret, "%s:%u", policy_ruleset_file(rule),
                      policy_ruleset_line(rule));
}

int decide_state(const struct guardian *g, const struct peer *peer,
                 const struct account *a, struct refusal *ret_refusal)
{
    if (suspend_covers(&g->suspend, a->row.acme.name, peer->uid))
        return refuse(ret_refusal, REASON_SUSPENDED, "%s",
                      "suspended by an operator");
    if (account_status(a) != ACCOUNT_VALID || rotate_gate(a) == ROTATE_CLOSED)
        return refuse(ret_refusal, REASON_ACCOUNT_NOT_READY, "%s",
                      account_state(a));
    return 0;
}

int decide_csr_key(const struct accounts *accounts,
                   const struct acme_request *request,
                   struct refusal *ret_refusal)
{
    const struct jwk *key = &request->csr.key;

    if (request->op == ACME_OP_FINALIZE && accounts_find_key(accounts, key))
        return refuse(ret_refusal, REASON_ACCOUNT_KEY, "%s",
                      "the key of an account");
    return 0;
}

/* Requests whose outcome at the CA depends on the key that the client has in
 * mind: a key authorization was or will be computed from it. */
static bool depends_on_key(enum acme_op op)
{
    return op == ACME_OP_ORDER || op == ACME_OP_CHALLENGE ||
           op == ACME_OP_LOOKUP;
}

static int decide_key(const struct decision *d, struct refusal *ret_refusal)
{
    const char *believed = d->in.thumbprint;

    if (believed && depends_on_key(d->request->op) &&
        strcmp(believed, d->in.account->row.acme.thumbprint) != 0)
        return refuse(ret_refusal, REASON_KEY_CHANGED, "%s",
                      "the account has another key now");
    return 0;
}

/* What follows from the key, or from the account that it is of: a rotation may
 * have changed it. */
static bool is_of_key(enum reason reason)
{
    return reason == REASON_WRONG_JWK || reason == REASON_WRONG_ALG ||
           reason == REASON_WRONG_KID;
}

/* A header that was right when the client wrote it, or when it came here, is
 * not wrong but late. */
static int decide_read(struct decision *d, struct refusal *ret_refusal)
{
    const struct acme_account *a = &d->in.account->row.acme;
    const char *believed = d->in.thumbprint ? d->in.thumbprint : d->came;
    int r;

    r = acme_request_read(a, d->in.protected_b64, d->in.payload_b64,
                          &d->request, ret_refusal);
    if (r == REFUSED && is_of_key(ret_refusal->reason) &&
        strcmp(believed, a->thumbprint) != 0)
        return refuse(ret_refusal, REASON_KEY_CHANGED, "%s",
                      "the account has another key now");
    return r;
}

/* Which of the two? Not a lacme's: its connection is waited for, and what it
 * has begun it may finish. */
static bool decide_must_wait(const struct decision *d)
{
    enum rotate_gate gate = rotate_gate(d->in.account);

    return gate == ROTATE_HELD ||
           (gate == ROTATE_ORDERS_HELD && d->request->op == ACME_OP_ORDER &&
            !d->in.may_finish);
}

static bool decide_quota(const struct policy_ruleset *rule, void *userdata)
{
    struct decision *d = userdata;

    return quota_allows(d->guardian->quota, policy_ruleset_id(rule),
                        policy_ruleset_orders_per_day(rule), quota_now_ms(),
                        d->payload_sha256);
}

/* An order that cannot be counted is not signed. */
static int decide_count(const struct decision *d)
{
    if (d->request->op != ACME_OP_ORDER)
        return 0;
    return quota_count(d->guardian->quota, d->rule_id, quota_now_ms(),
                       d->payload_sha256);
}

/* Only what would be granted counts: refusals have a limit of their own. */
static int decide_rate(struct decision *d, struct refusal *ret_refusal)
{
    size_t octets = strlen(d->request->url);
    uint64_t wait_ms;

    for (size_t i = 0; i < d->request->identifiers.n; i++)
        octets += strlen(d->request->identifiers.items[i].value);
    wait_ms = grant_limit_take(&d->guardian->grants, d->in.peer->uid, octets,
                               names_now_ms() * 1000);
    if (wait_ms == 0)
        return 0;
    d->retry_after_ms = wait_ms;
    return refuse(ret_refusal, REASON_REQUESTS_PER_MINUTE, "%s",
                  "too many requests of this user");
}

static int decide_policy(struct decision *d, struct refusal *ret_refusal)
{
    const struct guardian *g = d->guardian;
    struct policy_caller caller = decide_caller(d->in.peer, d->in.socket);
    struct policy_verdict v = { 0 };
    int r = 0;

    if (d->request->op == ACME_OP_ORDER)
        r = sha256_digest(g->sha256, d->in.payload_b64, d->payload_sha256);
    if (r)
        return r;
    r = policy_eval(g->policy, &caller, &g->names.policy,
                    &d->in.account->row.acme, d->request, decide_quota, d, &v);
    if (r)
        return r;
    r = decide_rule(v.rule, &d->rule);
    if (r)
        return r;
    d->rule_id = v.rule ? policy_ruleset_id(v.rule) : NULL;
    d->identifier = v.identifier;
    if (v.reason == REASON_ORDERS_PER_DAY)
        d->retry_after_ms = quota_retry_after_ms(
            g->quota, d->rule_id, policy_ruleset_orders_per_day(v.rule),
            quota_now_ms());
    if (!v.allowed)
        return refuse(ret_refusal, v.reason, "%s",
                      v.identifier ? v.identifier : "");
    return 0;
}

/* The octets that would be signed; acme_request_read() knows how many there may
 * be, and both kinds of sockets take little more. */
static int decide_compose(struct decision *d)
{
    struct bytes head = d->in.protected_b64;
    struct bytes payload = d->in.payload_b64;
    int r;

    r = buf_reserve(&d->input, head.len + 1 + payload.len);
    if (r == 0)
        r = buf_append(&d->input, head.data, head.len);
    if (r == 0)
        r = buf_append_char(&d->input, '.');
    if (r == 0)
        r = buf_append(&d->input, payload.data, payload.len);
    if (r == 0)
        r = sha256_digest(d->guardian->sha256, buf_bytes(&d->input),
                          d->input_sha256);
    return r;
}

#define DECIDE_E_HELD 2 /* would go on, but not now; REFUSED is 1 */

static int decide_judge(struct decision *d, struct refusal *ret_refusal)
{
    const struct account *a = d->in.account;
    int r;

    r = decide_compose(d);
    if (r)
        return r;
    /* Without a directory there is nothing to read a request against. */
    if (!a->row.acme.directory.new_order)
        return refuse(ret_refusal, REASON_ACCOUNT_NOT_READY, "%s",
                      account_state(a));
    r = decide_read(d, ret_refusal);
    if (r == 0)
        r = decide_csr_key(&d->guardian->accounts, d->request, ret_refusal);
    if (r == 0)
        r = decide_state(d->guardian, d->in.peer, a, ret_refusal);
    if (r == 0)
        r = decide_key(d, ret_refusal);
    if (r == 0)
        r = decide_policy(d, ret_refusal);
    if (r == 0 && decide_must_wait(d))
        return DECIDE_E_HELD;
    if (r == 0)
        r = decide_rate(d, ret_refusal);
    if (r == 0)
        r = decision_write(d, ret_refusal);
    return r ? r : decide_count(d);
}

static void decision_free(struct decision *d)
{
    if (d->in_flight) {
        d->in.account->in_flight--;
        d->in.account->new_orders -= d->new_order;
    }
    acme_request_free(d->request);
    buf_deinit(&d->input);
    buf_deinit(&d->rule);
    buf_deinit(&d->head);
    buf_deinit(&d->payload);
    free(d);
}

static void decide_answer(struct decision *d, struct decide_outcome *o)
{
    const struct account *a = d->in.account;

    enum acme_op op = d->request ? d->request->op : ACME_OP_UNSET;

    metrics_count(&d->guardian->metrics, op, o->reason, d->since_us);
    o->operation = acme_op_name(op);
    o->identifier = d->identifier;
    o->rule = d->rule.len ? buf_str(&d->rule) : NULL;
    o->state = account_state(a);
    o->thumbprint = a->row.acme.thumbprint;
    d->fn(o, d->userdata);
    decision_free(d);
}

static void decide_refuse(struct decision *d, const struct refusal *refusal,
                          uint64_t retry_after_ms)
{
    decision_write_refusal(d, refusal);
    decide_answer(d,
                  &(struct decide_outcome){ .reason = refusal->reason,
                                            .detail = refusal->detail,
                                            .offset = refusal->offset,
                                            .retry_after_ms = retry_after_ms });
}

static int decide_sync_refusal(int r, struct refusal *ret_refusal)
{
    if (r)
        return refuse(ret_refusal, REASON_AUDIT_UNAVAILABLE, "%s",
                      strerror(-r));
    return 0;
}

static int decide_denied(struct decision *d, struct refusal *ret_refusal)
{
    if (policy_denies_any(d->guardian->policy, &d->request->identifiers,
                          &d->identifier))
        return refuse(ret_refusal, REASON_IDENTIFIER_DENIED,
                      "%s is denied to everybody", d->identifier);
    return 0;
}

/* The key that signed must still be the one: a rotation waits for what is in
 * flight, so this does not happen. */
static int decide_same_key(const struct decision *d,
                           struct refusal *ret_refusal)
{
    if (strcmp(d->asked, d->in.account->row.acme.thumbprint) != 0)
        return refuse(ret_refusal, REASON_KEY_CHANGED, "%s",
                      "the key changed while the token signed");
    return 0;
}

/* What a rotation has to know of what left. */
static void decide_note_release(const struct decision *d)
{
    struct account *a = d->in.account;

    a->released_ms = names_now_ms();
    if (d->request->op == ACME_OP_ORDER)
        open_orders_begin(&a->orders, &d->request->identifiers, a->released_ms);
    else if (d->request->op == ACME_OP_FINALIZE)
        open_orders_finish(&a->orders, &d->request->identifiers);
}

/*
 * The line is on disk, or will be within the interval. Between the decision and
 * now an operator may have suspended the account or denied a name, or the keys
 * may have turned out to be wrong: then the signature stays here.
 */
static void decide_on_synced(int r, void *userdata)
{
    struct decision *d = userdata;
    struct refusal refusal = { 0 };

    if (decide_sync_refusal(r, &refusal) ||
        decide_state(d->guardian, d->in.peer, d->in.account, &refusal) ||
        decide_same_key(d, &refusal) || decide_denied(d, &refusal)) {
        decide_refuse(d, &refusal, 0);
        return;
    }
    decide_note_release(d);
    decision_log_granted(d);
    decide_answer(d, &(struct decide_outcome){
                         .signature = { d->signature, d->signature_len } });
}

static int decide_token_refusal(const struct token_answer *a,
                                struct refusal *ret_refusal)
{
    if (a->r == -EBUSY)
        return refuse(ret_refusal, REASON_BUSY, "%s", a->text);
    if (!token_answer_ok(a))
        return refuse(ret_refusal, REASON_TOKEN_UNAVAILABLE, "%s%s%s",
                      token_answer_code(a), a->text[0] ? ": " : "", a->text);
    return 0;
}

static int decide_release(struct decision *d, const struct token_answer *a,
                          struct refusal *ret_refusal)
{
    const struct acme_account *acme = &d->in.account->row.acme;
    int r;

    r = decide_token_refusal(a, ret_refusal);
    if (r)
        return r;
    if (!a->data.data || a->data.len > sizeof(d->signature) ||
        a->data.len != jws_signature_len(&acme->jwk))
        return refuse(ret_refusal, REASON_TOKEN_UNAVAILABLE, "%s",
                      "the token gave a signature of another length");
    memcpy(d->signature, a->data.data, a->data.len);
    d->signature_len = a->data.len;
    return 0;
}

static void decide_on_token(const struct token_answer *a, void *userdata)
{
    struct decision *d = userdata;
    struct refusal refusal = { 0 };
    int r;

    r = decide_release(d, a, &refusal);
    if (r) {
        decide_refuse(d, &refusal, a->retry_after_ms);
        return;
    }
    r = audit_when_synced(d->guardian->audit, decide_on_synced, d);
    if (r)
        decide_on_synced(r, d);
}

static void decide_ask_token(struct decision *d)
{
    struct account *a = d->in.account;

    d->in_flight = true;
    a->in_flight++;
    d->new_order = d->request->op == ACME_OP_ORDER;
    a->new_orders += d->new_order;
    memcpy(d->asked, a->row.acme.thumbprint, sizeof(d->asked));
    if (!a->token) {
        decide_on_token(
            &(struct token_answer){ .r = -EHOSTDOWN,
                                    .text = "no [Token] section of this name",
                                    .retry_after_ms = 60000 },
            d);
        return;
    }
    token_send(a->token,
               &(struct token_ask){ .op = TOKEN_OP_SIGN,
                                    .for_user = true,
                                    .uid = d->in.peer->uid,
                                    .label = a->row.key_label,
                                    .alg = jwk_alg(&a->row.acme.jwk),
                                    .data = buf_bytes(&d->input) },
               decide_on_token, d);
}

static void decide_run(struct decision *d);

static void decide_on_released(bool released, void *userdata)
{
    struct decision *d = userdata;
    struct refusal refusal = { .reason = REASON_ACCOUNT_NOT_READY };

    if (!released) {
        decide_refuse(d, &refusal, 0);
        return;
    }
    d->request = acme_request_free(d->request);
    buf_clear(&d->input);
    buf_clear(&d->rule);
    d->identifier = NULL;
    d->in.protected_b64 = buf_bytes(&d->head);
    d->in.payload_b64 = buf_bytes(&d->payload);
    decide_run(d);
}

/* The first time: what is needed for judging it again. */
static int decide_hold(struct decision *d)
{
    struct hold_entry *entry;
    int r = 0;

    if (d->head.len == 0) {
        r = buf_append(&d->head, d->in.protected_b64.data,
                       d->in.protected_b64.len);
        if (r == 0)
            r = buf_append(&d->payload, d->in.payload_b64.data,
                           d->in.payload_b64.len);
        d->wait_until_ms = names_now_ms() + ROTATION_HOLD_MS;
    }
    if (r == 0 && names_now_ms() >= d->wait_until_ms)
        return -ETIMEDOUT;
    d->rule_id = NULL;
    return r ? r
             : hold_add(&d->in.account->hold, d->guardian->event,
                        d->wait_until_ms - names_now_ms(), decide_on_released,
                        d, &entry);
}

static void decide_run(struct decision *d)
{
    struct refusal refusal = { 0 };
    int r;

    r = decide_judge(d, &refusal);
    if (r == DECIDE_E_HELD) {
        r = decide_hold(d);
        if (r == 0)
            return;
        if (r == -ETIMEDOUT)
            r = refuse(&refusal, REASON_ACCOUNT_NOT_READY, "%s",
                       account_state(d->in.account));
    }
    /* Whatever is not 0 denies. */
    if (r < 0)
        refusal = (struct refusal){ .reason = REASON_BUSY };
    if (r) {
        decide_refuse(d, &refusal, d->retry_after_ms);
        return;
    }
    d->rule_id = NULL; /* a reload may end the rule set's life */
    decide_ask_token(d);
}

void decide_sign(struct guardian *g, const struct decide_input *in,
                 decide_done_fn fn, void *userdata)
{
    struct decision *d = calloc(1, sizeof(*d));

    if (!d) {
        fn(&(struct decide_outcome){ .reason = REASON_BUSY,
                                     .operation = acme_op_name(ACME_OP_UNSET),
                                     .detail = "out of memory",
                                     .retry_after_ms = 1000 },
           userdata);
        return;
    }
    *d = (struct decision){
        .guardian = g,
        .in = *in,
        .fn = fn,
        .userdata = userdata,
        .retry_after_ms = 1000,
        .since_us = metrics_now_us(),
    };
    memcpy(d->came, in->account->row.acme.thumbprint, sizeof(d->came));
    decide_run(d);
}
