/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * cmocka's skip() looks like a pass to who reads exit codes. Tests that need
 * what not every machine gives are a group of their own, run as a test of their
 * own (the program with the group's name), and skipped as a whole: exit 77.
 */
#define NEED_EXIT_SKIPPED 77

static inline void need(bool there, const char *what)
{
    if (there)
        return;
    (void)fprintf(stderr, "skipped: needs %s\n", what);
    exit(NEED_EXIT_SKIPPED);
}

/* need_group() - is this run for the group of that name? */
static inline bool need_group(int argc, char **argv, const char *name)
{
    return argc > 1 && strcmp(argv[1], name) == 0;
}
