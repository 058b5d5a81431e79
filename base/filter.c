/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/filter.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <seccomp.h>

/* Linux 6.3; Debian 12's headers are older. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

#define NAMESPACES                                                             \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |             \
     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
/* The kernel looks at these bits of an int, whatever stands above them. */
#define INT_MASK 0xffffffffU
#define FAMILIES_MAX 64

struct filter {
    scmp_filter_ctx ctx;
    const struct filter_rules *rules;
    uint32_t otherwise; /* what is done with a call that no rule names */
    uint32_t refuse;
    int r; /* of the first rule that could not be added */
};

static bool is_in(const int *list, int call)
{
    for (; *list != FILTER_END; list++) {
        if (*list == call)
            return true;
    }
    return false;
}

/* A call that this machine does not have needs no rule. */
static void add_rule(struct filter *f, uint32_t action, int call,
                     const struct scmp_arg_cmp *args, unsigned n_args)
{
    int r;

    if (f->r || action == f->otherwise)
        return;
    r = seccomp_rule_add_array(f->ctx, action, call, n_args, args);
    if (r && r != -EDOM)
        f->r = r;
}

static void allow_if(struct filter *f, int call, unsigned arg, uint64_t mask,
                     uint64_t value)
{
    add_rule(f, SCMP_ACT_ALLOW, call,
             &SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value), 1);
}

static void refuse_if(struct filter *f, int call, unsigned arg, uint64_t mask,
                      uint64_t value)
{
    add_rule(f, f->refuse, call,
             &SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value), 1);
}

/* ---- calls that are allowed with some arguments only ---- */

/* What may be written may never be run, neither at once nor later. */
static void guard_mmap(struct filter *f, int call)
{
    const uint64_t both = PROT_WRITE | PROT_EXEC;

    allow_if(f, call, 2, PROT_WRITE, 0);
    allow_if(f, call, 2, PROT_EXEC, 0);
    refuse_if(f, call, 2, both, both);
}

static void guard_mprotect(struct filter *f, int call)
{
    allow_if(f, call, 2, PROT_EXEC, 0);
    refuse_if(f, call, 2, PROT_EXEC, PROT_EXEC);
}

static void guard_shmat(struct filter *f, int call)
{
    allow_if(f, call, 2, SHM_EXEC, 0);
    refuse_if(f, call, 2, SHM_EXEC, SHM_EXEC);
}

/* It makes readable memory executable. */
static void guard_personality(struct filter *f, int call)
{
    add_rule(f, f->refuse, call, NULL, 0);
}

static bool has_family(const struct filter_rules *rules, int family)
{
    for (size_t i = 0; i < rules->n_families; i++) {
        if (rules->families[i] == family)
            return true;
    }
    return false;
}

/* getaddrinfo() asks so which addresses this host has. */
static void guard_route_socket(struct filter *f, int call)
{
    const struct scmp_arg_cmp route[] = {
        SCMP_A0(SCMP_CMP_MASKED_EQ, INT_MASK, AF_NETLINK),
        SCMP_A2(SCMP_CMP_MASKED_EQ, INT_MASK, NETLINK_ROUTE),
    };

    add_rule(f, SCMP_ACT_ALLOW, call, route, ARRAY_LEN(route));
}

static void guard_socket(struct filter *f, int call)
{
    for (int family = 0; family < FAMILIES_MAX; family++) {
        if (has_family(f->rules, family))
            allow_if(f, call, 0, INT_MASK, (uint64_t)family);
        else
            refuse_if(f, call, 0, INT_MASK, (uint64_t)family);
    }
    if (!has_family(f->rules, AF_NETLINK) &&
        (has_family(f->rules, AF_INET) || has_family(f->rules, AF_INET6)))
        guard_route_socket(f, call);
    add_rule(f, f->refuse, call, &SCMP_A0(SCMP_CMP_GE, FAMILIES_MAX), 1);
}

static void guard_clone(struct filter *f, int call)
{
    allow_if(f, call, 0, NAMESPACES, 0);
}

static void guard_kill(struct filter *f, int call)
{
    allow_if(f, call, 1, INT_MASK, SIGKILL);
}

