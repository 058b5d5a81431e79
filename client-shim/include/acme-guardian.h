/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ACME_GUARDIAN_H
#define ACME_GUARDIAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * libacme-guardian: ask acme-guardiand(8) for signatures of ACME requests.
 *
 * All functions return GUARDIAN_OK (0) or one of GUARDIAN_E_*, and write their
 * results only with GUARDIAN_OK. Results are allocated by the library, read by
 * the caller and freed with the function that is named there; their structs
 * may grow at the end in later versions. Strings are UTF-8.
 *
 * The library prints nothing, never exits or aborts, raises no signal, starts
 * no thread and has no global state.
 */

enum guardian_result {
    GUARDIAN_OK = 0,

    /* What the daemon answered. */
    GUARDIAN_E_POLICY_DENIED = 1,     /* reason, operation, identifier, rule */
    GUARDIAN_E_MALFORMED_REQUEST = 2, /* reason, offset, detail */
    GUARDIAN_E_UNKNOWN_ACCOUNT = 3,
    GUARDIAN_E_ACCOUNT_NOT_READY = 4, /* state */
    GUARDIAN_E_KEY_CHANGED = 5,       /* thumbprint: of the current key */
    GUARDIAN_E_TOKEN_UNAVAILABLE = 6, /* retry_after_ms */
    GUARDIAN_E_BUSY = 7,              /* retry_after_ms */
    GUARDIAN_E_AUDIT_UNAVAILABLE = 8,
    GUARDIAN_E_RATE_LIMITED = 9, /* retry_after_ms */
    GUARDIAN_E_REFUSED = 10,     /* another error of a service: detail */

    /* What happened on this side. */
    GUARDIAN_E_ARGUMENT = 100, /* the call was wrong: detail */
    GUARDIAN_E_MEMORY = 101,
    GUARDIAN_E_UNAVAILABLE = 102, /* no daemon there: system_errno */
    GUARDIAN_E_TIMEOUT = 103,
    GUARDIAN_E_PROTOCOL = 104, /* what came back is no answer */
};

/* guardian_strerror() - words for a code; never NULL, not to be freed. */
const char *guardian_strerror(int code);

/**
 * struct guardian_error - more about an error, where there is more
 *
 * Every call takes the address of a pointer to one, which may be NULL. It is
 * set when the call fails (to NULL if even that takes more memory than there
 * is) and left alone when it succeeds. Strings that do not apply are NULL.
 */
struct guardian_error {
    int code;               /* GUARDIAN_E_* */
    int system_errno;       /* or 0 */
    const char *reason;     /* stable code, listed in acme-guardian.signer(7) */
    const char *operation;  /* what the request was read as */
    const char *identifier; /* the name that was refused */
    const char *rule;       /* FILE:LINE that decided, where one did */
    const char *detail;     /* words for a person */
    const char *state;      /* of the account */
    const char *thumbprint; /* of the account's current key */
    int64_t offset;         /* where in the request; -1: not told */
    int64_t retry_after_ms; /* when to ask again; -1: not told */
};

void guardian_error_free(struct guardian_error *error);

/**
 * struct guardian - a connection to the daemon, made when first needed
 *
 * Threads may share a handle; their calls run one after the other. After
 * fork(), the child has a connection of its own. When the daemon closes the
 * connection before it answers, as in a restart, the call is made once more
 * over a new one: signing twice does no harm.
 */
struct guardian;

/**
 * guardian_new() - a handle; connects to nothing yet
 * @socket_path: of the daemon; NULL: $ACME_GUARDIAN_SOCKET (not in set-user-ID
 *               programs), or else /run/acme-guardian/client.sock
 */
int guardian_new(const char *socket_path, struct guardian **ret);

/* guardian_free() - accepts NULL. No other thread may be in a call. */
void guardian_free(struct guardian *g);

/**
 * guardian_set_timeout() - the longest that one call may take, all in all
 * @timeout_ms: at least 1; 90 000 when not set: in a rotation
 *              the daemon holds requests for up to a minute
 */
int guardian_set_timeout(struct guardian *g, int timeout_ms);

/**
 * guardian_connect() - now, not when first needed
 *
 * For a program that goes where the socket is not: before chroot(), or before
 * giving up a group. Should the daemon close the connection later, the next
 * call has to reach the socket again.
 */
