/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-child.h"

/* DNS messages, written and read with ldns: in the DNS child and nowhere else.
 */

#define DNS_MESSAGE_HEADER 12
#define DNS_MESSAGE_MAX 65535

/* dns_message_put_query() - Return: 0; -EINVAL for a name that cannot be;
 * -ENOMEM. */
int dns_message_put_query(const struct dns_query *q, uint16_t id, bool edns,
                          struct buf *ret) MUST_CHECK;

/* dns_message_answers() - has the id and the question of @request. An error may
 * come without a question. */
bool dns_message_answers(struct bytes wire, struct bytes request);

bool dns_message_truncated(struct bytes wire);

/* dns_message_rcode() - the header's four bits. */
unsigned dns_message_rcode(struct bytes wire);

/**
 * dns_message_read() - the answer for dns_wire_read_answer(), also when it is
 * that the message cannot be read
 * @local: nobody but this host can have sent it
 *
 * Return: 0; -ENOMEM.
 */
int dns_message_read(struct bytes wire, uint32_t id, bool local,
                     struct buf *ret) MUST_CHECK;

/* What the answer to an update is verified with (RFC 8945 section 5.3.1). */
struct dns_message_mac {
    uint8_t data[64];
    size_t len;
};

/**
 * dns_message_put_update() - with its TSIG
 * @u: with its key
 *
 * Return: 0; -EINVAL: a name that cannot be; -E2BIG; -ENOMEM.
 */
int dns_message_put_update(const struct dns_update *u, uint16_t id,
                           struct buf *ret,
                           struct dns_message_mac *ret_mac) MUST_CHECK;

/* dns_message_read_update() - what the server said about it, and whether it is
 * the server's word. @now_s: the time of day. */
void dns_message_read_update(struct bytes wire, const struct dns_update *u,
                             const struct dns_message_mac *mac, int64_t now_s,
                             struct dns_update_result *ret);
