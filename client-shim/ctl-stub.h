/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-daemon.h"
#include "client-shim/stub-files.h"

/* Stubs for an account as the daemon knows it. Return: exit codes, as in
 * ctl-daemon.h. */

/**
 * ctl_stub_make() - the stub of an account
 * @account: the daemon's object
 * @socket:  where its client finds the daemon; NULL: --socket, or the settings'
 */
int ctl_stub_make(const struct ctl_context *c, const json_t *account,
                  const char *socket, struct stub *ret) MUST_CHECK;

/* ctl_stub_make_for() - asks the daemon first: as an operator, or, who is not
 * root, as a client. */
int ctl_stub_make_for(const struct ctl_context *c, const char *name,
                      const char *socket, struct stub *ret) MUST_CHECK;

/* ctl_stub_list() - have it refreshed when the key changes. */
int ctl_stub_list(const struct ctl_context *c, const char *account,
                  const char *path) MUST_CHECK;

/* ctl_fail_files() - of owner-files.h, stub-files.h. */
int ctl_fail_files(int r, const struct errmsg *e, const char *what);
