/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/guardian.h"

/* org.acmeguardian.Admin on g->varlink. */

#define ADMIN_INTERFACE "org.acmeguardian.Admin"

int admin_register(struct guardian *g) MUST_CHECK;

/* admin_roles_changed() - ends the streams of those who have no role now. */
void admin_roles_changed(struct guardian *g);

/* admin_stop() - end the streams that nothing else would end. */
void admin_stop(struct guardian *g);
