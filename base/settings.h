/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/errmsg.h"

/*
 * guardian.conf and guardian.conf.d/ *.conf (guardian.conf(5)), read by the
 * daemon, the token helper and guardianctl alike. Later files add sections and
 * override single values.
 */

#define SETTINGS_DIR "/etc/acme-guardian"
/* StateDirectory= of acme-guardian-token@.service, without the instance. */
#define SETTINGS_TOKEN_DIR "/var/lib/acme-guardian-token"
#define SETTINGS_CLIENT_SOCKET "/run/acme-guardian/client.sock"
#define SETTINGS_ADMIN_SOCKET "/run/acme-guardian/admin.sock"

enum settings_backend {
    SETTINGS_BACKEND_UNSET = 0,
    SETTINGS_BACKEND_CRYPTOKI,
    SETTINGS_BACKEND_LIBP11,
    SETTINGS_BACKEND_SEALED,
};

enum settings_pin {
    SETTINGS_PIN_NONE = 0,   /* Pin=none */
    SETTINGS_PIN_CREDENTIAL, /* Pin=credential:NAME, in $CREDENTIALS_DIRECTORY
                              */
    SETTINGS_PIN_FILE,       /* Pin=file:PATH */
    SETTINGS_PIN_ASK,        /* Pin=ask, systemd's password agents */
};

enum settings_audit_sync {
    SETTINGS_SYNC_UNSET = 0,
    SETTINGS_SYNC_INTERVAL,
    SETTINGS_SYNC_GROUP,
};

/* [Token NAME] */
struct settings_token {
    char *name;
    char *file; /* where the section stands, for messages */
    unsigned line;
    enum settings_backend backend;
    char *module;    /* Module=, absolute path; NULL for sealed */
    char *token_uri; /* Token=, RFC 7512, as written; NULL for sealed */
    enum settings_pin pin;
    char *pin_arg;
    uint64_t timeout_ms;   /* Timeout=, default 10 s */
    unsigned sessions;     /* Sessions=, per process, default 2 */
    unsigned processes;    /* Processes=, default 1 */
    char **environment;    /* Environment=, "K=V", NULL-ended, may be NULL */
    char *init_args;       /* InitArgs=, for pReserved; NULL: none */
    char *key_prefix;      /* KeyPrefix=, default "acme-guardian" */
    bool verify_all;       /* VerifySignatures=all (default rsa) */
    char **system_calls;   /* SystemCalls=, names, NULL-ended, may be NULL */
    bool all_system_calls; /* SystemCalls=all */
    bool writable_code;    /* WritableCode= */
    char *directory;       /* Directory=: sealed keys, failed-PIN record */
    char *helper_socket;   /* HelperSocket=: a unit's socket; NULL: spawned */
};

/* [Lacme NAME] */
struct settings_lacme {
    char *name;
    char *account; /* Account=, default NAME */
    char *socket;  /* Socket=: created by the daemon; NULL: activated only */
    char *owner;   /* Owner=: user that gets the created socket; NULL: ours */
};

struct settings {
    char *dir;                     /* the directory that was read */
    char *policy_dir;              /* DIR/policy.d */
    char *state_dir;               /* StateDirectory= */
    char *log_dir;                 /* LogDirectory= */
    char *client_socket;           /* ClientSocket= */
    char *admin_socket;            /* AdminSocket= */
    bool allow_swappable;          /* AllowSwappableSecrets= */
    unsigned connections_per_user; /* ConnectionsPerUser=, default 64 */
    unsigned requests_per_user;    /* RequestsPerUser=, default 64 */
    unsigned requests_per_minute;  /* RequestsPerMinute=, default 1800 */
    enum settings_audit_sync audit_sync;
    uint64_t audit_max_size; /* AuditMaxSize=, default 64M */
    unsigned audit_keep;     /* AuditKeep=, rotated files kept, default 30 */
    uint64_t audit_reserve;  /* AuditReserve=, preallocated, default 16M */
    /* [Roles], each a NULL-ended list of user or group names or numeric ids;
     * uid 0 is always admin. The defaults are the users and groups of
     * systemd/acme-guardian.sysusers. */
    char **admin_users, **admin_groups;
    char **ops_users, **ops_groups;
    char **monitor_users, **monitor_groups;
    char **deny_domains; /* [Deny] Domain=, NULL-ended, A-labels unchecked */
    struct settings_token *tokens;
    size_t n_tokens;
    struct settings_lacme *lacmes;
    size_t n_lacmes;
};

extern const struct config_schema settings_schema[];

/**
 * settings_load() - read and check a configuration directory
 * @dir: the directory that holds guardian.conf; it must exist
 *
 * The file and directory must be writable by their owner (root or this
 * process's user) alone. A missing guardian.conf gives all defaults.
 *
 * Return: 0; CONFIG_E_INVALID with *reterr; negative errno with *reterr.
 */
int settings_load(const char *dir, struct settings **ret,
                  struct errmsg *reterr) MUST_CHECK;

/* A file that is not there yet, by its name within the directory. */
struct settings_text {
    const char *name;
    struct bytes text;
};

/* settings_load_with() - as settings_load() would, were these files there after
 * all others: before they are written. */
int settings_load_with(const char *dir, const struct settings_text *more,
                       size_t n_more, struct settings **ret,
                       struct errmsg *reterr) MUST_CHECK;

const struct settings_token *settings_token(const struct settings *s,
                                            const char *name);

struct settings *settings_free(struct settings *s);
DEFINE_CLEANUP(struct settings *, settings_free)
#define CLEANUP_SETTINGS CLEANUP(settings_free_p)

/* settings_name_ok() - [a-z0-9][a-z0-9._-]{0,31}: tokens, accounts, sockets. */
bool settings_name_ok(const char *name);
