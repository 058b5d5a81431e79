/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings-diff.h"

#include <stddef.h>
#include <string.h>

#include "base/settings-value.h"

enum kind { PLAIN, TEXT, WORDS };

/* One key, and the field that it sets; a key may have two. */
struct field {
    const char *key;
    enum kind kind;
    size_t offset, size;
};

#define FIELD(type, kind, key, member)                                         \
    {                                                                          \
        key, kind, offsetof(type, member), sizeof(((type *)NULL)->member)      \
    }

#define GUARDIAN(kind, key, member) FIELD(struct settings, kind, key, member)
static const struct field guardian_fields[] = {
    GUARDIAN(TEXT, "StateDirectory", state_dir),
    GUARDIAN(TEXT, "LogDirectory", log_dir),
    GUARDIAN(TEXT, "ClientSocket", client_socket),
    GUARDIAN(TEXT, "AdminSocket", admin_socket),
    GUARDIAN(PLAIN, "AllowSwappableSecrets", allow_swappable),
    GUARDIAN(PLAIN, "ConnectionsPerUser", connections_per_user),
    GUARDIAN(PLAIN, "RequestsPerUser", requests_per_user),
    GUARDIAN(PLAIN, "RequestsPerMinute", requests_per_minute),
    GUARDIAN(PLAIN, "AuditSync", audit_sync),
    GUARDIAN(PLAIN, "AuditMaxSize", audit_max_size),
    GUARDIAN(PLAIN, "AuditKeep", audit_keep),
    GUARDIAN(PLAIN, "AuditReserve", audit_reserve),
};

#define TOKEN(kind, key, member) FIELD(struct settings_token, kind, key, member)
static const struct field token_fields[] = {
    TOKEN(PLAIN, "Backend", backend),
    TOKEN(TEXT, "Module", module),
    TOKEN(TEXT, "Token", token_uri),
    TOKEN(PLAIN, "Pin", pin),
    TOKEN(TEXT, "Pin", pin_arg),
    TOKEN(PLAIN, "Timeout", timeout_ms),
    TOKEN(PLAIN, "Sessions", sessions),
    TOKEN(PLAIN, "Processes", processes),
    TOKEN(WORDS, "Environment", environment),
    TOKEN(TEXT, "InitArgs", init_args),
    TOKEN(TEXT, "KeyPrefix", key_prefix),
    TOKEN(PLAIN, "VerifySignatures", verify_all),
    TOKEN(WORDS, "SystemCalls", system_calls),
    TOKEN(PLAIN, "SystemCalls", all_system_calls),
    TOKEN(PLAIN, "WritableCode", writable_code),
    TOKEN(TEXT, "Directory", directory),
    TOKEN(TEXT, "HelperSocket", helper_socket),
};

#define LACME(kind, key, member) FIELD(struct settings_lacme, kind, key, member)
static const struct field lacme_fields[] = {
    LACME(TEXT, "Account", account),
    LACME(TEXT, "Socket", socket),
    LACME(TEXT, "Owner", owner),
};

/* The sections of one name, in an array of structs that begin with their name.
 */
struct sections {
    const char *section;
    const struct field *fields;
    size_t n_fields, item;
    const char *before, *now;
    size_t n_before, n_now;
};

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_words(char *const *a, char *const *b)
{
    for (; a && b && *a && *b; a++, b++) {
        if (strcmp(*a, *b) != 0)
            return false;
    }
    return (!a || !*a) && (!b || !*b);
}

static bool same(const struct field *f, const char *a, const char *b)
{
    a += f->offset;
    b += f->offset;
    switch (f->kind) {
    case TEXT:
        return same_text(*(char *const *)a, *(char *const *)b);
    case WORDS:
        return same_words(*(char **const *)a, *(char **const *)b);
    case PLAIN:
        break;
    }
    return memcmp(a, b, f->size) == 0;
}

static int say(char ***list, const char *section, const char *name,
               const char *key)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    r = buf_printf(&b, "[%s%s%s]%s%s%s", section, name ? " " : "",
                   name ? name : "", key ? " " : "", key ? key : "",
                   key ? "=" : "");
    return r ? r : settings_strv_add(list, buf_str(&b));
}

static int compare(char ***list, const char *section, const char *name,
                   const struct field *fields, size_t n, const char *a,
                   const char *b)
{
    const char *said = "";
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (same(&fields[i], a, b) || strcmp(fields[i].key, said) == 0)
            continue;
        said = fields[i].key;
        r = say(list, section, name, said);
    }
    return r;
}

static const char *name_of(const char *item)
{
    return *(char *const *)item;
}

static const char *find(const char *items, size_t n, size_t item,
                        const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name_of(items + i * item), name) == 0)
            return items + i * item;
    }
    return NULL;
}

static int compare_sections(char ***list, const struct sections *s)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->n_before; i++) {
        const char *a = s->before + i * s->item;
        const char *b = find(s->now, s->n_now, s->item, name_of(a));

        r = b ? compare(list, s->section, name_of(a), s->fields, s->n_fields, a,
                        b)
              : say(list, s->section, name_of(a), NULL);
    }
    for (size_t i = 0; r == 0 && i < s->n_now; i++) {
        const char *b = s->now + i * s->item;

        if (!find(s->before, s->n_before, s->item, name_of(b)))
            r = say(list, s->section, name_of(b), NULL);
    }
    return r;
}

int settings_diff(const struct settings *before, const struct settings *now,
                  char ***ret)
{
    const struct sections sections[] = {
        { "Token", token_fields, ARRAY_LEN(token_fields),
          sizeof(struct settings_token), (const char *)before->tokens,
          (const char *)now->tokens, before->n_tokens, now->n_tokens },
        { "Lacme", lacme_fields, ARRAY_LEN(lacme_fields),
          sizeof(struct settings_lacme), (const char *)before->lacmes,
          (const char *)now->lacmes, before->n_lacmes, now->n_lacmes },
    };
    char **list = NULL;
    int r;

    r = compare(&list, "Guardian", NULL, guardian_fields,
                ARRAY_LEN(guardian_fields), (const char *)before,
                (const char *)now);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(sections); i++)
        r = compare_sections(&list, &sections[i]);
    if (r)
        list = settings_strv_free(list);
    *ret = list;
    return r;
}
