/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/chain-state.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "base/secret.h"

static const char magic[8] = "AGCHAIN1";

/* On disk; numbers little-endian. */
struct slot {
    char magic[sizeof(magic)];
    uint64_t sequence;
    uint64_t line;
    uint64_t offset;
    uint8_t key[CHAIN_KEY_LEN];
    uint8_t mac[CHAIN_MAC_LEN];
    uint8_t sum[32]; /* BLAKE2b-256 of all before */
};

_Static_assert(sizeof(struct slot) == CHAIN_STATE_SLOT, "a slot's size");

static void sum_of(const struct slot *s, uint8_t ret[static 32])
{
    (void)crypto_generichash(ret, 32, (const uint8_t *)s,
                             offsetof(struct slot, sum), NULL, 0);
}

static bool slot_is_whole(const struct slot *s)
{
    uint8_t sum[sizeof(s->sum)];

    sum_of(s, sum);
    return memcmp(s->magic, magic, sizeof(magic)) == 0 && s->line != 0 &&
           memcmp(s->sum, sum, sizeof(sum)) == 0;
}

int chain_state_read(int fd, struct chain_state *ret)
{
    struct slot slots[2] = { 0 };
    CLEANUP_WIPE(wipe, slots);
    const struct slot *newest = NULL;

    if (pread(fd, slots, sizeof(slots), 0) < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        if (slot_is_whole(&slots[i]) &&
            (!newest || le64toh(slots[i].sequence) > le64toh(newest->sequence)))
            newest = &slots[i];
    }
    if (!newest)
        return CHAIN_STATE_E_DAMAGED;

    *ret = (struct chain_state){ .chain.line = le64toh(newest->line),
                                 .offset = le64toh(newest->offset),
                                 .sequence = le64toh(newest->sequence) };
    memcpy(ret->chain.key, newest->key, CHAIN_KEY_LEN);
    memcpy(ret->mac, newest->mac, CHAIN_MAC_LEN);
    return 0;
}

int chain_state_write(int fd, const struct chain_state *s)
{
    struct slot slot = { .sequence = htole64(s->sequence),
                         .line = htole64(s->chain.line),
                         .offset = htole64(s->offset) };
    CLEANUP_WIPE(wipe, slot);
    off_t at = (off_t)(s->sequence % 2 * sizeof(slot));
    ssize_t n;

    memcpy(slot.magic, magic, sizeof(magic));
    memcpy(slot.key, s->chain.key, CHAIN_KEY_LEN);
    memcpy(slot.mac, s->mac, CHAIN_MAC_LEN);
    sum_of(&slot, slot.sum);

    n = pwrite(fd, &slot, sizeof(slot), at);
    if (n < 0)
        return -errno;
    return n == sizeof(slot) ? 0 : -EIO;
}
