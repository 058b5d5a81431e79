/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/keycheck.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/label.h"
#include "daemon/rotate.h"

#define KEYS_MAX 100000 /* listed: more is no registry of ours */
#define TRIES 5         /* while keys come and go */

/* What the token says of one account. */
struct keycheck_row {
    struct account *account;
    char thumbprint[JWK_THP_TEXT_LEN + 1]; /* of its key at the beginning */
    bool found;
    bool matches;      /* the public key is the registry's */
    bool ours;         /* a label of our form, else named by an operator */
    bool next_matches; /* the rotation's new key is there */
    unsigned highest;
    uint32_t attrs, attrs_known;
};

struct keycheck {
    struct guardian *g;
    struct token *token;
    struct keycheck_fns fns;
    uint64_t connection, changes;
    unsigned tries;
    char prefix[TOKEN_LABEL_MAX + 8];
    uint32_t skip;
    struct keycheck_row *rows;
    size_t n_rows;
    size_t next_find; /* rows whose key has to be asked for by name */
};

static void keycheck_begin(struct keycheck *k);
static void keycheck_list(struct keycheck *k);
static void keycheck_find(struct keycheck *k);

/* What two helpers said, perhaps of two tokens, says nothing of one. */
static bool keycheck_is_stale(const struct keycheck *k)
{
    return token_connection(k->token) != k->connection;
}

static void keycheck_finish(struct keycheck *k,
                            const struct token_answer *answer)
{
    static const struct token_answer stale = {
        .r = -ESTALE,
        .text = "the token helper was replaced meanwhile",
        .retry_after_ms = 1000,
    };
    struct keycheck_fns fns = k->fns;

    if (keycheck_is_stale(k))
        answer = &stale;
    free(k->rows);
    free(k);
    fns.done(answer, fns.userdata);
}

static void keycheck_see(struct keycheck_row *row, const struct token_key *key)
{
    struct jwk jwk;

    row->found = true;
    row->matches =
        jwk_from_spki((struct bytes){ key->spki, key->spki_len }, &jwk) == 0 &&
        jwk_eq(&jwk, &row->account->row.acme.jwk);
    row->attrs = key->attrs;
    row->attrs_known = key->attrs_known;
}

static void keycheck_see_next(struct keycheck_row *row,
                              const struct token_key *key)
{
    const struct rotation *r = row->account->rotation;
    struct jwk jwk;

    if (r && r->row.new_jwk && strcmp(key->label, r->row.new_label) == 0)
        row->next_matches =
            jwk_from_spki((struct bytes){ key->spki, key->spki_len }, &jwk) ==
                0 &&
            jwk_eq(&jwk, &r->new_key);
}

static struct keycheck_row *keycheck_row(struct keycheck *k, const char *name)
{
    for (size_t i = 0; i < k->n_rows; i++) {
        if (strcmp(k->rows[i].account->row.acme.name, name) == 0)
            return &k->rows[i];
    }
    return NULL;
}

/* On a token that is not the account's, by the registry: it may have moved. */
static void keycheck_elsewhere(struct keycheck *k, const char *name,
                               unsigned generation)
{
    struct account *a = accounts_find(&k->g->accounts, name);

    if (!a || generation <= a->elsewhere)
        return;
    a->elsewhere = generation;
    a->elsewhere_token = k->token;
}

static void keycheck_key(struct keycheck *k, struct token_key *key)
{
    char name[LABEL_ACCOUNT_MAX + 1];
    struct keycheck_row *row;
    unsigned generation;

    key->label[sizeof(key->label) - 1] = '\0';
    if (key->spki_len > sizeof(key->spki) ||
        !label_parse(key->label, token_settings(k->token)->key_prefix,
                     store_instance(k->g->store), name, &generation))
        return;
    if (k->fns.key)
        k->fns.key(key, k->fns.userdata);
    row = keycheck_row(k, name);
    if (!row) {
        keycheck_elsewhere(k, name, generation);
        return;
    }
    if (generation > row->highest)
        row->highest = generation;
    if (strcmp(key->label, row->account->row.key_label) == 0)
        keycheck_see(row, key);
    keycheck_see_next(row, key);
}

/* The newest that the registry knows of. */
static unsigned keycheck_newest(const struct account *a)
{
    unsigned newest = rotate_is_active(a) ? a->rotation->row.new_generation
                                          : a->row.generation;

    return newest > a->row.other_generation ? newest : a->row.other_generation;
}

