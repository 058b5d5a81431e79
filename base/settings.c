/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/settings-token.h"
#include "base/settings-value.h"
#include "base/trusted.h"

/* Every key of guardian.conf(5); tests/docs compares this with the man page. */
const struct config_schema settings_schema[] = {
    { "Guardian", false,
      (const char *const[]){ "StateDirectory", "LogDirectory", "ClientSocket",
                             "AdminSocket", "AllowSwappableSecrets",
                             "ConnectionsPerUser", "RequestsPerUser",
                             "RequestsPerMinute", "AuditSync", "AuditMaxSize",
                             "AuditKeep", "AuditReserve", NULL } },
    { "Roles", false,
      (const char *const[]){ "AdminUser", "AdminGroup", "OpsUser", "OpsGroup",
                             "MonitorUser", "MonitorGroup", NULL } },
    { "Deny", false, (const char *const[]){ "Domain", NULL } },
    { "Token", true,
      (const char *const[]){ "Backend", "Module", "Token", "Pin", "Timeout",
                             "Sessions", "Processes", "Environment", "InitArgs",
                             "KeyPrefix", "VerifySignatures", "SystemCalls",
                             "WritableCode", "Directory", "HelperSocket",
                             NULL } },
    { "Lacme", true,
      (const char *const[]){ "Account", "Socket", "Owner", NULL } },
    { NULL, false, NULL },
};

static int read_guardian(struct settings *st, const struct config_section *s,
                         struct errmsg *reterr)
{
    static const char *const syncs[] = { "interval", "group", NULL };
    unsigned sync = st->audit_sync;
    int r;

    r = settings_get_path(s, "StateDirectory", &st->state_dir, reterr);
    if (r == 0)
        r = settings_get_path(s, "LogDirectory", &st->log_dir, reterr);
    if (r == 0)
        r = settings_get_path(s, "ClientSocket", &st->client_socket, reterr);
    if (r == 0)
        r = settings_get_path(s, "AdminSocket", &st->admin_socket, reterr);
    if (r == 0)
        r = config_get_bool(s, "AllowSwappableSecrets", &st->allow_swappable,
                            reterr);
    if (r == 0)
        r = settings_get_unsigned(s, "ConnectionsPerUser", 1, 65536,
                                  &st->connections_per_user, reterr);
    if (r == 0)
        r = settings_get_unsigned(s, "RequestsPerUser", 1, 65536,
                                  &st->requests_per_user, reterr);
    if (r == 0)
        r = settings_get_unsigned(s, "RequestsPerMinute", 1, 10000000,
                                  &st->requests_per_minute, reterr);
    if (r == 0)
        r = settings_get_word(s, "AuditSync", syncs, &sync, reterr);
    if (r == 0)
        r = config_get_size(s, "AuditMaxSize", 4096, 1ULL << 40,
                            &st->audit_max_size, reterr);
    if (r == 0)
        r = settings_get_unsigned(s, "AuditKeep", 1, 100000, &st->audit_keep,
                                  reterr);
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
        r = settings_get_words(s, lists[i].key, lists[i].list);
        if (r)
            return r;
    }
    return 0;
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
    r = settings_get_string(s, "Account", &more->account);
    if (r == 0)
        r = settings_get_path(s, "Socket", &more->socket, reterr);
    if (r == 0)
        r = settings_get_string(s, "Owner", &more->owner);
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
        return settings_get_words(s, "Domain", &st->deny_domains);
    if (strcmp(s->name, "Lacme") == 0)
        return read_lacme(st, s, reterr);

    r = settings_token_slot(st, s, &t);
    return r ? r : settings_token_read(t, s, reterr);
}

static int cannot_open(const char *path, int error, struct errmsg *reterr)
{
    errmsg_set_at(reterr, path, 0, "cannot be opened: %s", strerror(error));
    return -error;
}

/* Whoever can write the configuration decides which module gets the PIN. */
static int check_trusted(int fd, const char *path, mode_t type,
                         struct errmsg *reterr)
{
    const struct trusted_rule rule = { .type = type, .owner = "root" };
    struct stat sb;

    if (fstat(fd, &sb) < 0)
        return cannot_open(path, errno, reterr);
    return trusted_check(&sb, path, &rule, reterr) ? CONFIG_E_INVALID : 0;
}

