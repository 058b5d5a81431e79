/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

/* What clients do on the command line: sign, jwk, key-authorization. */

#define PAYLOAD_MAX (48 * 1024)

static int read_payload(const char *path, struct buf *ret)
{
    CLEANUP_FD int fd = -1;

    if (strcmp(path, "-") == 0)
        return buf_read(ret, STDIN_FILENO, PAYLOAD_MAX);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : buf_read(ret, fd, PAYLOAD_MAX);
}

static int run_sign(struct ctl_context *c)
{
    const char *path = ctl_args_value(c, "--payload-file");
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_BUF struct buf payload = { 0 };
    int r = 0;

    if (path)
        r = read_payload(path, &payload);
    if (r == -E2BIG)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: above %d octets", path,
                        PAYLOAD_MAX);
    if (r)
        return ctl_fail_errno(r, path);
    /* The JSON of the call carries text: other octets are no payload. */
    if (!bytes_is_utf8(buf_bytes(&payload)) ||
        strlen(buf_str(&payload)) != payload.len)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: is not JSON text", path);
    r = ctl_once(c, CTL_SOCKET_CLIENT, "Sign",
                 json_pack("{s:s*, s:s, s:s, s:s%, s:s*}", "account",
                           ctl_args_value(c, "--account"), "url",
                           ctl_args_value(c, "--url"), "nonce",
                           ctl_args_value(c, "--nonce"), "payload",
                           buf_str(&payload), payload.len, "thumbprint",
                           ctl_args_value(c, "--thumbprint")),
                 &answer);
    if (r == 0)
        ctl_print_json(json_incref(answer));
    return r;
}

static int run_jwk(struct ctl_context *c)
{
    bool thumbprint = ctl_args_has(c, "--thumbprint");
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_FREE char *text = NULL;
    const json_t *account;
    int r;

    r = ctl_once(c, CTL_SOCKET_CLIENT, "GetAccount",
                 json_pack("{s:s*}", "account", ctl_args_value(c, "--account")),
                 &answer);
    if (r)
        return r;
    account = json_object_get(answer, "account");
    if (c->json) {
        ctl_print_json(json_pack("{s:O?, s:s*}", "jwk",
                                 json_object_get(account, "jwk"), "thumbprint",
                                 ctl_string(account, "thumbprint")));
        return CTL_EXIT_DONE;
    }
    if (thumbprint) {
        (void)puts(ctl_string(account, "thumbprint")
                       ? ctl_string(account, "thumbprint")
                       : "");
        return CTL_EXIT_DONE;
    }
    /* Sorted and without white space: the input of RFC 7638. */
    text = json_dumps(json_object_get(account, "jwk"),
                      JSON_COMPACT | JSON_SORT_KEYS);
    (void)puts(text ? text : "");
    return CTL_EXIT_DONE;
}

/* Challenge types and the member that answers each. */
static const struct {
    const char *type;
    const char *member;
} challenges[] = {
    { "http-01", "keyAuthorization" },
    { "dns-01", "dns01" },
    { "tls-alpn-01", "tlsAlpn01" },
    { "dns-account-01", "dnsAccount01Label" },
};

static int print_one(const json_t *answer, const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(challenges); i++) {
        const char *value = ctl_string(answer, challenges[i].member);

        if (strcmp(challenges[i].type, type) != 0)
            continue;
        if (!value)
            return ctl_fail(CTL_EXIT_NO,
                            "the account has no URL yet, so "
                            "there is no %s label",
                            type);
        (void)puts(value);
        return CTL_EXIT_DONE;
    }
    return CTL_EXIT_USAGE;
}

static bool challenge_known(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(challenges); i++) {
        if (strcmp(challenges[i].type, type) == 0)
            return true;
    }
    return false;
}

static int run_key_authorization(struct ctl_context *c)
{
    const char *type = ctl_args_value(c, "--for");
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    if (type && !challenge_known(type))
        return ctl_fail(CTL_EXIT_USAGE,
                        "--for takes http-01, dns-01, tls-alpn-01 or "
                        "dns-account-01, not %s",
                        type);
    r = ctl_once(c, CTL_SOCKET_CLIENT, "KeyAuthorization",
                 json_pack("{s:s*, s:s}", "account",
                           ctl_args_value(c, "--account"), "token",
                           c->operands[0]),
                 &answer);
    if (r)
        return r;
    if (c->json) {
        ctl_print_json(json_incref(answer));
        return CTL_EXIT_DONE;
    }
    if (type)
        return print_one(answer, type);
    ctl_table_pair(&t, "http-01", ctl_string(answer, "keyAuthorization"));
    ctl_table_pair(&t, "dns-01", ctl_string(answer, "dns01"));
    ctl_table_pair(&t, "tls-alpn-01", ctl_string(answer, "tlsAlpn01"));
    ctl_table_pair(&t, "dns-account-01 label",
                   ctl_string(answer, "dnsAccount01Label"));
    return ctl_table_print(&t);
}

#define ACCOUNT_OPTION                                                         \
    {                                                                          \
        "--account", "NAME", "needed where you may use more than one", 0,      \
            false, false                                                       \
    }

static const struct ctl_option sign_options[] = {
    ACCOUNT_OPTION,
    { "--url", "URL", "where the request will be sent", 0, true, false },
    { "--nonce", "NONCE", "the CA's Replay-Nonce", 0, true, false },
    { "--payload-file", "FILE",
      "the request's JSON, - for stdin; without it POST-as-GET", 0, false,
      false },
    { "--thumbprint", "THUMBPRINT",
      "refuse if this is no longer the account's key", 0, false, false },
    { 0 },
};

static const struct ctl_option jwk_options[] = {
    ACCOUNT_OPTION,
    { "--thumbprint", NULL, "the RFC 7638 thumbprint instead", 0, false,
      false },
    { 0 },
};

static const struct ctl_option key_authorization_options[] = {
    ACCOUNT_OPTION,
    { "--for", "TYPE", "only the value for this challenge type", 0, false,
      false },
    { 0 },
};

const struct ctl_command ctl_sign_commands[] = {
    { "sign", NULL, 0, 0, sign_options,
      "sign an ACME request: prints the flattened JWS", run_sign },
    { "jwk", NULL, 0, 0, jwk_options, "the account's public key", run_jwk },
    { "key-authorization", "TOKEN", 1, 1, key_authorization_options,
      "what each challenge type needs for a token", run_key_authorization },
    { 0 },
};
