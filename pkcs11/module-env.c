/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/module-env.h"

#include <errno.h>

int module_env_set(const struct settings_token *token)
{
    if (clearenv() != 0 ||
        setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) < 0)
        return -ENOMEM;
    for (char **more = token->environment; more && *more; more++) {
        if (putenv(*more) != 0)
            return -ENOMEM;
    }
    return 0;
}
