/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/registry-file.h"
#include "client-shim/backup-file.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"

/*
 * restore: everything is looked at before anything is changed. Nothing is ever
 * overwritten: with --replace what is there stays beside it under another name.
 * That the registry is an old one the daemon sees by itself, and asks the CA.
 */

#define ARCHIVE_MAX (1024LL * 1024 * 1024)
#define REGISTRY "registry.db"
#define NEW_NAME ".restore"

struct restoring {
    const struct ctl_context *c;
    struct settings *settings;
    struct buf archive;
    struct backup backup;
    int lock_fd;
    bool replace, registry_only;
    char aside[64]; /* the suffix of what is put aside */
};

static void restoring_deinit(struct restoring *x)
{
    settings_free(x->settings);
    buf_deinit(&x->archive);
    backup_deinit(&x->backup);
    if (x->lock_fd >= 0)
        close(x->lock_fd);
}

/* ---- what is restored ---- */

static int read_archive(const char *path, struct buf *ret)
{
    CLEANUP_FD int fd = -1;
    struct stat st;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > ARCHIVE_MAX)
        return -EINVAL;
    if (buf_reserve(ret, (size_t)st.st_size + 1))
        return -ENOMEM;
    while (ret->len < (size_t)st.st_size) {
        ssize_t n =
            read(fd, ret->data + ret->len, (size_t)st.st_size - ret->len);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        ret->len += (size_t)n;
    }
    return 0;
}

static uint32_t number_at(struct bytes b, size_t at)
{
    return (uint32_t)b.data[at] << 24 | (uint32_t)b.data[at + 1] << 16 |
           (uint32_t)b.data[at + 2] << 8 | b.data[at + 3];
}

/* The rest is the daemon's to judge, when it opens it. */
static int check_registry(const char *path, struct bytes b)
{
    uint32_t schema;

    if (b.len < 100 || memcmp(b.data, "SQLite format 3", 16) != 0 ||
        number_at(b, 68) != REGISTRY_APPLICATION_ID)
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: what it has is no registry of acme-guardian",
                        path);
    schema = number_at(b, 60);
    if (schema < 1 || schema > REGISTRY_SCHEMA)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: its registry has schema %u, made by a later "
                        "version of acme-guardian; this one knows up to %d",
                        path, schema, REGISTRY_SCHEMA);
    return CTL_EXIT_DONE;
}

static int read_backup(struct restoring *x, const char *path)
{
    struct errmsg err = { 0 };
    int r = read_archive(path, &x->archive);

    if (r)
        return ctl_fail_errno(r, path);
    r = backup_read(buf_bytes(&x->archive), &x->backup, &err);
    if (r == BACKUP_E_INVALID)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: %s", path, err.text);
    if (r)
        return ctl_fail_errno(r, path);
    return check_registry(path, backup_find(&x->backup, BACKUP_REGISTRY)->data);
}

/* ---- where to ---- */

struct place {
    int dir_fd;
    uid_t uid;
    gid_t gid;
};

static void place_deinit(struct place *p)
{
    if (p->dir_fd >= 0)
        close(p->dir_fd);
}

static int place_open(const char *dir, struct place *ret)
{
    CLEANUP_FD int fd = -1;
    struct stat st;

    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    *ret = (struct place){ TAKE_FD(fd), st.st_uid, st.st_gid };
    return 0;
}

/* Return: 0, it is not there; 1, it is the same; 2, it is another; negative. */
enum { ABSENT, SAME, OTHER };
static int compare(const struct place *p, const char *name, struct bytes data)
{
    CLEANUP_FD int fd = -1;
    CLEANUP_BUF struct buf there = { 0 };
    struct stat st;
    ssize_t n;

    fd = openat(p->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? ABSENT : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != data.len)
        return OTHER;
    if (buf_reserve(&there, data.len + 1))
        return -ENOMEM;
    n = read(fd, there.data, data.len);
    if (n < 0)
        return -errno;
    return (size_t)n == data.len && memcmp(there.data, data.data, data.len) == 0
               ? SAME
               : OTHER;
}

