/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/errmsg.h"

/*
 * Questions on the terminal: asked on stderr, answered on stdin, and asked
 * again until the answer is good. Secrets are not asked here
 * (base/passphrase.h).
 */

/* Return: is the answer good? If not, with words why. */
typedef bool (*ask_check_fn)(const char *answer, void *userdata,
                             struct errmsg *reterr);

/**
 * ask_text() - one line
 * @question: without its colon
 * @preset:   the answer that an empty line gives; NULL: none, "" is checked too
 *
 * Return: 0; ASK_E_END when stdin ends; negative errno.
 */
int ask_text(const char *question, const char *preset, ask_check_fn check,
             void *userdata, char **ret) MUST_CHECK;
#define ASK_E_END 1

/* ask_yes() - an empty line is yes. Return: as ask_text(). */
int ask_yes(const char *question, bool *ret) MUST_CHECK;
