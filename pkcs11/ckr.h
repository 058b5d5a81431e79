/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "pkcs11/backend.h"

/* CK_RV, the result codes of PKCS#11. */

/* ckr_name() - "CKR_PIN_INCORRECT"; NULL for codes we do not know. */
const char *ckr_name(unsigned long rv);

/**
 * ckr_classify() - what a failed call on a session means for the request
 * @ret_cure: BACKEND_CURE_NONE for answers that trying again does not change,
 *            BACKEND_CURE_SESSION for everything else, known or not
 *
 * Return: the result for the wire; TOKEN_S_FAILED where the ladder decides.
 */
enum token_result ckr_classify(unsigned long rv, enum backend_cure *ret_cure);
