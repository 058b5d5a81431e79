/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "base/settings.h"

/*
 * The connection to one token helper: how it comes to be, and how long to wait
 * until it is tried again. The helper is a unit behind HelperSocket=, or our
 * own (daemon/spawner.h); then the next one is started only after the former
 * was reaped, since modules fail when two processes log in at the same time.
 */

struct spawner;

struct token_link_options {
    sd_event *event;
    const struct settings_token *settings; /* borrowed */
    struct spawner *spawner; /* borrowed; NULL with HelperSocket= */
    size_t index;            /* the token, there */
    sd_event_io_handler_t on_io;
    void (*on_pause_over)(void *userdata);
    /* Our helper was reaped, or (@error is not empty) could not be started. */
    void (*on_helper_end)(const char *error, void *userdata);
    void *userdata;
};

struct token_link {
    struct token_link_options o;
    int fd;           /* -1: not connected */
    bool helper_runs; /* ours has not been reaped */
    sd_event_source *io, *pause, *kill;
    uint64_t pause_us; /* the next */
};

/* @l must not move afterwards. */
int token_link_init(struct token_link *l,
                    const struct token_link_options *options) MUST_CHECK;
void token_link_deinit(struct token_link *l);

/* token_link_open() - Return: 0 with l->fd; negative errno with *reterr. */
int token_link_open(struct token_link *l, struct errmsg *reterr) MUST_CHECK;

/* token_link_close() - and when our helper does not end by that in a second, it
 * is killed. */
void token_link_close(struct token_link *l);

/* token_link_want_write() - call on_io() also when there is room to send. */
void token_link_want_write(const struct token_link *l, bool want);

/* token_link_pause() - on_pause_over() after a while, longer each time until
 * token_link_relax(). */
void token_link_pause(struct token_link *l);
void token_link_relax(struct token_link *l);

/* token_link_hopeless() - nothing good will come soon: why wait? */
bool token_link_hopeless(const struct token_link *l);

/* token_link_pause_ms() - until the pause is over. */
uint64_t token_link_pause_ms(const struct token_link *l);

/* token_link_add_timer() - a timer that is off. */
int token_link_add_timer(struct token_link *l, sd_event_source **ret,
                         sd_event_time_handler_t fn, void *userdata) MUST_CHECK;
