/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-rotate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/credential.h"
#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"
#include "client-shim/key-type.h"
#include "client-shim/outside-key.h"
#include "client-shim/setup-file.h"

/*
 * rotate start: of which kind, and where to. A key to leave with is in its file
 * before anybody hears of it, so that no crash can lose it.
 */

/* ---- parameters ---- */

static int add_seconds(const struct ctl_context *c, const char *option,
                       const char *name, json_t *parameters)
{
    struct errmsg err = { 0 };
    uint64_t value = UINT64_MAX;

    if (ctl_args_uint(c, option, 0, 90 * 86400, &value, &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (value != UINT64_MAX)
        (void)json_object_set_new(parameters, name,
                                  json_integer((json_int_t)value));
    return CTL_EXIT_DONE;
}

static int key_type(const struct ctl_context *c, const char **ret_alg,
                    unsigned *ret_bits)
{
    const char *word = ctl_args_value(c, "--key-type");

    *ret_alg = NULL;
    *ret_bits = 0;
    if (!word || key_type_read(word, ret_alg, ret_bits))
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_USAGE, "--key-type is %s, not %.40s",
                    KEY_TYPE_WORDS, word);
}

static int add_key_type(const struct ctl_context *c, json_t *p)
{
    const char *alg;
    unsigned bits;
    int r = key_type(c, &alg, &bits);

    if (r || !alg)
        return r;
    (void)json_object_set_new(p, "alg", json_string(alg));
    if (bits)
        (void)json_object_set_new(p, "rsaBits", json_integer(bits));
    return CTL_EXIT_DONE;
}

static void add_text(const struct ctl_context *c, const char *option,
                     const char *name, json_t *p)
{
    const char *value = ctl_args_value(c, option);

    if (value)
        (void)json_object_set_new(p, name, json_string(value));
}

static void add_flag(const struct ctl_context *c, const char *option,
                     const char *name, json_t *p)
{
    if (ctl_args_has(c, option))
        (void)json_object_set_new(p, name, json_true());
}

int ctl_rotate_check_options(const struct ctl_context *c)
{
    static const char *const alone[] = { "--compromised", "--token",
                                         "--new-key", "--accept-weaker-key" };

    for (size_t i = 0; i < ARRAY_LEN(alone); i++) {
        if (ctl_args_has(c, alone[i]) && ctl_args_has(c, "--to-key-file"))
            return ctl_fail(CTL_EXIT_USAGE,
                            "--to-key-file and %s exclude each other",
                            alone[i]);
    }
    return CTL_EXIT_DONE;
}

int ctl_rotate_parameters(const struct ctl_context *c, json_t *p)
{
    int r;

    (void)json_object_set_new(p, "account", json_string(c->operands[0]));
    add_flag(c, "--keep-old-key", "keepOldKey", p);
    add_flag(c, "--accept-weaker-key", "acceptWeaker", p);
    add_text(c, "--token", "token", p);
    add_text(c, "--new-key", "newKey", p);
    r = add_key_type(c, p);
    if (r == 0)
        r = add_seconds(c, "--grace", "grace", p);
    if (r == 0)
        r = add_seconds(c, "--order-drain", "orderDrain", p);
    if (r == 0)
        r = add_seconds(c, "--settle", "settle", p);
    return r ? r : add_seconds(c, "--cache-time", "cacheTime", p);
}

/* ---- a key to leave with ---- */

static int init_secrets(const struct ctl_context *c)
{
    CLEANUP_SETTINGS struct settings *settings = NULL;
    struct errmsg err = { 0 };
    int r = ctl_settings(c, &settings);

    if (r)
        return r;
    if (secrets_init(settings->allow_swappable, &err) || outside_key_init(&err))
        return ctl_fail_at(CTL_EXIT_UNAVAILABLE, &err);
    return CTL_EXIT_DONE;
}

static int read_key(const char *path, struct outside_key **ret)
{
    CLEANUP_FREE char *full = realpath(path, NULL);
    CLEANUP_SECRET struct secret *text = NULL;
    CLEANUP_BUF struct buf source = { 0 };
    struct errmsg err = { 0 };
    int r;

    if (!full)
        return ctl_fail_errno(-errno, path);
    if (buf_printf(&source, "file:%s", full))
        return ctl_fail_errno(-ENOMEM, path);
    r = credential_read(buf_str(&source), &text, &err);
    if (r)
        return ctl_fail_load(r, &err, path);
    r = outside_key_parse(text, ret, &err);
    if (r > 0)
        return ctl_fail(CTL_EXIT_CONFIG, "%s: %s", path, err.text);
    return r ? ctl_fail_errno(r, path) : CTL_EXIT_DONE;
}

/* Without --key-type the key is as the account's is now. */
static int make_key(const struct ctl_conversation *v, const char *path,
                    struct outside_key **ret)
{
    CLEANUP_OUTSIDE_KEY struct outside_key *key = NULL;
    CLEANUP_SECRET struct secret *text = NULL;
    struct jwk old;
    const char *alg;
    unsigned bits;
    int r = key_type(v->context, &alg, &bits);

    if (r)
        return r;
    if (!alg) {
        if (jwk_read(json_object_get(ctl_conversation_facts(v), "jwk"), &old,
                     NULL))
            return ctl_fail(CTL_EXIT_UNAVAILABLE,
                            "%s: the daemon shows no key of this account",
                            v->account);
        alg = jws_alg_name(jwk_alg(&old));
        bits = (unsigned)old.n_len * 8;
    }
    r = outside_key_new(jws_alg_parse(bytes_from_str(alg)), bits, &key);
    if (r == 0)
        r = outside_key_format(key, OUTSIDE_KEY_PEM, &text);
    if (r == 0)
        r = setup_file_make(path, (struct bytes){ text->data, text->len },
                            0600);
    if (r)
        return ctl_fail_errno(r < 0 ? r : -EEXIST, path);
    *ret = TAKE_PTR(key);
    return CTL_EXIT_DONE;
}

/* The rotation's own key, and no other. */
static int check_key(const struct outside_key *key, const json_t *rotation,
                     const char *path)
{
    const char *want = ctl_string(rotation, "newThumbprint");
    char thumbprint[JWK_THP_TEXT_LEN + 1];

    if (jwk_thumbprint_text(outside_key_public(key), thumbprint))
        return ctl_fail_errno(-ENOMEM, path);
    if (want && strcmp(want, thumbprint) == 0)
        return CTL_EXIT_DONE;
    return ctl_fail(CTL_EXIT_NO, "%s: is not the key of this rotation, %s",
                    path, want ? want : "");
}

int ctl_rotate_make_key(struct ctl_conversation *v, struct outside_key **ret)
{
    const char *path = ctl_args_value(v->context, "--to-key-file");
    int r;

    if (!path)
        return CTL_EXIT_DONE;
    r = init_secrets(v->context);
    if (r)
        return r;
    r = setup_file_there(path);
    if (r < 0)
        return ctl_fail_errno(r, path);
    r = r == SETUP_FILE_E_THERE ? read_key(path, ret) : make_key(v, path, ret);
    v->outside = *ret;
    return r;
}

int ctl_rotate_add_kind(const struct ctl_conversation *v, json_t *p)
{
    CLEANUP_BUF struct buf text = { 0 };

    if (ctl_args_has(v->context, "--compromised"))
        (void)json_object_set_new(p, "kind", json_string("compromised"));
    if (!v->outside)
        return CTL_EXIT_DONE;
    (void)json_object_set_new(p, "kind", json_string("release"));
    (void)json_object_del(p, "alg");
    (void)json_object_del(p, "rsaBits");
    if (jwk_format(outside_key_public(v->outside), &text) ||
        json_object_set_new(p, "toKey", json_loads(buf_str(&text), 0, NULL)))
        return ctl_fail_errno(-ENOMEM, v->account);
    return CTL_EXIT_DONE;
}

/* ---- going on with it ---- */

static bool is_text(const json_t *object, const char *member, const char *text)
{
    const char *s = ctl_string(object, member);

    return s && strcmp(s, text) == 0;
}

/* From cleaned on the CA has the key, and only the old one is left to do. */
static bool wants_key(const json_t *rotation)
{
    return is_text(rotation, "kind", "release") &&
           !ctl_true(rotation, "over") &&
           !is_text(rotation, "state", "cleaned");
}

int ctl_rotate_find_key(struct ctl_conversation *v, struct outside_key **ret)
{
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *path = ctl_args_value(v->context, "--to-key-file");
    const json_t *rotation;
    int r;

    r = ctl_daemon_call(&v->daemon, "RotationStatus",
                        json_pack("{s:s}", "account", v->account), &answer);
    if (r)
        return r;
    rotation = json_array_get(json_object_get(answer, "rotations"), 0);
    if (!wants_key(rotation))
        return CTL_EXIT_DONE;
    /* Before signing is held for a request that could not be made. */
    if (!path)
        return ctl_fail(CTL_EXIT_USAGE,
                        "%s: the key that it leaves with signs, too: name its "
                        "file with --to-key-file",
                        v->account);
    r = init_secrets(v->context);
    if (r == 0)
        r = read_key(path, ret);
    if (r == 0)
        r = check_key(*ret, rotation, path);
    v->outside = *ret;
    return r;
}
