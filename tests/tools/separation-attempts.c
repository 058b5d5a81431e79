/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* None of them changes anything that lasts, also when it succeeds: the test
 * makes them as root, too, to see that they can. */
#include "separation-probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_MAX 200
#define STAY_MS 10000
#define CONNECT_MS 3000

static char answer[64 * 1024];

static pid_t to_pid(const char *text)
{
    return (pid_t)strtol(text, NULL, 10);
}

/* Files. */

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? errno : 0;
}

/* Says what it read, to compare it. */
static int try_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char data[READ_MAX];
    ssize_t n;

    if (fd < 0)
        return errno;
    n = read(fd, data, sizeof(data));
    if (n < 0)
        return errno;
    for (ssize_t i = 0; i < n; i++)
        (void)putchar(data[i] >= ' ' && data[i] < 0x7f ? data[i] : '.');
    return 0;
}

/* /proc/PID/mem opens for whoever may trace; that is the question here. */
static int try_open_rw(const char *path)
{
    return try_open(path, O_RDWR);
}

static int try_write(const char *path)
{
    return try_open(path, O_WRONLY);
}

static int try_list(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *e;

    if (!dir)
        return errno;
    errno = 0;
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.')
            printf("%s ", e->d_name);
    return errno;
}

static int try_create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno;
    (void)unlink(path);
    return 0;
}

static int try_symlink(const char *path)
{
    if (symlink("/etc/passwd", path) < 0)
        return errno;
    (void)unlink(path);
    return 0;
}

/* What is neither script nor program: it gets so far only where one may run. */
static int try_execute(const char *directory)
{
    static char *const nothing[] = { NULL };
    char path[PATH_MAX];
    int fd, e;

    (void)snprintf(path, sizeof(path), "%s/probe-%d", directory, (int)getpid());
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (fd < 0)
        return errno;
    e = write(fd, "x", 1) == 1 ? 0 : errno;
    (void)close(fd);
    if (e == 0) {
        (void)execve(path, nothing, nothing);
        e = errno == ENOEXEC ? 0 : errno;
    }
    (void)unlink(path);
    return e;
}

/* The mode that it has: only the owner may. */
static int try_chmod(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || chmod(path, st.st_mode & 07777) < 0)
        return errno;
    return 0;
}

static int try_mknod(const char *argument)
{
    char path[PATH_MAX];
    unsigned major_number, minor_number;

    if (sscanf(argument, "%4000[^,],%u,%u", path, &major_number,
               &minor_number) != 3)
        return EINVAL;
    if (mknod(path, S_IFCHR | 0600, makedev(major_number, minor_number)) < 0)
        return errno;
    (void)unlink(path);
    return 0;
}

static int try_mount(const char *path)
{
    if (mount("/", path, NULL, MS_BIND, NULL) < 0)
        return errno;
    (void)umount2(path, MNT_DETACH);
    return 0;
}

/* Processes. */

static int traced(long r, pid_t pid)
{
    if (r < 0)
        return errno;
    (void)waitpid(pid, NULL, __WALL);
    (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return 0;
}

static int try_attach(const char *pid)
{
    return traced(ptrace(PTRACE_ATTACH, to_pid(pid), NULL, NULL), to_pid(pid));
}

static int try_seize(const char *pid)
{
    if (ptrace(PTRACE_SEIZE, to_pid(pid), NULL, NULL) < 0)
        return errno;
    return traced(ptrace(PTRACE_INTERRUPT, to_pid(pid), NULL, NULL),
                  to_pid(pid));
}

/* An address where nothing is: it is asked for after the right to. */
static int copied(ssize_t n)
{
    return n >= 0 || errno == EFAULT ? 0 : errno;
}

static int try_vm_read(const char *pid)
{
    char byte;
    struct iovec to = { &byte, 1 };
    struct iovec from = { (void *)(uintptr_t)16, 1 };

    return copied(process_vm_readv(to_pid(pid), &to, 1, &from, 1, 0));
}

static int try_vm_write(const char *pid)
{
    char byte = 0;
    struct iovec from = { &byte, 1 };
    struct iovec to = { (void *)(uintptr_t)16, 1 };

    return copied(process_vm_writev(to_pid(pid), &from, 1, &to, 1, 0));
}

static int try_get_fd(const char *pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, to_pid(pid), 0);

    if (pidfd < 0)
        return errno;
    return syscall(SYS_pidfd_getfd, pidfd, 0, 0) < 0 ? errno : 0;
}

/* Signal 0 is asked for the same right and is not sent. */
static int try_kill(const char *pid)
{
    return kill(to_pid(pid), 0) < 0 ? errno : 0;
}

static int try_setns(const char *pid)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)to_pid(pid));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
        return errno;
    return 0;
}

/* Sockets. */

static int connect_unix(const char *path, int type, int *ret_fd)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    if (strlen(path) >= sizeof(sa.sun_path))
        return ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return errno;
    *ret_fd = fd;
    return 0;
}

