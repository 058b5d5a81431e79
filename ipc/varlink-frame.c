/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc/varlink-frame.h"

#include <string.h>

#include "base/json-depth.h"

size_t varlink_frames_len(const struct varlink_frames *f)
{
    return f->buf.len - f->pos;
}

int varlink_frames_add(struct varlink_frames *f, const void *data, size_t len)
{
    /* Moved once per read, not once per frame: many small frames in one read
     * would otherwise cost the square of their number. */
    if (f->pos > 0) {
        memmove(f->buf.data, f->buf.data + f->pos, f->buf.len - f->pos);
        f->buf.len -= f->pos;
        f->scanned -= f->pos;
        f->pos = 0;
    }
    return buf_append(&f->buf, data, len);
}

bool varlink_frames_whole(struct varlink_frames *f)
{
    const uint8_t *nul;

    if (f->scanned == f->buf.len)
        return false;
    nul = memchr(f->buf.data + f->scanned, 0, f->buf.len - f->scanned);
    f->scanned = nul ? (size_t)(nul - f->buf.data) : f->buf.len;
    return nul;
}

bool varlink_frames_next(struct varlink_frames *f, struct bytes *ret)
{
    if (!varlink_frames_whole(f))
        return false;
    *ret = (struct bytes){ f->buf.data + f->pos, f->scanned - f->pos };
    f->scanned++;
    f->pos = f->scanned;
    return true;
}

void varlink_frames_trim(struct varlink_frames *f)
{
    if (f->pos == f->buf.len)
        varlink_frames_deinit(f);
}

void varlink_frames_deinit(struct varlink_frames *f)
{
    buf_deinit(&f->buf);
    *f = (struct varlink_frames){ 0 };
}

int varlink_frame_parse(struct bytes frame, json_t **ret)
{
    json_t *root;

    if (!json_depth_within(frame, VARLINK_DEPTH_MAX, NULL))
        return VARLINK_FRAME_E_INVALID;
    root = json_loadb((const char *)frame.data, frame.len,
                      JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return VARLINK_FRAME_E_INVALID;
    }

    *ret = root;
    return 0;
}
