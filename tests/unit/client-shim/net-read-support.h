/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <string.h>

#include "client-shim/net-read.h"

/* Large, so never on the stack: what the last read_with() gave. */
static struct net_answer answer;

/* Whatever a reader makes of a body, it passes the check of the other side. */
static inline void read_with(enum net_kind kind,
                             void (*fn)(struct net_answer *, struct bytes),
                             const char *body)
{
    memset(&answer, 0, sizeof(answer));
    answer.kind = kind;
    answer.result = NET_RESULT_OK;
    answer.http_status = 200;
    fn(&answer, bytes_from_str(body));
    if (!net_answer_check(&answer, net_answer_len(&answer), kind))
        fail_msg("%s: does not pass the check: %s", body, answer.text);
    if (answer.result != NET_RESULT_OK &&
        (answer.result != NET_RESULT_BAD_ANSWER || !answer.text[0]))
        fail_msg("%s: result %u", body, answer.result);
}

struct read_case {
    const char *body;
    const char *words; /* NULL: good; else part of the text */
};

static inline void read_cases(enum net_kind kind,
                              void (*fn)(struct net_answer *, struct bytes),
                              const struct read_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        read_with(kind, fn, cases[i].body);
        if (cases[i].words ? !strstr(answer.text, cases[i].words)
                           : answer.result != NET_RESULT_OK)
            fail_msg("%s: %s", cases[i].body, answer.text);
    }
}
