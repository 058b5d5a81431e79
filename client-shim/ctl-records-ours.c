/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-records-ours.h"

#include <errno.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

void ctl_ours_deinit(struct ctl_ours *o)
{
    ours_deinit(&o->all);
    json_decref(o->rotations);
    json_decref(o->keys);
    json_decref(o->accounts);
    *o = (struct ctl_ours){ 0 };
}

/* The tokens of accounts whose records a key change changes. */
static int find_tokens(json_t *accounts, json_t *tokens)
{
    const char *name;
    json_t *row;

    json_object_foreach(accounts, name, row)
    {
        const json_t *meta = json_object_get(row, "meta");
        const char *token = ctl_string(row, "token");

        if (token && ctl_string(meta, "accountHashPrefix") &&
            json_object_set_new(tokens, token, json_true()) < 0)
            return ctl_fail_errno(-ENOMEM, name);
    }
    return CTL_EXIT_DONE;
}

static int add_keys(const struct ctl_context *c, const char *token,
                    json_t *keys)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    json_t *list;

    if (ctl_try(c, CTL_SOCKET_ADMIN, "TokenCheck",
                json_pack("{s:s}", "name", token), &answer)) {
        (void)ctl_fail(CTL_EXIT_DONE,
                       "token %s does not say which keys it has: values of "
                       "earlier keys are taken for somebody else's",
                       token);
        return CTL_EXIT_DONE;
    }
    list = json_object_get(answer, "keys");
    return json_is_array(list) && json_array_extend(keys, list) < 0
               ? ctl_fail_errno(-ENOMEM, token)
               : CTL_EXIT_DONE;
}

static int load_keys(const struct ctl_context *c, struct ctl_ours *o)
{
    CLEANUP_CTL_JSON json_t *tokens = json_object();
    const char *token;
    json_t *unused;
    int r;

    o->keys = json_array();
    r = find_tokens(o->accounts, tokens);
    if (r)
        return r;
    json_object_foreach(tokens, token, unused)
    {
        r = add_keys(c, token, o->keys);
        if (r)
            return r;
    }
    return CTL_EXIT_DONE;
}

static int add_rotations(json_t *items, void *userdata)
{
    return json_array_extend(userdata, items)
               ? ctl_fail_errno(-ENOMEM, "rotations")
               : CTL_EXIT_DONE;
}

static int load_rotations(const struct ctl_context *c, struct ctl_ours *o)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    int r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);

    o->rotations = json_array();
    return r ? r
             : ctl_daemon_pages(&d, "RotationStatus", json_object(),
                                "rotations", add_rotations, o->rotations);
}

int ctl_ours_load(const struct ctl_context *c, bool with_earlier,
                  struct ctl_ours *ret)
{
    int r;

    *ret = (struct ctl_ours){ 0 };
    r = ctl_records_accounts(c, NULL, &ret->accounts);
    if (r == 0 && with_earlier)
        r = load_keys(c, ret);
    if (r == 0 && with_earlier)
        r = load_rotations(c, ret);
    if (r)
        return r;
    r = ours_init(&ret->all, ret->accounts, ret->keys);
    ours_take_rotations(&ret->all, ret->rotations);
    return r ? ctl_fail_errno(r, "accounts") : CTL_EXIT_DONE;
}
