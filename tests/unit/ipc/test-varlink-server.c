/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "varlink-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/interfaces.h"

/* The protocol, as one peer sees it. */

static void test_a_request_is_answered(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, ECHO(1));
    fixture_expect(&f, fd, ANSWER(1));
    fixture_send(fd, ECHO(2));
    fixture_expect(&f, fd, ANSWER(2));
    fixture_send(fd, "{\"method\":\"org.example.Test.Echo\"}");
    fixture_expect(&f, fd, "{\"parameters\":{}}");
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send_bytes(fd, HOLD "\0" ECHO(1) "\0" ECHO(2) "\0" HOLD,
                       sizeof(HOLD "\0" ECHO(1) "\0" ECHO(2) "\0" HOLD));
    fixture_send(fd, ECHO(3));
    fixture_expect_nothing(&f, fd);
    assert_int_equal(f.n_held, 1);
    fixture_release(&f, "{\"v\":0}");
    fixture_expect(&f, fd, ANSWER(0));
    fixture_expect(&f, fd, ANSWER(1));
    fixture_expect(&f, fd, ANSWER(2));
    fixture_expect_nothing(&f, fd);
    fixture_release(&f, "{\"v\":9}");
    fixture_expect(&f, fd, ANSWER(9));
    fixture_expect(&f, fd, ANSWER(3));
}

static void test_a_message_may_come_octet_by_octet(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int slow = -1;
    CLEANUP_FD int other = -1;
    static const char text[] = ECHO(1);

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    slow = fixture_connect(&f);
    other = fixture_connect(&f);
    for (size_t i = 0; i < sizeof(text); i++) {
        fixture_expect_nothing(&f, slow);
        fixture_send_bytes(slow, text + i, 1);
        if (i % 10 == 0) {
            fixture_send(other, ECHO(2));
            fixture_expect(&f, other, ANSWER(2));
        }
    }
    fixture_expect(&f, slow, ANSWER(1));
}

static void test_what_is_no_request_ends_the_connection(void **state)
{
#define DEEP4 "[[[["
#define END4 "]]]]"
    static const char *const cases[] = {
        "",
        "x",
        "[]",
        "\"text\"",
        "null",
        "{}",
        "{\"method\":1}",
        "{\"method\":null}",
        "{\"method\":\"org.example.Test.Echo\"} x",
        "{\"method\":\"org.example.Test.Echo\"}{}",
        "{\"method\":\"a.B\",\"method\":\"a.B\"}",
        "{\"method\":\"org.example.Test.Echo\",\"parameters\":[]}",
        "{\"method\":\"org.example.Test.Echo\",\"parameters\":null}",
        "{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"a\":1,"
        "\"a\":1}}",
        "{\"method\":\"org.example.Test.Echo\",\"more\":1}",
        "{\"method\":\"org.example.Test.Echo\",\"oneway\":\"true\"}",
        "{\"method\":\"org.example.Test.Echo\",\"upgrade\":null}",
        "{\"method\":\"org.example.Test.Echo\",\"other\":true}",
        "{\"Method\":\"org.example.Test.Echo\"}",
        "{\"method\":\"org.example.Test.Echo\",\"more\":true,\"oneway\":true}",
        "{\"method\":\"org.example.Test.Echo\\u0000\"}",
        "{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"v\":\"\xff\"}"
        "}",
        "{\"method\":\"org.example.Test.Echo\",\"parameters\":{\"v\":" DEEP4
            DEEP4 DEEP4 "[[["
        "]]]" END4 END4 END4 "}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(fixture_stop) struct fixture f;
        CLEANUP_FD int bad = -1;
        CLEANUP_FD int good = -1;

        print_message("%s\n", cases[i]);
        fixture_start(&f, (struct varlink_limits){ 0 });
        bad = fixture_connect(&f);
        good = fixture_connect(&f);
        fixture_send(bad, ECHO(1));
        fixture_send(bad, cases[i]);
        fixture_send(bad, ECHO(2));
        fixture_expect(&f, bad, ANSWER(1));
        fixture_expect_closed(&f, bad);
        fixture_send(good, ECHO(3));
        fixture_expect(&f, good, ANSWER(3));
        assert_int_equal(varlink_server_connections(f.server), 1);
    }
}

static void test_depth_up_to_the_limit_is_read(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, "{\"method\":\"org.example.Test.Echo\",\"parameters\":{"
                     "\"v\":[[[[[[[[[[[[[[]]]]]]]]]]]]]],\"s\":\"[[[[[{{{{\\\""
                     "[[[[[[[[[\"}}");
    fixture_expect(&f, fd,
                   "{\"parameters\":{\"v\":[[[[[[[[[[[[[[]]]]]]]]]]]]]],"
                   "\"s\":\"[[[[[{{{{\\\"[[[[[[[[[\"}}");
}

static void send_padded(struct fixture *f, int fd, size_t len)
{
    static const char head[] = ECHO(5);
    char *text = malloc(len);

    assert_non_null(text);
    memset(text, ' ', len);
    memcpy(text, head, sizeof(head) - 1);
    text[len - 1] = 0;
    for (size_t off = 0; off < len;) {
        ssize_t n =
            send(fd, text + off, len - off, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN)
            break;
        if (n > 0)
            off += (size_t)n;
        fixture_spin(f);
    }
    free(text);
}

