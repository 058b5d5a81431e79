/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/signer-error.h"

#include <inttypes.h>

#include "daemon/signer.h"
#include "ipc/varlink-server.h"

int json_or_null(struct buf *b, const char *s)
{
    return s ? buf_append_json(b, bytes_from_str(s))
             : buf_append_str(b, "null");
}

static int format_denied(const struct decide_outcome *o, struct buf *b)
{
    int r;

    r = buf_append_str(b, "{\"operation\":");
    if (r == 0)
        r = buf_append_json(b, bytes_from_str(o->operation));
    if (r == 0)
        r = buf_append_str(b, ",\"identifier\":");
    if (r == 0)
        r = json_or_null(b, o->identifier);
    if (r == 0)
        r = buf_printf(b,
                       ",\"reason\":\"%s\",\"rule\":", reason_code(o->reason));
    if (r == 0)
        r = json_or_null(b, o->rule);
    return r ? r : buf_append_char(b, '}');
}

static int format_malformed(const struct decide_outcome *o, struct buf *b)
{
    int r;

    r = buf_printf(b, "{\"reason\":\"%s\",\"offset\":%zu,\"detail\":",
                   reason_code(o->reason), o->offset);
    if (r == 0)
        r = buf_append_json(b, bytes_from_str(o->detail ? o->detail : ""));
    return r ? r : buf_append_char(b, '}');
}

static int format_text(const char *name, const char *value, struct buf *b)
{
    int r;

    r = buf_printf(b, "{\"%s\":", name);
    if (r == 0)
        r = buf_append_json(b, bytes_from_str(value ? value : ""));
    return r ? r : buf_append_char(b, '}');
}

static int format_retry(const struct decide_outcome *o, struct buf *b)
{
    return buf_printf(b, "{\"retryAfterMs\":%" PRIu64 "}", o->retry_after_ms);
}

/* *ret_name is the error's last part. */
static int format_error(const struct decide_outcome *o, const char **ret_name,
                        struct buf *b)
{
    /* Most reasons go by their kind; these have an error of their own. */
    if (o->reason == REASON_UNKNOWN_ACCOUNT) {
        *ret_name = SIGNER_INTERFACE ".UnknownAccount";
        return buf_append_str(b, "{}");
    }
    if (o->reason == REASON_ACCOUNT_NOT_READY) {
        *ret_name = SIGNER_INTERFACE ".AccountNotReady";
        return format_text("state", o->state, b);
    }
    if (o->reason == REASON_KEY_CHANGED) {
        *ret_name = SIGNER_INTERFACE ".KeyChanged";
        return format_text("thumbprint", o->thumbprint, b);
    }
    if (o->reason == REASON_TOKEN_UNAVAILABLE) {
        *ret_name = SIGNER_INTERFACE ".TokenUnavailable";
        return format_retry(o, b);
    }
    if (o->reason == REASON_BUSY) {
        *ret_name = SIGNER_INTERFACE ".Busy";
        return format_retry(o, b);
    }
    if (o->reason == REASON_ORDERS_PER_DAY ||
        o->reason == REASON_REQUESTS_PER_MINUTE) {
        *ret_name = SIGNER_INTERFACE ".RateLimited";
        return format_retry(o, b);
    }
    if (o->reason == REASON_AUDIT_UNAVAILABLE) {
        *ret_name = SIGNER_INTERFACE ".AuditUnavailable";
        return buf_append_str(b, "{}");
    }
    if (reason_kind(o->reason) == REASON_KIND_MALFORMED) {
        *ret_name = SIGNER_INTERFACE ".MalformedRequest";
        return format_malformed(o, b);
    }
    *ret_name = SIGNER_INTERFACE ".PolicyDenied";
    return format_denied(o, b);
}

void signer_error(struct varlink_call *call, const struct decide_outcome *o)
{
    CLEANUP_BUF struct buf b = { 0 };
    const char *name = SIGNER_INTERFACE ".Busy";

    if (format_error(o, &name, &b)) {
        varlink_error(call, SIGNER_INTERFACE ".Busy",
                      bytes_from_str("{\"retryAfterMs\":1000}"));
        return;
    }
    varlink_error(call, name, buf_bytes(&b));
}

void signer_refuse(struct varlink_call *call, const char *operation,
                   const struct refusal *refusal)
{
    signer_error(call, &(struct decide_outcome){ .reason = refusal->reason,
                                                 .operation = operation,
                                                 .detail = refusal->detail,
                                                 .offset = refusal->offset,
                                                 .state = refusal->detail,
                                                 .retry_after_ms = 1000 });
}
