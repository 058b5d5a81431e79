/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/decide.h"

/* The errors of org.acmeguardian.Signer, one for each kind of refusal. */
void signer_error(struct varlink_call *call, const struct decide_outcome *o);

/* signer_refuse() - the same for what never became a decision. */
void signer_refuse(struct varlink_call *call, const char *operation,
                   const struct refusal *refusal);

/* json_or_null() - a string literal, or null. */
int json_or_null(struct buf *b, const char *s) MUST_CHECK;
