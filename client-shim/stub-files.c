/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/stub-files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/config-dir.h"

#define LIST_MAX (64 * 1024)
#define HEAD                                                                   \
    "# The account's stubs; guardianctl stub refresh writes them again when "  \
    "its key\n# has changed.\n[Stub]\n"

static const struct config_schema list_schema[] = {
    { "Stub", false, (const char *const[]){ "Path", NULL } },
    { NULL, false, NULL },
};

/* ---- a stub ---- */

int stub_file_read(struct owner_files *o, const char *path,
                   enum stub_place *ret_place, struct stub *ret,
                   struct owner_stamp *ret_stamp, struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *content = NULL;
    int r;

    *ret_stamp = (struct owner_stamp){ 0 };
    /* It may be a key. */
    r = owner_files_read_secret(o, path, &content, ret_stamp, reterr);
    if (r == -ENOENT) {
        *ret_place = STUB_PLACE_NONE;
        return 0;
    }
    if (r == -ENODATA || r == OWNER_E_LARGE) {
        *ret_place = STUB_PLACE_OTHER;
        return 0;
    }
    if (r)
        return r;
    r = stub_parse((struct bytes){ content->data, content->len }, ret, reterr);
    *ret_place = r == 0                ? STUB_PLACE_STUB
                 : r == STUB_E_INVALID ? STUB_PLACE_DAMAGED
                                       : STUB_PLACE_OTHER;
    return r < 0 ? r : 0;
}

int stub_file_write(struct owner_files *o, const char *path,
                    const struct stub *stub, const struct owner_stamp *was,
                    mode_t mode, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf text = { 0 };
    int r = stub_format(stub, &text, reterr);

    return r ? r
             : owner_files_replace(o, path, buf_bytes(&text), was, mode,
                                   reterr);
}

/* ---- the lists ---- */

struct listing {
    stub_list_fn fn;
    void *userdata;
    const char *account;
};

static int each_path(const char *path, unsigned line, void *userdata)
{
    const struct listing *l = userdata;

    (void)line;
    return l->fn(l->account, path, NULL, l->userdata);
}

static int bad_file(const struct errmsg *e, void *userdata)
{
    const struct listing *l = userdata;

    return l->fn(NULL, NULL, e, l->userdata);
}

static int each_file(const struct config *config, const char *file,
                     const char *stem, void *userdata, struct errmsg *reterr)
{
    struct listing *l = userdata;
    int r = 0;

    (void)file;
    (void)reterr;
    l->account = stem;
    for (size_t i = 0; r == 0 && i < config_n_sections(config); i++) {
        const struct config_section *s = config_section(config, i);

        /* One path a line: it may have blanks. */
        for (size_t k = 0; r == 0 && k < s->n_entries; k++) {
            if (*s->entries[k].value)
                r = each_path(s->entries[k].value, s->entries[k].line, l);
        }
    }
    return r;
}

int stub_list_each(const char *config_dir, const char *account, stub_list_fn fn,
                   void *userdata, struct errmsg *reterr)
{
    struct listing l = { .fn = fn, .userdata = userdata };
    struct config_dir d = { .suffix = ".stubs",
                            .schema = list_schema,
                            .bad = bad_file };
    CLEANUP_BUF struct buf path = { 0 };
    int r = buf_printf(&path, "%s/stubs.d", config_dir);

    if (r)
        return r;
    d.path = buf_str(&path);
    return account ? config_dir_one(&d, account, each_file, &l, reterr)
                   : config_dir_each(&d, each_file, &l, reterr);
}

static int is_listed(const char *account, const char *path,
                     const struct errmsg *bad, void *userdata)
{
    (void)account;
    (void)bad; /* of one account's list, that is an error */
    return strcmp(path, userdata) == 0 ? -EEXIST : 0;
}

static bool can_be_listed(const char *path)
{
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    }
    return bytes_is_utf8(bytes_from_str(path)) &&
           strlen(path) <= OWNER_PATH_MAX;
}

static int append(struct owner_files *o, const char *name, const char *path,
                  struct errmsg *reterr)
{
    struct owner_stamp was = { 0 };
    CLEANUP_BUF struct buf text = { 0 };
    int r = owner_files_read(o, name, LIST_MAX, &text, &was, reterr);

    if (r == -ENOENT)
        r = buf_append_str(&text, HEAD);
    if (r == 0 && text.len > 0 && text.data[text.len - 1] != '\n')
        r = buf_append_char(&text, '\n');
    if (r == 0)
        r = buf_printf(&text, "Path=%s\n", path);
    return r ? r
             : owner_files_replace(o, name, buf_bytes(&text), &was, 0644,
                                   reterr);
}

/* The folder is of the package; a test, or who built from source, has none. */
static int make_folder(const char *config_dir, struct buf *ret,
                       struct errmsg *reterr)
{
    int r = buf_printf(ret, "%s/stubs.d", config_dir);

    if (r == 0 && mkdir(buf_str(ret), 0755) < 0 && errno != EEXIST) {
        r = -errno;
        errmsg_set_at(reterr, buf_str(ret), 0, "%s", strerror(errno));
    }
    return r;
}

int stub_list_add(const char *config_dir, const char *account, const char *path,
                  struct errmsg *reterr)
{
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    CLEANUP_BUF struct buf folder = { 0 };
    CLEANUP_BUF struct buf name = { 0 };
    CLEANUP_FREE char *wanted = strdup(path);
    int r;

    if (!wanted || buf_printf(&name, "%s.stubs", account))
        return -ENOMEM;
    if (!can_be_listed(path)) {
        errmsg_set(reterr, "a path that no list can have");
        return -EINVAL;
    }
    r = stub_list_each(config_dir, account, is_listed, wanted, reterr);
    if (r == -EEXIST)
        return 0;
    if (r == 0)
        r = make_folder(config_dir, &folder, reterr);
    if (r == 0)
        r = owner_files_open(buf_str(&folder), &o, reterr);
    return r ? r : append(o, buf_str(&name), path, reterr);
}
