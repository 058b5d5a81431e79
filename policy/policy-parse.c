/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Policy files: the pairs of [Client] and [Allow], and the first half of each.
 */
#include "policy/policy-parse.h"

#include <errno.h>
#include <string.h>

#include "base/settings.h"

/* Every key of acme-guardian.policy(5). */
const struct config_schema policy_schema[] = {
    { "Client", false,
      (const char *const[]){ "User", "Group", "Socket", "Unit", NULL } },
    { "Allow", false,
      (const char *const[]){
          "Account", "Domain", "Subdomains", "Wildcard", "Address",
          "Operations", "OrdersPerDay", "NamesPerOrder", "KeyTypes", "Profiles",
          "MaxValidity", "AllowSuffix", "Subject", "CsrExtensions", NULL } },
    { NULL, false, NULL },
};

int policy_parse_invalid(const struct policy_section *s, unsigned line,
                         const char *word, const char *why)
{
    errmsg_set_at(s->reterr, s->section->file, line, "%s=%.300s %s", s->key,
                  word, why);
    return POLICY_E_INVALID;
}

int policy_parse_words(struct policy_section *s, const char *key,
                       config_word_fn fn)
{
    s->key = key;
    return config_words(s->section, key, fn, s);
}

/* All digits: an id. Anything else is a name. */
static bool read_number(const char *word, uint64_t *ret)
{
    if (word[strspn(word, "0123456789")])
        return false;
    *ret = strlen(word) > 18 ? UINT64_MAX : strtoull(word, NULL, 10);
    return true;
}

static int add_id(struct policy_section *s, struct policy_ids *ids,
                  const char *word, unsigned line)
{
    uint64_t n = 0;
    bool numeric = read_number(word, &n);

    if (n > UINT32_MAX - 1)
        return policy_parse_invalid(s, line, word, "is no id of anybody");
    if (n == POLICY_OVERFLOW_ID)
        return policy_parse_invalid(s, line, word,
                                    "is nobody in particular and never "
                                    "matches");
    return policy_ids_add(ids, word, numeric, (uint32_t)n);
}

static int add_user(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    return add_id(s, &s->rs->users, word, line);
}

static int add_group(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    return add_id(s, &s->rs->groups, word, line);
}

static int add_socket(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    if (!settings_name_ok(word))
        return policy_parse_invalid(s, line, word,
                                    "is no socket's instance: 1 to 32 of a-z "
                                    "0-9 . _ -");
    return policy_words_add(&s->rs->sockets, word);
}

/* What runs processes: services and scopes (systemd.unit(5)). */
static bool is_unit(const char *word)
{
    static const char *const suffixes[] = { ".service", ".scope" };
    const char *star = strchr(word, '*');
    size_t len = strlen(word);

    if (len > 255 || word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789:_.\\-@*")])
        return false;
    if (star &&
        (star < word + 2 || star[-1] != '@' || strcmp(star, "*.service") != 0))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        size_t n = strlen(suffixes[i]);

        if (len > n && strcmp(word + len - n, suffixes[i]) == 0)
            return true;
    }
    return false;
}

static int add_unit(const char *word, unsigned line, void *userdata)
{
    struct policy_section *s = userdata;

    if (!is_unit(word))
        return policy_parse_invalid(s, line, word,
                                    "is no unit: NAME.service, NAME.scope or "
                                    "TEMPLATE@*.service");
    return policy_words_add(&s->rs->units, word);
}

int policy_parse_client(struct policy_section *s)
{
    int r;

    r = policy_parse_words(s, "User", add_user);
    if (r == 0)
        r = policy_parse_words(s, "Group", add_group);
    if (r == 0)
        r = policy_parse_words(s, "Socket", add_socket);
    if (r == 0)
        r = policy_parse_words(s, "Unit", add_unit);
    if (r)
        return r;
    if (s->rs->users.n + s->rs->groups.n + s->rs->sockets.n == 0) {
        errmsg_set_at(s->reterr, s->section->file, s->section->line,
                      "[Client] needs User=, Group= or Socket=");
        return POLICY_E_INVALID;
    }
    return 0;
}

static int read_pair(struct policy_set *set,
                     const struct config_section *client,
                     const struct config_section *allow, const char *file,
                     const psl_ctx_t *psl, struct errmsg *reterr)
{
    CLEANUP_RULESET struct policy_ruleset *rs = calloc(1, sizeof(*rs));
    struct policy_section s = {
        .rs = rs, .section = client, .psl = psl, .reterr = reterr
    };
    int r;

    if (!rs)
        return -ENOMEM;
    rs->file = file;
    rs->line = client->line;
    r = policy_parse_client(&s);
    if (r)
        return r;
    s.section = allow;
    r = policy_parse_allow(&s);
    if (r)
        return r;
    r = policy_set_add(set, rs);
    if (r)
        return r;
    (void)TAKE_PTR(rs);
    return 0;
}

static bool is_client(const struct config_section *s)
{
    return strcmp(s->name, "Client") == 0;
}

static int read_pairs(struct policy_set *set, const struct config *config,
                      const char *file, const psl_ctx_t *psl,
                      struct errmsg *reterr)
{
    size_t n = config_n_sections(config);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i += 2) {
        const struct config_section *client = config_section(config, i);
        const struct config_section *allow =
            i + 1 < n ? config_section(config, i + 1) : NULL;

        if (!is_client(client)) {
            errmsg_set_at(reterr, file, client->line,
                          "[Allow] without a [Client] of its own before it");
            return POLICY_E_INVALID;
        }
        if (!allow || is_client(allow)) {
            errmsg_set_at(reterr, file, client->line,
                          "[Client] without an [Allow] after it");
            return POLICY_E_INVALID;
        }
        r = read_pair(set, client, allow, file, psl, reterr);
    }
    return r;
}

int policy_parse(struct policy_set *set, struct bytes text, const char *file,
                 const psl_ctx_t *psl, struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    int r;

    r = config_parse(text, file, policy_schema, &config, reterr);
    if (r == CONFIG_E_INVALID)
        return POLICY_E_INVALID;
    return r ? r : read_pairs(set, config, file, psl, reterr);
}
