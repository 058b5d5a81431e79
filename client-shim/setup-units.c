/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * systemd's units, and the daemon behind them, until it says that the token can
 * sign. Tokens are read at the daemon's start, and a helper gets its credential
 * at its own.
 */
#include "client-shim/setup-units.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"
#include "client-shim/setup-run.h"
#include "client-shim/setup.h"
#include "client-shim/setup-tpm-conf.h" /* systemd/examples/tpm.conf */

#define SYSTEMCTL "/usr/bin/systemctl"
#define UNIT_MAX 96
#define TOKEN_WAIT_MS 30000
#define TOKEN_LOOK_MS 200

const char setup_units_tpm_conf[] = SETUP_TPM_CONF;

struct units {
    char socket[UNIT_MAX], helper[UNIT_MAX]; /* of the token */
    bool managed;                            /* by systemd, and by us */
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Return: its exit status; negative errno. */
static int systemctl(const char *verb, const char *option, const char *unit)
{
    const char *argv[] = { "systemctl", verb, option ? option : unit,
                           option ? unit : NULL, NULL };
    struct run_program p = {
        .path = SYSTEMCTL, .argv = argv, .in = -1, .out = -1, .extra = -1
    };
    pid_t pid = -1;
    int r = run_start(&p, &pid);

    return r ? r : run_wait(pid);
}

static int must(const char *verb, const char *unit)
{
    int r = systemctl(verb, NULL, unit);

    if (r < 0)
        return ctl_fail_errno(r, SYSTEMCTL);
    return r ? ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "systemctl %s%s%s failed (exit %d): systemctl status "
                        "%s",
                        verb, unit ? " " : "", unit ? unit : "", r,
                        unit ? unit : "acme-guardian.service")
             : CTL_EXIT_DONE;
}

static int enable_and_start(struct setup *s, const char *unit)
{
    bool enabled = systemctl("is-enabled", "--quiet", unit) == 0;
    bool active = systemctl("is-active", "--quiet", unit) == 0;
    int r = CTL_EXIT_DONE;

    if (!enabled)
        r = must("enable", unit);
    if (r == 0 && !active)
        r = must("start", unit);
    if (r == 0)
        setup_say(s, enabled && active ? SETUP_THERE : SETUP_DONE,
                  "%s enabled and started", unit);
    return r;
}

static int start_units(struct setup *s, const struct units *u)
{
    const char *const units[] = { "acme-guardian-client.socket",
                                  "acme-guardian-admin.socket",
                                  s->token->helper_socket ? u->socket : NULL,
                                  "acme-guardian.service" };
    int r;

    /* For a drop-in of ours, of this run or of one that was killed. */
    r = s->backend == SETUP_BACKEND_TPM ? must("daemon-reload", NULL)
                                        : CTL_EXIT_DONE;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(units); i++) {
        if (units[i])
            r = enable_and_start(s, units[i]);
    }
    return r;
}

/* ---- the daemon ---- */

/* *ret is new, and NULL where the daemon knows no such token. */
static bool ask_token(const struct setup *s, json_t **ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const json_t *list;

    *ret = NULL;
    if (ctl_try(s->c, CTL_SOCKET_ADMIN, "TokenList", json_object(), &answer))
        return false;
    list = json_object_get(answer, "tokens");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *t = json_array_get(list, i);
        const char *name = ctl_string(t, "name");

        if (name && strcmp(name, s->name) == 0)
            *ret = json_incref(t);
    }
    return true;
}

static bool is_state(const json_t *token, const char *state)
{
    const char *is = ctl_string(token, "state");

    return is && strcmp(is, state) == 0;
}

static int know_token(struct setup *s, const struct units *u)
{
    CLEANUP_CTL_JSON json_t *token = NULL;
    int r;

    if (ask_token(s, &token) && token)
        return CTL_EXIT_DONE;
    if (!u->managed)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon does not know the token %s yet: start it "
                        "anew, and run setup again",
                        s->name);
    r = must("restart", "acme-guardian.service");
    if (r == 0)
        setup_say(s, SETUP_DONE, "acme-guardian.service restarted");
    return r;
}

static int fail_token(const struct setup *s, const json_t *token)
{
    const char *text = ctl_string(token, "text");

    if (!token)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon knows no token %s: journalctl -u "
                        "acme-guardian.service",
                        s->name);
    return ctl_fail(CTL_EXIT_UNAVAILABLE, "token %s: %s%s%s", s->name,
                    ctl_string(token, "state"), text && *text ? ": " : "",
                    text ? text : "");
}

static int wait_for_token(struct setup *s, const struct units *u)
{
    const struct timespec pause = { 0, TOKEN_LOOK_MS * 1000000L };
    uint64_t end = now_ms() + TOKEN_WAIT_MS;
    bool restarted = !u->managed;

    for (;;) {
        CLEANUP_CTL_JSON json_t *token = NULL;
        bool asked = ask_token(s, &token);

        if (asked && is_state(token, "ok"))
            return CTL_EXIT_DONE;
        /* One that was there before this run has the credential of then. */
        if (asked && token && !restarted && !is_state(token, "starting")) {
            restarted = true;
            (void)systemctl("try-restart", NULL, u->helper);
        }
        if (now_ms() > end)
            return fail_token(s, token);
        (void)nanosleep(&pause, NULL);
    }
}

int setup_units_wait(struct setup *s)
{
    return wait_for_token(s, &(struct units){ 0 });
}

static bool daemon_answers(const struct setup *s)
{
    return ctl_try(s->c, CTL_SOCKET_ADMIN, "Status", json_object(), NULL) ==
           CTL_EXIT_DONE;
}

static void say_what_to_start(struct setup *s, const struct units *u)
{
    setup_say(s, SETUP_LEFT, "systemctl enable --now %s%sacme-guardian.service",
              s->token->helper_socket ? u->socket : "",
              s->token->helper_socket ? " " : "");
    setup_say(s, SETUP_LEFT,
              "guardianctl setup --token %s, once more: the "
              "audit key and the self-test need the daemon",
              s->name);
}

int setup_units(struct setup *s, bool *ret_running)
{
    struct units u = { 0 };
    int r = CTL_EXIT_DONE;

    *ret_running = false;
    (void)snprintf(u.socket, sizeof(u.socket), "acme-guardian-token@%s.socket",
                   s->name);
    (void)snprintf(u.helper, sizeof(u.helper), "acme-guardian-token@%s.service",
                   s->name);
    /* The units read the default directory. */
    u.managed = sd_booted() > 0 && !ctl_args_has(s->c, "--no-start") &&
                strcmp(s->dir, SETTINGS_DIR) == 0;
    if (s->dry_run)
        return CTL_EXIT_DONE;
    if (u.managed)
        r = start_units(s, &u);
    if (r)
        return r;
    if (!u.managed && !daemon_answers(s)) {
        say_what_to_start(s, &u);
        return CTL_EXIT_DONE;
    }
    r = know_token(s, &u);
    if (r == 0)
        r = wait_for_token(s, &u);
    *ret_running = r == 0;
    return r;
}
