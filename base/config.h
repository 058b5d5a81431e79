/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"
#include "base/errmsg.h"

/*
 * The reader of configuration and policy files.
 *
 *   # comment            (also ';'), on its own line only
 *   [Section]            or [Section NAME]
 *   Key=value
 *
 * One assignment a line of up to CONFIG_LINE_MAX bytes; a repeated key adds to
 * its list, an empty value resets that section's list; no continuation lines,
 * no quoting, no interpolation. Sections keep their order and repeat. A NUL, a
 * control character, text that is not UTF-8, an unknown section or key is an
 * error with its file and line.
 */

#define CONFIG_LINE_MAX (64 * 1024)
#define CONFIG_FILE_MAX (64 * 1024 * 1024)
#define CONFIG_NAME_MAX 64

struct config_entry {
    const char *key;
    const char *value; /* trimmed, not empty unless it is a reset */
    unsigned line;
};

struct config_section {
    const char *name;
    const char *arg; /* "NAME" of [Section NAME], or NULL */
    const char *file;
    unsigned line;
    const struct config_entry *entries;
    size_t n_entries;
};

/* A file's sections in file order. Owns all strings it hands out. */
struct config;

/* What may be written: every section with its keys, ending with a NULL. */
struct config_schema {
    const char *section;
    bool takes_arg;
    const char *const *keys;
};

#define CONFIG_E_INVALID 1 /* bad content; *reterr says where and what */

/**
 * config_read() - read one file
 * @fd:     borrowed, read from its position to its end
 * @file:   the name for messages; copied
 * @schema: ended by an entry whose section is NULL
 *
 * Return: 0; CONFIG_E_INVALID; -ENOMEM; negative errno of read(2).
 */
int config_read(int fd, const char *file, const struct config_schema *schema,
                struct config **ret, struct errmsg *reterr) MUST_CHECK;

/* config_parse() - the same from memory. */
int config_parse(struct bytes text, const char *file,
                 const struct config_schema *schema, struct config **ret,
                 struct errmsg *reterr) MUST_CHECK;

struct config *config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)
#define CLEANUP_CONFIG CLEANUP(config_free_p)

size_t config_n_sections(const struct config *c);
const struct config_section *config_section(const struct config *c, size_t i);

/**
 * config_words() - the words of a list key, resets applied
 *
 * Calls @fn for each word, with the line it stands on, in order. Words are
 * separated by spaces and tabs. Stops at the first nonzero and returns it.
 */
typedef int (*config_word_fn)(const char *word, unsigned line, void *userdata);
int config_words(const struct config_section *s, const char *key,
                 config_word_fn fn, void *userdata) MUST_CHECK;

/* config_resets() - whether @key was emptied, and with it what stood in @s and
 * in earlier sections of the same name. */
bool config_resets(const struct config_section *s, const char *key);

/*
 * config_last() - the last value of a key that holds one value; NULL when unset
 * or reset. *ret_line (may be NULL) is its line.
 */
const char *config_last(const struct config_section *s, const char *key,
                        unsigned *ret_line);

/* Typed values; each returns 0 or CONFIG_E_INVALID with *reterr, and leaves
 * *ret alone when the key is unset. Times take "5", "5s", "500ms", "2min",
 * "1h", "1d"; sizes "64K", "16M", "1G" (powers of 1024). */
int config_get_bool(const struct config_section *s, const char *key, bool *ret,
                    struct errmsg *reterr) MUST_CHECK;
int config_get_uint(const struct config_section *s, const char *key,
                    uint64_t min, uint64_t max, uint64_t *ret,
                    struct errmsg *reterr) MUST_CHECK;
int config_get_size(const struct config_section *s, const char *key,
                    uint64_t min, uint64_t max, uint64_t *ret,
                    struct errmsg *reterr) MUST_CHECK;
int config_get_ms(const struct config_section *s, const char *key, uint64_t min,
                  uint64_t max, uint64_t *ret_ms,
                  struct errmsg *reterr) MUST_CHECK;
