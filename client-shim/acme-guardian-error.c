/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/acme-guardian-call.h"

#include <string.h>

#define SIGNER "org.acmeguardian.Signer."

static const struct {
    int code;
    const char *name; /* the last part of the Varlink error, or NULL */
    const char *words;
} errors[] = {
    { GUARDIAN_OK, NULL, "Success" },
    { GUARDIAN_E_POLICY_DENIED, "PolicyDenied", "Denied by policy" },
    { GUARDIAN_E_MALFORMED_REQUEST, "MalformedRequest",
      "Not a request that is signed" },
    { GUARDIAN_E_UNKNOWN_ACCOUNT, "UnknownAccount",
      "No such account for this caller" },
    { GUARDIAN_E_ACCOUNT_NOT_READY, "AccountNotReady",
      "The account cannot be used now" },
    { GUARDIAN_E_KEY_CHANGED, "KeyChanged", "The account has a new key" },
    { GUARDIAN_E_TOKEN_UNAVAILABLE, "TokenUnavailable",
      "The token cannot be used now" },
    { GUARDIAN_E_BUSY, "Busy", "The guardian is busy" },
    { GUARDIAN_E_AUDIT_UNAVAILABLE, "AuditUnavailable",
      "The audit log cannot be written, so nothing is signed" },
    { GUARDIAN_E_RATE_LIMITED, "RateLimited", "Too many requests" },
    { GUARDIAN_E_REFUSED, NULL, "Refused by the guardian" },
    { GUARDIAN_E_ARGUMENT, NULL, "Invalid argument" },
    { GUARDIAN_E_MEMORY, NULL, "Out of memory" },
    { GUARDIAN_E_UNAVAILABLE, NULL, "The guardian cannot be reached" },
    { GUARDIAN_E_TIMEOUT, NULL, "The guardian did not answer in time" },
    { GUARDIAN_E_PROTOCOL, NULL, "The guardian's answer cannot be read" },
};

const char *guardian_strerror(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].code == code)
            return errors[i].words;
    }
    return "Unknown error";
}

/* The strings point into what stands behind. */
struct result_error {
    struct guardian_error shown;
    json_t *parameters;
    char *detail;
};

void guardian_error_free(struct guardian_error *shown)
{
    struct result_error *e = (struct result_error *)shown;

    if (!e)
        return;
    json_decref(e->parameters);
    free(e->detail);
    free(e);
}

static struct result_error *error_new(int code, int system_errno,
                                      const char *detail)
{
    struct result_error *e = malloc(sizeof(*e));

    if (!e)
        return NULL;
    *e = (struct result_error){ .detail = detail ? strdup(detail) : NULL };
    e->shown = (struct guardian_error){ .code = code,
                                        .system_errno = system_errno,
                                        .detail = e->detail,
                                        .offset = -1,
                                        .retry_after_ms = -1 };
    return e;
}

int error_local(struct guardian_error **ret_error, int code, int system_errno,
                const char *detail)
{
    if (ret_error)
        *ret_error =
            (struct guardian_error *)error_new(code, system_errno, detail);
    return code;
}

int error_no_answer(struct guardian_error **ret_error)
{
    return error_local(ret_error, GUARDIAN_E_PROTOCOL, 0,
                       "a member of the answer is missing or of a wrong type");
}

static int code_of(const char *name)
{
    if (strncmp(name, SIGNER, strlen(SIGNER)) != 0)
        return GUARDIAN_E_REFUSED;
    name += strlen(SIGNER);
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (errors[i].name && strcmp(errors[i].name, name) == 0)
            return errors[i].code;
    }
    return GUARDIAN_E_REFUSED;
}

static int64_t number(const json_t *parameters, const char *name)
{
    const json_t *value = json_object_get(parameters, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -1;
    return json_integer_value(value);
}

static const char *text(const json_t *parameters, const char *name)
{
    return json_string_value(json_object_get(parameters, name));
}

int error_remote(struct guardian_error **ret_error, const char *name,
                 json_t *parameters)
{
    int code = code_of(name);
    struct result_error *e;

    if (!ret_error)
        return code;
    e = error_new(code, 0, code == GUARDIAN_E_REFUSED ? name : NULL);
    *ret_error = (struct guardian_error *)e;
    if (!e)
        return code;
    e->parameters = json_incref(parameters);
    e->shown.reason = text(parameters, "reason");
    e->shown.operation = text(parameters, "operation");
    e->shown.identifier = text(parameters, "identifier");
    e->shown.rule = text(parameters, "rule");
    e->shown.state = text(parameters, "state");
    e->shown.thumbprint = text(parameters, "thumbprint");
    if (!e->shown.detail)
        e->shown.detail = text(parameters, "detail");
    e->shown.offset = number(parameters, "offset");
    e->shown.retry_after_ms = number(parameters, "retryAfterMs");
    return code;
}
