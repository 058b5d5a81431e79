/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct bytes txt = { (const uint8_t *)"\x03"
                                                   "abc\x02"
                                                   "de",
                                  7 };

static const struct dns_rr rrs[] = {
    { .type = DNS_TYPE_CNAME,
      .ttl_s = 60,
      .owner = "a.test",
      .name = "b.test" },
    { .type = DNS_TYPE_TXT, .ttl_s = 300, .owner = "b.test", .rdata = txt },
    { .type = DNS_TYPE_TXT, .ttl_s = 300, .owner = "b.test", .rdata = txt },
    { .type = DNS_TYPE_CAA,
      .ttl_s = 5,
      .owner = "b.test",
      .name = "issue",
      .number = 128,
      .text = { (const uint8_t *)"ca.test", 7 } },
    { .type = DNS_TYPE_A,
      .owner = "b.test",
      .server = { .family = AF_INET, .port = 53, .addr = { 192, 0, 2, 1 } } },
    { .type = DNS_TYPE_SOA,
      .authority = true,
      .owner = "test",
      .name = "ns.test",
      .number = 60,
      .serial = 7 },
};

/* An answer with all kinds of records. */
static void put_answer(struct buf *b)
{
    const struct dns_answer a = { .status = DNS_OK,
                                  .rcode = 3,
                                  .authoritative = true,
                                  .is_signed = true,
                                  .text = "words" };
    struct dns_wire_writer w;

    assert_int_equal(dns_wire_put_answer(b, 17, &a, &w), 0);
    for (size_t i = 0; i < ARRAY_LEN(rrs); i++)
        assert_int_equal(dns_wire_put_rr(&w, &rrs[i]), 0);
    dns_wire_end_answer(&w);
}

static void test_an_answer_comes_back_as_it_was(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    uint32_t id = 0;

    (void)state;
    put_answer(&b);
    assert_int_equal(dns_wire_read_answer(buf_bytes(&b), &id, &a), 0);
    assert_int_equal(id, 17);
    assert_int_equal(a.rcode, 3);
    assert_true(a.authoritative && a.is_signed && !a.authenticated);
    assert_string_equal(a.text, "words");
    assert_int_equal(a.n_rrs, ARRAY_LEN(rrs));
    for (size_t i = 0; i < ARRAY_LEN(rrs); i++) {
        assert_int_equal(a.rrs[i].type, rrs[i].type);
        assert_int_equal(a.rrs[i].ttl_s, rrs[i].ttl_s);
        assert_int_equal(a.rrs[i].authority, rrs[i].authority);
        assert_int_equal(a.rrs[i].number, rrs[i].number);
        assert_int_equal(a.rrs[i].serial, rrs[i].serial);
        assert_string_equal(a.rrs[i].owner, rrs[i].owner);
        if (rrs[i].name)
            assert_string_equal(a.rrs[i].name, rrs[i].name);
        assert_true(bytes_eq(a.rrs[i].rdata, rrs[i].rdata));
        assert_true(dns_server_eq(&a.rrs[i].server, &rrs[i].server));
    }
    assert_true(bytes_eq_str(a.rrs[1].text, "abcde"));
    assert_true(bytes_eq_str(a.rrs[2].text, "abcde"));
    assert_true(bytes_eq_str(a.rrs[3].text, "ca.test"));
}

static int read_bytes(const void *data, size_t len)
{
    CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
    uint32_t id = 0;

    return dns_wire_read_answer((struct bytes){ data, len }, &id, &a);
}

static void test_a_cut_or_longer_answer_is_refused(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    put_answer(&b);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(read_bytes(b.data, n), DNS_WIRE_E_INVALID);
    assert_int_equal(buf_append_char(&b, 0), 0);
    assert_int_equal(read_bytes(b.data, b.len), DNS_WIRE_E_INVALID);
}

