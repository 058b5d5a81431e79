/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

#define IDENTIFIERS_MAX 100

enum identifier_type {
    IDENTIFIER_UNSET = 0,
    IDENTIFIER_DNS,
    IDENTIFIER_IP,
};

/* One identifier (RFC 8555 section 9.7.7, RFC 8738). */
struct identifier {
    enum identifier_type type;
    char *value;      /* "*.example.com" keeps its star; IP canonical text */
    uint8_t addr[16]; /* IP only */
    size_t addr_len;  /* 4 or 16 */
};

struct identifiers {
    struct identifier *items;
    size_t n;
};

/* identifiers_add() - checked by dns_name_check() or ip_text_check(). At most
 * IDENTIFIERS_MAX. Return: 0; REFUSED; -ENOMEM. */
int identifiers_add(struct identifiers *ids, enum identifier_type type,
                    struct bytes value, struct refusal *ret_refusal) MUST_CHECK;
bool identifiers_has(const struct identifiers *ids, enum identifier_type type,
                     struct bytes value);
void identifiers_deinit(struct identifiers *ids);
