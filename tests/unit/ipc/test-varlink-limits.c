/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "varlink-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "../need.h"

/* What one peer or uid may take, and what that leaves for others. */

static void test_connections_per_uid_are_limited(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int c = -1;
    int a, b;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .connections_per_uid = 2 });
    a = fixture_connect(&f);
    b = fixture_connect(&f);
    c = fixture_connect(&f);
    fixture_expect_closed(&f, c);
    fixture_send(b, ECHO(1));
    fixture_expect(&f, b, ANSWER(1));
    close(a);
    fixture_spin(&f);
    close(TAKE_FD(c));
    c = fixture_connect(&f);
    fixture_send(c, ECHO(2));
    fixture_expect(&f, c, ANSWER(2));
    close(b);
}

static void test_a_connection_that_is_not_admitted_is_not_read(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    f.admit = false;
    fd = fixture_connect(&f);
    fixture_send(fd, ECHO(1));
    fixture_expect_closed(&f, fd);
    assert_int_equal(f.n_authorised, 0);
}

/* As another uid: hold one request, report, send the next, expect its answer.
 */
static void other_uid(const struct fixture *f, uid_t uid, int report)
{
    char got[64];
    int fd;

    if (setresuid(uid, uid, uid) < 0)
        _exit(2);
    fd = fixture_connect(f);
    fixture_send(fd, ECHO(7));
    if (recv(fd, got, sizeof(got), 0) != sizeof(ANSWER(7)) ||
        strcmp(got, ANSWER(7)) != 0)
        _exit(3);
    if (write(report, "x", 1) != 1)
        _exit(4);
    _exit(0);
}

static void expect_other_uid_is_served(struct fixture *f, uid_t uid)
{
    int report[2];
    int status;
    char c;
    pid_t pid;

    assert_int_equal(pipe2(report, O_CLOEXEC | O_NONBLOCK), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        other_uid(f, uid, report[1]);
    close(report[1]);
    while (read(report[0], &c, 1) < 0 && errno == EAGAIN)
        (void)sd_event_run(f->event, 10 * 1000);
    close(report[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(f->last_uid, uid);
}

static void test_limits_of_one_uid_leave_others_alone(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int one = -1;
    CLEANUP_FD int two = -1;
    CLEANUP_FD int three = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .connections_per_uid = 2,
                                               .requests_per_uid = 1 });
    one = fixture_connect(&f);
    two = fixture_connect(&f);
    fixture_send(one, HOLD);
    fixture_send(two, ECHO(1));
    fixture_expect_nothing(&f, two);
    three = fixture_connect(&f);
    fixture_expect_closed(&f, three);
    expect_other_uid_is_served(&f, 12345);
    expect_other_uid_is_served(&f, 65534);
    fixture_release(&f, "{\"v\":0}");
    fixture_expect(&f, one, ANSWER(0));
    fixture_expect(&f, two, ANSWER(1));
}

static void test_another_share_of_the_same_uid_is_served(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int held = -1;
    CLEANUP_FD int other = -1;
    CLEANUP_FD int same = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .connections_per_uid = 1,
                                               .requests_per_uid = 1 });
    held = fixture_connect(&f);
    fixture_send(held, HOLD);
    fixture_listen(&f, "other", 1);
    other = fixture_connect(&f);
    fixture_send(other, ECHO(1));
    fixture_expect(&f, other, ANSWER(1));
    same = fixture_connect(&f);
    fixture_expect_closed(&f, same);
    fixture_release(&f, "{\"v\":0}");
    fixture_expect(&f, held, ANSWER(0));
}

