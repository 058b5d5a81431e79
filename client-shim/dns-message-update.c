/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Updates (RFC 2136) and their signatures (RFC 8945). ldns computes the MACs;
 * what it does not look at is checked here: that the answer's algorithm is
 * ours, and its time of now.
 */
#include "client-shim/dns-message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* After ours: where nobody included <stdbool.h> it makes its own bool. */
#include <ldns/ldns.h>
#include <sodium.h>

#define FUDGE_S 300 /* RFC 8945 section 10 */

/* The answer to an update is a header, its zone and a TSIG. ldns verifies in a
 * buffer of one message, into which the request's MAC must fit beside it. */
#define UPDATE_ANSWER_MAX 4096

static void pkt_free(ldns_pkt **p)
{
    ldns_pkt_free(*p);
}

static void rdf_free(ldns_rdf **p)
{
    ldns_rdf_deep_free(*p);
}

static void list_free(ldns_rr_list **p)
{
    ldns_rr_list_deep_free(*p);
}

static void octets_free(uint8_t **p)
{
    free(*p);
}

/* ldns wants the key as base64 text. */
static int key_text(const struct secret *key, struct secret **ret)
{
    CLEANUP_SECRET struct secret *s = NULL;
    size_t len =
        sodium_base64_ENCODED_LEN(key->len, sodium_base64_VARIANT_ORIGINAL);
    int r = secret_new(len, &s);

    if (r)
        return r;
    (void)sodium_bin2base64((char *)s->data, len, key->data, key->len,
                            sodium_base64_VARIANT_ORIGINAL);
    *ret = TAKE_PTR(s);
    return 0;
}

static int push_strings(ldns_rr *rr, struct bytes rdata)
{
    size_t at = 0;

    while (at < rdata.len) {
        size_t n = (size_t)rdata.data[at] + 1;
        ldns_rdf *s =
            ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, n, rdata.data + at);

        if (!s || !ldns_rr_push_rdf(rr, s)) {
            ldns_rdf_deep_free(s);
            return -ENOMEM;
        }
        at += n;
    }
    return 0;
}

/* RFC 2136 sections 2.5.1 and 2.5.4: one record to add, or one to delete. */
static int push_change(ldns_rr_list *list, const struct dns_change *c)
{
    ldns_rr *rr = ldns_rr_new();
    ldns_rdf *owner = rr ? ldns_dname_new_frm_str(c->owner) : NULL;
    int r;

    if (!owner) {
        ldns_rr_free(rr);
        return rr ? -EINVAL : -ENOMEM;
    }
    ldns_rr_set_owner(rr, owner);
    ldns_rr_set_type(rr, LDNS_RR_TYPE_TXT);
    ldns_rr_set_class(rr, c->remove ? LDNS_RR_CLASS_NONE : LDNS_RR_CLASS_IN);
    ldns_rr_set_ttl(rr, c->remove ? 0 : c->ttl_s);
    r = push_strings(rr, c->rdata);
    if (r == 0 && !ldns_rr_list_push_rr(list, rr))
        r = -ENOMEM;
    if (r)
        ldns_rr_free(rr);
    return r;
}

static int build(const struct dns_update *u, ldns_pkt **ret)
{
    CLEANUP(list_free) ldns_rr_list *changes = ldns_rr_list_new();
    ldns_rdf *zone = ldns_dname_new_frm_str(u->zone);
    int r = 0;

    if (!changes || !zone) {
        ldns_rdf_deep_free(zone);
        return changes ? -EINVAL : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < u->n_changes; i++)
        r = push_change(changes, &u->changes[i]);
    if (r == 0)
        *ret = ldns_update_pkt_new(zone, LDNS_RR_CLASS_IN, NULL, changes, NULL);
    if (r || !*ret)
        ldns_rdf_deep_free(zone);
    return r || *ret ? r : -ENOMEM;
}

/* As names stand on the wire: "hmac-sha256." */
struct names {
    char key[DNS_NAME_TEXT_MAX + 2];
    char algorithm[32];
};

static void names_of(const struct dns_update *u, struct names *ret)
{
    (void)snprintf(ret->key, sizeof(ret->key), "%s.", u->key_name);
    (void)snprintf(ret->algorithm, sizeof(ret->algorithm), "%s.", u->algorithm);
}

