/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-rotate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-prove.h"
#include "client-shim/outside-key.h"
#include "client-shim/ctl-rotate-records.h"

/*
 * rotate start|status|resume|abort. A rotation lives in the daemon; whoever
 * asks for its steps may end at any point, and the next one goes on from there.
 */

#define SILENCE_MAX 10    /* questions in a row without any answer */
#define WAIT_MAX_MS 10000 /* what is longer is not waited for here */
#define PAUSE_MS 100      /* where the daemon says nothing */
#define SILENCE_MS 1000

static void pause_ms(long long ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* ---- what is printed ---- */

static void put_number(struct ctl_table *t, const char *name,
                       const json_t *rotation, const char *member,
                       const char *unit)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "%lld%s", ctl_integer(rotation, member),
                   unit);
    ctl_table_pair(t, name, text);
}

static void put_open(struct ctl_table *t, const json_t *rotation)
{
    bool unknown = ctl_true(rotation, "ordersUnknown");
    char text[160];

    if (ctl_integer(rotation, "openOrders") == 0 &&
        ctl_integer(rotation, "openConnections") == 0 && !unknown)
        return;
    (void)snprintf(text, sizeof(text), "%lld open orders, %lld of lacme%s",
                   ctl_integer(rotation, "openOrders"),
                   ctl_integer(rotation, "openConnections"),
                   unknown ? ", orders from before the daemon's start" : "");
    ctl_table_pair(t, "waits for", text);
}

/* Where it differs from the planned one on the account's own token. */
static void put_kind(struct ctl_table *t, const json_t *rotation)
{
    const char *kind = ctl_string(rotation, "kind");
    const char *from = ctl_string(rotation, "oldToken");
    const char *to = ctl_string(rotation, "newToken");

    if (kind && strcmp(kind, "planned") != 0)
        ctl_table_pair(t, "kind", kind);
    if (from && to && *to && strcmp(from, to) != 0)
        ctl_table_pair(t, "to token", to);
    ctl_table_pair(t, "new account", ctl_string(rotation, "newUrl"));
}

static void put_records(struct ctl_table *t, const json_t *records)
{
    ctl_table_pair(t, "published", ctl_string(records, "published"));
    ctl_table_pair(t, "verified", ctl_string(records, "verified"));
    ctl_table_pair(t, "caches until", ctl_string(records, "cachesUntil"));
    ctl_table_pair(t, "old removed", ctl_string(records, "oldRemoved"));
    if (json_array_size(json_object_get(records, "accepted")) > 0)
        ctl_table_pair_list(t, "unverified",
                            json_object_get(records, "accepted"));
}

static int print_one(const json_t *rotation)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    bool over = ctl_true(rotation, "over");

    ctl_table_pair(&t, "account", ctl_string(rotation, "account"));
    ctl_table_pair(&t, "rotation", ctl_string(rotation, "state"));
    put_kind(&t, rotation);
    ctl_table_pair(&t, "since", ctl_string(rotation, "since"));
    ctl_table_pair(&t, "reason", ctl_string(rotation, "reason"));
    ctl_table_pair(&t, "text", ctl_string(rotation, "text"));
    ctl_table_pair(&t, "next", ctl_string(rotation, "next"));
    ctl_table_pair(&t, "by", over ? NULL : ctl_string(rotation, "actor"));
    ctl_table_pair(&t, "at", ctl_string(rotation, "due"));
    put_records(&t, json_object_get(rotation, "records"));
    put_open(&t, rotation);
    if (ctl_true(rotation, "held"))
        put_number(&t, "requests held", rotation, "waiting", "");
    ctl_table_pair_list(&t, "skipped", json_object_get(rotation, "skipped"));
    ctl_table_pair(&t, "old key", ctl_string(rotation, "oldThumbprint"));
    ctl_table_pair(&t, "new key", ctl_string(rotation, "newThumbprint"));
    ctl_table_pair(&t, "started", ctl_string(rotation, "started"));
    ctl_table_pair(&t, "started by", ctl_string(rotation, "by"));
    return ctl_table_print(&t);
}

static bool is_state(const json_t *rotation, const char *state)
{
    const char *s = ctl_string(rotation, "state");

    return s && strcmp(s, state) == 0;
}

/* A web server that answers http-01 by itself has the thumbprint in its
 * configuration (RFC 8555 section 8.1), and nobody here knows of it. */
static void say_thumbprints(const json_t *rotation)
{
    const char *new = ctl_string(rotation, "newThumbprint");

    if (new)
        (void)printf("note: sites that answer http-01 from a fixed thumbprint "
                     "have %s and will need %s\n",
                     ctl_string(rotation, "oldThumbprint"), new);
}

