/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/secret.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"

/* AuditRotate, AuditHead, AuditTakeFirstKey, Watch. */

static void unavailable(struct varlink_call *call)
{
    admin_error(call, "AuditUnavailable", json_object());
}

static void rotate(struct guardian *g, struct varlink_call *call)
{
    CLEANUP_FREE char *file = NULL;
    int r = audit_rotate(g->audit, &file);

    if (r)
        unavailable(call);
    else
        varlink_reply_json(call, json_pack("{s:s}", "file", file));
}

ADMIN_METHOD(admin_on_audit_rotate)
{
    struct guardian *g = userdata;

    if (params_take(call, parameters, NULL, 0) &&
        admin_begin(g, call, &(struct admin_subject){ 0 }))
        rotate(g, call);
}

ADMIN_METHOD(admin_on_audit_head)
{
    struct guardian *g = userdata;
    uint8_t mac[32];
    char hex[65];
    uint64_t line;

    if (!params_take(call, parameters, NULL, 0))
        return;
    if (!guardian_audit(g)) {
        unavailable(call);
        return;
    }
    admin_note(g, call, &(struct admin_subject){ 0 });
    line = audit_head(g->audit, mac);
    sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    varlink_reply_json(call,
                       json_pack("{s:I,s:s,s:s}", "line", (json_int_t)line,
                                 "mac", hex, "file", audit_file(g->audit)));
}

/* Shown once, to the administrator, who keeps it elsewhere: the one secret that
 * is meant to leave. */
ADMIN_METHOD(admin_on_audit_take_first_key)
{
    struct guardian *g = userdata;
    uint8_t key[32];
    char hex[2 * sizeof(key) + 1];
    char answer[sizeof(hex) + 16];
    CLEANUP_WIPE(wipe_key, key);
    CLEANUP_WIPE(wipe_hex, hex);
    CLEANUP_WIPE(wipe_answer, answer);
    int r;

    if (!params_take(call, parameters, NULL, 0))
        return;
    if (varlink_call_is_oneway(call)) {
        varlink_error_invalid_parameter(call, "oneway");
        return;
    }
    if (!admin_begin(g, call, &(struct admin_subject){ 0 }))
        return;
    r = audit_take_first_key(g->audit, key);
    if (r == -ENOENT) {
        admin_error(call, "AlreadyTaken", json_object());
        return;
    }
    if (r) {
        unavailable(call);
        return;
    }
    sodium_bin2hex(hex, sizeof(hex), key, sizeof(key));
    (void)snprintf(answer, sizeof(answer), "{\"key\":\"%s\"}", hex);
    varlink_reply(call, bytes_from_str(answer));
}

/* ---- Watch ---- */

struct admin_watch {
    struct guardian *guardian;
    struct varlink_call *call;
    struct audit_subscriber subscriber;
    struct admin_watch *next;
};

static void watch_line(struct bytes line, void *userdata)
{
    struct admin_watch *w = userdata;
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = buf_append_str(&b, "{\"line\":");
    if (r == 0)
        r = buf_append_json(&b, line);
    if (r == 0)
        r = buf_append_char(&b, '}');
    if (r == 0)
        varlink_reply_more(w->call, buf_bytes(&b));
}

/* The last answer frees the call; who still listens is told to come again. */
static void watch_end(struct admin_watch *w)
{
    struct admin_watch **at = &w->guardian->watches;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    audit_unsubscribe(w->guardian->audit, &w->subscriber);
    admin_error_busy(w->call);
    free(w);
}

static void watch_gone(struct varlink_call *call, void *userdata)
{
    (void)call;
    watch_end(userdata);
}

void admin_roles_changed(struct guardian *g)
{
    struct admin_watch *next;

    for (struct admin_watch *w = g->watches; w; w = next) {
        next = w->next;
        if (roles_of(&g->roles, varlink_call_peer(w->call), &g->names.policy) ==
            ROLE_NONE)
            watch_end(w);
    }
}

void admin_stop(struct guardian *g)
{
    while (g->watches)
        watch_end(g->watches);
}

ADMIN_METHOD(admin_on_watch)
{
    struct guardian *g = userdata;
    struct admin_watch *w;

    if (!params_take(call, parameters, NULL, 0))
        return;
    if (!varlink_call_wants_more(call)) {
        varlink_error_expected_more(call);
        return;
    }
    if (!guardian_audit(g)) {
        unavailable(call);
        return;
    }
    admin_note(g, call, &(struct admin_subject){ 0 });
    w = calloc(1, sizeof(*w));
    if (!w) {
        admin_error_busy(call);
        return;
    }
    *w =
        (struct admin_watch){ .guardian = g,
                              .call = call,
                              .subscriber = { .fn = watch_line, .userdata = w },
                              .next = g->watches };
    g->watches = w;
    audit_subscribe(g->audit, &w->subscriber);
    varlink_call_on_gone(call, watch_gone, w);
}
