/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-account.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-rotate.h"

/*
 * rotate start --due: what a timer does. Every account is tried, whatever
 * became of the one before; what needs a person is said, and makes the exit
 * code 1, so that the unit fails until it is done.
 */

/* An account whose orders never end is left to the next run. */
#define DRAIN_MAX_S 120

struct due {
    const struct ctl_context *c;
    json_t *accounts, *rotations;
    json_t *report; /* of --json */
    int code;       /* the first that is no success */
};

static void due_deinit(struct due *d)
{
    json_decref(d->accounts);
    json_decref(d->rotations);
    json_decref(d->report);
}

static int add_rotations(json_t *items, void *userdata)
{
    struct due *d = userdata;

    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *x = json_array_get(items, i);
        const char *name = ctl_string(x, "account");

        if (name && json_object_set(d->rotations, name, x) < 0)
            return ctl_fail_errno(-ENOMEM, "rotations");
    }
    return CTL_EXIT_DONE;
}

/* Closed before the first child is forked that talks to a CA. */
static int look(struct due *d)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon daemon = { 0 };
    int r = ctl_daemon_open(d->c, CTL_SOCKET_ADMIN, &daemon);

    if (r == 0)
        r = ctl_account_all(&daemon, &d->accounts);
    return r ? r
             : ctl_daemon_pages(&daemon, "RotationStatus", json_object(),
                                "rotations", add_rotations, d);
}

static bool is_text(const json_t *object, const char *member, const char *text)
{
    const char *s = ctl_string(object, member);

    return s && strcmp(s, text) == 0;
}

static bool is_under_way(const json_t *rotation)
{
    return rotation && !ctl_true(rotation, "over");
}

/* Somebody who has the key goes on with it. */
static bool is_outside(const json_t *rotation)
{
    return is_text(rotation, "kind", "adopt") ||
           (is_text(rotation, "kind", "release") &&
            !is_text(rotation, "state", "cleaned"));
}

static bool is_unresolved(const json_t *account)
{
    return is_text(account, "status", "needs-resolve") &&
           json_is_string(json_object_get(account, "url"));
}

static bool is_due(const json_t *account)
{
    return ctl_true(json_object_get(account, "schedule"), "now") &&
           is_text(account, "status", "valid");
}

/* No key opens it any more: whoever ended it ends its rotation, too. */
static bool is_ended(const json_t *account)
{
    return is_text(account, "status", "deactivated") ||
           is_text(account, "status", "revoked");
}

/* What is not done, and not only because time has to pass. */
static int judge(const json_t *rotation)
{
    const char *state = ctl_string(rotation, "state");

    if (ctl_rotate_is_good(rotation) ||
        is_text(rotation, "state", "records-verified") ||
        is_text(rotation, "state", "draining"))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO, "%s: its rotation is %s: %s",
                    ctl_string(rotation, "account"), state ? state : "unknown",
                    ctl_string(rotation, "next"));
}

static int go_on(struct ctl_conversation *v, bool start, json_t **rotation)
{
    bool is_there = true;
    int r = CTL_EXIT_DONE;
    int e;

    v->drain_max_s = DRAIN_MAX_S;
    if (start)
        r = ctl_conversation_directory(v, NULL);
    else if (!ctl_conversation_known(v))
        r = ctl_fail(CTL_EXIT_NO, "%s: its directory is not known", v->account);
    if (r == 0 && start)
        r = ctl_daemon_call(
            &v->daemon, "RotationStart",
            json_pack("{s:s, s:b}", "account", v->account, "scheduled", 1),
            NULL);
    if (r == 0 && ctl_rotate_is_unresolved(v))
        r = ctl_rotate_resolve(v, &is_there);
    if (r || !is_there)
        return r;
    r = ctl_rotate_go_on(v, rotation);
    if (r == 0)
        r = v->waits ? v->waits : judge(*rotation); /* which was said */
    e = r == 0 || r == CTL_EXIT_NO || v->waits ? ctl_rotate_settle(v)
                                               : CTL_EXIT_DONE;
    return e ? e : r;
}

/* Each account has a child of its own, with the roots of its CA. */
static int carry_on(struct due *d, const char *name, bool start)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *rotation = NULL;
    int r;

    if (!d->c->json) {
        (void)printf("%s:\n", name);
        (void)fflush(stdout);
    }
    r = ctl_conversation_open(d->c, name, &v);
    if (r == 0)
        r = go_on(&v, start, &rotation);
    if (json_array_append_new(d->report,
                              json_pack("{s:s, s:i, s:O?}", "account", name,
                                        "code", r, "rotation", rotation)) < 0)
        return ctl_fail_errno(-ENOMEM, name);
    return r;
}

static void try_account(struct due *d, const json_t *account)
{
    const char *name = ctl_string(account, "name");
    const json_t *rotation = name ? json_object_get(d->rotations, name) : NULL;
    bool under_way = is_under_way(rotation) && !is_ended(account);
    int r = CTL_EXIT_DONE;

    if (under_way && is_outside(rotation))
        r = ctl_fail(CTL_EXIT_NO,
                     "%s: its rotation is %s, and whoever has the key outside "
                     "goes on with it",
                     name, ctl_string(rotation, "state"));
    else if (under_way && is_text(rotation, "state", "account-lost"))
        r = judge(rotation);
    else if (under_way || (name && is_unresolved(account)))
        r = carry_on(d, name, false);
    else if (name && is_due(account))
        r = carry_on(d, name, true);
    if (d->code == CTL_EXIT_DONE)
        d->code = r;
}

static int print(const struct due *d)
{
    size_t n = json_array_size(d->report);

    if (d->c->json)
        ctl_print_json(
            json_pack("{s:O, s:i}", "accounts", d->report, "code", d->code));
    else if (n == 0 && d->code == CTL_EXIT_DONE)
        (void)puts("nothing is due");
    return d->code;
}

int ctl_rotate_due(const struct ctl_context *c)
{
    CLEANUP(due_deinit)
    struct due d = { .c = c,
                     .rotations = json_object(),
                     .report = json_array() };
    int r;

    if (!d.rotations || !d.report)
        return ctl_fail_errno(-ENOMEM, "rotate start");
    r = look(&d);
    if (r)
        return r;
    for (size_t i = 0; i < json_array_size(d.accounts); i++)
        try_account(&d, json_array_get(d.accounts, i));
    return print(&d);
}
