/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pkcs11/backend.h"

const struct backend_ops *backend_ops_get(enum settings_backend kind)
{
    static const struct backend_ops *const all[] = {
        &cryptoki_backend,
        &libp11_backend,
        &sealed_backend,
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i]->kind == kind)
            return all[i];
    }
    return NULL;
}
