/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-rotate-records.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/rotate-dns.h"

/*
 * The daemon knows first: before a record may be anywhere it has noted that one
 * may be. That all of them are seen counts for the records as they were when
 * they were read, which the daemon compares; others: from the start.
 */

#define CHANGED "org.acmeguardian.Admin.RecordsChanged"
#define PAUSE_MAX_S 10

struct job {
    const struct ctl_context *c;
    const json_t *rotation, *records;
    const char *account;
    enum rotate_work work;
    struct rotate_dns dns;
    uint64_t wait_s;
    bool wait_given;
    int code;
};

/* Other commands carry on rotations, too. */
static bool has_option(const struct ctl_context *c, const char *name)
{
    const struct ctl_option *o = c->command ? c->command->options : NULL;

    for (; o && o->name; o++) {
        if (strcmp(o->name, name) == 0)
            return true;
    }
    return false;
}

int ctl_rotate_wait(const struct ctl_context *c, uint64_t *ret_s,
                    bool *ret_given)
{
    struct errmsg err = { 0 };

    *ret_s = CTL_ROTATE_WAIT_S;
    *ret_given = false;
    if (!has_option(c, "--wait"))
        return CTL_EXIT_DONE;
    *ret_given = ctl_args_has(c, "--wait");
    if (ctl_args_uint(c, "--wait", 0, CTL_ROTATE_WAIT_MAX_S, ret_s, &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    return CTL_EXIT_DONE;
}

int ctl_rotate_accept(struct ctl_conversation *v, const json_t *rotation)
{
    const struct ctl_context *c = v->context;
    size_t n = ctl_args_count(c, "--accept-unverified");
    int r = CTL_EXIT_DONE;

    if (n > 0 && !json_is_object(json_object_get(rotation, "records"))) {
        (void)ctl_fail(CTL_EXIT_DONE,
                       "%s: no record names its key, so none is looked for: "
                       "--accept-unverified changes nothing",
                       v->account);
        return CTL_EXIT_DONE;
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        char zone[DNS_NAME_MAX + 1];

        r = ctl_records_name(ctl_args_nth(c, "--accept-unverified", i), zone);
        if (r == 0)
            r = ctl_daemon_call(
                &v->daemon, "RotationAccept",
                json_pack("{s:s, s:s}", "account", v->account, "zone", zone),
                NULL);
    }
    return r;
}

/* ---- what the daemon is told ---- */

/* Records that were changed meanwhile are no failure: it begins anew. */
static int claim(struct job *j, const char *what, json_t *more,
                 bool *ret_changed)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_CTL_JSON json_t *rest = more;
    json_t *p =
        json_pack("{s:s, s:s, s:I}", "account", j->account, "claim", what,
                  "revision", (json_int_t)ctl_integer(j->records, "revision"));
    int r;

    *ret_changed = false;
    if (p && rest && json_object_update(p, rest) < 0) {
        json_decref(p);
        p = NULL;
    }
    r = ctl_daemon_open(j->c, CTL_SOCKET_ADMIN, &d);
    if (r) {
        json_decref(p);
        return r;
    }
    d.expected = CHANGED;
    r = ctl_daemon_call(&d, "RotationRecords", p, &answer);
    if (r != CTL_EXIT_NO || !answer)
        return r;
    *ret_changed = true;
    return CTL_EXIT_DONE;
}

static int before(uint32_t ttl_s, void *userdata)
{
    uint32_t max_s = 7 * 86400; /* RFC 2181 lets a TTL be years */
    bool changed;

    return claim(
        userdata, "publishing",
        json_pack("{s:I}", "ttl", (json_int_t)(ttl_s < max_s ? ttl_s : max_s)),
        &changed);
}

/* Nothing is wrong with the command, but the rotation waits. */
static int lacking(struct job *j, const char *reason, const char *text,
                   enum ctl_exit code)
{
    bool changed;
    int r;

    r = claim(j, "lacking",
              json_pack("{s:s, s:o}", "reason", reason, "text",
                        ctl_dns_text(bytes_from_str(text))),
              &changed);
    if (r == 0)
        j->code = ctl_fail(code, "%s: %s", j->account, text);
    return r;
}

/* ---- the work ---- */

/* *ret_good: all that has a publisher was made. */
static int change(struct job *j, bool *ret_good)
{
    struct rotate_tally t;
    int r = rotate_dns_change(&j->dns, rotate_removes(j->work) ? NULL : before,
                              j, &t);

    *ret_good = false;
    if (r)
        return r;
    if (t.n_failed)
        return lacking(j, "records-not-published", t.text, CTL_EXIT_TRY_AGAIN);
    if (t.n_blocked)
        return lacking(j, "records-by-hand", t.text, CTL_EXIT_NO);
    if (!j->c->json && t.n_changes > t.n_by_hand)
        (void)printf("%s: %zu of %zu records\n",
                     rotate_removes(j->work) ? "removed" : "published",
                     t.n_done, t.n_changes);
    (void)fflush(stdout);
    *ret_good = true;
    return CTL_EXIT_DONE;
}

static int publish(struct job *j)
{
    bool good, changed;
    int r = change(j, &good);

    return r || !good ? r : claim(j, "published", NULL, &changed);
}

static int64_t now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void pause_s(unsigned s)
{
    struct timespec t = { .tv_sec = s };

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* Secondaries need a moment, a person needs more than that. */
static int look(struct job *j, struct rotate_seen *seen)
{
    const json_t *accepted = json_object_get(j->records, "accepted");
    int64_t end_s = now_s() + (int64_t)j->wait_s;
    unsigned next_s = 1;

    for (;;) {
        int r;

        rotate_seen_deinit(seen);
        r = rotate_dns_look(&j->dns, accepted, seen);
        if (r || seen->n_pending == 0 || now_s() + next_s > end_s ||
            (seen->by_hand && !j->wait_given))
            return r;
        pause_s(next_s);
        next_s = next_s * 2 > PAUSE_MAX_S ? PAUSE_MAX_S : next_s * 2;
    }
}

static const char *done_word(enum rotate_work w)
{
    if (w == ROTATE_VERIFY)
        return "verified";
    return w == ROTATE_REMOVE_OLD ? "old-removed" : "new-removed";
}

static int conclude(struct job *j, const struct rotate_seen *seen)
{
    uint32_t max_s = 7 * 86400;
    bool changed;
    json_t *more;

    if (seen->n_pending)
        return lacking(j,
                       seen->by_hand             ? "records-by-hand"
                       : rotate_removes(j->work) ? "records-not-gone"
                                                 : "records-not-everywhere",
                       seen->text,
                       seen->by_hand ? CTL_EXIT_NO : CTL_EXIT_TRY_AGAIN);
    more = json_pack("{s:I, s:O}", "ttl",
                     (json_int_t)(seen->ttl_s < max_s ? seen->ttl_s : max_s),
                     "unverified", seen->accepted);
    return claim(j, done_word(j->work), more, &changed);
}

static int change_and_look(struct job *j)
{
    CLEANUP(rotate_seen_deinit) struct rotate_seen seen = { 0 };
    bool good;
    int r;

    r = change(j, &good);
    if (r || !good)
        return r;
    r = look(j, &seen);
    return r ? r : conclude(j, &seen);
}

static int run(struct job *j)
{
    int r;

    r = ctl_rotate_wait(j->c, &j->wait_s, &j->wait_given);
    if (r == 0)
        r = rotate_dns_load(&j->dns, j->c, j->rotation, j->work);
    if (r)
        return r;
    return j->work == ROTATE_PUBLISH ? publish(j) : change_and_look(j);
}

int ctl_rotate_work(struct ctl_conversation *v, const json_t *rotation,
                    int *ret_code)
{
    const json_t *records = json_object_get(rotation, "records");
    const char *word = ctl_string(records, "work");
    struct job j = { .c = v->context,
                     .rotation = rotation,
                     .records = records,
                     .account = v->account,
                     .work = word ? rotate_work_parse(word) : 0 };
    int r;

    if (j.work == ROTATE_WORK_UNSET)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the daemon asks for records to be %s, which this "
                        "guardianctl cannot do",
                        v->account, word ? word : "nothing");
    /* Children that speak with strangers come and go. */
    ctl_daemon_deinit(&v->daemon);
    v->ca.nonce[0] = '\0';
    r = run(&j);
    rotate_dns_deinit(&j.dns);
    *ret_code = j.code;
    return r ? r : ctl_daemon_open(v->context, CTL_SOCKET_ADMIN, &v->daemon);
}
