/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sodium.h>

#include "audit-fixture.h"

/* The log's own insides: what is saved when is the point of these tests. */

struct answer {
    bool done;
    int r;
    uint64_t saved; /* what the state file covered when it came */
    struct fixture *fixture;
};

static void note(int r, void *userdata)
{
    struct answer *a = userdata;

    a->done = true;
    a->r = r;
    a->saved = a->fixture->audit->key.saved;
}

static uint64_t saved_line(struct fixture *f)
{
    struct chain_state s;
    char path[160];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/audit.chain", f->state_dir);
    fd = open(path, O_RDONLY);
    assert_int_equal(chain_state_read(fd, &s), 0);
    close(fd);
    return s.chain.line;
}

/* A disk that is busy takes longer than the interval. */
static void run_until_saved(struct fixture *f, uint64_t line)
{
    for (int i = 0; i < 100 && saved_line(f) != line; i++)
        fixture_run(f, 100, NULL);
    assert_int_equal(saved_line(f), line);
}

static void test_interval_answers_at_once_and_syncs_soon(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .r = -1, .fixture = f };

    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    assert_true(a.done);
    assert_int_equal(a.r, 0);
    assert_int_equal(saved_line(f), 2);
    run_until_saved(f, 3);
}

static void test_group_answers_when_the_line_is_saved(void **state)
{
    struct fixture *f = *state;
    struct answer a[3];

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    for (int i = 0; i < 3; i++) {
        a[i] = (struct answer){ .r = -1, .fixture = f };
        assert_int_equal(fixture_write(f, "x"), 0);
        assert_int_equal(audit_when_synced(f->audit, note, &a[i]), 0);
        assert_false(a[i].done);
    }
    fixture_run(f, 5000, &a[2].done);
    for (int i = 0; i < 3; i++) {
        assert_true(a[i].done);
        assert_int_equal(a[i].r, 0);
        assert_true(a[i].saved > (uint64_t)i + 2);
    }
    /* The first began a round; the others shared the next. */
    assert_int_equal(a[0].saved, 3);
    assert_int_equal(a[1].saved, a[2].saved);
}

static void test_group_does_not_wait_for_what_is_on_disk(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .r = -1, .fixture = f };

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    assert_true(a.done);
}

static void test_who_is_forgotten_is_not_called(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .fixture = f }, b = { .fixture = f };

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &b), 0);
    audit_forget(f->audit, &a);
    fixture_run(f, 5000, &b.done);
    assert_true(b.done);
    assert_false(a.done);
}

static void test_closing_calls_those_who_wait(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .r = -1, .fixture = f };

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    fixture_close(f);
    assert_true(a.done);
    assert_int_equal(a.r, 0);
    assert_int_equal(saved_line(f), 3);
}

static void write_one_more(int r, void *userdata)
{
    struct fixture *f = userdata;

    (void)r;
    f->audit->armed = false; /* as when a round took longer than its timer */
    assert_int_equal(fixture_write(f, "refused after all"), 0);
}

/* A signature that is held back at the last moment is on record, too. */
static void test_who_is_called_at_the_end_may_still_write(void **state)
{
    struct fixture *f = *state;

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    assert_int_equal(fixture_write(f, "a"), 0);
    assert_int_equal(audit_when_synced(f->audit, write_one_more, f), 0);
    fixture_close(f);
    assert_int_equal(fixture_verify(f), 3);
}

/* What a stop cuts off is written down, and so is the stop. No timer can be set
 * any more, which is no failure of the log. */
static void test_lines_are_taken_after_the_loop_has_ended(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    for (int i = 0;
         i < 100 && (f->audit->armed || audit_sync_busy(f->audit->sync)); i++)
        fixture_run(f, 100, NULL);
    assert_false(f->audit->armed);
    assert_true(sd_event_exit(f->event, 0) >= 0);
    assert_true(sd_event_loop(f->event) >= 0);
    assert_int_equal(fixture_write(f, "one"), 0);
    assert_int_equal(fixture_write(f, "two"), 0);
    assert_int_equal(audit_state(f->audit), 0);
    fixture_close(f);
    assert_int_equal(fixture_verify(f), 3);
}

