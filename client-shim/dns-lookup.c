/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A job is one lookup. It goes in steps: a name, and the servers of the zone
 * that has it. Each server gives a view, and a view that leads on (a CNAME into
 * another zone, a delegation) begins the next step. Steps and asks live as long
 * as their job.
 */
#include "client-shim/dns-lookup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "client-shim/dns-site.h"
#include "client-shim/dns-view.h"

/* gcc 12 does not see that an array in a result keeps its names, and calls
 * it lost. Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#define STEPS_MAX 8

struct dns_lookup {
    struct dns_engine engine;
    struct dns_sites sites;
    const struct zones *zones;
    /* Of the call that runs. */
    size_t n_done, n;
    dns_lookup_progress_fn progress;
    void *userdata;
};

struct job {
    struct dns_lookup *lookup;
    struct dns_result *result;
    const struct zone *zone;    /* or NULL */
    struct dns_server resolver; /* family 0: the system's */
    struct dns_server only;
    size_t n_pending; /* steps and asks */
    /* All that it ever had, the newest first. */
    struct step *steps;
    struct ask *asks;
    size_t n_steps;
};

/* A name to be asked for at the servers of its zone. */
struct step {
    struct job *job;
    const struct step *from; /* NULL: the first */
    struct step *next;
    char *name;
    char *zone;            /* of a delegation; NULL: to be found */
    const char *candidate; /* a part of @name: is that the zone? */
};

/* One view in the making. */
struct ask {
    struct job *job;
    struct ask *next;
    struct step *step; /* NULL: of a resolver, or of the only server */
    size_t view;
    const struct dns_site_server *server;
    size_t address;
    struct dns_query query;
};

int dns_lookup_new(struct dns_child *child, const struct zones *zones,
                   struct dns_lookup **ret)
{
    struct dns_lookup *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->engine.child = child;
    l->sites.engine = &l->engine;
    l->zones = zones;
    *ret = l;
    return 0;
}

struct dns_lookup *dns_lookup_free(struct dns_lookup *l)
{
    if (!l)
        return NULL;
    dns_sites_deinit(&l->sites);
    dns_engine_deinit(&l->engine);
    free(l);
    return NULL;
}

/* Whoever ends last ends the job. */
static void job_less(struct job *job)
{
    struct dns_lookup *l = job->lookup;

    if (--job->n_pending > 0)
        return;
    l->n_done++;
    if (l->progress)
        l->progress(l->n_done, l->n, l->userdata);
}

static int add_view(struct job *job, const char *name, const char *zone,
                    size_t *ret)
{
    struct dns_result *r = job->result;
    struct dns_view *more = array_grown(r->views, r->n_views, sizeof(*more));

    if (!more)
        return -ENOMEM;
    r->views = more;
    more += r->n_views;
    *more = (struct dns_view){ .name = strdup(name),
                               .zone = zone ? strdup(zone) : NULL };
    *ret = r->n_views++;
    return more->name && (!zone || more->zone) ? 0 : -ENOMEM;
}

static int name_server(struct dns_view *v, const char *name,
                       const struct dns_server *address)
{
    char text[DNS_SERVER_TEXT_MAX] = "";
    struct buf b = { 0 };
    int r;

    if (address)
        dns_server_format(address, text);
    free(v->server);
    v->server = NULL;
    if (name && address)
        r = buf_printf(&b, "%s (%s)", name, text);
    else
        r = buf_append_str(&b, name ? name : text);
    v->server = buf_take_str(&b);
    return r;
}

static int step_begin(struct job *job, const struct step *from,
                      const char *name, const char *zone);

static bool came_from(const struct step *s, const char *name)
{
    for (; s; s = s->from) {
        if (strcmp(s->name, name) == 0)
            return true;
    }
    return false;
}

static bool known_step(const struct job *job, const char *name,
                       const char *zone)
{
    for (const struct step *s = job->steps; s; s = s->next) {
        if (strcmp(s->name, name) == 0 &&
            strcmp(s->zone ? s->zone : "", zone ? zone : "") == 0)
            return true;
    }
    return false;
}

/* From a view that leads on. */
static int go_on(struct job *job, const struct step *from, size_t view)
{
    struct dns_view *v = &job->result->views[view];
    bool alias = v->status == DNS_ALIAS;
    CLEANUP_FREE char *name = strdup(alias ? v->target : dns_view_end(v));
    CLEANUP_FREE char *zone = alias ? NULL : strdup(v->target);

    if (!name || (!alias && !zone))
        return -ENOMEM;
    if (alias && came_from(from, name)) {
        v->status = DNS_LOOP;
        return 0;
    }
    /* Another server led there already. */
    if (known_step(job, name, zone))
        return 0;
    if (job->n_steps == STEPS_MAX) {
        v->status = DNS_LOOP;
        return 0;
    }
    return step_begin(job, from, name, zone);
}

static int on_answer(const struct dns_answer *a, void *userdata);

