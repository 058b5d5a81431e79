/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "client-shim/ctl.h"
#include "client-shim/publish.h"

/* What is said about changes of zones; for records publish and revoke. */

/* publish_report_change() - "add OWNER. ...": what became of it, or, in a dry
 * run, nothing more. On stdout. */
int publish_report_change(const struct publish_change *c,
                          bool dry_run) MUST_CHECK;

/* publish_report_notes() - on stderr; *ret_blocks: one of them keeps a domain
 * from being changed. */
void publish_report_notes(const struct publish_plan *p, bool *ret_blocks);

/* publish_report_json() - {"changes": [...], "notes": [...], "unchanged": N}.
 */
json_t *publish_report_json(const struct publish_plan *p);

/**
 * publish_report_exit() - of a plan that was applied
 *
 * CTL_EXIT_DONE: all is as wanted. CTL_EXIT_TRY_AGAIN: a change was not made,
 * or may not have been. CTL_EXIT_NO: a person must do the rest.
 */
enum ctl_exit publish_report_exit(const struct publish_plan *p);
