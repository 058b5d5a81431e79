/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One process loads no module and so cannot be hurt by one: it watches the
 * others. They start one after the other, since modules fail at simultaneous
 * logins and a wrong PIN must be sent once. When one dies all go: the daemon
 * sees the connection close, and what starts next is sound.
 */
#include "pkcs11/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "pkcs11/outlog.h"
#include "pkcs11/pin-record.h"
#include "pkcs11/wire.h"
#include "pkcs11/worker.h"

#define WORKERS_MAX 16
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000
#define LOOK_AGAIN_MS 100
#define LOOKS_MAX 3
#define CLOSE_GRACE_MS 10000 /* at most, to give sessions back */
#define NOT_YET (-1)         /* no exit code so far */

enum child_state {
    CHILD_NONE = 0,
    CHILD_STARTING,
    CHILD_SERVING,
};

struct child {
    enum child_state state;
    pid_t pid;
    int control;
    bool confirmed;
};

struct supervisor {
    const struct settings *settings;
    const struct settings_token *token;
    struct shared *shared;
    int connection;
    int signals;
    int output; /* what workers inherit */
    bool unseparated;
    struct outlog outlog;
    struct child children[WORKERS_MAX];
    unsigned n_children; /* the last may be starting */

    /* While no worker serves: what everything is answered with. */
    bool faulty;
    struct worker_report fault;
    uint64_t retry_at_ms; /* 0: never */
    uint64_t retry_ms;
    unsigned looks; /* in vain, for a token that is hidden for a moment */

    bool unlocking; /* a TOKEN_OP_UNLOCK waits for a start */
    uint64_t unlock_id;
    bool closing;         /* the peer is gone */
    uint64_t close_at_ms; /* then; 0: not set */
    uint8_t *request;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct child *starting(struct supervisor *v)
{
    struct child *last =
        v->n_children > 0 ? &v->children[v->n_children - 1] : NULL;

    return last && last->state == CHILD_STARTING ? last : NULL;
}

static void start_child(struct supervisor *v, bool confirmed)
{
    struct worker_setup setup = {
        .settings = v->settings,
        .token = v->token,
        .shared = v->shared,
        .connection = v->connection,
        .output = v->output,
        .supervisor = getpid(),
        .unseparated = v->unseparated,
        .confirmed = confirmed,
    };
    struct child *c = &v->children[v->n_children];
    int pair[2];

    v->retry_at_ms = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        log_msg(LOG_ERR, "token %s: socketpair: %m", v->token->name);
        v->retry_at_ms = now_ms() + RETRY_MAX_MS;
        return;
    }
    setup.control = pair[1];
    c->pid = fork();
    if (c->pid == 0)
        worker_run(&setup);
    close(pair[1]);
    if (c->pid < 0) {
        log_msg(LOG_ERR, "token %s: fork: %m", v->token->name);
        close(pair[0]);
        v->retry_at_ms = now_ms() + RETRY_MAX_MS;
        return;
    }
    c->control = pair[0];
    c->confirmed = confirmed;
    c->state = CHILD_STARTING;
    v->n_children++;
}

/* Waits for a person: everything else is told so meanwhile. */
static void start_asking(struct supervisor *v)
{
    v->faulty = true;
    v->fault = (struct worker_report){ 0 };
    (void)backend_fail(&v->fault.err, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
                       "waiting for the PIN: see systemd-tty-ask-password-agent"
                       "(1)");
}

static void start_first(struct supervisor *v, bool confirmed)
{
    if (v->token->pin == SETTINGS_PIN_ASK && !v->faulty)
        start_asking(v);
    start_child(v, confirmed);
}

static void fill_status(const struct supervisor *v, struct token_status *ret)
{
    *ret = v->fault.status;
    ret->result = v->fault.err.result;
    ret->backend = v->token->backend;
    ret->processes = 0;
    ret->sessions = 0;
    ret->unseparated = v->unseparated;
    memcpy(ret->text, v->fault.err.text, sizeof(ret->text));
}

static void reply_status(struct supervisor *v, uint64_t id)
{
    struct token_status status;

    fill_status(v, &status);
    if (wire_reply(v->connection, id, NULL,
                   (struct bytes){ (const uint8_t *)&status, sizeof(status) }))
        v->closing = true;
}

/* Trying again asks nobody and sends no failed PIN, so it may go on for ever;
 * but a person is asked only once. */
static bool may_retry(const struct supervisor *v)
{
    enum token_result r = v->fault.err.result;

    return v->token->pin != SETTINGS_PIN_ASK ||
           (r != TOKEN_S_PIN_WRONG && r != TOKEN_S_PIN_LOCKED &&
            r != TOKEN_S_PIN_MISSING);
}

