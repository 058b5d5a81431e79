/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-child.h"

/*
 * What goes between guardianctl and its DNS child: one packet, one message,
 * pure functions on both sides. The child's are not trusted: readers check
 * every length, every name and every text, and refuse what is left over.
 */

enum dns_wire_kind {
    DNS_WIRE_UNSET = 0,
    DNS_WIRE_QUERY,
    DNS_WIRE_KEY,    /* of the update that follows: struct dns_wire_key */
    DNS_WIRE_UPDATE, /* all of it but the key */
    DNS_WIRE_ANSWER,
    DNS_WIRE_RESULT,
};

#define DNS_WIRE_KEY_MAX 512
#define DNS_WIRE_REQUEST_MAX (96 * 1024)

struct dns_wire_key {
    uint32_t kind;
    uint32_t len;
    uint8_t key[DNS_WIRE_KEY_MAX];
};

/* A request as the child reads it; everything borrowed from the message. */
struct dns_wire_request {
    enum dns_wire_kind kind;
    uint32_t id;
    struct dns_query query;
    struct dns_update update; /* without its key */
    struct dns_change changes[DNS_UPDATE_MAX];
};

int dns_wire_put_query(struct buf *b, uint32_t id,
                       const struct dns_query *q) MUST_CHECK;
/* Return: 0; -E2BIG; -ENOMEM. */
int dns_wire_put_update(struct buf *b, uint32_t id,
                        const struct dns_update *u) MUST_CHECK;
bool dns_wire_read_request(struct bytes message, struct dns_wire_request *ret);

/*
 * The answer is written piece by piece: dns_wire_put_answer() for all but the
 * records, then dns_wire_put_rr() for each, then dns_wire_end_answer().
 */
struct dns_wire_writer {
    struct buf *b;
    uint32_t n_rrs;
    size_t n_at;     /* where the count of records goes */
    size_t owner_at; /* where the last owner stands */
    size_t owner_len;
};
int dns_wire_put_answer(struct buf *b, uint32_t id, const struct dns_answer *a,
                        struct dns_wire_writer *ret) MUST_CHECK;
/* Return: 0; -E2BIG when that is too much for one answer; -ENOMEM. */
int dns_wire_put_rr(struct dns_wire_writer *w,
                    const struct dns_rr *rr) MUST_CHECK;
void dns_wire_end_answer(struct dns_wire_writer *w);

int dns_wire_put_result(struct buf *b, uint32_t id,
                        const struct dns_update_result *u) MUST_CHECK;

/**
 * dns_wire_read_answer() - checked, copied
 *
 * Return: 0; DNS_WIRE_E_INVALID; -ENOMEM.
 */
int dns_wire_read_answer(struct bytes message, uint32_t *ret_id,
                         struct dns_answer *ret) MUST_CHECK;
int dns_wire_read_result(struct bytes message, uint32_t *ret_id,
                         struct dns_update_result *ret) MUST_CHECK;
#define DNS_WIRE_E_INVALID 1
