/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <stdio.h>
#include <string.h>

#include "acme/known-cas.h"
#include "client-shim/ctl-print.h"

/* guardianctl ca list, and how other commands are told which CA. */

const char *ctl_known_directory(const char *name_or_url)
{
    const struct known_ca *ca = known_ca_find(name_or_url);

    if (ca)
        return ca->directory;
    return strstr(name_or_url, "://") ? name_or_url : NULL;
}

static json_t *issuers_json(const struct known_ca *ca)
{
    json_t *list = json_array();

    for (const char *const *s = ca->issuers; *s; s++)
        (void)json_array_append_new(list, json_string(*s));
    return list;
}

static json_t *ca_json(const struct known_ca *ca)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:b}", "name", ca->name,
                     "title", ca->title, "directory", ca->directory, "issuers",
                     issuers_json(ca), "staging", (int)ca->staging,
                     "externalAccount", (int)ca->external_account);
}

static void ca_row(struct ctl_table *t, const struct known_ca *ca)
{
    CLEANUP_BUF struct buf issuers = { 0 };

    for (const char *const *s = ca->issuers; *s; s++) {
        if (buf_printf(&issuers, "%s%s", issuers.len ? " " : "", *s))
            t->failed = true;
    }
    CTL_TABLE_ROW(t, ca->name, ca->staging ? "STAGING" : NULL,
                  ca->external_account ? "required" : NULL, buf_str(&issuers),
                  ca->directory);
}

static int run_list(struct ctl_context *c)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 5 };
    CLEANUP_CTL_JSON json_t *list = json_array();

    CTL_TABLE_ROW(&t, "NAME", "STAGING", "EXTERNAL ACCOUNT", "ISSUERS",
                  "DIRECTORY");
    for (size_t i = 0; known_ca_at(i); i++) {
        ca_row(&t, known_ca_at(i));
        (void)json_array_append_new(list, ca_json(known_ca_at(i)));
    }
    if (!c->json)
        return ctl_table_print(&t);
    ctl_print_json(json_pack("{s:O}", "cas", list));
    return CTL_EXIT_DONE;
}

const struct ctl_command ctl_known_commands[] = {
    { "ca list", NULL, 0, 0, NULL, "the CAs whose names --ca takes", run_list },
    { 0 },
};
