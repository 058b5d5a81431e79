/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dns-drive ZONES-DIR lookup TXT|CAA [NAME...]   what is published at names
 * dns-drive ZONES-DIR at SERVER TXT|CAA NAME...  and at one server
 * dns-drive ZONES-DIR plan|publish OWN           what is to change, and doing
 * it dns-drive ZONES-DIR revoke OWN                 the same, removals alone
 * dns-drive ZONES-DIR zones                      the zones' files are good
 *
 * Names come from stdin, one a line, where none is given; what is wanted always
 * does, as JSON: [{"domain": "...", "values": ["..."]}]. OWN is a part of the
 * values that are ours. DNS_TRY_MS= and DNS_TRIES= set the child's patience.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "client-shim/publish.h"

static struct dns_child_options options;

static unsigned number(const char *name)
{
    const char *v = getenv(name);

    return v ? (unsigned)strtoul(v, NULL, 10) : 0;
}

static int complain(const struct errmsg *e, int code)
{
    struct buf b = { 0 };

    if (errmsg_format(e, &b) == 0)
        (void)fprintf(stderr, "dns-drive: %s\n", buf_str(&b));
    buf_deinit(&b);
    return code;
}

static int failed(const char *what, int error)
{
    (void)fprintf(stderr, "dns-drive: %s: %s\n", what, strerror(-error));
    return EX_SOFTWARE;
}

static void print(json_t *j)
{
    (void)json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    (void)putchar('\n');
    json_decref(j);
}

static json_t *text_of(const struct buf *b)
{
    return json_stringn_nocheck(b->data ? (const char *)b->data : "", b->len);
}

static json_t *json_chain(char **chain)
{
    json_t *list = json_array();

    for (; chain && *chain; chain++)
        json_array_append_new(list, json_string(*chain));
    return list;
}

static json_t *json_values(const struct dns_view *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->n_values; i++) {
        const struct dns_value *x = &v->values[i];
        json_t *text = text_of(&x->text);

        if (x->tag)
            text = json_pack("{s:s,s:I,s:o}", "tag", x->tag, "flags",
                             (json_int_t)x->number, "value", text);
        json_array_append_new(list, text);
    }
    return list;
}

static json_t *json_view(const struct dns_view *v)
{
    return json_pack(
        "{s:s,s:s?,s:s,s:s,s:s,s:s?,s:o,s:o,s:I,s:s,s:b}", "server", v->server,
        "zone", v->zone, "name", v->name, "status", dns_status_code(v->status),
        "text", v->text, "target", v->target, "chain", json_chain(v->chain),
        "values", json_values(v), "ttl", (json_int_t)v->ttl_s, "security",
        dns_security_word(v->security), "resolver", v->resolver);
}

static void print_result(const struct dns_result *r)
{
    static const char *const words[] = { [DNS_AGREE] = "agree",
                                         [DNS_DISAGREE] = "disagree",
                                         [DNS_PARTLY] = "partly",
                                         [DNS_NOBODY] = "nobody" };
    json_t *views = json_array();

    for (size_t i = 0; i < r->n_views; i++)
        json_array_append_new(views, json_view(&r->views[i]));
    print(json_pack("{s:s,s:s,s:o}", "name", r->name, "agreement",
                    words[dns_result_agreement(r)], "views", views));
}

static enum dns_type type_of(const char *word)
{
    return strcmp(word, "CAA") == 0 ? DNS_TYPE_CAA : DNS_TYPE_TXT;
}

/* Names as arguments, or as lines. */
static size_t read_names(char **argv, struct dns_wanted **ret,
                         enum dns_type type)
{
    struct dns_wanted *wanted = NULL;
    size_t n = 0;
    char *line = NULL;
    size_t cap = 0;

    for (;;) {
        char *name = argv[0] ? argv[n] : NULL;

        if (!argv[0] && getline(&line, &cap, stdin) > 0) {
            line[strcspn(line, "\n")] = '\0';
            name = strdup(line);
        }
        if (!name)
            break;
        wanted = reallocarray(wanted, n + 1, sizeof(*wanted));
        if (!wanted)
            abort();
        wanted[n++] = (struct dns_wanted){ .name = name, .type = type };
    }
    free(line);
    *ret = wanted;
    return n;
}

static int lookup(struct dns_lookup *l, const struct zones *zones,
                  const struct dns_server *only, char **argv)
{
    struct dns_wanted *wanted = NULL;
    struct dns_result *results = NULL;
    size_t n = read_names(argv + 1, &wanted, type_of(argv[0]));
    int r;

    for (size_t i = 0; i < n; i++) {
        wanted[i].zone = zones_find_name(zones, wanted[i].name);
        wanted[i].only = *only;
    }
    r = dns_lookup_many(l, wanted, n, &results, NULL, NULL);
    if (r)
        return failed("lookup", r);
    for (size_t i = 0; i < n; i++) {
        print_result(&results[i]);
        if (!argv[1])
            free((void *)(uintptr_t)wanted[i].name);
    }
    dns_results_free(results, n);
    free(wanted);
    return 0;
}

