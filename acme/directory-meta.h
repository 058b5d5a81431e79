/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/reason.h"
#include "base/bytes.h"

/*
 * "meta" of a directory object (RFC 8555 section 7.1.1; dns-persist-01 draft
 * sections 3.2 and 4.1; the profiles draft): what the CA offers. Offers bind
 * nobody: whose issuer name it is, acme/known-cas.h says.
 */

#define ACME_META_TERMS_MAX 1024
#define ACME_META_ISSUERS_MAX 10 /* the draft's limit */
#define ACME_META_IDENTITIES_MAX 64
#define ACME_META_PROFILES_MAX 64

/* Lists are NULL-ended, and NULL where the directory has none. */
struct acme_meta {
    char *terms; /* termsOfService */
    bool external_account_required;
    char *account_hash_prefix;    /* there: records are key-bound */
    char **issuers;               /* issuerDomainNames */
    char **caa_identities;        /* in the form of issuers */
    bool caa_identities_unusable; /* given, but not host names, each once */
    char **profiles;              /* their names, in the directory's order */
};

/**
 * acme_meta_read() - from the text of the directory object
 *
 * A prefix passes persist_prefix_check(). Issuers are 1 to
 * ACME_META_ISSUERS_MAX host names in the form of dns_name_check(), each once,
 * and all among caaIdentities where that can be compared. caaIdentities that
 * are no list of host names are as good as absent (draft section 3.2). Profiles
 * whose name no order could carry are left out. Members that we do not know
 * are the CA's own business.
 *
 * Return: 0; REFUSED; -ENOMEM.
 */
int acme_meta_read(struct bytes directory_json, struct acme_meta *ret,
                   struct refusal *ret_refusal) MUST_CHECK;

/* acme_meta_copy() - Return: 0; -ENOMEM. */
int acme_meta_copy(const struct acme_meta *from,
                   struct acme_meta *ret) MUST_CHECK;
void acme_meta_deinit(struct acme_meta *m);
#define CLEANUP_ACME_META CLEANUP(acme_meta_deinit)
