/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The PKCS#11 module, loaded by who is not its helper. */
#include "separation-probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

#define SLOTS_MAX 64

static CK_FUNCTION_LIST *load(const char *path)
{
    CK_FUNCTION_LIST *functions = NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;

    if (!module) {
        printf("%s", dlerror());
        return NULL;
    }
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (!get || get(&functions) != CKR_OK)
        printf("no C_GetFunctionList");
    return functions;
}

static int has_label(CK_FUNCTION_LIST *f, CK_SLOT_ID slot, const char *label)
{
    CK_TOKEN_INFO info;
    size_t len = strlen(label);

    if (f->C_GetTokenInfo(slot, &info) != CKR_OK || len > sizeof(info.label))
        return 0;
    return memcmp(info.label, label, len) == 0 &&
           (len == sizeof(info.label) || info.label[len] == ' ');
}

static int log_in(CK_FUNCTION_LIST *f, CK_SLOT_ID slot, char *pin)
{
    CK_SESSION_HANDLE session;
    CK_RV rv = f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL,
                                NULL, &session);

    if (rv == CKR_OK)
        rv = f->C_Login(session, CKU_USER, (unsigned char *)pin, strlen(pin));
    if (rv == CKR_OK)
        return 0;
    printf("CKR 0x%lx", rv);
    return EACCES;
}

int attempt_load_module(const char *argument)
{
    char path[PATH_MAX], label[64], pin[64];
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    CK_FUNCTION_LIST *f;
    CK_RV rv;

    if (sscanf(argument, "%4000[^,],%60[^,],%60[^,]", path, label, pin) != 3)
        return EINVAL;
    f = load(path);
    if (!f)
        return ELIBACC;
    rv = f->C_Initialize(NULL);
    if (rv == CKR_OK)
        rv = f->C_GetSlotList(1, slots, &n);
    if (rv != CKR_OK) {
        printf("CKR 0x%lx", rv);
        return ENODEV;
    }
    for (CK_ULONG i = 0; i < n; i++)
        if (has_label(f, slots[i], label))
            return log_in(f, slots[i], pin);
    printf("no such token");
    return ENODEV;
}
