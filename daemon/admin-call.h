/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "daemon/admin.h"
#include "daemon/page.h"

/* What the methods of org.acmeguardian.Admin share. */

/* The methods, by file. */
#define ADMIN_METHOD(fn)                                                       \
    void fn(struct varlink_call *call, const json_t *parameters, void *userdata)

ADMIN_METHOD(admin_on_status);  /* admin-status.c */
ADMIN_METHOD(admin_on_metrics); /* admin-metrics.c */
ADMIN_METHOD(admin_on_metrics_accounts);
ADMIN_METHOD(admin_on_reload); /* admin-control.c */
ADMIN_METHOD(admin_on_suspend);
ADMIN_METHOD(admin_on_resume);
ADMIN_METHOD(admin_on_audit_rotate); /* admin-audit.c */
ADMIN_METHOD(admin_on_audit_head);
ADMIN_METHOD(admin_on_audit_take_first_key);
ADMIN_METHOD(admin_on_watch);
ADMIN_METHOD(admin_on_token_list); /* admin-token.c */
ADMIN_METHOD(admin_on_token_unlock);
ADMIN_METHOD(admin_on_token_check);     /* admin-check.c */
ADMIN_METHOD(admin_on_token_self_test); /* admin-self-test.c */
ADMIN_METHOD(admin_on_account_create);  /* admin-create.c */
ADMIN_METHOD(admin_on_account_adopt);   /* admin-adopt.c */
ADMIN_METHOD(admin_on_account_list);    /* admin-account.c */
ADMIN_METHOD(admin_on_account_show);
ADMIN_METHOD(admin_on_account_registered);
ADMIN_METHOD(admin_on_account_deactivated);
ADMIN_METHOD(admin_on_account_updated);
ADMIN_METHOD(admin_on_account_set_directory); /* admin-directory.c */
ADMIN_METHOD(admin_on_account_set_issuers);   /* admin-proof.c */
ADMIN_METHOD(admin_on_account_set_schedule);  /* admin-schedule.c */
ADMIN_METHOD(admin_on_account_proven);
ADMIN_METHOD(admin_on_account_not_proven);
ADMIN_METHOD(admin_on_account_sign_registration); /* admin-sign.c */
ADMIN_METHOD(admin_on_account_sign_deactivation);
ADMIN_METHOD(admin_on_account_sign_update);
ADMIN_METHOD(admin_on_account_sign_proof); /* admin-sign-order.c */
ADMIN_METHOD(admin_on_account_sign_fetch);
ADMIN_METHOD(admin_on_account_sign_order);
ADMIN_METHOD(admin_on_account_sign_authorization_deactivation);
ADMIN_METHOD(admin_on_record_add); /* admin-record-add.c */
ADMIN_METHOD(admin_on_record_remove);
ADMIN_METHOD(admin_on_record_list); /* admin-record.c */
ADMIN_METHOD(admin_on_record_values);
ADMIN_METHOD(admin_on_rotation_start);  /* admin-rotation-start.c */
ADMIN_METHOD(admin_on_rotation_status); /* admin-rotation.c */
ADMIN_METHOD(admin_on_rotation_step);
ADMIN_METHOD(admin_on_rotation_answer);
ADMIN_METHOD(admin_on_rotation_abort);
ADMIN_METHOD(admin_on_rotation_resolve); /* admin-resolve.c */
ADMIN_METHOD(admin_on_rotation_sign);    /* admin-rotation-sign.c */
ADMIN_METHOD(admin_on_rotation_records); /* admin-rotation-records.c */
ADMIN_METHOD(admin_on_rotation_accept);
ADMIN_METHOD(admin_on_name_deny); /* admin-name.c */
ADMIN_METHOD(admin_on_name_allow);
ADMIN_METHOD(admin_on_name_denied);

ADMIN_METHOD(admin_on_backup_begin); /* admin-backup.c */
ADMIN_METHOD(admin_on_backup_read);
void admin_backup_stop(struct guardian *g);

/* Whom or what a call is about; each may be NULL. Borrowed. */
struct admin_subject {
    const char *account;
    const char *detail;
    const struct identifiers *identifiers;
    const uint8_t *input_sha256; /* of what is signed for it */
    const char *thumbprint;      /* and by which key */
};

/**
 * admin_note() - look: the audit line of a call that changes nothing
 *
 * The call goes on when the line cannot be written.
 */
void admin_note(struct guardian *g, struct varlink_call *call,
                const struct admin_subject *subject);

/**
 * admin_begin() - change: the audit line that comes before anything happens
 *
 * False: it could not be written, and AuditUnavailable was answered.
 */
bool admin_begin(struct guardian *g, struct varlink_call *call,
                 const struct admin_subject *subject) MUST_CHECK;