/* Each octet in turn: never a crash, and what passes keeps the rules. */
static void test_a_changed_answer_keeps_the_rules(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    put_answer(&b);
    for (size_t i = 0; i < b.len * 8; i++) {
        CLEANUP_DNS_ANSWER struct dns_answer a = { 0 };
        uint32_t id = 0;

        b.data[i / 8] ^= (uint8_t)(1U << (i % 8));
        if (dns_wire_read_answer(buf_bytes(&b), &id, &a) == 0) {
            assert_true(a.status > DNS_STATUS_UNSET &&
                        a.status < DNS_STATUS_COUNT);
            for (size_t k = 0; k < a.n_rrs; k++)
                assert_true(strlen(a.rrs[k].owner) <= DNS_NAME_TEXT_MAX);
        }
        b.data[i / 8] ^= (uint8_t)(1U << (i % 8));
    }
}

static int read_one(const struct dns_answer *a, const struct dns_rr *rr)
{
    CLEANUP_BUF struct buf b = { 0 };
    struct dns_wire_writer w;

    assert_int_equal(dns_wire_put_answer(&b, 1, a, &w), 0);
    if (rr)
        assert_int_equal(dns_wire_put_rr(&w, rr), 0);
    dns_wire_end_answer(&w);
    return read_bytes(b.data, b.len);
}

static void test_what_a_child_may_not_say(void **state)
{
    static const struct bytes bad_txt = { (const uint8_t *)"\x05"
                                                           "abc",
                                          4 };
    const struct dns_answer ok = { .status = DNS_OK };
    const struct dns_answer unset = { 0 };
    const struct dns_answer beyond = { .status = DNS_STATUS_COUNT };
    const struct dns_answer silent = { .status = DNS_TIMEOUT };
    const struct dns_answer bell = { .status = DNS_OK, .text = "\a" };
    struct dns_rr rr = rrs[1];

    (void)state;
    assert_int_equal(read_one(&ok, &rr), 0);
    assert_int_equal(read_one(&silent, NULL), 0);
    assert_int_equal(read_one(&silent, &rr), DNS_WIRE_E_INVALID);
    assert_int_equal(read_one(&unset, NULL), DNS_WIRE_E_INVALID);
    assert_int_equal(read_one(&beyond, NULL), DNS_WIRE_E_INVALID);
    assert_int_equal(read_one(&bell, NULL), DNS_WIRE_E_INVALID);
    rr.owner = "B.test";
    assert_int_equal(read_one(&ok, &rr), DNS_WIRE_E_INVALID);
    rr.owner = "b test";
    assert_int_equal(read_one(&ok, &rr), DNS_WIRE_E_INVALID);
    rr.owner = "";
    assert_int_equal(read_one(&ok, &rr), DNS_WIRE_E_INVALID);
    rr = rrs[1];
    rr.rdata = bad_txt;
    assert_int_equal(read_one(&ok, &rr), DNS_WIRE_E_INVALID);
    rr = rrs[4];
    rr.server.family = AF_UNIX;
    assert_int_equal(read_one(&ok, &rr), DNS_WIRE_E_INVALID);
}

static void test_an_answer_has_an_end(void **state)
{
    CLEANUP_BUF struct buf b = { 0 };
    const struct dns_answer a = { .status = DNS_OK };
    uint8_t many[60000];
    struct dns_rr rr = rrs[1];
    struct dns_wire_writer w;
    int r = 0;

    (void)state;
    memset(many, 0, sizeof(many));
    rr.rdata = (struct bytes){ many, sizeof(many) };
    assert_int_equal(dns_wire_put_answer(&b, 1, &a, &w), 0);
    for (int i = 0; r == 0 && i < 3; i++)
        r = dns_wire_put_rr(&w, &rr);
    assert_int_equal(r, -E2BIG);
}

