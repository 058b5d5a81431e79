/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client-shim/dns-lookup.h"

/* Results of lookups, as tests write them: up to four servers with up to four
 * TXT records each. */

#define SERVERS 4
#define VALUES 4

struct servers {
    struct dns_view views[SERVERS];
    struct dns_value values[SERVERS][VALUES];
    char zone[16], name[16], texts[SERVERS][16];
    struct dns_result result;
};

static inline void servers_init(struct servers *s)
{
    *s = (struct servers){ .zone = "example.com", .name = "owner" };
    s->result.name = s->name;
    s->result.type = DNS_TYPE_TXT;
    s->result.views = s->views;
}

static inline struct dns_view *servers_add(struct servers *s,
                                           enum dns_status status)
{
    size_t n = s->result.n_views++;
    struct dns_view *v = &s->views[n];

    assert_true(n < SERVERS);
    s->texts[n][0] = (char)('a' + n);
    *v = (struct dns_view){ .server = s->texts[n],
                            .zone = s->zone,
                            .name = s->name,
                            .status = status,
                            .values = s->values[n],
                            .ttl_s = 60 };
    return v;
}

static inline void view_add(struct dns_view *v, const char *text)
{
    assert_true(v->n_values < VALUES);
    assert_int_equal(buf_append_str(&v->values[v->n_values++].text, text), 0);
}

/* A server that has these. */
static inline struct dns_view *servers_have(struct servers *s, const char *one,
                                            const char *two)
{
    struct dns_view *v = servers_add(s, one ? DNS_OK : DNS_NXDOMAIN);

    if (one)
        view_add(v, one);
    if (two)
        view_add(v, two);
    return v;
}

static inline void servers_deinit(struct servers *s)
{
    for (size_t i = 0; i < s->result.n_views; i++) {
        for (size_t j = 0; j < s->views[i].n_values; j++)
            buf_deinit(&s->views[i].values[j].text);
    }
}