/* The CA is being asked; what the token has is known. */
static bool keycheck_is_resolving(const struct account *a)
{
    return rotate_is_active(a) &&
           a->rotation->row.kind == ROTATION_KIND_RESOLVE &&
           (a->rotation->row.state == ROTATION_UNRESOLVED ||
            a->rotation->row.state == ROTATION_ACCOUNT_LOST);
}

/* The CA may have it. One that others named is not among those listed. */
static bool keycheck_needs_next(const struct account *a)
{
    return rotate_is_active(a) && !a->rotation->row.new_foreign &&
           strcmp(a->rotation->row.new_token, a->row.token) == 0 &&
           (a->rotation->row.state == ROTATION_SWITCHING ||
            a->rotation->row.state == ROTATION_UNRESOLVED);
}

static const char *keycheck_other_token(const struct account *a, char *text,
                                        size_t len)
{
    unsigned newest = keycheck_newest(a);

    if (a->elsewhere <= newest)
        return NULL;
    (void)snprintf(text, len,
                   "token %s has a key of generation %u, the registry knows %u "
                   "on token %s",
                   token_settings(a->elsewhere_token)->name, a->elsewhere,
                   newest, a->row.token);
    return text;
}

static const char *keycheck_verdict(const struct keycheck_row *row, char *text,
                                    size_t len)
{
    const struct store_account *a = &row->account->row;

    if (!row->found)
        (void)snprintf(text, len, "its key %s is not on token %s", a->key_label,
                       a->token);
    else if (!row->matches)
        (void)snprintf(text, len,
                       "key %s on token %s is not the one in the registry",
                       a->key_label, a->token);
    else if (keycheck_needs_next(row->account) && !row->next_matches)
        (void)snprintf(text, len,
                       "the key %s that it is rotated to is not on token %s",
                       row->account->rotation->row.new_label, a->token);
    else if (row->ours && row->highest > keycheck_newest(row->account))
        (void)snprintf(text, len,
                       "token %s has a key of generation %u, the registry "
                       "knows %u",
                       a->token, row->highest, keycheck_newest(row->account));
    else
        return keycheck_other_token(row->account, text, len);
    return text;
}

static void keycheck_judge(struct keycheck *k, const struct keycheck_row *row)
{
    struct store_account copy = row->account->row; /* shallow, for the row */
    char text[512];
    int r;

    if (!keycheck_is_resolving(row->account))
        account_set_unresolved(k->g, row->account,
                               keycheck_verdict(row, text, sizeof(text)));
    if (!row->matches || (copy.key_attrs == row->attrs &&
                          copy.key_attrs_known == row->attrs_known))
        return;
    copy.key_attrs = row->attrs;
    copy.key_attrs_known = row->attrs_known;
    r = accounts_update(k->g, row->account, &copy);
    if (r)
        log_msg(LOG_WARNING,
                "Account %s: cannot note its key's attributes: error %d",
                row->account->row.acme.name, r);
}

/* What was listed before a key came or went, or an account got another one,
 * and what was listed after that do not make one list. */
static bool keycheck_is_torn(const struct keycheck *k)
{
    for (size_t i = 0; i < k->n_rows; i++) {
        if (strcmp(k->rows[i].thumbprint,
                   k->rows[i].account->row.acme.thumbprint) != 0)
            return true;
    }
    return token_changes(k->token) != k->changes;
}

static void keycheck_judge_others(struct keycheck *k)
{
    const struct accounts *as = &k->g->accounts;
    char text[512];

    for (size_t i = 0; i < as->n; i++) {
        struct account *a = as->items[i];
        const char *why = NULL;

        if (a->elsewhere_token == k->token && account_has_key(a) &&
            !a->unresolved && !keycheck_is_resolving(a))
            why = keycheck_other_token(a, text, sizeof(text));
        if (why)
            account_set_unresolved(k->g, a, why);
    }
}

static void keycheck_complete(struct keycheck *k)
{
    static const struct token_answer torn = {
        .r = -EBUSY,
        .text = "keys were made and destroyed all the time",
        .retry_after_ms = 1000,
    };

    if (!keycheck_is_stale(k) && keycheck_is_torn(k)) {
        if (++k->tries < TRIES)
            keycheck_begin(k);
        else
            keycheck_finish(k, &torn);
        return;
    }
    for (size_t i = 0; !keycheck_is_stale(k) && i < k->n_rows; i++)
        keycheck_judge(k, &k->rows[i]);
    if (!keycheck_is_stale(k))
        keycheck_judge_others(k);
    keycheck_finish(k,
                    &(struct token_answer){ .result = TOKEN_S_OK, .text = "" });
}