/* Each new state is a line, so that whoever watches knows what is going on. */
static void say_state(const struct ctl_context *c, const json_t *before,
                      const json_t *rotation)
{
    const char *text = ctl_string(rotation, "text");

    if (c->json || (before && is_state(before, ctl_string(rotation, "state"))))
        return;
    if (is_state(rotation, "draining") &&
        json_array_size(json_object_get(rotation, "skipped")) > 0)
        (void)puts("skipped: records-published, records-verified (no record "
                   "names the key)");
    (void)printf("%s: %s%s%s\n", ctl_string(rotation, "state"),
                 ctl_string(rotation, "next"), text ? ": " : "",
                 text ? text : "");
    if (is_state(rotation, "key-generated"))
        say_thumbprints(rotation);
    (void)fflush(stdout);
}

bool ctl_rotate_is_good(const json_t *rotation)
{
    return is_state(rotation, "done") || is_state(rotation, "cleaned") ||
           (is_state(rotation, "switched") && ctl_string(rotation, "due"));
}

/* Done, or as far as it goes now. */
static int finish(const struct ctl_context *c, json_t *rotation)
{
    bool good = ctl_rotate_is_good(rotation);
    int r = CTL_EXIT_DONE;

    if (c->json)
        ctl_print_json(json_pack("{s:O}", "rotation", rotation));
    else
        r = print_one(rotation);
    if (r || good)
        return r;
    return is_state(rotation, "records-verified") ? CTL_EXIT_TRY_AGAIN
                                                  : CTL_EXIT_NO;
}

/* ---- going on ---- */

static int prove(struct ctl_conversation *v)
{
    int r = ctl_conversation_select(v, v->account);

    return r ? r : ctl_prove_account(v, NULL);
}

static int step(struct ctl_conversation *v, bool again, json_t **rotation)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    json_t *before = *rotation;
    int r;

    r = ctl_daemon_call_within(&v->daemon, "RotationStep",
                               json_pack("{s:s, s:b, s:o*}", "account",
                                         v->account, "again", (int)again, "now",
                                         v->now ? json_true() : NULL),
                               CTL_CALL_KEYGEN_MS, &answer);
    if (r)
        return r;
    *rotation = json_incref(json_object_get(answer, "rotation"));
    say_state(v->context, before, *rotation);
    json_decref(before);
    return *rotation ? CTL_EXIT_DONE
                     : ctl_fail(CTL_EXIT_UNAVAILABLE,
                                "the daemon's answer has no rotation");
}

/* *silence counts questions that nobody answered. */
static int ask(struct ctl_conversation *v, const char *what, unsigned *silence)
{
    bool heard = false;
    int r;

    if (strcmp(what, "prove") == 0)
        return prove(v);
    r = ctl_rotate_ask(v, what, &heard);
    if (r || heard) {
        *silence = 0;
        return r;
    }
    if (++*silence < SILENCE_MAX) {
        pause_ms(SILENCE_MS);
        return CTL_EXIT_DONE;
    }
    (void)ctl_ca_report(&v->ca);
    return ctl_fail(CTL_EXIT_TRY_AGAIN,
                    "%s: the CA does not answer; go on later with rotate "
                    "resume",
                    v->account);
}

/* The next request must not wait for a nonce while signing is held. */
static int make_ready(struct ctl_conversation *v, const json_t *rotation)
{
    bool got;

    return is_state(rotation, "draining") ? ctl_rotate_nonce(v, &got)
                                          : CTL_EXIT_DONE;
}

/* *since_s is when draining began. */
static bool has_drained_enough(const struct ctl_conversation *v,
                               const json_t *rotation, time_t *since_s)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (v->drain_max_s == 0 || !is_state(rotation, "draining"))
        *since_s = 0;
    else if (*since_s == 0)
        *since_s = now.tv_sec;
    return *since_s && now.tv_sec - *since_s >= (time_t)v->drain_max_s;
}

/* Caches are waited for as servers are. */
static bool is_long(const json_t *rotation, long long wait_ms, uint64_t wait_s)
{
    uint64_t max_ms = WAIT_MAX_MS;

    if (json_is_object(json_object_get(rotation, "records")) &&
        wait_s * 1000 > max_ms)
        max_ms = wait_s * 1000;
    return wait_ms > 0 && (uint64_t)wait_ms > max_ms;
}

static bool has_work(const json_t *rotation)
{
    return ctl_string(json_object_get(rotation, "records"), "work");
}

