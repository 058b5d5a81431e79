/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One pass over the text, cutting it in place: names and values point into the
 * copy that the config owns. Sections and entries grow in two plain arrays;
 * since growing moves the entries, sections keep an index until the end.
 */
#include "base/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

/* gcc 12 takes a write to one array of a config for one that may overwrite the
 * pointer to another, and calls that one lost. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

struct config {
    char *file;
    struct buf text;
    struct config_section *sections;
    size_t *first_entry;
    size_t n_sections;
    struct config_entry *entries;
    size_t n_entries;
};

struct reader {
    struct config *config;
    const struct config_schema *schema;
    const struct config_schema *current; /* of the open section */
    unsigned line;
    struct errmsg *reterr;
};

static int add_section(struct config *c, const struct config_section *section)
{
    struct config_section *sections =
        array_grown(c->sections, c->n_sections, sizeof(*sections));
    size_t *first_entry;

    if (!sections)
        return -ENOMEM;
    c->sections = sections;
    first_entry =
        array_grown(c->first_entry, c->n_sections, sizeof(*first_entry));
    if (!first_entry)
        return -ENOMEM;
    c->first_entry = first_entry;
    c->first_entry[c->n_sections] = c->n_entries;
    c->sections[c->n_sections++] = *section;
    return 0;
}

static int add_entry(struct config *c, const struct config_entry *entry)
{
    struct config_entry *entries =
        array_grown(c->entries, c->n_entries, sizeof(*entries));

    if (!entries)
        return -ENOMEM;
    c->entries = entries;
    c->entries[c->n_entries++] = *entry;
    c->sections[c->n_sections - 1].n_entries++;
    return 0;
}

static char *trim(char *s)
{
    char *end;

    s += strspn(s, " \t");
    end = s + strlen(s);
    while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return s;
}

static const struct config_schema *
find_section(const struct config_schema *schema, const char *name)
{
    for (; schema->section; schema++) {
        if (strcmp(schema->section, name) == 0)
            return schema;
    }
    return NULL;
}

static bool has_key(const struct config_schema *section, const char *key)
{
    for (const char *const *k = section->keys; *k; k++) {
        if (strcmp(*k, key) == 0)
            return true;
    }
    return false;
}

/* @what, where there is one, is the user's own text, cut to a bearable length
 */
static int invalid(struct reader *r, const char *text, const char *what)
{
    errmsg_set_at(r->reterr, r->config->file, r->line, "%s%s%.100s", text,
                  what ? ": " : "", what ? what : "");
    return CONFIG_E_INVALID;
}

static int read_section(struct reader *rd, char *s)
{
    struct config *c = rd->config;
    const struct config_schema *schema;
    char *end = s + strlen(s) - 1;
    char *arg;
    int r;

    if (*end != ']')
        return invalid(rd, "a section header ends with ']'", s);
    *end = '\0';
    s = trim(s + 1);
    arg = strpbrk(s, " \t");
    if (arg) {
        *arg = '\0';
        arg = trim(arg + 1);
    }

    schema = find_section(rd->schema, s);
    if (!schema)
        return invalid(rd, "unknown section", s);
    if (schema->takes_arg && !arg)
        return invalid(rd, "this section needs a name, [Section NAME]", s);
    if (!schema->takes_arg && arg)
        return invalid(rd, "this section takes no name", s);
    if (arg && (strlen(arg) > CONFIG_NAME_MAX || strpbrk(arg, " \t")))
        return invalid(rd,
                       "a section's name is one word of at most 64 "
                       "characters",
                       arg);

    r = add_section(
        c, &(struct config_section){
               .name = s, .arg = arg, .file = c->file, .line = rd->line });
    if (r)
        return r;
    rd->current = schema;
    return 0;
}

static int read_assignment(struct reader *rd, char *s)
{
    struct config *c = rd->config;
    char *eq = strchr(s, '=');
    char *key;

    if (!eq)
        return invalid(rd, "expected Key=value or [Section]", s);
    *eq = '\0';
    key = trim(s);
    if (!rd->current)
        return invalid(rd, "this key stands before the first [Section]", key);
    if (!has_key(rd->current, key)) {
        errmsg_set_at(rd->reterr, c->file, rd->line,
                      "unknown key %.64s= in section [%s]", key,
                      rd->current->section);
        return CONFIG_E_INVALID;
    }

    return add_entry(c, &(struct config_entry){ .key = key,
                                                .value = trim(eq + 1),
                                                .line = rd->line });
}

