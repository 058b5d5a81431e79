/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "acme/request.h"
#include "base/config.h"
#include "base/errmsg.h"

/*
 * Policy files (acme-guardian.policy(5)) -> rule sets; (caller, account,
 * request) -> a verdict with the rule that made it. Pure but for
 * policy_load(), which reads the files.
 */

struct policy_set;     /* immutable once loaded, but for the names denied now */
struct policy_ruleset; /* a [Client] and the [Allow] that follows it */

#define POLICY_E_INVALID 1

/* Every key of a policy file, for the reader and the check of the man page. */
extern const struct config_schema policy_schema[];

/**
 * policy_load() - all files DIR/ *.policy in name order, all or nothing
 * @deny: [Deny] Domain= of guardian.conf, NULL-ended, may be NULL
 *
 * A missing directory is an empty set (default deny). Files and directory must
 * be owned by root or this process's user and writable by the owner alone.
 *
 * Return: 0; POLICY_E_INVALID with file and line in *reterr; negative errno.
 */
int policy_load(const char *dir, char *const *deny, struct policy_set **ret,
                struct errmsg *reterr) MUST_CHECK;

/* policy_load_text() - one file's text, for tests and fuzzing. */
int policy_load_text(struct bytes text, const char *file, char *const *deny,
                     struct policy_set **ret, struct errmsg *reterr) MUST_CHECK;

struct policy_set *policy_set_free(struct policy_set *set);
DEFINE_CLEANUP(struct policy_set *, policy_set_free)
#define CLEANUP_POLICY_SET CLEANUP(policy_set_free_p)

/**
 * policy_set_deny_now() - names denied at run time, beside [Deny] and like it
 * @names: all of them, NULL-ended, may be NULL; those before are forgotten
 *
 * Return: 0; POLICY_E_INVALID for what is no domain; -ENOMEM; then those before
 * stay.
 */
int policy_set_deny_now(struct policy_set *set, char *const *names) MUST_CHECK;

/* policy_deny_check() - can this name be denied: a domain in lower-case
 * A-labels, of one label at least. Return: 0; REFUSED. */
int policy_deny_check(const char *name, struct refusal *ret_refusal) MUST_CHECK;

/* policy_denies_any() - is one of these names denied to everybody? *ret_name,
 * which lives in @ids, is then the first. */
bool policy_denies_any(const struct policy_set *set,
                       const struct identifiers *ids, const char **ret_name);

/* policy_set_hash() - SHA-256 over names and contents of all files read. */
void policy_set_hash(const struct policy_set *set, uint8_t ret[static 32]);
size_t policy_set_n_rulesets(const struct policy_set *set);
size_t policy_set_n_names(const struct policy_set *set);

/* Who asks: from the kernel, never from the message. */
struct policy_caller {
    uid_t uid;
    const gid_t *gids; /* primary and supplementary */
    size_t n_gids;
    const char *unit;   /* system unit, or NULL: none or not certain */
    bool unit_certain;  /* pinned by a pidfd; else Unit= requires User= too */
    const char *socket; /* instance of the activated socket, or NULL */
    int64_t now; /* seconds since 1970, for MaxValidity=; 0: no notAfter fits */
};

/*
 * Names of users and groups are looked up when a request comes, since dynamic
 * users come and go. Each returns 0 and the id, or nonzero if there is no such
 * name: the rule then does not match. Numeric ids in a policy ask nobody.
 */
struct policy_names {
    int (*uid)(const char *name, uid_t *ret, void *userdata);
    int (*gid)(const char *name, gid_t *ret, void *userdata);
    void *userdata;
};
extern const struct policy_names policy_names_nss; /* getpwnam_r, getgrnam_r */

struct policy_verdict {
    bool allowed;
    enum reason reason;     /* REASON_UNSET when allowed */
    const char *identifier; /* at fault, or NULL; lives in the request */
    const struct policy_ruleset *rule; /* that allowed, or came closest; NULL */
};

/*
 * policy_quota_fn - asked last, for an order that is otherwise allowed.
 * Return: true if this rule set may sign another order today.
 */
typedef bool (*policy_quota_fn)(const struct policy_ruleset *rule,
                                void *userdata);

/**
 * policy_eval() - may this caller have this request signed?
 * @quota: may be NULL: no limit
 *
 * A request must be allowed whole by one rule set. Of several refusals the one
 * of the rule set that came furthest is told.
 *
 * Return: 0 with a verdict; negative errno. Any nonzero counts as denial.
 */
int policy_eval(const struct policy_set *set,
                const struct policy_caller *caller,
                const struct policy_names *names,
                const struct acme_account *account,
                const struct acme_request *request, policy_quota_fn quota,
                void *quota_userdata, struct policy_verdict *ret) MUST_CHECK;

/* policy_may_use() - does any rule set give this caller this account at all?
 * For ListAccounts, GetAccount, KeyAuthorization, and callers without a rule.
 */
bool policy_may_use(const struct policy_set *set,
                    const struct policy_caller *caller,
                    const struct policy_names *names, const char *account);

/* policy_knows() - does any rule set match this caller, whatever the account?
 */
bool policy_knows(const struct policy_set *set,
                  const struct policy_caller *caller,
                  const struct policy_names *names);

/**
 * policy_explain() - each rule set in order: matched, or what failed first
 *
 * Calls @fn with "matched" as @what and NULL as @why, or with the first
 * condition that failed ("User=caddy", "Domain=") and why.
 */
typedef int (*policy_explain_fn)(const struct policy_ruleset *rule,
                                 bool matched, const char *condition,
                                 const char *why, void *userdata);
int policy_explain(const struct policy_set *set,
                   const struct policy_caller *caller,
                   const struct policy_names *names,
                   const struct acme_account *account,
                   const struct acme_request *request, policy_explain_fn fn,
                   void *userdata) MUST_CHECK;

/* Of a rule set: where it stands, and what the daemon counts by. */
const char *policy_ruleset_file(const struct policy_ruleset *rule);
unsigned policy_ruleset_line(const struct policy_ruleset *rule);
unsigned policy_ruleset_orders_per_day(const struct policy_ruleset *rule);
/* A name that survives edits elsewhere in the file: 16 hex digits of a hash
 * over account and client conditions. Orders are counted by it. */
const char *policy_ruleset_id(const struct policy_ruleset *rule);

/* Accounts that rule sets name, for warnings about unknown ones. */
typedef int (*policy_account_fn)(const char *account, const char *file,
                                 unsigned line, void *userdata);
int policy_accounts(const struct policy_set *set, policy_account_fn fn,
                    void *userdata) MUST_CHECK;

/**
 * policy_lint() - what loads, but is probably not meant
 *
 * Disjoint rule sets on one account, a Wildcard= that covers another client's
 * names, numeric uids in the dynamic range (61184..65519).
 */
typedef int (*policy_lint_fn)(const char *file, unsigned line,
                              const char *warning, void *userdata);
int policy_lint(const struct policy_set *set, policy_lint_fn fn,
                void *userdata) MUST_CHECK;

/**
 * policy_about() - every name in a rule set that reaches @name or below it
 *
 * @fn gets the key ("Domain", "Subdomains", "Wildcard") and the name as the
 * file has it: the name itself, one below it, one above it whose subdomains or
 * wildcard it is. [Deny] is not looked at. Return: 0; what @fn returned;
 * -ENOMEM.
 */
typedef int (*policy_about_fn)(const struct policy_ruleset *rule,
                               const char *key, const char *name,
                               void *userdata);
int policy_about(const struct policy_set *set, const char *name,
                 policy_about_fn fn, void *userdata) MUST_CHECK;
