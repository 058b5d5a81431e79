/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * For LD_PRELOAD, into the daemon: before and after each commit it passes a
 * gate (gate.h) at $CRASH_GATE. Where it is told 'f' there, the daemon's own
 * monotonic clock, not that of its libraries, goes fast until it is told
 * something else: before a rotation believes a CA it asks for a minute.
 */
#include <dlfcn.h>
#include <link.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gate.h"

#define EXPORT __attribute__((visibility("default")))
#define FAST 20

typedef int (*exec_fn)(sqlite3 *db, const char *sql,
                       int (*row)(void *, int, char **, char **), void *arg,
                       char **error);
typedef int (*step_fn)(sqlite3_stmt *stmt);

static struct {
    bool inside; /* of sqlite3_exec(), which steps; there is one thread */
    bool fast;   /* the clock, since @since_ns */
    int64_t since_ns, gained_ns;
} state;

static int64_t now_ns(void)
{
    struct timespec t = { 0 };

    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t gained_ns(void)
{
    return state.gained_ns +
           (state.fast ? (now_ns() - state.since_ns) * (FAST - 1) : 0);
}

static void pass(const char *side)
{
    bool fast = gate_pass("CRASH_GATE", "commit", side) == 'f';

    if (fast == state.fast)
        return;
    state.gained_ns = gained_ns();
    state.since_ns = now_ns();
    state.fast = fast;
}

EXPORT int sqlite3_exec(sqlite3 *db, const char *sql,
                        int (*row)(void *, int, char **, char **), void *arg,
                        char **error)
{
    exec_fn real = (exec_fn)dlsym(RTLD_NEXT, "sqlite3_exec");
    bool commit = strcmp(sql, "COMMIT") == 0;
    int r;

    if (commit)
        pass("before");
    state.inside = true;
    r = real(db, sql, row, arg, error);
    state.inside = false;
    if (commit)
        pass("after");
    return r;
}

/* A statement that writes outside of a transaction is one by itself. */
EXPORT int sqlite3_step(sqlite3_stmt *stmt)
{
    step_fn real = (step_fn)dlsym(RTLD_NEXT, "sqlite3_step");
    bool commit = !state.inside && stmt && !sqlite3_stmt_readonly(stmt) &&
                  sqlite3_get_autocommit(sqlite3_db_handle(stmt));
    int r;

    if (commit)
        pass("before");
    r = real(stmt);
    if (commit)
        pass("after");
    return r;
}

struct range {
    uintptr_t begin, end;
};

/* The first object is the program. */
static int program_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct range *r = arg;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
            r->begin = info->dlpi_addr + p->p_vaddr;
            r->end = r->begin + p->p_memsz;
        }
    }
    return 1;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *t)
{
    static struct range program;
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    int r = (int)syscall(SYS_clock_gettime, id, t);
    int64_t ns;

    if (r || id != CLOCK_MONOTONIC || gained_ns() == 0)
        return r;
    if (!program.end)
        (void)dl_iterate_phdr(program_range, &program);
    if (caller < program.begin || caller >= program.end)
        return r;
    ns = now_ns() + gained_ns();
    t->tv_sec = ns / 1000000000;
    t->tv_nsec = ns % 1000000000;
    return 0;
}
