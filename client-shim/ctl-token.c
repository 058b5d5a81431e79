/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "client-shim/ctl-daemon.h"
#include "client-shim/ctl-print.h"

/* guardianctl token ...: what the daemon says of its tokens. */

static bool token_ok(const json_t *token)
{
    const char *state = ctl_string(token, "state");

    return state && strcmp(state, "ok") == 0;
}

static void token_row(struct ctl_table *t, const json_t *token)
{
    CTL_TABLE_ROW(t, ctl_string(token, "name"), ctl_string(token, "backend"),
                  ctl_string(token, "state"), ctl_string(token, "label"),
                  ctl_string(token, "library"), ctl_string(token, "text"));
}

int ctl_token_print_list(const json_t *tokens)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 6 };

    CTL_TABLE_ROW(&t, "NAME", "BACKEND", "STATE", "LABEL", "LIBRARY", "TEXT");
    for (size_t i = 0; i < json_array_size(tokens); i++)
        token_row(&t, json_array_get(tokens, i));
    return ctl_table_print(&t);
}

bool ctl_token_all_ok(const json_t *tokens)
{

    for (size_t i = 0; i < json_array_size(tokens); i++) {
        if (!token_ok(json_array_get(tokens, i)))
            return false;
    }
    return true;
}

static int run_list(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const json_t *tokens;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "TokenList", json_object(), &answer);
    if (r)
        return r;
    tokens = json_object_get(answer, "tokens");
    if (c->json)
        ctl_print_json(json_incref(answer));
    else if (json_array_size(tokens) == 0)
        (void)puts("no tokens: guardian.conf has no [Token NAME] section");
    else
        r = ctl_token_print_list(tokens);
    return r ? r : ctl_token_all_ok(tokens) ? CTL_EXIT_DONE : CTL_EXIT_NO;
}

static void token_pairs(struct ctl_table *t, const json_t *token)
{
    char number[32];

    ctl_table_pair(t, "token", ctl_string(token, "name"));
    ctl_table_pair(t, "backend", ctl_string(token, "backend"));
    ctl_table_pair(t, "state", ctl_string(token, "state"));
    if (ctl_string(token, "text") && *ctl_string(token, "text"))
        ctl_table_pair(t, "text", ctl_string(token, "text"));
    ctl_table_pair(t, "label", ctl_string(token, "label"));
    ctl_table_pair(t, "manufacturer", ctl_string(token, "manufacturer"));
    ctl_table_pair(t, "model", ctl_string(token, "model"));
    ctl_table_pair(t, "serial", ctl_string(token, "serial"));
    ctl_table_pair(t, "library", ctl_string(token, "library"));
    (void)snprintf(number, sizeof(number), "%lld",
                   ctl_integer(token, "processes"));
    ctl_table_pair(t, "processes", number);
    (void)snprintf(number, sizeof(number), "%lld",
                   ctl_integer(token, "sessions"));
    ctl_table_pair(t, "sessions", number);
    (void)snprintf(number, sizeof(number), "%lld octets",
                   ctl_integer(token, "freeMemory"));
    ctl_table_pair(t, "free",
                   json_object_get(token, "freeMemory") ? number : NULL);
    ctl_table_pair(t, "separated",
                   ctl_true(token, "unseparated")
                       ? "no: the helper runs as the daemon's user"
                       : "yes");
}

static void key_row(struct ctl_table *t, const json_t *key)
{
    CLEANUP_BUF struct buf unproven = { 0 };
    const json_t *names = json_object_get(key, "unproven");

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        if (buf_printf(&unproven, "%s%s", i ? " " : "", name ? name : ""))
            t->failed = true;
    }
    CTL_TABLE_ROW(t, ctl_string(key, "label"), ctl_string(key, "alg"),
                  ctl_string(key, "account"), ctl_string(key, "thumbprint"),
                  buf_str(&unproven));
}

static int print_check(const json_t *answer)
{
    CLEANUP_CTL_TABLE struct ctl_table pairs = { .n_columns = 2 };
    CLEANUP_CTL_TABLE struct ctl_table keys = { .n_columns = 5 };
    const json_t *list = json_object_get(answer, "keys");
    int r;

    token_pairs(&pairs, json_object_get(answer, "token"));
    r = ctl_table_print(&pairs);
    if (r || json_array_size(list) == 0)
        return r;
    CTL_TABLE_ROW(&keys, "KEY", "ALG", "ACCOUNT", "THUMBPRINT", "UNPROVEN");
    for (size_t i = 0; i < json_array_size(list); i++)
        key_row(&keys, json_array_get(list, i));
    (void)putchar('\n');
    return ctl_table_print(&keys);
}

