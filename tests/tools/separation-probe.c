/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Becomes what a process on the host is (user, groups, cgroups, and with
 * --namespaces its view of files and network) and tries what it must not be
 * able to. Nothing that the process has given up by itself is given up here:
 * no seccomp filter, no no_new_privs. What is refused is refused by the user,
 * the cgroup, or the namespaces.
 *
 *     separation-probe [--as PID [--namespaces]] [--user UID:GID] VERB[=ARG]...
 *
 * Each attempt is made by a child of its own, and is a line of output: the
 * attempt, a tab, "ok" or the errno's name, and more where there is more to
 * say.
 */
#include "separation-probe.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define GROUPS_MAX 256
#define PATIENCE_S 20

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    size_t n_groups;
};

struct options {
    const char *pid; /* text: it only goes into paths */
    bool namespaces;
    bool user;
    struct identity identity;
};

static void give_up(const char *what)
{
    fprintf(stderr, "separation-probe: %s: %s\n", what, strerror(errno));
    exit(EX_OSERR);
}

static FILE *open_proc(const char *pid, const char *file)
{
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
    f = fopen(path, "re");
    if (!f)
        give_up(path);
    return f;
}

/* The effective ids, and all supplementary groups. */
static void read_identity(const char *pid, struct identity *ret)
{
    FILE *f = open_proc(pid, "status");
    char line[4096];

    while (fgets(line, sizeof(line), f)) {
        char *p = strchr(line, '\t');

        if (strncmp(line, "Uid:", 4) == 0)
            (void)sscanf(line, "Uid: %*u %u", &ret->uid);
        else if (strncmp(line, "Gid:", 4) == 0)
            (void)sscanf(line, "Gid: %*u %u", &ret->gid);
        else if (strncmp(line, "Groups:", 7) == 0)
            for (char *g = strtok(p, " \t\n"); g; g = strtok(NULL, " \t\n"))
                if (ret->n_groups < GROUPS_MAX)
                    ret->groups[ret->n_groups++] = (gid_t)strtoul(g, NULL, 10);
    }
    (void)fclose(f);
}

/* Return: false where this hierarchy is not mounted. */
static bool join_cgroup(const char *hierarchy, const char *path)
{
    char file[PATH_MAX];
    FILE *f;

    (void)snprintf(file, sizeof(file), "/sys/fs/cgroup%s%s%s/cgroup.procs",
                   hierarchy[0] ? "/" : "", hierarchy, path);
    f = fopen(file, "we");
    if (!f)
        return false;
    if (fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f) != 0)
        give_up(file);
    return true;
}

/* Lines of NUMBER:CONTROLLERS:PATH, the unified hierarchy's without any. */
static void join_cgroups(const char *pid)
{
    FILE *f = open_proc(pid, "cgroup");
    char line[PATH_MAX];
    unsigned joined = 0;

    while (fgets(line, sizeof(line), f)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!path)
            continue;
        *controllers++ = '\0';
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (strncmp(controllers, "name=", 5) == 0)
            controllers += 5;
        if (controllers[0])
            joined += join_cgroup(controllers, path);
        else
            joined += join_cgroup("", path) || join_cgroup("unified", path);
    }
    (void)fclose(f);
    if (joined == 0) {
        errno = ENOENT;
        give_up("no cgroup could be joined");
    }
}

static void enter(const char *pid, const char *kind)
{
    char path[PATH_MAX], ours[64] = "", theirs[64] = "";
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
    if (readlink(path, ours, sizeof(ours) - 1) < 0)
        give_up(path);
    (void)snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kind);
    if (readlink(path, theirs, sizeof(theirs) - 1) < 0)
        give_up(path);
    if (strcmp(ours, theirs) == 0)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, 0) < 0)
        give_up(path);
    (void)close(fd);
}

/* The mounts last: from then on /proc may show less. */
static void enter_namespaces(const char *pid)
{
    enter(pid, "ipc");
    enter(pid, "uts");
    enter(pid, "net");
    enter(pid, "mnt");
    if (chdir("/") < 0)
        give_up("/");
}

