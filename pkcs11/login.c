/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/login.h"

#include "pkcs11/pin-record.h"
#include "pkcs11/pin.h"

void login_init(struct login *l, const struct settings_token *settings,
                const struct backend_ops *ops, struct backend *backend,
                const char *credentials_dir)
{
    *l = (struct login){ .settings = settings,
                         .ops = ops,
                         .backend = backend,
                         .credentials_dir = credentials_dir,
                         .lock = PTHREAD_MUTEX_INITIALIZER };
}

/* No record, no try: a PIN that cannot be remembered as wrong is not sent. */
static enum token_result unrecorded(const struct errmsg *why,
                                    struct backend_error *reterr)
{
    return backend_fail(
        reterr, TOKEN_S_PIN_MISSING, BACKEND_CURE_NONE, 0,
        "the PIN was not sent, since it could not be remembered "
        "as wrong: %s%s%s",
        why->file, why->file[0] ? ": " : "", why->text);
}

static enum token_result judge(enum pin_record_state state,
                               struct backend_error *reterr)
{
    if (state == PIN_RECORD_FAILED)
        return refuse_token(reterr, TOKEN_S_PIN_WRONG,
                            "this PIN failed before and is not sent again: "
                            "change it, or confirm it with guardianctl token "
                            "unlock");
    if (state == PIN_RECORD_FULL)
        return refuse_token(reterr, TOKEN_S_PIN_WRONG,
                            "too many PINs have failed: confirm with "
                            "guardianctl token unlock");
    return TOKEN_S_OK;
}

static enum pin_record_outcome outcome_of(enum token_result r)
{
    if (r == TOKEN_S_OK)
        return PIN_RECORD_GOOD;
    return r == TOKEN_S_PIN_WRONG ? PIN_RECORD_WRONG : PIN_RECORD_UNANSWERED;
}

static enum token_result send_recorded(struct login *l, int dir_fd,
                                       const struct secret *pin, bool confirmed,
                                       struct backend_error *reterr)
{
    enum pin_record_state state = PIN_RECORD_UNSET;
    struct errmsg why = { 0 };
    enum token_result r;
    unsigned flags = 0;

    if (pin_record_check(dir_fd, pin, &state, &why))
        return unrecorded(&why, reterr);
    r = judge(state, reterr);
    if (r != TOKEN_S_OK)
        return r;
    if (pin_record_begin(dir_fd, pin, &why))
        return unrecorded(&why, reterr);
    if (state == PIN_RECORD_CHANGED)
        flags |= BACKEND_LOGIN_CHANGED;
    if (confirmed)
        flags |= BACKEND_LOGIN_CONFIRMED;
    r = l->ops->login(l->backend, pin, flags, reterr);
    /* Should this fail, the try stays written down as one without an answer. */
    if (pin_record_end(dir_fd, pin, outcome_of(r), &why) && r == TOKEN_S_OK)
        return unrecorded(&why, reterr);
    return r;
}

static enum token_result attempt(struct login *l, bool confirmed,
                                 struct watch *watch,
                                 struct backend_error *reterr)
{
    CLEANUP_SECRET struct secret *pin = NULL;
    CLEANUP_FD int dir_fd = -1;
    struct errmsg why = { 0 };
    enum token_result r;

    r = pin_read(l->settings, l->credentials_dir, &pin, reterr);
    if (r != TOKEN_S_OK)
        return r;
    if (watch)
        watch_start(watch, l->settings->timeout_ms);
    if (!pin)
        return l->ops->login(l->backend, NULL,
                             confirmed ? BACKEND_LOGIN_CONFIRMED : 0, reterr);
    if (pin_record_open(l->settings->directory, &dir_fd, &why))
        return unrecorded(&why, reterr);
    return send_recorded(l, dir_fd, pin, confirmed, reterr);
}

enum token_result login_first(struct login *l, bool confirmed,
                              struct watch *watch, struct backend_error *reterr)
{
    enum token_result r;

    pthread_mutex_lock(&l->lock);
    r = attempt(l, confirmed, watch, reterr);
    if (r == TOKEN_S_OK)
        l->generation++;
    pthread_mutex_unlock(&l->lock);
    return r;
}

unsigned login_generation(struct login *l)
{
    unsigned generation;

    pthread_mutex_lock(&l->lock);
    generation = l->generation;
    pthread_mutex_unlock(&l->lock);
    return generation;
}

enum token_result login_again(struct login *l, unsigned seen,
                              struct backend_error *reterr)
{
    enum token_result r = TOKEN_S_OK;

    /* Nobody stands by to be asked while a request waits. */
    if (l->settings->pin == SETTINGS_PIN_ASK)
        return backend_fail(reterr, TOKEN_S_FAILED, BACKEND_CURE_RESTART, 0,
                            "the token has forgotten the login");
    pthread_mutex_lock(&l->lock);
    if (l->generation == seen) {
        r = attempt(l, false, NULL, reterr);
        if (r == TOKEN_S_OK)
            l->generation++;
    }
    pthread_mutex_unlock(&l->lock);
    return r;
}
