/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "base/settings.h"

/*
 * Token helpers of our own, for tokens without a HelperSocket=: a nursery
 * (base/nursery.h) executes them, since the confined daemon cannot. A token is
 * named by its place in the settings; it has one helper at a time.
 */

struct spawner;

struct spawner_options {
    const struct settings *settings; /* borrowed, as are the others */
    const char *program;             /* of the helper */
    const char *config_dir;
};

/**
 * spawner_new() - fork it
 *
 * To be called before anything is opened that the helpers shall not have.
 *
 * Return: 0; negative errno.
 */
int spawner_new(const struct spawner_options *options,
                struct spawner **ret) MUST_CHECK;
struct spawner *spawner_free(struct spawner *s);

/* spawner_attach() - its events from now on. When it ends for any reason, the
 * loop ends with -ECHILD: nobody else could start a helper again. */
int spawner_attach(struct spawner *s, sd_event *event) MUST_CHECK;

/* A token's helper was reaped, or (@error is not empty) it could not be
 * started. */
typedef void (*spawner_ended_fn)(const char *error, void *userdata);
void spawner_on_end(struct spawner *s, size_t token, spawner_ended_fn fn,
                    void *userdata);

/* spawner_start() - start @token's helper. Return: 0 with our end of its
 * socket, and @fn will be called; negative errno. */
int spawner_start(struct spawner *s, size_t token, int *ret_fd) MUST_CHECK;

/* spawner_kill() - if it is still there. */
void spawner_kill(struct spawner *s, size_t token);

/* spawner_pid() - of the process that starts them. */
pid_t spawner_pid(const struct spawner *s);
