/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/sealed-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "pkcs11/sealed-dir.h"
#include "pkcs11/sealed-name.h"

#define HEADER_NAME "store.header"

struct sealed_store {
    struct sealed_dir dir;
    struct buf header_file; /* as read, for the MAC */
    struct seal_header header;
    struct secret *master; /* NULL while locked */
};

/* Puts the file in front of what seal.c said about it. */
static int in_file(const struct sealed_store *s, const char *name, int code,
                   struct errmsg *reterr)
{
    char path[sizeof(reterr->file)];
    char text[sizeof(reterr->text)];

    if (!reterr)
        return code;
    (void)snprintf(path, sizeof(path), "%s/%s", s->dir.path, name);
    (void)snprintf(text, sizeof(text), "%s", reterr->text);
    errmsg_set_at(reterr, path, 0, "%s", code > 0 ? text : strerror(-code));
    return code;
}

struct sealed_store *sealed_store_free(struct sealed_store *s)
{
    if (!s)
        return NULL;
    (void)secret_free(s->master);
    buf_deinit(&s->header_file);
    sealed_dir_deinit(&s->dir);
    free(s);
    return NULL;
}

static struct sealed_store *store_alloc(void)
{
    struct sealed_store *s = calloc(1, sizeof(*s));

    if (s)
        s->dir.fd = -1;
    return s;
}

static int open_dir(struct sealed_store *s, const char *path,
                    struct errmsg *reterr)
{
    int r = sealed_dir_open(path, &s->dir, reterr);

    if (r == -EPERM)
        return SEALED_E_UNTRUSTED;
    if (r == -ENOENT)
        return SEALED_E_NO_STORE;
    return r;
}

int sealed_store_open(const char *dir, struct sealed_store **ret,
                      struct errmsg *reterr)
{
    CLEANUP_SEALED_STORE struct sealed_store *s = store_alloc();
    int r;

    if (!s)
        return -ENOMEM;
    r = open_dir(s, dir, reterr);
    if (r)
        return r;
    r = sealed_dir_read(&s->dir, HEADER_NAME, SEAL_HEADER_MAX, &s->header_file,
                        NULL, reterr);
    if (r == -ENOENT)
        return SEALED_E_NO_STORE;
    if (r == -E2BIG)
        return SEAL_E_DAMAGED;
    if (r)
        return r;
    r = seal_header_decode(buf_bytes(&s->header_file), &s->header, reterr);
    if (r)
        return in_file(s, HEADER_NAME, r, reterr);
    *ret = TAKE_PTR(s);
    return 0;
}

/* Return: 0; SEAL_E_WRONG; negative errno. */
static int try_slots(const struct sealed_store *s, enum seal_kind kind,
                     const struct secret *secret, struct secret **ret_master)
{
    for (size_t i = 0; i < s->header.n_slots; i++) {
        const struct seal_slot *slot = &s->header.slots[i];
        int r;

        if (slot->kind != kind)
            continue;
        r = seal_slot_unwrap(s->header.store_id, slot, secret, ret_master);
        if (r != SEAL_E_WRONG)
            return r;
    }
    return SEAL_E_WRONG;
}

int sealed_store_unlock(struct sealed_store *s, enum seal_kind kind,
                        const struct secret *secret, struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *master = NULL;
    int r = SEAL_E_WRONG;

    if (kind != SEAL_KIND_PASSPHRASE)
        r = try_slots(s, SEAL_KIND_CREDENTIAL, secret, &master);
    if (r == SEAL_E_WRONG && kind != SEAL_KIND_CREDENTIAL)
        r = try_slots(s, SEAL_KIND_PASSPHRASE, secret, &master);
    if (r == SEAL_E_WRONG)
        errmsg_set(reterr, "no slot of this store opens with that secret");
    else if (r == 0)
        r = seal_header_verify(buf_bytes(&s->header_file), master, reterr);
    if (r)
        return in_file(s, HEADER_NAME, r, reterr);
    s->master = secret_free(s->master);
    s->master = TAKE_PTR(master);
    return 0;
}

bool sealed_store_is_unlocked(const struct sealed_store *s)
{
    return s->master;
}

bool sealed_store_has_slot(const struct sealed_store *s, enum seal_kind kind)
{
    for (size_t i = 0; i < s->header.n_slots; i++) {
        if (s->header.slots[i].kind == kind)
            return true;
    }
    return false;
}

