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

/* ---- what the client keeps of its account ---- */

typedef int (*edit_fn)(const struct adopt *a, struct bytes before,
                       struct bytes key_file, struct buf *ret);

/* Changed where it is there, and is not so already. */
static int edit_file(struct adopt *a, const char *path, edit_fn edit,
                     struct bytes key_file)
{
    CLEANUP_BUF struct buf before = { 0 };
    CLEANUP_BUF struct buf now = { 0 };
    struct owner_stamp was = { 0 };
    struct errmsg err = { 0 };
    int r = owner_files_read(a->files, path, CLIENT_STATE_FILE_MAX, &before,
                             &was, &err);

    if (r == -ENOENT)
        return CTL_EXIT_DONE;
    if (r == 0)
        r = edit(a, buf_bytes(&before), key_file, &now);
    if (r == 0 && !bytes_eq(buf_bytes(&before), buf_bytes(&now)))
        r = owner_files_replace(a->files, path, buf_bytes(&now), &was, 0600,
                                &err);
    return r ? ctl_fail_files(r, &err, path) : CTL_EXIT_DONE;
}

static const char *account_url(const struct adopt *a)
{
    return ctl_string(ctl_conversation_facts(&a->talk), "url");
}

/* acme.sh registers again when its key's file is another. */
static int edit_ca_conf(const struct adopt *a, struct bytes before,
                        struct bytes key_file, struct buf *ret)
{
    CLEANUP_BUF struct buf hash = { 0 };
    CLEANUP_BUF struct buf url = { 0 };
    int r = client_state_acme_sh_hash(key_file, &hash);

    if (r == 0)
        r = client_state_shell_set(before, "", "ACCOUNT_URL", account_url(a),
                                   &url);
    return r ? r
             : client_state_shell_set(buf_bytes(&url), "", "CA_KEY_HASH",
                                      buf_str(&hash), ret);
}

static int edit_account_id(const struct adopt *a, struct bytes before,
                           struct bytes key_file, struct buf *ret)
{
    CLEANUP_BUF struct buf url = { 0 };
    int r = client_state_json(before, "url", &url, NULL);

    (void)key_file;
    if (r || strcmp(buf_str(&url), account_url(a)) != 0)
        return buf_printf(ret, "{\"url\":\"%s\"}\n", account_url(a));
    return buf_append(ret, before.data, before.len);
}

static int set_state(struct adopt *a, struct bytes key_file)
{
    const char *slash = strrchr(a->found.key, '/');
    char path[OWNER_PATH_MAX + 1];

    if (!account_url(a))
        return ctl_fail(CTL_EXIT_UNAVAILABLE, "%s: the daemon names no URL",
                        a->talk.account);
    if (a->found.conf[0])
        return edit_file(a, a->found.conf, edit_ca_conf, key_file);
    if (a->kind != CLIENT_DEHYDRATED)
        return CTL_EXIT_DONE;
    (void)snprintf(path, sizeof(path), "%.*saccount_id.json",
                   slash ? (int)(slash - a->found.key) + 1 : 0, a->found.key);
    return edit_file(a, path, edit_account_id, key_file);
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
    if (geteuid() != 0)
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
    return set_state(a, buf_bytes(&text));
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
    /* Nothing is signed with it any more, and another child is forked. */
    a->talk.outside = NULL;
    a->key = outside_key_free(a->key);
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
