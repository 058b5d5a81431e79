/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sqlite3.h>

#include "base/errmsg.h"

/**
 * schema_check() - whose database, of which version?
 *
 * Only reads. *ret_version: 0 is a new file, which schema_create() makes ours;
 * one below REGISTRY_SCHEMA is for schema_migrate().
 *
 * Return: 0; STORE_E_NEWER_SCHEMA; STORE_E_CORRUPT; negative errno.
 */
int schema_check(sqlite3 *db, const char *file, unsigned *ret_version,
                 struct errmsg *reterr) MUST_CHECK;

/* schema_create() - all tables and the instance, in one transaction. */
int schema_create(sqlite3 *db) MUST_CHECK;

/* schema_migrate() - from version @from to REGISTRY_SCHEMA in one transaction.
 * Anything but 0 comes with *reterr, and nothing has changed. */
int schema_migrate(sqlite3 *db, const char *file, unsigned from,
                   struct errmsg *reterr) MUST_CHECK;
