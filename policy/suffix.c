/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/suffix.h"

#include <string.h>

/* libpsl's rule "*" makes a suffix of every unknown top-level domain; here
 * only the rules count that somebody has written down. */
static bool is_listed(const psl_ctx_t *psl, const char *name, int section)
{
    return psl_is_public_suffix2(psl, name, section | PSL_TYPE_NO_STAR_RULE);
}

static const char *parent(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot ? dot + 1 : NULL;
}

static const char *top_level(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

static bool allowed_with_parents(const struct name_index *allow,
                                 const char *name)
{
    for (; name; name = parent(name)) {
        if (name_index_has(allow, bytes_from_str(name)))
            return true;
    }
    return false;
}

int suffix_check(const psl_ctx_t *psl, const char *name,
                 const struct name_index *allow, struct refusal *ret_refusal)
{
    if (is_listed(psl, name, PSL_TYPE_ANY)) {
        if (is_listed(psl, name, PSL_TYPE_ICANN))
            return refuse(ret_refusal, REASON_BAD_VALUE,
                          "is a public suffix: the names below belong to "
                          "everybody");
        if (!name_index_has(allow, bytes_from_str(name)))
            return refuse(ret_refusal, REASON_BAD_VALUE,
                          "is a provider's public suffix: if all names below "
                          "are yours, add AllowSuffix=%s",
                          name);
        return 0;
    }
    if (!is_listed(psl, top_level(name), PSL_TYPE_ANY) &&
        !allowed_with_parents(allow, name))
        return refuse(ret_refusal, REASON_BAD_VALUE,
                      "is under a top-level domain of no public list: if all "
                      "names below are yours, add AllowSuffix=%s",
                      top_level(name));
    return 0;
}
