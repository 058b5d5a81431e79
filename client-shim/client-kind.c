/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/client-kind.h"

#include <stddef.h>
#include <string.h>

#define ISSUE                                                                  \
    "guardianctl issue can, or a client that signs through OpenSSL, with a "   \
    "stub (dehydrated, acme.sh)"

static const struct client_kind_facts kinds[CLIENT_COUNT] = {
    [CLIENT_CERTBOT] = { .name = "certbot",
                         .key = "private_key.json",
                         .under = "accounts",
                         .depth = 6,
                         .key_is_jwk = true,
                         .lock = CLIENT_LOCK_RECORD,
                         .lock_file = ".certbot.lock",
                         .instead = ISSUE },
    [CLIENT_ACME_SH] = { .name = "acme.sh",
                         .key = "account.key",
                         .under = "ca",
                         .depth = 5,
                         .stub = true,
                         .ec = true },
    [CLIENT_LEGO] = { .name = "lego",
                      .mark = "account.json",
                      .under = "accounts",
                      .depth = 2,
                      .instead = ISSUE },
    [CLIENT_DEHYDRATED] = { .name = "dehydrated",
                            .key = "account_key.pem",
                            .under = "accounts",
                            .depth = 1,
                            .stub = true,
                            .lock = CLIENT_LOCK_THERE,
                            .lock_file = "lock" },
    [CLIENT_GETSSL] = { .name = "getssl",
                        .key = "account.key",
                        .stub = true,
                        .ec = true },
    [CLIENT_HAPROXY] = { .name = "haproxy", .stub = true, .ec = true },
    [CLIENT_PEM] = { .name = "pem", .stub = true },
};

const struct client_kind_facts *client_kind_facts(enum client_kind kind)
{
    return kind < CLIENT_COUNT ? &kinds[kind] : NULL;
}

enum client_kind client_kind_find(const char *name)
{
    for (int i = CLIENT_UNSET + 1; i < CLIENT_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return (enum client_kind)i;
    }
    return CLIENT_UNSET;
}

bool client_kind_takes(enum client_kind kind, enum jws_alg before,
                       enum jws_alg alg)
{
    if (alg == JWS_ALG_RS256)
        return true;
    return (alg == JWS_ALG_ES256 || alg == JWS_ALG_ES384) &&
           (kinds[kind].ec || before != JWS_ALG_RS256);
}
