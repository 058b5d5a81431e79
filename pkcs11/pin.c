/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ASK_PROGRAM "/usr/bin/systemd-ask-password"

static enum token_result missing(struct backend_error *reterr, const char *what,
                                 int error)
{
    return backend_fail(reterr, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
                        "%s: %s", what, strerror(error));
}

static enum token_result read_fd(int fd, const char *what, struct secret **ret,
                                 struct backend_error *reterr)
{
    int r = secret_new_read(fd, true, ret);

    if (r == -ENODATA)
        return backend_fail(reterr, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
                            "%s is empty", what);
    return r ? missing(reterr, what, -r) : TOKEN_S_OK;
}

/* A PIN that others can read is everybody's; one that others can write is sent
 * until the token locks. */
static enum token_result read_file(const char *path, struct secret **ret,
                                   struct backend_error *reterr)
{
    CLEANUP_FD int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return missing(reterr, path, errno);
    if (!S_ISREG(st.st_mode))
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "%s is not a regular file", path);
    if (st.st_mode & 07177)
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "%s has mode %04o: a PIN's file is 0600 or 0400",
                            path, st.st_mode & 07777);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "%s belongs to uid %u: neither root nor us", path,
                            st.st_uid);
    return read_fd(fd, path, ret, reterr);
}

/* systemd keeps the directory to the unit's own user; modes there vary. */
static enum token_result read_credential(const char *dir, const char *name,
                                         struct secret **ret,
                                         struct backend_error *reterr)
{
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;

    if (!dir)
        return backend_fail(reterr, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
                            "no credentials were passed "
                            "($CREDENTIALS_DIRECTORY is not set)");
    if (strchr(name, '/') || name[0] == '.')
        return refuse_token(reterr, TOKEN_S_PIN_MISSING,
                            "not a credential's name: %s", name);
    if (buf_printf(&path, "%s/%s", dir, name))
        return missing(reterr, name, ENOMEM);
    fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return missing(reterr, buf_str(&path), errno);
    return read_fd(fd, buf_str(&path), ret, reterr);
}

static int spawn_ask(const char *name, int out, pid_t *ret)
{
    char prompt[128];
    char id[64];
    char program[] = ASK_PROGRAM;
    char no_tty[] = "--no-tty";
    char no_timeout[] = "--timeout=0";
    char path[] = "PATH=/usr/bin:/bin";
    char *argv[] = { program, no_tty, no_timeout, id, prompt, NULL };
    char *envp[] = { path, NULL };
    posix_spawn_file_actions_t actions;
    int r;

    (void)snprintf(id, sizeof(id), "--id=acme-guardian:%s", name);
    (void)snprintf(prompt, sizeof(prompt),
                   "PIN of acme-guardian's token %s:", name);
    r = posix_spawn_file_actions_init(&actions);
    if (r)
        return -r;
    r = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (r == 0)
        r = posix_spawn(ret, ASK_PROGRAM, &actions, NULL, argv, envp);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static enum token_result ask(const char *name, struct secret **ret,
                             struct backend_error *reterr)
{
    CLEANUP_SECRET struct secret *pin = NULL;
    CLEANUP_FD int in = -1;
    CLEANUP_FD int out = -1;
    enum token_result result;
    int fds[2];
    int status = 0;
    pid_t pid = -1;
    int r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return missing(reterr, "pipe", errno);
    in = fds[0];
    out = fds[1];
    r = spawn_ask(name, out, &pid);
    if (r)
        return missing(reterr, ASK_PROGRAM, -r);
    close(TAKE_FD(out));
    result = read_fd(in, "what was asked for", &pin, reterr);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (result != TOKEN_S_OK)
        return result;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return backend_fail(reterr, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
                            "the PIN was asked for and not given");
    *ret = TAKE_PTR(pin);
    return TOKEN_S_OK;
}

enum token_result pin_read(const struct settings_token *settings,
                           const char *credentials_dir, struct secret **ret,
                           struct backend_error *reterr)
{
    *ret = NULL;
    switch (settings->pin) {
    case SETTINGS_PIN_NONE:
        return TOKEN_S_OK;
    case SETTINGS_PIN_CREDENTIAL:
        return read_credential(credentials_dir, settings->pin_arg, ret, reterr);
    case SETTINGS_PIN_FILE:
        return read_file(settings->pin_arg, ret, reterr);
    case SETTINGS_PIN_ASK:
        return ask(settings->name, ret, reterr);
    default:
        return backend_fail(reterr, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
                            "Pin= is not set");
    }
}
