/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "acme/domain.h"
#include "acme/persist.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

/*
 * records accounturi and records judge: the formats of dns-persist-01 for
 * everybody's scripts, without a daemon, a CA or DNS.
 */

/* A TXT answer of 64 KiB, with each octet written as \uXXXX. */
#define INPUT_MAX (512 * 1024)

/* @what: the option, or the source of the value. */
static int fail_refused(const char *what, const struct refusal *why)
{
    return ctl_fail(CTL_EXIT_MALFORMED, "%s: %s: %s", what,
                    reason_code(why->reason), why->detail);
}

static int read_domain(const char *what, const char *text,
                       char ret[static DNS_NAME_MAX + 1])
{
    struct refusal why = { 0 };
    int r = domain_normalize(bytes_from_str(text), ret, &why);

    if (r == REFUSED)
        return fail_refused(what, &why);
    return r ? ctl_fail_errno(r, what) : 0;
}

static int run_accounturi(struct ctl_context *c)
{
    bool reusable = ctl_args_has(c, "--reusable");
    const char *text = ctl_args_value(c, "--domain");
    char domain[DNS_NAME_MAX + 1] = "";
    CLEANUP_BUF struct buf uri = { 0 };
    struct refusal why = { 0 };
    int r;

    if (!text && !reusable)
        return ctl_fail(CTL_EXIT_USAGE,
                        "%s needs --domain, or --reusable for a value that "
                        "does for every domain",
                        c->command->name);
    r = text ? read_domain("--domain", text, domain) : 0;
    if (r)
        return r;
    r = persist_accounturi(ctl_args_value(c, "--prefix"),
                           reusable ? "*" : domain,
                           ctl_args_value(c, "--thumbprint"),
                           ctl_args_value(c, "--account-url"), &uri, &why);
    if (r == REFUSED)
        return fail_refused(c->command->name, &why);
    if (r)
        return ctl_fail_errno(r, c->command->name);
    if (c->json)
        ctl_print_json(json_pack("{s:s}", "accounturi", buf_str(&uri)));
    else
        (void)puts(buf_str(&uri));
    return CTL_EXIT_DONE;
}

/* What DNS has, and what is asked about it. */
struct judgement {
    struct buf *joined; /* n_values of them, each record's strings */
    struct bytes *values;
    size_t n_values;
    char (*names)[DNS_NAME_MAX + 1]; /* the issuers' */
    const char **issuers;
    const char **accepted;
    struct persist_question question;
};
#define CLEANUP_JUDGEMENT CLEANUP(judgement_deinit)

static void judgement_deinit(struct judgement *j)
{
    for (size_t i = 0; j->joined && i < j->n_values; i++)
        buf_deinit(&j->joined[i]);
    free(j->joined);
    free(j->values);
    free(j->names);
    free(j->issuers);
    free(j->accepted);
}

static int read_stdin(struct buf *text)
{
    size_t n;

    do {
        if (buf_reserve(text, BUFSIZ))
            return ctl_fail_errno(-ENOMEM, "stdin");
        n = fread(text->data + text->len, 1, BUFSIZ, stdin);
        text->len += n;
        if (text->len > INPUT_MAX)
            return ctl_fail(CTL_EXIT_MALFORMED, "stdin: above %d octets",
                            INPUT_MAX);
    } while (n > 0);
    text->data[text->len] = '\0';
    return ferror(stdin) ? ctl_fail_errno(-EIO, "stdin") : 0;
}

/* A record may have any octets; those that JSON cannot have, no good record
 * has either. */
static int read_record(const json_t *record, size_t number, struct buf *joined)
{
    size_t i;
    json_t *s;

    if (!json_is_array(record))
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "stdin: record %zu is no array of strings", number);
    json_array_foreach(record, i, s)
    {
        if (!json_is_string(s))
            return ctl_fail(CTL_EXIT_MALFORMED,
                            "stdin: record %zu has what is no string", number);
        if (buf_append(joined, json_string_value(s), json_string_length(s)))
            return ctl_fail_errno(-ENOMEM, "stdin");
    }
    return 0;
}

static int read_records(const json_t *records, struct judgement *j)
{
    size_t n = json_array_size(records);
    int r = 0;

    if (!json_is_array(records))
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "stdin: is no array of TXT records");
    j->joined = calloc(n + 1, sizeof(*j->joined));
    j->values = calloc(n + 1, sizeof(*j->values));
    if (!j->joined || !j->values)
        return ctl_fail_errno(-ENOMEM, "stdin");
    j->n_values = n;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_record(json_array_get(records, i), i + 1, &j->joined[i]);
        j->values[i] = buf_bytes(&j->joined[i]);
    }
    return r;
}

