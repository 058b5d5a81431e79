/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"
#include "client-shim/records-values.h"
#include "client-shim/zones.h"

/*
 * One record as text, appended to a buffer. Names are absolute, so that no
 * $ORIGIN changes them. Lines end with a newline.
 */

/* records_text_txt() - "[@prefix]OWNER. TTL IN TXT "..." "..."". */
int records_text_txt(const char *prefix, const char *owner, uint32_t ttl_s,
                     const char *value, struct buf *b) MUST_CHECK;

/* records_text_cname() - "[@prefix]OWNER. TTL IN CNAME TARGET.". */
int records_text_cname(const char *prefix, const char *owner, uint32_t ttl_s,
                       const char *target, struct buf *b) MUST_CHECK;

/**
 * records_caa_value() - what CAA says to the same effect (RFC 8659, RFC 8657)
 * @account_url: also of key-bound records: the CA compares CAA with that
 *
 * "ISSUER; accounturi=URL; validationmethods=dns-persist-01", appended.
 *
 * Return: 0; RECORDS_TEXT_E_URL if the URL cannot stand in CAA; -ENOMEM.
 */
int records_caa_value(const char *issuer, const char *account_url,
                      struct buf *ret) MUST_CHECK;
#define RECORDS_TEXT_E_URL 1

/* records_text_caa() - "[@prefix]DOMAIN. TTL IN CAA 0 issue "..."", and for a
 * wildcard one of issuewild. Return: as records_caa_value(). */
int records_text_caa(const char *prefix, const struct records_value *v,
                     uint32_t ttl_s, const char *account_url,
                     struct buf *b) MUST_CHECK;

/* What a record's JSON says beside the daemon's facts. */
struct records_place {
    const struct zone *zone; /* NULL: no file for it */
    const char *write_owner;
    uint32_t ttl_s;
    const char *account_url; /* of the CAA records; NULL: without them */
};

/* records_text_json() - one object, no newline. Return: as
 * records_caa_value(). */
int records_text_json(const struct records_value *v,
                      const struct records_place *place,
                      struct buf *b) MUST_CHECK;