static int read_sections(struct settings *st, const struct config *config,
                         struct errmsg *reterr)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < config_n_sections(config); i++)
        r = read_section(st, config_section(config, i), reterr);
    return r;
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
    /* O_NONBLOCK: a FIFO is refused below, not waited for. */
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return cannot_open(buf_str(&path), errno, reterr);
    r = check_trusted(fd, buf_str(&path), S_IFREG, reterr);
    if (r == 0)
        r = config_read(fd, buf_str(&path), settings_schema, &config, reterr);
    return r ? r : read_sections(st, config, reterr);
}

static int read_text(struct settings *st, const char *dir,
                     const struct settings_text *t, struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    r = buf_printf(&path, "%s/%s", dir, t->name);
    if (r == 0)
        r = config_parse(t->text, buf_str(&path), settings_schema, &config,
                         reterr);
    return r ? r : read_sections(st, config, reterr);
}

/* A link that leads nowhere is there, and cannot be opened: without [Deny] and
 * [Roles] more would be allowed than somebody wrote down. */
static bool exists(int dir_fd, const char *name)
{
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           errno != ENOENT;
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
        return errno == ENOENT ? 0 : cannot_open(buf_str(&path), errno, reterr);
    r = check_trusted(fd, buf_str(&path), S_IFDIR, reterr);
    if (r)
        return r;
    n = scandirat(fd, ".", &names, is_conf, alphasort);
    if (n < 0)
        return cannot_open(buf_str(&path), errno, reterr);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = read_file(st, fd, buf_str(&path), names[i]->d_name, reterr);
        free(names[i]);
    }
    free(names);
    return r;
}

static int set_defaults(struct settings *st, const char *dir)
{
    CLEANUP_BUF struct buf path = { 0 };
    int r;

    st->connections_per_user = 64;
    st->requests_per_user = 64;
    st->requests_per_minute = 1800;
    st->audit_sync = SETTINGS_SYNC_INTERVAL;
    st->audit_max_size = 64ULL << 20;
    st->audit_keep = 30;
    st->audit_reserve = 16ULL << 20;
    r = settings_set_string(&st->dir, dir);
    if (r == 0)
        r = buf_printf(&path, "%s/policy.d", dir);
    if (r == 0)
        st->policy_dir = buf_take_str(&path);
    if (r == 0)
        r = settings_set_string(&st->state_dir, "/var/lib/acme-guardian");
    if (r == 0)
        r = settings_set_string(&st->log_dir, "/var/log/acme-guardian");
    if (r == 0)
        r = settings_set_string(&st->client_socket, SETTINGS_CLIENT_SOCKET);
    if (r == 0)
        r = settings_set_string(&st->admin_socket, SETTINGS_ADMIN_SOCKET);
    if (r == 0)
        r = settings_strv_add(&st->admin_groups, "acme-guardian-admin");
    if (r == 0)
        r = settings_strv_add(&st->ops_users, "acme-guardian-ops");
    if (r == 0)
        r = settings_strv_add(&st->monitor_groups, "acme-guardian-monitor");
    return r;
}

int settings_load(const char *dir, struct settings **ret, struct errmsg *reterr)
{
    return settings_load_with(dir, NULL, 0, ret, reterr);
}

int settings_load_with(const char *dir, const struct settings_text *more,
                       size_t n_more, struct settings **ret,
                       struct errmsg *reterr)
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
    if (dir_fd < 0)
        return cannot_open(dir, errno, reterr);
    r = check_trusted(dir_fd, dir, S_IFDIR, reterr);
    if (r == 0 && exists(dir_fd, "guardian.conf"))
        r = read_file(st, dir_fd, dir, "guardian.conf", reterr);
    if (r == 0)
        r = read_dropins(st, dir, reterr);
    for (size_t i = 0; r == 0 && i < n_more; i++)
        r = read_text(st, dir, &more[i], reterr);
    for (size_t i = 0; r == 0 && i < st->n_tokens; i++) {
        r = settings_token_check(&st->tokens[i], reterr);
        if (r == 0)
            r = settings_token_directory(st, &st->tokens[i]);
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

struct settings *settings_free(struct settings *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n_tokens; i++)
        settings_token_deinit(&s->tokens[i]);
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
    settings_strv_free(s->admin_users);
    settings_strv_free(s->admin_groups);
    settings_strv_free(s->ops_users);
    settings_strv_free(s->ops_groups);
    settings_strv_free(s->monitor_users);
    settings_strv_free(s->monitor_groups);
    settings_strv_free(s->deny_domains);
    free(s);
    return NULL;
}
