/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One cursor reads, one writer appends; a secret is only ever in locked memory
 * or in a span that is wiped when left. The master key is never used itself:
 * two subkeys of it authenticate the header and seal the keys.
 */
#include "pkcs11/seal.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <sodium.h>

#define HEADER_MAGIC "AGSEALED"
#define KEY_MAGIC "AGKEYBOX"
#define MAGIC_LEN 8
#define SUM_LEN 32
#define SUBKEY_LEN 32
#define KDF_CONTEXT "agsealed"

static const uint8_t kek_personal[16] = "acme-guardian-k1";

enum subkey {
    SUBKEY_HEADER = 1,
    SUBKEY_KEYS = 2,
};

struct cursor {
    const uint8_t *at;
    size_t left;
    bool short_read;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
    const uint8_t *p = c->at;

    if (c->short_read || len > c->left) {
        c->short_read = true;
        return NULL;
    }
    c->at += len;
    c->left -= len;
    return p;
}

static void take_copy(struct cursor *c, void *ret, size_t len)
{
    const uint8_t *p = take(c, len);

    if (p)
        memcpy(ret, p, len);
}

static uint64_t take_uint(struct cursor *c, size_t len)
{
    const uint8_t *p = take(c, len);
    uint64_t v = 0;

    for (size_t i = 0; p && i < len; i++)
        v = v << 8 | p[i];
    return v;
}

static int put_uint(struct buf *b, uint64_t v, size_t len)
{
    uint8_t octets[8];

    for (size_t i = 0; i < len; i++)
        octets[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
    return buf_append(b, octets, len);
}

static int derive(const struct secret *master, enum subkey which,
                  uint8_t ret[static SUBKEY_LEN])
{
    assert(master->len == SEAL_MASTER_LEN);
    return crypto_kdf_derive_from_key(ret, SUBKEY_LEN, which, KDF_CONTEXT,
                                      master->data)
               ? -EIO
               : 0;
}

/* The key that a secret stands for in this slot. */
static int slot_kek(const struct seal_slot *slot, const struct secret *secret,
                    uint8_t ret[static SUBKEY_LEN])
{
    if (slot->kind == SEAL_KIND_CREDENTIAL)
        return crypto_generichash_blake2b_salt_personal(
                   ret, SUBKEY_LEN, secret->data, secret->len, NULL, 0,
                   slot->salt, kek_personal)
                   ? -EIO
                   : 0;
    /* Its only failure is that it cannot get its memory. */
    return crypto_pwhash(ret, SUBKEY_LEN, (const char *)secret->data,
                         secret->len, slot->salt, slot->limits.ops,
                         (size_t)slot->limits.mem, crypto_pwhash_ALG_ARGON2ID13)
               ? -ENOMEM
               : 0;
}

static int put_slot_ad(const uint8_t store_id[static SEAL_ID_LEN],
                       const struct seal_slot *slot, struct buf *ad)
{
    int r;

    r = put_uint(ad, SEAL_VERSION, 4);
    if (r == 0)
        r = buf_append(ad, store_id, SEAL_ID_LEN);
    if (r == 0)
        r = put_uint(ad, slot->kind, 4);
    if (r == 0)
        r = put_uint(ad, slot->limits.ops, 8);
    if (r == 0)
        r = put_uint(ad, slot->limits.mem, 8);
    if (r == 0)
        r = buf_append(ad, slot->salt, SEAL_SALT_LEN);
    return r;
}

static int check_strength(enum seal_kind kind, const struct secret *secret,
                          struct errmsg *reterr)
{
    if (kind == SEAL_KIND_CREDENTIAL && secret->len < SEAL_CREDENTIAL_MIN)
        return refuse_seal(reterr, SEAL_E_WEAK,
                           "the credential has %zu octets and needs %d or "
                           "more, random ones: it is a key, not a PIN",
                           secret->len, SEAL_CREDENTIAL_MIN);
    if (kind == SEAL_KIND_PASSPHRASE && secret->len < SEAL_PASSPHRASE_MIN)
        return refuse_seal(reterr, SEAL_E_WEAK,
                           "the recovery passphrase needs %d characters or "
                           "more",
                           SEAL_PASSPHRASE_MIN);
    return 0;
}

int seal_slot_wrap(const uint8_t store_id[static SEAL_ID_LEN],
                   enum seal_kind kind, const struct seal_limits *limits,
                   const struct secret *secret, const struct secret *master,
                   struct seal_slot *ret, struct errmsg *reterr)
{
    CLEANUP_BUF struct buf ad = { 0 };
    struct seal_slot slot = { .kind = kind };
    uint8_t kek[SUBKEY_LEN];
    CLEANUP_WIPE(wipe, kek);
    int r;

    r = check_strength(kind, secret, reterr);
    if (r)
        return r;
    if (kind == SEAL_KIND_PASSPHRASE)
        slot.limits = *limits;
    randombytes_buf(slot.salt, sizeof(slot.salt));
    randombytes_buf(slot.nonce, sizeof(slot.nonce));
    r = slot_kek(&slot, secret, kek);
    if (r == 0)
        r = put_slot_ad(store_id, &slot, &ad);
    if (r)
        return r;
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        slot.box, NULL, master->data, SEAL_MASTER_LEN, ad.data, ad.len, NULL,
        slot.nonce, kek);
    *ret = slot;
    return 0;
}

