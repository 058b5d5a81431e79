/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "client-shim/net-child.h"

/*
 * The whole child against a server on a loopback address, in a process of its
 * own: what it answers depends on the path alone.
 */

#define BLOCK                                                                  \
    "-----BEGIN CERTIFICATE-----\n"                                            \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"       \
    "-----END CERTIFICATE-----\n"
#define BLOCKS 1500 /* of more than 160 KiB: several pieces of the socket */

static void say(int fd, const char *status, const char *headers,
                const char *body, size_t times)
{
    char head[2048];
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
                     strlen(body) * times, headers);

    (void)!write(fd, head, (size_t)n);
    for (size_t i = 0; i < times; i++)
        (void)!write(fd, body, strlen(body));
}

static void respond(int fd, const char *request, unsigned connections)
{
    char date[64];

    if (strstr(request, " /cert "))
        say(fd, "200 OK",
            "Link: <http://127.0.0.1/up>;rel=\"up\"\r\n"
            "Link: </other/1>;rel=\"alternate\", "
            "<http://ca.example/2>;rel=\"alternate\"\r\n",
            BLOCK, BLOCKS);
    else if (strstr(request, " /links "))
        say(fd, "200 OK",
            "Link: <a>;rel=alternate,<b>;rel=alternate,<c>;rel=alternate,"
            "<d>;rel=alternate,<e>;rel=alternate\r\n"
            "Link: <f>;rel=alternate,<g>;rel=alternate,<h>;rel=alternate,"
            "<i>;rel=alternate\r\n",
            BLOCK, 1);
    else if (strstr(request, " /odd "))
        say(fd, "200 OK", "Location: http://ca.example/\xff\r\n", "", 1);
    else if (strstr(request, " /wait "))
        say(fd, "429 Too Many Requests",
            "Date: Sun, 01 Nov 2026 00:00:00 GMT\r\n"
            "Retry-After: Sun, 01 Nov 2026 00:02:00 GMT\r\n",
            "{\"type\":\"urn:ietf:params:acme:error:rateLimited\"}", 1);
    else if (strstr(request, " /move "))
        say(fd, "302 Found", "Location: /cert\r\n", "", 1);
    else if (strstr(request, " /large "))
        say(fd, "200 OK", "", BLOCK, NET_BODY_MAX / strlen(BLOCK) + 1);
    else if (strstr(request, " /two "))
        say(fd, "200 OK", "Replay-Nonce: a\r\nReplay-Nonce: b\r\n", "", 1);
    else if (strstr(request, " /count ")) {
        (void)snprintf(date, sizeof(date), "Replay-Nonce: n%u\r\n",
                       connections);
        say(fd, "200 OK", date, "", 1);
    } else if (strstr(request, " /order "))
        say(fd, "200 OK", "", "{}", 1);
    else
        say(fd, "404 Not Found", "", "{}", 1);
}

/* One connection after the other, any number of requests on each. */
_Noreturn static void serve(int listener)
{
    (void)signal(SIGPIPE, SIG_IGN); /* who has read enough closes */
    for (unsigned connections = 1;; connections++) {
        int fd = accept(listener, NULL, NULL);
        char request[64 * 1024];
        ssize_t n;

        while (fd >= 0 && (n = read(fd, request, sizeof(request) - 1)) > 0) {
            request[n] = '\0';
            respond(fd, request, connections);
        }
        close(fd);
    }
}

struct fixture {
    pid_t server;
    unsigned port;
    struct net_child *child;
};

static struct fixture f;
static struct net_answer answer;

static int set_up(void **state)
{
    const struct net_http_options options = { .timeout_s = 10 };
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    /* No proxy reaches a loopback address, whatever it is called. */
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("all_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    f.port = ntohs(addr.sin_port);
    f.server = fork();
    if (f.server == 0)
        serve(fd);
    close(fd);
    return net_child_start(&options, &f.child);
}

static int tear_down(void **state)
{
    (void)state;
    f.child = net_child_free(f.child);
    (void)kill(f.server, SIGKILL);
    (void)waitpid(f.server, NULL, 0);
    return 0;
}

static void ask(enum net_kind kind, const char *path)
{
    char url[64];
    const struct net_call call = {
        .kind = kind, .url = url, .body = bytes_from_str(""), .allow_http = true
    };

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", f.port, path);
    assert_int_equal(net_child_call(f.child, &call, &answer), 0);
}

static void test_a_long_chain_arrives_whole_with_its_alternates(void **state)
{
    char first[64];

    (void)state;
    ask(NET_KIND_CERTIFICATE, "/cert");
    assert_string_equal(answer.text, "");
    assert_int_equal(answer.certificate.pem_len, BLOCKS * strlen(BLOCK));
    assert_int_equal(answer.certificate.n_alternates, 2);
    (void)snprintf(first, sizeof(first), "http://127.0.0.1:%u/other/1", f.port);
    assert_string_equal(answer.certificate.alternate[0], first);
    assert_string_equal(answer.certificate.alternate[1], "http://ca.example/2");
}

static void test_alternates_have_a_limit(void **state)
{
    (void)state;
    ask(NET_KIND_CERTIFICATE, "/links");
    assert_int_equal(answer.certificate.n_alternates, NET_ALTERNATES_MAX);
}

/* An account's address with a '?' in it is another address. */
static void test_addresses_are_never_changed(void **state)
{
    (void)state;
    ask(NET_KIND_NONCE, "/odd");
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
    assert_non_null(strstr(answer.text, "Location"));
}

static void test_waiting_is_told_by_a_date_too(void **state)
{
    (void)state;
    ask(NET_KIND_ORDER, "/wait");
    assert_int_equal(answer.http_status, 429);
    assert_int_equal(answer.retry_after_s, 120);
    assert_int_equal(answer.date_s, 1793491200);
    assert_string_equal(answer.problem.type,
                        "urn:ietf:params:acme:error:rateLimited");
}

static void test_what_is_not_taken_says_why(void **state)
{
    (void)state;
    ask(NET_KIND_CERTIFICATE, "/move");
    assert_int_equal(answer.result, NET_RESULT_REDIRECT);
    ask(NET_KIND_CERTIFICATE, "/large");
    assert_int_equal(answer.result, NET_RESULT_TOO_LARGE);
    ask(NET_KIND_NONCE, "/two");
    assert_int_equal(answer.result, NET_RESULT_BAD_ANSWER);
    ask(NET_KIND_ORDER, "/none");
    assert_int_equal(answer.result, NET_RESULT_OK);
    assert_int_equal(answer.http_status, 404);
}

static void test_requests_share_a_connection(void **state)
{
    char nonce[NET_NONCE_MAX + 1];

    (void)state;
    ask(NET_KIND_NONCE, "/count");
    (void)strcpy(nonce, answer.nonce);
    assert_true(nonce[0] == 'n');
    ask(NET_KIND_NONCE, "/count");
    assert_string_equal(answer.nonce, nonce);
    /*
     * Not a refusal: libcurl 8 closes after one that came before it had noted
     * that all was sent, as from a server that answers in microseconds.
     */
    ask(NET_KIND_ORDER, "/order");
    ask(NET_KIND_NONCE, "/count");
    assert_string_equal(answer.nonce, nonce);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_chain_arrives_whole_with_its_alternates),
        cmocka_unit_test(test_alternates_have_a_limit),
        cmocka_unit_test(test_addresses_are_never_changed),
        cmocka_unit_test(test_waiting_is_told_by_a_date_too),
        cmocka_unit_test(test_what_is_not_taken_says_why),
        cmocka_unit_test(test_requests_share_a_connection),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
