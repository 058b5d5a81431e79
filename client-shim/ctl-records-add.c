/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-records.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/known-cas.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/records-names.h"
#include "client-shim/records-until.h"

/*
 * records add. Everything that can be wrong with the names is found before the
 * first is sent: a call of the daemon is all or nothing, but many names are
 * many calls.
 */

#define BATCH_MAX 200            /* the daemon's limit */
#define BATCH_OCTETS (40 * 1024) /* a message has 64 KiB */
#define RECORD_OCTETS 256        /* of one record beside its names */
#define BAD_LINES_MAX 20

struct add {
    const struct ctl_context *c;
    const char *account;
    struct records_names names;
    int64_t until_s; /* 0: none */
    char issuer[DNS_NAME_MAX + 1];
    bool staging;
    size_t n_bad;
    size_t done; /* names that the daemon has */
    long long added, changed, unchanged;
};

/* ---- what was asked for ---- */

static void say_bad(const struct errmsg *e, void *userdata)
{
    struct add *a = userdata;

    if (a->n_bad++ < BAD_LINES_MAX)
        (void)ctl_fail_at(CTL_EXIT_MALFORMED, e);
}

static int read_operands(struct add *a)
{
    for (size_t i = 1; i < a->c->n_operands; i++) {
        struct errmsg err = { 0 };
        int r = records_names_add(&a->names, a->c->operands[i], &err);

        if (r < 0)
            return ctl_fail_errno(r, "names");
        if (r)
            say_bad(&err, a);
    }
    return CTL_EXIT_DONE;
}

static int read_file(struct add *a, const char *path)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    int r;

    if (!f)
        return ctl_fail_errno(-errno, path);
    r = records_names_read_file(&a->names, f, is_stdin ? "stdin" : path,
                                say_bad, a);
    if (!is_stdin)
        (void)fclose(f);
    return r < 0 ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
}

static int read_names(struct add *a)
{
    const char *file = ctl_args_value(a->c, "--file");
    int r;

    r = read_operands(a);
    if (r == 0 && file)
        r = read_file(a, file);
    if (r)
        return r;
    if (a->n_bad > BAD_LINES_MAX)
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%zu names are bad, of which these were the first; "
                        "nothing was added",
                        a->n_bad);
    if (a->n_bad)
        return ctl_fail(CTL_EXIT_MALFORMED, "nothing was added");
    if (a->names.n == 0 && file)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: no name is in it", file);
    if (a->names.n == 0)
        return ctl_fail(CTL_EXIT_USAGE, "records add needs DOMAIN... or "
                                        "--file FILE");
    return CTL_EXIT_DONE;
}

static int read_until(struct add *a)
{
    const char *text = ctl_args_value(a->c, "--persist-until");
    struct errmsg err = { 0 };

    if (!text ||
        records_until_parse(text, (int64_t)time(NULL), &a->until_s, &err) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_MALFORMED, "--persist-until %s", err.text);
}

/* ---- the issuer that need not be said ---- */

static int say_choices(const char *account, const json_t *offered,
                       const char *const *tabled)
{
    CLEANUP_BUF struct buf all = { 0 };
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_array_size(offered); i++)
        r = buf_printf(&all, "%s%s", i ? ", " : "",
                       json_string_value(json_array_get(offered, i)));
    for (; r == 0 && tabled && *tabled; tabled++)
        r = buf_printf(&all, "%s%s", all.len ? ", " : "", *tabled);
    if (r)
        return ctl_fail_errno(r, "issuers");
    return ctl_fail(CTL_EXIT_MALFORMED,
                    "%s: the CA has several issuer names (%s): choose with "
                    "--issuer",
                    account, buf_str(&all));
}

static int use_issuer(struct add *a, const char *issuer)
{
    int n = snprintf(a->issuer, sizeof(a->issuer), "%s", issuer);

    if (n > 0 && (size_t)n < sizeof(a->issuer))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: the daemon names a bad issuer",
                    a->account);
}

/*
 * What the directory offers; else the table of known CAs; else what the
 * operator typed for this account. Whether it is right, the daemon decides.
 *
 * Not the rule of issue_issuers_find(), which gathers every name that a record
 * in place may have: what is written for years is one name, that the CA itself
 * gives to this challenge. Its caaIdentities do for reading, not for this; and
 * what was typed is known here, but not to a client.
 */
static int find_issuer(struct add *a, const json_t *account)
{
    const char *directory = ctl_string(account, "directory");
    const struct known_ca *ca =
        directory ? known_ca_of_directory(directory) : NULL;
    const json_t *offered =
        json_object_get(json_object_get(account, "meta"), "issuerDomainNames");
    const char *const *tabled = NULL;

    if (json_array_size(offered) == 0) {
        offered = ca ? NULL : json_object_get(account, "issuers");
        tabled = ca ? ca->issuers : NULL;
    }
    if (json_array_size(offered) == 1)
        return use_issuer(a, json_string_value(json_array_get(offered, 0)));
    if (tabled && tabled[0] && !tabled[1])
        return use_issuer(a, tabled[0]);
    if (json_array_size(offered) > 1 || (tabled && tabled[0]))
        return say_choices(a->account, offered, tabled);
    return ctl_fail(CTL_EXIT_MALFORMED,
                    "%s: the directory offers no issuer name, and the CA is "
                    "not in the table of known CAs: say --issuer",
                    a->account);
}

