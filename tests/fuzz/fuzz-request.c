/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reader of ACME requests: base64url, JSON, protected header, payload. */
#include <string.h>

#include "acme/b64url.h"
#include "acme/dns-name.h"
#include "acme/eab.h"
#include "acme/json-strict.h"
#include "fuzz-input.h"
#include "fuzz.h"

static void check_identifier(const struct identifier *id)
{
    struct bytes value = bytes_from_str(id->value);
    uint8_t addr[16];
    size_t len;

    if (id->type == IDENTIFIER_IP)
        MUST(ip_text_check(value, addr, &len, NULL) == 0 &&
             len == id->addr_len && memcmp(addr, id->addr, len) == 0);
    else
        MUST(id->type == IDENTIFIER_DNS &&
             dns_name_check(value, true, NULL) == 0);
}

static void check_request(const struct acme_request *q)
{
    bool named = q->op == ACME_OP_ORDER || q->op == ACME_OP_FINALIZE ||
                 q->op == ACME_OP_REVOKE;

    MUST(q->op > ACME_OP_UNSET && q->op < ACME_OP_COUNT);
    MUST(q->url && strncmp(q->url, "https://", 8) == 0);
    MUST(q->nonce && q->nonce[0] &&
         b64url_span(bytes_from_str(q->nonce)) == strlen(q->nonce));
    MUST(q->by_jwk == (q->op == ACME_OP_LOOKUP));
    MUST(named ? q->identifiers.n > 0 && q->identifiers.n <= IDENTIFIERS_MAX
               : q->identifiers.n == 0);
    for (size_t i = 0; i < q->identifiers.n; i++)
        check_identifier(&q->identifiers.items[i]);
    MUST((q->csr.key_type != CSR_KEY_UNSET) == (q->op == ACME_OP_FINALIZE));
    MUST(q->op == ACME_OP_ORDER || (!q->profile && !q->replaces));
}

/* A binding that somebody composed is read by the same pieces. */
static void check_binding(const struct fuzz_input *in)
{
    struct refusal refusal = { 0 };
    char *kid = NULL;

    if (eab_check(in->payload, &in->account.jwk,
                  in->account.directory.new_account, &kid, &refusal) == 0)
        MUST(kid && strlen(kid) <= EAB_KID_MAX);
    free(kid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in;
    struct acme_request *request;

    fuzz_input_take((struct bytes){ data, size }, &in);
    request = fuzz_input_read(&in);
    if (request)
        check_request(request);
    acme_request_free(request);
    check_binding(&in);
    fuzz_input_deinit(&in);
    return 0;
}
