/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Every key of guardian.conf(5); tests/docs compares this with the man page. */
const struct config_schema settings_schema[] = {
    { "Guardian", false,
      (const char *const[]){
          "StateDirectory", "LogDirectory", "ClientSocket", "AdminSocket",
          "AllowSwappableSecrets", "ConnectionsPerUser", "RequestsPerUser",
          "AuditSync", "AuditMaxSize", "AuditKeep", "AuditReserve", NULL } },
    { "Roles", false,
      (const char *const[]){ "AdminUser", "AdminGroup", "OpsUser", "OpsGroup",
                             "MonitorUser", "MonitorGroup", NULL } },
    { "Deny", false, (const char *const[]){ "Domain", NULL } },
    { "Token", true,
      (const char *const[]){ "Backend", "Module", "Token", "Pin", "Timeout",
                             "Sessions", "Processes", "Environment", "InitArgs",
                             "KeyPrefix", "VerifySignatures", "Directory",
                             "HelperSocket", NULL } },
    { "Lacme", true,
      (const char *const[]){ "Account", "Socket", "Owner", NULL } },
    { NULL, false, NULL },
};

static void strv_free(char **v)
{
    for (char **p = v; p && *p; p++)
        free(*p);
    free(v);
}

static int strv_add(char ***v, const char *s)
{
    size_t n = 0;
    char **more;

    while (*v && (*v)[n])
        n++;
    more = reallocarray(*v, n + 2, sizeof(*more));
    if (!more)
        return -ENOMEM;
    *v = more;
    more[n + 1] = NULL;
    more[n] = strdup(s);
    return more[n] ? 0 : -ENOMEM;
}

static int add_word(const char *word, unsigned line, void *userdata)
{
    (void)line;
    return strv_add(userdata, word);
}

bool settings_name_ok(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > 32 || name[0] == '.' || name[0] == '_' || name[0] == '-')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

static int set_string(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int get_string(const struct config_section *s, const char *key,
                      char **field)
{
    const char *v = config_last(s, key, NULL);

    return v ? set_string(field, v) : 0;
}

static int get_path(const struct config_section *s, const char *key,
                    char **field, struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, key, &line);

    if (!v)
        return 0;
    if (v[0] != '/') {
        errmsg_set_at(reterr, s->file, line,
                      "%s= takes an absolute path, not %.64s", key, v);
        return CONFIG_E_INVALID;
    }
    return set_string(field, v);
}

static int get_unsigned(const struct config_section *s, const char *key,
                        unsigned min, unsigned max, unsigned *field,
                        struct errmsg *reterr)
{
    uint64_t v = *field;
    int r;

    r = config_get_uint(s, key, min, max, &v, reterr);
    *field = (unsigned)v;
    return r;
}

/* One of @words, whose index becomes the value; the first is index 1. */
static int get_word(const struct config_section *s, const char *key,
                    const char *const *words, unsigned *field,
                    struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, key, &line);
    char all[128] = "";

    if (!v)
        return 0;
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(words[i], v) == 0) {
            *field = i + 1;
            return 0;
        }
        (void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
                       i ? ", " : "", words[i]);
    }
    errmsg_set_at(reterr, s->file, line, "%s= takes one of %s, not %.64s", key,
                  all, v);
    return CONFIG_E_INVALID;
}

static int read_guardian(struct settings *st, const struct config_section *s,
                         struct errmsg *reterr)
{
    static const char *const syncs[] = { "interval", "group", NULL };
    unsigned sync = st->audit_sync;
    int r;

    r = get_path(s, "StateDirectory", &st->state_dir, reterr);
    if (r == 0)
        r = get_path(s, "LogDirectory", &st->log_dir, reterr);
    if (r == 0)
        r = get_path(s, "ClientSocket", &st->client_socket, reterr);
    if (r == 0)
        r = get_path(s, "AdminSocket", &st->admin_socket, reterr);
    if (r == 0)
        r = config_get_bool(s, "AllowSwappableSecrets", &st->allow_swappable,
                            reterr);
    if (r == 0)
        r = get_unsigned(s, "ConnectionsPerUser", 1, 65536,
                         &st->connections_per_user, reterr);
    if (r == 0)
        r = get_unsigned(s, "RequestsPerUser", 1, 65536, &st->requests_per_user,
                         reterr);
    if (r == 0)
        r = get_word(s, "AuditSync", syncs, &sync, reterr);
    if (r == 0)
        r = config_get_size(s, "AuditMaxSize", 4096, 1ULL << 40,
                            &st->audit_max_size, reterr);
    if (r == 0)
        r = get_unsigned(s, "AuditKeep", 1, 100000, &st->audit_keep, reterr);
    if (r == 0)
        r = config_get_size(s, "AuditReserve", 0, 1ULL << 40,
                            &st->audit_reserve, reterr);
    st->audit_sync = (enum settings_audit_sync)sync;
    return r;
}

