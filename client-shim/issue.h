/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client-shim/ctl-ca.h"
#include "client-shim/issue-cert.h"
#include "client-shim/issue-file.h"
#include "client-shim/issue-judge.h"
#include "client-shim/issue-key.h"
#include "client-shim/issue-renewal.h"

/*
 * guardianctl issue: a certificate through dns-persist-01.
 *
 *   issue-options.c    what is wanted, and what is there already
 *   issue-directory.c  the account, and what its CA offers
 *   issue-due.c        is it time?
 *   issue-places.c     where records may stand, looked up in DNS
 *   issue-precheck.c   is there what the CA will look for?
 *   issue-request.c    the key and the request for the certificate
 *   issue-order.c      the order, from its beginning to the certificate's URL
 *   issue-authz.c      authorizations and their challenges
 *   issue-chain.c      the chain: fetched, chosen, checked, put in place
 *   issue-report.c     what is said, and units that are told
 *
 * Pure: issue-cert.c, issue-csr.c, issue-key.c, issue-judge.c,
 * issue-issuers.c, issue-renewal.c. What can fail for reasons of this host is
 * done before the CA is asked for anything. Every function returns an exit
 * code, CTL_EXIT_DONE to go on, or another after it has printed why.
 */

#define ISSUE_WAIT_DEFAULT_S 300
#define ISSUE_WAIT_MAX_S 7200

struct issue_precheck;

struct issue {
    const struct ctl_context *context;

    /* issue-options.c */
    enum issue_key_type key_type; /* UNSET: not asked for */
    uint64_t wait_s;              /* for validation and issuance in all */
    int64_t deadline_ms;          /* of the monotonic clock */
    struct dns_server resolver;   /* family 0: that of the system */
    struct identifiers names;     /* what is ordered; of type dns alone */
    struct buf csr;               /* DER */
    EVP_PKEY *key;                /* the certificate's; public with --csr */
    bool key_is_new;              /* made in this run */
    struct issue_file out, key_out;
    STACK_OF(X509) * old; /* the chain in place; NULL: none */

    /* Started before there is any secret or any connection to the daemon. */
    struct ctl_ca ca;
    struct dns_child *dns;

    /* issue-directory.c */
    struct ctl_daemon daemon;
    json_t *answer; /* GetAccount's */
    const char *account, *directory_url;
    struct issue_identity identity;
    struct net_directory *directory; /* NULL: could not be had */
    struct issue_issuers issuers;

    struct issue_due due; /* --if-due, of the chain in place */
    char replaces[256];   /* its name for the CA; empty: not known there */
    struct issue_precheck *precheck;

    /* The order. */
    char order_url[ACME_URL_MAX + 1];
    char finalize_url[ACME_URL_MAX + 1];
    char certificate_url[ACME_URL_MAX + 1];
    uint32_t n_authorizations;
    char (*authorizations)[ACME_URL_MAX + 1];

    STACK_OF(X509) * chain; /* the new one, when in place */
    bool replaced;          /* the CA took `replaces` */
};
void issue_deinit(struct issue *i);
#define CLEANUP_ISSUE CLEANUP(issue_deinit)

/* issue-options.c */
int issue_options_read(struct issue *i) MUST_CHECK;
int issue_file_fail(int r, const struct errmsg *e);

/* issue-directory.c */
/* issue_account_find() - the daemon's connection is closed again after it. */
int issue_account_find(struct issue *i) MUST_CHECK;
int issue_ca_open(struct issue *i) MUST_CHECK;
/* With --if-due a directory that cannot be had is no failure yet. */
int issue_directory_open(struct issue *i) MUST_CHECK;
/* issue_allowed() - ask the daemon before anybody else. */
int issue_allowed(struct issue *i) MUST_CHECK;

/* issue-due.c */
int issue_due(struct issue *i, bool *ret) MUST_CHECK;

/* issue-precheck.c */
int issue_precheck(struct issue *i) MUST_CHECK;
/* issue_precheck_again() - with the names that a challenge says, on what was
 * looked up. @name: of the authorization, without "*.". */
int issue_precheck_again(struct issue *i, const char *name, bool wildcard,
                         const struct issue_issuers *issuers) MUST_CHECK;
struct issue_precheck *issue_precheck_free(struct issue_precheck *p);

/* issue-request.c */
int issue_request_make(struct issue *i) MUST_CHECK;
/* issue_key_load() - that of --key-out, if it is there. */
int issue_key_load(struct issue *i) MUST_CHECK;

/* issue-order.c */
int issue_order(struct issue *i) MUST_CHECK;
/* issue_post() - a request signed by the daemon; @payload "": POST-as-GET. The
 * first prints what the CA says, the second does not. */
int issue_post(struct issue *i, enum net_kind kind, const char *url,
               const char *payload) MUST_CHECK;
int issue_try_post(struct issue *i, enum net_kind kind, const char *url,
                   const char *payload) MUST_CHECK;
/* issue_pause() - as the last answer asks to, else a little longer each time;
 * or the end of it, when @what takes too long. */
int issue_pause(struct issue *i, const char *what, unsigned *tries) MUST_CHECK;
/* issue_poll() - POST-as-GET, and again while the CA says that it is busy. */
int issue_poll(struct issue *i, enum net_kind kind, const char *url) MUST_CHECK;

/* issue-authz.c */
int issue_authorize(struct issue *i) MUST_CHECK;

/* issue-chain.c */
int issue_chain_get(struct issue *i) MUST_CHECK;

/* issue-report.c */
int issue_reload(struct issue *i, bool changed) MUST_CHECK;
int issue_report_issued(const struct issue *i) MUST_CHECK;
int issue_report_not_due(const struct issue *i) MUST_CHECK;
#define ISSUE_TIME_MAX 32
const char *issue_time(int64_t s, char space[static ISSUE_TIME_MAX]);