static int prepare(struct add *a)
{
    const char *issuer = ctl_args_value(a->c, "--issuer");
    CLEANUP_CTL_JSON json_t *accounts = NULL;
    const json_t *account;
    int r;

    r = read_names(a);
    if (r == 0)
        r = read_until(a);
    if (r == 0 && issuer)
        r = ctl_records_name(issuer, a->issuer);
    if (r == 0)
        r = ctl_records_accounts(a->c, a->account, &accounts);
    if (r)
        return r;
    account = json_object_get(accounts, a->account);
    a->staging = ctl_true(account, "staging");
    return issuer ? CTL_EXIT_DONE : find_issuer(a, account);
}

/* ---- adding ---- */

static json_t *new_record(const struct add *a, const char *domain)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o*}", "account", a->account,
                     "domain", domain, "issuer", a->issuer, "wildcard",
                     (int)ctl_args_has(a->c, "--wildcard"), "reusable",
                     (int)ctl_args_has(a->c, "--reusable"), "persistUntil",
                     a->until_s ? json_integer(a->until_s) : NULL);
}

/* As many as fit; *ret_n of them. */
static json_t *next_batch(const struct add *a, size_t *ret_n)
{
    json_t *records = json_array();
    size_t octets = 0, n = 0;

    while (n < BATCH_MAX && a->done + n < a->names.n && octets < BATCH_OCTETS) {
        const char *domain = a->names.items[a->done + n];

        if (json_array_append_new(records, new_record(a, domain)) < 0) {
            json_decref(records);
            return NULL;
        }
        octets += strlen(domain) + strlen(a->issuer) + RECORD_OCTETS;
        n++;
    }
    *ret_n = n;
    return records;
}

static int add_batch(struct add *a, struct ctl_daemon *d)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    json_t *records;
    size_t n = 0;
    int r;

    records = next_batch(a, &n);
    if (!records)
        return ctl_fail_errno(-ENOMEM, "records");
    r = ctl_daemon_call(d, "RecordAdd", json_pack("{s:o}", "records", records),
                        &answer);
    if (r)
        return r;
    a->done += n;
    a->added += ctl_integer(answer, "added");
    a->changed += ctl_integer(answer, "changed");
    a->unchanged += ctl_integer(answer, "unchanged");
    return CTL_EXIT_DONE;
}

static int add_all(struct add *a)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    int r;

    r = ctl_daemon_open(a->c, CTL_SOCKET_ADMIN, &d);
    while (r == 0 && a->done < a->names.n)
        r = add_batch(a, &d);
    if (r && a->done)
        return ctl_fail((enum ctl_exit)r,
                        "the first %zu of %zu names, up to %s, were taken "
                        "before that; the others were not",
                        a->done, a->names.n, a->names.items[a->done - 1]);
    return r;
}

static int print_summary(const struct add *a)
{
    if (a->c->json) {
        ctl_print_json(json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "account",
                                 a->account, "issuer", a->issuer, "staging",
                                 (int)a->staging, "added", (json_int_t)a->added,
                                 "changed", (json_int_t)a->changed, "unchanged",
                                 (json_int_t)a->unchanged));
        return CTL_EXIT_DONE;
    }
    (void)printf("%lld added, %lld changed, %lld unchanged: account %s, issuer "
                 "%s%s\n",
                 a->added, a->changed, a->unchanged, a->account, a->issuer,
                 a->staging ? ", " CTL_RECORDS_STAGING : "");
    return CTL_EXIT_DONE;
}

int ctl_records_run_add(struct ctl_context *c)
{
    struct add a = { .c = c, .account = c->operands[0] };
    int r;

    r = prepare(&a);
    if (r == 0)
        r = add_all(&a);
    if (r == 0)
        r = print_summary(&a);
    records_names_deinit(&a.names);
    return r;
}

const struct ctl_option ctl_records_add_options[] = {
    { "--issuer", "NAME", "the CA's issuer name; needed if it has several", 0,
      false, false },
    { "--wildcard", NULL, "also for names below, and for wildcards", 0, false,
      false },
    { "--persist-until", "TIME",
      "2027-01-31, an RFC 3339 time, @SECONDS, or 365d from now", 0, false,
      false },
    { "--reusable", NULL, "key-bound: one value for all domains of the account",
      0, false, false },
    { "--file", "FILE", "more domains, one a line; - is stdin", 0, false,
      false },
    { 0 },
};
