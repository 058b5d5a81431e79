/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A PKCS#11 module for tests that wraps a real one ($FAULTY_MODULE) and fails
 * on command (faulty-rules.h): hangs, crashes, lies about signatures, flags,
 * attributes and handles. It also notes every call ($FAULTY_TRACE), and that no
 * session is used by two threads at once ("OVERLAP" in the trace). And it waits
 * at gates, so that a test can end the process there (tests/tools/gate.h).
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../tools/gate.h"
#include "faulty-rules.h"

#define EXPORT __attribute__((visibility("default")))
#define SESSIONS_MAX 256
#define LONG_SIGNATURE 1000

CK_RV EXPORT C_GetFunctionList(CK_FUNCTION_LIST **list);

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST ours;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct session {
    CK_SESSION_HANDLE handle; /* 0: free */
    char label[128];          /* of the key it signs with */
    bool busy;
} sessions[SESSIONS_MAX];
static CK_SLOT_ID last_slot;

static struct session *session_of(CK_SESSION_HANDLE handle)
{
    for (size_t i = 0; handle && i < SESSIONS_MAX; i++) {
        if (sessions[i].handle == handle)
            return &sessions[i];
    }
    return NULL;
}

static unsigned n_open(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < SESSIONS_MAX; i++)
        n += sessions[i].handle != 0;
    return n;
}

struct call {
    const char *name;
    CK_SESSION_HANDLE session;
    struct faulty_rule rule;
};

static void *idle(void *arg)
{
    pause();
    return arg;
}

static void misbehave(const struct faulty_rule *r)
{
    struct timespec t = { r->ms / 1000, (long)(r->ms % 1000) * 1000000 };
    pthread_t thread;

    if (r->print[0]) {
        printf("%s\n", r->print);
        (void)fflush(stdout);
    }
    if (r->ms)
        (void)nanosleep(&t, NULL);
    while (r->hang)
        pause();
    if (r->segv)
        (void)raise(SIGSEGV);
    if (r->thread)
        (void)pthread_create(&thread, NULL, idle, NULL);
    for (size_t i = 0; r->logout && i < SESSIONS_MAX; i++) {
        if (sessions[i].handle && real->C_Logout(sessions[i].handle) == CKR_OK)
            break;
    }
    if (r->closeall)
        (void)real->C_CloseAllSessions(last_slot);
    if (r->fork && fork() == 0)
        _exit(0);
}

/* A gate ($FAULTY_GATE) is where something is changed or signed. */
static void pass_gate(const char *name, const char *side)
{
    static const char *const gated[] = { "C_GenerateKeyPair", "C_Sign",
                                         "C_DestroyObject" };

    for (size_t i = 0; i < sizeof(gated) / sizeof(gated[0]); i++) {
        if (strcmp(name, gated[i]) == 0)
            (void)gate_pass("FAULTY_GATE", name, side);
    }
}

static struct call begin(const char *name, CK_SESSION_HANDLE handle)
{
    struct call c = { .name = name, .session = handle };
    char label[128] = "";
    struct session *s;

    pthread_mutex_lock(&lock);
    s = session_of(handle);
    if (s) {
        (void)snprintf(label, sizeof(label), "%s", s->label);
        if (s->busy)
            faulty_trace("OVERLAP", handle, 0);
        s->busy = true;
    }
    pthread_mutex_unlock(&lock);
    c.rule = faulty_rule_get(name, handle, label);
    misbehave(&c.rule);
    pass_gate(name, "before");
    return c;
}

/* Is the real call left out? */
static bool skips(const struct call *c)
{
    return c->rule.has_rv && !c->rule.post;
}

static CK_RV end(const struct call *c, CK_RV rv)
{
    struct session *s;

    pass_gate(c->name, "after");
    if (c->rule.has_rv)
        rv = c->rule.rv;
    pthread_mutex_lock(&lock);
    s = session_of(c->session);
    if (s)
        s->busy = false;
    pthread_mutex_unlock(&lock);
    faulty_trace(c->name, c->session, rv);
    return rv;
}

/* The wrappers that only pass on, or not. */
#define WRAP(name, params, session, args)                                      \
    static CK_RV faulty_##name params                                          \
    {                                                                          \
        struct call c = begin("C_" #name, session);                            \
        CK_RV rv = skips(&c) ? CKR_OK : real->C_##name args;                   \
                                                                               \
        return end(&c, rv);                                                    \
    }

WRAP(Initialize, (void *args), 0, (args))
WRAP(Finalize, (void *reserved), 0, (reserved))
WRAP(GetInfo, (CK_INFO * info), 0, (info))
WRAP(GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO *info), 0, (slot, info))
WRAP(GetSlotList, (CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *n), 0,
     (present, list, n))
