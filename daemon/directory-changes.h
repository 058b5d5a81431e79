/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/cleanup.h"
#include "daemon/store.h"

/**
 * directory_changes() - what is other in @to than it was in @from
 * @changes: array, gets "MEMBER: OLD -> NEW" for each difference to what was
 *           known; what is known for the first time is none
 * @lines:   array, gets the details of audit lines for all that is new, what
 *           is known for the first time included; each fits whole
 *
 * Endpoints are known once there is a newOrder, the rest with meta_known. Pure.
 *
 * Return: 0; -ENOMEM.
 */
int directory_changes(const struct store_account *from,
                      const struct store_account *to, json_t *changes,
                      json_t *lines) MUST_CHECK;
