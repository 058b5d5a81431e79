/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/*
 * Changes to DER that leave it DER: a value is left out, doubled, exchanged
 * with another, gets other content or another tag, and all lengths around it
 * are written anew. What an OCTET STRING holds is looked into where it is DER.
 * Octets that are no DER come back as they are.
 */

/* der_mutate_fn - libFuzzer's own for what is in a value; as LLVMFuzzerMutate.
 */
typedef size_t (*der_mutate_fn)(uint8_t *data, size_t size, size_t max_size);

/* der_mutate() - in place. Return: how many octets it are now, at most @max. */
size_t der_mutate(uint8_t *der, size_t len, unsigned seed, der_mutate_fn inside,
                  size_t max);

/* der_take_value() - off the front of @rest; false: not a tag of one octet and
 * a definite length that fits. */
bool der_take_value(struct bytes *rest, uint8_t *ret_tag, struct bytes *ret);
void der_put_header(struct buf *b, uint8_t tag, size_t len);
