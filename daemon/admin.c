/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/admin-call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "daemon/message-ids.h"
#include "daemon/params.h"
#include "ipc/interfaces.h"

/*
 * Idea: each method names the role it needs in the table at the end; nothing
 * else decides who may call it. Each call is in the audit log, and one that
 * changes something is there before it does.
 */

static const char *admin_method(const struct varlink_call *call)
{
    const char *dot = strrchr(varlink_call_method(call), '.');

    return dot ? dot + 1 : varlink_call_method(call);
}

static void admin_journal(const struct varlink_call *call, const char *verdict,
                          const struct admin_subject *subject)
{
    const struct peer *peer = varlink_call_peer(call);
    char uid[16], pid[16];

    (void)snprintf(uid, sizeof(uid), "%u", peer->uid);
    (void)snprintf(pid, sizeof(pid), "%d", (int)peer->pid);
    log_event(
        LOG_INFO, MSG_ADMIN,
        (struct log_field[]){ { "GUARDIAN_PEER_UID", uid },
                              { "GUARDIAN_PEER_PID", pid },
                              { "GUARDIAN_OPERATION", admin_method(call) },
                              { "GUARDIAN_ACCOUNT", subject->account },
                              { "GUARDIAN_VERDICT", verdict },
                              { "GUARDIAN_DETAIL", subject->detail } },
        6, "%s by uid %u: %s%s%s", admin_method(call), peer->uid, verdict,
        subject->account ? ", account " : "",
        subject->account ? subject->account : "");
}

static struct audit_event admin_event(const struct varlink_call *call,
                                      const char *verdict,
                                      const struct admin_subject *subject)
{
    return (struct audit_event){ .type = AUDIT_ADMIN,
                                 .peer = varlink_call_peer(call),
                                 .account = subject->account,
                                 .operation = admin_method(call),
                                 .verdict = verdict,
                                 .identifiers = subject->identifiers,
                                 .detail = subject->detail,
                                 .input_sha256 = subject->input_sha256,
                                 .thumbprint = subject->thumbprint };
}

void admin_note(struct guardian *g, struct varlink_call *call,
                const struct admin_subject *subject)
{
    struct audit_event event = admin_event(call, "allowed", subject);
    struct audit *audit = guardian_audit(g);

    if (audit && audit_write(audit, &event))
        log_msg(LOG_WARNING, "The audit log cannot be written");
}

bool admin_begin(struct guardian *g, struct varlink_call *call,
                 const struct admin_subject *subject)
{
    struct audit_event event = admin_event(call, "allowed", subject);
    struct audit *audit = guardian_audit(g);

    if (!audit || audit_write(audit, &event)) {
        admin_error(call, "AuditUnavailable", json_object());
        return false;
    }
    admin_journal(call, "allowed", subject);
    return true;
}

void admin_error(struct varlink_call *call, const char *name,
                 json_t *parameters)
{
    char full[96];
    char *text;

    (void)snprintf(full, sizeof(full), ADMIN_INTERFACE ".%s", name);
    text = parameters ? json_dumps(parameters, JSON_COMPACT) : NULL;
    json_decref(parameters);
    varlink_error(call, full, bytes_from_str(text ? text : "{}"));
    free(text);
}

void admin_error_no_account(struct varlink_call *call, const char *name)
{
    admin_error(call, "NoSuchAccount", json_pack("{s:s}", "name", name));
}

void admin_error_no_token(struct varlink_call *call, const char *name)
{
    admin_error(call, "NoSuchToken", json_pack("{s:s}", "name", name));
}

void admin_error_value(struct varlink_call *call, const char *parameter,
                       const char *text)
{
    admin_error(call, "InvalidValue",
                json_pack("{s:s,s:s}", "parameter", parameter, "text", text));
}

void admin_error_refusal(struct varlink_call *call, const char *parameter,
                         const struct refusal *refusal)
{
    char text[REFUSAL_DETAIL_MAX + 64];

    (void)snprintf(text, sizeof(text), "%s: %s", reason_code(refusal->reason),
                   refusal->detail);
    admin_error_value(call, parameter, text);
}

void admin_error_state(struct varlink_call *call, const char *state,
                       const char *text)
{
    admin_error(call, "WrongState",
                json_pack("{s:s,s:s}", "state", state, "text", text));
}

void admin_error_token(struct varlink_call *call, const struct token_answer *a)
{
    admin_error(call, "TokenFailed",
                json_pack("{s:s,s:s}", "result", token_answer_code(a), "text",
                          a->text ? a->text : ""));
}

void admin_error_busy(struct varlink_call *call)
{
    admin_error(call, "Busy", json_pack("{s:i}", "retryAfterMs", 1000));
}

