/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/errmsg.h"

/*
 * guardianctl: what all commands share. A command is a row of a table: its
 * name, options and operands are written once, and parsing, --help, shell
 * completion and the check of the man page read the same row.
 */

struct ctl_context;

/* Design section 14; guardianctl(1) explains them. */
enum ctl_exit {
    CTL_EXIT_DONE = 0, /* yes, done */
    CTL_EXIT_NO = 1,   /* no, denied, found something */
    CTL_EXIT_MALFORMED = 2,
    CTL_EXIT_UNKNOWN = 3, /* found nothing, but not everything could be seen */
    CTL_EXIT_USAGE = 64,
    CTL_EXIT_UNAVAILABLE = 69,
    CTL_EXIT_TRY_AGAIN = 75,
    CTL_EXIT_NOT_PERMITTED = 77,
    CTL_EXIT_CONFIG = 78,
};

struct ctl_option {
    const char *name; /* "--account" */
    const char *arg;  /* "NAME"; "[NAME]": may be empty; NULL: a switch */
    const char *help; /* one line */
    char letter;      /* 'f': "-f" is the same; 0: none */
    bool required;
    bool repeats; /* otherwise given twice is an error */
};

struct ctl_command {
    const char *name;     /* one or two words: "policy check" */
    const char *operands; /* for the synopsis, "NAME [FILE]"; may be NULL */
    unsigned min_operands;
    unsigned max_operands;
    const struct ctl_option *options; /* ended by a NULL name; may be NULL */
    const char *help;                 /* one line */
    /* Return: the exit code. Has printed everything, errors too. */
    int (*run)(struct ctl_context *c);
};

/* Each table ends with a NULL name; guardianctl.c lists the tables. */
extern const struct ctl_command *const ctl_commands[];
extern const struct ctl_option ctl_common_options[];

struct ctl_value {
    const struct ctl_option *option;
    const char *value; /* NULL for a switch */
};

/* One call of the program. All strings are argv's, the environment's or
 * constants. */
struct ctl_context {
    const char *config_dir;    /* --config, or the default */
    const char *client_socket; /* --socket, $ACME_GUARDIAN_SOCKET; NULL: none */
    const char *admin_socket;  /* --admin-socket; NULL: the settings' */
    bool json;                 /* --json */
    bool help;                 /* --help: nothing else was checked */
    bool version;
    const struct ctl_command *command; /* NULL with --help and --version alone
                                        */
    const char **operands;
    size_t n_operands;
    struct ctl_value *values;
    size_t n_values;
};

/**
 * ctl_args_parse() - argv to a command with its options
 *
 * Options stand anywhere after the program's name, those of a command after
 * its words. "--name VALUE" and "--name=VALUE"; no abbreviations, since they
 * would change their meaning when an option is added; "--" ends the options.
 *
 * Return: 0; CTL_ARGS_E_USAGE with *reterr; -ENOMEM.
 */
int ctl_args_parse(int argc, char *const *argv, struct ctl_context *ret,
                   struct errmsg *reterr) MUST_CHECK;
#define CTL_ARGS_E_USAGE 1
void ctl_args_deinit(struct ctl_context *c);

/* Of the options of this command; a name that it does not have is a bug. */
bool ctl_args_has(const struct ctl_context *c, const char *option);
const char *ctl_args_value(const struct ctl_context *c, const char *option);
size_t ctl_args_count(const struct ctl_context *c, const char *option);
const char *ctl_args_nth(const struct ctl_context *c, const char *option,
                         size_t i);

/**
 * ctl_args_uint() - the value as a decimal number; *ret unchanged when absent
 *
 * Return: 0; CTL_ARGS_E_USAGE with *reterr.
 */
int ctl_args_uint(const struct ctl_context *c, const char *option, uint64_t min,
                  uint64_t max, uint64_t *ret,
                  struct errmsg *reterr) MUST_CHECK;

extern const struct ctl_command ctl_help_commands[];

/* ctl_help_text() - of a command, of a group ("account"), or (NULL) of all. */
int ctl_help_text(const char *name, struct buf *b) MUST_CHECK;
bool ctl_help_known(const char *name);

/*
 * ctl_fail() - "guardianctl: TEXT" on stderr, control characters replaced.
 * Return: @code.
 */
int ctl_fail(enum ctl_exit code, const char *fmt, ...) PRINTF(2, 3);
/* ctl_fail_at() - the same with the place that @e names. */
int ctl_fail_at(enum ctl_exit code, const struct errmsg *e);
/*
 * ctl_fail_errno() - out of memory, no permission, ...: "WHAT: strerror". What
 * is not there, or is no file, was named wrongly: CTL_EXIT_CONFIG. A socket or
 * a program of ours is unavailable then, which is for the caller to say.
 */
int ctl_fail_errno(int r, const char *what);
/* ctl_fail_load() - of what reads settings, policy and such: @e where it has
 * words, else ctl_fail_errno(). CTL_EXIT_CONFIG, or no permission. */
int ctl_fail_load(int r, const struct errmsg *e, const char *what);
