/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>

#include "pkcs11/backend.h"

DEFINE_CLEANUP(P11KitUri *, p11_kit_uri_free)
#define CLEANUP_TOKEN_URI CLEANUP(p11_kit_uri_free_p)

/**
 * token_uri_parse() - a Token= value (RFC 7512)
 *
 * Refused: a PIN or where to get one, a module, a key, any attribute that is
 * not known. Free with p11_kit_uri_free().
 *
 * Return: TOKEN_S_OK; TOKEN_S_NO_TOKEN.
 */
enum token_result token_uri_parse(const char *text, P11KitUri **ret,
                                  struct backend_error *reterr) MUST_CHECK;

/**
 * key_uri_parse() - a key on our token: the same, with an object or an id
 *
 * Return: TOKEN_S_OK; TOKEN_S_NO_KEY.
 */
enum token_result key_uri_parse(const char *text, P11KitUri **ret,
                                struct backend_error *reterr) MUST_CHECK;

/* token_uri_only() - the verdict on how many tokens a Token= matches. Return:
 * TOKEN_S_OK for one; TOKEN_S_NO_TOKEN. */
enum token_result token_uri_only(const char *text, unsigned matches,
                                 struct backend_error *reterr) MUST_CHECK;

/* token_uri_text() - a blank-padded field of a CK_*_INFO as a string. */
void token_uri_text(const unsigned char *field, size_t n, char *ret,
                    size_t ret_size);

/* token_uri_info() - such a struct from strings (NULL: empty), for matching. */
CK_TOKEN_INFO token_uri_info(const char *label, const char *manufacturer,
                             const char *model, const char *serial);
