/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-list.h"

#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

bool records_record_read(json_t *row, struct records_record *ret)
{
    const json_t *until = json_object_get(row, "persistUntil");
    struct records_record r = {
        .account = ctl_string(row, "account"),
        .domain = ctl_string(row, "domain"),
        .issuer = ctl_string(row, "issuer"),
        .added = ctl_string(row, "added"),
        .until_s = json_integer_value(until),
        .wildcard = ctl_true(row, "wildcard"),
        .reusable = ctl_true(row, "reusable"),
        .row = row,
    };

    if (!r.account || !r.domain || !r.issuer || !r.added)
        return false;
    if (until && !json_is_null(until) && r.until_s <= 0)
        return false;
    *ret = r;
    return true;
}

struct records {
    records_record_fn fn;
    void *userdata;
};

static int give_records(json_t *rows, void *userdata)
{
    const struct records *records = userdata;
    int e = 0;

    for (size_t i = 0; e == 0 && i < json_array_size(rows); i++) {
        struct records_record r;

        if (!records_record_read(json_array_get(rows, i), &r))
            return ctl_fail(CTL_EXIT_UNAVAILABLE,
                            "RecordList: a record that lacks something");
        e = records->fn(&r, records->userdata);
    }
    return e;
}

int records_list_each(const struct ctl_context *c, const char *account,
                      const char *domain, records_record_fn fn, void *userdata)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    struct records records = { fn, userdata };
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r)
        return r;
    return ctl_daemon_pages(
        &d, "RecordList",
        json_pack("{s:s*, s:s*}", "account", account, "domain", domain),
        "records", give_records, &records);
}
