/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/dns-server.h"

/*
 * What a server answered, as the DNS child hands it back: typed, length-checked
 * and printable, since the child parses what strangers send and may be broken
 * into by it.
 *
 * Names are lower case, escaped as in a zone file where they are no host names,
 * without the trailing dot; "." is the root.
 */

#define DNS_NAME_TEXT_MAX 1023 /* every octet of 255 escaped as \DDD */
#define DNS_ANSWER_MAX (160 * 1024)
#define DNS_TEXT_MAX 200

/* What became of a question. The order is that of the table in words. */
#define DNS_STATUS_TABLE(X)                                                    \
    X(OK, "ok", "answered")                                                    \
    X(NODATA, "nodata", "the name is there, but not with this type")           \
    X(NXDOMAIN, "nxdomain", "the name does not exist")                         \
    X(ALIAS, "alias", "a CNAME that leads to another zone")                    \
    X(DELEGATED, "delegated",                                                  \
      "in a zone of its own, which other servers have")                        \
    X(SERVFAIL, "servfail", "the server failed (SERVFAIL)")                    \
    X(REFUSED, "refused", "the server refuses to answer (REFUSED)")            \
    X(RCODE, "error-code", "the server answered with an error")                \
    X(LAME, "lame", "the server does not have this zone (not authoritative)")  \
    X(BOGUS, "bogus", "DNSSEC validation fails at the resolver")               \
    X(TIMEOUT, "no-answer", "the server does not answer")                      \
    X(UNREACHABLE, "unreachable", "the server cannot be reached")              \
    X(TOO_LARGE, "too-large", "the answer does not fit into 64 KiB")           \
    X(MALFORMED, "malformed", "the server's answer cannot be read")            \
    X(LOOP, "cname-loop", "the CNAMEs lead in a circle, or too far")           \
    X(NO_SERVER, "no-server", "the zone's servers cannot be found")

enum dns_status {
    DNS_STATUS_UNSET = 0,
#define DNS_STATUS_ENUM(name, code, words) DNS_##name,
    DNS_STATUS_TABLE(DNS_STATUS_ENUM)
#undef DNS_STATUS_ENUM
        DNS_STATUS_COUNT
};

const char *dns_status_code(enum dns_status s);  /* kebab-case, stable */
const char *dns_status_words(enum dns_status s); /* for people */

/* dns_status_known() - it tells what is published: OK, NODATA, NXDOMAIN. With
 * all else one does not know. */
bool dns_status_known(enum dns_status s);

/* The types that are read (RFC 1035, 3596, 8659); others are left out. */
enum dns_type {
    DNS_TYPE_UNSET = 0,
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_CAA = 257,
};

/* One record. All borrowed from its answer. */
struct dns_rr {
    enum dns_type type;
    bool authority; /* of the authority section, else of the answer section */
    uint32_t ttl_s;
    const char *owner;
    const char *name; /* CNAME, NS; SOA: the first server; CAA: the tag */
    struct dns_server server; /* A, AAAA, with DNS_PORT */
    uint32_t number;          /* SOA: for how long to believe that there is
                                 nothing (RFC 2308); CAA: its flags */
    uint32_t serial;          /* SOA */
    struct bytes rdata;       /* TXT: its strings, each after its length */
    struct bytes
        text; /* TXT: its strings joined; CAA: the value. Any octets. */
};

struct dns_answer {
    /* OK: there is a message, whatever its rcode. Else one of the statuses of
     * transport, and the rest but @text is empty. */
    enum dns_status status;
    unsigned rcode;
    bool authoritative;          /* AA */
    bool authenticated;          /* AD */
    bool local;                  /* from a server on this host's loopback */
    bool is_signed;              /* there was an RRSIG */
    char text[DNS_TEXT_MAX + 1]; /* more about a failure, or empty */
    struct dns_rr *rrs;
    size_t n_rrs;
    struct buf storage; /* what @rrs points into */
    struct buf joined;  /* and its texts */
};
#define CLEANUP_DNS_ANSWER CLEANUP(dns_answer_deinit)
void dns_answer_deinit(struct dns_answer *a);

/* RFC 1035, 2136, 8945 */
enum {
    DNS_RCODE_NOERROR = 0,
    DNS_RCODE_FORMERR = 1,
    DNS_RCODE_SERVFAIL = 2,
    DNS_RCODE_NXDOMAIN = 3,
    DNS_RCODE_NOTIMP = 4,
    DNS_RCODE_REFUSED = 5,
    DNS_RCODE_NOTAUTH = 9,
    DNS_RCODE_NOTZONE = 10,
    DNS_RCODE_BADSIG = 16, /* these as the error of a TSIG */
    DNS_RCODE_BADKEY = 17,
    DNS_RCODE_BADTIME = 18,
    DNS_RCODE_BADTRUNC = 22,
};

/* dns_rcode_name() - "NXDOMAIN"; "RCODE 23" for one without a name goes to
 * @space. */
const char *dns_rcode_name(unsigned rcode, char space[static 16]);

/* TXT record data: strings of at most 255 octets, each after its length. */

/* dns_txt_encode() - @value cut at 255 octets, as acme-guardian writes it.
 * Appended. Return: 0; -ENOMEM. */
int dns_txt_encode(struct bytes value, struct buf *ret) MUST_CHECK;

/* dns_txt_ok() - such data, of at most 65535 octets and one string or more. */
bool dns_txt_ok(struct bytes rdata);

/* dns_txt_join() - the strings joined, appended. @rdata is dns_txt_ok(). */
int dns_txt_join(struct bytes rdata, struct buf *ret) MUST_CHECK;

/* dns_txt_format() - as in a zone file: "..." "...", one line, appended. */
int dns_txt_format(struct bytes rdata, struct buf *ret) MUST_CHECK;
