/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What every server has. One that does not tell may be the one that the CA
 * asks, so it counts as one that has not what it should.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/rotate-dns.h"

void rotate_seen_deinit(struct rotate_seen *s)
{
    json_decref(s->accepted);
    *s = (struct rotate_seen){ 0 };
}

static bool view_has(const struct dns_view *v, const char *value)
{
    for (size_t i = 0; i < v->n_values; i++) {
        if (bytes_eq_str(buf_bytes(&v->values[i].text), value))
            return true;
    }
    return false;
}

static bool view_good(const struct dns_view *v, const struct publish_want *want,
                      struct publish_own *own)
{
    for (size_t i = 0; i < want->n_values; i++) {
        if (!view_has(v, want->values[i]))
            return false;
    }
    for (size_t i = 0; own && i < v->n_values; i++) {
        if (publish_own_has(buf_bytes(&v->values[i].text), own))
            return false;
    }
    return true;
}

enum rotate_look rotate_look(const struct dns_result *result,
                             const struct publish_want *want,
                             struct publish_own *own,
                             const struct dns_view **ret_view,
                             uint32_t *ret_ttl)
{
    enum rotate_look look = ROTATE_LOOK_SILENT;

    *ret_view = NULL;
    *ret_ttl = 0;
    for (size_t i = 0; i < result->n_views; i++) {
        const struct dns_view *v = &result->views[i];

        if (!dns_view_final(v))
            continue;
        if (!dns_view_tells(v)) {
            look = ROTATE_LOOK_SILENT;
            *ret_view = v;
            continue;
        }
        if (!view_good(v, want, own)) {
            *ret_view = v;
            return ROTATE_LOOK_NOT;
        }
        *ret_ttl = v->ttl_s > *ret_ttl ? v->ttl_s : *ret_ttl;
        if (!*ret_view)
            look = ROTATE_LOOK_GOOD;
    }
    return look;
}

struct looking {
    struct rotate_dns *dns;
    const json_t *accepted;
    struct rotate_seen *seen;
    struct ctl_progress progress;
};

/* ---- one name ---- */

static const char *accepted_zone(const struct looking *l, const char *owner)
{
    for (size_t i = 0; i < json_array_size(l->accepted); i++) {
        const char *zone = json_string_value(json_array_get(l->accepted, i));

        if (zone && zone_covers(zone, owner))
            return zone;
    }
    return NULL;
}

static int note_accepted(struct looking *l, const char *zone)
{
    json_t *all = l->seen->accepted;

    for (size_t i = 0; i < json_array_size(all); i++) {
        if (strcmp(json_string_value(json_array_get(all, i)), zone) == 0)
            return CTL_EXIT_DONE;
    }
    return json_array_append_new(all, json_string(zone)) < 0
               ? ctl_fail_errno(-ENOMEM, zone)
               : CTL_EXIT_DONE;
}

static void describe(const struct looking *l, const char *domain,
                     enum rotate_look look, const struct dns_view *v,
                     char *text, size_t len)
{
    const char *server = v && v->server ? v->server : "no server";

    if (look == ROTATE_LOOK_SILENT)
        (void)snprintf(text, len, "%.200s: %.100s does not tell: %s", domain,
                       server,
                       v ? dns_status_words(v->status) : "nobody was asked");
    else
        (void)snprintf(text, len, "%.200s: %.100s %s", domain, server,
                       rotate_removes(l->dns->work)
                           ? "still has the record"
                           : "does not have the record");
}

static void note_pending(struct looking *l, const char *domain,
                         enum rotate_look look, const struct dns_view *v)
{
    const struct zone *zone = zones_find(l->dns->dns.zones, domain);
    struct rotate_seen *s = l->seen;
    char text[360];

    if (!zone || zone->publisher == ZONE_MANUAL)
        s->by_hand = true;
    describe(l, domain, look, v, text, sizeof(text));
    if (s->n_pending++ == 0)
        (void)snprintf(s->text, sizeof(s->text), "%s", text);
}

