/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-shim/issue.h"

/* --if-due: what the CA and the certificate say about its renewal. */

#define ARI_ID_MAX 250

/* Is the certificate in place what would be ordered, but for its age? */
static int unchanged(const struct issue *i, const X509 *cert, bool *ret)
{
    struct identifiers names = { 0 };
    int r;

    *ret = i->key && issue_cert_has_key(cert, i->key);
    if (!*ret)
        return CTL_EXIT_DONE;
    r = issue_cert_names(cert, &names);
    if (r < 0)
        return ctl_fail_errno(r, i->out.path);
    *ret = r == 0 && issue_names_same(&names, &i->names);
    identifiers_deinit(&names);
    return CTL_EXIT_DONE;
}

/* The CA's answer is advice: without it there is the lifetime. */
static int fetch_window(struct issue *i, const char *id,
                        struct issue_window *ret)
{
    char url[ACME_URL_MAX + 1];
    const char *base = i->directory->renewal_info;
    size_t n = strlen(base);
    int len;
    int r;

    len = snprintf(url, sizeof(url), "%s%s%s", base,
                   base[n - 1] == '/' ? "" : "/", id);
    if (len < 0 || (size_t)len >= sizeof(url))
        return CTL_EXIT_DONE;
    r = ctl_ca_try_get(&i->ca, NET_KIND_RENEWAL_INFO, url);
    if (r)
        return r;
    if (!net_answer_good(i->ca.answer)) {
        (void)ctl_fail(CTL_EXIT_DONE,
                       "%s: %s, so it is two thirds of the lifetime%s", url,
                       i->ca.answer->http_status == 404
                           ? "the CA does not know the certificate in place"
                           : "no renewal information",
                       i->ca.answer->http_status == 404
                           ? "; if it is of another CA, run once without "
                             "--if-due"
                           : "");
        return CTL_EXIT_DONE;
    }
    *ret = (struct issue_window){ i->ca.answer->renewal.start_s,
                                  i->ca.answer->renewal.end_s };
    if (i->ca.answer->renewal.explanation[0])
        (void)ctl_fail(CTL_EXIT_DONE, "the CA explains its window at %s",
                       i->ca.answer->renewal.explanation);
    /* The CA knows this certificate, so an order may name it. */
    (void)snprintf(i->replaces, sizeof(i->replaces), "%s", id);
    return CTL_EXIT_DONE;
}

static int find_window(struct issue *i, const X509 *cert,
                       struct issue_window *ret)
{
    CLEANUP_BUF struct buf id = { 0 };
    int r;

    if (!i->directory || !i->directory->renewal_info[0])
        return CTL_EXIT_DONE;
    r = issue_cert_ari_id(cert, &id);
    if (r < 0)
        return ctl_fail_errno(r, i->out.path);
    return r || id.len > ARI_ID_MAX ? CTL_EXIT_DONE
                                    : fetch_window(i, buf_str(&id), ret);
}

static int compute(struct issue *i, const X509 *cert, bool *ret)
{
    struct issue_validity validity = { 0 };
    struct issue_window window = { 0 };
    uint8_t digest[32];
    int r;

    /* Without dates that can be read it is time at any time. */
    if (issue_cert_validity(cert, &validity)) {
        *ret = true;
        return CTL_EXIT_DONE;
    }
    r = find_window(i, cert, &window);
    if (r)
        return r;
    r = issue_cert_digest(cert, digest);
    if (r)
        return ctl_fail_errno(r, i->out.path);
    i->due = issue_due_compute(&validity, digest, &window);
    *ret = time(NULL) >= i->due.at_s;
    return CTL_EXIT_DONE;
}

/* What the new certificate has in common with the old one. */
static int keep_replaces(struct issue *i, const X509 *cert)
{
    struct identifiers names = { 0 };
    bool common;
    int r;

    if (!i->replaces[0])
        return CTL_EXIT_DONE;
    r = issue_cert_names(cert, &names);
    if (r < 0)
        return ctl_fail_errno(r, i->out.path);
    common = r == 0 && issue_names_meet(&names, &i->names);
    identifiers_deinit(&names);
    if (!common)
        i->replaces[0] = '\0';
    return CTL_EXIT_DONE;
}

int issue_due(struct issue *i, bool *ret)
{
    const X509 *cert = i->old ? sk_X509_value(i->old, 0) : NULL;
    bool same = false;
    int r;

    *ret = true;
    if (!ctl_args_has(i->context, "--if-due") || !cert)
        return CTL_EXIT_DONE;
    r = compute(i, cert, ret);
    if (r == 0)
        r = unchanged(i, cert, &same);
    if (r)
        return r;
    if (!same)
        *ret = true;
    if (*ret && !i->directory)
        return ctl_ca_report(&i->ca);
    return *ret ? keep_replaces(i, cert) : CTL_EXIT_DONE;
}
