/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/client-setup.h"
#include "client-shim/client-state.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-stub.h"
#include "client-shim/setup-file.h"

/*
 * client-setup: shows what a client's configuration needs, or does it. Files
 * are changed as their directory's owner; what was there stays beside.
 */

#define BACKUP ".before-acme-guardian"

static const char *const verbs[] = {
    [CLIENT_SETUP_SHELL] = "edit", [CLIENT_SETUP_LACME] = "edit",
    [CLIENT_SETUP_FILE] = "write", [CLIENT_SETUP_RUN] = "run",
    [CLIENT_SETUP_NOTE] = "note",
};

static bool is_file(const struct client_setup_step *s)
{
    return s->kind == CLIENT_SETUP_SHELL || s->kind == CLIENT_SETUP_LACME ||
           s->kind == CLIENT_SETUP_FILE;
}

/* ---- printing ---- */

static void print_indented(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        (void)printf("    %.*s\n", (int)n, text);
        text += n + (text[n] ? 1 : 0);
    }
}

static int print_step(const struct client_setup_step *s)
{
    CLEANUP_BUF struct buf line = { 0 };

    switch (s->kind) {
    case CLIENT_SETUP_SHELL:
        if (client_setup_line(s, &line))
            return ctl_fail_errno(-ENOMEM, s->path);
        (void)printf("in %s:\n", s->path);
        print_indented(buf_str(&line));
        break;
    case CLIENT_SETUP_LACME:
        (void)printf("in %s, [accountd] a comment, and in [client]:\n    "
                     "socket = %s\n",
                     s->path, s->text);
        break;
    case CLIENT_SETUP_FILE:
        (void)printf("as %s, mode %o:\n", s->path, s->mode);
        print_indented(s->text);
        break;
    case CLIENT_SETUP_RUN:
        (void)printf("run: %s\n", s->text);
        break;
    case CLIENT_SETUP_NOTE:
        (void)printf("note: %s\n", s->text);
        break;
    case CLIENT_SETUP_UNSET:
        break;
    }
    return CTL_EXIT_DONE;
}

static int print_plan(const struct client_setup *plan)
{
    int r = CTL_EXIT_DONE;

    for (unsigned i = 0; r == 0 && i < plan->n; i++)
        r = print_step(&plan->steps[i]);
    return r;
}

static void print_json(const struct ctl_context *c,
                       const struct client_setup *plan, const bool *changed)
{
    json_t *steps = json_array();

    for (unsigned i = 0; i < plan->n; i++) {
        const struct client_setup_step *s = &plan->steps[i];

        (void)json_array_append_new(
            steps,
            json_pack("{s:s, s:s*, s:s*, s:s, s:b}", "do", verbs[s->kind],
                      "path", is_file(s) ? s->path : NULL, "name", s->name,
                      "text", s->text, "changed", (int)changed[i]));
    }
    ctl_print_json(
        json_pack("{s:s, s:o}", "client", c->operands[0], "steps", steps));
}

/* ---- doing ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The first one is of before there was any of ours; it stays. */
static int keep_before(struct owner_files *o, const char *path,
                       struct owner_stamp *was, struct errmsg *err)
{
    CLEANUP_BUF struct buf backup = { 0 };
    int r = buf_printf(&backup, "%s" BACKUP, last_part(path));

    if (r == 0 && was->ino != 0)
        r = owner_files_keep(o, owner_files_given(o), buf_str(&backup), was,
                             err);
    return r == -EEXIST ? 0 : r;
}

static int change(struct owner_files *o, const struct client_setup_step *s,
                  bool *ret_changed, struct errmsg *err)
{
    CLEANUP_BUF struct buf before = { 0 };
    CLEANUP_BUF struct buf now = { 0 };
    struct owner_stamp was = { 0 };
    int r = owner_files_read(o, owner_files_given(o), CLIENT_STATE_FILE_MAX,
                             &before, &was, err);

    if (r == -ENOENT && s->kind != CLIENT_SETUP_FILE)
        errmsg_set_at(err, s->path, 0,
                      "there is no such file: is the client's "
                      "configuration elsewhere?");
    else if (r == -ENOENT)
        r = 0;
    if (r == 0)
        r = client_setup_edit(s, buf_bytes(&before), &now);
    if (r || bytes_eq(buf_bytes(&before), buf_bytes(&now)))
        return r;
    *ret_changed = true;
    r = keep_before(o, s->path, &was, err);
    return r ? r
             : owner_files_replace(o, owner_files_given(o), buf_bytes(&now),
                                   &was, s->mode, err);
}

