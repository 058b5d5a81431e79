/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"

/*
 * The files that `guardianctl setup` writes, as text: pure, appended to a
 * buffer. What they are given was checked before.
 */

enum setup_backend {
    SETUP_BACKEND_UNSET = 0,
    SETUP_BACKEND_SOFTHSM,
    SETUP_BACKEND_TPM, /* tpm2-pkcs11 */
    SETUP_BACKEND_SEALED,
    SETUP_BACKEND_MODULE, /* another PKCS#11 module, its token initialised */
};

enum setup_backend setup_backend_parse(const char *word);
const char *setup_backend_name(enum setup_backend backend);

/* setup_conf_guardian() - guardian.conf: every key of settings_schema with its
 * default, as comments. Return: 0; -ENOMEM. */
int setup_conf_guardian(struct buf *b) MUST_CHECK;

struct setup_conf_token {
    const char *name;
    enum setup_backend backend;
    const char *module;       /* unless sealed */
    const char *token_uri;    /* NULL: pkcs11:token=NAME */
    const char *softhsm_conf; /* softhsm: path of its configuration */
    const char *directory;    /* the helper's */
    const char *tcti;         /* tpm: how it is reached */
    unsigned n_cpus;
};

/* setup_conf_token() - guardian.conf.d/token-NAME.conf */
int setup_conf_token(const struct setup_conf_token *t,
                     struct buf *b) MUST_CHECK;

/* setup_conf_softhsm() - softhsm2-NAME.conf, for $SOFTHSM2_CONF */
int setup_conf_softhsm(const struct setup_conf_token *t,
                       struct buf *b) MUST_CHECK;
#define SETUP_SOFTHSM_FOLDER "softhsm2" /* in the helper's directory */

struct setup_conf_policy {
    const char *user;
    const char *account;
    char *const *domains; /* ended by NULL */
};

/* setup_conf_policy() - policy.d/ACCOUNT.policy */
int setup_conf_policy(const struct setup_conf_policy *p,
                      struct buf *b) MUST_CHECK;
