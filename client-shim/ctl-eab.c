/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-account.h"

#include <errno.h>
#include <string.h>

#include "acme/eab.h"
#include "acme/json-strict.h"
#include "client-shim/credential.h"

/*
 * External Account Bindings (RFC 8555 section 7.3.4). The MAC key exists here
 * from the moment it is read until the binding is made; the daemon, which signs
 * the request around the binding, never has it.
 */

/* *ret is the key itself, decoded. */
static int read_key(const struct ctl_context *c, const char *source,
                    struct secret **ret)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    CLEANUP_SECRET struct secret *text = NULL;
    struct errmsg err = { 0 };
    int r;

    r = ctl_settings(c, &settings);
    if (r)
        return r;
    if (secrets_init(settings->allow_swappable, &err))
        return ctl_fail_at(CTL_EXIT_UNAVAILABLE, &err);
    r = credential_read(source, &text, &err);
    if (r)
        return ctl_fail_load(r, &err, source);
    r = eab_key_decode(text, ret);
    if (r == EAB_E_ENCODING)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: is no base64url text, as CAs show HMAC keys",
                        source);
    if (r == EAB_E_SHORT)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: an HMAC key has at least %d octets", source,
                        EAB_KEY_MIN);
    return r ? ctl_fail_errno(r, source) : CTL_EXIT_DONE;
}

static int account_key(const struct ctl_conversation *v, struct jwk *ret)
{
    const json_t *jwk = json_object_get(ctl_conversation_facts(v), "jwk");

    if (!jwk || jwk_read(jwk, ret, NULL))
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the daemon shows no key of this account",
                        v->account);
    return CTL_EXIT_DONE;
}

int ctl_eab_make(const struct ctl_conversation *v,
                 const struct ctl_registration *g, const char *new_account,
                 json_t **ret)
{
    struct jwk jwk;
    int r = account_key(v, &jwk);

    return r ? r : ctl_eab_make_for(v, &jwk, g, new_account, ret);
}

int ctl_eab_make_for(const struct ctl_conversation *v, const struct jwk *jwk,
                     const struct ctl_registration *g, const char *new_account,
                     json_t **ret)
{
    CLEANUP_SECRET struct secret *key = NULL;
    CLEANUP_BUF struct buf text = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = read_key(v->context, g->eab_key, &key);
    if (r)
        return r;
    r = eab_compose(jwk, g->eab_kid, new_account, key, &text, &refusal);
    if (r == REFUSED)
        return ctl_fail(CTL_EXIT_CONFIG, "external account %.100s: %s",
                        g->eab_kid, refusal.detail);
    if (r == 0)
        r = json_strict_read(buf_bytes(&text), ret, &refusal);
    return r ? ctl_fail_errno(r < 0 ? r : -EINVAL, "external account")
             : CTL_EXIT_DONE;
}
