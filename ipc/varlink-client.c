/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "ipc/varlink-frame.h"

#define ANSWER_MAX (1024 * 1024)
#define READ_SIZE (16 * 1024)

/*
 * We are in other people's processes, which close descriptors that they do not
 * know (closefrom(3), daemon(3)) and open their own with the same number. So
 * the socket is remembered with the number, and what is not it is left alone.
 */
struct varlink_client {
    int fd;
    dev_t dev;
    ino_t ino;
    struct varlink_frames in;
};

static bool is_ours(const struct varlink_client *c)
{
    struct stat st;

    return c->fd >= 0 && fstat(c->fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
           st.st_dev == c->dev && st.st_ino == c->ino;
}

struct varlink_client *varlink_client_free(struct varlink_client *c)
{
    if (!c)
        return NULL;
    if (is_ours(c))
        close(c->fd);
    varlink_frames_deinit(&c->in);
    free(c);
    return NULL;
}

void varlink_client_abandon(const struct varlink_client *c)
{
    if (is_ours(c))
        (void)close(c->fd);
}

static int64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A negative timeout is none; so is a negative deadline. */
static int64_t deadline_after(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

static int wait_until(int fd, short events, int64_t deadline)
{
    struct pollfd p = { .fd = fd, .events = events };

    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - now_ms();
        int n;

        if (deadline >= 0 && left < 0)
            left = 0;
        n = poll(&p, 1, (int)left);
        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/*
 * connect() to a Unix socket waits only for room in the listener's queue, and
 * SO_SNDTIMEO bounds that.
 */
static int connect_until(int fd, const struct sockaddr_un *sa, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline < 0 ? 0 : deadline - now_ms();
        struct timeval tv;

        /* A zero time would mean for ever. */
        if (deadline >= 0 && left < 1)
            left = 1;
        tv = (struct timeval){ left / 1000, left % 1000 * 1000 };
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
            return -errno;
        if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
            return 0;
        if (errno == EAGAIN)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

int varlink_client_connect(const char *path, int timeout_ms,
                           struct varlink_client **ret)
{
    CLEANUP_VARLINK_CLIENT struct varlink_client *c = NULL;
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    CLEANUP_FD int fd = -1;
    struct stat st;
    int r;

    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path));
    c = malloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct varlink_client){ .fd = -1 };
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    c->dev = st.st_dev;
    c->ino = st.st_ino;
    c->fd = TAKE_FD(fd);
    r = connect_until(c->fd, &sa, deadline_after(timeout_ms));
    if (r)
        return r;

    *ret = TAKE_PTR(c);
    return 0;
}

static int send_all(struct varlink_client *c, struct bytes b, int64_t deadline)
{
    while (b.len > 0) {
        ssize_t n = send(c->fd, b.data, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        int r;

        if (n >= 0) {
            b.data += n;
            b.len -= (size_t)n;
            continue;
        }
        if (errno == EPIPE)
            return -ECONNRESET;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        r = wait_until(c->fd, POLLOUT, deadline);
        if (r)
            return r;
    }
    return 0;
}

static int send_request(struct varlink_client *c, const char *method,
                        struct bytes parameters, bool more, int64_t deadline)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    if (!is_ours(c))
        return -ECONNRESET;
    r = buf_append_str(&b, "{\"method\":");
    if (r == 0)
        r = buf_append_json(&b, bytes_from_str(method));
    if (r == 0)
        r = buf_append_str(&b, ",\"parameters\":");
    if (r == 0 && parameters.len == 0)
        r = buf_append_str(&b, "{}");
    if (r == 0)
        r = buf_append(&b, parameters.data, parameters.len);
    if (r == 0)
        r = buf_append_str(&b, more ? ",\"more\":true}" : "}");
    if (r)
        return r;
    if (b.len + 1 > VARLINK_MESSAGE_MAX)
        return -EMSGSIZE;
    /* buf keeps a NUL behind its text: the frame's end. */
    return send_all(c, (struct bytes){ b.data, b.len + 1 }, deadline);
}

static int receive_frame(struct varlink_client *c, int64_t deadline,
                         struct bytes *ret)
{
    uint8_t data[READ_SIZE];

    while (!varlink_frames_next(&c->in, ret)) {
        ssize_t n;
        int r;

        if (varlink_frames_len(&c->in) >= ANSWER_MAX)
            return -EPROTO;
        r = wait_until(c->fd, POLLIN, deadline);
        if (r)
            return r;
        n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n > 0 && varlink_frames_add(&c->in, data, (size_t)n) != 0)
            return -ENOMEM;
    }
    return 0;
}

