/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The token's secret, its directory, and the token itself. The PIN is on disk
 * only as systemd encrypts it, and that comes first: a token whose PIN nobody
 * has would be lost. From there it goes through a pipe to the token helper,
 * which makes the token as its own user and asks for the recovery passphrase
 * itself.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/passphrase.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/setup-file.h"
#include "client-shim/setup-run.h"
#include "client-shim/setup.h"
#include "policy/policy.h"

#define SYSTEMD_CREDS "/usr/bin/systemd-creds"
#define CREDENTIAL_MAX (64 * 1024)
#define HELPER_SAYS_MAX 4096
#define PIN_OCTETS 32
#define TRIES 3 /* for a person to type it right */

/* ---- the credential ---- */

/* The unit passes on only what has this name. */
static bool credential_is_ours(const struct setup *s)
{
    static const char prefix[] = "acme-guardian-";
    const struct settings_token *t = s->token;

    return t->pin == SETTINGS_PIN_CREDENTIAL &&
           strncmp(t->pin_arg, prefix, strlen(prefix)) == 0 &&
           strcmp(t->pin_arg + strlen(prefix), s->name) == 0;
}

static char *credential_path(const struct setup *s)
{
    char *path = NULL;

    return asprintf(&path, SETUP_CREDSTORE "/%s", s->token->pin_arg) < 0 ? NULL
                                                                         : path;
}

/* Text, since a line's end would not count, and since some tokens want it. */
static int generate_pin(struct secret **ret)
{
    uint8_t random[PIN_OCTETS];
    CLEANUP_WIPE(wipe, random);
    char text[sodium_base64_ENCODED_LEN(
        PIN_OCTETS, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    CLEANUP_WIPE(wipe_text, text);

    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2base64(text, sizeof(text), random, sizeof(random),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return secret_new_copy(bytes_from_str(text), ret);
}

static int read_pin_file(const char *path, struct secret **ret)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r = fd < 0 ? -errno : secret_new_read(fd, true, ret);

    if (r == -ENODATA)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: is empty", path);
    return r ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
}

static int ask_pin(const struct setup *s, struct secret **ret)
{
    int r = PASSPHRASE_E_NONE;

    if (!s->interactive)
        return ctl_fail(CTL_EXIT_USAGE, "setup needs --pin-file here");
    for (int i = 0; i < TRIES; i++) {
        struct errmsg why = { 0 };

        r = passphrase_read(STDIN_FILENO, "PIN of the token: ", true, ret,
                            &why);
        if (r == 0)
            return CTL_EXIT_DONE;
        if (r != PASSPHRASE_E_DIFFER)
            break;
        (void)fputs("  These were two different ones.\n", stderr);
    }
    return ctl_fail(CTL_EXIT_MALFORMED, "no PIN was given");
}

/* A token that is made here gets one that nobody has to know. */
static int get_pin(const struct setup *s, struct secret **ret)
{
    const char *file = ctl_args_value(s->c, "--pin-file");
    int r;

    if (file)
        return read_pin_file(file, ret);
    if (s->backend == SETUP_BACKEND_MODULE)
        return ask_pin(s, ret);
    r = generate_pin(ret);
    return r ? ctl_fail_errno(r, "PIN") : CTL_EXIT_DONE;
}

/* A pipe that holds it all: a secret is smaller than what a pipe takes. */
static int pipe_with(const struct secret *secret, int *ret_fd)
{
    CLEANUP_FD int from = -1;
    CLEANUP_FD int to = -1;
    int fds[2];

    assert(secret);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    from = fds[0];
    to = fds[1];
    if (write(to, secret->data, secret->len) != (ssize_t)secret->len)
        return -EIO;
    *ret_fd = TAKE_FD(from);
    return 0;
}

static int encrypt(const struct setup *s, const struct secret *pin,
                   struct buf *out)
{
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_FD int in = -1;
    const char *argv[] = { "systemd-creds", "encrypt", NULL, "-", "-", NULL };
    struct run_program p = {
        .path = SYSTEMD_CREDS, .argv = argv, .out = -1, .extra = -1
    };
    int r;

    if (buf_printf(&name, "--name=%s", s->token->pin_arg))
        return setup_no_memory();
    argv[2] = buf_str(&name);
    r = pipe_with(pin, &in);
    if (r == 0) {
        p.in = in;
        r = run_capture(&p, CREDENTIAL_MAX, out);
    }
    if (r < 0)
        return ctl_fail_errno(r, SYSTEMD_CREDS);
    if (r > 0 || out->len == 0)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        SYSTEMD_CREDS " could not encrypt the PIN (exit %d): "
                                      "without a TPM it needs a key of this "
                                      "host in /var/lib/systemd, on a disk "
                                      "that lasts",
                        r);
    return CTL_EXIT_DONE;
}

static int make_credential(struct setup *s, const char *path)
{
    CLEANUP_SECRET struct secret *pin = NULL;
    CLEANUP_BUF struct buf encrypted = { 0 };
    int r;

    r = setup_dir_make(SETUP_CREDSTORE, 0700, 0, 0);
    if (r && r != SETUP_FILE_E_THERE)
        return ctl_fail_errno(r, SETUP_CREDSTORE);
    r = get_pin(s, &pin);
    if (r == 0)
        r = encrypt(s, pin, &encrypted);
    if (r)
        return r;
    r = setup_file_make(path, buf_bytes(&encrypted), 0600);
    if (r && r != SETUP_FILE_E_THERE)
        return ctl_fail_errno(r, path);
    setup_say(s, SETUP_MADE, "%s", path);
    return CTL_EXIT_DONE;
}

int setup_token_credential(struct setup *s)
{
    CLEANUP_FREE char *path = NULL;
    int r;

    if (!credential_is_ours(s)) {
        setup_say(s, SETUP_LEFT, "Pin= of %s:%u", s->token->file,
                  s->token->line);
        return CTL_EXIT_DONE;
    }
    path = credential_path(s);
    if (!path)
        return setup_no_memory();
    r = setup_file_there(path);
    if (r < 0)
        return ctl_fail_errno(r, path);
    if (r == SETUP_FILE_E_THERE)
        setup_say(s, SETUP_THERE, "%s", path);
    else if (s->dry_run)
        setup_say(s, SETUP_WOULD, "%s", path);
    else
        return make_credential(s, path);
    return CTL_EXIT_DONE;
}

/* ---- the directory ---- */

int setup_token_directory(struct setup *s)
{
    const char *path = s->token->directory;
    int r = 0;

    /* Without a user of its own the helper makes it, in the daemon's. */
    if (!s->token->helper_socket)
        return CTL_EXIT_DONE;
    if (s->dry_run) {
        r = setup_file_there(path);
        setup_say(s, r == SETUP_FILE_E_THERE ? SETUP_THERE : SETUP_WOULD, "%s/",
                  path);
        return r < 0 ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
    }
    if (strncmp(path, SETTINGS_TOKEN_DIR "/", strlen(SETTINGS_TOKEN_DIR "/")) ==
        0)
        r = setup_dir_make(SETTINGS_TOKEN_DIR, 0755, 0, 0);
    if (r == 0 || r == SETUP_FILE_E_THERE)
        r = setup_dir_make(path, 0700, s->helper.uid, s->helper.gid);
    if (r == -EPERM)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: must belong to %s, in a directory of root's that "
                        "nobody else can write",
                        path, s->helper.name);
    if (r && r != SETUP_FILE_E_THERE)
        return ctl_fail_errno(r, path);
    setup_say(s, r ? SETUP_THERE : SETUP_MADE, "%s/ (%s's)", path,
              s->helper.name);
    return CTL_EXIT_DONE;
}

