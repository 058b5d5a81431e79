/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

/*
 * The TXT records of dns-persist-01 (draft-ietf-acme-dns-persist, design
 * section 10): made, read, and judged as a CA judges them. The value is an
 * issue-value of RFC 8659 section 4.2.
 */

#define PERSIST_LABEL "_validation-persist"
#define PERSIST_PREFIX_MAX 512      /* octets of accountHashPrefix */
#define PERSIST_ACCOUNTURI_MAX 1024 /* as ACME_URL_MAX */
#define PERSIST_STRING_MAX 255      /* octets of one string of a TXT record */
#define PERSIST_UNTIL_MAX INT64_C(253402300799) /* the end of the year 9999 */

/*
 * What keeps records from authorizing: stable codes, listed in guardianctl(1).
 * MALFORMED ones are of a record that names our issuer and that a CA cannot
 * read; the others in the order in which a CA finds them, so that the last one
 * that any record reached is the nearest to being valid.
 */
#define PERSIST_REASON_TABLE(X)                                                \
    X(NO_RECORD, UNAUTHORIZED, "no-record", "there is no record")              \
    X(OTHER_ISSUER, UNAUTHORIZED, "other-issuer",                              \
      "no record names the CA's issuer name")                                  \
    X(OTHER_ACCOUNT, UNAUTHORIZED, "other-account",                            \
      "accounturi is that of another account, key or domain")                  \
    X(NO_WILDCARD_POLICY, UNAUTHORIZED, "no-wildcard-policy",                  \
      "a wildcard needs policy=wildcard")                                      \
    X(EXPIRED, UNAUTHORIZED, "expired", "persistUntil is in the past")         \
    X(BAD_ISSUER, MALFORMED, "bad-issuer",                                     \
      "the issuer name is missing or no plain host name")                      \
    X(EMPTY_PARAMETER, MALFORMED, "empty-parameter",                           \
      "nothing stands after a semicolon")                                      \
    X(NO_EQUALS_SIGN, MALFORMED, "no-equals-sign",                             \
      "a parameter has no equals sign")                                        \
    X(BAD_TAG, MALFORMED, "bad-tag",                                           \
      "a parameter's name is not letters, digits and inner hyphens")           \
    X(BAD_PARAMETER_VALUE, MALFORMED, "bad-parameter-value",                   \
      "a parameter's value has a space, a control character or no ASCII")      \
    X(DUPLICATE_PARAMETER, MALFORMED, "duplicate-parameter",                   \
      "a parameter is there twice")                                            \
    X(NO_ACCOUNTURI, MALFORMED, "no-accounturi",                               \
      "accounturi is missing or empty")                                        \
    X(BAD_PERSIST_UNTIL, MALFORMED, "bad-persist-until",                       \
      "persistUntil is no number of seconds since 1970")

enum persist_reason {
    PERSIST_REASON_UNSET = 0,
#define X(name, verdict, code, text) PERSIST_REASON_##name,
    PERSIST_REASON_TABLE(X)
#undef X
        PERSIST_REASON_COUNT
};

enum persist_verdict {
    PERSIST_UNSET = 0,
    PERSIST_VALID,
    PERSIST_UNAUTHORIZED,
    PERSIST_MALFORMED,
};

/* persist_reason_code() - "other-account"; "unset" for PERSIST_REASON_UNSET. */
const char *persist_reason_code(enum persist_reason reason);
/* persist_reason_text() - what is wrong, in words, without a full stop. */
const char *persist_reason_text(enum persist_reason reason);
enum persist_verdict persist_reason_verdict(enum persist_reason reason);
const char *persist_verdict_name(enum persist_verdict verdict); /* "valid" */

/**
 * persist_prefix_check() - a CA's accountHashPrefix
 *
 * https (plain http to a loopback address), a host as acme/url.h wants it, a
 * path, and nothing that could not stand in a record's value: no ';', space,
 * control character, quote, fragment or broken percent-encoding.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int persist_prefix_check(struct bytes prefix,
                         struct refusal *ret_refusal) MUST_CHECK;

/**
 * persist_accounturi() - the key-bound accounturi of draft 02 section 4.1
 * @domain:     in the form that domain_normalize() gives; or "*", the value for
 *              every domain of the account
 * @thumbprint: of the account's key, 43 characters
 * @ret:        appended to
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int persist_accounturi(const char *prefix, const char *domain,
                       const char *thumbprint, const char *account_url,
                       struct buf *ret, struct refusal *ret_refusal) MUST_CHECK;

struct persist_record {
    const char *issuer;
    const char *accounturi; /* the account's URL, or key-bound */
    bool wildcard;
    int64_t until_s; /* 0: without persistUntil */
};

/**
 * persist_format() - the value of a record, appended to @ret
 *
 * What no CA would accept is refused. Time is not looked at: who shows or
 * publishes a record has persist_judge() find its value valid now.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int persist_format(const struct persist_record *record, struct buf *ret,
                   struct refusal *ret_refusal) MUST_CHECK;

/* persist_split() - a value as zone files write it: "..." "...", at most 255
 * octets each, quotes, backslashes and what is not printable escaped. */
int persist_split(struct bytes value, struct buf *ret) MUST_CHECK;

/* persist_issuer() - what stands where the issuer's name should, also in a
 * value that is malformed; borrowed from @value, may be empty. */
struct bytes persist_issuer(struct bytes value);

struct persist_parsed {
    char *issuer; /* as written, any case */
    char *accounturi;
    bool wildcard;
    bool has_until;
    int64_t until_s;
};

/**
 * persist_parse() - the value of a TXT record, its strings joined
 * @ret: written on success only; to be freed by persist_parsed_deinit()
 *
 * Tags are matched in any case, unknown ones ignored, none may be there twice
 * (draft section 9.3.1); a policy other than "wildcard" is none.
 *
 * Return: 0; REFUSED with a reason of the verdict MALFORMED; -ENOMEM.
 */
int persist_parse(struct bytes value, struct persist_parsed *ret,
                  enum persist_reason *ret_reason) MUST_CHECK;
void persist_parsed_deinit(struct persist_parsed *p);
#define CLEANUP_PERSIST_PARSED CLEANUP(persist_parsed_deinit)

struct persist_question {
    bool wildcard;               /* for *.domain */
    const char *const *issuers;  /* the CA's names, NULL-ended */
    const char *const *accepted; /* accounturi values, NULL-ended */
    int64_t now_s;
};

/**
 * persist_judge() - would a CA that finds these records accept one?
 * @values:     each record's strings joined; all that the name has
 * @ret_reason: PERSIST_REASON_UNSET if valid
 *
 * As draft section 4.3.2 says, and Boulder and Pebble do: records of other
 * issuers are ignored, one that fits is enough; else one that names the issuer
 * and cannot be read makes it malformed, else it is unauthorized. Of several
 * reasons the one nearest to valid is told. persistUntil itself is still good.
 *
 * MALFORMED is no promise that every CA refuses: some overlook a wrong tag or a
 * plus sign. Who looks for what must not be there looks at malformed ones, too.
 *
 * Return: 0; -ENOMEM.
 */
int persist_judge(const struct bytes *values, size_t n_values,
                  const struct persist_question *q,
                  enum persist_verdict *ret_verdict,
                  enum persist_reason *ret_reason) MUST_CHECK;
