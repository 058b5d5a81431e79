/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Changes of a zone stand together, and of them those of an owner. An update is
 * made whole or not at all, so a batch that is refused is tried again owner by
 * owner: what one owner may not have does not keep the others back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/publish-hook.h"
#include "client-shim/publish.h"

/* Of a message's 65535 octets, with room for its zone and signature. */
#define BATCH_MAX 60000
/* Beside its data: owner, type, class, TTL, length. */
#define RECORD_MAX 266

struct applying {
    struct publish_change *changes; /* of one zone */
    size_t n;
    const struct zone *zone;
    const struct dns_child_options *dns;
    publish_progress_fn progress;
    void *userdata;
    struct dns_child *child;
    struct secret *key;
};

static void set(struct applying *a, size_t from, size_t to,
                enum publish_state state, const char *text)
{
    for (size_t i = from; i < to; i++) {
        a->changes[i].state = state;
        (void)snprintf(a->changes[i].text, sizeof(a->changes[i].text), "%s",
                       text);
        if (a->progress)
            a->progress(&a->changes[i], a->userdata);
    }
}

static int update(struct applying *a, size_t from, size_t to,
                  struct dns_update_result *ret)
{
    struct dns_change changes[DNS_UPDATE_MAX];
    const struct dns_update u = {
        .server = a->zone->server,
        .zone = zone_write_zone(a->zone),
        .key_name = a->zone->tsig_name,
        .algorithm = a->zone->tsig_algorithm == ZONE_HMAC_SHA512
                         ? "hmac-sha512"
                         : "hmac-sha256",
        .key = a->key,
        .changes = changes,
        .n_changes = to - from,
    };

    for (size_t i = from; i < to; i++) {
        const struct publish_change *c = &a->changes[i];

        changes[i - from] =
            (struct dns_change){ .remove = c->remove,
                                 .owner = c->owner,
                                 .ttl_s = c->ttl_s,
                                 .rdata = buf_bytes(&c->rdata) };
    }
    return dns_child_update(a->child, &u, ret);
}

static size_t owner_end(const struct applying *a, size_t from)
{
    size_t to = from;

    while (to < a->n && to - from < DNS_UPDATE_MAX &&
           strcmp(a->changes[to].owner, a->changes[from].owner) == 0)
        to++;
    return to;
}

static size_t octets(const struct applying *a, size_t from, size_t to)
{
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        n += a->changes[i].rdata.len + RECORD_MAX;
    return n;
}

/* As many owners as fit, one at least. */
static size_t batch_end(const struct applying *a, size_t from)
{
    size_t to = owner_end(a, from);

    while (to < a->n) {
        size_t next = owner_end(a, to);

        if (next - from > DNS_UPDATE_MAX || octets(a, from, next) > BATCH_MAX)
            break;
        to = next;
    }
    return to;
}

/* Is it about what was asked for, and not about the server or the key? */
static bool about_content(const struct dns_update_result *result)
{
    return !result->unknown && result->tsig_error == 0 &&
           (result->status == DNS_REFUSED || result->status == DNS_RCODE ||
            result->status == DNS_SERVFAIL);
}

/* Return: 0; -ECANCELED: the rest of the zone need not be tried. */
static int apply_range(struct applying *a, size_t from, size_t to,
                       struct dns_update_result *result)
{
    int r = update(a, from, to, result);

    if (r == -E2BIG) {
        set(a, from, to, PUBLISH_FAILED, "does not fit into an update");
        return 0;
    }
    if (r == -EPROTO || r == -ETIMEDOUT) {
        set(a, from, to, PUBLISH_UNKNOWN, "the process for DNS has ended");
        return -ECANCELED;
    }
    if (r)
        return r;
    if (result->status == DNS_OK)
        set(a, from, to, PUBLISH_DONE, "");
    else if (about_content(result))
        set(a, from, to, PUBLISH_FAILED, result->text);
    else {
        set(a, from, to, result->unknown ? PUBLISH_UNKNOWN : PUBLISH_FAILED,
            result->text);
        return -ECANCELED;
    }
    return 0;
}

