/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-rotate.h"

#include <errno.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/key-change.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/outside-key.h"

/*
 * The signatures of a key that is on no token: the old one of an account that
 * is adopted, the new one of an account that leaves. Only what the daemon has
 * composed, and the inner JWS of the rotation's own keyChange.
 */

static int set_signature(json_t *jws, const struct buf *raw)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (b64url_encode(buf_bytes(raw), &text) ||
        json_object_set_new(jws, "signature", json_string(buf_str(&text))))
        return ctl_fail_errno(-ENOMEM, "signature");
    return CTL_EXIT_DONE;
}

int ctl_rotate_sign_outside(const struct ctl_conversation *v, json_t *jws)
{
    CLEANUP_BUF struct buf raw = { 0 };
    const char *head = ctl_string(jws, "protected");
    const char *payload = ctl_string(jws, "payload");
    int r;

    if (!v->outside)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: this is signed by a key outside, whose file has "
                        "to be named",
                        v->account);
    if (!head || !payload)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no request to be signed");
    r = outside_key_sign_parts(v->outside, head, payload, &raw);
    return r ? ctl_fail_errno(r, v->account) : set_signature(jws, &raw);
}

struct inner {
    struct jwk old_key;
    struct buf head, payload, signature;
};

static void inner_deinit(struct inner *i)
{
    buf_deinit(&i->head);
    buf_deinit(&i->payload);
    buf_deinit(&i->signature);
}

static int compose(const struct ctl_conversation *v, const json_t *rotation,
                   struct inner *i)
{
    const char *account_url = ctl_string(ctl_conversation_facts(v), "url");
    const char *url =
        ctl_string(json_object_get(v->shown, "endpoints"), "keyChange");
    const json_t *old_key = json_object_get(rotation, "oldKey");

    if (!account_url || !url || !old_key ||
        jwk_read(old_key, &i->old_key, NULL))
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the daemon does not say what changes", v->account);
    if (key_change_inner(&i->old_key, outside_key_public(v->outside),
                         account_url, url, &i->head, &i->payload) ||
        outside_key_sign_parts(v->outside, buf_str(&i->head),
                               buf_str(&i->payload), &i->signature))
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: cannot sign the key change",
                        v->account);
    return CTL_EXIT_DONE;
}

/* The rotation and the account as they are now. */
static int look(struct ctl_conversation *v, json_t **ret)
{
    int r = ctl_conversation_select(v, v->account);

    return r ? r
             : ctl_daemon_call(&v->daemon, "RotationStatus",
                               json_pack("{s:s}", "account", v->account), ret);
}

int ctl_rotate_sign_inner(struct ctl_conversation *v, json_t *p)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_CTL_JSON json_t *jws = NULL;
    CLEANUP(inner_deinit) struct inner i = { 0 };
    const json_t *rotation;
    const char *kind;
    int r;

    r = look(v, &answer);
    if (r)
        return r;
    rotation = json_array_get(json_object_get(answer, "rotations"), 0);
    kind = ctl_string(rotation, "kind");
    if (!kind || strcmp(kind, "release") != 0)
        return CTL_EXIT_DONE;
    r = compose(v, rotation, &i);
    if (r)
        return r;
    jws = json_pack("{s:s, s:s}", "protected", buf_str(&i.head), "payload",
                    buf_str(&i.payload));
    if (!jws || json_object_set(p, "inner", jws))
        return ctl_fail_errno(-ENOMEM, v->account);
    return set_signature(jws, &i.signature);
}