static void become(const struct identity *id)
{
    if (setgroups(id->n_groups, id->groups) < 0 ||
        setresgid(id->gid, id->gid, id->gid) < 0 ||
        setresuid(id->uid, id->uid, id->uid) < 0)
        give_up("cannot become the user");
    /* As after execve(2): else our own /proc/self would be root's. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
        give_up("prctl");
}

static const struct attempt *find(const char *text, const char **ret_argument)
{
    const char *is = strchr(text, '=');
    size_t len = is ? (size_t)(is - text) : strlen(text);

    for (const struct attempt *a = attempts; a->verb; a++) {
        if (strlen(a->verb) == len && strncmp(a->verb, text, len) == 0 &&
            !a->argument == !is) {
            *ret_argument = is ? is + 1 : NULL;
            return a;
        }
    }
    return NULL;
}

/* What it prints is the rest of the line. */
static void try_one(const char *text)
{
    const char *argument = NULL;
    const struct attempt *a = find(text, &argument);
    static char said[64 * 1024];
    size_t len = 0;
    int status = 0;
    int fds[2];
    pid_t pid;

    if (!a) {
        fprintf(stderr, "separation-probe: there is no attempt %s\n", text);
        exit(EX_USAGE);
    }
    if (pipe(fds) < 0)
        give_up("pipe");
    pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0) {
        if (dup2(fds[1], STDOUT_FILENO) < 0)
            _exit(EX_OSERR);
        (void)close(fds[0]);
        (void)close(fds[1]);
        (void)alarm(PATIENCE_S);
        status = a->fn(argument);
        (void)fflush(stdout);
        _exit(status);
    }
    (void)close(fds[1]);
    for (ssize_t n = 1; n > 0 && len<sizeof(said) - 1; len += n> 0 ? n : 0)
        n = read(fds[0], said + len, sizeof(said) - 1 - len);
    said[len] = '\0';
    said[strcspn(said, "\n")] = '\0';
    (void)close(fds[0]);
    if (waitpid(pid, &status, 0) < 0)
        give_up("waitpid");
    if (WIFSIGNALED(status))
        printf("%s\tSIG%s\t%s\n", text, sigabbrev_np(WTERMSIG(status)), said);
    else
        printf("%s\t%s\t%s\n", text,
               WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status))
                                   : "ok",
               said);
}

static int usage(void)
{
    fputs("usage: separation-probe [--as PID [--namespaces]] "
          "[--user UID:GID] ATTEMPT...\n",
          stderr);
    for (const struct attempt *a = attempts; a->verb; a++)
        fprintf(stderr, "       %s%s%s\n", a->verb, a->argument ? "=" : "",
                a->argument ? a->argument : "");
    return EX_USAGE;
}

static bool parse(int argc, char *argv[], struct options *ret)
{
    static const struct option options[] = {
        { "as", required_argument, NULL, 'a' },
        { "namespaces", no_argument, NULL, 'n' },
        { "user", required_argument, NULL, 'u' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'a')
            ret->pid = optarg;
        else if (c == 'n')
            ret->namespaces = true;
        else if (c == 'u' && sscanf(optarg, "%u:%u", &ret->identity.uid,
                                    &ret->identity.gid) == 2)
            ret->user = true;
        else
            return false;
    }
    return optind < argc && (ret->pid || !ret->namespaces);
}

int main(int argc, char *argv[])
{
    struct options o = { 0 };

    if (!parse(argc, argv, &o))
        return usage();
    if (o.pid) {
        if (!o.user)
            read_identity(o.pid, &o.identity);
        join_cgroups(o.pid);
    }
    if (o.namespaces)
        enter_namespaces(o.pid);
    if (o.pid || o.user)
        become(&o.identity);
    for (int i = optind; i < argc; i++) {
        try_one(argv[i]);
        (void)fflush(stdout);
    }
    return EX_OK;
}
