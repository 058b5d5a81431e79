/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/errmsg.h"

/* Starting and reaching a token helper. */

/*
 * helper_find() - where its program is: beside ours in the build tree, else
 * where it was installed.
 */
int helper_find(char **ret) MUST_CHECK;

/**
 * helper_exec() - start it as our child, with @fd as its connection
 *
 * acme-guardian-token --fd 3 --config @config_dir @name
 *
 * Return: 0; negative errno.
 */
int helper_exec(const char *program, const char *config_dir, const char *name,
                int fd, pid_t *ret_pid) MUST_CHECK;

/* helper_cannot_start() - words for an errno of helper_exec(). */
void helper_cannot_start(const char *program, int error, const char *name,
                         struct errmsg *reterr);

/* helper_connect() - reach the unit that serves @path. */
int helper_connect(const char *path, int *ret_fd,
                   struct errmsg *reterr) MUST_CHECK;
