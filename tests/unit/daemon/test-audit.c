/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/chain-state.h"

#include "audit-fixture.h"

static void test_new_log_begins_with_a_line_that_says_so(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    fixture_open(f);
    fixture_read(f, "audit.jsonl", &b);
    assert_int_equal(strncmp(buf_str(&b), "{\"n\":1,\"time\":\"20", 17), 0);
    assert_non_null(strstr(buf_str(&b), "\"type\":\"chain\""));
    assert_int_equal(fixture_verify(f), 1);
    buf_deinit(&b);
}

static void test_lines_verify_across_restarts(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 5; i++) {
        fixture_open(f);
        for (unsigned j = 0; j < 20; j++)
            assert_int_equal(fixture_write(f, "x"), 0);
        fixture_close(f);
    }
    assert_int_equal(fixture_verify(f), 101);
}

static void test_head_is_the_newest_line(void **state)
{
    struct fixture *f = *state;
    uint8_t mac[CHAIN_MAC_LEN];
    struct chain_walk w;

    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_head(f->audit, mac), 2);
    assert_int_equal(fixture_walk(f, &w), 0);
    assert_memory_equal(w.head.mac, mac, sizeof(mac));
}

static void test_files_are_not_for_everybody(void **state)
{
    struct fixture *f = *state;
    mode_t before = umask(0);
    char name[160];
    struct stat st;

    fixture_open(f);
    (void)umask(before);
    assert_int_equal(stat(fixture_path(f, "audit.jsonl"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    (void)snprintf(name, sizeof(name), "%s/audit.chain", f->state_dir);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_first_key_is_given_once(void **state)
{
    struct fixture *f = *state;
    uint8_t key[CHAIN_KEY_LEN];
    char name[160];
    struct stat st;

    assert_int_equal(fixture_try_open(f), 0);
    (void)snprintf(name, sizeof(name), "%s/audit.first", f->state_dir);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(audit_first_key_waiting(f->audit));
    assert_int_equal(audit_take_first_key(f->audit, key), 0);
    assert_false(audit_first_key_waiting(f->audit));
    assert_int_equal(audit_take_first_key(f->audit, key), -ENOENT);
    assert_int_equal(access(name, F_OK), -1);
}

static bool file_has(const char *dir, const char *name, const void *what,
                     size_t len)
{
    char path[160];
    uint8_t content[1024];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDONLY);
    n = read(fd, content, sizeof(content));
    close(fd);
    assert_true(n > 0);
    return memmem(content, (size_t)n, what, len) != NULL;
}

/* Who takes the state directory now gets no key of an earlier line. */
static void test_keys_of_earlier_lines_leave_the_disk(void **state)
{
    struct fixture *f = *state;
    struct chain_state s;
    char path[160];
    int fd;

    fixture_open(f);
    assert_int_equal(fixture_write(f, "x"), 0);
    (void)snprintf(path, sizeof(path), "%s/audit.chain", f->state_dir);
    fd = open(path, O_RDONLY);
    /* One round: the older slot is still there. */
    for (int i = 0; i < 100; i++) {
        fixture_run(f, 50, NULL);
        assert_int_equal(chain_state_read(fd, &s), 0);
        if (s.chain.line == 3)
            break;
    }
    assert_int_equal(s.chain.line, 3);
    assert_int_equal(fixture_write(f, "x"), 0);
    /* Two rounds, which a busy disk takes its time for. */
    for (int i = 0; i < 100 && file_has(f->state_dir, "audit.chain",
                                        s.chain.key, CHAIN_KEY_LEN);
         i++)
        fixture_run(f, 100, NULL);
    assert_false(
        file_has(f->state_dir, "audit.chain", s.chain.key, CHAIN_KEY_LEN));
    assert_int_equal(chain_state_read(fd, &s), 0);
    assert_int_equal(s.chain.line, 4);
    assert_false(
        file_has(f->state_dir, "audit.chain", f->first_key, CHAIN_KEY_LEN));
    close(fd);
}

static void write_hundred(struct fixture *f)
{
    for (unsigned i = 0; i < 100; i++)
        (void)fixture_write(f, "x");
}

static void test_lines_after_the_last_sync_survive_a_kill(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    for (unsigned i = 0; i < 5; i++)
        fixture_crash(f, write_hundred);
    fixture_open(f);
    assert_int_equal(fixture_verify(f), 501);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(fixture_verify(f), 502);
}

/* Killed from outside, at no particular point, while it writes and rotates. */
static void test_kill_at_any_instant_leaves_a_log_that_fits(void **state)
{
    struct fixture *f = *state;
    uint64_t lines = 0;

    fixture_open(f);
    fixture_close(f);
    f->settings.audit_max_size = 20000;
    f->settings.audit_keep = 10000;
    for (unsigned i = 0; i < 12; i++) {
        int status, ready[2];
        char c;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
            if (sd_event_new(&f->event) < 0 || fixture_try_open(f))
                _exit(1);
            for (unsigned n = 0;; n++) {
                if (fixture_write(f, "0123456789") ||
                    sd_event_run(f->event, 0) < 0 ||
                    (n == 0 && write(ready[1], "x", 1) != 1))
                    _exit(2);
            }
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        close(ready[0]);
        (void)usleep(i * 1000);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        fixture_open(f);
        assert_true(fixture_verify(f) > lines);
        lines = fixture_verify(f);
        fixture_close(f);
    }
}

static void test_torn_last_line_is_cut_and_noted(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    fixture_open(f);
    fixture_close(f);
    fixture_crash(f, write_hundred);
    fixture_read(f, "audit.jsonl", &b);
    b.len -= 40;
    fixture_replace(f, "audit.jsonl", &b);
    fixture_open(f);
    assert_int_equal(fixture_verify(f), 101); /* 100 and the note */
    fixture_read(f, "audit.jsonl", &b);
    assert_non_null(strstr(buf_str(&b), "an unfinished line of "));
    buf_deinit(&b);
}

static void assert_invalid(struct fixture *f, const char *name, unsigned line,
                           const char *words)
{
    int r = fixture_try_open(f);

    if (r != AUDIT_E_INVALID || f->error.line != line ||
        !strstr(f->error.text, words))
        print_error("wanted line %u, \"%s\"; got %d %s:%u: %s\n", line, words,
                    r, f->error.file, f->error.line, f->error.text);
    assert_int_equal(r, AUDIT_E_INVALID);
    if (name)
        assert_string_equal(f->error.file, fixture_path(f, name));
    assert_int_equal(f->error.line, line);
    assert_non_null(strstr(f->error.text, words));
    assert_non_null(strstr(f->error.text, "away together"));
    assert_null(f->audit);
}

/* A log of 101 lines, of which the state covers the first only. */
static void spoil(struct fixture *f, struct buf *b)
{
    fixture_open(f);
    fixture_close(f);
    fixture_crash(f, write_hundred);
    fixture_read(f, "audit.jsonl", b);
}

static uint8_t *line_at(struct buf *b, unsigned n)
{
    uint8_t *at = b->data;

    while (--n > 0)
        at = (uint8_t *)memchr(at, '\n', b->len) + 1;
    return at;
}

static void test_changed_line_is_refused_with_its_place(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    spoil(f, &b);
    line_at(&b, 50)[20] ^= 1;
    fixture_replace(f, "audit.jsonl", &b);
    assert_invalid(f, "audit.jsonl", 50, "line 50 does not fit");
    buf_deinit(&b);
}

static void test_deleted_line_is_refused_with_its_place(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };
    uint8_t *from, *to;

    spoil(f, &b);
    to = line_at(&b, 50);
    from = line_at(&b, 51);
    memmove(to, from, b.len - (size_t)(from - b.data));
    b.len -= (size_t)(from - to);
    fixture_replace(f, "audit.jsonl", &b);
    assert_invalid(f, "audit.jsonl", 50, "line 51 stands where line 50");
    buf_deinit(&b);
}

static void test_synced_tail_that_was_cut_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    fixture_open(f);
    write_hundred(f);
    fixture_close(f);
    fixture_read(f, "audit.jsonl", &b);
    b.len = (size_t)(line_at(&b, 100) - b.data);
    fixture_replace(f, "audit.jsonl", &b);
    assert_invalid(f, "audit.jsonl", 100, "its tail was cut");
    buf_deinit(&b);
}

static void test_synced_tail_of_other_lines_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf b = { 0 };

    fixture_open(f);
    write_hundred(f);
    fixture_close(f);
    fixture_read(f, "audit.jsonl", &b);
    b.data[b.len - 10] ^= 1;
    fixture_replace(f, "audit.jsonl", &b);
    assert_invalid(f, "audit.jsonl", 101, "line 101 does not fit");
    buf_deinit(&b);
}

