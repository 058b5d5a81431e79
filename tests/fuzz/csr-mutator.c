/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* For libFuzzer: what is behind the first octet is DER, and mostly stays so. */
#include "der-mutator.h"
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed)
{
    if (size < 2 || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    return 1 + der_mutate(data + 1, size - 1, seed / 16, LLVMFuzzerMutate,
                          max_size - 1);
}
