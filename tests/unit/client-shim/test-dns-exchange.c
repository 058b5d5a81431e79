/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/dns-exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "client-shim/dns-message.h"

static const struct dns_child_options options = { .try_ms = 100,
                                                  .n_tries = 2,
                                                  .tcp_ms = 100 };

/* A server on this machine; its descriptor, and its address. */
static int listening(int type, struct dns_server *ret)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof(a);
    const struct timeval patience = { .tv_sec = 5 };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
        0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 1), 0);
    *ret = (struct dns_server){ .family = AF_INET, .port = ntohs(a.sin_port) };
    memcpy(ret->addr, &a.sin_addr, sizeof(a.sin_addr));
    return fd;
}

static void begin(struct dns_exchange *e, const struct dns_server *server,
                  bool tcp)
{
    const struct dns_query q = { .name = "example.test", .type = DNS_TYPE_TXT };

    dns_exchange_reset(e);
    e->options = &options;
    e->servers = server;
    e->n_servers = 1;
    e->tcp = tcp;
    assert_int_equal(dns_message_put_query(&q, 7, true, &e->wire), 0);
    assert_int_equal(dns_exchange_start(e, 0), 0);
    assert_int_equal(e->state, DNS_EXCHANGE_RUNS);
}

static void step_when_ready(struct dns_exchange *e, int64_t now_ms)
{
    struct pollfd p = { .fd = e->fd, .events = e->events };

    assert_int_equal(poll(&p, 1, 5000), 1);
    dns_exchange_step(e, p.revents, now_ms);
}

/* Always something to read, and never an answer. */
static void test_a_server_that_never_stops_is_not_waited_for(void **state)
{
    struct dns_exchange e = { 0 };
    struct dns_server server = { 0 };
    CLEANUP_FD int fd = listening(SOCK_DGRAM, &server);
    struct sockaddr_storage peer = { 0 };
    uint8_t question[512];

    (void)state;
    begin(&e, &server, false);
    for (int64_t now = 100; now <= 200; now += 100) {
        socklen_t len = sizeof(peer);

        assert_int_equal(e.state, DNS_EXCHANGE_RUNS);
        assert_true(recvfrom(fd, question, sizeof(question), 0,
                             (struct sockaddr *)&peer, &len) > 0);
        assert_int_equal(
            sendto(fd, "junk", 4, 0, (struct sockaddr *)&peer, len), 4);
        step_when_ready(&e, now);
    }
    assert_int_equal(e.state, DNS_EXCHANGE_FAILED);
    assert_int_equal(e.status, DNS_TIMEOUT);
    dns_exchange_reset(&e);
}

static void test_a_server_that_drips_is_not_waited_for(void **state)
{
    struct dns_exchange e = { 0 };
    struct dns_server server = { 0 };
    CLEANUP_FD int fd = listening(SOCK_STREAM, &server);
    CLEANUP_FD int conn = -1;

    (void)state;
    begin(&e, &server, true);
    while (!e.sent)
        step_when_ready(&e, 0);
    conn = accept(fd, NULL, NULL);
    assert_int_equal(write(conn, "\x10\0\0", 3), 3);
    step_when_ready(&e, 99);
    assert_int_equal(e.state, DNS_EXCHANGE_RUNS);
    step_when_ready(&e, 100);
    assert_int_equal(e.state, DNS_EXCHANGE_FAILED);
    assert_int_equal(e.status, DNS_TIMEOUT);
    dns_exchange_reset(&e);
}

/* What came in time counts, however late it is looked at. */
static void test_an_answer_at_the_deadline_counts(void **state)
{
    struct dns_exchange e = { 0 };
    struct dns_server server = { 0 };
    CLEANUP_FD int fd = listening(SOCK_DGRAM, &server);
    struct sockaddr_storage peer = { 0 };
    socklen_t len = sizeof(peer);
    uint8_t message[512];
    ssize_t n;

    (void)state;
    begin(&e, &server, false);
    n = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&peer,
                 &len);
    assert_true(n > DNS_MESSAGE_HEADER);
    message[2] |= 0x80;
    assert_int_equal(
        sendto(fd, message, (size_t)n, 0, (struct sockaddr *)&peer, len), n);
    step_when_ready(&e, 100);
    assert_int_equal(e.state, DNS_EXCHANGE_DONE);
    dns_exchange_reset(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_that_never_stops_is_not_waited_for),
        cmocka_unit_test(test_a_server_that_drips_is_not_waited_for),
        cmocka_unit_test(test_an_answer_at_the_deadline_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
