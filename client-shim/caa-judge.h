/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-lookup.h"

/*
 * What CAA records (RFC 8659, RFC 8657) mean for one account at one CA. Pure.
 * Looking for the records that count, up from the name, is the caller's.
 */

/* Verdict, code, words. */
#define CAA_TABLE(X)                                                           \
    X(NONE, true, "no-caa", "no CAA restricts it: any CA may issue")           \
    X(ISSUER, true, "allowed", "CAA allows this CA, any account of it")        \
    X(ACCOUNT, true, "allowed-account", "CAA allows this very account")        \
    X(OTHER_ISSUER, false, "other-issuer",                                     \
      "CAA names other CAs, not this one")                                     \
    X(NOBODY, false, "nobody", "CAA forbids every CA")                         \
    X(OTHER_ACCOUNT, false, "other-account",                                   \
      "CAA allows this CA, but another account of it")                         \
    X(OTHER_METHOD, false, "other-method",                                     \
      "CAA allows this CA, but not by dns-persist-01")                         \
    X(CRITICAL, false, "critical",                                             \
      "CAA has a critical property that no CA may pass over")

enum caa_meaning {
    CAA_UNSET = 0,
#define X(name, allows, code, words) CAA_##name,
    CAA_TABLE(X)
#undef X
        CAA_COUNT
};
bool caa_allows(enum caa_meaning m);
const char *caa_code(enum caa_meaning m);
const char *caa_words(enum caa_meaning m);

struct caa_question {
    const char *issuer;      /* the CA's name in records */
    const char *account_url; /* or NULL: not registered */
    bool wildcard;           /* for *.NAME: issuewild counts, if it is there */
};

/* caa_judge() - @records: those that count; none: CAA_NONE. */
enum caa_meaning caa_judge(const struct dns_value *records, size_t n,
                           const struct caa_question *q);
