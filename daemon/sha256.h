/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/* SHA-256 as it is needed for each request: OpenSSL's one-shot functions look
 * the algorithm up by name every time, which costs more than the hashing. */
struct sha256;

int sha256_new(struct sha256 **ret) MUST_CHECK;
struct sha256 *sha256_free(struct sha256 *s);

/* Return: 0; -ENOMEM. */
int sha256_digest(struct sha256 *s, struct bytes data,
                  uint8_t ret[static 32]) MUST_CHECK;