static void test_idle_log_wakes_nobody(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    for (int i = 0; i < 100 && !f->audit->key.twice; i++)
        fixture_run(f, 100, NULL);
    assert_true(f->audit->key.twice);
    fixture_run(f, 250, NULL); /* the end of that round */
    assert_int_equal(sd_event_run(f->event, 150000), 0);
}

static void write_and_wait(struct fixture *f)
{
    struct answer a = { .r = -1, .fixture = f };

    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    fixture_run(f, 5000, &a.done);
    assert_int_equal(a.r, 0);
    assert_int_equal(a.saved, f->audit->key.head.line + 1);
}

static void test_child_that_dies_takes_no_answer_along(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .r = -1, .fixture = f };
    pid_t pid;

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    pid = audit_sync_pid(f->audit->sync);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    fixture_run(f, 50, &a.done);
    assert_false(a.done); /* it is with the child */
    assert_int_equal(kill(pid, SIGKILL), 0);
    fixture_run(f, 5000, &a.done);
    assert_int_equal(a.r, 0);
    assert_int_equal(saved_line(f), 3);

    /* It had never answered: no other is forked yet, we do it ourselves. */
    write_and_wait(f);
    assert_int_equal(audit_sync_pid(f->audit->sync), 0);
    assert_int_equal(fixture_verify(f), 3);
}

#define MASK 0x5a

/* The key of now, not as it is: a copy of ours would be found, too. */
static void masked_key(struct fixture *f, uint8_t ret[static CHAIN_KEY_LEN])
{
    const uint8_t *key = f->audit->key.now->data + offsetof(struct chain, key);

    for (size_t i = 0; i < CHAIN_KEY_LEN; i++)
        ret[i] = key[i] ^ MASK;
}

/* Does this process have that key anywhere it can write to? */
static bool memory_has(pid_t pid, const uint8_t *masked)
{
    char path[64], line[512];
    bool found = false;
    FILE *maps;
    int mem;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    maps = fopen(path, "r");
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    mem = open(path, O_RDONLY);
    assert_non_null(maps);
    assert_true(mem >= 0);
    while (fgets(line, sizeof(line), maps)) {
        CLEANUP_FREE uint8_t *copy = NULL;
        unsigned long from, to;
        char flags[5];
        ssize_t n;

        if (sscanf(line, "%lx-%lx %4s", &from, &to, flags) != 3 ||
            flags[0] != 'r' || flags[1] != 'w' || to - from > 16UL << 20)
            continue;
        copy = malloc(to - from);
        n = copy ? pread(mem, copy, to - from, (off_t)from) : -1;
        for (ssize_t i = 0; i < n; i++)
            copy[i] ^= MASK;
        if (copy && n > 0 && memmem(copy, (size_t)n, masked, CHAIN_KEY_LEN))
            found = true;
        if (copy)
            sodium_memzero(copy, to - from); /* not to be found itself */
    }
    (void)fclose(maps);
    close(mem);
    return found;
}

static void test_key_is_forgotten_with_its_line(void **state)
{
    struct fixture *f = *state;
    uint8_t before[CHAIN_KEY_LEN], now[CHAIN_KEY_LEN];

    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    fixture_run(f, 150, NULL); /* it is saved, too */
    masked_key(f, before);
    assert_true(memory_has(getpid(), before));
    assert_int_equal(fixture_write(f, "x"), 0);
    /* It is saved after the sync, which a busy disk may take its time for. */
    for (int i = 0; i < 100 && memory_has(getpid(), before); i++)
        fixture_run(f, 150, NULL);
    masked_key(f, now);
    assert_true(memory_has(getpid(), now));
    assert_false(memory_has(getpid(), before));
}

static void test_child_that_has_worked_is_replaced(void **state)
{
    struct fixture *f = *state;
    pid_t pid;

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    write_and_wait(f);
    pid = audit_sync_pid(f->audit->sync);
    assert_int_equal(kill(pid, SIGKILL), 0);
    write_and_wait(f);
    write_and_wait(f);
    assert_true(audit_sync_pid(f->audit->sync) > 0);
    assert_int_not_equal(audit_sync_pid(f->audit->sync), pid);
    assert_int_equal(fixture_verify(f), 4);
}

