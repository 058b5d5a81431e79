/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/net-read.h"

#include <string.h>

#include "acme/directory-meta.h"
#include "acme/url.h"

/* The directory object: its strict readers are acme_directory_read() and
 * acme_meta_read(). */

/* What this account may use is the daemon's to say; here it is that it is a URL
 * at all, and which endpoint is none. */
static bool set_url(struct net_answer *a, const char *name, char *field,
                    const char *url)
{
    const struct url_rules any = { .allow_query = true,
                                   .allow_http_loopback = true };
    struct refusal refusal = { 0 };
    struct url parts;
    size_t n = url ? strlen(url) : 0;

    if (!url)
        return true;
    if (n > ACME_URL_MAX) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the directory's %s is above %d octets", name,
                        ACME_URL_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (url[i] < 0x20 || url[i] > 0x7e) {
            net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                            "the directory's %s is not printable", name);
            return false;
        }
        field[i] = url[i];
    }
    if (url_read(bytes_from_str(url), &any, &parts, &refusal)) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the directory's %s is no https URL: %s: %s", name,
                        reason_code(refusal.reason), refusal.detail);
        return false;
    }
    return true;
}

static bool set_endpoints(struct net_answer *a, const struct acme_directory *d)
{
    struct net_directory *to = &a->directory;

    if (!d->new_nonce || !d->new_account || !d->new_order) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "the directory has no %s",
                        !d->new_nonce     ? "newNonce"
                        : !d->new_account ? "newAccount"
                                          : "newOrder");
        return false;
    }
    return set_url(a, "newNonce", to->new_nonce, d->new_nonce) &&
           set_url(a, "newAccount", to->new_account, d->new_account) &&
           set_url(a, "newOrder", to->new_order, d->new_order) &&
           set_url(a, "newAuthz", to->new_authz, d->new_authz) &&
           set_url(a, "revokeCert", to->revoke_cert, d->revoke_cert) &&
           set_url(a, "keyChange", to->key_change, d->key_change) &&
           set_url(a, "renewalInfo", to->renewal_info, d->renewal_info);
}

static bool set_text(struct net_answer *a, const char *name, char *to,
                     size_t max, const char *text)
{
    size_t n = text ? strlen(text) : 0;

    if (n > max) {
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "the directory's meta: %s is above %zu octets", name,
                        max);
        return false;
    }
    if (n)
        net_text(to, max, text, n);
    return true;
}

static bool set_names(struct net_answer *a, const char *name,
                      struct net_names *to, char *const *list)
{
    for (; list && *list; list++) {
        if (to->n == NET_NAMES_MAX) {
            net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                            "the directory's meta: %s has above %d entries",
                            name, NET_NAMES_MAX);
            return false;
        }
        if (!set_text(a, name, to->name[to->n], NET_NAME_MAX, *list))
            return false;
        to->n++;
    }
    return true;
}

static void set_meta(struct net_answer *a, const struct acme_meta *m)
{
    struct net_meta *to = &a->directory.meta;

    to->needs_external_account = m->external_account_required;
    to->caa_identities_unusable = m->caa_identities_unusable;
    (void)(set_text(a, "termsOfService", to->terms, ACME_URL_MAX, m->terms) &&
           set_text(a, "accountHashPrefix", to->account_hash_prefix,
                    NET_PREFIX_MAX, m->account_hash_prefix) &&
           set_names(a, "issuerDomainNames", &to->issuers, m->issuers) &&
           set_names(a, "caaIdentities", &to->caa_identities,
                     m->caa_identities) &&
           set_names(a, "profiles", &to->profiles, m->profiles));
}

static void read_meta(struct net_answer *a, struct bytes body)
{
    CLEANUP_ACME_META struct acme_meta m = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = acme_meta_read(body, &m, &refusal);
    if (r == REFUSED)
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "the directory's meta: %s",
                        refusal.detail);
    else if (r)
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "%s", strerror(-r));
    else
        set_meta(a, &m);
}

void net_read_directory(struct net_answer *a, struct bytes body)
{
    struct acme_directory d = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = acme_directory_read(body, &d, &refusal);
    if (r == REFUSED)
        net_answer_fail(a, NET_RESULT_BAD_ANSWER,
                        "not a directory object: %s: %s",
                        reason_code(refusal.reason), refusal.detail);
    else if (r)
        net_answer_fail(a, NET_RESULT_BAD_ANSWER, "%s", strerror(-r));
    else if (set_endpoints(a, &d))
        read_meta(a, body);
    acme_directory_deinit(&d);
}
