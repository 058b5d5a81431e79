/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/cryptoki.h"

#include <string.h>

CK_RV cryptoki_search(const struct backend *b, CK_SESSION_HANDLE session,
                      CK_ATTRIBUTE *template, CK_ULONG n_template,
                      CK_OBJECT_HANDLE *ret, CK_ULONG max, CK_ULONG *ret_n)
{
    CK_ULONG n = 0;
    CK_ULONG got = 0;
    CK_RV rv;

    rv = b->f->C_FindObjectsInit(session, template, n_template);
    if (rv != CKR_OK)
        return rv;
    /* Modules may give fewer than asked for: go on until none come. */
    do {
        got = 0;
        rv = b->f->C_FindObjects(session, ret + n, max - n, &got);
        if (rv == CKR_OK && got > max - n)
            rv = CKR_GENERAL_ERROR;
        if (rv == CKR_OK)
            n += got;
    } while (rv == CKR_OK && got > 0 && n < max);
    (void)b->f->C_FindObjectsFinal(session);
    if (rv == CKR_OK)
        *ret_n = n;
    return rv;
}

/* Not there, or not to be told: no failure of the session. */
static bool is_absent(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE;
}

CK_RV cryptoki_read(const struct backend *b, CK_SESSION_HANDLE session,
                    CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                    struct cryptoki_value *ret)
{
    CK_ATTRIBUTE attr = { type, ret->data, sizeof(ret->data) };
    CK_RV rv = b->f->C_GetAttributeValue(session, object, &attr, 1);

    ret->len = 0;
    if (is_absent(rv))
        return CKR_OK;
    if (rv != CKR_OK)
        return rv;
    if (attr.ulValueLen <= sizeof(ret->data))
        ret->len = attr.ulValueLen;
    return CKR_OK;
}

/* NSS insists on the exact size. */
CK_RV cryptoki_read_ulong(const struct backend *b, CK_SESSION_HANDLE session,
                          CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          CK_ULONG *ret)
{
    CK_ULONG value = CK_UNAVAILABLE_INFORMATION;
    CK_ATTRIBUTE attr = { type, &value, sizeof(value) };
    CK_RV rv = b->f->C_GetAttributeValue(session, object, &attr, 1);

    *ret = rv == CKR_OK ? value : CK_UNAVAILABLE_INFORMATION;
    return is_absent(rv) ? CKR_OK : rv;
}

CK_RV cryptoki_read_bool(const struct backend *b, CK_SESSION_HANDLE session,
                         CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                         int *ret)
{
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attr = { type, &value, sizeof(value) };
    CK_RV rv = b->f->C_GetAttributeValue(session, object, &attr, 1);

    *ret = -1;
    if (rv != CKR_OK)
        return is_absent(rv) ? CKR_OK : rv;
    if (attr.ulValueLen == sizeof(value))
        *ret = value == CK_FALSE ? 0 : 1;
    return CKR_OK;
}

/* Asks for the length alone: the secret itself is never fetched. */
bool cryptoki_readable(const struct backend *b, CK_SESSION_HANDLE session,
                       CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ATTRIBUTE attr = { type, NULL, 0 };

    return b->f->C_GetAttributeValue(session, object, &attr, 1) == CKR_OK &&
           attr.ulValueLen != CK_UNAVAILABLE_INFORMATION && attr.ulValueLen > 0;
}
