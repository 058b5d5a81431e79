/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

/*
 * Varlink's framing: JSON objects, each ended by a NUL. Shared by server and
 * client. All zero is an empty queue; memory is held only while there is
 * something in it.
 */

#define VARLINK_MESSAGE_MAX (64 * 1024) /* a request, with its NUL */
#define VARLINK_DEPTH_MAX 16

struct varlink_frames {
    struct buf buf;
    size_t pos;     /* start of the first frame */
    size_t scanned; /* no NUL in [pos, scanned) */
};

int varlink_frames_add(struct varlink_frames *f, const void *data,
                       size_t len) MUST_CHECK;

/* varlink_frames_len() - octets held, whole frames or not. */
size_t varlink_frames_len(const struct varlink_frames *f);

/* varlink_frames_whole() - is a whole frame there? */
bool varlink_frames_whole(struct varlink_frames *f);

/*
 * varlink_frames_next() - take the first whole frame, without its NUL; borrowed
 * until the next add or trim. False if there is none.
 */
bool varlink_frames_next(struct varlink_frames *f, struct bytes *ret);

/* varlink_frames_trim() - give memory back if nothing is held. */
void varlink_frames_trim(struct varlink_frames *f);

void varlink_frames_deinit(struct varlink_frames *f);

/**
 * varlink_frame_parse() - one frame to a JSON object
 *
 * Strict: UTF-8, no duplicate members, nothing after the object, at most
 * VARLINK_DEPTH_MAX deep (looked at before the parser, which recurses).
 *
 * Return: 0; VARLINK_FRAME_E_INVALID.
 */
int varlink_frame_parse(struct bytes frame, json_t **ret) MUST_CHECK;
#define VARLINK_FRAME_E_INVALID 1
