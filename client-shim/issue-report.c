/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/known-cas.h"
#include "client-shim/ctl-print.h"
#include "client-shim/issue.h"
#include "client-shim/setup-run.h"

/* What is said in the end, and who is told of a new certificate. */

#define SYSTEMCTL "/usr/bin/systemctl"

const char *issue_time(int64_t s, char space[static ISSUE_TIME_MAX])
{
    time_t t = s;
    struct tm tm;

    if (!gmtime_r(&t, &tm) ||
        strftime(space, ISSUE_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return "-";
    return space;
}

/* ---- units ---- */

static int reload_one(const char *unit)
{
    const char *argv[] = { "systemctl", "reload-or-restart", "--", unit, NULL };
    const struct run_program p = {
        .path = SYSTEMCTL, .argv = argv, .in = -1, .out = -1, .extra = -1
    };
    pid_t pid = -1;
    int r;

    r = run_start(&p, &pid);
    if (r)
        return ctl_fail_errno(r, SYSTEMCTL);
    r = run_wait(pid);
    return r ? ctl_fail(CTL_EXIT_NO,
                        "the certificate is in place, but systemctl "
                        "reload-or-restart %s failed (exit %d): it is tried "
                        "again by the next run",
                        unit, r)
             : CTL_EXIT_DONE;
}

/* The mark is of this run, or of one that was killed before it came so far. */
int issue_reload(struct issue *i, bool changed)
{
    size_t n = ctl_args_count(i->context, "--reload");
    struct errmsg err = { 0 };
    int code = CTL_EXIT_DONE;

    if (n == 0 || (!changed && !issue_file_marked(&i->out)))
        return CTL_EXIT_DONE;
    for (size_t u = 0; u < n; u++) {
        int r = reload_one(ctl_args_nth(i->context, "--reload", u));

        code = code ? code : r;
    }
    if (code == CTL_EXIT_DONE && issue_file_unmark(&i->out, &err))
        code = ctl_fail_at(CTL_EXIT_NOT_PERMITTED, &err);
    return code;
}

/* ---- words ---- */

static bool is_staging(const struct issue *i)
{
    const struct known_ca *ca = known_ca_of_directory(i->directory_url);

    return ca && ca->staging;
}

/* For the end of a line. */
static const char *staging_words(const struct issue *i)
{
    return is_staging(i) ? "; STAGING: nobody trusts certificates of this CA"
                         : "";
}

static json_t *names_json(const struct issue *i)
{
    json_t *list = json_array();

    for (size_t n = 0; n < i->names.n; n++)
        (void)json_array_append_new(list, json_string(i->names.items[n].value));
    return list;
}

static int print_issued(const struct issue *i, const char *until,
                        const char *top)
{
    if (i->context->json) {
        ctl_print_json(json_pack(
            "{s:b, s:s, s:b, s:o, s:s, s:s*, s:s, s:s, s:s*}", "changed", true,
            "account", i->account, "staging", is_staging(i), "domains",
            names_json(i), "certificate", i->out.path, "key", i->key_out.path,
            "notAfter", until, "chain", top, "replaces",
            i->replaced ? i->replaces : NULL));
        return CTL_EXIT_DONE;
    }
    (void)printf("%s: %s%s, valid until %s, chain up to \"%s\"%s\n",
                 i->out.path, i->names.items[0].value,
                 i->names.n > 1 ? " and others" : "", until, top,
                 staging_words(i));
    return CTL_EXIT_DONE;
}

int issue_report_issued(const struct issue *i)
{
    CLEANUP_BUF struct buf top = { 0 };
    struct issue_validity validity = { 0 };
    char until[ISSUE_TIME_MAX];

    if (issue_chain_top(i->chain, &top))
        return ctl_fail_errno(-ENOMEM, i->out.path);
    /* issue_chain_check() has read them. */
    (void)!issue_cert_validity(sk_X509_value(i->chain, 0), &validity);
    return print_issued(i, issue_time(validity.not_after_s, until),
                        buf_str(&top));
}

int issue_report_not_due(const struct issue *i)
{
    struct issue_validity validity = { 0 };
    char until[ISSUE_TIME_MAX], at[ISSUE_TIME_MAX];

    (void)!issue_cert_validity(sk_X509_value(i->old, 0), &validity);
    (void)issue_time(validity.not_after_s, until);
    (void)issue_time(i->due.at_s, at);
    if (i->context->json) {
        ctl_print_json(json_pack("{s:b, s:s, s:s, s:s, s:s, s:s}", "changed",
                                 false, "account", i->account, "certificate",
                                 i->out.path, "notAfter", until, "dueAt", at,
                                 "dueBy", issue_due_by_code(i->due.by)));
        return CTL_EXIT_DONE;
    }
    (void)printf("%s: not due: valid until %s, to be renewed at %s (%s)%s\n",
                 i->out.path, until, at,
                 i->due.by == ISSUE_DUE_BY_CA ? "the CA's window"
                                              : "two thirds of its lifetime",
                 staging_words(i));
    return CTL_EXIT_DONE;
}
