/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a CA's answer means for a rotation. Rule: a key is destroyed, or signing
 * released, only after answers that leave no doubt; whatever could be a proxy's
 * word, a cache's or nobody's counts as no answer.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/params.h"
#include "daemon/rotation.h"

#define PROBLEM "urn:ietf:params:acme:error:"
#define AGAIN_MS 1000
#define ROUND_MS 2000

struct hearing {
    enum rotation_ask ask;
    const struct rotation_answer *a;
    const char *account_url;
    const struct rotation_clock *now;
    struct rotation_step *out;
};

static const char *problem_name(const struct rotation_answer *a)
{
    size_t n = strlen(PROBLEM);

    if (!a->problem || strncmp(a->problem, PROBLEM, n) != 0)
        return "";
    return a->problem + n;
}

static bool is_problem(const struct rotation_answer *a, const char *name)
{
    return a->http_status >= 400 && strcmp(problem_name(a), name) == 0;
}

static bool is_rate_limit(const struct rotation_answer *a)
{
    return a->http_status == 429 || is_problem(a, "rateLimited");
}

/* Said by an ACME server that has read the request, and not about the nonce. */
static bool is_definite(const struct rotation_answer *a)
{
    return a->http_status >= 400 && a->http_status < 500 && *problem_name(a) &&
           !is_problem(a, "badNonce") && !is_rate_limit(a);
}

/* It is shown as JSON for as long as the row is there: nothing in it may be no
 * UTF-8, such as half of a character that was cut. */
