/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-conversation.h"

/* What the daemon's rotation wants to know from the CA. Return: exit codes, as
 * in ctl-daemon.h. */

/**
 * ctl_rotate_ask() - one question: signed by the daemon, sent once on a
 * connection of its own, and the answer (or that there was none) told
 * @ask: a name of RotationSign's
 * @ret_heard: the CA answered at all
 */
int ctl_rotate_ask(struct ctl_conversation *v, const char *ask,
                   bool *ret_heard) MUST_CHECK;

/* ctl-rotate-changes.c */
extern const struct ctl_option ctl_rotate_changes_options[];
int ctl_rotate_run_changes(struct ctl_context *c);

/**
 * ctl_rotate_go_on() - all steps, until it is over, lost, or only time is left
 * @rotation: the newest; may be NULL at first; the caller's
 *
 * Where records must be seen on servers first, or a person must act, it ends
 * with v->waits. What the key outside has to sign, v->outside signs. Each new
 * state is printed.
 */
int ctl_rotate_go_on(struct ctl_conversation *v, json_t **rotation) MUST_CHECK;

/* ctl_rotate_is_good() - the new key signs, and at most the grace is left. */
bool ctl_rotate_is_good(const json_t *rotation);

/* What a key outside signs (ctl-rotate-outside.c): the request as the daemon
 * composed it; and, in a release, the inner JWS of a keyChange (*ret NULL: it
 * is no release). */
int ctl_rotate_sign_outside(const struct ctl_conversation *v,
                            json_t *jws) MUST_CHECK;
int ctl_rotate_sign_inner(struct ctl_conversation *v, json_t *p) MUST_CHECK;

/* rotate start (ctl-rotate-start.c). What the options say becomes parameters of
 * RotationStart; with --to-key-file there is v->outside, *ret's, and it is made
 * and added. */
int ctl_rotate_check_options(const struct ctl_context *c) MUST_CHECK;
int ctl_rotate_parameters(const struct ctl_context *c, json_t *p) MUST_CHECK;
int ctl_rotate_make_key(struct ctl_conversation *v,
                        struct outside_key **ret) MUST_CHECK;
int ctl_rotate_add_kind(const struct ctl_conversation *v, json_t *p) MUST_CHECK;
/* ctl_rotate_find_key() - the same key for rotate resume and abort, where the
 * rotation wants one. */
int ctl_rotate_find_key(struct ctl_conversation *v,
                        struct outside_key **ret) MUST_CHECK;

/* An account that needs to be resolved (ctl-rotate-resolve.c). */
bool ctl_rotate_is_unresolved(const struct ctl_conversation *v);
/* ctl_rotate_resolve() - *ret_rotation: there is one to go on with; else, and
 * where only its old key is left, the CA has said that the key is the
 * account's. */
int ctl_rotate_resolve(struct ctl_conversation *v,
                       bool *ret_rotation) MUST_CHECK;
/* ctl_rotate_settle() - after a rotation: if only the CA has to be asked. */
int ctl_rotate_settle(struct ctl_conversation *v) MUST_CHECK;

/* ctl_rotate_due() - rotate start --due: what is under way goes on, and what is
 * due by its schedule begins. */
int ctl_rotate_due(const struct ctl_context *c) MUST_CHECK;
/* ctl_rotate_resume() - ctl_rotate_go_on(), and what came of it is printed. */
int ctl_rotate_resume(struct ctl_conversation *v) MUST_CHECK;

/* What a command that starts a rotation has in its table of options; these
 * ctl_rotate_parameters() reads. */
#define CTL_ROTATE_OPTIONS                                                         \
    { "--key-type", "TYPE", "of the new key: ec-p256, rsa-3072, ...", 0,           \
      false,        false },                                                       \
        { "--token", "NAME", "where the new key is to live", 0, false, false },    \
        { "--new-key", "URI", "of a key that is there already", 0, false, false }, \
        { "--accept-weaker-key",                                                   \
          NULL,                                                                    \
          "the token may prove less of the new key than of the old",               \
          0,                                                                       \
          false,                                                                   \
          false },                                                                 \
        { "--keep-old-key",                                                        \
          NULL,                                                                    \
          "leave the old key on the token",                                        \
          0,                                                                       \
          false,                                                                   \
          false },                                                                 \
        { "--grace", "SECONDS", "until the old key is destroyed (86400)",          \
          0,         false,     false },                                           \
        { "--order-drain", "SECONDS", "an order is waited for so long (120)", 0,   \
          false,           false },                                                \
        { "--settle", "SECONDS", "what was signed has so long to arrive (5)",      \
          0,          false,     false },                                          \
    {                                                                              \
        "--cache-time", "SECONDS",                                                 \
            "front ends may know the old key so long (15)", 0, false, false        \
    }

/* ctl_rotate_nonce() - have one ready before signing is held; not an error if
 * there is none. */
int ctl_rotate_nonce(struct ctl_conversation *v, bool *ret_got) MUST_CHECK;
