/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One filter for the supervisor and its workers: what a process loads, its
 * children have, and these load modules.
 */
#include "pkcs11/fence.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/filter.h"

/* Pin=ask runs systemd-ask-password(1), which looks at a terminal. */
static bool asks(const struct settings_token *token)
{
    return token->pin == SETTINGS_PIN_ASK;
}

static const int *programs(const struct settings_token *token)
{
    static const int exec[] = { SYS_execve, FILTER_END };
    static const int none[] = { FILTER_END };

    return asks(token) ? exec : none;
}

/* A worker that aborts does so by a call that the filter, loaded by its parent,
 * would take for one to another process. */
static char own_end[] = "tgkill";

static int fence_store(const struct settings_token *token,
                       struct errmsg *reterr)
{
    char *const more[] = { own_end, NULL };
    static const int families[] = { AF_UNIX };
    const int *const allowed[] = { filter_run,      filter_files,
                                   filter_sockets,  filter_children,
                                   programs(token), NULL };

    return filter_load(
        &(struct filter_rules){ .allowed = allowed,
                                .deadly = asks(token) ? NULL : filter_deadly,
                                .more = more,
                                .families = families,
                                .n_families = ARRAY_LEN(families),
                                .devices = asks(token) },
        NULL, reterr);
}

/* Nothing is deadly: a vendor's module may try, and do without. */
static int fence_module(const struct settings_token *token, char *const *more,
                        struct errmsg *reterr)
{
    static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
    const int *const allowed[] = { filter_run,
                                   filter_files,
                                   filter_sockets,
                                   filter_children,
                                   filter_module,
                                   programs(token),
                                   NULL };

    return filter_load(
        &(struct filter_rules){ .allowed = allowed,
                                .more = more,
                                .families = families,
                                .n_families = ARRAY_LEN(families),
                                .devices = true,
                                .all_calls = token->all_system_calls,
                                .all_families = token->all_system_calls,
                                .writable_code = token->writable_code },
        NULL, reterr);
}

int fence_calls(const struct settings_token *token, struct errmsg *reterr)
{
    CLEANUP_FREE char **more = NULL;
    size_t n = 0;

    if (token->backend == SETTINGS_BACKEND_SEALED)
        return fence_store(token, reterr);
    while (token->system_calls && token->system_calls[n])
        n++;
    more = calloc(n + 2, sizeof(*more));
    if (!more) {
        errmsg_set(reterr, "out of memory");
        return -ENOMEM;
    }
    more[0] = own_end;
    for (size_t i = 0; i < n; i++)
        more[i + 1] = token->system_calls[i];
    return fence_module(token, more, reterr);
}
