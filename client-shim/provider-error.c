/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-shim/provider.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Each error is one whole sentence in the data of OpenSSL's queue, since that
 * is what clients print; the words of the reason alone would be too few.
 */

#define TEXT_MAX 640

/* OSSL_ITEM with words that nobody may write to. */
struct prov_words {
    unsigned number;
    const char *words;
};
static_assert(sizeof(struct prov_words) == sizeof(OSSL_ITEM) &&
                  offsetof(struct prov_words, words) ==
                      offsetof(OSSL_ITEM, ptr),
              "it is passed as one");

static const struct prov_words reasons[] = {
    { PROV_E_STUB, "unusable stub" },
    { PROV_E_MEMORY, "out of memory" },
    { PROV_E_DIGEST, "unsupported digest" },
    { PROV_E_NO_REQUEST, "not an ACME request" },
    { PROV_E_BUFFER, "buffer too small" },
    { PROV_E_CONFIG, "bad configuration" },
    { PROV_E_PARAMETER, "unsupported parameter" },
    { PROV_E_SIGNATURE, "unusable signature" },
#define GUARDIAN(code, words)                                                  \
    {                                                                          \
        PROV_E_GUARDIAN + (code), words                                        \
    }
    GUARDIAN(GUARDIAN_E_POLICY_DENIED, "policy denied"),
    GUARDIAN(GUARDIAN_E_MALFORMED_REQUEST, "malformed request"),
    GUARDIAN(GUARDIAN_E_UNKNOWN_ACCOUNT, "unknown account"),
    GUARDIAN(GUARDIAN_E_ACCOUNT_NOT_READY, "account not ready"),
    GUARDIAN(GUARDIAN_E_KEY_CHANGED, "key changed"),
    GUARDIAN(GUARDIAN_E_TOKEN_UNAVAILABLE, "token unavailable"),
    GUARDIAN(GUARDIAN_E_BUSY, "guardian busy"),
    GUARDIAN(GUARDIAN_E_AUDIT_UNAVAILABLE, "audit unavailable"),
    GUARDIAN(GUARDIAN_E_RATE_LIMITED, "rate limited"),
    GUARDIAN(GUARDIAN_E_REFUSED, "refused"),
    GUARDIAN(GUARDIAN_E_ARGUMENT, "invalid argument"),
    GUARDIAN(GUARDIAN_E_MEMORY, "out of memory"),
    GUARDIAN(GUARDIAN_E_UNAVAILABLE, "guardian cannot be reached"),
    GUARDIAN(GUARDIAN_E_TIMEOUT, "no answer in time"),
    GUARDIAN(GUARDIAN_E_PROTOCOL, "unusable answer"),
#undef GUARDIAN
    { 0, NULL },
};

const OSSL_ITEM *prov_reasons(void)
{
    return (const OSSL_ITEM *)(const void *)reasons;
}

static const char *reason_words(int reason)
{
    for (const struct prov_words *r = reasons; r->words; r++) {
        if (r->number == (unsigned)reason)
            return r->words;
    }
    return "error";
}

static void raise_list(const struct prov *p, int reason, const char *fmt, ...)
    PRINTF(3, 4);

static void raise_list(const struct prov *p, int reason, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    p->vset_error(p->core, (uint32_t)reason, fmt, args);
    va_end(args);
}

