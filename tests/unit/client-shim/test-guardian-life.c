/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guardian-helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* What happens around calls: restarts, hangs, threads, fork(). */

static int64_t now_ms(void)
{
    struct timespec ts;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_a_restart_between_two_calls_goes_unnoticed(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(sign_as(g, "last", NULL), GUARDIAN_OK);
        assert_int_equal(s.counts->calls, i + 1);
        assert_true(s.counts->starts > i);
    }
}

static void test_a_connection_made_early_serves_the_first_call(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_ERROR struct guardian_error *e = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(guardian_connect(g, NULL), GUARDIAN_OK);
    assert_int_equal(guardian_connect(g, NULL), GUARDIAN_OK);
    /* Nobody else gets there any more, as after chroot(). */
    assert_int_equal(unlink(s.path), 0);
    assert_int_equal(sign_as(g, "a", NULL), GUARDIAN_OK);
    guardian_free(g);
    g = open_handle(&s);
    assert_int_equal(guardian_connect(g, &e), GUARDIAN_E_UNAVAILABLE);
    assert_int_equal(e->system_errno, ENOENT);
    assert_int_equal(guardian_connect(NULL, NULL), GUARDIAN_E_ARGUMENT);
}

static void test_a_restart_within_a_call_costs_one_more_try(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    CLEANUP_ERROR struct guardian_error *e = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    s.counts->deaths = 1;
    assert_int_equal(sign_as(g, "die", NULL), GUARDIAN_OK);
    assert_int_equal(s.counts->calls, 2);
    /* One, not two: a request that kills the daemon is not sent for ever. */
    s.counts->deaths = 2;
    assert_int_equal(sign_as(g, "die", &e), GUARDIAN_E_UNAVAILABLE);
    assert_int_equal(e->system_errno, ECONNRESET);
    assert_int_equal(s.counts->calls, 4);
    assert_int_equal(sign_as(g, "die", NULL), GUARDIAN_OK);
}

static void test_a_daemon_that_hangs_is_not_waited_for(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    int64_t before;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    assert_int_equal(sign_as(g, "a", NULL), GUARDIAN_OK);
    assert_int_equal(guardian_set_timeout(g, 100), GUARDIAN_OK);
    before = now_ms();
    assert_int_equal(sign_as(g, "hang", NULL), GUARDIAN_E_TIMEOUT);
    assert_in_range(now_ms() - before, 90, 1000);
    assert_int_equal(guardian_set_timeout(g, 10000), GUARDIAN_OK);
    assert_int_equal(sign_as(g, "b", NULL), GUARDIAN_OK);
    assert_int_equal(s.counts->calls, 3);
}

struct thread {
    struct guardian *g;
    const char *account;
    int n;
    int failed;
    pthread_t id;
};

static void *thread_main(void *userdata)
{
    struct thread *t = userdata;

    for (int i = 0; i < t->n; i++) {
        CLEANUP_JWS struct guardian_jws *jws = NULL;
        char nonce[32];
        char want[64];
        struct guardian_sign_request request = { .account = t->account,
                                                 .url = "u",
                                                 .nonce = nonce };

        (void)snprintf(nonce, sizeof(nonce), "%s-%d", t->account, i);
        (void)snprintf(want, sizeof(want), "%s|u|%s|-", t->account, nonce);
        if (guardian_sign(t->g, &request, &jws, NULL) != GUARDIAN_OK ||
            strcmp(jws->signature, want) != 0)
            t->failed++;
    }
    return NULL;
}

static void thread_start(struct thread *t)
{
    assert_int_equal(pthread_create(&t->id, NULL, thread_main, t), 0);
}

static void test_threads_share_a_handle(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    struct thread threads[4] = { 0 };
    static const char *const names[] = { "a", "b", "c", "d" };

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    for (size_t i = 0; i < 4; i++) {
        threads[i] = (struct thread){ .g = g, .account = names[i], .n = 50 };
        thread_start(&threads[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i].id, NULL), 0);
        assert_int_equal(threads[i].failed, 0);
    }
    assert_int_equal(s.counts->calls, 200);
    assert_int_equal(s.counts->connections, 1);
}

static void wait_for_calls(const struct fake_signer *s, unsigned n)
{
    while (s->counts->calls < n)
        usleep(1000);
}

static void test_waiting_for_another_thread_is_bounded(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    struct thread other;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    other = (struct thread){ .g = g, .account = "hang", .n = 1 };
    assert_int_equal(guardian_set_timeout(g, 400), GUARDIAN_OK);
    thread_start(&other);
    wait_for_calls(&s, 1);
    assert_int_equal(guardian_set_timeout(g, 50), GUARDIAN_OK);
    assert_int_equal(sign_as(g, "a", NULL), GUARDIAN_E_TIMEOUT);
    assert_int_equal(pthread_join(other.id, NULL), 0);
    assert_int_equal(other.failed, 1);
    assert_int_equal(s.counts->calls, 1);
}

static void expect_child_can_sign(struct guardian *g)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (sign_as(g, "child", NULL) != GUARDIAN_OK ||
            sign_as(g, "child", NULL) != GUARDIAN_OK)
            _exit(1);
        guardian_free(g);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_a_child_has_a_connection_of_its_own(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    expect_child_can_sign(g); /* not connected yet */
    assert_int_equal(sign_as(g, "parent", NULL), GUARDIAN_OK);
    expect_child_can_sign(g);
    assert_int_equal(sign_as(g, "parent", NULL), GUARDIAN_OK);
    assert_int_equal(s.counts->calls, 6);
    assert_int_equal(s.counts->connections, 3);
}

static void test_fork_while_a_thread_is_in_a_call(void **state)
{
    CLEANUP(fake_signer_stop) struct fake_signer s;
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    struct thread other;

    (void)state;
    fake_signer_start(&s);
    g = open_handle(&s);
    other = (struct thread){ .g = g, .account = "slow", .n = 2 };
    thread_start(&other);
    wait_for_calls(&s, 1);
    expect_child_can_sign(g);
    assert_int_equal(pthread_join(other.id, NULL), 0);
    assert_int_equal(other.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_made_early_serves_the_first_call),
        cmocka_unit_test(test_a_restart_between_two_calls_goes_unnoticed),
        cmocka_unit_test(test_a_restart_within_a_call_costs_one_more_try),
        cmocka_unit_test(test_a_daemon_that_hangs_is_not_waited_for),
        cmocka_unit_test(test_threads_share_a_handle),
        cmocka_unit_test(test_waiting_for_another_thread_is_bounded),
        cmocka_unit_test(test_a_child_has_a_connection_of_its_own),
        cmocka_unit_test(test_fork_while_a_thread_is_in_a_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
