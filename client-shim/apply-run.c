/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-apply.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-error.h"
#include "client-shim/ctl-print.h"

#define TOKEN_FAILED "org.acmeguardian.Admin.TokenFailed"

static json_t *strings(char *const *list)
{
    json_t *array = json_array();

    for (; list && *list; list++)
        (void)json_array_append_new(array, json_string(*list));
    return array;
}

/* NULL for an empty list: the daemon's default is none. */
static json_t *some(char *const *list)
{
    return list && *list ? strings(list) : NULL;
}

static json_t *create_parameters(const struct account_wish *w)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o*, s:s*, s:o*, s:o*, s:b, s:b}", "name",
        w->name, "token", w->token, "alg", w->alg, "directory", w->directory,
        "rsaBits", w->rsa_bits ? json_integer(w->rsa_bits) : NULL,
        "existingKey", w->existing_key, "origins", some(w->origins),
        "challengeMembers", some(w->challenge_members), "allowQuery",
        (int)w->allow_query, "allowHttpLoopback", (int)w->allow_http_loopback);
}

/* The first key that finds no room is the last that is tried. */
static int create(struct apply *a, const struct account_wish *w)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *result;
    int r;

    if (json_object_get(a->full, w->token))
        return ctl_fail(CTL_EXIT_NO,
                        "%s: not made: the token %s has no room for another "
                        "key",
                        w->name, w->token);
    a->daemon.expected = TOKEN_FAILED;
    r = ctl_daemon_call_within(&a->daemon, "AccountCreate",
                               create_parameters(w), CTL_CALL_KEYGEN_MS,
                               &answer);
    a->daemon.expected = NULL;
    result = ctl_string(answer, "result");
    if (r == CTL_EXIT_NO && result) {
        if (strcmp(result, "token-full") == 0)
            (void)json_object_set_new(a->full, w->token, json_true());
        return ctl_error_report(&a->plain, TOKEN_FAILED, answer);
    }
    return r;
}

struct apply_ca *apply_find_ca(const struct apply *a,
                               const struct account_wish *w)
{
    for (size_t i = 0; i < a->n_cas; i++) {
        struct apply_ca *ca = &a->cas[i];
        bool same_file = ca->ca_file && w->ca_file
                             ? strcmp(ca->ca_file, w->ca_file) == 0
                             : ca->ca_file == w->ca_file;

        if (same_file && strcmp(ca->directory, w->directory) == 0)
            return ca;
    }
    return NULL;
}

static int do_register(struct apply_ca *ca, const struct account_wish *w)
{
    CLEANUP_CTL_JSON json_t *contacts = strings(w->contacts);
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const struct ctl_registration g = { .contacts = contacts,
                                        .agree_terms = w->agree_terms,
                                        .eab_kid = w->eab_kid,
                                        .eab_key = w->eab_key };
    const char *terms = ctl_register_terms(ca->v.directory, w->agree_terms);

    if (terms)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: not registered: read the CA's terms of service, "
                        "%s, then agree to them with AgreeTerms=yes",
                        w->name, terms);
    return ctl_register_account(&ca->v, &g, &answer);
}

static int do_contacts(struct apply_ca *ca, const struct account_wish *w)
{
    CLEANUP_CTL_JSON json_t *contacts = strings(w->contacts);
    CLEANUP_CTL_JSON json_t *answer = NULL;

    return ctl_update_account(&ca->v, contacts, false, &answer);
}

/* Whether this CA is worth another try with the next account. */
static bool has_stopped(const struct apply_ca *ca, int code)
{
    const struct net_answer *a = ca->v.ca.answer;

    return (code == CTL_EXIT_TRY_AGAIN || code == CTL_EXIT_UNAVAILABLE) &&
           (a->result != NET_RESULT_OK || a->http_status == 429 ||
            a->http_status >= 500);
}

static int at_ca(struct apply *a, const struct account_wish *w,
                 enum apply_action action)
{
    struct apply_ca *ca = apply_find_ca(a, w);
    int r;

    assert(ca); /* made for every wish */
    if (ca->stopped)
        return ctl_fail(CTL_EXIT_TRY_AGAIN,
                        "%s: not now: %s could not be asked before", w->name,
                        w->directory);
    r = ctl_conversation_select(&ca->v, w->name);
    if (r == 0)
        r = ctl_conversation_directory(&ca->v, NULL);
    if (r == 0)
        r = action == APPLY_REGISTER ? do_register(ca, w) : do_contacts(ca, w);
    if (r)
        ca->stopped = has_stopped(ca, r);
    return r;
}

static int set_issuers(struct apply *a, const struct account_wish *w)
{
    return ctl_daemon_call(&a->daemon, "AccountSetIssuers",
                           json_pack("{s:s, s:o}", "name", w->name, "issuers",
                                     strings(w->issuers)),
                           NULL);
}

static json_t *time_json(int64_t s)
{
    return s == ACCOUNT_NO_TIME ? NULL : json_integer(s);
}

static int set_schedule(struct apply *a, const struct account_wish *w)
{
    const struct account_schedule *x = &w->schedule;

    return ctl_daemon_call(
        &a->daemon, "AccountSetSchedule",
        json_pack("{s:s, s:o*, s:s*, s:o*, s:o*, s:o*, s:o*, s:b}", "name",
                  w->name, "rotate", time_json(x->rotate_s), "window",
                  x->window, "orderDrain", time_json(x->order_drain_s),
                  "settle", time_json(x->settle_s), "cacheTime",
                  time_json(x->cache_s), "grace", time_json(x->grace_s),
                  "keepOldKey", (int)x->keep_old),
        NULL);
}

static int run_action(struct apply *a, const struct account_wish *w,
                      enum apply_action action)
{
    switch (action) {
    case APPLY_CREATE:
        return create(a, w);
    case APPLY_REGISTER:
    case APPLY_CONTACTS:
        return at_ca(a, w, action);
    case APPLY_ISSUERS:
        return set_issuers(a, w);
    case APPLY_SCHEDULE:
        return set_schedule(a, w);
    case APPLY_NONE:
        break;
    }
    return ctl_fail_errno(-EINVAL, w->name);
}

/* The issuer names before the CA is asked: they need no network. */
int apply_run_step(struct apply *a, struct apply_step *s, json_t *done)
{
    static const enum apply_action order[] = { APPLY_CREATE, APPLY_ISSUERS,
                                               APPLY_SCHEDULE, APPLY_REGISTER,
                                               APPLY_CONTACTS };

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        CLEANUP_BUF struct buf text = { 0 };
        int r;

        if (!(s->actions & order[i]))
            continue;
        r = apply_action_text(s->wish, order[i], &text);
        if (r)
            return ctl_fail_errno(r, s->wish->name);
        r = run_action(a, s->wish, order[i]);
        if (r)
            return r;
        (void)json_array_append_new(done, json_string(buf_str(&text)));
    }
    return CTL_EXIT_DONE;
}
