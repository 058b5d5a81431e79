/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "base/settings.h"
#include "daemon/accounts.h"
#include "daemon/audit.h"
#include "daemon/denied.h"
#include "daemon/grant-limit.h"
#include "daemon/host.h"
#include "daemon/log-limit.h"
#include "daemon/metrics.h"
#include "daemon/names.h"
#include "daemon/roles.h"
#include "daemon/store.h"
#include "daemon/suspend.h"
#include "daemon/token.h"
#include "ipc/varlink-server.h"
#include "policy/policy.h"

struct admin_watch;
struct backup;
struct lacme;
struct quota;
struct sha256;
struct spawner;

struct guardian_options {
    const char *config_dir;
    const char *helper; /* of spawned token helpers */
    bool use_peerpidfd; /* false: take the path of older kernels */
};

/*
 * The daemon: everything that its interfaces share. What can fail while it
 * runs has its error beside it, which is served instead.
 */
struct guardian {
    struct guardian_options options;
    sd_event *event;
    struct settings *settings;
    struct roles roles;
    struct names names;
    int64_t since_s;
    struct host host;

    struct store *store;
    struct suspend suspend;
    struct denied denied;
    struct accounts accounts;
    char registry_error[64]; /* empty: the last change could be written */
    bool mark_checked;       /* store-mark.h: */
    bool mark_fits;          /* the registry is no old one */
    struct spawner *spawner; /* NULL: every token has a HelperSocket= */
    struct token **tokens;
    size_t n_tokens;

    struct policy_set *policy;  /* never NULL; empty until one could be read */
    struct errmsg policy_error; /* of the last attempt; empty: it was good */
    int64_t policy_loaded_s;
    char *
        *restart_needed; /* settings that changed on disk; NULL-ended or NULL */
    struct quota *quota;
    struct grant_limit grants;
    struct sha256 *sha256;

    struct audit *audit;       /* NULL: see audit_error */
    struct errmsg audit_error; /* empty: it could be opened */
    uint64_t audit_tried_ms;

    struct varlink_server *varlink;
    struct varlink_interface signer, admin;
    struct lacme *lacme;
    struct admin_watch *watches;
    struct backup *backup; /* being read, or NULL */
    sd_event_source *stop_timer;
    bool stopping;
    struct log_limit log_granted, log_denied;
    struct metrics metrics;
    uint64_t n_no_rule; /* requests of callers that no rule set matches */
};

#define GUARDIAN_E_CONFIG 1 /* exit status 78 */
#define GUARDIAN_E_LOCKED 2 /* exit status 75 */

/**
 * guardian_new() - read everything, listen
 *
 * Only configuration that cannot be read, a registry that is not ours to touch
 * and sockets that cannot be had are errors. A policy, token, audit log or
 * account that does not work is served as such.
 *
 * Return: 0; GUARDIAN_E_CONFIG; GUARDIAN_E_LOCKED; negative errno, with
 * *reterr.
 */
int guardian_new(const struct guardian_options *options, struct guardian **ret,
                 struct errmsg *reterr) MUST_CHECK;

/* guardian_run() - until a signal ends it. */
int guardian_run(struct guardian *g) MUST_CHECK;

struct guardian *guardian_free(struct guardian *g);
DEFINE_CLEANUP(struct guardian *, guardian_free)
#define CLEANUP_GUARDIAN CLEANUP(guardian_free_p)

struct token *guardian_token(const struct guardian *g, const char *name);

/* guardian_audit() - the audit log, opened again now and then if it could not
 * be; NULL: it still cannot. */
struct audit *guardian_audit(struct guardian *g);

/* guardian_tell_status() - one line for systemctl status. */
void guardian_tell_status(const struct guardian *g);

/* guardian_may_stop() - called when an interface has nothing left to answer. */
void guardian_may_stop(struct guardian *g);
