/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/zones-read.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "acme/reason.h"
#include "base/settings-value.h"
#include "client-shim/credential.h"

/* Every key of acme-guardian.zone(5). */
const struct config_schema zones_schema[] = {
    { "Zone", false,
      (const char *const[]){ "Name", "Publisher", "Server", "TsigName",
                             "TsigAlgorithm", "TsigKey", "AliasZone", "TTL",
                             "Hook", "HookUser", "Verify", "Servers",
                             "Resolver", NULL } },
    { NULL, false, NULL },
};

void zone_deinit(struct zone *z)
{
    free(z->name);
    free(z->file);
    free(z->tsig_name);
    free(z->tsig_key);
    free(z->alias_zone);
    free(z->hook);
    free(z->hook_user);
    free(z->servers);
    *z = (struct zone){ 0 };
}

static int invalid(const struct config_section *s, unsigned line,
                   const char *key, const char *value, const char *why,
                   struct errmsg *reterr)
{
    errmsg_set_at(reterr, s->file, line ? line : s->line, "%s=%.300s %s", key,
                  value, why);
    return CONFIG_E_INVALID;
}

/*
 * A zone's name is a host name, but its labels may begin with an underscore: a
 * zone of its own for the records is often _acme.example.com.
 */
static bool zone_name_ok(const char *name)
{
    char plain[DNS_NAME_MAX + 1];
    size_t n = 0;

    if (strlen(name) > DNS_NAME_MAX)
        return false;
    for (const char *p = name; *p; p++) {
        if (*p != '_' || (p > name && p[-1] != '.'))
            plain[n++] = *p;
    }
    return dns_name_check((struct bytes){ (const uint8_t *)plain, n }, false,
                          NULL) == 0;
}

static int read_zone_name(const struct config_section *s, const char *key,
                          const char *preset, char **field,
                          struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, key, &line);

    if (!v && !preset)
        return 0;
    if (!zone_name_ok(v ? v : preset))
        return invalid(s, line, key, v ? v : preset,
                       "is no name of a zone: lower case, A-labels, two "
                       "labels or more, no trailing dot",
                       reterr);
    return settings_set_string(field, v ? v : preset);
}

static int read_server(const struct config_section *s, const char *key,
                       struct dns_server *field, struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, key, &line);

    if (!v || dns_server_parse(v, field) == 0)
        return 0;
    return invalid(s, line, key, v,
                   "is neither ADDRESS nor ADDRESS:PORT (IPv6 with a port: "
                   "[ADDRESS]:PORT)",
                   reterr);
}

struct servers {
    struct zone *zone;
    const struct config_section *section;
    struct errmsg *reterr;
};

