/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/backend.h"

#include <stdarg.h>
#include <stdio.h>

#include "pkcs11/ckr.h"

static void set_text(struct backend_error *err, const char *fmt, va_list args)
    PRINTF(2, 0);

static void set_text(struct backend_error *err, const char *fmt, va_list args)
{
    char text[TOKEN_TEXT_MAX];
    const char *name = ckr_name(err->ckr);

    (void)vsnprintf(text, sizeof(text), fmt, args);
    if (err->ckr == 0)
        (void)snprintf(err->text, sizeof(err->text), "%s", text);
    else if (name)
        (void)snprintf(err->text, sizeof(err->text), "%.200s: %s", text, name);
    else
        (void)snprintf(err->text, sizeof(err->text), "%.200s: CK_RV 0x%lx",
                       text, err->ckr);
}

enum token_result backend_fail(struct backend_error *err,
                               enum token_result result, enum backend_cure cure,
                               unsigned long ckr, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return result;
    *err = (struct backend_error){ .result = result, .cure = cure, .ckr = ckr };
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return result;
}

enum token_result refuse_token(struct backend_error *err,
                               enum token_result result, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return result;
    *err = (struct backend_error){ .result = result };
    va_start(args, fmt);
    set_text(err, fmt, args);
    va_end(args);
    return result;
}
