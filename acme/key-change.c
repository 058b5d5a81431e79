/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/key-change.h"

#include <errno.h>

#include "acme/b64url.h"

/* No nonce here: the outer header has it (RFC 8555 section 7.3.5). */
static int append_header(const struct jwk *key, const char *url, struct buf *b)
{
    int r;

    r = buf_printf(b, "{\"alg\":\"%s\",\"jwk\":", jws_alg_name(jwk_alg(key)));
    if (!r)
        r = jwk_format(key, b);
    if (!r)
        r = buf_append_str(b, ",\"url\":");
    if (!r)
        r = buf_append_json(b, bytes_from_str(url));
    return r ? r : buf_append_char(b, '}');
}

static int append_payload(const struct jwk *old_key, const char *account_url,
                          struct buf *b)
{
    int r;

    r = buf_append_str(b, "{\"account\":");
    if (!r)
        r = buf_append_json(b, bytes_from_str(account_url));
    if (!r)
        r = buf_append_str(b, ",\"oldKey\":");
    if (!r)
        r = jwk_format(old_key, b);
    return r ? r : buf_append_char(b, '}');
}

int key_change_inner(const struct jwk *old_key, const struct jwk *new_key,
                     const char *account_url, const char *url,
                     struct buf *ret_protected, struct buf *ret_payload)
{
    CLEANUP_BUF struct buf header = { 0 };
    CLEANUP_BUF struct buf payload = { 0 };
    int r;

    if (jwk_eq(old_key, new_key))
        return -EINVAL;
    r = append_header(new_key, url, &header);
    if (!r)
        r = append_payload(old_key, account_url, &payload);
    if (!r)
        r = b64url_encode(buf_bytes(&header), ret_protected);
    return r ? r : b64url_encode(buf_bytes(&payload), ret_payload);
}

int key_change_outer(const char *protected_b64, const char *payload_b64,
                     struct bytes signature, struct buf *ret)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r;

    r = b64url_encode(signature, &text);
    return r ? r
             : buf_printf(ret,
                          "{\"protected\":\"%s\",\"payload\":\"%s\","
                          "\"signature\":\"%s\"}",
                          protected_b64, payload_b64, buf_str(&text));
}
