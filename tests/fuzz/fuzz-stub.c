/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stubs, as files (t) and as DER (d): one stub has one encoding. */
#include <string.h>

#include <openssl/err.h>

#include "client-shim/stub.h"
#include "fuzz.h"

static void check(const struct stub *s, struct bytes der)
{
    CLEANUP_BUF struct buf again = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    struct stub same = { 0 };
    struct errmsg e = { 0 };

    MUST(s->socket[0] == '/' && memchr(s->socket, 0, sizeof(s->socket)));
    MUST(s->account[0] && memchr(s->account, 0, sizeof(s->account)));
    MUST(s->key.type != JWK_TYPE_UNSET);
    MUST(stub_encode(s, &again, &e) == 0);
    MUST(!der.data || bytes_eq(buf_bytes(&again), der));
    MUST(stub_format(s, &text, &e) == 0);
    MUST(stub_parse(buf_bytes(&text), &same, &e) == 0);
    MUST(strcmp(s->socket, same.socket) == 0 &&
         strcmp(s->account, same.account) == 0 && jwk_eq(&s->key, &same.key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = { data, size };
    bool is_der = fuzz_octet(&rest) == 'd';
    CLEANUP_FREE uint8_t *exact = fuzz_copy(rest);
    struct stub s = { 0 };
    struct errmsg e = { 0 };
    int r;

    rest.data = exact;
    r = is_der ? stub_decode(rest, &s, &e) : stub_parse(rest, &s, &e);
    MUST(r == 0 || r == STUB_E_INVALID || (r == STUB_E_NONE && !is_der));
    MUST(r != STUB_E_INVALID || e.text[0]);
    MUST(ERR_peek_error() == 0);
    if (r == 0)
        check(&s, is_der ? rest : (struct bytes){ 0 });
    return 0;
}
