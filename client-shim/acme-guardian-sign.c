/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/acme-guardian-call.h"

#include <string.h>

/* Everything but accounts: results own the answer that they point into. */

struct result_jws {
    struct guardian_jws shown;
    struct buf texts; /* the JSON and the three members, each with its NUL */
};

struct result_key_authorization {
    struct guardian_key_authorization shown;
    json_t *answer;
};

struct result_verdict {
    struct guardian_verdict shown;
    json_t *answer;
};

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int wrong_argument(struct guardian_error **ret_error, const char *detail)
{
    return error_local(ret_error, GUARDIAN_E_ARGUMENT, 0, detail);
}

static bool are_null(const void *const *reserved, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (reserved[i])
            return false;
    }
    return true;
}

static void result_jws_free(struct result_jws *jws)
{
    if (!jws)
        return;
    buf_deinit(&jws->texts);
    free(jws);
}
DEFINE_CLEANUP(struct result_jws *, result_jws_free)

void guardian_jws_free(struct guardian_jws *jws)
{
    result_jws_free((struct result_jws *)jws);
}

struct member {
    const char *before; /* in the JSON */
    const char *value;
};

static int put_texts(struct buf *b, const struct member *members, size_t n)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = buf_append_str(b, members[i].before);
        if (r == 0)
            r = buf_append_json(b, bytes_from_str(members[i].value));
    }
    if (r == 0)
        r = buf_append(b, "}", sizeof("}"));
    for (size_t i = 0; r == 0 && i < n; i++)
        r = buf_append(b, members[i].value, strlen(members[i].value) + 1);
    return r;
}

static const char *next_text(const char *text)
{
    return text + strlen(text) + 1;
}

/* Nothing but the three members goes into a request to the CA. By hand, since
 * building and writing a JSON object takes longer than all else here. */
static int jws_new(const char *protected, const char *payload,
                   const json_t *answer, struct guardian_jws **ret,
                   struct guardian_error **ret_error)
{
    CLEANUP(result_jws_free_p) struct result_jws *jws = NULL;
    const struct member members[] = {
        { "{\"protected\":", protected },
        { ",\"payload\":", payload },
        { ",\"signature\":", text(answer, "signature") },
    };

    if (!protected || !payload || !members[2].value)
        return error_no_answer(ret_error);
    jws = calloc(1, sizeof(*jws));
    if (!jws || put_texts(&jws->texts, members, ARRAY_LEN(members)) != 0)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    jws->shown.json = (const char *)jws->texts.data;
    jws->shown.protected_ = next_text(jws->shown.json);
    jws->shown.payload = next_text(jws->shown.protected_);
    jws->shown.signature = next_text(jws->shown.payload);
    *ret = (struct guardian_jws *)TAKE_PTR(jws);
    return GUARDIAN_OK;
}

int guardian_sign(struct guardian *g,
                  const struct guardian_sign_request *request,
                  struct guardian_jws **ret, struct guardian_error **ret_error)
{
    CLEANUP(params_deinit) struct params p = { 0 };
    CLEANUP_JSON json_t *answer = NULL;
    int r;

    if (!g || !request || !ret || !request->url || !request->nonce)
        return wrong_argument(ret_error, "url and nonce are needed");
    if (!are_null(request->reserved, ARRAY_LEN(request->reserved)))
        return wrong_argument(ret_error, "reserved members are set");
    params_add(&p, "account", request->account);
    params_add(&p, "url", request->url);
    params_add(&p, "nonce", request->nonce);
    params_add(&p, "payload", request->payload ? request->payload : "");
    params_add(&p, "thumbprint", request->thumbprint);
    r = params_call(&p, g, "Sign", &answer, ret_error);
    if (r)
        return r;
    return jws_new(text(answer, "protected"), text(answer, "payload"), answer,
                   ret, ret_error);
}

int guardian_sign_input(struct guardian *g,
                        const struct guardian_sign_input *input,
                        struct guardian_jws **ret,
                        struct guardian_error **ret_error)
{
    CLEANUP(params_deinit) struct params p = { 0 };
    CLEANUP_JSON json_t *answer = NULL;
    const char *payload;
    int r;

