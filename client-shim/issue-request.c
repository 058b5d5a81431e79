/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/trusted.h"
#include "client-shim/issue.h"

/*
 * The key of --key-out. One that is there is used again, so that at no instant
 * the two files do not fit. A new one goes into its place after the first chain
 * (issue-chain.c); a run that was killed between the two is finished here.
 */

/*
 * Who else can write it can have a certificate for a key of his own. Root works
 * for other users, whose keys are theirs; a group may read, as many servers
 * want it.
 */
static int check_trusted(int fd, const char *path)
{
    const struct trusted_rule rule = { .type = S_IFREG,
                                       .owner = "root or you",
                                       .root_uses = true };
    struct errmsg err = { 0 };
    struct stat st;

    if (fstat(fd, &st) < 0)
        return ctl_fail_errno(-errno, path);
    if (trusted_check(&st, path, &rule, &err))
        return ctl_fail_at(CTL_EXIT_CONFIG, &err);
    if (st.st_mode & S_IROTH)
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: every user can read this key (mode %04o): it is "
                        "no secret any more, move it away to have a new one "
                        "made",
                        path, st.st_mode & 07777);
    return CTL_EXIT_DONE;
}

static int parse_key(struct issue *i, int fd)
{
    CLEANUP_SECRET struct secret *pem = NULL;
    const char *path = i->key_out.path;
    int r;

    r = check_trusted(fd, path);
    if (r)
        return r;
    r = secret_new_read(fd, false, &pem);
    if (r == -ENODATA)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: is empty", path);
    if (r == -E2BIG)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: is too large for a key", path);
    if (r)
        return ctl_fail_errno(r, path);
    r = issue_key_parse(pem, &i->key);
    if (r < 0)
        return ctl_fail_errno(r, path);
    return r ? ctl_fail(CTL_EXIT_CONFIG,
                        "%s: holds no private key in PEM that can be used "
                        "without a passphrase",
                        path)
             : CTL_EXIT_DONE;
}

/* *ret: the killed run had put its chain into place, and this is its key. */
static bool fits_old(const struct issue *i, const EVP_PKEY *key)
{
    return i->old && issue_cert_has_key(sk_X509_value(i->old, 0), key);
}

static int adopt(struct issue *i)
{
    CLEANUP_SECRET struct secret *pem = NULL;
    CLEANUP_EVP_KEY EVP_PKEY *key = NULL;
    struct errmsg err = { 0 };
    int r;

    r = issue_file_resume(&i->key_out, &err);
    if (r == -ENOENT)
        return CTL_EXIT_DONE;
    if (r)
        return issue_file_fail(r, &err);
    /* Half a file, or a key for which there is no certificate yet: what comes
     * next makes a new one. */
    if (secret_new_read(i->key_out.fd, false, &pem) ||
        issue_key_parse(pem, &key) || !fits_old(i, key))
        return CTL_EXIT_DONE;
    r = issue_file_commit(&i->key_out, &err);
    if (r)
        return issue_file_fail(r, &err);
    i->key = TAKE_PTR(key);
    return CTL_EXIT_DONE;
}

int issue_key_load(struct issue *i)
{
    CLEANUP_FD int fd = -1;
    struct errmsg err = { 0 };
    int r;

    if (!i->key_out.path)
        return CTL_EXIT_DONE;
    r = issue_file_open(&i->key_out, &fd, &err);
    if (r == -ENOENT)
        return adopt(i);
    return r ? issue_file_fail(r, &err) : parse_key(i, fd);
}

static int make_key(struct issue *i)
{
    CLEANUP_SECRET struct secret *pem = NULL;
    struct errmsg err = { 0 };
    int r;

    r = issue_file_prepare(&i->key_out, 0600, &err);
    if (r)
        return issue_file_fail(r, &err);
    r = issue_key_new(i->key_type ? i->key_type : ISSUE_KEY_EC_P256, &i->key);
    if (r == 0)
        r = issue_key_format(i->key, &pem);
    if (r)
        return ctl_fail_errno(r, i->key_out.path);
    i->key_is_new = true;
    r = issue_file_write(&i->key_out, (struct bytes){ pem->data, pem->len },
                         &err);
    return r ? issue_file_fail(r, &err) : CTL_EXIT_DONE;
}

/* The key that is there is used again, so it must be what was asked for. */
static int check_type(const struct issue *i)
{
    enum issue_key_type type = issue_key_type_of(i->key);

    if (!i->key_type || i->key_type == type)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_CONFIG,
                    "%s: the key that is there is %s, not %s, and is used "
                    "again: move it away to have a new one made",
                    i->key_out.path, issue_key_type_name(type),
                    issue_key_type_name(i->key_type));
}

int issue_request_make(struct issue *i)
{
    struct errmsg err = { 0 };
    int r;

    r = issue_file_prepare(&i->out, 0644, &err);
    if (r)
        return issue_file_fail(r, &err);
    if (!i->key_out.path)
        return CTL_EXIT_DONE;
    r = i->key ? check_type(i) : make_key(i);
    if (r)
        return r;
    r = issue_csr_new(i->key, &i->names, &i->csr);
    return r ? ctl_fail_errno(r, "certificate request") : CTL_EXIT_DONE;
}
