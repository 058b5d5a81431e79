/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/acme-guardian-call.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/settings.h"
#include "ipc/varlink-client.h"

/*
 * The handle, its connection, and the one way to call through it.
 *
 * The library lives in other people's processes, which may fork while a thread
 * of theirs is in a call. A lock that was held then stays held in the child, so
 * lock and connection are one allocation that belongs to a process; another
 * process makes its own and gives nothing of the old one back but the
 * descriptor.
 */

/* In a rotation a request is held for up to a minute. */
#define TIMEOUT_MS 90000
#define SIGNER "org.acmeguardian.Signer."

struct line {
    pid_t pid;
    pthread_mutex_t lock;
    struct varlink_client *client; /* NULL: not connected */
};

struct guardian {
    char *socket_path;
    _Atomic int timeout_ms;
    struct line *_Atomic line;
};

static struct line *line_new(void)
{
    struct line *l = malloc(sizeof(*l));

    if (!l)
        return NULL;
    *l = (struct line){ .pid = getpid() };
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        free(l);
        return NULL;
    }
    return l;
}

static void line_free(struct line *l)
{
    if (!l)
        return;
    if (l->pid != getpid()) {
        if (l->client)
            varlink_client_abandon(l->client);
        return;
    }
    varlink_client_free(l->client);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

int guardian_new(const char *socket_path, struct guardian **ret)
{
    struct guardian *g;

    if (!ret)
        return GUARDIAN_E_ARGUMENT;
    if (!socket_path)
        socket_path = secure_getenv("ACME_GUARDIAN_SOCKET");
    if (!socket_path || !socket_path[0])
        socket_path = SETTINGS_CLIENT_SOCKET;

    g = calloc(1, sizeof(*g));
    if (!g)
        return GUARDIAN_E_MEMORY;
    g->timeout_ms = TIMEOUT_MS;
    g->socket_path = strdup(socket_path);
    g->line = line_new();
    if (!g->socket_path || !g->line) {
        guardian_free(g);
        return GUARDIAN_E_MEMORY;
    }
    *ret = g;
    return GUARDIAN_OK;
}

void guardian_free(struct guardian *g)
{
    if (!g)
        return;
    line_free(g->line);
    free(g->socket_path);
    free(g);
}

int guardian_set_timeout(struct guardian *g, int timeout_ms)
{
    if (!g || timeout_ms < 1)
        return GUARDIAN_E_ARGUMENT;
    g->timeout_ms = timeout_ms;
    return GUARDIAN_OK;
}

/* This process's line; threads that come at once agree on one. */
static struct line *line_get(struct guardian *g)
{
    struct line *old = g->line;
    struct line *fresh;

    if (old->pid == getpid())
        return old;
    fresh = line_new();
    if (!fresh)
        return NULL;
    if (!atomic_compare_exchange_strong(&g->line, &old, fresh)) {
        line_free(fresh);
        return old;
    }
    line_free(old);
    return fresh;
}

static struct timespec deadline_after(int timeout_ms)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += timeout_ms / 1000;
    ts.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (ts.tv_nsec >= 1000000000L) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000L;
    }
    return ts;
}

