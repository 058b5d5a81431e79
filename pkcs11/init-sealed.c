/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The two commands that make and repair a sealed store. They run in the helper
 * because nobody else handles its secrets; the passphrase comes from the
 * terminal or a pipe, never from argv or the environment.
 */
#include "pkcs11/init-sealed.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <sodium.h>

#include "base/confine.h"
#include "base/settings.h"
#include "pkcs11/passphrase.h"
#include "pkcs11/pin-record.h"
#include "pkcs11/pin.h"
#include "pkcs11/sealed-store.h"

#define EXIT_REFUSED 1
#define EXIT_BAD_INPUT 2

struct command {
    const char *config_dir;
    bool no_recovery;
    const char *name;
    struct settings *settings;
    const struct settings_token *token;
};

static int say_errmsg(const struct errmsg *e, int code)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (errmsg_format(e, &text))
        return code;
    (void)fprintf(stderr, "acme-guardian-token: %s\n", buf_str(&text));
    return code;
}

static int usage(const char *command)
{
    (void)fprintf(
        stderr, "usage: acme-guardian-token %s [--config DIR]%s NAME\n",
        command, strcmp(command, "reseal") == 0 ? "" : " [--no-recovery]");
    return EX_USAGE;
}

static int parse(int argc, char *argv[], bool may_skip_recovery,
                 struct command *ret)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "no-recovery", no_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    *ret = (struct command){ .config_dir = SETTINGS_DIR };
    optind = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c')
            ret->config_dir = optarg;
        else if (c == 'n' && may_skip_recovery)
            ret->no_recovery = true;
        else
            return usage(argv[0]);
    }
    if (optind != argc - 1)
        return usage(argv[0]);
    ret->name = argv[optind];
    return 0;
}

static int load(struct command *c)
{
    struct errmsg e = { 0 };
    int r;

    r = confine_process(&e);
    if (r)
        return say_errmsg(&e, EX_OSERR);
    r = settings_load(c->config_dir, &c->settings, &e);
    if (r)
        return say_errmsg(&e, r == -EACCES ? EX_NOPERM : EX_CONFIG);
    c->token = settings_token(c->settings, c->name);
    if (!c->token) {
        errmsg_set_at(&e, c->config_dir, 0, "has no [Token %s]", c->name);
        return say_errmsg(&e, EX_CONFIG);
    }
    if (c->token->backend != SETTINGS_BACKEND_SEALED) {
        errmsg_set_at(&e, c->token->file, c->token->line,
                      "[Token %s] is not Backend=sealed", c->name);
        return say_errmsg(&e, EX_CONFIG);
    }
    r = secrets_init(c->settings->allow_swappable, &e);
    return r ? say_errmsg(&e, EX_UNAVAILABLE) : 0;
}

static void say_how_to_make_credential(const struct settings_token *t)
{
    if (t->pin == SETTINGS_PIN_FILE)
        (void)fprintf(stderr,
                      "Make a random key, as the user that the helper runs "
                      "as:\n"
                      "    (umask 077; head -c 32 /dev/urandom > '%s')\n",
                      t->pin_arg);
    else
        (void)fprintf(
            stderr,
            "Make one, sealed by the TPM where the host has one:\n"
            "    head -c 32 /dev/urandom | systemd-creds encrypt --name=%s - "
            "/etc/credstore.encrypted/%s\n"
            "and run this command with it:\n"
            "    systemd-run --pty --wait "
            "-p User=acme-guardian-token "
            "-p LoadCredentialEncrypted=%s "
            "acme-guardian-token init-sealed %s\n",
            t->pin_arg, t->pin_arg, t->pin_arg, t->name);
}

/* *ret stays NULL with Pin=ask: the passphrase itself opens the store then. */
static int read_credential(const struct command *c, struct secret **ret)
{
    const struct settings_token *t = c->token;
    struct backend_error e = { 0 };

    if (t->pin == SETTINGS_PIN_ASK)
        return 0;
    if (t->pin == SETTINGS_PIN_NONE) {
        (void)fprintf(stderr,
                      "acme-guardian-token: %s:%u: a sealed store needs Pin=\n",
                      t->file, t->line);
        return EX_CONFIG;
    }
    if (pin_read(t, getenv("CREDENTIALS_DIRECTORY"), ret, &e) == TOKEN_S_OK)
        return 0;
    (void)fprintf(stderr, "acme-guardian-token: %s\n", e.text);
    say_how_to_make_credential(t);
    return EX_CONFIG;
}

