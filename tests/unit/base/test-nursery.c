/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define N_IDS 3

/* What is started reads from its descriptor: an octet is its exit code, and
 * it ends at the end; 'G' leaves a grandchild that holds the descriptor. */
static int start(uint32_t id, uint32_t arg, int fd, void *userdata, pid_t *ret)
{
    (void)id;
    (void)userdata;
    if (arg == 99)
        return -ENOEXEC;
    *ret = fork();
    if (*ret == 0) {
        unsigned char c = 0;

        (void)setpgid(0, 0);
        if (arg == 'G' && fork() == 0)
            pause();
        _exit(read(fd, &c, 1) == 1 ? c : 0);
    }
    return *ret < 0 ? -errno : 0;
}

static struct nursery open_one(bool end_all)
{
    struct nursery n = NURSERY_NONE;

    assert_int_equal(
        nursery_open(&(struct nursery_options){ .name = "test",
                                                .n_ids = N_IDS,
                                                .start = start,
                                                .end_all = end_all },
                     &n),
        0);
    return n;
}

static struct nursery_event next(struct nursery *n)
{
    struct nursery_event event = { 0 };
    struct pollfd p = { n->fd, POLLIN, 0 };

    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(nursery_receive(n, &event), 0);
    return event;
}

static void expect(struct nursery *n, enum nursery_kind kind, uint32_t id)
{
    struct nursery_event event = next(n);

    assert_int_equal(event.kind, kind);
    assert_int_equal(event.id, id);
}

/* Our end of the socket of a process that runs. */
static int spawn(struct nursery *n, uint32_t id, uint32_t arg)
{
    int pair[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(nursery_spawn(n, id, arg, pair[1]), 0);
    close(pair[1]);
    expect(n, NURSERY_STARTED, id);
    return pair[0];
}

static bool is_at_end(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };

    return poll(&p, 1, 20000) == 1 && (p.revents & POLLHUP);
}

static void test_how_it_ended_is_told(void **state)
{
    struct nursery n = open_one(false);
    struct nursery_event event;
    int fd = spawn(&n, 1, 0);

    (void)state;
    assert_int_equal(send(fd, "\7", 1, 0), 1);
    event = next(&n);
    assert_int_equal(event.kind, NURSERY_ENDED);
    assert_int_equal(event.id, 1);
    assert_int_equal(WEXITSTATUS(event.value), 7);
    close(fd);
    nursery_close(&n);
}

static void test_an_id_has_one_process_at_a_time(void **state)
{
    struct nursery n = open_one(true);
    int fd = spawn(&n, 1, 0);
    int other = spawn(&n, 2, 0);
    struct nursery_event event;

    (void)state;
    assert_int_equal(nursery_spawn(&n, 1, 0, fd), 0);
    event = next(&n);
    assert_int_equal(event.kind, NURSERY_NOT_STARTED);
    assert_int_equal(event.value, -EBUSY);
    nursery_end(&n, 1);
    expect(&n, NURSERY_ENDED, 1);
    close(fd);
    fd = spawn(&n, 1, 0);
    close(fd);
    close(other);
    nursery_close(&n);
}

static void test_what_cannot_be_started_is_told(void **state)
{
    struct nursery n = open_one(false);
    struct nursery_event event;

    (void)state;
    assert_int_equal(nursery_spawn(&n, 0, 99, n.fd), 0);
    event = next(&n);
    assert_int_equal(event.kind, NURSERY_NOT_STARTED);
    assert_int_equal(event.value, -ENOEXEC);
    assert_int_equal(nursery_spawn(&n, 0, 0, -1), 0);
    event = next(&n);
    assert_int_equal(event.kind, NURSERY_NOT_STARTED);
    assert_int_equal(event.value, -EBADF);
    nursery_close(&n);
}

static void test_all_end_with_their_owner(void **state)
{
    struct nursery n = open_one(true);
    int fd = spawn(&n, 0, 'G');
    int other = spawn(&n, 1, 0);

    (void)state;
    nursery_close(&n);
    /* Nobody holds the other ends, not even the grandchild. */
    assert_true(is_at_end(fd));
    assert_true(is_at_end(other));
    close(fd);
    close(other);
}

static void test_or_each_by_itself(void **state)
{
    struct nursery n = open_one(false);
    int fd = spawn(&n, 0, 0);
    struct pollfd p = { fd, POLLIN, 0 };

    (void)state;
    nursery_close(&n);
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(send(fd, "\0", 1, 0), 1);
    assert_true(is_at_end(fd));
    close(fd);
}

static void test_its_own_end_is_noticed(void **state)
{
    struct nursery n = open_one(false);
    struct nursery_event event;
    struct pollfd p = { n.fd, POLLIN, 0 };

    (void)state;
    assert_int_equal(nursery_receive(&n, &event), -EAGAIN);
    assert_int_equal(kill(n.pid, SIGKILL), 0);
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(nursery_receive(&n, &event), -ECONNRESET);
    assert_int_not_equal(nursery_spawn(&n, 0, 0, -1), 0);
    nursery_close(&n);
}

/* It does what it knows, or nothing any more. */
static void test_what_it_does_not_understand_ends_it(void **state)
{
    static const uint32_t bad[][4] = { { 1, N_IDS, 0, 0 }, { 3, 0, 0, 0 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad) + 1; i++) {
        struct nursery n = open_one(false);
        size_t len = i < ARRAY_LEN(bad) ? 12 : 16;

        assert_int_equal(send(n.fd, bad[i % ARRAY_LEN(bad)], len, 0), len);
        assert_true(is_at_end(n.fd));
        nursery_close(&n);
    }
}

/* Of what its owner has open nothing but what is to be inherited. */
static void test_descriptors_are_closed(void **state)
{
    int first[2], second[2];
    struct nursery n = NURSERY_NONE;
    struct pollfd p;

    (void)state;
    assert_int_equal(pipe2(first, O_CLOEXEC), 0);
    assert_int_equal(pipe2(second, O_CLOEXEC), 0);
    assert_int_equal(nursery_open(&(struct nursery_options){ .name = "test",
                                                             .n_ids = N_IDS,
                                                             .start = start,
                                                             .keep = &second[1],
                                                             .n_keep = 1 },
                                  &n),
                     0);
    close(spawn(&n, 0, 0));
    close(first[1]);
    close(second[1]);
    assert_true(is_at_end(first[0]));
    p = (struct pollfd){ second[0], POLLIN, 0 };
    assert_int_equal(poll(&p, 1, 0), 0);
    nursery_close(&n);
    close(first[0]);
    close(second[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_it_ended_is_told),
        cmocka_unit_test(test_an_id_has_one_process_at_a_time),
        cmocka_unit_test(test_what_cannot_be_started_is_told),
        cmocka_unit_test(test_all_end_with_their_owner),
        cmocka_unit_test(test_or_each_by_itself),
        cmocka_unit_test(test_its_own_end_is_noticed),
        cmocka_unit_test(test_what_it_does_not_understand_ends_it),
        cmocka_unit_test(test_descriptors_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
