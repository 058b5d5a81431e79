/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-error.h"

#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-print.h"

static const char *member(const json_t *parameters, const char *name)
{
    return json_string_value(json_object_get(parameters, name));
}

static long long number(const json_t *parameters, const char *name)
{
    return json_integer_value(json_object_get(parameters, name));
}

static int say_denied(const json_t *p, struct buf *b)
{
    const char *operation = member(p, "operation");
    const char *identifier = member(p, "identifier");
    const char *reason = member(p, "reason");
    const char *rule = member(p, "rule");
    int r;

    r = buf_printf(b, "denied: %s", reason ? reason : "(no reason given)");
    if (r == 0 && identifier)
        r = buf_printf(b, ": %s", identifier);
    if (r == 0 && operation && *operation)
        r = buf_printf(b, " (operation %s)", operation);
    if (r == 0 && rule)
        r = buf_printf(b, " (rule %s)", rule);
    return r;
}

static int say_malformed(const json_t *p, struct buf *b)
{
    const char *reason = member(p, "reason");
    const char *detail = member(p, "detail");
    long long offset = number(p, "offset");
    int r;

    r = buf_printf(b, "malformed request: %s",
                   reason ? reason : "(no reason given)");
    if (r == 0 && detail && *detail)
        r = buf_printf(b, ": %s", detail);
    if (r == 0 && offset > 0)
        r = buf_printf(b, " (at octet %lld)", offset);
    return r;
}

static int say_retry(const json_t *p, const char *what, struct buf *b)
{
    long long ms = number(p, "retryAfterMs");
    int r;

    r = buf_append_str(b, what);
    if (r == 0 && ms > 0)
        r = buf_printf(b, "; try again in %lld.%lld s", ms / 1000,
                       ms % 1000 / 100);
    return r;
}

/* "WHAT: TEXT", or what alone. */
static int say_text(const json_t *p, const char *what, const char *name,
                    struct buf *b)
{
    const char *text = member(p, name);

    return text && *text ? buf_printf(b, "%s: %s", what, text)
                         : buf_append_str(b, what);
}

static int say_busy(const json_t *p, struct buf *b)
{
    return say_retry(p, "the daemon is busy", b);
}

static int say_rate(const json_t *p, struct buf *b)
{
    return say_retry(p, "too many requests", b);
}

static int say_token(const json_t *p, struct buf *b)
{
    return say_retry(p, "the token is unavailable (guardianctl token list)", b);
}

static int say_audit(const json_t *p, struct buf *b)
{
    (void)p;
    return buf_append_str(b, "the audit log cannot be written, so nothing is "
                             "signed (guardianctl status)");
}

static int say_unknown(const json_t *p, struct buf *b)
{
    (void)p;
    return buf_append_str(b, "no such account, or none that you may use");
}

static int say_not_ready(const json_t *p, struct buf *b)
{
    return say_text(p, "the account is not ready", "state", b);
}

static int say_key_changed(const json_t *p, struct buf *b)
{
    return say_text(p, "the account's key has changed; its thumbprint is now",
                    "thumbprint", b);
}

static int say_configuration(const json_t *p, struct buf *b)
{
    const char *file = member(p, "file");
    const char *text = member(p, "text");
    long long line = number(p, "line");

    if (!text)
        text = "bad configuration";
    if (!file || !*file)
        return buf_append_str(b, text);
    return line > 0 ? buf_printf(b, "%s:%lld: %s", file, line, text)
                    : buf_printf(b, "%s: %s", file, text);
}

static int say_no_token(const json_t *p, struct buf *b)
{
    return say_text(p, "no such token", "name", b);
}

static int say_no_account(const json_t *p, struct buf *b)
{
    return say_text(p, "no such account", "name", b);
}

static int say_exists(const json_t *p, struct buf *b)
{
    return say_text(p, "there is an account of that name already", "name", b);
}

