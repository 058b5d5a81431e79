/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-policy.h"
#include "client-shim/ctl-print.h"
#include "client-shim/handover.h"
#include "client-shim/records-list.h"

#define CERTIFICATES                                                           \
    "certificates that are still valid are not known here: look for the name " \
    "in Certificate Transparency logs; the CAs that issued them revoke them "  \
    "(RFC 8555 section 7.6, for whoever controls the name)"

int handover_add(struct handover *h, const char *section, json_t *row,
                 bool found)
{
    h->n_found += found;
    return json_array_append_new(json_object_get(h->report, section), row) < 0
               ? ctl_fail_errno(-ENOMEM, "records handover")
               : CTL_EXIT_DONE;
}

/* ---- what is known here ---- */

/* Also names above it whose wildcard can cover it (with key-bound records), and
 * names below, which are handed over with it. */
static bool concerns(const struct handover *h,
                     const struct records_record *record)
{
    if (zone_covers(h->domain, record->domain))
        return true;
    return record->wildcard && zone_covers(record->domain, h->domain);
}

static int keep_record(const struct records_record *record, void *userdata)
{
    struct handover *h = userdata;
    const struct records_value v = { .account = record->account,
                                     .domain = record->domain,
                                     .issuer = record->issuer,
                                     .accounturi = "",
                                     .value = "",
                                     .wildcard = record->wildcard };

    if (!concerns(h, record))
        return CTL_EXIT_DONE;
    if (records_kept_add(&h->records, &v))
        return ctl_fail_errno(-ENOMEM, "records handover");
    return handover_add(h, "records",
                        json_pack("{s:s, s:s, s:s, s:b, s:b}", "domain",
                                  record->domain, "account", record->account,
                                  "issuer", record->issuer, "wildcard",
                                  (int)record->wildcard, "reusable",
                                  (int)record->reusable),
                        true);
}

static int add_rule(const struct policy_ruleset *rule, const char *key,
                    const char *name, void *userdata)
{
    return handover_add(userdata, "policies",
                        json_pack("{s:s, s:i, s:s, s:s}", "file",
                                  policy_ruleset_file(rule), "line",
                                  (int)policy_ruleset_line(rule), "key", key,
                                  "name", name),
                        true);
}

static int add_policies(struct handover *h)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    int r = ctl_policy_load(h->c, NULL, &set);

    if (r)
        return r;
    r = policy_about(set, h->domain, add_rule, h);
    return r < 0 ? ctl_fail_errno(r, "records handover") : r;
}

static int add_denied(json_t *items, void *userdata)
{
    struct handover *h = userdata;
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < json_array_size(items); i++) {
        json_t *row = json_array_get(items, i);
        const char *name = ctl_string(row, "domain");

        if (name &&
            (zone_covers(name, h->domain) || zone_covers(h->domain, name)))
            r = handover_add(h, "denied", json_incref(row), false);
    }
    return r;
}

static int add_all_denied(struct handover *h)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    int r = ctl_daemon_open(h->c, CTL_SOCKET_ADMIN, &d);

    return r ? r
             : ctl_daemon_pages(&d, "NameDenied", json_object(), "names",
                                add_denied, h);
}

static int collect(struct handover *h)
{
    int r;

    r = ctl_records_name(h->c->operands[0], h->domain);
    if (r)
        return r;
    if (zone_owner(h->domain, h->owner))
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: too long a name to have a record", h->domain);
    r = ctl_dns_open(h->c, &h->dns);
    if (r == 0)
        r = records_list_each(h->c, NULL, NULL, keep_record, h);
    records_kept_sort(&h->records);
    if (r == 0)
        r = ctl_ours_load(h->c, true, &h->ours);
    if (r == 0)
        r = add_all_denied(h);
    if (r == 0)
        r = add_policies(h);
    if (r == 0)
        r = handover_published(h);
    return r ? r : handover_caa(h);
}

/* ---- the report ---- */

struct section {
    const char *name, *title, *none;
    const char *const *members; /* printed in this order; NULL-ended */
};

static const struct section sections[] = {
    { "records", "records here: records revoke takes them back", "none",
      (const char *const[]){ "domain", "account", "issuer", NULL } },
    { "published", "published: whoever they name can get certificates", "none",
      (const char *const[]){ "owner", "whose", "account", "value", NULL } },
    { "caa", "CAA that counts for the name", "none: any CA may issue",
      (const char *const[]){ "name", "tag", "value", NULL } },
    { "caaMeaning", "what CAA means for accounts with a record here",
      "no account has one",
      (const char *const[]){ "account", "issuer", "reason", "text", NULL } },
    { "policies", "policy files that let clients order it, or below it", "none",
      (const char *const[]){ "file", "line", "key", "name", NULL } },
    { "denied", "denied here", "no",
      (const char *const[]){ "domain", "since", "by", NULL } },
    { "unknown", "what servers did not tell", "nothing",
      (const char *const[]){ "name", "server", "text", NULL } },
};

/* A cell in the words of files and servers. */
static void print_cell(const json_t *value)
{
    const char *text = json_string_value(value);

    if (json_is_integer(value)) {
        (void)printf("  %lld", (long long)json_integer_value(value));
        return;
    }
    (void)fputs("  ", stdout);
    for (; text && *text; text++) {
        unsigned char ch = (unsigned char)*text;

        (void)putchar(ch < 0x20 || ch > 0x7e ? '?' : ch);
    }
}

static void print_section(const struct handover *h, const struct section *s)
{
    const json_t *rows = json_object_get(h->report, s->name);
    size_t n = json_array_size(rows);

    (void)printf("%s:%s%s\n", s->title, n ? "" : " ", n ? "" : s->none);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i);

        for (const char *const *m = s->members; *m; m++) {
            if (json_object_get(row, *m))
                print_cell(json_object_get(row, *m));
        }
        (void)putchar('\n');
    }
}

static void print_report(struct handover *h)
{
    if (h->c->json) {
        (void)json_object_set_new(h->report, "domain", json_string(h->domain));
        (void)json_object_set_new(h->report, "certificates",
                                  json_string(CERTIFICATES));
        ctl_print_json(json_incref(h->report));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        print_section(h, &sections[i]);
    (void)puts(CERTIFICATES);
}

static int make_report(struct handover *h)
{
    h->report = json_object();
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (json_object_set_new(h->report, sections[i].name, json_array()) < 0)
            return ctl_fail_errno(-ENOMEM, "records handover");
    }
    return CTL_EXIT_DONE;
}

int ctl_records_run_handover(struct ctl_context *c)
{
    struct handover h = { .c = c };
    int r = make_report(&h);

    if (r == 0)
        r = collect(&h);
    if (r == 0) {
        print_report(&h);
        r = h.n_found     ? CTL_EXIT_NO
            : h.n_unknown ? CTL_EXIT_UNKNOWN
                          : CTL_EXIT_DONE;
    }
    json_decref(h.report);
    records_kept_deinit(&h.records);
    ctl_ours_deinit(&h.ours);
    ctl_dns_close(&h.dns);
    return r;
}
