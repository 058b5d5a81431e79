/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/account.h"

/**
 * authorization_url_check() - may {"status":"deactivated"} be signed to @url?
 *
 * The same payload ends the account when the CA reads the URL as the account's,
 * and several CAs read it more loosely than they write it: in other case, with
 * zeros or a sign before a number, with something behind it. So nothing passes
 * that lies beside the account URL or below it, in whatever case; nor an
 * endpoint of the directory, nor what a client could not have signed to either.
 *
 * Return: 0; REFUSED.
 */
int authorization_url_check(const char *url, const struct acme_account *a,
                            struct refusal *ret_refusal) MUST_CHECK;
