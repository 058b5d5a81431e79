/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit-fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/secret.h"

int fixture_new(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f || tmp_dir_new((void **)&f->dir) || secrets_init(true, NULL) ||
        sd_event_new(&f->event) < 0)
        return -1;
    (void)snprintf(f->log_dir, sizeof(f->log_dir), "%s/log", f->dir->path);
    (void)snprintf(f->state_dir, sizeof(f->state_dir), "%s/state",
                   f->dir->path);
    f->settings = (struct settings){ .log_dir = f->log_dir,
                                     .state_dir = f->state_dir,
                                     .audit_sync = SETTINGS_SYNC_INTERVAL,
                                     .audit_max_size = 64 << 20,
                                     .audit_keep = 30,
                                     .audit_reserve = 1 << 20 };
    *state = f;
    return 0;
}

int fixture_free(void **state)
{
    struct fixture *f = *state;
    int r;

    fixture_close(f);
    sd_event_unref(f->event);
    r = tmp_dir_free((void **)&f->dir);
    free(f);
    return r;
}

int fixture_try_open(struct fixture *f)
{
    f->error = (struct errmsg){ 0 };
    return audit_open(&f->settings, f->event, &f->audit, &f->error);
}

void fixture_open(struct fixture *f)
{
    int r = fixture_try_open(f);

    if (r)
        print_error("audit_open: %d %s:%u: %s\n", r, f->error.file,
                    f->error.line, f->error.text);
    assert_int_equal(r, 0);
    if (audit_first_key_waiting(f->audit))
        assert_int_equal(audit_take_first_key(f->audit, f->first_key), 0);
}

void fixture_close(struct fixture *f)
{
    f->audit = audit_close(f->audit);
}

void fixture_crash(struct fixture *f, void (*fn)(struct fixture *f))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        /* An event loop does not survive a fork. */
        if (sd_event_new(&f->event) < 0 || fixture_try_open(f))
            _exit(1);
        fn(f);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

int fixture_write(struct fixture *f, const char *detail)
{
    const struct audit_event event = { .type = AUDIT_ADMIN,
                                       .operation = "Test",
                                       .detail = detail };

    return audit_write(f->audit, &event);
}

static uint64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void fixture_run(struct fixture *f, unsigned ms, const bool *flag)
{
    uint64_t end = now_ms() + ms;

    while (now_ms() < end && (!flag || !*flag))
        assert_true(sd_event_run(f->event, (end - now_ms()) * 1000) >= 0);
}

int fixture_walk(struct fixture *f, struct chain_walk *w)
{
    int fd = open(f->log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    *w = (struct chain_walk){ .chain.line = 1 };
    memcpy(w->chain.key, f->first_key, CHAIN_KEY_LEN);
    r = chain_walk(fd, w);
    close(fd);
    return r;
}

uint64_t fixture_verify(struct fixture *f)
{
    struct chain_walk w;
    struct errmsg e = { 0 };
    int r = fixture_walk(f, &w);

    if (r == CHAIN_WALK_E_FAULT) {
        chain_walk_explain(&w, f->log_dir, &e);
        print_error("%s:%u: %s\n", e.file, e.line, e.text);
    }
    assert_int_equal(r, 0);
    return w.head.line;
}

const char *fixture_path(struct fixture *f, const char *name)
{
    (void)snprintf(f->dir->file, sizeof(f->dir->file), "%s/%s", f->log_dir,
                   name);
    return f->dir->file;
}

void fixture_read(struct fixture *f, const char *name, struct buf *ret)
{
    int fd = open(fixture_path(f, name), O_RDONLY);
    uint8_t block[4096];
    ssize_t n;

    assert_true(fd >= 0);
    buf_clear(ret);
    while ((n = read(fd, block, sizeof(block))) > 0)
        assert_int_equal(buf_append(ret, block, (size_t)n), 0);
    close(fd);
}

void fixture_replace(struct fixture *f, const char *name, const struct buf *b)
{
    int fd = open(fixture_path(f, name), O_WRONLY | O_CREAT | O_TRUNC, 0640);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->data, b->len), b->len);
    close(fd);
}
