/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/signer-account.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "acme/dns-name.h"
#include "acme/json-strict.h"
#include "acme/key-authorization.h"
#include "daemon/signer-error.h"

static bool may_use(const struct guardian *g, const struct peer *peer,
                    const char *socket, const struct account *a)
{
    struct policy_caller caller = decide_caller(peer, socket);

    return policy_may_use(g->policy, &caller, &g->names.policy,
                          a->row.acme.name);
}

/* *ret is NULL when there is none. */
static int find_only(const struct guardian *g, const struct peer *peer,
                     const char *socket, struct account **ret)
{
    *ret = NULL;
    for (size_t i = 0; i < g->accounts.n; i++) {
        if (!may_use(g, peer, socket, g->accounts.items[i]))
            continue;
        if (*ret)
            return SIGNER_ACCOUNT_E_WHICH;
        *ret = g->accounts.items[i];
    }
    return 0;
}

int signer_account_find(const struct guardian *g, const struct peer *peer,
                        const char *socket, const char *name,
                        struct account **ret, struct refusal *ret_refusal)
{
    struct account *a = NULL;
    int r = 0;

    if (name)
        a = accounts_find(&g->accounts, name);
    else
        r = find_only(g, peer, socket, &a);
    if (r)
        return r;
    if (!a || !may_use(g, peer, socket, a))
        return refuse(ret_refusal, REASON_UNKNOWN_ACCOUNT, "%s",
                      "no such account for this caller");
    *ret = a;
    return 0;
}

int signer_account_format(const struct account *a, struct buf *b)
{
    const struct acme_account *acme = &a->row.acme;
    int r;

    r = buf_printf(b, "{\"name\":\"%s\",\"directory\":", acme->name);
    if (r == 0)
        r = buf_append_json(b, bytes_from_str(acme->directory_url));
    if (r == 0)
        r = buf_append_str(b, ",\"url\":");
    if (r == 0)
        r = json_or_null(b, acme->account_url);
    if (r == 0)
        r = buf_printf(
            b, ",\"alg\":\"%s\",\"jwk\":", jws_alg_name(jwk_alg(&acme->jwk)));
    if (r == 0)
        r = jwk_format(&acme->jwk, b);
    return r ? r
             : buf_printf(b, ",\"thumbprint\":\"%s\",\"status\":\"%s\"}",
                          acme->thumbprint, account_state(a));
}

int signer_account_list(const struct guardian *g, const struct peer *peer,
                        const char *socket, struct buf *b)
{
    const char *comma = "";
    int r;

    r = buf_append_str(b, "{\"accounts\":[");
    for (size_t i = 0; r == 0 && i < g->accounts.n; i++) {
        const struct account *a = g->accounts.items[i];

        if (!may_use(g, peer, socket, a))
            continue;
        r = buf_append_str(b, comma);
        if (r == 0)
            r = signer_account_format(a, b);
        comma = ",";
    }
    return r ? r : buf_append_str(b, "]}");
}

static int format_key_authorization(const struct key_authorization *ka,
                                    const char *label, struct buf *b)
{
    char alpn[2 * sizeof(ka->tls_alpn01) + 1];
    int r;

    (void)sodium_bin2hex(alpn, sizeof(alpn), ka->tls_alpn01,
                         sizeof(ka->tls_alpn01));
    r = buf_printf(b,
                   "{\"keyAuthorization\":\"%s\",\"dns01\":\"%s\","
                   "\"tlsAlpn01\":\"%s\",\"dnsAccount01Label\":",
                   ka->text, ka->dns01, alpn);
    if (r == 0)
        r = json_or_null(b, label);
    return r ? r : buf_append_char(b, '}');
}

int signer_key_authorization(const struct account *a, const char *token,
                             struct buf *b, struct refusal *ret_refusal)
{
    CLEANUP(key_authorization_deinit) struct key_authorization ka = { 0 };
    const struct acme_account *acme = &a->row.acme;
    char label[DNS_ACCOUNT_LABEL_LEN + 1];
    int r;

    r = key_authorization_new(bytes_from_str(token), acme->thumbprint, &ka,
                              ret_refusal);
    if (r == 0 && acme->account_url)
        r = dns_account_label(bytes_from_str(acme->account_url), label);
    return r ? r
             : format_key_authorization(&ka, acme->account_url ? label : NULL,
                                        b);
}

static int read_identifiers(const json_t *list, struct identifiers *ids,
                            struct refusal *ret_refusal)
{
    uint8_t addr[16];
    size_t i, len;
    const json_t *item;

    json_array_foreach(list, i, item)
    {
        struct bytes text = json_bytes(item);
        struct refusal ignored;
        bool is_ip = ip_text_check(text, addr, &len, &ignored) == 0;
        int r;

        r = identifiers_add(ids, is_ip ? IDENTIFIER_IP : IDENTIFIER_DNS, text,
                            ret_refusal);
        if (r)
            return r;
    }
    return 0;
}

static int format_check(enum reason reason, const struct policy_verdict *v,
                        struct buf *b)
{
    CLEANUP_BUF struct buf rule = { 0 };
    int r;

    r = decide_rule(v->rule, &rule);
    if (r == 0)
        r = buf_printf(
            b, "{\"allowed\":%s,\"reason\":", reason ? "false" : "true");
    if (r == 0)
        r = json_or_null(b, reason ? reason_code(reason) : NULL);
    if (r == 0)
        r = buf_append_str(b, ",\"identifier\":");
    if (r == 0)
        r = json_or_null(b, reason ? v->identifier : NULL);
    if (r == 0)
        r = buf_append_str(b, ",\"rule\":");
    if (r == 0)
        r = json_or_null(b, rule.len ? buf_str(&rule) : NULL);
    return r ? r : buf_append_char(b, '}');
}

int signer_check(const struct guardian *g, const struct peer *peer,
                 const char *socket, const struct account *a, enum acme_op op,
                 const json_t *identifiers, struct buf *b,
                 struct refusal *ret_refusal)
{
    CLEANUP_ACME_REQUEST struct acme_request *request =
        calloc(1, sizeof(*request));
    struct policy_caller caller = decide_caller(peer, socket);
    struct policy_verdict v = { 0 };
    struct refusal state = { 0 };
    int r;

    if (!request)
        return -ENOMEM;
    request->op = op;
    /* Only names are asked about: the key type that every policy's default
     * has. */
    request->csr.key_type = CSR_KEY_EC_P256;
    r = read_identifiers(identifiers, &request->identifiers, ret_refusal);
    if (r)
        return r;
    r = policy_eval(g->policy, &caller, &g->names.policy, &a->row.acme, request,
                    NULL, NULL, &v);
    if (r)
        return r;
    if (!v.allowed)
        return format_check(v.reason, &v, b);
    r = decide_state(g, peer, a, &state);
    return format_check(r ? state.reason : REASON_UNSET, &v, b);
}
