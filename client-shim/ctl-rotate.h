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

/* ctl_rotate_nonce() - have one ready before signing is held; not an error if
 * there is none. */
int ctl_rotate_nonce(struct ctl_conversation *v, bool *ret_got) MUST_CHECK;