void sealed_store_id(const struct sealed_store *s,
                     char ret[static 2 * SEAL_ID_LEN + 1])
{
    (void)sodium_bin2hex(ret, 2 * SEAL_ID_LEN + 1, s->header.store_id,
                         SEAL_ID_LEN);
}

static int write_header(struct sealed_store *s, bool replace,
                        struct errmsg *reterr)
{
    CLEANUP_BUF struct buf file = { 0 };
    int r;

    r = seal_header_encode(&s->header, s->master, &file);
    if (r)
        return r;
    r = sealed_dir_write(&s->dir, HEADER_NAME, buf_bytes(&file), replace,
                         reterr);
    return r == -EEXIST ? SEALED_E_EXISTS : r;
}

static int add_slot(struct sealed_store *s, enum seal_kind kind,
                    const struct seal_limits *limits,
                    const struct secret *secret, struct errmsg *reterr)
{
    int r;

    r = seal_slot_wrap(s->header.store_id, kind, limits, secret, s->master,
                       &s->header.slots[s->header.n_slots], reterr);
    if (r == -ENOMEM)
        errmsg_set(reterr, "no memory for Argon2id (it takes %llu MiB)",
                   (unsigned long long)limits->mem >> 20);
    if (r == 0)
        s->header.n_slots++;
    return r;
}

static int found_one(const char *label, void *userdata)
{
    (void)label;
    *(bool *)userdata = true;
    return 1;
}

