/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/chain-files.h"

static const struct timespec at = { 1790000000, 123456789 };

static struct identifiers names(size_t n, char *value)
{
    static struct identifier items[100];

    for (size_t i = 0; i < n; i++)
        items[i] =
            (struct identifier){ .type = IDENTIFIER_DNS, .value = value };
    return (struct identifiers){ items, n };
}

static void assert_line(const struct audit_event *e, const char *expected)
{
    struct buf b = { 0 };

    assert_int_equal(audit_line_format(&b, 12, &at, e, SIZE_MAX), 0);
    assert_string_equal(buf_str(&b), expected);
    buf_deinit(&b);
}

static void test_members_stand_in_the_documented_order(void **state)
{
    uint8_t hash[32];
    struct peer peer = {
        .uid = 1000, .pid = 77, .unit = "caddy.service", .unit_certain = true
    };
    struct identifiers ids = names(2, "*.example.com");
    struct audit_event e = {
        .type = AUDIT_DECISION,
        .peer = &peer,
        .socket = "s",
        .account = "a",
        .thumbprint = "t",
        .operation = "order",
        .identifiers = &ids,
        .url = "https://ca.example/o",
        .verdict = "denied",
        .reason = "r",
        .rule = "f:1",
        .rule_id = "id",
        .detail = "d",
        .input_sha256 = hash,
        .payload_sha256 = hash,
        .count = 3,
        .file = "x",
        .file_mac = hash,
    };

    (void)state;
    memset(hash, 0xab, sizeof(hash));
#define HEX "abababababababababababababababababababababababababababababababab"
    assert_line(&e,
                "{\"n\":12,\"time\":\"2026-09-21T14:13:20.123456Z\","
                "\"type\":\"decision\",\"uid\":1000,\"pid\":77,"
                "\"unit\":\"caddy.service\",\"socket\":\"s\",\"account\":\"a\","
                "\"thumbprint\":\"t\",\"operation\":\"order\","
                "\"identifiers\":[\"*.example.com\",\"*.example.com\"],"
                "\"url\":\"https://ca.example/o\",\"verdict\":\"denied\","
                "\"reason\":\"r\",\"rule\":\"f:1\",\"rule_id\":\"id\","
                "\"detail\":\"d\",\"input_sha256\":\"" HEX "\","
                "\"payload_sha256\":\"" HEX "\",\"count\":3,\"file\":\"x\","
                "\"file_mac\":\"" HEX "\"");
}

static void test_what_is_empty_is_left_out(void **state)
{
    struct identifiers none = { 0 };
    struct audit_event e = { .type = AUDIT_HEARTBEAT,
                             .identifiers = &none,
                             .detail = "" };

    (void)state;
    assert_line(&e, "{\"n\":12,\"time\":\"2026-09-21T14:13:20.123456Z\","
                    "\"type\":\"heartbeat\"");
}

static void test_root_is_not_left_out(void **state)
{
    struct peer root = { .uid = 0, .pid = 0, .unit = "x.service" };
    struct audit_event e = { .type = AUDIT_ADMIN, .peer = &root };

    (void)state;
    assert_line(&e, "{\"n\":12,\"time\":\"2026-09-21T14:13:20.123456Z\","
                    "\"type\":\"admin\",\"uid\":0,"
                    "\"unit_hint\":\"x.service\"");
}

static void test_every_type_has_a_name(void **state)
{
    struct buf b = { 0 };

    (void)state;
    for (int i = AUDIT_UNSET + 1; i <= AUDIT_DELETED; i++) {
        const struct audit_event e = { .type = (enum audit_type)i };

        assert_int_equal(audit_line_format(&b, 1, &at, &e, 0), 0);
        assert_non_null(strstr(buf_str(&b), ",\"type\":\""));
    }
    assert_int_equal(
        audit_line_format(&b, 1, &at, &(struct audit_event){ 0 }, 0), -EINVAL);
    buf_deinit(&b);
}

/* Whatever a caller sends, it ends neither its string nor its line. */
static void test_no_value_can_forge_a_member_or_a_line(void **state)
{
    const char *const nasty[] = {
        "\",\"verdict\":\"allowed",
        "a\nb",
        "a\r\n{\"n\":13}",
        "\x1b[2J",
        "\\",
        "\\\"",
        "\xff\xfe",
        "\xc3",
        "\x7f",
    };
    struct buf b = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nasty); i++) {
        const struct audit_event e = { .type = AUDIT_DECISION,
                                       .url = nasty[i],
                                       .verdict = "denied",
                                       .detail = nasty[i] };
        json_t *json;

        assert_int_equal(audit_line_format(&b, 12, &at, &e, 0), 0);
        assert_null(memchr(b.data, '\n', b.len));
        assert_int_equal(buf_append_str(&b, "}"), 0);
        json = json_loadb((char *)b.data, b.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        assert_int_equal(json_object_size(json), 6);
        assert_string_equal(json_string_value(json_object_get(json, "verdict")),
                            "denied");
        json_decref(json);
    }
    buf_deinit(&b);
}

static void test_hundred_longest_names_are_listed_whole(void **state)
{
    struct buf b = { 0 };
    char name[254];
    struct identifiers ids = names(100, name);
    const struct audit_event e = { .type = AUDIT_DECISION,
                                   .identifiers = &ids };

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_int_equal(audit_line_format(&b, 12, &at, &e, SIZE_MAX), 0);
    assert_null(strstr(buf_str(&b), "identifiers_left_out"));
    assert_true(b.len > 100 * 256);

    assert_int_equal(audit_line_format(&b, 12, &at, &e, 8), 0);
    assert_non_null(strstr(buf_str(&b), "],\"identifiers_left_out\":92"));
    buf_deinit(&b);
}

static void test_longest_line_stays_below_the_readers_limit(void **state)
{
    static char text[100000];
    char name[254];
    struct identifiers ids = names(100, name);
    struct peer peer = { .uid = UINT32_MAX, .pid = INT32_MAX, .unit = text };
    const struct audit_event e = {
        .type = AUDIT_DECISION,
        .peer = &peer,
        .identifiers = &ids,
        .url = text,
        .detail = text,
        .account = "a",
    };
    struct buf b = { 0 };

    (void)state;
    memset(text, 1, sizeof(text) - 1); /* six characters each */
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_int_equal(audit_line_format(&b, UINT64_MAX, &at, &e, SIZE_MAX), 0);
    assert_true(b.len + 100 < CHAIN_LINE_MAX);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_stand_in_the_documented_order),
        cmocka_unit_test(test_what_is_empty_is_left_out),
        cmocka_unit_test(test_root_is_not_left_out),
        cmocka_unit_test(test_every_type_has_a_name),
        cmocka_unit_test(test_no_value_can_forge_a_member_or_a_line),
        cmocka_unit_test(test_hundred_longest_names_are_listed_whole),
        cmocka_unit_test(test_longest_line_stays_below_the_readers_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
