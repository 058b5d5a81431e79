/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/adopt.h"

#include <errno.h>

#include "client-shim/ctl-commands.h"
#include "client-shim/ctl-print.h"

/* What the daemon is told of an account that is to be adopted. */

static const char *option(const struct adopt *a, const char *name)
{
    return ctl_args_value(a->context, name);
}

static unsigned round_up_bits(const struct jwk *key)
{
    return key->n_len <= 256 ? 2048 : key->n_len <= 384 ? 3072 : 4096;
}

/* The old key's type, unless another is asked for: the client knows it. */
static int choose_type(const struct adopt *a, const char **ret_alg,
                       uint64_t *ret_bits)
{
    const struct jwk *key = outside_key_public(a->key);
    const char *wanted = option(a, "--alg");
    enum jws_alg alg =
        wanted ? jws_alg_parse(bytes_from_str(wanted)) : jwk_alg(key);
    struct errmsg err = { 0 };
    uint64_t bits = alg != JWS_ALG_RS256        ? 0
                    : key->type == JWK_TYPE_RSA ? round_up_bits(key)
                                                : 2048;

    if (ctl_args_uint(a->context, "--rsa-bits", 2048, 4096, &bits, &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (alg == JWS_ALG_UNSET)
        return ctl_fail(CTL_EXIT_USAGE,
                        "--alg is ES256, ES384 or RS256, not "
                        "%s",
                        wanted);
    if (a->after != ADOPT_AFTER_RETIRE &&
        !client_kind_takes(a->kind, jwk_alg(key), alg))
        return ctl_fail(CTL_EXIT_NO,
                        "client-cannot-use-this-key: that %s can sign with "
                        "%s, where it signed with %s, is not known: --alg "
                        "chooses another",
                        client_kind_facts(a->kind)->name, jws_alg_name(alg),
                        jws_alg_name(jwk_alg(key)));
    *ret_alg = jws_alg_name(alg);
    *ret_bits = bits;
    return CTL_EXIT_DONE;
}

static json_t *origins(const struct ctl_context *c)
{
    size_t n = ctl_args_count(c, "--origin");
    json_t *list = n ? json_array() : NULL;

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(
            list, json_string(ctl_args_nth(c, "--origin", i)));
    return list;
}

static json_t *switch_json(const struct adopt *a, const char *name)
{
    return ctl_args_has(a->context, name) ? json_true() : NULL;
}

static int add_numbers(const struct adopt *a, json_t *p, uint64_t bits)
{
    struct errmsg err = { 0 };
    uint64_t cache_s = UINT64_MAX;

    if (ctl_args_uint(a->context, "--cache-time", 0, 30, &cache_s, &err))
        return ctl_fail_at(CTL_EXIT_USAGE, &err);
    if (bits)
        (void)json_object_set_new(p, "rsaBits", json_integer((json_int_t)bits));
    if (cache_s != UINT64_MAX)
        (void)json_object_set_new(p, "cacheTime",
                                  json_integer((json_int_t)cache_s));
    return CTL_EXIT_DONE;
}

static int parameters(const struct adopt *a, json_t **ret)
{
    CLEANUP_BUF struct buf jwk = { 0 };
    const char *alg = NULL;
    uint64_t bits = 0;
    int r = choose_type(a, &alg, &bits);

    if (r)
        return r;
    if (jwk_format(outside_key_public(a->key), &jwk))
        return ctl_fail_errno(-ENOMEM, a->path);
    *ret = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o*, s:o*, s:o*, s:o*}",
                     "name", a->talk.account, "token", option(a, "--token"),
                     "alg", alg, "directory", a->found.directory, "url", a->url,
                     "oldKey", json_loads(buf_str(&jwk), 0, NULL), "newAccount",
                     switch_json(a, "--new-account"), "origins",
                     origins(a->context), "allowQuery",
                     switch_json(a, "--allow-query"), "allowHttpLoopback",
                     switch_json(a, "--allow-http-loopback"));
    return *ret ? add_numbers(a, *ret, bits) : ctl_fail_errno(-ENOMEM, a->path);
}

/* Asked again, it is no other account and no other rotation. */
int adopt_begin(struct adopt *a)
{
    CLEANUP_CTL_JSON json_t *p = NULL;
    int r;

    if (!a->key || adopt_has_switched(a))
        return CTL_EXIT_DONE;
    r = parameters(a, &p);
    if (r == 0)
        r = ctl_daemon_call(&a->talk.daemon, "AccountAdopt", json_incref(p),
                            NULL);
    return r;
}
