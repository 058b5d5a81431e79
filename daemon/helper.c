/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/helper.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/bytes.h"

#define HELPER_NAME "acme-guardian-token"
#define HELPER_FD 3

int helper_find(char **ret)
{
    char self[PATH_MAX];
    char *slash;
    ssize_t n;

    n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return -errno;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash) {
        CLEANUP_FREE char *path = NULL;

        *slash = '\0';
        if (asprintf(&path, "%s/../pkcs11/" HELPER_NAME, self) < 0)
            return -ENOMEM;
        if (access(path, X_OK) == 0) {
            *ret = TAKE_PTR(path);
            return 0;
        }
    }
    *ret = strdup(GUARDIAN_LIBEXECDIR "/" HELPER_NAME);
    return *ret ? 0 : -ENOMEM;
}

/* What systemd said to the daemon is not for the helper. */
static bool is_ours(const char *variable)
{
    static const char *const names[] = { "NOTIFY_SOCKET=", "WATCHDOG_",
                                         "LISTEN_" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

static int helper_environment(char ***ret)
{
    char **env;
    size_t n = 0;
    size_t k = 0;

    while (environ[n])
        n++;
    env = calloc(n + 1, sizeof(*env));
    if (!env)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!is_ours(environ[i]))
            env[k++] = environ[i];
    }
    *ret = env;
    return 0;
}

/* Who starts it blocks signals; the helper gets none of that. */
static int spawn(const char *program, char *const argv[], int fd,
                 pid_t *ret_pid)
{
    CLEANUP_FREE char **env = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int r;

    r = helper_environment(&env);
    if (r)
        return r;
    sigemptyset(&none);
    sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attr);
    r = posix_spawn_file_actions_adddup2(&actions, fd, HELPER_FD);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    if (r == 0)
        r = posix_spawn(ret_pid, program, &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -r;
}

int helper_exec(const char *program, const char *config_dir, const char *name,
                int fd, pid_t *ret_pid)
{
    CLEANUP_FREE char *argv0 = strdup(HELPER_NAME);
    CLEANUP_FREE char *config = strdup(config_dir);
    CLEANUP_FREE char *token = strdup(name);
    char opt_fd[] = "--fd";
    char fd_number[] = "3";
    char opt_config[] = "--config";

    if (!argv0 || !config || !token)
        return -ENOMEM;
    return spawn(program,
                 (char *const[]){ argv0, opt_fd, fd_number, opt_config, config,
                                  token, NULL },
                 fd, ret_pid);
}

/* The daemon's unit does not let it execute anything. */
void helper_cannot_start(const char *program, int error, const char *name,
                         struct errmsg *reterr)
{
    if (error == EACCES || error == EPERM)
        errmsg_set(reterr,
                   "cannot start %s: %s; under systemd a token has a unit of "
                   "its own: set HelperSocket=, enable "
                   "acme-guardian-token@%s.socket",
                   program, strerror(error), name);
    else
        errmsg_set(reterr, "cannot start %s: %s", program, strerror(error));
}

int helper_connect(const char *path, int *ret_fd, struct errmsg *reterr)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    CLEANUP_FD int fd = -1;
    int r;

    if (strlen(path) >= sizeof(sa.sun_path)) {
        errmsg_set(reterr, "%s: the path is too long for a socket", path);
        return -ENAMETOOLONG;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        r = -errno;
        errmsg_set(reterr, "cannot reach the token helper at %s: %s", path,
                   strerror(-r));
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
