/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "varlink-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "ipc/activation.h"

static void on_echo(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    struct fixture *f = userdata;
    CLEANUP_FREE char *text = json_dumps(parameters, JSON_COMPACT);

    assert_non_null(text);
    f->last_uid = varlink_call_peer(c)->uid;
    varlink_reply(c, bytes_from_str(text));
}

static void on_gone(struct varlink_call *c, void *userdata)
{
    struct fixture *f = userdata;

    assert_non_null(varlink_call_peer(c));
    f->n_gone++;
}

static void on_hold(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    struct fixture *f = userdata;

    (void)parameters;
    assert_true(f->n_held < HELD_MAX);
    f->held[f->n_held++] = c;
    varlink_call_on_gone(c, on_gone, f);
}

static void on_stream(struct varlink_call *c, const json_t *parameters,
                      void *userdata)
{
    (void)parameters;
    (void)userdata;
    if (!varlink_call_wants_more(c)) {
        varlink_error_expected_more(c);
        return;
    }
    varlink_reply_more(c, bytes_from_str("{\"v\":1}"));
    varlink_reply_more(c, bytes_from_str("{\"v\":2}"));
    varlink_reply(c, bytes_from_str("{\"v\":3}"));
}

static void on_big(struct varlink_call *c, const json_t *parameters,
                   void *userdata)
{
    json_int_t n = json_integer_value(json_object_get(parameters, "n"));
    CLEANUP_FREE char *text = calloc((size_t)n + 1, 1);

    (void)userdata;
    assert_non_null(text);
    memset(text, 'x', (size_t)n);
    varlink_reply_json(c, json_pack("{s:s}", "text", text));
}

struct slot {
    struct fixture *f;
    int n;
};

static void free_slot(void *data)
{
    struct slot *slot = data;

    slot->f->n_freed_slots++;
    free(slot);
}

static void on_slot(struct varlink_call *c, const json_t *parameters,
                    void *userdata)
{
    struct slot *slot = varlink_call_conn_data(c);

    (void)parameters;
    if (!slot) {
        slot = calloc(1, sizeof(*slot));
        assert_non_null(slot);
        slot->f = userdata;
        varlink_call_set_conn_data(c, slot, free_slot);
    }
    slot->n++;
    varlink_reply_json(c, json_pack("{s:i}", "v", slot->n));
}

static int authorise(struct varlink_call *c,
                     const struct varlink_method *method, void *userdata)
{
    struct fixture *f = userdata;

    f->n_authorised++;
    if (method->tag == 0)
        return 0;
    varlink_error_permission_denied(c);
    return 1;
}

static const struct varlink_method methods[] = {
    { "Echo", on_echo, 0 },     { "Hold", on_hold, 0 },
    { "Stream", on_stream, 0 }, { "Big", on_big, 0 },
    { "Slot", on_slot, 0 },     { "Missing", NULL, 0 },
    { "Private", on_echo, 7 },
};

static bool admit(const struct peer *peer, void *userdata)
{
    const struct fixture *f = userdata;

    (void)peer;
    return f->admit;
}

void fixture_listen(struct fixture *f, const char *name, unsigned share)
{
    static const char *const served[] = { "org.example.Test", NULL };
    struct errmsg err;
    int fd;

    (void)snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, name);
    assert_int_equal(activation_listen(f->path, 0666, (uid_t)-1, &fd, &err), 0);
    assert_int_equal(varlink_server_listen(
                         f->server, fd,
                         &(struct varlink_listener){ .instance = "here",
                                                     .interfaces = served,
                                                     .share = share,
                                                     .admit = admit,
                                                     .userdata = f,
                                                     .use_peerpidfd = true }),
                     0);
}

void fixture_start(struct fixture *f, struct varlink_limits limits)
{
    static const struct varlink_info info = { "acme-guardian", "test", "1",
                                              "https://example.org" };

    *f = (struct fixture){ .dir = "/tmp/varlink-XXXXXX", .admit = true };
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0755), 0);
    f->interface = (struct varlink_interface){ "org.example.Test",
                                               "interface org.example.Test\n",
                                               methods,
                                               ARRAY_LEN(methods),
                                               authorise,
                                               f };
    f->other = f->interface;
    f->other.name = "org.example.Other";
    if (limits.connections_per_uid == 0)
        limits.connections_per_uid = 64;
    if (limits.requests_per_uid == 0)
        limits.requests_per_uid = 64;

    assert_true(sd_event_new(&f->event) >= 0);
    assert_int_equal(varlink_server_new(f->event, &limits, &info, &f->server),
                     0);
    assert_int_equal(varlink_server_add(f->server, &f->interface), 0);
    assert_int_equal(varlink_server_add(f->server, &f->other), 0);
    fixture_listen(f, "sock", 0);
    (void)snprintf(f->first_path, sizeof(f->first_path), "%s", f->path);
}

void fixture_stop(struct fixture *f)
{
    varlink_server_free(f->server);
    while (f->n_held > 0)
        fixture_release(f, "{}");
    sd_event_unref(f->event);
    (void)unlink(f->path);
    (void)unlink(f->first_path);
    assert_int_equal(rmdir(f->dir), 0);
}

void fixture_spin(struct fixture *f)
{
    while (sd_event_run(f->event, 0) > 0)
        ;
}

int fixture_connect(const struct fixture *f)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(sa.sun_path, f->path, strlen(f->path));
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

void fixture_send_bytes(int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT), len);
}

void fixture_send(int fd, const char *text)
{
    fixture_send_bytes(fd, text, strlen(text) + 1);
}

void fixture_expect(struct fixture *f, int fd, const char *text)
{
    char got[4096];
    size_t n = 0;

    fixture_spin(f);
    do {
        assert_true(n < sizeof(got));
        assert_int_equal(recv(fd, got + n, 1, MSG_DONTWAIT), 1);
    } while (got[n++]);
    assert_string_equal(got, text);
}

void fixture_expect_nothing(struct fixture *f, int fd)
{
    char c;

    fixture_spin(f);
    assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

void fixture_expect_closed(struct fixture *f, int fd)
{
    char c;
    ssize_t n;

    fixture_spin(f);
    n = recv(fd, &c, 1, MSG_DONTWAIT);
    if (n < 0)
        assert_int_equal(errno, ECONNRESET);
    else
        assert_int_equal(n, 0);
}

void fixture_release(struct fixture *f, const char *text)
{
    struct varlink_call *c = f->held[0];

    assert_true(f->n_held > 0);
    memmove(f->held, f->held + 1, --f->n_held * sizeof(*f->held));
    varlink_reply(c, bytes_from_str(text));
}
