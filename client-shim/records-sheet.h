/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "base/errmsg.h"
#include "client-shim/records-values.h"
#include "client-shim/zones.h"

/*
 * Everything that records render prints, kept until all of it is known to be
 * good: a part of a zone file would be read as the whole. Grouped by the file
 * of the zone that a record stands in.
 */

enum records_format {
    RECORDS_FORMAT_UNSET = 0,
    RECORDS_ZONE,
    RECORDS_NSUPDATE,
    RECORDS_JSON,
    RECORDS_BIND_POLICY,
};

enum records_format records_format_parse(const char *word); /* UNSET: none */

struct records_style {
    enum records_format format;
    const struct zones *zones;
    bool has_ttl; /* else the zone's */
    uint32_t ttl_s;
    int64_t now_s;
};

struct records_sheet;

int records_sheet_new(const struct records_style *style,
                      struct records_sheet **ret) MUST_CHECK;
struct records_sheet *records_sheet_free(struct records_sheet *s);
DEFINE_CLEANUP(struct records_sheet *, records_sheet_free)
#define CLEANUP_RECORDS_SHEET CLEANUP(records_sheet_free_p)

/**
 * records_sheet_add() - one more record
 * @account_url: for CAA records; NULL: without them
 *
 * The value is judged once more as a CA would, now: what would not be accepted
 * is not shown, nor is what is denied.
 *
 * Return: 0; RECORDS_SHEET_E_LEFT_OUT with *reterr: this one has no place on
 * the sheet; RECORDS_SHEET_E_NO_KEY: nor has it, being in a zone that is not
 * updated with a TSIG key, so that there is nothing to grant; negative errno.
 */
int records_sheet_add(struct records_sheet *s, const struct records_value *v,
                      const char *account_url,
                      struct errmsg *reterr) MUST_CHECK;
#define RECORDS_SHEET_E_LEFT_OUT 1
#define RECORDS_SHEET_E_NO_KEY 2

size_t records_sheet_count(const struct records_sheet *s);

/* records_sheet_print() - Return: 0; -EIO: see ferror(). */
int records_sheet_print(const struct records_sheet *s, FILE *out) MUST_CHECK;
