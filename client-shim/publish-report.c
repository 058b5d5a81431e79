/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/publish-report.h"

#include <errno.h>
#include <stdio.h>

#include "client-shim/ctl-records-dns.h"

static const char *how(const struct publish_change *c)
{
    static const char *const words[] = {
        [PUBLISH_PENDING] = "not tried", [PUBLISH_DONE] = "done",
        [PUBLISH_FAILED] = "NOT MADE",   [PUBLISH_UNKNOWN] = "UNKNOWN",
        [PUBLISH_LATER] = "later",       [PUBLISH_BY_HAND] = "by hand",
    };

    return words[c->state];
}

static const char *zone_of(const struct publish_change *c)
{
    return c->zone ? zone_write_zone(c->zone) : NULL;
}

int publish_report_change(const struct publish_change *c, bool dry_run)
{
    CLEANUP_BUF struct buf line = { 0 };
    int r = publish_format_change(c, &line);

    if (r)
        return ctl_fail_errno(r, c->owner);
    if (!dry_run)
        (void)printf("%-9s  ", how(c));
    (void)printf("%s\n", buf_str(&line));
    if (c->text[0])
        (void)printf("           %s\n", c->text);
    return CTL_EXIT_DONE;
}

void publish_report_notes(const struct publish_plan *p, bool *ret_blocks)
{
    *ret_blocks = false;
    for (size_t i = 0; i < p->n_notes; i++) {
        const struct publish_note *n = &p->notes[i];

        (void)ctl_fail(CTL_EXIT_DONE, "%s: %s%s", n->domain, n->text,
                       n->blocks ? ": nothing is changed for it" : "");
        *ret_blocks = *ret_blocks || n->blocks;
    }
}

static json_t *change_json(const struct publish_change *c)
{
    return json_pack("{s:s, s:s, s:s, s:s*, s:I, s:o, s:s, s:s*}", "action",
                     c->remove ? "remove" : "add", "domain", c->domain, "owner",
                     c->owner, "zone", zone_of(c), "ttl", (json_int_t)c->ttl_s,
                     "value", ctl_dns_text(buf_bytes(&c->value)), "state",
                     publish_state_word(c->state), "text",
                     c->text[0] ? c->text : NULL);
}

json_t *publish_report_json(const struct publish_plan *p)
{
    json_t *changes = json_array();
    json_t *notes = json_array();

    for (size_t i = 0; i < p->n_changes; i++)
        (void)json_array_append_new(changes, change_json(&p->changes[i]));
    for (size_t i = 0; i < p->n_notes; i++)
        (void)json_array_append_new(
            notes,
            json_pack("{s:s, s:s, s:b}", "domain", p->notes[i].domain, "text",
                      p->notes[i].text, "blocks", (int)p->notes[i].blocks));
    return json_pack("{s:o, s:o, s:I}", "changes", changes, "notes", notes,
                     "unchanged", (json_int_t)p->n_unchanged);
}

enum ctl_exit publish_report_exit(const struct publish_plan *p)
{
    if (publish_count(p, PUBLISH_PENDING) || publish_count(p, PUBLISH_FAILED) ||
        publish_count(p, PUBLISH_UNKNOWN) || publish_count(p, PUBLISH_LATER))
        return CTL_EXIT_TRY_AGAIN;
    if (publish_count(p, PUBLISH_BY_HAND))
        return CTL_EXIT_NO;
    for (size_t i = 0; i < p->n_notes; i++) {
        if (p->notes[i].blocks)
            return CTL_EXIT_NO;
    }
    return CTL_EXIT_DONE;
}
