/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Opening and closing the registry. The lock comes before the first look at
 * the database: two daemons on one registry would hand out the same key
 * generation twice. The file is only read until its schema is known to be ours.
 */
#include "daemon/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <sodium.h>

#include "base/registry-file.h"
#include "daemon/private-dir.h"
#include "daemon/store-copy.h"
#include "daemon/store-place.h"
#include "daemon/store-schema.h"
#include "daemon/store-sql.h"

#define LOCK_FILE "lock"
#define DB_FILE "registry.db"
#define BUSY_MS 1000 /* somebody looks at the database with sqlite3(1) */

static int report_locked(int fd, const char *state_dir, struct errmsg *reterr)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    if (n <= 0 || strspn(pid, "0123456789") == 0) {
        errmsg_set_at(reterr, state_dir, 0,
                      "is in use by another acme-guardiand");
        return STORE_E_LOCKED;
    }
    pid[strspn(pid, "0123456789")] = 0;
    errmsg_set_at(reterr, state_dir, 0,
                  "is in use by another acme-guardiand, pid %s", pid);
    return STORE_E_LOCKED;
}

/* The pid in the file is for people; what counts is the lock on it. */
static int lock_dir(int dir_fd, const char *state_dir, int *ret_fd,
                    struct errmsg *reterr)
{
    CLEANUP_FD int fd = -1;
    char pid[16];
    int len;

    fd = openat(dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? report_locked(fd, state_dir, reterr)
                                    : -errno;

    len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)len, 0) != len)
        return errno ? -errno : -EIO;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int is_aside(const struct dirent *entry)
{
    return strncmp(entry->d_name, DB_FILE ".before-",
                   strlen(DB_FILE ".before-")) == 0;
}

/* guardianctl restore ended between two renames: an empty registry would be
 * none that anybody wants. */
static int check_restored(int dir_fd, const char *state_dir,
                          struct errmsg *reterr)
{
    struct dirent **names = NULL;
    struct stat st;
    int n;

    if (fstatat(dir_fd, DB_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
        errno != ENOENT)
        return 0;
    n = scandirat(dir_fd, ".", &names, is_aside, alphasort);
    if (n < 0)
        return -errno;
    if (n > 0)
        errmsg_set_at(reterr, state_dir, 0,
                      "has no " DB_FILE ", but %s: a restore was interrupted; "
                      "do it again, or give that file (and its -wal) its name "
                      "back",
                      names[0]->d_name);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return n > 0 ? STORE_E_MISSING : 0;
}

/* SQLite takes over the file's mode for its own further files. */
static int create_file(int dir_fd)
{
    CLEANUP_FD int fd = -1;
    struct stat st;

    fd = openat(dir_fd, DB_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
        return -errno;
    return 0;
}

static int use_wal(sqlite3 *db)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    const char *mode;
    bool row = false;
    int r;

    r = sql_prepare(db, "PRAGMA journal_mode = WAL", &stmt);
    if (r == 0)
        r = sql_step(stmt, &row);
    if (r)
        return r;
    mode = row ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    return mode && strcmp(mode, "wal") == 0 ? 0 : -ENOTSUP;
}

/* A database that turns out not to be ours to touch keeps its WAL as it is. */
static int configure(sqlite3 *db)
{
    int rc;

    rc = sqlite3_extended_result_codes(db, 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (rc != SQLITE_OK)
        return sql_result(db, rc);
    return sql_exec(db, "PRAGMA synchronous = FULL;"
                        "PRAGMA foreign_keys = ON;"
                        "PRAGMA cell_size_check = ON;"
                        "PRAGMA temp_store = MEMORY;"
                        "CREATE TEMP TABLE unsaved_suspension ("
                        " scope TEXT NOT NULL, name TEXT NOT NULL,"
                        " since_s INTEGER NOT NULL, by TEXT NOT NULL,"
                        " PRIMARY KEY (scope, name)) STRICT");
}

/*
 * What an older version left, before it is migrated: whoever wants to go back
 * to that version puts it in the registry's place.
 */
static int keep_copy(struct store *s, int dir_fd, const char *file,
                     unsigned version, struct errmsg *reterr)
{
    char name[48];
    int r;

    (void)snprintf(name, sizeof(name), DB_FILE ".schema-%u", version);
    r = store_copy(s->db, dir_fd, file, name);
    if (r)
        errmsg_set_at(reterr, file, 0,
                      "has schema %u and is to be migrated, but no copy %s can "
                      "be made (%s): nothing was changed",
                      version, name,
                      r < 0 ? strerror(-r) : sqlite3_errmsg(s->db));
    return r;
}

static int fit_schema(struct store *s, int dir_fd, const char *file,
                      unsigned version, struct errmsg *reterr)
{
    int r;

    if (version == REGISTRY_SCHEMA)
        return 0;
    if (version == 0)
        return schema_create(s->db);
    r = keep_copy(s, dir_fd, file, version, reterr);
    return r ? r : schema_migrate(s->db, file, version, reterr);
}

static int open_db(struct store *s, int dir_fd, const char *file,
                   struct errmsg *reterr)
{
    unsigned version = 0;
    int r;

    r = sql_result(s->db,
                   sqlite3_open_v2(file, &s->db, SQLITE_OPEN_READWRITE, NULL));
    if (r == 0)
        r = configure(s->db);
    if (r == 0)
        r = schema_check(s->db, file, &version, reterr);
    if (r == 0)
        r = use_wal(s->db);
    if (r == 0)
        r = fit_schema(s, dir_fd, file, version, reterr);
    if (r)
        return r;
    return sql_result(
        s->db,
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL));
}

static int read_instance(struct store *s)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    CLEANUP_FREE char *value = NULL;
    bool row = false;
    int r;

