/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The closed reading of requests and certificates. */
#include <string.h>

#include "acme/csr.h"
#include "acme/dns-name.h"
#include "fuzz-account.h"
#include "fuzz-csr-input.h"
#include "fuzz.h"

static void check(const struct csr *csr, bool certificate)
{
    MUST(csr->names.n > 0 && csr->names.n <= IDENTIFIERS_MAX);
    for (size_t i = 0; i < csr->names.n; i++) {
        const struct identifier *id = &csr->names.items[i];
        struct bytes value = bytes_from_str(id->value);
        uint8_t addr[16];
        size_t len;

        if (id->type == IDENTIFIER_IP)
            MUST(ip_text_check(value, addr, &len, NULL) == 0 &&
                 len == id->addr_len && memcmp(addr, id->addr, len) == 0);
        else
            MUST(dns_name_check(value, true, NULL) == 0);
        for (size_t j = 0; j < i; j++)
            MUST(strcmp(id->value, csr->names.items[j].value) != 0);
    }
    MUST(certificate || csr->key_type != CSR_KEY_UNSET);
    MUST((csr->rsa_bits != 0) == (csr->key_type == CSR_KEY_RSA));
    for (char **oid = csr->extensions; oid && *oid; oid++)
        MUST(strspn(*oid, "0123456789.") == strlen(*oid));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_csr in;
    struct csr csr = { 0 };
    struct refusal refusal = { 0 };
    CLEANUP_FREE uint8_t *exact = NULL;
    struct bytes der;
    int r;

    fuzz_csr_take((struct bytes){ data, size }, &in);
    exact = fuzz_copy(buf_bytes(&in.der));
    der = (struct bytes){ exact, in.der.len };
    r = in.certificate ? certificate_read(der, &csr, &refusal)
                       : csr_read(der, fuzz_account(false), &csr, &refusal);
    MUST(r == 0 || (r == REFUSED &&
                    reason_kind(refusal.reason) == REASON_KIND_MALFORMED));
    if (r == 0)
        check(&csr, in.certificate);
    csr_deinit(&csr);
    fuzz_csr_deinit(&in);
    return 0;
}