struct answer {
    char *error;
    json_t *parameters;
    bool continues;
};

static void answer_deinit(struct answer *a)
{
    free(a->error);
    json_decref(a->parameters);
    *a = (struct answer){ 0 };
}

/* Members that we do not know are the business of later versions. */
static int read_answer(json_t *root, struct answer *ret)
{
    json_t *error = json_object_get(root, "error");
    json_t *continues = json_object_get(root, "continues");
    json_t *parameters = json_object_get(root, "parameters");

    if ((error && !json_is_string(error)) ||
        (continues && !json_is_boolean(continues)) ||
        (parameters && !json_is_object(parameters)))
        return -EPROTO;
    ret->parameters = parameters ? json_incref(parameters) : json_object();
    ret->continues = json_is_true(continues);
    ret->error = error ? strdup(json_string_value(error)) : NULL;
    if (!ret->parameters || (error && !ret->error))
        return -ENOMEM;
    return 0;
}

static int receive_answer(struct varlink_client *c, int64_t deadline,
                          struct answer *ret)
{
    struct bytes frame;
    json_t *root;
    int r;

    r = receive_frame(c, deadline, &frame);
    if (r)
        return r;
    r = varlink_frame_parse(frame, &root);
    varlink_frames_trim(&c->in);
    if (r)
        return -EPROTO;
    r = read_answer(root, ret);
    json_decref(root);
    return r;
}

static void answer_take(struct answer *a, char **ret_error, json_t **ret)
{
    *ret_error = TAKE_PTR(a->error);
    *ret = TAKE_PTR(a->parameters);
}

static int receive_only(struct varlink_client *c, int64_t deadline,
                        char **ret_error, json_t **ret)
{
    CLEANUP(answer_deinit) struct answer a = { 0 };
    int r;

    r = receive_answer(c, deadline, &a);
    if (r)
        return r;
    /* One answer, and it is the last thing that was sent. */
    if (a.continues || varlink_frames_len(&c->in) > 0)
        return -EPROTO;
    answer_take(&a, ret_error, ret);
    return 0;
}

int varlink_client_call(struct varlink_client *c, const char *method,
                        struct bytes parameters, int timeout_ms,
                        char **ret_error, json_t **ret)
{
    int64_t deadline = deadline_after(timeout_ms);
    int r;

    r = send_request(c, method, parameters, false, deadline);
    return r ? r : receive_only(c, deadline, ret_error, ret);
}

int varlink_client_send(struct varlink_client *c, const char *method,
                        struct bytes parameters, int timeout_ms)
{
    return send_request(c, method, parameters, false,
                        deadline_after(timeout_ms));
}

int varlink_client_receive(struct varlink_client *c, int timeout_ms,
                           char **ret_error, json_t **ret)
{
    return receive_only(c, deadline_after(timeout_ms), ret_error, ret);
}

int varlink_client_more(struct varlink_client *c, const char *method,
                        struct bytes parameters,
                        int (*fn)(const json_t *parameters, void *userdata),
                        void *userdata, char **ret_error, json_t **ret)
{
    int r;

    r = send_request(c, method, parameters, true, -1);
    if (r)
        return r;
    for (;;) {
        CLEANUP(answer_deinit) struct answer a = { 0 };

        r = receive_answer(c, -1, &a);
        if (r)
            return r;
        if (!a.error) {
            r = fn(a.parameters, userdata);
            if (r)
                return r;
        }
        if (!a.continues) {
            answer_take(&a, ret_error, ret);
            return 0;
        }
    }
}
