/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "acme/request.h"

/* What we read, in the words in which peer.go compares: a word and a value a
 * line. */
void diff_put_line(struct buf *b, const char *word, const char *value);
void diff_put_names(struct buf *b, const struct identifiers *ids);
void diff_put_csr(struct buf *b, const struct csr *csr);

/* diff_must_be_null() - or abort, with what differs. Frees it. */
void diff_must_be_null(char *difference, struct bytes ours);
