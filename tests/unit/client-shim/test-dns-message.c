/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>
#include <ldns/ldns.h>
#include <sodium.h>

#include "client-shim/dns-wire.h"

static const struct dns_query query = { .name = "_a.example.test",
                                        .type = DNS_TYPE_TXT };

static void put_query(struct buf *b)
{
    assert_int_equal(dns_message_put_query(&query, 0x1234, true, b), 0);
}

static void test_only_answers_to_this_question_count(void **state)
{
    CLEANUP_BUF struct buf q = { 0 };
    CLEANUP_BUF struct buf a = { 0 };

    (void)state;
    put_query(&q);
    put_query(&a);
    assert_false(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
    a.data[2] |= 0x80;
    assert_true(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
    a.data[0] ^= 1;
    assert_false(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
    a.data[0] ^= 1;
    a.data[13] = '_';
    a.data[14] = 'A'; /* letters are echoed in any case */
    assert_true(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
    a.data[14] = 'b';
    assert_false(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
    a.data[14] = 'a';
    for (size_t n = 0; n < DNS_MESSAGE_HEADER + 20; n++)
        assert_false(
            dns_message_answers((struct bytes){ a.data, n }, buf_bytes(&q)));
    /* Without a question: an error may come so, a yes not. */
    a.data[5] = 0;
    assert_false(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
    a.data[3] = DNS_RCODE_FORMERR;
    assert_true(dns_message_answers(buf_bytes(&a), buf_bytes(&q)));
}

static void test_names_that_cannot_be(void **state)
{
    static const char *const names[] = {
        "a..test",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        ".t",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct dns_query q = { .name = names[i], .type = DNS_TYPE_TXT };
        CLEANUP_BUF struct buf b = { 0 };

        assert_int_equal(dns_message_put_query(&q, 1, true, &b), -EINVAL);
    }
}

static enum dns_status status_of(struct bytes wire)
{
    CLEANUP_BUF struct buf out = { 0 };
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    uint32_t id = 0;

    assert_int_equal(dns_message_read(wire, 9, false, &out), 0);
    assert_int_equal(dns_wire_read_answer(buf_bytes(&out), &id, &a), 0);
    assert_int_equal(id, 9);
    return a.status;
}

/* Behind the question: a TXT record whose string is longer than its data. */
static void test_a_broken_record_makes_a_broken_answer(void **state)
{
    static const uint8_t good[] = { 0xc0, 12, 0, 16, 0, 1, 0,
                                    0,    0,  9, 0,  2, 1, 'x' };
    static const uint8_t bad[] = { 0xc0, 12, 0, 16, 0, 1, 0,
                                   0,    0,  9, 0,  2, 9, 'x' };
    const struct bytes records[] = { { good, sizeof(good) },
                                     { bad, sizeof(bad) } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        CLEANUP_BUF struct buf b = { 0 };

        assert_int_equal(dns_message_put_query(&query, 1, false, &b), 0);
        b.data[2] |= 0x80;
        b.data[7] = 1;
        assert_int_equal(buf_append(&b, records[i].data, records[i].len), 0);
        assert_int_equal(status_of(buf_bytes(&b)),
                         i == 0 ? DNS_OK : DNS_MALFORMED);
        b.data[2] |= 0x02;
        assert_int_equal(status_of(buf_bytes(&b)), DNS_TOO_LARGE);
    }
}

/* Behind the question: a CAA record, its tag cut by a NUL. */
static void test_a_tag_with_a_nul_is_no_tag(void **state)
{
    static const uint8_t good[] = {
        0xc0, 12, 1, 1, 0,   1,   0,   0,   0,   9,
        0,    8,  0, 5, 'i', 's', 's', 'u', 'e', ';'
    };
    static const uint8_t bad[] = { 0xc0, 12,  1,   1,  0,   1,  0,   0,
                                   0,    9,   0,   10, 0,   7,  'i', 's',
                                   's',  'u', 'e', 0,  'x', ';' };
    const struct bytes records[] = { { good, sizeof(good) },
                                     { bad, sizeof(bad) } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        CLEANUP_BUF struct buf b = { 0 };

        assert_int_equal(dns_message_put_query(&query, 1, false, &b), 0);
        b.data[2] |= 0x80;
        b.data[7] = 1;
        assert_int_equal(buf_append(&b, records[i].data, records[i].len), 0);
        assert_int_equal(status_of(buf_bytes(&b)),
                         i == 0 ? DNS_OK : DNS_MALFORMED);
    }
}

/* An update and the answer that a server with the same key gives. */
struct signing {
    struct secret *key;
    struct dns_change change;
    struct dns_update u;
    struct buf wire;
    struct dns_message_mac mac;
};

static int signing_new(void **state)
{
    static struct signing s;
    static const uint8_t key[32] = { 1, 2, 3 };
    static const uint8_t text[] = "\x01x";

    s = (struct signing){ .change = { .owner = "_a.example.test",
                                      .rdata = { text, 2 } } };
    s.u = (struct dns_update){ .zone = "example.test",
                               .key_name = "k1",
                               .algorithm = "hmac-sha256",
                               .changes = &s.change,
                               .n_changes = 1 };
    if (sodium_init() < 0 ||
        secret_new_copy((struct bytes){ key, sizeof(key) }, &s.key))
        return -1;
    s.u.key = s.key;
    *state = &s;
    return dns_message_put_update(&s.u, 7, &s.wire, &s.mac);
}

static int signing_free(void **state)
{
    struct signing *s = *state;

    buf_deinit(&s->wire);
    secret_free(s->key);
    return 0;
}

struct answering {
    ldns_pkt_rcode rcode;
    const char *key_name, *key, *algorithm; /* NULL: not signed */
    bool forgets_request;
    uint16_t tsig_error; /* not 0: said without a MAC */
};

static const struct answering honest = {
    LDNS_RCODE_NOERROR, "k1.", "AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "hmac-sha256.",     false, 0
};

/* RFC 8945 section 5.3.2: a MAC of no octets. */
static void unsign(ldns_pkt *pkt, uint16_t error)
{
    static uint8_t nothing[2];
    ldns_rr *tsig = ldns_pkt_tsig(pkt);

    ldns_rdf_deep_free(
        ldns_rr_set_rdf(tsig,
                        ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA,
                                              sizeof(nothing), nothing),
                        3));
    ldns_rdf_deep_free(ldns_rr_set_rdf(
        tsig, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, error), 5));
}

static struct dns_update_result
answer(const struct signing *s, const struct answering *how, int64_t later_s)
{
    struct dns_update_result result = { 0 };
    uint8_t mac[2 + sizeof(s->mac.data)] = { 0, (uint8_t)s->mac.len };
    ldns_pkt *pkt = NULL;
    ldns_rdf *request;
    uint8_t *wire = NULL;
    size_t len = 0;

    memcpy(mac + 2, s->mac.data, s->mac.len);
    request =
        ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, s->mac.len + 2, mac);
    assert_int_equal(ldns_pkt_query_new_frm_str(&pkt, "example.test",
                                                LDNS_RR_TYPE_SOA,
                                                LDNS_RR_CLASS_IN, LDNS_QR),
                     LDNS_STATUS_OK);
    ldns_pkt_set_id(pkt, 7);
    ldns_pkt_set_opcode(pkt, LDNS_PACKET_UPDATE);
    ldns_pkt_set_rcode(pkt, (uint8_t)how->rcode);
    if (how->key)
        assert_int_equal(ldns_pkt_tsig_sign(
                             pkt, how->key_name, how->key, 300, how->algorithm,
                             how->forgets_request ? NULL : request),
                         LDNS_STATUS_OK);
    if (how->tsig_error)
        unsign(pkt, how->tsig_error);
    assert_int_equal(ldns_pkt2wire(&wire, pkt, &len), LDNS_STATUS_OK);
    assert_true(
        dns_message_answers((struct bytes){ wire, len }, buf_bytes(&s->wire)));
    dns_message_read_update((struct bytes){ wire, len }, &s->u, &s->mac,
                            time(NULL) + later_s, &result);
    free(wire);
    ldns_rdf_deep_free(request);
    ldns_pkt_free(pkt);
    return result;
}

static void test_a_yes_that_is_signed_counts(void **state)
{
    struct dns_update_result r = answer(*state, &honest, 0);

    assert_int_equal(r.status, DNS_OK);
    assert_false(r.unknown);
}

static void test_a_yes_with_any_flaw_is_no_yes(void **state)
{
    struct answering how = honest;
    struct dns_update_result r;

    how.key = NULL;
    r = answer(*state, &how, 0);
    assert_int_equal(r.status, DNS_MALFORMED);
    assert_true(r.unknown);
    how = honest;
    how.key = "AQIEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    r = answer(*state, &how, 0);
    assert_int_equal(r.status, DNS_MALFORMED);
    assert_true(r.unknown);
    how = honest;
    how.key_name = "k2.";
    assert_int_equal(answer(*state, &how, 0).status, DNS_MALFORMED);
    how = honest;
    how.algorithm = "hmac-sha1.";
    assert_int_equal(answer(*state, &how, 0).status, DNS_MALFORMED);
    how = honest;
    how.forgets_request = true; /* of another conversation */
    assert_int_equal(answer(*state, &how, 0).status, DNS_MALFORMED);
    assert_int_equal(answer(*state, &honest, 301).status, DNS_MALFORMED);
    assert_int_equal(answer(*state, &honest, -301).status, DNS_MALFORMED);
    assert_int_equal(answer(*state, &honest, 290).status, DNS_OK);
}

static void test_a_no_says_why(void **state)
{
    static const struct {
        ldns_pkt_rcode rcode;
        enum dns_status status;
        const char *word;
    } cases[] = {
        { LDNS_RCODE_REFUSED, DNS_REFUSED, "REFUSED" },
        { LDNS_RCODE_NOTAUTH, DNS_LAME, "NOTAUTH" },
        { LDNS_RCODE_NOTZONE, DNS_RCODE, "NOTZONE" },
        { LDNS_RCODE_SERVFAIL, DNS_SERVFAIL, "SERVFAIL" },
        { LDNS_RCODE_NOTIMPL, DNS_RCODE, "NOTIMP" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answering how = honest;
        struct dns_update_result r;

        how.rcode = cases[i].rcode;
        r = answer(*state, &how, 0);
        assert_int_equal(r.status, cases[i].status);
        assert_false(r.unknown);
        assert_non_null(strstr(r.text, cases[i].word));
    }
}

/* Somebody else may have said it, while the server made the change. */
static void test_a_no_that_is_not_signed_leaves_it_unknown(void **state)
{
    static const ldns_pkt_rcode codes[] = {
        LDNS_RCODE_REFUSED, LDNS_RCODE_NOTAUTH, LDNS_RCODE_SERVFAIL,
        LDNS_RCODE_FORMERR, LDNS_RCODE_NOTIMPL, LDNS_RCODE_NOTZONE,
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct answering how = honest;
        struct dns_update_result r;
        char space[16];

        how.rcode = codes[i];
        how.key = NULL;
        r = answer(*state, &how, 0);
        assert_true(r.unknown);
        assert_int_equal(r.status, DNS_MALFORMED);
        assert_non_null(strstr(r.text, dns_rcode_name(codes[i], space)));
        how = honest;
        how.rcode = codes[i];
        how.key = "AQIEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_true(answer(*state, &how, 0).unknown);
    }
}

/* What the server says of our TSIG, signed with nothing. */
static void test_of_tsig_errors_two_need_no_signature(void **state)
{
    static const struct {
        uint16_t error;
        bool unknown;
    } cases[] = {
        { DNS_RCODE_BADSIG, false },
        { DNS_RCODE_BADKEY, false },
        { DNS_RCODE_BADTIME, true },
        { 22 /* BADTRUNC */, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answering how = honest;
        struct dns_update_result r;

        how.rcode = LDNS_RCODE_NOTAUTH;
        how.tsig_error = cases[i].error;
        r = answer(*state, &how, 0);
        assert_int_equal(r.tsig_error, cases[i].error);
        assert_int_equal(r.unknown, cases[i].unknown);
        assert_int_equal(r.status,
                         cases[i].unknown ? DNS_MALFORMED : DNS_REFUSED);
    }
}

static void test_an_update_fits_or_is_refused(void **state)
{
    struct signing *s = *state;
    struct dns_change changes[DNS_UPDATE_MAX];
    uint8_t text[1024];
    CLEANUP_BUF struct buf b = { 0 };

    memset(text, 0, sizeof(text));
    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        changes[i] = (struct dns_change){ .owner = "_a.example.test",
                                          .rdata = { text, sizeof(text) } };
    s->u.changes = changes;
    s->u.n_changes = 50;
    assert_int_equal(dns_message_put_update(&s->u, 1, &b, &s->mac), 0);
    assert_true(b.len <= DNS_MESSAGE_MAX && b.len > 50 * sizeof(text));
    s->u.n_changes = 51;
    assert_int_equal(dns_message_put_update(&s->u, 1, &b, &s->mac), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_answers_to_this_question_count),
        cmocka_unit_test(test_names_that_cannot_be),
        cmocka_unit_test(test_a_broken_record_makes_a_broken_answer),
        cmocka_unit_test(test_a_tag_with_a_nul_is_no_tag),
        cmocka_unit_test_setup_teardown(test_a_yes_that_is_signed_counts,
                                        signing_new, signing_free),
        cmocka_unit_test_setup_teardown(test_a_yes_with_any_flaw_is_no_yes,
                                        signing_new, signing_free),
        cmocka_unit_test_setup_teardown(test_a_no_says_why, signing_new,
                                        signing_free),
        cmocka_unit_test_setup_teardown(
            test_a_no_that_is_not_signed_leaves_it_unknown, signing_new,
            signing_free),
        cmocka_unit_test_setup_teardown(
            test_of_tsig_errors_two_need_no_signature, signing_new,
            signing_free),
        cmocka_unit_test_setup_teardown(test_an_update_fits_or_is_refused,
                                        signing_new, signing_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