static int read_input(struct judgement *j)
{
    CLEANUP_BUF struct buf text = { 0 };
    CLEANUP_CTL_JSON json_t *records = NULL;
    json_error_t e;
    int r;

    r = read_stdin(&text);
    if (r)
        return r;
    records = json_loadb(buf_str(&text), text.len,
                         JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);
    if (!records)
        return ctl_fail(CTL_EXIT_MALFORMED, "stdin:%d: %s", e.line, e.text);
    return read_records(records, j);
}

static int read_issuers(const struct ctl_context *c, struct judgement *j)
{
    size_t n = ctl_args_count(c, "--issuer");
    int r = 0;

    j->names = calloc(n, sizeof(*j->names));
    j->issuers = calloc(n + 1, sizeof(*j->issuers));
    if (!j->names || !j->issuers)
        return ctl_fail_errno(-ENOMEM, "--issuer");
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_domain("--issuer", ctl_args_nth(c, "--issuer", i),
                        j->names[i]);
        j->issuers[i] = j->names[i];
    }
    return r;
}

static int read_accepted(const struct ctl_context *c, struct judgement *j)
{
    size_t n = ctl_args_count(c, "--accept");

    j->accepted = calloc(n + 1, sizeof(*j->accepted));
    if (!j->accepted)
        return ctl_fail_errno(-ENOMEM, "--accept");
    for (size_t i = 0; i < n; i++)
        j->accepted[i] = ctl_args_nth(c, "--accept", i);
    return 0;
}

static int read_question(const struct ctl_context *c, struct judgement *j)
{
    char domain[DNS_NAME_MAX + 1];
    uint64_t now = (uint64_t)time(NULL);
    struct errmsg e = { 0 };
    int r;

    if (ctl_args_uint(c, "--now", 0, INT64_MAX, &now, &e))
        return ctl_fail_at(CTL_EXIT_USAGE, &e);
    r = read_domain("--domain", ctl_args_value(c, "--domain"), domain);
    if (r == 0)
        r = read_issuers(c, j);
    if (r == 0)
        r = read_accepted(c, j);
    j->question = (struct persist_question){
        .wildcard = ctl_args_has(c, "--wildcard"),
        .issuers = j->issuers,
        .accepted = j->accepted,
        .now_s = (int64_t)now,
    };
    return r;
}

static enum ctl_exit code_of(enum persist_verdict verdict)
{
    if (verdict == PERSIST_VALID)
        return CTL_EXIT_DONE;
    return verdict == PERSIST_UNAUTHORIZED ? CTL_EXIT_NO : CTL_EXIT_MALFORMED;
}

static void print_verdict(const struct ctl_context *c,
                          enum persist_verdict verdict,
                          enum persist_reason reason)
{
    const char *code = reason ? persist_reason_code(reason) : NULL;

    if (c->json)
        ctl_print_json(json_pack("{s:s, s:s?, s:s*}", "verdict",
                                 persist_verdict_name(verdict), "reason", code,
                                 "text",
                                 reason ? persist_reason_text(reason) : NULL));
    else
        (void)printf("%s%s%s\n", persist_verdict_name(verdict), code ? " " : "",
                     code ? code : "");
}

static int run_judge(struct ctl_context *c)
{
    CLEANUP_JUDGEMENT struct judgement j = { 0 };
    enum persist_verdict verdict = PERSIST_UNSET;
    enum persist_reason reason = PERSIST_REASON_UNSET;
    int r;

    r = read_question(c, &j);
    if (r == 0)
        r = read_input(&j);
    if (r)
        return r;
    r = persist_judge(j.values, j.n_values, &j.question, &verdict, &reason);
    if (r)
        return ctl_fail_errno(r, c->command->name);
    print_verdict(c, verdict, reason);
    return (int)code_of(verdict);
}

static const struct ctl_option accounturi_options[] = {
    { "--prefix", "URL", "accountHashPrefix of the CA's directory", 0, true,
      false },
    { "--domain", "NAME", "the domain, in any case, U- or A-labels", 0, false,
      false },
    { "--thumbprint", "THUMBPRINT", "of the account's key (RFC 7638)", 0, true,
      false },
    { "--account-url", "URL", "the account's URL at the CA", 0, true, false },
    { "--reusable", NULL, "one value for all domains of the account", 0, false,
      false },
    { 0 },
};

static const struct ctl_option judge_options[] = {
    { "--domain", "NAME", "the domain that the records are of", 0, true,
      false },
    { "--wildcard", NULL, "judge for *.NAME", 0, false, false },
    { "--issuer", "NAME", "an issuer name of the CA", 0, true, true },
    { "--accept", "URI", "an accounturi that the CA would accept", 0, true,
      true },
    { "--now", "SECONDS", "the time, in seconds since 1970 (now)", 0, false,
      false },
    { 0 },
};

const struct ctl_command ctl_records_offline_commands[] = {
    { "records accounturi", NULL, 0, 0, accounturi_options,
      "the key-bound accounturi of a record", run_accounturi },
    { "records judge", NULL, 0, 0, judge_options,
      "would a CA accept these TXT records?", run_judge },
    { 0 },
};