/* abort() */
static void guard_tgkill(struct filter *f, int call)
{
    allow_if(f, call, 0, INT_MASK, (uint64_t)getpid());
}

static void guard_prctl(struct filter *f, int call)
{
    static const int options[] = {
        PR_SET_NAME,     PR_GET_NAME,         PR_SET_PDEATHSIG,
        PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_CAPBSET_READ,
        PR_SET_VMA,      PR_GET_TIMERSLACK,   PR_SET_TIMERSLACK,
        PR_SET_MDWE,
    };

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        allow_if(f, call, 0, INT_MASK, (uint64_t)options[i]);
}

/* isatty(), which the C library and libsystemd ask of files, too. */
static void guard_ioctl(struct filter *f, int call)
{
    allow_if(f, call, 1, INT_MASK, TCGETS);
}

/* One more filter, for a child that needs still less; no listener, which could
 * let calls through. */
static void guard_seccomp(struct filter *f, int call)
{
    const struct scmp_arg_cmp narrower[] = {
        SCMP_A0(SCMP_CMP_MASKED_EQ, INT_MASK, SECCOMP_SET_MODE_FILTER),
        SCMP_A1(SCMP_CMP_MASKED_EQ, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0),
    };

    add_rule(f, SCMP_ACT_ALLOW, call, narrower, ARRAY_LEN(narrower));
}

enum guard_of { GUARD_CALL = 0, GUARD_DEVICES, GUARD_MEMORY, GUARD_FAMILIES };

static const struct guard {
    int call;
    enum guard_of of;
    void (*fn)(struct filter *f, int call);
} guards[] = {
    { SCMP_SYS(mmap), GUARD_MEMORY, guard_mmap },
    { SCMP_SYS(mmap2), GUARD_MEMORY, guard_mmap },
    { SCMP_SYS(mprotect), GUARD_MEMORY, guard_mprotect },
    { SCMP_SYS(pkey_mprotect), GUARD_MEMORY, guard_mprotect },
    { SCMP_SYS(shmat), GUARD_MEMORY, guard_shmat },
    { SCMP_SYS(personality), GUARD_MEMORY, guard_personality },
    { SCMP_SYS(socket), GUARD_FAMILIES, guard_socket },
    { SCMP_SYS(socketpair), GUARD_FAMILIES, guard_socket },
    { SCMP_SYS(ioctl), GUARD_DEVICES, guard_ioctl },
    { SCMP_SYS(clone), GUARD_CALL, guard_clone },
    { SCMP_SYS(kill), GUARD_CALL, guard_kill },
    { SCMP_SYS(tgkill), GUARD_CALL, guard_tgkill },
    { SCMP_SYS(prctl), GUARD_CALL, guard_prctl },
    { SCMP_SYS(seccomp), GUARD_CALL, guard_seccomp },
};

static bool is_guarded(const struct filter_rules *rules, enum guard_of of)
{
    return !(of == GUARD_DEVICES && rules->devices) &&
           !(of == GUARD_MEMORY && rules->writable_code) &&
           !(of == GUARD_FAMILIES && rules->all_families);
}

static const struct guard *find_guard(const struct filter *f, int call)
{
    for (size_t i = 0; i < ARRAY_LEN(guards); i++) {
        if (guards[i].call == call)
            return is_guarded(f->rules, guards[i].of) ? &guards[i] : NULL;
    }
    return NULL;
}

/* ---- lists ---- */

/*
 * The address and leak sanitizers stop, read and restart the process by calls
 * of their own. Only a build with them allows these, and nobody installs one.
 */
static const int sanitizer_calls[] = {
#ifdef GUARDIAN_SANITIZED
    SCMP_SYS(ptrace),
    SCMP_SYS(execve),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(clone),
    SCMP_SYS(kill),
    SCMP_SYS(pipe2),
    SCMP_SYS(prctl),
    SCMP_SYS(ioctl),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(tgkill),
    SCMP_SYS(dup2),
#endif
    FILTER_END
};

