/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/account-files.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/config-dir.h"
#include "base/settings-value.h"
#include "base/settings.h"
#include "base/window.h"
#include "client-shim/credential.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/key-type.h"

/* Every key of acme-guardian.account(5). */
static const struct config_schema account_schema[] = {
    { "Account", false,
      (const char *const[]){ "Ca",
                             "Directory",
                             "Token",
                             "KeyType",
                             "ExistingKey",
                             "Contact",
                             "AgreeTerms",
                             "EabKid",
                             "EabKey",
                             "Issuer",
                             "Origins",
                             "ChallengeMembers",
                             "AllowQuery",
                             "AllowHttpLoopback",
                             "CaFile",
                             "Rotate",
                             "RotateWindow",
                             "OrderDrain",
                             "Settle",
                             "CacheTime",
                             "Grace",
                             "KeepOldKey",
                             NULL } },
    { NULL, false, NULL },
};

void account_wish_deinit(struct account_wish *w)
{
    free(w->name);
    free(w->file);
    free(w->directory);
    free(w->token);
    free(w->alg);
    free(w->existing_key);
    free(w->eab_kid);
    free(w->eab_key);
    free(w->ca_file);
    free(w->schedule.window);
    w->contacts = settings_strv_free(w->contacts);
    w->issuers = settings_strv_free(w->issuers);
    w->origins = settings_strv_free(w->origins);
    w->challenge_members = settings_strv_free(w->challenge_members);
    *w = (struct account_wish){ 0 };
}

struct account_wishes *account_wishes_free(struct account_wishes *w)
{
    if (!w)
        return NULL;
    for (size_t i = 0; i < w->n; i++)
        account_wish_deinit(&w->items[i]);
    free(w->items);
    free(w);
    return NULL;
}

static int invalid(const struct config_section *s, unsigned line,
                   struct errmsg *reterr, const char *fmt, ...) PRINTF(4, 5);
static int invalid(const struct config_section *s, unsigned line,
                   struct errmsg *reterr, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    errmsg_set_at(reterr, s->file, line ? line : s->line, "%s", text);
    return CONFIG_E_INVALID;
}

/* Ca= and Directory= say the same in two ways. */
static int read_directory(struct account_wish *w,
                          const struct config_section *s, struct errmsg *reterr)
{
    unsigned line = 0;
    const char *url = config_last(s, "Directory", &line);
    const char *ca = config_last(s, "Ca", &line);

    if (url && ca)
        return invalid(s, line, reterr,
                       "Ca= and Directory= exclude each other");
    if (!url && !ca)
        return invalid(s, 0, reterr, "Ca= or Directory= says which CA");
    if (ca)
        url = ctl_known_directory(ca);
    if (!url)
        return invalid(s, line, reterr,
                       "Ca=%.100s is no CA that guardianctl ca list shows, and "
                       "no URL",
                       ca);
    return settings_set_string(&w->directory, url);
}

static int read_key_type(struct account_wish *w, const struct config_section *s,
                         struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, "KeyType", &line);
    const char *alg;

    if (key_type_read(v ? v : "ec-p256", &alg, &w->rsa_bits))
        return settings_set_string(&w->alg, alg);
    return invalid(s, line, reterr,
                   "KeyType= is " KEY_TYPE_WORDS ", not %.100s", v);
}

static int read_eab(struct account_wish *w, const struct config_section *s,
                    struct errmsg *reterr)
{
    unsigned line = 0;
    int r;

    r = settings_get_string(s, "EabKid", &w->eab_kid);
    if (r == 0)
        r = settings_get_string(s, "EabKey", &w->eab_key);
    if (r)
        return r;
    (void)config_last(s, w->eab_key ? "EabKey" : "EabKid", &line);
    if (!w->eab_kid != !w->eab_key)
        return invalid(s, line, reterr, "EabKid= and EabKey= need each other");
    if (w->eab_key && !credential_source_ok(w->eab_key))
        return invalid(s, line, reterr,
                       "EabKey= is credential:NAME or file:/PATH, not %.100s",
                       w->eab_key);
    return 0;
}

static int read_lists(struct account_wish *w, const struct config_section *s)
{
    const struct {
        const char *key;
        char ***list;
    } lists[] = {
        { "Contact", &w->contacts },
        { "Issuer", &w->issuers },
        { "Origins", &w->origins },
        { "ChallengeMembers", &w->challenge_members },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(lists); i++)
        r = settings_get_words(s, lists[i].key, lists[i].list);
    w->manage_contacts =
        config_last(s, "Contact", NULL) || config_resets(s, "Contact");
    return r;
}

static int read_token(struct account_wish *w, const struct config_section *s,
                      struct errmsg *reterr)
{
    unsigned line = 0;
    const char *token = config_last(s, "Token", &line);

    if (!token)
        return invalid(s, 0, reterr, "Token= says where its key is to live");
    if (!settings_name_ok(token))
        return invalid(s, line, reterr, "Token=%.100s is no token's name",
                       token);
    return settings_set_string(&w->token, token);
}

static int read_window(char **ret, const struct config_section *s,
                       struct errmsg *reterr)
{
    unsigned line = 0;
    const char *text = config_last(s, "RotateWindow", &line);
    struct errmsg why = { 0 };
    struct windows w;

