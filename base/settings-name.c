/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings.h"

#include <string.h>

/* By itself, so that who needs the rule alone, as what is loaded into other
 * people's programs, does not carry the reader of configuration. */

bool settings_name_ok(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > 32 || name[0] == '.' || name[0] == '_' || name[0] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}