static int try_connect(const char *path)
{
    int fd = -1;

    return connect_unix(path, SOCK_STREAM, &fd);
}

static int try_connect_packets(const char *path)
{
    int fd = -1;

    return connect_unix(path, SOCK_SEQPACKET, &fd);
}

/* To a token helper, which is asked nothing. ECONNRESET: it hung up. */
static int try_stay_connected(const char *path)
{
    struct pollfd p = { .events = POLLIN };
    int r = connect_unix(path, SOCK_SEQPACKET, &p.fd);

    if (r == 0 && poll(&p, 1, STAY_MS) > 0)
        return ECONNRESET;
    return r;
}

/* A firewall that drops what is sent shows as ETIMEDOUT. */
static int try_tcp(const char *port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
        .sin_addr = { htonl(INADDR_LOOPBACK) },
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int e = 0;
    socklen_t len = sizeof(e);

    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&p, 1, CONNECT_MS) == 0)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? errno : e;
}

static int ended(void)
{
    return errno == EPIPE ? ECONNRESET : errno;
}

/* Says what was answered. ECONNRESET: the connection was closed instead;
 * EREMOTEIO: an error was. */
static int try_varlink(const char *argument)
{
    char path[128], method[128], parameters[512];
    char message[1024];
    size_t n_answer = 0;
    size_t length;
    int fd = -1;
    int r;

    if (sscanf(argument, "%127[^,],%127[^,],%511[^\n]", path, method,
               parameters) != 3)
        return EINVAL;
    r = snprintf(message, sizeof(message),
                 "{\"method\":\"%s\",\"parameters\":%s}", method, parameters);
    if (r < 0 || (size_t)r >= sizeof(message))
        return EMSGSIZE;
    length = (size_t)r + 1;
    r = connect_unix(path, SOCK_STREAM, &fd);
    if (r)
        return r;
    /* With the final NUL. */
    if (send(fd, message, length, MSG_NOSIGNAL) < 0)
        return ended();
    while (n_answer < sizeof(answer)) {
        ssize_t n = recv(fd, answer + n_answer, sizeof(answer) - n_answer, 0);

        if (n <= 0)
            return n < 0 ? ended() : ECONNRESET;
        n_answer += (size_t)n;
        if (answer[n_answer - 1] == '\0')
            break;
    }
    (void)fputs(answer, stdout);
    return strncmp(answer, "{\"error\"", 8) == 0 ? EREMOTEIO : 0;
}

/* "\n" for a newline: fields as the journal's own protocol takes them. */
static int try_journal(const char *text)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX,
                              .sun_path = "/run/systemd/journal/socket" };
    char datagram[1024];
    size_t n = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (; *text && n + 2 < sizeof(datagram); text++) {
        if (text[0] == '\\' && text[1] == 'n') {
            datagram[n++] = '\n';
            text++;
        } else {
            datagram[n++] = *text;
        }
    }
    datagram[n++] = '\n';
    if (fd < 0 ||
        sendto(fd, datagram, n, 0, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return errno;
    return 0;
}

/* Becoming more. */

static int try_setuid(const char *uid)
{
    uid_t id = (uid_t)strtoul(uid, NULL, 10);

    return setresuid(id, id, id) < 0 ? errno : 0;
}

/* EPERM: it ran, and ended with another status than 0. */
static int try_run(const char *command)
{
    const char *const argv[] = { "sh", "-c", command, NULL };
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return errno;
    if (pid == 0) {
        (void)dup2(STDOUT_FILENO, STDERR_FILENO);
        (void)execv("/bin/sh", (char **)(uintptr_t)argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EPERM;
}

const struct attempt attempts[] = {
    { "read", "PATH", try_read },
    { "write", "PATH", try_write },
    { "open", "PATH", try_open_rw },
    { "list", "DIRECTORY", try_list },
    { "create", "PATH", try_create },
    { "symlink", "PATH", try_symlink },
    { "execute", "DIRECTORY", try_execute },
    { "chmod", "PATH", try_chmod },
    { "mknod", "PATH,MAJOR,MINOR", try_mknod },
    { "mount", "DIRECTORY", try_mount },
    { "attach", "PID", try_attach },
    { "seize", "PID", try_seize },
    { "vm-read", "PID", try_vm_read },
    { "vm-write", "PID", try_vm_write },
    { "get-fd", "PID", try_get_fd },
    { "kill", "PID", try_kill },
    { "setns", "PID", try_setns },
    { "connect", "SOCKET", try_connect },
    { "connect-packets", "SOCKET", try_connect_packets },
    { "stay-connected", "SOCKET", try_stay_connected },
    { "varlink", "SOCKET,METHOD,PARAMETERS", try_varlink },
    { "tcp", "PORT", try_tcp },
    { "journal", "FIELDS", try_journal },
    { "setuid", "UID", try_setuid },
    { "run", "COMMAND", try_run },
    { "load-module", "MODULE,LABEL,PIN", attempt_load_module },
    { NULL, NULL, NULL },
};
