/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/record-rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1790000000
#define URL "https://ca.example/acct/1"

static char *typed[] = { (char[]){ "ca.example" }, NULL };
static char *offered[] = { (char[]){ "ca.example" }, (char[]){ "pki.goog" },
                           NULL };
static char directory[] = "https://ca.example/directory";
static char letsencrypt[] = "https://acme-v02.api.letsencrypt.org/directory";
static char url[] = URL;
static char proof_url[] = URL;
static char thumbprint[] = "0123456789012345678901234567890123456789012";

static struct store_account proven(void)
{
    struct store_account a = {
        .acme = { .directory_url = directory, .account_url = url },
        .status = ACCOUNT_VALID,
        .issuers = typed,
        .proof_url = proof_url,
        .proof_thumbprint = thumbprint,
        .proof_s = NOW - 60,
    };

    memcpy(a.acme.thumbprint, thumbprint, sizeof(a.acme.thumbprint));
    return a;
}

static const char *issuer(const struct store_account *a, const char *name)
{
    static struct record_refusal refusal;

    if (record_issuer_check(a, name, &refusal) == 0)
        return "yes";
    assert_true(strlen(refusal.text) > 10);
    return refusal.code;
}

static const char *proof(const struct store_account *a, int64_t now_s)
{
    static struct record_refusal refusal;

    if (record_proof_check(a, now_s, &refusal) == 0)
        return "yes";
    assert_true(strlen(refusal.text) > 10);
    return refusal.code;
}

static void test_an_unknown_cas_issuer_must_have_been_typed(void **state)
{
    struct store_account a = proven();

    (void)state;
    assert_string_equal(issuer(&a, "ca.example"), "yes");
    assert_string_equal(issuer(&a, "b.example"), "issuer-not-typed");
    assert_string_equal(issuer(&a, "CA.example"), "no-issuer-name");
    assert_string_equal(issuer(&a, ""), "no-issuer-name");
    a.issuers = NULL;
    assert_string_equal(issuer(&a, "ca.example"), "issuer-not-typed");
}

/* However it was typed: a registry that somebody edited is not believed. */
static void test_another_cas_issuer_is_never_right(void **state)
{
    char *wrong[] = { (char[]){ "letsencrypt.org" }, (char[]){ "ca.example" },
                      NULL };
    struct store_account a = proven();

    (void)state;
    a.issuers = wrong;
    assert_string_equal(issuer(&a, "letsencrypt.org"),
                        "issuer-origin-mismatch");
    a.acme.directory_url = letsencrypt;
    assert_string_equal(issuer(&a, "letsencrypt.org"), "yes");
    assert_string_equal(issuer(&a, "ca.example"), "issuer-origin-mismatch");
    assert_string_equal(issuer(&a, "pki.goog"), "issuer-origin-mismatch");
}

/* What a directory offers can only take away. */
static void test_an_offer_narrows_and_never_widens(void **state)
{
    struct store_account a = proven();

    (void)state;
    a.meta.issuers = offered;
    assert_string_equal(issuer(&a, "ca.example"), "yes");
    assert_string_equal(issuer(&a, "pki.goog"), "issuer-origin-mismatch");
    a.meta.issuers = offered + 1;
    assert_string_equal(issuer(&a, "ca.example"), "issuer-not-offered");
}

static void test_a_proof_counts_for_a_day(void **state)
{
    struct store_account a = proven();

    (void)state;
    assert_string_equal(proof(&a, NOW), "yes");
    assert_string_equal(proof(&a, a.proof_s), "yes");
    assert_string_equal(proof(&a, a.proof_s + PROOF_MAX_AGE_S), "yes");
    assert_string_equal(proof(&a, a.proof_s + PROOF_MAX_AGE_S + 1),
                        "proof-expired");
    assert_string_equal(proof(&a, a.proof_s - 1), "proof-expired");
}

static void test_a_proof_dies_with_key_or_url(void **state)
{
    struct store_account a = proven();

    (void)state;
    a.acme.thumbprint[0] = 'A';
    assert_string_equal(proof(&a, NOW), "proof-of-other-key");
    a = proven();
    a.acme.account_url = directory;
    assert_string_equal(proof(&a, NOW), "proof-of-other-key");
}

static void test_an_account_must_be_valid(void **state)
{
    const enum account_status dead[] = { ACCOUNT_CREATED, ACCOUNT_DEACTIVATED,
                                         ACCOUNT_REVOKED,
                                         ACCOUNT_NEEDS_RESOLVE };
    struct store_account a = proven();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dead); i++) {
        a.status = dead[i];
        assert_string_equal(proof(&a, NOW), "account-not-valid");
    }
    a = proven();
    a.acme.account_url = NULL;
    assert_string_equal(proof(&a, NOW), "account-not-valid");
}

static void test_why_it_failed_is_told(void **state)
{
    struct store_account a = proven();

    (void)state;
    a.proof_s = 0;
    a.proof_url = a.proof_thumbprint = NULL;
    assert_string_equal(proof(&a, NOW), "not-proven");
    a.unproven_reason = (char[]){ "account-not-ours" };
    a.unproven_text = (char[]){ "it is somebody else's" };
    a.unproven_s = NOW - 1;
    assert_string_equal(proof(&a, NOW), "account-not-ours");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_unknown_cas_issuer_must_have_been_typed),
        cmocka_unit_test(test_another_cas_issuer_is_never_right),
        cmocka_unit_test(test_an_offer_narrows_and_never_widens),
        cmocka_unit_test(test_a_proof_counts_for_a_day),
        cmocka_unit_test(test_a_proof_dies_with_key_or_url),
        cmocka_unit_test(test_an_account_must_be_valid),
        cmocka_unit_test(test_why_it_failed_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