static void test_deleted_log_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    write_hundred(f);
    fixture_close(f);
    assert_int_equal(unlink(fixture_path(f, "audit.jsonl")), 0);
    assert_invalid(f, NULL, 0, "the file that held line 101 is missing");
}

static void test_log_without_its_key_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[160];

    fixture_open(f);
    fixture_close(f);
    (void)snprintf(path, sizeof(path), "%s/audit.chain", f->state_dir);
    assert_int_equal(truncate(path, 100), 0);
    assert_invalid(f, NULL, 0, "the key of the audit log is damaged");
    assert_int_equal(unlink(path), 0);
    assert_invalid(f, NULL, 0, "the key of the audit log is missing");
}

static void test_after_both_are_moved_away_a_new_chain_begins(void **state)
{
    struct fixture *f = *state;
    uint8_t before[CHAIN_KEY_LEN];
    char path[160];

    fixture_open(f);
    memcpy(before, f->first_key, sizeof(before));
    write_hundred(f);
    fixture_close(f);
    (void)snprintf(path, sizeof(path), "%s/audit.chain", f->state_dir);
    assert_int_equal(unlink(fixture_path(f, "audit.jsonl")), 0);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    assert_memory_not_equal(before, f->first_key, sizeof(before));
    assert_int_equal(fixture_verify(f), 1);
}