static int say_state(const json_t *p, struct buf *b)
{
    const char *state = member(p, "state");
    const char *text = member(p, "text");
    int r;

    r = buf_printf(b, "not in this state (%s)", state ? state : "unknown");
    if (r == 0 && text && *text)
        r = buf_printf(b, ": %s", text);
    return r;
}

static int say_rotation(const json_t *p, struct buf *b)
{
    const char *state = member(p, "state");
    const char *since = member(p, "since");
    int r;

    r = buf_printf(b, "a rotation of this account is under way: %s since %s",
                   state ? state : "unknown", since ? since : "unknown");
    return r ? r : say_text(p, "", "text", b);
}

static int say_no_rotation(const json_t *p, struct buf *b)
{
    return say_text(p, "no rotation was ever started", "account", b);
}

static int say_records_changed(const json_t *p, struct buf *b)
{
    return say_text(p, "its records were changed meanwhile: once more",
                    "account", b);
}

static int say_value(const json_t *p, struct buf *b)
{
    const char *parameter = member(p, "parameter");

    return say_text(p, parameter ? parameter : "invalid value", "text", b);
}

static int say_registry(const json_t *p, struct buf *b)
{
    return say_text(p, "the daemon's registry cannot be written", "text", b);
}

static int say_issuer(const json_t *p, struct buf *b)
{
    const char *issuer = member(p, "issuer");
    int r;

    r = buf_printf(b, "the issuer name %s is refused",
                   issuer ? issuer : "(none given)");
    return r ? r : say_text(p, "", "text", b);
}

static int say_withheld(const json_t *p, struct buf *b)
{
    const char *account = member(p, "account");
    const char *reason = member(p, "reason");
    const char *text = member(p, "text");
    int r;

    r = buf_printf(b, "no record of account %s is shown: %s",
                   account ? account : "(unknown)",
                   reason ? reason : "not-proven");
    if (r == 0 && text && *text)
        r = buf_printf(b, ": %s", text);
    return r;
}

static int say_no_name(const json_t *p, struct buf *b)
{
    return say_text(p, "this name was not denied", "name", b);
}

static int say_token_failed(const json_t *p, struct buf *b)
{
    const char *result = member(p, "result");
    const char *text = member(p, "text");
    int r;

    r = buf_printf(b, "the token failed: %s", result ? result : "unknown");
    if (r == 0 && text && *text)
        r = buf_printf(b, ": %s", text);
    return r;
}

static int say_taken(const json_t *p, struct buf *b)
{
    (void)p;
    return buf_append_str(b, "the first audit key was taken before; it is "
                             "given out once");
}

static int say_role(const json_t *p, struct buf *b)
{
    return say_text(p, "not permitted; this needs the role", "role", b);
}

static int say_permission(const json_t *p, struct buf *b)
{
    (void)p;
    return buf_append_str(b, "not permitted");
}

static int say_version(const json_t *p, struct buf *b)
{
    (void)p;
    return buf_append_str(b, "the daemon does not know this call: it is of "
                             "another version, or this is not its socket");
}

#define SIGNER "org.acmeguardian.Signer."
#define ADMIN "org.acmeguardian.Admin."
#define SERVICE "org.varlink.service."

