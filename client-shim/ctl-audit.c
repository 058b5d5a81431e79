/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/secret.h"
#include "client-shim/audit-verify.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-signatures.h"

/* guardianctl audit verify, rotate, take-key; tail is in ctl-tail.c. */

#define KEY_HEX (2 * CHAIN_KEY_LEN)

static int run_rotate(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "AuditRotate", json_object(), &answer);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(json_incref(answer));
    else
        (void)printf("closed: %s\n", ctl_string(answer, "file"));
    return CTL_EXIT_DONE;
}

/*
 * The daemon gives the key out once, so there must be a place for it before it
 * is asked for: the file is made and filled first, and only overwritten.
 */
int ctl_audit_key_file_make(const char *path, int *ret_fd)
{
    CLEANUP_FD int fd = -1;
    char line[KEY_HEX + 1];

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    memset(line, '\n', sizeof(line));
    if (pwrite(fd, line, sizeof(line), 0) != (ssize_t)sizeof(line) ||
        fsync(fd) < 0) {
        (void)unlink(path);
        return -EIO;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int ctl_audit_key_file_fill(int fd, const char *key)
{
    if (pwrite(fd, key, KEY_HEX, 0) != KEY_HEX || fsync(fd) < 0)
        return -EIO;
    return 0;
}

static int take_key_to(struct ctl_context *c, const char *path)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_FD int fd = -1;
    const char *key;
    int r;

    r = ctl_audit_key_file_make(path, &fd);
    if (r)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", path, strerror(-r));
    r = ctl_once(c, CTL_SOCKET_ADMIN, "AuditTakeFirstKey", json_object(),
                 &answer);
    if (r) {
        (void)unlink(path);
        return r;
    }
    key = ctl_string(answer, "key");
    if (!key || strlen(key) != KEY_HEX || ctl_audit_key_file_fill(fd, key)) {
        (void)puts(key ? key : "");
        return ctl_fail(CTL_EXIT_TRY_AGAIN,
                        "%s: the key could not be written; it stands on "
                        "stdout and nowhere else",
                        path);
    }
    if (c->json)
        ctl_print_json(json_pack("{s:s}", "file", path));
    else
        (void)printf("written: %s; keep it on another machine\n", path);
    return CTL_EXIT_DONE;
}

static int run_take_key(struct ctl_context *c)
{
    const char *path = ctl_args_value(c, "--out");
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    if (path)
        return take_key_to(c, path);
    r = ctl_once(c, CTL_SOCKET_ADMIN, "AuditTakeFirstKey", json_object(),
                 &answer);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(json_incref(answer));
    else
        (void)puts(ctl_string(answer, "key"));
    return CTL_EXIT_DONE;
}

/* Where the expected last line was learned from. */
struct head {
    struct chain_head at;
    const char *from; /* NULL: nobody could say */
};

static bool head_from_daemon(const struct ctl_context *c,
                             struct chain_head *ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_BUF struct buf text = { 0 };
    const char *mac;

    if (ctl_try(c, CTL_SOCKET_ADMIN, "AuditHead", json_object(), &answer))
        return false;
    mac = ctl_string(answer, "mac");
    return mac &&
           buf_printf(&text, "%lld:%s", ctl_integer(answer, "line"), mac) ==
               0 &&
           audit_head_parse(buf_str(&text), ret) == 0;
}

static int find_head(const struct ctl_context *c,
                     const struct settings *settings, struct head *ret)
{
    const char *given = ctl_args_value(c, "--head");

    *ret = (struct head){ 0 };
    if (given && audit_head_parse(given, &ret->at))
        return ctl_fail(CTL_EXIT_USAGE,
                        "--head takes LINE:MAC, a number and 64 hex digits");
    if (given)
        ret->from = "--head";
    else if (head_from_daemon(c, &ret->at))
        ret->from = "the daemon";
    else if (settings &&
             audit_head_from_state(settings->state_dir, &ret->at, NULL) == 0)
        ret->from = "audit.chain";
    return CTL_EXIT_DONE;
}

bool ctl_audit_key_file_blank(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char line[KEY_HEX + 2];
    ssize_t n = fd < 0 ? -1 : pread(fd, line, sizeof(line), 0);

    if (n != 0 && n != KEY_HEX + 1)
        return false;
    for (ssize_t i = 0; i < n; i++) {
        if (line[i] != '\n')
            return false;
    }
    return true;
}

int ctl_audit_key_file_read(const char *path, struct chain *ret)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct errmsg err = { 0 };
    int r;

    if (fd < 0)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", path, strerror(errno));
    r = audit_key_read(fd, path, ret, &err);
    return r ? ctl_fail_at(CTL_EXIT_MALFORMED, &err) : CTL_EXIT_DONE;
}

/* The key to begin with next time, when older files may be gone. */
static int save_key(const struct ctl_context *c, const struct chain *key)
{
    const char *path = ctl_args_value(c, "--save-key");
    int r = path ? audit_key_save(path, key) : 0;

    if (r)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", path, strerror(-r));
    if (path && !c->json)
        (void)printf("written: %s, the key of line %llu; keep it on another "
                     "machine\n",
                     path, (unsigned long long)key->line);
    return CTL_EXIT_DONE;
}

