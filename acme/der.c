/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acme/der.h"

#include <errno.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>

/* What ASN1_get_object() returns. */
#define DER_CONSTRUCTED V_ASN1_CONSTRUCTED
#define DER_INDEFINITE 0x01
#define DER_ERROR 0x80

struct der_value {
    struct bytes whole;
    struct bytes content;
    int tag;
    int class;
    bool constructed;
};

/* One value from the front of @rest. */
static int der_next(struct bytes *rest, struct der_value *ret,
                    struct refusal *ret_refusal)
{
    const uint8_t *p = rest->data;
    struct der_value v = { 0 };
    long len = 0;
    int got, shortest;

    got = ASN1_get_object(&p, &len, &v.tag, &v.class, (long)rest->len);
    ERR_clear_error();
    v.constructed = got & DER_CONSTRUCTED;
    v.content = (struct bytes){ p, (size_t)len };
    v.whole =
        (struct bytes){ rest->data, (size_t)(p - rest->data) + (size_t)len };
    shortest = ASN1_object_size(v.constructed, (int)len, v.tag);
    if ((got & (DER_ERROR | DER_INDEFINITE)) || v.whole.len != (size_t)shortest)
        return refuse(ret_refusal, REASON_BAD_DER, "tag or length");

    *rest = (struct bytes){ rest->data + v.whole.len, rest->len - v.whole.len };
    *ret = v;
    return 0;
}

bool der_same(struct bytes der, int len, const uint8_t *data)
{
    return len > 0 && bytes_eq(der, (struct bytes){ data, (size_t)len });
}

static int der_check_primitive(const struct der_value *v,
                               struct refusal *ret_refusal)
{
    const uint8_t *p = v->whole.data;
    uint8_t *again = NULL;
    ASN1_TYPE *type;
    int len;
    bool same;

    if (v->tag == V_ASN1_EOC)
        return refuse(ret_refusal, REASON_BAD_DER, "end of contents");
    if (v->tag == V_ASN1_BOOLEAN && v->content.len == 1 &&
        v->content.data[0] != 0 && v->content.data[0] != 0xff)
        return refuse(ret_refusal, REASON_BAD_DER, "boolean");

    type = d2i_ASN1_TYPE(NULL, &p, (long)v->whole.len);
    len = type ? i2d_ASN1_TYPE(type, &again) : -1;
    same = der_same(v->whole, len, again);
    ASN1_TYPE_free(type);
    OPENSSL_free(again);
    ERR_clear_error();
    if (!same)
        return refuse(ret_refusal, REASON_BAD_DER, "value of tag %d", v->tag);
    return 0;
}

/* Members of a SET OF ascend as octet strings (X.690 section 11.6). */
static bool der_ascends(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;

    return order < 0 || (order == 0 && a.len <= b.len);
}

static int der_check_members(struct bytes content, bool is_set, unsigned depth,
                             struct refusal *ret_refusal)
{
    struct bytes last = { 0 };

    if (depth > DER_DEPTH)
        return refuse(ret_refusal, REASON_BAD_DER, "nested too deep");
    while (content.len > 0) {
        struct der_value v = { 0 };
        int r;

        r = der_next(&content, &v, ret_refusal);
        if (r)
            return r;
        if (is_set && last.data && !der_ascends(last, v.whole))
            return refuse(ret_refusal, REASON_BAD_DER, "unordered set");
        last = v.whole;

        if (v.constructed) {
            bool universal = v.class == V_ASN1_UNIVERSAL;

            if (universal && v.tag != V_ASN1_SEQUENCE && v.tag != V_ASN1_SET)
                return refuse(ret_refusal, REASON_BAD_DER,
                              "constructed value of tag %d", v.tag);
            r = der_check_members(v.content, universal && v.tag == V_ASN1_SET,
                                  depth + 1, ret_refusal);
        } else if (v.class == V_ASN1_UNIVERSAL) {
            r = der_check_primitive(&v, ret_refusal);
        }
        if (r)
            return r;
    }
    return 0;
}

int der_check(struct bytes der, struct refusal *ret_refusal)
{
    struct bytes rest = der;
    struct der_value v = { 0 };
    int r;

    r = der_next(&rest, &v, ret_refusal);
    if (r)
        return r;
    if (rest.len > 0)
        return refuse_at(ret_refusal, REASON_BAD_DER, v.whole.len,
                         "trailing octets");
    return der_check_members(der, false, 0, ret_refusal);
}

int der_decode(struct bytes der, const ASN1_ITEM *it, der_encode_anew_fn anew,
               ASN1_VALUE **ret, struct refusal *ret_refusal)
{
    const uint8_t *p = der.data;
    uint8_t *again = NULL;
    ASN1_VALUE *value;
    bool same;
    int len, r;

    r = der_check(der, ret_refusal);
    if (r)
        return r;
    value = ASN1_item_d2i(NULL, &p, (long)der.len, it);
    len = -1;
    if (value && (!anew || anew(value) > 0))
        len = ASN1_item_i2d(value, &again, it);
    same = der_same(der, len, again);
    OPENSSL_free(again);
    ERR_clear_error();
    if (!same) {
        ASN1_item_free(value, it);
        return refuse(ret_refusal, REASON_BAD_DER,
                      "another type, or another encoding");
    }
    *ret = value;
    return 0;
}
