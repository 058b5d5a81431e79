/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/confine.h"
#include "pkcs11/module-env.h"
#include "pkcs11/wire.h"

#define CONNECTION_FD 3
#define CONTROL_FD 4

struct worker {
    const struct worker_setup *setup;
    struct service service;
    struct watchdog dog;
    struct answerer answerers[WATCHDOG_WATCHES_MAX];
    char *credentials_dir;
    struct token_status status;
};

/* Modules crash in their destructors: no exit handler ever runs. */
static noreturn void leave(int code)
{
    _exit(code);
}

static void on_late(void *userdata)
{
    (void)userdata;
    leave(WORKER_EXIT_LATE);
}

/* Fixed numbers, so that everything else can be closed. The descriptors that
 * come in are above these. */
static int arrange_fds(const struct worker_setup *setup)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int connection, control;

    if (null < 0 || dup2(null, 0) < 0 || dup2(setup->output, 1) < 0 ||
        dup2(setup->output, 2) < 0)
        return -errno;
    /* Out of the way of each other first. */
    connection = fcntl(setup->connection, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
    control = fcntl(setup->control, F_DUPFD_CLOEXEC, CONTROL_FD + 1);

    if (connection < 0 || control < 0 ||
        dup3(connection, CONNECTION_FD, O_CLOEXEC) < 0 ||
        dup3(control, CONTROL_FD, O_CLOEXEC) < 0)
        return -errno;
    return close_range(CONTROL_FD + 1, ~0u, 0) < 0 ? -errno : 0;
}

static int arrange_environment(struct worker *w)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");

    if (credentials) {
        w->credentials_dir = strdup(credentials);
        if (!w->credentials_dir)
            return -ENOMEM;
    }
    return module_env_set(w->setup->token);
}

static int arrange(struct worker *w, struct errmsg *reterr)
{
    sigset_t none;
    int r;

    /* A group of its own: what the worker spawned ends with it. */
    (void)setpgid(0, 0);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != w->setup->supervisor)
        leave(WORKER_EXIT_FAILED);
    r = arrange_fds(w->setup);
    if (r == 0)
        r = arrange_environment(w);
    if (r == 0)
        r = watchdog_start(&w->dog, w->setup->token->timeout_ms, on_late, NULL);
    if (r) {
        errmsg_set(reterr, "the worker process cannot start: %s", strerror(-r));
        return r;
    }
    return secrets_init(w->setup->settings->allow_swappable, reterr);
}

static enum token_result open_token(struct worker *w, struct backend_error *err)
{
    struct service *s = &w->service;
    const struct settings_token *token = w->setup->token;
    struct watch *watch = &w->dog.watches[0];
    enum token_result r;

    *s = (struct service){ .settings = token,
                           .ops = backend_ops_get(token->backend),
                           .shared = w->setup->shared,
                           .unseparated = w->setup->unseparated };
    if (!s->ops)
        return backend_fail(err, TOKEN_S_UNSUPPORTED, BACKEND_CURE_NONE, 0,
                            "this build does not have the Backend=");
    watch_start(watch, token->timeout_ms);
    r = s->ops->open(token, &s->backend, err);
    watch_stop(watch);
    if (r != TOKEN_S_OK)
        return r;
    login_init(&s->login, token, s->ops, s->backend, w->credentials_dir);
    r = login_first(&s->login, w->setup->confirmed, watch, err);
    watch_stop(watch);
    return r;
}

/* One session less is better than none: how many a token has, none tells. */
static enum token_result open_sessions(struct worker *w,
                                       struct backend_error *err)
{
    const struct settings_token *token = w->setup->token;
    enum token_result r = TOKEN_S_OK;

    for (unsigned i = 0; i < token->sessions && i < WATCHDOG_WATCHES_MAX; i++) {
        struct answerer *a = &w->answerers[i];

        *a = (struct answerer){ .service = &w->service,
                                .watch = &w->dog.watches[i] };
        a->keys = calloc(TOKEN_LIST_MAX, sizeof(*a->keys));
        if (!a->keys)
            return backend_fail(err, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                                "out of memory");
        watch_start(a->watch, token->timeout_ms);
        r = w->service.ops->session_new(w->service.backend, &a->session, err);
        watch_stop(a->watch);
        if (r == TOKEN_S_FULL && i > 0) {
            fprintf(stderr, "the token gives only %u of Sessions=%u\n", i,
                    token->sessions);
            return TOKEN_S_OK;
        }
        if (r != TOKEN_S_OK)
            return r;
        w->service.n_answerers = i + 1;
    }
    return TOKEN_S_OK;
}

static void report(struct worker *w, enum token_result r,
                   const struct backend_error *err)
{
    struct worker_report report = { .err = *err };

    if (w->service.backend)
        answer_status(&w->service, &w->status);
    report.err.result = r;
    report.status = w->status;
    report.alone = w->service.backend && w->service.ops->is_alone &&
                   w->service.ops->is_alone(w->service.backend);
    if (send(CONTROL_FD, &report, sizeof(report), MSG_NOSIGNAL) < 0)
        leave(WORKER_EXIT_FAILED);
}

