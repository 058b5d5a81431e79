/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-records-dns.h"

#include <errno.h>
#include <string.h>

#include "base/secret.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/records-list.h"

void ctl_dns_close(struct ctl_dns *d)
{
    d->lookup = dns_lookup_free(d->lookup);
    d->child = dns_child_free(d->child);
    d->zones = zones_free(d->zones);
}

int ctl_dns_zones(const struct ctl_context *c, bool client, struct zones **ret)
{
    CLEANUP_BUF struct buf dir = { 0 };
    struct errmsg err = { 0 };
    int r;

    r = buf_printf(&dir, "%s/zones.d", c->config_dir);
    if (r == 0)
        r = zones_load(buf_str(&dir), ret, &err);
    if (client && (r == -EACCES || r == -EPERM))
        return CTL_EXIT_DONE;
    return r ? ctl_fail_load(r, &err, "zones.d") : CTL_EXIT_DONE;
}

int ctl_dns_open(const struct ctl_context *c, struct ctl_dns *ret)
{
    int r;

    *ret = (struct ctl_dns){ 0 };
    r = ctl_dns_zones(c, false, &ret->zones);
    if (r)
        return r;
    r = dns_child_start(NULL, &ret->child);
    if (r == 0)
        r = dns_lookup_new(ret->child, ret->zones, &ret->lookup);
    return r ? ctl_fail_errno(r, "DNS process") : CTL_EXIT_DONE;
}

int ctl_dns_secrets(const struct ctl_context *c)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    struct errmsg err = { 0 };
    int r = ctl_settings(c, &settings);

    if (r)
        return r;
    return secrets_init(settings->allow_swappable, &err)
               ? ctl_fail_at(CTL_EXIT_UNAVAILABLE, &err)
               : CTL_EXIT_DONE;
}

static void step(size_t n_done, size_t n, void *userdata)
{
    (void)n;
    ctl_progress_step(userdata, n_done);
}

int ctl_dns_many(const struct ctl_dns *d, const struct dns_wanted *wanted,
                 size_t n, struct ctl_progress *p, struct dns_result **ret)
{
    int r = dns_lookup_many(d->lookup, wanted, n, ret, p ? step : NULL, p);

    if (p)
        p->before += n;
    return r ? ctl_fail_errno(r, "DNS process") : CTL_EXIT_DONE;
}

int ctl_records_filter(const struct ctl_context *c,
                       char space[static DNS_NAME_MAX + 1],
                       struct records_filter *ret)
{
    const char *domain = ctl_args_value(c, "--domain");

    *ret = (struct records_filter){ .account = ctl_args_value(c, "--account"),
                                    .domain = domain ? space : NULL };
    return domain ? ctl_records_name(domain, space) : CTL_EXIT_DONE;
}

static int keep(const struct records_value *v, void *userdata)
{
    int r = records_kept_add(userdata, v);

    return r ? ctl_fail_errno(r, "records") : CTL_EXIT_DONE;
}

int ctl_records_keep(const struct ctl_context *c,
                     const struct records_filter *filter,
                     struct records_kept *ret)
{
    int r = records_values_each(c, filter, keep, ret);

    records_kept_sort(ret);
    return r;
}

static int note_user(const struct records_record *r, void *userdata)
{
    return json_object_set_new(userdata, r->account, json_true()) < 0
               ? ctl_fail_errno(-ENOMEM, "records")
               : CTL_EXIT_DONE;
}

int ctl_records_users(const struct ctl_context *c,
                      const struct records_filter *filter, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *users = json_object();
    int r =
        records_list_each(c, filter->account, filter->domain, note_user, users);

    if (r == 0)
        *ret = TAKE_PTR(users);
    return r;
}

json_t *ctl_dns_text(struct bytes text)
{
    CLEANUP_BUF struct buf literal = { 0 };

    return buf_append_json(&literal, text) == 0
               ? json_loadb(buf_str(&literal), literal.len,
                            JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
               : NULL;
}
