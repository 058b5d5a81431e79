/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-message.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* After ours: where nobody included <stdbool.h> it makes its own bool. */
#include <ldns/ldns.h>

#include "client-shim/dns-wire.h"
#include "client-shim/net-answer.h"

/* What fits into an IPv6 packet that no link fragments (DNS flag day 2020). */
#define EDNS_SIZE 1232

static void pkt_free(ldns_pkt **p)
{
    ldns_pkt_free(*p);
}

static void ldns_octets_free(uint8_t **p)
{
    free(*p);
}

int dns_message_put_query(const struct dns_query *q, uint16_t id, bool edns,
                          struct buf *ret)
{
    CLEANUP(pkt_free) ldns_pkt *pkt = NULL;
    CLEANUP(ldns_octets_free) uint8_t *wire = NULL;
    size_t len = 0;

    if (ldns_pkt_query_new_frm_str(&pkt, q->name, (ldns_rr_type)q->type,
                                   LDNS_RR_CLASS_IN,
                                   q->recurse ? LDNS_RD : 0) != LDNS_STATUS_OK)
        return -EINVAL;
    ldns_pkt_set_id(pkt, id);
    ldns_pkt_set_ad(pkt, q->recurse);
    ldns_pkt_set_cd(pkt, q->without_checking);
    if (edns) {
        ldns_pkt_set_edns_udp_size(pkt, EDNS_SIZE);
        ldns_pkt_set_edns_do(pkt, true);
    }
    if (ldns_pkt2wire(&wire, pkt, &len) != LDNS_STATUS_OK)
        return -EINVAL;
    return buf_append(ret, wire, len);
}

/* After the one name at the header's end, type and class; 0: there is none. */
static size_t question_end(struct bytes m)
{
    size_t at = DNS_MESSAGE_HEADER;

    while (at < m.len && m.data[at] != 0 && m.data[at] < 64)
        at += (size_t)m.data[at] + 1;
    return at + 5 <= m.len && m.data[at] == 0 ? at + 5 : 0;
}

bool dns_message_answers(struct bytes wire, struct bytes request)
{
    size_t end = question_end(request);
    unsigned rcode;

    if (wire.len < DNS_MESSAGE_HEADER || end == 0 ||
        memcmp(wire.data, request.data, 2) != 0 || !(wire.data[2] & 0x80) ||
        (wire.data[2] & 0x78) != (request.data[2] & 0x78))
        return false;
    rcode = dns_message_rcode(wire);
    if (wire.data[4] == 0 && wire.data[5] == 0)
        return rcode != DNS_RCODE_NOERROR && rcode != DNS_RCODE_NXDOMAIN;
    if (wire.data[4] != 0 || wire.data[5] != 1 || wire.len < end)
        return false;
    for (size_t i = DNS_MESSAGE_HEADER; i < end; i++) {
        if (tolower(wire.data[i]) != tolower(request.data[i]))
            return false;
    }
    return true;
}

bool dns_message_truncated(struct bytes wire)
{
    return wire.data[2] & 0x02;
}

unsigned dns_message_rcode(struct bytes wire)
{
    return wire.data[3] & 0x0f;
}

/* Lower case, escaped, no dot at the end. Return: NULL: no memory. */
static char *name_text(const ldns_rdf *name)
{
    char *s = ldns_rdf2str(name);
    size_t n = s ? strlen(s) : 0;

    if (n > 1 && s[n - 1] == '.')
        s[n - 1] = '\0';
    for (size_t i = 0; i < n; i++)
        s[i] = (char)tolower((unsigned char)s[i]);
    return s;
}

static uint32_t rdf_u32(const ldns_rr *rr, size_t i)
{
    return ldns_rdf2native_int32(ldns_rr_rdf(rr, i));
}

/* A record in the reading: what @rr points to beside its owner. */
struct reading {
    struct dns_rr rr;
    char *owner;
    char *name;
    struct buf octets;
};
#define CLEANUP_READING CLEANUP(reading_deinit)

static void reading_deinit(struct reading *r)
{
    free(r->owner);
    free(r->name);
    buf_deinit(&r->octets);
}

static int read_address(struct reading *r, const ldns_rr *rr, int family)
{
    size_t len = family == AF_INET ? 4 : 16;

    if (ldns_rr_rd_count(rr) != 1 || ldns_rdf_size(ldns_rr_rdf(rr, 0)) != len)
        return -EBADMSG;
    r->rr.server =
        (struct dns_server){ .family = (uint32_t)family, .port = DNS_PORT };
    memcpy(r->rr.server.addr, ldns_rdf_data(ldns_rr_rdf(rr, 0)), len);
    return 0;
}

static int read_name(struct reading *r, const ldns_rr *rr)
{
    if (ldns_rr_rd_count(rr) < 1)
        return -EBADMSG;
    r->name = name_text(ldns_rr_rdf(rr, 0));
    r->rr.name = r->name;
    return r->name ? 0 : -ENOMEM;
}

/* For how long nothing is to be believed: the lesser of the SOA's own TTL and
 * its last field (RFC 2308 section 5). */
static int read_soa(struct reading *r, const ldns_rr *rr)
{
    if (ldns_rr_rd_count(rr) != 7)
        return -EBADMSG;
    r->rr.serial = rdf_u32(rr, 2);
    r->rr.number = rdf_u32(rr, 6);
    if (ldns_rr_ttl(rr) < r->rr.number)
        r->rr.number = ldns_rr_ttl(rr);
    return read_name(r, rr);
}