static void print_result(const struct ctl_context *c, const char *dir,
                         uint64_t first, const struct head *head,
                         const struct audit_verify_result *result, bool fits)
{
    char mac[2 * CHAIN_MAC_LEN + 1];

    (void)sodium_bin2hex(mac, sizeof(mac), result->head.mac,
                         sizeof(result->head.mac));
    if (c->json) {
        ctl_print_json(
            json_pack("{s:b, s:s, s:I, s:I, s:s, s:b, s:s*, s:I}", "ok",
                      (int)fits, "directory", dir, "firstLine",
                      (json_int_t)first, "line", (json_int_t)result->head.line,
                      "mac", mac, "tailChecked", (int)result->tail_checked,
                      "head", head->from, "torn", (json_int_t)result->torn));
        return;
    }
    if (!fits)
        return;
    (void)printf("%s: lines %llu to %llu fit\n", dir, (unsigned long long)first,
                 (unsigned long long)result->head.line);
    if (result->tail_checked)
        (void)printf("the last line is the one that %s names\n", head->from);
    else
        (void)puts("whether lines are missing at the end could not be "
                   "checked: no daemon to ask, and no --head");
    if (result->torn)
        (void)printf("%llu octets of an unfinished line at the end\n",
                     (unsigned long long)result->torn);
}

static int verify(const struct ctl_context *c, const char *dir,
                  const struct head *head, const struct chain *from)
{
    struct audit_verify_result result = { 0 };
    CLEANUP_WIPE(wipe, result);
    struct errmsg err = { 0 };
    int r;

    r = audit_verify(dir, from, head->from ? &head->at : NULL, &result, &err);
    if (r >= 0)
        print_result(c, dir, from->line, head, &result, r == 0);
    if (r == -EACCES)
        return ctl_fail_at(CTL_EXIT_NOT_PERMITTED, &err);
    if (r < 0)
        return ctl_fail_at(CTL_EXIT_UNAVAILABLE, &err);
    return r ? ctl_fail_at(CTL_EXIT_NO, &err) : save_key(c, &result.file_start);
}

int ctl_audit_check(const struct ctl_context *c, const char *dir,
                    const struct chain *from, unsigned long long *ret_line)
{
    struct audit_verify_result result = { 0 };
    CLEANUP_WIPE(wipe, result);
    struct chain_head head;
    struct errmsg err = { 0 };
    int r;

    if (!head_from_daemon(c, &head))
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon does not tell the audit log's last line");
    r = audit_verify(dir, from, &head, &result, &err);
    *ret_line = result.head.line;
    if (r)
        return ctl_fail_at(r < 0 ? CTL_EXIT_UNAVAILABLE : CTL_EXIT_NO, &err);
    return CTL_EXIT_DONE;
}

/*
 * Works without a daemon and, with --dir, without a configuration: an auditor
 * has the files and the key, and nothing else.
 */
static int run_verify(struct ctl_context *c)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    const char *dir = ctl_args_value(c, "--dir");
    struct chain from = { 0 };
    CLEANUP_WIPE(wipe, from);
    struct head head;
    int r = 0;

    if (secrets_init(true, NULL))
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "libsodium cannot be set up");
    if (!dir || ctl_args_has(c, "--config"))
        r = ctl_settings(c, &settings);
    else
        (void)!settings_load(c->config_dir, &settings, NULL);
    if (r)
        return r;
    if (!dir)
        dir = settings->log_dir;
    r = ctl_audit_key_file_read(ctl_args_value(c, "--key-file"), &from);
    /* Before the files are read: a running daemon goes on writing. */
    if (r == 0)
        r = find_head(c, settings, &head);
    return r ? r : verify(c, dir, &head, &from);
}

static const struct ctl_option verify_options[] = {
    { "--key-file", "FILE",
      "the first key, from audit take-key, or a later one", 0, true, false },
    { "--dir", "DIR", "the log's directory (LogDirectory=)", 0, false, false },
    { "--head", "LINE:MAC", "the last line, from the journal", 0, false,
      false },
    { "--save-key", "FILE", "write the key with which the last file begins", 0,
      false, false },
    { 0 },
};

static const struct ctl_option take_key_options[] = {
    { "--out", "FILE", "to a new file instead of stdout", 0, false, false },
    { 0 },
};

const struct ctl_command ctl_audit_commands[] = {
    { "audit tail", NULL, 0, 0, ctl_tail_options,
      "the newest lines of the audit log", ctl_tail_run },
    { "audit signatures", NULL, 0, 0, ctl_signatures_options,
      "what a key has signed, or all keys of an account", ctl_signatures_run },
    { "audit verify", NULL, 0, 0, verify_options,
      "does every line fit, up to the last?", run_verify },
    { "audit rotate", NULL, 0, 0, NULL, "close the file and begin the next",
      run_rotate },
    { "audit take-key", NULL, 0, 0, take_key_options,
      "the first key, given out once: keep it elsewhere", run_take_key },
    { 0 },
};
