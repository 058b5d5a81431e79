/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* CK_RV, the result codes of PKCS#11. */

/* ckr_name() - "CKR_PIN_INCORRECT"; NULL for codes we do not know. */
const char *ckr_name(unsigned long rv);