static void confirm_and_start(struct supervisor *v)
{
    struct errmsg why = { 0 };

    if (pin_record_forget(v->token->directory, &why)) {
        (void)backend_fail(&v->fault.err, TOKEN_S_PIN_MISSING,
                           BACKEND_CURE_NONE, 0, "%s: %s", why.file, why.text);
        reply_status(v, v->unlock_id);
        v->unlocking = false;
        return;
    }
    v->retry_ms = RETRY_FIRST_MS;
    start_child(v, true);
}

/* No worker could start. */
static void set_fault(struct supervisor *v, const struct worker_report *fault,
                      bool was_confirmed)
{
    if (!v->faulty || strcmp(fault->err.text, v->fault.err.text) != 0)
        log_msg(LOG_ERR, "token %s: %s", v->token->name, fault->err.text);
    v->faulty = true;
    v->fault = *fault;
    if (v->unlocking && !was_confirmed) {
        confirm_and_start(v);
        return;
    }
    if (v->unlocking)
        reply_status(v, v->unlock_id);
    v->unlocking = false;
    if (!may_retry(v))
        return;
    v->retry_at_ms = now_ms() + v->retry_ms;
    v->retry_ms =
        v->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : v->retry_ms * 2;
}

static void start_next(struct supervisor *v, bool alone)
{
    const struct settings_token *token = v->token;

    if (v->closing || v->n_children >= token->processes ||
        v->n_children >= WORKERS_MAX)
        return;
    if (!alone) {
        start_child(v, false);
        return;
    }
    log_msg(LOG_WARNING,
            "token %s: one process instead of Processes=%u, since with this "
            "module none sees what another makes",
            token->name, token->processes);
}

/* A worker is logged in: it serves, and the next may start. */
static void set_serving(struct supervisor *v, struct child *c,
                        const struct worker_report *report)
{
    struct worker_go go = {
        .unlock_id = v->unlock_id,
        .answers_unlock = v->unlocking,
    };

    if (v->n_children == 1)
        log_msg(LOG_INFO, "token %s: logged in to \"%s\" (%s)", v->token->name,
                report->status.token_label, report->status.library);
    v->faulty = false;
    v->unlocking = false;
    v->retry_ms = RETRY_FIRST_MS;
    v->looks = 0;
    c->state = CHILD_SERVING;
    if (send(c->control, &go, sizeof(go), MSG_NOSIGNAL) < 0)
        return; /* it died: SIGCHLD tells */
    start_next(v, report->alone);
}

static void forget_child(struct supervisor *v, struct child *c)
{
    close(c->control);
    *c = v->children[--v->n_children];
}

/*
 * SoftHSM2 writes its token's file anew at each login and logout: a module that
 * looks at that moment, since another process has just ended, finds no token.
 * So this is not told at once.
 */
static bool look_again(struct supervisor *v, const struct worker_report *report)
{
    if (report->err.result != TOKEN_S_NO_TOKEN || v->faulty || v->unlocking ||
        v->looks == LOOKS_MAX)
        return false;
    v->looks++;
    v->retry_at_ms = now_ms() + LOOK_AGAIN_MS;
    return true;
}

/* The first worker could not start: that is the fault. Another: do without. */
static void set_failed(struct supervisor *v, struct child *c,
                       const struct worker_report *report)
{
    bool confirmed = c->confirmed;

    forget_child(v, c);
    if (look_again(v, report))
        return;
    if (v->n_children == 0)
        set_fault(v, report, confirmed);
    else
        log_msg(LOG_WARNING,
                "token %s: going on with %u of Processes=%u, since the next "
                "did not start: %s",
                v->token->name, v->n_children, v->token->processes,
                report->err.text);
}

static void on_report(struct supervisor *v, struct child *c)
{
    struct worker_report report;

    if (recv(c->control, &report, sizeof(report), MSG_DONTWAIT) !=
        sizeof(report))
        return; /* it died: SIGCHLD tells */
    if (report.err.result == TOKEN_S_OK)
        set_serving(v, c, &report);
    else
        set_failed(v, c, &report);
}

