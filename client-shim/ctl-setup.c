/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/setup-ask.h"
#include "client-shim/setup.h"
#include "policy/policy.h"

/* guardianctl setup: the order of the steps; setup.h says where they are. */

int setup_no_memory(void)
{
    return ctl_fail_errno(-ENOMEM, "setup");
}

/* At once: who stops the run half-way wants to know where. */
void setup_say(struct setup *s, const char *state, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    if (s->c->json)
        (void)json_array_append_new(
            s->steps, json_pack("{s:s, s:s}", "state", state, "step", text));
    else
        (void)printf("%-14s %s\n", state, text);
    (void)fflush(stdout);
}

/* A group of its own has the same name. */
static int find_user(const char *name, struct setup_user *ret)
{
    const struct policy_names *names = &policy_names_nss;

    ret->name = name;
    if (names->uid(name, &ret->uid, names->userdata) == 0 &&
        names->gid(name, &ret->gid, names->userdata) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_CONFIG,
                    "there is no user %s: the package is installed half; "
                    "run systemd-sysusers, or install it again",
                    name);
}

/* Before anything is asked: is there what a package should have made? */
static int look_around(struct setup *s)
{
    char helper[CTL_HELPER_PATH_MAX];
    struct errmsg why = { 0 };
    int r;

    if (geteuid() != 0)
        return ctl_fail(CTL_EXIT_NOT_PERMITTED,
                        "setup makes files of several users: run it as root");
    s->dir = realpath(s->c->config_dir, NULL);
    if (!s->dir)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: %s: the package is installed half",
                        s->c->config_dir, strerror(errno));
    r = find_user(SETUP_DAEMON_USER, &s->daemon);
    if (r == 0)
        r = find_user(SETUP_TOKEN_USER, &s->helper);
    if (r)
        return r;
    r = ctl_helper_path(helper);
    if (r)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: %s: the package is installed "
                        "half",
                        helper, strerror(-r));
    r = ctl_settings(s->c, &s->settings);
    if (r)
        return r;
    r = secrets_init(s->settings->allow_swappable, &why);
    return r ? ctl_fail_at(CTL_EXIT_UNAVAILABLE, &why) : CTL_EXIT_DONE;
}

static int confirm(struct setup *s)
{
    bool yes = false;
    int r;

    if (!s->interactive || s->dry_run || ctl_args_has(s->c, "--yes"))
        return CTL_EXIT_DONE;
    (void)fprintf(stderr,
                  "\nThe token %s (%s) is set up. Written will be, "
                  "where it is missing:\n",
                  s->name, setup_backend_name(s->backend));
    for (size_t i = 0; i < s->n_files; i++)
        (void)fprintf(stderr, "  %s\n", s->files[i].path);
    r = ask_yes("Go on", &yes);
    if (r < 0)
        return ctl_fail_errno(r, "terminal");
    return r == 0 && yes ? CTL_EXIT_DONE
                         : ctl_fail(CTL_EXIT_NO, "nothing was done");
}

static int steps(struct setup *s)
{
    static int (*const before[])(struct setup * s) = {
        setup_answers,
        setup_plan,
        confirm,
        setup_plan_write,
        setup_token_credential,
        setup_token_directory,
        setup_token_init,
    };
    bool running = false;
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(before); i++)
        r = before[i](s);
    if (r == 0)
        r = setup_units(s, &running);
    if (r || !running)
        return r;
    r = setup_test_take_key(s);
    return r ? r : setup_test_run(s);
}

static void print_json(struct setup *s, int code)
{
    char hex[2 * sizeof(s->key.key) + 1] = "";
    CLEANUP_WIPE(wipe, hex);
    bool shown = s->has_key && !ctl_args_has(s->c, "--audit-key-out");

    if (shown)
        (void)sodium_bin2hex(hex, sizeof(hex), s->key.key, sizeof(s->key.key));
    ctl_print_json(json_pack("{s:b, s:O, s:s*}", "ok", code == CTL_EXIT_DONE,
                             "steps", s->steps, "auditKey",
                             shown ? hex : NULL));
}

static void setup_deinit(struct setup *s)
{
    setup_plan_deinit(s);
    setup_answers_deinit(s);
    (void)settings_free(s->settings);
    free(s->dir);
    json_decref(s->steps);
    sodium_memzero(s->key.key, sizeof(s->key.key));
}

static int run(struct ctl_context *c)
{
    struct setup s = {
        .c = c,
        .interactive =
            !c->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO),
        .dry_run = ctl_args_has(c, "--dry-run"),
        .steps = c->json ? json_array() : NULL,
    };
    int code;

    (void)umask(022);
    code = look_around(&s);
    if (code == 0)
        code = steps(&s);
    if (c->json)
        print_json(&s, code);
    setup_deinit(&s);
    return code;
}

static const struct ctl_option options[] = {
    { "--token", "NAME", "[Token NAME], to be made or finished", 0, false,
      false },
    { "--backend", "KIND", "softhsm, tpm, sealed or module", 0, false, false },
    { "--module", "PATH", "the PKCS#11 module", 0, false, false },
    { "--token-uri", "URI", "the token of a module (RFC 7512)", 0, false,
      false },
    { "--tcti", "TCTI", "how the TPM is reached (device:/dev/tpmrm0)", 0, false,
      false },
    { "--pin-file", "FILE", "the PIN; without it made, or asked for", 0, false,
      false },
    { "--recovery-passphrase-file", "FILE",
      "the recovery passphrase, in its first line; - is stdin", 0, false,
      false },
    { "--no-recovery", NULL, "without a recovery passphrase", 0, false, false },
    { "--recover", NULL, "the credential is lost: use the passphrase", 0, false,
      false },
    { "--client-user", "USER", "of the first policy: who", 0, false, false },
    { "--domain", "NAME", "of the first policy: which name", 0, false, true },
    { "--account", "NAME", "of the first policy: with which account", 0, false,
      false },
    { "--no-policy", NULL, "make no policy", 0, false, false },
    { "--audit-key-out", "FILE", "the audit log's first key, to a new file", 0,
      false, false },
    { "--no-start", NULL, "start no units", 0, false, false },
    { "--dry-run", NULL, "say what would be done, and do nothing", 0, false,
      false },
    { "--yes", NULL, "do not ask whether to go on", 0, false, false },
    { 0 },
};

const struct ctl_command ctl_setup_commands[] = {
    { "setup", NULL, 0, 0, options,
      "from an installed package to a token that signs", run },
    { 0 },
};
