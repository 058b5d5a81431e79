/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/reload.h"

#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "base/settings-diff.h"
#include "base/settings-value.h"
#include "daemon/admin.h"
#include "daemon/message-ids.h"

static int reload_read(const struct guardian *g, struct settings **ret_settings,
                       struct policy_set **ret_policy, struct errmsg *reterr)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    CLEANUP_POLICY_SET struct policy_set *policy = NULL;
    int r;

    r = settings_load(g->options.config_dir, &settings, reterr);
    if (r == 0)
        r = policy_load(settings->policy_dir, settings->deny_domains, &policy,
                        reterr);
    if (r == 0)
        r = denied_apply(&g->denied, policy, reterr);
    if (r)
        return r;
    *ret_settings = TAKE_PTR(settings);
    *ret_policy = TAKE_PTR(policy);
    return 0;
}

/* Which policy was in force when must be seen in the log. */
static void reload_note(struct guardian *g)
{
    uint8_t hash[32];
    char detail[96];
    int r;

    policy_set_hash(g->policy, hash);
    (void)snprintf(detail, sizeof(detail), "sha256:");
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(detail + 7 + 2 * i, 3, "%02x", hash[i]);
    log_event(LOG_INFO, MSG_RELOADED,
              (struct log_field[]){ { "GUARDIAN_DETAIL", detail } }, 1,
              "Policy loaded: %zu rule sets, %zu names",
              policy_set_n_rulesets(g->policy), policy_set_n_names(g->policy));
    if (!g->audit)
        return;
    r = audit_write(g->audit, &(struct audit_event){ .type = AUDIT_POLICY,
                                                     .detail = detail });
    if (r)
        log_msg(LOG_ERR, "The audit log cannot be written: error %d", -r);
}

/* Who edits more than a reload takes over would wait for it in vain. */
static void reload_tell_rest(struct guardian *g,
                             const struct settings *settings)
{
    CLEANUP_BUF struct buf text = { 0 };
    char **list = NULL;
    int r = settings_diff(g->settings, settings, &list);

    for (char **word = list; r == 0 && word && *word; word++)
        r = buf_printf(&text, "%s%s", text.len ? ", " : "", *word);
    if (r)
        log_msg(LOG_WARNING, "Cannot tell what else changed on disk: error %d",
                -r);
    settings_strv_free(g->restart_needed);
    g->restart_needed = list;
    if (list)
        log_event(LOG_WARNING, MSG_RESTART_NEEDED,
                  (struct log_field[]){ { "GUARDIAN_DETAIL", buf_str(&text) } },
                  1, "In force only after a restart: %s", buf_str(&text));
}

int reload_policy(struct guardian *g, struct errmsg *reterr)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    CLEANUP_BUF struct buf text = { 0 };
    struct policy_set *policy = NULL;
    int r;

    r = reload_read(g, &settings, &policy, reterr);
    if (r) {
        const char *s =
            errmsg_format(reterr, &text) ? reterr->text : buf_str(&text);

        g->policy_error = *reterr;
        log_event(LOG_ERR, MSG_RELOAD_FAILED,
                  (struct log_field[]){ { "GUARDIAN_DETAIL", s } }, 1,
                  "Policy not loaded, the one before stays in force: %s", s);
        return r;
    }
    policy_set_free(g->policy);
    g->policy = policy;
    g->policy_error = (struct errmsg){ 0 };
    g->policy_loaded_s = time(NULL);
    roles_take(&g->roles, settings);
    admin_roles_changed(g);
    reload_note(g);
    reload_tell_rest(g, settings);
    return 0;
}
