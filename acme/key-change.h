/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"

/*
 * Key rollover (RFC 8555 section 7.3.5): a JWS of the new key, which says that
 * it takes the old one's place, is the payload of one of the old key.
 */

/**
 * key_change_inner() - what the new key signs
 * @url: the directory's keyChange, the same as in the outer header
 *
 * The protected header {alg, jwk, url} and the payload {account, oldKey}, each
 * as base64url, appended.
 *
 * Return: 0; -EINVAL: the keys are the same; -ENOMEM.
 */
int key_change_inner(const struct jwk *old_key, const struct jwk *new_key,
                     const char *account_url, const char *url,
                     struct buf *ret_protected,
                     struct buf *ret_payload) MUST_CHECK;

/**
 * key_change_outer() - the outer payload: the inner JWS, flattened
 * @protected_b64, @payload_b64: of key_change_inner()
 * @signature: raw
 *
 * Appends JSON text.
 */
int key_change_outer(const char *protected_b64, const char *payload_b64,
                     struct bytes signature, struct buf *ret) MUST_CHECK;