/* ---- the token ---- */

/* What the PIN comes out of, again and again. */
static int start_decrypt(const struct setup *s, int *ret_fd, pid_t *ret_pid)
{
    CLEANUP_FREE char *path = credential_path(s);
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_FD int from = -1;
    CLEANUP_FD int to = -1;
    const char *argv[] = { "systemd-creds", "decrypt", NULL, path, "-", NULL };
    struct run_program p = {
        .path = SYSTEMD_CREDS, .argv = argv, .in = -1, .extra = -1
    };
    int fds[2];
    int r;

    if (!path || buf_printf(&name, "--name=%s", s->token->pin_arg))
        return -ENOMEM;
    argv[2] = buf_str(&name);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    from = fds[0];
    to = fds[1];
    p.out = to;
    r = run_start(&p, ret_pid);
    if (r == 0)
        *ret_fd = TAKE_FD(from);
    return r;
}

/* The passphrase goes to the helper; *ret_fd is -1 when there is none. */
static int open_passphrase(const struct setup *s, int *ret_fd)
{
    const char *file = ctl_args_value(s->c, "--recovery-passphrase-file");

    *ret_fd = -1;
    if (file && strcmp(file, "-") != 0)
        *ret_fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    else if (file || s->interactive)
        *ret_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        return CTL_EXIT_DONE;
    return *ret_fd < 0 ? ctl_fail_errno(-errno, file ? file : "stdin")
                       : CTL_EXIT_DONE;
}

/* SoftHSM2's own folder, where its configuration is ours. */
static int softhsm_folder(const struct setup *s, struct buf *ret)
{
    CLEANUP_BUF struct buf ours = { 0 };
    char **e = s->token->environment;

    if (buf_printf(&ours, "SOFTHSM2_CONF=%s/softhsm2-%s.conf", s->dir, s->name))
        return -ENOMEM;
    while (e && *e && strcmp(*e, buf_str(&ours)) != 0)
        e++;
    return e && *e ? buf_printf(ret, "%s/" SETUP_SOFTHSM_FOLDER,
                                s->token->directory)
                   : 0;
}