static void test_requests_above_the_limit_wait_their_turn(void **state)
{
    enum { N = 8 };
    CLEANUP(fixture_stop) struct fixture f;
    int fds[N];

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .requests_per_uid = 2 });
    for (int i = 0; i < N; i++) {
        fds[i] = fixture_connect(&f);
        fixture_spin(&f);
        fixture_send(fds[i], HOLD);
        fixture_send(fds[i], HOLD);
        fixture_spin(&f);
    }
    assert_int_equal(f.n_held, 2);
    /* All get their first answer before anybody gets a second one. */
    for (int i = 0; i < N; i++) {
        fixture_release(&f, "{\"v\":1}");
        fixture_expect(&f, fds[i], ANSWER(1));
        assert_int_equal(f.n_held, 2);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(f.n_held, i < N - 1 ? 2 : 1);
        fixture_release(&f, "{\"v\":2}");
        fixture_spin(&f);
    }
    for (int i = 0; i < N; i++) {
        fixture_expect(&f, fds[i], ANSWER(2));
        close(fds[i]);
    }
}

static void test_a_gone_peer_keeps_its_place_until_answered(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int next = -1;
    int fd;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .requests_per_uid = 1 });
    fd = fixture_connect(&f);
    fixture_send(fd, HOLD);
    fixture_spin(&f);
    close(fd);
    next = fixture_connect(&f);
    fixture_send(next, ECHO(1));
    fixture_expect_nothing(&f, next);
    assert_int_equal(f.n_gone, 1);
    fixture_release(&f, "{}");
    fixture_expect(&f, next, ANSWER(1));
}

static void test_a_turn_that_is_not_used_passes_on(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int a = -1;
    CLEANUP_FD int b = -1;
    CLEANUP_FD int c = -1;
    CLEANUP_FD int d = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .requests_per_uid = 1 });
    a = fixture_connect(&f);
    b = fixture_connect(&f);
    c = fixture_connect(&f);
    d = fixture_connect(&f);
    fixture_send(a, HOLD);
    fixture_spin(&f);
    fixture_send_bytes(b, "{", 1); /* parked, has only a part */
    fixture_spin(&f);
    fixture_send(c, ECHO(3));
    fixture_spin(&f);
    fixture_send(d, ECHO(4));
    fixture_spin(&f);
    close(TAKE_FD(c)); /* parked, goes away */
    fixture_release(&f, "{\"v\":0}");
    fixture_expect(&f, d, ANSWER(4));
    fixture_send(b, &ECHO(2)[1]);
    fixture_expect(&f, b, ANSWER(2));
}

static void send_all(struct fixture *f, int fd, const char *text, int times)
{
    for (int i = 0; i < times; i++) {
        size_t len = strlen(text) + 1;
        ssize_t n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0)
            return;
        assert_int_equal(n, len);
        fixture_spin(f);
    }
}

static void test_a_peer_that_does_not_read_is_not_read(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;
    CLEANUP_FD int other = -1;
    char got[65536];
    size_t total = 0;
    ssize_t n;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    other = fixture_connect(&f);
    send_all(&f, fd,
             "{\"method\":\"org.example.Test.Big\",\"parameters\":{\"n\":60000}"
             "}",
             2000);
    assert_int_equal(varlink_server_connections(f.server), 2);
    assert_int_equal(varlink_server_pending(f.server), 1);
    assert_true(f.n_authorised < 100);
    fixture_send(other, ECHO(1));
    fixture_expect(&f, other, ANSWER(1));
    /* Reading brings everything, in order. */
    do {
        fixture_spin(&f);
        n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
        total += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    assert_int_equal(
        total % (60000 + sizeof("{\"parameters\":{\"text\":\"\"}}")), 0);
    assert_true(total > 100 * 60000);
    fixture_send(fd, ECHO(2));
    fixture_expect(&f, fd, ANSWER(2));
}

static void test_a_stream_that_nobody_reads_is_closed(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;
    char text[4096];
    int n = 0;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, "{\"method\":\"org.example.Test.Hold\",\"more\":true}");
    fixture_spin(&f);
    memset(text, ' ', sizeof(text));
    text[0] = '{';
    text[sizeof(text) - 1] = '}';
    for (; f.n_gone == 0 && n < 2000; n++) {
        varlink_reply_more(f.held[0],
                           (struct bytes){ (uint8_t *)text, sizeof(text) });
        assert_int_equal(f.n_gone, n < 250 ? 0 : f.n_gone);
        fixture_spin(&f);
    }
    assert_int_equal(f.n_gone, 1);
    assert_true(n < 500);
    assert_int_equal(varlink_server_connections(f.server), 0);
}

