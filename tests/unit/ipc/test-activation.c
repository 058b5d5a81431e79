/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <systemd/sd-daemon.h>

struct place {
    char dir[32];
    char path[64];
};

static void place_init(struct place *p)
{
    *p = (struct place){ .dir = "/tmp/activation-XXXXXX" };
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/s", p->dir);
}

static void place_deinit(struct place *p)
{
    (void)unlink(p->path);
    assert_int_equal(rmdir(p->dir), 0);
}

static bool can_connect(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(sa.sun_path, path, strlen(path));
    return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
}

static void test_listen_sets_mode_and_owner(void **state)
{
    static const mode_t modes[] = { 0600, 0666, 0660 };
    mode_t umask_before = umask(077);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        CLEANUP(place_deinit) struct place p;
        CLEANUP_FD int fd = -1;
        struct stat st;
        uid_t owner = getuid() == 0 ? 12345 : getuid();

        place_init(&p);
        assert_int_equal(activation_listen(p.path, modes[i], owner, &fd, NULL),
                         0);
        assert_int_equal(stat(p.path, &st), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | modes[i]);
        assert_int_equal(st.st_uid, owner);
        assert_true(can_connect(p.path));
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    }
    (void)umask(umask_before);
}

static void test_a_live_socket_is_left_alone(void **state)
{
    CLEANUP(place_deinit) struct place p;
    CLEANUP_FD int fd = -1;
    int second = -1;
    struct errmsg err;

    (void)state;
    place_init(&p);
    assert_int_equal(activation_listen(p.path, 0600, (uid_t)-1, &fd, &err), 0);
    assert_int_equal(activation_listen(p.path, 0600, (uid_t)-1, &second, &err),
                     -EADDRINUSE);
    assert_non_null(strstr(err.text, p.path));
    assert_true(can_connect(p.path));
    assert_int_equal(second, -1);
}

static void test_a_stale_socket_is_replaced(void **state)
{
    CLEANUP(place_deinit) struct place p;
    CLEANUP_FD int fd = -1;

    (void)state;
    place_init(&p);
    assert_int_equal(activation_listen(p.path, 0600, (uid_t)-1, &fd, NULL), 0);
    close(TAKE_FD(fd));
    assert_false(can_connect(p.path));
    assert_int_equal(activation_listen(p.path, 0600, (uid_t)-1, &fd, NULL), 0);
    assert_true(can_connect(p.path));
}

static void test_what_is_no_socket_is_not_removed(void **state)
{
    CLEANUP(place_deinit) struct place p;
    CLEANUP_FD int file = -1;
    int fd = -1;
    struct errmsg err;

    (void)state;
    place_init(&p);
    file = open(p.path, O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY, 0600);
    assert_true(file >= 0);
    assert_int_equal(activation_listen(p.path, 0600, (uid_t)-1, &fd, &err),
                     -EEXIST);
    assert_non_null(strstr(err.text, "is no socket"));
    assert_int_equal(access(p.path, F_OK), 0);
}

