/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/admin-call.h"
#include "daemon/params.h"

/* TokenList, TokenUnlock, and how tokens and attributes are shown. */

static const struct {
    uint32_t attr;
    const char *name;
} attr_names[] = {
    { TOKEN_ATTR_SENSITIVE, "sensitive" },
    { TOKEN_ATTR_UNEXTRACTABLE, "unextractable" },
    { TOKEN_ATTR_ALWAYS_SENSITIVE, "always-sensitive" },
    { TOKEN_ATTR_NEVER_EXTRACTABLE, "never-extractable" },
    { TOKEN_ATTR_LOCAL, "local" },
    { TOKEN_ATTR_SIGN_ONLY, "sign-only" },
    { TOKEN_ATTR_SOFTWARE, "software" },
};

json_t *admin_attrs_json(uint32_t attrs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(attr_names); i++) {
        if (attrs & attr_names[i].attr)
            (void)json_array_append_new(list, json_string(attr_names[i].name));
    }
    return list;
}

/* What a key made on an HSM should prove. Software proves nothing of that, and
 * says so by its own attribute. */
json_t *admin_unproven_json(uint32_t attrs)
{
    uint32_t wanted = attrs & TOKEN_ATTR_SOFTWARE ? 0 : TOKEN_ATTR_SOFTWARE - 1;

    return admin_attrs_json(wanted & ~attrs);
}

static const char *backend_name(enum settings_backend backend)
{
    switch (backend) {
    case SETTINGS_BACKEND_CRYPTOKI:
        return "cryptoki";
    case SETTINGS_BACKEND_LIBP11:
        return "libp11";
    case SETTINGS_BACKEND_SEALED:
        return "sealed";
    case SETTINGS_BACKEND_UNSET:
        break;
    }
    return "unset";
}

/* Texts from a token may be anything. */
static json_t *text_json(const char *text, size_t max)
{
    json_t *value = json_stringn(text, strnlen(text, max));

    return value ? value : json_string("?");
}
#define TEXT_JSON(member) text_json(member, sizeof(member))

json_t *admin_token_json(const struct token *t)
{
    const struct settings_token *s = token_settings(t);
    const struct token_status *st = token_status(t);

    return json_pack(
        "{s:s,s:s,s:s,s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o*}", "name",
        s->name, "backend", backend_name(s->backend), "state", token_state(t),
        "text", token_state_text(t), "unseparated",
        (int)(token_spawned(t) || st->unseparated), "label",
        TEXT_JSON(st->token_label), "manufacturer", TEXT_JSON(st->manufacturer),
        "model", TEXT_JSON(st->model), "serial", TEXT_JSON(st->serial),
        "library", TEXT_JSON(st->library), "processes",
        (json_int_t)st->processes, "sessions", (json_int_t)st->sessions,
        "freeMemory",
        st->free_plus_one ? json_integer((json_int_t)st->free_plus_one - 1)
                          : NULL);
}

/* All tokens are asked at once; the answer waits for the slowest. */
struct token_list {
    struct guardian *guardian;
    struct varlink_call *call;
    size_t open;
};

static void on_one_listed(void *userdata)
{
    struct token_list *l = userdata;
    const struct guardian *g = l->guardian;
    json_t *tokens;

    if (--l->open > 0)
        return;
    tokens = json_array();
    for (size_t i = 0; i < g->n_tokens; i++)
        (void)json_array_append_new(tokens, admin_token_json(g->tokens[i]));
    varlink_reply_json(l->call, json_pack("{s:o}", "tokens", tokens));
    free(l);
}

ADMIN_METHOD(admin_on_token_list)
{
    struct guardian *g = userdata;
    struct token_list *l;

    if (!params_take(call, parameters, NULL, 0))
        return;
    admin_note(g, call, &(struct admin_subject){ 0 });
    l = calloc(1, sizeof(*l));
    if (!l) {
        admin_error_busy(call);
        return;
    }
    /* One more than there are: an answer at once must not end the list. */
    *l = (struct token_list){ g, call, g->n_tokens + 1 };
    for (size_t i = 0; i < g->n_tokens; i++)
        token_refresh(g->tokens[i], TOKEN_OP_STATUS, on_one_listed, l);
    on_one_listed(l);
}

struct token_unlock {
    struct token *token;
    struct varlink_call *call;
};

static void on_unlocked(void *userdata)
{
    struct token_unlock *u = userdata;

    varlink_reply_json(u->call,
                       json_pack("{s:o}", "token", admin_token_json(u->token)));
    free(u);
}

struct token *admin_begin_token(struct guardian *g, struct varlink_call *call,
                                const json_t *parameters)
{
    const char *name = "";
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &name } },
    };
    struct token *t;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return NULL;
    t = guardian_token(g, name);
    if (!t) {
        admin_error_no_token(call, name);
        return NULL;
    }
    if (!admin_begin(g, call, &(struct admin_subject){ .detail = name }))
        return NULL;
    return t;
}

ADMIN_METHOD(admin_on_token_unlock)
{
    struct guardian *g = userdata;
    struct token *t = admin_begin_token(g, call, parameters);
    struct token_unlock *u;

    if (!t)
        return;
    u = calloc(1, sizeof(*u));
    if (!u) {
        admin_error_busy(call);
        return;
    }
    *u = (struct token_unlock){ t, call };
    token_refresh(t, TOKEN_OP_UNLOCK, on_unlocked, u);
}
