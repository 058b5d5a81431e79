/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/store.h"

/*
 * When an account's key is to be rotated without anybody asking: Rotate= and
 * RotateWindow= of accounts.d.
 */

#define SCHEDULE_ROTATE_MIN_S 3600
#define SCHEDULE_ROTATE_MAX_S (3650LL * 86400)
#define SCHEDULE_WINDOW_MAX 512
/* After one that was given up. What ended it is not mended by trying again. */
#define SCHEDULE_PAUSE_S 86400

struct schedule_now {
    bool due;       /* Rotate= has passed */
    bool open;      /* the window, or there is none */
    int64_t due_s;  /* when it is; 0: never */
    int64_t end_s;  /* of the window that is open; 0: there is none */
    int64_t next_s; /* when it opens, if it is not open; 0: never */
};

/* schedule_look() - @last: the account's last rotation, or NULL. */
struct schedule_now schedule_look(const struct store_account *a,
                                  const struct store_rotation *last,
                                  int64_t now_s);
