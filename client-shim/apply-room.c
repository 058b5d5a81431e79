/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/ctl-apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-shim/ctl-print.h"

/*
 * What a token must have room for is said before the first key is made. How
 * much a key takes is the token's secret; that it takes no less than its own
 * numbers is sure.
 */

/* Octets of a private key and its public key. */
static long long key_octets(const struct account_wish *w)
{
    if (w->rsa_bits)
        return w->rsa_bits / 8 * 4; /* n, d, p, q and the public n */
    return 64;                      /* of Ed25519, the smallest of the others */
}

static int count(json_t *keys, json_t *octets, const struct account_wish *w)
{
    json_int_t n = json_integer_value(json_object_get(keys, w->token));
    json_int_t sum = json_integer_value(json_object_get(octets, w->token));

    return json_object_set_new(keys, w->token, json_integer(n + 1)) < 0 ||
                   json_object_set_new(octets, w->token,
                                       json_integer(sum + key_octets(w))) < 0
               ? -ENOMEM
               : 0;
}

/* Those whose keys are made, not taken. */
static int count_all(const struct apply *a, json_t *keys, json_t *octets)
{
    for (size_t i = 0; i < a->wishes->n; i++) {
        const struct account_wish *w = &a->wishes->items[i];

        if ((a->steps[i].actions & APPLY_CREATE) && !w->existing_key &&
            count(keys, octets, w))
            return ctl_fail_errno(-ENOMEM, w->token);
    }
    return CTL_EXIT_DONE;
}

static const json_t *find_token(const json_t *tokens, const char *name)
{
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *t = json_array_get(tokens, i);
        const char *s = ctl_string(t, "name");

        if (s && strcmp(s, name) == 0)
            return t;
    }
    return NULL;
}

static void say(const struct apply *a, const char *name, const json_t *token,
                long long n, long long need)
{
    const json_t *tells = json_object_get(token, "freeMemory");
    long long room = (long long)json_integer_value(tells);

    if (json_is_integer(tells) && room < need)
        (void)ctl_fail(CTL_EXIT_DONE,
                       "warning: the token %s will be full: it has %lld octets "
                       "free, and %lld more keys take %lld at the least",
                       name, room, n, need);
    else if (!a->c->json)
        (void)printf("token %s: room for %lld more keys is needed\n", name, n);
}

int apply_say_room(struct apply *a)
{
    CLEANUP_CTL_JSON json_t *octets = json_object();
    CLEANUP_CTL_JSON json_t *keys = json_object();
    CLEANUP_CTL_JSON json_t *answer = NULL;
    const char *name;
    json_t *n;
    int r;

    r = count_all(a, keys, octets);
    if (r || json_object_size(keys) == 0)
        return r;
    r = ctl_daemon_call(&a->daemon, "TokenList", json_object(), &answer);
    if (r)
        return r;
    json_object_foreach(keys, name, n)
    {
        say(a, name, find_token(json_object_get(answer, "tokens"), name),
            json_integer_value(n),
            json_integer_value(json_object_get(octets, name)));
    }
    return CTL_EXIT_DONE;
}
