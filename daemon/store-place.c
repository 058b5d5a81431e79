/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/store-place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/store-sql.h"

#define PLACE_MAX 64

/* A number of the file that may be used again, and when it was made. Not the
 * device, which has another number after the next boot. */
static int place_of(int dir_fd, const char *name, char ret[static PLACE_MAX])
{
    struct statx st;
    int n;

    if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) <
        0)
        return -errno;
    if (!(st.stx_mask & STATX_BTIME))
        st.stx_btime = (struct statx_timestamp){ 0 };
    n = snprintf(ret, PLACE_MAX, "%llu %lld.%09u",
                 (unsigned long long)st.stx_ino, (long long)st.stx_btime.tv_sec,
                 st.stx_btime.tv_nsec);
    return n > 0 && n < PLACE_MAX ? 0 : -EINVAL;
}

static int read_note(struct store *s, char **ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    bool row = false;
    int r;

    r = sql_prepare(s->db, "SELECT value FROM meta WHERE name = 'place'",
                    &stmt);
    if (r == 0)
        r = sql_step(stmt, &row);
    return r == 0 && row ? sql_text(stmt, 0, ret) : r;
}

static int write_note(struct store *s, const char *place)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r;

    r = sql_prepare(s->db,
                    "INSERT OR REPLACE INTO meta (name, value)"
                    " VALUES ('place', ?1)",
                    &stmt);
    if (r == 0)
        r = sql_bind_text(stmt, 1, place);
    return r ? r : sql_run(stmt);
}

int store_place_check(struct store *s, int dir_fd, const char *name)
{
    CLEANUP_TRANSACTION struct sql_transaction t = { 0 };
    CLEANUP_FREE char *note = NULL;
    char place[PLACE_MAX];
    int r;

    r = place_of(dir_fd, name, place);
    if (r == 0)
        r = read_note(s, &note);
    if (r || (note && strcmp(note, place) == 0))
        return r;
    r = sql_begin(s->db, &t);
    if (r == 0 && note)
        r = sql_exec(s->db, "UPDATE account SET must_ask = 1"
                            " WHERE account_url IS NOT NULL");
    if (r == 0)
        r = write_note(s, place);
    return r ? r : sql_commit(&t);
}