int seal_slot_unwrap(const uint8_t store_id[static SEAL_ID_LEN],
                     const struct seal_slot *slot, const struct secret *secret,
                     struct secret **ret_master)
{
    CLEANUP_SECRET struct secret *master = NULL;
    CLEANUP_BUF struct buf ad = { 0 };
    uint8_t kek[SUBKEY_LEN];
    CLEANUP_WIPE(wipe, kek);
    int r;

    r = slot_kek(slot, secret, kek);
    if (r == 0)
        r = put_slot_ad(store_id, slot, &ad);
    if (r == 0)
        r = secret_new(SEAL_MASTER_LEN, &master);
    if (r)
        return r;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            master->data, NULL, NULL, slot->box, sizeof(slot->box), ad.data,
            ad.len, slot->nonce, kek))
        return SEAL_E_WRONG;
    *ret_master = TAKE_PTR(master);
    return 0;
}

static int put_slot(struct buf *b, const struct seal_slot *s)
{
    int r;

    r = put_uint(b, s->kind, 4);
    if (r == 0)
        r = put_uint(b, 0, 4);
    if (r == 0)
        r = put_uint(b, s->limits.ops, 8);
    if (r == 0)
        r = put_uint(b, s->limits.mem, 8);
    if (r == 0)
        r = buf_append(b, s->salt, sizeof(s->salt));
    if (r == 0)
        r = buf_append(b, s->nonce, sizeof(s->nonce));
    if (r == 0)
        r = buf_append(b, s->box, sizeof(s->box));
    return r;
}

static void sum_of(struct bytes data, uint8_t ret[static SUM_LEN])
{
    (void)crypto_generichash(ret, SUM_LEN, data.data, data.len, NULL, 0);
}

static int mac_of(struct bytes data, const struct secret *master,
                  uint8_t ret[static SUM_LEN])
{
    uint8_t key[SUBKEY_LEN];
    CLEANUP_WIPE(wipe, key);
    int r;

    r = derive(master, SUBKEY_HEADER, key);
    if (r)
        return r;
    (void)crypto_generichash(ret, SUM_LEN, data.data, data.len, key,
                             sizeof(key));
    return 0;
}

int seal_header_encode(const struct seal_header *h, const struct secret *master,
                       struct buf *ret)
{
    uint8_t sum[SUM_LEN];
    int r;

    r = buf_append(ret, HEADER_MAGIC, MAGIC_LEN);
    if (r == 0)
        r = put_uint(ret, SEAL_VERSION, 4);
    if (r == 0)
        r = put_uint(ret, h->n_slots, 4);
    if (r == 0)
        r = buf_append(ret, h->store_id, SEAL_ID_LEN);
    for (size_t i = 0; r == 0 && i < h->n_slots; i++)
        r = put_slot(ret, &h->slots[i]);
    if (r)
        return r;
    sum_of(buf_bytes(ret), sum);
    r = buf_append(ret, sum, sizeof(sum));
    if (r == 0)
        r = mac_of(buf_bytes(ret), master, sum);
    if (r == 0)
        r = buf_append(ret, sum, sizeof(sum));
    return r;
}

