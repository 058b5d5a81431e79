/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-lookup.h"
#include "client-shim/records-kept.h"
#include "client-shim/records-ours.h"

/*
 * What should not be there: findings about one name, from what is published
 * and what is known here. Pure.
 */

/* Code, severity, words, what to do. The codes are listed in guardianctl(1). */
#define AUDIT_TABLE(X)                                                         \
    X(FOREIGN_ACCOUNT, "error", "foreign-account",                             \
      "an account that is not known here may issue",                           \
      "ask whose it is, and remove the record at the zone")                    \
    X(UNKNOWN_HASH, "error", "unknown-hash",                                   \
      "bound to an account, a key or a domain that is not known here",         \
      "ask whose it is, and remove the record at the zone")                    \
    X(SHARED_URL, "error", "shared-url",                                       \
      "two accounts here have one URL, so each can issue for the other",       \
      "register one of them anew")                                             \
    X(RETIRED_KEY, "warning", "retired-key",                                   \
      "bound to an earlier key of an account here; the CA may still accept",   \
      "guardianctl records publish --remove-old")                              \
    X(OTHER_FORM, "warning", "other-form",                                     \
      "names an account here by its URL, though the CA wants it key-bound",    \
      "guardianctl records publish --remove-old")                              \
    X(OTHER_ISSUER, "warning", "other-issuer",                                 \
      "an account at another CA may issue",                                    \
      "if nobody needs it, remove the record at the zone")                     \
    X(MALFORMED, "warning", "malformed", "a CA cannot read it",                \
      "correct or remove the record at the zone")                              \
    X(NO_RECORD_HERE, "warning", "no-record-here",                             \
      "an account here may issue, though it has no record for the name",       \
      "guardianctl records add, or records revoke")                            \
    X(DEAD_ACCOUNT, "warning", "dead-account",                                 \
      "names an account here that is not valid any more",                      \
      "guardianctl records revoke")                                            \
    X(EXPIRED, "warning", "expired", "persistUntil has passed",                \
      "guardianctl records add with a later --persist-until and records "      \
      "publish; a record of others: remove it at the zone")                    \
    X(EXPIRING, "warning", "expiring", "persistUntil is near",                 \
      "guardianctl records add with a later --persist-until, then records "    \
      "publish")                                                               \
    X(WILDCARD_WIDER, "warning", "wildcard-wider",                             \
      "has policy=wildcard, though the record here has not",                   \
      "guardianctl records publish")                                           \
    X(REUSABLE_WIDER, "warning", "reusable-wider",                             \
      "is the value for every domain of the account, though the record here "  \
      "is not reusable",                                                       \
      "guardianctl records publish")                                           \
    X(NOT_PUBLISHED, "warning", "not-published",                               \
      "there is a record here, but none in DNS",                               \
      "guardianctl records publish")                                           \
    X(OLD_LABEL, "warning", "old-label",                                       \
      "a leftover at _acme-persist, which no CA looks at any more",            \
      "remove the record at the zone")                                         \
    X(DENIED_NAME, "warning", "denied-name",                                   \
      "is denied here, but has records",                                       \
      "guardianctl records revoke, or NameAllow if it is to be used")          \
    X(UNKNOWN, "unknown", "unknown", "a server does not tell",                 \
      "see to the server, or name those to ask with Servers= of the zone's "   \
      "file")

enum audit_code {
    AUDIT_UNSET = 0,
#define X(name, severity, code, words, advice) AUDIT_##name,
    AUDIT_TABLE(X)
#undef X
        AUDIT_COUNT
};

const char *audit_severity(enum audit_code code);
const char *audit_word(enum audit_code code);   /* "foreign-account" */
const char *audit_words(enum audit_code code);  /* what it means */
const char *audit_advice(enum audit_code code); /* what to do */

/* A finding; all borrowed for the call it is given to. */
struct audit_finding {
    enum audit_code code;
    const char *name;    /* the domain; an account's */
    struct bytes value;  /* the record's; empty: none */
    const char *account; /* of ours, or NULL */
    const char *detail;  /* or NULL */
};
typedef int (*audit_fn)(const struct audit_finding *f, void *userdata);

struct audit_question {
    const char *domain;
    const struct kept_value *records; /* of the domain, of all accounts here;
                                         accounturi and value are not looked
                                         at */
    size_t n_records;
    const struct ours *ours;
    const char *const *issuers; /* of CAs that accounts here have; NULL-ended */
    const struct dns_result *now; /* at _validation-persist */
    const struct dns_result *old; /* at _acme-persist */
    bool denied;
    int64_t now_s;
    int64_t expiring_s; /* an end before that is near */
};

/* audit_name() - Return: 0; what @fn returned; -ENOMEM. */
int audit_name(const struct audit_question *q, audit_fn fn,
               void *userdata) MUST_CHECK;

/* audit_accounts() - about accounts and not names. */
int audit_accounts(const struct ours *o, audit_fn fn,
                   void *userdata) MUST_CHECK;

#define AUDIT_LABEL_BEFORE "_acme-persist"
