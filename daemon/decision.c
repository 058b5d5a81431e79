/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/decision.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/log-limit.h"
#include "daemon/message-ids.h"

static struct audit_event decision_event(const struct decision *d)
{
    const struct acme_request *r = d->request;
    const struct acme_account *a = &d->in.account->row.acme;

    return (struct audit_event){
        .type = AUDIT_DECISION,
        .peer = d->in.peer,
        .socket = d->in.socket,
        .account = a->name,
        .thumbprint = a->thumbprint,
        .operation = r ? acme_op_name(r->op) : NULL,
        .identifiers = r ? &r->identifiers : NULL,
        .url = r ? r->url : NULL,
        .rule = d->rule.len ? buf_str(&d->rule) : NULL,
        .rule_id = d->rule_id,
        .input_sha256 = d->input_sha256,
        .payload_sha256 =
            r && r->op == ACME_OP_ORDER ? d->payload_sha256 : NULL,
    };
}

int decision_write(struct decision *d, struct refusal *ret_refusal)
{
    struct guardian *g = d->guardian;
    struct audit *audit = guardian_audit(g);
    struct audit_event event = decision_event(d);
    int r;

    if (!audit)
        return refuse(ret_refusal, REASON_AUDIT_UNAVAILABLE, "%s",
                      g->audit_error.text);
    event.verdict = "allowed";
    r = audit_write(audit, &event);
    if (r)
        return refuse(ret_refusal, REASON_AUDIT_UNAVAILABLE, "%s",
                      strerror(-r));
    return 0;
}

const char *decision_verdict(enum reason reason)
{
    switch (reason_kind(reason)) {
    case REASON_KIND_MALFORMED:
        return "malformed";
    case REASON_KIND_DENIED:
        return "denied";
    case REASON_KIND_STATE:
        return "refused";
    case REASON_KIND_UNSET:
        break;
    }
    return "allowed";
}

static void decision_journal(const struct decision *d, int priority,
                             const char *message_id, const char *reason,
                             const char *verdict, const char *detail)
{
    const struct peer *peer = d->in.peer;
    const struct acme_account *a = &d->in.account->row.acme;
    const char *op = d->request ? acme_op_name(d->request->op) : "request";
    char uid[16], pid[16];

    (void)snprintf(uid, sizeof(uid), "%u", peer->uid);
    (void)snprintf(pid, sizeof(pid), "%d", (int)peer->pid);
    log_event(priority, message_id,
              (struct log_field[]){
                  { "GUARDIAN_PEER_UID", uid },
                  { "GUARDIAN_PEER_PID", pid },
                  { "GUARDIAN_OPERATION", op },
                  { "GUARDIAN_ACCOUNT", a->name },
                  { "GUARDIAN_KEY", a->thumbprint },
                  { "GUARDIAN_RULE", d->rule.len ? buf_str(&d->rule) : NULL },
                  { "GUARDIAN_VERDICT", verdict },
                  { "GUARDIAN_REASON", reason },
                  { "GUARDIAN_DETAIL", detail } },
              9, "%s: %s for account %s by uid %u%s%s%s%s%s", verdict, op,
              a->name, peer->uid, reason ? ": " : "", reason ? reason : "",
              detail && *detail ? " (" : "", detail ? detail : "",
              detail && *detail ? ")" : "");
}

void decision_write_refusal(struct decision *d, const struct refusal *refusal)
{
    struct audit *audit = guardian_audit(d->guardian);
    struct audit_event event = decision_event(d);
    const char *verdict = decision_verdict(refusal->reason);

    event.verdict = verdict;
    event.reason = reason_code(refusal->reason);
    event.detail = refusal->detail[0] ? refusal->detail : NULL;
    if (audit)
        audit_write_refusal(audit, &event);
    if (log_limit_take(&d->guardian->log_denied, d->guardian->event))
        decision_journal(d, LOG_NOTICE, MSG_DENIED, event.reason, verdict,
                         refusal->detail);
}

void decision_log_granted(const struct decision *d)
{
    if (log_limit_take(&d->guardian->log_granted, d->guardian->event))
        decision_journal(d, LOG_INFO, MSG_GRANTED, NULL, "allowed", NULL);
}
