/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/issue.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "acme/csr.h"
#include "acme/domain.h"

#define FILE_MAX (256 * 1024)

int issue_file_fail(int r, const struct errmsg *e)
{
    if (r == ISSUE_FILE_E_BUSY || r == -ENOSPC || r == -ENOMEM || r == -EDQUOT)
        return ctl_fail_at(CTL_EXIT_TRY_AGAIN, e);
    if (r == -EACCES || r == -EPERM || r == -EROFS)
        return ctl_fail_at(CTL_EXIT_NOT_PERMITTED, e);
    return ctl_fail_at(CTL_EXIT_CONFIG, e);
}

static int read_fd(int fd, const char *path, struct buf *ret)
{
    int r = buf_read(ret, fd, FILE_MAX);

    if (r == -E2BIG)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: above %d octets", path,
                        FILE_MAX);
    return r ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
}

/* ---- which names ---- */

static int add_domain(struct issue *i, const char *text)
{
    bool star = strncmp(text, "*.", 2) == 0;
    char name[DNS_NAME_MAX + 3] = "*.";
    char *rest = name + (star ? 2 : 0);
    struct refusal refusal = { 0 };
    int r;

    r = domain_normalize(bytes_from_str(text + (star ? 2 : 0)), rest, &refusal);
    if (r == 0 &&
        identifiers_has(&i->names, IDENTIFIER_DNS, bytes_from_str(name)))
        return CTL_EXIT_DONE;
    if (r == 0)
        r = identifiers_add(&i->names, IDENTIFIER_DNS, bytes_from_str(name),
                            &refusal);
    if (r == REFUSED)
        return ctl_fail(CTL_EXIT_MALFORMED, "--domain %s: %s: %s", text,
                        reason_code(refusal.reason), refusal.detail);
    return r ? ctl_fail_errno(r, text) : CTL_EXIT_DONE;
}

static int read_domains(struct issue *i)
{
    size_t n = ctl_args_count(i->context, "--domain");
    int r = CTL_EXIT_DONE;

    for (size_t d = 0; r == 0 && d < n; d++)
        r = add_domain(i, ctl_args_nth(i->context, "--domain", d));
    return r;
}

static int refuse_addresses(const struct issue *i, const char *path)
{
    for (size_t n = 0; n < i->names.n; n++) {
        if (i->names.items[n].type != IDENTIFIER_DNS)
            return ctl_fail(CTL_EXIT_MALFORMED,
                            "%s: asks for the address %s: dns-persist-01 is "
                            "for domain names alone",
                            path, i->names.items[n].value);
    }
    return CTL_EXIT_DONE;
}

/* The daemon will read it by the same rules. */
static int take_names(struct issue *i, const char *path)
{
    const struct acme_account none = { 0 };
    struct csr csr = { 0 };
    struct refusal refusal = { 0 };
    int r;

    r = csr_read(buf_bytes(&i->csr), &none, &csr, &refusal);
    if (r == REFUSED)
        return ctl_fail(CTL_EXIT_MALFORMED, "%s: %s: %s", path,
                        reason_code(refusal.reason), refusal.detail);
    if (r)
        return ctl_fail_errno(r, path);
    i->names = csr.names;
    csr.names = (struct identifiers){ 0 };
    csr_deinit(&csr);
    return refuse_addresses(i, path);
}

static int read_csr(struct issue *i, const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    CLEANUP_BUF struct buf file = { 0 };
    int r;

    if (fd < 0)
        return ctl_fail_errno(-errno, path);
    r = read_fd(fd, path, &file);
    if (r)
        return r;
    r = issue_csr_der(buf_bytes(&file), &i->csr);
    if (r < 0)
        return ctl_fail_errno(r, path);
    if (r)
        return ctl_fail(CTL_EXIT_MALFORMED,
                        "%s: is no certificate request, PEM or DER", path);
    r = take_names(i, path);
    if (r == 0 && issue_csr_key(buf_bytes(&i->csr), &i->key))
        r = ctl_fail(CTL_EXIT_MALFORMED, "%s: its key cannot be read", path);
    return r;
}

static int read_names(struct issue *i)
{
    const char *csr = ctl_args_value(i->context, "--csr");
    bool domains = ctl_args_has(i->context, "--domain");
    bool key_out = ctl_args_has(i->context, "--key-out");

    if (csr && (domains || key_out || ctl_args_has(i->context, "--key-type")))
        return ctl_fail(CTL_EXIT_USAGE,
                        "--csr brings its own names and key: not with "
                        "--domain, --key-out or --key-type");
    if (!csr && (!domains || !key_out))
        return ctl_fail(CTL_EXIT_USAGE,
                        "issue needs --csr FILE, or --domain NAME and "
                        "--key-out FILE");
    return csr ? read_csr(i, csr) : read_domains(i);
}