static int left_ms(const struct timespec *deadline)
{
    struct timespec now;
    int64_t ms;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    ms = ((int64_t)deadline->tv_sec - now.tv_sec) * 1000 +
         (deadline->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

struct answer {
    char *error;
    json_t *parameters;
};

static void answer_deinit(struct answer *a)
{
    free(a->error);
    json_decref(a->parameters);
}

/* Taken out first: a child that is forked meanwhile looks at l->client. */
static void line_drop(struct line *l)
{
    struct varlink_client *client = l->client;

    l->client = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    varlink_client_free(client);
}

static int line_call_once(struct line *l, const struct guardian *g,
                          const char *method, struct bytes parameters,
                          const struct timespec *deadline, struct answer *ret)
{
    int r;

    if (!l->client) {
        r = varlink_client_connect(g->socket_path, left_ms(deadline),
                                   &l->client);
        if (r)
            return r;
    }
    r = varlink_client_call(l->client, method, parameters, left_ms(deadline),
                            &ret->error, &ret->parameters);
    /* A connection that has failed is out of step: a late answer to this
     * call would be taken for that of the next. */
    if (r)
        line_drop(l);
    return r;
}

static int line_call(struct line *l, const struct guardian *g,
                     const char *method, struct bytes parameters,
                     struct answer *ret)
{
    struct timespec deadline = deadline_after(g->timeout_ms);
    int r;

    r = pthread_mutex_clocklock(&l->lock, CLOCK_MONOTONIC, &deadline);
    if (r)
        return -r;
    r = line_call_once(l, g, method, parameters, &deadline, ret);
    if (r == -ECONNRESET)
        r = line_call_once(l, g, method, parameters, &deadline, ret);
    (void)pthread_mutex_unlock(&l->lock);
    return r;
}

static int line_connect(struct line *l, const struct guardian *g)
{
    struct timespec deadline = deadline_after(g->timeout_ms);
    int r;

    r = pthread_mutex_clocklock(&l->lock, CLOCK_MONOTONIC, &deadline);
    if (r)
        return -r;
    if (!l->client)
        r = varlink_client_connect(g->socket_path, left_ms(&deadline),
                                   &l->client);
    (void)pthread_mutex_unlock(&l->lock);
    return r;
}

static int error_of_call(int r, struct guardian_error **ret_error)
{
    switch (r) {
    case -ENOMEM:
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    case -ETIMEDOUT:
        return error_local(ret_error, GUARDIAN_E_TIMEOUT, 0, NULL);
    case -EPROTO:
        return error_local(ret_error, GUARDIAN_E_PROTOCOL, 0, NULL);
    case -EMSGSIZE:
        return error_local(ret_error, GUARDIAN_E_ARGUMENT, 0,
                           "the request is longer than 64 KiB");
    default:
        return error_local(ret_error, GUARDIAN_E_UNAVAILABLE, -r,
                           strerrordesc_np(-r));
    }
}

int guardian_connect(struct guardian *g, struct guardian_error **ret_error)
{
    struct line *l;
    int r;

    if (!g)
        return error_local(ret_error, GUARDIAN_E_ARGUMENT, 0, NULL);
    l = line_get(g);
    if (!l)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    r = line_connect(l, g);
    return r ? error_of_call(r, ret_error) : GUARDIAN_OK;
}

static void params_add_name(struct params *p, const char *name)
{
    if (p->error == 0)
        p->error = buf_append_char(&p->text, p->text.len == 0 ? '{' : ',');
    if (p->error == 0)
        p->error = buf_append_json(&p->text, bytes_from_str(name));
    if (p->error == 0)
        p->error = buf_append_char(&p->text, ':');
}

/* What is not UTF-8 would arrive as something else than was meant. */
static void params_add_value(struct params *p, const char *value)
{
    struct bytes b = bytes_from_str(value);

    if (p->error == 0 && !bytes_is_utf8(b))
        p->error = -EILSEQ;
    if (p->error == 0)
        p->error = buf_append_json(&p->text, b);
}

void params_add(struct params *p, const char *name, const char *value)
{
    if (!value)
        return;
    params_add_name(p, name);
    params_add_value(p, value);
}

void params_add_list(struct params *p, const char *name,
                     const char *const *values, size_t n)
{
    params_add_name(p, name);
    for (size_t i = 0; i < n; i++) {
        if (p->error == 0)
            p->error = buf_append_char(&p->text, i == 0 ? '[' : ',');
        params_add_value(p, values[i]);
    }
    if (p->error == 0)
        p->error = buf_append_str(&p->text, n == 0 ? "[]" : "]");
}

void params_deinit(struct params *p)
{
    buf_deinit(&p->text);
}

static int params_finish(struct params *p, struct guardian_error **ret_error)
{
    if (p->error == 0)
        p->error = buf_append_str(&p->text, p->text.len == 0 ? "{}" : "}");
    if (p->error == -EILSEQ)
        return error_local(ret_error, GUARDIAN_E_ARGUMENT, 0,
                           "a string is not UTF-8");
    return p->error ? error_of_call(p->error, ret_error) : GUARDIAN_OK;
}

int params_call(struct params *p, struct guardian *g, const char *method,
                json_t **ret, struct guardian_error **ret_error)
{
    CLEANUP(answer_deinit) struct answer a = { 0 };
    char full[64] = SIGNER;
    struct line *l;
    int r;

    r = params_finish(p, ret_error);
    if (r)
        return r;
    l = line_get(g);
    if (!l)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    strncat(full, method, sizeof(full) - sizeof(SIGNER));
    r = line_call(l, g, full, buf_bytes(&p->text), &a);
    if (r)
        return error_of_call(r, ret_error);
    if (a.error)
        return error_remote(ret_error, a.error, a.parameters);
    *ret = TAKE_PTR(a.parameters);
    return GUARDIAN_OK;
}
