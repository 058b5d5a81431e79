/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A rotation's keys on the token. The new one is made once and taken up again
 * if a crash came between the token and the registry. A key is destroyed only
 * in the two states in which the CA is known not to have it; in aborting, only
 * after the CA took the old one.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/guardian.h"
#include "daemon/label.h"
#include "daemon/params.h"
#include "daemon/rotate.h"

struct key_op {
    struct account *account;
    struct token *token;   /* NULL: the key is outside */
    const struct peer *by; /* lives as long as the call that it is of */
    rotate_done_fn fn;
    void *userdata;
    enum rotation_state state; /* in which it was asked */
    bool finding;              /* the label is taken: by an earlier try? */
};

static void end(struct key_op *op, const char *error,
                const struct token_answer *answer)
{
    rotate_done_fn fn = op->fn;
    void *userdata = op->userdata;

    op->account->rotation->busy = false;
    free(op);
    fn(error, answer, userdata);
}

static void end_text(struct key_op *op, const char *text)
{
    end(op, "TokenFailed",
        &(struct token_answer){ .result = TOKEN_S_KEY_UNFIT, .text = text });
}

/* Of a key that the rotation is about; NULL: it is outside. False: there is no
 * such [Token] section. */
static bool find_token(const struct account *a, bool old, struct token **ret)
{
    const struct store_rotation *x = &a->rotation->row;

    *ret = NULL;
    if (old ? rotation_old_is_outside(x) : rotation_new_is_outside(x))
        return true;
    *ret = guardian_token(a->rotation->guardian,
                          old ? x->old_token : x->new_token);
    return *ret != NULL;
}

/* NULL: the call was ended. */
static struct key_op *begin(struct account *a, bool old, const struct peer *by,
                            rotate_done_fn fn, void *userdata)
{
    struct token *token;
    bool there = find_token(a, old, &token);
    bool busy = a->rotation->busy;
    struct key_op *op = there && !busy ? calloc(1, sizeof(*op)) : NULL;

    if (!op) {
        fn(there ? "Busy" : "NoSuchToken", NULL, userdata);
        return NULL;
    }
    *op = (struct key_op){
        .account = a,
        .token = token,
        .by = by,
        .fn = fn,
        .userdata = userdata,
        .state = a->rotation->row.state,
    };
    a->rotation->busy = true;
    return op;
}

static bool audit_key(const struct key_op *op, const char *operation,
                      const char *thumbprint, const char *label)
{
    const struct account *a = op->account;
    const struct audit_event event = {
        .type = AUDIT_KEY,
        .peer = op->by,
        .account = a->row.acme.name,
        .thumbprint = thumbprint,
        .operation = operation,
        .detail = label,
    };
    struct audit *audit = guardian_audit(a->rotation->guardian);

    return audit && audit_write(audit, &event) == 0;
}

static void commit(struct key_op *op, const struct store_rotation *next)
{
    struct account *a = op->account;
    int r = rotate_commit(a->rotation->guardian, a, next, NULL, op->by);

    if (r == ROTATE_E_AUDIT)
        end(op, "AuditUnavailable", NULL);
    else
        end(op, r ? "Busy" : NULL, NULL);
}

/* ---- making it ---- */

static bool is_of_kind(const struct store_rotation *x, const struct jwk *jwk)
{
    return jwk_alg(jwk) == jws_alg_parse(bytes_from_str(x->new_alg)) &&
           (jwk->type != JWK_TYPE_RSA || jwk->n_len * 8 == x->new_rsa_bits);
}

/* No step back, unless that was asked for: what the token proved of the old
 * key, it has to prove of the new one. One from outside was proven nothing of.
 */
static const char *judge_attrs(const struct account *a,
                               const struct token_key *key)
{
    const struct store_rotation *x = &a->rotation->row;

    if (x->weaker_ok || rotation_old_is_outside(x))
        return NULL;
    if (key->attrs & ~a->row.key_attrs & TOKEN_ATTR_SOFTWARE)
        return "the new key is encrypted software, the old one is not";
    if (a->row.key_attrs & ~key->attrs & ~TOKEN_ATTR_SOFTWARE)
        return "the token proves less of the new key than of the old one";
    return NULL;
}