    r = sql_prepare(s->db, "SELECT value FROM meta WHERE name = 'instance'",
                    &stmt);
    if (r == 0)
        r = sql_step(stmt, &row);
    if (r == 0 && row)
        r = sql_text(stmt, 0, &value);
    if (r)
        return r;
    if (!value || strlen(value) != sizeof(s->instance) - 1)
        return STORE_E_CORRUPT;
    memcpy(s->instance, value, sizeof(s->instance));
    return 0;
}

/* Every way to fail ends in words; some steps have found better ones. */
static int explain(int r, const char *file, struct errmsg *reterr)
{
    if (!r || !reterr || reterr->text[0])
        return r;
    if (r == STORE_E_CORRUPT)
        errmsg_set_at(reterr, file, 0,
                      "is not a database, or a damaged one: nothing was "
                      "changed; restore it from a backup");
    else if (r < 0)
        errmsg_set_at(reterr, file, 0, "cannot be opened: %s", strerror(-r));
    return r;
}

int store_open(const char *state_dir, struct store **ret, struct errmsg *reterr)
{
    CLEANUP_STORE struct store *s = NULL;
    CLEANUP_BUF struct buf file = { 0 };
    CLEANUP_FD int dir_fd = -1;
    int r;

    errmsg_set(reterr, "%s", "");
    r = private_dir_open(state_dir, 0700, &dir_fd, reterr);
    if (r)
        return r == PRIVATE_DIR_E_UNTRUSTED ? STORE_E_UNTRUSTED : r;
    r = buf_printf(&file, "%s/" DB_FILE, state_dir);
    if (r)
        return r;
    s = malloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct store){ .lock_fd = -1, .mark = { .dir_fd = -1, .fd = -1 } };

    r = sodium_init() < 0 ? -EIO : 0;
    if (r == 0)
        r = lock_dir(dir_fd, state_dir, &s->lock_fd, reterr);
    if (r == 0)
        r = check_restored(dir_fd, state_dir, reterr);
    if (r == 0)
        r = create_file(dir_fd);
    if (r == 0)
        r = open_db(s, dir_fd, buf_str(&file), reterr);
    if (r == 0)
        r = read_instance(s);
    if (r == 0)
        r = store_place_check(s, dir_fd, DB_FILE);
    if (r)
        return explain(r, buf_str(&file), reterr);
    *ret = TAKE_PTR(s);
    return 0;
}

struct store *store_close(struct store *s)
{
    if (!s)
        return NULL;
    (void)sqlite3_close(s->db);
    store_mark_deinit(&s->mark);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s);
    return NULL;
}

const char *store_instance(const struct store *s)
{
    return s->instance;
}