WRAP(GetMechanismInfo,
     (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info), 0,
     (slot, type, info))
WRAP(GetSessionInfo, (CK_SESSION_HANDLE s, CK_SESSION_INFO *info), s, (s, info))
WRAP(Login,
     (CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len),
     s, (s, user, pin, len))
WRAP(Logout, (CK_SESSION_HANDLE s), s, (s))
WRAP(InitPIN, (CK_SESSION_HANDLE s, CK_UTF8CHAR *pin, CK_ULONG len), s,
     (s, pin, len))
WRAP(FindObjectsInit, (CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n), s,
     (s, t, n))
WRAP(FindObjectsFinal, (CK_SESSION_HANDLE s), s, (s))
WRAP(DestroyObject, (CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o), s, (s, o))

static CK_RV faulty_GenerateKeyPair(CK_SESSION_HANDLE s, CK_MECHANISM *m,
                                    CK_ATTRIBUTE *pub, CK_ULONG n_pub,
                                    CK_ATTRIBUTE *priv, CK_ULONG n_priv,
                                    CK_OBJECT_HANDLE *ret_pub,
                                    CK_OBJECT_HANDLE *ret_priv)
{
    static CK_OBJECT_HANDLE first[2];
    struct call c = begin("C_GenerateKeyPair", s);
    CK_RV rv = skips(&c) ? CKR_OK
                         : real->C_GenerateKeyPair(s, m, pub, n_pub, priv,
                                                   n_priv, ret_pub, ret_priv);

    pthread_mutex_lock(&lock);
    if (rv == CKR_OK && !skips(&c) && !first[0]) {
        first[0] = *ret_pub;
        first[1] = *ret_priv;
    } else if (rv == CKR_OK && c.rule.twin) {
        *ret_pub = first[0];
        *ret_priv = first[1];
    }
    pthread_mutex_unlock(&lock);
    return end(&c, rv);
}

static CK_RV faulty_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    struct call c = begin("C_GetTokenInfo", 0);
    CK_RV rv = skips(&c) ? CKR_OK : real->C_GetTokenInfo(slot, info);

    if (rv == CKR_OK && c.rule.flags)
        info->flags |= c.rule.flags;
    if (rv == CKR_OK && c.rule.limit) {
        info->ulTotalPrivateMemory = 65536;
        info->ulFreePrivateMemory = c.rule.limit;
    }
    return end(&c, rv);
}

static CK_RV open_session(const struct faulty_rule *r, CK_SLOT_ID slot,
                          CK_FLAGS flags, CK_SESSION_HANDLE *ret)
{
    CK_RV rv;

    if (r->limit && n_open() >= r->limit)
        return CKR_SESSION_COUNT;
    for (size_t i = 0; r->duplicate && i < SESSIONS_MAX; i++) {
        if (sessions[i].handle) {
            *ret = sessions[i].handle;
            return CKR_OK;
        }
    }
    last_slot = slot;
    rv = real->C_OpenSession(slot, flags, NULL, NULL, ret);
    for (size_t i = 0; rv == CKR_OK && i < SESSIONS_MAX; i++) {
        if (!sessions[i].handle) {
            sessions[i] = (struct session){ .handle = *ret };
            break;
        }
    }
    return rv;
}

static CK_RV faulty_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *data,
                                CK_NOTIFY notify, CK_SESSION_HANDLE *ret)
{
    struct call c = begin("C_OpenSession", 0);
    CK_RV rv = CKR_OK;

    (void)data;
    (void)notify;
    pthread_mutex_lock(&lock);
    if (!skips(&c))
        rv = open_session(&c.rule, slot, flags, ret);
    pthread_mutex_unlock(&lock);
    return end(&c, rv);
}

static CK_RV faulty_CloseSession(CK_SESSION_HANDLE handle)
{
    struct call c = begin("C_CloseSession", handle);
    CK_RV rv = skips(&c) ? CKR_OK : real->C_CloseSession(handle);
    struct session *s;

    pthread_mutex_lock(&lock);
    s = session_of(handle);
    if (s)
        *s = (struct session){ 0 };
    pthread_mutex_unlock(&lock);
    return end(&c, rv);
}

static CK_RV faulty_FindObjects(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *ret,
                                CK_ULONG max, CK_ULONG *n)
{
    struct call c = begin("C_FindObjects", s);
    CK_RV rv = skips(&c) ? CKR_OK : real->C_FindObjects(s, ret, max, n);

    if (rv == CKR_OK && c.rule.empty)
        *n = 0;
    return end(&c, rv);
}