static void test_listen_errors_name_the_path(void **state)
{
    static char longer[200];
    struct errmsg err;
    int fd = -1;

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[0] = '/';
    assert_int_equal(activation_listen(longer, 0600, (uid_t)-1, &fd, &err),
                     -ENAMETOOLONG);
    assert_non_null(strstr(err.text, "xxx"));
    assert_int_equal(
        activation_listen("/nonexistent/s", 0600, (uid_t)-1, &fd, &err),
        -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/s"));
}

/* What the child saw, as a line of text. */
static void take_and_print(int out)
{
    struct activation a = { 0 };
    struct errmsg err = { 0 };
    CLEANUP_BUF struct buf b = { 0 };
    int r = activation_take(&a, &err);

    if (r)
        (void)!buf_printf(&b, "%d %s", r, err.text);
    for (size_t i = 0; i < a.n_sockets; i++) {
        (void)!buf_printf(
            &b, "%d:%d:%s%s ", a.sockets[i].kind, a.sockets[i].fd,
            a.sockets[i].instance ? a.sockets[i].instance : "-",
            fcntl(a.sockets[i].fd, F_GETFD) & FD_CLOEXEC ? "" : " inherited");
    }
    if (getenv("LISTEN_FDS"))
        (void)!buf_append_str(&b, "LISTEN_FDS is left");
    (void)!write(out, buf_str(&b), b.len);
    activation_deinit(&a);
}

enum handed { HAND_NOTHING, HAND_LISTENING, HAND_BOUND, HAND_FILE };

static void child_main(int out, const char *names, const enum handed *what,
                       int n)
{
    char text[16];

    for (int i = 0; i < n; i++) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = what[i] == HAND_FILE ? open("/dev/null", O_RDWR)
                                      : socket(AF_UNIX, SOCK_STREAM, 0);

        if (what[i] == HAND_LISTENING &&
            (bind(fd, (struct sockaddr *)&sa, sizeof(sa_family_t)) < 0 ||
             listen(fd, 1) < 0))
            _exit(1);
        if (dup2(fd, 200 + i) < 0)
            _exit(1);
    }
    if (dup2(out, 199) < 0)
        _exit(1);
    for (int i = 0; i < n; i++) {
        if (dup2(200 + i, SD_LISTEN_FDS_START + i) < 0)
            _exit(1);
    }
    (void)snprintf(text, sizeof(text), "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    (void)snprintf(text, sizeof(text), "%d", n);
    setenv("LISTEN_FDS", text, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    take_and_print(199);
    _exit(0);
}

static void test_take_tells_sockets_by_name(void **state)
{
    static const struct {
        const char *names;
        enum handed what[4];
        const char *seen;
    } cases[] = {
        { "client", { HAND_LISTENING }, "1:3:- " },
        { "client:client@blue:admin:lacme@web",
          { HAND_LISTENING, HAND_LISTENING, HAND_LISTENING, HAND_LISTENING },
          "1:3:- 1:4:blue 2:5:- 3:6:web " },
        { "", { HAND_NOTHING }, "" },
        { "lacme@a:lacme@b",
          { HAND_LISTENING, HAND_LISTENING },
          "3:3:a 3:4:b " },
        { "client:other",
          { HAND_LISTENING, HAND_LISTENING },
          "1 unknown socket name \"other\" (FileDescriptorName= must be client,"
          " client@INSTANCE, admin or lacme@NAME)" },
        { "lacme", { HAND_LISTENING }, "1 unknown socket name \"lacme\"" },
        { "client@", { HAND_LISTENING }, "1 unknown socket name \"client@\"" },
        { "admin@x", { HAND_LISTENING }, "1 unknown socket name \"admin@x\"" },
        { "admin:admin",
          { HAND_LISTENING, HAND_LISTENING },
          "1 socket \"admin\" was handed over twice" },
        { "client@a:client@a",
          { HAND_LISTENING, HAND_LISTENING },
          "1 socket \"client@a\" was handed over twice" },
        { "client",
          { HAND_BOUND },
          "1 socket \"client\" is no listening Unix stream socket" },
        { "admin",
          { HAND_FILE },
          "1 socket \"admin\" is no listening Unix stream socket" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char seen[512] = "";
        int out[2];
        int n = 0;
        int status;
        pid_t pid;

        while (n < 4 && cases[i].what[n] != HAND_NOTHING)
            n++;
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            child_main(out[1], cases[i].names, cases[i].what, n);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(out[1]);
        assert_true(read(out[0], seen, sizeof(seen) - 1) >= 0);
        close(out[0]);
        assert_int_equal(status, 0);
        /* Long messages: their beginning will do. */
        seen[strlen(cases[i].seen)] = 0;
        assert_string_equal(seen, cases[i].seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_sets_mode_and_owner),
        cmocka_unit_test(test_a_live_socket_is_left_alone),
        cmocka_unit_test(test_a_stale_socket_is_replaced),
        cmocka_unit_test(test_what_is_no_socket_is_not_removed),
        cmocka_unit_test(test_listen_errors_name_the_path),
        cmocka_unit_test(test_take_tells_sockets_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