static int read_line(struct reader *rd, char *s, size_t len)
{
    if (len > CONFIG_LINE_MAX)
        return invalid(rd, "line longer than 65536 bytes", NULL);
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)s[i];

        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
            return invalid(rd, "control character in line", NULL);
    }
    if (!bytes_is_utf8((struct bytes){ (const uint8_t *)s, len }))
        return invalid(rd, "text that is not UTF-8", NULL);

    s = trim(s);
    if (*s == '\0' || *s == '#' || *s == ';')
        return 0;
    return *s == '[' ? read_section(rd, s) : read_assignment(rd, s);
}

static int read_lines(struct reader *rd, struct buf *text)
{
    char *p = (char *)text->data;
    char *end = p + text->len;
    int r;

    while (p < end) {
        char *nl = memchr(p, '\n', (size_t)(end - p));
        char *stop = nl ? nl : end;
        size_t len = (size_t)(stop - p);

        rd->line++;
        /* Files from other systems: one CR before the newline. */
        if (nl && len > 0 && stop[-1] == '\r')
            len--;
        p[len] = '\0';
        r = read_line(rd, p, len);
        if (r)
            return r;
        p = stop + 1;
    }
    return 0;
}

/* Takes the text over, also when it fails. */
static int parse(struct buf *text, const char *file,
                 const struct config_schema *schema, struct config **ret,
                 struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *c = calloc(1, sizeof(*c));
    struct reader rd = { .config = c, .schema = schema, .reterr = reterr };
    int r;

    if (!c)
        return -ENOMEM;
    c->text = *text;
    *text = (struct buf){ 0 };
    c->file = strdup(file);
    if (!c->file)
        return -ENOMEM;

    r = read_lines(&rd, &c->text);
    if (r)
        return r;
    for (size_t i = 0; i < c->n_sections; i++) {
        if (c->sections[i].n_entries > 0)
            c->sections[i].entries = c->entries + c->first_entry[i];
    }
    *ret = TAKE_PTR(c);
    return 0;
}

int config_parse(struct bytes text, const char *file,
                 const struct config_schema *schema, struct config **ret,
                 struct errmsg *reterr)
{
    CLEANUP_BUF struct buf copy = { 0 };
    int r;

    r = buf_append(&copy, text.data, text.len);
    if (r)
        return r;
    return parse(&copy, file, schema, ret, reterr);
}

int config_read(int fd, const char *file, const struct config_schema *schema,
                struct config **ret, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r;

    for (;;) {
        ssize_t n;

        r = buf_reserve(&text, CONFIG_LINE_MAX);
        if (r)
            return r;
        n = read(fd, text.data + text.len, CONFIG_LINE_MAX);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = -errno;
            errmsg_set_at(reterr, file, 0, "cannot be read: %s", strerror(-r));
            return r;
        }
        if (n == 0)
            break;
        text.len += (size_t)n;
        if (text.len > CONFIG_FILE_MAX) {
            errmsg_set_at(reterr, file, 0, "larger than 64 MiB");
            return CONFIG_E_INVALID;
        }
    }
    return parse(&text, file, schema, ret, reterr);
}

struct config *config_free(struct config *c)
{
    if (!c)
        return NULL;
    free(c->file);
    buf_deinit(&c->text);
    free(c->sections);
    free(c->first_entry);
    free(c->entries);
    free(c);
    return NULL;
}

size_t config_n_sections(const struct config *c)
{
    return c->n_sections;
}

const struct config_section *config_section(const struct config *c, size_t i)
{
    return &c->sections[i];
}

/* The entries of @key that count: those after its last reset. */
static size_t first_after_reset(const struct config_section *s, const char *key)
{
    for (size_t i = s->n_entries; i > 0; i--) {
        const struct config_entry *e = &s->entries[i - 1];

        if (e->value[0] == '\0' && strcmp(e->key, key) == 0)
            return i;
    }
    return 0;
}

