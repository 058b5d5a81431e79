/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which files are to be written, and whether the daemon would take all of them:
 * known before the first one is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client-shim/setup-file.h"
#include "client-shim/setup-units.h"
#include "client-shim/setup.h"
#include "policy/policy.h"

/* The next file; its text is the caller's to write. NULL: no memory. */
static struct setup_file *add_file(struct setup *s, const char *fmt, ...)
    PRINTF(2, 3);

static struct setup_file *add_file(struct setup *s, const char *fmt, ...)
{
    struct setup_file *f = &s->files[s->n_files];
    va_list args;
    int n;

    va_start(args, fmt);
    n = vasprintf(&f->path, fmt, args);
    va_end(args);
    if (n < 0) {
        f->path = NULL;
        return NULL;
    }
    s->n_files++;
    return f;
}

static int plan_softhsm(struct setup *s, struct setup_conf_token *t)
{
    struct setup_file *f;

    f = add_file(s, "%s/softhsm2-%s.conf", s->dir, s->name);
    if (!f || setup_conf_softhsm(t, &f->text))
        return setup_no_memory();
    t->softhsm_conf = f->path;
    return CTL_EXIT_DONE;
}

/* What the unit must be allowed for a TPM that is a device. */
static int plan_tpm(struct setup *s)
{
    struct setup_file *f;

    if (strncmp(s->tcti, "device:", 7) != 0)
        return CTL_EXIT_DONE;
    f = add_file(s, SETUP_DROPIN_DIR "/tpm.conf", s->name);
    if (!f || buf_append_str(&f->text, setup_units_tpm_conf))
        return setup_no_memory();
    return CTL_EXIT_DONE;
}

static int plan_token(struct setup *s)
{
    CLEANUP_BUF struct buf directory = { 0 };
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct setup_conf_token t = {
        .name = s->name,
        .backend = s->backend,
        .module = s->module,
        .token_uri = s->token_uri,
        .tcti = s->tcti,
        .n_cpus = n_cpus > 0 ? (unsigned)n_cpus : 1,
    };
    struct setup_file *f;
    int r = 0;

    if (buf_printf(&directory, SETTINGS_TOKEN_DIR "/%s", s->name))
        return setup_no_memory();
    t.directory = buf_str(&directory);
    if (s->backend == SETUP_BACKEND_SOFTHSM)
        r = plan_softhsm(s, &t);
    else if (s->backend == SETUP_BACKEND_TPM)
        r = plan_tpm(s);
    if (r)
        return r;
    f = add_file(s, "%s/guardian.conf.d/token-%s.conf", s->dir, s->name);
    if (!f || setup_conf_token(&t, &f->text))
        return setup_no_memory();
    f->settings_name = f->path + strlen(s->dir) + 1;
    if (setup_file_there(f->path))
        return ctl_fail(CTL_EXIT_CONFIG, "%s: is there without a [Token %s]",
                        f->path, s->name);
    return CTL_EXIT_DONE;
}

static int check_policy(const struct setup *s, const struct setup_file *f)
{
    CLEANUP_POLICY_SET struct policy_set *set = NULL;
    struct errmsg why = { 0 };
    int r;

    r = policy_load_text(buf_bytes(&f->text), f->path,
                         s->settings->deny_domains, &set, &why);
    return r ? ctl_fail_load(r, &why, f->path) : CTL_EXIT_DONE;
}

static int plan_policy(struct setup *s)
{
    const struct setup_conf_policy policy = { .user = s->user,
                                              .account = s->account,
                                              .domains = s->domains };
    struct setup_file *f;

    if (!s->user)
        return CTL_EXIT_DONE;
    f = add_file(s, "%s/%s.policy", s->settings->policy_dir, s->account);
    if (!f || setup_conf_policy(&policy, &f->text))
        return setup_no_memory();
    return check_policy(s, f);
}

/* The settings as they will be. From here on these count. */
static int check_settings(struct setup *s)
{
    struct settings_text more[SETUP_FILES_MAX];
    CLEANUP_SETTINGS struct settings *settings = NULL;
    struct errmsg why = { 0 };
    size_t n = 0;
    int r;

    for (size_t i = 0; i < s->n_files; i++) {
        const struct setup_file *f = &s->files[i];

        if (f->settings_name && setup_file_there(f->path) == 0)
            more[n++] =
                (struct settings_text){ f->settings_name, buf_bytes(&f->text) };
    }
    r = settings_load_with(s->dir, more, n, &settings, &why);
    if (r)
        return ctl_fail_load(r, &why, s->dir);
    (void)settings_free(s->settings);
    s->settings = TAKE_PTR(settings);
    s->token = settings_token(s->settings, s->name);
    if (!s->token)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: there is no [Token %s]", s->dir,
                        s->name);
    return CTL_EXIT_DONE;
}

int setup_plan(struct setup *s)
{
    struct setup_file *f;
    int r = CTL_EXIT_DONE;

    f = add_file(s, "%s/guardian.conf", s->dir);
    if (!f || setup_conf_guardian(&f->text))
        return setup_no_memory();
    f->settings_name = "guardian.conf";
    if (s->added)
        r = plan_token(s);
    if (r == 0)
        r = check_settings(s);
    return r ? r : plan_policy(s);
}

/* The directories within /etc that a package, or nobody, has made. */
static int make_above(struct setup *s, const char *path)
{
    CLEANUP_FREE char *above = strdup(path);
    int r;

    if (!above)
        return setup_no_memory();
    *strrchr(above, '/') = '\0';
    r = setup_dir_make(above, 0755, 0, 0);
    if (r == SETUP_FILE_E_THERE)
        return CTL_EXIT_DONE;
    if (r)
        return ctl_fail_errno(r, above);
    setup_say(s, SETUP_MADE, "%s/", above);
    return CTL_EXIT_DONE;
}

static int write_file(struct setup *s, const struct setup_file *f)
{
    int r = setup_file_there(f->path);

    if (r == 0 && s->dry_run) {
        setup_say(s, SETUP_WOULD, "%s", f->path);
        return CTL_EXIT_DONE;
    }
    if (r == 0) {
        r = make_above(s, f->path);
        if (r)
            return r;
        r = setup_file_make(f->path, buf_bytes(&f->text), 0644);
        if (r == 0) {
            setup_say(s, SETUP_MADE, "%s", f->path);
            return CTL_EXIT_DONE;
        }
    }
    if (r != SETUP_FILE_E_THERE)
        return ctl_fail_errno(r, f->path);
    setup_say(s, SETUP_THERE, "%s", f->path);
    return CTL_EXIT_DONE;
}

int setup_plan_write(struct setup *s)
{
    int r = CTL_EXIT_DONE;

    if (!s->added)
        setup_say(s, SETUP_THERE, "[Token %s] in %s:%u", s->name,
                  s->token->file, s->token->line);
    for (size_t i = 0; r == 0 && i < s->n_files; i++)
        r = write_file(s, &s->files[i]);
    return r;
}

void setup_plan_deinit(struct setup *s)
{
    for (size_t i = 0; i < s->n_files; i++) {
        free(s->files[i].path);
        buf_deinit(&s->files[i].text);
    }
    s->n_files = 0;
}
