/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-prove.h"

#include <string.h>

#include "client-shim/ctl-ca.h"

/* What an answer to the proof's request says (design section 10): only one that
 * leaves no doubt makes an account ours, and only silence leaves it open. */

#define NOT_OURS "account-not-ours"

/* The CA's words at the end: they are cut where there is no room. */
static int say(struct buf *b, const char *words, const char *detail)
{
    int r = buf_append_str(b, words);

    if (r == 0 && detail && *detail)
        r = buf_printf(b, ": %s", detail);
    if (r == 0 && b->len > PROVE_TEXT_MAX) {
        b->len = PROVE_TEXT_MAX;
        b->data[b->len] = '\0';
    }
    return r;
}

static int judge_object(const struct net_answer *a,
                        const struct prove_question *q, enum prove_verdict *ret,
                        const char **ret_reason, struct buf *words)
{
    *ret = PROVE_NOT;
    *ret_reason = NOT_OURS;
    if (a->http_status != 200)
        return say(words,
                   "whoever answers at the account's URL does not answer as "
                   "a CA does for an account that it has",
                   NULL);
    if (a->account.names_key &&
        strcmp(a->account.thumbprint, q->thumbprint) != 0)
        return say(words,
                   "the CA says that the account at this URL has another key, "
                   "with the thumbprint",
                   a->account.thumbprint[0] ? a->account.thumbprint
                                            : "that cannot be computed");
    if (strcmp(a->account.status, "valid") != 0) {
        *ret_reason = "account-not-valid";
        return say(words, "the CA calls this account not valid, but",
                   a->account.status);
    }
    *ret = PROVE_OURS;
    *ret_reason = NULL;
    return 0;
}

static int judge_refusal(const struct net_answer *a, struct buf *words)
{
    CLEANUP_BUF struct buf said = { 0 };
    enum ctl_exit code;
    int r = ctl_ca_words(a, &code, &said);

    if (r)
        return r;
    if (strcmp(ctl_ca_problem_name(&a->problem), "accountDoesNotExist") == 0)
        return say(words,
                   "the CA at the account's URL has no such account, so a "
                   "record that names it would authorize nobody, or somebody "
                   "else",
                   buf_str(&said));
    return say(words,
               "the CA at the account's URL does not take our key for it: it "
               "is somebody else's account, or not valid any more, and a "
               "record that names it would let others issue",
               buf_str(&said));
}

/* Silence, or an answer to something else: the question is still open. */
static bool is_silence(const struct net_answer *a,
                       const struct prove_question *q)
{
    const char *problem = ctl_ca_problem_name(&a->problem);

    if (a->kind != NET_KIND_ACCOUNT)
        return true; /* newNonce failed */
    if (a->result == NET_RESULT_TLS)
        return !q->elsewhere;
    if (a->result != NET_RESULT_OK)
        return a->result == NET_RESULT_UNSET ||
               a->result == NET_RESULT_CONNECT ||
               a->result == NET_RESULT_TIMEOUT;
    return a->http_status == 429 || a->http_status >= 500 ||
           strcmp(problem, "badNonce") == 0 ||
           strcmp(problem, "rateLimited") == 0;
}

int prove_judge(const struct net_answer *a, const struct prove_question *q,
                enum prove_verdict *ret, const char **ret_reason,
                struct buf *ret_words)
{
    *ret = PROVE_UNKNOWN;
    *ret_reason = NULL;
    if (is_silence(a, q))
        return 0;
    *ret = PROVE_NOT;
    *ret_reason = NOT_OURS;
    if (a->result == NET_RESULT_TLS) {
        *ret_reason = "account-host-untrusted";
        return say(ret_words,
                   "the host of the account's URL cannot show by its "
                   "certificate that it is that host",
                   a->text);
    }
    if (a->result != NET_RESULT_OK)
        return say(ret_words,
                   "whoever answers at the account's URL does not answer as "
                   "a CA does",
                   a->text);
    return net_answer_good(a) ? judge_object(a, q, ret, ret_reason, ret_words)
                              : judge_refusal(a, ret_words);
}
