/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The CAs that we know: the names for `--ca`, and which directory may speak for
 * which issuer name (design section 10). An issuer name in a record authorizes
 * whoever the DNS and CAA world knows by that name, so a directory under
 * another origin must not be able to make us publish it.
 */

struct known_ca {
    const char *name;  /* "letsencrypt-staging" */
    const char *title; /* "Let's Encrypt (staging)" */
    const char *directory;
    const char *origin;         /* of the directory: "https://ca.example" */
    const char *const *issuers; /* its CAA issuer names, NULL-ended */
    bool staging;               /* its certificates are trusted by nobody */
    bool external_account;      /* wants an External Account Binding */
};

/* known_ca_at() - in the order of listings; NULL behind the last. */
const struct known_ca *known_ca_at(size_t i);
const struct known_ca *known_ca_find(const char *name);
/* known_ca_of_directory() - the one at that URL, else the first one at that
 * origin, which may have more directories; NULL. */
const struct known_ca *known_ca_of_directory(const char *directory_url);

enum known_issuer {
    KNOWN_ISSUER_UNSET = 0, /* no lower-case host name: never to be used */
    KNOWN_ISSUER_OK,        /* the directory's own, by the table */
    KNOWN_ISSUER_UNTABLED,  /* neither is known: the operator must type it */
    KNOWN_ISSUER_MISMATCH,  /* "issuer-origin-mismatch", without override */
};

/**
 * known_issuer_check() - may a directory speak for this issuer name?
 *
 * MISMATCH: the name is that of a CA in the table and the directory is not
 * under its origin, or the origin is that of a CA in the table and the name is
 * not its. Host names compare in any case; another port is another origin.
 */
enum known_issuer known_issuer_check(const char *issuer,
                                     const char *directory_url);