static const char *helper_command(const struct setup *s)
{
    bool sealed = s->backend == SETUP_BACKEND_SEALED;

    if (ctl_args_has(s->c, "--recover"))
        return sealed ? "reseal" : "reset-pin";
    return sealed ? "init-sealed" : "init-token";
}

/* The codes are our own, but for those of a program that did not get to run. */
static int helper_exit(int status)
{
    switch (status) {
    case CTL_EXIT_DONE:
    case CTL_EXIT_NO:
    case CTL_EXIT_MALFORMED:
    case CTL_EXIT_UNAVAILABLE:
    case CTL_EXIT_NOT_PERMITTED:
    case CTL_EXIT_CONFIG:
        return status;
    default:
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the token helper ended with status %d", status);
    }
}

static void fill_argv(const struct setup *s, const char *argv[static 10],
                      bool pin_fd)
{
    size_t n = 0;

    argv[n++] = "acme-guardian-token";
    argv[n++] = helper_command(s);
    argv[n++] = "--config";
    argv[n++] = s->dir;
    if (pin_fd) {
        argv[n++] = "--pin-fd";
        argv[n++] = "3"; /* RUN_EXTRA_FD */
    }
    if (!ctl_args_has(s->c, "--recover"))
        argv[n++] = "--if-needed";
    if (ctl_args_has(s->c, "--no-recovery"))
        argv[n++] = "--no-recovery";
    argv[n++] = s->name;
    argv[n] = NULL;
}

/* With @pin (-1: as Pin= says). Return: its exit status; negative errno. */
static int run_helper(const struct setup *s, int passphrase, int pin,
                      struct buf *says)
{
    const struct setup_user *user =
        s->token->helper_socket ? &s->helper : &s->daemon;
    const struct policy_names *names = &policy_names_nss;
    gid_t tss = 0; /* whose the TPM's device is */
    char path[CTL_HELPER_PATH_MAX];
    CLEANUP_BUF struct buf folder = { 0 };
    const char *argv[10];
    struct run_program p = {
        .path = path,
        .in = passphrase,
        .extra = pin,
        .as_user = true,
        .uid = user->uid,
        .gid = user->gid,
    };
    int r;

    r = ctl_helper_path(path);
    if (r)
        return r;
    r = softhsm_folder(s, &folder);
    if (r)
        return r;
    if (s->backend == SETUP_BACKEND_TPM &&
        names->gid("tss", &tss, names->userdata) == 0)
        p.group = tss;
    p.folder = folder.len > 0 ? buf_str(&folder) : NULL;
    fill_argv(s, argv, pin >= 0);
    p.argv = argv;
    return run_capture(&p, HELPER_SAYS_MAX, says);
}

static int try_init(const struct setup *s, struct buf *says)
{
    bool ours = credential_is_ours(s);
    CLEANUP_FD int passphrase = -1;
    CLEANUP_FD int pin = -1;
    pid_t decrypting = -1;
    int decrypted = 0;
    int r;

    r = open_passphrase(s, &passphrase);
    if (r)
        return r;
    r = ours ? start_decrypt(s, &pin, &decrypting) : 0;
    if (r)
        return ctl_fail_errno(r, SYSTEMD_CREDS);
    r = run_helper(s, passphrase, pin, says);
    if (pin >= 0)
        close(TAKE_FD(pin)); /* what nobody wanted ends by SIGPIPE */
    if (ours)
        decrypted = run_wait(decrypting);
    if (r < 0)
        return ctl_fail_errno(r, "acme-guardian-token");
    if (r > 0 && decrypted > 0 && decrypted < 128)
        (void)ctl_fail(CTL_EXIT_UNAVAILABLE,
                       SETUP_CREDSTORE "/%s cannot be decrypted: if this "
                                       "host's TPM or key is another now, "
                                       "remove it, and run setup --recover",
                       s->token->pin_arg);
    return helper_exit(r);
}

/* Which credentials another unit is given, only that unit knows. */
static bool can_init(const struct setup *s)
{
    return s->backend != SETUP_BACKEND_MODULE &&
           (s->token->pin != SETTINGS_PIN_CREDENTIAL || credential_is_ours(s));
}

int setup_token_init(struct setup *s)
{
    CLEANUP_BUF struct buf says = { 0 };
    int tries = s->interactive ? TRIES : 1;
    int r;

    if (!can_init(s)) {
        setup_say(s, SETUP_LEFT, "token %s: that it is initialised", s->name);
        return CTL_EXIT_DONE;
    }
    if (s->dry_run) {
        setup_say(s, SETUP_WOULD, "token %s, if it is not there", s->name);
        return CTL_EXIT_DONE;
    }
    do
        r = try_init(s, &says);
    while (r == CTL_EXIT_MALFORMED && --tries > 0);
    if (r)
        return r;
    setup_say(s, says.len > 0 ? SETUP_MADE : SETUP_THERE, "token %s (%s)",
              s->name, setup_backend_name(s->backend));
    return CTL_EXIT_DONE;
}