static void wait_for_go(struct worker *w)
{
    struct token_status status;
    struct worker_go go;

    if (recv(CONTROL_FD, &go, sizeof(go), 0) != sizeof(go))
        leave(WORKER_EXIT_CLOSED);
    atomic_fetch_add(&w->setup->shared->processes, 1);
    atomic_fetch_add(&w->setup->shared->sessions, w->service.n_answerers);
    if (!go.answers_unlock)
        return;
    answer_status(&w->service, &status);
    if (wire_reply(CONNECTION_FD, go.unlock_id, NULL,
                   (struct bytes){ (const uint8_t *)&status, sizeof(status) }))
        leave(WORKER_EXIT_CLOSED);
}

/* Nothing has failed. Where no other thread can have a request, the next worker
 * takes over the connection, and the token gets its sessions back; else what
 * they have is asked again over another. */
static noreturn void leave_stale(struct answerer *a)
{
    struct service *s = a->service;

    if (s->n_answerers > 1)
        leave(WORKER_EXIT_LADDER);
    watch_start(a->watch, s->settings->timeout_ms);
    s->ops->close(s->backend);
    leave(WORKER_EXIT_STALE);
}

static noreturn void leave_after(struct answerer *a, enum answer_next next,
                                 const struct backend_error *err)
{
    if (next == ANSWER_EXIT_CLOSED)
        leave(WORKER_EXIT_CLOSED);
    if (next == ANSWER_EXIT_STALE)
        leave_stale(a);
    /* stderr leads to the supervisor, which logs it. */
    fprintf(stderr, "%s\n", err->text);
    leave(next == ANSWER_EXIT_PROTOCOL ? WORKER_EXIT_PROTOCOL
                                       : WORKER_EXIT_LADDER);
}

/*
 * The connection is closed. Whoever is last to notice gives the token its
 * sessions back, which a TPM or an HSM far away otherwise holds for a while; a
 * thread that hangs in a call never comes here, and then the supervisor ends
 * us.
 */
static noreturn void finish(struct answerer *a)
{
    struct service *s = a->service;

    if (atomic_fetch_add(&s->n_done, 1) + 1 < s->n_answerers) {
        for (;;)
            (void)pause();
    }
    watch_start(a->watch, s->settings->timeout_ms);
    s->ops->close(s->backend);
    leave(WORKER_EXIT_CLOSED);
}

/* An empty datagram looks like the end. */
static bool is_closed(int fd)
{
    struct pollfd p = { fd, POLLRDHUP, 0 };

    return poll(&p, 1, 0) == 1;
}

static void *serve(void *arg)
{
    struct answerer *a = arg;
    struct backend_error err = { 0 };
    uint8_t *buf = malloc(WIRE_REQUEST_MAX);
    enum answer_next next;
    const int spin = spin_is_useful();
    int hot = 0;

    if (!buf)
        leave(WORKER_EXIT_LADDER);
    for (;;) {
        ssize_t n = spin_recv(&a->service->shared->spin, CONNECTION_FD, buf,
                              WIRE_REQUEST_MAX, hot);

        if (n <= 0 && is_closed(CONNECTION_FD))
            finish(a);
        if (n <= 0)
            leave(WORKER_EXIT_PROTOCOL);
        next = answer_datagram(a, CONNECTION_FD,
                               (struct bytes){ buf, (size_t)n }, &err);
        if (next != ANSWER_GO_ON)
            leave_after(a, next, &err);
        hot = spin;
    }
    return NULL;
}

/* What could not be used; what report() says of it is read before. */
static void give_back(struct worker *w)
{
    struct service *s = &w->service;

    if (!s->backend)
        return;
    answer_status(s, &w->status);
    watch_start(&w->dog.watches[0], s->settings->timeout_ms);
    s->ops->close(s->backend);
    watch_stop(&w->dog.watches[0]);
    s->backend = NULL;
}

static noreturn void run(struct worker *w)
{
    struct backend_error err = { 0 };
    struct errmsg why = { 0 };
    enum token_result r;
    pthread_t thread;

    if (arrange(w, &why)) {
        r = backend_fail(&err, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0, "%s",
                         why.text);
    } else {
        r = open_token(w, &err);
        if (r == TOKEN_S_OK)
            r = open_sessions(w, &err);
    }
    if (r != TOKEN_S_OK)
        give_back(w);
    report(w, r, &err);
    if (r != TOKEN_S_OK || w->service.n_answerers == 0)
        leave(WORKER_EXIT_FAILED);
    wait_for_go(w);
    for (unsigned i = 1; i < w->service.n_answerers; i++) {
        if (pthread_create(&thread, NULL, serve, &w->answerers[i]))
            leave(WORKER_EXIT_LADDER);
    }
    (void)serve(&w->answerers[0]);
    leave(WORKER_EXIT_CLOSED);
}

noreturn void worker_run(const struct worker_setup *setup)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (w) {
        w->setup = setup;
        run(w);
    }
    leave(WORKER_EXIT_FAILED);
}
