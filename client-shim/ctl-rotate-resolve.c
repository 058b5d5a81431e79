/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-prove.h"
#include "client-shim/ctl-rotate.h"

/*
 * An account that needs to be resolved: the daemon looks which keys the token
 * has, and the CA is asked which of them it knows, or whether the registry's
 * own is still the account's.
 */

bool ctl_rotate_is_unresolved(const struct ctl_conversation *v)
{
    const char *status = ctl_string(ctl_conversation_facts(v), "status");

    return status && strcmp(status, "needs-resolve") == 0;
}

static void say(const struct ctl_conversation *v, const char *text)
{
    if (!v->context->json) {
        (void)printf("%s: %s\n", v->account, text);
        (void)fflush(stdout);
    }
}

static int prove(struct ctl_conversation *v)
{
    int r = ctl_prove_account(v, NULL);

    if (r == CTL_EXIT_DONE)
        say(v, "its key is still the account's");
    return r;
}

/* All that is left of it is the end of the old key, of which no CA is asked;
 * and no key is destroyed before one was. */
static bool is_cleaned(const json_t *rotation)
{
    const char *state = ctl_string(rotation, "state");

    return state && strcmp(state, "cleaned") == 0;
}

int ctl_rotate_resolve(struct ctl_conversation *v, bool *ret_rotation)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const json_t *rotation;
    int r;

    *ret_rotation = false;
    say(v, ctl_string(ctl_conversation_facts(v), "statusText"));
    r = ctl_daemon_call_within(&v->daemon, "RotationResolve",
                               json_pack("{s:s}", "account", v->account),
                               CTL_CALL_KEYGEN_MS, &answer);
    if (r)
        return r;
    rotation = json_object_get(answer, "rotation");
    *ret_rotation = json_is_object(rotation);
    return *ret_rotation && !is_cleaned(rotation) ? CTL_EXIT_DONE : prove(v);
}

int ctl_rotate_settle(struct ctl_conversation *v)
{
    int r = ctl_conversation_select(v, v->account);

    return r || !ctl_rotate_is_unresolved(v) ? r : prove(v);
}
