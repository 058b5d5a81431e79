/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An attempt: 0, or the errno of what stopped it. */
struct attempt {
    const char *verb;
    const char *argument; /* what it takes, for the usage; NULL: nothing */
    int (*fn)(const char *argument);
};

/* Ended by one without a verb. */
extern const struct attempt attempts[];

/* attempt_load_module() - separation-module.c: dlopen()s "MODULE,LABEL,PIN" and
 * logs in to the token LABEL. Says on stdout how far it came. */
int attempt_load_module(const char *argument);
