/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/* org.acmeguardian.Signer on g->varlink. */

#define SIGNER_INTERFACE "org.acmeguardian.Signer"

int signer_register(struct guardian *g) MUST_CHECK;
