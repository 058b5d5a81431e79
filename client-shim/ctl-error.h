/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "client-shim/ctl.h"

/*
 * The daemon's errors (Varlink errors of ipc/ *.varlink) as an exit code and
 * as words that an operator understands.
 */

/**
 * ctl_error_explain() - pure
 * @name:       "org.acmeguardian.Signer.PolicyDenied"
 * @parameters: the error's, may be NULL
 * @ret_code:   what guardianctl exits with
 *
 * Appends one line without its end to @words.
 */
int ctl_error_explain(const char *name, const json_t *parameters,
                      enum ctl_exit *ret_code, struct buf *words) MUST_CHECK;

/* ctl_error_report() - the same on stderr, with --json also as an object on
 * stdout. Return: the exit code. */
int ctl_error_report(const struct ctl_context *c, const char *name,
                     json_t *parameters);
