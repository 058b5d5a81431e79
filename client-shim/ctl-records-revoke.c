/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-conversation.h"
#include "client-shim/ctl-print.h"
#include "client-shim/records-list.h"
#include "client-shim/revoke.h"

#define WAIT_DEFAULT_S 300
#define WAIT_MAX_S 86400

static const char *state_word(enum revoke_state s)
{
    static const char *const words[] = { [REVOKE_UNSET] = "unset",
                                         [REVOKE_DONE] = "done",
                                         [REVOKE_LATER] = "left",
                                         [REVOKE_BY_HAND] = "by-hand" };

    return words[s];
}

static void print_step(const char *step, enum revoke_state state, char *text)
{
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    (void)printf("%-8s %-15s %s\n", state_word(state), step, text);
    (void)fflush(stdout);
}

void revoke_step(struct revoke *r, const char *step, enum revoke_state state,
                 const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (state > r->worst)
        r->worst = state;
    if (!r->c->json)
        print_step(step, state, text);
    else if (json_array_append_new(
                 r->steps, json_pack("{s:s, s:s, s:s}", "step", step, "state",
                                     state_word(state), "text", text)) < 0)
        (void)ctl_fail(CTL_EXIT_TRY_AGAIN, "%s: %s", step, text);
}

static int deny(struct revoke *r)
{
    int e = ctl_once(r->c, CTL_SOCKET_ADMIN, "NameDeny",
                     json_pack("{s:s}", "domain", r->domain), NULL);

    if (e == 0)
        revoke_step(r, "deny", REVOKE_DONE,
                    "nothing is signed for %s or names below it any more",
                    r->domain);
    return e;
}

static int keep_record(const struct records_record *record, void *userdata)
{
    const struct records_value v = { .account = record->account,
                                     .domain = record->domain,
                                     .issuer = record->issuer,
                                     .accounturi = "",
                                     .value = "" };
    struct revoke *r = userdata;
    int e = records_kept_add(&r->records, &v);

    return e ? ctl_fail_errno(e, "records") : CTL_EXIT_DONE;
}

/* All that means one of our accounts, now or before. */
static int load(struct revoke *r)
{
    int e;

    e = records_list_each(r->c, NULL, r->domain, keep_record, r);
    if (e == 0)
        e = ctl_ours_load(r->c, true, &r->ours);
    if (e)
        return e;
    records_kept_sort(&r->records);
    for (size_t i = 0; e == 0 && i < r->ours.all.n; i++)
        e = publish_own_add_account(&r->own, &r->ours.all.items[i], r->domain);
    publish_own_sort(&r->own);
    return e ? ctl_fail_errno(e, "records") : CTL_EXIT_DONE;
}

static int forget_one(struct revoke *r, const char *account)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int e;

    e = ctl_once(
        r->c, CTL_SOCKET_ADMIN, "RecordRemove",
        json_pack("{s:s, s:s}", "account", account, "domain", r->domain),
        &answer);
    if (e == 0)
        revoke_step(r, "forget", REVOKE_DONE, "account %s: the record is gone",
                    account);
    return e;
}

/* Last of all, since by the record the next run knows what is left. */
static int forget(struct revoke *r)
{
    const char *before = "";
    int e = CTL_EXIT_DONE;

    if (r->worst != REVOKE_DONE) {
        revoke_step(r, "forget", r->worst,
                    "records here stay until the steps above are done");
        return CTL_EXIT_DONE;
    }
    for (size_t i = 0; e == 0 && i < r->records.n; i++) {
        const char *account = r->records.items[i].account;

        if (strcmp(account, before) != 0)
            e = forget_one(r, account);
        before = account;
    }
    if (r->records.n == 0)
        revoke_step(r, "forget", REVOKE_DONE, "no account here has a record");
    return e;
}

static int read_options(struct revoke *r)
{
    struct errmsg err = { 0 };
    int e;

    r->wait_s = WAIT_DEFAULT_S;
    e = ctl_records_name(r->c->operands[0], r->domain);
    if (e)
        return e;
    if (ctl_args_uint(r->c, "--wait", 0, WAIT_MAX_S, &r->wait_s, &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (zone_owner(r->domain, r->owner))
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: too long a name to have a record", r->domain);
    return CTL_EXIT_DONE;
}

static int run_steps(struct revoke *r)
{
    int e;

    e = ctl_dns_secrets(r->c);
    if (e == 0)
        e = ctl_dns_open(r->c, &r->dns);
    if (e == 0)
        e = deny(r);
    if (e == 0)
        e = load(r);
    if (e == 0)
        e = revoke_unpublish(r);
    if (e == 0)
        e = revoke_wait_gone(r);
    if (e == 0)
        e = revoke_authorizations(r);
    return e ? e : forget(r);
}

static int finish(struct revoke *r)
{
    static const enum ctl_exit codes[] = { [REVOKE_UNSET] = CTL_EXIT_TRY_AGAIN,
                                           [REVOKE_DONE] = CTL_EXIT_DONE,
                                           [REVOKE_LATER] = CTL_EXIT_TRY_AGAIN,
                                           [REVOKE_BY_HAND] = CTL_EXIT_NO };

    if (r->c->json)
        ctl_print_json(json_pack("{s:s, s:s, s:O, s:O*}", "domain", r->domain,
                                 "state", state_word(r->worst), "steps",
                                 r->steps, "unpublish", r->plan));
    if (r->worst == REVOKE_DONE)
        return CTL_EXIT_DONE;
    return ctl_fail(codes[r->worst],
                    "%s: not all is done: see to what is left, and run it "
                    "again",
                    r->domain);
}

int ctl_records_run_revoke(struct ctl_context *c)
{
    struct revoke r = { .c = c, .steps = json_array() };
    int e;

    e = read_options(&r);
    if (e == 0)
        e = run_steps(&r);
    if (e == 0)
        e = finish(&r);
    publish_own_deinit(&r.own);
    records_kept_deinit(&r.records);
    ctl_ours_deinit(&r.ours);
    ctl_dns_close(&r.dns);
    json_decref(r.plan);
    json_decref(r.steps);
    return e;
}

const struct ctl_option ctl_records_revoke_options[] = {
    { "--yes", NULL, "it takes the name from every account here", 0, true,
      false },
    { "--wait", "SECONDS", "until no server has the record (300)", 0, false,
      false },
    CTL_CA_OPTIONS,
    { 0 },
};