static int sign(ldns_pkt *pkt, const struct dns_update *u,
                struct dns_message_mac *ret)
{
    CLEANUP_SECRET struct secret *text = NULL;
    struct names names = { 0 };
    const ldns_rdf *mac;
    int r = key_text(u->key, &text);

    if (r)
        return r;
    names_of(u, &names);
    if (ldns_pkt_tsig_sign(pkt, names.key, (const char *)text->data, FUDGE_S,
                           names.algorithm, NULL) != LDNS_STATUS_OK)
        return -EINVAL;
    /* Its length in two octets, and the MAC. */
    mac = ldns_rr_rdf(ldns_pkt_tsig(pkt), 3);
    if (ldns_rdf_size(mac) <= 2 || ldns_rdf_size(mac) - 2 > sizeof(ret->data))
        return -EINVAL;
    ret->len = ldns_rdf_size(mac) - 2;
    memcpy(ret->data, ldns_rdf_data(mac) + 2, ret->len);
    return 0;
}

/* Header, zone, and per change owner, ten octets and data; a TSIG is less than
 * 700. ldns cuts counts and buffers silently at a message's end. */
static bool fits(const struct dns_update *u)
{
    size_t n = DNS_MESSAGE_HEADER + 260 + 700;

    for (size_t i = 0; i < u->n_changes; i++)
        n += 256 + 10 + u->changes[i].rdata.len;
    return n <= DNS_MESSAGE_MAX;
}

int dns_message_put_update(const struct dns_update *u, uint16_t id,
                           struct buf *ret, struct dns_message_mac *ret_mac)
{
    CLEANUP(pkt_free) ldns_pkt *pkt = NULL;
    CLEANUP(octets_free) uint8_t *wire = NULL;
    size_t len = 0;
    int r;

    if (!fits(u))
        return -E2BIG;
    r = build(u, &pkt);
    if (r)
        return r;
    ldns_pkt_set_id(pkt, id);
    ldns_pkt_set_rd(pkt, false);
    r = sign(pkt, u, ret_mac);
    if (r)
        return r;
    if (ldns_pkt2wire(&wire, pkt, &len) != LDNS_STATUS_OK)
        return -EINVAL;
    return buf_append(ret, wire, len);
}

static void fail(struct dns_update_result *ret, enum dns_status status,
                 const char *fmt, ...) PRINTF(3, 4);
static void fail(struct dns_update_result *ret, enum dns_status status,
                 const char *fmt, ...)
{
    va_list ap;

    ret->status = status;
    va_start(ap, fmt);
    (void)vsnprintf(ret->text, sizeof(ret->text), fmt, ap);
    va_end(ap);
}

static int64_t time_of(const ldns_rdf *rdf, size_t skip)
{
    int64_t t = 0;

    if (ldns_rdf_size(rdf) != skip + 6)
        return 0;
    for (size_t i = 0; i < 6; i++)
        t = t << 8 | ldns_rdf_data(rdf)[skip + i];
    return t;
}

static bool verified(ldns_pkt *pkt, struct bytes wire,
                     const struct dns_update *u,
                     const struct dns_message_mac *mac)
{
    CLEANUP_SECRET struct secret *text = NULL;
    CLEANUP(rdf_free) ldns_rdf *ours = NULL;
    CLEANUP(rdf_free) ldns_rdf *algorithm = NULL;
    struct names names = { 0 };
    uint8_t with_len[2 + sizeof(mac->data)] = { 0, (uint8_t)mac->len };

    names_of(u, &names);
    memcpy(with_len + 2, mac->data, mac->len);
    ours =
        ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, mac->len + 2, with_len);
    algorithm = ldns_dname_new_frm_str(names.algorithm);
    if (!ours || !algorithm || key_text(u->key, &text) ||
        ldns_dname_compare(algorithm, ldns_rr_rdf(ldns_pkt_tsig(pkt), 0)) != 0)
        return false;
    return ldns_pkt_tsig_verify(pkt, wire.data, wire.len, names.key,
                                (const char *)text->data, ours);
}

/* Without a key that both have, a server cannot sign: only then is what it says
 * believed unsigned (RFC 8945 section 5.3.2). */
static bool cannot_sign(unsigned tsig_error)
{
    return tsig_error == DNS_RCODE_BADKEY || tsig_error == DNS_RCODE_BADSIG;
}

