/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/request.h"

#include <errno.h>
#include <string.h>

#include "acme/b64url.h"
#include "acme/json-strict.h"
#include "acme/order.h"
#include "acme/url.h"

/*
 * The operation follows from the payload's shape and must agree with what the
 * directory has at the URL. All member sets are closed, so that a server which
 * reads a URL more loosely than we do still finds nothing else in the payload.
 */

#define NONCE_MAX 256

struct reading {
    const struct acme_account *account;
    struct acme_request *req;
    struct buf scratch; /* decoded text; each part is parsed before the next */
    struct refusal *ret_refusal;
};

static const char *const op_names[ACME_OP_COUNT] = {
    [ACME_OP_UNSET] = "unset",         [ACME_OP_FETCH] = "fetch",
    [ACME_OP_CHALLENGE] = "challenge", [ACME_OP_ORDER] = "order",
    [ACME_OP_FINALIZE] = "finalize",   [ACME_OP_REVOKE] = "revoke",
    [ACME_OP_LOOKUP] = "lookup",
};

const char *acme_op_name(enum acme_op op)
{
    return op_names[op < ACME_OP_COUNT ? op : ACME_OP_UNSET];
}

enum acme_op acme_op_parse(const char *name)
{
    for (unsigned i = ACME_OP_UNSET + 1; i < ACME_OP_COUNT; i++) {
        if (strcmp(op_names[i], name) == 0)
            return (enum acme_op)i;
    }
    return ACME_OP_UNSET;
}

static int reading_decode(struct reading *rd, struct bytes text, json_t **ret)
{
    int r;

    buf_clear(&rd->scratch);
    r = b64url_decode(text, &rd->scratch, rd->ret_refusal);
    if (r)
        return r;
    return json_strict_read(buf_bytes(&rd->scratch), ret, rd->ret_refusal);
}

static int header_check_nonce(struct bytes nonce, struct refusal *ret_refusal)
{
    if (nonce.len == 0)
        return refuse(ret_refusal, REASON_BAD_NONCE, "empty");
    if (nonce.len > NONCE_MAX)
        return refuse(ret_refusal, REASON_BAD_NONCE, "%zu characters",
                      nonce.len);
    if (b64url_span(nonce) < nonce.len)
        return refuse(ret_refusal, REASON_BAD_NONCE,
                      "outside the base64url alphabet");
    return 0;
}

static int header_check_kid(const struct acme_account *a, const json_t *kid,
                            struct refusal *ret_refusal)
{
    if (!a->account_url || !bytes_eq_str(json_bytes(kid), a->account_url))
        return refuse(ret_refusal, REASON_WRONG_KID, "%s",
                      json_string_value(kid));
    return 0;
}

static int header_check_jwk(const struct acme_account *a, const json_t *value,
                            struct refusal *ret_refusal)
{
    struct jwk jwk;
    int r;

    r = jwk_decode(value, &jwk, ret_refusal);
    if (r)
        return r;
    if (!jwk_eq(&jwk, &a->jwk))
        return refuse(ret_refusal, REASON_WRONG_JWK, "not the account's key");
    return 0;
}

static int header_check_key(const struct acme_account *a, const json_t *kid,
                            const json_t *jwk, struct refusal *ret_refusal)
{
    if (kid && jwk)
        return refuse(ret_refusal, REASON_KID_AND_JWK, "both");
    if (kid)
        return header_check_kid(a, kid, ret_refusal);
    if (!jwk)
        return refuse(ret_refusal, REASON_MISSING_MEMBER, "kid");
    return header_check_jwk(a, jwk, ret_refusal);
}