static void test_requests_come_as_they_were_sent(void **state)
{
    const struct dns_change change = { .owner = "a.test",
                                       .ttl_s = 60,
                                       .rdata = txt };
    const struct dns_update u = {
        .server = { .family = AF_INET, .port = 53 },
        .zone = "test",
        .key_name = "k",
        .algorithm = "hmac-sha256",
        .changes = &change,
        .n_changes = 1,
    };
    const struct dns_query q = { .name = "a.test",
                                 .type = DNS_TYPE_TXT,
                                 .recurse = true };
    CLEANUP_BUF struct buf b = { 0 };
    struct dns_wire_request request;

    (void)state;
    assert_int_equal(dns_wire_put_query(&b, 3, &q), 0);
    assert_true(dns_wire_read_request(buf_bytes(&b), &request));
    assert_int_equal(request.id, 3);
    assert_string_equal(request.query.name, "a.test");
    assert_true(request.query.recurse && !request.query.without_checking);
    buf_clear(&b);
    assert_int_equal(dns_wire_put_update(&b, 4, &u), 0);
    assert_true(dns_wire_read_request(buf_bytes(&b), &request));
    assert_string_equal(request.update.zone, "test");
    assert_int_equal(request.update.n_changes, 1);
    assert_true(bytes_eq(request.changes[0].rdata, txt));
    for (size_t n = 0; n < b.len; n++)
        assert_false(
            dns_wire_read_request((struct bytes){ b.data, n }, &request));
}

static void test_a_result_does_not_contradict_itself(void **state)
{
    struct dns_update_result in = {
        .status = DNS_REFUSED, .rcode = 9, .tsig_error = 17, .text = "BADKEY"
    };
    struct dns_update_result out = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    uint32_t id = 0;

    (void)state;
    assert_int_equal(dns_wire_put_result(&b, 5, &in), 0);
    assert_int_equal(dns_wire_read_result(buf_bytes(&b), &id, &out), 0);
    assert_int_equal(id, 5);
    assert_int_equal(out.tsig_error, 17);
    assert_string_equal(out.text, "BADKEY");
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(
            dns_wire_read_result((struct bytes){ b.data, n }, &id, &out),
            DNS_WIRE_E_INVALID);
    buf_clear(&b);
    in = (struct dns_update_result){ .status = DNS_OK, .unknown = true };
    assert_int_equal(dns_wire_put_result(&b, 5, &in), 0);
    assert_int_equal(dns_wire_read_result(buf_bytes(&b), &id, &out),
                     DNS_WIRE_E_INVALID);
}

static void test_text_records_are_cut_at_255(void **state)
{
    static const struct {
        size_t len, encoded;
    } cases[] = {
        { 0, 1 }, { 1, 2 }, { 255, 256 }, { 256, 258 }, { 510, 512 }
    };
    uint8_t value[512];

    (void)state;
    memset(value, 'x', sizeof(value));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_BUF struct buf rdata = { 0 };
        CLEANUP_BUF struct buf joined = { 0 };

        assert_int_equal(
            dns_txt_encode((struct bytes){ value, cases[i].len }, &rdata), 0);
        assert_int_equal(rdata.len, cases[i].encoded);
        assert_true(dns_txt_ok(buf_bytes(&rdata)));
        assert_int_equal(dns_txt_join(buf_bytes(&rdata), &joined), 0);
        assert_int_equal(joined.len, cases[i].len);
    }
}

static void test_text_records_as_in_a_zone_file(void **state)
{
    static const uint8_t rdata[] = "\x05"
                                   "a\"\\\x01 \x01z";
    CLEANUP_BUF struct buf b = { 0 };

    (void)state;
    assert_int_equal(dns_txt_format((struct bytes){ rdata, 8 }, &b), 0);
    assert_string_equal(buf_str(&b), "\"a\\\"\\\\\\001 \" \"z\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_comes_back_as_it_was),
        cmocka_unit_test(test_a_cut_or_longer_answer_is_refused),
        cmocka_unit_test(test_a_changed_answer_keeps_the_rules),
        cmocka_unit_test(test_what_a_child_may_not_say),
        cmocka_unit_test(test_an_answer_has_an_end),
        cmocka_unit_test(test_requests_come_as_they_were_sent),
        cmocka_unit_test(test_a_result_does_not_contradict_itself),
        cmocka_unit_test(test_text_records_are_cut_at_255),
        cmocka_unit_test(test_text_records_as_in_a_zone_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
