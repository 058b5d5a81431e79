/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/settings-value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

char **settings_strv_free(char **v)
{
    for (char **p = v; p && *p; p++)
        free(*p);
    free(v);
    return NULL;
}

int settings_strv_add(char ***v, const char *s)
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
    return settings_strv_add(userdata, word);
}

int settings_get_words(const struct config_section *s, const char *key,
                       char ***field)
{
    return settings_get_words_checked(s, key, add_word, field);
}

int settings_get_words_checked(const struct config_section *s, const char *key,
                               config_word_fn fn, char ***field)
{
    if (config_resets(s, key))
        *field = settings_strv_free(*field);
    return config_words(s, key, fn, field);
}

int settings_set_string(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

int settings_get_string(const struct config_section *s, const char *key,
                        char **field)
{
    const char *v = config_last(s, key, NULL);

    return v ? settings_set_string(field, v) : 0;
}

int settings_get_path(const struct config_section *s, const char *key,
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
    return settings_set_string(field, v);
}

int settings_get_unsigned(const struct config_section *s, const char *key,
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
int settings_get_word(const struct config_section *s, const char *key,
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
