/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/sealed-store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#define CREDENTIAL "a key file of many octets"
#define PASSPHRASE "correct horse battery"

struct place {
    char root[64];
    char dir[96]; /* the store's, not there yet */
};

static struct secret *secret_of(const char *text)
{
    struct secret *s = NULL;

    assert_int_equal(secret_new_copy(bytes_from_str(text), &s), 0);
    return s;
}

static int init(void **state)
{
    struct errmsg e = { 0 };

    (void)state;
    return secrets_init(false, &e);
}

static int make_place(void **state)
{
    static struct place p;

    (void)snprintf(p.root, sizeof(p.root), "/tmp/test-sealed-XXXXXX");
    assert_non_null(mkdtemp(p.root));
    (void)snprintf(p.dir, sizeof(p.dir), "%s/token/name", p.root);
    *state = &p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    char path[512];
    struct dirent *e;
    DIR *d = opendir(p->dir);

    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", p->dir, e->d_name);
        (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(p->dir);
    (void)snprintf(path, sizeof(path), "%s/token", p->root);
    (void)rmdir(path);
    return rmdir(p->root);
}

static int create(const struct place *p, const char *credential,
                  const char *passphrase, struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *c = credential ? secret_of(credential) : NULL;
    CLEANUP_SECRET struct secret *w = passphrase ? secret_of(passphrase) : NULL;
    const struct sealed_secrets secrets = { c, w, { 1, 8192 } };

    return sealed_store_create(p->dir, &secrets, reterr);
}

static int unlock(struct sealed_store *s, enum seal_kind kind,
                  const char *secret, struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *x = secret_of(secret);

    return sealed_store_unlock(s, kind, x, reterr);
}

/* A store, made if need be, and open. */
static struct sealed_store *open_store(const struct place *p)
{
    struct sealed_store *s = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(sealed_store_open(p->dir, &s, &e), 0);
    assert_int_equal(unlock(s, SEAL_KIND_UNSET, CREDENTIAL, &e), 0);
    return s;
}

static struct sealed_store *new_store(const struct place *p)
{
    struct errmsg e = { 0 };

    assert_int_equal(create(p, CREDENTIAL, PASSPHRASE, &e), 0);
    return open_store(p);
}

static int add(struct sealed_store *s, const char *label, const char *private,
               struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *pkcs8 = secret_of(private);
    struct seal_key key = { .alg = TOKEN_ALG_ES256,
                            .spki = "public",
                            .spki_len = 6 };

    (void)snprintf(key.label, sizeof(key.label), "%s", label);
    return sealed_store_add(s, &key, pkcs8, reterr);
}

static int read_key(const struct sealed_store *s, const char *label,
                    const char *private, struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    struct seal_key key;
    int r;

    r = sealed_store_read(s, label, &key, &pkcs8, NULL, reterr);
    if (r)
        return r;
    assert_string_equal(key.label, label);
    assert_int_equal(pkcs8->len, strlen(private));
    assert_memory_equal(pkcs8->data, private, pkcs8->len);
    return 0;
}

static void test_a_key_survives_reopening(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    CLEANUP_SEALED_STORE struct sealed_store *again = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(add(s, "acme-guardian:i:le:1", "private", &e), 0);
    again = open_store(p);
    assert_int_equal(read_key(again, "acme-guardian:i:le:1", "private", &e), 0);
    assert_int_equal(read_key(again, "acme-guardian:i:le:2", "", &e),
                     SEALED_E_NO_KEY);
}

static void test_only_right_secrets_open(void **state)
{
    static const struct {
        enum seal_kind kind;
        const char *secret;
        int r;
    } rows[] = {
        { SEAL_KIND_UNSET, CREDENTIAL, 0 },
        { SEAL_KIND_UNSET, PASSPHRASE, 0 },
        { SEAL_KIND_UNSET, "something else entirely", SEAL_E_WRONG },
        { SEAL_KIND_CREDENTIAL, PASSPHRASE, SEAL_E_WRONG },
        { SEAL_KIND_PASSPHRASE, CREDENTIAL, SEAL_E_WRONG },
        { SEAL_KIND_PASSPHRASE, PASSPHRASE, 0 },
    };
    struct place *p = *state;
    struct errmsg e = { 0 };

    assert_int_equal(create(p, CREDENTIAL, PASSPHRASE, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP_SEALED_STORE struct sealed_store *s = NULL;

        assert_int_equal(sealed_store_open(p->dir, &s, &e), 0);
        assert_int_equal(unlock(s, rows[i].kind, rows[i].secret, &e),
                         rows[i].r);
        assert_int_equal(sealed_store_is_unlocked(s), rows[i].r == 0);
        assert_null(strstr(e.text, rows[i].secret));
    }
}

static void test_nothing_is_overwritten(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    struct errmsg e = { 0 };
    char path[128];

    assert_int_equal(create(p, "another key file entirely", NULL, &e),
                     SEALED_E_EXISTS);
    assert_non_null(strstr(e.file, "store.header"));
    assert_non_null(strstr(e.text, "never overwritten"));
    assert_int_equal(add(s, "k", "one", &e), 0);
    assert_int_equal(add(s, "k", "two", &e), SEALED_E_EXISTS);
    assert_int_equal(read_key(s, "k", "one", &e), 0);
    /* Keys whose header is gone may still be saved by a backup of it. */
    (void)snprintf(path, sizeof(path), "%s/store.header", p->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(create(p, CREDENTIAL, NULL, &e), SEALED_E_EXISTS);
    assert_non_null(strstr(e.text, "header is missing"));
}

static void test_weak_secrets_leave_no_store(void **state)
{
    struct place *p = *state;
    struct sealed_store *s = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(create(p, "short", PASSPHRASE, &e), SEAL_E_WEAK);
    assert_int_equal(create(p, CREDENTIAL, "short", &e), SEAL_E_WEAK);
    assert_int_equal(sealed_store_open(p->dir, &s, &e), SEALED_E_NO_STORE);
    assert_int_equal(create(p, CREDENTIAL, PASSPHRASE, &e), 0);
}

static void test_files_are_the_owners_alone(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = NULL;
    struct errmsg e = { 0 };
    struct stat st;
    char path[128];
    mode_t old = umask(0);

    s = new_store(p);
    assert_int_equal(add(s, "k", "private", &e), 0);
    (void)umask(old);
    assert_int_equal(stat(p->dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    (void)snprintf(path, sizeof(path), "%s/store.header", p->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    (void)snprintf(path, sizeof(path), "%s/k.key", p->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_a_directory_that_others_can_write_is_refused(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    struct sealed_store *again = NULL;
    struct errmsg e = { 0 };

    for (mode_t bit = S_IWOTH; bit <= S_IWGRP; bit <<= 3) {
        assert_int_equal(chmod(p->dir, 0700 | bit), 0);
        assert_int_equal(sealed_store_open(p->dir, &again, &e),
                         SEALED_E_UNTRUSTED);
    }
}

static void put_header(const struct place *p, struct bytes content)
{
    CLEANUP_FD int fd = -1;
    char path[192];

    (void)snprintf(path, sizeof(path), "%s/store.header", p->dir);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.len), content.len);
}

static void test_where_there_is_no_store_it_is_said(void **state)
{
    struct place *p = *state;
    struct sealed_store *s = NULL;
    struct errmsg e = { 0 };
    uint8_t large[SEAL_HEADER_MAX + 1] = { 0 };

    assert_int_equal(sealed_store_open(p->dir, &s, &e), SEALED_E_NO_STORE);
    assert_int_equal(create(p, CREDENTIAL, NULL, &e), 0);
    put_header(p, (struct bytes){ large, sizeof(large) });
    assert_int_equal(sealed_store_open(p->dir, &s, &e), SEAL_E_DAMAGED);
}

static void test_a_header_full_of_passphrases_takes_no_credential(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    CLEANUP_SECRET struct secret *master = secret_of("0123456789abcdef"
                                                     "0123456789abcdef");
    CLEANUP_SECRET struct secret *w = secret_of(PASSPHRASE);
    const struct seal_limits cheap = { 1, 8192 };
    struct seal_header h = { .n_slots = SEAL_SLOTS_MAX };
    CLEANUP_BUF struct buf file = { 0 };
    struct errmsg e = { 0 };

    for (size_t i = 0; i < SEAL_SLOTS_MAX; i++)
        assert_int_equal(seal_slot_wrap(h.store_id, SEAL_KIND_PASSPHRASE,
                                        &cheap, w, master, &h.slots[i], &e),
                         0);
    assert_int_equal(seal_header_encode(&h, master, &file), 0);
    put_header(p, buf_bytes(&file));
    s = sealed_store_free(s);
    assert_int_equal(sealed_store_open(p->dir, &s, &e), 0);
    assert_int_equal(unlock(s, SEAL_KIND_PASSPHRASE, PASSPHRASE, &e), 0);
    assert_int_equal(sealed_store_reseal(s, w, &e), SEALED_E_FULL);
}

static void rename_in(const struct place *p, const char *from, const char *to)
{
    char a[192];
    char b[192];

    (void)snprintf(a, sizeof(a), "%s/%s", p->dir, from);
    (void)snprintf(b, sizeof(b), "%s/%s", p->dir, to);
    assert_int_equal(rename(a, b), 0);
}

static void test_a_renamed_key_is_found_out(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    struct errmsg e = { 0 };

    assert_int_equal(add(s, "a", "private", &e), 0);
    rename_in(p, "a.key", "b.key");
    assert_int_equal(read_key(s, "b", "", &e), SEAL_E_DAMAGED);
    assert_non_null(strstr(e.file, "b.key"));
    assert_non_null(strstr(e.text, "another label"));
}

static void flip(const struct place *p, const char *name, off_t at)
{
    CLEANUP_FD int fd = -1;
    char path[192];
    uint8_t c;

    (void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x80;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static void test_damage_is_named_with_its_file(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    struct sealed_store *again = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(add(s, "k", "private", &e), 0);
    flip(p, "k.key", 36); /* its label */
    assert_int_equal(read_key(s, "k", "", &e), SEAL_E_DAMAGED);
    assert_non_null(strstr(e.file, "/k.key"));
    assert_non_null(strstr(e.text, "not authentic"));
    flip(p, "store.header", 60);
    assert_int_equal(sealed_store_open(p->dir, &again, &e), SEAL_E_DAMAGED);
    assert_non_null(strstr(e.file, "/store.header"));
    assert_non_null(strstr(e.text, "changed or damaged"));
}

static void test_reseal_changes_the_credential_and_nothing_else(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    CLEANUP_SECRET struct secret *fresh = secret_of("the next key file, long");
    CLEANUP_SECRET struct secret *weak = secret_of("1234");
    CLEANUP_SEALED_STORE struct sealed_store *again = NULL;
    struct errmsg e = { 0 };

    assert_int_equal(add(s, "k", "private", &e), 0);
    assert_int_equal(unlock(s, SEAL_KIND_PASSPHRASE, PASSPHRASE, &e), 0);
    assert_int_equal(sealed_store_reseal(s, fresh, &e), 0);
    assert_int_equal(sealed_store_open(p->dir, &again, &e), 0);
    assert_int_equal(unlock(again, SEAL_KIND_UNSET, CREDENTIAL, &e),
                     SEAL_E_WRONG);
    assert_int_equal(unlock(again, SEAL_KIND_UNSET, PASSPHRASE, &e), 0);
    assert_int_equal(
        unlock(again, SEAL_KIND_CREDENTIAL, "the next key file, long", &e), 0);
    assert_int_equal(read_key(again, "k", "private", &e), 0);
    /* A refused one leaves the slots as they are. */
    assert_int_equal(sealed_store_reseal(again, weak, &e), SEAL_E_WEAK);
    again = sealed_store_free(again);
    assert_int_equal(sealed_store_open(p->dir, &again, &e), 0);
    assert_int_equal(
        unlock(again, SEAL_KIND_CREDENTIAL, "the next key file, long", &e), 0);
}

/* Kills the calling process at its next call of either number. */
static void die_at(const long calls[static 2])
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[0], 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[1], 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { ARRAY_LEN(filter), filter };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(99);
}

static void test_a_crash_leaves_the_old_state(void **state)
{
    static const long calls[][2] = {
        { SYS_write, SYS_write },
        { SYS_fsync, SYS_fsync },
        { SYS_renameat2, SYS_renameat }, /* glibc's choice by the flags */
    };
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    CLEANUP_SECRET struct secret *fresh = secret_of("the next key file, long");
    struct errmsg e = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        for (int reseal = 0; reseal < 2; reseal++) {
            CLEANUP_SEALED_STORE struct sealed_store *again = NULL;
            int status;
            pid_t pid = fork();

            if (pid == 0) {
                die_at(calls[i]);
                if (reseal)
                    (void)!sealed_store_reseal(s, fresh, &e);
                else
                    (void)!add(s, "k", "private", &e);
                _exit(0);
            }
            assert_int_equal(waitpid(pid, &status, 0), pid);
            if (!WIFSIGNALED(status))
                fail_msg("call %ld: status %x", calls[i][0], status);
            assert_int_equal(WTERMSIG(status), SIGSYS);
            again = open_store(p);
            assert_int_equal(read_key(again, "k", "", &e), SEALED_E_NO_KEY);
        }
    }
    /* And what it leaves is in nobody's way. */
    assert_int_equal(add(s, "k", "private", &e), 0);
    assert_int_equal(read_key(s, "k", "private", &e), 0);
}

struct labels {
    char all[512];
};

static int note_label(const char *label, void *userdata)
{
    struct labels *l = userdata;

    (void)strncat(l->all, label, sizeof(l->all) - strlen(l->all) - 1);
    (void)strncat(l->all, "|", sizeof(l->all) - strlen(l->all) - 1);
    return 0;
}

static void test_labels_are_listed_and_other_files_are_not(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    struct labels l = { "" };
    struct errmsg e = { 0 };
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/pin-failed", p->dir);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(add(s, "x:i:b:1", "1", &e), 0);
    assert_int_equal(add(s, "x:i:a/../%:1", "1", &e), 0);
    assert_int_equal(add(s, "..", "1", &e), 0);
    assert_int_equal(sealed_store_each(s, note_label, &l), 0);
    assert_string_equal(l.all, "..|x:i:a/../%:1|x:i:b:1|");
    assert_int_equal(read_key(s, "..", "1", &e), 0);
    assert_int_equal(read_key(s, "x:i:a/../%:1", "1", &e), 0);
}

static void test_labels_that_make_no_file_name_are_refused(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    char wide[TOKEN_LABEL_MAX + 1];
    struct errmsg e = { 0 };

    memset(wide, '/', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    assert_int_equal(add(s, wide, "1", &e), SEALED_E_LABEL);
    assert_int_equal(add(s, "", "1", &e), SEALED_E_LABEL);
    memset(wide, 'x', sizeof(wide) - 1);
    assert_int_equal(add(s, wide, "1", &e), 0);
}

static void test_removed_and_replaced_keys_are_noticed(void **state)
{
    struct place *p = *state;
    CLEANUP_SEALED_STORE struct sealed_store *s = new_store(p);
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    struct sealed_stamp stamp;
    struct errmsg e = { 0 };
    struct seal_key key;

    assert_int_equal(add(s, "k", "one", &e), 0);
    assert_int_equal(sealed_store_read(s, "k", &key, &pkcs8, &stamp, &e), 0);
    assert_true(sealed_store_is_current(s, "k", &stamp));
    assert_int_equal(sealed_store_remove(s, "k", &e), 0);
    assert_false(sealed_store_is_current(s, "k", &stamp));
    assert_int_equal(sealed_store_remove(s, "k", &e), SEALED_E_NO_KEY);
    assert_int_equal(add(s, "k", "two", &e), 0);
    assert_false(sealed_store_is_current(s, "k", &stamp));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_key_survives_reopening),
        TEST(test_only_right_secrets_open),
        TEST(test_nothing_is_overwritten),
        TEST(test_weak_secrets_leave_no_store),
        TEST(test_files_are_the_owners_alone),
        TEST(test_a_directory_that_others_can_write_is_refused),
        TEST(test_where_there_is_no_store_it_is_said),
        TEST(test_a_header_full_of_passphrases_takes_no_credential),
        TEST(test_a_renamed_key_is_found_out),
        TEST(test_damage_is_named_with_its_file),
        TEST(test_reseal_changes_the_credential_and_nothing_else),
        TEST(test_a_crash_leaves_the_old_state),
        TEST(test_labels_are_listed_and_other_files_are_not),
        TEST(test_labels_that_make_no_file_name_are_refused),
        TEST(test_removed_and_replaced_keys_are_noticed),
    };

    return cmocka_run_group_tests(tests, init, NULL);
}