static int work(struct ctl_conversation *v, json_t **rotation)
{
    int r = ctl_rotate_work(v, *rotation, &v->waits);

    return r || !v->waits ? r : step(v, false, rotation);
}

int ctl_rotate_go_on(struct ctl_conversation *v, json_t **rotation)
{
    unsigned silence = 0;
    time_t draining_s = 0;
    uint64_t wait_s;
    bool given;
    int r = ctl_rotate_wait(v->context, &wait_s, &given);

    v->waits = CTL_EXIT_DONE;
    if (r)
        return r;
    for (;;) {
        const char *what;
        long long wait_ms;

        r = step(v, !*rotation, rotation);
        if (r || ctl_true(*rotation, "over") ||
            is_state(*rotation, "account-lost"))
            return r;
        what = ctl_string(*rotation, "ask");
        wait_ms = ctl_integer(*rotation, "waitMs");
        if ((!what && is_long(*rotation, wait_ms, wait_s)) ||
            has_drained_enough(v, *rotation, &draining_s))
            return CTL_EXIT_DONE;
        if (!what && has_work(*rotation)) {
            r = work(v, rotation);
            if (r || v->waits)
                return r;
            continue;
        }
        if (what)
            r = ask(v, what, &silence);
        else
            r = make_ready(v, *rotation);
        if (r)
            return r;
        if (!what)
            pause_ms(wait_ms > 0 ? wait_ms : PAUSE_MS);
    }
}

int ctl_rotate_resume(struct ctl_conversation *v)
{
    CLEANUP_CTL_JSON json_t *rotation = NULL;
    int r = ctl_rotate_go_on(v, &rotation);

    if (r)
        return r;
    r = finish(v->context, rotation);
    return v->waits ? v->waits : r;
}

/* Which key is the account's comes first. */
static int resolve_and_resume(struct ctl_conversation *v)
{
    bool is_there = true;
    int r = CTL_EXIT_DONE;
    int e;

    if (ctl_rotate_is_unresolved(v))
        r = ctl_rotate_resolve(v, &is_there);
    if (r || !is_there)
        return r;
    r = ctl_rotate_resume(v);
    if (r && r != CTL_EXIT_NO && !v->waits)
        return r;
    e = ctl_rotate_settle(v);
    return e ? e : r;
}

/* ---- commands ---- */

/* Nothing else is decided when it is run: the files do. */
static int run_due(const struct ctl_context *c)
{
    static const char *const others[] = { "--due", "--ca-file", "--timeout" };

    for (const struct ctl_option *o = c->command->options; o->name; o++) {
        bool goes = false;

        for (size_t i = 0; i < ARRAY_LEN(others); i++)
            goes = goes || strcmp(o->name, others[i]) == 0;
        if (!goes && ctl_args_has(c, o->name))
            return ctl_fail(CTL_EXIT_USAGE, "%s does not go with --due",
                            o->name);
    }
    if (c->n_operands > 0)
        return ctl_fail(CTL_EXIT_USAGE, "--due is about every account");
    return ctl_rotate_due(c);
}

static int run_start(struct ctl_context *c)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *parameters = NULL;
    CLEANUP_CTL_JSON json_t *answer = NULL;
    uint64_t wait_s;
    bool given;
    int r;

    if (ctl_args_has(c, "--due"))
        return run_due(c);
    if (c->n_operands == 0)
        return ctl_fail(CTL_EXIT_USAGE, "rotate start needs NAME or --due");
    parameters = json_object();
    r = ctl_rotate_wait(c, &wait_s, &given);
    if (r == 0)
        r = ctl_rotate_check_options(c);
    if (r == 0)
        r = ctl_rotate_parameters(c, parameters);
    if (r == 0)
        r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = ctl_conversation_directory(&v, NULL);
    if (r == 0)
        r = ctl_rotate_make_key(&v, &key);
    if (r == 0)
        r = ctl_rotate_add_kind(&v, parameters);
    if (r == 0)
        r = ctl_daemon_call(&v.daemon, "RotationStart", json_incref(parameters),
                            &answer);
    if (r == 0)
        r = ctl_rotate_accept(&v, json_object_get(answer, "rotation"));
    return r ? r : ctl_rotate_resume(&v);
}

static int open_known(struct ctl_context *c, struct ctl_conversation *v)
{
    int r = ctl_conversation_open(c, c->operands[0], v);

    if (r || ctl_conversation_known(v))
        return r;
    return ctl_fail(CTL_EXIT_NO,
                    "%s: never registered, so there is no rotation",
                    v->account);
}

