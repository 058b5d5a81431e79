/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "policy/ruleset.h"

/* Which rule sets touch a name: for whoever hands it over. */

struct about {
    struct bytes name;
    const struct policy_ruleset *rule;
    enum name_kind kind;
    policy_about_fn fn;
    void *userdata;
};

static bool is_below(struct bytes name, struct bytes above)
{
    size_t more = name.len - above.len;

    return name.len > above.len && name.data[more - 1] == '.' &&
           memcmp(name.data + more, above.data, above.len) == 0;
}

/* Does what stands for @entry reach the name, or something below it? */
static bool touches(const struct about *a, struct bytes entry)
{
    if (bytes_eq(entry, a->name) || is_below(entry, a->name))
        return true;
    if (a->kind == NAME_BELOW)
        return is_below(a->name, entry);
    return a->kind == NAME_WILD && bytes_eq(policy_name_parent(a->name), entry);
}

static int look(struct bytes entry, void *userdata)
{
    static const char *const keys[NAME_KINDS] = {
        [NAME_EXACT] = "Domain",
        [NAME_BELOW] = "Subdomains",
        [NAME_WILD] = "Wildcard",
    };
    const struct about *a = userdata;
    CLEANUP_FREE char *text = NULL;

    if (!touches(a, entry))
        return 0;
    text = strndup((const char *)entry.data, entry.len);
    return text ? a->fn(a->rule, keys[a->kind], text, a->userdata) : -ENOMEM;
}

int policy_about(const struct policy_set *set, const char *name,
                 policy_about_fn fn, void *userdata)
{
    struct about a = { .name = bytes_from_str(name),
                       .fn = fn,
                       .userdata = userdata };
    int r = 0;

    for (size_t i = 0; i < set->n_rulesets; i++) {
        a.rule = set->rulesets[i];
        for (unsigned kind = 0; r == 0 && kind < NAME_KINDS; kind++) {
            a.kind = (enum name_kind)kind;
            r = name_index_each(&a.rule->names[kind], look, &a);
        }
    }
    return r;
}
