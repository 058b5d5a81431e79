/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/**
 * json_depth_within() - does JSON text nest at most @max deep?
 * @ret_at: the octet that goes deeper; may be NULL
 *
 * Counts brackets outside of strings; whether they match is the parser's
 * business. For use before jansson, which nests up to 2048 deep by recursion.
 */
bool json_depth_within(struct bytes text, unsigned max, size_t *ret_at);
