/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/audit-sync.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

#include "base/filter.h"
#include "base/log.h"

/* After one that died before it had done anything: not forked for ever. */
#define RESTART_MS 5000
#define N_FILES 2

enum command {
    COMMAND_FILES = 1, /* with the two descriptors */
    COMMAND_SYNC,      /* answered by an int */
};

struct audit_sync {
    sd_event *event;
    struct audit_sync_hooks hooks;
    sd_event_source *source; /* answers of the child */
    sd_event_source *here;   /* our turn, when there is no child */
    int fd;
    pid_t pid;
    uint64_t started_ms;
    bool proven; /* this or the last child has answered */
    int log_fd, state_fd;
    bool busy;
};

static int sync_both(int log_fd, int state_fd)
{
    int r = fdatasync(log_fd) < 0 ? -errno : 0;

    if (fdatasync(state_fd) < 0 && r == 0)
        r = -errno;
    return r;
}

static int send_command(int fd, enum command command, const int *fds)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(N_FILES * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { &command, sizeof(command) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fds) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(N_FILES * sizeof(int)),
            .cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
        };
        memcpy(CMSG_DATA(&control.header), fds, N_FILES * sizeof(int));
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* In the child. Whatever it does not expect ends it. */
static enum command child_receive(int fd, int *fds)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(N_FILES * sizeof(int))];
    } control = { 0 };
    enum command command;
    struct iovec iov = { &command, sizeof(command) };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

    if (n != (ssize_t)sizeof(command))
        _exit(n == 0 ? 0 : 1);
    if (command == COMMAND_FILES) {
        if (control.header.cmsg_type != SCM_RIGHTS ||
            control.header.cmsg_len != CMSG_LEN(N_FILES * sizeof(int)))
            _exit(1);
        for (size_t i = 0; i < N_FILES; i++) {
            if (fds[i] >= 0)
                close(fds[i]);
        }
        memcpy(fds, CMSG_DATA(&control.header), N_FILES * sizeof(int));
    }
    return command;
}

static void child_run(int fd)
{
    int fds[N_FILES] = { -1, -1 };

    for (;;) {
        int r;

        if (child_receive(fd, fds) != COMMAND_SYNC)
            continue;
        r = sync_both(fds[0], fds[1]);
        if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) != (ssize_t)sizeof(r))
            _exit(1);
    }
}

/* Two descriptors and a socket: that is all it needs to know of. */
static void child_confine(void)
{
    static const int calls[] = { SYS_recvmsg,     SYS_sendto,
                                 SYS_fdatasync,   SYS_close,
                                 SYS_close_range, SYS_restart_syscall,
                                 SYS_exit_group,  FILTER_END };
    static const int *const allowed[] = { calls, NULL };
    struct errmsg e = { 0 };

    if (filter_load(&(struct filter_rules){ .allowed = allowed,
                                            .deadly = filter_deadly },
                    NULL, &e)) {
        log_msg(LOG_ERR, "The audit log's syncing child: %s", e.text);
        _exit(1);
    }
}

/* Signals to the whole service must not end it before the last sync; the
 * socket's end does. */
static void child_main(int fd, pid_t parent,
                       const struct audit_sync_hooks *hooks)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(1);
    (void)prctl(PR_SET_NAME, "audit-sync");
    if (hooks->in_child)
        hooks->in_child(hooks->userdata);
    child_confine();
    /* The daemon's locks and connections must end with the daemon. */
    if (fd > 0)
        (void)close_range(0, (unsigned)fd - 1, 0);
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    child_run(fd);
}

static uint64_t monotonic_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void child_lost(struct audit_sync *s)
{
    s->source = sd_event_source_disable_unref(s->source);
    close(s->fd);
    s->fd = -1;
    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

static void finish(struct audit_sync *s, int r)
{
    s->busy = false;
    s->hooks.done(r, s->hooks.userdata);
}

static int on_here(sd_event_source *source, void *userdata)
{
    struct audit_sync *s = userdata;

    (void)source;
    finish(s, sync_both(s->log_fd, s->state_fd));
    return 0;
}

static int do_it_here(struct audit_sync *s)
{
    s->busy = true;
    return sd_event_source_set_enabled(s->here, SD_EVENT_ONESHOT);
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents,
                     void *userdata)
{
    struct audit_sync *s = userdata;
    int answer;
    ssize_t n;

    (void)source;
    (void)revents;
    n = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n == (ssize_t)sizeof(answer) && s->busy && answer <= 0) {
        s->proven = true;
        finish(s, answer);
        return 0;
    }
    child_lost(s);
    return s->busy ? do_it_here(s) : 0;
}

static int start_child(struct audit_sync *s)
{
    pid_t parent = getpid();
    int pair[2];
    pid_t pid;
    int r;

    s->started_ms = monotonic_ms();
    s->proven = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        child_main(pair[1], parent, &s->hooks);
    r = pid < 0 ? -errno : 0;
    close(pair[1]);
    if (r) {
        close(pair[0]);
        return r;
    }
    s->fd = pair[0];
    s->pid = pid;
    r = sd_event_add_io(s->event, &s->source, s->fd, EPOLLIN, on_answer, s);
    if (r < 0) {
        child_lost(s);
        return r;
    }
    return 0;
}

int audit_sync_new(sd_event *event, const struct audit_sync_hooks *hooks,
                   struct audit_sync **ret)
{
    struct audit_sync *s = malloc(sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    *s = (struct audit_sync){ .event = sd_event_ref(event),
                              .hooks = *hooks,
                              .fd = -1,
                              .log_fd = -1,
                              .state_fd = -1 };
    r = sd_event_add_defer(event, &s->here, on_here, s);
    if (r >= 0)
        r = sd_event_source_set_enabled(s->here, SD_EVENT_OFF);
    if (r >= 0)
        r = start_child(s);
    if (r < 0) {
        audit_sync_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

static void send_files(struct audit_sync *s)
{
    const int fds[N_FILES] = { s->log_fd, s->state_fd };

    if (s->pid > 0 && send_command(s->fd, COMMAND_FILES, fds))
        child_lost(s);
}

void audit_sync_files(struct audit_sync *s, int log_fd, int state_fd)
{
    s->log_fd = log_fd;
    s->state_fd = state_fd;
    send_files(s);
    /* What it was asked for is now ours to do. */
    if (s->pid == 0 && s->busy)
        (void)do_it_here(s);
}

int audit_sync_start(struct audit_sync *s)
{
    int r;

    if (s->pid == 0 &&
        (s->proven || monotonic_ms() - s->started_ms >= RESTART_MS) &&
        start_child(s) == 0)
        send_files(s);
    if (s->pid > 0 && send_command(s->fd, COMMAND_SYNC, NULL))
        child_lost(s);
    if (s->pid > 0) {
        s->busy = true;
        return 0;
    }
    r = do_it_here(s);
    return r < 0 ? r : 0;
}

bool audit_sync_busy(const struct audit_sync *s)
{
    return s->busy;
}

pid_t audit_sync_pid(const struct audit_sync *s)
{
    return s->pid;
}

struct audit_sync *audit_sync_free(struct audit_sync *s)
{
    if (!s)
        return NULL;
    sd_event_source_disable_unref(s->source);
    sd_event_source_disable_unref(s->here);
    if (s->fd >= 0)
        close(s->fd);
    /* It ends at the end of its socket, after what it has begun. */
    if (s->pid > 0)
        (void)waitpid(s->pid, NULL, 0);
    sd_event_unref(s->event);
    free(s);
    return NULL;
}