static CK_RV faulty_GetAttributeValue(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o,
                                      CK_ATTRIBUTE *t, CK_ULONG n)
{
    struct call c = begin("C_GetAttributeValue", s);
    CK_RV rv = skips(&c) ? CKR_OK : real->C_GetAttributeValue(s, o, t, n);

    if (c.rule.has_attr && n == 1 && t->type == c.rule.attr) {
        rv = c.rule.value < 0 ? CKR_ATTRIBUTE_TYPE_INVALID : CKR_OK;
        t->ulValueLen = 1;
        if (c.rule.value >= 0 && t->pValue)
            *(CK_BBOOL *)t->pValue = (CK_BBOOL)c.rule.value;
    }
    return end(&c, rv);
}

static void note_label(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
    char label[128] = "";
    CK_ATTRIBUTE attr = { CKA_LABEL, label, sizeof(label) - 1 };
    struct session *s;

    if (real->C_GetAttributeValue(handle, key, &attr, 1) == CKR_OK)
        label[attr.ulValueLen] = '\0';
    pthread_mutex_lock(&lock);
    s = session_of(handle);
    if (s)
        (void)snprintf(s->label, sizeof(s->label), "%s", label);
    pthread_mutex_unlock(&lock);
}

static CK_RV faulty_SignInit(CK_SESSION_HANDLE s, CK_MECHANISM *m,
                             CK_OBJECT_HANDLE key)
{
    struct call c;
    CK_RV rv;

    note_label(s, key);
    c = begin("C_SignInit", s);
    rv = skips(&c) ? CKR_OK : real->C_SignInit(s, m, key);
    return end(&c, rv);
}

/* The signature made before takes the place of this one, which is kept. */
static void give_last(CK_BYTE *sig, CK_ULONG *len, CK_ULONG room)
{
    static CK_BYTE last[LONG_SIGNATURE];
    static CK_ULONG last_len;
    CK_BYTE now[LONG_SIGNATURE];
    CK_ULONG now_len = *len;

    memcpy(now, sig, now_len);
    if (last_len && last_len <= room) {
        memcpy(sig, last, last_len);
        *len = last_len;
    }
    memcpy(last, now, now_len);
    last_len = now_len;
}

static CK_RV faulty_Sign(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG len,
                         CK_BYTE *sig, CK_ULONG *sig_len)
{
    struct call c = begin("C_Sign", s);
    CK_ULONG room = *sig_len;
    CK_RV rv = skips(&c) ? CKR_OK : real->C_Sign(s, data, len, sig, sig_len);

    if (rv == CKR_OK && c.rule.shorter)
        (*sig_len)--;
    if (rv == CKR_OK && c.rule.longer && room >= LONG_SIGNATURE)
        *sig_len = LONG_SIGNATURE;
    if (rv == CKR_OK && c.rule.last && *sig_len <= LONG_SIGNATURE) {
        pthread_mutex_lock(&lock);
        give_last(sig, sig_len, room);
        pthread_mutex_unlock(&lock);
    }
    if (rv == CKR_OK && c.rule.flip)
        sig[*sig_len / 2] ^= 1;
    return end(&c, rv);
}

CK_RV EXPORT C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    const char *path = getenv("FAULTY_MODULE");
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_C_GetFunctionList get;
    CK_RV rv;

    if (!module)
        return CKR_GENERAL_ERROR;
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    rv = get ? get(&real) : CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        return rv;
    ours = *real;
    ours.C_GetFunctionList = C_GetFunctionList;
    ours.C_Initialize = faulty_Initialize;
    ours.C_Finalize = faulty_Finalize;
    ours.C_GetInfo = faulty_GetInfo;
    ours.C_GetSlotInfo = faulty_GetSlotInfo;
    ours.C_GetSlotList = faulty_GetSlotList;
    ours.C_GetTokenInfo = faulty_GetTokenInfo;
    ours.C_GetMechanismInfo = faulty_GetMechanismInfo;
    ours.C_OpenSession = faulty_OpenSession;
    ours.C_CloseSession = faulty_CloseSession;
    ours.C_GetSessionInfo = faulty_GetSessionInfo;
    ours.C_Login = faulty_Login;
    ours.C_Logout = faulty_Logout;
    ours.C_InitPIN = faulty_InitPIN;
    ours.C_FindObjectsInit = faulty_FindObjectsInit;
    ours.C_FindObjects = faulty_FindObjects;
    ours.C_FindObjectsFinal = faulty_FindObjectsFinal;
    ours.C_GetAttributeValue = faulty_GetAttributeValue;
    ours.C_GenerateKeyPair = faulty_GenerateKeyPair;
    ours.C_DestroyObject = faulty_DestroyObject;
    ours.C_SignInit = faulty_SignInit;
    ours.C_Sign = faulty_Sign;
    *list = &ours;
    return CKR_OK;
}
