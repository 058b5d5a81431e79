/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/chain-walk.h"
#include "daemon/audit.h"

#include "tmp-dir.h"

/* A log in a directory of its own: LOGDIR is dir/log, STATEDIR dir/state. */
struct fixture {
    struct tmp_dir *dir;
    char log_dir[96], state_dir[96];
    struct settings settings;
    sd_event *event;
    struct audit *audit;
    uint8_t first_key[CHAIN_KEY_LEN]; /* taken when the log was opened first */
    struct errmsg error;
};

int fixture_new(void **state);
int fixture_free(void **state);

/* fixture_open() - the log; must succeed. The first key is kept. */
void fixture_open(struct fixture *f);
int fixture_try_open(struct fixture *f);
void fixture_close(struct fixture *f);

/* fixture_crash() - another process opens the log, runs @fn and is killed. */
void fixture_crash(struct fixture *f, void (*fn)(struct fixture *f));

int fixture_write(struct fixture *f, const char *detail);

/* fixture_run() - the event loop, for so long or until *flag is set. */
void fixture_run(struct fixture *f, unsigned ms, const bool *flag);

/* fixture_verify() - from the first key on; returns the number of lines. */
uint64_t fixture_verify(struct fixture *f);
int fixture_walk(struct fixture *f, struct chain_walk *w);

/* Of a file in LOGDIR. */
const char *fixture_path(struct fixture *f, const char *name);
void fixture_read(struct fixture *f, const char *name, struct buf *ret);
void fixture_replace(struct fixture *f, const char *name, const struct buf *b);
