/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-prove.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "acme/b64url.h"
#include "acme/url.h"
#include "client-shim/ctl-account.h"
#include "client-shim/ctl-print.h"

/*
 * account prove: a POST-as-GET, signed by our key, to the account URL itself.
 * Where that URL is of another origin than the directory, its host is asked as
 * anybody would: with the system's roots, and without the nonces, the roots and
 * the connection of the CA that gave us the URL.
 */

/* Any CA refuses it, with a good one in its answer (RFC 8555 section 6.5). */
static int make_nonce(char ret[static NET_NONCE_MAX + 1])
{
    CLEANUP_BUF struct buf text = { 0 };
    uint8_t raw[16];

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw) ||
        b64url_encode((struct bytes){ raw, sizeof(raw) }, &text))
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "no random octets");
    (void)snprintf(ret, NET_NONCE_MAX + 1, "%s", buf_str(&text));
    return CTL_EXIT_DONE;
}

static bool same_origin(const struct ctl_conversation *v, const char *a,
                        const char *b)
{
    const struct url_rules rules = { .allow_query = true,
                                     .allow_http_loopback = v->ca.allow_http };

    return a && b &&
           url_check_origin(bytes_from_str(a), bytes_from_str(b), &rules,
                            NULL) == 0;
}

static int sign(struct ctl_conversation *v, const char *url, const char *nonce,
                char **ret)
{
    CLEANUP_CTL_JSON json_t *jws = NULL;
    const char *signed_for;
    int r;

    r = ctl_daemon_call(
        &v->daemon, "AccountSignProof",
        json_pack("{s:s, s:s}", "name", v->account, "nonce", nonce), &jws);
    if (r)
        return r;
    signed_for = ctl_string(jws, "url");
    if (!signed_for || strcmp(signed_for, url) != 0)
        return ctl_fail(CTL_EXIT_TRY_AGAIN,
                        "%s: the account's URL has changed meanwhile",
                        v->account);
    return ctl_ca_flat(jws, ret);
}

static bool is_bad_nonce(const struct net_answer *a)
{
    return a->nonce[0] &&
           strcmp(ctl_ca_problem_name(&a->problem), "badNonce") == 0;
}

/* A host that is not the directory's: its answer to a nonce that is none has
 * the first good one. */
static int ask_elsewhere(struct ctl_conversation *v, const char *url)
{
    char nonce[NET_NONCE_MAX + 1];
    int r = make_nonce(nonce);

    for (int i = 0; r == 0 && i < CTL_CA_NONCE_TRIES; i++) {
        CLEANUP_FREE char *body = NULL;
        struct net_call call = { .kind = NET_KIND_ACCOUNT,
                                 .url = url,
                                 .allow_http = v->ca.allow_http,
                                 .system_roots = true };

        r = sign(v, url, nonce, &body);
        if (r)
            return r;
        call.body = bytes_from_str(body);
        r = ctl_ca_call(&v->ca, &call);
        if (r || !is_bad_nonce(v->ca.answer))
            return r;
        (void)memcpy(nonce, v->ca.answer->nonce, sizeof(nonce));
    }
    return r;
}

/* Its newNonce is its own where the two are of one origin, too. */
bool ctl_prove_is_elsewhere(struct ctl_conversation *v, const char *url)
{
    const char *directory = ctl_string(ctl_conversation_facts(v), "directory");

    return !same_origin(v, url, directory) || !ctl_conversation_known(v) ||
           !same_origin(v, url, v->ca.new_nonce);
}

static int ask(struct ctl_conversation *v, const struct prove_question *q)
{
    const char *url = q->account_url;
    json_t *parameters;
    int r;

    if (q->elsewhere)
        return ask_elsewhere(v, url);
    parameters = json_pack("{s:s}", "name", v->account);
    r = ctl_conversation_try_post(v, NET_KIND_ACCOUNT, "AccountSignProof",
                                  parameters);
    json_decref(parameters);
    if (r == 0 && v->ca.answer->kind == NET_KIND_ACCOUNT &&
        strcmp(v->ca.url, url) != 0)
        return ctl_fail(CTL_EXIT_TRY_AGAIN,
                        "%s: the account's URL has changed meanwhile",
                        v->account);
    return r;
}

static int keep_proof(struct ctl_conversation *v,
                      const struct prove_question *q, json_t **ret)
{
    return ctl_daemon_call(&v->daemon, "AccountProven",
                           json_pack("{s:s, s:s, s:s}", "name", v->account,
                                     "url", q->account_url, "thumbprint",
                                     q->thumbprint),
                           ret);
}

