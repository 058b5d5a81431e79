/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/records-names.h"

#include <errno.h>
#include <string.h>

#include "acme/domain.h"
#include "acme/persist.h"
#include "base/array.h"

/* gcc 12 does not see that the array keeps its names, and calls them lost.
 * Clang has no such warning. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

void records_names_deinit(struct records_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct records_names){ 0 };
}

int records_name_read(const char *text, char ret[static DNS_NAME_MAX + 1],
                      struct errmsg *reterr)
{
    struct refusal refusal = { 0 };
    int r;

    if (strncmp(text, "*.", 2) == 0) {
        errmsg_set(reterr,
                   "%.280s: the record of a wildcard is that of the name "
                   "without it, with --wildcard",
                   text);
        return RECORDS_NAMES_E_INVALID;
    }
    r = domain_normalize(bytes_from_str(text), ret, &refusal);
    if (r == REFUSED) {
        errmsg_set(reterr, "%.280s is no domain name: %s", text,
                   refusal.detail);
        return RECORDS_NAMES_E_INVALID;
    }
    if (r == 0 && strlen(PERSIST_LABEL ".") + strlen(ret) > DNS_NAME_MAX) {
        errmsg_set(reterr,
                   "%.280s is too long to have a " PERSIST_LABEL " below it",
                   text);
        return RECORDS_NAMES_E_INVALID;
    }
    return r;
}

int records_names_add(struct records_names *names, const char *text,
                      struct errmsg *reterr)
{
    CLEANUP_FREE char *copy = NULL;
    char name[DNS_NAME_MAX + 1];
    char **more;
    int r;

    r = records_name_read(text, name, reterr);
    if (r)
        return r;
    copy = strdup(name);
    more = copy ? array_grown(names->items, names->n, sizeof(*more)) : NULL;
    if (!more)
        return -ENOMEM;
    names->items = more;
    names->items[names->n++] = TAKE_PTR(copy);
    return 0;
}

/* Without the spaces around it; NULL: nothing is on this line. */
static char *trim(char *line, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", line[len - 1]))
        len--;
    line[len] = '\0';
    while (*line == ' ' || *line == '\t')
        line++;
    return *line && *line != '#' ? line : NULL;
}

static int add_line(struct records_names *names, char *line, size_t len,
                    struct errmsg *reterr)
{
    const char *text;

    if (memchr(line, 0, len)) {
        errmsg_set(reterr, "a NUL is in this line");
        return RECORDS_NAMES_E_INVALID;
    }
    text = trim(line, len);
    return text ? records_names_add(names, text, reterr) : 0;
}

int records_names_read_file(struct records_names *names, FILE *f,
                            const char *file, records_names_bad_fn bad,
                            void *userdata)
{
    CLEANUP_FREE char *line = NULL;
    bool all_good = true;
    size_t size = 0;
    ssize_t len;

    for (unsigned n = 1; (len = getline(&line, &size, f)) >= 0; n++) {
        struct errmsg err = { 0 };
        int r = add_line(names, line, (size_t)len, &err);

        if (r < 0)
            return r;
        if (r) {
            struct errmsg at = { 0 };

            errmsg_set_at(&at, file, n, "%s", err.text);
            bad(&at, userdata);
            all_good = false;
        }
    }
    if (ferror(f))
        return errno ? -errno : -EIO;
    return all_good ? 0 : RECORDS_NAMES_E_INVALID;
}
