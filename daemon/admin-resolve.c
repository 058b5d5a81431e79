/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/admin-rotation.h"
#include "daemon/guardian.h"
#include "daemon/keycheck.h"
#include "daemon/label.h"
#include "daemon/params.h"

/*
 * RotationResolve: an account whose token and registry do not agree. Every
 * token is asked for the account's keys; the newest that the registry does not
 * have becomes the new key of a rotation that begins as unresolved, so that the
 * CA is asked which of the two it has. What the CA says then is taken, by the
 * same machine as after an answer that was lost. No key is destroyed on
 * suspicion: another daemon may be about to use it.
 */

struct resolve {
    struct guardian *guardian;
    struct varlink_call *call;
    struct account *account;
    size_t next;    /* token */
    unsigned below; /* of the ones that are looked for; 0: any */
    bool own_there; /* the registry's key */
    bool took_busy; /* of the rotation that there was */
    struct token_key key;
    const struct token *token; /* that has it; NULL: none was found */
    unsigned generation, highest;
};

static void resolve_free(struct resolve *s)
{
    if (s->took_busy && s->account->rotation)
        s->account->rotation->busy = false;
    s->account->resolving = false;
    free(s);
}

/* The account's own key is no candidate. */
static bool is_known(const struct account *a, const struct token_key *key)
{
    struct jwk jwk;

    return key->spki_len > sizeof(key->spki) ||
           jwk_from_spki((struct bytes){ key->spki, key->spki_len }, &jwk) ||
           jwk_eq(&jwk, &a->row.acme.jwk);
}

static void on_key(const struct token_key *key, void *userdata)
{
    struct resolve *s = userdata;
    const struct guardian *g = s->guardian;
    const struct token *t = g->tokens[s->next - 1];
    char name[LABEL_ACCOUNT_MAX + 1];
    unsigned generation;

    if (strcmp(key->label, s->account->row.key_label) == 0 &&
        is_known(s->account, key))
        s->own_there = true;
    if (!label_parse(key->label, token_settings(t)->key_prefix,
                     store_instance(g->store), name, &generation) ||
        strcmp(name, s->account->row.acme.name) != 0)
        return;
    if (generation > s->highest)
        s->highest = generation;
    if (generation <= s->account->row.generation ||
        generation <= s->generation || is_known(s->account, key) ||
        (s->below && generation >= s->below))
        return;
    s->key = *key;
    s->token = t;
    s->generation = generation;
}

static void on_again(void *userdata)
{
    (void)userdata; /* the best of what was seen is still one */
}

/* ---- what is found ---- */

static void answer(struct resolve *s)
{
    const struct account *a = s->account;

    varlink_reply_json(
        s->call,
        json_pack("{s:o}", "rotation",
                  rotate_is_active(a) ? admin_rotation_json(a) : json_null()));
}

static int64_t seconds_or(struct store_seconds x, int64_t otherwise)
{
    return x.set ? x.s : otherwise;
}

static int begin(struct resolve *s)
{
    CLEANUP_BUF struct buf old = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    struct account *a = s->account;
    const struct store_schedule *own = &a->row.schedule;
    char thumbprint[JWK_THP_TEXT_LEN + 1], by[24];
    struct store_rotation x = {
        .kind = ROTATION_KIND_RESOLVE,
        .state = ROTATION_UNRESOLVED,
        .by = by,
        .old_token = a->row.token,
        .new_token = token_settings(s->token)->name,
        .new_label = s->key.label,
        .new_thumbprint = thumbprint,
        .new_generation = s->generation,
        .new_attrs = s->key.attrs,
        .new_attrs_known = s->key.attrs_known,
        .spent = true, /* there is no request of ours */
        .key_bound = rotate_changes_records(a, ROTATION_KIND_RESOLVE) &&
                     admin_has_records(s->guardian, a),
        .reason = params_borrow("needs-resolve"),
        .text = a->unresolved,
        .keep_old = own->keep_old,
        .grace_s = seconds_or(own->grace, ROTATION_GRACE_S),
        .cache_s = seconds_or(own->cache, ROTATION_CACHE_S),
    };
    struct jwk jwk;
    int r;

    rotation_from(a, &x);
    admin_by(varlink_call_peer(s->call)->uid, by);
    r = jwk_from_spki((struct bytes){ s->key.spki, s->key.spki_len }, &jwk);
    if (r == 0)
        r = jwk_thumbprint_text(&jwk, thumbprint);
    if (r == 0)
        r = jwk_format(&jwk, &text);
    if (r == 0)
        r = jwk_format(&a->row.acme.jwk, &old);
    if (r)
        return -EINVAL;
    x.new_jwk = params_borrow(buf_str(&text));
    x.old_jwk = params_borrow(buf_str(&old));
    x.new_alg = params_borrow(jws_alg_name(jwk_alg(&jwk)));
    x.new_rsa_bits = (unsigned)jwk.n_len * 8;
    return rotate_commit(s->guardian, a, &x, &(struct rotation_run){ 0 },
                         varlink_call_peer(s->call));
}

