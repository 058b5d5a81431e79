/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Octet by octet straight into locked memory: no stdio buffer keeps a copy, and
 * what follows on a pipe is left to whom it belongs.
 */
#include "base/passphrase.h"

#include <errno.h>
#include <string.h>
#include <termios.h>

#include <sodium.h>

#define KEY_INTERRUPT 3 /* Ctrl-C */

/* Return: 0; -ENODATA when the line is empty; -ECANCELED; -E2BIG; negative
 * errno. */
static int read_line(int fd, struct secret **ret)
{
    CLEANUP_SECRET struct secret *line = NULL;
    size_t n = 0;
    uint8_t c = 0;
    CLEANUP_WIPE(wipe, c);
    int r;

    r = secret_new(SECRET_MAX, &line);
    if (r)
        return r;
    for (;;) {
        ssize_t k = read(fd, &c, 1);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0 || c == '\n')
            break;
        if (c == KEY_INTERRUPT)
            return -ECANCELED;
        if (n == SECRET_MAX)
            return -E2BIG;
        line->data[n++] = c;
    }
    if (n == 0)
        return -ENODATA;
    return secret_new_copy((struct bytes){ line->data, n }, ret);
}

static void say(const char *text)
{
    /* Nobody to tell if this fails. */
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static int ask(int fd, const char *prompt, struct secret **ret)
{
    int r;

    say(prompt);
    r = read_line(fd, ret);
    say("\n");
    return r;
}

/* Ctrl-C comes as a character, so that it cannot end us with the echo off. */
static int silence(int fd, struct termios *ret_before)
{
    struct termios quiet;

    if (tcgetattr(fd, ret_before) < 0)
        return -errno;
    quiet = *ret_before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG);
    quiet.c_lflag |= ICANON;
    return tcsetattr(fd, TCSAFLUSH, &quiet) < 0 ? -errno : 0;
}

static int explain(int r, struct errmsg *reterr)
{
    if (r == -ENODATA || r == -ECANCELED) {
        errmsg_set(reterr, "no passphrase was given");
        return PASSPHRASE_E_NONE;
    }
    errmsg_set(reterr, "the passphrase cannot be read: %s",
               r == -E2BIG ? "it is too long" : strerror(-r));
    return r;
}

static bool same(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && sodium_memcmp(a->data, b->data, a->len) == 0;
}

int passphrase_read(int fd, const char *prompt, bool twice, struct secret **ret,
                    struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *first = NULL;
    CLEANUP_SECRET struct secret *second = NULL;
    struct termios before;
    int r;

    if (!isatty(fd)) {
        r = read_line(fd, ret);
        return r ? explain(r, reterr) : 0;
    }
    r = silence(fd, &before);
    if (r)
        return explain(r, reterr);
    r = ask(fd, prompt, &first);
    if (r == 0 && twice)
        r = ask(fd, "The same again: ", &second);
    (void)tcsetattr(fd, TCSAFLUSH, &before);
    if (r)
        return explain(r, reterr);
    if (first && second && !same(first, second)) {
        errmsg_set(reterr, "the two passphrases differ");
        return PASSPHRASE_E_DIFFER;
    }
    *ret = TAKE_PTR(first);
    return 0;
}