/* What a key cannot prove (extractable?) is something found: exit 1. */
static bool keys_proven(const json_t *keys)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);

        if (json_array_size(json_object_get(key, "unproven")) > 0)
            return false;
    }
    return true;
}

static int run_check(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "TokenCheck",
                 json_pack("{s:s}", "name", c->operands[0]), &answer);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(json_incref(answer));
    else
        r = print_check(answer);
    if (r)
        return r;
    return token_ok(json_object_get(answer, "token")) &&
                   keys_proven(json_object_get(answer, "keys"))
               ? CTL_EXIT_DONE
               : CTL_EXIT_NO;
}

static int print_self_test(const json_t *answer)
{
    CLEANUP_CTL_TABLE struct ctl_table t = { .n_columns = 2 };
    const json_t *key = json_object_get(answer, "key");

    token_pairs(&t, json_object_get(answer, "token"));
    ctl_table_pair(&t, "self-test",
                   "a key was made, signed, was verified "
                   "with, and was destroyed");
    ctl_table_pair(&t, "key's kind", ctl_string(key, "alg"));
    ctl_table_pair_list(&t, "key proven", json_object_get(key, "attributes"));
    ctl_table_pair_list(&t, "key unproven", json_object_get(key, "unproven"));
    return ctl_table_print(&t);
}

int ctl_token_self_test(const struct ctl_context *c, const char *name,
                        const char *alg, bool quiet, json_t **ret)
{
    CLEANUP_CTL_DAEMON struct ctl_daemon d = { .quiet = quiet };
    int r;

    r = ctl_daemon_open(c, CTL_SOCKET_ADMIN, &d);
    return r ? r
             : ctl_daemon_call_within(
                   &d, "TokenSelfTest",
                   json_pack("{s:s, s:s*}", "name", name, "alg", alg),
                   CTL_CALL_KEYGEN_MS, ret);
}

static int run_self_test(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r;

    r = ctl_token_self_test(c, c->operands[0], ctl_args_value(c, "--alg"),
                            false, &answer);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(json_incref(answer));
    else
        r = print_self_test(answer);
    if (r)
        return r;
    return json_array_size(
               json_object_get(json_object_get(answer, "key"), "unproven"))
               ? CTL_EXIT_NO
               : CTL_EXIT_DONE;
}

static int run_unlock(struct ctl_context *c)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    CLEANUP_CTL_TABLE struct ctl_table pairs = { .n_columns = 2 };
    const json_t *token;
    int r;

    r = ctl_once(c, CTL_SOCKET_ADMIN, "TokenUnlock",
                 json_pack("{s:s}", "name", c->operands[0]), &answer);
    if (r)
        return r;
    token = json_object_get(answer, "token");
    token_pairs(&pairs, token);
    if (c->json)
        ctl_print_json(json_incref(answer));
    else
        r = ctl_table_print(&pairs);
    return r ? r : token_ok(token) ? CTL_EXIT_DONE : CTL_EXIT_NO;
}

static const struct ctl_option self_test_options[] = {
    { "--alg", "ALG", "ES256 (the default), ES384, RS256 or EdDSA", 0, false,
      false },
    { 0 },
};

const struct ctl_command ctl_token_commands[] = {
    { "token list", NULL, 0, 0, NULL, "the tokens and whether they can sign",
      run_list },
    { "token check", "NAME", 1, 1, NULL,
      "sign once with every account key of a token and verify", run_check },
    { "token self-test", "NAME", 1, 1, self_test_options,
      "make a key on a token, sign with it, verify, and destroy it",
      run_self_test },
    { "token unlock", "NAME", 1, 1, NULL,
      "let a PIN that failed be sent once more", run_unlock },
    { "token init-sealed", "NAME", 1, 1, ctl_helper_init_options,
      "make the sealed store of a token; the passphrase is asked for",
      ctl_helper_run_init },
    { "token reseal", "NAME", 1, 1, NULL,
      "open a sealed store by its passphrase and give it a new credential",
      ctl_helper_run_reseal },
    { "token init-token", "NAME", 1, 1, ctl_helper_init_options,
      "initialise a PKCS#11 token; the recovery passphrase is asked for",
      ctl_helper_run_init_token },
    { "token reset-pin", "NAME", 1, 1, NULL,
      "set a PKCS#11 token's PIN by its recovery passphrase",
      ctl_helper_run_reset_pin },
    { 0 },
};
