/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/request.h"
#include "policy/address.h"
#include "policy/name-index.h"
#include "policy/policy.h"

/* Inside of policy/ only: what a rule set and a set of them are made of. */

/* The id that stands for "no such user" in user namespaces, file systems and
 * credentials passed across them: it is nobody in particular. */
#define POLICY_OVERFLOW_ID 65534

/* What a rule set's names stand for. */
enum name_kind {
    NAME_EXACT, /* Domain= */
    NAME_BELOW, /* Subdomains= */
    NAME_WILD,  /* Wildcard= */
    NAME_KINDS
};

/* Operations= beyond enum acme_op: `replaces` in an order (RFC 9773 5). */
#define POLICY_OP_REPLACE ACME_OP_COUNT

struct policy_words {
    char **items;
    size_t n;
};

/* A word of User= or Group=. */
struct policy_id {
    char *text;
    bool numeric;
    uint32_t id; /* only if numeric */
};

struct policy_ids {
    struct policy_id *items;
    size_t n;
};

struct policy_ruleset {
    const char *file; /* owned by the set */
    unsigned line;    /* of [Client] */
    char id[17];
    /* [Client]: any word of a list, but all lists that are given. */
    struct policy_ids users;
    struct policy_ids groups;
    struct policy_words sockets;
    struct policy_words units;
    /* [Allow] */
    struct policy_words accounts;
    struct name_index names[NAME_KINDS];
    struct name_index allow_suffix;
    struct address_range *ranges;
    size_t n_ranges;
    unsigned operations; /* bit enum acme_op, POLICY_OP_REPLACE */
    unsigned key_types;  /* enum policy_key */
    unsigned orders_per_day;
    unsigned names_per_order;
    struct policy_words profiles;
    struct policy_words extensions;
    uint64_t max_validity_s; /* 0: no dates at all */
    bool any_subject;
};

struct policy_link {
    uint32_t ruleset;
    uint32_t next; /* 1 + index of the account's next link, 0: last */
};

struct policy_denials {
    struct name_index names;   /* they and everything below */
    struct name_index parents; /* "*." on them would cover one */
};

struct policy_set {
    struct policy_words files;
    struct policy_ruleset **rulesets;
    size_t n_rulesets;
    struct policy_denials deny;     /* [Deny] */
    struct policy_denials deny_now; /* policy_set_deny_now() */
    struct name_index accounts;     /* name -> 1 + index of its first link */
    struct policy_link *links;
    size_t n_links;
    struct name_index ids; /* base of an id -> rule sets that have it */
    size_t n_names;
    uint8_t hash[32];
};

static inline size_t policy_n_names(const struct policy_ruleset *rs)
{
    return rs->names[NAME_EXACT].n + rs->names[NAME_BELOW].n +
           rs->names[NAME_WILD].n;
}

struct policy_ruleset *policy_ruleset_free(struct policy_ruleset *rs);
DEFINE_CLEANUP(struct policy_ruleset *, policy_ruleset_free)
#define CLEANUP_RULESET CLEANUP(policy_ruleset_free_p)

/* policy_words_add() - a copy of @word. Return: 0; -ENOMEM. */
int policy_words_add(struct policy_words *words, const char *word) MUST_CHECK;
int policy_ids_add(struct policy_ids *ids, const char *word, bool numeric,
                   uint32_t id) MUST_CHECK;
bool policy_words_has(const struct policy_words *words, const char *word);
void policy_words_deinit(struct policy_words *words);

/* policy_client_digest() - equal for rule sets with the same conditions in
 * [Client]. Return: 0; -ENOMEM. */
int policy_client_digest(const struct policy_ruleset *rs,
                         uint8_t ret[static 8]) MUST_CHECK;

/* policy_set_add() - takes the rule set over when it returns 0. */
int policy_set_add(struct policy_set *set,
                   struct policy_ruleset *rs) MUST_CHECK;

/**
 * policy_set_deny() - add [Deny] Domain= names, a NULL-ended list or NULL
 *
 * Return: 0; POLICY_E_INVALID with *reterr; -ENOMEM.
 */
int policy_set_deny(struct policy_set *set, char *const *names,
                    struct errmsg *reterr) MUST_CHECK;

/* policy_set_finish() - index by account, once all rule sets are there. */
int policy_set_finish(struct policy_set *set) MUST_CHECK;

/* policy_set_first() - the account's first link, or NULL. */
const struct policy_link *policy_set_first(const struct policy_set *set,
                                           const char *account);
static inline const struct policy_link *
policy_link_next(const struct policy_set *set, const struct policy_link *l)
{
    return l->next ? &set->links[l->next - 1] : NULL;
}

/* Bits of KeyTypes=. */
enum policy_key {
    POLICY_KEY_NONE = 0,
    POLICY_KEY_EC_P256 = 1 << 0,
    POLICY_KEY_EC_P384 = 1 << 1,
    POLICY_KEY_EC_P521 = 1 << 2,
    POLICY_KEY_ED25519 = 1 << 3,
    POLICY_KEY_RSA_2048 = 1 << 4,
    POLICY_KEY_RSA_3072 = 1 << 5,
    POLICY_KEY_RSA_4096 = 1 << 6,
};
#define POLICY_KEY_TYPES_DEFAULT                                               \
    (POLICY_KEY_EC_P256 | POLICY_KEY_EC_P384 | POLICY_KEY_RSA_2048 |           \
     POLICY_KEY_RSA_3072 | POLICY_KEY_RSA_4096)

/* policy_key_type() - bit of a key in KeyTypes=; 0 for one that has no word
 * there (RSA of an odd size). */
enum policy_key policy_key_type(enum csr_key_type type, unsigned rsa_bits);

/* policy_key_type_parse() - "ec-p256"; 0 if there is no such word. */
enum policy_key policy_key_type_parse(const char *word);

/* policy_key_type_word() - the first word of a type; NULL: it has none. */
const char *policy_key_type_word(enum csr_key_type type);

/* policy_name_parent() - "b.c" of "a.b.c"; empty after the last label. */
static inline struct bytes policy_name_parent(struct bytes name)
{
    size_t i = 0;

    while (i < name.len && name.data[i] != '.')
        i++;
    if (i == name.len)
        return (struct bytes){ 0 };
    return (struct bytes){ name.data + i + 1, name.len - i - 1 };
}

/* policy_grants_below() - a name above @name is in Subdomains=. */
bool policy_grants_below(const struct policy_ruleset *rs, struct bytes name);

/* policy_denies() - [Deny] or policy_set_deny_now(); of "*.BASE" @name is BASE,
 * and @wildcard set. */
bool policy_denies(const struct policy_set *set, struct bytes name,
                   bool wildcard);
