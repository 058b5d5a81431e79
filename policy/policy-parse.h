/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libpsl.h>

#include "policy/ruleset.h"

/**
 * policy_parse() - the rule sets of one file, added to @set
 * @file: for messages and rules; outlives the set
 *
 * Return: 0; POLICY_E_INVALID with file and line in *reterr; -ENOMEM.
 */
int policy_parse(struct policy_set *set, struct bytes text, const char *file,
                 const psl_ctx_t *psl, struct errmsg *reterr) MUST_CHECK;

/* One section in the reading. */
struct policy_section {
    struct policy_ruleset *rs;
    const struct config_section *section;
    const psl_ctx_t *psl;
    const char *key; /* of the words being read */
    struct errmsg *reterr;
};

/* The two halves of a rule set. Return: as policy_parse(). */
int policy_parse_client(struct policy_section *s) MUST_CHECK;
int policy_parse_allow(struct policy_section *s) MUST_CHECK;

/* policy_parse_words() - @fn for each word of @key, with @s as userdata. */
int policy_parse_words(struct policy_section *s, const char *key,
                       config_word_fn fn) MUST_CHECK;

/* policy_parse_invalid() - "KEY=WORD WHY" at @line. Return: POLICY_E_INVALID.
 */
int policy_parse_invalid(const struct policy_section *s, unsigned line,
                         const char *word, const char *why) MUST_CHECK;
