/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rule sets in file order, and the ways to find them. */
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "acme/dns-name.h"
#include "base/array.h"
#include "policy/ruleset.h"

/* gcc 12 loses sight of what array_grown() has given to its caller, and calls
 * it leaked. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

int policy_words_add(struct policy_words *words, const char *word)
{
    char **items = array_grown(words->items, words->n, sizeof(*items));
    char *copy;

    if (!items)
        return -ENOMEM;
    words->items = items;
    copy = strdup(word);
    if (!copy)
        return -ENOMEM;
    words->items[words->n++] = copy;
    return 0;
}

int policy_ids_add(struct policy_ids *ids, const char *word, bool numeric,
                   uint32_t id)
{
    struct policy_id *items = array_grown(ids->items, ids->n, sizeof(*items));
    char *copy;

    if (!items)
        return -ENOMEM;
    ids->items = items;
    copy = strdup(word);
    if (!copy)
        return -ENOMEM;
    ids->items[ids->n++] =
        (struct policy_id){ .text = copy, .numeric = numeric, .id = id };
    return 0;
}

bool policy_words_has(const struct policy_words *words, const char *word)
{
    for (size_t i = 0; i < words->n; i++) {
        if (strcmp(words->items[i], word) == 0)
            return true;
    }
    return false;
}

void policy_words_deinit(struct policy_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct policy_words){ 0 };
}

static void ids_deinit(struct policy_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        free(ids->items[i].text);
    free(ids->items);
}

struct policy_ruleset *policy_ruleset_free(struct policy_ruleset *rs)
{
    if (!rs)
        return NULL;
    ids_deinit(&rs->users);
    ids_deinit(&rs->groups);
    policy_words_deinit(&rs->sockets);
    policy_words_deinit(&rs->units);
    policy_words_deinit(&rs->accounts);
    for (size_t i = 0; i < NAME_KINDS; i++)
        name_index_deinit(&rs->names[i]);
    name_index_deinit(&rs->allow_suffix);
    free(rs->ranges);
    policy_words_deinit(&rs->profiles);
    policy_words_deinit(&rs->extensions);
    free(rs);
    return NULL;
}

static void denials_deinit(struct policy_denials *d)
{
    name_index_deinit(&d->names);
    name_index_deinit(&d->parents);
}

struct policy_set *policy_set_free(struct policy_set *set)
{
    if (!set)
        return NULL;
    for (size_t i = 0; i < set->n_rulesets; i++)
        policy_ruleset_free(set->rulesets[i]);
    free(set->rulesets);
    policy_words_deinit(&set->files);
    denials_deinit(&set->deny);
    denials_deinit(&set->deny_now);
    name_index_deinit(&set->accounts);
    name_index_deinit(&set->ids);
    free(set->links);
    free(set);
    return NULL;
}

/* Each word with its NUL, each list with its number, so that no two different
 * lists give the same octets. */
static int append_words(struct buf *b, const struct policy_words *words)
{
    int r = buf_printf(b, "%zu:", words->n);

    for (size_t i = 0; r == 0 && i < words->n; i++)
        r = buf_append(b, words->items[i], strlen(words->items[i]) + 1);
    return r;
}

static int append_ids(struct buf *b, const struct policy_ids *ids)
{
    int r = buf_printf(b, "%zu:", ids->n);

    for (size_t i = 0; r == 0 && i < ids->n; i++)
        r = buf_append(b, ids->items[i].text, strlen(ids->items[i].text) + 1);
    return r;
}

static int append_client(struct buf *b, const struct policy_ruleset *rs)
{
    int r;

    r = append_ids(b, &rs->users);
    if (r == 0)
        r = append_ids(b, &rs->groups);
    if (r == 0)
        r = append_words(b, &rs->sockets);
    return r ? r : append_words(b, &rs->units);
}

int policy_client_digest(const struct policy_ruleset *rs, uint8_t ret[static 8])
{
    CLEANUP_BUF struct buf b = { 0 };
    uint8_t digest[crypto_generichash_BYTES];
    int r;

    r = append_client(&b, rs);
    if (r)
        return r;
    (void)crypto_generichash(digest, sizeof(digest), b.data, b.len, NULL, 0);
    memcpy(ret, digest, 8);
    return 0;
}

/*
 * Orders are counted by the id, over restarts: no key, no line number. Rule
 * sets with the same account and client are told apart by their order.
 */
static int make_id(struct policy_set *set, struct policy_ruleset *rs)
{
    CLEANUP_BUF struct buf b = { 0 };
    uint8_t digest[crypto_generichash_BYTES];
    uint32_t before = 0;
    int r;

    r = append_words(&b, &rs->accounts);
    if (r == 0)
        r = append_client(&b, rs);
    if (r)
        return r;
    (void)crypto_generichash(digest, sizeof(digest), b.data, b.len, NULL, 0);
    before = name_index_get(&set->ids, (struct bytes){ digest, 8 });
    r = name_index_put(&set->ids, (struct bytes){ digest, 8 }, before + 1,
                       &before);
    if (r)
        return r;
    if (before > 0) {
        r = buf_printf(&b, "%u", before);
        if (r)
            return r;
        (void)crypto_generichash(digest, sizeof(digest), b.data, b.len, NULL,
                                 0);
    }
    (void)sodium_bin2hex(rs->id, sizeof(rs->id), digest, 8);
    return 0;
}