static void put_reason(struct hearing *h, const char *reason)
{
    for (char *c = h->out->text; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    h->out->row.reason = params_borrow(reason); /* only copied from */
    h->out->row.text = h->out->text;
}

static void put_text(struct hearing *h, const char *reason, const char *words)
{
    const struct rotation_answer *a = h->a;
    const char *detail = a->detail ? a->detail : "";
    const char *colon = *detail ? ": " : "";

    if (a->http_status == 0)
        (void)snprintf(h->out->text, sizeof(h->out->text),
                       "%s: no answer that could be read%s%.150s", words, colon,
                       detail);
    else
        (void)snprintf(h->out->text, sizeof(h->out->text),
                       "%s: HTTP status %u%s%.40s%s%.120s", words,
                       a->http_status, *problem_name(a) ? ": " : "",
                       problem_name(a), colon, detail);
    put_reason(h, reason);
}

/* The words of the rounds begin anew. */
static void go(struct hearing *h, enum rotation_state to)
{
    if (to == ROTATION_ACCOUNT_LOST)
        h->out->row.old_lost = true;
    else if (to == ROTATION_SWITCHED || to == ROTATION_SWITCH_REFUSED)
        h->out->row.old_lost = false;
    h->out->row.state = to;
    h->out->run = (struct rotation_run){ 0 };
}

static void again(struct hearing *h, uint64_t after_ms)
{
    h->out->run.not_before_ms = h->now->ms + after_ms;
}

/* ---- words ---- */

/* Does this key open the account at its very URL? */
static enum rotation_word word_of_key(const struct rotation_answer *a,
                                      const char *thumbprint)
{
    if (is_definite(a) || a->no_key)
        return ROTATION_NO;
    if (a->http_status != 200 || !a->account_status ||
        strcmp(a->account_status, "valid") != 0)
        return ROTATION_UNKNOWN;
    if (a->thumbprint && *a->thumbprint &&
        strcmp(a->thumbprint, thumbprint) != 0)
        return ROTATION_UNKNOWN; /* taken, and said to be another: a cache */
    return ROTATION_YES;
}

/* Does the CA find our account by the new key? Another's is no yes. */
static enum rotation_word word_of_find(const struct rotation_answer *a,
                                       const char *account_url)
{
    if (is_definite(a) || a->no_key)
        return ROTATION_NO;
    if (a->http_status != 200 && a->http_status != 201)
        return ROTATION_UNKNOWN;
    return a->location && strcmp(a->location, account_url) == 0 ? ROTATION_YES
                                                                : ROTATION_NO;
}

static bool is_foreign(const struct hearing *h)
{
    return !h->a->no_key && h->a->http_status < 400 &&
           word_of_find(h->a, h->account_url) == ROTATION_NO;
}

/* Can nobody spend the request's nonce any more? */
static enum rotation_word word_of_spend(const struct rotation_answer *a)
{
    if (a->http_status == 200 || is_problem(a, "badNonce"))
        return ROTATION_YES;
    return is_definite(a) ? ROTATION_NO : ROTATION_UNKNOWN;
}

/* ---- keyChange ---- */

static bool says_not_implemented(const struct rotation_answer *a)
{
    return a->http_status >= 400 && a->detail &&
           (strcasestr(a->detail, "not implemented") ||
            strcasestr(a->detail, "not supported"));
}

/* Why the CA did not do it; NULL: nobody knows whether it did. */
static const char *refusal_reason(const struct rotation_answer *a)
{
    if (a->http_status == 404 || a->http_status == 501 ||
        says_not_implemented(a))
        return "key-change-unsupported";
    if (a->http_status == 409)
        return "key-in-use";
    if (is_problem(a, "badNonce"))
        return "bad-nonce";
    if (is_rate_limit(a))
        return "rate-limited";
    return is_definite(a) ? "refused" : NULL;
}

static void hear_key_change(struct hearing *h)
{
    const char *reason = refusal_reason(h->a);

    if (h->a->http_status == 200) {
        h->out->row.reason = NULL;
        h->out->row.text = NULL;
        go(h, ROTATION_SWITCHED);
        return;
    }
    if (!reason) {
        put_text(h, "answer-lost", "nobody knows whether the CA has switched");
        go(h, ROTATION_UNRESOLVED);
        return;
    }
    put_text(h, reason, "the CA did not switch");
    h->out->row.spent = is_problem(h->a, "badNonce");
    go(h, ROTATION_SWITCHING); /* until the old key is proven */
}

/* Refused, the nonce spent, the new key unknown, and the old key is good. */
static void conclude_refused(struct hearing *h)
{
    struct store_rotation *row = &h->out->row;

    if (row->reason && strcmp(row->reason, "bad-nonce") == 0 &&
        row->tries < ROTATION_TRIES) {
        row->reason = NULL;
        row->text = NULL;
        row->sent_s = 0;
        row->spent = false;
        go(h, ROTATION_SWITCHING);
        return;
    }
    go(h, ROTATION_SWITCH_REFUSED);
}

static enum rotation_word word_of(const struct hearing *h)
{
    switch (h->ask) {
    case ROTATION_ASK_SPEND:
        return word_of_spend(h->a);
    case ROTATION_ASK_FIND_NEW:
        return word_of_find(h->a, h->account_url);
    case ROTATION_ASK_NEW_KEY:
    case ROTATION_ASK_CONFIRM:
        return word_of_key(h->a, h->out->row.new_thumbprint);
    case ROTATION_ASK_OLD_KEY:
        return word_of_key(h->a, h->out->row.old_thumbprint);
    case ROTATION_ASK_NONE:
    case ROTATION_ASK_KEY_CHANGE:
    case ROTATION_ASK_PROVE:
    case ROTATION_ASK_REGISTER:
    case ROTATION_ASK_DEACTIVATE:
    case ROTATION_ASK_COUNT:
        break;
    }
    return ROTATION_UNKNOWN;
}

static void hear_refused(struct hearing *h)
{
    enum rotation_word word = word_of(h);
    /* That of the new key is as good as the other two's bad news. */
    bool good =
        word == (h->ask == ROTATION_ASK_FIND_NEW ? ROTATION_NO : ROTATION_YES);

    if (word == ROTATION_UNKNOWN)
        again(h, AGAIN_MS);
    else if (!good)
        go(h, ROTATION_UNRESOLVED);
    else if (h->ask == ROTATION_ASK_SPEND)
        h->out->row.spent = true;
    else if (h->ask == ROTATION_ASK_FIND_NEW)
        h->out->run.find_new = word;
    else
        conclude_refused(h);
}

/* ---- unresolved ---- */

/* One key that opens the account, or none; UNKNOWN: not to be told from this
 * round, UNASKED: its words contradict each other. */
static enum rotation_word verdict_of_round(const struct store_rotation *x,
                                           const struct rotation_run *run)
{
    if (run->find_new == ROTATION_YES || run->new_key == ROTATION_YES)
        return ROTATION_UNASKED;
    if (run->find_new != ROTATION_NO || run->new_key != ROTATION_NO)
        return ROTATION_UNKNOWN;
    if (run->old_key == ROTATION_YES && !x->spent)
        return ROTATION_UNKNOWN; /* a late keyChange could still switch */
    return run->old_key;
}

static void conclude_round(struct hearing *h)
{
    struct rotation_run *run = &h->out->run;
    enum rotation_word verdict = verdict_of_round(&h->out->row, run);
    struct rotation_run next = { .consistent = run->consistent,
                                 .consistent_ms = run->consistent_ms };

    /* Silence neither proves nor refutes what was heard before. */
    if (verdict != ROTATION_UNKNOWN && verdict != run->consistent)
        next = (struct rotation_run){ .consistent = verdict,
                                      .consistent_ms = h->now->ms };
    if ((verdict == ROTATION_YES || verdict == ROTATION_NO) &&
        h->now->ms - next.consistent_ms >= ROTATION_CONSISTENT_MS) {
        go(h, verdict == ROTATION_YES ? ROTATION_SWITCH_REFUSED
                                      : ROTATION_ACCOUNT_LOST);
        return;
    }
    *run = next;
    again(h, ROUND_MS);
}

static void hear_spend(struct hearing *h, enum rotation_word word)
{
    h->out->run.spend = word;
    h->out->row.spent = word == ROTATION_YES;
}

static void hear_find_new(struct hearing *h, enum rotation_word word)
{
    h->out->run.find_new = word;
    if (!is_foreign(h))
        return;
    (void)snprintf(h->out->text, sizeof(h->out->text),
                   "the CA finds another account by the new key: %.180s",
                   h->a->location && *h->a->location ? h->a->location
                                                     : "(no Location)");
    put_reason(h, "foreign-location");
}

static void hear_unresolved(struct hearing *h)
{
    struct rotation_run *run = &h->out->run;
    enum rotation_word word = word_of(h);

    if (h->ask == ROTATION_ASK_SPEND) {
        hear_spend(h, word);
    } else if (h->ask == ROTATION_ASK_FIND_NEW) {
        hear_find_new(h, word);
    } else if (h->ask == ROTATION_ASK_NEW_KEY) {
        run->new_key = word;
        if (word == ROTATION_YES && run->find_new == ROTATION_YES) {
            h->out->row.reason = NULL;
            h->out->row.text = NULL;
            go(h, ROTATION_SWITCHED);
        }
    } else {
        run->old_key = word;
        conclude_round(h);
    }
}

/* ---- compromised ---- */

/* Who took the key first may have changed it. One refusal could be a front
 * end's mistake, and what follows from it is not easily undone. */
static void hear_planned(struct hearing *h)
{
    enum rotation_word word = word_of(h);
    struct rotation_run *run = &h->out->run;

    if (word == ROTATION_YES) {
        *run = (struct rotation_run){ .old_key = word };
        h->out->row.old_lost = false;
        h->out->row.reason = NULL;
        h->out->row.text = NULL;
        return;
    }
    if (word == ROTATION_UNKNOWN) {
        again(h, AGAIN_MS);
        return;
    }
    if (h->a->no_key) {
        (void)snprintf(h->out->text, sizeof(h->out->text),
                       "no token has a key of the account");
        put_reason(h, "no-key");
        go(h, ROTATION_ACCOUNT_LOST);
        return;
    }
    put_text(h, "old-key-refused", "the CA does not take our key");
    if (++run->n_refused < ROTATION_REFUSALS) {
        again(h, ROUND_MS);
        return;
    }
    go(h, ROTATION_ACCOUNT_LOST);
}

/* ---- move ---- */

static void hear_register(struct hearing *h)
{
    const struct rotation_answer *a = h->a;
    struct store_rotation *row = &h->out->row;
    bool good = (a->http_status == 200 || a->http_status == 201) &&
                a->account_status && strcmp(a->account_status, "valid") == 0;

    if (good && a->location && *a->location &&
        strcmp(a->location, h->account_url) != 0) {
        row->reason = NULL;
        row->text = NULL;
        row->new_url = params_borrow(a->location); /* only copied from */
        return;
    }
    if (!good && !is_definite(a)) {
        again(h, AGAIN_MS);
        return;
    }
    put_text(h, "registration-refused", "the CA gave no new account");
    again(h, AGAIN_MS);
}

/* An account that our key does not open is none of ours, whatever the CA said
 * when it was registered. */
static void hear_new_account(struct hearing *h)
{
    enum rotation_word word = word_of(h);

    if (word == ROTATION_YES) {
        h->out->run.new_key = word;
        h->out->row.reason = NULL;
        h->out->row.text = NULL;
        return;
    }
    if (word == ROTATION_NO)
        put_text(h, "account-not-ours",
                 "the new account is not opened by the new key");
    again(h, AGAIN_MS);
}

/* "unauthorized" can have many reasons, and the old key is destroyed next: an
 * account that it still opens is not deactivated. */
static void hear_deactivated(struct hearing *h)
{
    enum rotation_word word = word_of(h);

    if (word == ROTATION_UNKNOWN) {
        again(h, AGAIN_MS);
        return;
    }
    h->out->run.deactivation_refused = false;
    if (word == ROTATION_NO) {
        h->out->row.old_deactivated_s = h->now->s;
        return;
    }
    (void)snprintf(h->out->text, sizeof(h->out->text),
                   "the CA does not deactivate the old account, which its key "
                   "still opens");
    put_reason(h, "deactivation-refused");
    again(h, ROUND_MS);
}

/* That it is deactivated already is what a lost answer leaves behind. */
static void hear_deactivate(struct hearing *h)
{
    const struct rotation_answer *a = h->a;
    bool now = a->http_status == 200 && a->account_status &&
               strcmp(a->account_status, "deactivated") == 0;

    if (now || is_problem(a, "accountDoesNotExist")) {
        h->out->row.old_deactivated_s = h->now->s;
        return;
    }
    if (is_problem(a, "unauthorized")) {
        h->out->run.deactivation_refused = true;
        return;
    }
    if (is_definite(a))
        put_text(h, "deactivation-refused",
                 "the CA does not deactivate the old account");
    again(h, AGAIN_MS);
}

/* ---- after a start ---- */

/* An abort asks once more, and then for the new key. */
static void hear_unsure(struct hearing *h)
{
    enum rotation_word word = word_of(h);

    if (word == ROTATION_UNKNOWN) {
        again(h, AGAIN_MS);
    } else if (word == ROTATION_YES) {
        h->out->run = (struct rotation_run){ .old_key = word };
    } else {
        put_text(h, "old-key-refused",
                 "the CA does not take the old key: this registry may be an "
                 "old copy");
        h->out->row.state = ROTATION_ABORTING;
    }
}

/* ---- aborting ---- */

/* Whatever the registry says: it may be a copy from before a switch. */
static void hear_aborting(struct hearing *h)
{
    enum rotation_word word = word_of(h);

    if (word == ROTATION_UNKNOWN) {
        again(h, AGAIN_MS);
    } else if (word == ROTATION_YES) {
        h->out->run.old_key = word;
        h->out->run.unsure = false;
    } else {
        put_text(h, "old-key-refused", "the CA does not take the old key");
        if (!h->out->row.request_nonce)
            h->out->row.spent = true; /* there is none to spend */
        go(h, ROTATION_UNRESOLVED);
    }
}

/* ---- switched ---- */

/* A front end may know only the old key for a while. But where nobody has ever
 * taken the new one, and it is refused for longer than any cache lasts, the
 * CA's 200 was none. */
static void hear_refusal(struct hearing *h, enum rotation_word word,
                         uint64_t cache_ms)
{
    struct rotation_run *run = &h->out->run;

    run->n_confirmed = 0;
    again(h, AGAIN_MS);
    if (word != ROTATION_NO)
        return;
    run->late = run->late || h->now->ms - run->asked_ms >= cache_ms;
    if (h->out->row.sent_s == 0 || run->was_confirmed)
        return;
    if (run->refused_ms == 0)
        run->refused_ms = h->now->ms;
    if (h->now->ms - run->refused_ms < ROTATION_NOT_SWITCHED_MS)
        return;
    put_text(h, "new-key-refused",
             "the CA said that it had switched, and does not take the new key");
    go(h, ROTATION_UNRESOLVED);
}

/* No cache that was filled before the switch lasts for longer than the cache
 * time after it. If one did, nobody knows how long others do: it begins anew
 * with the first answer after that. */
static void hear_confirm(struct hearing *h)
{
    struct rotation_run *run = &h->out->run;
    uint64_t cache_ms = (uint64_t)h->out->row.cache_s * 1000;
    enum rotation_word word = word_of(h);
    uint64_t end_ms;

    if (run->asked_ms == 0)
        run->asked_ms = h->now->ms;
    if (word != ROTATION_YES) {
        hear_refusal(h, word, cache_ms);
        return;
    }
    run->was_confirmed = true;
    if (run->n_confirmed++ == 0)
        run->confirm_ms = h->now->ms;
    end_ms = (run->late ? run->confirm_ms : run->asked_ms) + cache_ms;
    if (end_ms < h->now->ms)
        end_ms = h->now->ms;
    if (run->n_confirmed >= ROTATION_CONFIRMS && h->now->ms >= end_ms) {
        h->out->row.confirmed_s = h->now->s;
        *run = (struct rotation_run){ 0 };
        return;
    }
    run->not_before_ms =
        run->n_confirmed == 1 ? h->now->ms + (end_ms - h->now->ms) / 2 : end_ms;
}

int rotation_hear(const struct store_rotation *x,
                  const struct rotation_run *run, enum rotation_ask ask,
                  const struct rotation_answer *answer, const char *account_url,
                  const struct rotation_clock *now, struct rotation_step *ret)
{
    struct hearing h = { ask, answer, account_url, now, ret };
    enum rotation_ask due;
    uint64_t wait_ms;

    *ret = (struct rotation_step){ .row = *x, .run = *run };
    if (ask == ROTATION_ASK_KEY_CHANGE) {
        /* Late, but it says as much as it would have said in time. */
        if (x->sent_s == 0 ||
            (x->state == ROTATION_SWITCHING ? x->reason != NULL
                                            : x->state != ROTATION_UNRESOLVED ||
                                                  answer->http_status != 200))
            return ROTATION_E_UNASKED;
        hear_key_change(&h);
        return 0;
    }
    if (rotation_deactivates(x)) {
        if (ask != rotation_deactivation(run))
            return ROTATION_E_UNASKED;
        if (ask == ROTATION_ASK_DEACTIVATE)
            hear_deactivate(&h);
        else
            hear_deactivated(&h);
        return 0;
    }
    due = rotation_question(x, run, false, UINT64_MAX, &wait_ms);
    if (ask == ROTATION_ASK_NONE || ask != due)
        return ROTATION_E_UNASKED;
    if (run->unsure && x->state != ROTATION_ABORTING && rotation_may_be_old(x))
        hear_unsure(&h);
    else if (x->state == ROTATION_PLANNED)
        hear_planned(&h);
    else if (ask == ROTATION_ASK_REGISTER)
        hear_register(&h);
    else if (rotation_proves_new(x))
        hear_new_account(&h);
    else if (x->state == ROTATION_SWITCHING)
        hear_refused(&h);
    else if (x->state == ROTATION_UNRESOLVED)
        hear_unresolved(&h);
    else if (x->state == ROTATION_ABORTING)
        hear_aborting(&h);
    else
        hear_confirm(&h);
    return 0;
}
