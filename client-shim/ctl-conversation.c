/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-conversation.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "client-shim/ctl-print.h"

#define CA_FILE_MAX (1024 * 1024)
#define TIMEOUT_DEFAULT_S 60
#define PROBLEM "urn:ietf:params:acme:error:"

void ctl_conversation_deinit(struct ctl_conversation *v)
{
    ctl_daemon_deinit(&v->daemon);
    v->net = net_child_free(v->net);
    json_decref(v->shown);
    v->shown = NULL;
}

static int read_ca_file(const char *path, struct buf *ret)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = 0;

    if (fd < 0)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", path, strerror(errno));
    do {
        ret->len += (size_t)n;
        if (buf_reserve(ret, CA_FILE_MAX + 1 - ret->len))
            return ctl_fail_errno(-ENOMEM, path);
        n = read(fd, ret->data + ret->len, CA_FILE_MAX + 1 - ret->len);
    } while (n > 0 && ret->len + (size_t)n <= CA_FILE_MAX);
    if (n < 0)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", path, strerror(errno));
    if (n > 0)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: above %d octets", path,
                        CA_FILE_MAX);
    if (!memmem(ret->data, ret->len, "-----BEGIN CERTIFICATE-----", 27))
        return ctl_fail(CTL_EXIT_CONFIG, "%s: no PEM certificate in it", path);
    return 0;
}

static int start_child(struct ctl_conversation *v)
{
    const char *ca_file = ctl_args_value(v->context, "--ca-file");
    CLEANUP_BUF struct buf roots = { 0 };
    struct net_http_options options = { 0 };
    uint64_t timeout_s = TIMEOUT_DEFAULT_S;
    struct errmsg err = { 0 };
    int r;

    r = ctl_args_uint(v->context, "--timeout", 1, 600, &timeout_s, &err);
    if (r)
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (ca_file)
        r = read_ca_file(ca_file, &roots);
    if (r)
        return r;
    options.ca_pem = ca_file ? &roots : NULL;
    options.timeout_s = (unsigned)timeout_s;
    r = net_child_start(&options, &v->net);
    return r ? ctl_fail_errno(r, "network process") : CTL_EXIT_DONE;
}

int ctl_conversation_open(const struct ctl_context *c, const char *account,
                          struct ctl_conversation *ret)
{
    const json_t *shown;
    int r;

    *ret = (struct ctl_conversation){ .context = c, .account = account };
    r = start_child(ret);
    if (r == 0)
        r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &ret->daemon);
    if (r == 0)
        r = ctl_daemon_call(&ret->daemon, "AccountShow",
                            json_pack("{s:s}", "name", account), &ret->shown);
    if (r)
        return r;
    shown = json_object_get(ret->shown, "account");
    ret->allow_http = ctl_true(shown, "allowHttpLoopback");
    return CTL_EXIT_DONE;
}

static const char *problem_name(const struct net_answer *a)
{
    size_t n = strlen(PROBLEM);

    return strncmp(a->problem_type, PROBLEM, n) == 0 ? a->problem_type + n
                                                     : a->problem_type;
}

int ctl_conversation_problem(const struct net_answer *a,
                             enum ctl_exit *ret_code, struct buf *words)
{
    static const enum ctl_exit codes[NET_RESULT_COUNT] = {
        [NET_RESULT_UNSET] = CTL_EXIT_UNAVAILABLE,
        [NET_RESULT_OK] = CTL_EXIT_NO,
        [NET_RESULT_CONNECT] = CTL_EXIT_TRY_AGAIN,
        [NET_RESULT_TLS] = CTL_EXIT_UNAVAILABLE,
        [NET_RESULT_TIMEOUT] = CTL_EXIT_TRY_AGAIN,
        [NET_RESULT_REDIRECT] = CTL_EXIT_MALFORMED,
        [NET_RESULT_TOO_LARGE] = CTL_EXIT_MALFORMED,
        [NET_RESULT_BAD_ANSWER] = CTL_EXIT_MALFORMED,
    };
    const char *name = problem_name(a);
    int r;

    *ret_code = codes[a->result];
    if (a->result != NET_RESULT_OK)
        return buf_append_str(words, a->text);
    if (a->http_status == 429 || a->http_status >= 500 ||
        strcmp(name, "badNonce") == 0 || strcmp(name, "rateLimited") == 0)
        *ret_code = CTL_EXIT_TRY_AGAIN;
    r = buf_printf(words, "HTTP status %u", a->http_status);
    if (r == 0 && *name)
        r = buf_printf(words, ": %s", name);
    if (r == 0 && a->problem_detail[0])
        r = buf_printf(words, ": %s", a->problem_detail);
    return r;
}

