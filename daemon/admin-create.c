/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/admin-call.h"
#include "daemon/label.h"
#include "daemon/params.h"
#include "daemon/registry.h"

/*
 * AccountCreate: a key on the token, then a row. The parameters stay valid
 * until the answer, so the draft below borrows from them. A key that an earlier
 * try left behind (a crash between key and row) is taken up again: no account
 * uses it, and it is of our instance.
 */

struct create {
    struct guardian *guardian;
    struct varlink_call *call;
    struct token *token;
    enum jws_alg alg;
    int64_t rsa_bits;
    const char *existing; /* URI, or NULL */
    bool taken_up;        /* the label was there before */
    struct buf label;
    struct store_account row; /* strings borrowed, lists owned */
};

static void create_free(struct create *c)
{
    free(c->row.acme.origins);
    free(c->row.acme.challenge_members);
    buf_deinit(&c->label);
    free(c);
}

static void create_done(struct create *c, const struct account *a)
{
    admin_reply_account(c->call, a);
    create_free(c);
}

static void create_fail_value(struct create *c, const char *parameter,
                              const char *text)
{
    admin_error_value(c->call, parameter, text);
    create_free(c);
}

static void create_fail_token(struct create *c, const struct token_answer *a)
{
    admin_error_token(c->call, a);
    create_free(c);
}

#define CREATE_E_AUDIT 100 /* beside STORE_E_* */

/* Which key this is stands in the log before the account is there to use it. */
static bool create_audit_key(const struct create *c)
{
    const struct audit_event event = {
        .type = AUDIT_KEY,
        .peer = varlink_call_peer(c->call),
        .account = c->row.acme.name,
        .thumbprint = c->row.acme.thumbprint,
        .operation = c->existing || c->taken_up ? "take" : "generate",
        .detail = c->row.key_label,
    };
    struct audit *audit = guardian_audit(c->guardian);

    return audit && audit_write(audit, &event) == 0;
}

/* Return: as accounts_add(); CREATE_E_AUDIT. */
static int create_add(struct create *c)
{
    struct account *a = NULL;
    int r;

    if (!create_audit_key(c))
        return CREATE_E_AUDIT;

    c->row.created_s = time(NULL);
    c->row.key_since_s = c->row.created_s;
    c->row.status = ACCOUNT_CREATED;
    c->row.generation = 1;
    r = accounts_add(c->guardian, &c->row, &a);
    if (r == 0)
        create_done(c, a);
    return r;
}

static void create_store(struct create *c)
{
    int r = create_add(c);

    if (r == 0)
        return;
    if (r == CREATE_E_AUDIT)
        admin_error(c->call, "AuditUnavailable", json_object());
    else if (r == STORE_E_EXISTS)
        admin_error(c->call, "AccountExists",
                    json_pack("{s:s}", "name", c->row.acme.name));
    else
        registry_error(c->call, r);
    create_free(c);
}

static unsigned rsa_bits(const struct jwk *jwk)
{
    return (unsigned)jwk->n_len * 8;
}

/* The key that the token has made or found. */
static void create_take_key(struct create *c, struct token_key *key)
{
    struct acme_account *acme = &c->row.acme;
    const struct account *other;
    char text[128];

    key->label[sizeof(key->label) - 1] = '\0';
    if (key->spki_len > sizeof(key->spki) ||
        jwk_from_spki((struct bytes){ key->spki, key->spki_len }, &acme->jwk) ||
        jwk_thumbprint_text(&acme->jwk, acme->thumbprint)) {
        create_fail_token(
            c, &(struct token_answer){
                   .result = TOKEN_S_KEY_UNFIT,
                   .text = "the token gave a public key of no known type" });
        return;
    }
    if (jwk_alg(&acme->jwk) != c->alg ||
        (c->rsa_bits && rsa_bits(&acme->jwk) != c->rsa_bits)) {
        create_fail_value(c, c->existing ? "existingKey" : "alg",
                          "the key on the token is of another kind");
        return;
    }
    other = accounts_find_key(&c->guardian->accounts, &acme->jwk);
    if (other) {
        (void)snprintf(text, sizeof(text), "account %s has this key",
                       other->row.acme.name);
        create_fail_value(c, c->existing ? "existingKey" : "name", text);
        return;
    }
    c->row.key_attrs = key->attrs;
    c->row.key_attrs_known = key->attrs_known;
    c->row.key_label = key->label;
    create_store(c);
}

static void create_on_key(const struct token_answer *a, void *userdata)
{
    struct create *c = userdata;
    struct token_key key;

    if (a->r == 0 && a->result == TOKEN_S_EXISTS && !c->taken_up) {
        c->taken_up = true;
        token_send(c->token,
                   &(struct token_ask){ .op = TOKEN_OP_FIND,
                                        .label = buf_str(&c->label) },
                   create_on_key, c);
        return;
    }
    if (!token_answer_ok(a)) {
        create_fail_token(c, a);
        return;
    }
    if (a->data.len != sizeof(key)) {
        create_fail_token(c,
                          &(struct token_answer){ .result = TOKEN_S_PROTOCOL,
                                                  .text = "no key came back" });
        return;
    }
    memcpy(&key, a->data.data, sizeof(key));
    create_take_key(c, &key);
}

static void create_ask(struct create *c)
{
    const struct guardian *g = c->guardian;
    struct token_ask ask = { .op = TOKEN_OP_GENERATE,
                             .alg = c->alg,
                             .rsa_bits = (unsigned)c->rsa_bits };

    if (c->existing) {
        ask = (struct token_ask){ .op = TOKEN_OP_FIND_URI,
                                  .data = bytes_from_str(c->existing) };
    } else if (label_format(token_settings(c->token)->key_prefix,
                            store_instance(g->store), c->row.acme.name, 1,
                            &c->label)) {
        admin_error_busy(c->call);
        create_free(c);
        return;
    }
    ask.label = c->existing ? NULL : buf_str(&c->label);
    token_send(c->token, &ask, create_on_key, c);
}

