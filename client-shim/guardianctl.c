/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/outside-key.h"

/* guardianctl(1): the command line of operators and clients. */

const struct ctl_command *const ctl_commands[] = {
    ctl_setup_commands,        ctl_state_commands,
    ctl_account_commands,      ctl_known_commands,
    ctl_apply_commands,        ctl_token_commands,
    ctl_policy_commands,       ctl_audit_commands,
    ctl_sign_commands,         ctl_names_commands,
    ctl_records_commands,      ctl_records_offline_commands,
    ctl_issue_commands,        ctl_rotate_commands,
    ctl_backup_commands,       ctl_stub_commands,
    ctl_client_setup_commands, ctl_metrics_commands,
    ctl_help_commands,         NULL,
};

static int show_help(const struct ctl_context *c)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r;

    r = ctl_help_text(c->command ? c->command->name : NULL, &text);
    if (r)
        return ctl_fail_errno(r, "help");
    (void)fputs(buf_str(&text), stdout);
    return CTL_EXIT_DONE;
}

static int run(struct ctl_context *c)
{
    if (c->version) {
        (void)puts("guardianctl " GUARDIAN_VERSION);
        return CTL_EXIT_DONE;
    }
    return c->help ? show_help(c) : c->command->run(c);
}

int main(int argc, char **argv)
{
    struct ctl_context c = { 0 };
    struct errmsg err = { 0 };
    int code;
    int r;

    outside_key_wipe_frees();
    r = ctl_args_parse(argc, argv, &c, &err);
    if (r == CTL_ARGS_E_USAGE)
        code = ctl_fail_at(CTL_EXIT_USAGE, &err);
    else if (r)
        code = ctl_fail_errno(r, "arguments");
    else
        code = run(&c);
    ctl_args_deinit(&c);

    /* "Done" only when the answer has arrived: a full disk is a failure. */
    if (fflush(stdout) != 0 || ferror(stdout))
        code = ctl_fail(CTL_EXIT_TRY_AGAIN, "stdout: cannot write");
    return code;
}