static void test_an_answer_above_1_mib_closes(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int fd = -1;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    fd = fixture_connect(&f);
    fixture_send(fd, "{\"method\":\"org.example.Test.Big\",\"parameters\":{"
                     "\"n\":2000000}}");
    fixture_spin(&f);
    assert_int_equal(varlink_server_connections(f.server), 0);
    assert_int_equal(varlink_server_pending(f.server), 0);
}

static void test_accepting_goes_on_when_descriptors_are_back(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int first = -1;
    CLEANUP_FD int second = -1;
    CLEANUP_FD int last = -1;
    struct rlimit old, tight;
    struct timespec before, after;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    first = fixture_connect(&f);
    fixture_spin(&f);
    second = fixture_connect(&f);
    last = dup(0);
    assert_true(last >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)last + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    fixture_send(second, ECHO(2));
    fixture_spin(&f);
    assert_int_equal(varlink_server_connections(f.server), 1);
    /* No spinning, and who is connected is still served. */
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
    for (int i = 0; i < 3; i++)
        assert_true(sd_event_run(f.event, 20 * 1000) >= 0);
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
    assert_true(after.tv_sec - before.tv_sec < 2);
    fixture_send(first, ECHO(1));
    fixture_expect(&f, first, ANSWER(1));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; i < 20 && varlink_server_connections(f.server) < 2; i++)
        assert_true(sd_event_run(f.event, 50 * 1000) >= 0);
    fixture_expect(&f, second, ANSWER(2));
}

static void test_idle_connections_cost_little_memory(void **state)
{
    enum { N = 1000 };
    CLEANUP(fixture_stop) struct fixture f;
    static int fds[N];
    struct mallinfo2 before, after;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ .connections_per_uid = N });
    before = mallinfo2();
    for (int i = 0; i < N; i++) {
        fds[i] = fixture_connect(&f);
        fixture_send(fds[i], ECHO(1));
        fixture_expect(&f, fds[i], ANSWER(1));
    }
    after = mallinfo2();
    print_message("%zu octets a connection\n",
                  (after.uordblks - before.uordblks) / N);
    assert_true((after.uordblks - before.uordblks) / N < 2048);
    for (int i = 0; i < N; i++)
        close(fds[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_per_uid_are_limited),
        cmocka_unit_test(test_a_connection_that_is_not_admitted_is_not_read),
        cmocka_unit_test(test_another_share_of_the_same_uid_is_served),
        cmocka_unit_test(test_requests_above_the_limit_wait_their_turn),
        cmocka_unit_test(test_a_gone_peer_keeps_its_place_until_answered),
        cmocka_unit_test(test_a_turn_that_is_not_used_passes_on),
        cmocka_unit_test(test_a_peer_that_does_not_read_is_not_read),
        cmocka_unit_test(test_a_stream_that_nobody_reads_is_closed),
        cmocka_unit_test(test_an_answer_above_1_mib_closes),
        cmocka_unit_test(test_accepting_goes_on_when_descriptors_are_back),
        cmocka_unit_test(test_idle_connections_cost_little_memory),
    };
    const struct CMUnitTest as_root[] = {
        cmocka_unit_test(test_limits_of_one_uid_leave_others_alone),
    };

    if (!need_group(argc, argv, "root"))
        return cmocka_run_group_tests(tests, NULL, NULL);
    need(getuid() == 0, "root, to connect as another user");
    return cmocka_run_group_tests(as_root, NULL, NULL);
}
