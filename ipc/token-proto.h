/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * What the daemon may ask of a token helper, and nothing else: one datagram of
 * a SOCK_SEQPACKET socket each way, a fixed header and at most TOKEN_DATA_MAX
 * octets of data whose meaning the operation fixes. Both ends run on one host
 * from one build, so fields are in host order; the version is checked all the
 * same. Requests are answered in any order, matched by id. A datagram that does
 * not fit exactly is answered TOKEN_S_PROTOCOL and the helper exits.
 *
 * The helper serves one connection and exits when it closes: the restart is
 * what cures leaks, hangs and lost tokens (facts: error codes do not tell).
 */

#define TOKEN_PROTO_VERSION 1
#define TOKEN_LABEL_MAX 120 /* PREFIX:INSTANCE:ACCOUNT:GENERATION */
#define TOKEN_DATA_MAX (64 * 1024 + 1)
#define TOKEN_SIGNATURE_MAX 512
#define TOKEN_SPKI_MAX 600
#define TOKEN_TEXT_MAX 256
/* Making a key takes long on a card: as many times Timeout=, at both ends. */
#define TOKEN_GENERATE_TIMEOUTS 6
#define TOKEN_LIST_MAX 64 /* keys in one TOKEN_OP_LIST answer */

enum token_op {
    TOKEN_OP_UNSET = 0,
    TOKEN_OP_STATUS,   /* data: none -> struct token_status */
    TOKEN_OP_LIST,     /* label: prefix, data: struct token_list_request
                          -> struct token_key[] */
    TOKEN_OP_FIND,     /* label -> struct token_key */
    TOKEN_OP_FIND_URI, /* data: RFC 7512 URI -> struct token_key */
    TOKEN_OP_GENERATE, /* label within KeyPrefix=, alg -> struct token_key; the
                          label is new */
    TOKEN_OP_SIGN,     /* label, alg, data: the whole JWS signing input
                          -> the JWS signature (r||s for ECDSA) */
    TOKEN_OP_DESTROY,  /* label within KeyPrefix= -> none */
    TOKEN_OP_UNLOCK,   /* forget that the PIN failed and log in once more
                          -> struct token_status */
    TOKEN_OP_COUNT
};

enum token_result {
    TOKEN_S_UNSET = 0,
    TOKEN_S_OK,
    TOKEN_S_PROTOCOL,      /* the request broke this file's rules */
    TOKEN_S_UNSUPPORTED,   /* "unsupported-by-backend" */
    TOKEN_S_NO_KEY,        /* no such key */
    TOKEN_S_AMBIGUOUS,     /* more than one key of that name */
    TOKEN_S_EXISTS,        /* GENERATE: the label is taken */
    TOKEN_S_KEY_UNFIT,     /* attributes do not prove it unextractable, or it
                              needs a PIN for each signature */
    TOKEN_S_NO_TOKEN,      /* module cannot be loaded, or token not there */
    TOKEN_S_PIN_WRONG,     /* refused by the token; not sent again */
    TOKEN_S_PIN_LOCKED,    /* CKR_PIN_LOCKED, or a flag says the last try */
    TOKEN_S_PIN_MISSING,   /* Pin= names nothing that can be read */
    TOKEN_S_FULL,          /* no space for another key or session */
    TOKEN_S_BAD_SIGNATURE, /* wrong length, or it did not verify: not released
                            */
    TOKEN_S_FAILED,        /* after the ladder; the helper exits next */
    TOKEN_S_NOT_OURS,      /* GENERATE, DESTROY: a label outside KeyPrefix= */
    TOKEN_S_COUNT
};

/*
 * Signature algorithms on the wire: the values of enum jws_alg (acme/jwk.h),
 * written again because the helper sees no JOSE code; the daemon asserts that
 * they agree.
 */
enum token_alg {
    TOKEN_ALG_UNSET = 0,
    TOKEN_ALG_ES256,
    TOKEN_ALG_ES384,
    TOKEN_ALG_RS256,
    TOKEN_ALG_EDDSA,
};

struct token_request {
    uint32_t version;
    uint32_t op;
    uint64_t id;
    uint32_t alg;      /* GENERATE, SIGN; else 0 */
    uint32_t rsa_bits; /* GENERATE with RS256: 2048, 3072 or 4096; else 0 */
    uint32_t data_len; /* octets that follow, exactly */
    uint32_t reserved; /* 0 */
    char label[TOKEN_LABEL_MAX + 8]; /* NUL-terminated, zero-filled */
};

struct token_reply {
    uint32_t version;
    uint32_t result;
    uint64_t id;
    uint32_t data_len;
    uint32_t ckr;              /* the last CK_RV, or 0: for people */
    char text[TOKEN_TEXT_MAX]; /* for people: what failed; "" when OK */
};

/* TOKEN_OP_STATUS */
struct token_status {
    uint32_t result;  /* TOKEN_S_OK: logged in and able to sign */
    uint32_t backend; /* enum settings_backend */
    uint32_t processes;
    uint32_t sessions;
    uint32_t unseparated;   /* runs as the daemon's own user */
    uint32_t free_plus_one; /* octets for keys; 0: the token does not tell */
    char token_label[64];
    char manufacturer[64];
    char model[32];
    char serial[32];
    char library[64]; /* "description x.y" */
    char text[TOKEN_TEXT_MAX];
};

enum token_attr {
    TOKEN_ATTR_SENSITIVE = 1 << 0,
    TOKEN_ATTR_UNEXTRACTABLE = 1 << 1,
    TOKEN_ATTR_ALWAYS_SENSITIVE = 1 << 2,
    TOKEN_ATTR_NEVER_EXTRACTABLE = 1 << 3,
    TOKEN_ATTR_LOCAL = 1 << 4,
    TOKEN_ATTR_SIGN_ONLY = 1 << 5, /* no decrypt, unwrap, derive */
    TOKEN_ATTR_SOFTWARE = 1 << 6,  /* sealed: encrypted software, no HSM */
};

/* TOKEN_OP_LIST: keys [skip, skip + TOKEN_LIST_MAX) of those with the prefix.
 */
struct token_list_request {
    uint32_t skip;
    uint32_t reserved;
};

struct token_key {
    char label[TOKEN_LABEL_MAX + 8];
    uint32_t alg;
    uint32_t attrs;       /* enum token_attr that are proven true */
    uint32_t attrs_known; /* which of them the token told at all */
    uint32_t spki_len;
    uint8_t id[32]; /* CKA_ID, zero-filled */
    uint32_t id_len;
    uint32_t reserved;
    uint8_t spki[TOKEN_SPKI_MAX]; /* DER SubjectPublicKeyInfo */
};
