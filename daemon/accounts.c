/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/accounts.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include <sodium.h>

#include "base/log.h"
#include "daemon/guardian.h"
#include "daemon/message-ids.h"
#include "daemon/registry.h"
#include "daemon/rotate.h"

#define OLD_REGISTRY                                                           \
    "the registry was restored or copied: the CA has to say whether "          \
    "its key is still the account's (rotate resume)"

static void account_free(struct account *a)
{
    if (!a)
        return;
    rotate_forget(a);
    store_account_deinit(&a->row);
    free(a->unresolved);
    free(a);
}

void accounts_deinit(struct accounts *a)
{
    for (size_t i = 0; i < a->n; i++)
        account_free(a->items[i]);
    free(a->items);
    *a = (struct accounts){ 0 };
}

/* What the readers go by follows from the row. */
static void account_settle(struct guardian *g, struct account *a)
{
    a->row.acme.valid =
        a->row.status == ACCOUNT_VALID && a->row.acme.account_url;
    a->row.acme.rotating = rotate_is_active(a);
    a->row.suspended = suspend_account(&g->suspend, a->row.acme.name);
    a->token = a->row.token ? guardian_token(g, a->row.token) : NULL;
}

/* The place of @name, or where it belongs. */
static size_t accounts_place(const struct accounts *a, const char *name,
                             bool *ret_found)
{
    size_t lo = 0;
    size_t hi = a->n;

    *ret_found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(name, a->items[mid]->row.acme.name);

        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

struct account *accounts_find_key(const struct accounts *a,
                                  const struct jwk *key)
{
    for (size_t i = 0; i < a->n; i++) {
        if (jwk_eq(&a->items[i]->row.acme.jwk, key))
            return a->items[i];
    }
    return NULL;
}

/* Takes the row over on success. */
static int accounts_insert(struct guardian *g, struct store_account *row,
                           struct account **ret)
{
    struct accounts *as = &g->accounts;
    struct account **more;
    struct account *a;
    bool found;
    size_t at = accounts_place(as, row->acme.name, &found);

    if (found)
        return STORE_E_EXISTS;
    more = reallocarray(as->items, as->n + 1, sizeof(struct account *));
    if (!more)
        return -ENOMEM;
    as->items = more;
    a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->row = *row;
    a->records_revision = (uint64_t)randombytes_random() << 16;
    *row = (struct store_account){ 0 };
    account_settle(g, a);
    memmove(more + at + 1, more + at, (as->n - at) * sizeof(struct account *));
    more[at] = a;
    as->n++;
    *ret = a;
    return 0;
}

int accounts_load(struct guardian *g)
{
    struct store_account *rows = NULL;
    struct account *a;
    size_t n = 0;
    int r;

    r = store_accounts(g->store, &rows, &n);
    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            r = accounts_insert(g, &rows[i], &a);
        store_account_deinit(&rows[i]);
    }
    free(rows);
    return r;
}

struct account *accounts_find(const struct accounts *a, const char *name)
{
    bool found;
    size_t at = accounts_place(a, name, &found);

    return found ? a->items[at] : NULL;
}

int accounts_add(struct guardian *g, const struct store_account *row,
                 struct account **ret)
{
    struct store_account copy = { 0 };
    int r;

    if (accounts_find(&g->accounts, row->acme.name))
        return STORE_E_EXISTS;
    r = store_account_copy(row, &copy);
    if (r)
        return r;
    r = registry_note(g, store_account_add(g->store, row));
    if (r == 0)
        r = accounts_insert(g, &copy, ret);
    store_account_deinit(&copy);
    return r;
}

/* The line says when the account stopped signing, and when it went on. */
static void account_audit_key(struct guardian *g, const struct account *a,
                              const char *why)
{
    const struct audit_event event = {
        .type = AUDIT_KEY,
        .account = a->row.acme.name,
        .thumbprint = a->row.acme.thumbprint,
        .operation = why ? "needs-resolve" : "resolved",
        .detail = why,
    };
    struct audit *audit = guardian_audit(g);

    if (audit && audit_write(audit, &event))
        log_msg(LOG_ERR, "The audit log cannot be written");
}

