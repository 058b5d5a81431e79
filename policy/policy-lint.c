/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What loads, but is probably not meant. Every check goes over the names once,
 * with indexes instead of pairs, so that large sets can be checked too.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/ruleset.h"

/* The range of DynamicUser= (systemd.exec(5)): another service's tomorrow. */
#define DYNAMIC_UID_MIN 61184
#define DYNAMIC_UID_MAX 65519

struct lint {
    const struct policy_set *set;
    policy_lint_fn fn;
    void *userdata;
    uint32_t *clients; /* per rule set: the number of its client */
    uint32_t *groups;  /* per rule set: union-find of one account */
    uint32_t *members; /* rule sets of one account */
    struct name_index owners[NAME_KINDS]; /* name -> 1 + first rule set */
    struct name_index warned;
    uint32_t current;    /* the rule set whose names are gone over, */
    enum name_kind kind; /* and which of its names */
};

static void lint_deinit(struct lint *l)
{
    free(l->clients);
    free(l->groups);
    free(l->members);
    for (size_t i = 0; i < ARRAY_LEN(l->owners); i++)
        name_index_deinit(&l->owners[i]);
    name_index_deinit(&l->warned);
}

PRINTF(3, 4)
static int warn(const struct lint *l, const struct policy_ruleset *rs,
                const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return l->fn(rs->file, rs->line, text, l->userdata);
}

static const struct policy_ruleset *ruleset(const struct lint *l, uint32_t i)
{
    return l->set->rulesets[i];
}

/* Rule sets with the same conditions are one client. */
static int number_clients(struct lint *l)
{
    struct name_index digests CLEANUP(name_index_deinit) = { 0 };
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < l->set->n_rulesets; i++) {
        uint8_t digest[8];
        struct bytes key = { digest, sizeof(digest) };
        uint32_t old;

        r = policy_client_digest(ruleset(l, i), digest);
        if (r == 0)
            l->clients[i] = name_index_get(&digests, key);
        if (r == 0 && l->clients[i] == 0) {
            l->clients[i] = i + 1;
            r = name_index_put(&digests, key, i + 1, &old);
        }
    }
    return r;
}

/* Of what [Client] says. */
static int lint_ids(const struct lint *l, const struct policy_ruleset *rs,
                    const char *key, const struct policy_ids *ids)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ids->n; i++) {
        const struct policy_id *id = &ids->items[i];

        if (id->numeric && id->id >= DYNAMIC_UID_MIN &&
            id->id <= DYNAMIC_UID_MAX)
            r = warn(l, rs,
                     "%s=%u is in the range of dynamic users (%u to %u), "
                     "whose numbers change: give the name",
                     key, id->id, DYNAMIC_UID_MIN, DYNAMIC_UID_MAX);
    }
    return r;
}

static int lint_empty(const struct lint *l, const struct policy_ruleset *rs)
{
    unsigned with_names =
        1u << ACME_OP_ORDER | 1u << ACME_OP_FINALIZE | 1u << ACME_OP_REVOKE;

    if (policy_n_names(rs) > 0 || rs->n_ranges > 0 ||
        !(rs->operations & with_names))
        return 0;
    return warn(l, rs,
                "no Domain=, Subdomains=, Wildcard= or Address=: every order "
                "is refused");
}

/* What [Deny] takes away, of one rule set. */
static int lint_denied(struct bytes name, void *userdata)
{
    struct lint *l = userdata;
    bool wildcard = l->kind == NAME_WILD;

    if (!policy_denies(l->set, name, wildcard))
        return 0;
    return warn(l, ruleset(l, l->current),
                "%s%.*s is granted here, but refused by [Deny]",
                wildcard ? "*." : "", (int)name.len, (const char *)name.data);
}

static uint32_t owner(const struct lint *l, enum name_kind kind,
                      struct bytes name)
{
    return name_index_get(&l->owners[kind], name);
}