static int judge(struct looking *l, size_t i, const struct dns_result *result)
{
    const struct publish_want *want = &l->dns->wants[i];
    struct publish_own *own =
        rotate_removes(l->dns->work) ? &l->dns->own : NULL;
    const struct dns_view *view = NULL;
    enum rotate_look look;
    const char *zone;
    uint32_t ttl_s = 0;

    look = rotate_look(result, want, own, &view, &ttl_s);
    if (ttl_s > l->seen->ttl_s)
        l->seen->ttl_s = ttl_s;
    if (look == ROTATE_LOOK_GOOD) {
        l->dns->pending[i] = false;
        return CTL_EXIT_DONE;
    }
    zone = accepted_zone(l, result->name);
    if (zone)
        return note_accepted(l, zone);
    note_pending(l, want->domain, look, view);
    return CTL_EXIT_DONE;
}

/* ---- all of them ---- */

struct owner {
    char name[ZONE_OWNER_MAX];
};

static int look_some(struct looking *l, const size_t *which, size_t n)
{
    CLEANUP_FREE struct owner *owners = calloc(n, sizeof(*owners));
    CLEANUP_FREE struct dns_wanted *wanted = calloc(n, sizeof(*wanted));
    const struct rotate_dns *d = l->dns;
    struct dns_result *results = NULL;
    int r = CTL_EXIT_DONE;

    if (!owners || !wanted)
        return ctl_fail_errno(-ENOMEM, "records");
    for (size_t i = 0; i < n; i++) {
        const char *domain = d->wants[which[i]].domain;

        if (zone_owner(domain, owners[i].name))
            return ctl_fail(CTL_EXIT_MALFORMED,
                            "%s: too long a name to have "
                            "a record",
                            domain);
        wanted[i] =
            (struct dns_wanted){ .name = owners[i].name,
                                 .type = DNS_TYPE_TXT,
                                 .zone = zones_find(d->dns.zones, domain) };
    }
    r = ctl_dns_many(&d->dns, wanted, n, &l->progress, &results);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = judge(l, which[i], &results[i]);
    dns_results_free(results, n);
    return r;
}

/* Which servers were silent is not kept from look to look. */
static int renew(struct ctl_dns *d)
{
    int r;

    d->lookup = dns_lookup_free(d->lookup);
    r = dns_lookup_new(d->child, d->zones, &d->lookup);
    return r ? ctl_fail_errno(r, "DNS process") : CTL_EXIT_DONE;
}

static size_t count_pending(const struct rotate_dns *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++)
        n += d->pending[i];
    return n;
}

static int look_all(struct looking *l)
{
    CLEANUP_FREE size_t *which = calloc(CTL_DNS_BATCH, sizeof(*which));
    int r = CTL_EXIT_DONE;

    if (!which)
        return ctl_fail_errno(-ENOMEM, "records");
    for (size_t i = 0, n = 0; r == 0 && i < l->dns->n; i++) {
        if (l->dns->pending[i])
            which[n++] = i;
        if (n > 0 && (n == CTL_DNS_BATCH || i + 1 == l->dns->n)) {
            r = look_some(l, which, n);
            n = 0;
        }
    }
    return r;
}

int rotate_dns_look(struct rotate_dns *d, const json_t *accepted,
                    struct rotate_seen *ret)
{
    struct looking l = { .dns = d, .accepted = accepted, .seen = ret };
    size_t len;
    int r;

    *ret = (struct rotate_seen){ .accepted = json_array() };
    if (!ret->accepted)
        return ctl_fail_errno(-ENOMEM, "records");
    r = renew(&d->dns);
    ctl_progress_begin(&l.progress, "looking", count_pending(d));
    if (r == 0)
        r = look_all(&l);
    ctl_progress_end(&l.progress);
    len = strlen(ret->text);
    if (ret->n_pending > 1)
        (void)snprintf(ret->text + len, sizeof(ret->text) - len,
                       "; and %zu more", ret->n_pending - 1);
    return r;
}
