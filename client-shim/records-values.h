/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "client-shim/ctl.h"

/*
 * The values that should stand in DNS, from the daemon, page by page: any
 * number of records, and the memory of one page. Shared by what renders,
 * publishes, checks and audits them.
 */

/* One record as it should be published. Borrowed, for the call it is given
 * to. */
struct records_value {
    const char *account;
    const char *domain; /* normal form */
    const char *owner;  /* _validation-persist.DOMAIN, no trailing dot */
    const char *issuer;
    const char *accounturi; /* the account's URL, or key-bound */
    const char *value;      /* of the TXT record, not split */
    int64_t until_s;        /* persistUntil; 0: none */
    bool wildcard;
    bool reusable; /* key-bound, the same for all domains of the account */
    bool key_bound;
    bool expired;
    bool denied; /* by NameDeny or [Deny]: not to be published */
    bool staging;
    json_t *row; /* all of it, as the daemon said it */
};

/* Which: all that are NULL do not narrow. */
struct records_filter {
    const char *account;
    const char *domain; /* normal form */
    const char *form;   /* "url" or "key-bound"; NULL: the directory's */
    const char *key;    /* "new" or "old" of the account's rotation; NULL: the
                           one that it has now */
};

typedef int (*records_value_fn)(const struct records_value *v, void *userdata);

/**
 * records_values_each() - call @fn for each value
 *
 * Opens a connection of its own to the admin socket. An account that is not
 * proven is proven first, so the command's options have CTL_CA_OPTIONS; if that
 * fails, or no proof would help, the refusal is printed and the iteration ends.
 * @fn may have been called for other accounts by then, and for other records of
 * this one (its issuer names are looked at one by one): what must be whole is
 * kept until the end.
 *
 * @fn returns 0 to go on; anything else ends it and is returned.
 *
 * Return: CTL_EXIT_DONE; what @fn returned; another exit code after the error
 * was printed.
 */
int records_values_each(const struct ctl_context *c,
                        const struct records_filter *filter,
                        records_value_fn fn, void *userdata) MUST_CHECK;

/* records_value_read() - a row of RecordValues' answer. False: a member is
 * missing or of a wrong type. */
bool records_value_read(json_t *row, struct records_value *ret) MUST_CHECK;
