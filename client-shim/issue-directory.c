/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "acme/url.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-error.h"
#include "client-shim/ctl-print.h"
#include "client-shim/issue.h"

/* The account as the daemon tells it, and its CA's directory. */

#define SIGNER "org.acmeguardian.Signer."

int issue_account_find(struct issue *i)
{
    const json_t *a;
    int r;

    r = ctl_once(
        i->context, CTL_SOCKET_CLIENT, "GetAccount",
        json_pack("{s:s*}", "account", ctl_args_value(i->context, "--account")),
        &i->answer);
    if (r)
        return r;
    a = json_object_get(i->answer, "account");
    i->account = ctl_string(a, "name");
    i->directory_url = ctl_string(a, "directory");
    i->identity.account_url = ctl_string(a, "url");
    i->identity.thumbprint = ctl_string(a, "thumbprint");
    if (!i->account || !i->directory_url || !i->identity.thumbprint)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer is no account");
    if (!i->identity.account_url)
        return ctl_fail(CTL_EXIT_NO,
                        "the account %s is not registered at its CA yet "
                        "(guardianctl account register)",
                        i->account);
    return CTL_EXIT_DONE;
}

int issue_ca_open(struct issue *i)
{
    int r = ctl_ca_open_for(i->context, i->account, true, &i->ca);

    i->ca.allow_http = strncmp(i->directory_url, "http://", 7) == 0;
    return r;
}

/* ---- the directory ---- */

/* The daemon judges again whatever it signs; what is asked without a signature
 * (nonces, renewal information) is judged here alone. */
static int check_endpoint(const struct issue *i, const char *name,
                          const char *url)
{
    const struct url_rules rules = { .allow_query = true,
                                     .allow_http_loopback = i->ca.allow_http };
    struct refusal refusal = { 0 };

    if (!*url ||
        url_check_origin(bytes_from_str(url), bytes_from_str(i->directory_url),
                         &rules, &refusal) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_MALFORMED, "%s: the directory's %s: %s: %s",
                    i->directory_url, name, reason_code(refusal.reason),
                    refusal.detail);
}

static int check_profile(const struct issue *i)
{
    const char *profile = ctl_args_value(i->context, "--profile");
    const struct net_names *offered = &i->directory->meta.profiles;
    CLEANUP_BUF struct buf list = { 0 };

    for (uint32_t p = 0; profile && p < offered->n; p++) {
        if (strcmp(offered->name[p], profile) == 0)
            return CTL_EXIT_DONE;
        if (buf_printf(&list, "%s%s", p ? ", " : "", offered->name[p]))
            return ctl_fail_errno(-ENOMEM, profile);
    }
    if (!profile)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO, "the CA does not offer the profile %s (%s%s)",
                    profile, list.len ? "it has " : "it has none",
                    buf_str(&list));
}

static int check_issuers(struct issue *i)
{
    const char *name = "";

    if (issue_issuers_find(&i->directory->meta, i->directory_url, &i->issuers,
                           &name) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "issuer-origin-mismatch: the directory %s offers %s, "
                    "which is not a name of the CA at that address",
                    i->directory_url, name);
}

static int check_directory(struct issue *i)
{
    const struct net_directory *d = i->directory;
    int r;

    r = check_endpoint(i, "newNonce", d->new_nonce);
    if (r == 0)
        r = check_endpoint(i, "newOrder", d->new_order);
    if (r == 0)
        r = check_endpoint(i, "renewalInfo", d->renewal_info);
    if (r == 0)
        r = check_profile(i);
    return r ? r : check_issuers(i);
}

/* Whether it is needed, the certificate in place may say. */
static int go_without(const struct issue *i)
{
    CLEANUP_BUF struct buf words = { 0 };
    enum ctl_exit code;

    if (!ctl_args_has(i->context, "--if-due") || !i->old)
        return ctl_ca_report(&i->ca);
    if (ctl_ca_words(i->ca.answer, &code, &words))
        return ctl_fail_errno(-ENOMEM, i->directory_url);
    (void)ctl_fail(CTL_EXIT_DONE,
                   "%s: %s: without the CA's advice it is two thirds of the "
                   "lifetime",
                   i->directory_url, buf_str(&words));
    return CTL_EXIT_DONE;
}

int issue_directory_open(struct issue *i)
{
    int r;

    r = ctl_ca_try_get(&i->ca, NET_KIND_DIRECTORY, i->directory_url);
    if (r)
        return r;
    if (!net_answer_good(i->ca.answer))
        return go_without(i);
    i->directory = malloc(sizeof(*i->directory));
    if (!i->directory)
        return ctl_fail_errno(-ENOMEM, i->directory_url);
    *i->directory = i->ca.answer->directory;
    if (i->directory->meta.account_hash_prefix[0])
        i->identity.prefix = i->directory->meta.account_hash_prefix;
    (void)memcpy(i->ca.new_nonce, i->directory->new_nonce,
                 sizeof(i->ca.new_nonce));
    return check_directory(i);
}

/* ---- what the daemon would say ---- */

int issue_allowed(struct issue *i)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_CTL_JSON json_t *parameters = NULL;
    json_t *list = json_array();
    int r;

    for (size_t n = 0; n < i->names.n; n++)
        (void)json_array_append_new(list, json_string(i->names.items[n].value));
    r = ctl_daemon_call(&i->daemon, "Check",
                        json_pack("{s:s, s:s, s:o}", "account", i->account,
                                  "operation", "order", "identifiers", list),
                        &answer);
    if (r || ctl_true(answer, "allowed"))
        return r;
    parameters = json_pack("{s:s, s:O?, s:O?, s:O?}", "operation", "order",
                           "identifier", json_object_get(answer, "identifier"),
                           "reason", json_object_get(answer, "reason"), "rule",
                           json_object_get(answer, "rule"));
    return ctl_error_report(i->context, SIGNER "PolicyDenied", parameters);
}