/* Return: 0; SEAL_E_DAMAGED; SEAL_E_VERSION. */
static int take_prefix(struct cursor *c, const char *magic,
                       struct errmsg *reterr)
{
    const uint8_t *m = take(c, MAGIC_LEN);
    uint64_t version = take_uint(c, 4);

    if (!m || memcmp(m, magic, MAGIC_LEN) != 0)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "does not begin as a file of a sealed store");
    if (version != SEAL_VERSION)
        return refuse_seal(reterr, SEAL_E_VERSION,
                           "has format version %llu; this program knows %d",
                           (unsigned long long)version, SEAL_VERSION);
    return 0;
}

static int take_slot(struct cursor *c, struct seal_slot *ret,
                     struct errmsg *reterr)
{
    uint64_t kind = take_uint(c, 4);
    uint64_t zero = take_uint(c, 4);

    *ret = (struct seal_slot){ .kind = (enum seal_kind)kind };
    ret->limits.ops = take_uint(c, 8);
    ret->limits.mem = take_uint(c, 8);
    take_copy(c, ret->salt, sizeof(ret->salt));
    take_copy(c, ret->nonce, sizeof(ret->nonce));
    take_copy(c, ret->box, sizeof(ret->box));
    if ((kind != SEAL_KIND_CREDENTIAL && kind != SEAL_KIND_PASSPHRASE) || zero)
        return refuse_seal(reterr, SEAL_E_DAMAGED, "has a slot of no kind");
    if (ret->limits.ops > SEAL_OPSLIMIT_MAX ||
        ret->limits.mem > SEAL_MEMLIMIT_MAX)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "has a slot that asks for too much work");
    return 0;
}

int seal_header_decode(struct bytes file, struct seal_header *ret,
                       struct errmsg *reterr)
{
    struct cursor c = { file.data, file.len, false };
    struct seal_header h = { 0 };
    uint8_t sum[SUM_LEN];
    const uint8_t *stored;
    int r;

    r = take_prefix(&c, HEADER_MAGIC, reterr);
    if (r)
        return r;
    h.n_slots = take_uint(&c, 4);
    take_copy(&c, h.store_id, sizeof(h.store_id));
    if (h.n_slots < 1 || h.n_slots > SEAL_SLOTS_MAX)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "has %zu slots and may have 1 to %d", h.n_slots,
                           SEAL_SLOTS_MAX);
    for (size_t i = 0; i < h.n_slots; i++) {
        r = take_slot(&c, &h.slots[i], reterr);
        if (r)
            return r;
    }
    stored = take(&c, SUM_LEN);
    (void)take(&c, SUM_LEN); /* the MAC: seal_header_verify() */
    if (c.short_read || c.left > 0)
        return refuse_seal(reterr, SEAL_E_DAMAGED, "has the wrong length");
    sum_of((struct bytes){ file.data, file.len - SUM_LEN - SUM_LEN }, sum);
    if (memcmp(sum, stored, SUM_LEN) != 0)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "does not match its checksum: it was changed or "
                           "damaged");
    *ret = h;
    return 0;
}

int seal_header_verify(struct bytes file, const struct secret *master,
                       struct errmsg *reterr)
{
    uint8_t mac[SUM_LEN];
    int r;

    assert(file.len > SUM_LEN); /* seal_header_decode() has seen it */
    r = mac_of((struct bytes){ file.data, file.len - SUM_LEN }, master, mac);
    if (r)
        return r;
    if (sodium_memcmp(mac, file.data + file.len - SUM_LEN, SUM_LEN) != 0)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "is not authentic: it was changed by somebody "
                           "without the master key");
    return 0;
}

static int put_key_ad(const uint8_t store_id[static SEAL_ID_LEN],
                      const struct seal_key *key, struct buf *b)
{
    int r;

    r = buf_append(b, KEY_MAGIC, MAGIC_LEN);
    if (r == 0)
        r = put_uint(b, SEAL_VERSION, 4);
    if (r == 0)
        r = buf_append(b, store_id, SEAL_ID_LEN);
    if (r == 0)
        r = put_uint(b, key->alg, 4);
    if (r == 0)
        r = put_uint(b, strlen(key->label), 4);
    if (r == 0)
        r = buf_append_str(b, key->label);
    if (r == 0)
        r = put_uint(b, key->spki_len, 4);
    if (r == 0)
        r = buf_append(b, key->spki, key->spki_len);
    return r;
}