    if (!g || !input || !ret || !input->protected_)
        return wrong_argument(ret_error, "a protected header is needed");
    if (!are_null(input->reserved, ARRAY_LEN(input->reserved)))
        return wrong_argument(ret_error, "reserved members are set");
    payload = input->payload ? input->payload : "";
    params_add(&p, "account", input->account);
    params_add(&p, "protected", input->protected_);
    params_add(&p, "payload", payload);
    params_add(&p, "thumbprint", input->thumbprint);
    r = params_call(&p, g, "SignInput", &answer, ret_error);
    if (r)
        return r;
    return jws_new(input->protected_, payload, answer, ret, ret_error);
}

void guardian_key_authorization_free(struct guardian_key_authorization *shown)
{
    struct result_key_authorization *ka =
        (struct result_key_authorization *)shown;

    if (!ka)
        return;
    json_decref(ka->answer);
    free(ka);
}

int guardian_key_authorization(struct guardian *g, const char *account,
                               const char *token,
                               struct guardian_key_authorization **ret,
                               struct guardian_error **ret_error)
{
    CLEANUP(params_deinit) struct params p = { 0 };
    CLEANUP_JSON json_t *answer = NULL;
    struct guardian_key_authorization shown;
    struct result_key_authorization *ka;
    int r;

    if (!g || !token || !ret)
        return wrong_argument(ret_error, "a token is needed");
    params_add(&p, "account", account);
    params_add(&p, "token", token);
    r = params_call(&p, g, "KeyAuthorization", &answer, ret_error);
    if (r)
        return r;
    shown = (struct guardian_key_authorization){
        .key_authorization = text(answer, "keyAuthorization"),
        .dns01 = text(answer, "dns01"),
        .tls_alpn01 = text(answer, "tlsAlpn01"),
        .dns_account01_label = text(answer, "dnsAccount01Label"),
    };
    if (!shown.key_authorization || !shown.dns01 || !shown.tls_alpn01)
        return error_no_answer(ret_error);
    ka = malloc(sizeof(*ka));
    if (!ka)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    *ka = (struct result_key_authorization){ shown, TAKE_PTR(answer) };
    *ret = &ka->shown;
    return GUARDIAN_OK;
}

void guardian_verdict_free(struct guardian_verdict *shown)
{
    struct result_verdict *v = (struct result_verdict *)shown;

    if (!v)
        return;
    json_decref(v->answer);
    free(v);
}

static bool are_set(const char *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!values || !values[i])
            return false;
    }
    return true;
}

int guardian_check(struct guardian *g, const char *account,
                   const char *operation, const char *const *identifiers,
                   size_t n, struct guardian_verdict **ret,
                   struct guardian_error **ret_error)
{
    CLEANUP(params_deinit) struct params p = { 0 };
    CLEANUP_JSON json_t *answer = NULL;
    const json_t *allowed;
    struct result_verdict *v;
    int r;

    if (!g || !operation || !ret || !are_set(identifiers, n))
        return wrong_argument(ret_error, "an operation is needed, and no "
                                         "identifier may be NULL");
    params_add(&p, "account", account);
    params_add(&p, "operation", operation);
    params_add_list(&p, "identifiers", identifiers, n);
    r = params_call(&p, g, "Check", &answer, ret_error);
    if (r)
        return r;
    allowed = json_object_get(answer, "allowed");
    if (!json_is_boolean(allowed))
        return error_no_answer(ret_error);
    v = malloc(sizeof(*v));
    if (!v)
        return error_local(ret_error, GUARDIAN_E_MEMORY, 0, NULL);
    v->shown = (struct guardian_verdict){
        .allowed = json_is_true(allowed),
        .reason = text(answer, "reason"),
        .identifier = text(answer, "identifier"),
        .rule = text(answer, "rule"),
    };
    v->answer = TAKE_PTR(answer);
    *ret = &v->shown;
    return GUARDIAN_OK;
}
