/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "acme/b64url.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/issue.h"

/* The order (RFC 8555 section 7.4), and how one talks about it: each request
 * is signed by the daemon, or refused. */

#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS 8000

#define KEY_CHANGED "org.acmeguardian.Signer.KeyChanged"
#define KEYS_MAX 3 /* that the account may get meanwhile */

/* ---- requests ---- */

struct signing {
    struct issue *issue;
    const char *url, *payload;
};

static int sign_once(const struct signing *s, const char *nonce, json_t **ret)
{
    struct ctl_daemon *daemon = &s->issue->daemon;
    int r;

    daemon->expected = KEY_CHANGED;
    r = ctl_daemon_call_within(
        daemon, "Sign",
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "account", s->issue->account,
                  "url", s->url, "nonce", nonce, "payload", s->payload,
                  "thumbprint", s->issue->identity.thumbprint),
        CTL_CALL_SIGN_MS, ret);
    daemon->expected = NULL;
    return r;
}

/* Was it refused for that alone? Then the new one is ours from now on. */
static bool takes_new_key(struct issue *i, int r, json_t *answer)
{
    const char *thumbprint = ctl_string(answer, "thumbprint");

    if (r != CTL_EXIT_NO || !thumbprint ||
        json_object_set_new(i->answer, "newThumbprint",
                            json_string(thumbprint)) < 0)
        return false;
    i->identity.thumbprint = ctl_string(i->answer, "newThumbprint");
    return true;
}

/* No challenge here depends on the key, and its records are in DNS before the
 * account has it: a rotation is no reason to give up. */
static int sign(const char *nonce, void *userdata, json_t **ret)
{
    const struct signing *s = userdata;
    int r = CTL_EXIT_NO;

    for (int i = 0; i < KEYS_MAX; i++) {
        CLEANUP_CTL_JSON json_t *answer = NULL;

        r = sign_once(s, nonce, &answer);
        if (!takes_new_key(s->issue, r, answer)) {
            *ret = TAKE_PTR(answer);
            return r;
        }
    }
    return ctl_fail(CTL_EXIT_TRY_AGAIN,
                    "%s: the account's key changes all the time",
                    s->issue->account);
}

int issue_try_post(struct issue *i, enum net_kind kind, const char *url,
                   const char *payload)
{
    struct signing signing = { i, url, payload };

    return ctl_ca_try_post(&i->ca,
                           &(struct ctl_ca_post){ kind, url, sign, &signing });
}

int issue_post(struct issue *i, enum net_kind kind, const char *url,
               const char *payload)
{
    int r = issue_try_post(i, kind, url, payload);

    return r || net_answer_good(i->ca.answer) ? r : ctl_ca_report(&i->ca);
}

/* ---- waiting ---- */

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t pause_ms(const struct net_answer *a, unsigned tries)
{
    if (a->retry_after_s)
        return a->retry_after_s * INT64_C(1000);
    return tries < 5 ? PAUSE_FIRST_MS << tries : PAUSE_MAX_MS;
}

/* false: that would be longer than --wait. */
static bool pause_within(struct issue *i, unsigned *tries)
{
    int64_t ms = pause_ms(i->ca.answer, *tries);
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    if (!i->deadline_ms)
        i->deadline_ms = now_ms() + (int64_t)i->wait_s * 1000;
    if (now_ms() + ms > i->deadline_ms)
        return false;
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
    ++*tries;
    return true;
}

int issue_pause(struct issue *i, const char *what, unsigned *tries)
{
    if (pause_within(i, tries))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_TRY_AGAIN,
                    "the CA has not finished %s within %llu s (--wait): try "
                    "again later",
                    what, (unsigned long long)i->wait_s);
}

static bool busy(const struct net_answer *a)
{
    return a->result == NET_RESULT_OK &&
           (a->http_status == 429 || a->http_status == 503) &&
           a->retry_after_s > 0;
}

static int report_busy(const struct issue *i)
{
    (void)ctl_ca_report(&i->ca);
    return ctl_fail(CTL_EXIT_TRY_AGAIN,
                    "that is later than --wait allows (%llu s in all): try "
                    "again then, or with a longer --wait",
                    (unsigned long long)i->wait_s);
}

int issue_poll(struct issue *i, enum net_kind kind, const char *url)
{
    unsigned tries = 0;
    int r;

    for (;;) {
        r = issue_try_post(i, kind, url, "");
        if (r || net_answer_good(i->ca.answer))
            return r;
        if (!busy(i->ca.answer))
            return ctl_ca_report(&i->ca);
        if (!pause_within(i, &tries))
            return report_busy(i);
    }
}

/* ---- newOrder ---- */