static void describe_exit(int status, char *ret, size_t size)
{
    if (WIFSIGNALED(status))
        (void)snprintf(ret, size, "the module crashed (signal %d, SIG%s)",
                       WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == WORKER_EXIT_LATE)
        (void)snprintf(ret, size, "a call took longer than Timeout=");
    else if (WEXITSTATUS(status) == WORKER_EXIT_LADDER)
        (void)snprintf(ret, size, "the token needs a new start");
    else if (WEXITSTATUS(status) == WORKER_EXIT_PROTOCOL)
        (void)snprintf(ret, size, "the daemon broke the protocol");
    else
        (void)snprintf(ret, size, "a worker process ended (%d)",
                       WEXITSTATUS(status));
}

/* A token that needs a new start gets it by the daemon's next connection, which
 * is at once. A module that crashes is a failure, and systemd waits. */
static int exit_code(int status)
{
    if (WIFEXITED(status) && (WEXITSTATUS(status) == WORKER_EXIT_LADDER ||
                              WEXITSTATUS(status) == WORKER_EXIT_LATE))
        return EX_TEMPFAIL;
    return 1;
}

/* Died without a word while starting. */
static void on_stillborn(struct supervisor *v, struct child *c, int status)
{
    struct worker_report report = { 0 };
    struct errmsg why = { 0 };
    char text[96];

    describe_exit(status, text, sizeof(text));
    (void)backend_fail(&report.err, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                       "while starting: %s", text);
    if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_LATE &&
        v->token->pin != SETTINGS_PIN_NONE &&
        pin_record_unanswered(v->token->directory, &why))
        log_msg(LOG_WARNING, "token %s: %s: %s", v->token->name, why.file,
                why.text);
    set_failed(v, c, &report);
}

/* It was alone, and had no request: those that wait are the next one's. */
static void replace(struct supervisor *v, struct child *c)
{
    forget_child(v, c);
    atomic_store(&v->shared->processes, 0);
    atomic_store(&v->shared->sessions, 0);
    start_first(v, false);
}

/* Return: an exit code, or NOT_YET. */
static int on_exit_of(struct supervisor *v, pid_t pid, int status)
{
    struct child *c = NULL;
    char text[96];

    for (unsigned i = 0; i < v->n_children; i++) {
        if (v->children[i].pid == pid)
            c = &v->children[i];
    }
    if (!c)
        return NOT_YET; /* it had reported that it could not start */
    if (c->state == CHILD_STARTING) {
        on_report(v, c);
        if (starting(v) == c && c->pid == pid)
            on_stillborn(v, c, status);
        return NOT_YET;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_CLOSED)
        v->closing = true;
    if (v->closing) {
        forget_child(v, c);
        return NOT_YET;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_STALE) {
        replace(v, c);
        return NOT_YET;
    }
    describe_exit(status, text, sizeof(text));
    log_msg(LOG_ERR, "token %s: %s; starting anew", v->token->name, text);
    return exit_code(status);
}

static int on_signal(struct supervisor *v)
{
    struct signalfd_siginfo info;
    int code = NOT_YET;
    int status;
    pid_t pid;

    if (read(v->signals, &info, sizeof(info)) != sizeof(info))
        return NOT_YET;
    if (info.ssi_signo != SIGCHLD) {
        v->closing = true;
        return NOT_YET;
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        int r = on_exit_of(v, pid, status);

        code = code == NOT_YET ? r : code;
    }
    return code;
}

/* A request while no worker serves. Return: an exit code, or NOT_YET. */
static int on_request(struct supervisor *v)
{
    const struct token_request *q = (const void *)v->request;
    struct backend_error err = { 0 };
    ssize_t n = recv(v->connection, v->request, WIRE_REQUEST_MAX,
                     MSG_TRUNC | MSG_DONTWAIT);
    int r;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? NOT_YET : 0;
    if (n == 0)
        return 0;
    if (wire_check((struct bytes){ v->request, (size_t)n }, &err) !=
        TOKEN_S_OK) {
        log_msg(LOG_ERR, "token %s: %s", v->token->name, err.text);
        r = wire_reply(v->connection, (size_t)n >= sizeof(*q) ? q->id : 0, &err,
                       (struct bytes){ 0 });
        return r ? 0 : 1;
    }
    if (q->op == TOKEN_OP_UNLOCK && !v->unlocking &&
        (!starting(v) || v->token->pin != SETTINGS_PIN_ASK)) {
        v->unlocking = true;
        v->unlock_id = q->id;
        if (!starting(v))
            confirm_and_start(v);
    } else if (q->op == TOKEN_OP_STATUS || q->op == TOKEN_OP_UNLOCK) {
        reply_status(v, q->id);
    } else if (wire_reply(v->connection, q->id, &v->fault.err,
                          (struct bytes){ 0 })) {
        return 0;
    }
    return NOT_YET;
}

