/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/errmsg.h"
#include "base/secret.h"

/**
 * passphrase_read() - what a person types, or the first line of a pipe
 * @fd:    a terminal (asked with the echo off) or anything else (nothing is
 *         asked, one line is read, and not an octet more)
 * @twice: ask a terminal twice, and insist that both agree
 *
 * Return: 0; PASSPHRASE_E_NONE if nothing came or the person gave up,
 * PASSPHRASE_E_DIFFER; -E2BIG; negative errno. All with *reterr.
 */
int passphrase_read(int fd, const char *prompt, bool twice, struct secret **ret,
                    struct errmsg *reterr) MUST_CHECK;
#define PASSPHRASE_E_NONE 1
#define PASSPHRASE_E_DIFFER 2
