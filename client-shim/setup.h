/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include <jansson.h>

#include "base/chain.h"
#include "base/secret.h"
#include "base/settings.h"
#include "client-shim/ctl.h"
#include "client-shim/setup-conf.h"

/*
 * guardianctl setup: from an installed package to a token that signs.
 *
 *   setup-answers.c  options, then what is there, then questions
 *   setup-conf*.c    the files as text
 *   setup-plan.c     which files, and whether all of them would load
 *   setup-file.c     files that appear whole, and never over another
 *   setup-run.c      other programs
 *   setup-token.c    the credential, the directory, the token itself
 *   setup-units.c    systemd's units, until the daemon has the token
 *   setup-test.c     the audit key and the self-test
 *
 * Each step looks whether its work is done already, so that a run which ended
 * half-way is finished by the next, and a second one changes nothing. Every
 * function returns an exit code, CTL_EXIT_DONE to go on, or another after it
 * has printed why.
 */

#define SETUP_DAEMON_USER "acme-guardian"
#define SETUP_TOKEN_USER "acme-guardian-token"
#define SETUP_CREDSTORE "/etc/credstore.encrypted"

#define SETUP_FILES_MAX 5

struct setup_user {
    const char *name;
    uid_t uid;
    gid_t gid;
};

struct setup {
    struct ctl_context *c;
    char *dir;        /* of the settings, whole; owned */
    bool interactive; /* stdin and stderr are a terminal */
    bool dry_run;
    json_t *steps; /* for --json */

    struct setup_user daemon, helper;
    struct settings *settings;          /* as they were; then with ours */
    const struct settings_token *token; /* [Token NAME] of these, or NULL */

    /* Answers; owned. */
    char *name;
    enum setup_backend backend;
    char *module, *token_uri, *tcti;
    char *user, *account; /* NULL: no policy is made */
    char **domains;

    struct setup_file {
        char *path;
        struct buf text;
        const char *settings_name; /* within the settings' directory; NULL */
    } files[SETUP_FILES_MAX];
    size_t n_files;

    bool added; /* the token was not there before this run */
    bool has_key;
    struct chain key; /* the audit log's first; wiped by setup_deinit() */
};

/* ctl-setup.c: one line for each step. */
void setup_say(struct setup *s, const char *state, const char *fmt, ...)
    PRINTF(3, 4);
#define SETUP_MADE "made"
#define SETUP_THERE "already there"
#define SETUP_WOULD "would be made"
#define SETUP_DONE "done"
#define SETUP_LEFT "left to you"
int setup_no_memory(void);

/* setup-answers.c */
int setup_answers(struct setup *s) MUST_CHECK;
void setup_answers_deinit(struct setup *s);

/* setup-plan.c: setup_plan() names the files and checks what they would say;
 * setup_plan_write() writes those that are missing. */
int setup_plan(struct setup *s) MUST_CHECK;
int setup_plan_write(struct setup *s) MUST_CHECK;
void setup_plan_deinit(struct setup *s);

/* setup-token.c */
int setup_token_credential(struct setup *s) MUST_CHECK;
int setup_token_directory(struct setup *s) MUST_CHECK;
int setup_token_init(struct setup *s) MUST_CHECK;

/* setup-units.c: *ret_running says whether there is a daemon to go on with. */
int setup_units(struct setup *s, bool *ret_running) MUST_CHECK;
int setup_units_wait(struct setup *s) MUST_CHECK; /* until the token is ok */

/* setup-test.c */
int setup_test_take_key(struct setup *s) MUST_CHECK;
int setup_test_run(struct setup *s) MUST_CHECK;
