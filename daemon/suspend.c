/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/suspend.h"

#include <stdio.h>
#include <string.h>

void suspend_deinit(struct suspend *s)
{
    store_suspensions_free(s->items, s->n);
    *s = (struct suspend){ 0 };
}

int suspend_load(struct suspend *s, struct store *store)
{
    struct suspend fresh = { 0 };
    int r;

    r = store_suspensions(store, &fresh.items, &fresh.n);
    if (r)
        return r;
    suspend_deinit(s);
    *s = fresh;
    return 0;
}

static bool suspend_has(const struct suspend *s, const char *scope,
                        const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct store_suspension *x = &s->items[i];

        if (strcmp(x->scope, scope) == 0 &&
            (!name || (x->name && strcmp(x->name, name) == 0)))
            return true;
    }
    return false;
}

bool suspend_account(const struct suspend *s, const char *account)
{
    return suspend_has(s, "all", NULL) || suspend_has(s, "account", account);
}

bool suspend_covers(const struct suspend *s, const char *account, uid_t uid)
{
    char text[16];

    if (s->n == 0)
        return false;
    (void)snprintf(text, sizeof(text), "%u", uid);
    return suspend_account(s, account) || suspend_has(s, "client", text);
}

static bool is_uid(const char *name)
{
    size_t n = strlen(name);

    return n >= 1 && n <= 10 && strspn(name, "0123456789") == n &&
           (name[0] != '0' || n == 1) && strtoull(name, NULL, 10) < UINT32_MAX;
}

bool suspend_scope_ok(const char *scope, const char *name)
{
    if (strcmp(scope, "all") == 0)
        return !name;
    if (strcmp(scope, "account") == 0)
        return name != NULL;
    return strcmp(scope, "client") == 0 && name && is_uid(name);
}
