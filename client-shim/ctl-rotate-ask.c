/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-rotate.h"

#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-move.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-prove.h"

/*
 * The daemon decides what is asked and what an answer means. Here is only what
 * it cannot do: sending. A question is never sent twice; what must be asked
 * again is signed again.
 */

/*
 * Others may drive the same rotation meanwhile, and a timer of the daemon's may
 * take it elsewhere: then a question is not the question any more, which is no
 * failure. What is next is asked again.
 */

#define KEY_CHANGE "key-change"
#define SPEND "spend-nonce"
#define REGISTER "register"
#define TRY_NEW "try-new-key"

int ctl_rotate_nonce(struct ctl_conversation *v, bool *ret_got)
{
    int r = CTL_EXIT_DONE;

    if (!v->ca.nonce[0])
        r = ctl_ca_try_get(&v->ca, NET_KIND_NONCE, v->ca.new_nonce);
    *ret_got = v->ca.nonce[0] != '\0';
    return r;
}

static const char *filled(const char *text)
{
    return *text ? text : NULL;
}

/* "?" is no thumbprint: the object names a key that cannot be read. */
static const char *thumbprint_of(const struct net_account *account)
{
    if (!account->names_key)
        return NULL;
    return account->thumbprint[0] ? account->thumbprint : "?";
}

static json_t *answer_json(const struct net_answer *a)
{
    bool has_account = a->kind == NET_KIND_ACCOUNT && net_answer_good(a);

    if (a->result != NET_RESULT_OK)
        return json_pack("{s:i, s:s*}", "httpStatus", 0, "detail",
                         filled(a->text));
    return json_pack(
        "{s:i, s:s*, s:s*, s:s*, s:s*, s:s*}", "httpStatus",
        (int)a->http_status, "problem", filled(a->problem.type), "detail",
        filled(a->problem.detail), "location", filled(a->location),
        "accountStatus", has_account ? filled(a->account.status) : NULL,
        "thumbprint", has_account ? thumbprint_of(&a->account) : NULL);
}

/* A call whose WrongState is *ret_late. */
static int call(struct ctl_conversation *v, const char *method,
                json_t *parameters, bool *ret_late, json_t **ret)
{
    json_t *answer = NULL;
    int r;

    v->daemon.expected = "org.acmeguardian.Admin.WrongState";
    r = ctl_daemon_call(&v->daemon, method, parameters, &answer);
    v->daemon.expected = NULL;
    *ret_late = r == CTL_EXIT_NO && ctl_string(answer, "state");
    if (r == 0 && ret)
        *ret = json_incref(answer);
    json_decref(answer);
    return *ret_late ? CTL_EXIT_DONE : r;
}

static int tell(struct ctl_conversation *v, const char *ask, const char *nonce)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    bool late;
    int r;

    r = call(v, "RotationAnswer",
             json_pack("{s:s, s:s, s:s, s:o}", "account", v->account, "ask",
                       ask, "nonce", nonce, "answer",
                       answer_json(v->ca.answer)),
             &late, &answer);
    if (r == 0 && ctl_move_refused(v, ask, json_object_get(answer, "rotation")))
        return ctl_ca_report(&v->ca);
    return r;
}

static int send_once(struct ctl_conversation *v, const char *ask,
                     const json_t *jws)
{
    CLEANUP_FREE char *body = NULL;
    struct net_call call = { .kind = strcmp(ask, KEY_CHANGE) == 0
                                         ? NET_KIND_KEY_CHANGE
                                         : NET_KIND_ACCOUNT,
                             .url = ctl_string(jws, "url"),
                             .allow_http = v->ca.allow_http,
                             .fresh = true };
    int r;

    if (!call.url)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no signed request");
    /* Whose host says that an account is ours matters there as in a proof. */
    call.system_roots =
        strcmp(ask, TRY_NEW) == 0 && ctl_prove_is_elsewhere(v, call.url);
    r = ctl_ca_flat(jws, &body);
    if (r)
        return r;
    call.body = bytes_from_str(body);
    r = ctl_ca_call(&v->ca, &call);
    if (r == 0)
        (void)memcpy(v->ca.nonce, v->ca.answer->nonce, sizeof(v->ca.nonce));
    return r;
}

/* Nothing that the daemon should judge: the nonce was too old for the CA. */
static bool is_stale(const struct ctl_conversation *v, const char *ask)
{
    const struct net_answer *a = v->ca.answer;

    return strcmp(ask, KEY_CHANGE) != 0 && strcmp(ask, SPEND) != 0 &&
           a->result == NET_RESULT_OK && a->http_status >= 400 &&
           strcmp(ctl_ca_problem_name(&a->problem), "badNonce") == 0;
}

static int ask_with(struct ctl_conversation *v, const char *ask,
                    const char *nonce, bool *ret_late)
{
    CLEANUP_CTL_JSON json_t *p = NULL;
    CLEANUP_CTL_JSON json_t *jws = NULL;
    int r = CTL_EXIT_DONE;

    p = json_pack("{s:s, s:s, s:s}", "account", v->account, "ask", ask, "nonce",
                  nonce);
    if (v->outside && strcmp(ask, KEY_CHANGE) == 0)
        r = ctl_rotate_sign_inner(v, p);
    else if (strcmp(ask, REGISTER) == 0)
        r = ctl_move_parameters(v, p);
    if (r == 0)
        r = call(v, "RotationSign", json_incref(p), ret_late, &jws);
    if (r || *ret_late)
        return r;
    if (!ctl_string(jws, "signature"))
        r = ctl_rotate_sign_outside(v, jws);
    return r ? r : send_once(v, ask, jws);
}

int ctl_rotate_ask(struct ctl_conversation *v, const char *ask, bool *ret_heard)
{
    char nonce[NET_NONCE_MAX + 1] = "of-the-request";
    bool got = true;
    bool late = false;
    int r = CTL_EXIT_DONE;

    *ret_heard = false;
    for (int i = 0; r == 0 && i < CTL_CA_NONCE_TRIES; i++) {
        if (strcmp(ask, SPEND) != 0) {
            r = ctl_rotate_nonce(v, &got);
            if (r || !got)
                return r;
            (void)memcpy(nonce, v->ca.nonce, sizeof(nonce));
            v->ca.nonce[0] = '\0';
        }
        r = ask_with(v, ask, nonce, &late);
        if (late || (r == 0 && !is_stale(v, ask)))
            break;
    }
    if (r || late) {
        *ret_heard = late;
        return r;
    }
    *ret_heard = v->ca.answer->result == NET_RESULT_OK;
    return tell(v, ask, nonce);
}
