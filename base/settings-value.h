/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/config.h"

/*
 * Values of guardian.conf into owned fields, for the settings' own files. A key
 * that is unset leaves its field alone. Return: 0; CONFIG_E_INVALID with
 * *reterr; -ENOMEM.
 */

int settings_set_string(char **field, const char *value) MUST_CHECK;
int settings_get_string(const struct config_section *s, const char *key,
                        char **field) MUST_CHECK;
int settings_get_path(const struct config_section *s, const char *key,
                      char **field, struct errmsg *reterr) MUST_CHECK;
int settings_get_unsigned(const struct config_section *s, const char *key,
                          unsigned min, unsigned max, unsigned *field,
                          struct errmsg *reterr) MUST_CHECK;
/* One of @words (NULL-ended), whose index, from 1, becomes the value. */
int settings_get_word(const struct config_section *s, const char *key,
                      const char *const *words, unsigned *field,
                      struct errmsg *reterr) MUST_CHECK;

/* NULL-ended lists of strings. */
int settings_strv_add(char ***v, const char *s) MUST_CHECK;
char **settings_strv_free(char **v);
/* The section's words are added, after a reset in place of what was there. */
int settings_get_words(const struct config_section *s, const char *key,
                       char ***field) MUST_CHECK;
int settings_get_words_checked(const struct config_section *s, const char *key,
                               config_word_fn fn, char ***field) MUST_CHECK;
