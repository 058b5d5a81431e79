/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/settings.h"

const struct ctl_option ctl_common_options[] = {
    { "--config", "DIR", "read the settings here (" SETTINGS_DIR ")", 0, false,
      false },
    { "--socket", "PATH", "the daemon's client socket ($ACME_GUARDIAN_SOCKET)",
      0, false, false },
    { "--admin-socket", "PATH", "the daemon's admin socket", 0, false, false },
    { "--json", NULL, "answer in JSON", 0, false, false },
    { "--help", NULL, "show this and exit", 'h', false, false },
    { "--version", NULL, "show the version and exit", 0, false, false },
    { 0 },
};

/* The words after @first that belong to a command's name. */
static const struct ctl_command *find_command(const char *first,
                                              const char *second)
{
    size_t n = strlen(first);

    for (size_t t = 0; ctl_commands[t]; t++) {
        for (const struct ctl_command *c = ctl_commands[t]; c->name; c++) {
            if (strncmp(c->name, first, n) != 0)
                continue;
            if (!c->name[n])
                return c;
            if (c->name[n] == ' ' && second &&
                strcmp(c->name + n + 1, second) == 0)
                return c;
        }
    }
    return NULL;
}

static const struct ctl_option *find_in(const struct ctl_option *options,
                                        const char *name, size_t len)
{
    for (; options && options->name; options++) {
        if (strlen(options->name) == len &&
            memcmp(options->name, name, len) == 0)
            return options;
        if (options->letter && len == 2 && name[0] == '-' &&
            name[1] == options->letter)
            return options;
    }
    return NULL;
}

static const struct ctl_option *find_option(const struct ctl_context *c,
                                            const char *name, size_t len)
{
    const struct ctl_option *o = find_in(ctl_common_options, name, len);

    if (!o && c->command)
        o = find_in(c->command->options, name, len);
    return o;
}

static const struct ctl_value *find_value(const struct ctl_context *c,
                                          const char *option, size_t i)
{
    for (size_t v = 0; v < c->n_values; v++) {
        if (strcmp(c->values[v].option->name, option) == 0 && i-- == 0)
            return &c->values[v];
    }
    return NULL;
}

/* One option at argv[*i], with the value that may follow it. */
static int parse_option(struct ctl_context *c, int argc, char *const *argv,
                        int *i, struct errmsg *reterr)
{
    const char *arg = argv[*i];
    const char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL;
    size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct ctl_option *o = find_option(c, arg, len);
    const char *value = NULL;

    if (!o) {
        errmsg_set(reterr, "unknown option %.*s", (int)len, arg);
        return CTL_ARGS_E_USAGE;
    }
    if (!o->arg && equals) {
        errmsg_set(reterr, "%s takes no value", o->name);
        return CTL_ARGS_E_USAGE;
    }
    if (o->arg) {
        value = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value || (!*value && o->arg[0] != '[')) {
            errmsg_set(reterr, "%s needs a value: %s", o->name, o->arg);
            return CTL_ARGS_E_USAGE;
        }
        if (!o->repeats && find_value(c, o->name, 0)) {
            errmsg_set(reterr, "%s is given twice", o->name);
            return CTL_ARGS_E_USAGE;
        }
    }
    c->values[c->n_values++] = (struct ctl_value){ o, value };
    return 0;
}

static int parse_command(struct ctl_context *c, int argc, char *const *argv,
                         int *i, struct errmsg *reterr)
{
    const char *second = *i + 1 < argc ? argv[*i + 1] : NULL;

    c->command = find_command(argv[*i], second);
    if (c->command) {
        *i += strchr(c->command->name, ' ') ? 1 : 0;
        return 0;
    }
    if (!ctl_help_known(argv[*i]))
        errmsg_set(reterr, "unknown command: %s", argv[*i]);
    else if (second && second[0] != '-')
        errmsg_set(reterr, "unknown command: %s %s", argv[*i], second);
    else
        errmsg_set(reterr, "%s needs another word: guardianctl help %s",
                   argv[*i], argv[*i]);
    return CTL_ARGS_E_USAGE;
}

static int parse_all(struct ctl_context *c, int argc, char *const *argv,
                     struct errmsg *reterr)
{
    bool options = true;
    int r = 0;

