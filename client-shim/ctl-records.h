/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "acme/dns-name.h"
#include "client-shim/ctl.h"

/* What the files of guardianctl records ... share. Functions return exit codes;
 * errors are printed. */

#define CTL_RECORDS_STAGING "STAGING, whose certificates nobody trusts"

extern const struct ctl_option ctl_records_add_options[];
int ctl_records_run_add(struct ctl_context *c);

extern const struct ctl_option ctl_records_render_options[];
int ctl_records_run_render(struct ctl_context *c);

int ctl_records_run_show(struct ctl_context *c);

extern const struct ctl_option ctl_records_publish_options[];
int ctl_records_run_publish(struct ctl_context *c);

extern const struct ctl_option ctl_records_check_options[];
int ctl_records_run_check(struct ctl_context *c);

extern const struct ctl_option ctl_records_audit_options[];
int ctl_records_run_audit(struct ctl_context *c);

extern const struct ctl_option ctl_records_revoke_options[];
int ctl_records_run_revoke(struct ctl_context *c);

extern const struct ctl_option ctl_records_withdraw_options[];
int ctl_records_run_withdraw(struct ctl_context *c);

int ctl_records_run_handover(struct ctl_context *c);

/* ctl_records_name() - a domain, or an issuer's name, of the command line. */
int ctl_records_name(const char *text,
                     char ret[static DNS_NAME_MAX + 1]) MUST_CHECK;

/* ctl_records_accounts() - what the daemon says of each account, by name. With
 * @account of that one alone, which must exist. */
int ctl_records_accounts(const struct ctl_context *c, const char *account,
                         json_t **ret) MUST_CHECK;
