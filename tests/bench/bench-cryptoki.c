/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * bench-cryptoki MODULE TOKEN PIN LABEL CLIENTS SECONDS
 *
 * ES256 by plain Cryptoki calls: SHA-256 of a newOrder's signing input,
 * C_SignInit and C_Sign, CLIENTS processes of one session each. With SoftHSM2
 * as MODULE this is the limit; with p11-kit-client.so it is `p11-kit server`
 * over its socket.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>
#include <p11-kit/pkcs11.h>

#include "tests/bench/bench.h"

struct config {
    const char *module, *token, *pin, *label;
};

struct client {
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
};

/* What a newOrder of two names comes to, as base64url text. */
#define INPUT_LEN 360

static CK_RV find_slot(CK_FUNCTION_LIST *f, const char *token, CK_SLOT_ID *ret)
{
    CK_SLOT_ID slots[32];
    CK_ULONG n = 32;
    CK_RV rv = f->C_GetSlotList(CK_TRUE, slots, &n);

    for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
        CK_TOKEN_INFO info;

        rv = f->C_GetTokenInfo(slots[i], &info);
        if (rv == CKR_OK &&
            strncmp((char *)info.label, token, strlen(token)) == 0) {
            *ret = slots[i];
            return CKR_OK;
        }
    }
    return rv == CKR_OK ? CKR_TOKEN_NOT_PRESENT : rv;
}

static CK_RV find_key(struct client *c, const char *label)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    char text[128];
    CK_ATTRIBUTE wanted[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_LABEL, text, strlen(label) },
    };
    CK_ULONG n = 0;
    CK_RV rv;

    (void)snprintf(text, sizeof(text), "%s", label);
    rv = c->f->C_FindObjectsInit(c->session, wanted, 2);
    if (rv == CKR_OK)
        rv = c->f->C_FindObjects(c->session, &c->key, 1, &n);
    if (rv == CKR_OK)
        rv = c->f->C_FindObjectsFinal(c->session);
    return rv == CKR_OK && n != 1 ? CKR_KEY_HANDLE_INVALID : rv;
}

static void *open_client(void *userdata)
{
    const struct config *config = userdata;
    struct client *c = calloc(1, sizeof(*c));
    void *lib = dlopen(config->module, RTLD_NOW);
    CK_C_GetFunctionList get = NULL;
    CK_SLOT_ID slot = 0;
    char pin[64];
    CK_RV rv = CKR_GENERAL_ERROR;

    if (lib)
        *(void **)&get = dlsym(lib, "C_GetFunctionList");
    if (get && c)
        rv = get(&c->f);
    if (rv == CKR_OK)
        rv = c->f->C_Initialize(NULL);
    if (rv == CKR_OK)
        rv = find_slot(c->f, config->token, &slot);
    if (rv == CKR_OK)
        rv = c->f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL,
                                 &c->session);
    (void)snprintf(pin, sizeof(pin), "%s", config->pin);
    if (rv == CKR_OK)
        rv = c->f->C_Login(c->session, CKU_USER, (CK_UTF8CHAR *)pin,
                           strlen(pin));
    if (rv == CKR_OK)
        rv = find_key(c, config->label);
    if (rv != CKR_OK) {
        fprintf(stderr, "%s: 0x%lx\n", config->module, rv);
        free(c);
        return NULL;
    }
    return c;
}

static int sign(void *client, uint64_t n)
{
    CK_MECHANISM mechanism = { CKM_ECDSA, NULL, 0 };
    struct client *c = client;
    char input[INPUT_LEN];
    unsigned char digest[32], signature[128];
    CK_ULONG len = sizeof(signature);

    memset(input, 'A', sizeof(input));
    memcpy(input, &n, sizeof(n));
    (void)SHA256((unsigned char *)input, sizeof(input), digest);
    if (c->f->C_SignInit(c->session, &mechanism, c->key) != CKR_OK ||
        c->f->C_Sign(c->session, digest, sizeof(digest), signature, &len) !=
            CKR_OK)
        return 1;
    return len != 64;
}

int main(int argc, char **argv)
{
    const struct bench_side side = { open_client, sign };
    struct bench_result r;
    struct config config;

    if (argc != 7) {
        fprintf(stderr, "usage: bench-cryptoki MODULE TOKEN PIN LABEL CLIENTS "
                        "SECONDS\n");
        return 64;
    }
    config = (struct config){ argv[1], argv[2], argv[3], argv[4] };
    bench_run(&side, &config, (unsigned)atoi(argv[5]), 0.3, atof(argv[6]), &r);
    printf("{\"ops\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%llu}\n",
           r.ops, r.p50_us, r.p99_us, (unsigned long long)r.errors);
    return r.errors ? 1 : 0;
}