static int refuse_existing(const struct sealed_store *s, struct errmsg *reterr)
{
    bool keys = false;
    int r;

    if (faccessat(s->dir.fd, HEADER_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        errmsg_set(reterr, "is there: a store is never overwritten");
        return in_file(s, HEADER_NAME, SEALED_E_EXISTS, reterr);
    }
    r = sealed_store_each(s, found_one, &keys);
    if (r < 0)
        return r;
    if (keys) {
        errmsg_set_at(reterr, s->dir.path, 0,
                      "holds keys of a store whose header is missing: a new "
                      "one would not open them");
        return SEALED_E_EXISTS;
    }
    return 0;
}

int sealed_store_create(const char *dir, const struct sealed_secrets *secrets,
                        struct errmsg *reterr)
{
    CLEANUP_SEALED_STORE struct sealed_store *s = store_alloc();
    CLEANUP_FD int lock = -1;
    int r;

    if (!s)
        return -ENOMEM;
    r = sealed_dir_make(dir, reterr);
    if (r == 0)
        r = open_dir(s, dir, reterr);
    if (r == 0)
        r = sealed_dir_lock(&s->dir, &lock, reterr);
    if (r == 0)
        r = refuse_existing(s, reterr);
    if (r == 0)
        r = secret_new(SEAL_MASTER_LEN, &s->master);
    if (r)
        return r;
    randombytes_buf(s->master->data, s->master->len);
    randombytes_buf(s->header.store_id, sizeof(s->header.store_id));
    if (secrets->credential)
        r = add_slot(s, SEAL_KIND_CREDENTIAL, &secrets->limits,
                     secrets->credential, reterr);
    if (r == 0 && secrets->passphrase)
        r = add_slot(s, SEAL_KIND_PASSPHRASE, &secrets->limits,
                     secrets->passphrase, reterr);
    return r ? r : write_header(s, false, reterr);
}

int sealed_store_reseal(struct sealed_store *s, const struct secret *credential,
                        struct errmsg *reterr)
{
    const struct seal_limits none = { 0 };
    CLEANUP_FD int lock = -1;
    size_t n = 0;
    int r;

    r = sealed_dir_lock(&s->dir, &lock, reterr);
    if (r)
        return r;
    for (size_t i = 0; i < s->header.n_slots; i++) {
        if (s->header.slots[i].kind != SEAL_KIND_CREDENTIAL)
            s->header.slots[n++] = s->header.slots[i];
    }
    if (n == SEAL_SLOTS_MAX)
        return refuse_seal(reterr, SEALED_E_FULL, "has no slot left");
    s->header.n_slots = n;
    r = add_slot(s, SEAL_KIND_CREDENTIAL, &none, credential, reterr);
    return r ? r : write_header(s, true, reterr);
}

static int key_name(const struct sealed_store *s, const char *label,
                    struct buf *ret, struct errmsg *reterr)
{
    int r;

    r = strlen(label) > TOKEN_LABEL_MAX ? -ENAMETOOLONG
                                        : sealed_name_escape(label, ret);
    if (r == -ENAMETOOLONG || r == -EINVAL) {
        errmsg_set_at(reterr, s->dir.path, 0,
                      "cannot hold a key of this label: as a file name it is "
                      "empty or too long");
        return SEALED_E_LABEL;
    }
    return r;
}

int sealed_store_add(struct sealed_store *s, const struct seal_key *key,
                     const struct secret *pkcs8, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_BUF struct buf file = { 0 };
    CLEANUP_FD int lock = -1;
    int r;

    r = key_name(s, key->label, &name, reterr);
    if (r == 0)
        r = seal_key_encode(s->header.store_id, s->master, key, pkcs8, &file);
    if (r == 0)
        r = sealed_dir_lock(&s->dir, &lock, reterr);
    if (r == 0)
        r = sealed_dir_write(&s->dir, buf_str(&name), buf_bytes(&file), false,
                             reterr);
    if (r == -EEXIST)
        return SEALED_E_EXISTS;
    return r == -ENOSPC || r == -EDQUOT ? SEALED_E_FULL : r;
}

static struct sealed_stamp stamp_of(const struct stat *st)
{
    return (struct sealed_stamp){ st->st_dev, st->st_ino, st->st_ctim };
}

int sealed_store_read(const struct sealed_store *s, const char *label,
                      struct seal_key *ret, struct secret **ret_pkcs8,
                      struct sealed_stamp *ret_stamp, struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_BUF struct buf file = { 0 };
    struct seal_key key;
    struct stat st;
    int r;

    r = key_name(s, label, &name, reterr);
    if (r)
        return r;
    r = sealed_dir_read(&s->dir, buf_str(&name), SEAL_KEY_FILE_MAX, &file, &st,
                        reterr);
    if (r == -ENOENT)
        return SEALED_E_NO_KEY;
    if (r)
        return r == -E2BIG ? SEAL_E_DAMAGED : r;
    r = seal_key_decode(s->header.store_id, s->master, buf_bytes(&file), &key,
                        &pkcs8, reterr);
    if (r)
        return in_file(s, buf_str(&name), r, reterr);
    if (strcmp(key.label, label) != 0) {
        errmsg_set(reterr, "is the file of another label, renamed");
        return in_file(s, buf_str(&name), SEAL_E_DAMAGED, reterr);
    }
    *ret = key;
    *ret_pkcs8 = TAKE_PTR(pkcs8);
    if (ret_stamp)
        *ret_stamp = stamp_of(&st);
    return 0;
}

int sealed_store_remove(struct sealed_store *s, const char *label,
                        struct errmsg *reterr)
{
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_FD int lock = -1;
    int r;

    r = key_name(s, label, &name, reterr);
    if (r == 0)
        r = sealed_dir_lock(&s->dir, &lock, reterr);
    if (r == 0)
        r = sealed_dir_remove(&s->dir, buf_str(&name), reterr);
    return r == -ENOENT ? SEALED_E_NO_KEY : r;
}

bool sealed_store_is_current(const struct sealed_store *s, const char *label,
                             const struct sealed_stamp *stamp)
{
    CLEANUP_BUF struct buf name = { 0 };
    struct stat st;

    if (sealed_name_escape(label, &name) ||
        fstatat(s->dir.fd, buf_str(&name), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return st.st_dev == stamp->dev && st.st_ino == stamp->ino &&
           st.st_ctim.tv_sec == stamp->changed.tv_sec &&
           st.st_ctim.tv_nsec == stamp->changed.tv_nsec;
}

static int is_key(const struct dirent *e)
{
    char label[TOKEN_LABEL_MAX + 1];

    return sealed_name_unescape(e->d_name, label) == 0;
}

int sealed_store_each(const struct sealed_store *s, sealed_label_fn fn,
                      void *userdata)
{
    struct dirent **names = NULL;
    int n = scandirat(s->dir.fd, ".", &names, is_key, alphasort);
    int r = 0;

    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        char label[TOKEN_LABEL_MAX + 1];

        if (r == 0 && sealed_name_unescape(names[i]->d_name, label) == 0)
            r = fn(label, userdata);
        free(names[i]);
    }
    free(names);
    return r;
}
