/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "daemon/admin-call.h"
#include "daemon/message-ids.h"
#include "daemon/params.h"
#include "daemon/registry.h"

/* NameDeny, NameAllow, NameDenied. */

/* False: it was answered. */
static bool take_domain(struct varlink_call *call, const json_t *parameters,
                        const char **ret)
{
    const struct param params[] = {
        { "domain", PARAM_STRING, false, { .string = ret } },
    };
    struct refusal refusal = { 0 };

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return false;
    if (policy_deny_check(*ret, &refusal) == 0)
        return true;
    admin_error_refusal(call, "domain", &refusal);
    return false;
}

/* The registry has it; now the same in memory and in force. */
static int name_changed(struct guardian *g, const struct varlink_call *call,
                        const char *name, const char *what)
{
    const struct log_field fields[] = { { "GUARDIAN_DETAIL", name } };
    unsigned uid = varlink_call_peer(call)->uid;
    struct errmsg e = { 0 };
    int r = denied_renew(&g->denied, g->store, g->policy, &e);

    if (r)
        log_event(LOG_ERR, MSG_NAME_DENIED, fields, 1,
                  "%s by uid %u, but not in force yet: %s: %s; until it is "
                  "asked for again, or a restart, the names denied before are",
                  what, uid, name, e.text);
    else
        log_event(LOG_WARNING, MSG_NAME_DENIED, fields, 1, "%s by uid %u: %s",
                  what, uid, name);
    return r;
}

ADMIN_METHOD(admin_on_name_deny)
{
    struct guardian *g = userdata;
    const char *name = "";
    char by[ADMIN_BY_MAX];
    int r;

    if (!take_domain(call, parameters, &name))
        return;
    /* It only takes away: an audit log that is full must not prevent it. */
    admin_note(g, call, &(struct admin_subject){ .detail = name });
    admin_by(varlink_call_peer(call)->uid, by);
    r = registry_note(g, store_deny(g->store, &(struct store_denied){
                                                  .name = params_borrow(name),
                                                  .since_s = time(NULL),
                                                  .by = by }));
    if (r == 0)
        r = name_changed(g, call, name, "Denied");
    if (r)
        registry_error(call, r);
    else
        varlink_reply(call, (struct bytes){ 0 });
}

ADMIN_METHOD(admin_on_name_allow)
{
    struct guardian *g = userdata;
    const char *name = "";
    int r;

    if (!take_domain(call, parameters, &name) ||
        !admin_begin(g, call, &(struct admin_subject){ .detail = name }))
        return;
    r = registry_note(g, store_allow(g->store, name));
    if (r == STORE_E_MISSING) {
        admin_error(call, "NoSuchName", json_pack("{s:s}", "name", name));
        return;
    }
    if (r == 0)
        r = name_changed(g, call, name, "Allowed again");
    if (r)
        registry_error(call, r);
    else
        varlink_reply(call, (struct bytes){ 0 });
}

static int list_one(struct page *p, const struct store_denied *x)
{
    int r;

    r = page_item(p);
    if (r)
        return r;
    r = buf_printf(&p->b, "{\"domain\":\"%s\",\"since\":", x->name);
    if (r == 0)
        r = admin_put_time(&p->b, x->since_s);
    if (r == 0)
        r = buf_printf(&p->b, ",\"by\":\"%s\"}", x->by);
    return r ? r : page_item_end(p);
}

ADMIN_METHOD(admin_on_name_denied)
{
    CLEANUP_PAGE struct page p = { 0 };
    struct guardian *g = userdata;
    struct admin_paging q = { .after = "" };
    const struct param params[] = { ADMIN_PAGING_PARAMS(&q) };
    const char *last = "";
    int r;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    r = page_begin(&p, "names", q.limit);
    for (size_t i = 0; r == 0 && i < g->denied.n; i++) {
        const struct store_denied *x = &g->denied.items[i];

        if (strcmp(x->name, q.after) <= 0)
            continue;
        r = list_one(&p, x);
        if (r == 0)
            last = x->name;
    }
    admin_reply_page(call, &p, r, last);
}
