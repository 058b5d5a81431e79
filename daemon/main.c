/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "base/turn-away.h"
#include "daemon/guardian.h"
#include "daemon/helper.h"
#include "daemon/isolate.h"

/* acme-guardiand: signs ACME requests for clients that must not hold the key
 * (acme-guardiand(8)). */

struct options {
    const char *config_dir;
    const char *helper;
    bool debug;
};

static const char usage_text[] =
    "Usage: acme-guardiand [OPTION...]\n"
    "\n"
    "  --config DIR         configuration directory (" SETTINGS_DIR ")\n"
    "  --token-helper PATH  program of the token helpers that are spawned\n"
    "  --debug              log more\n"
    "  --version            print the version\n"
    "  --help               print this\n";

enum { OPT_CONFIG = 1, OPT_HELPER, OPT_DEBUG, OPT_VERSION, OPT_HELP };

static const struct option long_options[] = {
    { "config", required_argument, NULL, OPT_CONFIG },
    { "token-helper", required_argument, NULL, OPT_HELPER },
    { "debug", no_argument, NULL, OPT_DEBUG },
    { "version", no_argument, NULL, OPT_VERSION },
    { "help", no_argument, NULL, OPT_HELP },
    { NULL, 0, NULL, 0 },
};

/* -1: go on; else the exit status. */
static int parse_options(int argc, char *argv[], struct options *ret)
{
    int c;

    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case OPT_CONFIG:
            ret->config_dir = optarg;
            break;
        case OPT_HELPER:
            ret->helper = optarg;
            break;
        case OPT_DEBUG:
            ret->debug = true;
            break;
        case OPT_VERSION:
            puts("acme-guardiand " GUARDIAN_VERSION);
            return EX_OK;
        case OPT_HELP:
            fputs(usage_text, stdout);
            return EX_OK;
        default:
            fputs(usage_text, stderr);
            return EX_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fputs(usage_text, stderr);
    return EX_USAGE;
}

static int exit_status(int r, const struct errmsg *e)
{
    CLEANUP_BUF struct buf text = { 0 };

    log_msg(LOG_ERR, "%s", errmsg_format(e, &text) ? e->text : buf_str(&text));
    switch (r) {
    case GUARDIAN_E_CONFIG:
        turn_away(TURN_AWAY_MS);
        return EX_CONFIG;
    case GUARDIAN_E_LOCKED:
        return EX_TEMPFAIL;
    default:
        return EXIT_FAILURE;
    }
}

static int run(const struct options *o, const char *helper)
{
    CLEANUP_GUARDIAN struct guardian *g = NULL;
    const char *no_pidfd = getenv("ACME_GUARDIAN_TEST_NO_PEERPIDFD");
    struct errmsg e = { 0 };
    int r;

    r = guardian_new(
        &(struct guardian_options){
            .config_dir = o->config_dir,
            .helper = helper,
            .use_peerpidfd = !no_pidfd || strcmp(no_pidfd, "1") != 0 },
        &g, &e);
    if (r == 0)
        r = isolate_calls(&e);
    if (r)
        return exit_status(r, &e);
    r = guardian_run(g);
    if (r == 0)
        return EXIT_SUCCESS;
    errmsg_set(&e, "the event loop failed: %s", strerror(-r));
    return exit_status(r, &e);
}

/* The event loop takes these from a signalfd. */
static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

/*
 * Where jansson gets no memory for a token, it calls the text malformed, or
 * goes on with octets missing: what is read would not be what is signed. The
 * supervisor starts us again, which loses nothing.
 */
static void *json_memory(size_t len)
{
    void *p = malloc(len);

    if (!p) {
        log_msg(LOG_ERR, "Out of memory while reading or writing JSON");
        _exit(EXIT_FAILURE);
    }
    return p;
}

int main(int argc, char *argv[])
{
    struct options o = { .config_dir = SETTINGS_DIR };
    CLEANUP_FREE char *found = NULL;
    struct errmsg e = { .text = "cannot start" };
    int r;

    r = parse_options(argc, argv, &o);
    if (r >= 0)
        return r;
    log_init("acme-guardiand", o.debug);
    json_set_alloc_funcs(json_memory, free);
    r = block_signals();
    if (r == 0)
        r = isolate_process(&e);
    if (r == 0 && !o.helper)
        r = helper_find(&found);
    if (r)
        return exit_status(r, &e);
    return run(&o, o.helper ? o.helper : found);
}