static int read_roles(struct settings *st, const struct config_section *s)
{
    const struct {
        const char *key;
        char ***list;
    } lists[] = {
        { "AdminUser", &st->admin_users },
        { "AdminGroup", &st->admin_groups },
        { "OpsUser", &st->ops_users },
        { "OpsGroup", &st->ops_groups },
        { "MonitorUser", &st->monitor_users },
        { "MonitorGroup", &st->monitor_groups },
    };
    int r;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        r = config_words(s, lists[i].key, add_word, lists[i].list);
        if (r)
            return r;
    }
    return 0;
}

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
        return set_string(&t->pin_arg, v + 11);
    }
    if (strncmp(v, "file:/", 6) == 0) {
        t->pin = SETTINGS_PIN_FILE;
        return set_string(&t->pin_arg, v + 5);
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
    return strchr(word, '=') && word[0] != '=' ? strv_add(userdata, word)
                                               : CONFIG_E_INVALID;
}

static int read_token(struct settings_token *t, const struct config_section *s,
                      struct errmsg *reterr)
{
    static const char *const backends[] = { "cryptoki", "libp11", "sealed",
                                            NULL };
    static const char *const verify[] = { "rsa", "all", NULL };
    unsigned backend = t->backend;
    unsigned verify_word = t->verify_all ? 2 : 1;
    int r;

    r = get_word(s, "Backend", backends, &backend, reterr);
    if (r == 0)
        r = get_path(s, "Module", &t->module, reterr);
    if (r == 0)
        r = get_string(s, "Token", &t->token_uri);
    if (r == 0)
        r = read_pin(t, s, reterr);
    if (r == 0)
        r = config_get_ms(s, "Timeout", 100, 600000, &t->timeout_ms, reterr);
    if (r == 0)
        r = get_unsigned(s, "Sessions", 1, 64, &t->sessions, reterr);
    if (r == 0)
        r = get_unsigned(s, "Processes", 1, 16, &t->processes, reterr);
    if (r == 0) {
        r = config_words(s, "Environment", add_environment, &t->environment);
        if (r == CONFIG_E_INVALID)
            errmsg_set_at(reterr, s->file, s->line,
                          "Environment= takes NAME=VALUE words");
    }
    if (r == 0)
        r = get_string(s, "InitArgs", &t->init_args);
    if (r == 0)
        r = get_string(s, "KeyPrefix", &t->key_prefix);
    if (r == 0)
        r = get_word(s, "VerifySignatures", verify, &verify_word, reterr);
    if (r == 0)
        r = get_path(s, "Directory", &t->directory, reterr);
    if (r == 0)
        r = get_path(s, "HelperSocket", &t->helper_socket, reterr);
    t->backend = (enum settings_backend)backend;
    t->verify_all = verify_word == 2;
    return r;
}

