/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one module of policy/ that reads files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "base/trusted.h"
#include "policy/policy-parse.h"

/* A set in the making. */
struct loader {
    struct policy_set *set;
    psl_ctx_t *psl;
    crypto_hash_sha256_state hash;
    struct errmsg *reterr;
};

#define CLEANUP_LOADER CLEANUP(loader_deinit)

static void loader_deinit(struct loader *l)
{
    policy_set_free(l->set);
    psl_free(l->psl);
}

static int loader_init(struct loader *l, char *const *deny,
                       struct errmsg *reterr)
{
    *l = (struct loader){ .reterr = reterr };
    if (sodium_init() < 0)
        return -EIO;
    /* The system's copy if it is newer than the library's: a provider's new
     * suffix matters from the day it is published. */
    l->psl = psl_latest(NULL);
    if (!l->psl) {
        errmsg_set(reterr, "libpsl has no list of public suffixes");
        return -ENOENT;
    }
    l->set = calloc(1, sizeof(*l->set));
    if (!l->set)
        return -ENOMEM;
    (void)crypto_hash_sha256_init(&l->hash);
    return policy_set_deny(l->set, deny, reterr);
}

/* With its length before it, so that nothing can move from one to the next. */
static void hash_field(struct loader *l, const void *data, size_t len)
{
    uint8_t head[8];

    for (size_t i = 0; i < sizeof(head); i++)
        head[i] = (uint8_t)(len >> (8 * (sizeof(head) - 1 - i)));
    (void)crypto_hash_sha256_update(&l->hash, head, sizeof(head));
    (void)crypto_hash_sha256_update(&l->hash, data, len);
}

/* @name stands for the file in the hash, @path in messages. */
static int add_text(struct loader *l, struct bytes text, const char *name,
                    const char *path)
{
    int r = policy_words_add(&l->set->files, path);

    if (r)
        return r;
    hash_field(l, name, strlen(name));
    hash_field(l, text.data, text.len);
    return policy_parse(l->set, text, l->set->files.items[l->set->files.n - 1],
                        l->psl, l->reterr);
}

static int finish(struct loader *l, struct policy_set **ret)
{
    int r = policy_set_finish(l->set);

    if (r)
        return r;
    (void)crypto_hash_sha256_final(&l->hash, l->set->hash);
    *ret = TAKE_PTR(l->set);
    return 0;
}

int policy_load_text(struct bytes text, const char *file, char *const *deny,
                     struct policy_set **ret, struct errmsg *reterr)
{
    CLEANUP_LOADER struct loader l = { 0 };
    int r;

    r = loader_init(&l, deny, reterr);
    if (r == 0)
        r = add_text(&l, text, file, file);
    return r ? r : finish(&l, ret);
}

static int too_large(const char *path, struct errmsg *reterr)
{
    errmsg_set_at(reterr, path, 0, "larger than 64 MiB");
    return POLICY_E_INVALID;
}

static int open_checked(int dir_fd, const char *name, const char *path,
                        mode_t type, int *ret_fd, struct errmsg *reterr)
{
    /* Whoever can write the policy decides what is signed. */
    const struct trusted_rule rule = { .type = type, .owner = "root" };
    CLEANUP_FD int fd = -1;
    struct stat sb;
    int r;

    /* O_NONBLOCK: a FIFO is refused below, not waited for. */
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &sb) < 0) {
        r = -errno;
        errmsg_set_at(reterr, path, 0, "cannot be opened: %s", strerror(-r));
        return r;
    }
    if (trusted_check(&sb, path, &rule, reterr))
        return POLICY_E_INVALID;
    if (type == S_IFREG && sb.st_size > CONFIG_FILE_MAX)
        return too_large(path, reterr);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int read_all(int fd, const char *path, struct buf *b,
                    struct errmsg *reterr)
{
    for (;;) {
        ssize_t n;
        int r = buf_reserve(b, CONFIG_LINE_MAX);

        if (r)
            return r;
        n = read(fd, b->data + b->len, CONFIG_LINE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = -errno;
            errmsg_set_at(reterr, path, 0, "cannot be read: %s", strerror(-r));
            return r;
        }
        if (n == 0)
            return 0;
        b->len += (size_t)n;
        if (b->len > CONFIG_FILE_MAX)
            return too_large(path, reterr);
    }
}

static int add_file(struct loader *l, int dir_fd, const char *dir,
                    const char *name)
{
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    CLEANUP_FD int fd = -1;
    int r;

    r = buf_printf(&path, "%s/%s", dir, name);
    if (r == 0)
        r = open_checked(dir_fd, name, buf_str(&path), S_IFREG, &fd, l->reterr);
    if (r == 0)
        r = read_all(fd, buf_str(&path), &text, l->reterr);
    return r ? r : add_text(l, buf_bytes(&text), name, buf_str(&path));
}

static int is_policy(const struct dirent *e)
{
    static const char end[] = ".policy";
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n >= sizeof(end) &&
           strcmp(e->d_name + n - (sizeof(end) - 1), end) == 0;
}

/* By octets, whatever the locale: the order is part of the meaning. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_directory(struct loader *l, int dir_fd, const char *dir)
{
    struct dirent **names = NULL;
    int n = scandirat(dir_fd, ".", &names, is_policy, by_name);
    int r = 0;

    if (n < 0) {
        r = -errno;
        errmsg_set_at(l->reterr, dir, 0, "cannot be read: %s", strerror(-r));
        return r;
    }
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_file(l, dir_fd, dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return r;
}

int policy_load(const char *dir, char *const *deny, struct policy_set **ret,
                struct errmsg *reterr)
{
    CLEANUP_LOADER struct loader l = { 0 };
    CLEANUP_FD int fd = -1;
    int r;

    r = loader_init(&l, deny, reterr);
    if (r)
        return r;
    r = open_checked(AT_FDCWD, dir, dir, S_IFDIR, &fd, reterr);
    if (r == 0)
        r = add_directory(&l, fd, dir);
    /* No directory: no rules. A file that vanished is an error. */
    if (r == -ENOENT && fd < 0)
        r = 0;
    return r ? r : finish(&l, ret);
}