static int add_server(const char *word, unsigned line, void *userdata)
{
    struct servers *x = userdata;
    struct zone *z = x->zone;
    struct dns_server s = { 0 };
    struct dns_server *more;

    if (dns_server_parse(word, &s))
        return invalid(x->section, line, "Servers", word,
                       "is neither ADDRESS nor ADDRESS:PORT (IPv6 with a "
                       "port: [ADDRESS]:PORT)",
                       x->reterr);
    for (size_t i = 0; i < z->n_servers; i++) {
        if (dns_server_eq(&z->servers[i], &s))
            return invalid(x->section, line, "Servers", word, "stands twice",
                           x->reterr);
    }
    if (z->n_servers == ZONE_SERVERS_MAX)
        return invalid(x->section, line, "Servers", word, "is one too many",
                       x->reterr);
    more = reallocarray(z->servers, z->n_servers + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    z->servers = more;
    more[z->n_servers++] = s;
    return 0;
}

static int read_servers(struct zone *z, const struct config_section *s,
                        struct errmsg *reterr)
{
    struct servers x = { z, s, reterr };

    return config_words(s, "Servers", add_server, &x);
}

/* Of letters, digits and what names of keys have: it becomes a name of the
 * DNS. */
static bool key_name_ok(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= DNS_NAME_MAX && name[0] != '.' && name[n - 1] != '.' &&
           !strstr(name, "..") &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int read_key_name(struct zone *z, const struct config_section *s,
                         struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, "TsigName", &line);
    int r;

    if (!v)
        return 0;
    if (!key_name_ok(v))
        return invalid(s, line, "TsigName", v, "is no name of a key", reterr);
    r = settings_set_string(&z->tsig_name, v);
    for (char *p = z->tsig_name; r == 0 && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return r;
}

static int read_algorithm(struct zone *z, const struct config_section *s,
                          struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, "TsigAlgorithm", &line);

    z->tsig_algorithm = ZONE_HMAC_SHA256;
    if (!v || strcmp(v, "hmac-sha256") == 0)
        return 0;
    if (strcmp(v, "hmac-sha512") == 0) {
        z->tsig_algorithm = ZONE_HMAC_SHA512;
        return 0;
    }
    return invalid(s, line, "TsigAlgorithm", v,
                   "is not supported: hmac-sha256 and hmac-sha512 are", reterr);
}

/* What is no source is not shown: it may be the key itself. */
static int read_key_source(struct zone *z, const struct config_section *s,
                           struct errmsg *reterr)
{
    unsigned line = 0;
    const char *v = config_last(s, "TsigKey", &line);

    if (!v)
        return 0;
    if (credential_source_ok(v))
        return settings_set_string(&z->tsig_key, v);
    errmsg_set_at(reterr, s->file, line,
                  "TsigKey= takes credential:NAME or file:/PATH, never the key "
                  "itself");
    return CONFIG_E_INVALID;
}

static int read_ttl(struct zone *z, const struct config_section *s,
                    struct errmsg *reterr)
{
    uint64_t ms = (uint64_t)ZONE_TTL_DEFAULT_S * 1000;
    unsigned line = 0;
    const char *v = config_last(s, "TTL", &line);
    int r = config_get_ms(s, "TTL", 1000, (uint64_t)ZONE_TTL_MAX_S * 1000, &ms,
                          reterr);

    if (r)
        return r;
    if (ms % 1000)
        return invalid(s, line, "TTL", v, "is not in whole seconds", reterr);
    z->ttl_s = (uint32_t)(ms / 1000);
    return 0;
}

static int read_words(struct zone *z, const struct config_section *s,
                      struct errmsg *reterr)
{
    static const char *const publishers[] = { "rfc2136", "hook", "manual",
                                              NULL };
    static const char *const verifies[] = { "authoritative", "resolver", "both",
                                            NULL };
    unsigned publisher = ZONE_MANUAL;
    unsigned verify = ZONE_VERIFY_AUTHORITATIVE;
    int r = settings_get_word(s, "Publisher", publishers, &publisher, reterr);

    if (r == 0)
        r = settings_get_word(s, "Verify", verifies, &verify, reterr);
    z->publisher = (enum zone_publisher)publisher;
    z->verify = (enum zone_verify)verify;
    return r;
}

/* Which keys a publisher needs; the others are for another one, and a key that
 * would do nothing is a mistake. */
static const struct {
    const char *key;
    enum zone_publisher publisher;
    bool needed;
} of_publisher[] = {
    { "Server", ZONE_RFC2136, true },  { "TsigName", ZONE_RFC2136, true },
    { "TsigKey", ZONE_RFC2136, true }, { "TsigAlgorithm", ZONE_RFC2136, false },
    { "Hook", ZONE_HOOK, true },       { "HookUser", ZONE_HOOK, true },
};

static int check_publisher(const struct zone *z, const struct config_section *s,
                           struct errmsg *reterr)
{
    static const char *const names[] = { [ZONE_RFC2136] = "rfc2136",
                                         [ZONE_HOOK] = "hook",
                                         [ZONE_MANUAL] = "manual" };

    for (size_t i = 0; i < ARRAY_LEN(of_publisher); i++) {
        unsigned line = s->line;
        const char *v = config_last(s, of_publisher[i].key, &line);
        bool its = z->publisher == of_publisher[i].publisher;

        if (its && of_publisher[i].needed && !v) {
            errmsg_set_at(reterr, s->file, s->line,
                          "Publisher=%s needs %s=", names[z->publisher],
                          of_publisher[i].key);
            return CONFIG_E_INVALID;
        }
        if (!its && v) {
            errmsg_set_at(reterr, s->file, line,
                          "%s= is for Publisher=%s, and this zone has "
                          "Publisher=%s",
                          of_publisher[i].key, names[of_publisher[i].publisher],
                          names[z->publisher]);
            return CONFIG_E_INVALID;
        }
    }
    return 0;
}

static int check_rest(const struct zone *z, const struct config_section *s,
                      struct errmsg *reterr)
{
    unsigned line = s->line;

    (void)config_last(s, "Servers", &line);
    if (z->n_servers > 0 && z->verify == ZONE_VERIFY_RESOLVER) {
        errmsg_set_at(reterr, s->file, line,
                      "Servers= is for Verify=authoritative or both, and this "
                      "zone has Verify=resolver");
        return CONFIG_E_INVALID;
    }
    (void)config_last(s, "AliasZone", &line);
    if (z->alias_zone && strcmp(z->alias_zone, z->name) == 0)
        return invalid(s, line, "AliasZone", z->alias_zone,
                       "is the zone itself: a CNAME must lead elsewhere",
                       reterr);
    return 0;
}

int zones_read(struct zone *z, const struct config_section *s, const char *stem,
               struct errmsg *reterr)
{
    int r = read_zone_name(s, "Name", stem, &z->name, reterr);

    if (r == 0)
        r = read_words(z, s, reterr);
    if (r == 0)
        r = read_server(s, "Server", &z->server, reterr);
    if (r == 0)
        r = read_key_name(z, s, reterr);
    if (r == 0)
        r = read_algorithm(z, s, reterr);
    if (r == 0)
        r = read_key_source(z, s, reterr);
    if (r == 0)
        r = read_zone_name(s, "AliasZone", NULL, &z->alias_zone, reterr);
    if (r == 0)
        r = read_ttl(z, s, reterr);
    if (r == 0)
        r = settings_get_path(s, "Hook", &z->hook, reterr);
    if (r == 0)
        r = settings_get_string(s, "HookUser", &z->hook_user);
    if (r == 0)
        r = read_servers(z, s, reterr);
    if (r == 0)
        r = read_server(s, "Resolver", &z->resolver, reterr);
    if (r == 0)
        r = check_publisher(z, s, reterr);
    return r ? r : check_rest(z, s, reterr);
}
