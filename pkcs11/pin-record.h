/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"
#include "base/secret.h"

/*
 * Which PINs failed, across restarts: DIRECTORY/pin-failed (0600) holds a
 * random key and HMAC-SHA-256(key, PIN) of each, never a PIN. A try is written
 * down before it is made, so that a crash in the middle cannot make it free.
 */

enum pin_record_state {
    PIN_RECORD_UNSET = 0,
    PIN_RECORD_NEW,     /* nothing speaks against it */
    PIN_RECORD_CHANGED, /* as NEW; another one failed since the last good one */
    PIN_RECORD_FAILED,  /* this one failed, or died twice without an answer */
    PIN_RECORD_FULL,    /* too many failed: an operator has to look */
};

enum pin_record_outcome {
    PIN_RECORD_WRONG = 0, /* the token refused it */
    PIN_RECORD_GOOD,
    PIN_RECORD_UNANSWERED, /* the token did not judge it */
};

/* pin_record_open() - make the directory (0700) and lock it against our other
 * processes until *ret_dir_fd is closed. Return: 0; -EPERM if others can write
 * there, who could give a wrong PIN back its tries; negative errno. */
int pin_record_open(const char *directory, int *ret_dir_fd,
                    struct errmsg *reterr) MUST_CHECK;

/* pin_record_check() - may @pin be sent? A record that cannot be read is an
 * error, and then it may not. */
int pin_record_check(int dir_fd, const struct secret *pin,
                     enum pin_record_state *ret,
                     struct errmsg *reterr) MUST_CHECK;

/* pin_record_begin() - the try is about to be made; after 0 only. */
int pin_record_begin(int dir_fd, const struct secret *pin,
                     struct errmsg *reterr) MUST_CHECK;

int pin_record_end(int dir_fd, const struct secret *pin,
                   enum pin_record_outcome outcome,
                   struct errmsg *reterr) MUST_CHECK;

/* pin_record_unanswered() - the process that tried was ended since the token
 * hung: that try is free. */
int pin_record_unanswered(const char *directory,
                          struct errmsg *reterr) MUST_CHECK;

/* pin_record_forget() - an operator confirmed: all tries are free again. */
int pin_record_forget(const char *directory, struct errmsg *reterr) MUST_CHECK;
