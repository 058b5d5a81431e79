/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings-token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/filter.h"
#include "base/settings-value.h"

static int read_pin(struct settings_token *t, const struct config_section *s,
                    struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, "Pin", &line);

    if (!v || strcmp(v, "none") == 0) {
        t->pin = SETTINGS_PIN_NONE;
        return 0;
    }
    if (strcmp(v, "ask") == 0) {
        t->pin = SETTINGS_PIN_ASK;
        return 0;
    }
    if (strncmp(v, "credential:", 11) == 0 && v[11] && !strchr(v + 11, '/') &&
        v[11] != '.') {
        t->pin = SETTINGS_PIN_CREDENTIAL;
        return settings_set_string(&t->pin_arg, v + 11);
    }
    if (strncmp(v, "file:/", 6) == 0) {
        t->pin = SETTINGS_PIN_FILE;
        return settings_set_string(&t->pin_arg, v + 5);
    }
    /* Not repeated: people write the PIN itself here. */
    errmsg_set_at(reterr, s->file, line,
                  "Pin= takes credential:NAME, file:/PATH, ask or none, never "
                  "the PIN itself");
    return CONFIG_E_INVALID;
}

static int add_environment(const char *word, unsigned line, void *userdata)
{
    (void)line;
    return strchr(word, '=') && word[0] != '='
               ? settings_strv_add(userdata, word)
               : CONFIG_E_INVALID;
}

static int add_call(const char *word, unsigned line, void *userdata)
{
    struct settings_token *t = userdata;

    (void)line;
    if (strcmp(word, "all") == 0) {
        t->all_system_calls = true;
        return 0;
    }
    return filter_knows(word) ? settings_strv_add(&t->system_calls, word)
                              : CONFIG_E_INVALID;
}

static int read_calls(struct settings_token *t, const struct config_section *s,
                      struct errmsg *reterr)
{
    int r;

    if (config_resets(s, "SystemCalls")) {
        t->system_calls = settings_strv_free(t->system_calls);
        t->all_system_calls = false;
    }
    r = config_words(s, "SystemCalls", add_call, t);
    if (r == CONFIG_E_INVALID)
        errmsg_set_at(reterr, s->file, s->line,
                      "SystemCalls= takes names of system calls, or all");
    return r ? r
             : config_get_bool(s, "WritableCode", &t->writable_code, reterr);
}

int settings_token_read(struct settings_token *t,
                        const struct config_section *s, struct errmsg *reterr)
{
    static const char *const backends[] = { "cryptoki", "libp11", "sealed",
                                            NULL };
    static const char *const verify[] = { "rsa", "all", NULL };
    unsigned backend = t->backend;
    unsigned verify_word = t->verify_all ? 2 : 1;
    int r;

    r = settings_get_word(s, "Backend", backends, &backend, reterr);
    if (r == 0)
        r = settings_get_path(s, "Module", &t->module, reterr);
    if (r == 0)
        r = settings_get_string(s, "Token", &t->token_uri);
    if (r == 0)
        r = read_pin(t, s, reterr);
    if (r == 0)
        r = config_get_ms(s, "Timeout", 100, 600000, &t->timeout_ms, reterr);
    if (r == 0)
        r = settings_get_unsigned(s, "Sessions", 1, 64, &t->sessions, reterr);
    if (r == 0)
        r = settings_get_unsigned(s, "Processes", 1, 16, &t->processes, reterr);
    if (r == 0) {
        r = settings_get_words_checked(s, "Environment", add_environment,
                                       &t->environment);
        if (r == CONFIG_E_INVALID)
            errmsg_set_at(reterr, s->file, s->line,
                          "Environment= takes NAME=VALUE words");
    }
    if (r == 0)
        r = settings_get_string(s, "InitArgs", &t->init_args);
    if (r == 0)
        r = settings_get_string(s, "KeyPrefix", &t->key_prefix);
    if (r == 0)
        r = settings_get_word(s, "VerifySignatures", verify, &verify_word,
                              reterr);
    if (r == 0)
        r = read_calls(t, s, reterr);
    if (r == 0)
        r = settings_get_path(s, "Directory", &t->directory, reterr);
    if (r == 0)
        r = settings_get_path(s, "HelperSocket", &t->helper_socket, reterr);
    t->backend = (enum settings_backend)backend;
    t->verify_all = verify_word == 2;
    return r;
}

int settings_token_check(const struct settings_token *t, struct errmsg *reterr)
{
    const char *missing = NULL;

    if (!settings_name_ok(t->name)) {
        errmsg_set_at(reterr, t->file, t->line,
                      "a token's name is 1 to 32 of a-z 0-9 . _ -: %s",
                      t->name);
        return CONFIG_E_INVALID;
    }
    if (t->backend != SETTINGS_BACKEND_SEALED) {
        if (!t->module)
            missing = "Module";
        else if (!t->token_uri)
            missing = "Token";
    }
    if (missing) {
        errmsg_set_at(reterr, t->file, t->line,
                      "[Token %s] needs %s= with this Backend=", t->name,
                      missing);
        return CONFIG_E_INVALID;
    }
    /* A label is PREFIX:INSTANCE:ACCOUNT:GENERATION. */
    if (strlen(t->key_prefix) > 32 || strpbrk(t->key_prefix, ": \t%/")) {
        errmsg_set_at(reterr, t->file, t->line,
                      "KeyPrefix= is at most 32 characters without ':', '%%', "
                      "'/' and spaces");
        return CONFIG_E_INVALID;
    }
    return 0;
}

/* The section's token, made with its defaults when it is new. */
int settings_token_slot(struct settings *st, const struct config_section *s,
                        struct settings_token **ret)
{
    struct settings_token *more;

    for (size_t i = 0; i < st->n_tokens; i++) {
        if (strcmp(st->tokens[i].name, s->arg) == 0) {
            *ret = &st->tokens[i];
            return 0;
        }
    }
    more = reallocarray(st->tokens, st->n_tokens + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    st->tokens = more;
    more += st->n_tokens++;
    *more = (struct settings_token){
        .name = strdup(s->arg),
        .file = strdup(s->file),
        .line = s->line,
        .backend = SETTINGS_BACKEND_CRYPTOKI,
        .timeout_ms = 10000,
        .sessions = 2,
        .processes = 1,
        .key_prefix = strdup("acme-guardian"),
    };
    *ret = more;
    return more->name && more->file && more->key_prefix ? 0 : -ENOMEM;
}

int settings_token_directory(const struct settings *st,
                             struct settings_token *t)
{
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    if (t->directory)
        return 0;
    if (t->helper_socket)
        r = buf_printf(&path, SETTINGS_TOKEN_DIR "/%s", t->name);
    else
        r = buf_printf(&path, "%s/token/%s", st->state_dir, t->name);
    if (r == 0)
        t->directory = buf_take_str(&path);
    return r;
}

void settings_token_deinit(struct settings_token *t)
{
    free(t->name);
    free(t->file);
    free(t->module);
    free(t->token_uri);
    free(t->pin_arg);
    settings_strv_free(t->environment);
    free(t->init_args);
    free(t->key_prefix);
    settings_strv_free(t->system_calls);
    free(t->directory);
    free(t->helper_socket);
}
