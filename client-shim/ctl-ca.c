/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-ca.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/account-files.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

#define CA_FILE_MAX (1024 * 1024)
#define TIMEOUT_DEFAULT_S 60
#define PROBLEM "urn:ietf:params:acme:error:"

void ctl_ca_deinit(struct ctl_ca *ca)
{
    ca->net = net_child_free(ca->net);
    free(ca->answer);
    ca->answer = NULL;
}

static int read_ca_file(const char *path, struct buf *ret)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r = fd < 0 ? -errno : buf_read(ret, fd, CA_FILE_MAX);

    if (r == -E2BIG)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: above %d octets", path,
                        CA_FILE_MAX);
    if (r)
        return ctl_fail_errno(r, path);
    if (!memmem(buf_str(ret), ret->len, "-----BEGIN CERTIFICATE-----", 27))
        return ctl_fail(CTL_EXIT_CONFIG, "%s: no PEM certificate in it", path);
    return 0;
}

int ctl_ca_open_with(const struct ctl_context *c, const char *ca_file,
                     struct ctl_ca *ret)
{
    CLEANUP_BUF struct buf roots = { 0 };
    struct net_http_options options = { 0 };
    uint64_t timeout_s = TIMEOUT_DEFAULT_S;
    struct errmsg err = { 0 };
    int r;

    *ret = (struct ctl_ca){ .context = c };
    r = ctl_args_uint(c, "--timeout", 1, 600, &timeout_s, &err);
    if (r)
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (ca_file)
        r = read_ca_file(ca_file, &roots);
    if (r)
        return r;
    ret->answer = calloc(1, sizeof(*ret->answer));
    if (!ret->answer)
        return ctl_fail_errno(-ENOMEM, "network process");
    options.ca_pem = ca_file ? &roots : NULL;
    options.timeout_s = (unsigned)timeout_s;
    r = net_child_start(&options, &ret->net);
    return r ? ctl_fail_errno(r, "network process") : CTL_EXIT_DONE;
}

int ctl_ca_open(const struct ctl_context *c, struct ctl_ca *ret)
{
    return ctl_ca_open_with(c, ctl_args_value(c, "--ca-file"), ret);
}

int ctl_ca_open_for(const struct ctl_context *c, const char *account,
                    bool client, struct ctl_ca *ret)
{
    CLEANUP_ACCOUNT_WISHES struct account_wishes *wishes = NULL;
    struct errmsg err = { 0 };
    int r;

    if (ctl_args_has(c, "--ca-file"))
        return ctl_ca_open(c, ret);
    r = account_files_load_one(c->config_dir, account, &wishes, &err);
    if (client && (r == -EACCES || r == -EPERM))
        return ctl_ca_open_with(c, NULL, ret);
    if (r)
        return ctl_fail_load(r, &err, account);
    return ctl_ca_open_with(c, wishes->n ? wishes->items[0].ca_file : NULL,
                            ret);
}

static void warn_of_clock(struct ctl_ca *ca)
{
    int64_t date_s = ca->answer->date_s;
    int64_t ahead_s = (int64_t)time(NULL) - date_s;

    if (!date_s || ca->warned_of_clock ||
        (ahead_s <= CTL_CA_SKEW_S && ahead_s >= -CTL_CA_SKEW_S))
        return;
    ca->warned_of_clock = true;
    (void)ctl_fail(CTL_EXIT_DONE,
                   "warning: this host's clock is %lld s %s that of the CA "
                   "(%s): what has a time in it may be refused",
                   (long long)(ahead_s > 0 ? ahead_s : -ahead_s),
                   ahead_s > 0 ? "ahead of" : "behind", ca->url);
}

int ctl_ca_call(struct ctl_ca *ca, const struct net_call *call)
{
    int r;

    r = net_child_call(ca->net, call, ca->answer);
    if (r == -EPROTO)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "%s: the network process failed at this CA's answer",
                        call->url);
    if (r)
        return ctl_fail_errno(r, call->url);
    (void)snprintf(ca->url, sizeof(ca->url), "%s", call->url);
    warn_of_clock(ca);
    return CTL_EXIT_DONE;
}

/* One request; its nonce is the next to spend. */
static int ask(struct ctl_ca *ca, enum net_kind kind, const char *url,
               struct bytes body)
{
    const struct net_call call = {
        .kind = kind, .url = url, .body = body, .allow_http = ca->allow_http
    };
    int r;

    r = ctl_ca_call(ca, &call);
    if (r == 0)
        (void)memcpy(ca->nonce, ca->answer->nonce, sizeof(ca->nonce));
    return r;
}

/* Waits as the CA asks, if that is no longer than what is left of @left_s. */
static bool waited(const struct ctl_ca *ca, unsigned *left_s)
{
    const struct net_answer *a = ca->answer;
    struct timespec t = { .tv_sec = a->retry_after_s };

    if ((a->http_status != 429 && a->http_status != 503) ||
        a->retry_after_s == 0 || a->retry_after_s > *left_s)
        return false;
    (void)ctl_fail(CTL_EXIT_DONE,
                   "%s: the CA asks to wait %u s (HTTP status %u)", ca->url,
                   a->retry_after_s, a->http_status);
    *left_s -= a->retry_after_s;
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
    return true;
}

