/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-stub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

/*
 * stub write, stub refresh. A stub is written where no file or a stub is, never
 * over a key: that would be an adoption, and a key less.
 */

int ctl_fail_files(int r, const struct errmsg *e, const char *what)
{
    if (!e->text[0])
        return ctl_fail_errno(r < 0 ? r : -EIO, what);
    switch (r) {
    case OWNER_E_USER:
    case -EACCES:
    case -EPERM:
        return ctl_fail_at(CTL_EXIT_NOT_PERMITTED, e);
    case OWNER_E_BUSY:
    case OWNER_E_CHANGED:
        return ctl_fail_at(CTL_EXIT_TRY_AGAIN, e);
    default:
        return ctl_fail_at(CTL_EXIT_CONFIG, e);
    }
}

/* ---- of an account ---- */

static int set_socket(const char *path, struct stub *ret)
{
    if (strlen(path) > STUB_SOCKET_MAX || *path != '/')
        return ctl_fail(CTL_EXIT_CONFIG,
                        "%s: a stub wants the absolute path of a socket, of at "
                        "most %d octets",
                        path, STUB_SOCKET_MAX);
    (void)snprintf(ret->socket, sizeof(ret->socket), "%s", path);
    return CTL_EXIT_DONE;
}

static int set_own_socket(const struct ctl_context *c, struct stub *ret)
{
    CLEANUP_FREE char *path = NULL;
    int r = ctl_socket_path(c, CTL_SOCKET_CLIENT, &path);

    return r ? r : set_socket(path, ret);
}

int ctl_stub_make(const struct ctl_context *c, const json_t *account,
                  const char *socket, struct stub *ret)
{
    const char *name = ctl_string(account, "name");
    struct refusal why = { 0 };

    *ret = (struct stub){ 0 };
    if (!name || strlen(name) > STUB_ACCOUNT_MAX)
        return ctl_fail(CTL_EXIT_UNAVAILABLE,
                        "the daemon's answer names no account");
    (void)snprintf(ret->account, sizeof(ret->account), "%s", name);
    if (jwk_read(json_object_get(account, "jwk"), &ret->key, &why))
        return ctl_fail(CTL_EXIT_NO,
                        "%s: the account has no key here that a stub could "
                        "stand for",
                        name);
    if (ret->key.type == JWK_TYPE_ED25519)
        return ctl_fail(CTL_EXIT_NO,
                        "%s: its key is of Ed25519, which no client signs with "
                        "through OpenSSL",
                        name);
    return socket ? set_socket(socket, ret) : set_own_socket(c, ret);
}

/* Operators ask for any account; a client for those that are its own. */
static int show(const struct ctl_context *c, const char *name, json_t **ret)
{
    bool admin = geteuid() == 0 || c->admin_socket;

    return admin ? ctl_once(c, CTL_SOCKET_ADMIN, "AccountShow",
                            json_pack("{s:s}", "name", name), ret)
                 : ctl_once(c, CTL_SOCKET_CLIENT, "GetAccount",
                            json_pack("{s:s}", "account", name), ret);
}

int ctl_stub_make_for(const struct ctl_context *c, const char *name,
                      const char *socket, struct stub *ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    int r = show(c, name, &answer);

    return r ? r
             : ctl_stub_make(c, json_object_get(answer, "account"), socket,
                             ret);
}

int ctl_stub_list(const struct ctl_context *c, const char *account,
                  const char *path)
{
    struct errmsg err = { 0 };
    int r = stub_list_add(c->config_dir, account, path, &err);

    return r ? ctl_fail_files(r, &err, c->config_dir) : CTL_EXIT_DONE;
}

/* ---- write ---- */

static int check_place(const char *path, enum stub_place place)
{
    if (place != STUB_PLACE_OTHER)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "%s: something else than a stub is there, perhaps a key: "
                    "it is not written over (account adopt takes a key's "
                    "account over)",
                    path);
}

static int write_there(const char *path, const struct stub *stub, mode_t mode)
{
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    enum stub_place place = STUB_PLACE_UNSET;
    struct owner_stamp was = { 0 };
    struct errmsg err = { 0 };
    struct stub before;
    int r;

    r = owner_files_open_above(path, &o, &err);
    if (r == 0)
        r = stub_file_read(o, owner_files_given(o), &place, &before, &was,
                           &err);
    if (r)
        return ctl_fail_files(r, &err, path);
    r = check_place(path, place);
    if (r)
        return r;
    r = stub_file_write(o, owner_files_given(o), stub, &was, mode, &err);
    return r ? ctl_fail_files(r, &err, path) : CTL_EXIT_DONE;
}

static int read_mode(const struct ctl_context *c, mode_t *ret)
{
    const char *text = ctl_args_value(c, "--mode");
    size_t n = text ? strspn(text, "01234567") : 0;

    *ret = STUB_FILE_MODE;
    if (!text)
        return CTL_EXIT_DONE;
    if (n < 3 || n > 4 || text[n] || strtoul(text, NULL, 8) > 0777)
        return ctl_fail(CTL_EXIT_USAGE, "--mode is 400 to 777, not %s", text);
    *ret = (mode_t)strtoul(text, NULL, 8);
    return CTL_EXIT_DONE;
}

/* Only root's list is read by who refreshes. */
static int list_or_say(const struct ctl_context *c, const char *account,
                       const char *path)
{
    if (geteuid() == 0)
        return ctl_stub_list(c, account, path);
    return ctl_fail(CTL_EXIT_DONE,
                    "%s: not in the list of root's that stub refresh goes "
                    "through: write it again when the key has changed",
                    path);
}

