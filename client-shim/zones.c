/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/zones.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/config-dir.h"
#include "client-shim/credential.h"
#include "client-shim/zones-read.h"

#define OWNER_LABEL "_validation-persist"

struct zones *zones_free(struct zones *z)
{
    if (!z)
        return NULL;
    for (size_t i = 0; i < z->n; i++)
        zone_deinit(&z->items[i]);
    free(z->items);
    free(z);
    return NULL;
}

/* Where the zone of that name is, or would be. */
static size_t place_of(const struct zones *z, const char *name)
{
    size_t from = 0;
    size_t to = z->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (strcmp(z->items[middle].name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static const struct zone *named(const struct zones *z, const char *name)
{
    size_t i = place_of(z, name);

    return i < z->n && strcmp(z->items[i].name, name) == 0 ? &z->items[i]
                                                           : NULL;
}

static int insert(struct zones *z, const struct zone *zone)
{
    struct zone *more = array_grown(z->items, z->n, sizeof(*more));
    size_t i;

    if (!more)
        return -ENOMEM;
    z->items = more;
    i = place_of(z, zone->name);
    memmove(more + i + 1, more + i, (z->n - i) * sizeof(*more));
    more[i] = *zone;
    z->n++;
    return 0;
}

static int add_section(struct zones *z, const struct config_section *s,
                       const char *stem, struct errmsg *reterr)
{
    struct zone zone = { .line = s->line };
    const struct zone *other;
    int r = zones_read(&zone, s, stem, reterr);

    if (r == 0) {
        zone.file = strdup(s->file);
        r = zone.file ? 0 : -ENOMEM;
    }
    other = r == 0 ? named(z, zone.name) : NULL;
    if (other) {
        errmsg_set_at(reterr, s->file, s->line, "the zone %s is also in %s",
                      zone.name, other->file);
        r = CONFIG_E_INVALID;
    }
    if (r == 0)
        r = insert(z, &zone);
    if (r)
        zone_deinit(&zone);
    return r;
}

static int add_config(const struct config *config, const char *file,
                      const char *stem, void *userdata, struct errmsg *reterr)
{
    if (config_n_sections(config) != 1) {
        errmsg_set_at(
            reterr, file,
            config_n_sections(config) > 1 ? config_section(config, 1)->line : 0,
            "a zone's file has one section [Zone]");
        return CONFIG_E_INVALID;
    }
    return add_section(userdata, config_section(config, 0), stem, reterr);
}

int zones_parse(struct zones *z, struct bytes text, const char *file,
                const char *stem, struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    int r = config_parse(text, file, zones_schema, &config, reterr);

    return r ? r : add_config(config, file, stem, z, reterr);
}

int zones_load(const char *dir, struct zones **ret, struct errmsg *reterr)
{
    const struct config_dir d = { .path = dir,
                                  .suffix = ".zone",
                                  .schema = zones_schema };
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    int r;

    if (!z)
        return -ENOMEM;
    r = config_dir_each(&d, add_config, z, reterr);
    if (r)
        return r;
    *ret = TAKE_PTR(z);
    return 0;
}

bool zone_covers(const char *zone, const char *name)
{
    size_t n = strlen(name);
    size_t len = strlen(zone);

    return n >= len && strcmp(name + n - len, zone) == 0 &&
           (n == len || name[n - len - 1] == '.');
}

const struct zone *zones_find_name(const struct zones *z, const char *name)
{
    while (z && name) {
        const struct zone *found = named(z, name);
        const char *dot = strchr(name, '.');

        if (found)
            return found;
        name = dot ? dot + 1 : NULL;
    }
    return NULL;
}

const struct zone *zones_find(const struct zones *z, const char *domain)
{
    char owner[ZONE_OWNER_MAX];

    /* Too long to have records, but not to be in a zone. */
    return zones_find_name(z, zone_owner(domain, owner) ? domain : owner);
}

int zone_owner(const char *domain, char ret[static ZONE_OWNER_MAX])
{
    int n = snprintf(ret, ZONE_OWNER_MAX, OWNER_LABEL ".%s", domain);

    return n > DNS_NAME_MAX ? ZONE_E_LONG : 0;
}

int zone_write_owner(const struct zone *z, const char *domain,
                     char ret[static ZONE_OWNER_MAX])
{
    int n;

    if (!z || !z->alias_zone)
        return zone_owner(domain, ret);
    n = snprintf(ret, ZONE_OWNER_MAX, "%s.%s", domain, z->alias_zone);
    return n > DNS_NAME_MAX ? ZONE_E_LONG : 0;
}

const char *zone_write_zone(const struct zone *z)
{
    return z->alias_zone ? z->alias_zone : z->name;
}

static int decode(const struct secret *text, uint8_t *key, size_t *ret_len)
{
    const char *end = NULL;
    const char *from = (const char *)text->data;

    if (sodium_base642bin(key, ZONE_KEY_MAX, from, text->len, " \t\r\n",
                          ret_len, &end, sodium_base64_VARIANT_ORIGINAL) < 0 ||
        end != from + text->len || *ret_len == 0)
        return CONFIG_E_INVALID;
    return 0;
}

int zone_read_key(const struct zone *z, struct secret **ret,
                  struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *text = NULL;
    uint8_t key[ZONE_KEY_MAX];
    CLEANUP_WIPE(wipe, key);
    size_t len = 0;
    int r = credential_read(z->tsig_key, &text, reterr);

    if (r)
        return r;
    if (decode(text, key, &len)) {
        errmsg_set_at(reterr, z->file, z->line,
                      "TsigKey=%s: what is there is no key in base64, of at "
                      "most %d octets",
                      z->tsig_key, ZONE_KEY_MAX);
        return CONFIG_E_INVALID;
    }
    return secret_new_copy((struct bytes){ key, len }, ret);
}