/* A drop-in's folder need not be there; above it is root's. */
static int open_place(const struct client_setup_step *s,
                      struct owner_files **ret, struct errmsg *err)
{
    CLEANUP_FREE char *above =
        strndup(s->path, (size_t)(strrchr(s->path, '/') - s->path));
    int r = owner_files_open_above(s->path, ret, err);

    if (r != -ENOENT || s->kind != CLIENT_SETUP_FILE || !above)
        return r;
    r = setup_dir_make(above, 0755, geteuid(), getegid());
    if (r < 0) {
        errmsg_set_at(err, above, 0, "%s", strerror(-r));
        return r;
    }
    return owner_files_open_above(s->path, ret, err);
}

static int apply_step(const struct ctl_context *c,
                      const struct client_setup_step *s, bool *ret_changed)
{
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    struct errmsg err = { 0 };
    int r;

    if (!is_file(s))
        return c->json ? CTL_EXIT_DONE : print_step(s);
    r = open_place(s, &o, &err);
    if (r == 0)
        r = change(o, s, ret_changed, &err);
    if (r)
        return ctl_fail_files(r, &err, s->path);
    if (!c->json)
        (void)printf("%s: %s\n", s->path,
                     *ret_changed ? "changed" : "as it should be");
    return CTL_EXIT_DONE;
}

static int apply(const struct ctl_context *c, const struct client_setup *plan,
                 bool *changed)
{
    int r = CTL_EXIT_DONE;

    for (unsigned i = 0; r == 0 && i < plan->n; i++)
        r = apply_step(c, &plan->steps[i], &changed[i]);
    return r;
}

/* ---- the command ---- */

static int make_plan(const struct ctl_context *c, struct client_setup *ret)
{
    const char *account = ctl_args_value(c, "--account");
    const char *socket = ctl_args_value(c, "--lacme-socket");
    char usual[128];
    struct stub stub;
    struct errmsg err = { 0 };
    const struct client_setup_wish wish = {
        .client = c->operands[0],
        .account = account,
        .key = &stub.key,
        .file = c->n_operands > 1 ? c->operands[1] : NULL,
        .openssl_conf = ctl_args_value(c, "--openssl-conf"),
        .lacme_socket = socket ? socket : usual,
        .chroot = ctl_args_value(c, "--chroot"),
    };
    int r;

    r = ctl_stub_make_for(c, account, NULL, &stub);
    if (r)
        return r;
    (void)snprintf(usual, sizeof(usual), "/run/acme-guardian/lacme/%s.sock",
                   account);
    r = client_setup_plan(&wish, ret, &err);
    if (r == CLIENT_SETUP_E_KEY)
        return ctl_fail(CTL_EXIT_NO, "client-cannot-use-this-key: %s",
                        err.text);
    return r ? ctl_fail_at(CTL_EXIT_USAGE, &err) : CTL_EXIT_DONE;
}

static int run(struct ctl_context *c)
{
    bool changed[CLIENT_SETUP_STEPS_MAX] = { false };
    struct client_setup plan;
    int r = make_plan(c, &plan);

    if (r == 0 && ctl_args_has(c, "--apply"))
        r = apply(c, &plan, changed);
    else if (r == 0 && !c->json)
        r = print_plan(&plan);
    if (r == 0 && c->json)
        print_json(c, &plan, changed);
    return r;
}

static const struct ctl_option options[] = {
    { "--account", "NAME", "whose key it is to sign with", 0, true, false },
    { "--apply", NULL, "change the files, and keep what was there beside", 0,
      false, false },
    { "--openssl-conf", "FILE", "OpenSSL's, with the provider", 0, false,
      false },
    { "--chroot", "DIR", "that of haproxy.cfg", 0, false, false },
    { "--lacme-socket", "PATH", "the account's socket for lacme", 0, false,
      false },
    { 0 },
};

const struct ctl_command ctl_client_setup_commands[] = {
    { "client-setup", "CLIENT [FILE]", 1, 2, options,
      "what a client's configuration needs to sign with an account", run },
    { 0 },
};
