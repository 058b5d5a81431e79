/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/request.h"

/*
 * A request as the fuzzer writes it: an octet of flags, the protected header's
 * text up to the first newline, the payload's text. As text and not as
 * base64url, which a fuzzer would spend its time on breaking.
 */
#define FUZZ_INPUT_MEMBERS                                                     \
    1u                        /* the account with ChallengeMembers= and such   \
                               */
#define FUZZ_INPUT_ENCODED 2u /* both texts are base64url already */
#define FUZZ_INPUT_ROTATING 4u
#define FUZZ_INPUT_NO_PAYLOAD 8u

struct fuzz_input {
    struct acme_account account; /* pieces are borrowed */
    struct bytes header, payload;
    struct buf header_b64, payload_b64;
};

void fuzz_input_take(struct bytes input, struct fuzz_input *ret);
void fuzz_input_deinit(struct fuzz_input *in);

/* fuzz_input_read() - acme_request_read(). NULL: refused, with a reason. */
struct acme_request *fuzz_input_read(const struct fuzz_input *in);
