/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt-find.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/adopt-read.h"
#include "client-shim/stub.h"

/*
 * Which account: candidates are found by the name of a file that each has,
 * read, and left out where they are not what was asked for. One must be left.
 */

void adopt_found_deinit(struct adopt_found *f)
{
    f->content = secret_free(f->content);
}

static int fail(int r, struct errmsg *reterr, const char *what)
{
    if (r == -ENOMEM)
        errmsg_set(reterr, "%s: out of memory", what);
    return r;
}

/* ---- the key's file ---- */

static int look_at_key(struct adopt_found *f, const char *where,
                       struct errmsg *reterr)
{
    struct bytes text = { f->content->data, f->content->len };
    struct stub stub;
    int r;

    f->has = ADOPT_KEY_OWN;
    if (client_state_is_retired(text)) {
        f->has = ADOPT_KEY_RETIRED;
        return 0;
    }
    if (f->content->len > STUB_TEXT_MAX ||
        client_kind_facts(f->kind)->key_is_jwk)
        return 0;
    r = stub_parse(text, &stub, reterr);
    if (r == STUB_E_NONE)
        return 0;
    if (r == STUB_E_INVALID) {
        errmsg_set_at(reterr, where, 0,
                      "is a damaged stub: write it again "
                      "with guardianctl stub write");
        return ADOPT_FIND_E_BAD;
    }
    if (r)
        return r;
    f->has = ADOPT_KEY_STUB;
    (void)snprintf(f->stub_account, sizeof(f->stub_account), "%s",
                   stub.account);
    return 0;
}

static int read_key(struct owner_files *o, struct adopt_found *f,
                    struct errmsg *reterr)
{
    CLEANUP_BUF struct buf whole = { 0 };
    int r = owner_files_whole(o, f->key, &whole);

    if (r == 0)
        r = owner_files_read_secret(o, f->key, &f->content, &f->stamp, reterr);
    if (r == -ENOENT)
        errmsg_set_at(reterr, buf_str(&whole), 0,
                      "there is no key, where this client has it");
    if (r == -ENODATA)
        errmsg_set_at(reterr, buf_str(&whole), 0, "is empty: no key");
    if (r == -ENOENT || r == -ENODATA)
        return ADOPT_FIND_E_NONE;
    return r ? r : look_at_key(f, buf_str(&whole), reterr);
}

/* ---- candidates ---- */

static const char *mark_of(const struct client_kind_facts *facts)
{
    return facts->mark ? facts->mark : facts->key;
}

static int none(struct owner_files *o, const struct client_kind_facts *facts,
                struct errmsg *reterr)
{
    CLEANUP_BUF struct buf whole = { 0 };

    if (owner_files_whole(o, "", &whole))
        return -ENOMEM;
    errmsg_set_at(reterr, buf_str(&whole), 0,
                  "no account of %s in it (a file %s): is it the client's "
                  "directory?",
                  facts->name, mark_of(facts));
    return ADOPT_FIND_E_NONE;
}

/* Marks: in the directory itself, else below, where the client has them. */
static int find_marks(struct owner_files *o,
                      const struct client_kind_facts *facts,
                      struct owner_found *ret, struct errmsg *reterr)
{
    const char *mark = mark_of(facts);
    int r;

    if (owner_files_given(o)) {
        if (facts->mark && strcmp(owner_files_given(o), facts->mark) != 0)
            return none(o, facts, reterr);
        *ret = (struct owner_found){ .n = 1 };
        (void)snprintf(ret->path[0], sizeof(ret->path[0]), "%s",
                       owner_files_given(o));
        return 0;
    }
    if (!mark) {
        errmsg_set(reterr,
                   "%s: the key's file itself is needed, not a "
                   "directory",
                   facts->name);
        return ADOPT_FIND_E_NONE;
    }
    r = owner_files_find(o, "", mark, 0, ret, reterr);
    if (r || ret->n > 0 || !facts->under)
        return r;
    return owner_files_find(o, facts->under, mark, facts->depth, ret, reterr);
}

static bool fits(const struct adopt_found *f, const struct adopt_wish *wish)
{
    if (wish->directory && f->directory[0] &&
        strcmp(wish->directory, f->directory) != 0)
        return false;
    return !wish->url || !f->url[0] || strcmp(wish->url, f->url) == 0;
}

static int several(struct owner_files *o, const char *first, const char *second,
                   struct errmsg *reterr)
{
    CLEANUP_BUF struct buf whole = { 0 };

    if (owner_files_whole(o, "", &whole))
        return -ENOMEM;
    errmsg_set_at(reterr, buf_str(&whole), 0,
                  "several accounts are in it (%s, %s): say which with "
                  "--directory or --account-url, or give the path of one",
                  first, second);
    return ADOPT_FIND_E_SEVERAL;
}

/* They were not all looked at. */
static int too_many(struct owner_files *o, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf whole = { 0 };

    if (owner_files_whole(o, "", &whole))
        return -ENOMEM;
    errmsg_set_at(reterr, buf_str(&whole), 0,
                  "more than %d accounts are in it: give the path of one",
                  OWNER_FOUND_MAX);
    return ADOPT_FIND_E_SEVERAL;
}

static int choose(struct owner_files *o, const struct adopt_wish *wish,
                  const struct owner_found *marks, struct adopt_found *ret,
                  struct errmsg *reterr)
{
    bool have = false;

    if (marks->more)
        return too_many(o, reterr);
    for (unsigned i = 0; i < marks->n; i++) {
        struct adopt_found f = { .kind = wish->kind };
        int r = adopt_read(o, marks->path[i], &f, reterr);

        if (r)
            return r;
        if (marks->n > 1 && !fits(&f, wish))
            continue;
        if (have)
            return several(o, ret->key, f.key, reterr);
        *ret = f;
        have = true;
    }
    return have ? 0 : none(o, client_kind_facts(wish->kind), reterr);
}

int adopt_find(struct owner_files *o, const struct adopt_wish *wish,
               struct adopt_found *ret, struct errmsg *reterr)
{
    const struct client_kind_facts *facts = client_kind_facts(wish->kind);
    CLEANUP_FREE struct owner_found *marks = calloc(1, sizeof(*marks));
    CLEANUP_ADOPT_FOUND struct adopt_found f = { 0 };
    int r;

    if (!marks)
        return fail(-ENOMEM, reterr, facts->name);
    r = find_marks(o, facts, marks, reterr);
    if (r == 0)
        r = choose(o, wish, marks, &f, reterr);
    if (r == 0)
        r = read_key(o, &f, reterr);
    if (r)
        return fail(r, reterr, facts->name);
    if (wish->directory)
        (void)snprintf(f.directory, sizeof(f.directory), "%s", wish->directory);
    *ret = f;
    f.content = NULL;
    return 0;
}