    if (!text)
        return 0;
    if (windows_parse(text, &w, &why))
        return invalid(s, line, reterr, "RotateWindow= %s", why.text);
    return settings_set_string(ret, text);
}

/* The limits are the daemon's, too. */
static int read_schedule(struct account_schedule *x,
                         const struct config_section *s, struct errmsg *reterr)
{
    const struct {
        const char *key;
        uint64_t min_s, max_s;
        int64_t *field;
    } times[] = {
        { "Rotate", 3600, UINT64_C(3650) * 86400, &x->rotate_s },
        { "OrderDrain", 0, 600, &x->order_drain_s },
        { "Settle", 0, 15, &x->settle_s },
        { "CacheTime", 0, 30, &x->cache_s },
        { "Grace", 0, UINT64_C(90) * 86400, &x->grace_s },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(times); i++) {
        uint64_t ms = UINT64_MAX;

        *times[i].field = ACCOUNT_NO_TIME;
        r = config_get_ms(s, times[i].key, times[i].min_s * 1000,
                          times[i].max_s * 1000, &ms, reterr);
        if (r == 0 && ms != UINT64_MAX)
            *times[i].field = (int64_t)(ms / 1000);
    }
    if (r == 0)
        r = read_window(&x->window, s, reterr);
    return r ? r : config_get_bool(s, "KeepOldKey", &x->keep_old, reterr);
}

static int read_section(struct account_wish *w, const struct config_section *s,
                        struct errmsg *reterr)
{
    int r;

    r = read_directory(w, s, reterr);
    if (r == 0)
        r = read_token(w, s, reterr);
    if (r == 0)
        r = read_key_type(w, s, reterr);
    if (r == 0)
        r = settings_get_string(s, "ExistingKey", &w->existing_key);
    if (r == 0)
        r = read_eab(w, s, reterr);
    if (r == 0)
        r = read_lists(w, s);
    if (r == 0)
        r = read_schedule(&w->schedule, s, reterr);
    if (r == 0)
        r = settings_get_path(s, "CaFile", &w->ca_file, reterr);
    if (r == 0)
        r = config_get_bool(s, "AgreeTerms", &w->agree_terms, reterr);
    if (r == 0)
        r = config_get_bool(s, "AllowQuery", &w->allow_query, reterr);
    if (r == 0)
        r = config_get_bool(s, "AllowHttpLoopback", &w->allow_http_loopback,
                            reterr);
    return r;
}

static int check_file(const struct config *config, const char *file,
                      const char *name, struct errmsg *reterr)
{
    if (!settings_name_ok(name)) {
        errmsg_set_at(reterr, file, 0,
                      "an account's name is 1 to 32 of a-z 0-9 . _ -: %.100s",
                      name);
        return CONFIG_E_INVALID;
    }
    if (config_n_sections(config) != 1) {
        errmsg_set_at(reterr, file, 0,
                      "an account's file has one section [Account]");
        return CONFIG_E_INVALID;
    }
    return 0;
}

static int add_config(const struct config *config, const char *file,
                      const char *name, void *userdata, struct errmsg *reterr)
{
    CLEANUP(account_wish_deinit) struct account_wish wish = { 0 };
    struct account_wishes *w = userdata;
    struct account_wish *more;
    int r;

    r = check_file(config, file, name, reterr);
    if (r == 0)
        r = settings_set_string(&wish.name, name);
    if (r == 0)
        r = settings_set_string(&wish.file, file);
    if (r == 0)
        r = read_section(&wish, config_section(config, 0), reterr);
    if (r)
        return r;
    more = array_grown(w->items, w->n, sizeof(*more));
    if (!more)
        return -ENOMEM;
    w->items = more;
    w->items[w->n++] = wish;
    wish = (struct account_wish){ 0 };
    return 0;
}

int account_files_parse(struct account_wishes *w, struct bytes text,
                        const char *file, const char *name,
                        struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    int r = config_parse(text, file, account_schema, &config, reterr);

    return r ? r : add_config(config, file, name, w, reterr);
}

static int load(const char *config_dir, const char *name,
                struct account_wishes **ret, struct errmsg *reterr)
{
    CLEANUP_ACCOUNT_WISHES struct account_wishes *w = calloc(1, sizeof(*w));
    CLEANUP_BUF struct buf path = { 0 };
    struct config_dir d = { .suffix = ".account", .schema = account_schema };
    int r;

    if (!w || buf_printf(&path, "%s/accounts.d", config_dir))
        return -ENOMEM;
    d.path = buf_str(&path);
    r = name ? config_dir_one(&d, name, add_config, w, reterr)
             : config_dir_each(&d, add_config, w, reterr);
    if (r)
        return r;
    *ret = TAKE_PTR(w);
    return 0;
}

int account_files_load(const char *config_dir, struct account_wishes **ret,
                       struct errmsg *reterr)
{
    return load(config_dir, NULL, ret, reterr);
}

int account_files_load_one(const char *config_dir, const char *name,
                           struct account_wishes **ret, struct errmsg *reterr)
{
    return load(config_dir, name, ret, reterr);
}

const struct account_wish *account_files_find(const struct account_wishes *w,
                                              const char *name)
{
    for (size_t i = 0; w && i < w->n; i++) {
        if (strcmp(w->items[i].name, name) == 0)
            return &w->items[i];
    }
    return NULL;
}