/* Or it would keep a key that every later line is meant to have outlived. */
static void test_child_forked_late_has_no_key(void **state)
{
    struct fixture *f = *state;
    uint8_t key[CHAIN_KEY_LEN];

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    write_and_wait(f);
    assert_int_equal(kill(audit_sync_pid(f->audit->sync), SIGKILL), 0);
    write_and_wait(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    fixture_run(f, 250, NULL); /* no line after this until it was forked */
    masked_key(f, key);
    assert_true(audit_sync_pid(f->audit->sync) > 0);
    assert_true(memory_has(getpid(), key));
    assert_false(memory_has(audit_sync_pid(f->audit->sync), key));
}

static void test_child_ends_with_the_log(void **state)
{
    struct fixture *f = *state;
    pid_t pid;

    fixture_open(f);
    pid = audit_sync_pid(f->audit->sync);
    assert_int_equal(kill(pid, 0), 0);
    fixture_close(f);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static unsigned files_of(pid_t pid)
{
    char path[64];
    unsigned n = 0;

    for (int fd = 0; fd < 64; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        n += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }
    return n;
}

static void test_child_holds_nothing_but_its_files(void **state)
{
    struct fixture *f = *state;
    unsigned n = 64;

    fixture_open(f);
    fixture_run(f, 20, NULL);
    /* It may be a new one that has just been forked. */
    for (int i = 0; i < 3000 && n > 3; i++) {
        n = files_of(audit_sync_pid(f->audit->sync));
        (void)usleep(10000);
    }
    assert_true(n <= 3);
}

static void test_rotation_during_a_round_goes_well(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .r = -1, .fixture = f };
    pid_t pid;
    char *closed;

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    pid = audit_sync_pid(f->audit->sync);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    assert_int_equal(audit_rotate(f->audit, &closed), 0);
    free(closed);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
    fixture_run(f, 5000, &a.done);
    assert_int_equal(a.r, 0);
    run_until_saved(f, 5);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_verify(f), 4);
}

/* A descriptor that cannot be synced stands for a disk that fails to. */
static void test_failed_sync_stops_writing_until_one_succeeds(void **state)
{
    struct fixture *f = *state;
    struct answer a = { .fixture = f };
    int pair[2];

    f->settings.audit_sync = SETTINGS_SYNC_GROUP;
    fixture_open(f);
    assert_int_equal(pipe(pair), 0);
    audit_sync_files(f->audit->sync, pair[1], f->audit->key.fd);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_when_synced(f->audit, note, &a), 0);
    fixture_run(f, 5000, &a.done);
    assert_int_equal(a.r, -EINVAL);
    assert_int_equal(audit_state(f->audit), EINVAL);
    assert_int_equal(saved_line(f), 2);
    assert_int_equal(fixture_write(f, "x"), -EINVAL);

    audit_sync_files(f->audit->sync, f->audit->file.fd, f->audit->key.fd);
    run_until_saved(f, 3);
    assert_int_equal(audit_state(f->audit), 0);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(fixture_verify(f), 3);
    close(pair[0]);
    close(pair[1]);
}

#define WITH_LOG(fn)                                                           \
    cmocka_unit_test_setup_teardown(fn, fixture_new, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_interval_answers_at_once_and_syncs_soon),
        WITH_LOG(test_group_answers_when_the_line_is_saved),
        WITH_LOG(test_group_does_not_wait_for_what_is_on_disk),
        WITH_LOG(test_who_is_forgotten_is_not_called),
        WITH_LOG(test_closing_calls_those_who_wait),
        WITH_LOG(test_who_is_called_at_the_end_may_still_write),
        WITH_LOG(test_lines_are_taken_after_the_loop_has_ended),
        WITH_LOG(test_idle_log_wakes_nobody),
        WITH_LOG(test_child_that_dies_takes_no_answer_along),
        WITH_LOG(test_child_that_has_worked_is_replaced),
        WITH_LOG(test_key_is_forgotten_with_its_line),
        WITH_LOG(test_child_forked_late_has_no_key),
        WITH_LOG(test_child_ends_with_the_log),
        WITH_LOG(test_child_holds_nothing_but_its_files),
        WITH_LOG(test_rotation_during_a_round_goes_well),
        WITH_LOG(test_failed_sync_stops_writing_until_one_succeeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