static int ask_now(struct ask *ask)
{
    return dns_engine_ask(&ask->job->lookup->engine, &ask->query, on_answer,
                          ask);
}

static bool no_contact(enum dns_status s)
{
    return s == DNS_TIMEOUT || s == DNS_UNREACHABLE;
}

/* A server may have several addresses, of which we reach those of one family
 * alone. */
static int ask_address(struct ask *ask)
{
    struct dns_view *v = &ask->job->result->views[ask->view];
    const struct dns_server *address = &ask->server->addresses[ask->address];
    int r = name_server(v, ask->server->name, address);

    ask->query.server = *address;
    return r ? r : ask_now(ask);
}

/* A resolver that fails with checking and answers without it has found the
 * signatures bad. */
static bool asks_again(struct ask *ask, const struct dns_view *v,
                       const struct dns_answer *a)
{
    if (!v->resolver || ask->query.without_checking || a->status != DNS_OK ||
        a->rcode != DNS_RCODE_SERVFAIL)
        return false;
    ask->query.without_checking = true;
    return true;
}

static int take_unchecked(struct dns_view *v, const struct dns_answer *a)
{
    bool answered = a->status == DNS_OK && (a->rcode == DNS_RCODE_NOERROR ||
                                            a->rcode == DNS_RCODE_NXDOMAIN);

    v->status = answered ? DNS_BOGUS : DNS_SERVFAIL;
    v->security = answered ? DNS_SECURITY_BOGUS : DNS_SECURITY_UNKNOWN;
    return 0;
}

static int on_answer(const struct dns_answer *a, void *userdata)
{
    struct ask *ask = userdata;
    struct job *job = ask->job;
    struct dns_view *v = &job->result->views[ask->view];
    int r;

    if (no_contact(a->status) && ask->server &&
        ask->address + 1 < ask->server->n_addresses) {
        ask->address++;
        return ask_address(ask);
    }
    if (asks_again(ask, v, a))
        return ask_now(ask);
    r = ask->query.without_checking ? take_unchecked(v, a)
                                    : dns_view_fill(v, a, job->result->type);
    if (r == 0 && ask->step && !dns_view_final(v))
        r = go_on(job, ask->step, ask->view);
    if (r == 0)
        job_less(job);
    return r;
}

static int ask_new(struct job *job, struct step *step, size_t view,
                   struct ask **ret)
{
    struct ask *ask = calloc(1, sizeof(*ask));

    if (!ask)
        return -ENOMEM;
    ask->next = job->asks;
    job->asks = ask;
    ask->job = job;
    ask->step = step;
    ask->view = view;
    ask->query.type = job->result->type;
    ask->query.name = step ? step->name : job->result->name;
    job->n_pending++;
    *ret = ask;
    return 0;
}

static int ask_server(struct step *step, const struct dns_site *site, size_t i)
{
    struct job *job = step->job;
    struct ask *ask = NULL;
    size_t view = 0;
    int r = add_view(job, step->name, site->zone, &view);

    if (r)
        return r;
    if (site->servers[i].n_addresses == 0) {
        job->result->views[view].status = DNS_NO_SERVER;
        (void)snprintf(job->result->views[view].text,
                       sizeof(job->result->views[view].text),
                       "%.150s has no address", site->servers[i].name);
        return name_server(&job->result->views[view], site->servers[i].name,
                           NULL);
    }
    r = ask_new(job, step, view, &ask);
    if (r)
        return r;
    ask->server = &site->servers[i];
    return ask_address(ask);
}

static int no_site(struct step *step, const char *text)
{
    size_t view = 0;
    int r = add_view(step->job, step->name, NULL, &view);

    if (r)
        return r;
    step->job->result->views[view].status = DNS_NO_SERVER;
    (void)snprintf(step->job->result->views[view].text, DNS_TEXT_MAX + 1, "%s",
                   text);
    return name_server(&step->job->result->views[view], "none", NULL);
}

static int on_site(struct dns_site *site, void *userdata)
{
    struct step *step = userdata;
    struct job *job = step->job;
    int r = 0;

    if (site->n_servers == 0)
        r = no_site(step, site->text);
    for (size_t i = 0; r == 0 && i < site->n_servers; i++)
        r = ask_server(step, site, i);
    if (r == 0)
        job_less(job);
    return r;
}

static int need_site(struct step *step, const char *zone,
                     const struct zone *file, dns_site_fn fn)
{
    struct job *job = step->job;
    struct dns_site *site = NULL;
    int r = dns_site_get(&job->lookup->sites, zone, file,
                         file ? &file->resolver : &job->resolver, &site);

    return r ? r : dns_site_need(site, fn, step);
}

/* Up from the name, one label after the other, until there is a zone. */
static int on_candidate(struct dns_site *site, void *userdata)
{
    struct step *step = userdata;
    const char *dot = strchr(step->candidate, '.');

    if (site->is_zone || site->text[0] || !dot)
        return on_site(site, step);
    step->candidate = dot + 1;
    return need_site(step, step->candidate, NULL, on_candidate);
}

