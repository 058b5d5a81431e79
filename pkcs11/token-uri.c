/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * RFC 7512 URIs by p11-kit, which accepts more than we want to be told: a PIN
 * has its own setting and must not stand in a file that many read, the module
 * is Module=, and an attribute that nobody knows was meant to narrow the match
 * and did not.
 */
#include "pkcs11/token-uri.h"

#include <string.h>

static enum token_result parse(const char *text, P11KitUri **ret,
                               struct backend_error *reterr)
{
    CLEANUP_TOKEN_URI P11KitUri *uri = p11_kit_uri_new();
    int r;

    if (!uri)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_NONE, 0,
                            "out of memory");
    r = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri);
    if (r != P11_KIT_URI_OK)
        return refuse_token(reterr, TOKEN_S_NO_TOKEN, "not a PKCS#11 URI: %s",
                            p11_kit_uri_message(r));
    if (p11_kit_uri_any_unrecognized(uri))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "the URI has an attribute that is not known");
    if (p11_kit_uri_get_pin_value(uri))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "the URI has a pin-value: a PIN belongs into Pin=");
    if (p11_kit_uri_get_pin_source(uri))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "the URI has a pin-source: use Pin=");
    if (p11_kit_uri_get_module_path(uri))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "the URI has a module-path: use Module=");
    if (p11_kit_uri_get_module_name(uri))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "the URI has a module-name: use Module=");
    if (strchr(text, '?'))
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "the URI has query attributes ('?')");
    *ret = TAKE_PTR(uri);
    return TOKEN_S_OK;
}

enum token_result token_uri_parse(const char *text, P11KitUri **ret,
                                  struct backend_error *reterr)
{
    CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
    CK_ULONG n = 0;
    enum token_result r = parse(text, &uri, reterr);

    if (r != TOKEN_S_OK)
        return r;
    (void)p11_kit_uri_get_attributes(uri, &n);
    if (n > 0)
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "Token= names a key (object, id or type), it "
                            "should name a token");
    *ret = TAKE_PTR(uri);
    return TOKEN_S_OK;
}

enum token_result key_uri_parse(const char *text, P11KitUri **ret,
                                struct backend_error *reterr)
{
    CLEANUP_TOKEN_URI P11KitUri *uri = NULL;
    CK_ATTRIBUTE *type;
    enum token_result r = parse(text, &uri, reterr);

    if (r != TOKEN_S_OK) {
        reterr->result = TOKEN_S_NO_KEY;
        return TOKEN_S_NO_KEY;
    }
    if (!p11_kit_uri_get_attribute(uri, CKA_LABEL) &&
        !p11_kit_uri_get_attribute(uri, CKA_ID))
        return refuse_token(reterr, TOKEN_S_NO_KEY,
                            "the URI names no key: it has neither object nor "
                            "id");
    type = p11_kit_uri_get_attribute(uri, CKA_CLASS);
    if (type && *(CK_OBJECT_CLASS *)type->pValue != CKO_PRIVATE_KEY)
        return refuse_token(reterr, TOKEN_S_NO_KEY,
                            "the URI's type is not private");
    *ret = TAKE_PTR(uri);
    return TOKEN_S_OK;
}

void token_uri_text(const unsigned char *field, size_t n, char *ret,
                    size_t ret_size)
{
    while (n > 0 && (field[n - 1] == ' ' || field[n - 1] == '\0'))
        n--;
    if (n >= ret_size)
        n = ret_size - 1;
    memcpy(ret, field, n);
    ret[n] = '\0';
}

enum token_result token_uri_only(const char *text, unsigned matches,
                                 struct backend_error *reterr)
{
    if (matches == 0)
        return backend_fail(reterr, TOKEN_S_NO_TOKEN, BACKEND_CURE_RESTART, 0,
                            "no token matches Token=%s", text);
    if (matches > 1)
        return refuse_token(reterr, TOKEN_S_NO_TOKEN,
                            "%u tokens match Token=%s: add its serial", matches,
                            text);
    return TOKEN_S_OK;
}

static void put_padded(unsigned char *field, size_t n, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    memset(field, ' ', n);
    if (len > 0)
        memcpy(field, text, len < n ? len : n);
}

CK_TOKEN_INFO token_uri_info(const char *label, const char *manufacturer,
                             const char *model, const char *serial)
{
    CK_TOKEN_INFO info = { 0 };

    put_padded(info.label, sizeof(info.label), label);
    put_padded(info.manufacturerID, sizeof(info.manufacturerID), manufacturer);
    put_padded(info.model, sizeof(info.model), model);
    put_padded(info.serialNumber, sizeof(info.serialNumber), serial);
    return info;
}
