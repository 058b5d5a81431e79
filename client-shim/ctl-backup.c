/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "acme/b64url.h"
#include "client-shim/backup-file.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/setup-file.h"

/*
 * backup: the registry, as the daemon gives it out while it works, then the
 * keys of sealed tokens, each as it lies there, wrapped. In this order: a key
 * that is in the registry was not made after it.
 */

#define REGISTRY_MAX (1024LL * 1024 * 1024)
#define KEY_FILE_MAX (64 * 1024)

struct making {
    const struct ctl_context *c;
    struct buf archive, sums;
    int64_t now_s;
    size_t n_keys;
};

static void making_deinit(struct making *m)
{
    buf_deinit(&m->archive);
    buf_deinit(&m->sums);
}

static int add(struct making *m, const char *name, struct bytes data)
{
    int r = backup_add(&m->archive, &m->sums, name, data, m->now_s);

    if (r == BACKUP_E_NAME)
        return ctl_fail(CTL_EXIT_NO, "%s: no name for a file of a backup",
                        name);
    return r ? ctl_fail_errno(r, name) : CTL_EXIT_DONE;
}

/* ---- the registry ---- */

static int read_piece(struct ctl_daemon *d, const char *id, struct buf *ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    struct refusal refusal;
    size_t before = ret->len;
    const char *data;
    int r;

    r = ctl_daemon_call(
        d, "BackupRead",
        json_pack("{s:s, s:I}", "id", id, "offset", (json_int_t)ret->len),
        &answer);
    if (r)
        return r;
    data = ctl_string(answer, "data");
    r = data ? b64url_decode(bytes_from_str(data), ret, &refusal) : REFUSED;
    if (r || ret->len == before)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no piece of a registry");
    return CTL_EXIT_DONE;
}

static int about(struct making *m, const json_t *begun)
{
    CLEANUP_CTL_JSON json_t *about = json_pack(
        "{s:i, s:s, s:s?, s:I, s:I}", "format", 1, "version", GUARDIAN_VERSION,
        "instance", ctl_string(begun, "instance"), "schema",
        (json_int_t)ctl_integer(begun, "schema"), "time", (json_int_t)m->now_s);
    CLEANUP_FREE char *text = about ? json_dumps(about, JSON_INDENT(2)) : NULL;

    return text ? add(m, BACKUP_ABOUT, bytes_from_str(text))
                : ctl_fail_errno(-ENOMEM, BACKUP_ABOUT);
}

static int add_registry(struct making *m)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { 0 };
    CLEANUP_CTL_JSON json_t *begun = NULL;
    CLEANUP_BUF struct buf image = { 0 };
    const char *id;
    long long size;
    int r;

    r = ctl_daemon_open(m->c, CTL_SOCKET_ADMIN, &d);
    if (r == 0)
        r = ctl_daemon_call(&d, "BackupBegin", json_object(), &begun);
    if (r)
        return r;
    id = ctl_string(begun, "id");
    size = ctl_integer(begun, "size");
    if (!id || size <= 0 || size > REGISTRY_MAX)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no registry");
    while (r == 0 && (long long)image.len < size)
        r = read_piece(&d, id, &image);
    if (r == 0)
        r = about(m, begun);
    return r ? r : add(m, BACKUP_REGISTRY, buf_bytes(&image));
}

/* ---- sealed keys ---- */

/* Whoever owns the store may put anything there, or a name for it: only what
 * such a store has is no secret (pkcs11/seal.h). */
static bool is_wrapped(const char *name, struct bytes data)
{
    const char *magic =
        strcmp(name, "store.header") == 0 ? "AGSEALED" : "AGKEYBOX";

    return data.len > 8 && memcmp(data.data, magic, 8) == 0;
}

#define NOT_OURS 1

/* @owner: of the directory. */
static int read_file(int dir_fd, uid_t owner, const char *name, struct buf *ret)
{
    CLEANUP_FD int fd = -1;
    struct stat st;
    ssize_t n;

    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > KEY_FILE_MAX)
        return -EINVAL;
    if (buf_reserve(ret, KEY_FILE_MAX + 1))
        return -ENOMEM;
    n = read(fd, ret->data, KEY_FILE_MAX + 1);
    if (n < 0)
        return -errno;
    ret->len = (size_t)n;
    if (n != st.st_size)
        return -EAGAIN; /* written meanwhile */
    return owner == st.st_uid && is_wrapped(name, buf_bytes(ret)) ? 0
                                                                  : NOT_OURS;
}

