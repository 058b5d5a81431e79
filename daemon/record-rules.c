/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/record-rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "acme/known-cas.h"

static int refused(struct record_refusal *ret, const char *code,
                   const char *fmt, ...) PRINTF(3, 4);

static int refused(struct record_refusal *ret, const char *code,
                   const char *fmt, ...)
{
    va_list args;

    ret->code = code;
    va_start(args, fmt);
    (void)vsnprintf(ret->text, sizeof(ret->text), fmt, args);
    va_end(args);
    return REFUSED;
}

bool record_is_staging(const struct store_account *a)
{
    const struct known_ca *ca = known_ca_of_directory(a->acme.directory_url);

    return ca && ca->staging;
}

static bool list_has(char *const *list, const char *s)
{
    for (; list && *list; list++) {
        if (strcmp(*list, s) == 0)
            return true;
    }
    return false;
}

static int check_table(const struct store_account *a, const char *issuer,
                       struct record_refusal *ret)
{
    const char *directory = a->acme.directory_url;

    switch (known_issuer_check(issuer, directory)) {
    case KNOWN_ISSUER_OK:
        return 0;
    case KNOWN_ISSUER_UNTABLED:
        if (list_has(a->issuers, issuer))
            return 0;
        return refused(ret, "issuer-not-typed",
                       "the CA at %.200s is not in the table of known CAs: "
                       "which issuer name is its, the operator must say first",
                       directory);
    case KNOWN_ISSUER_MISMATCH:
        return refused(ret, "issuer-origin-mismatch",
                       "%.100s and the directory %.200s are not of one CA: a "
                       "record would authorize an account at another one",
                       issuer, directory);
    case KNOWN_ISSUER_UNSET:
        break;
    }
    return refused(ret, "no-issuer-name",
                   "%.100s is no issuer name: a host name in lower case",
                   issuer);
}

int record_issuer_check(const struct store_account *a, const char *issuer,
                        struct record_refusal *ret_refusal)
{
    int r = check_table(a, issuer, ret_refusal);

    if (r)
        return r;
    if (a->meta.issuers && !list_has(a->meta.issuers, issuer))
        return refused(ret_refusal, "issuer-not-offered",
                       "the CA's directory does not offer %.100s among its "
                       "issuerDomainNames",
                       issuer);
    return 0;
}

/* Never, or not the last time. */
static int check_proven(const struct store_account *a,
                        struct record_refusal *ret)
{
    if (a->proof_s > 0)
        return 0;
    if (a->unproven_s > 0)
        return refused(ret, a->unproven_reason, "%.400s", a->unproven_text);
    return refused(ret, "not-proven",
                   "it was never proven that the account is ours");
}

int record_proof_check(const struct store_account *a, int64_t now_s,
                       struct record_refusal *ret_refusal)
{
    int r;

    if (a->status != ACCOUNT_VALID || !a->acme.account_url)
        return refused(ret_refusal, "account-not-valid",
                       "the account is %s at the CA, not valid",
                       account_status_name(a->status));
    r = check_proven(a, ret_refusal);
    if (r)
        return r;
    if (strcmp(a->proof_url, a->acme.account_url) != 0 ||
        strcmp(a->proof_thumbprint, a->acme.thumbprint) != 0)
        return refused(ret_refusal, "proof-of-other-key",
                       "the account has another key or URL since it was "
                       "proven");
    if (a->proof_s > now_s || a->proof_s < now_s - PROOF_MAX_AGE_S)
        return refused(ret_refusal, "proof-expired",
                       "the proof that the account is ours is older than a "
                       "day, or the clock was set back");
    return 0;
}
