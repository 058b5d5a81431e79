/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ends processes, in processes of their own; and how output is limited. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/log.h"
#include "pkcs11/outlog.h"
#include "pkcs11/spin.h"
#include "pkcs11/watchdog.h"

#define LATE 42

static void on_late(void *userdata)
{
    _exit(*(int *)userdata);
}

static void sleep_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
}

static void late_child(bool stops)
{
    static struct watchdog dog;
    int code = LATE;

    if (watchdog_start(&dog, 100, on_late, &code))
        _exit(1);
    sleep_ms(30); /* it sleeps by now */
    watch_start(&dog.watches[3], stops ? 5000 : 60);
    if (stops) {
        sleep_ms(10);
        watch_stop(&dog.watches[3]);
    }
    sleep_ms(stops ? 300 : 20000); /* or it ends before */
    _exit(0);
}

static int exit_of(bool stops)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        late_child(stops);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_who_is_late_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(exit_of(false), LATE);
    assert_int_equal(exit_of(true), 0);
}

static void test_spinning_takes_what_comes(void **state)
{
    struct spin spin = { .streak = SPIN_STREAK };
    char buf[8];
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    for (int hot = 0; hot < 2; hot++) {
        assert_int_equal(send(fds[0], "abc", 3, 0), 3);
        assert_int_equal(spin_recv(&spin, fds[1], buf, sizeof(buf), hot), 3);
        spin_done(&spin);
        assert_int_equal(send(fds[0], "0123456789", 10, 0), 10);
        assert_int_equal(spin_recv(&spin, fds[1], buf, sizeof(buf), hot), 10);
        assert_int_equal(spin.taken, 0);
        assert_int_equal(spin.busy, 1);
        spin_done(&spin);
    }
    close(fds[0]);
    assert_int_equal(spin_recv(&spin, fds[1], buf, sizeof(buf), 1), 0);
    close(fds[1]);
}

static void test_several_at_work_end_the_spinning(void **state)
{
    struct spin spin = { 0 };
    char c;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    for (int i = 0; i < SPIN_STREAK; i++) {
        assert_int_equal(send(fds[0], "a", 1, 0), 1);
        assert_int_equal(spin_recv(&spin, fds[1], &c, 1, 1), 1);
        spin_done(&spin);
    }
    assert_int_equal(spin.streak, SPIN_STREAK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send(fds[0], "a", 1, 0), 1);
        assert_int_equal(spin_recv(&spin, fds[1], &c, 1, 1), 1);
    }
    assert_int_equal(spin.busy, 2);
    assert_int_equal(spin.streak, 0);
    close(fds[0]);
    close(fds[1]);
}

/* What goes to stderr while a module prints @lines lines. */
static size_t logged(struct outlog *o, int in, int lines, uint64_t now_ms)
{
    static char text[65536];
    int saved = dup(2);
    int out[2];
    ssize_t n;
    size_t count = 0;

    assert_int_equal(pipe2(out, O_NONBLOCK), 0);
    for (int i = 0; i < lines; i++)
        assert_int_equal(write(in, "noise\n", 6), 6);
    assert_int_equal(dup2(out[1], 2), 2);
    outlog_drain(o, now_ms);
    assert_int_equal(dup2(saved, 2), 2);
    n = read(out[0], text, sizeof(text));
    for (ssize_t i = 0; i < n; i++)
        count += text[i] == '\n';
    close(saved);
    close(out[0]);
    close(out[1]);
    return count;
}

static void test_output_is_limited_and_counted(void **state)
{
    struct outlog o = { .name = "t" };
    int in[2];

    (void)state;
    log_init("test", false);
    assert_int_equal(pipe2(in, O_NONBLOCK), 0);
    o.fd = in[0];
    assert_int_equal(logged(&o, in[1], 5, 1000), 5);
    assert_int_equal(logged(&o, in[1], 500, 2000), OUTLOG_BURST - 5);
    assert_int_equal(logged(&o, in[1], 1, 3000), 0);
    /* the count of those left out, and the line */
    assert_int_equal(logged(&o, in[1], 1, 3000 + OUTLOG_INTERVAL_MS), 2);
    close(in[0]);
    close(in[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_late_ends_the_process),
        cmocka_unit_test(test_spinning_takes_what_comes),
        cmocka_unit_test(test_several_at_work_end_the_spinning),
        cmocka_unit_test(test_output_is_limited_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