static void keycheck_on_find(const struct token_answer *a, void *userdata)
{
    struct keycheck *k = userdata;
    struct keycheck_row *row = &k->rows[k->next_find - 1];
    struct token_key key;

    if (a->r || (a->result != TOKEN_S_OK && a->result != TOKEN_S_NO_KEY)) {
        keycheck_finish(k, a);
        return;
    }
    if (a->result == TOKEN_S_OK && a->data.len == sizeof(key)) {
        memcpy(&key, a->data.data, sizeof(key));
        key.label[sizeof(key.label) - 1] = '\0';
        if (key.spki_len <= sizeof(key.spki)) {
            keycheck_see(row, &key);
            if (k->fns.key)
                k->fns.key(&key, k->fns.userdata);
        }
    }
    keycheck_find(k);
}

/* Keys with names of their own ("--existing-key"), one after the other. */
static void keycheck_find(struct keycheck *k)
{
    while (k->next_find < k->n_rows && k->rows[k->next_find].ours)
        k->next_find++;
    if (k->next_find == k->n_rows) {
        keycheck_complete(k);
        return;
    }
    k->next_find++;
    token_send(k->token,
               &(struct token_ask){
                   .op = TOKEN_OP_FIND,
                   .label = k->rows[k->next_find - 1].account->row.key_label },
               keycheck_on_find, k);
}

static void keycheck_on_list(const struct token_answer *a, void *userdata)
{
    struct keycheck *k = userdata;
    size_t n = a->data.len / sizeof(struct token_key);

    if (!token_answer_ok(a)) {
        keycheck_finish(k, a);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct token_key key;

        memcpy(&key, a->data.data + i * sizeof(key), sizeof(key));
        keycheck_key(k, &key);
    }
    k->skip += (uint32_t)n;
    if (n == TOKEN_LIST_MAX && k->skip < KEYS_MAX)
        keycheck_list(k);
    else
        keycheck_find(k);
}

static void keycheck_list(struct keycheck *k)
{
    struct token_list_request page = { .skip = k->skip };

    token_send(
        k->token,
        &(struct token_ask){ .op = TOKEN_OP_LIST,
                             .label = k->prefix,
                             .data = { (const uint8_t *)&page, sizeof(page) } },
        keycheck_on_list, k);
}

static int keycheck_rows(struct keycheck *k)
{
    const struct accounts *as = &k->g->accounts;
    const char *prefix = token_settings(k->token)->key_prefix;
    char name[LABEL_ACCOUNT_MAX + 1];
    unsigned generation;

    free(k->rows);
    k->n_rows = 0;
    k->rows = calloc(as->n + 1, sizeof(*k->rows));
    if (!k->rows)
        return -ENOMEM;
    for (size_t i = 0; i < as->n; i++) {
        struct account *a = as->items[i];
        struct keycheck_row *row = &k->rows[k->n_rows];

        if (a->token != k->token || !account_has_key(a))
            continue;
        *row = (struct keycheck_row){
            .account = a,
            .ours = label_parse(a->row.key_label, prefix,
                                store_instance(k->g->store), name, &generation),
        };
        memcpy(row->thumbprint, a->row.acme.thumbprint,
               sizeof(row->thumbprint));
        k->n_rows++;
    }
    return 0;
}

static void keycheck_begin(struct keycheck *k)
{
    static const struct token_answer memory = {
        .r = -EBUSY,
        .text = "out of memory",
        .retry_after_ms = 1000,
    };

    if (k->tries > 0 && k->fns.again)
        k->fns.again(k->fns.userdata);
    k->skip = 0;
    k->next_find = 0;
    for (size_t i = 0; i < k->g->accounts.n; i++) {
        struct account *a = k->g->accounts.items[i];

        if (a->elsewhere_token != k->token)
            continue;
        a->elsewhere = 0;
        a->elsewhere_token = NULL;
    }
    k->changes = token_changes(k->token);
    if (keycheck_rows(k))
        keycheck_finish(k, &memory);
    else
        keycheck_list(k);
}

void keycheck_start(struct guardian *g, struct token *t,
                    const struct keycheck_fns *fns)
{
    struct keycheck *k = calloc(1, sizeof(*k));

    if (!k) {
        fns->done(&(struct token_answer){ .r = -EBUSY,
                                          .text = "out of memory",
                                          .retry_after_ms = 1000 },
                  fns->userdata);
        return;
    }
    *k = (struct keycheck){
        .g = g, .token = t, .fns = *fns, .connection = token_connection(t)
    };
    (void)snprintf(k->prefix, sizeof(k->prefix),
                   "%s:%s:", token_settings(t)->key_prefix,
                   store_instance(g->store));
    keycheck_begin(k);
}