/* What another process sent goes to somebody's terminal. */
static void make_printable(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

/* For programs that drop what is in the queue. */
static void print_line(const char *text)
{
    char line[TEXT_MAX + sizeof(PROV_NAME) + 4];
    int n = snprintf(line, sizeof(line), "%s: %s\n", PROV_NAME, text);

    /* One write, since others may write there, too; nobody to tell if not. */
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

void prov_raise_at(const struct prov *p, const char *file, int line,
                   const char *function, int reason, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    make_printable(text);
    p->new_error(p->core);
    p->set_error_debug(p->core, file, line, function);
    raise_list(p, reason, "%s", text);
    if (p->errors_to_stderr)
        print_line(text);
}

static const char *or_none(const char *text)
{
    return text ? text : "";
}

/* " (FILE:LINE)", or nothing. */
static void format_rule(const struct guardian_error *e, char *ret, size_t size)
{
    (void)snprintf(ret, size, e->rule ? " (%s)" : "%s", or_none(e->rule));
}

static void format_retry(const struct guardian_error *e, char *ret, size_t size)
{
    if (e->retry_after_ms < 0)
        (void)snprintf(ret, size, "try again later");
    else
        (void)snprintf(ret, size, "try again in %lld ms",
                       (long long)e->retry_after_ms);
}

/* What the daemon answered. */
static void format_answer(const struct prov_key *key, int code,
                          const struct guardian_error *e, char *ret,
                          size_t size)
{
    const char *account = key->stub.account;

    switch (code) {
    case GUARDIAN_E_POLICY_DENIED: {
        char rule[300];

        format_rule(e, rule, sizeof(rule));
        (void)snprintf(ret, size, "%s%s%s%s", or_none(e->reason),
                       e->identifier ? " " : "", or_none(e->identifier), rule);
        break;
    }
    case GUARDIAN_E_MALFORMED_REQUEST:
        (void)snprintf(ret, size, "%s at octet %lld%s%s", or_none(e->reason),
                       (long long)e->offset, e->detail ? ": " : "",
                       or_none(e->detail));
        break;
    case GUARDIAN_E_UNKNOWN_ACCOUNT:
        (void)snprintf(ret, size,
                       "there is no account %s for this user at %s: see its "
                       "policy, or write another stub with guardianctl stub "
                       "write",
                       account, key->stub.socket);
        break;
    case GUARDIAN_E_ACCOUNT_NOT_READY:
        (void)snprintf(ret, size, "%s is %s: see guardianctl account show %s",
                       account, e->state ? e->state : "not ready", account);
        break;
    case GUARDIAN_E_KEY_CHANGED:
        (void)snprintf(ret, size,
                       "account %s has a new key, and this stub is of an older "
                       "one: run guardianctl stub refresh, then try again",
                       account);
        break;
    case GUARDIAN_E_TOKEN_UNAVAILABLE:
    case GUARDIAN_E_BUSY:
    case GUARDIAN_E_RATE_LIMITED:
        format_retry(e, ret, size);
        break;
    default:
        (void)snprintf(ret, size, "%s",
                       e->detail ? e->detail : guardian_strerror(code));
        break;
    }
}

/* What happened on this side. */
static void format_here(const struct prov_key *key, int code,
                        const struct guardian_error *e, char *ret, size_t size)
{
    const char *socket = key->stub.socket;

    if (code == GUARDIAN_E_UNAVAILABLE)
        (void)snprintf(ret, size,
                       "%s: %s; is acme-guardian running, and the "
                       "socket within this process's root?",
                       socket, e->detail ? e->detail : "not there");
    else if (code == GUARDIAN_E_TIMEOUT)
        (void)snprintf(ret, size,
                       "%s: nothing for %d s; whether it was signed "
                       "is in the audit log",
                       socket, key->prov->timeout_ms / 1000);
    else
        (void)snprintf(ret, size, "%s: %s", socket,
                       e->detail ? e->detail : guardian_strerror(code));
}

void prov_raise_guardian(const struct prov_key *key, int code,
                         const struct guardian_error *e)
{
    static const struct guardian_error nothing = { .offset = -1,
                                                   .retry_after_ms = -1 };
    int reason = PROV_E_GUARDIAN + code;
    char text[TEXT_MAX];

    if (code >= GUARDIAN_E_ARGUMENT)
        format_here(key, code, e ? e : &nothing, text, sizeof(text));
    else
        format_answer(key, code, e ? e : &nothing, text, sizeof(text));
    prov_raise(key->prov, reason, "%s: %s", reason_words(reason), text);
}
