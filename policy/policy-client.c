/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * [Client]. What costs nothing is asked first: names of users and groups are
 * looked up only where everything else fits already.
 */
#include <string.h>

#include "policy/policy-judge.h"

/* "web@a.service" for "web@*.service": an instance, not an empty one. */
static bool unit_matches(const char *pattern, const char *unit)
{
    const char *star = strchr(pattern, '*');
    size_t before = star ? (size_t)(star - pattern) : 0;
    size_t after = star ? strlen(star + 1) : 0;
    size_t len = strlen(unit);

    if (!star)
        return strcmp(pattern, unit) == 0;
    return len > before + after && memcmp(unit, pattern, before) == 0 &&
           strcmp(unit + len - after, star + 1) == 0;
}

static bool any_unit(const struct policy_words *units, const char *unit)
{
    for (size_t i = 0; unit && i < units->n; i++) {
        if (unit_matches(units->items[i], unit))
            return true;
    }
    return false;
}

static bool is_user(const struct policy_id *user, uid_t uid,
                    const struct policy_names *names)
{
    uid_t named = POLICY_OVERFLOW_ID;

    if (user->numeric)
        return user->id == uid;
    return names->uid(user->text, &named, names->userdata) == 0 && named == uid;
}

static bool any_user(const struct policy_ids *users,
                     const struct policy_caller *caller,
                     const struct policy_names *names)
{
    for (size_t i = 0; i < users->n; i++) {
        if (is_user(&users->items[i], caller->uid, names))
            return true;
    }
    return false;
}

/* The caller's group @gid, but never the one that means "unknown". */
static bool has_group(const struct policy_caller *caller, gid_t gid)
{
    if (gid == POLICY_OVERFLOW_ID || gid == (gid_t)-1)
        return false;
    for (size_t i = 0; i < caller->n_gids; i++) {
        if (caller->gids[i] == gid)
            return true;
    }
    return false;
}

static bool any_group(const struct policy_ids *groups,
                      const struct policy_caller *caller,
                      const struct policy_names *names)
{
    for (size_t i = 0; i < groups->n; i++) {
        const struct policy_id *g = &groups->items[i];
        gid_t gid = POLICY_OVERFLOW_ID;

        if (g->numeric)
            gid = g->id;
        else if (names->gid(g->text, &gid, names->userdata) != 0)
            continue;
        if (has_group(caller, gid))
            return true;
    }
    return false;
}

int policy_match_client(const struct policy_ruleset *rs,
                        const struct policy_caller *caller,
                        const struct policy_names *names, const char **ret_key,
                        struct refusal *ret_refusal)
{
    bool by_unit = rs->units.n > 0;

    *ret_key = "Client";
    if (caller->uid == POLICY_OVERFLOW_ID || caller->uid == (uid_t)-1)
        return refuse(ret_refusal, REASON_NO_RULE,
                      "uid %u is nobody in particular and never matches",
                      caller->uid);

    *ret_key = "Socket";
    if (rs->sockets.n > 0 &&
        !(caller->socket && policy_words_has(&rs->sockets, caller->socket)))
        return refuse(ret_refusal, REASON_NO_RULE,
                      "the request came through %s",
                      caller->socket ? caller->socket : "the common socket");

    *ret_key = "Unit";
    if (by_unit && !any_unit(&rs->units, caller->unit))
        return refuse(ret_refusal, REASON_NO_RULE, "the caller's unit is %s",
                      caller->unit ? caller->unit : "not known");
    if (by_unit && rs->users.n == 0 && !caller->unit_certain)
        return refuse(ret_refusal, REASON_NO_RULE,
                      "the caller's unit is not certain on this kernel, so "
                      "User= is needed too");

    *ret_key = "User";
    if (rs->users.n > 0 && !any_user(&rs->users, caller, names))
        return refuse(ret_refusal, REASON_NO_RULE, "the caller is uid %u",
                      caller->uid);

    *ret_key = "Group";
    if (rs->groups.n > 0 && !any_group(&rs->groups, caller, names))
        return refuse(ret_refusal, REASON_NO_RULE,
                      "uid %u is in none of these groups", caller->uid);
    return 0;
}
