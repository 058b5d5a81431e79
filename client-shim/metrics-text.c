/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/metrics-text.h"

#include <string.h>

#define PREFIX "acme_guardian_"

/* What is written; the first error stays, and the rest is left out. */
struct text {
    struct buf *b;
    int r;
};

static void put(struct text *t, const char *s)
{
    if (t->r == 0)
        t->r = buf_append_str(t->b, s);
}

static void put_integer(struct text *t, long long n)
{
    if (t->r == 0)
        t->r = buf_printf(t->b, "%lld", n);
}

/* Microseconds as seconds. */
static void put_seconds(struct text *t, long long us)
{
    if (t->r == 0)
        t->r = buf_printf(t->b, "%lld.%06lld", us / 1000000, us % 1000000);
}

static void put_family(struct text *t, const char *name, const char *type,
                       const char *help)
{
    if (t->r == 0)
        t->r =
            buf_printf(t->b, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n",
                       name, help, name, type);
}

/* A label's value: backslash, quote and newline are escaped. */
static void put_value(struct text *t, const char *value)
{
    for (const char *s = value ? value : ""; t->r == 0 && *s; s++) {
        if (*s == '\\' || *s == '"')
            t->r = buf_append_char(t->b, '\\');
        if (t->r == 0)
            t->r = *s == '\n' ? buf_append_str(t->b, "\\n")
                              : buf_append_char(t->b, *s);
    }
}

struct label {
    const char *name, *value;
};

/* "NAME{LABELS} ", up to the first label without a name. */
static void put_sample(struct text *t, const char *name,
                       const struct label *labels)
{
    put(t, PREFIX);
    put(t, name);
    for (size_t i = 0; labels && labels[i].name; i++) {
        put(t, i ? "," : "{");
        put(t, labels[i].name);
        put(t, "=\"");
        put_value(t, labels[i].value);
        put(t, "\"");
    }
    put(t, labels && labels[0].name ? "} " : " ");
}

#define LABELS(...)                                                            \
    (const struct label[])                                                     \
    {                                                                          \
        __VA_ARGS__,                                                           \
        {                                                                      \
            NULL, NULL                                                         \
        }                                                                      \
    }

static void put_number(struct text *t, const char *name,
                       const struct label *labels, long long n)
{
    put_sample(t, name, labels);
    put_integer(t, n);
    put(t, "\n");
}

static const char *string(const json_t *o, const char *member)
{
    return json_string_value(json_object_get(o, member));
}

/* Numbers as they are, booleans as 0 and 1. */
static long long number(const json_t *o, const char *member)
{
    const json_t *v = json_object_get(o, member);

    return json_is_integer(v) ? json_integer_value(v) : json_is_true(v);
}

/* ---- the daemon ---- */

struct plain {
    const char *name, *type, *member, *help;
};

static const struct plain plains[] = {
    { "start_time_seconds", "gauge", "since", "When the daemon was started." },
    { "ready", "gauge", "ready",
      "Whether policy, audit log and every token work." },
    { "connections", "gauge", "connections", "Connections of clients." },
    { "denied_names", "gauge", "deniedNames",
      "Names that operators have denied to everybody." },
    { "unknown_callers_total", "counter", "noRule",
      "Requests of callers that no rule set matches." },
    { "policy_current", "gauge", "policyCurrent",
      "Whether the policy in force is the one on disk when it was last read." },
    { "policy_loaded_timestamp_seconds", "gauge", "policyLoaded",
      "When the policy in force was read." },
    { "policy_rule_sets", "gauge", "policyRuleSets",
      "Rule sets of the policy in force." },
    { "policy_names", "gauge", "policyNames", "Names in them." },
    { "audit_writable", "gauge", "auditWritable",
      "Whether the audit log can be written; else nothing is signed." },
    { "audit_reserved", "gauge", "auditReserved",
      "Whether space for the audit log could be set aside." },
    { "audit_first_key_waiting", "gauge", "auditKeyWaiting",
      "Whether the first key of the audit log still lies on the host." },
    { "audit_lines_total", "counter", "auditLine",
      "Number of the newest line of the audit log." },
    { "registry_writable", "gauge", "registryWritable",
      "Whether the last change of the registry could be written." },
    { "clock_bad", "gauge", "clockBad",
      "Whether the clock is wrong or nothing keeps it right." },
};

static void put_plains(struct text *t, const json_t *m)
{
    for (size_t i = 0; i < ARRAY_LEN(plains); i++) {
        put_family(t, plains[i].name, plains[i].type, plains[i].help);
        put_number(t, plains[i].name, NULL, number(m, plains[i].member));
    }
}

static void put_decisions(struct text *t, const json_t *list)
{
    put_family(t, "decisions_total", "counter",
               "Requests of clients by operation, verdict and reason.");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);

        put_number(t, "decisions_total",
                   LABELS({ "operation", string(d, "operation") },
                          { "verdict", string(d, "verdict") },
                          { "reason", string(d, "reason") }),
                   number(d, "count"));
    }
}

static void put_bucket(struct text *t, const char *name, const char *bound,
                       long long n)
{
    put_number(t, name, LABELS({ "le", bound }), n);
}

