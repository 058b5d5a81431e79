/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/settings.h"
#include "pkcs11/backend.h"

/*
 * The commands of acme-guardian-token that make and repair what holds keys:
 * init-sealed and reseal (init-sealed.c), init-token and reset-pin
 * (init-token.c). They run in the helper because nobody else handles its
 * secrets: the secret of Pin= comes from where it says or from a descriptor,
 * the recovery passphrase from the terminal or a pipe, neither from argv or the
 * environment.
 */

/* init_main() - argv[0] is the command's name. Return: the exit code, as
 * guardianctl's; -1: there is no command of that name. */
int init_main(int argc, char *argv[]);

#define INIT_EXIT_REFUSED 1
#define INIT_EXIT_BAD_INPUT 2

struct init_command {
    const char *config_dir;
    bool no_recovery;            /* --no-recovery */
    bool if_needed;              /* --if-needed */
    int pin_fd;                  /* --pin-fd; -1: as Pin= says */
    const char *credentials_dir; /* as systemd set it; NULL: it did not */
    const char *name;
    struct settings *settings;
    const struct settings_token *token;
};

/* The commands. Return: the exit code, all printed. */
int init_sealed_run(const struct init_command *c);
int init_sealed_run_reseal(const struct init_command *c);
int init_token_run(const struct init_command *c);
int init_token_run_reset_pin(const struct init_command *c);

/* What they share. Return: @code. */
int init_say(const struct errmsg *e, int code);

/* init_there() - what is asked for is there already: 0 without a word with
 * --if-needed, INIT_EXIT_REFUSED without. */
int init_there(const struct init_command *c, const char *path,
               const char *what);

/* init_read_pin() - the secret of Pin=; NULL with Pin=ask and none.
 * Return: 0; the exit code. */
int init_read_pin(const struct init_command *c, struct secret **ret) MUST_CHECK;

/* init_read_passphrase() - the recovery passphrase, from the terminal (@twice)
 * or the first line of stdin. Return: 0; the exit code. */
int init_read_passphrase(bool twice, struct secret **ret) MUST_CHECK;
