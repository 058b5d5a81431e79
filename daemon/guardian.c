/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/guardian.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/settings-value.h"
#include "daemon/admin-call.h"
#include "daemon/keycheck.h"
#include "daemon/lacme.h"
#include "daemon/listen.h"
#include "daemon/message-ids.h"
#include "daemon/quota.h"
#include "daemon/reload.h"
#include "daemon/rotate.h"
#include "daemon/sha256.h"
#include "daemon/signer.h"
#include "daemon/spawner.h"
#include "daemon/store-mark.h"

#define AUDIT_RETRY_MS 5000
#define DAY_MS (24 * 3600 * UINT64_C(1000))

static void log_error(int priority, const char *message_id, const char *what,
                      const struct errmsg *e)
{
    CLEANUP_BUF struct buf text = { 0 };
    const char *s = errmsg_format(e, &text) ? e->text : buf_str(&text);

    log_event(priority, message_id,
              (struct log_field[]){ { "GUARDIAN_DETAIL", s } }, 1, "%s: %s",
              what, s);
}

struct token *guardian_token(const struct guardian *g, const char *name)
{
    for (size_t i = 0; i < g->n_tokens; i++) {
        if (strcmp(token_settings(g->tokens[i])->name, name) == 0)
            return g->tokens[i];
    }
    return NULL;
}

/* ---- the audit log ---- */

struct replay {
    struct quota *quota;
    uint64_t now_ms;  /* of the quota's clock */
    uint64_t wall_ms; /* of the log's */
    uint64_t last_ms; /* orders happened one after the other, whatever the
                         clock said */
};

static int replay_order(const char *rule_id, uint64_t time_ms,
                        const uint8_t payload_sha256[static 32], void *userdata)
{
    struct replay *r = userdata;
    uint64_t at_ms = quota_time_ms(r->now_ms, r->wall_ms, time_ms);

    if (at_ms > r->last_ms)
        r->last_ms = at_ms;
    return quota_count(r->quota, rule_id, r->last_ms, payload_sha256);
}

static void guardian_count_orders(struct guardian *g)
{
    struct replay replay = { .quota = g->quota, .now_ms = quota_now_ms() };
    struct timespec now;
    int r;

    clock_gettime(CLOCK_REALTIME, &now);
    replay.wall_ms = now.tv_sec > 0 ? (uint64_t)now.tv_sec * 1000 : 0;
    /* A host without a clock begins in 1970. */
    r = audit_replay_orders(
        g->audit, replay.wall_ms > DAY_MS ? replay.wall_ms - DAY_MS : 0,
        replay_order, &replay);
    if (r)
        log_msg(LOG_WARNING,
                "Cannot count the last day's orders from the audit log: %s",
                strerror(-r));
}

static void guardian_audit_process(struct guardian *g, const char *what)
{
    const struct audit_event event = {
        .type = AUDIT_PROCESS,
        .operation = what,
        .detail = "acme-guardiand " GUARDIAN_VERSION,
    };

    if (g->audit && audit_write(g->audit, &event))
        log_msg(LOG_ERR, "The audit log cannot be written");
}

/* Once: is the registry as new as what lies beside the log? */
static int guardian_check_mark(struct guardian *g)
{
    bool fits = false;
    int r;

    if (g->mark_checked)
        return 0;
    r = store_mark_open(g->store, g->settings->log_dir, &fits, &g->audit_error);
    if (r)
        return r;
    accounts_say_asked(g);
    if (!fits)
        r = accounts_ask_all(g);
    if (r == 0)
        r = store_mark_settle(g->store);
    if (r) {
        errmsg_set_at(&g->audit_error, g->settings->log_dir, 0,
                      "whether the registry is an old one cannot be noted");
        return r;
    }
    g->mark_checked = true;
    g->mark_fits = fits;
    return 0;
}

