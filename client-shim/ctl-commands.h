/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/chain.h"
#include "client-shim/ctl.h"

/* The command tables, and what their files share. */

extern const struct ctl_command ctl_token_commands[];
extern const struct ctl_command ctl_account_commands[];
extern const struct ctl_command ctl_issue_commands[];
extern const struct ctl_command ctl_sign_commands[];
extern const struct ctl_command ctl_state_commands[];
extern const struct ctl_command ctl_names_commands[];
extern const struct ctl_command ctl_audit_commands[];
extern const struct ctl_command ctl_policy_commands[];
extern const struct ctl_command ctl_records_commands[];
extern const struct ctl_command ctl_records_offline_commands[];

static inline void ctl_json_decref_p(json_t **j)
{
    json_decref(*j);
}
#define CLEANUP_CTL_JSON CLEANUP(ctl_json_decref_p)

/* ctl-token.c, for status: */
int ctl_token_print_list(const json_t *tokens) MUST_CHECK;
bool ctl_token_all_ok(const json_t *tokens);

/* ctl-token.c, for setup: TokenSelfTest; @quiet: an error is not printed.
 * Return: the exit code. */
int ctl_token_self_test(const struct ctl_context *c, const char *name,
                        const char *alg, bool quiet, json_t **ret) MUST_CHECK;

/* ctl-helper.c */
#define CTL_HELPER_PATH_MAX 4200
int ctl_helper_path(char ret[static CTL_HELPER_PATH_MAX]) MUST_CHECK;
extern const struct ctl_option ctl_helper_init_options[];
int ctl_helper_run_init(struct ctl_context *c);
int ctl_helper_run_reseal(struct ctl_context *c);
int ctl_helper_run_init_token(struct ctl_context *c);
int ctl_helper_run_reset_pin(struct ctl_context *c);

/* ctl-known.c: the directory of a CA by its name in the table of known ones, or
 * by its URL; NULL if it is neither. */
extern const struct ctl_command ctl_known_commands[];
const char *ctl_known_directory(const char *name_or_url);

/* ctl-apply.c */
extern const struct ctl_command ctl_apply_commands[];

/* ctl-backup.c, ctl-restore.c */
extern const struct ctl_command ctl_backup_commands[];
int ctl_restore_run(struct ctl_context *c);

/* ctl-metrics.c */
extern const struct ctl_command ctl_metrics_commands[];

/* ctl-rotate.c */
extern const struct ctl_command ctl_rotate_commands[];

/* ctl-stub.c */
extern const struct ctl_command ctl_stub_commands[];

/* ctl-client-setup.c */
extern const struct ctl_command ctl_client_setup_commands[];

/* ctl-setup.c */
extern const struct ctl_command ctl_setup_commands[];

/* ctl-audit.c, for setup. The file of the first key is made blank, and filled
 * when the key has come; one that is blank is of a run that was killed. */
int ctl_audit_key_file_make(const char *path, int *ret_fd) MUST_CHECK;
int ctl_audit_key_file_fill(int fd, const char *key) MUST_CHECK;
bool ctl_audit_key_file_blank(const char *path);
int ctl_audit_key_file_read(const char *path, struct chain *ret) MUST_CHECK;
/* ctl_audit_check() - from a key on to the line that the daemon names.
 * Return: the exit code, all printed. */
int ctl_audit_check(const struct ctl_context *c, const char *dir,
                    const struct chain *from,
                    unsigned long long *ret_line) MUST_CHECK;

/* ctl-tail.c */
extern const struct ctl_option ctl_tail_options[];
int ctl_tail_run(struct ctl_context *c);
