/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/init.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/confine.h"
#include "base/passphrase.h"
#include "pkcs11/pin.h"

#define FD_MAX 65535

/* Which options a command has, and for which backend it is. */
struct kind {
    const char *name;
    enum settings_backend backend;
    bool makes; /* --no-recovery, --if-needed */
    int (*run)(const struct init_command *c);
};

static const struct kind kinds[] = {
    { "init-sealed", SETTINGS_BACKEND_SEALED, true, init_sealed_run },
    { "reseal", SETTINGS_BACKEND_SEALED, false, init_sealed_run_reseal },
    { "init-token", SETTINGS_BACKEND_CRYPTOKI, true, init_token_run },
    { "reset-pin", SETTINGS_BACKEND_CRYPTOKI, false, init_token_run_reset_pin },
};

int init_say(const struct errmsg *e, int code)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (errmsg_format(e, &text))
        return code;
    (void)fprintf(stderr, "acme-guardian-token: %s\n", buf_str(&text));
    return code;
}

int init_there(const struct init_command *c, const char *path, const char *what)
{
    struct errmsg e = { 0 };

    if (c->if_needed)
        return 0;
    errmsg_set_at(&e, path, 0, "%s: it is never overwritten", what);
    return init_say(&e, INIT_EXIT_REFUSED);
}

static int usage(const struct kind *k)
{
    (void)fprintf(stderr,
                  "usage: acme-guardian-token %s [--config DIR] [--pin-fd N]%s "
                  "NAME\n",
                  k->name, k->makes ? " [--no-recovery] [--if-needed]" : "");
    return EX_USAGE;
}

static bool parse_fd(const char *text, int *ret)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < 3 || n > FD_MAX)
        return false;
    *ret = (int)n;
    return true;
}

static int parse(int argc, char *argv[], const struct kind *k,
                 struct init_command *ret)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "pin-fd", required_argument, NULL, 'p' },
        { "no-recovery", no_argument, NULL, 'n' },
        { "if-needed", no_argument, NULL, 'i' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    *ret = (struct init_command){
        .config_dir = SETTINGS_DIR,
        .pin_fd = -1,
        .credentials_dir = getenv("CREDENTIALS_DIRECTORY"),
    };
    optind = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c')
            ret->config_dir = optarg;
        else if (c == 'p' && parse_fd(optarg, &ret->pin_fd))
            continue;
        else if (c == 'n' && k->makes)
            ret->no_recovery = true;
        else if (c == 'i' && k->makes)
            ret->if_needed = true;
        else
            return usage(k);
    }
    if (optind != argc - 1)
        return usage(k);
    ret->name = argv[optind];
    return 0;
}

static int check_backend(const struct init_command *c, const struct kind *k)
{
    struct errmsg e = { 0 };

    if (c->token->backend == k->backend)
        return 0;
    errmsg_set_at(
        &e, c->token->file, c->token->line, "[Token %s] is not Backend=%s",
        c->name, k->backend == SETTINGS_BACKEND_SEALED ? "sealed" : "cryptoki");
    return init_say(&e, EX_CONFIG);
}

static int load(struct init_command *c, const struct kind *k)
{
    struct errmsg e = { 0 };
    int r;

    r = confine_process(&e);
    if (r)
        return init_say(&e, EX_OSERR);
    r = settings_load(c->config_dir, &c->settings, &e);
    if (r)
        return init_say(&e, r == -EACCES ? EX_NOPERM : EX_CONFIG);
    c->token = settings_token(c->settings, c->name);
    if (!c->token) {
        errmsg_set_at(&e, c->config_dir, 0, "has no [Token %s]", c->name);
        return init_say(&e, EX_CONFIG);
    }
    r = check_backend(c, k);
    if (r)
        return r;
    r = secrets_init(c->settings->allow_swappable, &e);
    return r ? init_say(&e, EX_UNAVAILABLE) : 0;
}

static void say_how_to_make_credential(const struct settings_token *t)
{
    bool sealed = t->backend == SETTINGS_BACKEND_SEALED;

    if (t->pin == SETTINGS_PIN_FILE)
        (void)fprintf(stderr,
                      "Make a random key, as the user that the helper runs "
                      "as:\n"
                      "    (umask 077; head -c 32 /dev/urandom%s > '%s')\n",
                      sealed ? "" : " | base64", t->pin_arg);
    else
        (void)fprintf(
            stderr,
            "guardianctl setup makes all of it. By hand: make one, sealed by "
            "the TPM where the host has one:\n"
            "    head -c 32 /dev/urandom%s | systemd-creds encrypt --name=%s - "
            "/etc/credstore.encrypted/%s\n"
            "and run this command with it:\n"
            "    systemd-run --pty --wait "
            "-p User=acme-guardian-token "
            "-p LoadCredentialEncrypted=%s "
            "acme-guardian-token %s %s\n",
            sealed ? "" : " | base64", t->pin_arg, t->pin_arg, t->pin_arg,
            sealed ? "init-sealed" : "init-token", t->name);
}

static int read_pin_fd(int fd, struct secret **ret)
{
    struct errmsg e = { 0 };
    int r = secret_new_read(fd, true, ret);

    if (r == 0)
        return 0;
    errmsg_set(&e, "nothing could be read from --pin-fd: %s",
               r == -ENODATA ? "it is empty" : strerror(-r));
    return init_say(&e, EX_CONFIG);
}

int init_read_pin(const struct init_command *c, struct secret **ret)
{
    const struct settings_token *t = c->token;
    struct backend_error e = { 0 };

    if (c->pin_fd >= 0)
        return read_pin_fd(c->pin_fd, ret);
    /* For a store the passphrase itself is what is asked for at each start. */
    if (t->pin == SETTINGS_PIN_ASK && t->backend == SETTINGS_BACKEND_SEALED)
        return 0;
    if (t->pin == SETTINGS_PIN_NONE) {
        (void)fprintf(stderr,
                      "acme-guardian-token: %s:%u: [Token %s] needs "
                      "Pin=\n",
                      t->file, t->line, t->name);
        return EX_CONFIG;
    }
    if (pin_read(t, c->credentials_dir, ret, &e) == TOKEN_S_OK)
        return 0;
    (void)fprintf(stderr, "acme-guardian-token: %s\n", e.text);
    if (t->pin != SETTINGS_PIN_ASK)
        say_how_to_make_credential(t);
    return EX_CONFIG;
}

int init_read_passphrase(bool twice, struct secret **ret)
{
    struct errmsg e = { 0 };

    if (passphrase_read(STDIN_FILENO,
                        twice ? "Recovery passphrase (12 characters or "
                                "more): "
                              : "Recovery passphrase: ",
                        twice, ret, &e))
        return init_say(&e, INIT_EXIT_BAD_INPUT);
    return 0;
}

int init_main(int argc, char *argv[])
{
    struct init_command c;
    int r;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, argv[0]) != 0)
            continue;
        r = parse(argc, argv, &kinds[i], &c);
        if (r)
            return r;
        r = load(&c, &kinds[i]);
        if (r == 0)
            r = kinds[i].run(&c);
        (void)settings_free(c.settings);
        return r;
    }
    return -1;
}