static int read_txt(struct reading *r, const ldns_rr *rr)
{
    int e = 0;

    for (size_t i = 0; e == 0 && i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *s = ldns_rr_rdf(rr, i);

        e = buf_append(&r->octets, ldns_rdf_data(s), ldns_rdf_size(s));
    }
    r->rr.rdata = buf_bytes(&r->octets);
    if (e == 0 && !dns_txt_ok(r->rr.rdata))
        e = -EBADMSG;
    return e;
}

/* A tag is of letters and digits, upper case as lower (RFC 8659 section 4.1).
 */
static int read_caa(struct reading *r, const ldns_rr *rr)
{
    size_t n = ldns_rr_rd_count(rr);
    const ldns_rdf *tag = ldns_rr_rdf(rr, 1);

    if (n < 2 || n > 3 || ldns_rdf_size(tag) < 2)
        return -EBADMSG;
    r->rr.number = ldns_rdf2native_int8(ldns_rr_rdf(rr, 0));
    r->name =
        strndup((const char *)ldns_rdf_data(tag) + 1, ldns_rdf_size(tag) - 1);
    if (!r->name)
        return -ENOMEM;
    /* A NUL would end the copy: "issue\0x" is no "issue". */
    if (strlen(r->name) != ldns_rdf_size(tag) - 1)
        return -EBADMSG;
    for (char *p = r->name; *p; p++) {
        if (!isalnum((unsigned char)*p))
            return -EBADMSG;
        *p = (char)tolower((unsigned char)*p);
    }
    r->rr.name = r->name;
    if (n == 3)
        r->rr.text = (struct bytes){ ldns_rdf_data(ldns_rr_rdf(rr, 2)),
                                     ldns_rdf_size(ldns_rr_rdf(rr, 2)) };
    return 0;
}

/* Return: 0; -EBADMSG; -ENOMEM; -ENOENT: nothing for us. */
static int read_rdata(struct reading *r, const ldns_rr *rr)
{
    switch ((int)ldns_rr_get_type(rr)) {
    case DNS_TYPE_A:
        return read_address(r, rr, AF_INET);
    case DNS_TYPE_AAAA:
        return read_address(r, rr, AF_INET6);
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
        return read_name(r, rr);
    case DNS_TYPE_SOA:
        return read_soa(r, rr);
    case DNS_TYPE_TXT:
        return read_txt(r, rr);
    case DNS_TYPE_CAA:
        return read_caa(r, rr);
    default:
        return -ENOENT;
    }
}

static int put_rr(struct dns_wire_writer *w, const ldns_rr *rr, bool authority)
{
    CLEANUP_READING struct reading r = { 0 };
    int e;

    if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
        return 0;
    e = read_rdata(&r, rr);
    if (e)
        return e == -ENOENT ? 0 : e;
    r.owner = name_text(ldns_rr_owner(rr));
    if (!r.owner)
        return -ENOMEM;
    r.rr.type = (enum dns_type)ldns_rr_get_type(rr);
    r.rr.authority = authority;
    r.rr.ttl_s = ldns_rr_ttl(rr);
    r.rr.owner = r.owner;
    return dns_wire_put_rr(w, &r.rr);
}

static int put_section(struct dns_wire_writer *w, const ldns_rr_list *list,
                       bool authority)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ldns_rr_list_rr_count(list); i++)
        r = put_rr(w, ldns_rr_list_rr(list, i), authority);
    return r;
}

static bool has_rrsig(const ldns_rr_list *list)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        if (ldns_rr_get_type(ldns_rr_list_rr(list, i)) == LDNS_RR_TYPE_RRSIG)
            return true;
    }
    return false;
}

static int put_message(const ldns_pkt *pkt, uint32_t id, bool local,
                       struct buf *ret)
{
    const ldns_rr_list *answer = ldns_pkt_answer(pkt);
    const ldns_rr_list *authority = ldns_pkt_authority(pkt);
    struct dns_wire_writer w = { 0 };
    struct dns_answer a = { .status = DNS_OK };
    int r;

    a.rcode = (unsigned)ldns_pkt_get_rcode(pkt) |
              (unsigned)ldns_pkt_edns_extended_rcode(pkt) << 4;
    a.authoritative = ldns_pkt_aa(pkt);
    a.authenticated = ldns_pkt_ad(pkt);
    a.local = local;
    a.is_signed = has_rrsig(answer) || has_rrsig(authority);
    r = dns_wire_put_answer(ret, id, &a, &w);
    if (r == 0)
        r = put_section(&w, answer, false);
    if (r == 0)
        r = put_section(&w, authority, true);
    if (r == 0)
        dns_wire_end_answer(&w);
    return r;
}

static int put_failure(uint32_t id, enum dns_status status, const char *text,
                       struct buf *ret)
{
    struct dns_answer a = { .status = status };
    struct dns_wire_writer w = { 0 };

    buf_clear(ret);
    net_text(a.text, DNS_TEXT_MAX, text, strlen(text));
    return dns_wire_put_answer(ret, id, &a, &w);
}

int dns_message_read(struct bytes wire, uint32_t id, bool local,
                     struct buf *ret)
{
    CLEANUP(pkt_free) ldns_pkt *pkt = NULL;
    ldns_status s;
    int r;

    buf_clear(ret);
    /* Cut, and yet it came over TCP: there is more than a message holds. */
    if (dns_message_truncated(wire))
        return put_failure(id, DNS_TOO_LARGE, "", ret);
    s = ldns_wire2pkt(&pkt, wire.data, wire.len);
    if (s != LDNS_STATUS_OK)
        return put_failure(id, DNS_MALFORMED, ldns_get_errorstr_by_id(s), ret);
    r = put_message(pkt, id, local, ret);
    if (r == -EBADMSG)
        return put_failure(id, DNS_MALFORMED, "a record of another form", ret);
    if (r == -E2BIG)
        return put_failure(id, DNS_TOO_LARGE, "", ret);
    return r;
}
