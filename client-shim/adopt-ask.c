/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/request.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

/*
 * What the client's files say of its account may be old, or of another CA, so
 * the CA is asked: newAccount, signed by the key in the files, with nothing but
 * onlyReturnExisting, which can make no account.
 */

#define PAYLOAD "{\"onlyReturnExisting\":true}"

static int compose(const struct adopt *a, const char *nonce, struct buf *head,
                   struct buf *payload, struct buf *signature)
{
    const struct acme_account account = {
        .jwk = *outside_key_public(a->key),
    };
    CLEANUP_BUF struct buf raw = { 0 };
    int r;

    r = acme_protected(&account, true, bytes_from_str(nonce),
                       bytes_from_str(a->talk.directory->new_account), head);
    if (r == 0)
        r = b64url_encode(bytes_from_str(PAYLOAD), payload);
    if (r == 0)
        r = outside_key_sign_parts(a->key, buf_str(head), buf_str(payload),
                                   &raw);
    return r ? r : b64url_encode(buf_bytes(&raw), signature);
}

static int sign(const char *nonce, void *userdata, json_t **ret)
{
    const struct adopt *a = userdata;
    CLEANUP_BUF struct buf head = { 0 };
    CLEANUP_BUF struct buf payload = { 0 };
    CLEANUP_BUF struct buf signature = { 0 };
    int r = compose(a, nonce, &head, &payload, &signature);

    if (r)
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: the key cannot sign",
                        a->path);
    *ret = json_pack("{s:s, s:s, s:s}", "protected", buf_str(&head), "payload",
                     buf_str(&payload), "signature", buf_str(&signature));
    return *ret ? CTL_EXIT_DONE : ctl_fail_errno(-ENOMEM, a->path);
}

/* The CA knows the key, but does not let its account in any more. */
static int judge_refusal(struct adopt *a)
{
    const struct net_answer *answer = a->talk.ca.answer;
    const char *name = ctl_ca_problem_name(&answer->problem);

    if (answer->result != NET_RESULT_OK)
        return ctl_ca_report(&a->talk.ca);
    if (strcmp(name, "accountDoesNotExist") == 0)
        return CTL_EXIT_DONE;
    if (strcmp(name, "unauthorized") == 0 || answer->http_status == 403)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: account-not-valid: the CA does not let its "
                        "account in (deactivated?): %s",
                        a->path, answer->problem.detail);
    return ctl_ca_report(&a->talk.ca);
}

static int judge(struct adopt *a)
{
    const struct net_answer *answer = a->talk.ca.answer;

    if (!net_answer_good(answer))
        return judge_refusal(a);
    if (strcmp(answer->account.status, "valid") != 0)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: account-not-valid: the CA calls its account %s",
                        a->path, answer->account.status);
    if (!answer->location[0])
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: the CA's answer has no account URL (Location)",
                        a->talk.ca.url);
    (void)snprintf(a->url, sizeof(a->url), "%s", answer->location);
    return CTL_EXIT_DONE;
}

int adopt_ask(struct adopt *a)
{
    const struct ctl_ca_post post = { .kind = NET_KIND_ACCOUNT,
                                      .url = a->talk.directory->new_account,
                                      .sign = sign,
                                      .userdata = a };
    int r;

    (void)snprintf(a->talk.ca.new_nonce, sizeof(a->talk.ca.new_nonce), "%s",
                   a->talk.directory->new_nonce);
    r = ctl_ca_try_post(&a->talk.ca, &post);
    return r ? r : judge(a);
}
