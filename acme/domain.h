/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/dns-name.h"

#define DOMAIN_TEXT_MAX 1024

/**
 * domain_normalize() - a domain as people write it, in the one form that is
 * hashed, stored and published
 * @text: UTF-8; U- or A-labels in any case, one trailing dot allowed
 *
 * IDNA2008, with the non-transitional mapping of UTS 46 for letters in upper
 * case, so that "faß.de" stays a name of its own. Characters that would become
 * plain ASCII are refused. The result passes dns_name_check() without a
 * wildcard: records of "*.example.com" are those of "example.com".
 *
 * Return: 0; REFUSED (bad-dns-name); -ENOMEM.
 */
int domain_normalize(struct bytes text, char ret[static DNS_NAME_MAX + 1],
                     struct refusal *ret_refusal) MUST_CHECK;
