/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/settings.h"

/**
 * supervise() - serve one connection until it closes
 * @connection:  taken over
 * @unseparated: the peer runs as the same user
 *
 * This process never loads a module. It starts the workers one after the other,
 * ends with the first of them that dies, and while none can start it answers
 * everything with why.
 *
 * Return: the exit code: 0 when the peer closed the connection.
 */
int supervise(const struct settings *settings,
              const struct settings_token *token, int connection,
              bool unseparated);