/* The token has no key of it at all: it is lost to us, whatever the CA says. */
static int lose(struct resolve *s)
{
    CLEANUP_BUF struct buf old = { 0 };
    struct account *a = s->account;
    const struct jwk *jwk = &a->row.acme.jwk;
    char by[ADMIN_BY_MAX];
    struct store_rotation x = {
        .kind = ROTATION_KIND_RESOLVE,
        .state = ROTATION_ACCOUNT_LOST,
        .by = by,
        .old_token = a->row.token,
        .old_lost = true,
        .new_token = a->row.token,
        .new_label = params_borrow("none"),
        .new_alg = params_borrow(jws_alg_name(jwk_alg(jwk))),
        .new_rsa_bits = (unsigned)jwk->n_len * 8,
        .new_generation = a->row.generation + 1,
        .spent = true,
        .reason = params_borrow("no-key"),
        .text = a->unresolved,
    };

    rotation_from(a, &x);
    admin_by(varlink_call_peer(s->call)->uid, by);
    if (jwk_format(jwk, &old))
        return -ENOMEM;
    x.old_jwk = params_borrow(buf_str(&old));
    return rotate_commit(s->guardian, a, &x, &(struct rotation_run){ 0 },
                         varlink_call_peer(s->call));
}

/* Nothing but what the registry has, which may be nothing at all. */
static void none_found(struct resolve *s)
{
    const struct account *a = s->account;
    const char *name = a->row.acme.name;
    int r;

    if (!a->unresolved || s->own_there || s->below) {
        answer(s);
        return;
    }
    if (!admin_begin(s->guardian, s->call,
                     &(struct admin_subject){ .account = name,
                                              .detail = a->unresolved }))
        return;
    r = lose(s);
    if (r)
        admin_rotation_error(s->call, r);
    else
        answer(s);
}

static void next_token(struct resolve *s);

static void on_listed(const struct token_answer *answer, void *userdata)
{
    struct resolve *s = userdata;

    /* One that does not tell may be the one that has it. */
    if (!token_answer_ok(answer)) {
        admin_error_token(s->call, answer);
        resolve_free(s);
        return;
    }
    next_token(s);
}

static void settle(struct resolve *s)
{
    int r;

    s->account->seen_generation = s->highest;
    /* Begun meanwhile, and at the token: it is not taken from it. */
    if (!s->took_busy && s->account->rotation && s->account->rotation->busy) {
        admin_error_busy(s->call);
        return;
    }
    /* It may have come back meanwhile, or somebody else was faster. */
    if (!s->account->unresolved || !s->token) {
        none_found(s);
        return;
    }
    if (!admin_begin(
            s->guardian, s->call,
            &(struct admin_subject){ .account = s->account->row.acme.name,
                                     .detail = s->key.label }))
        return;
    r = begin(s);
    if (r)
        admin_rotation_error(s->call, r);
    else
        answer(s);
}

static void next_token(struct resolve *s)
{
    struct guardian *g = s->guardian;

    if (s->next < g->n_tokens) {
        s->next++;
        keycheck_start(g, g->tokens[s->next - 1],
                       &(struct keycheck_fns){ .key = on_key,
                                               .again = on_again,
                                               .done = on_listed,
                                               .userdata = s });
        return;
    }
    settle(s);
    resolve_free(s);
}

/* ---- the method ---- */

/* The CA has neither the old one nor this one: then an earlier one is tried. */
static unsigned tried(const struct account *a)
{
    const struct rotation *r = a->rotation;

    return r && r->row.kind == ROTATION_KIND_RESOLVE &&
                   r->row.state == ROTATION_ACCOUNT_LOST
               ? r->row.new_generation
               : 0;
}

/* False: it was answered. */
static bool may_resolve(struct varlink_call *call, const struct account *a)
{
    if (!account_has_key(a) || !a->row.acme.account_url)
        admin_error_state(call, account_status_name(account_status(a)),
                          "only a registered account with a key here can be "
                          "resolved");
    else if (!a->token)
        admin_error_no_token(call, a->row.token);
    else if (a->resolving || (a->rotation && a->rotation->busy))
        admin_error_busy(call);
    else
        return true;
    return false;
}

ADMIN_METHOD(admin_on_rotation_resolve)
{
    struct guardian *g = userdata;
    const char *name = "";
    const struct param params[] = {
        { "account", PARAM_STRING, false, { .string = &name } },
    };
    struct account *a;
    struct resolve *s;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    a = admin_account(g, call, name);
    if (!a || !may_resolve(call, a))
        return;
    admin_note(g, call, &(struct admin_subject){ .account = name });
    s = calloc(1, sizeof(*s));
    if (!s) {
        admin_error_busy(call);
        return;
    }
    *s = (struct resolve){
        .guardian = g,
        .call = call,
        .account = a,
        .below = tried(a),
        .took_busy = a->rotation,
    };
    a->resolving = true;
    if (a->rotation)
        a->rotation->busy = true;
    next_token(s);
}
