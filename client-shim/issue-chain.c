/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "client-shim/issue.h"

/* The chain (RFC 8555 section 7.4.2), and its way into place. */

struct candidate {
    STACK_OF(X509) * chain;
    struct buf pem;
    struct buf top; /* the root's common name */
};

static void candidate_deinit(struct candidate *c)
{
    sk_X509_pop_free(c->chain, X509_free);
    buf_deinit(&c->pem);
    buf_deinit(&c->top);
    *c = (struct candidate){ 0 };
}

static int fetch(struct issue *i, const char *url, struct candidate *ret)
{
    const struct net_certificate *cert = &i->ca.answer->certificate;
    int r;

    r = issue_poll(i, NET_KIND_CERTIFICATE, url);
    if (r)
        return r;
    r = buf_append(&ret->pem, cert->pem, cert->pem_len);
    if (r == 0 && cert->pem[cert->pem_len - 1] != '\n')
        r = buf_append_char(&ret->pem, '\n');
    if (r == 0)
        r = issue_chain_parse(buf_bytes(&ret->pem), &ret->chain);
    if (r == 0)
        r = issue_chain_top(ret->chain, &ret->top);
    if (r == ISSUE_CERT_E_INVALID)
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: the certificates cannot be read", url);
    return r ? ctl_fail_errno(r, url) : CTL_EXIT_DONE;
}

static int check(const struct issue *i, const char *url,
                 const struct candidate *c)
{
    struct errmsg err = { 0 };
    int r;

    r = issue_chain_check(c->chain, i->key, &i->names, time(NULL), &err);
    if (r == ISSUE_CERT_E_INVALID)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: %s: it was not put into place",
                        url, err.text);
    return r ? ctl_fail_errno(r, url) : CTL_EXIT_DONE;
}

/* Those that the CA offers beside its own choice, until one is preferred. What
 * is wrong with one of them is no reason to go without a certificate. */
static int try_alternates(struct issue *i, const char *preferred,
                          struct candidate *chosen)
{
    const uint32_t n = i->ca.answer->certificate.n_alternates;
    CLEANUP_FREE char(*urls)[ACME_URL_MAX + 1] =
        calloc(n ? n : 1, sizeof(*urls));

    if (!urls)
        return ctl_fail_errno(-ENOMEM, "chains");
    (void)memcpy(urls, i->ca.answer->certificate.alternate, n * sizeof(*urls));
    for (uint32_t k = 0; k < n; k++) {
        CLEANUP(candidate_deinit) struct candidate c = { 0 };

        if (fetch(i, urls[k], &c) || check(i, urls[k], &c) ||
            strcmp(buf_str(&c.top), preferred) != 0)
            continue;
        candidate_deinit(chosen);
        *chosen = c;
        c = (struct candidate){ 0 };
        return CTL_EXIT_DONE;
    }
    (void)ctl_fail(CTL_EXIT_DONE,
                   "the CA offers no chain up to \"%s\": taking its own "
                   "choice, up to \"%s\"",
                   preferred, buf_str(&chosen->top));
    return CTL_EXIT_DONE;
}

/* With --json there is one document, that of the end: what an alternate fails
 * with is said on stderr alone. */
static int find_preferred(struct issue *i, const char *preferred,
                          struct candidate *chosen)
{
    struct ctl_context plain = *i->context;
    int r;

    plain.json = false;
    i->ca.context = i->daemon.context = &plain;
    r = try_alternates(i, preferred, chosen);
    i->ca.context = i->daemon.context = i->context;
    return r;
}

static int choose(struct issue *i, struct candidate *ret)
{
    const char *preferred = ctl_args_value(i->context, "--preferred-chain");
    int r;

    r = fetch(i, i->certificate_url, ret);
    if (r == 0)
        r = check(i, i->certificate_url, ret);
    if (r || !preferred || strcmp(buf_str(&ret->top), preferred) == 0)
        return r;
    return find_preferred(i, preferred, ret);
}

/*
 * The chain first, and then a key that is new: between the two there is no key
 * beside the chain, which the next run makes good, and never another's. A key
 * that was there stays, and fits the old chain as it fits the new one.
 */
static int place(struct issue *i, const struct candidate *c)
{
    struct errmsg err = { 0 };
    int r;

    r = issue_file_write(&i->out, buf_bytes(&c->pem), &err);
    if (r == 0 && ctl_args_has(i->context, "--reload"))
        r = issue_file_mark(&i->out, &err);
    if (r == 0)
        r = issue_file_commit(&i->out, &err);
    if (r == 0 && i->key_is_new)
        r = issue_file_commit(&i->key_out, &err);
    return r ? issue_file_fail(r, &err) : CTL_EXIT_DONE;
}

int issue_chain_get(struct issue *i)
{
    CLEANUP(candidate_deinit) struct candidate c = { 0 };
    int r;

    r = choose(i, &c);
    if (r == 0)
        r = place(i, &c);
    if (r == 0)
        i->chain = TAKE_PTR(c.chain);
    return r;
}
