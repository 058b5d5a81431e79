/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-values.h"

#include <errno.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-error.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-prove.h"

bool records_value_read(json_t *row, struct records_value *ret)
{
    const char *form = ctl_string(row, "form");
    const json_t *until = json_object_get(row, "persistUntil");
    struct records_value v = {
        .account = ctl_string(row, "account"),
        .domain = ctl_string(row, "domain"),
        .owner = ctl_string(row, "owner"),
        .issuer = ctl_string(row, "issuer"),
        .accounturi = ctl_string(row, "accounturi"),
        .value = ctl_string(row, "value"),
        .until_s = json_integer_value(until),
        .wildcard = ctl_true(row, "wildcard"),
        .reusable = ctl_true(row, "reusable"),
        .expired = ctl_true(row, "expired"),
        .denied = ctl_true(row, "denied"),
        .staging = ctl_true(row, "staging"),
        .row = row,
    };

    if (!v.account || !v.domain || !v.owner || !v.issuer || !v.accounturi ||
        !v.value || !form)
        return false;
    if (until && !json_is_null(until) && v.until_s <= 0)
        return false;
    v.key_bound = strcmp(form, "key-bound") == 0;
    if (!v.key_bound && strcmp(form, "url") != 0)
        return false;
    *ret = v;
    return true;
}

#define WITHHELD "org.acmeguardian.Admin.RecordsWithheld"

struct walk {
    const struct ctl_context *c;
    struct ctl_daemon daemon;
    json_t *parameters; /* of the page that is next */
    json_t *proven;     /* accounts that were proven in this walk */
    records_value_fn fn;
    void *userdata;
};

/* Reasons that no answer of the account's own URL changes. */
static bool is_final(const char *reason)
{
    return strncmp(reason, "issuer-", strlen("issuer-")) == 0 ||
           strcmp(reason, "no-issuer-name") == 0 ||
           strcmp(reason, "no-record-possible") == 0 ||
           strcmp(reason, "account-not-valid") == 0;
}

/*
 * Once for each account; what is refused all the same is refused. The network
 * child of a proof must not inherit a connection to the daemon.
 */
static int prove(struct walk *w, json_t *error)
{
    const char *account = ctl_string(error, "account");
    const char *reason = ctl_string(error, "reason");
    int r;

    if (!account || !reason || is_final(reason) ||
        json_object_get(w->proven, account))
        return ctl_error_report(w->c, WITHHELD, error);
    if (json_object_set_new(w->proven, account, json_true()) < 0)
        return ctl_fail_errno(-ENOMEM, "RecordValues");
    ctl_daemon_deinit(&w->daemon);
    r = ctl_prove_all_due(w->c, &account, 1);
    if (r)
        return ctl_fail((enum ctl_exit)r, "no record of account %s is shown",
                        account);
    return ctl_daemon_open(w->c, CTL_SOCKET_ADMIN, &w->daemon);
}

static int ask(struct walk *w)
{
    return ctl_daemon_send(&w->daemon, "RecordValues",
                           json_incref(w->parameters));
}

/* The page that was asked for, after as many proofs as it has accounts that
 * need one. */
static int take_page(struct walk *w, json_t **ret)
{
    for (;;) {
        CLEANUP_CTL_JSON json_t *answer = NULL;
        int r;

        r = ctl_daemon_receive(&w->daemon, "RecordValues", &answer);
        if (r == 0)
            *ret = TAKE_PTR(answer);
        if (r != CTL_EXIT_NO || !answer)
            return r;
        r = prove(w, answer);
        if (r == 0)
            r = ask(w);
        if (r)
            return r;
    }
}

/* *ret_more: the page after this one is being made. */
static int ask_next(struct walk *w, const json_t *answer, bool *ret_more)
{
    json_t *next = json_object_get(answer, "next");

    *ret_more = json_is_string(next);
    if (!*ret_more)
        return CTL_EXIT_DONE;
    if (json_object_set(w->parameters, "after", next) < 0)
        return ctl_fail_errno(-ENOMEM, "RecordValues");
    return ask(w);
}

static int give_values(const struct walk *w, const json_t *answer)
{
    const json_t *rows = json_object_get(answer, "values");
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_array_size(rows); i++) {
        struct records_value v;

        if (!records_value_read(json_array_get(rows, i), &v))
            return ctl_fail(CTL_EXIT_UNAVAILABLE,
                            "RecordValues: a value that lacks something");
        r = w->fn(&v, w->userdata);
    }
    return r;
}

static int walk(struct walk *w)
{
    bool more = true;
    int r;

    r = ctl_daemon_open(w->c, CTL_SOCKET_ADMIN, &w->daemon);
    if (r == 0)
        r = ask(w);
    while (r == 0 && more) {
        CLEANUP_CTL_JSON json_t *answer = NULL;

        r = take_page(w, &answer);
        if (r == 0)
            r = ask_next(w, answer, &more);
        if (r == 0)
            r = give_values(w, answer);
    }
    return r;
}

int records_values_each(const struct ctl_context *c,
                        const struct records_filter *filter,
                        records_value_fn fn, void *userdata)
{
    struct walk w = {
        .c = c,
        .daemon = { .expected = WITHHELD },
        .parameters = json_pack("{s:s*, s:s*, s:s*, s:s*}", "account",
                                filter->account, "domain", filter->domain,
                                "form", filter->form, "key", filter->key),
        .proven = json_object(),
        .fn = fn,
        .userdata = userdata,
    };
    int r;

    r = w.parameters && w.proven ? walk(&w)
                                 : ctl_fail_errno(-ENOMEM, "RecordValues");
    ctl_daemon_deinit(&w.daemon);
    json_decref(w.parameters);
    json_decref(w.proven);
    return r;
}