static int report_not(const struct ctl_conversation *v,
                      const struct prove_question *q, const char *reason,
                      const char *words)
{
    if (v->context->json)
        ctl_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "error",
                                 "not-proven", "account", v->account, "url",
                                 q->account_url, "reason", reason, "text",
                                 words));
    return ctl_fail(CTL_EXIT_NO, "%s: %s: %s (%s)", v->account, reason, words,
                    q->account_url);
}

static int keep_result(struct ctl_conversation *v,
                       const struct prove_question *q, json_t **ret)
{
    CLEANUP_BUF struct buf words = { 0 };
    enum prove_verdict verdict = PROVE_UNSET;
    const char *reason = NULL;
    int r;

    r = prove_judge(v->ca.answer, q, &verdict, &reason, &words);
    if (r)
        return ctl_fail_errno(r, v->account);
    if (verdict == PROVE_OURS)
        return keep_proof(v, q, ret);
    if (verdict != PROVE_NOT)
        return ctl_ca_report(&v->ca);
    r = ctl_daemon_call(&v->daemon, "AccountNotProven",
                        json_pack("{s:s, s:s, s:s}", "name", v->account,
                                  "reason", reason, "text", buf_str(&words)),
                        NULL);
    return r ? r : report_not(v, q, reason, buf_str(&words));
}

int ctl_prove_account(struct ctl_conversation *v, json_t **ret)
{
    const json_t *facts = ctl_conversation_facts(v);
    struct prove_question q = { .account_url = ctl_string(facts, "url"),
                                .thumbprint = ctl_string(facts, "thumbprint") };
    int r;

    if (!q.account_url || !q.thumbprint)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: not registered, so there is nothing to prove "
                        "(account register)",
                        v->account);
    q.elsewhere = ctl_prove_is_elsewhere(v, q.account_url);
    r = ask(v, &q);
    return r ? r : keep_result(v, &q, ret);
}

/* The directory says which form records have: what changes there is said. */
static int read_directory(struct ctl_conversation *v)
{
    CLEANUP_CTL_JSON json_t *changes = NULL;
    int r = ctl_conversation_directory(v, &changes);

    for (size_t i = 0; r == 0 && i < json_array_size(changes); i++)
        (void)ctl_fail(CTL_EXIT_DONE, "%s: the CA's directory has changed: %s",
                       v->account,
                       json_string_value(json_array_get(changes, i)));
    return r;
}

int ctl_prove_if_due(struct ctl_conversation *v)
{
    const json_t *facts = ctl_conversation_facts(v);
    int r;

    if (ctl_true(json_object_get(facts, "proof"), "current"))
        return CTL_EXIT_DONE;
    r = read_directory(v);
    return r ? r : ctl_prove_account(v, NULL);
}

int ctl_prove_all_due(const struct ctl_context *c, const char *const *accounts,
                      size_t n)
{
    int first = CTL_EXIT_DONE;

    for (size_t i = 0; i < n; i++) {
        CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
        int r = ctl_conversation_open(c, accounts[i], &v);

        if (r == 0)
            r = ctl_prove_if_due(&v);
        if (first == CTL_EXIT_DONE)
            first = r;
    }
    return first;
}

static int run_if_due(struct ctl_context *c)
{
    const char *account = c->operands[0];
    int r = ctl_prove_all_due(c, &account, 1);

    if (r == CTL_EXIT_DONE && c->json)
        ctl_print_json(
            json_pack("{s:s, s:b}", "account", account, "proven", 1));
    else if (r == CTL_EXIT_DONE)
        (void)puts("the account is proven to be ours");
    return r;
}

int ctl_prove_run(struct ctl_context *c)
{
    CLEANUP_CTL_CONVERSATION struct ctl_conversation v = { 0 };
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    if (ctl_args_has(c, "--if-due"))
        return run_if_due(c);
    r = ctl_conversation_open(c, c->operands[0], &v);
    if (r == 0)
        r = ctl_prove_account(&v, &answer);
    if (r)
        return r;
    if (!c->json)
        (void)puts("the CA answers our key: the account is ours");
    return ctl_account_print(c, answer);
}

const struct ctl_option ctl_prove_options[] = {
    { "--if-due", NULL, "only where there is no proof of the last day", 0,
      false, false },
    CTL_CA_OPTIONS,
    { 0 },
};