bool config_resets(const struct config_section *s, const char *key)
{
    return first_after_reset(s, key) > 0;
}

static int words_of(const struct config_entry *e, config_word_fn fn,
                    void *userdata)
{
    CLEANUP_FREE char *copy = strdup(e->value);
    char *save = NULL;
    int r;

    if (!copy)
        return -ENOMEM;
    for (char *w = strtok_r(copy, " \t", &save); w;
         w = strtok_r(NULL, " \t", &save)) {
        r = fn(w, e->line, userdata);
        if (r)
            return r;
    }
    return 0;
}

int config_words(const struct config_section *s, const char *key,
                 config_word_fn fn, void *userdata)
{
    int r;

    for (size_t i = first_after_reset(s, key); i < s->n_entries; i++) {
        if (strcmp(s->entries[i].key, key) != 0)
            continue;
        r = words_of(&s->entries[i], fn, userdata);
        if (r)
            return r;
    }
    return 0;
}

const char *config_last(const struct config_section *s, const char *key,
                        unsigned *ret_line)
{
    for (size_t i = s->n_entries; i > 0; i--) {
        const struct config_entry *e = &s->entries[i - 1];

        if (strcmp(e->key, key) != 0)
            continue;
        if (ret_line)
            *ret_line = e->line;
        return e->value[0] ? e->value : NULL;
    }
    return NULL;
}

int config_get_bool(const struct config_section *s, const char *key, bool *ret,
                    struct errmsg *reterr)
{
    static const char *const words[][2] = {
        { "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" }
    };
    unsigned line = 0;
    const char *v = config_last(s, key, &line);

    if (!v)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (int b = 0; b < 2; b++) {
            if (strcasecmp(v, words[i][b]) == 0) {
                *ret = b == 1;
                return 0;
            }
        }
    }
    errmsg_set_at(reterr, s->file, line, "%s= takes yes or no, not %.64s", key,
                  v);
    return CONFIG_E_INVALID;
}

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit size_units[] = {
    { "", 1 },           { "K", 1ULL << 10 }, { "M", 1ULL << 20 },
    { "G", 1ULL << 30 }, { "T", 1ULL << 40 }, { NULL, 0 }
};
static const struct unit time_units[] = { { "", 1000 },     { "ms", 1 },
                                          { "s", 1000 },    { "min", 60000 },
                                          { "h", 3600000 }, { "d", 86400000 },
                                          { NULL, 0 } };

static int parse_number(const char *v, const struct unit *units, uint64_t *ret)
{
    uint64_t n = 0;
    const char *p = v;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
            return -ERANGE;
    }
    if (p == v)
        return -EINVAL;
    for (; units->suffix; units++) {
        if (strcmp(p, units->suffix) == 0)
            return __builtin_mul_overflow(n, units->factor, ret) ? -ERANGE : 0;
    }
    return -EINVAL;
}

static int get_number(const struct config_section *s, const char *key,
                      const struct unit *units, const char *what, uint64_t min,
                      uint64_t max, uint64_t *ret, struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, key, &line);
    uint64_t n;

    if (!v)
        return 0;
    if (parse_number(v, units, &n) || n < min || n > max) {
        errmsg_set_at(reterr, s->file, line,
                      "%s= takes %s from %llu to %llu, not %.64s", key, what,
                      (unsigned long long)min, (unsigned long long)max, v);
        return CONFIG_E_INVALID;
    }
    *ret = n;
    return 0;
}

int config_get_uint(const struct config_section *s, const char *key,
                    uint64_t min, uint64_t max, uint64_t *ret,
                    struct errmsg *reterr)
{
    return get_number(s, key, no_units, "a number", min, max, ret, reterr);
}

int config_get_size(const struct config_section *s, const char *key,
                    uint64_t min, uint64_t max, uint64_t *ret,
                    struct errmsg *reterr)
{
    return get_number(s, key, size_units, "a size (K, M, G) in bytes", min, max,
                      ret, reterr);
}

int config_get_ms(const struct config_section *s, const char *key, uint64_t min,
                  uint64_t max, uint64_t *ret_ms, struct errmsg *reterr)
{
    return get_number(s, key, time_units,
                      "a time (ms, s, min, h, d) in milliseconds", min, max,
                      ret_ms, reterr);
}