int guardian_connect(struct guardian *g, struct guardian_error **ret_error);

struct guardian_account {
    const char *name;
    const char *directory;  /* URL of the CA's directory */
    const char *url;        /* of the account at the CA; NULL: none yet */
    const char *alg;        /* "ES256", "ES384", "RS256", "EdDSA" */
    const char *jwk;        /* the public key, JSON (RFC 7517) */
    const char *thumbprint; /* of it (RFC 7638), base64url */
    const char *status;     /* "valid" when it can be used */
};

struct guardian_accounts {
    size_t n;
    const struct guardian_account *const *items;
};

/* guardian_list_accounts() - all that the caller may use, perhaps none */
int guardian_list_accounts(struct guardian *g, struct guardian_accounts **ret,
                           struct guardian_error **ret_error);
void guardian_accounts_free(struct guardian_accounts *accounts);

/**
 * guardian_get_account() - one of them
 * @account: its name; NULL when the caller has exactly one (the same in all
 *           calls below)
 */
int guardian_get_account(struct guardian *g, const char *account,
                         struct guardian_account **ret,
                         struct guardian_error **ret_error);
void guardian_account_free(struct guardian_account *account);

/* struct guardian_jws - a signed request, ready to be sent (RFC 8555 6.2) */
struct guardian_jws {
    const char *protected_; /* base64url */
    const char *payload;    /* base64url; "" for POST-as-GET */
    const char *signature;  /* base64url */
    const char *json;       /* all three, as an HTTP body */
};

void guardian_jws_free(struct guardian_jws *jws);

/**
 * struct guardian_sign_request - what guardian_sign() composes and signs
 * @account:    or NULL
 * @url:        where the request will be sent
 * @nonce:      of the CA, fresh
 * @payload:    exact JSON text; "" or NULL for POST-as-GET
 * @thumbprint: of the key that the caller believes in, or NULL; when that is no
 *              longer current, requests that depend on the key are answered
 *              GUARDIAN_E_KEY_CHANGED
 * @reserved:   all NULL
 */
struct guardian_sign_request {
    const char *account;
    const char *url;
    const char *nonce;
    const char *payload;
    const char *thumbprint;
    const void *reserved[4];
};

int guardian_sign(struct guardian *g,
                  const struct guardian_sign_request *request,
                  struct guardian_jws **ret, struct guardian_error **ret_error);

/**
 * struct guardian_sign_input - what guardian_sign_input() signs
 * @protected_: base64url, as the caller composed it
 * @payload:    base64url; "" or NULL for POST-as-GET
 *
 * The others as above.
 */
struct guardian_sign_input {
    const char *account;
    const char *protected_;
    const char *payload;
    const char *thumbprint;
    const void *reserved[4];
};

int guardian_sign_input(struct guardian *g,
                        const struct guardian_sign_input *input,
                        struct guardian_jws **ret,
                        struct guardian_error **ret_error);

/* What each challenge needs of a token (RFC 8555 section 8, RFC 8737). */
struct guardian_key_authorization {
    const char *key_authorization;   /* http-01: the file's content */
    const char *dns01;               /* dns-01: the TXT record's value */
    const char *tls_alpn01;          /* tls-alpn-01: SHA-256, hexadecimal */
    const char *dns_account01_label; /* or NULL: no account URL yet */
};

int guardian_key_authorization(struct guardian *g, const char *account,
                               const char *token,
                               struct guardian_key_authorization **ret,
                               struct guardian_error **ret_error);
void guardian_key_authorization_free(struct guardian_key_authorization *ka);

struct guardian_verdict {
    int allowed;            /* 1 or 0; when 0: */
    const char *reason;     /* as in struct guardian_error */
    const char *identifier; /* or NULL */
    const char *rule;       /* or NULL */
};

/**
 * guardian_check() - would this be allowed? Nothing is signed or counted.
 * @operation:   "order", "finalize", "revoke", ... (acme-guardian.signer(7))
 * @identifiers: @n names
 */
int guardian_check(struct guardian *g, const char *account,
                   const char *operation, const char *const *identifiers,
                   size_t n, struct guardian_verdict **ret,
                   struct guardian_error **ret_error);
void guardian_verdict_free(struct guardian_verdict *verdict);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
