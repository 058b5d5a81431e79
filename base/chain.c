/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/chain.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "base/secret.h"

#define MAC_OPEN ",\"mac\":\""
#define MAC_CLOSE "\"}"
#define MAC_HEX (2 * CHAIN_MAC_LEN)
#define HASH_STACK 2048
#define TAIL_LEN (sizeof(MAC_OPEN) - 1 + MAC_HEX + sizeof(MAC_CLOSE) - 1)

static void mac_of(const struct chain *c, struct bytes text,
                   uint8_t ret[static CHAIN_MAC_LEN])
{
    (void)crypto_generichash(ret, CHAIN_MAC_LEN, text.data, text.len, c->key,
                             CHAIN_KEY_LEN);
}

static void advance(struct chain *c, const uint8_t mac[static CHAIN_MAC_LEN])
{
    uint8_t both[CHAIN_KEY_LEN + CHAIN_MAC_LEN];
    CLEANUP_WIPE(wipe, both);

    memcpy(both, c->key, CHAIN_KEY_LEN);
    memcpy(both + CHAIN_KEY_LEN, mac, CHAIN_MAC_LEN);
    (void)crypto_generichash(c->key, CHAIN_KEY_LEN, both, sizeof(both), NULL,
                             0);
    /* libsodium leaves its output behind on the stack. */
    sodium_stackzero(HASH_STACK);
    c->line++;
}

int chain_seal(struct chain *c, struct buf *line)
{
    uint8_t mac[CHAIN_MAC_LEN];
    char hex[MAC_HEX + 1];
    int r;

    r = buf_reserve(line, TAIL_LEN + 1);
    if (r)
        return r;
    mac_of(c, buf_bytes(line), mac);
    (void)sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    r = buf_append_str(line, MAC_OPEN);
    if (r == 0)
        r = buf_append_str(line, hex);
    if (r == 0)
        r = buf_append_str(line, MAC_CLOSE "\n");
    if (r)
        return r;
    advance(c, mac);
    return 0;
}

int chain_check(struct chain *c, struct bytes line)
{
    uint8_t mac[CHAIN_MAC_LEN];
    char hex[MAC_HEX + 1];
    const uint8_t *tail;

    if (line.len < TAIL_LEN)
        return CHAIN_E_FORM;
    tail = line.data + line.len - TAIL_LEN;
    if (memcmp(tail, MAC_OPEN, sizeof(MAC_OPEN) - 1) != 0 ||
        memcmp(tail + sizeof(MAC_OPEN) - 1 + MAC_HEX, MAC_CLOSE,
               sizeof(MAC_CLOSE) - 1) != 0)
        return CHAIN_E_FORM;

    mac_of(c, (struct bytes){ line.data, line.len - TAIL_LEN }, mac);
    (void)sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac));
    if (sodium_memcmp(hex, tail + sizeof(MAC_OPEN) - 1, MAC_HEX) != 0)
        return CHAIN_E_MAC;
    advance(c, mac);
    return 0;
}
