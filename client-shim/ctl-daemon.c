/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-daemon.h"

#include <errno.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-error.h"
#include "ipc/varlink-client.h"

#define CONNECT_MS 10000

int ctl_settings(const struct ctl_context *c, struct settings **ret)
{
    struct errmsg err = { 0 };
    int r;

    r = settings_load(c->config_dir, ret, &err);
    return r ? ctl_fail_load(r, &err, c->config_dir) : CTL_EXIT_DONE;
}

/*
 * Clients need no configuration of their own: where the default directory is
 * missing (a container) or not theirs to read, the built-in paths hold. A
 * directory that was named must be good.
 */
int ctl_socket_path(const struct ctl_context *c, enum ctl_socket socket,
                    char **ret)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    bool admin = socket == CTL_SOCKET_ADMIN;
    const char *path = admin ? c->admin_socket : c->client_socket;
    struct errmsg err = { 0 };
    int r = 0;

    if (!path) {
        if (ctl_args_has(c, "--config"))
            r = ctl_settings(c, &settings);
        else if (settings_load(c->config_dir, &settings, &err) ==
                 CONFIG_E_INVALID)
            r = ctl_fail_at(CTL_EXIT_CONFIG, &err);
        if (r)
            return r;
    }
    if (!path && settings)
        path = admin ? settings->admin_socket : settings->client_socket;
    if (!path)
        path = admin ? SETTINGS_ADMIN_SOCKET : SETTINGS_CLIENT_SOCKET;
    *ret = strdup(path);
    return *ret ? CTL_EXIT_DONE : ctl_fail_errno(-ENOMEM, "socket");
}

int ctl_daemon_open(const struct ctl_context *c, enum ctl_socket socket,
                    struct ctl_daemon *ret)
{
    CLEANUP_FREE char *path = NULL;
    bool quiet = ret->quiet;
    int r;

    *ret = (struct ctl_daemon){ .context = c,
                                .socket = socket,
                                .quiet = quiet,
                                .expected = ret->expected };
    r = ctl_socket_path(c, socket, &path);
    if (r)
        return r;
    r = varlink_client_connect(path, CONNECT_MS, &ret->client);
    if (r && quiet)
        return CTL_EXIT_UNAVAILABLE;
    if (r == -ENOENT || r == -ECONNREFUSED)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: nobody listens there: is acme-guardiand running?",
                        path);
    if (r == -ENOTDIR || r == -ELOOP)
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: %s", path, strerror(-r));
    return r ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
}

void ctl_daemon_deinit(struct ctl_daemon *d)
{
    d->client = varlink_client_free(d->client);
}

/*
 * A peer without a role is closed before a byte of it is read, so that nobody
 * can attack the admin socket: there is no error to show then. Root always has
 * a role.
 */
static int report_closed(const struct ctl_daemon *d, const char *method)
{
    if (d->socket == CTL_SOCKET_ADMIN && geteuid() != 0)
        return ctl_fail(CTL_EXIT_NOT_PERMITTED,
                        "%s: not permitted: the daemon closed the connection, "
                        "as it does where no role of guardian.conf is yours",
                        method);
    return ctl_fail(CTL_EXIT_UNAVAILABLE,
                    "%s: the daemon closed the connection", method);
}

static int report_transport(const struct ctl_daemon *d, const char *method,
                            int r)
{
    if (r == -ETIMEDOUT)
        return ctl_fail(CTL_EXIT_TRY_AGAIN,
                        "%s: the daemon has not answered in time", method);
    if (r == -ECONNRESET || r == -EPIPE)
        return report_closed(d, method);
    if (r == -EPROTO)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: what answered does not speak Varlink", method);
    return ctl_fail_errno(r, method);
}

static const char *method_prefix(const struct ctl_daemon *d)
{
    return d->socket == CTL_SOCKET_ADMIN ? "org.acmeguardian.Admin."
                                         : "org.acmeguardian.Signer.";
}

static int send_within(struct ctl_daemon *d, const char *method,
                       json_t *parameters, int timeout_ms)
{
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_FREE char *text = NULL;
    int r;

    text = parameters ? json_dumps(parameters, JSON_COMPACT) : NULL;
    json_decref(parameters);
    r = text ? buf_printf(&name, "%s%s", method_prefix(d), method) : -ENOMEM;
    if (r)
        return ctl_fail_errno(r, method);
    r = varlink_client_send(d->client, buf_str(&name), bytes_from_str(text),
                            timeout_ms);
    if (r)
        return d->quiet ? CTL_EXIT_UNAVAILABLE : report_transport(d, method, r);
    return CTL_EXIT_DONE;
}