int seal_key_encode(const uint8_t store_id[static SEAL_ID_LEN],
                    const struct secret *master, const struct seal_key *key,
                    const struct secret *pkcs8, struct buf *ret)
{
    uint8_t box[SECRET_MAX + SEAL_TAG_LEN];
    uint8_t nonce[SEAL_NONCE_LEN];
    uint8_t subkey[SUBKEY_LEN];
    CLEANUP_WIPE(wipe, subkey);
    size_t box_len = pkcs8->len + SEAL_TAG_LEN;
    int r;

    if (pkcs8->len > SECRET_MAX)
        return -E2BIG;
    r = derive(master, SUBKEY_KEYS, subkey);
    if (r == 0)
        r = put_key_ad(store_id, key, ret);
    if (r)
        return r;
    randombytes_buf(nonce, sizeof(nonce));
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        box, NULL, pkcs8->data, pkcs8->len, ret->data, ret->len, NULL, nonce,
        subkey);
    r = buf_append(ret, nonce, sizeof(nonce));
    if (r == 0)
        r = put_uint(ret, box_len, 4);
    if (r == 0)
        r = buf_append(ret, box, box_len);
    return r;
}

struct key_parts {
    struct bytes ad;
    const uint8_t *nonce;
    struct bytes box;
};

static int take_key(struct bytes file, const uint8_t *store_id,
                    struct seal_key *ret, struct key_parts *ret_parts,
                    struct errmsg *reterr)
{
    struct cursor c = { file.data, file.len, false };
    const uint8_t *id;
    uint64_t len;
    int r;

    r = take_prefix(&c, KEY_MAGIC, reterr);
    if (r)
        return r;
    id = take(&c, SEAL_ID_LEN);
    if (!id || memcmp(id, store_id, SEAL_ID_LEN) != 0)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "is not of this store (another store id)");
    ret->alg = (uint32_t)take_uint(&c, 4);
    len = take_uint(&c, 4);
    if (len < 1 || len > TOKEN_LABEL_MAX)
        return refuse_seal(reterr, SEAL_E_DAMAGED, "has a label of %llu octets",
                           (unsigned long long)len);
    take_copy(&c, ret->label, len);
    ret->spki_len = take_uint(&c, 4);
    if (ret->spki_len < 1 || ret->spki_len > TOKEN_SPKI_MAX)
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "has a public key of %zu octets", ret->spki_len);
    take_copy(&c, ret->spki, ret->spki_len);
    ret_parts->ad = (struct bytes){ file.data, file.len - c.left };
    ret_parts->nonce = take(&c, SEAL_NONCE_LEN);
    ret_parts->box.len = take_uint(&c, 4);
    ret_parts->box.data = c.at;
    if (c.short_read || c.left != ret_parts->box.len ||
        c.left <= SEAL_TAG_LEN || c.left > SECRET_MAX + SEAL_TAG_LEN)
        return refuse_seal(reterr, SEAL_E_DAMAGED, "has the wrong length");
    return 0;
}

int seal_key_decode(const uint8_t store_id[static SEAL_ID_LEN],
                    const struct secret *master, struct bytes file,
                    struct seal_key *ret, struct secret **ret_pkcs8,
                    struct errmsg *reterr)
{
    CLEANUP_SECRET struct secret *pkcs8 = NULL;
    struct key_parts parts = { 0 };
    struct seal_key key = { 0 };
    uint8_t subkey[SUBKEY_LEN];
    CLEANUP_WIPE(wipe, subkey);
    int r;

    r = take_key(file, store_id, &key, &parts, reterr);
    if (r == 0)
        r = derive(master, SUBKEY_KEYS, subkey);
    if (r == 0)
        r = secret_new(parts.box.len - SEAL_TAG_LEN, &pkcs8);
    if (r)
        return r;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            pkcs8->data, NULL, NULL, parts.box.data, parts.box.len,
            parts.ad.data, parts.ad.len, parts.nonce, subkey))
        return refuse_seal(reterr, SEAL_E_DAMAGED,
                           "is not authentic: its label, public key or sealed "
                           "private key was changed");
    *ret = key;
    *ret_pkcs8 = TAKE_PTR(pkcs8);
    return 0;
}