static int collect(struct bytes name, void *userdata)
{
    struct lint *l = userdata;
    uint32_t old;

    if (owner(l, l->kind, name))
        return 0;
    return name_index_put(&l->owners[l->kind], name, l->current + 1, &old);
}

static bool is_other_client(const struct lint *l, uint32_t owner_plus_one)
{
    return owner_plus_one > 0 &&
           l->clients[owner_plus_one - 1] != l->clients[l->current];
}

/* A Wildcard= of the current rule set over names of somebody else. */
static int lint_wildcard(struct lint *l, struct bytes base)
{
    uint32_t other = owner(l, NAME_WILD, base);

    if (is_other_client(l, other))
        return warn(l, ruleset(l, l->current),
                    "Wildcard=%.*s is also given to another client, %s:%u",
                    (int)base.len, (const char *)base.data,
                    ruleset(l, other - 1)->file, ruleset(l, other - 1)->line);
    for (struct bytes up = base; up.len > 0; up = policy_name_parent(up)) {
        other = owner(l, NAME_BELOW, up);
        if (is_other_client(l, other))
            return warn(l, ruleset(l, l->current),
                        "Wildcard=%.*s covers names of another client, "
                        "Subdomains=%.*s at %s:%u",
                        (int)base.len, (const char *)base.data, (int)up.len,
                        (const char *)up.data, ruleset(l, other - 1)->file,
                        ruleset(l, other - 1)->line);
    }
    return 0;
}

/* A name of the current rule set under somebody else's Wildcard=. */
static int lint_covered(struct lint *l, struct bytes name)
{
    struct bytes base = policy_name_parent(name);
    uint32_t other = base.len > 0 ? owner(l, NAME_WILD, base) : 0;
    int r;

    if (!is_other_client(l, other) || name_index_has(&l->warned, base))
        return 0;
    r = name_index_add(&l->warned, base);
    if (r)
        return r;
    return warn(l, ruleset(l, other - 1),
                "Wildcard=%.*s covers %.*s of another client, %s:%u",
                (int)base.len, (const char *)base.data, (int)name.len,
                (const char *)name.data, ruleset(l, l->current)->file,
                ruleset(l, l->current)->line);
}

static int lint_coverage(struct bytes name, void *userdata)
{
    struct lint *l = userdata;

    return l->kind == NAME_WILD ? lint_wildcard(l, name)
                                : lint_covered(l, name);
}

static int each_name_of(struct lint *l, uint32_t i, name_index_fn fn)
{
    int r = 0;

    l->current = i;
    for (l->kind = 0; r == 0 && l->kind < NAME_KINDS; l->kind++)
        r = name_index_each(&ruleset(l, i)->names[l->kind], fn, l);
    return r;
}

static int each_name(struct lint *l, name_index_fn fn)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < l->set->n_rulesets; i++)
        r = each_name_of(l, i, fn);
    return r;
}

/*
 * Rule sets of one account that have neither a client nor a name in common
 * gain nothing from sharing it (design: one account is one failure domain).
 */
static uint32_t group_of(const struct lint *l, uint32_t i)
{
    while (l->groups[i] != i)
        i = l->groups[i];
    return i;
}

static void join(const struct lint *l, uint32_t a, uint32_t b)
{
    a = group_of(l, a);
    b = group_of(l, b);
    /* The earlier rule set stands for its group. */
    if (a < b)
        l->groups[b] = a;
    else
        l->groups[a] = b;
}

static void join_owner(const struct lint *l, enum name_kind kind,
                       struct bytes name)
{
    uint32_t other = owner(l, kind, name);

    if (other > 0)
        join(l, l->current, other - 1);
}

static int join_by_name(struct bytes name, void *userdata)
{
    struct lint *l = userdata;

    join_owner(l, NAME_EXACT, name);
    join_owner(l, NAME_WILD, policy_name_parent(name));
    for (; name.len > 0; name = policy_name_parent(name)) {
        join_owner(l, NAME_BELOW, name);
        join_owner(l, NAME_WILD, name);
    }
    return 0;
}