/* NULL, or what is wrong. */
static const char *judge_key(const struct account *a,
                             const struct token_key *key, struct jwk *jwk)
{
    if (key->spki_len > sizeof(key->spki) ||
        jwk_from_spki((struct bytes){ key->spki, key->spki_len }, jwk) ||
        !is_of_kind(&a->rotation->row, jwk))
        return "the token gave a key of another kind than was asked for";
    if (accounts_find_key(&a->rotation->guardian->accounts, jwk))
        return "the token gave a key that an account has already";
    return judge_attrs(a, key);
}

static void take_key(struct key_op *op, struct token_key *key)
{
    CLEANUP_BUF struct buf text = { 0 };
    struct account *a = op->account;
    struct store_rotation next = a->rotation->row;
    char thumbprint[JWK_THP_TEXT_LEN + 1];
    const char *wrong;
    struct jwk jwk;

    key->label[sizeof(key->label) - 1] = '\0';
    /* What is to be destroyed need not be fit. */
    wrong = judge_key(a, key, &jwk);
    if (op->state == ROTATION_ABORTING)
        wrong = key->spki_len > sizeof(key->spki) ||
                        jwk_from_spki(
                            (struct bytes){ key->spki, key->spki_len }, &jwk)
                    ? "the token gave no public key"
                    : NULL;
    if (wrong) {
        end_text(op, wrong);
        return;
    }
    if (jwk_thumbprint_text(&jwk, thumbprint) || jwk_format(&jwk, &text)) {
        end(op, "Busy", NULL);
        return;
    }
    if (!audit_key(op, op->finding ? "take" : "generate", thumbprint,
                   key->label)) {
        end(op, "AuditUnavailable", NULL);
        return;
    }
    if (op->state == ROTATION_PLANNED)
        next.state = ROTATION_KEY_GENERATED;
    next.new_jwk = params_borrow(buf_str(&text));
    next.new_thumbprint = thumbprint;
    next.new_attrs = key->attrs;
    next.new_attrs_known = key->attrs_known;
    commit(op, &next);
}

static void none_was_made(struct key_op *op)
{
    struct store_rotation next = op->account->rotation->row;

    next.state = ROTATION_ABORTED;
    commit(op, &next);
}

static void on_key(const struct token_answer *answer, void *userdata)
{
    struct key_op *op = userdata;
    struct token_key key;

    if (answer->r == 0 && answer->result == TOKEN_S_EXISTS && !op->finding) {
        op->finding = true;
        token_send(op->token,
                   &(struct token_ask){
                       .op = TOKEN_OP_FIND,
                       .label = op->account->rotation->row.new_label },
                   on_key, op);
        return;
    }
    if (answer->r == 0 && answer->result == TOKEN_S_NO_KEY &&
        op->state == ROTATION_ABORTING) {
        none_was_made(op);
        return;
    }
    if (!token_answer_ok(answer)) {
        end(op, "TokenFailed", answer);
        return;
    }
    if (answer->data.len != sizeof(key)) {
        end_text(op, "no key came back");
        return;
    }
    memcpy(&key, answer->data.data, sizeof(key));
    if (op->account->rotation->row.state != op->state)
        end(op, "Busy", NULL); /* aborted meanwhile */
    else
        take_key(op, &key);
}

static void find(struct key_op *op)
{
    op->finding = true;
    token_send(
        op->token,
        &(struct token_ask){ .op = TOKEN_OP_FIND,
                             .label = op->account->rotation->row.new_label },
        on_key, op);
}

void rotate_generate(struct account *a, const struct peer *by,
                     rotate_done_fn fn, void *userdata)
{
    const struct store_rotation *x = &a->rotation->row;
    struct key_op *op = begin(a, false, by, fn, userdata);

    if (!op)
        return;
    if (x->new_foreign) {
        find(op);
        return;
    }
    token_send(
        op->token,
        &(struct token_ask){ .op = TOKEN_OP_GENERATE,
                             .label = x->new_label,
                             .alg = jws_alg_parse(bytes_from_str(x->new_alg)),
                             .rsa_bits = x->new_rsa_bits },
        on_key, op);
}

