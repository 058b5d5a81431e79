/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/*
 * What the first octet says of the others:
 *
 *   r   a request, c a certificate, whole
 *   p   what a request signs: it is signed here with a P-256 key, e with an
 *       Ed25519 key, so that changes get past the check of the signature. A
 * NULL in the place of its public key stands for the one that signs.
 */
struct fuzz_csr {
    bool certificate;
    struct buf der;
};

void fuzz_csr_take(struct bytes input, struct fuzz_csr *ret);
void fuzz_csr_deinit(struct fuzz_csr *c);
