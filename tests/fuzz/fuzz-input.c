/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-input.h"

#include "acme/b64url.h"
#include "fuzz-account.h"
#include "fuzz.h"

static void take_part(struct bytes text, bool encoded, struct buf *ret)
{
    if (encoded)
        MUST(buf_append(ret, text.data, text.len) == 0);
    else
        MUST(b64url_encode(text, ret) == 0);
}

void fuzz_input_take(struct bytes input, struct fuzz_input *ret)
{
    unsigned flags = fuzz_octet(&input) - (unsigned)'0';
    bool encoded = flags & FUZZ_INPUT_ENCODED;

    *ret = (struct fuzz_input){
        .account = *fuzz_account(flags & FUZZ_INPUT_MEMBERS),
        .header = fuzz_line(&input),
    };
    ret->account.rotating = flags & FUZZ_INPUT_ROTATING;
    if (!(flags & FUZZ_INPUT_NO_PAYLOAD))
        ret->payload = input;
    take_part(ret->header, encoded, &ret->header_b64);
    take_part(ret->payload, encoded, &ret->payload_b64);
}

void fuzz_input_deinit(struct fuzz_input *in)
{
    buf_deinit(&in->header_b64);
    buf_deinit(&in->payload_b64);
}

struct acme_request *fuzz_input_read(const struct fuzz_input *in)
{
    struct acme_request *request = NULL;
    struct refusal refusal = { 0 };
    int r;

    r = acme_request_read(&in->account, buf_bytes(&in->header_b64),
                          buf_bytes(&in->payload_b64), &request, &refusal);
    if (r == 0) {
        MUST(request);
        return request;
    }
    MUST(r == REFUSED && !request);
    MUST(reason_kind(refusal.reason) == REASON_KIND_MALFORMED ||
         refusal.reason == REASON_GUARDIAN_ONLY);
    return NULL;
}