/* What SQLite has beside a registry keeps to its name. */
static int put_aside(const struct restoring *x, const struct place *p,
                     const char *name, const char *suffix)
{
    char old[BACKUP_NAME_MAX + 8], other[BACKUP_NAME_MAX + 80];

    (void)snprintf(old, sizeof(old), "%s%s", name, suffix);
    (void)snprintf(other, sizeof(other), "%s%s%s", name, x->aside, suffix);
    return renameat(p->dir_fd, old, p->dir_fd, other) < 0 && errno != ENOENT
               ? -errno
               : 0;
}

static int write_all(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.data, data.len);

        if (n < 0)
            return -errno;
        data = (struct bytes){ data.data + n, data.len - (size_t)n };
    }
    return 0;
}

/* For the owner of the directory. */
static int write_new(const struct place *p, struct bytes data)
{
    CLEANUP_FD int fd = -1;
    int r;

    if (unlinkat(p->dir_fd, NEW_NAME, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(p->dir_fd, NEW_NAME,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = geteuid() == 0 && fchown(fd, p->uid, p->gid) < 0 ? -errno : 0;
    if (r == 0)
        r = write_all(fd, data);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r;
}

/* Whole or not at all. Between what is put aside and the new one are only
 * renames; the registry's own file is first, so that what is left of it is
 * never taken for the whole (daemon/store.c). */
static int put_file(const struct restoring *x, const struct place *p,
                    const char *name, struct bytes data)
{
    static const char *const parts[] = { "", "-wal", "-shm" };
    size_t n = strcmp(name, REGISTRY) == 0 ? ARRAY_LEN(parts) : 1;
    int r = write_new(p, data);

    for (size_t i = 0; r == 0 && i < n; i++)
        r = put_aside(x, p, name, parts[i]);
    if (r == 0 && renameat(p->dir_fd, NEW_NAME, p->dir_fd, name) < 0)
        r = -errno;
    if (r == 0 && fsync(p->dir_fd) < 0)
        r = -errno;
    if (r)
        (void)unlinkat(p->dir_fd, NEW_NAME, 0);
    return r;
}

/* ---- the registry ---- */

static int lock_state(struct restoring *x, const struct place *p)
{
    const char *dir = x->settings->state_dir;

    x->lock_fd = openat(p->dir_fd, "lock",
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (x->lock_fd < 0)
        return ctl_fail_errno(-errno, dir);
    if (geteuid() == 0 && fchown(x->lock_fd, p->uid, p->gid) < 0)
        return ctl_fail_errno(-errno, dir);
    if (flock(x->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return CTL_EXIT_DONE;
    return errno == EWOULDBLOCK
               ? ctl_fail(CTL_EXIT_NO,
                          "%s: acme-guardiand works with it: stop its sockets "
                          "and the service first",
                          dir)
               : ctl_fail_errno(-errno, dir);
}

static int check_state(const struct restoring *x, const struct place *p)
{
    const char *dir = x->settings->state_dir;
    struct stat st;

    if (fstatat(p->dir_fd, REGISTRY, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? CTL_EXIT_DONE : ctl_fail_errno(-errno, dir);
    if (x->replace)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "%s: there is a registry; --replace puts it aside", dir);
}

static int put_registry(const struct restoring *x, const struct place *p)
{
    int r = put_file(x, p, REGISTRY,
                     backup_find(&x->backup, BACKUP_REGISTRY)->data);

    return r ? ctl_fail_errno(r, x->settings->state_dir) : CTL_EXIT_DONE;
}

/* ---- sealed keys ---- */

static const struct settings_token *find_token(const struct settings *s,
                                               const char *name)
{
    for (size_t i = 0; i < s->n_tokens; i++) {
        if (strcmp(s->tokens[i].name, name) == 0 &&
            s->tokens[i].backend == SETTINGS_BACKEND_SEALED)
            return &s->tokens[i];
    }
    return NULL;
}

/* Its keys are opened by the header that is put aside: those that the backup
 * does not bring would be lost, and may be the ones that the CA has. */
static int check_store(const struct restoring *x, const struct place *p,
                       const struct settings_token *t)
{
    char name[BACKUP_NAME_MAX], token[64];
    struct dirent **names = NULL;
    int n = scandirat(p->dir_fd, ".", &names, NULL, alphasort);
    int r = n < 0 ? ctl_fail_errno(-errno, t->directory) : CTL_EXIT_DONE;
    const char *file;

    for (int i = 0; i < n; i++) {
        int len = snprintf(name, sizeof(name), BACKUP_SEALED "%s/%s", t->name,
                           names[i]->d_name);

        if (r == 0 && len > 0 && (size_t)len < sizeof(name) &&
            backup_sealed_name(name, token, &file) &&
            !backup_find(&x->backup, name))
            r = ctl_fail(CTL_EXIT_NO,
                         "%s/%s: is not in the backup, whose store.header "
                         "would not open it: keep or move it elsewhere first",
                         t->directory, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return r;
}

/* @put: write it; else only look whether it may be written. */
static int restore_key(const struct restoring *x, const struct backup_entry *e,
                       bool put)
{
    CLEANUP(place_deinit) struct place p = { .dir_fd = -1 };
    const struct settings_token *t;
    const char *file = "";
    char token[64];
    int r;

    if (!backup_sealed_name(e->name, token, &file))
        return CTL_EXIT_DONE;
    t = find_token(x->settings, token);
    if (!t)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: guardian.conf has no sealed [Token %s]; without "
                        "its keys: --registry-only",
                        e->name, token);
    r = place_open(t->directory, &p);
    if (r)
        return ctl_fail_errno(r, t->directory);
    r = compare(&p, file, e->data);
    if (r == SAME || (r == ABSENT && !put))
        return CTL_EXIT_DONE;
    if (r == OTHER && !x->replace)
        return ctl_fail(CTL_EXIT_NO,
                        "%s/%s: is another one; --replace puts it aside",
                        t->directory, file);
    if (r >= 0 && !put)
        return r == OTHER && strcmp(file, "store.header") == 0
                   ? check_store(x, &p, t)
                   : CTL_EXIT_DONE;
    if (r >= 0)
        r = put_file(x, &p, file, e->data);
    return r < 0 ? ctl_fail_errno(r, e->name) : CTL_EXIT_DONE;
}

static int restore_keys(const struct restoring *x, bool put)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && !x->registry_only && i < x->backup.n; i++)
        r = restore_key(x, &x->backup.items[i], put);
    return r;
}

/* ---- the command ---- */

static int restore(struct restoring *x)
{
    CLEANUP(place_deinit) struct place p = { .dir_fd = -1 };
    int r = place_open(x->settings->state_dir, &p);

    if (r)
        return ctl_fail_errno(r, x->settings->state_dir);
    r = lock_state(x, &p);
    if (r == 0)
        r = check_state(x, &p);
    if (r == 0)
        r = restore_keys(x, false);
    if (r == 0)
        r = restore_keys(x, true);
    return r ? r : put_registry(x, &p);
}

static void set_aside(struct restoring *x)
{
    time_t now = time(NULL);
    struct tm tm;

    if (!gmtime_r(&now, &tm) || strftime(x->aside, sizeof(x->aside),
                                         ".before-%Y%m%dT%H%M%SZ", &tm) == 0)
        (void)snprintf(x->aside, sizeof(x->aside), ".before");
}

int ctl_restore_run(struct ctl_context *c)
{
    CLEANUP(restoring_deinit)
    struct restoring x = {
        .c = c,
        .lock_fd = -1,
        .replace = ctl_args_has(c, "--replace"),
        .registry_only = ctl_args_has(c, "--registry-only"),
    };
    int r;

    set_aside(&x);
    r = ctl_settings(c, &x.settings);
    if (r == 0)
        r = read_backup(&x, c->operands[0]);
    if (r == 0)
        r = restore(&x);
    if (r == 0 && !c->json)
        (void)puts("restored; start the daemon, then ask the CA about each "
                   "account: guardianctl rotate resume NAME");
    return r;
}