/* RFC 8555 section 6.2. */
static int reading_header(struct reading *rd, struct bytes protected_b64)
{
    CLEANUP_JSON json_t *header = NULL;
    json_t *alg, *nonce, *url, *kid, *jwk;
    const struct json_member members[] = {
        { "alg", JSON_STRING, true, &alg },
        { "nonce", JSON_STRING, true, &nonce },
        { "url", JSON_STRING, true, &url },
        { "kid", JSON_STRING, false, &kid },
        { "jwk", JSON_OBJECT, false, &jwk },
    };
    const struct acme_account *a = rd->account;
    int r;

    r = reading_decode(rd, protected_b64, &header);
    if (r)
        return r;
    r = json_strict_members(header, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    if (!bytes_eq_str(json_bytes(alg), jws_alg_name(jwk_alg(&a->jwk))))
        return refuse(rd->ret_refusal, REASON_WRONG_ALG, "%s",
                      json_string_value(alg));
    r = header_check_nonce(json_bytes(nonce), rd->ret_refusal);
    if (r)
        return r;
    r = header_check_key(a, kid, jwk, rd->ret_refusal);
    if (r)
        return r;
    r = url_check_for_account(json_bytes(url), a, rd->ret_refusal);
    if (r)
        return r;

    rd->req->by_jwk = jwk;
    r = json_strict_copy(nonce, &rd->req->nonce);
    if (r)
        return r;
    return json_strict_copy(url, &rd->req->url);
}

static int reading_endpoint(struct reading *rd, enum acme_endpoint *ret)
{
    struct bytes url = bytes_from_str(rd->req->url);

    for (unsigned i = 1; i < ACME_ENDPOINT_COUNT; i++) {
        const char *known =
            acme_account_endpoint(rd->account, (enum acme_endpoint)i);

        if (!known || !url_same_but_slash(url, known))
            continue;
        if (!bytes_eq_str(url, known))
            return refuse(rd->ret_refusal, REASON_BAD_URL,
                          "%s but for the last slash", known);
        *ret = (enum acme_endpoint)i;
        return 0;
    }
    *ret = ACME_ENDPOINT_NONE;
    return 0;
}

/* RFC 8555 sections 7.3.2 and 7.3.6, and 7.5.2: some CAs read variants of an
 * account URL as that account, so neither is signed to any URL. */
static int payload_update(struct reading *rd, const json_t *payload)
{
    json_t *only;
    const struct json_member members[] = {
        { "status", JSON_STRING, false, NULL },
        { "contact", JSON_ARRAY, false, NULL },
        { "termsOfServiceAgreed", JSON_TRUE, false, NULL },
        { "onlyReturnExisting", JSON_TRUE, false, &only },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    if (json_object_size(payload) > (only ? 1 : 0))
        return refuse(rd->ret_refusal, REASON_GUARDIAN_ONLY,
                      "update or deactivation");
    if (only && !json_is_true(only))
        return refuse(rd->ret_refusal, REASON_BAD_VALUE, "onlyReturnExisting");
    rd->req->op = ACME_OP_FETCH;
    return 0;
}

static int payload_check_contact(const json_t *contact,
                                 struct refusal *ret_refusal)
{
    for (size_t i = 0; i < json_array_size(contact); i++) {
        if (!json_is_string(json_array_get(contact, i)))
            return refuse(ret_refusal, REASON_WRONG_TYPE, "contact");
    }
    return 0;
}

/* RFC 8555 section 7.3.1: for a registered key the CA changes nothing. */
static int payload_new_account(struct reading *rd, const json_t *payload)
{
    json_t *only, *contact, *eab;
    const struct json_member members[] = {
        { "onlyReturnExisting", JSON_TRUE, false, &only },
        { "termsOfServiceAgreed", JSON_TRUE, false, NULL },
        { "contact", JSON_ARRAY, false, &contact },
        { "externalAccountBinding", JSON_OBJECT, false, &eab },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    r = payload_check_contact(contact, rd->ret_refusal);
    if (r)
        return r;
    if (eab)
        return refuse(rd->ret_refusal, REASON_GUARDIAN_ONLY,
                      "external account binding");
    if (!rd->account->valid)
        return refuse(rd->ret_refusal, REASON_GUARDIAN_ONLY, "registration");
    /* Once the CA has the new key, the old one would get a new account. */
    if (rd->account->rotating && !json_is_true(only))
        return refuse(rd->ret_refusal, REASON_GUARDIAN_ONLY,
                      "lookup without onlyReturnExisting");
    rd->req->op = ACME_OP_LOOKUP;
    return 0;
}

static int payload_new_authz(struct reading *rd, const json_t *payload)
{
    const struct json_member members[] = {
        { "identifier", JSON_OBJECT, true, NULL },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    return refuse(rd->ret_refusal, REASON_GUARDIAN_ONLY, "pre-authorization");
}

static int payload_key_change(struct reading *rd, const json_t *payload)
{
    const struct json_member members[] = {
        { "protected", JSON_STRING, true, NULL },
        { "payload", JSON_STRING, true, NULL },
        { "signature", JSON_STRING, true, NULL },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    return refuse(rd->ret_refusal, REASON_GUARDIAN_ONLY, "key change");
}

static int payload_finalize(struct reading *rd, const json_t *payload)
{
    struct acme_request *req = rd->req;
    json_t *csr;
    const struct json_member members[] = {
        { "csr", JSON_STRING, true, &csr },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    buf_clear(&rd->scratch);
    r = b64url_decode(json_bytes(csr), &rd->scratch, rd->ret_refusal);
    if (r)
        return r;
    r = csr_read(buf_bytes(&rd->scratch), rd->account, &req->csr,
                 rd->ret_refusal);
    if (r)
        return r;
    req->identifiers = req->csr.names;
    req->csr.names = (struct identifiers){ 0 };
    req->op = ACME_OP_FINALIZE;
    return 0;
}

/* CRLReason of RFC 5280 section 5.3.1, where 7 is not used. */
static int payload_check_reason(const json_t *reason,
                                struct refusal *ret_refusal)
{
    json_int_t n = json_integer_value(reason);

    if (n < 0 || n > 10 || n == 7)
        return refuse(ret_refusal, REASON_BAD_VALUE, "reason %lld", n);
    return 0;
}

static int payload_revoke(struct reading *rd, const json_t *payload)
{
    struct csr cert = { 0 };
    json_t *certificate, *reason;
    const struct json_member members[] = {
        { "certificate", JSON_STRING, true, &certificate },
        { "reason", JSON_INTEGER, false, &reason },
    };
    int r;

    r = json_strict_members(payload, members, ARRAY_LEN(members),
                            rd->ret_refusal);
    if (r)
        return r;
    r = payload_check_reason(reason, rd->ret_refusal);
    if (r)
        return r;
    buf_clear(&rd->scratch);
    r = b64url_decode(json_bytes(certificate), &rd->scratch, rd->ret_refusal);
    if (r)
        return r;
    r = certificate_read(buf_bytes(&rd->scratch), &cert, rd->ret_refusal);
    if (r)
        return r;
    rd->req->identifiers = cert.names;
    rd->req->op = ACME_OP_REVOKE;
    return 0;
}

static bool payload_has_any(const json_t *payload, const char *const *names)
{
    for (; *names; names++) {
        if (json_object_get(payload, *names))
            return true;
    }
    return false;
}

static bool account_lists_member(const struct acme_account *a, const char *name)
{
    for (char **m = a->challenge_members; m && *m; m++) {
        if (strcmp(*m, name) == 0)
            return true;
    }
    return false;
}

/* Members that the account lists, with plain values: an object or array would
 * be a set that nobody has closed. */
static int payload_challenge(struct reading *rd, json_t *payload)
{
    const char *name;
    json_t *value;

    json_object_foreach(payload, name, value)
    {
        if (!account_lists_member(rd->account, name))
            return refuse(rd->ret_refusal, REASON_UNKNOWN_MEMBER, "%s", name);
        if (!json_is_string(value) && !json_is_boolean(value) &&
            !json_is_integer(value))
            return refuse(rd->ret_refusal, REASON_WRONG_TYPE, "%s", name);
    }
    rd->req->op = ACME_OP_CHALLENGE;
    return 0;
}

/* Any URL that the directory does not name. */
static int payload_elsewhere(struct reading *rd, json_t *payload)
{
    static const char *const update[] = { "status", "contact",
                                          "termsOfServiceAgreed", NULL };
    static const char *const misplaced[] = {
        "identifiers", "certificate", "onlyReturnExisting",
        "identifier",  "protected",   "externalAccountBinding",
        NULL
    };

    if (json_object_get(payload, "csr"))
        return payload_finalize(rd, payload);
    if (payload_has_any(payload, update))
        return payload_update(rd, payload);
    if (payload_has_any(payload, misplaced))
        return refuse(rd->ret_refusal, REASON_URL_PAYLOAD_MISMATCH, "%s",
                      rd->req->url);
    return payload_challenge(rd, payload);
}

static int reading_payload(struct reading *rd, enum acme_endpoint endpoint,
                           struct bytes payload_b64)
{
    CLEANUP_JSON json_t *payload = NULL;
    int r;

    r = reading_decode(rd, payload_b64, &payload);
    if (r)
        return r;
    if (!json_is_object(payload))
        return refuse(rd->ret_refusal, REASON_WRONG_TYPE, "payload");

    switch (endpoint) {
    case ACME_ENDPOINT_NONE:
        return payload_elsewhere(rd, payload);
    case ACME_ENDPOINT_ACCOUNT:
        return payload_update(rd, payload);
    case ACME_ENDPOINT_NEW_ACCOUNT:
        return payload_new_account(rd, payload);
    case ACME_ENDPOINT_NEW_ORDER:
        return order_read(payload, rd->req, rd->ret_refusal);
    case ACME_ENDPOINT_NEW_AUTHZ:
        return payload_new_authz(rd, payload);
    case ACME_ENDPOINT_REVOKE_CERT:
        return payload_revoke(rd, payload);
    case ACME_ENDPOINT_KEY_CHANGE:
        return payload_key_change(rd, payload);
    case ACME_ENDPOINT_NEW_NONCE:
    case ACME_ENDPOINT_RENEWAL_INFO:
    case ACME_ENDPOINT_COUNT:
        break;
    }
    return refuse(rd->ret_refusal, REASON_URL_PAYLOAD_MISMATCH, "%s",
                  rd->req->url);
}

static int reading_whole(struct reading *rd, struct bytes protected_b64,
                         struct bytes payload_b64)
{
    enum acme_endpoint endpoint = ACME_ENDPOINT_NONE;
    bool wants_jwk;
    int r;

    r = reading_header(rd, protected_b64);
    if (r)
        return r;
    r = reading_endpoint(rd, &endpoint);
    if (r)
        return r;
    wants_jwk = endpoint == ACME_ENDPOINT_NEW_ACCOUNT;
    if (rd->req->by_jwk && !wants_jwk)
        return refuse(rd->ret_refusal, REASON_JWK_NOT_HERE, "%s", rd->req->url);
    if (!rd->req->by_jwk && wants_jwk)
        return refuse(rd->ret_refusal, REASON_WRONG_KID,
                      "newAccount takes jwk");

    if (payload_b64.len > 0)
        return reading_payload(rd, endpoint, payload_b64);
    /* POST-as-GET (RFC 8555 section 6.3). */
    if (endpoint != ACME_ENDPOINT_NONE && endpoint != ACME_ENDPOINT_ACCOUNT)
        return refuse(rd->ret_refusal, REASON_URL_PAYLOAD_MISMATCH, "%s",
                      rd->req->url);
    rd->req->op = ACME_OP_FETCH;
    return 0;
}

int acme_request_read(const struct acme_account *account,
                      struct bytes protected_b64, struct bytes payload_b64,
                      struct acme_request **ret, struct refusal *ret_refusal)
{
    CLEANUP_ACME_REQUEST struct acme_request *req = NULL;
    struct reading rd = { .account = account, .ret_refusal = ret_refusal };
    int r;

    if (protected_b64.len >= REQUEST_MAX ||
        payload_b64.len >= REQUEST_MAX - protected_b64.len)
        return refuse(ret_refusal, REASON_TOO_LARGE, "%zu and %zu octets",
                      protected_b64.len, payload_b64.len);

    req = calloc(1, sizeof(*req));
    if (!req)
        return -ENOMEM;
    rd.req = req;
    r = reading_whole(&rd, protected_b64, payload_b64);
    buf_deinit(&rd.scratch);
    if (r)
        return r;
    *ret = TAKE_PTR(req);
    return 0;
}

struct acme_request *acme_request_free(struct acme_request *r)
{
    if (!r)
        return NULL;
    free(r->url);
    free(r->nonce);
    identifiers_deinit(&r->identifiers);
    free(r->profile);
    free(r->replaces);
    csr_deinit(&r->csr);
    free(r);
    return NULL;
}

static int protected_format(const struct acme_account *a, bool by_jwk,
                            struct bytes nonce, struct bytes url, struct buf *b)
{
    int r;

    r = buf_printf(
        b, "{\"alg\":\"%s\",\"nonce\":", jws_alg_name(jwk_alg(&a->jwk)));
    if (!r)
        r = buf_append_json(b, nonce);
    if (!r)
        r = buf_append_str(b, ",\"url\":");
    if (!r)
        r = buf_append_json(b, url);
    if (!r)
        r = buf_append_str(b, by_jwk ? ",\"jwk\":" : ",\"kid\":");
    if (!r)
        r = by_jwk ? jwk_format(&a->jwk, b)
                   : buf_append_json(b, bytes_from_str(a->account_url));
    if (!r)
        r = buf_append_char(b, '}');
    return r;
}

int acme_protected(const struct acme_account *account, bool by_jwk,
                   struct bytes nonce, struct bytes url, struct buf *ret)
{
    CLEANUP_BUF struct buf b = { 0 };
    int r;

    if (!by_jwk && !account->account_url)
        return -EINVAL;
    r = protected_format(account, by_jwk, nonce, url, &b);
    if (r)
        return r;
    return b64url_encode(buf_bytes(&b), ret);
}