int ctl_ca_try_get(struct ctl_ca *ca, enum net_kind kind, const char *url)
{
    unsigned left_s = ca->wait_max_s;
    int r;

    do {
        r = ask(ca, kind, url, (struct bytes){ NULL, 0 });
    } while (r == 0 && waited(ca, &left_s));
    return r;
}

static int report_bad(const struct ctl_ca *ca, int r)
{
    return r || net_answer_good(ca->answer) ? r : ctl_ca_report(ca);
}

int ctl_ca_get(struct ctl_ca *ca, enum net_kind kind, const char *url)
{
    return report_bad(ca, ctl_ca_try_get(ca, kind, url));
}

/* *got is false when the answer is no nonce but a failure to look at. */
static int fetch_nonce(struct ctl_ca *ca, bool *got)
{
    int r;

    *got = ca->nonce[0] != '\0';
    if (*got)
        return CTL_EXIT_DONE;
    r = ctl_ca_try_get(ca, NET_KIND_NONCE, ca->new_nonce);
    if (r || !net_answer_good(ca->answer))
        return r;
    *got = ca->nonce[0] != '\0';
    if (!*got)
        net_answer_fail(ca->answer, NET_RESULT_BAD_ANSWER,
                        "an answer without a nonce");
    return CTL_EXIT_DONE;
}

int ctl_ca_flat(const json_t *jws, char **ret)
{
    json_t *flat;

    flat = json_pack(
        "{s:s, s:s, s:s}", "protected", ctl_string(jws, "protected"), "payload",
        ctl_string(jws, "payload"), "signature", ctl_string(jws, "signature"));
    *ret = flat ? json_dumps(flat, JSON_COMPACT) : NULL;
    json_decref(flat);
    if (!*ret)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no signed request");
    return CTL_EXIT_DONE;
}

static int send_signed(struct ctl_ca *ca, const struct ctl_ca_post *post,
                       const json_t *jws)
{
    CLEANUP_FREE char *body = NULL;
    const char *url = post->url ? post->url : ctl_string(jws, "url");
    int r;

    if (!url)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no signed request");
    r = ctl_ca_flat(jws, &body);
    return r ? r : ask(ca, post->kind, url, bytes_from_str(body));
}

static int post_once(struct ctl_ca *ca, const struct ctl_ca_post *post)
{
    CLEANUP_CTL_JSON json_t *jws = NULL;
    bool got = false;
    int r;

    r = fetch_nonce(ca, &got);
    if (r || !got)
        return r;
    r = post->sign(ca->nonce, post->userdata, &jws);
    ca->nonce[0] = '\0';
    return r ? r : send_signed(ca, post, jws);
}

int ctl_ca_try_post(struct ctl_ca *ca, const struct ctl_ca_post *post)
{
    unsigned left_s = ca->wait_max_s;
    unsigned tries = 0;
    int r;

    for (;;) {
        r = post_once(ca, post);
        if (r || net_answer_good(ca->answer))
            return r;
        if (strcmp(ca->answer->problem.type, PROBLEM "badNonce") == 0) {
            if (++tries == CTL_CA_NONCE_TRIES)
                return r;
        } else if (!waited(ca, &left_s)) {
            return r;
        }
    }
}

int ctl_ca_post(struct ctl_ca *ca, const struct ctl_ca_post *post)
{
    return report_bad(ca, ctl_ca_try_post(ca, post));
}

const char *ctl_ca_problem_name(const struct net_problem *p)
{
    size_t n = strlen(PROBLEM);

    return strncmp(p->type, PROBLEM, n) == 0 ? p->type + n : p->type;
}

int ctl_ca_words(const struct net_answer *a, enum ctl_exit *ret_code,
                 struct buf *words)
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
    const char *name = ctl_ca_problem_name(&a->problem);
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
    if (r == 0 && a->problem.detail[0])
        r = buf_printf(words, ": %s", a->problem.detail);
    if (r == 0 && a->retry_after_s)
        r = buf_printf(words, " (the CA asks to wait %u s)", a->retry_after_s);
    return r;
}

int ctl_ca_report(const struct ctl_ca *ca)
{
    const struct net_answer *a = ca->answer;
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code = CTL_EXIT_UNAVAILABLE;
    int r;

    r = ctl_ca_words(a, &code, &words);
    if (r)
        return ctl_fail_errno(r, ca->url);
    if (ca->context->json)
        ctl_print_json(json_pack(
            "{s:s, s:s, s:i, s:s, s:s, s:o*}", "error", "ca", "url", ca->url,
            "httpStatus", (int)a->http_status, "type", a->problem.type, "text",
            a->result == NET_RESULT_OK ? a->problem.detail : a->text,
            "retryAfter",
            a->retry_after_s ? json_integer(a->retry_after_s) : NULL));
    return ctl_fail(code, "%s: %s", ca->url, buf_str(&words));
}
