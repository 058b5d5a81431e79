/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-lookup.h"

/*
 * What is to change in a name's CAA records (RFC 8659, RFC 8657) when one
 * account of a CA is in other hands: records that allow it go. Pure. It is only
 * ever shown: CAA records are the zone's owner's.
 */

struct caa_change_question {
    const char *issuer;  /* the CA's name in records */
    const char *lost;    /* URL of the account */
    const char *instead; /* of the one that takes its place; NULL: none yet */
};

/* caa_change_fn - one record to be removed or added: "0 issue "ca.example"".
 * Return: 0; nonzero ends it and is returned. */
typedef int (*caa_change_fn)(bool remove, const char *record, void *userdata);

/**
 * caa_change() - at one name
 * @records: that stand at the very name; none: what is above it counts so far
 *
 * Without another account to be named, and with nobody else allowed, every CA
 * is forbidden until there is one.
 *
 * Return: 0; -ENOMEM; what @fn returned.
 */
int caa_change(const struct dns_value *records, size_t n,
               const struct caa_change_question *q, caa_change_fn fn,
               void *userdata) MUST_CHECK;