static void add_list(struct filter *f, uint32_t action, const int *list)
{
    for (; *list != FILTER_END; list++) {
        const struct guard *guard = find_guard(f, *list);

        if (is_in(sanitizer_calls, *list))
            add_rule(f, SCMP_ACT_ALLOW, *list, NULL, 0);
        else if (guard && action == SCMP_ACT_ALLOW)
            guard->fn(f, *list);
        else
            add_rule(f, action, *list, NULL, 0);
    }
}

/* Who names a call means it with all its arguments; memory and families have
 * settings of their own. */
static void add_names(struct filter *f, char *const *names)
{
    for (; names && *names; names++) {
        int call = seccomp_syscall_resolve_name(*names);
        const struct guard *guard = find_guard(f, call);

        if (guard && guard->of >= GUARD_MEMORY)
            guard->fn(f, call);
        else
            add_rule(f, SCMP_ACT_ALLOW, call, NULL, 0);
    }
}

/* All calls are allowed: what is left is memory and families. */
static void add_guards(struct filter *f)
{
    for (size_t i = 0; i < ARRAY_LEN(guards); i++) {
        if (guards[i].of >= GUARD_MEMORY && find_guard(f, guards[i].call))
            guards[i].fn(f, guards[i].call);
    }
}

static void add_all(struct filter *f)
{
    const struct filter_rules *rules = f->rules;

    if (rules->all_calls) {
        add_guards(f);
        return;
    }
    for (size_t i = 0; rules->allowed && rules->allowed[i]; i++)
        add_list(f, SCMP_ACT_ALLOW, rules->allowed[i]);
    add_list(f, SCMP_ACT_ALLOW, sanitizer_calls);
    add_names(f, rules->more);
    if (rules->deadly)
        add_list(f, SCMP_ACT_KILL_PROCESS, rules->deadly);
    /* Its flags are in memory, where no filter sees them; glibc then calls
     * clone(). Not worth a word each time. */
    if (rules->listen)
        add_rule(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), NULL, 0);
}

/* ---- loading ---- */

static void filter_deinit(struct filter *f)
{
    if (f->ctx)
        seccomp_release(f->ctx);
}

static int set_attributes(struct filter *f)
{
    const struct {
        enum scmp_filter_attr name;
        uint32_t value;
    } attributes[] = {
        { SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS },
        { SCMP_FLTATR_CTL_NNP, 0 },
        { SCMP_FLTATR_CTL_LOG, f->refuse != SCMP_ACT_NOTIFY },
        { SCMP_FLTATR_API_SYSRAWRC, 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        int r =
            seccomp_attr_set(f->ctx, attributes[i].name, attributes[i].value);

        if (r)
            return r;
    }
    return 0;
}

static int load(const struct filter_rules *rules, uint32_t refuse,
                int *ret_listener)
{
    CLEANUP(filter_deinit)
    struct filter f = {
        .rules = rules,
        .refuse = refuse,
        .otherwise = rules->all_calls ? SCMP_ACT_ALLOW : refuse,
    };
    int r;

    f.ctx = seccomp_init(f.otherwise);
    if (!f.ctx)
        return -ENOMEM;
    r = set_attributes(&f);
    if (r)
        return r;
    add_all(&f);
    r = f.r ? f.r : seccomp_load(f.ctx);
    if (r == 0 && refuse == SCMP_ACT_NOTIFY)
        *ret_listener = seccomp_notify_fd(f.ctx);
    return r;
}

static int load_any(const struct filter_rules *rules, int *ret_listener)
{
    int r = -EBUSY;

    if (rules->listen) {
        *ret_listener = -1;
        r = load(rules, SCMP_ACT_NOTIFY, ret_listener);
    }
    return r == -EBUSY ? load(rules, SCMP_ACT_ERRNO(ENOSYS), NULL) : r;
}

int filter_load(const struct filter_rules *rules, int *ret_listener,
                struct errmsg *reterr)
{
    int r = 0;

    /* EINVAL: the kernel does not have it; the filter does the same. */
    if (!rules->writable_code &&
        prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) < 0 &&
        errno != EINVAL)
        r = -errno;
    if (r == 0)
        r = load_any(rules, ret_listener);
    if (r)
        errmsg_set(reterr, "system calls cannot be filtered: %s", strerror(-r));
    return r;
}

bool filter_knows(const char *name)
{
    return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR;
}