static void test_a_message_has_at_most_64_kib(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    send_padded(&f, fd, VARLINK_MESSAGE_MAX);
    fixture_expect(&f, fd, ANSWER(5));
    send_padded(&f, fd, VARLINK_MESSAGE_MAX + 1);
    fixture_expect_closed(&f, fd);
}

static void test_an_oversized_message_waits_for_answers_before_it(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, HOLD);
    fixture_spin(&f);
    send_padded(&f, fd, VARLINK_MESSAGE_MAX + 1);
    fixture_expect_nothing(&f, fd);
    fixture_release(&f, "{\"v\":1}");
    fixture_expect(&f, fd, ANSWER(1));
    fixture_expect_closed(&f, fd);
    assert_int_equal(f.n_gone, 0);
}

static void test_oneway_is_not_answered(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, "{\"method\":\"org.example.Test.Hold\",\"oneway\":true}");
    fixture_send(fd, "{\"method\":\"org.example.No.Such\",\"oneway\":true}");
    fixture_send(fd, ECHO(2));
    fixture_expect_nothing(&f, fd);
    fixture_release(&f, "{\"v\":1}");
    fixture_expect(&f, fd, ANSWER(2));
}

static void test_more_streams(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, "{\"method\":\"org.example.Test.Stream\",\"more\":true}");
    fixture_expect(&f, fd, "{\"parameters\":{\"v\":1},\"continues\":true}");
    fixture_expect(&f, fd, "{\"parameters\":{\"v\":2},\"continues\":true}");
    fixture_expect(&f, fd, ANSWER(3));
    fixture_send(fd, "{\"method\":\"org.example.Test.Stream\"}");
    fixture_expect(&f, fd,
                   "{\"error\":\"org.varlink.service.ExpectedMore\","
                   "\"parameters\":{}}");
}

static void test_standard_errors(void **state)
{
#define ERROR(name, member, value)                                             \
    "{\"error\":\"org.varlink.service." name "\",\"parameters\":{\"" member    \
    "\":\"" value "\"}}"
    static const struct {
        const char *request, *answer;
    } cases[] = {
        { "{\"method\":\"org.example.None.Foo\"}",
          ERROR("InterfaceNotFound", "interface", "org.example.None") },
        { "{\"method\":\"org.example.Other.Echo\"}",
          ERROR("InterfaceNotFound", "interface", "org.example.Other") },
        { "{\"method\":\"org.example.Testing.Echo\"}",
          ERROR("InterfaceNotFound", "interface", "org.example.Testing") },
        { "{\"method\":\"\"}", ERROR("InterfaceNotFound", "interface", "") },
        { "{\"method\":\"a\\\"b.C\"}",
          ERROR("InterfaceNotFound", "interface", "a\\\"b") },
        { "{\"method\":\"org.example.Test\"}",
          ERROR("InterfaceNotFound", "interface", "org.example") },
        { "{\"method\":\"org.example.Test.Nope\"}",
          ERROR("MethodNotFound", "method", "org.example.Test.Nope") },
        { "{\"method\":\"org.example.Test.Missing\"}",
          ERROR("MethodNotImplemented", "method", "org.example.Test.Missing") },
        { "{\"method\":\"org.example.Test.Private\"}",
          "{\"error\":\"org.varlink.service.PermissionDenied\","
          "\"parameters\":{}}" },
        { "{\"method\":\"org.example.Test.Echo\",\"upgrade\":true}",
          ERROR("InvalidParameter", "parameter", "upgrade") },
        { "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{"
          "\"x\":1}}",
          ERROR("InvalidParameter", "parameter", "x") },
        { "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}",
          ERROR("InvalidParameter", "parameter", "interface") },
        { "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
          "\"parameters\":{\"interface\":\"org.example.Other\"}}",
          ERROR("InterfaceNotFound", "interface", "org.example.Other") },
        { "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
          "\"parameters\":{\"interface\":\"org.example.Test\"}}",
          "{\"parameters\":{\"description\":\"interface "
          "org.example.Test\\n\"}}" },
        { "{\"method\":\"org.varlink.service.GetInfo\"}",
          "{\"parameters\":{\"vendor\":\"acme-guardian\",\"product\":\"test\","
          "\"version\":\"1\",\"url\":\"https://example.org\",\"interfaces\":["
          "\"org.varlink.service\",\"org.example.Test\"]}}" },
    };
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].request);
        fixture_send(fd, cases[i].request);
        fixture_expect(&f, fd, cases[i].answer);
    }
    /* Methods that do not exist are nobody's to authorise. */
    assert_int_equal(f.n_authorised, 2);
}

