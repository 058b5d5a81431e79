/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a rule set grants, name by name, and what is denied to everybody. */
#include <string.h>

#include "policy/ruleset.h"

static const struct {
    const char *word;
    enum policy_key bit;
    enum csr_key_type type;
    unsigned rsa_bits;
} key_types[] = {
    { "ec-p256", POLICY_KEY_EC_P256, CSR_KEY_EC_P256, 0 },
    { "ec-p384", POLICY_KEY_EC_P384, CSR_KEY_EC_P384, 0 },
    { "ec-p521", POLICY_KEY_EC_P521, CSR_KEY_EC_P521, 0 },
    { "ed25519", POLICY_KEY_ED25519, CSR_KEY_ED25519, 0 },
    { "rsa-2048", POLICY_KEY_RSA_2048, CSR_KEY_RSA, 2048 },
    { "rsa-3072", POLICY_KEY_RSA_3072, CSR_KEY_RSA, 3072 },
    { "rsa-4096", POLICY_KEY_RSA_4096, CSR_KEY_RSA, 4096 },
};

enum policy_key policy_key_type(enum csr_key_type type, unsigned rsa_bits)
{
    for (size_t i = 0; i < ARRAY_LEN(key_types); i++) {
        if (key_types[i].type == type &&
            (type != CSR_KEY_RSA || key_types[i].rsa_bits == rsa_bits))
            return key_types[i].bit;
    }
    return POLICY_KEY_NONE;
}

enum policy_key policy_key_type_parse(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(key_types); i++) {
        if (strcmp(key_types[i].word, word) == 0)
            return key_types[i].bit;
    }
    return POLICY_KEY_NONE;
}

const char *policy_key_type_word(enum csr_key_type type)
{
    for (size_t i = 0; i < ARRAY_LEN(key_types); i++) {
        if (key_types[i].type == type)
            return key_types[i].word;
    }
    return NULL;
}

bool policy_grants_below(const struct policy_ruleset *rs, struct bytes name)
{
    for (name = policy_name_parent(name); name.len > 0;
         name = policy_name_parent(name)) {
        if (name_index_has(&rs->names[NAME_BELOW], name))
            return true;
    }
    return false;
}

static bool denials_have(const struct policy_denials *d, struct bytes name,
                         bool wildcard)
{
    if (wildcard && name_index_has(&d->parents, name))
        return true;
    for (; d->names.n > 0 && name.len > 0; name = policy_name_parent(name)) {
        if (name_index_has(&d->names, name))
            return true;
    }
    return false;
}

bool policy_denies(const struct policy_set *set, struct bytes name,
                   bool wildcard)
{
    return denials_have(&set->deny, name, wildcard) ||
           denials_have(&set->deny_now, name, wildcard);
}

bool policy_denies_any(const struct policy_set *set,
                       const struct identifiers *ids, const char **ret_name)
{
    for (size_t i = 0; i < ids->n; i++) {
        struct bytes name = bytes_from_str(ids->items[i].value);
        bool wildcard = name.len > 2 && memcmp(name.data, "*.", 2) == 0;

        if (wildcard)
            name = (struct bytes){ name.data + 2, name.len - 2 };
        if (ids->items[i].type == IDENTIFIER_DNS &&
            policy_denies(set, name, wildcard)) {
            *ret_name = ids->items[i].value;
            return true;
        }
    }
    return false;
}