static int add_key(struct making *m, const struct settings_token *t, int dir_fd,
                   const char *file)
{
    CLEANUP_BUF struct buf data = { 0 };
    char name[BACKUP_NAME_MAX], token[64];
    const char *ignored;
    struct stat st;
    int n = snprintf(name, sizeof(name), BACKUP_SEALED "%s/%s", t->name, file);
    int r;

    if (n < 0 || (size_t)n >= sizeof(name) ||
        !backup_sealed_name(name, token, &ignored))
        return CTL_EXIT_DONE; /* nothing of a store's */
    r = fstat(dir_fd, &st) < 0 ? -errno
                               : read_file(dir_fd, st.st_uid, file, &data);
    if (r == -ENOENT)
        return CTL_EXIT_DONE; /* destroyed meanwhile: the CA has another one */
    if (r == NOT_OURS)
        return ctl_fail(CTL_EXIT_NO,
                        "%s/%s: is no wrapped key of a sealed token, or not of "
                        "the directory's owner: no backup is made while it is "
                        "there",
                        t->directory, file);
    if (r)
        return ctl_fail_errno(r, name);
    m->n_keys++;
    return add(m, name, buf_bytes(&data));
}

static int add_store(struct making *m, const struct settings_token *t)
{
    CLEANUP_FD int fd = -1;
    struct dirent **names = NULL;
    int r = CTL_EXIT_DONE;
    int n;

    fd = open(t->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    n = fd < 0 ? -1 : scandirat(fd, ".", &names, NULL, alphasort);
    if (n < 0)
        return ctl_fail_errno(-errno, t->directory);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_key(m, t, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return r;
}

static int add_stores(struct making *m)
{
    CLEANUP_SETTINGS struct settings *s = NULL;
    int r = ctl_settings(m->c, &s);

    for (size_t i = 0; r == 0 && i < s->n_tokens; i++) {
        if (s->tokens[i].backend == SETTINGS_BACKEND_SEALED)
            r = add_store(m, &s->tokens[i]);
    }
    return r;
}

/* ---- the command ---- */

static int write_out(struct making *m, const char *path)
{
    int r = backup_end(&m->archive, &m->sums, m->now_s);

    if (r == 0)
        r = setup_file_make(path, buf_bytes(&m->archive), 0600);
    if (r == SETUP_FILE_E_THERE)
        return ctl_fail(CTL_EXIT_NO, "%s: is there, and is left as it is",
                        path);
    if (r)
        return ctl_fail_errno(r, path);
    if (m->c->json)
        ctl_print_json(json_pack("{s:s, s:I, s:I}", "file", path, "size",
                                 (json_int_t)m->archive.len, "sealedFiles",
                                 (json_int_t)m->n_keys));
    else
        (void)printf("%s: the registry and %zu files of sealed tokens\n", path,
                     m->n_keys);
    return CTL_EXIT_DONE;
}

static int run_backup(struct ctl_context *c)
{
    CLEANUP(making_deinit) struct making m = { .c = c, .now_s = time(NULL) };
    int r = add_registry(&m);

    if (r == 0 && !ctl_args_has(c, "--registry-only"))
        r = add_stores(&m);
    return r ? r : write_out(&m, c->operands[0]);
}

static const struct ctl_option backup_options[] = {
    { "--registry-only", NULL, "no keys of sealed tokens", 0, false, false },
    { 0 },
};

static const struct ctl_option restore_options[] = {
    { "--registry-only", NULL, "no keys of sealed tokens", 0, false, false },
    { "--replace", NULL, "also where there is a registry; it is kept beside it",
      0, false, false },
    { 0 },
};

const struct ctl_command ctl_backup_commands[] = {
    { "backup", "FILE", 1, 1, backup_options,
      "the registry and sealed keys, while the daemon works", run_backup },
    { "restore", "FILE", 1, 1, restore_options,
      "put a backup in place; the daemon must not run", ctl_restore_run },
    { 0 },
};