static int apply_owners(struct applying *a, size_t from, size_t to,
                        struct dns_update_result *result)
{
    int r = 0;

    for (size_t next = from; r == 0 && from < to; from = next) {
        next = owner_end(a, from);
        r = apply_range(a, from, next, result);
    }
    return r;
}

static int apply_batch(struct applying *a, size_t from, size_t to,
                       struct dns_update_result *result)
{
    publish_progress_fn progress = a->progress;
    bool one_owner = owner_end(a, from) >= to;
    int r;

    /* Told when it is final. */
    a->progress = one_owner ? progress : NULL;
    r = apply_range(a, from, to, result);
    a->progress = progress;
    if (one_owner)
        return r;
    if (r == 0 && about_content(result))
        return apply_owners(a, from, to, result);
    for (size_t i = from; progress && i < to; i++)
        progress(&a->changes[i], a->userdata);
    return r;
}

static int apply_batches(struct applying *a)
{
    struct dns_update_result result = { 0 };
    size_t from = 0;
    int r = 0;

    while (r == 0 && from < a->n) {
        size_t to = batch_end(a, from);

        result = (struct dns_update_result){ 0 };
        r = apply_batch(a, from, to, &result);
        from = to;
    }
    if (r != -ECANCELED)
        return r;
    /* Of those the server has not heard. */
    for (size_t i = 0; i < a->n; i++) {
        if (a->changes[i].state == PUBLISH_PENDING)
            set(a, i, i + 1, PUBLISH_FAILED,
                result.text[0] ? result.text : "the process for DNS has ended");
    }
    return 0;
}

static int apply_rfc2136(struct applying *a)
{
    CLEANUP_DNS_CHILD struct dns_child *child = NULL;
    CLEANUP_SECRET struct secret *key = NULL;
    CLEANUP_BUF struct buf text = { 0 };
    struct errmsg e = { 0 };
    /* Before the key is in our memory, of which it gets a copy. */
    int r = dns_child_start(a->dns, &child);

    if (r)
        return r;
    r = zone_read_key(a->zone, &key, &e);
    if (r == -ENOMEM)
        return r;
    if (r) {
        r = errmsg_format(&e, &text);
        set(a, 0, a->n, PUBLISH_FAILED, buf_str(&text));
        return r;
    }
    a->child = child;
    a->key = key;
    return apply_batches(a);
}

static int apply_hook(struct applying *a)
{
    for (size_t i = 0; i < a->n; i++) {
        int r = publish_hook_run(&a->changes[i]);

        if (r)
            return r;
        if (a->progress)
            a->progress(&a->changes[i], a->userdata);
        if (a->changes[i].state == PUBLISH_LATER) {
            set(a, i + 1, a->n, PUBLISH_LATER,
                "not tried: the hook said later");
            break;
        }
    }
    return 0;
}

static int apply_zone(struct applying *a)
{
    switch (a->zone ? a->zone->publisher : ZONE_MANUAL) {
    case ZONE_RFC2136:
        return apply_rfc2136(a);
    case ZONE_HOOK:
        return apply_hook(a);
    case ZONE_MANUAL:
        set(a, 0, a->n, PUBLISH_BY_HAND, "");
        return 0;
    case ZONE_PUBLISHER_UNSET:
    default:
        return -EINVAL;
    }
}

int publish_apply(struct publish_plan *p, const struct dns_child_options *dns,
                  publish_progress_fn progress, void *userdata)
{
    int r = 0;

    for (size_t from = 0, to = 0; r == 0 && from < p->n_changes; from = to) {
        struct applying a = { .changes = p->changes + from,
                              .zone = p->changes[from].zone,
                              .dns = dns,
                              .progress = progress,
                              .userdata = userdata };

        while (to < p->n_changes && p->changes[to].zone == a.zone)
            to++;
        a.n = to - from;
        r = apply_zone(&a);
    }
    return r;
}
