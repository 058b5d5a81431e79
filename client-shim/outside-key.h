/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"
#include "base/errmsg.h"
#include "base/secret.h"

/*
 * An account's private key that is not on a token: that of a client whose
 * account is adopted, or the one that an account leaves with. It exists in
 * memory of this process that is locked and never dumped, and is wiped when it
 * is freed. Never in argv, environment, JSON, errors or logs.
 */
struct outside_key;

/* outside_key_wipe_frees() - what OpenSSL frees is wiped from now on. At the
 * begin of main(): OpenSSL takes that before its first allocation only. */
void outside_key_wipe_frees(void);

/**
 * outside_key_init() - before the first key: locks the memory of the process
 *
 * Return, each with *reterr: 0; SECRET_E_NOT_LOCKABLE; negative errno, also
 * without outside_key_wipe_frees().
 */
int outside_key_init(struct errmsg *reterr) MUST_CHECK;

/**
 * outside_key_parse() - a client's key file
 *
 * PEM (PKCS#8, PKCS#1, SEC 1; what stands around it is passed over), DER, or a
 * private JWK (RFC 7517; members beside the key's are passed over). Public and
 * private part must belong together. @reterr says what it was, never what
 * stands in it.
 *
 * Return: 0; OUTSIDE_KEY_E_INVALID: no private key; _ENCRYPTED; _UNSUPPORTED:
 * of a kind that no account has; -ENOMEM; -ENOLCK.
 */
int outside_key_parse(const struct secret *file, struct outside_key **ret,
                      struct errmsg *reterr) MUST_CHECK;
#define OUTSIDE_KEY_E_INVALID 1
#define OUTSIDE_KEY_E_ENCRYPTED 2
#define OUTSIDE_KEY_E_UNSUPPORTED 3

/* outside_key_new() - @rsa_bits: 2048, 3072 or 4096, with RS256 alone.
 * Return: 0; -EINVAL; -EIO; -ENOMEM. */
int outside_key_new(enum jws_alg alg, unsigned rsa_bits,
                    struct outside_key **ret) MUST_CHECK;

enum outside_key_form {
    OUTSIDE_KEY_PEM = 0, /* PKCS#8 */
    OUTSIDE_KEY_DER,     /* PKCS#8 */
    OUTSIDE_KEY_JWK,     /* RFC 7517 */
};
/* outside_key_format() - not encrypted: for a file of mode 0600.
 * Return: 0; -EIO; -ENOMEM; -ENOLCK. */
int outside_key_format(const struct outside_key *key,
                       enum outside_key_form form,
                       struct secret **ret) MUST_CHECK;

/* outside_key_public() - borrowed. */
const struct jwk *outside_key_public(const struct outside_key *key);

/**
 * outside_key_sign() - a JWS signature over @input, raw, appended
 *
 * Verified before it is given out: one that a fault spoiled gives an RSA key
 * away.
 *
 * Return: 0; -EIO; -ENOMEM.
 */
int outside_key_sign(const struct outside_key *key, struct bytes input,
                     struct buf *ret) MUST_CHECK;

/**
 * outside_key_sign_parts() - the same over PROTECTED.PAYLOAD, as base64url
 * @protected_b64, @payload_b64: as the daemon composed them
 */
int outside_key_sign_parts(const struct outside_key *key,
                           const char *protected_b64, const char *payload_b64,
                           struct buf *ret) MUST_CHECK;

struct outside_key *outside_key_free(struct outside_key *key);
DEFINE_CLEANUP(struct outside_key *, outside_key_free)
#define CLEANUP_OUTSIDE_KEY CLEANUP(outside_key_free_p)