static void guardian_open_audit(struct guardian *g)
{
    int r;

    g->audit_tried_ms = names_now_ms();
    r = audit_open(g->settings, g->event, &g->audit, &g->audit_error);
    if (r)
        g->audit = NULL;
    else
        guardian_audit_process(g, "start");
    if (r == 0)
        r = guardian_check_mark(g);
    if (r) {
        g->audit = audit_close(g->audit);
        log_error(LOG_ERR, MSG_AUDIT_UNAVAILABLE,
                  "The audit log cannot be used, nothing is signed",
                  &g->audit_error);
        return;
    }
    g->audit_error = (struct errmsg){ 0 };
    guardian_count_orders(g);
}

struct audit *guardian_audit(struct guardian *g)
{
    if (!g->audit && names_now_ms() >= g->audit_tried_ms + AUDIT_RETRY_MS)
        guardian_open_audit(g);
    return g->audit;
}

/* ---- tokens ---- */

static void on_keys_checked(const struct token_answer *a, void *userdata)
{
    struct token *t = userdata;

    if (token_answer_ok(a))
        token_open(t);
    else if (a->r != -ESTALE) /* the next helper's are looked at, too */
        token_keys_unknown(t, a);
}

static void on_token_ready(struct token *t, void *userdata)
{
    keycheck_start(
        userdata, t,
        &(struct keycheck_fns){ .done = on_keys_checked, .userdata = t });
}

static void on_token_state(struct token *t, void *userdata)
{
    (void)t;
    guardian_tell_status(userdata);
}

/* Before anything is opened that the helpers shall not have. */
static int guardian_make_spawner(struct guardian *g)
{
    bool wanted = false;

    for (size_t i = 0; i < g->settings->n_tokens; i++)
        wanted = wanted || !g->settings->tokens[i].helper_socket;
    if (!wanted)
        return 0;
    return spawner_new(
        &(struct spawner_options){ .settings = g->settings,
                                   .program = g->options.helper,
                                   .config_dir = g->options.config_dir },
        &g->spawner);
}

static int guardian_make_tokens(struct guardian *g)
{
    const struct settings *s = g->settings;

    g->tokens = calloc(s->n_tokens + 1, sizeof(struct token *));
    if (!g->tokens)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_tokens; i++) {
        int r = token_new(
            &(struct token_options){
                .event = g->event,
                .settings = &s->tokens[i],
                .spawner = s->tokens[i].helper_socket ? NULL : g->spawner,
                .index = i,
                .on_ready = on_token_ready,
                .on_state = on_token_state,
                .userdata = g },
            &g->tokens[g->n_tokens]);

        if (r)
            return r;
        g->n_tokens++;
    }
    return 0;
}

/* ---- setting up ---- */

static int guardian_open_store(struct guardian *g, struct errmsg *reterr)
{
    int r;

    r = store_open(g->settings->state_dir, &g->store, reterr);
    if (r == STORE_E_LOCKED)
        return GUARDIAN_E_LOCKED;
    if (r > 0)
        return GUARDIAN_E_CONFIG;
    if (r == 0)
        r = suspend_load(&g->suspend, g->store);
    if (r == 0)
        r = denied_load(&g->denied, g->store);
    if (r == 0)
        r = guardian_make_tokens(g);
    if (r == 0)
        r = accounts_load(g);
    return r;
}

static int guardian_make_servers(struct guardian *g)
{
    static const struct varlink_info info = {
        .vendor = "acme-guardian",
        .product = "acme-guardiand",
        .version = GUARDIAN_VERSION,
        .url = "",
    };
    const struct varlink_limits limits = {
        .connections_per_uid = g->settings->connections_per_user,
        .requests_per_uid = g->settings->requests_per_user,
    };
    int r;

    r = varlink_server_new(g->event, &limits, &info, &g->varlink);
    if (r == 0)
        r = signer_register(g);
    if (r == 0)
        r = admin_register(g);
    return r ? r : lacme_new(g, &g->lacme);
}