    for (int i = 1; r == 0 && i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && argv[i][0] == '-' && argv[i][1])
            r = parse_option(c, argc, argv, &i, reterr);
        else if (!c->command)
            r = parse_command(c, argc, argv, &i, reterr);
        else
            c->operands[c->n_operands++] = argv[i];
    }
    return r;
}

static int check_command(const struct ctl_context *c, struct errmsg *reterr)
{
    const struct ctl_command *m = c->command;

    if (!m) {
        errmsg_set(reterr, "which command?");
        return CTL_ARGS_E_USAGE;
    }
    if (c->n_operands < m->min_operands) {
        errmsg_set(reterr, "%s needs %s", m->name, m->operands);
        return CTL_ARGS_E_USAGE;
    }
    if (c->n_operands > m->max_operands) {
        errmsg_set(reterr, "%s: one argument too many: %s", m->name,
                   c->operands[m->max_operands]);
        return CTL_ARGS_E_USAGE;
    }
    for (const struct ctl_option *o = m->options; o && o->name; o++) {
        if (o->required && !find_value(c, o->name, 0)) {
            errmsg_set(reterr, "%s needs %s %s", m->name, o->name,
                       o->arg ? o->arg : "");
            return CTL_ARGS_E_USAGE;
        }
    }
    return 0;
}

int ctl_args_parse(int argc, char *const *argv, struct ctl_context *ret,
                   struct errmsg *reterr)
{
    const char *socket = getenv("ACME_GUARDIAN_SOCKET");
    size_t n = argc > 0 ? (size_t)argc : 1;
    int r;

    *ret = (struct ctl_context){
        .operands = calloc(n, sizeof(*ret->operands)),
        .values = calloc(n, sizeof(*ret->values)),
    };
    if (!ret->operands || !ret->values)
        return -ENOMEM;
    r = parse_all(ret, argc, argv, reterr);
    if (r)
        return r;

    ret->json = ctl_args_has(ret, "--json");
    ret->help = ctl_args_has(ret, "--help");
    ret->version = ctl_args_has(ret, "--version");
    ret->config_dir = ctl_args_value(ret, "--config");
    if (!ret->config_dir)
        ret->config_dir = SETTINGS_DIR;
    ret->client_socket = ctl_args_value(ret, "--socket");
    if (!ret->client_socket && socket && *socket)
        ret->client_socket = socket;
    ret->admin_socket = ctl_args_value(ret, "--admin-socket");
    return ret->help || ret->version ? 0 : check_command(ret, reterr);
}

void ctl_args_deinit(struct ctl_context *c)
{
    free(c->operands);
    free(c->values);
    *c = (struct ctl_context){ 0 };
}

bool ctl_args_has(const struct ctl_context *c, const char *option)
{
    return ctl_args_count(c, option) > 0;
}

size_t ctl_args_count(const struct ctl_context *c, const char *option)
{
    size_t n = 0;

    assert(find_option(c, option, strlen(option)));
    while (find_value(c, option, n))
        n++;
    return n;
}

const char *ctl_args_nth(const struct ctl_context *c, const char *option,
                         size_t i)
{
    const struct ctl_value *v = find_value(c, option, i);

    assert(find_option(c, option, strlen(option)));
    return v ? v->value : NULL;
}

const char *ctl_args_value(const struct ctl_context *c, const char *option)
{
    return ctl_args_nth(c, option, 0);
}

int ctl_args_uint(const struct ctl_context *c, const char *option, uint64_t min,
                  uint64_t max, uint64_t *ret, struct errmsg *reterr)
{
    const char *v = ctl_args_value(c, option);
    unsigned long long n;
    char *end = NULL;

    if (!v)
        return 0;
    errno = 0;
    n = strtoull(v, &end, 10);
    if (v[0] < '0' || v[0] > '9' || errno || *end || n < min || n > max) {
        errmsg_set(reterr, "%s takes a number from %llu to %llu, not %s",
                   option, (unsigned long long)min, (unsigned long long)max, v);
        return CTL_ARGS_E_USAGE;
    }
    *ret = n;
    return 0;
}