/* ---- parameters ---- */

/*
 * The account's own rules are those of acme_account_check(), which wants
 * endpoints; the directory is only fetched later, so these stand in.
 */
int admin_account_check_draft(const struct acme_account *draft,
                              struct refusal *ret_refusal)
{
    char urls[3][ACME_URL_MAX + 4];
    struct acme_account a = *draft;
    size_t len = strlen(a.directory_url);

    /* Cut where it is too long: the URL itself is checked first. */
    while (len > 0 && a.directory_url[len - 1] == '/')
        len--;
    for (int i = 0; i < 3; i++)
        (void)snprintf(urls[i], sizeof(urls[i]), "%.*s/%d", (int)len,
                       a.directory_url, i);
    a.directory.new_nonce = urls[0];
    a.directory.new_account = urls[1];
    a.directory.new_order = urls[2];
    return acme_account_check(&a, ret_refusal);
}

struct create_params {
    const char *name, *token, *alg, *existing, *directory;
    const json_t *origins, *challenge_members;
    int64_t rsa_bits;
    bool allow_query, allow_http_loopback;
};

/* NULL when all is well; else the parameter, with words in @text. */
static const char *create_check(struct create *c, const struct create_params *p,
                                char *text, size_t len)
{
    struct refusal refusal = { 0 };

    (void)snprintf(text, len, "%s", "");
    if (!settings_name_ok(p->name)) {
        (void)snprintf(text, len, "is 1 to 32 of a-z 0-9 . _ -");
        return "name";
    }
    c->alg = jws_alg_parse(bytes_from_str(p->alg));
    if (c->alg == JWS_ALG_UNSET) {
        (void)snprintf(text, len, "is one of ES256, ES384, RS256, EdDSA");
        return "alg";
    }
    c->rsa_bits = p->rsa_bits;
    if (c->alg == JWS_ALG_RS256 && !p->rsa_bits && !p->existing)
        c->rsa_bits = 2048;
    if (c->rsa_bits &&
        (c->alg != JWS_ALG_RS256 ||
         (c->rsa_bits != 2048 && c->rsa_bits != 3072 && c->rsa_bits != 4096))) {
        (void)snprintf(text, len, "is 2048, 3072 or 4096, with RS256 only");
        return "rsaBits";
    }
    if (p->existing && strlen(p->existing) > TOKEN_DATA_MAX / 16)
        return "existingKey";
    if (admin_borrow_list(p->origins, ACME_ORIGINS_MAX, &c->row.acme.origins))
        return "origins";
    if (admin_borrow_list(p->challenge_members, ACME_CHALLENGE_MEMBERS_MAX,
                          &c->row.acme.challenge_members))
        return "challengeMembers";
    c->row.acme.name = params_borrow(p->name);
    c->row.acme.directory_url = params_borrow(p->directory);
    c->row.acme.allow_query = p->allow_query;
    c->row.acme.allow_http_loopback = p->allow_http_loopback;
    c->row.token = params_borrow(p->token);
    c->existing = p->existing;
    if (admin_account_check_draft(&c->row.acme, &refusal)) {
        (void)snprintf(text, len, "%s: %s", reason_code(refusal.reason),
                       refusal.detail);
        return "directory";
    }
    return NULL;
}

static void create_begin(struct create *c, const struct create_params *p)
{
    char text[REFUSAL_DETAIL_MAX + 64];
    const char *bad = create_check(c, p, text, sizeof(text));

    if (bad) {
        create_fail_value(c, bad, text);
        return;
    }
    if (accounts_find(&c->guardian->accounts, p->name)) {
        admin_error(c->call, "AccountExists",
                    json_pack("{s:s}", "name", p->name));
        create_free(c);
        return;
    }
    if (!admin_begin(c->guardian, c->call,
                     &(struct admin_subject){ .account = p->name,
                                              .detail = p->token })) {
        create_free(c);
        return;
    }
    create_ask(c);
}

ADMIN_METHOD(admin_on_account_create)
{
    struct create_params p = {
        .name = "", .token = "", .alg = "", .directory = ""
    };
    const struct param params[] = {
        { "name", PARAM_STRING, false, { .string = &p.name } },
        { "token", PARAM_STRING, false, { .string = &p.token } },
        { "alg", PARAM_STRING, false, { .string = &p.alg } },
        { "rsaBits", PARAM_NUMBER, true, { .number = &p.rsa_bits } },
        { "existingKey", PARAM_STRING, true, { .string = &p.existing } },
        { "directory", PARAM_STRING, false, { .string = &p.directory } },
        { "origins", PARAM_STRINGS, true, { .json = &p.origins } },
        { "challengeMembers",
          PARAM_STRINGS,
          true,
          { .json = &p.challenge_members } },
        { "allowQuery", PARAM_BOOL, true, { .flag = &p.allow_query } },
        { "allowHttpLoopback",
          PARAM_BOOL,
          true,
          { .flag = &p.allow_http_loopback } },
    };
    struct guardian *g = userdata;
    struct create *c;
    struct token *t;

    if (!params_take(call, parameters, params, ARRAY_LEN(params)))
        return;
    t = guardian_token(g, p.token);
    if (!t) {
        admin_error_no_token(call, p.token);
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        admin_error_busy(call);
        return;
    }
    *c = (struct create){ .guardian = g, .call = call, .token = t };
    create_begin(c, &p);
}