/* Each bucket has those of the ones before. */
static void put_histogram(struct text *t, const json_t *h)
{
    const json_t *bounds = json_object_get(h, "bounds");
    const json_t *counts = json_object_get(h, "counts");
    long long n = 0;

    put_family(t, "signing_duration_seconds", "histogram",
               "From a request to its signature, with what it waited for.");
    for (size_t i = 0; i < json_array_size(counts); i++) {
        CLEANUP_BUF struct buf bound = { 0 };
        struct text b = { &bound, t->r };

        n += json_integer_value(json_array_get(counts, i));
        if (i < json_array_size(bounds))
            put_seconds(&b, json_integer_value(json_array_get(bounds, i)));
        else
            put(&b, "+Inf");
        t->r = b.r;
        put_bucket(t, "signing_duration_seconds_bucket", buf_str(&bound), n);
    }
    put_sample(t, "signing_duration_seconds_sum", NULL);
    put_seconds(t, number(h, "sum"));
    put(t, "\n");
    put_number(t, "signing_duration_seconds_count", NULL, n);
}

static void put_suspensions(struct text *t, const json_t *list)
{
    put_family(t, "suspended", "gauge",
               "What an operator has suspended: all, an account or a client.");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);

        put_number(t, "suspended",
                   LABELS({ "scope", string(s, "scope") },
                          { "name", string(s, "name") }),
                   1);
    }
}

/* ---- tokens and accounts: a family over all of them ---- */

struct column {
    const char *name, *type, *member, *help;
    const char *label; /* a word: the sample is 1, with it as this label */
};

static void put_cell(struct text *t, const struct column *c, const char *what,
                     const json_t *row)
{
    const json_t *v = json_object_get(row, c->member);
    const char *name = string(row, "name");

    if (!v || json_is_null(v))
        return;
    if (c->label)
        put_number(t, c->name,
                   LABELS({ what, name }, { c->label, json_string_value(v) }),
                   1);
    else
        put_number(t, c->name, LABELS({ what, name }), number(row, c->member));
}

static void put_table(struct text *t, const struct column *columns, size_t n,
                      const char *what, const json_t *rows)
{
    for (size_t i = 0; i < n; i++) {
        put_family(t, columns[i].name, columns[i].type, columns[i].help);
        for (size_t j = 0; j < json_array_size(rows); j++)
            put_cell(t, &columns[i], what, json_array_get(rows, j));
    }
}

static const struct column token_columns[] = {
    { "token_state", "gauge", "state", "Of each token, ok or what is wrong.",
      "state" },
    { "token_requests_in_flight", "gauge", "inFlight",
      "Requests that the token has not answered yet.", NULL },
    { "token_processes", "gauge", "processes", "Processes of its helper.",
      NULL },
    { "token_sessions", "gauge", "sessions", "Sessions with the token.", NULL },
    { "token_free_bytes", "gauge", "freeMemory",
      "Room for keys, of a token that tells.", NULL },
};

static const struct column account_columns[] = {
    { "account_state", "gauge", "state",
      "Of each account; nothing is signed unless it is valid.", "state" },
    { "account_suspended", "gauge", "suspended",
      "Whether the account is suspended, by itself or with all.", NULL },
    { "account_staging", "gauge", "staging",
      "Whether the account is at a CA for tests.", NULL },
    { "key_since_timestamp_seconds", "gauge", "keySince",
      "Since when the account has its key.", NULL },
    { "key_rotate_seconds", "gauge", "rotate",
      "How old the key may become, where Rotate= says so.", NULL },
    { "records", "gauge", "records", "Records of the account.", NULL },
    { "records_expired", "gauge", "recordsExpired",
      "Records whose persistUntil is over.", NULL },
    { "record_next_expiry_timestamp_seconds", "gauge", "nextExpiry",
      "The soonest persistUntil of its records that is still to come.", NULL },
};

static void put_rotations(struct text *t, const json_t *accounts)
{
    put_family(t, "rotation_since_timestamp_seconds", "gauge",
               "Of rotations that are not over: since when in this state; the "
               "actor has to do something about it.");
    for (size_t i = 0; i < json_array_size(accounts); i++) {
        const json_t *a = json_array_get(accounts, i);
        const json_t *x = json_object_get(a, "rotation");

        if (json_is_object(x))
            put_number(t, "rotation_since_timestamp_seconds",
                       LABELS({ "account", string(a, "name") },
                              { "kind", string(x, "kind") },
                              { "state", string(x, "state") },
                              { "actor", string(x, "actor") }),
                       number(x, "since"));
    }
}

int metrics_text(const json_t *m, const json_t *accounts, struct buf *ret)
{
    struct text t = { .b = ret };

    put_family(&t, "up", "gauge", "Whether the daemon answers.");
    put_number(&t, "up", NULL, m != NULL);
    if (!m)
        return t.r;
    put_family(&t, "build_info", "gauge", "The daemon's version.");
    put_number(&t, "build_info", LABELS({ "version", string(m, "version") }),
               1);
    put_plains(&t, m);
    put_decisions(&t, json_object_get(m, "decisions"));
    put_histogram(&t, json_object_get(m, "signing"));
    put_suspensions(&t, json_object_get(m, "suspensions"));
    put_table(&t, token_columns, ARRAY_LEN(token_columns), "token",
              json_object_get(m, "tokens"));
    put_table(&t, account_columns, ARRAY_LEN(account_columns), "account",
              accounts);
    put_rotations(&t, accounts);
    return t.r;
}
