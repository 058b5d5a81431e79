/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/jwk.h"
#include "base/errmsg.h"

/*
 * Stubs: what a client that signs through OpenSSL has in place of its account
 * key. A stub says where the key is; nothing in it is secret.
 *
 *   -----BEGIN ACME GUARDIAN ACCOUNT-----
 *   AcmeGuardianAccount ::= SEQUENCE {
 *       version    INTEGER (1),
 *       socket     UTF8String,               -- absolute path
 *       account    UTF8String,
 *       publicKey  SubjectPublicKeyInfo }    -- P-256, P-384, RSA 2048..4096
 *
 * in DER, one encoding for one stub. Pure: no file, no connection, no provider
 * is asked, and OpenSSL's error queue is left as it was, since this is read in
 * other people's processes and from within OpenSSL's own reading.
 */

#define STUB_LABEL "ACME GUARDIAN ACCOUNT"
#define STUB_VERSION 1
#define STUB_SOCKET_MAX 107 /* octets that a Unix socket's address takes */
#define STUB_ACCOUNT_MAX 32
#define STUB_DER_MAX 2048
#define STUB_TEXT_MAX 8192 /* with what stands before and after the block */

#define STUB_E_NONE 1    /* there is no stub in it */
#define STUB_E_INVALID 2 /* there is one, and *reterr says what is wrong */

struct stub {
    char socket[STUB_SOCKET_MAX + 1];
    char account[STUB_ACCOUNT_MAX + 1];
    struct jwk key;
};

/* stub_encode() - the DER, appended.
 * Return: 0; STUB_E_INVALID: no stub can say this; -ENOMEM. */
int stub_encode(const struct stub *stub, struct buf *ret,
                struct errmsg *reterr) MUST_CHECK;

/* stub_format() - the whole file, appended. Return: as stub_encode(). */
int stub_format(const struct stub *stub, struct buf *ret,
                struct errmsg *reterr) MUST_CHECK;

/* stub_decode() - Return: 0; STUB_E_INVALID; -ENOMEM. */
int stub_decode(struct bytes der, struct stub *ret,
                struct errmsg *reterr) MUST_CHECK;

/* stub_parse() - the first stub in @text, whatever stands before and after it.
 * Return: 0; STUB_E_NONE; STUB_E_INVALID; -ENOMEM. */
int stub_parse(struct bytes text, struct stub *ret,
               struct errmsg *reterr) MUST_CHECK;