/* What a server says of our TSIG. */
static void read_tsig_error(const ldns_rr *tsig, const struct dns_update *u,
                            int64_t now_s, struct dns_update_result *ret)
{
    int64_t theirs;

    if (ret->tsig_error == DNS_RCODE_BADKEY)
        fail(ret, DNS_REFUSED,
             "BADKEY: refused by the server, which could not sign that: it has "
             "no key %s for %s, its name or algorithm is another there",
             u->key_name, u->algorithm);
    else if (ret->tsig_error == DNS_RCODE_BADSIG)
        fail(ret, DNS_REFUSED,
             "BADSIG: refused by the server, which could not sign that: it has "
             "another secret for the key %s",
             u->key_name);
    else if (ret->tsig_error == DNS_RCODE_BADTIME) {
        theirs = time_of(ldns_rr_rdf(tsig, 6), 2);
        fail(ret, DNS_REFUSED,
             "BADTIME: the server's clock and ours differ by %lld s",
             (long long)(theirs ? theirs - now_s : 0));
    } else
        fail(ret, DNS_REFUSED, "the server refuses the key %s: TSIG error %u",
             u->key_name, ret->tsig_error);
}

static void read_rcode(const struct dns_update *u,
                       struct dns_update_result *ret)
{
    char space[16];

    switch (ret->rcode) {
    case DNS_RCODE_NOERROR:
        ret->status = DNS_OK;
        break;
    case DNS_RCODE_REFUSED:
        fail(ret, DNS_REFUSED,
             "REFUSED: the key %s may not change this in %s (update-policy)",
             u->key_name, u->zone);
        break;
    case DNS_RCODE_NOTAUTH:
        fail(ret, DNS_LAME, "NOTAUTH: the server does not have the zone %s",
             u->zone);
        break;
    case DNS_RCODE_NOTZONE:
        fail(ret, DNS_RCODE, "NOTZONE: an owner is not within %s", u->zone);
        break;
    case DNS_RCODE_SERVFAIL:
        fail(ret, DNS_SERVFAIL, "SERVFAIL: the server failed to change %s",
             u->zone);
        break;
    default:
        fail(ret, DNS_RCODE, "the server answered %s",
             dns_rcode_name(ret->rcode, space));
        break;
    }
}

static bool in_time(const ldns_pkt *pkt, int64_t now_s)
{
    int64_t when = time_of(ldns_rr_rdf(ldns_pkt_tsig(pkt), 1), 0);

    return when <= now_s + FUDGE_S && when >= now_s - FUDGE_S;
}

static bool has_tsig(const ldns_pkt *pkt)
{
    return ldns_pkt_tsig(pkt) && ldns_rr_rd_count(ldns_pkt_tsig(pkt)) == 7;
}

void dns_message_read_update(struct bytes wire, const struct dns_update *u,
                             const struct dns_message_mac *mac, int64_t now_s,
                             struct dns_update_result *ret)
{
    CLEANUP(pkt_free) ldns_pkt *pkt = NULL;
    char space[16];

    *ret = (struct dns_update_result){ .unknown = true };
    if (wire.len > UPDATE_ANSWER_MAX ||
        ldns_wire2pkt(&pkt, wire.data, wire.len) != LDNS_STATUS_OK) {
        fail(ret, DNS_MALFORMED, "the server's answer cannot be read");
        return;
    }
    ret->rcode = (unsigned)ldns_pkt_get_rcode(pkt);
    if (!has_tsig(pkt)) {
        fail(ret, DNS_MALFORMED,
             "the answer (%s) is not signed with the key %s: anybody may have "
             "said that",
             dns_rcode_name(ret->rcode, space), u->key_name);
        return;
    }
    if (ret->rcode == DNS_RCODE_NOTAUTH)
        ret->tsig_error =
            ldns_rdf2native_int16(ldns_rr_rdf(ldns_pkt_tsig(pkt), 5));
    if (!cannot_sign(ret->tsig_error) &&
        !(in_time(pkt, now_s) && verified(pkt, wire, u, mac))) {
        fail(ret, DNS_MALFORMED,
             "the answer's signature does not verify with the key %s",
             u->key_name);
        return;
    }
    ret->unknown = false;
    if (ret->tsig_error)
        read_tsig_error(ldns_pkt_tsig(pkt), u, now_s, ret);
    else
        read_rcode(u, ret);
}
