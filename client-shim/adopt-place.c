/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-print.h"
#include "client-shim/ctl-stub.h"

/*
 * The client's files, once the CA has the new key: what lies there is a dead
 * key. Each step is done again by whoever finds it not done.
 */

#define ASIDE ".acme-guardian-old"

/* ---- acme.sh: it registers again when its key file is another ---- */

static int set_key_hash(struct adopt *a, struct bytes content)
{
    CLEANUP_BUF struct buf hash = { 0 };
    CLEANUP_BUF struct buf before = { 0 };
    CLEANUP_BUF struct buf now = { 0 };
    struct owner_stamp was = { 0 };
    struct errmsg err = { 0 };
    int r;

    if (!a->found.conf[0])
        return CTL_EXIT_DONE;
    r = client_state_acme_sh_hash(content, &hash);
    if (r == 0)
        r = owner_files_read(a->files, a->found.conf, CLIENT_STATE_FILE_MAX,
                             &before, &was, &err);
    if (r == 0)
        r = client_state_shell_set(buf_bytes(&before), "", "CA_KEY_HASH",
                                   buf_str(&hash), &now);
    if (r == 0 && !bytes_eq(buf_bytes(&before), buf_bytes(&now)))
        r = owner_files_replace(a->files, a->found.conf, buf_bytes(&now), &was,
                                0600, &err);
    return r ? ctl_fail_files(r, &err, a->found.conf) : CTL_EXIT_DONE;
}

/* ---- a stub ---- */

static int whole_path(const struct adopt *a, struct buf *ret)
{
    return owner_files_whole(a->files, a->found.key, ret)
               ? ctl_fail_errno(-ENOMEM, a->path)
               : CTL_EXIT_DONE;
}

/* A list that refresh reads has absolute paths. */
static int list(struct adopt *a)
{
    CLEANUP_BUF struct buf path = { 0 };
    int r = whole_path(a, &path);

    if (r)
        return r;
    if (geteuid() != 0 || *buf_str(&path) != '/')
        return ctl_fail(CTL_EXIT_DONE,
                        "%s: not in the list that stub refresh goes through: "
                        "as root, guardianctl stub write %s %s puts it there",
                        buf_str(&path), a->talk.account, buf_str(&path));
    return ctl_stub_list(a->context, a->talk.account, buf_str(&path));
}

static int place_stub(struct adopt *a)
{
    CLEANUP_BUF struct buf text = { 0 };
    struct errmsg err = { 0 };
    struct stub stub;
    int r;

    r = ctl_stub_make(a->context, ctl_conversation_facts(&a->talk), NULL,
                      &stub);
    if (r == 0)
        r = list(a);
    if (r)
        return r;
    r = stub_format(&stub, &text, &err);
    if (r == 0 && !bytes_eq((struct bytes){ a->found.content->data,
                                            a->found.content->len },
                            buf_bytes(&text)))
        r = owner_files_replace(a->files, a->found.key, buf_bytes(&text),
                                &a->found.stamp, STUB_FILE_MODE, &err);
    if (r)
        return ctl_fail_files(r, &err, a->path);
    return set_key_hash(a, buf_bytes(&text));
}

/* ---- a client that stops ---- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Without its key it would make another, and an account; a file that is no key
 * stops it. */
static int retire(struct adopt *a)
{
    CLEANUP_BUF struct buf note = { 0 };
    CLEANUP_BUF struct buf aside = { 0 };
    struct errmsg err = { 0 };
    int r;

    if (a->found.has == ADOPT_KEY_RETIRED)
        return CTL_EXIT_DONE;
    r = client_state_retired(a->talk.account, &note);
    if (r == 0)
        r = buf_printf(&aside, "%s" ASIDE, last_part(a->found.key));
    if (r == 0)
        r = owner_files_keep(a->files, a->found.key, buf_str(&aside),
                             &a->found.stamp, &err);
    if (r == 0)
        r = owner_files_replace(a->files, a->found.key, buf_bytes(&note),
                                &a->found.stamp, 0600, &err);
    return r ? ctl_fail_files(r, &err, a->path) : CTL_EXIT_DONE;
}

/* ---- together ---- */

int adopt_place(struct adopt *a)
{
    switch (a->after) {
    case ADOPT_AFTER_STUB:
        return place_stub(a);
    case ADOPT_AFTER_RETIRE:
        return retire(a);
    case ADOPT_AFTER_NOTHING:
        break;
    }
    return CTL_EXIT_DONE;
}

static int probe(struct adopt *a, const char *path,
                 const struct owner_stamp *was)
{
    struct errmsg err = { 0 };
    int r = owner_files_probe(a->files, path, was, &err);

    return r ? ctl_fail_files(r, &err, a->path) : CTL_EXIT_DONE;
}

/* Before the CA is asked: afterwards it is too late to find a full disk. */
int adopt_place_probe(struct adopt *a)
{
    CLEANUP_BUF struct buf content = { 0 };
    struct owner_stamp was = { 0 };
    struct errmsg err = { 0 };
    int r;

    if (a->after == ADOPT_AFTER_NOTHING)
        return CTL_EXIT_DONE;
    r = probe(a, a->found.key, &a->found.stamp);
    if (r || a->after != ADOPT_AFTER_STUB || !a->found.conf[0])
        return r;
    r = owner_files_read(a->files, a->found.conf, CLIENT_STATE_FILE_MAX,
                         &content, &was, &err);
    return r ? ctl_fail_files(r, &err, a->path) : probe(a, a->found.conf, &was);
}