static int step_begin(struct job *job, const struct step *from,
                      const char *name, const char *zone)
{
    struct step *step = calloc(1, sizeof(*step));
    const struct zone *file;

    if (!step)
        return -ENOMEM;
    step->job = job;
    step->from = from;
    step->next = job->steps;
    job->steps = step;
    job->n_steps++;
    job->n_pending++;
    step->name = strdup(name);
    step->zone = zone ? strdup(zone) : NULL;
    if (!step->name || (zone && !step->zone))
        return -ENOMEM;
    file = !from && job->zone
               ? job->zone
               : zones_find_name(job->lookup->zones, zone ? zone : name);
    if (zone && file && strcmp(file->name, zone) != 0)
        file = NULL;
    if (zone)
        return need_site(step, zone, file, on_site);
    if (file && zone_covers(file->name, name))
        return need_site(step, file->name, file, on_site);
    step->candidate = step->name;
    return need_site(step, step->candidate, NULL, on_candidate);
}

static int ask_resolver(struct job *job)
{
    struct ask *ask = NULL;
    struct dns_view *v;
    size_t view = 0;
    bool given = job->resolver.family;
    int r = add_view(job, job->result->name, NULL, &view);

    if (r)
        return r;
    v = &job->result->views[view];
    v->resolver = true;
    r = name_server(v, "resolver", given ? &job->resolver : NULL);
    if (r == 0)
        r = ask_new(job, NULL, view, &ask);
    if (r)
        return r;
    ask->query.server = job->resolver;
    ask->query.recurse = true;
    return ask_now(ask);
}

static int ask_only(struct job *job)
{
    const char *name = job->result->name;
    const char *zone = job->zone ? zone_write_zone(job->zone) : ".";
    struct ask *ask = NULL;
    size_t view = 0;
    int r;

    if (job->zone && !zone_covers(zone, name))
        zone = job->zone->name;
    r = add_view(job, name, zone, &view);
    if (r == 0)
        r = name_server(&job->result->views[view], NULL, &job->only);
    if (r == 0)
        r = ask_new(job, NULL, view, &ask);
    if (r)
        return r;
    ask->query.server = job->only;
    return ask_now(ask);
}

static int job_begin(struct job *job)
{
    enum zone_verify verify =
        job->zone ? job->zone->verify : ZONE_VERIFY_AUTHORITATIVE;
    int r = 0;

    /* Held until all has begun. */
    job->n_pending = 1;
    if (job->only.family)
        r = ask_only(job);
    if (r == 0 && !job->only.family && verify != ZONE_VERIFY_RESOLVER)
        r = step_begin(job, NULL, job->result->name, NULL);
    if (r == 0 && !job->only.family && verify != ZONE_VERIFY_AUTHORITATIVE)
        r = ask_resolver(job);
    if (r == 0)
        job_less(job);
    return r;
}

static int job_init(struct job *job, struct dns_lookup *l,
                    const struct dns_wanted *w, struct dns_result *result)
{
    *job = (struct job){ .lookup = l, .result = result, .only = w->only };
    job->zone = w->zone ? w->zone : zones_find_name(l->zones, w->name);
    if (job->zone)
        job->resolver = job->zone->resolver;
    result->type = w->type;
    result->name = strdup(w->name);
    return result->name ? 0 : -ENOMEM;
}

static void job_deinit(struct job *job)
{
    while (job->steps) {
        struct step *step = job->steps;

        job->steps = step->next;
        free(step->name);
        free(step->zone);
        free(step);
    }
    while (job->asks) {
        struct ask *ask = job->asks;

        job->asks = ask->next;
        free(ask);
    }
}

static void jobs_free(struct job *jobs, size_t n)
{
    for (size_t i = 0; jobs && i < n; i++)
        job_deinit(&jobs[i]);
    free(jobs);
}

int dns_lookup_many(struct dns_lookup *l, const struct dns_wanted *wanted,
                    size_t n, struct dns_result **ret,
                    dns_lookup_progress_fn progress, void *userdata)
{
    struct dns_result *results = calloc(n ? n : 1, sizeof(*results));
    struct job *jobs = calloc(n ? n : 1, sizeof(*jobs));
    int r = results && jobs ? 0 : -ENOMEM;

    l->n = n;
    l->n_done = 0;
    l->progress = progress;
    l->userdata = userdata;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = job_init(&jobs[i], l, &wanted[i], &results[i]);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = job_begin(&jobs[i]);
    if (r == 0)
        r = dns_engine_run(&l->engine);
    jobs_free(jobs, n);
    if (r) {
        dns_results_free(results, n);
        return r;
    }
    *ret = results;
    return 0;
}

int dns_lookup(struct dns_lookup *l, const struct dns_wanted *wanted,
               struct dns_result *ret)
{
    struct dns_result *results = NULL;
    int r = dns_lookup_many(l, wanted, 1, &results, NULL, NULL);

    if (r)
        return r;
    *ret = results[0];
    free(results);
    return 0;
}
