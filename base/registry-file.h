/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the header of the registry's file says, for the daemon, which writes it,
 * and guardianctl restore, which reads it where no daemon runs.
 */

/* So that file(1) and we know whose database it is. */
#define REGISTRY_APPLICATION_ID 0x41434d47 /* "ACMG" */
#define REGISTRY_SCHEMA 4
