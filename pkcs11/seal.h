/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/bytes.h"
#include "base/errmsg.h"
#include "base/secret.h"
#include "ipc/token-proto.h"

/*
 * What the files of a sealed store hold: octets in, octets out, no I/O.
 *
 * The header (one for each store; all integers big-endian):
 *
 *     "AGSEALED" version:4 n_slots:4 store_id:16
 *     n_slots times: kind:4 0:4 opslimit:8 memlimit:8 salt:16 nonce:24 box:48
 *     sum:32   BLAKE2b-256 of all before: finds damage before any secret is
 *              tried, so that a bad disk does not read as a wrong secret
 *     mac:32   the same, keyed with a subkey of the master key: finds intent
 *
 * A slot's box is the master key under XChaCha20-Poly1305 with a key made from
 * one secret: from a credential (high entropy) with salted BLAKE2b, from a
 * passphrase with Argon2id and the slot's limits. Version, store id, kind,
 * limits and salt are its associated data.
 *
 * A key file:
 *
 *     "AGKEYBOX" version:4 store_id:16 alg:4 label_len:4 label spki_len:4 spki
 *     nonce:24 box_len:4 box     (the private key, PKCS#8 DER)
 *
 * All before the nonce is the box's associated data, so that neither label nor
 * public key can be exchanged, nor a file of another store be slipped in.
 */

#define SEAL_VERSION 1
#define SEAL_ID_LEN 16
#define SEAL_MASTER_LEN 32
#define SEAL_SALT_LEN 16
#define SEAL_NONCE_LEN 24
#define SEAL_TAG_LEN 16
#define SEAL_SLOTS_MAX 8
#define SEAL_HEADER_MAX 2048
#define SEAL_KEY_FILE_MAX 8192
/* Hashed fast, so it must be a key, not a word. */
#define SEAL_CREDENTIAL_MIN 16
#define SEAL_PASSPHRASE_MIN 12
/* No header may ask for more than this of the machine that opens it. */
#define SEAL_OPSLIMIT_MAX 64
#define SEAL_MEMLIMIT_MAX (1ULL << 30)

enum seal_kind {
    SEAL_KIND_UNSET = 0,
    SEAL_KIND_CREDENTIAL,
    SEAL_KIND_PASSPHRASE,
};

struct seal_limits {
    uint64_t ops;
    uint64_t mem;
};

struct seal_slot {
    enum seal_kind kind;
    struct seal_limits limits; /* PASSPHRASE; else 0 */
    uint8_t salt[SEAL_SALT_LEN];
    uint8_t nonce[SEAL_NONCE_LEN];
    uint8_t box[SEAL_MASTER_LEN + SEAL_TAG_LEN];
};

struct seal_header {
    uint8_t store_id[SEAL_ID_LEN];
    size_t n_slots;
    struct seal_slot slots[SEAL_SLOTS_MAX];
};

/* A key outside its box. */
struct seal_key {
    char label[TOKEN_LABEL_MAX + 1];
    uint32_t alg;
    uint8_t spki[TOKEN_SPKI_MAX];
    size_t spki_len;
};

/* Outcomes; *reterr says what, and the caller in which file. */
#define SEAL_E_DAMAGED 1 /* not the octets that were written */
#define SEAL_E_VERSION 2 /* written by a later version */
#define SEAL_E_WRONG 3   /* the secret opens no slot */
#define SEAL_E_WEAK 4    /* the secret is too short to protect anything */

/* refuse_seal() - sets *reterr; is @code, so that a guard is one line. */
#define refuse_seal(reterr, code, ...)                                         \
    (errmsg_set((reterr), __VA_ARGS__), (code))

/**
 * seal_slot_wrap() - a slot that @secret opens, with fresh salt and nonce
 * @limits: Argon2id's, for SEAL_KIND_PASSPHRASE only
 *
 * Return: 0; SEAL_E_WEAK; -ENOMEM (Argon2id needs limits->mem octets).
 */
int seal_slot_wrap(const uint8_t store_id[static SEAL_ID_LEN],
                   enum seal_kind kind, const struct seal_limits *limits,
                   const struct secret *secret, const struct secret *master,
                   struct seal_slot *ret, struct errmsg *reterr) MUST_CHECK;

/* seal_slot_unwrap() - Return: 0; SEAL_E_WRONG; -ENOMEM; -ENOLCK. */
int seal_slot_unwrap(const uint8_t store_id[static SEAL_ID_LEN],
                     const struct seal_slot *slot, const struct secret *secret,
                     struct secret **ret_master) MUST_CHECK;

int seal_header_encode(const struct seal_header *h, const struct secret *master,
                       struct buf *ret) MUST_CHECK;

/**
 * seal_header_decode() - form and checksum; its MAC is not yet proven
 *
 * Return: 0; SEAL_E_DAMAGED, SEAL_E_VERSION with *reterr.
 */
int seal_header_decode(struct bytes file, struct seal_header *ret,
                       struct errmsg *reterr) MUST_CHECK;

/* seal_header_verify() - the MAC of @file. Return: 0; SEAL_E_DAMAGED. */
int seal_header_verify(struct bytes file, const struct secret *master,
                       struct errmsg *reterr) MUST_CHECK;

int seal_key_encode(const uint8_t store_id[static SEAL_ID_LEN],
                    const struct secret *master, const struct seal_key *key,
                    const struct secret *pkcs8, struct buf *ret) MUST_CHECK;

/**
 * seal_key_decode() - a key file, authentic as a whole
 * @ret_pkcs8: owned by the caller
 *
 * Return: 0; SEAL_E_DAMAGED, SEAL_E_VERSION with *reterr; -ENOMEM; -ENOLCK.
 */
int seal_key_decode(const uint8_t store_id[static SEAL_ID_LEN],
                    const struct secret *master, struct bytes file,
                    struct seal_key *ret, struct secret **ret_pkcs8,
                    struct errmsg *reterr) MUST_CHECK;
