/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../daemon/tmp-dir.h"
#include "../need.h"
#include "client-shim/owner-files.h"

#define OTHER 65534

static void put(struct tmp_dir *d, const char *name, const char *text,
                mode_t mode)
{
    const char *path = tmp_dir_file(d, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_dir(struct tmp_dir *d, const char *name)
{
    assert_int_equal(mkdir(tmp_dir_file(d, name), 0755), 0);
}

static bool there(struct tmp_dir *d, const char *name)
{
    struct stat st;

    return lstat(tmp_dir_file(d, name), &st) == 0;
}

static void expect(struct tmp_dir *d, const char *name, const char *text,
                   mode_t mode, uid_t uid)
{
    const char *path = tmp_dir_file(d, name);
    char got[64] = "";
    struct stat st;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    (void)!fread(got, 1, sizeof(got) - 1, f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, text);
    assert_int_equal(st.st_mode & 07777, mode);
    assert_int_equal(st.st_uid, uid);
}

static struct owner_files *opened(const char *path)
{
    struct owner_files *o = NULL;
    struct errmsg err = { 0 };

    assert_int_equal(owner_files_open(path, &o, &err), 0);
    return o;
}

static struct owner_stamp read_it(struct owner_files *o, const char *path,
                                  const char *want)
{
    CLEANUP_BUF struct buf got = { 0 };
    struct owner_stamp stamp = { 0 };
    struct errmsg err = { 0 };

    assert_int_equal(owner_files_read(o, path, 100, &got, &stamp, &err), 0);
    assert_string_equal(buf_str(&got), want);
    return stamp;
}

static int replaced(struct owner_files *o, const char *path, const char *text,
                    const struct owner_stamp *was)
{
    struct errmsg err = { 0 };
    int r = owner_files_replace(o, path, bytes_from_str(text), was, 0640, &err);

    assert_int_equal(r != 0, err.text[0] != '\0');
    return r;
}

static void test_a_file_is_replaced_whole(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    struct owner_stamp was;

    make_dir(d, "ca");
    put(d, "ca/key", "old", 0604);
    put(d, "ca/.key.guardianctl-new", "left by a killed run", 0600);
    o = opened(d->path);
    was = read_it(o, "ca/key", "old");
    assert_int_equal(replaced(o, "ca/key", "new", &was), 0);
    expect(d, "ca/key", "new", 0604, geteuid());
    assert_false(there(d, "ca/.key.guardianctl-new"));
    assert_null(owner_files_given(o));
}

static void test_a_new_file_has_the_mode_given(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    const struct owner_stamp none = { 0 };

    assert_int_equal(replaced(o, "key", "new", &none), 0);
    expect(d, "key", "new", 0640, geteuid());
    assert_int_equal(replaced(o, "key", "newer", &none), OWNER_E_CHANGED);
    expect(d, "key", "new", 0640, geteuid());
}

static void test_what_changed_meanwhile_stays(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    struct owner_stamp was;

    put(d, "key", "old", 0600);
    was = read_it(o, "key", "old");
    put(d, "key", "the client's", 0600);
    assert_int_equal(replaced(o, "key", "new", &was), OWNER_E_CHANGED);
    expect(d, "key", "the client's", 0600, geteuid());
    assert_int_equal(unlink(tmp_dir_file(d, "key")), 0);
    assert_int_equal(replaced(o, "key", "new", &was), OWNER_E_CHANGED);
    assert_false(there(d, "key"));
    assert_false(there(d, ".key.guardianctl-new"));
}

static void test_a_probe_changes_nothing(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    struct owner_stamp was;
    struct errmsg err = { 0 };

    put(d, "key", "old", 0600);
    was = read_it(o, "key", "old");
    assert_int_equal(owner_files_probe(o, "key", &was, &err), 0);
    expect(d, "key", "old", 0600, geteuid());
    assert_false(there(d, ".key.guardianctl-new"));
    assert_int_equal(owner_files_probe(o, "none/key", &was, &err), -ENOENT);
}

static void test_a_key_is_kept_beside(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    struct owner_stamp was;
    struct errmsg err = { 0 };

    put(d, "key", "old", 0600);
    was = read_it(o, "key", "old");
    assert_int_equal(owner_files_keep(o, "key", "key.aside", &was, &err), 0);
    /* Twice is what a second run does. */
    assert_int_equal(owner_files_keep(o, "key", "key.aside", &was, &err), 0);
    assert_int_equal(replaced(o, "key", "note", &was), 0);
    expect(d, "key", "note", 0600, geteuid());
    expect(d, "key.aside", "old", 0600, geteuid());
    was = read_it(o, "key", "note");
    assert_int_equal(owner_files_keep(o, "key", "key.aside", &was, &err),
                     -EEXIST);
    assert_non_null(strstr(err.file, "key.aside"));
    assert_int_equal(owner_files_keep(o, "key", "../out", &was, &err), -EINVAL);
}

static void expect_refused(struct owner_files *o, const char *path, int want)
{
    CLEANUP_BUF struct buf got = { 0 };
    struct errmsg err = { 0 };

    assert_int_equal(owner_files_read(o, path, 100, &got, NULL, &err), want);
    assert_int_equal(got.len, 0);
    assert_int_equal(want != -ENOENT, err.text[0] != '\0');
}

static void test_no_link_is_followed(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    struct owner_files *linked = NULL;
    struct errmsg err = { 0 };
    const struct owner_stamp none = { 0 };

    make_dir(d, "real");
    make_dir(d, "out");
    put(d, "out/key", "secret", 0600);
    assert_int_equal(symlink("../out/key", tmp_dir_file(d, "real/key")), 0);
    assert_int_equal(symlink("../out", tmp_dir_file(d, "real/sub")), 0);
    assert_int_equal(symlink("real", tmp_dir_file(d, "link")), 0);
    assert_int_equal(owner_files_open(tmp_dir_file(d, "link"), &linked, &err),
                     OWNER_E_LINK);
    assert_non_null(strstr(err.text, "symbolic link"));
    o = opened(tmp_dir_file(d, "real"));
    expect_refused(o, "key", OWNER_E_LINK);
    expect_refused(o, "sub/key", -ELOOP);
    expect_refused(o, "../out/key", -EXDEV);
    assert_int_equal(replaced(o, "sub/new", "x", &none), -ENOTDIR);
    assert_int_equal(replaced(o, "../out/new", "x", &none), -EXDEV);
    assert_int_equal(replaced(o, "key", "x", &none), OWNER_E_CHANGED);
    expect(d, "out/key", "secret", 0600, geteuid());
    assert_false(there(d, "out/new"));
}

static void test_only_plain_files_are_read(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    struct errmsg err = { 0 };
    CLEANUP_BUF struct buf got = { 0 };

    make_dir(d, "dir");
    assert_int_equal(mkfifo(tmp_dir_file(d, "fifo"), 0600), 0);
    put(d, "large", "12345", 0600);
    expect_refused(o, "dir", OWNER_E_KIND);
    expect_refused(o, "fifo", OWNER_E_KIND);
    expect_refused(o, "none", -ENOENT);
    assert_int_equal(owner_files_read(o, "large", 4, &got, NULL, &err),
                     OWNER_E_LARGE);
}

static void test_files_are_found(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    struct owner_found f;
    struct errmsg err = { 0 };

    make_dir(d, "ca");
    make_dir(d, "ca/b");
    make_dir(d, "ca/b/deep");
    make_dir(d, "ca/a");
    put(d, "ca/a/key", "", 0600);
    put(d, "ca/b/key", "", 0600);
    put(d, "ca/b/deep/key", "", 0600);
    put(d, "ca/b/x.conf", "", 0600);
    assert_int_equal(symlink("a", tmp_dir_file(d, "ca/c")), 0);
    assert_int_equal(owner_files_find(o, "ca", "key", 1, &f, &err), 0);
    assert_int_equal(f.n, 2);
    assert_string_equal(f.path[0], "ca/a/key");
    assert_string_equal(f.path[1], "ca/b/key");
    assert_int_equal(owner_files_find(o, "", "*.conf", 3, &f, &err), 0);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.path[0], "ca/b/x.conf");
    assert_int_equal(owner_files_find(o, "none", "key", 3, &f, &err), 0);
    assert_int_equal(f.n, 0);
}

static void test_more_files_than_are_listed(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = opened(d->path);
    struct owner_found f;
    struct errmsg err = { 0 };

    for (int i = 0; i <= OWNER_FOUND_MAX; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%d.conf", i);
        put(d, name, "", 0600);
    }
    assert_int_equal(owner_files_find(o, "", "*.conf", 0, &f, &err), 0);
    assert_int_equal(f.n, OWNER_FOUND_MAX);
    assert_true(f.more);
}

static void test_the_directory_of_a_file(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    CLEANUP_BUF struct buf whole = { 0 };

    put(d, "key.pem", "x", 0600);
    o = opened(tmp_dir_file(d, "key.pem"));
    assert_string_equal(owner_files_given(o), "key.pem");
    (void)read_it(o, owner_files_given(o), "x");
    assert_int_equal(owner_files_whole(o, "key.pem", &whole), 0);
    assert_string_equal(buf_str(&whole), tmp_dir_file(d, "key.pem"));
}

/* Another process, since a process's own locks do not keep it out. */
static bool could_lock(const char *path)
{
    const struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int fd = open(path, O_RDWR);

        _exit(fd >= 0 && fcntl(fd, F_SETLK, &whole) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

static void test_a_clients_lock_is_held(void **state)
{
    struct tmp_dir *d = *state;
    struct owner_files *o = opened(d->path);
    CLEANUP_OWNER_FILES struct owner_files *second = opened(d->path);
    struct errmsg err = { 0 };

    put(d, "old", "", 0600);
    assert_int_equal(owner_files_lock(o, "lock", false, &err), 0);
    assert_int_equal(owner_files_lock(o, "old", true, &err), 0);
    assert_true(there(d, "lock"));
    assert_false(could_lock(tmp_dir_file(d, "old")));
    assert_int_equal(owner_files_lock(second, "lock", false, &err),
                     OWNER_E_BUSY);
    assert_int_equal(owner_files_lock(second, "old", true, &err), OWNER_E_BUSY);
    owner_files_free(o);
    assert_false(there(d, "lock"));
    assert_true(there(d, "old"));
    assert_true(could_lock(tmp_dir_file(d, "old")));
}

static pid_t child(void)
{
    char path[64];
    int pid = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    assert_int_equal(fclose(f), 0);
    return pid;
}

/* Its owner may do that. */
static void test_a_child_that_is_stopped_holds_up_nobody(void **state)
{
    struct tmp_dir *d = *state;
    struct owner_files *o = opened(d->path);
    pid_t pid = child();

    put(d, "key", "old", 0600);
    (void)read_it(o, "key", "old");
    assert_int_equal(owner_files_set_limit(o, 200), 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    expect_refused(o, "key", -ETIMEDOUT);
    expect_refused(o, "key", -EPROTO);
    owner_files_free(o);
    assert_int_equal(kill(pid, 0), -1); /* and it is gone */
}

/* ---- as root, for another user ---- */

static void test_work_is_done_as_the_owner(void **state)
{
    struct tmp_dir *d = *state;
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    struct owner_stamp was;

    make_dir(d, "theirs");
    put(d, "theirs/key", "old", 0600);
    put(d, "theirs/roots", "secret", 0600);
    assert_int_equal(chmod(d->path, 0755), 0);
    assert_int_equal(chown(tmp_dir_file(d, "theirs"), OTHER, OTHER), 0);
    assert_int_equal(chown(tmp_dir_file(d, "theirs/key"), OTHER, OTHER), 0);
    o = opened(tmp_dir_file(d, "theirs"));
    assert_int_equal(owner_files_uid(o), OTHER);
    expect_refused(o, "roots", -EACCES);
    was = read_it(o, "key", "old");
    assert_int_equal(replaced(o, "key", "new", &was), 0);
    expect(d, "theirs/key", "new", 0600, OTHER);
}

static void test_another_users_directory_is_roots_alone(void **state)
{
    struct tmp_dir *d = *state;
    int status = 0;
    pid_t pid;

    assert_int_equal(chmod(d->path, 0755), 0);
    pid = fork();
    if (pid == 0) {
        struct owner_files *o = NULL;
        struct errmsg err = { 0 };

        _exit(setuid(OTHER) == 0 &&
                      owner_files_open(d->path, &o, &err) == OWNER_E_USER
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, tmp_dir_new, tmp_dir_free)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        CASE(test_a_file_is_replaced_whole),
        CASE(test_a_new_file_has_the_mode_given),
        CASE(test_what_changed_meanwhile_stays),
        CASE(test_a_probe_changes_nothing),
        CASE(test_a_key_is_kept_beside),
        CASE(test_no_link_is_followed),
        CASE(test_only_plain_files_are_read),
        CASE(test_files_are_found),
        CASE(test_more_files_than_are_listed),
        CASE(test_the_directory_of_a_file),
        CASE(test_a_clients_lock_is_held),
        CASE(test_a_child_that_is_stopped_holds_up_nobody),
    };
    static const struct CMUnitTest as_root[] = {
        CASE(test_work_is_done_as_the_owner),
        CASE(test_another_users_directory_is_roots_alone),
    };

    if (need_group(argc, argv, "root")) {
        need(geteuid() == 0, "root");
        return cmocka_run_group_tests(as_root, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
