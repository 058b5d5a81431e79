/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-sheet-parts.h"

#include <arpa/inet.h>
#include <errno.h>

/* A file's name may have a newline, and would go on as no comment. */
static void print_comment(const struct records_sheet *s, FILE *out,
                          const char *const *words)
{
    (void)fputs(s->style.format == RECORDS_BIND_POLICY ? "// " : "; ", out);
    for (; *words; words++) {
        for (const char *p = *words; *p; p++)
            (void)putc((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p, out);
    }
    (void)putc('\n', out);
}
#define COMMENT(s, out, ...)                                                   \
    print_comment(s, out, (const char *const[]){ __VA_ARGS__, NULL })

static void print_staging(const struct records_sheet *s, FILE *out)
{
    void *at = json_object_iter(s->staging);

    for (; at; at = json_object_iter_next(s->staging, at))
        COMMENT(s, out, "STAGING: account ", json_object_iter_key(at),
                ", whose certificates nobody trusts");
}

/* Server= is where AliasZone= is written, not the zone itself. */
static const struct dns_server *server_of(const struct group *g,
                                          enum part_kind kind)
{
    const struct zone *z = g->zone;

    if (!z || !z->server.family || (z->alias_zone && kind != PART_ALIAS))
        return NULL;
    return &z->server;
}

static void print_nsupdate_head(FILE *out, const struct group *g,
                                enum part_kind kind)
{
    const struct dns_server *server = server_of(g, kind);
    char address[INET6_ADDRSTRLEN];

    if (server &&
        inet_ntop((int)server->family, server->addr, address, sizeof(address)))
        (void)fprintf(out, "server %s %u\n", address, server->port);
    if (g->zone)
        (void)fprintf(out, "zone %s.\n",
                      kind == PART_ALIAS ? g->zone->alias_zone : g->zone->name);
}

static void print_head(const struct records_sheet *s, FILE *out,
                       const struct group *g, enum part_kind kind)
{
    const struct zone *z = g->zone;

    if (!z)
        COMMENT(s, out, "in zones that no file of zones.d names");
    else if (kind == PART_ALIAS)
        COMMENT(s, out, "zone ", z->alias_zone, " (AliasZone= of ", z->file,
                ")");
    else
        COMMENT(s, out, "zone ", z->name, " (", z->file, ")");
    if (s->style.format != RECORDS_NSUPDATE)
        return;
    if (z && z->tsig_name && kind != PART_CAA)
        COMMENT(s, out, "with the key ", z->tsig_name);
    print_nsupdate_head(out, g, kind);
}

static void print_part(const struct records_sheet *s, FILE *out,
                       const struct group *g, enum part_kind kind)
{
    const struct part *p = &g->parts[kind];

    if (p->text.len == 0)
        return;
    print_head(s, out, g, kind);
    (void)fwrite(p->text.data, 1, p->text.len, out);
    if (p->unsent)
        (void)fputs("send\n", out);
}

/*
 * In nsupdate "zone" and "server" hold until they are said again, and cannot be
 * taken back: what has none comes first.
 */
static unsigned turn_of(const struct records_sheet *s, const struct group *g,
                        enum part_kind kind)
{
    if (s->style.format != RECORDS_NSUPDATE)
        return g->zone ? 0 : 1;
    if (!g->zone)
        return 0;
    return server_of(g, kind) ? 2 : 1;
}
#define TURNS 3

int records_sheet_print(const struct records_sheet *s, FILE *out)
{
    if (s->style.format == RECORDS_JSON) {
        (void)putc('[', out);
        (void)fwrite(buf_str(&s->json), 1, s->json.len, out);
        (void)fputs("]\n", out);
        return ferror(out) ? -EIO : 0;
    }
    print_staging(s, out);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < s->n_groups; i++) {
            for (unsigned k = 0; k < PART_COUNT; k++) {
                if (turn_of(s, &s->groups[i], (enum part_kind)k) == turn)
                    print_part(s, out, &s->groups[i], (enum part_kind)k);
            }
        }
    }
    return ferror(out) ? -EIO : 0;
}