int admin_borrow_list(const json_t *array, size_t max, char ***ret)
{
    size_t n = json_array_size(array);

    if (n == 0)
        return 0;
    if (n > max)
        return -E2BIG;
    *ret = calloc(n + 1, sizeof(char *));
    if (!*ret)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        (*ret)[i] = params_borrow(
            json_string_value(json_array_get(array, i))); /* only copied from */
    return 0;
}

static bool format_time(int64_t s, char *text, size_t len)
{
    struct tm tm;
    time_t t = s;

    return gmtime_r(&t, &tm) &&
           strftime(text, len, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
}

json_t *admin_time(int64_t s)
{
    char text[32];

    if (s == 0 || !format_time(s, text, sizeof(text)))
        return json_null();
    return json_string(text);
}

int admin_put_time(struct buf *b, int64_t s)
{
    char text[32];

    if (!format_time(s, text, sizeof(text)))
        return buf_append_str(b, "\"\"");
    return buf_printf(b, "\"%s\"", text);
}

void admin_reply_page(struct varlink_call *call, struct page *p, int r,
                      const char *last)
{
    if (r == 0 || r == PAGE_E_FULL)
        r = page_end(p, last);
    if (r)
        admin_error_busy(call);
    else
        varlink_reply(call, buf_bytes(&p->b));
}

static int put_account(struct page *p, struct guardian *g,
                       const struct account *a, admin_item_fn item,
                       const char **last)
{
    json_t *json = NULL;
    int r = item(g, a, &json);

    if (r || !json)
        return r;
    r = page_item_json(p, json);
    if (r == 0)
        *last = a->row.acme.name;
    return r;
}

void admin_reply_accounts(struct guardian *g, struct varlink_call *call,
                          const struct admin_paging *q, const char *member,
                          const char *only, admin_item_fn item)
{
    CLEANUP_PAGE struct page p = { 0 };
    const char *last = "";
    int r = page_begin(&p, member, q->limit);

    for (size_t i = 0; r == 0 && i < g->accounts.n; i++) {
        const struct account *a = g->accounts.items[i];
        const char *name = a->row.acme.name;

        if (strcmp(name, q->after) > 0 && (!only || strcmp(name, only) == 0))
            r = put_account(&p, g, a, item, &last);
    }
    admin_reply_page(call, &p, r, last);
}

void admin_by(uid_t uid, char ret[static ADMIN_BY_MAX])
{
    (void)snprintf(ret, ADMIN_BY_MAX, "uid %u", uid);
}

/* Each call is a line of the audit log, which must not be called away
 * (daemon/grant-limit.h). An administrator is not kept from repairing. */
static bool admin_within_limit(struct guardian *g, struct varlink_call *call,
                               enum role role)
{
    uid_t uid = varlink_call_peer(call)->uid;
    uint64_t wait_ms;

    if (role == ROLE_ADMIN)
        return true;
    wait_ms = grant_limit_take(&g->grants, uid, 0, names_now_ms() * 1000);
    if (wait_ms == 0)
        return true;
    admin_error(call, "Busy",
                json_pack("{s:I}", "retryAfterMs", (json_int_t)wait_ms));
    return false;
}

static void admin_deny(struct guardian *g, struct varlink_call *call,
                       enum role needed)
{
    struct audit_event event =
        admin_event(call, "denied", &(struct admin_subject){ 0 });
    struct audit *audit = guardian_audit(g);

    if (audit)
        audit_write_refusal(audit, &event);
    if (log_limit_take(&g->log_denied, g->event))
        admin_journal(call, "denied", &(struct admin_subject){ 0 });
    admin_error(call, "NotPermitted",
                json_pack("{s:s}", "role", role_name(needed)));
}

static enum role admin_role(const struct guardian *g,
                            const struct varlink_call *call)
{
    return roles_of(&g->roles, varlink_call_peer(call), &g->names.policy);
}

bool admin_may(struct guardian *g, struct varlink_call *call, enum role needed)
{
    if (admin_role(g, call) >= needed)
        return true;
    admin_deny(g, call, needed);
    return false;
}

static int admin_authorise(struct varlink_call *call,
                           const struct varlink_method *method, void *userdata)
{
    struct guardian *g = userdata;
    enum role needed = (enum role)method->tag;
    enum role role = admin_role(g, call);

    if (role >= needed)
        return admin_within_limit(g, call, role) ? 0 : 1;
    admin_deny(g, call, needed);
    return 1;
}

static const struct varlink_method methods[] = {
    { "Status", admin_on_status, ROLE_MONITOR },
    { "Metrics", admin_on_metrics, ROLE_MONITOR },
    { "MetricsAccounts", admin_on_metrics_accounts, ROLE_MONITOR },
    { "Reload", admin_on_reload, ROLE_OPS },
    { "TokenList", admin_on_token_list, ROLE_MONITOR },
    { "TokenCheck", admin_on_token_check, ROLE_OPS },
    { "TokenUnlock", admin_on_token_unlock, ROLE_ADMIN },
    { "TokenSelfTest", admin_on_token_self_test, ROLE_ADMIN },
    { "AccountCreate", admin_on_account_create, ROLE_ADMIN },
    { "AccountAdopt", admin_on_account_adopt, ROLE_ADMIN },
    { "AccountList", admin_on_account_list, ROLE_MONITOR },
    { "AccountShow", admin_on_account_show, ROLE_MONITOR },
    /* A timer reads directories again; another origin is refused. */
    { "AccountSetDirectory", admin_on_account_set_directory, ROLE_OPS },
    { "AccountSetIssuers", admin_on_account_set_issuers, ROLE_ADMIN },
    { "AccountSetSchedule", admin_on_account_set_schedule, ROLE_ADMIN },
    { "AccountSignRegistration", admin_on_account_sign_registration,
      ROLE_ADMIN },
    { "AccountRegistered", admin_on_account_registered, ROLE_ADMIN },
    { "AccountSignDeactivation", admin_on_account_sign_deactivation,
      ROLE_ADMIN },
    { "AccountDeactivated", admin_on_account_deactivated, ROLE_ADMIN },
    { "AccountSignUpdate", admin_on_account_sign_update, ROLE_ADMIN },
    { "AccountUpdated", admin_on_account_updated, ROLE_ADMIN },
    /* A proof lasts for a day. */
    { "AccountSignProof", admin_on_account_sign_proof, ROLE_OPS },
    { "AccountProven", admin_on_account_proven, ROLE_OPS },
    { "AccountNotProven", admin_on_account_not_proven, ROLE_OPS },
    { "AccountSignFetch", admin_on_account_sign_fetch, ROLE_OPS },
    { "AccountSignOrder", admin_on_account_sign_order, ROLE_ADMIN },
    { "AccountSignAuthorizationDeactivation",
      admin_on_account_sign_authorization_deactivation, ROLE_ADMIN },
    { "RecordAdd", admin_on_record_add, ROLE_ADMIN },
    { "RecordRemove", admin_on_record_remove, ROLE_ADMIN },
    { "RecordList", admin_on_record_list, ROLE_MONITOR },
    { "RecordValues", admin_on_record_values, ROLE_MONITOR },
    /* Only what is due by the account's schedule. */
    { "RotationStart", admin_on_rotation_start, ROLE_OPS },
    { "RotationStatus", admin_on_rotation_status, ROLE_MONITOR },
    /* A rotation that was started is carried on by timers. */
    { "RotationStep", admin_on_rotation_step, ROLE_OPS },
    { "RotationResolve", admin_on_rotation_resolve, ROLE_OPS },
    { "RotationSign", admin_on_rotation_sign, ROLE_OPS },
    { "RotationAnswer", admin_on_rotation_answer, ROLE_OPS },
    { "RotationRecords", admin_on_rotation_records, ROLE_OPS },
    { "RotationAccept", admin_on_rotation_accept, ROLE_ADMIN },
    { "RotationAbort", admin_on_rotation_abort, ROLE_ADMIN },
    { "BackupBegin", admin_on_backup_begin, ROLE_ADMIN },
    { "BackupRead", admin_on_backup_read, ROLE_ADMIN },
    { "NameDeny", admin_on_name_deny, ROLE_ADMIN },
    { "NameAllow", admin_on_name_allow, ROLE_ADMIN },
    { "NameDenied", admin_on_name_denied, ROLE_MONITOR },
    { "Suspend", admin_on_suspend, ROLE_ADMIN },
    { "Resume", admin_on_resume, ROLE_ADMIN },
    /* Each new file lets the oldest go: often enough, it erases the log. */
    { "AuditRotate", admin_on_audit_rotate, ROLE_ADMIN },
    { "AuditHead", admin_on_audit_head, ROLE_MONITOR },
    { "AuditTakeFirstKey", admin_on_audit_take_first_key, ROLE_ADMIN },
    { "Watch", admin_on_watch, ROLE_MONITOR },
};

int admin_register(struct guardian *g)
{
    g->admin = (struct varlink_interface){
        .name = ADMIN_INTERFACE,
        .description = varlink_org_acmeguardian_Admin,
        .methods = methods,
        .n_methods = ARRAY_LEN(methods),
        .authorise = admin_authorise,
        .userdata = g,
    };
    return varlink_server_add(g->varlink, &g->admin);
}