static int guardian_load_settings(struct guardian *g, struct errmsg *reterr)
{
    int r;

    if (settings_load(g->options.config_dir, &g->settings, reterr) ||
        secrets_init(g->settings->allow_swappable, reterr))
        return GUARDIAN_E_CONFIG;
    g->grants.per_minute = g->settings->requests_per_minute;
    r = guardian_make_spawner(g);
    if (r)
        return r;
    r = sd_event_new(&g->event);
    if (r >= 0 && g->spawner)
        r = spawner_attach(g->spawner, g->event);
    return r < 0 ? r : 0;
}

/* An empty set stands in where the files are not fit to be read. */
static int guardian_load_policy(struct guardian *g)
{
    struct errmsg e;
    int r;

    r = policy_load_text((struct bytes){ 0 }, "", NULL, &g->policy, &e);
    if (r)
        return r;
    if (reload_policy(g, &e))
        log_msg(LOG_ERR, "Every request is denied until it can be loaded");
    return 0;
}

static void on_host_change(void *userdata)
{
    guardian_tell_status(userdata);
}

static int guardian_look_at_host(struct guardian *g)
{
    for (size_t i = 0; i < g->settings->n_tokens; i++) {
        if (g->settings->tokens[i].helper_socket)
            host_look_at_socket(&g->host, g->settings->tokens[i].helper_socket);
    }
    return host_watch_clock(&g->host, g->event, on_host_change, g);
}

static int guardian_setup(struct guardian *g, struct errmsg *reterr)
{
    int r;

    r = guardian_load_settings(g, reterr);
    if (r == 0)
        r = guardian_open_store(g, reterr);
    if (r == 0)
        r = quota_new(&g->quota);
    if (r == 0)
        r = sha256_new(&g->sha256);
    if (r)
        return r;
    guardian_open_audit(g);
    r = rotate_load(g);
    if (r > 0) {
        errmsg_set_at(reterr, g->settings->state_dir, 0,
                      "the registry has a damaged rotation; restore it from a "
                      "backup");
        return GUARDIAN_E_CONFIG;
    }
    if (r)
        return r;
    r = guardian_load_policy(g);
    if (r == 0)
        r = guardian_make_servers(g);
    if (r == 0)
        r = listen_all(g, reterr);
    if (r == 0)
        r = guardian_look_at_host(g);
    for (size_t i = 0; r == 0 && i < g->n_tokens; i++)
        token_start(g->tokens[i]);
    return r;
}

int guardian_new(const struct guardian_options *options, struct guardian **ret,
                 struct errmsg *reterr)
{
    CLEANUP_GUARDIAN struct guardian *g = calloc(1, sizeof(*g));
    int r;

    if (!g)
        return -ENOMEM;
    g->options = *options;
    g->since_s = time(NULL);
    names_init(&g->names, &policy_names_nss, names_now_ms);
    *reterr = (struct errmsg){ 0 };
    r = guardian_setup(g, reterr);
    if (r < 0 && !reterr->text[0])
        errmsg_set(reterr, "cannot start: %s", strerror(-r));
    if (r)
        return r;
    *ret = TAKE_PTR(g);
    return 0;
}

struct guardian *guardian_free(struct guardian *g)
{
    if (!g)
        return NULL;
    for (size_t i = 0; i < g->n_tokens; i++)
        token_free(g->tokens[i]);
    free(g->tokens);
    spawner_free(g->spawner);
    /* Both answer what still waits for them, so the interfaces come after. */
    rotate_stop(g);
    if (g->audit)
        audit_write_suppressed(g->audit);
    guardian_audit_process(g, "stop");
    admin_stop(g);
    admin_backup_stop(g);
    g->audit = audit_close(g->audit);
    lacme_free(g->lacme);
    varlink_server_free(g->varlink);
    policy_set_free(g->policy);
    settings_strv_free(g->restart_needed);
    quota_free(g->quota);
    sha256_free(g->sha256);
    accounts_deinit(&g->accounts);
    suspend_deinit(&g->suspend);
    denied_deinit(&g->denied);
    store_close(g->store);
    roles_deinit(&g->roles);
    host_deinit(&g->host);
    sd_event_source_disable_unref(g->stop_timer);
    sd_event_unref(g->event);
    settings_free(g->settings);
    free(g);
    return NULL;
}
