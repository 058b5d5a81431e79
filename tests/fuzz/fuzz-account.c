/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz-account.h"

#include "fuzz.h"

#define ACCOUNT(more)                                                          \
    "{\"name\":\"test\",\"directory_url\":\"https://ca.example/directory\","   \
    "\"directory\":{\"newNonce\":\"https://ca.example/acme/new-nonce\","       \
    "\"newAccount\":\"https://ca.example/acme/new-acct\","                     \
    "\"newOrder\":\"https://ca.example/acme/new-order\","                      \
    "\"newAuthz\":\"https://ca.example/acme/new-authz\","                      \
    "\"revokeCert\":\"https://ca.example/acme/revoke-cert\","                  \
    "\"keyChange\":\"https://ca.example/acme/key-change\"},"                   \
    "\"account_url\":\"https://ca.example/acct/123\",\"alg\":\"ES256\"," more  \
    "\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\","                               \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}}"
#define MORE                                                                   \
    "\"origins\":[\"https://other.example\"],\"allow_query\":true,"            \
    "\"challenge_members\":[\"token\",\"keyAuthorization\"],"

const struct acme_account *fuzz_account(bool challenge_members)
{
    static struct acme_account *accounts[2];
    struct acme_account **a = &accounts[challenge_members];
    struct refusal refusal = { 0 };

    if (!*a)
        MUST(acme_account_read(bytes_from_str(challenge_members ? ACCOUNT(MORE)
                                                                : ACCOUNT("")),
                               a, &refusal) == 0);
    return *a;
}
