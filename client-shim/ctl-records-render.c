/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-records.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/ctl-ca.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-records-dns.h"
#include "client-shim/records-sheet.h"
#include "client-shim/records-values.h"

/*
 * records render. Nothing is printed before everything is known to be good: of
 * an account that is not proven not even a part.
 */

#define LEFT_OUT_MAX 20

struct render {
    const struct ctl_context *c;
    struct records_style style;
    struct records_filter filter;
    char domain[DNS_NAME_MAX + 1];
    struct zones *zones;
    json_t *accounts; /* with --caa; else NULL */
    struct records_sheet *sheet;
    size_t n_left_out;
    size_t n_no_key; /* bind-policy: in zones without one */
};

static void render_deinit(struct render *r)
{
    r->sheet = records_sheet_free(r->sheet);
    r->zones = zones_free(r->zones);
    json_decref(r->accounts);
    r->accounts = NULL;
}

/* ---- options ---- */

static int read_format(struct render *r)
{
    const char *word = ctl_args_value(r->c, "--format");

    r->style.format = r->c->json ? RECORDS_JSON : RECORDS_ZONE;
    if (word)
        r->style.format = records_format_parse(word);
    if (r->style.format == RECORDS_FORMAT_UNSET)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--format takes zone, nsupdate, json or bind-policy, "
                        "not %s",
                        word);
    if (r->c->json && r->style.format != RECORDS_JSON)
        return ctl_fail(CTL_EXIT_USAGE, "--json goes with --format json");
    if (r->style.format == RECORDS_BIND_POLICY && ctl_args_has(r->c, "--caa"))
        return ctl_fail(CTL_EXIT_USAGE,
                        "--caa goes with zone, nsupdate and json: the key is "
                        "granted TXT alone");
    return CTL_EXIT_DONE;
}

static int read_form(struct render *r)
{
    const char *form = ctl_args_value(r->c, "--form");

    r->filter.form = form;
    if (!form || strcmp(form, "url") == 0 || strcmp(form, "key-bound") == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_USAGE, "--form takes url or key-bound, not %s",
                    form);
}

static int read_ttl(struct render *r)
{
    struct errmsg err = { 0 };
    uint64_t ttl_s = 0;

    if (ctl_args_uint(r->c, "--ttl", 1, ZONE_TTL_MAX_S, &ttl_s, &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    r->style.has_ttl = ctl_args_has(r->c, "--ttl");
    r->style.ttl_s = (uint32_t)ttl_s;
    return CTL_EXIT_DONE;
}

static int read_filter(struct render *r)
{
    const char *domain = ctl_args_value(r->c, "--domain");

    r->filter.account = ctl_args_value(r->c, "--account");
    if (!domain)
        return CTL_EXIT_DONE;
    r->filter.domain = r->domain;
    return ctl_records_name(domain, r->domain);
}

static int load_zones(struct render *r)
{
    int e = ctl_dns_zones(r->c, false, &r->zones);

    r->style.zones = r->zones;
    return e;
}

/* ---- values ---- */

/* Of all forms, since CAA names the account itself. */
static int find_url(const struct render *r, const struct records_value *v,
                    const char **ret)
{
    *ret = NULL;
    if (!r->accounts)
        return CTL_EXIT_DONE;
    *ret = ctl_string(json_object_get(r->accounts, v->account), "url");
    return *ret ? CTL_EXIT_DONE
                : ctl_fail(CTL_EXIT_UNAVAILABLE,
                           "%s: the daemon names no URL of this account",
                           v->account);
}

static int add_value(const struct records_value *v, void *userdata)
{
    struct render *r = userdata;
    struct errmsg err = { 0 };
    const char *url;
    int e;

    e = find_url(r, v, &url);
    if (e)
        return e;
    e = records_sheet_add(r->sheet, v, url, &err);
    if (e < 0)
        return ctl_fail_errno(e, "records render");
    if (e == RECORDS_SHEET_E_NO_KEY)
        r->n_no_key++;
    if (e == 0 || e == RECORDS_SHEET_E_NO_KEY)
        return CTL_EXIT_DONE;
    if (r->n_left_out++ < LEFT_OUT_MAX)
        (void)ctl_fail_at(CTL_EXIT_NO, &err);
    return CTL_EXIT_DONE;
}

static int collect(struct render *r)
{
    int e;

    e = load_zones(r);
    if (e == 0 && ctl_args_has(r->c, "--caa"))
        e = ctl_records_accounts(r->c, r->filter.account, &r->accounts);
    if (e)
        return e;
    e = records_sheet_new(&r->style, &r->sheet);
    if (e)
        return ctl_fail_errno(e, "records render");
    return records_values_each(r->c, &r->filter, add_value, r);
}

static int print(const struct render *r)
{
    /* Errors of stdout are main()'s business. */
    if (records_sheet_print(r->sheet, stdout))
        return CTL_EXIT_TRY_AGAIN;
    if (r->n_no_key)
        (void)ctl_fail(CTL_EXIT_DONE,
                       "%zu records are in zones for which no file of zones.d "
                       "has TsigName=: there is no key to grant them to",
                       r->n_no_key);
    if (r->n_left_out)
        return ctl_fail(CTL_EXIT_NO, "%zu records were left out",
                        r->n_left_out);
    if (records_sheet_count(r->sheet))
        return CTL_EXIT_DONE;
    if (r->n_no_key)
        return CTL_EXIT_NO;
    if (r->filter.domain)
        return ctl_fail(CTL_EXIT_NO, "%s: there is no record",
                        r->filter.domain);
    return ctl_fail(CTL_EXIT_DONE, "there are no records");
}

int ctl_records_run_render(struct ctl_context *c)
{
    struct render r = { .c = c, .style = { .now_s = (int64_t)time(NULL) } };
    int e;

    e = read_format(&r);
    if (e == 0)
        e = read_form(&r);
    if (e == 0)
        e = read_ttl(&r);
    if (e == 0)
        e = read_filter(&r);
    if (e == 0)
        e = collect(&r);
    if (e == 0)
        e = print(&r);
    render_deinit(&r);
    return e;
}

const struct ctl_option ctl_records_render_options[] = {
    { "--account", "NAME", "of this account", 0, false, false },
    { "--domain", "DOMAIN", "of this domain", 0, false, false },
    { "--format", "FORMAT", "zone (the default), nsupdate, json or bind-policy",
      0, false, false },
    { "--form", "FORM", "url or key-bound, whatever the directory says", 0,
      false, false },
    { "--caa", NULL, "with CAA records to the same effect (RFC 8657)", 0, false,
      false },
    { "--ttl", "SECONDS", "instead of TTL= of the zone", 0, false, false },
    CTL_CA_OPTIONS,
    { 0 },
};