static int receive_within(struct ctl_daemon *d, const char *method,
                          int timeout_ms, json_t **ret)
{
    CLEANUP_FREE char *error = NULL;
    json_t *answer = NULL;
    int code = CTL_EXIT_DONE;
    bool expected;
    int r;

    r = varlink_client_receive(d->client, timeout_ms, &error, &answer);
    if (r)
        return d->quiet ? CTL_EXIT_UNAVAILABLE : report_transport(d, method, r);
    expected = error && d->expected && strcmp(error, d->expected) == 0;
    if (expected)
        code = CTL_EXIT_NO;
    else if (error && d->quiet)
        code = CTL_EXIT_UNAVAILABLE;
    else if (error)
        code = ctl_error_report(d->context, error, answer);
    if (ret && (!error || expected))
        *ret = TAKE_PTR(answer);
    json_decref(answer);
    return code;
}

int ctl_daemon_send(struct ctl_daemon *d, const char *method,
                    json_t *parameters)
{
    return send_within(d, method, parameters, CTL_CALL_MS);
}

int ctl_daemon_receive(struct ctl_daemon *d, const char *method, json_t **ret)
{
    return receive_within(d, method, CTL_CALL_MS, ret);
}

int ctl_daemon_call_within(struct ctl_daemon *d, const char *method,
                           json_t *parameters, int timeout_ms, json_t **ret)
{
    int r = send_within(d, method, parameters, timeout_ms);

    return r ? r : receive_within(d, method, timeout_ms, ret);
}

int ctl_daemon_call(struct ctl_daemon *d, const char *method,
                    json_t *parameters, json_t **ret)
{
    return ctl_daemon_call_within(d, method, parameters, CTL_CALL_MS, ret);
}

/* One page; *ret_more: @parameters ask for the next one now. */
static int one_page(struct ctl_daemon *d, const char *method,
                    json_t *parameters, const char *member,
                    int (*fn)(json_t *items, void *userdata), void *userdata,
                    bool *ret_more)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    json_t *next;
    int r;

    r = ctl_daemon_call(d, method, json_incref(parameters), &answer);
    if (r == 0)
        r = fn(json_object_get(answer, member), userdata);
    if (r)
        return r;
    next = json_object_get(answer, "next");
    *ret_more = json_is_string(next);
    if (*ret_more && json_object_set(parameters, "after", next) < 0)
        return ctl_fail_errno(-ENOMEM, method);
    return CTL_EXIT_DONE;
}

int ctl_daemon_pages(struct ctl_daemon *d, const char *method,
                     json_t *parameters, const char *member,
                     int (*fn)(json_t *items, void *userdata), void *userdata)
{
    CLEANUP_CTL_JSON json_t *owned = parameters;
    bool more = true;
    int r = CTL_EXIT_DONE;

    if (!owned)
        return ctl_fail_errno(-ENOMEM, method);
    while (r == CTL_EXIT_DONE && more)
        r = one_page(d, method, owned, member, fn, userdata, &more);
    return r;
}

static int watch(struct ctl_daemon *d, const char *method, const char *name,
                 int (*fn)(const json_t *parameters, void *userdata),
                 void *userdata)
{
    CLEANUP_FREE char *error = NULL;
    json_t *answer = NULL;
    int code = CTL_EXIT_DONE;
    int r;

    r = varlink_client_more(d->client, name, bytes_from_str("{}"), fn, userdata,
                            &error, &answer);
    if (r < 0)
        code = report_transport(d, method, r);
    else if (error)
        code = ctl_error_report(d->context, error, answer);
    json_decref(answer);
    return code;
}

int ctl_daemon_watch(struct ctl_daemon *d, const char *method,
                     int (*fn)(const json_t *parameters, void *userdata),
                     void *userdata)
{
    CLEANUP_BUF struct buf name = { 0 };
    int r;

    r = buf_printf(&name, "%s%s", method_prefix(d), method);
    return r ? ctl_fail_errno(r, method)
             : watch(d, method, buf_str(&name), fn, userdata);
}

static int once(const struct ctl_context *c, enum ctl_socket socket, bool quiet,
                const char *method, json_t *parameters, json_t **ret)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { .quiet = quiet };
    int r;

    r = ctl_daemon_open(c, socket, &d);
    if (r) {
        json_decref(parameters);
        return r;
    }
    return ctl_daemon_call(&d, method, parameters, ret);
}

int ctl_once(const struct ctl_context *c, enum ctl_socket socket,
             const char *method, json_t *parameters, json_t **ret)
{
    return once(c, socket, false, method, parameters, ret);
}

int ctl_try(const struct ctl_context *c, enum ctl_socket socket,
            const char *method, json_t *parameters, json_t **ret)
{
    return once(c, socket, true, method, parameters, ret);
}