static bool own(struct bytes value, void *userdata)
{
    const char *part = userdata;

    return memmem(value.data, value.len, part, strlen(part));
}

static json_t *json_change(const struct publish_change *c)
{
    CLEANUP_BUF struct buf line = { 0 };

    if (publish_format_change(c, &line))
        abort();
    return json_pack("{s:s,s:b,s:s,s:I,s:o,s:s,s:s,s:s}", "owner", c->owner,
                     "remove", c->remove, "domain", c->domain, "ttl",
                     (json_int_t)c->ttl_s, "value", text_of(&c->value), "state",
                     publish_state_word(c->state), "text", c->text, "line",
                     buf_str(&line));
}

static void print_plan(const struct publish_plan *p)
{
    json_t *changes = json_array();
    json_t *notes = json_array();

    for (size_t i = 0; i < p->n_changes; i++)
        json_array_append_new(changes, json_change(&p->changes[i]));
    for (size_t i = 0; i < p->n_notes; i++)
        json_array_append_new(notes, json_pack("{s:s,s:s,s:b}", "domain",
                                               p->notes[i].domain, "text",
                                               p->notes[i].text, "blocks",
                                               p->notes[i].blocks));
    print(json_pack("{s:o,s:o,s:I}", "changes", changes, "notes", notes,
                    "unchanged", (json_int_t)p->n_unchanged));
}

static void wants_free(struct publish_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)wants[i].values);
    free(wants);
}

static struct publish_want *wants_of(const json_t *j)
{
    struct publish_want *wants = calloc(json_array_size(j) + 1, sizeof(*wants));

    for (size_t i = 0; wants && i < json_array_size(j); i++) {
        const json_t *x = json_array_get(j, i);
        const json_t *values = json_object_get(x, "values");
        size_t n = json_array_size(values);
        const char **list = calloc(n + 1, sizeof(*list));

        if (!list)
            abort();
        for (size_t k = 0; k < n; k++)
            list[k] = json_string_value(json_array_get(values, k));
        wants[i] = (struct publish_want){
            .domain = json_string_value(json_object_get(x, "domain")),
            .values = list,
            .n_values = n,
        };
    }
    return wants;
}

static int publish(struct dns_lookup *l, const struct zones *zones,
                   const char *verb, char *part)
{
    const struct publish_rules rules = {
        .own = own, .userdata = part, .only_remove = strcmp(verb, "revoke") == 0
    };
    CLEANUP_PUBLISH_PLAN struct publish_plan plan = { 0 };
    json_t *j = json_loadf(stdin, 0, NULL);
    struct publish_want *wants = j ? wants_of(j) : NULL;
    struct errmsg e = { 0 };
    int r;

    if (!wants)
        return EX_DATAERR;
    r = publish_plan(l, zones, wants, json_array_size(j), &rules, &plan, &e);
    wants_free(wants, json_array_size(j));
    json_decref(j);
    if (r)
        return r == PUBLISH_E_NAME ? complain(&e, 2) : failed("plan", r);
    if (strcmp(verb, "plan") != 0)
        r = publish_apply(&plan, &options, NULL, NULL);
    print_plan(&plan);
    return r ? failed("publish", r) : 0;
}

static int run(const struct zones *zones, char **argv)
{
    CLEANUP_DNS_CHILD struct dns_child *child = NULL;
    CLEANUP_DNS_LOOKUP struct dns_lookup *l = NULL;
    struct dns_server only = { 0 };
    int r = dns_child_start(&options, &child);

    if (r == 0)
        r = dns_lookup_new(child, zones, &l);
    if (r)
        return failed("start", r);
    if (strcmp(argv[0], "lookup") == 0 && argv[1])
        return lookup(l, zones, &only, argv + 1);
    if (strcmp(argv[0], "at") == 0 && argv[1] && argv[2] &&
        dns_server_parse(argv[1], &only) == 0)
        return lookup(l, zones, &only, argv + 2);
    return argv[1] ? publish(l, zones, argv[0], argv[1]) : EX_USAGE;
}

int main(int argc, char **argv)
{
    CLEANUP_ZONES struct zones *zones = NULL;
    struct errmsg e = { 0 };
    int r;

    if (argc < 3)
        return EX_USAGE;
    options.try_ms = number("DNS_TRY_MS");
    options.n_tries = number("DNS_TRIES");
    options.tcp_ms = number("DNS_TCP_MS");
    r = secrets_init(false, &e);
    if (r == 0)
        r = zones_load(argv[1], &zones, &e);
    if (r)
        return complain(&e, EX_CONFIG);
    if (strcmp(argv[2], "zones") == 0) {
        (void)printf("%zu\n", zones->n);
        return 0;
    }
    return run(zones, argv + 2);
}
