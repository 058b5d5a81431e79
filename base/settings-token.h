/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/settings.h"

/* [Token NAME], for settings.c. Return values as in settings_load(). */

/* settings_token_slot() - the section's token, made with defaults when new. */
int settings_token_slot(struct settings *st, const struct config_section *s,
                        struct settings_token **ret) MUST_CHECK;
int settings_token_read(struct settings_token *t,
                        const struct config_section *s,
                        struct errmsg *reterr) MUST_CHECK;
/* After all files were read: what a section may not lack. */
int settings_token_check(const struct settings_token *t,
                         struct errmsg *reterr) MUST_CHECK;
int settings_token_directory(const struct settings *st,
                             struct settings_token *t) MUST_CHECK;
void settings_token_deinit(struct settings_token *t);
