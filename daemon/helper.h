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
 * helper_spawn() - start it as our child
 *
 * acme-guardian-token --fd 3 --config @config_dir @name
 *
 * Return: 0 with our end of the socket and the child; negative errno.
 */
int helper_spawn(const char *program, const char *config_dir, const char *name,
                 int *ret_fd, pid_t *ret_pid, struct errmsg *reterr) MUST_CHECK;

/* helper_connect() - reach the unit that serves @path. */
int helper_connect(const char *path, int *ret_fd,
                   struct errmsg *reterr) MUST_CHECK;