static int run_write(struct ctl_context *c)
{
    const char *account = c->operands[0];
    const char *path = c->operands[1];
    struct errmsg err = { 0 };
    struct stub stub;
    mode_t mode;
    int r;

    if (*path != '/')
        return ctl_fail(CTL_EXIT_USAGE, "%s: is no absolute path", path);
    if (secrets_init(true, &err))
        return ctl_fail_at(CTL_EXIT_CONFIG, &err);
    r = read_mode(c, &mode);
    if (r == 0)
        r = ctl_stub_make_for(c, account, ctl_args_value(c, "--for-socket"),
                              &stub);
    if (r == 0)
        r = write_there(path, &stub, mode);
    if (r == 0)
        r = list_or_say(c, account, path);
    if (r)
        return r;
    if (c->json)
        ctl_print_json(
            json_pack("{s:s, s:s}", "account", account, "path", path));
    else
        (void)printf("%s: written\n", path);
    return CTL_EXIT_DONE;
}

/* ---- refresh ---- */

struct refresh {
    const struct ctl_context *context;
    json_t *written;   /* paths */
    json_t *unchanged; /* paths */
    int first;         /* exit code of the first that could not be done */
};

/* Never *ret for another account: somebody has put it there meanwhile. */
static int look_at(const struct refresh *f, const char *account,
                   const char *path, struct owner_files *o, struct stub *ret,
                   struct owner_stamp *ret_was)
{
    enum stub_place place = STUB_PLACE_UNSET;
    struct errmsg err = { 0 };
    int r = stub_file_read(o, owner_files_given(o), &place, ret, ret_was, &err);

    if (r)
        return ctl_fail_files(r, &err, path);
    if (place == STUB_PLACE_STUB && strcmp(ret->account, account) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO,
                    "%s: %s. Write it with guardianctl stub write %s, or take "
                    "it out of %s/stubs.d/%s.stubs",
                    path,
                    place == STUB_PLACE_NONE      ? "there is no file"
                    : place == STUB_PLACE_DAMAGED ? "is a damaged stub"
                    : place == STUB_PLACE_STUB ? "is a stub of another account"
                                               : "is no stub",
                    account, f->context->config_dir, account);
}

static int refresh_file(struct refresh *f, const char *account,
                        const char *path)
{
    CLEANUP_OWNER_FILES struct owner_files *o = NULL;
    struct owner_stamp was = { 0 };
    struct errmsg err = { 0 };
    struct stub before, now;
    int r = owner_files_open_above(path, &o, &err);

    if (r)
        return ctl_fail_files(r, &err, path);
    r = look_at(f, account, path, o, &before, &was);
    if (r == 0)
        r = ctl_stub_make_for(f->context, account, before.socket, &now);
    if (r)
        return r;
    if (jwk_eq(&before.key, &now.key)) {
        (void)json_array_append_new(f->unchanged, json_string(path));
        return CTL_EXIT_DONE;
    }
    r = stub_file_write(o, owner_files_given(o), &now, &was, STUB_FILE_MODE,
                        &err);
    if (r)
        return ctl_fail_files(r, &err, path);
    (void)json_array_append_new(f->written, json_string(path));
    if (!f->context->json)
        (void)printf("%s: written\n", path);
    return CTL_EXIT_DONE;
}

/* One that cannot be done does not keep the others from it. */
static int refresh_one(const char *account, const char *path,
                       const struct errmsg *bad, void *userdata)
{
    struct refresh *f = userdata;
    int r = path ? refresh_file(f, account, path)
                 : ctl_fail_at(CTL_EXIT_CONFIG, bad);

    if (f->first == CTL_EXIT_DONE)
        f->first = r;
    return 0;
}

static int run_refresh(struct ctl_context *c)
{
    const char *account = c->n_operands > 0 ? c->operands[0] : NULL;
    CLEANUP_CTL_JSON json_t *written = json_array();
    CLEANUP_CTL_JSON json_t *unchanged = json_array();
    struct refresh f = { .context = c,
                         .written = written,
                         .unchanged = unchanged };
    struct errmsg err = { 0 };
    int r;

    if (secrets_init(true, &err))
        return ctl_fail_at(CTL_EXIT_CONFIG, &err);
    r = stub_list_each(c->config_dir, account, refresh_one, &f, &err);
    if (r)
        return ctl_fail_load(r, &err, c->config_dir);
    if (c->json)
        ctl_print_json(json_pack("{s:O, s:O}", "written", written, "unchanged",
                                 unchanged));
    else if (json_array_size(written) == 0 && f.first == CTL_EXIT_DONE)
        (void)printf("%zu stubs are as they should be\n",
                     json_array_size(unchanged));
    return f.first;
}

static const struct ctl_option write_options[] = {
    { "--mode", "MODE", "of a file that is new (644)", 0, false, false },
    { "--for-socket", "PATH", "where the client finds the daemon's socket", 0,
      false, false },
    { 0 },
};

const struct ctl_command ctl_stub_commands[] = {
    { "stub write", "NAME FILE", 2, 2, write_options,
      "write what a client has in place of the account's key", run_write },
    { "stub refresh", "[NAME]", 0, 1, NULL,
      "write the stubs again whose account has a new key", run_refresh },
    { 0 },
};