static bool share_range(const struct policy_ruleset *a,
                        const struct policy_ruleset *b)
{
    for (size_t i = 0; i < a->n_ranges; i++) {
        for (size_t k = 0; k < b->n_ranges; k++) {
            const struct address_range *x = &a->ranges[i];
            const struct address_range *y = &b->ranges[k];

            if (address_range_has(x, y->addr, y->addr_len) ||
                address_range_has(y, x->addr, x->addr_len))
                return true;
        }
    }
    return false;
}

/* The account's rule sets that grant anything, in order. */
static size_t members_of(const struct lint *l, const struct policy_link *first,
                         uint32_t *ret)
{
    size_t n = 0;

    for (const struct policy_link *k = first; k;
         k = policy_link_next(l->set, k)) {
        const struct policy_ruleset *rs = ruleset(l, k->ruleset);

        if (policy_n_names(rs) > 0 || rs->n_ranges > 0)
            ret[n++] = k->ruleset;
    }
    return n;
}

static int group_members(struct lint *l, const uint32_t *members, size_t n)
{
    struct name_index clients CLEANUP(name_index_deinit) = { 0 };
    int r = 0;

    for (size_t k = 0; k < ARRAY_LEN(l->owners); k++)
        name_index_deinit(&l->owners[k]);
    for (size_t i = 0; r == 0 && i < n; i++) {
        uint32_t client = l->clients[members[i]];
        struct bytes key = { (const uint8_t *)&client, sizeof(client) };
        uint32_t same = name_index_get(&clients, key);

        l->current = members[i]; /* joined by its client */
        l->groups[members[i]] = members[i];
        if (same > 0)
            join(l, members[i], same - 1);
        else
            r = name_index_put(&clients, key, members[i] + 1, &same);
        if (r == 0)
            r = each_name_of(l, members[i], collect);
        for (size_t k = 0; r == 0 && k < i; k++) {
            if (share_range(ruleset(l, members[i]), ruleset(l, members[k])))
                join(l, members[i], members[k]);
        }
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = each_name_of(l, members[i], join_by_name);
    }
    return r;
}

static int lint_account(struct bytes name, void *userdata)
{
    struct lint *l = userdata;
    const uint32_t *members = l->members;
    uint32_t first = name_index_get(&l->set->accounts, name);
    size_t n = members_of(l, &l->set->links[first - 1], l->members);
    int r = group_members(l, members, n);

    for (size_t i = 1; r == 0 && i < n; i++) {
        uint32_t rs = members[i];

        /* Once for each group but the first, at its first rule set. */
        if (group_of(l, rs) != rs)
            continue;
        r = warn(l, ruleset(l, rs),
                 "shares account %.*s with %s:%u, but neither client nor "
                 "names: separate accounts would keep them apart",
                 (int)name.len, (const char *)name.data,
                 ruleset(l, members[0])->file, ruleset(l, members[0])->line);
    }
    return r;
}

int policy_lint(const struct policy_set *set, policy_lint_fn fn, void *userdata)
{
    struct lint l CLEANUP(
        lint_deinit) = { .set = set, .fn = fn, .userdata = userdata };
    size_t n = set->n_rulesets;
    int r;

    if (n == 0)
        return 0;
    l.clients = calloc(n, sizeof(*l.clients));
    l.groups = calloc(n, sizeof(*l.groups));
    l.members = calloc(n, sizeof(*l.members));
    if (!l.clients || !l.groups || !l.members)
        return -ENOMEM;
    r = number_clients(&l);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct policy_ruleset *rs = set->rulesets[i];

        r = lint_ids(&l, rs, "User", &rs->users);
        if (r == 0)
            r = lint_ids(&l, rs, "Group", &rs->groups);
        if (r == 0)
            r = lint_empty(&l, rs);
    }
    if (r == 0)
        r = each_name(&l, lint_denied);
    if (r == 0)
        r = each_name(&l, collect);
    if (r == 0)
        r = each_name(&l, lint_coverage);
    return r ? r : name_index_each(&set->accounts, lint_account, &l);
}