int policy_set_add(struct policy_set *set, struct policy_ruleset *rs)
{
    struct policy_ruleset **rulesets;
    int r;

    if (set->n_rulesets >= UINT32_MAX / 2)
        return -E2BIG;
    r = make_id(set, rs);
    if (r)
        return r;
    rulesets = array_grown(set->rulesets, set->n_rulesets,
                           sizeof(struct policy_ruleset *));
    if (!rulesets)
        return -ENOMEM;
    set->rulesets = rulesets;
    set->rulesets[set->n_rulesets++] = rs;
    set->n_names += policy_n_names(rs) + rs->n_ranges;
    return 0;
}

int policy_deny_check(const char *name, struct refusal *ret_refusal)
{
    /* A whole top-level domain may be denied: one label is enough here. */
    char padded[DNS_NAME_MAX + 8];

    if (strchr(name, '.'))
        return dns_name_check(bytes_from_str(name), false, ret_refusal);
    (void)snprintf(padded, sizeof(padded), "x.%s", name);
    return dns_name_check(bytes_from_str(padded), false, ret_refusal);
}

static int denials_add(struct policy_denials *d, const char *word)
{
    struct bytes name = bytes_from_str(word);
    struct bytes parent = policy_name_parent(name);
    int r;

    r = policy_deny_check(word, NULL);
    if (r == 0)
        r = name_index_add(&d->names, name);
    if (r == 0 && parent.len > 0)
        r = name_index_add(&d->parents, parent);
    return r;
}

int policy_set_deny(struct policy_set *set, char *const *names,
                    struct errmsg *reterr)
{
    for (; names && *names; names++) {
        int r = denials_add(&set->deny, *names);

        if (r == REFUSED) {
            errmsg_set(reterr,
                       "[Deny] Domain=%.300s is no domain in lower-case "
                       "A-labels (wildcards are covered by the name itself)",
                       *names);
            return POLICY_E_INVALID;
        }
        if (r)
            return r;
    }
    return 0;
}

int policy_set_deny_now(struct policy_set *set, char *const *names)
{
    CLEANUP(denials_deinit) struct policy_denials d = { 0 };
    struct policy_denials old = set->deny_now;
    int r = 0;

    for (; r == 0 && names && *names; names++)
        r = denials_add(&d, *names);
    if (r)
        return r == REFUSED ? POLICY_E_INVALID : r;
    set->deny_now = d;
    d = old;
    return 0;
}

/* From the last rule set to the first: each goes before those behind it. */
int policy_set_finish(struct policy_set *set)
{
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < set->n_rulesets; i++)
        n += set->rulesets[i]->accounts.n;
    set->links = calloc(n ? n : 1, sizeof(*set->links));
    if (!set->links || n >= UINT32_MAX)
        return -ENOMEM;
    for (size_t i = set->n_rulesets; i > 0; i--) {
        const struct policy_words *accounts = &set->rulesets[i - 1]->accounts;

        for (size_t a = 0; r == 0 && a < accounts->n; a++) {
            struct policy_link *l = &set->links[set->n_links++];

            l->ruleset = (uint32_t)(i - 1);
            r = name_index_put(&set->accounts,
                               bytes_from_str(accounts->items[a]),
                               (uint32_t)set->n_links, &l->next);
        }
    }
    name_index_deinit(&set->ids);
    return r;
}

const struct policy_link *policy_set_first(const struct policy_set *set,
                                           const char *account)
{
    uint32_t at = name_index_get(&set->accounts, bytes_from_str(account));

    return at ? &set->links[at - 1] : NULL;
}

size_t policy_set_n_rulesets(const struct policy_set *set)
{
    return set->n_rulesets;
}

size_t policy_set_n_names(const struct policy_set *set)
{
    return set->n_names;
}

void policy_set_hash(const struct policy_set *set, uint8_t ret[static 32])
{
    memcpy(ret, set->hash, sizeof(set->hash));
}

const char *policy_ruleset_file(const struct policy_ruleset *rule)
{
    return rule->file;
}

unsigned policy_ruleset_line(const struct policy_ruleset *rule)
{
    return rule->line;
}

unsigned policy_ruleset_orders_per_day(const struct policy_ruleset *rule)
{
    return rule->orders_per_day;
}

const char *policy_ruleset_id(const struct policy_ruleset *rule)
{
    return rule->id;
}

int policy_accounts(const struct policy_set *set, policy_account_fn fn,
                    void *userdata)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->n_rulesets; i++) {
        const struct policy_ruleset *rs = set->rulesets[i];

        for (size_t a = 0; r == 0 && a < rs->accounts.n; a++)
            r = fn(rs->accounts.items[a], rs->file, rs->line, userdata);
    }
    return r;
}
