/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * init-token and reset-pin: a PKCS#11 token made and repaired through its own
 * interface, so that no PIN is in anybody's argv. The recovery passphrase is
 * the security officer's PIN: with it the user's PIN can be set anew when the
 * credential of Pin= is lost, and the keys stay.
 *
 * C_InitToken and C_InitPIN are two calls, and not all tokens say whether the
 * second was made. So a file in Directory= says that the first was begun: after
 * a crash between them the next run does the second, and a token without that
 * file is somebody's, and is left alone.
 */
#include "pkcs11/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sysexits.h>

#include <sodium.h>

#include "pkcs11/cryptoki.h"
#include "pkcs11/module-env.h"
#include "pkcs11/pin-record.h"
#include "pkcs11/seal.h"
#include "pkcs11/sealed-dir.h"
#include "pkcs11/token-uri.h"
#include "pkcs11/watchdog.h"

#define BEGUN_FILE "init-token.begun"
#define SO_PIN_OCTETS 16

struct making {
    const struct init_command *command;
    struct sealed_dir dir;
    int lock;
    bool begun; /* BEGUN_FILE is there */
    struct watchdog dog;
    struct backend *backend;
    P11KitUri *uri;
    unsigned matches;      /* tokens that fit Token= */
    struct secret *pin;    /* the user's */
    struct secret *so_pin; /* the recovery passphrase, or what stands for it */
    int out;               /* stdout; what the module prints goes to stderr */
    struct backend_error err;
};

static noreturn void on_late(void *userdata)
{
    (void)userdata;
    (void)!write(STDERR_FILENO,
                 "acme-guardian-token: the token does not answer\n", 47);
    _exit(EX_UNAVAILABLE);
}

static int fail(const struct making *m)
{
    struct errmsg e = { 0 };

    errmsg_set(&e, "token %s: %s", m->command->name, m->err.text);
    return init_say(&e, m->err.result == TOKEN_S_PIN_WRONG ? INIT_EXIT_BAD_INPUT
                                                           : EX_UNAVAILABLE);
}

static int fail_errno(int r, struct errmsg *e)
{
    if (!e->text[0])
        errmsg_set(e, "%s", strerror(-r));
    return init_say(e,
                    r == -EPERM || r == -EACCES ? EX_NOPERM : EX_UNAVAILABLE);
}

/* ---- Directory= ---- */