void rotate_find(struct account *a, const struct peer *by, rotate_done_fn fn,
                 void *userdata)
{
    struct key_op *op = begin(a, false, by, fn, userdata);

    if (op)
        find(op);
}

/* ---- destroying it ---- */

static enum rotation_state end_of(const struct key_op *op)
{
    return op->state == ROTATION_ABORTING ? ROTATION_ABORTED : ROTATION_DONE;
}

static void on_destroyed(const struct token_answer *answer, void *userdata)
{
    struct key_op *op = userdata;
    struct store_rotation next = op->account->rotation->row;

    /* Not there: destroyed before a crash, or never made. */
    if (!token_answer_ok(answer) &&
        !(answer->r == 0 && answer->result == TOKEN_S_NO_KEY)) {
        end(op, "TokenFailed", answer);
        return;
    }
    if (next.state != op->state) {
        end(op, "Busy", NULL);
        return;
    }
    next.state = end_of(op);
    commit(op, &next);
}

/* Named by an HSM team, not by us: theirs to destroy. */
static bool is_ours(const struct key_op *op, const char *label)
{
    const struct account *a = op->account;
    const struct guardian *g = a->rotation->guardian;
    char name[LABEL_ACCOUNT_MAX + 1];
    unsigned generation;

    return label_parse(label, token_settings(op->token)->key_prefix,
                       store_instance(g->store), name, &generation) &&
           strcmp(name, a->row.acme.name) == 0;
}

/* The one that would be destroyed: the old, or after an abort the new. */
static void keep(struct key_op *op, const char *why)
{
    struct store_rotation next = op->account->rotation->row;

    next.state = end_of(op);
    next.keep_old = next.keep_old || next.state == ROTATION_DONE;
    next.text = params_borrow(why);
    commit(op, &next);
}

/* Never the key that signs, none while it is unclear which that is, and none
 * that the CA may still know. */
static bool may_destroy(const struct key_op *op, bool old, const char *label)
{
    const struct account *a = op->account;
    const struct rotation *r = a->rotation;

    if (account_why_unresolved(a) || (op->token && op->token == a->token &&
                                      strcmp(label, a->row.key_label) == 0))
        return false;
    if (old)
        return !rotation_deactivates(&r->row);
    return r->row.state == ROTATION_ABORTING &&
           (r->row.kind == ROTATION_KIND_MOVE ||
            account_is_over(a->row.status) || r->run.old_key == ROTATION_YES);
}

void rotate_destroy(struct account *a, const struct peer *by, rotate_done_fn fn,
                    void *userdata)
{
    const struct store_rotation *x = &a->rotation->row;
    bool old = x->state == ROTATION_CLEANED;
    const char *label = old ? x->old_label : x->new_label;
    struct key_op *op = begin(a, old, by, fn, userdata);

    if (!op)
        return;
    if (!may_destroy(op, old, label)) {
        end(op, "Busy", NULL);
        return;
    }
    if (!op->token) {
        keep(op, old ? "the old key is none of a token's here"
                     : "the new key is outside: its file can be removed");
        return;
    }
    if (old && x->keep_old) {
        keep(op, "the old key stays on the token");
        return;
    }
    if (!old && x->kind == ROTATION_KIND_RESOLVE) {
        keep(op, "the other key stays on the token: it is not the CA's");
        return;
    }
    if (!old && rotation_registered(x)) {
        keep(op, "the new account stays valid at the CA, and its key on the "
                 "token");
        return;
    }
    if ((!old && x->new_foreign) || !is_ours(op, label)) {
        keep(op, old ? "the old key is not named by us and stays on the token"
                     : "the new key is not named by us and stays on the token");
        return;
    }
    if (!audit_key(op, "destroy", old ? x->old_thumbprint : x->new_thumbprint,
                   label)) {
        end(op, "AuditUnavailable", NULL);
        return;
    }
    token_send(op->token,
               &(struct token_ask){ .op = TOKEN_OP_DESTROY, .label = label },
               on_destroyed, op);
}