static int exit_code(int r)
{
    switch (r) {
    case 0:
        return 0;
    case SEALED_E_EXISTS:
    case SEAL_E_WRONG:
    case SEAL_E_DAMAGED:
        return EXIT_REFUSED;
    case SEAL_E_WEAK:
        return EXIT_BAD_INPUT;
    case SEALED_E_UNTRUSTED:
        return EX_CONFIG;
    case -EACCES:
    case -EPERM:
        return EX_NOPERM;
    default:
        return EX_UNAVAILABLE;
    }
}

static int report(int r, struct errmsg *e)
{
    if (r && e->text[0] == '\0')
        errmsg_set(e, "%s", r < 0 ? strerror(-r) : "failed");
    return r ? say_errmsg(e, exit_code(r)) : 0;
}

/* Before anything is typed: a store that is there will not be overwritten. */
static int refuse_store(const struct command *c)
{
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    struct errmsg e = { 0 };

    if (sealed_store_open(c->token->directory, &store, &e) != 0)
        return 0; /* sealed_store_create() looks closer */
    errmsg_set_at(&e, c->token->directory, 0,
                  "holds a sealed store: it is never overwritten");
    return say_errmsg(&e, EXIT_REFUSED);
}

static int init(const struct command *c)
{
    CLEANUP_SECRET struct secret *credential = NULL;
    CLEANUP_SECRET struct secret *passphrase = NULL;
    struct sealed_secrets secrets = {
        .limits = { crypto_pwhash_OPSLIMIT_MODERATE,
                    crypto_pwhash_MEMLIMIT_MODERATE },
    };
    struct errmsg e = { 0 };
    int r;

    if (c->no_recovery && c->token->pin == SETTINGS_PIN_ASK) {
        errmsg_set(&e, "with Pin=ask the recovery passphrase is what opens "
                       "the store: --no-recovery would leave nothing");
        return say_errmsg(&e, EX_CONFIG);
    }
    r = refuse_store(c);
    if (r == 0)
        r = read_credential(c, &credential);
    if (r)
        return r;
    if (!c->no_recovery &&
        passphrase_read(STDIN_FILENO,
                        "Recovery passphrase (12 characters or more): ", true,
                        &passphrase, &e))
        return say_errmsg(&e, EXIT_BAD_INPUT);
    secrets.credential = credential;
    secrets.passphrase = passphrase;
    r = sealed_store_create(c->token->directory, &secrets, &e);
    if (r)
        return report(r, &e);
    (void)printf("sealed store made in %s, opened by %s%s%s\n"
                 "Its keys are encrypted software: whoever can run code as the "
                 "token helper can copy them.\n",
                 c->token->directory, credential ? "the credential" : "",
                 credential && passphrase ? " and " : "",
                 passphrase ? "the recovery passphrase" : "");
    return 0;
}

static int reseal(const struct command *c)
{
    CLEANUP_SECRET struct secret *credential = NULL;
    CLEANUP_SECRET struct secret *passphrase = NULL;
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    struct errmsg e = { 0 };
    int r;

    if (c->token->pin == SETTINGS_PIN_ASK) {
        errmsg_set(&e, "with Pin=ask there is no credential to seal for");
        return say_errmsg(&e, EX_CONFIG);
    }
    r = read_credential(c, &credential);
    if (r)
        return r;
    r = sealed_store_open(c->token->directory, &store, &e);
    if (r)
        return report(r, &e);
    if (!sealed_store_has_slot(store, SEAL_KIND_PASSPHRASE)) {
        errmsg_set_at(&e, c->token->directory, 0,
                      "was made without a recovery passphrase");
        return say_errmsg(&e, EXIT_REFUSED);
    }
    if (passphrase_read(STDIN_FILENO, "Recovery passphrase: ", false,
                        &passphrase, &e))
        return say_errmsg(&e, EXIT_BAD_INPUT);
    r = sealed_store_unlock(store, SEAL_KIND_PASSPHRASE, passphrase, &e);
    if (r == 0)
        r = sealed_store_reseal(store, credential, &e);
    /* What failed against the old slots is no reason not to try it now. */
    if (r == 0)
        r = pin_record_forget(c->token->directory, &e);
    if (r)
        return report(r, &e);
    (void)printf("sealed store in %s: the credential of now opens it, earlier "
                 "ones no longer do\n"
                 "A running helper tries again after: guardianctl token "
                 "unlock %s\n",
                 c->token->directory, c->name);
    return 0;
}

static int run(int argc, char *argv[], bool may_skip_recovery,
               int (*fn)(const struct command *c))
{
    struct command c;
    int r;

    r = parse(argc, argv, may_skip_recovery, &c);
    if (r)
        return r;
    r = load(&c);
    if (r == 0)
        r = fn(&c);
    (void)settings_free(c.settings);
    return r;
}

int init_sealed_main(int argc, char *argv[])
{
    return run(argc, argv, true, init);
}

int reseal_main(int argc, char *argv[])
{
    return run(argc, argv, false, reseal);
}
