/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/records-list.h"
#include "client-shim/withdraw.h"

#define WAIT_DEFAULT_S 300
#define WAIT_MAX_S 86400

static int keep_record(const struct records_record *record, void *userdata)
{
    struct withdraw *w = userdata;
    struct withdraw_name *more =
        reallocarray(w->names, w->n + 1, sizeof(*more));
    struct withdraw_name *x;

    if (!more)
        return ctl_fail_errno(-ENOMEM, "records");
    w->names = more;
    x = &more[w->n];
    if (zone_owner(record->domain, x->owner))
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: too long a name to have a record", record->domain);
    x->domain = strdup(record->domain);
    x->issuer = strdup(record->issuer);
    w->n++;
    return x->domain && x->issuer ? CTL_EXIT_DONE
                                  : ctl_fail_errno(-ENOMEM, "records");
}

static void withdraw_deinit(struct withdraw *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->names[i].domain);
        free(w->names[i].issuer);
    }
    free(w->names);
    free(w->instead);
    publish_own_deinit(&w->own);
    ctl_ours_deinit(&w->ours);
    ctl_dns_close(&w->dns);
    json_decref(w->plan);
    json_decref(w->caa);
}

/* Of a move that has registered it. */
static int find_instead(struct withdraw *w)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const json_t *rotation;
    const char *url;
    int r = ctl_once(w->c, CTL_SOCKET_ADMIN, "RotationStatus",
                     json_pack("{s:s}", "account", w->account), &answer);

    if (r)
        return r;
    rotation = json_array_get(json_object_get(answer, "rotations"), 0);
    url = ctl_string(rotation, "newUrl");
    if (!url)
        return CTL_EXIT_DONE;
    w->instead = strdup(url);
    return w->instead ? CTL_EXIT_DONE : ctl_fail_errno(-ENOMEM, w->account);
}

/* A move has the new account's records published beside the old ones: these
 * stay. */
static int check_url(const struct withdraw *w, const struct ours_account *a)
{
    if (!a->url)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: never registered, so no record names "
                        "it",
                        w->account);
    if (w->instead && strcmp(a->url, w->instead) == 0)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: another account has taken its place, whose "
                        "records these are: records publish --remove-old",
                        w->account);
    return CTL_EXIT_DONE;
}

static int load(struct withdraw *w)
{
    const struct ours_account *a;
    int r;

    r = ctl_ours_load(w->c, true, &w->ours);
    if (r)
        return r;
    a = ours_find(&w->ours.all, w->account);
    if (!a)
        return ctl_fail(CTL_EXIT_NO, "there is no account %s", w->account);
    r = find_instead(w);
    if (r == 0)
        r = check_url(w, a);
    if (r == 0)
        r = records_list_each(w->c, w->account, NULL, keep_record, w);
    if (r)
        return r;
    for (size_t i = 0; r == 0 && i < w->n; i++)
        r = publish_own_add_account(&w->own, a, w->names[i].domain);
    publish_own_sort(&w->own);
    return r ? ctl_fail_errno(r, "records") : CTL_EXIT_DONE;
}

static void print_json(struct withdraw *w)
{
    ctl_print_json(json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:O*, s:O*}", "account", w->account,
        "records", (json_int_t)w->n, "left", (json_int_t)w->n_left, "unknown",
        (json_int_t)w->n_unknown, "ttl", (json_int_t)w->ttl_s, "unpublish",
        w->plan, "caa", w->caa));
}

static int finish(struct withdraw *w)
{
    if (w->c->json)
        print_json(w);
    else if (w->n_left + w->n_unknown == 0)
        (void)printf("\nno server has a record of %s any more; caches may for "
                     "%u s\n",
                     w->account, w->ttl_s);
    if (w->n_left + w->n_unknown == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(w->by_hand ? CTL_EXIT_NO : CTL_EXIT_TRY_AGAIN,
                    "%s: of %zu records %zu are still there, and of %zu nobody "
                    "tells: see to what is left, and run it again",
                    w->account, w->n, w->n_left, w->n_unknown);
}

static int run_steps(struct withdraw *w)
{
    int r = ctl_dns_secrets(w->c);

    if (r == 0)
        r = ctl_dns_open(w->c, &w->dns);
    if (r == 0)
        r = load(w);
    if (r == 0)
        r = withdraw_remove(w);
    if (r == 0)
        r = withdraw_wait(w);
    if (r == 0)
        r = withdraw_caa(w);
    return r ? r : finish(w);
}

int ctl_records_run_withdraw(struct ctl_context *c)
{
    struct withdraw w = { .c = c,
                          .account = c->operands[0],
                          .wait_s = WAIT_DEFAULT_S,
                          .caa = json_array() };
    struct errmsg err = { 0 };
    int r;

    if (ctl_args_uint(c, "--wait", 0, WAIT_MAX_S, &w.wait_s, &err))
        r = ctl_fail_at(CTL_EXIT_USAGE, &err);
    else
        r = run_steps(&w);
    withdraw_deinit(&w);
    return r;
}

const struct ctl_option ctl_records_withdraw_options[] = {
    { "--yes", NULL, "it takes every name from the account", 0, true, false },
    { "--wait", "SECONDS", "until no server has a record (300)", 0, false,
      false },
    { 0 },
};
