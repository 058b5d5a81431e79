/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/apply-plan.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "acme/jwk.h"
#include "acme/known-cas.h"

void apply_step_deinit(struct apply_step *s)
{
    json_decref(s->not_done);
    *s = (struct apply_step){ 0 };
}

static const char *fact(const json_t *facts, const char *name)
{
    return json_string_value(json_object_get(facts, name));
}

/* An entry of not_done. */
static int keep(struct apply_step *s, const char *fmt, ...) PRINTF(2, 3);
static int keep(struct apply_step *s, const char *fmt, ...)
{
    json_t *text;
    va_list args;

    va_start(args, fmt);
    text = json_vsprintf(fmt, args);
    va_end(args);
    return json_array_append_new(s->not_done, text) < 0 ? -ENOMEM : 0;
}

/* The same strings, in any order. */
static bool same_list(char *const *list, const json_t *array)
{
    size_t n = 0;

    for (; list && list[n]; n++) {
        bool found = false;

        for (size_t i = 0; i < json_array_size(array) && !found; i++) {
            const char *s = json_string_value(json_array_get(array, i));

            found = s && strcmp(s, list[n]) == 0;
        }
        if (!found)
            return false;
    }
    return n == json_array_size(array);
}

static unsigned rsa_bits(const json_t *facts)
{
    struct jwk jwk;

    if (jwk_decode(json_object_get(facts, "jwk"), &jwk, NULL) ||
        jwk.type != JWK_TYPE_RSA)
        return 0;
    return (unsigned)jwk.n_len * 8;
}

static int compare_key(const struct account_wish *w, const json_t *facts,
                       struct apply_step *s)
{
    const char *alg = fact(facts, "alg");
    const char *token = fact(facts, "token");
    int r = 0;

    if (!alg || strcmp(alg, w->alg) != 0 || rsa_bits(facts) != w->rsa_bits)
        r = keep(s,
                 "KeyType=: its key is of another type (%s); a new key needs a "
                 "rotation",
                 alg ? alg : "unknown");
    if (r == 0 && (!token || strcmp(token, w->token) != 0))
        r = keep(s,
                 "Token=: its key is on the token %s; a key on another token "
                 "needs a rotation",
                 token ? token : "unknown");
    return r;
}

/* What account create fixes for good. */
static int compare_fixed(const struct account_wish *w, const json_t *facts,
                         struct apply_step *s)
{
    const char *directory = fact(facts, "directory");
    const struct {
        const char *key;
        bool same;
    } fixed[] = {
        { "Origins=",
          same_list(w->origins, json_object_get(facts, "origins")) },
        { "ChallengeMembers=",
          same_list(w->challenge_members,
                    json_object_get(facts, "challengeMembers")) },
        { "AllowQuery=", w->allow_query == json_is_true(json_object_get(
                                               facts, "allowQuery")) },
        { "AllowHttpLoopback=",
          w->allow_http_loopback ==
              json_is_true(json_object_get(facts, "allowHttpLoopback")) },
    };
    int r = 0;

    if (!directory || strcmp(directory, w->directory) != 0)
        r = keep(s,
                 "Directory=: the account is one of %s and cannot move to "
                 "another CA; make one of another name",
                 directory ? directory : "another CA");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(fixed); i++) {
        if (!fixed[i].same)
            r = keep(s,
                     "%s is as the account was made with, and cannot be "
                     "changed",
                     fixed[i].key);
    }
    return r;
}

static int compare_external(const struct account_wish *w, const json_t *facts,
                            struct apply_step *s)
{
    const char *bound = fact(facts, "externalAccount");

    if (!w->eab_kid || (bound && strcmp(bound, w->eab_kid) == 0))
        return 0;
    return keep(s,
                bound ? "EabKid=: the account is bound to the external account "
                        "%s, and no account is bound twice"
                      : "EabKid=: the account was registered without one, and "
                        "cannot be bound afterwards%s",
                bound ? bound : "");
}

/* Only with the CA that the file means. */
static int compare_status(const struct account_wish *w, const json_t *facts,
                          struct apply_step *s)
{
    const char *status = fact(facts, "status");

    if (status && strcmp(status, "created") == 0) {
        s->actions |= APPLY_REGISTER;
        return 0;
    }
    if (!status || strcmp(status, "valid") != 0)
        return keep(s, "the account is %s; nothing is done with it",
                    status ? status : "in an unknown state");
    if (w->manage_contacts &&
        !same_list(w->contacts, json_object_get(facts, "contacts")))
        s->actions |= APPLY_CONTACTS;
    return compare_external(w, facts, s);
}

/* As AccountSetSchedule has it; what is not there is null. */
static bool same_time(const json_t *schedule, const char *name, int64_t wish_s)
{
    const json_t *x = json_object_get(schedule, name);
    json_int_t fact_s =
        json_is_integer(x) ? json_integer_value(x) : ACCOUNT_NO_TIME;

    return fact_s == wish_s;
}

static bool same_schedule(const struct account_schedule *w,
                          const json_t *schedule)
{
    const char *window = fact(schedule, "window");

    return (window && w->window ? strcmp(window, w->window) == 0
                                : !window == !w->window) &&
           same_time(schedule, "rotate", w->rotate_s) &&
           same_time(schedule, "orderDrain", w->order_drain_s) &&
           same_time(schedule, "settle", w->settle_s) &&
           same_time(schedule, "cacheTime", w->cache_s) &&
           same_time(schedule, "grace", w->grace_s) &&
           w->keep_old == json_is_true(json_object_get(schedule, "keepOldKey"));
}

int apply_compare(const struct account_wish *wish, const json_t *facts,
                  struct apply_step *ret)
{
    const char *directory = fact(facts, "directory");
    int r;

    *ret = (struct apply_step){ .wish = wish, .not_done = json_array() };
    if (!ret->not_done)
        return -ENOMEM;
    if (!facts) {
        ret->actions =
            APPLY_CREATE | APPLY_REGISTER |
            (wish->issuers ? APPLY_ISSUERS : 0) |
            (same_schedule(&wish->schedule, NULL) ? 0 : APPLY_SCHEDULE);
        return 0;
    }
    r = compare_key(wish, facts, ret);
    if (r == 0)
        r = compare_fixed(wish, facts, ret);
    if (r || !directory || strcmp(directory, wish->directory) != 0)
        return r;
    if (!same_list(wish->issuers, json_object_get(facts, "issuers")))
        ret->actions |= APPLY_ISSUERS;
    if (!same_schedule(&wish->schedule, json_object_get(facts, "schedule")))
        ret->actions |= APPLY_SCHEDULE;
    return compare_status(wish, facts, ret);
}

int apply_action_text(const struct account_wish *wish, enum apply_action action,
                      struct buf *ret)
{
    const struct known_ca *ca = known_ca_of_directory(wish->directory);

    switch (action) {
    case APPLY_CREATE:
        return wish->existing_key
                   ? buf_printf(ret, "take the key %s of the token %s",
                                wish->existing_key, wish->token)
                   : buf_printf(ret, "make an %s key on the token %s",
                                wish->alg, wish->token);
    case APPLY_REGISTER:
        return buf_printf(ret, "register at %s%s", wish->directory,
                          ca && ca->staging ? " (STAGING)" : "");
    case APPLY_CONTACTS:
        return buf_append_str(ret, "change its contacts");
    case APPLY_ISSUERS:
        return buf_append_str(ret, "set its issuer names");
    case APPLY_SCHEDULE:
        return buf_append_str(ret, "set how its key is rotated");
    case APPLY_NONE:
        break;
    }
    return -EINVAL;
}