static void test_the_interface_files_are_served(void **state)
{
    (void)state;
    assert_non_null(strstr(varlink_org_acmeguardian_Signer,
                           "\ninterface org.acmeguardian.Signer\n"));
    assert_non_null(strstr(varlink_org_acmeguardian_Signer, "\nmethod Sign("));
    assert_non_null(strstr(varlink_org_acmeguardian_Admin,
                           "\ninterface org.acmeguardian.Admin\n"));
    assert_non_null(strstr(varlink_org_varlink_service,
                           "\ninterface org.varlink.service\n"));
    assert_null(strstr(varlink_org_acmeguardian_Signer, "SPDX"));
}

static void test_a_peer_that_only_stops_sending_is_answered(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, HOLD);
    fixture_send(fd, ECHO(2));
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    fixture_expect_nothing(&f, fd);
    assert_int_equal(f.n_gone, 0);
    fixture_release(&f, "{\"v\":1}");
    fixture_expect(&f, fd, ANSWER(1));
    fixture_expect(&f, fd, ANSWER(2));
    fixture_expect_closed(&f, fd);
    assert_int_equal(varlink_server_connections(f.server), 0);
}

static void test_a_call_is_told_once_that_its_peer_is_gone(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    int fd;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    other = fixture_connect(&f);
    fixture_send(fd, HOLD);
    fixture_send(fd, ECHO(1));
    fixture_spin(&f);
    close(fd);
    fixture_spin(&f);
    assert_int_equal(f.n_gone, 1);
    assert_int_equal(varlink_server_connections(f.server), 1);
    /* It can still be asked, and be answered to nobody. */
    assert_string_equal(varlink_call_method(f.held[0]),
                        "org.example.Test.Hold");
    assert_string_equal(varlink_call_instance(f.held[0]), "here");
    assert_int_equal(varlink_server_pending(f.server), 1);
    fixture_release(&f, "{\"v\":1}");
    assert_int_equal(varlink_server_pending(f.server), 0);
    fixture_send(other, ECHO(2));
    fixture_expect(&f, other, ANSWER(2));
    assert_int_equal(f.n_gone, 1);
}

static void test_a_call_may_outlive_the_server(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, HOLD);
    fixture_spin(&f);
    f.server = varlink_server_free(f.server);
    assert_int_equal(f.n_gone, 1);
    assert_int_equal(f.n_held, 1);
}

static void test_a_connection_has_a_slot(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    int fd;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    other = fixture_connect(&f);
    fixture_send(fd, "{\"method\":\"org.example.Test.Slot\"}");
    fixture_expect(&f, fd, ANSWER(1));
    fixture_send(fd, "{\"method\":\"org.example.Test.Slot\"}");
    fixture_expect(&f, fd, ANSWER(2));
    fixture_send(other, "{\"method\":\"org.example.Test.Slot\"}");
    fixture_expect(&f, other, ANSWER(1));
    assert_int_equal(f.n_freed_slots, 0);
    close(fd);
    fixture_spin(&f);
    assert_int_equal(f.n_freed_slots, 1);
}

static void tell(void *userdata)
{
    *(bool *)userdata = true;
}

static void test_stop_answers_what_is_in_flight_and_no_more(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int busy = -1;
    CLEANUP_FD int idle = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    busy = fixture_connect(&f);
    idle = fixture_connect(&f);
    fixture_send(busy, HOLD);
    fixture_send(busy, ECHO(2));
    fixture_spin(&f);
    varlink_server_on_idle(f.server, tell, &f.idle_told);
    varlink_server_stop(f.server);
    fixture_expect_closed(&f, idle);
    assert_int_equal(varlink_server_pending(f.server), 1);
    assert_false(f.idle_told);
    fixture_release(&f, "{\"v\":1}");
    assert_false(f.idle_told);
    fixture_expect(&f, busy, ANSWER(1));
    assert_true(f.idle_told);
    fixture_expect_closed(&f, busy);
    assert_int_equal(varlink_server_connections(f.server), 0);
}

static void test_stop_with_nothing_in_flight_is_idle_at_once(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    varlink_server_on_idle(f.server, tell, &f.idle_told);
    fixture_spin(&f);
    assert_false(f.idle_told);
    varlink_server_stop(f.server);
    fixture_spin(&f);
    assert_true(f.idle_told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_answered),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_a_message_may_come_octet_by_octet),
        cmocka_unit_test(test_what_is_no_request_ends_the_connection),
        cmocka_unit_test(test_depth_up_to_the_limit_is_read),
        cmocka_unit_test(test_a_message_has_at_most_64_kib),
        cmocka_unit_test(test_an_oversized_message_waits_for_answers_before_it),
        cmocka_unit_test(test_oneway_is_not_answered),
        cmocka_unit_test(test_more_streams),
        cmocka_unit_test(test_standard_errors),
        cmocka_unit_test(test_the_interface_files_are_served),
        cmocka_unit_test(test_a_peer_that_only_stops_sending_is_answered),
        cmocka_unit_test(test_a_call_is_told_once_that_its_peer_is_gone),
        cmocka_unit_test(test_a_call_may_outlive_the_server),
        cmocka_unit_test(test_a_connection_has_a_slot),
        cmocka_unit_test(test_stop_answers_what_is_in_flight_and_no_more),
        cmocka_unit_test(test_stop_with_nothing_in_flight_is_idle_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