static int check_token(const struct settings_token *t, struct errmsg *reterr)
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
static int token_slot(struct settings *st, const struct config_section *s,
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

static int read_lacme(struct settings *st, const struct config_section *s,
                      struct errmsg *reterr)
{
    struct settings_lacme *more;
    int r;

    if (!settings_name_ok(s->arg)) {
        errmsg_set_at(reterr, s->file, s->line,
                      "a lacme socket's name is 1 to 32 of a-z 0-9 . _ -: %s",
                      s->arg);
        return CONFIG_E_INVALID;
    }
    more = reallocarray(st->lacmes, st->n_lacmes + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    st->lacmes = more;
    more += st->n_lacmes++;
    *more = (struct settings_lacme){ .name = strdup(s->arg),
                                     .account = strdup(s->arg) };
    if (!more->name || !more->account)
        return -ENOMEM;
    r = get_string(s, "Account", &more->account);
    if (r == 0)
        r = get_path(s, "Socket", &more->socket, reterr);
    if (r == 0)
        r = get_string(s, "Owner", &more->owner);
    return r;
}

static int read_section(struct settings *st, const struct config_section *s,
                        struct errmsg *reterr)
{
    struct settings_token *t = NULL;
    int r;

    if (strcmp(s->name, "Guardian") == 0)
        return read_guardian(st, s, reterr);
    if (strcmp(s->name, "Roles") == 0)
        return read_roles(st, s);
    if (strcmp(s->name, "Deny") == 0)
        return config_words(s, "Domain", add_word, &st->deny_domains);
    if (strcmp(s->name, "Lacme") == 0)
        return read_lacme(st, s, reterr);

    r = token_slot(st, s, &t);
    return r ? r : read_token(t, s, reterr);
}

/* Whoever can write the configuration decides which module gets the PIN. */
static int check_trusted(int fd, const char *path, struct errmsg *reterr)
{
    struct stat sb;

    if (fstat(fd, &sb) < 0)
        return -errno;
    if ((sb.st_uid != 0 && sb.st_uid != geteuid()) ||
        (sb.st_mode & (S_IWGRP | S_IWOTH))) {
        errmsg_set_at(reterr, path, 0,
                      "must be owned by root and writable by its owner alone "
                      "(uid %u, mode %03o)",
                      sb.st_uid, sb.st_mode & 0777);
        return CONFIG_E_INVALID;
    }
    return 0;
}

static int read_file(struct settings *st, int dir_fd, const char *dir,
                     const char *name, struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;
    int r;

    r = buf_printf(&path, "%s/%s", dir, name);
    if (r)
        return r;
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        r = -errno;
        if (r != -ENOENT)
            errmsg_set_at(reterr, buf_str(&path), 0, "cannot be opened: %s",
                          strerror(-r));
        return r;
    }
    r = check_trusted(fd, buf_str(&path), reterr);
    if (r == 0)
        r = config_read(fd, buf_str(&path), settings_schema, &config, reterr);
    for (size_t i = 0; r == 0 && i < config_n_sections(config); i++)
        r = read_section(st, config_section(config, i), reterr);
    return r;
}

static int is_conf(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > 5 &&
           strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int read_dropins(struct settings *st, const char *dir,
                        struct errmsg *reterr)
{
    CLEANUP_BUF struct buf path = { 0 };
    struct dirent **names = NULL;
    CLEANUP_FD int fd = -1;
    int n;
    int r;

    r = buf_printf(&path, "%s/guardian.conf.d", dir);
    if (r)
        return r;
    fd = open(buf_str(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    n = scandirat(fd, ".", &names, is_conf, alphasort);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = read_file(st, fd, buf_str(&path), names[i]->d_name, reterr);
        free(names[i]);
    }
    free(names);
    return r;
}

static int token_directory(const struct settings *st, struct settings_token *t)
{
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    if (t->directory)
        return 0;
    r = buf_printf(&path, "%s/token/%s", st->state_dir, t->name);
    if (r == 0)
        t->directory = buf_take_str(&path);
    return r;
}

static int set_defaults(struct settings *st, const char *dir)
{
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    st->connections_per_user = 64;
    st->requests_per_user = 64;
    st->audit_sync = SETTINGS_SYNC_INTERVAL;
    st->audit_max_size = 64ULL << 20;
    st->audit_keep = 30;
    st->audit_reserve = 16ULL << 20;
    r = set_string(&st->dir, dir);
    if (r == 0)
        r = buf_printf(&path, "%s/policy.d", dir);
    if (r == 0)
        st->policy_dir = buf_take_str(&path);
    if (r == 0)
        r = set_string(&st->state_dir, "/var/lib/acme-guardian");
    if (r == 0)
        r = set_string(&st->log_dir, "/var/log/acme-guardian");
    if (r == 0)
        r = set_string(&st->client_socket, SETTINGS_CLIENT_SOCKET);
    if (r == 0)
        r = set_string(&st->admin_socket, SETTINGS_ADMIN_SOCKET);
    return r;
}

int settings_load(const char *dir, struct settings **ret, struct errmsg *reterr)
{
    CLEANUP_SETTINGS struct settings *st = calloc(1, sizeof(*st));
    CLEANUP_FD int dir_fd = -1;
    int r;

    if (!st)
        return -ENOMEM;
    r = set_defaults(st, dir);
    if (r)
        return r;

    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        r = -errno;
        errmsg_set_at(reterr, dir, 0, "cannot be opened: %s", strerror(-r));
        return r;
    }
    r = check_trusted(dir_fd, dir, reterr);
    if (r)
        return r;
    r = read_file(st, dir_fd, dir, "guardian.conf", reterr);
    if (r && r != -ENOENT)
        return r;
    r = read_dropins(st, dir, reterr);
    for (size_t i = 0; r == 0 && i < st->n_tokens; i++) {
        r = check_token(&st->tokens[i], reterr);
        if (r == 0)
            r = token_directory(st, &st->tokens[i]);
    }
    if (r)
        return r;
    *ret = TAKE_PTR(st);
    return 0;
}

const struct settings_token *settings_token(const struct settings *s,
                                            const char *name)
{
    for (size_t i = 0; i < s->n_tokens; i++) {
        if (strcmp(s->tokens[i].name, name) == 0)
            return &s->tokens[i];
    }
    return NULL;
}

static void token_deinit(struct settings_token *t)
{
    free(t->name);
    free(t->file);
    free(t->module);
    free(t->token_uri);
    free(t->pin_arg);
    strv_free(t->environment);
    free(t->init_args);
    free(t->key_prefix);
    free(t->directory);
    free(t->helper_socket);
}

struct settings *settings_free(struct settings *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n_tokens; i++)
        token_deinit(&s->tokens[i]);
    for (size_t i = 0; i < s->n_lacmes; i++) {
        free(s->lacmes[i].name);
        free(s->lacmes[i].account);
        free(s->lacmes[i].socket);
        free(s->lacmes[i].owner);
    }
    free(s->tokens);
    free(s->lacmes);
    free(s->dir);
    free(s->policy_dir);
    free(s->state_dir);
    free(s->log_dir);
    free(s->client_socket);
    free(s->admin_socket);
    strv_free(s->admin_users);
    strv_free(s->admin_groups);
    strv_free(s->ops_users);
    strv_free(s->ops_groups);
    strv_free(s->monitor_users);
    strv_free(s->monitor_groups);
    strv_free(s->deny_domains);
    free(s);
    return NULL;
}
