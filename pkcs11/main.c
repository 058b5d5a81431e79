/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * acme-guardian-token: the process that has the PIN and the device. It signs
 * what the daemon sends, for one connection, and holds no policy.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>

#include "base/confine.h"
#include "base/log.h"
#include "base/settings.h"
#include "base/turn-away.h"
#include "pkcs11/connection.h"
#include "pkcs11/fence.h"
#include "pkcs11/init.h"
#include "pkcs11/supervise.h"

#define FD_MAX 65535

struct options {
    const char *config_dir;
    const char *name;
    int fd;
};

static void usage(FILE *to)
{
    fputs("Usage: acme-guardian-token [--config DIR] [--fd N] NAME\n"
          "       acme-guardian-token init-sealed|init-token [--config DIR] "
          "[--pin-fd N]\n"
          "           [--no-recovery] [--if-needed] NAME\n"
          "       acme-guardian-token reseal|reset-pin [--config DIR] "
          "[--pin-fd N] NAME\n"
          "\n"
          "Serves the token NAME of guardian.conf to acme-guardiand, over a\n"
          "connected socket (--fd) or one passed by systemd. "
          "See acme-guardian-token(8).\n",
          to);
}

static bool parse_fd(const char *text, int *ret)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || n < 3 || n > FD_MAX)
        return false;
    *ret = (int)n;
    return true;
}

/* Return: -1 to go on, or the exit code. */
static int parse(int argc, char **argv, struct options *ret)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "fd", required_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { 0 },
    };
    int opt;

    while ((opt = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        if (opt == 'c') {
            ret->config_dir = optarg;
        } else if (opt == 'f') {
            if (!parse_fd(optarg, &ret->fd)) {
                fprintf(stderr, "--fd takes a descriptor from 3 on: %s\n",
                        optarg);
                return EX_USAGE;
            }
        } else if (opt == 'h') {
            usage(stdout);
            return 0;
        } else if (opt == 'V') {
            puts("acme-guardian-token " GUARDIAN_VERSION);
            return 0;
        } else {
            usage(stderr);
            return EX_USAGE;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return EX_USAGE;
    }
    ret->name = argv[optind];
    return -1;
}

static int say(const struct errmsg *why, int code)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (errmsg_format(why, &text) == 0)
        log_msg(LOG_ERR, "%s", buf_str(&text));
    return code;
}

static int say_config(const struct errmsg *why)
{
    (void)say(why, EX_CONFIG);
    turn_away(TURN_AWAY_MS);
    return EX_CONFIG;
}

static int run(const struct options *options)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    const struct settings_token *token;
    struct errmsg why = { 0 };
    bool unseparated = false;
    int connection;
    int r;

    if (confine_process(&why))
        return say(&why, EX_OSERR);
    if (settings_load(options->config_dir, &settings, &why))
        return say_config(&why);
    token = settings_token(settings, options->name);
    if (!token) {
        errmsg_set_at(&why, options->config_dir, 0, "there is no [Token %s]",
                      options->name);
        return say_config(&why);
    }
    if (fence_calls(token, &why))
        return say(&why, EX_OSERR);
    r = connection_take(options->fd, &connection, &unseparated, &why);
    if (r == CONNECTION_E_NOBODY)
        return 0;
    if (r)
        return say(&why, EX_NOPERM);
    if (confine_close_fds(connection))
        return EX_OSERR;
    return supervise(settings, token, connection, unseparated);
}

int main(int argc, char **argv)
{
    struct options options = { .config_dir = SETTINGS_DIR, .fd = -1 };
    int code;

    code = argc > 1 ? init_main(argc - 1, argv + 1) : -1;
    if (code >= 0)
        return code;

    log_init("acme-guardian-token", false);
    code = parse(argc, argv, &options);
    return code >= 0 ? code : run(&options);
}
