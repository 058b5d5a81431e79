/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-conversation.h"

/* account move: another account at the CA takes an account's place. */

extern const struct ctl_option ctl_move_options[];
int ctl_move_run(struct ctl_context *c);

/* ctl_move_parameters() - what RotationSign needs for register, of
 * v->registration and of the rotation's new key. */
int ctl_move_parameters(struct ctl_conversation *v, json_t *p) MUST_CHECK;

/* ctl_move_refused() - of an answer to register or deactivate-old, that was
 * told: the CA does not do it, and asking again would change nothing. */
bool ctl_move_refused(const struct ctl_conversation *v, const char *ask,
                      const json_t *rotation);
