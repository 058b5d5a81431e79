/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An account has a new key: said by writing to a file in the state directory,
 * KEYS_CHANGED_FILE, which acme-guardian-stubs.path watches. What stands in the
 * file means nothing. The rotation does not depend on it: a failure is logged.
 */

#define KEYS_CHANGED_FILE "keys-changed"

void keys_changed_say(const char *state_dir);