static int open_directory(struct making *m)
{
    const char *path = m->command->token->directory;
    struct errmsg e = { 0 };
    int r;

    r = sealed_dir_make(path, &e);
    if (r == 0)
        r = sealed_dir_open(path, &m->dir, &e);
    if (r == 0)
        r = sealed_dir_lock(&m->dir, &m->lock, &e);
    m->begun = r == 0 &&
               faccessat(m->dir.fd, BEGUN_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    return r ? fail_errno(r, &e) : 0;
}

static int note_begun(struct making *m)
{
    struct errmsg e = { 0 };
    int r = 0;

    if (!m->begun)
        r = sealed_dir_write(&m->dir, BEGUN_FILE, (struct bytes){ 0 }, false,
                             &e);
    return r ? fail_errno(r, &e) : 0;
}

static int note_done(struct making *m)
{
    struct errmsg e = { 0 };
    int r = sealed_dir_remove(&m->dir, BEGUN_FILE, &e);

    return r ? fail_errno(r, &e) : 0;
}

/* ---- the module ---- */

static enum token_result load_and_match(struct making *m)
{
    enum token_result r;

    r = cryptoki_load(m->command->token, &m->backend, &m->uri, &m->err);
    return r == TOKEN_S_OK
               ? cryptoki_match(m->backend, m->uri, &m->matches, &m->err)
               : r;
}

static int open_module(struct making *m)
{
    const struct settings_token *token = m->command->token;
    struct errmsg e = { 0 };
    enum token_result r;
    int e_no;

    e_no = watchdog_start(&m->dog, token->timeout_ms, on_late, NULL);
    if (e_no == 0)
        e_no = module_env_set(token);
    if (e_no == 0) {
        (void)fflush(stdout);
        m->out = dup(STDOUT_FILENO);
        if (m->out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
            e_no = -errno;
    }
    if (e_no)
        return fail_errno(e_no, &e);
    watch_start(&m->dog.watches[0], token->timeout_ms);
    r = load_and_match(m);
    watch_stop(&m->dog.watches[0]);
    return r == TOKEN_S_OK ? 0 : fail(m);
}

/* ---- the secrets ---- */

/* Without a recovery passphrase nobody is to know the security officer's PIN;
 * but a run that was interrupted has to find it again. */
static int derive_so_pin(struct making *m)
{
    static const uint8_t purpose[] = "acme-guardian security officer";
    uint8_t hash[SO_PIN_OCTETS];
    CLEANUP_WIPE(wipe, hash);
    char hex[2 * SO_PIN_OCTETS + 1];
    CLEANUP_WIPE(wipe_hex, hex);
    crypto_generichash_state state;
    CLEANUP_WIPE(wipe_state, state);

    (void)crypto_generichash_init(&state, NULL, 0, sizeof(hash));
    (void)crypto_generichash_update(&state, purpose, sizeof(purpose));
    (void)crypto_generichash_update(&state, m->pin->data, m->pin->len);
    (void)crypto_generichash_final(&state, hash, sizeof(hash));
    (void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
    return secret_new_copy(
        (struct bytes){ (const uint8_t *)hex, sizeof(hex) - 1 }, &m->so_pin);
}

static int check_passphrase(const struct making *m)
{
    struct errmsg e = { 0 };

    if (m->so_pin->len >= SEAL_PASSPHRASE_MIN)
        return 0;
    errmsg_set(&e, "the recovery passphrase is shorter than %d characters",
               SEAL_PASSPHRASE_MIN);
    return init_say(&e, INIT_EXIT_BAD_INPUT);
}

static int read_secrets(struct making *m)
{
    struct errmsg e = { 0 };
    int r;

    r = init_read_pin(m->command, &m->pin);
    if (r)
        return r;
    if (m->command->no_recovery) {
        r = derive_so_pin(m);
        return r ? fail_errno(r, &e) : 0;
    }
    r = init_read_passphrase(true, &m->so_pin);
    return r ? r : check_passphrase(m);
}

/* ---- init-token ---- */

static enum token_result make_token(struct making *m)
{
    if (m->matches > 0) /* an earlier run got this far */
        return TOKEN_S_OK;
    return cryptoki_init_token(m->backend, m->uri, m->so_pin, &m->err);
}

static int make(struct making *m)
{
    const struct init_command *c = m->command;
    enum token_result r = TOKEN_S_OK;
    int code;

    if (m->matches == 0)
        r = cryptoki_find_blank(m->backend, m->uri, &m->err);
    if (r != TOKEN_S_OK)
        return fail(m);
    code = read_secrets(m);
    if (code)
        return code;
    r = cryptoki_check_pin_lengths(m->backend, m->so_pin, m->pin, &m->err);
    if (r != TOKEN_S_OK)
        return fail(m);
    code = note_begun(m);
    if (code)
        return code;
    watch_start(&m->dog.watches[0],
                c->token->timeout_ms * TOKEN_GENERATE_TIMEOUTS);
    r = make_token(m);
    if (r == TOKEN_S_OK)
        r = cryptoki_init_pin(m->backend, m->so_pin, m->pin, &m->err);
    watch_stop(&m->dog.watches[0]);
    if (r == TOKEN_S_PIN_WRONG)
        (void)fprintf(stderr,
                      "acme-guardian-token: an earlier run began this token "
                      "with another recovery passphrase: that one is needed\n");
    if (r != TOKEN_S_OK)
        return fail(m);
    code = note_done(m);
    if (code == 0)
        (void)dprintf(m->out, "token %s initialised; its PIN is %s\n", c->name,
                      c->no_recovery
                          ? "the secret of Pin=, and nothing replaces it"
                          : "the secret of Pin=; the recovery passphrase, its "
                            "security officer's PIN, can set another");
    return code;
}

static int init(struct making *m)
{
    int r;

    r = open_directory(m);
    if (r == 0)
        r = open_module(m);
    if (r)
        return r;
    if (m->matches > 0 && !m->begun)
        return init_there(m->command, m->command->token->directory,
                          "its token is initialised");
    return make(m);
}

/* ---- reset-pin ---- */

static int reset_pin(struct making *m)
{
    enum token_result r;
    struct errmsg e = { 0 };

    watch_start(&m->dog.watches[0],
                m->command->token->timeout_ms * TOKEN_GENERATE_TIMEOUTS);
    r = cryptoki_init_pin(m->backend, m->so_pin, m->pin, &m->err);
    watch_stop(&m->dog.watches[0]);
    if (r == TOKEN_S_PIN_WRONG) {
        errmsg_set(&e, "token %s: wrong recovery passphrase", m->command->name);
        return init_say(&e, INIT_EXIT_REFUSED);
    }
    return r == TOKEN_S_OK ? 0 : fail(m);
}

static int reset(struct making *m)
{
    struct errmsg e = { 0 };
    int r;

    r = init_read_pin(m->command, &m->pin);
    if (r == 0)
        r = open_module(m);
    if (r)
        return r;
    if (m->matches != 1) {
        errmsg_set(&e, "%u initialised tokens match Token=%s", m->matches,
                   m->command->token->token_uri);
        return init_say(&e, EX_UNAVAILABLE);
    }
    r = init_read_passphrase(false, &m->so_pin);
    if (r == 0)
        r = reset_pin(m);
    if (r)
        return r;
    r = pin_record_forget(m->command->token->directory, &e);
    if (r)
        return fail_errno(r, &e);
    (void)dprintf(m->out,
                  "token %s: its PIN is the secret of Pin= of now\n"
                  "A running helper tries again after: guardianctl token "
                  "unlock %s\n",
                  m->command->name, m->command->name);
    return 0;
}

static int run(const struct init_command *c, int (*fn)(struct making *m))
{
    struct making m = {
        .command = c, .dir = { .fd = -1 }, .lock = -1, .out = -1
    };
    int r = fn(&m);

    if (m.lock >= 0)
        close(m.lock);
    if (m.out >= 0)
        close(m.out);
    sealed_dir_deinit(&m.dir);
    p11_kit_uri_free(m.uri);
    (void)secret_free(m.pin);
    (void)secret_free(m.so_pin);
    /* The module stays loaded: its destructors crash, and we end at once. */
    (void)fflush(stdout);
    _exit(r);
}

int init_token_run(const struct init_command *c)
{
    return run(c, init);
}

int init_token_run_reset_pin(const struct init_command *c)
{
    return run(c, reset);
}
