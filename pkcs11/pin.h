/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"

/**
 * pin_read() - the PIN from where Pin= says
 * @credentials_dir: $CREDENTIALS_DIRECTORY, or NULL
 * @ret:             NULL with Pin=none
 *
 * May wait for a person (Pin=ask). The caller frees the PIN as soon as it has
 * been sent; it is read again when it is needed again.
 *
 * Return: TOKEN_S_OK; TOKEN_S_PIN_MISSING.
 */
enum token_result pin_read(const struct settings_token *settings,
                           const char *credentials_dir, struct secret **ret,
                           struct backend_error *reterr) MUST_CHECK;