static int until(uint64_t at_ms)
{
    uint64_t now = now_ms();

    return at_ms > now ? (int)(at_ms - now) : 0;
}

static bool retries(const struct supervisor *v)
{
    return v->retry_at_ms != 0 && !v->closing;
}

static int poll_timeout(const struct supervisor *v)
{
    if (v->close_at_ms != 0)
        return until(v->close_at_ms);
    return retries(v) ? until(v->retry_at_ms) : -1;
}

static uint64_t close_grace_ms(const struct supervisor *v)
{
    return v->token->timeout_ms < CLOSE_GRACE_MS ? v->token->timeout_ms
                                                 : CLOSE_GRACE_MS;
}

/*
 * A login in progress is not cut off: that would leave a try without an answer.
 * Then the workers see the end themselves, but those in a call that hangs. A
 * TPM keeps what a process killed before C_Finalize had loaded, so a slow one
 * gets the time that each call has.
 *
 * Return: an exit code, or NOT_YET.
 */
static int close_down(struct supervisor *v)
{
    if (starting(v) && v->token->pin != SETTINGS_PIN_ASK)
        return NOT_YET;
    if (v->close_at_ms == 0) {
        (void)shutdown(v->connection, SHUT_RDWR);
        v->close_at_ms = now_ms() + close_grace_ms(v);
    }
    return v->n_children == 0 || starting(v) || until(v->close_at_ms) == 0
               ? 0
               : NOT_YET;
}

/* Return: an exit code, or NOT_YET. */
static int turn(struct supervisor *v)
{
    struct child *c = starting(v);
    struct pollfd fds[] = {
        { v->signals, POLLIN, 0 },
        { v->outlog.fd, POLLIN, 0 },
        { c ? c->control : -1, POLLIN, 0 },
        { v->closing ? -1 : v->connection,
          (short)(v->faulty ? POLLIN | POLLRDHUP : POLLRDHUP), 0 },
    };
    int code = NOT_YET;

    if (poll(fds, ARRAY_LEN(fds), poll_timeout(v)) < 0)
        return errno == EINTR ? NOT_YET : 1;
    if (fds[1].revents)
        outlog_drain(&v->outlog, now_ms());
    if (fds[3].revents & POLLIN)
        code = on_request(v);
    else if (fds[3].revents)
        v->closing = true;
    if (code == NOT_YET && c && fds[2].revents)
        on_report(v, c);
    if (code == NOT_YET && fds[0].revents)
        code = on_signal(v);
    if (code == NOT_YET && v->closing)
        return close_down(v);
    if (code == NOT_YET && retries(v) && until(v->retry_at_ms) == 0)
        (v->n_children == 0 ? start_first : start_child)(v, false);
    return code;
}

static void end_children(struct supervisor *v)
{
    for (unsigned i = 0; i < v->n_children; i++) {
        (void)kill(-v->children[i].pid, SIGKILL);
        (void)kill(v->children[i].pid, SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    outlog_drain(&v->outlog, now_ms());
}

static int set_up(struct supervisor *v)
{
    sigset_t mask;
    int pipe_fds[2];

    /* Shared with the workers, and with nothing else. */
    v->shared = mmap(NULL, sizeof(*v->shared), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    v->request = malloc(WIRE_REQUEST_MAX);
    if (v->shared == MAP_FAILED || !v->request)
        return -ENOMEM;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGINT);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -errno;
    v->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    /* Non-blocking for both: a module that prints without end is not held up,
     * it loses what it printed. */
    if (v->signals < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    v->outlog = (struct outlog){ .fd = pipe_fds[0], .name = v->token->name };
    v->output = pipe_fds[1];
    return 0;
}

static void tear_down(struct supervisor *v)
{
    end_children(v);
    for (unsigned i = 0; i < v->n_children; i++)
        close(v->children[i].control);
    (void)munmap(v->shared, sizeof(*v->shared));
    free(v->request);
    close(v->outlog.fd);
    close(v->output);
    close(v->signals);
    close(v->connection);
}

int supervise(const struct settings *settings,
              const struct settings_token *token, int connection,
              bool unseparated)
{
    struct supervisor v = {
        .settings = settings,
        .token = token,
        .connection = connection,
        .unseparated = unseparated,
        .retry_ms = RETRY_FIRST_MS,
    };
    int code = NOT_YET;
    int r = set_up(&v);

    if (r) {
        log_msg(LOG_ERR, "token %s: %s", token->name, strerror(-r));
        free(v.request);
        return 1;
    }
    start_first(&v, false);
    while (code == NOT_YET)
        code = turn(&v);
    tear_down(&v);
    return code;
}