static const struct {
    const char *name;
    enum ctl_exit code;
    int (*say)(const json_t *parameters, struct buf *b);
} errors[] = {
    { SIGNER "PolicyDenied", CTL_EXIT_NO, say_denied },
    { SIGNER "MalformedRequest", CTL_EXIT_MALFORMED, say_malformed },
    { SIGNER "UnknownAccount", CTL_EXIT_NO, say_unknown },
    { SIGNER "AccountNotReady", CTL_EXIT_TRY_AGAIN, say_not_ready },
    { SIGNER "KeyChanged", CTL_EXIT_TRY_AGAIN, say_key_changed },
    { SIGNER "TokenUnavailable", CTL_EXIT_UNAVAILABLE, say_token },
    { SIGNER "Busy", CTL_EXIT_TRY_AGAIN, say_busy },
    { SIGNER "AuditUnavailable", CTL_EXIT_UNAVAILABLE, say_audit },
    { SIGNER "RateLimited", CTL_EXIT_TRY_AGAIN, say_rate },
    { ADMIN "ConfigurationInvalid", CTL_EXIT_CONFIG, say_configuration },
    { ADMIN "NoSuchToken", CTL_EXIT_NO, say_no_token },
    { ADMIN "NoSuchAccount", CTL_EXIT_NO, say_no_account },
    { ADMIN "AccountExists", CTL_EXIT_NO, say_exists },
    { ADMIN "WrongState", CTL_EXIT_NO, say_state },
    { ADMIN "InvalidValue", CTL_EXIT_MALFORMED, say_value },
    { ADMIN "RotationUnderWay", CTL_EXIT_NO, say_rotation },
    { ADMIN "NoRotation", CTL_EXIT_NO, say_no_rotation },
    { ADMIN "RecordsChanged", CTL_EXIT_TRY_AGAIN, say_records_changed },
    { ADMIN "IssuerMismatch", CTL_EXIT_NO, say_issuer },
    { ADMIN "RecordsWithheld", CTL_EXIT_NO, say_withheld },
    { ADMIN "NoSuchName", CTL_EXIT_NO, say_no_name },
    { ADMIN "TokenFailed", CTL_EXIT_UNAVAILABLE, say_token_failed },
    { ADMIN "AuditUnavailable", CTL_EXIT_UNAVAILABLE, say_audit },
    { ADMIN "RegistryUnavailable", CTL_EXIT_UNAVAILABLE, say_registry },
    { ADMIN "AlreadyTaken", CTL_EXIT_NO, say_taken },
    { ADMIN "NotPermitted", CTL_EXIT_NOT_PERMITTED, say_role },
    { ADMIN "Busy", CTL_EXIT_TRY_AGAIN, say_busy },
    { SERVICE "PermissionDenied", CTL_EXIT_NOT_PERMITTED, say_permission },
    { SERVICE "InterfaceNotFound", CTL_EXIT_UNAVAILABLE, say_version },
    { SERVICE "MethodNotFound", CTL_EXIT_UNAVAILABLE, say_version },
    { SERVICE "MethodNotImplemented", CTL_EXIT_UNAVAILABLE, say_version },
    { SERVICE "InvalidParameter", CTL_EXIT_MALFORMED, NULL },
};

/* These states do not pass by waiting. */
static bool state_is_final(const json_t *parameters)
{
    static const char *const finals[] = { "created", "deactivated", "revoked",
                                          "account-lost" };
    const char *state = member(parameters, "state");

    for (size_t i = 0; state && i < ARRAY_LEN(finals); i++) {
        if (strcmp(state, finals[i]) == 0)
            return true;
    }
    return false;
}

int ctl_error_explain(const char *name, const json_t *parameters,
                      enum ctl_exit *ret_code, struct buf *words)
{
    *ret_code = CTL_EXIT_UNAVAILABLE;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (strcmp(errors[i].name, name) != 0)
            continue;
        *ret_code = errors[i].code;
        if (strcmp(name, SIGNER "AccountNotReady") == 0 &&
            state_is_final(parameters))
            *ret_code = CTL_EXIT_NO;
        if (errors[i].say)
            return errors[i].say(parameters, words);
        return say_text(parameters, "invalid value", "parameter", words);
    }
    return buf_printf(words, "the daemon answered %.128s", name);
}

int ctl_error_report(const struct ctl_context *c, const char *name,
                     json_t *parameters)
{
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code = CTL_EXIT_UNAVAILABLE;
    int r;

    r = ctl_error_explain(name, parameters, &code, &words);
    if (r)
        return ctl_fail_errno(r, "error");
    if (c->json)
        ctl_print_json(
            json_pack("{s:s, s:O?}", "error", name, "parameters", parameters));
    return ctl_fail(code, "%s", buf_str(&words));
}
