/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/setup-ask.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_OCTETS 4096

/* Octet by octet: what follows belongs to the program that asks next. */
static int read_line(char **ret)
{
    CLEANUP_BUF struct buf line = { 0 };
    char c;
    int r;

    for (;;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return ASK_E_END;
        if (c == '\n')
            break;
        r = line.len < LINE_MAX_OCTETS ? buf_append_char(&line, c) : -E2BIG;
        if (r)
            return r;
    }
    *ret = strdup(buf_str(&line));
    return *ret ? 0 : -ENOMEM;
}

static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

int ask_text(const char *question, const char *preset, ask_check_fn check,
             void *userdata, char **ret)
{
    for (;;) {
        CLEANUP_FREE char *line = NULL;
        struct errmsg why = { 0 };
        const char *answer;
        int r;

        (void)fprintf(
            stderr, preset && *preset ? "%s [%s]: " : "%s: ", question, preset);
        r = read_line(&line);
        if (r)
            return r;
        assert(line);
        answer = trim(line);
        if (!*answer && preset)
            answer = preset;
        if (check(answer, userdata, &why)) {
            *ret = strdup(answer);
            return *ret ? 0 : -ENOMEM;
        }
        (void)fprintf(stderr, "  %s\n", why.text);
    }
}

static bool check_yes(const char *answer, void *userdata, struct errmsg *reterr)
{
    bool *yes = userdata;

    *yes = strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
    if (*yes || strcasecmp(answer, "n") == 0 || strcasecmp(answer, "no") == 0)
        return true;
    errmsg_set(reterr, "yes or no?");
    return false;
}

int ask_yes(const char *question, bool *ret)
{
    CLEANUP_FREE char *answer = NULL;

    return ask_text(question, "yes", check_yes, ret, &answer);
}