static int report_problem(const struct ctl_conversation *v, const char *url)
{
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code = CTL_EXIT_UNAVAILABLE;
    int r;

    r = ctl_conversation_problem(&v->answer, &code, &words);
    if (r)
        return ctl_fail_errno(r, url);
    if (v->context->json)
        ctl_print_json(json_pack(
            "{s:s, s:s, s:i, s:s, s:s}", "error", "ca", "url", url,
            "httpStatus", (int)v->answer.http_status, "type",
            v->answer.problem_type, "text",
            v->answer.result == NET_RESULT_OK ? v->answer.problem_detail
                                              : v->answer.text));
    return ctl_fail(code, "%s: %s", url, buf_str(&words));
}

/* One request to the CA; any answer that came is success here. */
static int ask(struct ctl_conversation *v, enum net_kind kind, const char *url,
               struct bytes body)
{
    int r;

    r = net_child_call(v->net, kind, url, v->allow_http, body, &v->answer);
    if (r == -EPROTO)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the network process failed at this CA's answer",
                        url);
    if (r)
        return ctl_fail_errno(r, url);
    (void)memcpy(v->nonce, v->answer.nonce, sizeof(v->nonce));
    return v->answer.result == NET_RESULT_OK ? CTL_EXIT_DONE
                                             : report_problem(v, url);
}

static const char *filled(const char *text)
{
    return *text ? text : NULL;
}

static json_t *endpoints_json(const struct net_directory *d)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "newNonce", d->new_nonce,
        "newAccount", d->new_account, "newOrder", d->new_order, "newAuthz",
        filled(d->new_authz), "revokeCert", filled(d->revoke_cert), "keyChange",
        filled(d->key_change), "renewalInfo", filled(d->renewal_info));
}

int ctl_conversation_directory(struct ctl_conversation *v)
{
    const char *url =
        ctl_string(json_object_get(v->shown, "account"), "directory");
    int r;

    if (!url)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the daemon names no directory", v->account);
    r = ask(v, NET_KIND_DIRECTORY, url, (struct bytes){ NULL, 0 });
    if (r)
        return r;
    if (v->answer.http_status != 200)
        return report_problem(v, url);
    return ctl_daemon_call(&v->daemon, "AccountSetDirectory",
                           json_pack("{s:s, s:o}", "name", v->account,
                                     "endpoints",
                                     endpoints_json(&v->answer.directory)),
                           NULL);
}

static int fetch_nonce(struct ctl_conversation *v, const char *new_nonce)
{
    int r;

    if (v->nonce[0])
        return CTL_EXIT_DONE;
    r = ask(v, NET_KIND_NONCE, new_nonce, (struct bytes){ NULL, 0 });
    if (r)
        return r;
    if (v->answer.http_status >= 300)
        return report_problem(v, new_nonce);
    if (!v->nonce[0])
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: an answer without a nonce",
                        new_nonce);
    return CTL_EXIT_DONE;
}

/* The daemon's url, protected, payload, signature as a flattened JWS, sent. */
static int send_signed(struct ctl_conversation *v, const json_t *jws)
{
    const char *url = ctl_string(jws, "url");
    CLEANUP_FREE char *body = NULL;
    json_t *flat;

    flat = json_pack(
        "{s:s, s:s, s:s}", "protected", ctl_string(jws, "protected"), "payload",
        ctl_string(jws, "payload"), "signature", ctl_string(jws, "signature"));
    body = flat ? json_dumps(flat, JSON_COMPACT) : NULL;
    json_decref(flat);
    if (!url || !body)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no signed request");
    v->nonce[0] = '\0';
    return ask(v, NET_KIND_POST, url, bytes_from_str(body));
}

static int post_once(struct ctl_conversation *v, const char *new_nonce,
                     const char *method, json_t *parameters)
{
    json_t *jws = NULL;
    json_t *all;
    int r;

    r = fetch_nonce(v, new_nonce);
    if (r)
        return r;
    all = json_copy(parameters);
    if (json_object_set_new(all, "nonce", json_string(v->nonce)) < 0) {
        json_decref(all);
        return ctl_fail_errno(-ENOMEM, method);
    }
    r = ctl_daemon_call(&v->daemon, method, all, &jws);
    if (r == 0)
        r = send_signed(v, jws);
    json_decref(jws);
    return r;
}

int ctl_conversation_post(struct ctl_conversation *v, const char *new_nonce,
                          const char *method, json_t *parameters)
{
    int r;

    for (int i = 0; i < CTL_NONCE_TRIES; i++) {
        r = post_once(v, new_nonce, method, parameters);
        if (r)
            return r;
        if (v->answer.http_status == 200 || v->answer.http_status == 201)
            return CTL_EXIT_DONE;
        if (strcmp(v->answer.problem_type, PROBLEM "badNonce") != 0)
            break;
    }
    return report_problem(v, v->account);
}
