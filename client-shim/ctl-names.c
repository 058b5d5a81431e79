/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/records-names.h"

/* names: what is denied while the daemon runs, beside [Deny] of guardian.conf.
 */

static int read_names(const struct ctl_context *c, struct records_names *names)
{
    for (size_t i = 0; i < c->n_operands; i++) {
        struct errmsg err = { 0 };
        int r = records_names_add(names, c->operands[i], &err);

        if (r == RECORDS_NAMES_E_INVALID)
            return ctl_fail_at(CTL_EXIT_MALFORMED, &err);
        if (r)
            return ctl_fail_errno(r, c->operands[i]);
    }
    return CTL_EXIT_DONE;
}

/* All names are good before the first is told. */
static int change_names(struct ctl_context *c, const char *method,
                        const char *done)
{
    CLEANUP_RECORDS_NAMES struct records_names names = { 0 };
    int r = read_names(c, &names);

    for (size_t i = 0; r == 0 && i < names.n; i++) {
        r = ctl_once(c, CTL_SOCKET_ADMIN, method,
                     json_pack("{s:s}", "domain", names.items[i]), NULL);
        if (r == 0 && !c->json)
            (void)printf("%s: %s\n", done, names.items[i]);
    }
    if (r == 0 && c->json)
        ctl_print_json(json_object());
    return r;
}

static int run_deny(struct ctl_context *c)
{
    return change_names(c, "NameDeny", "denied");
}

static int run_allow(struct ctl_context *c)
{
    return change_names(c, "NameAllow", "no longer denied");
}

struct listing {
    const struct ctl_context *c;
    struct ctl_table table;
    json_t *all;
};

static int list_names(json_t *items, void *userdata)
{
    struct listing *l = userdata;

    if (l->c->json)
        return json_array_extend(l->all, items) < 0
                   ? ctl_fail_errno(-ENOMEM, "names list")
                   : CTL_EXIT_DONE;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *row = json_array_get(items, i);

        CTL_TABLE_ROW(&l->table, ctl_string(row, "domain"),
                      ctl_string(row, "since"), ctl_string(row, "by"));
    }
    return CTL_EXIT_DONE;
}

static int run_list(struct ctl_context *c)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *all = json_array();
    struct listing l = { .c = c, .table = { .n_columns = 3 }, .all = all };
    int r;

    CTL_TABLE_ROW(&l.table, "DENIED", "SINCE", "BY");
    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_daemon_pages(&d, "NameDenied", json_object(), "names",
                             list_names, &l);
    if (r == 0 && c->json)
        ctl_print_json(json_pack("{s:O}", "names", all));
    else if (r == 0)
        r = ctl_table_print(&l.table);
    ctl_table_deinit(&l.table);
    return r;
}

const struct ctl_command ctl_names_commands[] = {
    { "names deny", "DOMAIN...", 1, UINT_MAX, NULL,
      "sign for no name of it any more", run_deny },
    { "names allow", "DOMAIN...", 1, UINT_MAX, NULL, "undo names deny",
      run_allow },
    { "names list", NULL, 0, 0, NULL, "which are denied, since when, by whom",
      run_list },
    { 0 },
};
