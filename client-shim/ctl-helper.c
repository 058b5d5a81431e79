/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * token init-sealed, reseal, init-token and reset-pin: done by the token helper
 * itself, which alone handles the passphrase. It replaces this process, so the
 * passphrase goes from the terminal or pipe straight to it.
 */

#define HELPER "acme-guardian-token"

/* In a build tree the helper stands beside our folder; installed, where meson
 * put it. */
int ctl_helper_path(char ret[static CTL_HELPER_PATH_MAX])
{
    static const char installed[] = GUARDIAN_LIBEXECDIR "/" HELPER;
    char self[4096];
    char *slash;
    ssize_t n;

    static_assert(sizeof(installed) <= CTL_HELPER_PATH_MAX, "room for it");
    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (slash) {
            *slash = '\0';
            (void)snprintf(ret, CTL_HELPER_PATH_MAX, "%s/../pkcs11/" HELPER,
                           self);
            if (access(ret, X_OK) == 0)
                return 0;
        }
    }
    memcpy(ret, installed, sizeof(installed));
    return access(ret, X_OK) == 0 ? 0 : -errno;
}

static int report(int error, const char *path)
{
    if (error == ENOENT)
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: is not installed", path);
    return ctl_fail_errno(-error, path);
}

static int run_helper(const struct ctl_context *c, const char *command,
                      bool no_recovery)
{
    char path[CTL_HELPER_PATH_MAX];
    int r;

    r = ctl_helper_path(path);
    if (r)
        return report(-r, path);
    if (no_recovery)
        (void)execl(path, HELPER, command, "--config", c->config_dir,
                    "--no-recovery", "--", c->operands[0], (char *)NULL);
    else
        (void)execl(path, HELPER, command, "--config", c->config_dir, "--",
                    c->operands[0], (char *)NULL);
    return report(errno, path);
}

int ctl_helper_run_init(struct ctl_context *c)
{
    return run_helper(c, "init-sealed", ctl_args_has(c, "--no-recovery"));
}

int ctl_helper_run_reseal(struct ctl_context *c)
{
    return run_helper(c, "reseal", false);
}

int ctl_helper_run_init_token(struct ctl_context *c)
{
    return run_helper(c, "init-token", ctl_args_has(c, "--no-recovery"));
}

int ctl_helper_run_reset_pin(struct ctl_context *c)
{
    return run_helper(c, "reset-pin", false);
}

const struct ctl_option ctl_helper_init_options[] = {
    { "--no-recovery", NULL, "without a recovery passphrase", 0, false, false },
    { 0 },
};