/* ---- the rest of the options ---- */

static int read_key_type(struct issue *i)
{
    const char *type = ctl_args_value(i->context, "--key-type");

    if (!type)
        return CTL_EXIT_DONE;
    i->key_type = issue_key_type_parse(type);
    return i->key_type ? CTL_EXIT_DONE
                       : ctl_fail(CTL_EXIT_USAGE,
                                  "--key-type takes ec-p256, ec-p384, "
                                  "rsa-2048, rsa-3072 or rsa-4096, not %s",
                                  type);
}

static int read_resolver(struct issue *i)
{
    const char *text = ctl_args_value(i->context, "--resolver");

    if (text && dns_server_parse(text, &i->resolver))
        return ctl_fail(CTL_EXIT_USAGE,
                        "--resolver takes ADDRESS or ADDRESS:PORT, an IPv6 "
                        "address with a port in brackets, not %s",
                        text);
    return CTL_EXIT_DONE;
}

/* A unit's name is an argument of another program. */
static int check_units(const struct issue *i)
{
    size_t n = ctl_args_count(i->context, "--reload");

    for (size_t u = 0; u < n; u++) {
        const char *unit = ctl_args_nth(i->context, "--reload", u);

        if (unit[0] == '-' || strlen(unit) > 255 ||
            unit[strspn(unit, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789:-_.\\@")])
            return ctl_fail(CTL_EXIT_USAGE,
                            "--reload takes the name of a unit, not %s", unit);
    }
    return CTL_EXIT_DONE;
}

/* ---- what is there ---- */

/* Some programs want chain and key in one file. */
static bool has_key(const struct buf *file)
{
    static const char mark[] = "PRIVATE KEY-----";

    return memmem(file->data, file->len, mark, strlen(mark)) != NULL;
}

/* What is no certificate was not put there by us, nor what has a key in it,
 * which may be the only copy: better not replaced. */
static int read_old(struct issue *i)
{
    CLEANUP_BUF struct buf file = { 0 };
    CLEANUP_FD int fd = -1;
    struct errmsg err = { 0 };
    int r;

    r = issue_file_open(&i->out, &fd, &err);
    if (r == -ENOENT)
        return CTL_EXIT_DONE;
    if (r)
        return issue_file_fail(r, &err);
    r = read_fd(fd, i->out.path, &file);
    if (r || file.len == 0)
        return r;
    if (has_key(&file))
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: is there and holds a private key, which would be "
                        "lost, so it is not replaced: another file, or remove "
                        "it",
                        i->out.path);
    r = issue_chain_parse(buf_bytes(&file), &i->old);
    if (r < 0)
        return ctl_fail_errno(r, i->out.path);
    return r ? ctl_fail(CTL_EXIT_CONFIG,
                        "%s: is there and holds no certificate, so it is not "
                        "replaced: another file, or remove it",
                        i->out.path)
             : CTL_EXIT_DONE;
}

static int find_files(struct issue *i)
{
    const char *key_out = ctl_args_value(i->context, "--key-out");
    struct errmsg err = { 0 };
    int r;

    r = issue_file_find(ctl_args_value(i->context, "--out"), &i->out, &err);
    if (r == 0 && key_out)
        r = issue_file_find(key_out, &i->key_out, &err);
    if (r)
        return issue_file_fail(r, &err);
    i->key_out.exclusive = true;
    if (key_out && strcmp(i->out.path, i->key_out.path) == 0)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--out and --key-out are the same file: %s",
                        i->out.path);
    return CTL_EXIT_DONE;
}

int issue_options_read(struct issue *i)
{
    struct errmsg err = { 0 };
    int r;

    i->wait_s = ISSUE_WAIT_DEFAULT_S;
    if (ctl_args_uint(i->context, "--wait", 1, ISSUE_WAIT_MAX_S, &i->wait_s,
                      &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    r = read_key_type(i);
    if (r == 0)
        r = read_resolver(i);
    if (r == 0)
        r = check_units(i);
    if (r == 0)
        r = read_names(i);
    if (r == 0)
        r = find_files(i);
    return r ? r : read_old(i);
}
