/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/admin-call.h"

/*
 * The guardian's own requests. The daemon composes them, so that not even an
 * administrator has anything else signed with the account's key.
 */

struct own_params {
    const char *nonce, *url, *payload;
    bool by_jwk;
    bool asks; /* whether the key is still the account's */
    const struct identifiers *identifiers; /* for the audit line, or NULL */
    /* What changes here with the request: after its audit line, before its
     * signature; NULL: nothing. Not 0: it is not signed, Busy. */
    int (*keep)(void *userdata);
    void *userdata;
};

/* own_account() - one that can sign now, and the nonce is one. NULL: it was
 * answered. */
struct account *own_account(struct guardian *g, struct varlink_call *call,
                            const char *name, const char *nonce) MUST_CHECK;

/* own_valid_account() - the same, and it is valid at the CA. */
struct account *own_valid_account(struct guardian *g, struct varlink_call *call,
                                  const char *name,
                                  const char *nonce) MUST_CHECK;

/* own_asked_account() - the same, or one of which only the CA can say whether
 * its key is still the account's: for the question itself, and for what ends
 * the account. */
struct account *own_asked_account(struct guardian *g, struct varlink_call *call,
                                  const char *name,
                                  const char *nonce) MUST_CHECK;

/* own_sign() - audited, kept, signed, and the answer. */
void own_sign(struct guardian *g, struct varlink_call *call, struct account *a,
              const struct own_params *p);

/* What a newAccount request says (admin-sign.c). */
struct registration_wish {
    const json_t *contacts, *binding; /* or NULL */
    bool agreed;
};
/* admin_registration_payload() - as JSON text, appended. */
int admin_registration_payload(const struct registration_wish *reg,
                               struct buf *b) MUST_CHECK;
/* admin_check_binding() - it binds @key, at this account's CA. False: it was
 * answered. */
bool admin_check_binding(struct varlink_call *call, const struct account *a,
                         const struct jwk *key, const json_t *binding,
                         char **ret_kid) MUST_CHECK;

/* own_nonce_ok() - 1 to 256 characters of base64url. */
bool own_nonce_ok(const char *nonce);
