/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

struct guardian;
struct varlink_call;

/*
 * A registry that cannot be written (a full disk, one that was remounted
 * read-only): signing goes on, what is changed is refused with these words.
 */

/**
 * registry_note() - what a change of the registry came to
 *
 * The journal hears of the first that failed, and of the first that did not
 * after it; Status warns meanwhile. What was suspended in between is saved
 * then.
 *
 * Return: @r.
 */
int registry_note(struct guardian *g, int r) MUST_CHECK;

/* registry_cannot() - is @r of a store_*() that it could not be written? */
bool registry_cannot(int r) MUST_CHECK;

/* registry_error() - RegistryUnavailable, or Busy where it was not that. */
void registry_error(struct varlink_call *call, int r);
