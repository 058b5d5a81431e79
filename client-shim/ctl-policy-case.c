/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/settings.h"

/* Options to a policy, an account and a caller; and the verdict on a request.
 */

#define ACCOUNT_FILE_MAX (64 * 1024)

/* For the daemon a missing directory is an empty policy; here it is a typing
 * error. */
static int check_directory(const char *dir)
{
    struct stat sb;

    if (stat(dir, &sb) == 0)
        return 0;
    return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", dir, strerror(errno));
}

int ctl_policy_load(const struct ctl_context *c, const char *dir,
                    struct policy_set **ret)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    struct errmsg e = { 0 };
    int r;

    if (!dir || ctl_args_has(c, "--config")) {
        r = settings_load(c->config_dir, &settings, &e);
        if (r)
            return ctl_fail_load(r, &e, c->config_dir);
    }
    if (!dir)
        dir = settings->policy_dir;
    r = check_directory(dir);
    if (r)
        return r;
    r = policy_load(dir, settings ? settings->deny_domains : NULL, ret, &e);
    return r ? ctl_fail_load(r, &e, dir) : 0;
}

static int read_account(const char *path, struct acme_account **ret)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    CLEANUP_BUF struct buf text = { 0 };
    struct refusal why = { 0 };
    int r = fd < 0 ? -errno : buf_read(&text, fd, ACCOUNT_FILE_MAX);

    if (r == -E2BIG)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: above %d octets", path,
                        ACCOUNT_FILE_MAX);
    if (r)
        return ctl_fail_errno(r, path);
    r = acme_account_read(buf_bytes(&text), ret, &why);
    if (r == REFUSED)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s at %zu: %s", path,
                        reason_code(why.reason), why.offset, why.detail);
    return r ? ctl_fail_errno(r, path) : 0;
}

static int read_id(const char *option, const char *text, uint32_t *ret)
{
    unsigned long long n = 0;
    size_t len = strlen(text);

    if (len > 0 && len <= 10 && strspn(text, "0123456789") == len)
        n = strtoull(text, NULL, 10);
    else
        n = UINT32_MAX;
    if (n >= UINT32_MAX)
        return ctl_fail(CTL_EXIT_USAGE, "%s takes a numeric id, not %s", option,
                        text);
    *ret = (uint32_t)n;
    return 0;
}

static int read_caller(struct ctl_case *k, const struct ctl_context *c)
{
    size_t n = ctl_args_count(c, "--gid");
    int r;

    /* As said on the command line, so as certain as can be. */
    k->caller = (struct policy_caller){
        .unit = ctl_args_value(c, "--unit"),
        .unit_certain = true,
        .socket = ctl_args_value(c, "--instance"),
        .n_gids = n,
        .now = time(NULL),
    };
    r = read_id("--uid", ctl_args_value(c, "--uid"), &k->caller.uid);
    if (r)
        return r;
    k->gids = calloc(n ? n : 1, sizeof(*k->gids));
    if (!k->gids)
        return ctl_fail_errno(-ENOMEM, "--gid");
    k->caller.gids = k->gids;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = read_id("--gid", ctl_args_nth(c, "--gid", i), &k->gids[i]);
    return r;
}

int ctl_case_init(struct ctl_case *k, const struct ctl_context *c)
{
    int r;

    r = read_caller(k, c);
    if (r == 0)
        r = ctl_policy_load(c, ctl_args_value(c, "--policy-dir"), &k->set);
    if (r == 0)
        r = read_account(ctl_args_value(c, "--account-file"), &k->account);
    return r;
}

void ctl_case_deinit(struct ctl_case *k)
{
    policy_set_free(k->set);
    acme_account_free(k->account);
    free(k->gids);
}

static enum ctl_exit code_of(enum reason reason)
{
    if (reason == REASON_UNSET)
        return CTL_EXIT_DONE;
    return reason_kind(reason) == REASON_KIND_MALFORMED ? CTL_EXIT_MALFORMED
                                                        : CTL_EXIT_NO;
}

int ctl_case_judge(const struct ctl_case *k, struct bytes protected_b64,
                   struct bytes payload_b64, struct ctl_verdict *ret)
{
    struct policy_verdict v = { 0 };
    int r;

    r = acme_request_read(k->account, protected_b64, payload_b64, &ret->request,
                          &ret->refusal);
    if (r == REFUSED) {
        ret->reason = ret->refusal.reason;
        ret->code = code_of(ret->reason);
        return 0;
    }
    if (r == 0)
        r = policy_eval(k->set, &k->caller, &policy_names_nss, k->account,
                        ret->request, NULL, NULL, &v);
    if (r)
        return r;
    ret->reason = v.reason;
    ret->code = v.allowed ? CTL_EXIT_DONE : CTL_EXIT_NO;
    if (v.rule) {
        ret->rule_file = policy_ruleset_file(v.rule);
        ret->rule_line = policy_ruleset_line(v.rule);
    }
    return 0;
}

void ctl_verdict_deinit(struct ctl_verdict *v)
{
    acme_request_free(v->request);
}

const char *ctl_verdict_word(const struct ctl_verdict *v)
{
    if (v->code == CTL_EXIT_DONE)
        return "allowed";
    return v->code == CTL_EXIT_MALFORMED ? "malformed" : "denied";
}
