/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-ca.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/ctl-rotate.h"
#include "client-shim/publish-report.h"
#include "client-shim/rotate-dns.h"

/*
 * rotate changes: exactly what a person or a pipeline has to change in DNS for
 * the rotation to go on, by what stands there now. Nothing is changed.
 */

enum format { FORMAT_UNSET = 0, FORMAT_TEXT, FORMAT_NSUPDATE, FORMAT_JSON };

static enum format read_format(const struct ctl_context *c)
{
    const char *word = ctl_args_value(c, "--format");

    if (!word)
        return c->json ? FORMAT_JSON : FORMAT_TEXT;
    if (strcmp(word, "json") == 0)
        return FORMAT_JSON;
    if (c->json)
        return FORMAT_UNSET;
    if (strcmp(word, "nsupdate") == 0)
        return FORMAT_NSUPDATE;
    return strcmp(word, "text") == 0 ? FORMAT_TEXT : FORMAT_UNSET;
}

static bool is_at(const json_t *rotation, const char *state)
{
    const char *s = ctl_string(rotation, "state");

    return s && strcmp(s, state) == 0;
}

/* What is to be done, or will be: the old records during the grace, too. */
static enum rotate_work work_of(const json_t *rotation)
{
    const json_t *records = json_object_get(rotation, "records");
    const char *work = ctl_string(records, "work");

    if (work)
        return rotate_work_parse(work);
    if (is_at(rotation, "switched") && ctl_string(records, "verified"))
        return ROTATE_REMOVE_OLD;
    if (is_at(rotation, "aborting") && ctl_string(records, "published"))
        return ROTATE_REMOVE_NEW;
    return ROTATE_WORK_UNSET;
}

/* ---- printing ---- */

/* nsupdate(1) sends what stands between two "send" to one zone. */
static int print_nsupdate(const struct publish_plan *plan)
{
    for (size_t i = 0; i < plan->n_changes; i++) {
        const struct publish_change *c = &plan->changes[i];
        CLEANUP_BUF struct buf data = { 0 };
        bool first = i == 0 || plan->changes[i - 1].zone != c->zone;
        int r = dns_txt_format(buf_bytes(&c->rdata), &data);

        if (r)
            return ctl_fail_errno(r, c->owner);
        if (first && i > 0)
            (void)puts("send");
        if (first && c->zone)
            (void)printf("zone %s.\n", zone_write_zone(c->zone));
        if (c->remove)
            (void)printf("update delete %s. TXT %s\n", c->owner,
                         buf_str(&data));
        else
            (void)printf("update add %s. %u TXT %s\n", c->owner, c->ttl_s,
                         buf_str(&data));
    }
    if (plan->n_changes)
        (void)puts("send");
    return CTL_EXIT_DONE;
}

static int print_text(const struct publish_plan *plan)
{
    int r = CTL_EXIT_DONE;

    for (size_t i = 0; r == 0 && i < plan->n_changes; i++)
        r = publish_report_change(&plan->changes[i], true);
    return r;
}

static int print(const struct publish_plan *plan, enum format format)
{
    bool blocks = false;
    int r = CTL_EXIT_DONE;

    publish_report_notes(plan, &blocks);
    if (format == FORMAT_JSON)
        ctl_print_json(publish_report_json(plan));
    else
        r = format == FORMAT_TEXT ? print_text(plan) : print_nsupdate(plan);
    if (r)
        return r;
    return plan->n_changes || blocks ? CTL_EXIT_NO : CTL_EXIT_DONE;
}

/* ---- the command ---- */

static int find_rotation(const struct ctl_context *c, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *account = c->operands[0];
    json_t *rotation;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "RotationStatus",
                 json_pack("{s:s}", "account", account), &answer);
    if (r)
        return r;
    rotation = json_array_get(json_object_get(answer, "rotations"), 0);
    if (!rotation)
        return ctl_fail(CTL_EXIT_NO, "%s: its key was never rotated", account);
    *ret = json_incref(rotation);
    return CTL_EXIT_DONE;
}

int ctl_rotate_run_changes(struct ctl_context *c)
{
    CLEANUP_ROTATE_DNS struct rotate_dns dns = { .c = c };
    CLEANUP_PUBLISH_PLAN struct publish_plan plan = { 0 };
    CLEANUP_CTL_JSON json_t *rotation = NULL;
    enum format format = read_format(c);
    enum rotate_work work;
    int r;

    if (format == FORMAT_UNSET)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--format takes text, nsupdate or json, and --json "
                        "goes with json");
    r = find_rotation(c, &rotation);
    if (r)
        return r;
    work = work_of(rotation);
    if (work == ROTATE_WORK_UNSET) {
        (void)ctl_fail(CTL_EXIT_DONE, "%s: no record has to be changed in %s",
                       c->operands[0], ctl_string(rotation, "state"));
        return print(&plan, format);
    }
    r = rotate_dns_load(&dns, c, rotation, work);
    if (r == 0)
        r = rotate_dns_plan(&dns, &plan);
    return r ? r : print(&plan, format);
}

const struct ctl_option ctl_rotate_changes_options[] = {
    { "--format", "FORMAT", "text (the default), nsupdate or json", 0, false,
      false },
    CTL_CA_OPTIONS,
    { 0 },
};
