/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "diff-lines.h"

#include "fuzz.h"

void diff_put_line(struct buf *b, const char *word, const char *value)
{
    MUST(buf_printf(b, "%s %s\n", word, value) == 0);
}

void diff_put_names(struct buf *b, const struct identifiers *ids)
{
    for (size_t i = 0; i < ids->n; i++)
        MUST(buf_printf(b, "name %s:%s\n",
                        ids->items[i].type == IDENTIFIER_IP ? "ip" : "dns",
                        ids->items[i].value) == 0);
}

void diff_put_csr(struct buf *b, const struct csr *csr)
{
    static const char *const keys[] = {
        [CSR_KEY_EC_P256] = "ec P-256", [CSR_KEY_EC_P384] = "ec P-384",
        [CSR_KEY_EC_P521] = "ec P-521", [CSR_KEY_ED25519] = "ed25519",
        [CSR_KEY_RSA] = "rsa",
    };

    if (csr->key_type == CSR_KEY_RSA)
        MUST(buf_printf(b, "key rsa %u\n", csr->rsa_bits) == 0);
    else if (csr->key_type != CSR_KEY_UNSET)
        diff_put_line(b, "key", keys[csr->key_type]);
    for (char **oid = csr->extensions; oid && *oid; oid++)
        diff_put_line(b, "ext", *oid);
}

void diff_must_be_null(char *difference, struct bytes ours)
{
    if (!difference)
        return;
    (void)fprintf(stderr, "%s\nwe read:\n%.*s\n", difference, (int)ours.len,
                  (const char *)ours.data);
    abort();
}