static json_t *identifiers_json(const struct identifiers *names)
{
    json_t *list = json_array();

    for (size_t n = 0; n < names->n; n++) {
        if (json_array_append_new(list, json_pack("{s:s, s:s}", "type", "dns",
                                                  "value",
                                                  names->items[n].value)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int order_payload(const struct issue *i, bool replaces, char **ret)
{
    CLEANUP_CTL_JSON json_t *payload = NULL;

    payload = json_pack("{s:o, s:s*, s:s*}", "identifiers",
                        identifiers_json(&i->names), "profile",
                        ctl_args_value(i->context, "--profile"), "replaces",
                        replaces ? i->replaces : NULL);
    *ret = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    return *ret ? CTL_EXIT_DONE : ctl_fail_errno(-ENOMEM, "order");
}

/*
 * Is it perhaps `replaces` that the CA refused? It says so in several ways
 * (alreadyReplaced, or what it makes of a certificate that it does not find),
 * so it is asked again without, unless it named another cause.
 */
static bool blame_replaces(const struct net_answer *a)
{
    static const char *const others[] = {
        "rateLimited",
        "rejectedIdentifier",
        "unsupportedIdentifier",
        "invalidProfile",
        "userActionRequired",
        "accountDoesNotExist",
        "caa",
        "externalAccountRequired",
        "badNonce",
    };
    const char *name = ctl_ca_problem_name(&a->problem);

    if (a->result != NET_RESULT_OK || a->http_status == 429 ||
        a->http_status == 503)
        return false;
    for (size_t k = 0; k < ARRAY_LEN(others); k++) {
        if (strcmp(others[k], name) == 0)
            return false;
    }
    return true;
}

static int post_order(struct issue *i, bool replaces, bool quiet)
{
    CLEANUP_FREE char *payload = NULL;
    const char *url = i->directory->new_order;
    int r;

    r = order_payload(i, replaces, &payload);
    if (r)
        return r;
    return quiet ? issue_try_post(i, NET_KIND_ORDER, url, payload)
                 : issue_post(i, NET_KIND_ORDER, url, payload);
}

/* The policy has no say in advance about the operation replace: it is refused
 * with the order. */
static int post_replacing(struct issue *i, bool *ret_denied)
{
    int r;

    i->daemon.expected = "org.acmeguardian.Signer.PolicyDenied";
    r = post_order(i, true, true);
    i->daemon.expected = NULL;
    *ret_denied = r == CTL_EXIT_NO;
    return *ret_denied ? CTL_EXIT_DONE : r;
}

static int new_order(struct issue *i)
{
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code;
    bool denied = false;
    int r;

    if (!i->replaces[0])
        return post_order(i, false, false);
    r = post_replacing(i, &denied);
    if (r)
        return r;
    if (denied) {
        (void)ctl_fail(CTL_EXIT_DONE, "the policy does not allow the order as "
                                      "a replacement: ordering without that");
        return post_order(i, false, false);
    }
    i->replaced = net_answer_good(i->ca.answer);
    if (i->replaced)
        return CTL_EXIT_DONE;
    if (!blame_replaces(i->ca.answer))
        return ctl_ca_report(&i->ca);
    if (ctl_ca_words(i->ca.answer, &code, &words))
        return ctl_fail_errno(-ENOMEM, "order");
    (void)ctl_fail(CTL_EXIT_DONE,
                   "the CA does not take the order as a replacement (%s): "
                   "ordering without that",
                   buf_str(&words));
    return post_order(i, false, false);
}

static int keep_order(struct issue *i)
{
    const struct net_answer *a = i->ca.answer;
    size_t n = a->order.n_authorizations;

    if (!a->location[0])
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: the CA does not say where the order is",
                        i->ca.url);
    (void)memcpy(i->order_url, a->location, sizeof(i->order_url));
    (void)memcpy(i->finalize_url, a->order.finalize, sizeof(i->finalize_url));
    i->authorizations = calloc(n, sizeof(*i->authorizations));
    if (!i->authorizations)
        return ctl_fail_errno(-ENOMEM, "order");
    (void)memcpy(i->authorizations, a->order.authorization,
                 n * sizeof(*i->authorizations));
    i->n_authorizations = (uint32_t)n;
    return CTL_EXIT_DONE;
}

/* ---- to the end of it ---- */

static int report_invalid(const struct issue *i)
{
    const struct net_problem *p = &i->ca.answer->order.error;

    if (i->context->json)
        ctl_print_json(json_pack("{s:s, s:s, s:s, s:s}", "error",
                                 "order-invalid", "url", i->order_url, "type",
                                 p->type, "text", p->detail));
    return ctl_fail(CTL_EXIT_NO, "the CA ended the order (%s): %s%s%s",
                    i->order_url, ctl_ca_problem_name(p),
                    p->detail[0] ? ": " : "", p->detail);
}

/* Until the order has @status; "invalid" ends it. */
static int wait_status(struct issue *i, const char *status, const char *what)
{
    const struct net_answer *a = i->ca.answer;
    unsigned tries = 0;
    int r = CTL_EXIT_DONE;

    while (r == 0 && strcmp(a->order.status, status) != 0) {
        if (strcmp(a->order.status, "invalid") == 0)
            return report_invalid(i);
        r = issue_pause(i, what, &tries);
        if (r == 0)
            r = issue_poll(i, NET_KIND_ORDER, i->order_url);
    }
    return r;
}

static int finalize(struct issue *i)
{
    CLEANUP_BUF struct buf payload = { 0 };
    int r;

    r = buf_append_str(&payload, "{\"csr\":\"");
    if (r == 0)
        r = b64url_encode(buf_bytes(&i->csr), &payload);
    if (r == 0)
        r = buf_append_str(&payload, "\"}");
    if (r)
        return ctl_fail_errno(r, "order");
    return issue_post(i, NET_KIND_ORDER, i->finalize_url, buf_str(&payload));
}

static int complete(struct issue *i)
{
    int r;

    r = issue_poll(i, NET_KIND_ORDER, i->order_url);
    if (r == 0)
        r = wait_status(i, "ready", "the order's authorizations");
    if (r == 0)
        r = finalize(i);
    if (r == 0)
        r = wait_status(i, "valid", "the certificate");
    if (r)
        return r;
    if (!i->ca.answer->order.certificate[0])
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: the order is valid and names no certificate",
                        i->order_url);
    (void)memcpy(i->certificate_url, i->ca.answer->order.certificate,
                 sizeof(i->certificate_url));
    return CTL_EXIT_DONE;
}

int issue_order(struct issue *i)
{
    int r;

    r = new_order(i);
    if (r == 0)
        r = keep_order(i);
    if (r == 0)
        r = issue_authorize(i);
    return r ? r : complete(i);
}