/**
 * admin_begin_token() - the token that a call changing something names
 *
 * NULL: the call was answered, because it was wrong, there is no such token, or
 * the audit line could not be written.
 */
struct token *admin_begin_token(struct guardian *g, struct varlink_call *call,
                                const json_t *parameters) MUST_CHECK;

/* admin_may() - the caller has this role, for what a method's own does not
 * cover. False: NotPermitted was answered. */
bool admin_may(struct guardian *g, struct varlink_call *call,
               enum role needed) MUST_CHECK;

/* Errors. Those that take JSON steal it. */
void admin_error(struct varlink_call *call, const char *name,
                 json_t *parameters);
void admin_error_no_account(struct varlink_call *call, const char *name);
void admin_error_no_token(struct varlink_call *call, const char *name);
void admin_error_value(struct varlink_call *call, const char *parameter,
                       const char *text);
void admin_error_state(struct varlink_call *call, const char *state,
                       const char *text);
/* admin_error_refusal() - InvalidValue, with what a reader did not like. */
void admin_error_refusal(struct varlink_call *call, const char *parameter,
                         const struct refusal *refusal);
void admin_error_token(struct varlink_call *call, const struct token_answer *a);
/* admin_error_busy() - a failure of ours. */
void admin_error_busy(struct varlink_call *call);

/* admin_time() - RFC 3339; null for 0. */
json_t *admin_time(int64_t s);

/* admin_is_ready() - as Status says: tokens, policy and audit log work. */
bool admin_is_ready(const struct guardian *g);

/* Array of type Suspension. */
json_t *admin_suspensions_json(const struct guardian *g);

/* Type Account, Token, and a key's attributes as names. NULL: no memory. */
json_t *admin_account_json(const struct account *a);
json_t *admin_schedule_json(const struct account *a);
json_t *admin_token_json(const struct token *t);
json_t *admin_attrs_json(uint32_t attrs);
json_t *admin_unproven_json(uint32_t attrs);

/* admin_account() - the account of this name; NULL: it was answered. */
struct account *admin_account(struct guardian *g, struct varlink_call *call,
                              const char *name) MUST_CHECK;

/* admin_account_check_draft() - before its directory is known. Return: 0;
 * REFUSED. */
int admin_account_check_draft(const struct acme_account *draft,
                              struct refusal *ret_refusal) MUST_CHECK;

/* admin_update_account() - registry and memory; then the account is the
 * answer. */
void admin_update_account(struct guardian *g, struct varlink_call *call,
                          struct account *a, const struct store_account *row);

/* admin_contacts_check() - mailto:, tel: and what else a CA may take; never
 * more than one line. Return: NULL, or what is wrong. */
const char *admin_contacts_check(const json_t *contacts);
#define ADMIN_CONTACTS_MAX 16

/*
 * admin_borrow_list() - strings of a JSON array for a row that is only copied
 * from; NULL for an empty one. The array itself is the caller's to free.
 * Return: 0; -E2BIG; -ENOMEM.
 */
int admin_borrow_list(const json_t *array, size_t max, char ***ret) MUST_CHECK;

/* admin_reply_page() - the page ends and is the answer; or, with @r not 0 and
 * not PAGE_E_FULL, Busy. */
void admin_reply_page(struct varlink_call *call, struct page *p, int r,
                      const char *last);

/* What a method that lists takes: keys behind this one, and how many. */
struct admin_paging {
    const char *after;
    int64_t limit;
};
#define ADMIN_PAGING_PARAMS(q)                                                 \
    { "after", PARAM_STRING, true, { .string = &(q)->after } },                \
    {                                                                          \
        "limit", PARAM_NUMBER, true,                                           \
        {                                                                      \
            .number = &(q)->limit                                              \
        }                                                                      \
    }

/*
 * admin_reply_accounts() - a page of accounts, by name
 * @member: of the answer, where they stand
 * @only: the name of the one that is wanted; or NULL
 * @item: makes *ret of an account; NULL with 0 leaves it out
 */
typedef int (*admin_item_fn)(struct guardian *g, const struct account *a,
                             json_t **ret);
void admin_reply_accounts(struct guardian *g, struct varlink_call *call,
                          const struct admin_paging *q, const char *member,
                          const char *only, admin_item_fn item);

/* admin_by() - "uid N": who asked, as the registry keeps it. */
#define ADMIN_BY_MAX 24
void admin_by(uid_t uid, char ret[static ADMIN_BY_MAX]);

/* admin_put_time() - RFC 3339, as a JSON string. */
int admin_put_time(struct buf *b, int64_t s) MUST_CHECK;

/* admin_reply_account() - the answer (account: Account). */
void admin_reply_account(struct varlink_call *call, const struct account *a);