static void account_say(struct guardian *g, const struct account *a,
                        const char *why, const char *resolved)
{
    account_audit_key(g, a, why);
    log_event(why ? LOG_WARNING : LOG_INFO, MSG_NEEDS_RESOLVE,
              (struct log_field[]){ { "GUARDIAN_ACCOUNT", a->row.acme.name },
                                    { "GUARDIAN_KEY", a->row.key_label },
                                    { "GUARDIAN_DETAIL", why } },
              3, "Account %s %s%s", a->row.acme.name,
              why ? "needs to be resolved, nothing is signed for it: "
                  : resolved,
              why ? why : "");
}

static void account_say_asked(struct guardian *g, const struct account *a)
{
    if (a->row.status == ACCOUNT_VALID)
        account_say(g, a, a->row.must_ask ? OLD_REGISTRY : NULL,
                    "has the key that the CA has");
}

static int accounts_put(struct guardian *g, struct account *a,
                        const struct store_account *row,
                        const struct store_rotation *rotation)
{
    struct store_account copy = { 0 };
    bool asked = a->row.must_ask;
    int r;

    r = store_account_copy(row, &copy);
    if (r)
        return r;
    r = registry_note(g, rotation ? store_rotation_put(g->store, rotation, row)
                                  : store_account_update(g->store, row));
    if (r) {
        store_account_deinit(&copy);
        return r;
    }
    store_account_deinit(&a->row);
    a->row = copy;
    account_settle(g, a);
    if (a->row.must_ask != asked)
        account_say_asked(g, a);
    return 0;
}

int accounts_update(struct guardian *g, struct account *a,
                    const struct store_account *row)
{
    return accounts_put(g, a, row, NULL);
}

int accounts_rotate(struct guardian *g, struct account *a,
                    const struct store_account *row,
                    const struct store_rotation *rotation)
{
    return accounts_put(g, a, row, rotation);
}

int accounts_ask_all(struct guardian *g)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < g->accounts.n; i++) {
        struct account *a = g->accounts.items[i];
        struct store_account row = a->row; /* only copied from */

        if (!row.acme.account_url || row.must_ask)
            continue;
        row.must_ask = true;
        r = accounts_update(g, a, &row);
    }
    return r;
}

void accounts_say_asked(struct guardian *g)
{
    for (size_t i = 0; i < g->accounts.n; i++) {
        if (g->accounts.items[i]->row.must_ask)
            account_say_asked(g, g->accounts.items[i]);
    }
}

const char *account_state(const struct account *a)
{
    const char *word = rotate_word(a);

    return word && !a->unresolved ? word
                                  : account_status_name(account_status(a));
}

bool account_is_over(enum account_status s)
{
    return s == ACCOUNT_DEACTIVATED || s == ACCOUNT_REVOKED;
}

bool account_has_key(const struct account *a)
{
    return a->row.status != ACCOUNT_ADOPTING &&
           a->row.status != ACCOUNT_RELEASED;
}

const char *account_why_unresolved(const struct account *a)
{
    if (a->unresolved)
        return a->unresolved;
    if (a->row.must_ask && a->row.status == ACCOUNT_VALID)
        return OLD_REGISTRY;
    if (rotate_is_unsure(a) && rotate_gate(a) == ROTATE_CLOSED)
        return "a rotation was under way when the daemon started: the CA has "
               "to say whether its key is still the account's (rotate resume)";
    return NULL;
}

enum account_status account_status(const struct account *a)
{
    return account_why_unresolved(a) ? ACCOUNT_NEEDS_RESOLVE : a->row.status;
}

void account_set_unresolved(struct guardian *g, struct account *a,
                            const char *why)
{
    char *copy;

    if (!why && !a->unresolved)
        return;
    if (why && a->unresolved && strcmp(why, a->unresolved) == 0)
        return;
    copy = why ? strdup(why) : NULL;
    if (why && !copy)
        return; /* said again at the next look */
    free(a->unresolved);
    a->unresolved = copy;
    account_say(g, a, why, "agrees with its token again");
}
