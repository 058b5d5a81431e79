/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/config.h"
#include "base/trusted.h"
#include "client-shim/setup-run.h"

#define CREDSTORE "/etc/credstore"
#define CREDSTORE_ENCRYPTED "/etc/credstore.encrypted"
#define CREDS_PROGRAM "/usr/bin/systemd-creds"

static const char *after(const char *source, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(source, prefix, n) == 0 ? source + n : NULL;
}

bool credential_source_ok(const char *source)
{
    const char *path = after(source, "file:");
    const char *name = after(source, "credential:");

    if (path)
        return path[0] == '/';
    return name && name[0] && name[0] != '.' && strlen(name) < 256 &&
           !strchr(name, '/');
}

static int cannot(struct errmsg *reterr, const char *path, int error)
{
    errmsg_set_at(reterr, path, 0, "cannot be read: %s", strerror(error));
    return -error;
}

static int read_fd(int fd, const char *path, struct secret **ret,
                   struct errmsg *reterr)
{
    int r = secret_new_read(fd, true, ret);

    if (r == -ENODATA || r == -E2BIG) {
        errmsg_set_at(reterr, path, 0,
                      r == -E2BIG ? "is too long" : "is empty");
        return CONFIG_E_INVALID;
    }
    return r ? cannot(reterr, path, -r) : 0;
}

/* What others can read is no secret, and what they can write is theirs. */
static int check_private(const struct stat *st, const char *path,
                         struct errmsg *reterr)
{
    const struct trusted_rule rule = { .type = S_IFREG,
                                       .owner = "root or you" };

    if (trusted_check(st, path, &rule, reterr))
        return CONFIG_E_INVALID;
    if (!(st->st_mode & 07177))
        return 0;
    errmsg_set_at(reterr, path, 0,
                  "must be its owner's alone: mode 0600 or 0400, not %04o",
                  st->st_mode & 07777);
    return CONFIG_E_INVALID;
}

static int read_file(const char *path, struct secret **ret,
                     struct errmsg *reterr)
{
    /* O_NONBLOCK: a FIFO is refused below, not waited for. */
    CLEANUP_FD int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot(reterr, path, errno);
    r = check_private(&st, path, reterr);
    return r ? r : read_fd(fd, path, ret, reterr);
}

/* systemd keeps the directory to the unit's own user; modes there vary. */
static int read_passed(const char *dir, const char *name, struct secret **ret,
                       struct errmsg *reterr)
{
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;
    int r = buf_printf(&path, "%s/%s", dir, name);

    if (r)
        return r;
    fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return cannot(reterr, buf_str(&path), errno);
    return read_fd(fd, buf_str(&path), ret, reterr);
}

static int run_creds(const char *option, const char *path, struct secret **ret,
                     int *ret_status)
{
    const char *const argv[] = { CREDS_PROGRAM, "decrypt", option,
                                 path,          "-",       NULL };
    struct run_program p = {
        .path = CREDS_PROGRAM, .argv = argv, .in = -1, .out = -1, .extra = -1
    };
    CLEANUP_FD int from = -1;
    CLEANUP_FD int to = -1;
    int fds[2];
    pid_t pid = -1;
    int r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    from = fds[0];
    to = fds[1];
    p.out = to;
    r = run_start(&p, &pid);
    if (r)
        return r;
    close(TAKE_FD(to));
    r = secret_new_read(from, true, ret);
    close(TAKE_FD(from));
    *ret_status = run_wait(pid);
    return r;
}

static int decrypt(const char *path, const char *name, struct secret **ret,
                   struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *s = NULL;
    CLEANUP_BUF struct buf option = { 0 };
    int status = 0;
    int r = buf_printf(&option, "--name=%s", name);

    if (r == 0)
        r = run_creds(buf_str(&option), path, &s, &status);
    if (status) {
        errmsg_set_at(reterr, path, 0,
                      "systemd-creds decrypt failed, exit status %d", status);
        return CONFIG_E_INVALID;
    }
    if (r == -ENODATA || r == -E2BIG) {
        errmsg_set_at(reterr, path, 0,
                      r == -E2BIG ? "is too long" : "is empty");
        return CONFIG_E_INVALID;
    }
    if (r)
        return cannot(reterr, path, -r);
    *ret = TAKE_PTR(s);
    return 0;
}

static int read_stored(const char *name, struct secret **ret,
                       struct errmsg *reterr)
{
    CLEANUP_BUF struct buf plain = { 0 };
    CLEANUP_BUF struct buf encrypted = { 0 };
    int r = buf_printf(&plain, "%s/%s", CREDSTORE, name);

    if (r == 0)
        r = buf_printf(&encrypted, "%s/%s", CREDSTORE_ENCRYPTED, name);
    if (r)
        return r;
    if (access(buf_str(&plain), F_OK) == 0)
        return read_file(buf_str(&plain), ret, reterr);
    if (access(buf_str(&encrypted), F_OK) == 0)
        return decrypt(buf_str(&encrypted), name, ret, reterr);
    r = -errno;
    errmsg_set(reterr, "credential %s: neither %s nor %s can be read: %s", name,
               buf_str(&plain), buf_str(&encrypted), strerror(-r));
    return r;
}

int credential_read(const char *source, struct secret **ret,
                    struct errmsg *reterr)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    const char *path = after(source, "file:");
    const char *name = after(source, "credential:");

    if (!credential_source_ok(source)) {
        errmsg_set(reterr, "expected credential:NAME or file:/PATH, not %.100s",
                   source);
        return CONFIG_E_INVALID;
    }
    if (path)
        return read_file(path, ret, reterr);
    return dir ? read_passed(dir, name, ret, reterr)
               : read_stored(name, ret, reterr);
}
