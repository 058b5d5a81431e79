/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"
#include "base/secret.h"

/*
 * Where a secret of the command line lies: "file:PATH" or "credential:NAME".
 *
 * A credential is a file of $CREDENTIALS_DIRECTORY where a unit runs the
 * command. Else it is /etc/credstore/NAME, or what systemd-creds(1) decrypts
 * from /etc/credstore.encrypted/NAME: the places from which a unit with
 * ImportCredential= gets it.
 */

/**
 * credential_read() - the secret, without one trailing newline
 * @source: as above
 *
 * A file must be its owner's alone (root's or ours; 0600, 0400 or less).
 *
 * Return: 0; CONFIG_E_INVALID with *reterr for a source of another form or an
 * untrusted or empty file; negative errno with *reterr.
 */
int credential_read(const char *source, struct secret **ret,
                    struct errmsg *reterr) MUST_CHECK;

/* credential_source_ok() - has that form: an absolute PATH; a NAME as
 * systemd's, without '/', not hidden. */
bool credential_source_ok(const char *source);
