/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The two commands that make and repair a sealed store. */
#include "pkcs11/init.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <sodium.h>

#include "pkcs11/pin-record.h"
#include "pkcs11/sealed-store.h"

static int exit_code(int r)
{
    switch (r) {
    case 0:
        return 0;
    case SEALED_E_EXISTS:
    case SEAL_E_WRONG:
    case SEAL_E_DAMAGED:
        return INIT_EXIT_REFUSED;
    case SEAL_E_WEAK:
        return INIT_EXIT_BAD_INPUT;
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
    return r ? init_say(e, exit_code(r)) : 0;
}

/* Before anything is typed. What cannot be opened, sealed_store_create() looks
 * at more closely. */
static bool store_there(const struct init_command *c)
{
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    struct errmsg e = { 0 };

    return sealed_store_open(c->token->directory, &store, &e) == 0;
}

int init_sealed_run(const struct init_command *c)
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
        return init_say(&e, EX_CONFIG);
    }
    if (store_there(c))
        return init_there(c, c->token->directory, "holds a sealed store");
    r = init_read_pin(c, &credential);
    if (r == 0 && !c->no_recovery)
        r = init_read_passphrase(true, &passphrase);
    if (r)
        return r;
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

int init_sealed_run_reseal(const struct init_command *c)
{
    CLEANUP_SECRET struct secret *credential = NULL;
    CLEANUP_SECRET struct secret *passphrase = NULL;
    CLEANUP_SEALED_STORE struct sealed_store *store = NULL;
    struct errmsg e = { 0 };
    int r;

    if (c->token->pin == SETTINGS_PIN_ASK) {
        errmsg_set(&e, "with Pin=ask there is no credential to seal for");
        return init_say(&e, EX_CONFIG);
    }
    r = init_read_pin(c, &credential);
    if (r)
        return r;
    r = sealed_store_open(c->token->directory, &store, &e);
    if (r)
        return report(r, &e);
    if (!sealed_store_has_slot(store, SEAL_KIND_PASSPHRASE)) {
        errmsg_set_at(&e, c->token->directory, 0,
                      "was made without a recovery passphrase");
        return init_say(&e, INIT_EXIT_REFUSED);
    }
    r = init_read_passphrase(false, &passphrase);
    if (r)
        return r;
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
