/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/admin-call.h"
#include "daemon/guardian.h"

bool registry_cannot(int r)
{
    return r < 0 && r != -ENOMEM && r != -EINVAL;
}

static void registry_works_again(struct guardian *g)
{
    log_msg(LOG_NOTICE, "The registry in %s can be written again",
            g->settings->state_dir);
    if (store_suspensions_save(g->store))
        log_msg(LOG_ERR, "What was suspended while the registry could not be "
                         "written could not be saved: a restart forgets it");
}

int registry_note(struct guardian *g, int r)
{
    if (registry_cannot(r)) {
        if (!g->registry_error[0])
            log_msg(LOG_ERR,
                    "The registry in %s cannot be written, changes are refused "
                    "until it can: %s",
                    g->settings->state_dir, strerror(-r));
        (void)snprintf(g->registry_error, sizeof(g->registry_error), "%s",
                       strerror(-r));
    } else if (r == 0 && g->registry_error[0]) {
        g->registry_error[0] = '\0';
        registry_works_again(g);
    }
    return r;
}

void registry_error(struct varlink_call *call, int r)
{
    if (registry_cannot(r))
        admin_error(call, "RegistryUnavailable",
                    json_pack("{s:s}", "text", strerror(-r)));
    else
        admin_error_busy(call);
}
