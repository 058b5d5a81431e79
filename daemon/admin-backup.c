/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "acme/b64url.h"
#include "base/registry-file.h"
#include "daemon/admin-call.h"
#include "daemon/params.h"

/*
 * BackupBegin, BackupRead: the registry as it is at one moment, given out in
 * pieces. It has no secret: keys are on tokens, PINs and the audit chain's key
 * are elsewhere. One at a time, which is forgotten when nobody reads on.
 */

#define PIECE 32768
#define IDLE_US (30 * UINT64_C(1000000))
#define ID_LEN 16

struct backup {
    char id[2 * ID_LEN + 1];
    uint8_t *data;
    size_t len;
    sd_event_source *timer;
};

void admin_backup_stop(struct guardian *g)
{
    struct backup *b = g->backup;

    if (!b)
        return;
    g->backup = NULL;
    sd_event_source_disable_unref(b->timer);
    store_image_free(b->data);
    free(b);
}

static int on_idle(sd_event_source *s, uint64_t usec, void *userdata)
{
    (void)s;
    (void)usec;
    admin_backup_stop(userdata);
    return 0;
}

static int rearm(struct guardian *g)
{
    struct backup *b = g->backup;
    int r;

    b->timer = sd_event_source_disable_unref(b->timer);
    r = sd_event_add_time_relative(g->event, &b->timer, CLOCK_MONOTONIC,
                                   IDLE_US, 0, on_idle, g);
    return r < 0 ? r : 0;
}

static int begin(struct guardian *g)
{
    struct backup *b = calloc(1, sizeof(*b));
    uint8_t id[ID_LEN];
    int r;

    if (!b)
        return -ENOMEM;
    g->backup = b;
    randombytes_buf(id, sizeof(id));
    (void)sodium_bin2hex(b->id, sizeof(b->id), id, sizeof(id));
    r = store_image(g->store, &b->data, &b->len);
    if (r == 0)
        r = rearm(g);
    if (r)
        admin_backup_stop(g);
    return r;
}

ADMIN_METHOD(admin_on_backup_begin)
{
    struct guardian *g = userdata;

    if (!params_take(call, parameters, NULL, 0))
        return;
    if (g->backup) {
        admin_error_busy(call);
        return;
    }
    if (!admin_begin(g, call, &(struct admin_subject){ 0 }))
        return;
    if (begin(g)) {
        admin_error_busy(call);
        return;
    }
    varlink_reply_json(call, json_pack("{s:s,s:s,s:i,s:I}", "id", g->backup->id,
                                       "instance", store_instance(g->store),
                                       "schema", REGISTRY_SCHEMA, "size",
                                       (json_int_t)g->backup->len));
}

static void reply(struct varlink_call *call, const struct backup *b,
                  size_t offset)
{
    size_t n = b->len - offset < PIECE ? b->len - offset : PIECE;
    CLEANUP_BUF struct buf text = { 0 };

    if (b64url_encode((struct bytes){ b->data + offset, n }, &text))
        admin_error_busy(call);
    else
        varlink_reply_json(call, json_pack("{s:s}", "data", buf_str(&text)));
}

ADMIN_METHOD(admin_on_backup_read)
{
    struct guardian *g = userdata;
    const char *id = "";
    int64_t offset = 0;
    const struct param params[] = {
        { "id", PARAM_STRING, false, { .string = &id } },
        { "offset", PARAM_NUMBER, false, { .number = &offset } },
    };
    const struct backup *b = g->backup;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    if (!b || strcmp(b->id, id) != 0) {
        admin_error_state(call, "no-backup",
                          "it was read to its end, or not for half a minute");
        return;
    }
    if ((uint64_t)offset >= b->len) {
        admin_error_value(call, "offset", "is beyond the end");
        return;
    }
    reply(call, b, (size_t)offset);
    if (b->len - (size_t)offset <= PIECE || rearm(g))
        admin_backup_stop(g);
}