static void test_first_key_that_nobody_took_is_kept_beside_the_new(void **state)
{
    struct fixture *f = *state;
    char path[160];

    assert_int_equal(fixture_try_open(f), 0);
    fixture_close(f);
    (void)snprintf(path, sizeof(path), "%s/audit.chain", f->state_dir);
    assert_int_equal(unlink(fixture_path(f, "audit.jsonl")), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fixture_try_open(f), 0);
    (void)snprintf(path, sizeof(path), "%s/audit.first.old", f->state_dir);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(audit_first_key_waiting(f->audit));
}

static void test_directory_others_can_write_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    assert_int_equal(chmod(f->log_dir, 0770), 0);
    assert_int_equal(fixture_try_open(f), -EPERM);
    assert_string_equal(f->error.file, f->log_dir);
    assert_int_equal(chmod(f->log_dir, 0750), 0);
    assert_int_equal(chmod(f->state_dir, 0702), 0);
    assert_int_equal(fixture_try_open(f), -EPERM);
    assert_string_equal(f->error.file, f->state_dir);
}

static void in_limited_child(struct fixture *f, void (*fn)(struct fixture *f))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (sd_event_new(&f->event) < 0 || fixture_try_open(f))
            _exit(1);
        (void)signal(SIGXFSZ, SIG_IGN);
        fn(f);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);            \
            _exit(3);                                                          \
        }                                                                      \
    } while (0)

