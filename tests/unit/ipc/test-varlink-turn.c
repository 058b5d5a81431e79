/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "varlink-fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../need.h"

/* Whose turn it is, when one uid asks for everything. */

enum {
    FLOODER = 61301,
    OTHER = 61302,
    N_FLOOD = 8,
    N_AHEAD = 50,
    N_TIMES = 20
};

static int connect_as(const struct fixture *f, uid_t uid)
{
    int fd;

    assert_int_equal(seteuid(uid), 0);
    fd = fixture_connect(f);
    assert_int_equal(seteuid(0), 0);
    return fd;
}

/* Requests on all of its connections, each with more behind it. */
static void start_flood(struct fixture *f, int fds[static N_FLOOD])
{
    fixture_start(f, (struct varlink_limits){ 0 });
    for (int i = 0; i < N_FLOOD; i++)
        fds[i] = connect_as(f, FLOODER);
    fixture_spin(f);
    for (int i = 0; i < N_FLOOD; i++) {
        for (int j = 0; j < N_AHEAD; j++)
            fixture_send(fds[i], ECHO(1));
    }
}

static bool is_answered(int fd)
{
    char got[64];

    return recv(fd, got, sizeof(got), MSG_DONTWAIT | MSG_PEEK) > 0;
}

/* How many requests of others are served before @fd is. */
static unsigned served_before(struct fixture *f, int fd)
{
    unsigned before = f->n_authorised;

    for (int i = 0; i < 10000 && !is_answered(fd); i++)
        assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
    fixture_expect(f, fd, ANSWER(2));
    return f->n_authorised - before;
}

/* A uid that rests has nothing to do, and is not at its end. */
static void wait_for_connections(const struct fixture *f, size_t n)
{
    for (int i = 0; i < 10000 && varlink_server_connections(f->server) > n; i++)
        assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
    assert_int_equal(varlink_server_connections(f->server), n);
}

static void close_all(const int fds[static N_FLOOD])
{
    for (int i = 0; i < N_FLOOD; i++)
        close(fds[i]);
}

static void test_a_flood_is_one_of_two(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    int fds[N_FLOOD];
    unsigned n = 0;

    (void)state;
    start_flood(&f, fds);
    other = connect_as(&f, OTHER);
    for (int i = 0; i < N_TIMES; i++) {
        fixture_send(other, ECHO(2));
        n += served_before(&f, other);
    }
    /*
     * Its own, and what was served when it came; now and then more, when it
     * connects, or rests itself. Without turns it would be all of the flood.
     */
    assert_in_range(n, N_TIMES, 4 * N_TIMES);
    close_all(fds);
}

static void test_who_connects_has_a_turn(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    int fds[N_FLOOD];

    (void)state;
    start_flood(&f, fds);
    for (int i = 0; i < 4; i++)
        assert_true(sd_event_run(f.event, 0) >= 0);
    other = connect_as(&f, OTHER);
    fixture_send(other, ECHO(2));
    assert_in_range(served_before(&f, other), 1, 8);
    close_all(fds);
}

static void test_all_of_a_flood_is_served(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    int fds[N_FLOOD];

    (void)state;
    start_flood(&f, fds);
    other = connect_as(&f, OTHER);
    fixture_send(other, ECHO(2));
    fixture_expect(&f, other, ANSWER(2));
    for (int i = 0; i < 10000 && f.n_authorised < N_FLOOD * N_AHEAD + 1; i++)
        assert_true(sd_event_run(f.event, 20 * 1000) >= 0);
    assert_int_equal(f.n_authorised, N_FLOOD * N_AHEAD + 1);
    close_all(fds);
    wait_for_connections(&f, 1);
}

/* Who is at the limit and goes can come again. */
static void test_who_goes_leaves_a_place_at_once(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    CLEANUP_FD int again = -1;
    int fds[N_FLOOD];

    (void)state;
    fixture_start(&f,
                  (struct varlink_limits){ .connections_per_uid = N_FLOOD });
    for (int i = 0; i < N_FLOOD; i++)
        fds[i] = connect_as(&f, FLOODER);
    fixture_spin(&f);
    /* Its uid was the last, and another one is served as well. */
    other = connect_as(&f, OTHER);
    fixture_send(other, ECHO(2));
    fixture_expect(&f, other, ANSWER(2));
    fixture_send(fds[0], ECHO(2));
    fixture_expect(&f, fds[0], ANSWER(2));
    close_all(fds);
    again = connect_as(&f, FLOODER);
    fixture_send(again, ECHO(2));
    fixture_expect(&f, again, ANSWER(2));
}

/* What was sent before a hang-up counts, also when it is not its turn. */
static void test_who_goes_while_waiting_has_its_turn(void **state)
{
    CLEANUP(fixture_stop) struct fixture f;
    CLEANUP_FD int other = -1;
    unsigned before;

    (void)state;
    fixture_start(&f, (struct varlink_limits){ 0 });
    other = connect_as(&f, OTHER);
    fixture_send(other, ECHO(2));
    fixture_expect(&f, other, ANSWER(2));
    before = f.n_authorised;
    for (int i = 0; i < N_FLOOD; i++) {
        int fd = connect_as(&f, FLOODER);

        for (int j = 0; j < 3; j++)
            fixture_send(
                fd, "{\"method\":\"org.example.Test.Echo\",\"oneway\":true}");
        close(fd);
    }
    for (int i = 0; i < 10000 && f.n_authorised - before < 3 * N_FLOOD; i++)
        assert_true(sd_event_run(f.event, 20 * 1000) >= 0);
    assert_int_equal(f.n_authorised - before, 3 * N_FLOOD);
    wait_for_connections(&f, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flood_is_one_of_two),
        cmocka_unit_test(test_who_connects_has_a_turn),
        cmocka_unit_test(test_all_of_a_flood_is_served),
        cmocka_unit_test(test_who_goes_leaves_a_place_at_once),
        cmocka_unit_test(test_who_goes_while_waiting_has_its_turn),
    };

    need(getuid() == 0, "root, to connect as other users");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
