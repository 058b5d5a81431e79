/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-conn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* A request from its frame to its last answer. */

static int read_flag(const json_t *value, bool *ret)
{
    if (!json_is_boolean(value))
        return VARLINK_FRAME_E_INVALID;
    *ret = json_is_true(value);
    return 0;
}

static int read_member(struct varlink_call *c, const char *key,
                       const json_t *value)
{
    if (strcmp(key, "method") == 0) {
        c->method = json_string_value(value);
        return c->method ? 0 : VARLINK_FRAME_E_INVALID;
    }
    if (strcmp(key, "parameters") == 0) {
        c->parameters = value;
        return json_is_object(value) ? 0 : VARLINK_FRAME_E_INVALID;
    }
    if (strcmp(key, "oneway") == 0)
        return read_flag(value, &c->oneway);
    if (strcmp(key, "more") == 0)
        return read_flag(value, &c->more);
    if (strcmp(key, "upgrade") == 0)
        return read_flag(value, &c->upgrade);
    return VARLINK_FRAME_E_INVALID;
}

static int read_request(struct varlink_call *c)
{
    const char *key;
    json_t *value;
    int r;

    json_object_foreach(c->root, key, value)
    {
        r = read_member(c, key, value);
        if (r)
            return r;
    }
    if (!c->method || (c->oneway && c->more))
        return VARLINK_FRAME_E_INVALID;
    if (c->parameters)
        return 0;
    if (json_object_set_new(c->root, "parameters", json_object()) < 0)
        return -ENOMEM;
    c->parameters = json_object_get(c->root, "parameters");
    return 0;
}

static struct varlink_call *call_free(struct varlink_call *c)
{
    if (!c)
        return NULL;
    json_decref(c->root);
    varlink_conn_unref(c->conn);
    free(c);
    return NULL;
}
DEFINE_CLEANUP(struct varlink_call *, call_free)

int varlink_call_start(struct varlink_conn *conn, struct bytes frame)
{
    CLEANUP(call_free_p) struct varlink_call *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return -ENOMEM;
    r = varlink_frame_parse(frame, &c->root);
    if (r == 0)
        r = read_request(c);
    if (r)
        return r;

    c->conn = varlink_conn_ref(conn);
    conn->call = c;
    conn->uid->n_calls++;
    conn->server->n_calls++;
    varlink_service_dispatch(TAKE_PTR(c));
    return 0;
}

void varlink_call_tell_gone(struct varlink_call *c)
{
    void (*fn)(struct varlink_call *, void *) = TAKE_PTR(c->gone_fn);

    if (fn)
        fn(c, c->gone_userdata);
}

/* The call's account is settled first: after that, closing the connection is
 * nobody's surprise. */
static void call_finish(struct varlink_call *c)
{
    struct varlink_conn *conn = c->conn;
    struct varlink_server *s = conn->uid->server;

    if (conn->call == c)
        conn->call = NULL;
    conn->uid->n_calls--;
    if (s) {
        s->n_calls--;
        varlink_uid_unpark(conn->uid);
    }
    if (conn->server)
        varlink_conn_settle(conn);
    if (s)
        varlink_server_check_idle(s);
    call_free(c);
}

static struct iovec piece(const char *text, size_t len)
{
    union {
        const void *from;
        void *to;
    } cast = { .from = text };

    return (struct iovec){ cast.to, len };
}

#define PIECE(literal) piece("" literal, sizeof(literal) - 1)
/* With its own NUL, which ends the message. */
#define LAST_PIECE(literal) piece("" literal, sizeof(literal))

static struct iovec parameters_piece(struct bytes parameters)
{
    if (parameters.len == 0)
        return PIECE("{}");
    return piece((const char *)parameters.data, parameters.len);
}

void varlink_reply(struct varlink_call *c, struct bytes parameters)
{
    struct iovec iov[] = { PIECE("{\"parameters\":"),
                           parameters_piece(parameters), LAST_PIECE("}") };

    if (!c->oneway)
        varlink_conn_send(c->conn, iov, ARRAY_LEN(iov));
    call_finish(c);
}

void varlink_reply_json(struct varlink_call *c, json_t *parameters)
{
    CLEANUP_FREE char *text = json_dumps(parameters, JSON_COMPACT);

    json_decref(parameters);
    if (text) {
        varlink_reply(c, bytes_from_str(text));
        return;
    }
    /* Out of memory: no answer can be made, so there is no connection. */
    c->gone_fn = NULL;
    varlink_conn_close(c->conn);
    call_finish(c);
}

void varlink_reply_more(struct varlink_call *c, struct bytes parameters)
{
    struct iovec iov[] = { PIECE("{\"parameters\":"),
                           parameters_piece(parameters),
                           LAST_PIECE(",\"continues\":true}") };

    assert(c->more);
    varlink_conn_send(c->conn, iov, ARRAY_LEN(iov));
    varlink_conn_settle(c->conn);
}

void varlink_error(struct varlink_call *c, const char *error,
                   struct bytes parameters)
{
    struct iovec iov[] = { PIECE("{\"error\":\""), piece(error, strlen(error)),
                           PIECE("\",\"parameters\":"),
                           parameters_piece(parameters), LAST_PIECE("}") };

    if (!c->oneway)
        varlink_conn_send(c->conn, iov, ARRAY_LEN(iov));
    call_finish(c);
}

const struct peer *varlink_call_peer(const struct varlink_call *c)
{
    return c->conn->peer;
}

const char *varlink_call_instance(const struct varlink_call *c)
{
    return c->conn->socket->instance;
}

const char *varlink_call_method(const struct varlink_call *c)
{
    return c->method;
}

bool varlink_call_wants_more(const struct varlink_call *c)
{
    return c->more;
}

bool varlink_call_is_oneway(const struct varlink_call *c)
{
    return c->oneway;
}

void *varlink_call_conn_data(const struct varlink_call *c)
{
    return c->conn->data;
}

void varlink_call_set_conn_data(struct varlink_call *c, void *data,
                                void (*free_fn)(void *))
{
    struct varlink_conn *conn = c->conn;

    if (conn->data && conn->data_free)
        conn->data_free(conn->data);
    conn->data = data;
    conn->data_free = free_fn;
}

void varlink_call_on_gone(struct varlink_call *c,
                          void (*fn)(struct varlink_call *c, void *userdata),
                          void *userdata)
{
    c->gone_fn = fn;
    c->gone_userdata = userdata;
}
