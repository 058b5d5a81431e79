/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "base/bytes.h"

/* A peer of a server in the same process, over a real Unix socket. */

/* fuzz_listen() - a listening socket without a file. */
int fuzz_listen(int type);

/* fuzz_connect() - to it, non-blocking. */
int fuzz_connect(int listener);

/*
 * fuzz_talk() - send @input, in pieces that end where an octet 1 is (which is
 * not sent), with the event loop's turn after each; then close the sending side
 * and collect what comes until the server closes, which it must do.
 */
void fuzz_talk(sd_event *event, int fd, struct bytes input, struct buf *ret);
