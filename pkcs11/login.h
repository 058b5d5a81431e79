/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pthread.h>

#include "pkcs11/backend.h"
#include "pkcs11/watchdog.h"

/*
 * Logging in, at the start and when the token has forgotten it. No PIN that the
 * token refused is sent again, by any of our processes, before or after a
 * restart, until it changes or an operator confirms it.
 */
struct login {
    const struct settings_token *settings;
    const struct backend_ops *ops;
    struct backend *backend;
    const char *credentials_dir;
    pthread_mutex_t lock;
    unsigned generation; /* counts logins */
};

void login_init(struct login *l, const struct settings_token *settings,
                const struct backend_ops *ops, struct backend *backend,
                const char *credentials_dir);

/**
 * login_first() - read the PIN, which may wait for a person, and log in
 * @confirmed: TOKEN_OP_UNLOCK asked for it
 * @watch:     started when the token has its turn; the caller stops it
 */
enum token_result login_first(struct login *l, bool confirmed,
                              struct watch *watch,
                              struct backend_error *reterr);

unsigned login_generation(struct login *l);

/* login_again() - unless another thread has done so since @seen, the
 * login_generation() before the call that failed. */
enum token_result login_again(struct login *l, unsigned seen,
                              struct backend_error *reterr);
