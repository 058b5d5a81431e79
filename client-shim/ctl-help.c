/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

/* --help, from the same tables as the parsing. */

static bool help_in_group(const struct ctl_command *c, const char *name)
{
    size_t n = name ? strlen(name) : 0;

    if (!name)
        return true;
    return strncmp(c->name, name, n) == 0 &&
           (c->name[n] == '\0' || c->name[n] == ' ');
}

bool ctl_help_known(const char *name)
{
    for (size_t t = 0; ctl_commands[t]; t++) {
        for (const struct ctl_command *c = ctl_commands[t]; c->name; c++) {
            if (help_in_group(c, name))
                return true;
        }
    }
    return false;
}

static int help_option_name(const struct ctl_option *o, struct buf *b)
{
    char letter[] = { '-', o->letter, ',', ' ', '\0' };

    return buf_printf(b, "%s%s%s%s", o->letter ? letter : "", o->name,
                      o->arg ? " " : "", o->arg ? o->arg : "");
}

static int help_options(const struct ctl_option *options, struct buf *b)
{
    int r = 0;

    for (; r == 0 && options && options->name; options++) {
        CLEANUP_BUF struct buf name = { 0 };

        r = help_option_name(options, &name);
        if (r == 0)
            r = buf_printf(b, "  %-36s %s%s\n", buf_str(&name), options->help,
                           options->required  ? " (needed)"
                           : options->repeats ? " (may be repeated)"
                                              : "");
    }
    return r;
}

static int help_command(const struct ctl_command *c, struct buf *b)
{
    int r;

    r = buf_printf(b, "guardianctl %s%s%s%s\n\n%s\n\n", c->name,
                   c->operands ? " " : "", c->operands ? c->operands : "",
                   c->options ? " [OPTION...]" : "", c->help);
    if (r == 0)
        r = help_options(c->options, b);
    if (r == 0 && c->options)
        r = buf_append_str(b, "\n");
    return r;
}

static int help_list(const char *group, struct buf *b)
{
    int r = 0;

    for (size_t t = 0; r == 0 && ctl_commands[t]; t++) {
        for (const struct ctl_command *c = ctl_commands[t]; r == 0 && c->name;
             c++) {
            CLEANUP_BUF struct buf name = { 0 };

            if (!help_in_group(c, group))
                continue;
            r = buf_printf(&name, "%s%s%s", c->name, c->operands ? " " : "",
                           c->operands ? c->operands : "");
            if (r == 0)
                r = buf_printf(b, "  %-36s %s\n", buf_str(&name), c->help);
        }
    }
    return r;
}

static const struct ctl_command *help_find(const char *name)
{
    for (size_t t = 0; name && ctl_commands[t]; t++) {
        for (const struct ctl_command *c = ctl_commands[t]; c->name; c++) {
            if (strcmp(c->name, name) == 0)
                return c;
        }
    }
    return NULL;
}

int ctl_help_text(const char *name, struct buf *b)
{
    const struct ctl_command *c = help_find(name);
    int r;

    if (c) {
        r = help_command(c, b);
    } else {
        r = buf_append_str(b, "guardianctl [OPTION...] COMMAND ...\n\n");
        if (r == 0)
            r = help_list(name, b);
        if (r == 0)
            r = buf_append_str(b, "\n");
    }
    if (r == 0)
        r = buf_append_str(b, "With every command:\n");
    if (r == 0)
        r = help_options(ctl_common_options, b);
    return r;
}

static json_t *help_options_json(const struct ctl_option *o)
{
    json_t *list = json_array();

    for (; list && o && o->name; o++) {
        json_t *row = json_pack(
            "{s:s, s:s*, s:s*, s:b, s:b, s:s}", "name", o->name, "letter",
            o->letter ? (char[]){ o->letter, 0 } : NULL, "arg", o->arg,
            "required", o->required, "repeats", o->repeats, "help", o->help);

        (void)json_array_append_new(list, row);
    }
    return list;
}

/* The whole table, for completion and for the check of the man page. */
static int help_json(void)
{
    json_t *commands = json_array();
    json_t *all = json_pack("{s:o, s:o}", "commands", commands, "options",
                            help_options_json(ctl_common_options));

    for (size_t t = 0; ctl_commands[t]; t++) {
        for (const struct ctl_command *c = ctl_commands[t]; c->name; c++)
            (void)json_array_append_new(
                commands, json_pack("{s:s, s:s*, s:s, s:o}", "name", c->name,
                                    "operands", c->operands, "help", c->help,
                                    "options", help_options_json(c->options)));
    }
    (void)json_dumpf(all, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(all);
    return CTL_EXIT_DONE;
}

static int help_run(struct ctl_context *c)
{
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    int r = 0;

    if (c->json)
        return help_json();
    for (size_t i = 0; r == 0 && i < c->n_operands; i++)
        r = buf_printf(&name, "%s%s", i ? " " : "", c->operands[i]);
    if (r == 0 && c->n_operands && !ctl_help_known(buf_str(&name)))
        return ctl_fail(CTL_EXIT_USAGE, "unknown command: %s", buf_str(&name));
    if (r == 0)
        r = ctl_help_text(c->n_operands ? buf_str(&name) : NULL, &text);
    if (r)
        return ctl_fail_errno(r, "help");
    (void)fputs(buf_str(&text), stdout);
    return CTL_EXIT_DONE;
}

const struct ctl_command ctl_help_commands[] = {
    { "help", "[COMMAND]", 0, 2, NULL,
      "show commands or the options of one; with --json all of them",
      help_run },
    { 0 },
};