static void set_limit(rlim_t max)
{
    const struct rlimit limit = { max, RLIM_INFINITY };

    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* A file size limit in the middle of a line is what a full disk looks like. */
static void fill_disk(struct fixture *f)
{
    uint64_t n = 0, head;
    uint8_t mac[CHAIN_MAC_LEN];
    struct stat st;

    set_limit(10000);
    while (n < 1000 && fixture_write(f, "x") == 0)
        n++;
    CHECK(n > 10 && n < 1000);
    CHECK(fixture_write(f, "x") == -EFBIG);
    CHECK(audit_state(f->audit) == EFBIG);
    head = audit_head(f->audit, mac);
    CHECK(head == n + 1);
    CHECK(stat(audit_file(f->audit), &st) == 0);
    CHECK(fixture_verify(f) == head); /* nothing torn is left behind */

    set_limit(1 << 20);
    CHECK(fixture_write(f, "x") == 0);
    CHECK(audit_state(f->audit) == 0);
    CHECK(fixture_verify(f) == head + 1);
}

static void test_full_disk_refuses_whole_lines_and_recovers(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    fixture_close(f);
    f->settings.audit_reserve = 0;
    in_limited_child(f, fill_disk);
    fixture_open(f);
    assert_true(fixture_verify(f) > 10);
}

static void test_reserve_that_cannot_be_had_is_told(void **state)
{
    struct fixture *f = *state;

    f->settings.audit_reserve = 1ULL << 60;
    fixture_open(f);
    assert_int_not_equal(audit_reserve_state(f->audit), 0);
    assert_int_equal(fixture_write(f, "x"), 0);
    assert_int_equal(audit_state(f->audit), 0);
    audit_heartbeat(f->audit);
    assert_int_not_equal(audit_reserve_state(f->audit), 0);
}

static void test_space_is_set_aside_beforehand(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    fixture_open(f);
    assert_int_equal(stat(fixture_path(f, "audit.jsonl"), &st), 0);
    assert_true(st.st_blocks * 512 >= 1 << 20);
    assert_true(st.st_size < 1000);
    fixture_close(f);
    assert_int_equal(stat(fixture_path(f, "audit.jsonl"), &st), 0);
    assert_true(st.st_blocks * 512 < 1 << 20);
}

struct collected {
    struct audit_subscriber subscriber;
    struct audit *audit;
    struct audit_subscriber *leave; /* unsubscribed at the first line */
    struct buf text;
};

static void collect(struct bytes line, void *userdata)
{
    struct collected *c = userdata;

    assert_int_equal(buf_append(&c->text, line.data, line.len), 0);
    assert_int_equal(buf_append_char(&c->text, '\n'), 0);
    if (c->leave)
        audit_unsubscribe(c->audit, c->leave);
}

static void test_subscribers_get_every_line_until_they_leave(void **state)
{
    struct fixture *f = *state;
    struct collected c[3] = { 0 };
    struct buf b = { 0 };

    fixture_open(f);
    for (int i = 0; i < 3; i++) {
        c[i].audit = f->audit;
        c[i].subscriber =
            (struct audit_subscriber){ .fn = collect, .userdata = &c[i] };
        audit_subscribe(f->audit, &c[i].subscriber);
    }
    c[2].leave = &c[2].subscriber; /* itself; it is told first */
    c[1].leave = &c[0].subscriber; /* the one after it */
    assert_int_equal(fixture_write(f, "one"), 0);
    c[1].leave = NULL;
    assert_int_equal(fixture_write(f, "two"), 0);
    assert_int_equal(c[0].text.len, 0);
    assert_null(strstr(buf_str(&c[2].text), "two"));
    assert_non_null(strstr(buf_str(&c[2].text), "one"));
    fixture_read(f, "audit.jsonl", &b);
    assert_non_null(strstr(buf_str(&b), buf_str(&c[1].text)));
    assert_non_null(strstr(buf_str(&c[1].text), "two"));
    audit_unsubscribe(f->audit, &c[1].subscriber);
    for (int i = 0; i < 3; i++)
        buf_deinit(&c[i].text);
    buf_deinit(&b);
}

static unsigned count_of(struct fixture *f, const char *text)
{
    struct buf b = { 0 };
    unsigned n = 0;

    fixture_read(f, "audit.jsonl", &b);
    for (const char *at = buf_str(&b); (at = strstr(at, text)) != NULL; at++)
        n++;
    buf_deinit(&b);
    return n;
}

static void test_refusals_beyond_the_burst_are_counted_in_one_line(void **state)
{
    struct fixture *f = *state;
    struct peer peer = { .uid = 1234 };
    const struct audit_event e = { .type = AUDIT_DECISION,
                                   .peer = &peer,
                                   .verdict = "denied" };

    fixture_open(f);
    for (unsigned i = 0; i < 100; i++)
        audit_write_refusal(f->audit, &e);
    audit_count_refusal(f->audit, 77);
    assert_int_equal(count_of(f, "denied"), AUDIT_REFUSALS_BURST);
    audit_heartbeat(f->audit);
    assert_int_equal(count_of(f, "\"type\":\"suppressed\",\"uid\":1234,"
                                 "\"count\":80,"),
                     1);
    assert_int_equal(count_of(f, "\"type\":\"suppressed\",\"uid\":77,"
                                 "\"count\":1,"),
                     1);
    audit_heartbeat(f->audit);
    assert_int_equal(count_of(f, "suppressed"), 2);
    assert_int_equal(count_of(f, "heartbeat"), 2);
    fixture_verify(f);
}

static void test_many_uids_share_a_bounded_number_of_lines(void **state)
{
    struct fixture *f = *state;

    fixture_open(f);
    for (uid_t uid = 0; uid < 5000; uid++)
        audit_count_refusal(f->audit, uid);
    audit_heartbeat(f->audit);
    assert_true(count_of(f, "suppressed") <= 17);
    assert_true(count_of(f, "suppressed") > 1);
    audit_heartbeat(f->audit);
    assert_true(count_of(f, "suppressed") <= 17);
}

#define WITH_LOG(fn)                                                           \
    cmocka_unit_test_setup_teardown(fn, fixture_new, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(test_new_log_begins_with_a_line_that_says_so),
        WITH_LOG(test_lines_verify_across_restarts),
        WITH_LOG(test_head_is_the_newest_line),
        WITH_LOG(test_files_are_not_for_everybody),
        WITH_LOG(test_first_key_is_given_once),
        WITH_LOG(test_keys_of_earlier_lines_leave_the_disk),
        WITH_LOG(test_lines_after_the_last_sync_survive_a_kill),
        WITH_LOG(test_kill_at_any_instant_leaves_a_log_that_fits),
        WITH_LOG(test_torn_last_line_is_cut_and_noted),
        WITH_LOG(test_changed_line_is_refused_with_its_place),
        WITH_LOG(test_deleted_line_is_refused_with_its_place),
        WITH_LOG(test_synced_tail_that_was_cut_is_refused),
        WITH_LOG(test_synced_tail_of_other_lines_is_refused),
        WITH_LOG(test_deleted_log_is_refused),
        WITH_LOG(test_log_without_its_key_is_refused),
        WITH_LOG(test_after_both_are_moved_away_a_new_chain_begins),
        WITH_LOG(test_first_key_that_nobody_took_is_kept_beside_the_new),
        WITH_LOG(test_directory_others_can_write_is_refused),
        WITH_LOG(test_full_disk_refuses_whole_lines_and_recovers),
        WITH_LOG(test_reserve_that_cannot_be_had_is_told),
        WITH_LOG(test_space_is_set_aside_beforehand),
        WITH_LOG(test_subscribers_get_every_line_until_they_leave),
        WITH_LOG(test_refusals_beyond_the_burst_are_counted_in_one_line),
        WITH_LOG(test_many_uids_share_a_bounded_number_of_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