static int accept_again(struct ctl_conversation *v)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    if (ctl_args_count(v->context, "--accept-unverified") == 0)
        return CTL_EXIT_DONE;
    r = ctl_daemon_call(&v->daemon, "RotationStatus",
                        json_pack("{s:s}", "account", v->account), &answer);
    return r ? r
             : ctl_rotate_accept(
                   v, json_array_get(json_object_get(answer, "rotations"), 0));
}

static int run_resume(struct ctl_context *c)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    int r = open_known(c, &v);

    v.now = ctl_args_has(c, "--now");
    if (r == 0)
        r = ctl_rotate_find_key(&v, &key);
    if (r == 0)
        r = accept_again(&v);
    return r ? r : resolve_and_resume(&v);
}

/* The new key is destroyed only when the CA has taken the old one. */
static int run_abort(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *rotation = NULL;
    int r;

    r = open_known(c, &v);
    if (r == 0)
        r = ctl_daemon_call(&v.daemon, "RotationAbort",
                            json_pack("{s:s}", "account", v.account), NULL);
    if (r == 0)
        r = accept_again(&v);
    if (r == 0)
        r = ctl_rotate_go_on(&v, &rotation);
    if (r)
        return r;
    r = finish(c, rotation);
    if (v.waits || (r && r != CTL_EXIT_NO))
        return v.waits ? v.waits : r;
    return is_state(rotation, "aborted") ? CTL_EXIT_DONE : CTL_EXIT_NO;
}

static int add_page(json_t *items, void *userdata)
{
    return json_array_extend(userdata, items)
               ? ctl_fail_errno(-ENOMEM, "rotate status")
               : CTL_EXIT_DONE;
}

static int print_list(const json_t *rotations)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 5 };

    CTL_TABLE_ROW(&t, "ACCOUNT", "ROTATION", "SINCE", "BY", "NEXT");
    for (size_t i = 0; i < json_array_size(rotations); i++) {
        const json_t *x = json_array_get(rotations, i);

        CTL_TABLE_ROW(&t, ctl_string(x, "account"), ctl_string(x, "state"),
                      ctl_string(x, "since"), ctl_string(x, "actor"),
                      ctl_string(x, "next"));
    }
    return ctl_table_print(&t);
}

static int run_status(struct ctl_context *c)
{
    const char *account = c->n_operands > 0 ? c->operands[0] : NULL;
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *all = json_array();
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_daemon_pages(&d, "RotationStatus",
                             json_pack("{s:s*}", "account", account),
                             "rotations", add_page, all);
    if (r)
        return r;
    if (c->json) {
        ctl_print_json(json_pack("{s:O}", "rotations", all));
        return CTL_EXIT_DONE;
    }
    if (!account)
        return print_list(all);
    if (json_array_size(all) == 0)
        return ctl_fail(CTL_EXIT_NO, "%s: its key was never rotated", account);
    return print_one(json_array_get(all, 0));
}

static const struct ctl_option start_options[] = {
    { "--due", NULL, "every account whose Rotate= says so", 0, false, false },
    { "--compromised", NULL, "somebody else may have the key: at once", 0,
      false, false },
    { "--to-key-file", "FILE", "leave: the new key is made here", 0, false,
      false },
    CTL_ROTATE_OPTIONS,
    CTL_ROTATE_RECORDS_OPTIONS,
    CTL_CA_OPTIONS,
    { 0 },
};

static const struct ctl_option resume_options[] = {
    { "--now", NULL, "not only in the window that it was started in", 0, false,
      false },
    { "--to-key-file", "FILE", "the key that the account leaves with", 0, false,
      false },
    CTL_ROTATE_RECORDS_OPTIONS,
    CTL_CA_OPTIONS,
    { 0 },
};

static const struct ctl_option abort_options[] = {
    CTL_ROTATE_RECORDS_OPTIONS,
    CTL_CA_OPTIONS,
    { 0 },
};

const struct ctl_command ctl_rotate_commands[] = {
    { "rotate start", "[NAME]", 0, 1, start_options,
      "give an account a new key, without failing an order", run_start },
    { "rotate status", "[NAME]", 0, 1, NULL,
      "which rotations there are, and what is next", run_status },
    { "rotate resume", "NAME", 1, 1, resume_options,
      "go on with a rotation from wherever it is", run_resume },
    { "rotate changes", "NAME", 1, 1, ctl_rotate_changes_options,
      "what has to be changed in DNS for a rotation to go on",
      ctl_rotate_run_changes },
    { "rotate abort", "NAME", 1, 1, abort_options,
      "keep the old key; possible until the CA is asked to switch", run_abort },
    { 0 },
};
