/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/asn1t.h>

#include "acme/reason.h"
#include "base/bytes.h"

/*
 * DER (X.690) as every reader reads it. OpenSSL decodes BER and keeps the
 * octets of names and of whole signed parts as they came, so encoding again
 * does not show what another reader would have stumbled over.
 */

#define DER_DEPTH 24

/**
 * der_check() - exactly one value, and every value in it, in DER
 *
 * Lengths definite and shortest, no constructed strings, primitive values in
 * their one form, members of a SET in order. What an OCTET STRING or BIT STRING
 * contains is not looked at.
 *
 * Return: 0; REFUSED (bad-der); -ENOMEM.
 */
int der_check(struct bytes der, struct refusal *ret_refusal) MUST_CHECK;

/* der_encode_anew_fn - makes OpenSSL encode what it would else keep as it came,
 * such as the signed part of a certificate. Return: <= 0: it cannot. */
typedef int (*der_encode_anew_fn)(ASN1_VALUE *value);

/**
 * der_decode() - der_check(), decode, and compare what it encodes to
 * @it:   the type; free the result with ASN1_item_free()
 * @anew: called before it is encoded; may be NULL
 *
 * Return: 0; REFUSED (bad-der); -ENOMEM.
 */
int der_decode(struct bytes der, const ASN1_ITEM *it, der_encode_anew_fn anew,
               ASN1_VALUE **ret, struct refusal *ret_refusal) MUST_CHECK;

/* der_same() - takes what an i2d function gave: its length and octets. */
bool der_same(struct bytes der, int len, const uint8_t *data);
