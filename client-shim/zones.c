/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/zones.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/trusted.h"
#include "client-shim/credential.h"
#include "client-shim/zones-read.h"

#define OWNER_LABEL "_validation-persist"
#define ZONE_SUFFIX ".zone"

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

static int cannot_open(const char *path, int error, struct errmsg *reterr)
{
    errmsg_set_at(reterr, path, 0, "cannot be opened: %s", strerror(error));
    return -error;
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

static int add_config(struct zones *z, const struct config *config,
                      const char *file, const char *stem, struct errmsg *reterr)
{
    if (config_n_sections(config) != 1) {
        errmsg_set_at(
            reterr, file,
            config_n_sections(config) > 1 ? config_section(config, 1)->line : 0,
            "a zone's file has one section [Zone]");
        return CONFIG_E_INVALID;
    }
    return add_section(z, config_section(config, 0), stem, reterr);
}

int zones_parse(struct zones *z, struct bytes text, const char *file,
                const char *stem, struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    int r = config_parse(text, file, zones_schema, &config, reterr);

    return r ? r : add_config(z, config, file, stem, reterr);
}

static int open_checked(int dir_fd, const char *name, const char *path,
                        mode_t type, int *ret_fd, struct errmsg *reterr)
{
    const struct trusted_rule rule = { .type = type, .owner = "root" };
    CLEANUP_FD int fd = -1;
    struct stat st;

    /* O_NONBLOCK: a FIFO is refused below, not waited for. */
    fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot_open(path, errno, reterr);
    if (trusted_check(&st, path, &rule, reterr))
        return CONFIG_E_INVALID;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int add_file(struct zones *z, int dir_fd, const char *dir,
                    const char *name, struct errmsg *reterr)
{
    CLEANUP_CONFIG struct config *config = NULL;
    CLEANUP_FREE char *stem = strndup(name, strlen(name) - strlen(ZONE_SUFFIX));
    CLEANUP_BUF struct buf path = { 0 };
    CLEANUP_FD int fd = -1;
    int r = buf_printf(&path, "%s/%s", dir, name);

    if (r || !stem)
        return -ENOMEM;
    r = open_checked(dir_fd, name, buf_str(&path), S_IFREG, &fd, reterr);
    if (r == 0)
        r = config_read(fd, buf_str(&path), zones_schema, &config, reterr);
    return r ? r : add_config(z, config, buf_str(&path), stem, reterr);
}

static int is_zone(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return e->d_name[0] != '.' && n > strlen(ZONE_SUFFIX) &&
           strcmp(e->d_name + n - strlen(ZONE_SUFFIX), ZONE_SUFFIX) == 0;
}

/* By octets, whatever the locale: messages are the same everywhere. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_directory(struct zones *z, int fd, const char *dir,
                         struct errmsg *reterr)
{
    struct dirent **names = NULL;
    int n = scandirat(fd, ".", &names, is_zone, by_name);
    int r = 0;

    if (n < 0)
        return cannot_open(dir, errno, reterr);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_file(z, fd, dir, names[i]->d_name, reterr);
        free(names[i]);
    }
    free(names);
    return r;
}

int zones_load(const char *dir, struct zones **ret, struct errmsg *reterr)
{
    CLEANUP_ZONES struct zones *z = calloc(1, sizeof(*z));
    CLEANUP_FD int fd = -1;
    int r;

    if (!z)
        return -ENOMEM;
    r = open_checked(AT_FDCWD, dir, dir, S_IFDIR, &fd, reterr);
    if (r == 0)
        r = add_directory(z, fd, dir, reterr);
    /* No directory: no zones. A file that vanished is an error. */
    if (r == -ENOENT && fd < 0)
        r = 0;
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
